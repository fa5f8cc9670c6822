"""A study's part of a database: its experiments, runs, epochs, weights, checkpoints, and openings of the test set.

A run is claimed by one process, kept alive by its heartbeat, and stored in one transaction when it ends; so a process
killed at any moment leaves nothing half-written, and another takes over what it had claimed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.machine import made_by, trained_on, versions
from neurona.run import Epoch, History, LayerNorms, Norms, Parameters, Run
from neurona.specs import Experiment
from neurona.store import tables
from neurona.store.database import Database, Now, patient
from neurona.store.owner import Owner, provenance
from neurona.store.weights import read_checkpoint, read_weights, write_checkpoint, write_weights

__all__ = [
    "ENDED",
    "LEASE_SECONDS",
    "Provenance",
    "Store",
    "StoredExperiment",
    "StoredRun",
    "Task",
    "insert_missing",
    "lives",
]

LEASE_SECONDS = 60.0  # a claim whose heartbeat is older is anybody's
ENDED = ("complete", "diverged")  # the states that a run keeps
PAUSED_BYTES = 256_000_000  # of the checkpoints of runs that a search has stopped early


@dataclass(frozen=True)
class Task:
    """A run to do: an experiment and a seed. `id` is `run_id`'s."""

    id: str
    experiment: Experiment
    seed: int


@dataclass(frozen=True)
class StoredExperiment:
    """An experiment as the study last declared it, and its count of weights and biases."""

    experiment: Experiment
    parameters: int


@dataclass(frozen=True)
class StoredRun:
    """A run in the store.

    state: `pending`, `running`, `paused` (a search stopped it early), `complete`, `diverged` or `failed`.
    epochs: empty unless `state` is `complete` or `diverged`.
    openings: how often the test set had been opened when it ended.
    finished: when that was, in seconds since 1970 by the database's clock.
    """

    id: str
    experiment: str
    seed: int
    state: str
    epochs: tuple[Epoch, ...]
    train_seconds: float | None
    error: str | None
    openings: int = 0
    finished: float | None = None

    @property
    def history(self) -> History:
        """Its epochs under Keras' keys; their norms are the study's `run_norms`."""
        return History(self.epochs)


@dataclass(frozen=True)
class Provenance:
    """Libraries (name -> version) and machine of so many runs.

    machine: `host`, `system`, `processor`, `cores`, `usable_cores` (by the process), `memory`, `device` (`cpu`, `gpu`);
        runs of an older Neurona have neither `usable_cores` nor `device`.
    """

    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    runs: int


class Store:
    """One study's part of a database.

    Open it with `Store.open`; any number of threads and processes may use one study at a time. What is written is
    tried again for `database.PATIENCE_SECONDS` while the database is away or has no room.

    number: the study's, in the database.
    """

    def __init__(self, database: Database, number: int) -> None:
        self.database = database
        self.number = number

    @classmethod
    def open(
        cls,
        url: str,
        *,
        study: str,
        lab: str | None = None,
        dataset: str | None = None,
        fingerprint: str | None = None,
    ) -> Self:
        """Open the study called `study` in the database at `url`.

        With `lab`, `dataset` and `fingerprint` a study that is not there yet is made; without, StoreError. A study of
        another lab, or of other data, is a StoreError too, and so is a database of a newer Neurona.
        """
        database = Database(url)
        made = {"lab": lab, "dataset": dataset, "fingerprint": fingerprint} if lab is not None else None
        row = _find_or_make(database, study, made)
        if row is None:
            sentence = _("there is no study {study!r} in {url}.")
            raise StoreError(sentence.format(study=study, url=database.shown))
        if lab is not None and (row.lab, row.fingerprint) != (lab, fingerprint):
            sentence = _(
                "the study {study!r} holds the lab {old_lab} on {old_data} (data {old}), not {lab} on {dataset} "
                "(data {new}); name another with --study."
            )
            raise StoreError(
                sentence.format(
                    study=study,
                    old_lab=row.lab,
                    old_data=row.dataset,
                    old=row.fingerprint[:8],
                    lab=lab,
                    dataset=dataset,
                    new=(fingerprint or "")[:8],
                )
            )
        return cls(database, row.id)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    @property
    @patient
    def info(self) -> Mapping[str, Any]:
        """The study's `name`, `lab`, `dataset`, `fingerprint`, `newest_opening` and `created` (seconds since 1970)."""
        with self.database.reading() as connection:
            return dict(self._row(connection)._mapping)

    @patient
    def declare(self, experiments: Sequence[StoredExperiment]) -> None:
        """Make `experiments`, in this order, the study's. Runs of others stay, and count again when they come back."""
        rows = [
            {
                "study": self.number,
                "name": stored.experiment.name,
                "position": position,
                "declared": json.dumps(stored.experiment.model_dump(mode="json", exclude_none=True)),
                "parameters": stored.parameters,
            }
            for position, stored in enumerate(experiments)
        ]
        with self.database.writing() as connection:
            self._row(connection, alone=True)
            connection.execute(sa.delete(tables.experiments).where(tables.experiments.c.study == self.number))
            connection.execute(sa.insert(tables.experiments), rows)

    @patient
    def experiments(self) -> tuple[StoredExperiment, ...]:
        """Return the study's experiments, the baseline first."""
        table = tables.experiments
        query = sa.select(table).where(table.c.study == self.number).order_by(table.c.position)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredExperiment(Experiment(**json.loads(row.declared)), row.parameters) for row in rows)

    def runs(self) -> tuple[StoredRun, ...]:
        """Return every run, by seed."""
        return self._runs()

    @patient
    def _runs(self, run: str | None = None) -> tuple[StoredRun, ...]:
        names = ("id", "experiment", "seed", "state", "train_seconds", "error", "openings", "finished")
        runs, epochs = tables.runs.c, tables.epochs.c
        which = sa.select(*(runs[key] for key in names)).where(runs.study == self.number)
        whose = sa.select(tables.epochs).where(epochs.study == self.number)
        if run is not None:
            which, whose = which.where(runs.id == run), whose.where(epochs.run == run)
        with self.database.reading() as connection:
            rows = connection.execute(which.order_by(runs.seed, runs.id)).all()
            figures = connection.execute(whose.order_by(epochs.run, epochs.epoch)).all()
        histories: dict[str, list[Epoch]] = {}
        for row in figures:
            values = (math.nan if value is None else value for value in row[3:])
            histories.setdefault(row.run, []).append(Epoch(*values))
        return tuple(StoredRun(epochs=tuple(histories.get(row.id, ())), **row._mapping) for row in rows)

    def ended(self, task: Task) -> StoredRun | None:
        """Return the run of `task` once it is complete or has diverged, None before."""
        return next((run for run in self._runs(task.id) if run.state in ENDED), None)

    @patient
    def plan(self, wanted: Iterable[Task]) -> None:
        """Note the runs that are `wanted` and not there as pending."""
        known = sa.select(tables.runs.c.id).where(tables.runs.c.study == self.number)
        with self.database.reading() as connection:
            there = set(connection.execute(known).scalars())
        rows = [self._new_row(task) for task in wanted if task.id not in there]
        if rows:
            # Always in one order: two processes that insert the same rows then wait for each other and not in a ring.
            rows.sort(key=lambda row: str(row["id"]))
            with self.database.writing() as connection:
                connection.execute(insert_missing(connection, tables.runs), rows)

    @patient
    def unfinished(self, tasks: Iterable[Task]) -> list[Task]:
        """Return those of `tasks` that are neither complete nor diverged."""
        runs = tables.runs.c
        query = sa.select(runs.id).where(runs.study == self.number, runs.state.in_(ENDED))
        with self.database.reading() as connection:
            done = set(connection.execute(query).scalars())
        return [task for task in tasks if task.id not in done]

    @patient
    def claim(self, task: Task, owner: Owner) -> bool:
        """Take `task` for `owner`: True when it is now its own, False when it is done or another lives on it."""
        runs = tables.runs.c
        here = sa.and_(runs.study == self.number, runs.id == task.id)
        age = (Now() - runs.heartbeat).label("age")
        mine = {"state": "running", "owner": str(owner), "heartbeat": Now(), "error": None}
        mine |= provenance(task.experiment.engine)
        with self.database.writing() as connection:
            self._row(connection)
            connection.execute(insert_missing(connection, tables.runs), [self._new_row(task)])
            row = connection.execute(sa.select(runs.state, runs.owner, runs.heartbeat, age).where(here)).one()
            if row.state in ENDED or (row.state == "running" and row.owner != str(owner) and lives(row)):
                return False
            unchanged = sa.and_(here, runs.state == row.state, runs.owner == row.owner, runs.heartbeat == row.heartbeat)
            return connection.execute(sa.update(tables.runs).where(unchanged).values(**mine)).rowcount == 1

    def heartbeat(self, owner: Owner) -> None:
        """Say that `owner` lives, so that its claims stay its own."""
        with self.database.writing() as connection:
            connection.execute(sa.update(tables.runs).where(*self._claimed_by(owner)).values(heartbeat=Now()))

    def release(self, owner: Owner) -> None:
        """Give back what `owner` has claimed and not finished: it is pending again."""
        with self.database.writing() as connection:
            given_back = sa.update(tables.runs).where(*self._claimed_by(owner))
            connection.execute(given_back.values(state="pending", owner=""))

    def abandon(self, task: Task, owner: Owner) -> None:
        """Forget `task`, if it is `owner`'s and has not ended, with its checkpoint."""
        with self.database.writing() as connection:
            mine = (*self._claimed_by(owner), tables.runs.c.id == task.id)
            connection.execute(sa.delete(tables.runs).where(*mine))

    def keep_checkpoint(
        self,
        task: Task,
        owner: Owner,
        epochs: Sequence[Epoch],
        arrays: Sequence[np.ndarray[Any, Any]],
        norms: Sequence[Norms] = (),
        *,
        by: str = "",
    ) -> None:
        """Keep where `task`, if it is `owner`'s, stands, instead of its last checkpoint.

        by: what `made_by` says where the checkpoint was made; here unless given.
        """
        data = write_checkpoint(epochs, arrays, norms)
        table = tables.checkpoints
        with self.database.writing() as connection:
            mine = sa.select(tables.runs.c.id).where(tables.runs.c.id == task.id, *self._claimed_by(owner))
            if connection.execute(mine.with_for_update()).one_or_none() is None:
                return
            connection.execute(sa.delete(table).where(table.c.study == self.number, table.c.run == task.id))
            values = {"made_by": by or made_by(), "sha256": hashlib.sha256(data).hexdigest(), "safetensors": data}
            connection.execute(sa.insert(table).values(study=self.number, run=task.id, **values))

    @patient
    def checkpoint(
        self, task: Task, *, anybodys: bool = False
    ) -> tuple[tuple[Epoch, ...], tuple[np.ndarray[Any, Any], ...], tuple[Norms, ...], str] | None:
        """Return the epochs, the arrays and the norms of the last checkpoint of `task`, and what `made_by` said there.

        None when there is none, a damaged one, or none from which this process would come to the same bits: another
        machine's, other libraries'. With `anybodys`, those too.
        """
        table = tables.checkpoints
        query = sa.select(table).where(table.c.study == self.number, table.c.run == task.id)
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not (anybodys or row.made_by == made_by()):
            return None
        if hashlib.sha256(row.safetensors).hexdigest() != row.sha256:
            return None
        return *read_checkpoint(row.safetensors), row.made_by

    @patient
    def pause(self, task: Task, owner: Owner) -> None:
        """Put `task`, if it is `owner`'s, by with its checkpoint, for whoever wants it later.

        The checkpoints of paused runs have `PAUSED_BYTES` in all; the oldest go first, and their runs begin anew.
        """
        runs, kept = tables.runs.c, tables.checkpoints.c
        size = sa.func.length(kept.safetensors).label("size")
        paused = (runs.study == self.number, runs.state == "paused", kept.study == runs.study, kept.run == runs.id)
        with self.database.writing() as connection:
            mine = (*self._claimed_by(owner), runs.id == task.id)
            connection.execute(sa.update(tables.runs).where(*mine).values(state="paused", owner="", heartbeat=Now()))
            found = connection.execute(sa.select(runs.id, size).where(*paused).order_by(runs.heartbeat.desc())).all()
            total = list(accumulate(row.size for row in found))
            dropped = [row.id for row, so_far in zip(found, total, strict=True) if so_far > PAUSED_BYTES]
            for run in dropped:
                connection.execute(sa.delete(tables.checkpoints).where(kept.study == self.number, kept.run == run))

    @patient
    def finish(self, run: Run) -> None:
        """Store a run that has ended, in one transaction: state, epochs, norms and weights.

        A second time changes nothing.
        """
        data = write_weights(run.parameters, run.network, run.training)
        epochs = [
            {"study": self.number, "run": run.id, "epoch": number}
            | {key: _finite(getattr(epoch, key)) for key in run.history.KEYS}
            for number, epoch in enumerate(run.history.epochs, 1)
        ]
        norms = [
            {"study": self.number, "run": run.id, "epoch": number, "layer": layer}
            | {"weights": _finite(found.weights), "gradients": _finite(found.gradients)}
            for number, layers in enumerate(run.history.norms, 1)
            for layer, found in enumerate(layers)
        ]
        values = {
            "state": run.state,
            "finished": Now(),
            "compile_seconds": run.seconds.compile,
            "train_seconds": run.seconds.train,
            "versions": json.dumps(versions() | dict(run.versions)),
            "machine": json.dumps(dict(run.machine) or trained_on()),
            "error": None,
            "openings": sa.select(sa.func.count())
            .select_from(tables.openings)
            .where(tables.openings.c.study == self.number)
            .scalar_subquery(),
        }
        runs, checkpoints = tables.runs.c, tables.checkpoints.c
        with self.database.writing() as connection:
            self._row(connection)
            unended = (runs.study == self.number, runs.id == run.id, runs.state.not_in(ENDED))
            if connection.execute(sa.update(tables.runs).where(*unended).values(**values)).rowcount != 1:
                return
            connection.execute(sa.insert(tables.epochs), epochs)
            if norms:
                connection.execute(sa.insert(tables.norms), norms)
            stored = {"sha256": hashlib.sha256(data).hexdigest(), "safetensors": data}
            connection.execute(sa.insert(tables.weights).values(study=self.number, run=run.id, **stored))
            past = (checkpoints.study == self.number, checkpoints.run == run.id)
            connection.execute(sa.delete(tables.checkpoints).where(*past))

    @patient
    def fail(self, task: Task, error: str) -> None:
        """Store that `task` ended with an error; the next command tries it again, from its beginning."""
        runs, checkpoints = tables.runs.c, tables.checkpoints.c
        here = (runs.study == self.number, runs.id == task.id, runs.state == "running")
        with self.database.writing() as connection:
            values = {"state": "failed", "error": error, "finished": Now()}
            connection.execute(sa.update(tables.runs).where(*here).values(**values))
            past = (checkpoints.study == self.number, checkpoints.run == task.id)
            connection.execute(sa.delete(tables.checkpoints).where(*past))

    @patient
    def norms(self, run: str) -> tuple[Norms, ...]:
        """Return the norms of the layers at the end of each epoch of the run with id `run`.

        () in the place of an epoch without; nothing at all for a run without, as one of Keras' or of an older Neurona.
        What was not a finite number is NaN.
        """
        norms = tables.norms.c
        query = sa.select(norms.epoch, norms.weights, norms.gradients)
        query = query.where(norms.study == self.number, norms.run == run).order_by(norms.epoch, norms.layer)
        found: dict[int, list[LayerNorms]] = {}
        with self.database.reading() as connection:
            for row in connection.execute(query):
                figures = (math.nan if value is None else value for value in (row.weights, row.gradients))
                found.setdefault(row.epoch, []).append(LayerNorms(*figures))
        return tuple(tuple(found.get(epoch, ())) for epoch in range(1, max(found, default=0) + 1))

    @patient
    def weights(self, run: str) -> Parameters:
        """Return the final parameters of the run with id `run`; StoreError when they are damaged or not there."""
        weights = tables.weights.c
        query = sa.select(weights.sha256, weights.safetensors).where(weights.study == self.number, weights.run == run)
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise StoreError(_("the run {run} has no weights in this study.").format(run=run))
        if hashlib.sha256(row.safetensors).hexdigest() != row.sha256:
            raise StoreError(_("the weights of the run {run} are damaged.").format(run=run))
        return read_weights(row.safetensors)

    @patient
    def weight_hashes(self) -> dict[str, str]:
        """Return run -> SHA-256 (hex) of its weights' file."""
        weights = tables.weights.c
        query = sa.select(weights.run, weights.sha256).where(weights.study == self.number)
        with self.database.reading() as connection:
            return {row.run: row.sha256 for row in connection.execute(query)}

    @patient
    def provenance(self) -> tuple[Provenance, ...]:
        """Return with what the runs that have ended were made, the commonest first."""
        runs, count = tables.runs.c, sa.func.count()
        query = (
            sa.select(runs.versions, runs.machine, count)
            .where(runs.study == self.number, runs.state.in_(ENDED))
            .group_by(runs.versions, runs.machine)
            .order_by(count.desc(), runs.versions, runs.machine)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Provenance(json.loads(row[0]), json.loads(row[1]), row[2]) for row in rows)

    @patient
    def made_with(self, run: str) -> Provenance:
        """Return with what the run with id `run`, which has ended, was made."""
        runs = tables.runs.c
        query = sa.select(runs.versions, runs.machine).where(runs.study == self.number, runs.id == run)
        with self.database.reading() as connection:
            row = connection.execute(query).one()
        return Provenance(json.loads(row.versions), json.loads(row.machine), 1)

    def versions(self, run: str) -> Mapping[str, str]:
        """Return the libraries (name -> version) with which the run with id `run`, which has ended, was made."""
        return self.made_with(run).versions

    def _row(self, connection: sa.Connection, *, alone: bool = False) -> sa.Row[Any]:
        """Return the study's row; with `alone`, other processes that ask so wait until this transaction ends."""
        query = sa.select(tables.studies).where(tables.studies.c.id == self.number)
        row = connection.execute(query.with_for_update() if alone else query).one_or_none()
        if row is None:
            raise StoreError(_("the study was removed from {url} meanwhile.").format(url=self.database.shown))
        return row

    def _new_row(self, task: Task) -> dict[str, Any]:
        identity = {"study": self.number, "id": task.id, "experiment": task.experiment.id, "seed": task.seed}
        return {**identity, "state": "pending", "owner": "", "heartbeat": 0.0, **provenance(task.experiment.engine)}

    def _claimed_by(self, owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
        runs = tables.runs.c
        return runs.study == self.number, runs.state == "running", runs.owner == str(owner)


@patient
def _find_or_make(database: Database, name: str, made: Mapping[str, Any] | None) -> sa.Row[Any] | None:
    """Return the row of the study called `name`, which is made as `made` says if it is not there."""
    if made is not None:
        with database.writing() as connection:
            insertion = insert_missing(connection, tables.studies)
            connection.execute(insertion.values(name=name, created=Now(), **made))
    with database.reading() as connection:
        return connection.execute(sa.select(tables.studies).where(tables.studies.c.name == name)).one_or_none()


def insert_missing(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insertion that leaves a row that is there as it is."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def lives(row: Any) -> bool:
    """Whether the owner of a claimed run, a row with its `owner` and its heartbeat's `age`, is at work on it."""
    return row.age < LEASE_SECONDS and not Owner.parse(row.owner).is_gone()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
