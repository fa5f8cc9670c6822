"""Who is at work on a search: which process has which of its trials, and how long there was anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.store import tables
from neurona.store.database import Now, patient
from neurona.store.owner import Owner
from neurona.store.store import LEASE_SECONDS, Store, lives

__all__ = ["Sittings"]

_LOCK = -1  # as if it were a trial: whoever has it may begin trials
_POLL_SECONDS = 0.05


class Sittings:
    """The processes that are, or were, at work on the search called `search` in a study.

    A sitting is a process's time at it, from `begin` to its last `beat`. A claim lasts as long as its owner lives.
    """

    def __init__(self, store: Store, search: str, owner: Owner) -> None:
        self._database = store.database
        self._owner = owner
        self._here = {"study": store.number, "search": search}

    @patient
    def begin(self) -> None:
        """Note that this process is at work from now on."""
        with self._database.writing() as connection:
            row = {**self._here, "owner": str(self._owner), "began": Now(), "heartbeat": Now()}
            connection.execute(sa.insert(tables.sittings).values(**row))

    def beat(self) -> None:
        """Say that this process lives, and is still at work."""
        sittings = tables.sittings
        with self._database.writing() as connection:
            mine = (*self._of(sittings), sittings.c.owner == str(self._owner))
            connection.execute(sa.update(sittings).where(*mine).values(heartbeat=Now()))

    @patient
    def end(self) -> None:
        """Give back every claim of this process, and note that its sitting is over."""
        self.beat()
        claims = tables.claims
        with self._database.writing() as connection:
            mine = (*self._of(claims), claims.c.owner == str(self._owner))
            connection.execute(sa.delete(claims).where(*mine))

    @patient
    def seconds(self) -> float:
        """Return for how long anybody was at work, in seconds; two at a time count once."""
        sittings = tables.sittings
        query = sa.select(sittings.c.began, sittings.c.heartbeat).where(*self._of(sittings)).order_by(sittings.c.began)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        total, end = 0.0, 0.0
        for began, last in rows:
            total += max(0.0, last - max(began, end))
            end = max(end, last)
        return total

    @patient
    def claim(self, trial: int) -> bool:
        """Take a trial: True when it is now this process's, False when another lives on it."""
        claims, sittings = tables.claims, tables.sittings
        here = (*self._of(claims), claims.c.trial == trial)
        mine = {"owner": str(self._owner)}
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's writers wait for each other anyway
                connection.execute(sa.text("LOCK TABLE claims IN EXCLUSIVE MODE"))
            of_owner = (*self._of(sittings), sittings.c.owner == claims.c.owner)
            last = sa.select(sittings.c.heartbeat).where(*of_owner).scalar_subquery()
            age = (Now() - sa.func.coalesce(last, 0.0)).label("age")
            row = connection.execute(sa.select(claims.c.owner, age).where(*here)).one_or_none()
            if row is None:
                connection.execute(sa.insert(claims).values(**self._here, trial=trial, **mine))
                return True
            if row.owner != str(self._owner) and lives(row):
                return False
            connection.execute(sa.update(claims).where(*here).values(**mine))
            return True

    @patient
    def release(self, trial: int) -> None:
        """Give back the claim to a trial, if it is this process's."""
        claims = tables.claims
        with self._database.writing() as connection:
            mine = (*self._of(claims), claims.c.trial == trial, claims.c.owner == str(self._owner))
            connection.execute(sa.delete(claims).where(*mine))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep out every other process meanwhile that asks so, and wait for the one that is in.

        StoreError when it stays in for longer than a process that died would.
        """
        began = time.monotonic()
        while not self.claim(_LOCK):
            if time.monotonic() - began > 2 * LEASE_SECONDS:
                sentence = _("another process has been beginning a trial of this search for {seconds:.0f} s.")
                raise StoreError(sentence.format(seconds=time.monotonic() - began))
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self.release(_LOCK)

    def _of(self, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        return tuple(table.c[key] == value for key, value in self._here.items())
