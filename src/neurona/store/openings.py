"""The records of the test set's openings: added for good, read, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.opening import BEFORE_ALL, ModelRecord, Opening, chain_problems
from neurona.store import tables
from neurona.store.database import patient
from neurona.store.store import Store

__all__ = ["add_opening", "openings", "verify_openings"]


def add_opening(
    store: Store, *, user: str, reason: str, models: Sequence[ModelRecord], results: Mapping[str, Any]
) -> Opening:
    """Record, for good, that the test set was opened just now, and return the record."""
    here = tables.studies.c.id == store.number
    with store.database.writing() as connection:
        # One opening at a time: `for update` holds back others on PostgreSQL, SQLite's writers wait anyway.
        study = connection.execute(sa.select(tables.studies).where(here).with_for_update()).one()
        last = sa.select(sa.func.max(tables.openings.c.number)).where(tables.openings.c.study == store.number)
        opening = Opening(
            number=(connection.execute(last).scalar() or 0) + 1,
            time=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            user=user,
            reason=reason,
            fingerprint=study.fingerprint,
            models=tuple(models),
            results=results,
            previous=study.newest_opening or BEFORE_ALL,
        ).hashed()
        values = opening.to_json()
        values |= {key: json.dumps(values[key], allow_nan=False) for key in ("models", "results")}
        connection.execute(sa.insert(tables.openings).values(study=store.number, **values))
        connection.execute(sa.update(tables.studies).where(here).values(newest_opening=opening.hash))
    return opening


@patient
def openings(store: Store) -> tuple[Opening, ...]:
    """Return the records of the test set's openings, the first one first; StoreError when one cannot be read."""
    query = sa.select(tables.openings).where(tables.openings.c.study == store.number).order_by(tables.openings.c.number)
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(_opening(row) for row in rows)


def verify_openings(store: Store) -> list[str]:
    """Return what is wrong with the records of the test set's openings, a sentence each; an empty list is right."""
    try:
        recorded = openings(store)
    except StoreError as error:
        return [str(error)]
    problems = chain_problems(recorded, store.info["newest_opening"])
    counted = max((run.openings for run in store.runs()), default=0)
    if counted > len(recorded):
        sentence = _("a run ended after {count} openings of the test set, but only {kept} are recorded.")
        problems.append(sentence.format(count=counted, kept=len(recorded)))
    hashes = store.weight_hashes()
    for opening in recorded:
        for model in opening.models:
            if hashes.get(model.run) != model.sha256:
                sentence = _("the weights of {name}, seed {seed}, are not those that opening {number} tested.")
                problems.append(sentence.format(name=model.experiment, seed=model.seed, number=opening.number))
    return problems


def _opening(row: Any) -> Opening:
    values = {key: value for key, value in row._mapping.items() if key != "study"}
    try:
        models = tuple(ModelRecord(**model) for model in json.loads(row.models))
        return Opening(**{**values, "models": models, "results": json.loads(row.results)})
    except (ValueError, TypeError):
        sentence = _("the record of opening {number} of the test set was edited: it cannot be read.")
        raise StoreError(sentence.format(number=row.number)) from None
