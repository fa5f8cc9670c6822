"""The champions of a study: a name, and what was declared of it as a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.store import tables
from neurona.store.database import Now, patient
from neurona.store.store import Store, insert_missing

__all__ = ["StoredChampion", "champions", "put_champion"]


@dataclass(frozen=True)
class StoredChampion:
    """A champion as it is kept. created: in seconds since 1970."""

    name: str
    declared: Mapping[str, Any]
    created: float


@patient
def champions(store: Store) -> tuple[StoredChampion, ...]:
    """Return the champions of a study, the first made first; StoreError for one that cannot be read."""
    table = tables.champions.c
    query = sa.select(tables.champions).where(table.study == store.number).order_by(table.created, table.name)
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    try:
        return tuple(StoredChampion(row.name, json.loads(row.declared), row.created) for row in rows)
    except ValueError:
        raise StoreError(_("the record of a champion was edited: it cannot be read.")) from None


@patient
def put_champion(store: Store, name: str, declared: Mapping[str, Any]) -> None:
    """Keep what is declared of the champion called `name`, instead of what was."""
    table, text = tables.champions, json.dumps(declared, allow_nan=False)
    with store.database.writing() as connection:
        row = {"study": store.number, "name": name, "declared": text, "created": Now()}
        connection.execute(insert_missing(connection, table).values(**row))
        here = (table.c.study == store.number, table.c.name == name)
        connection.execute(sa.update(table).where(*here).values(declared=text))
