"""What is done to a study as a whole: summed up, verified, merged with another, removed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from neurona.errors import StoreError, UsageError
from neurona.i18n import _, ngettext
from neurona.run import ENGINE_VERSIONS, Norms, Parameters, kept_epoch, run_id
from neurona.specs import Experiment
from neurona.store import tables
from neurona.store.database import Database, Now
from neurona.store.openings import openings, verify_openings
from neurona.store.store import ENDED, Store, StoredExperiment, StoredRun, insert_missing, lives
from neurona.store.weights import read_weights

__all__ = ["Merged", "Standing", "Summary", "merge", "remove", "standing", "summaries", "verify"]

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
_PARTS = (tables.epochs, tables.norms, tables.weights)  # what belongs to a run that has ended
_ROUNDING = 1e-4  # of a norm that was summed up in float32


@dataclass(frozen=True)
class Summary:
    """What a study holds, in short.

    runs: state -> how many; a run whose process died is pending.
    size: bytes of weights and checkpoints.
    changed: when a run last ended or said that it lives, in seconds since 1970.
    """

    name: str
    lab: str
    dataset: str
    fingerprint: str
    experiments: int
    runs: dict[str, int]
    openings: int
    size: int
    created: float
    changed: float


@dataclass(frozen=True)
class Standing:
    """Where a run stands, and no more. state: as in the store; a run whose process died is pending."""

    experiment: str
    seed: int
    state: str


def standing(store: Store) -> tuple[Standing, ...]:
    """Return where every run of the study stands, by seed: neither epochs nor weights are read."""
    runs = tables.runs.c
    age = (Now() - runs.heartbeat).label("age")
    query = sa.select(runs.experiment, runs.seed, runs.state, runs.owner, age).where(runs.study == store.number)
    with store.database.reading() as connection:
        rows = connection.execute(query.order_by(runs.seed, runs.id)).all()
    return tuple(Standing(row.experiment, row.seed, _state(row)) for row in rows)


def _state(row: Any) -> str:
    """Return a run's state from its row; one whose process died is pending."""
    return "pending" if row.state == "running" and not lives(row) else str(row.state)


def summaries(url: str) -> tuple[Summary, ...]:
    """Return a summary of each study in the database at `url`, by name."""
    database = Database(url)
    try:
        with database.reading() as connection:
            found = connection.execute(sa.select(tables.studies).order_by(tables.studies.c.name)).all()
            return tuple(_summary(connection, study) for study in found)
    finally:
        database.close()


def _summary(connection: sa.Connection, study: sa.Row[Any]) -> Summary:
    runs = tables.runs.c
    age = (Now() - runs.heartbeat).label("age")
    columns = (runs.state, runs.owner, runs.heartbeat, runs.finished, age)
    rows = connection.execute(sa.select(*columns).where(runs.study == study.id)).all()
    states = Counter(map(_state, rows))
    return Summary(
        name=study.name,
        lab=study.lab,
        dataset=study.dataset,
        fingerprint=study.fingerprint,
        experiments=_count(connection, tables.experiments, study.id),
        runs={state: states[state] for state in ("complete", "diverged", "failed", "running", "paused", "pending")},
        openings=_count(connection, tables.openings, study.id),
        size=sum(_size(connection, table, study.id) for table in (tables.weights, tables.checkpoints)),
        created=study.created,
        changed=max((row.finished or row.heartbeat for row in rows), default=0.0) or study.created,
    )


def _count(connection: sa.Connection, table: sa.Table, study: int) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.study == study)
    return int(connection.execute(query).scalar_one())


def _size(connection: sa.Connection, table: sa.Table, study: int) -> int:
    query = sa.select(sa.func.sum(sa.func.length(table.c.safetensors))).where(table.c.study == study)
    return int(connection.execute(query).scalar() or 0)


def verify(store: Store) -> list[str]:
    """Read the whole study and return what is wrong with it, a sentence each; an empty list is right."""
    return [*_damage(store.database), *_incomplete(store), *verify_openings(store)]


def _damage(database: Database) -> Iterator[str]:
    """Yield what SQLite finds wrong with the file; a PostgreSQL server looks after its own."""
    if database.file is None:
        return
    with database.reading() as connection:
        for (found,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if found != "ok":
                yield _("the file {file} is damaged: {problem}.").format(file=database.file, problem=found)
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            yield _("the file {file} has rows that belong to nothing.").format(file=database.file)


def _incomplete(store: Store) -> Iterator[str]:
    """Yield which runs lack epochs or weights, have weights other than those stored, or another's identity."""
    declared = {stored.experiment.id: stored.experiment for stored in store.experiments()}
    fingerprint = store.info["fingerprint"]
    engines = _engines(store)
    for run in store.runs():
        if run.state not in ENDED:
            continue
        experiment = declared.get(run.experiment)
        name = _("run {run} ({experiment}, seed {seed})").format(
            run=run.id[:8], experiment=experiment.name if experiment else "?", seed=run.seed
        )
        if not run.epochs:
            yield _("{name}: it has no epochs.").format(name=name)
        if experiment is not None:
            training = experiment.training
            if run.state == "complete" and not training.early_stopping and len(run.epochs) != training.epochs:
                sentence = _("{name}: it has {count} epochs and should have {wanted}.")
                yield sentence.format(name=name, count=len(run.epochs), wanted=training.epochs)
            engine = experiment.engine
            expected = run_id(experiment.network, training, fingerprint, run.seed, engine=engine)
            if engines[run.id] == ENGINE_VERSIONS[engine] and run.id != expected:
                yield _("{name}: its id is not that of its experiment, data and seed.").format(name=name)
        try:
            parameters = store.weights(run.id)
        except (StoreError, ValueError) as error:
            yield _("{name}: {error}").format(name=name, error=error)
            continue
        norms = store.norms(run.id)
        if norms and experiment is not None and not _fit(norms, run, experiment, parameters):
            yield _("{name}: the norms of its layers are not those of its epochs and weights.").format(name=name)


def _fit(norms: tuple[Norms, ...], run: StoredRun, experiment: Experiment, parameters: Parameters) -> bool:
    """Whether `norms` are of every epoch from the first that has them, and at the kept one those of `parameters`."""
    known = [layers for layers in norms if layers]
    if (
        len(norms) != len(run.epochs)
        or {len(layers) for layers in known} != {len(parameters)}
        or not all(norms[-len(known) :])
    ):
        return False
    kept = norms[run.epochs.index(kept_epoch(experiment.training, run.epochs))]
    actual = (float(np.linalg.norm(layer["kernel"])) for layer in parameters)
    return run.state == "diverged" or all(
        math.isclose(layer.weights, norm, rel_tol=_ROUNDING) for layer, norm in zip(kept, actual, strict=False)
    )


def _engines(store: Store) -> dict[str, int]:
    query = sa.select(tables.runs.c.id, tables.runs.c.engine).where(tables.runs.c.study == store.number)
    with store.database.reading() as connection:
        return {row.id: row.engine for row in connection.execute(query)}


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    added: how many runs came from the other study; same: how many both had, bit for bit.
    conflicts: ids of runs that both had with different bits; nothing was overwritten.
    experiments: names that came along; other_experiments: names that both have for different experiments.
    """

    added: int
    same: int
    conflicts: tuple[str, ...]
    experiments: tuple[str, ...]
    other_experiments: tuple[str, ...]


def merge(into: Store, source: Store) -> Merged:
    """Copy the runs that have ended in `source` to `into`; what is there is never overwritten.

    UsageError when the two are of different data, or the test set was opened in `source`: its record cannot move.
    """
    ours, theirs = into.info, source.info
    if ours["fingerprint"] != theirs["fingerprint"]:
        sentence = _(
            "the studies are of different data ({ours} and {theirs}); runs on other data compare with nothing."
        )
        raise UsageError(sentence.format(ours=ours["fingerprint"][:8], theirs=theirs["fingerprint"][:8]))
    if openings(source):
        raise UsageError(_("the test set was opened in the second study, and that record stays there: swap the two."))
    opened = [datetime.fromisoformat(opening.time).timestamp() for opening in openings(into)]
    added, same, conflicts = 0, 0, []
    for run in source.runs():
        if run.state not in ENDED:
            continue
        rows = _rows(source, run.id)
        finished = rows["runs"][0]["finished"]
        rows["runs"][0]["openings"] = sum(time <= finished for time in opened)
        there = _rows(into, run.id)
        if not there["runs"] or there["runs"][0]["state"] not in ENDED:
            _insert(into, run.id, rows)
            added += 1
        elif _bits(there) == _bits(rows):
            same += 1
        else:
            conflicts.append(run.id)
    experiments, others = _merge_experiments(into, source)
    return Merged(added, same, tuple(conflicts), experiments, others)


def _rows(store: Store, run: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a run: `runs`, `epochs`, `norms` and `weights`, without the study's number."""
    found = {}
    with store.database.reading() as connection:
        for table, key in ((tables.runs, "id"), *((table, "run") for table in _PARTS)):
            query = sa.select(table).where(table.c.study == store.number, table.c[key] == run)
            rows = connection.execute(query.order_by(*table.primary_key)).all()
            found[table.name] = [{k: v for k, v in row._mapping.items() if k != "study"} for row in rows]
    return found


def _bits(rows: dict[str, list[dict[str, Any]]]) -> tuple[Any, ...]:
    """Return what must be equal for two runs to be the same: all but times and places."""
    figures = [[epoch[key] for key in _FIGURES] for epoch in rows["epochs"]]
    arrays = [
        {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in layer.items()}
        for row in rows["weights"]
        for layer in read_weights(row["safetensors"])
    ]
    return rows["runs"][0]["state"], figures, arrays


def _insert(store: Store, run: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Put a run that has ended, in one transaction, where there is none or one that has not."""
    here = {"study": store.number}
    with store.database.writing() as connection:
        row = {**here, **rows["runs"][0]}
        connection.execute(insert_missing(connection, tables.runs), [row])
        unended = (tables.runs.c.study == store.number, tables.runs.c.id == run, tables.runs.c.state.not_in(ENDED))
        connection.execute(sa.update(tables.runs).where(*unended).values(**row))
        for table in _PARTS:
            its = [{**here, **values} for values in rows[table.name]]
            if its:
                connection.execute(insert_missing(connection, table), its)
        past = (tables.checkpoints.c.study == store.number, tables.checkpoints.c.run == run)
        connection.execute(sa.delete(tables.checkpoints).where(*past))


def _merge_experiments(into: Store, source: Store) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Declare the experiments of `source` that are new in `into`; return their names, and those of different ones."""
    ours: dict[str, StoredExperiment] = {stored.experiment.name: stored for stored in into.experiments()}
    theirs = {stored.experiment.name: stored for stored in source.experiments()}
    new = tuple(name for name in theirs if name not in ours)
    others = tuple(
        name for name, stored in theirs.items() if name in ours and ours[name].experiment.id != stored.experiment.id
    )
    if new:
        into.declare([*ours.values(), *(theirs[name] for name in new)])
    return new, others


def remove(store: Store) -> None:
    """Remove the study from its database for good; StoreError while a process works on it.

    SQLite's file goes with the last study in it, and its folder when it is then empty.
    """
    runs = tables.runs.c
    age = (Now() - runs.heartbeat).label("age")
    working = sa.select(runs.owner, runs.heartbeat, age).where(runs.study == store.number, runs.state == "running")
    with store.database.writing() as connection:
        alive = sum(lives(row) for row in connection.execute(working))
        if alive:
            sentence = ngettext(
                "{count} run of the study is under way; stop it first.",
                "{count} runs of the study are under way; stop them first.",
                alive,
            )
            raise StoreError(sentence.format(count=alive))
        connection.execute(sa.delete(tables.studies).where(tables.studies.c.id == store.number))
        last = connection.execute(sa.select(tables.studies.c.id)).first() is None
    file = store.database.file
    store.close()
    if last and file is not None:
        for end in ("", "-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            file.parent.rmdir()
