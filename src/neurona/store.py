"""Where a study keeps its experiments, runs, epochs and weights: SQLite in its folder, or another database by URL.

A run is claimed by one process, kept alive by its heartbeat, and stored in one transaction when it ends; so a process
killed at any moment leaves nothing half-written, and another takes over what it had claimed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
import sqlalchemy as sa
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from neurona.errors import StoreError
from neurona.i18n import _
from neurona.run import ENGINE_VERSION, Epoch, Parameters, Run
from neurona.specs import Experiment, Network, Training

__all__ = [
    "LEASE_SECONDS",
    "Owner",
    "Store",
    "StoredExperiment",
    "StoredRun",
    "Task",
    "read_weights",
    "sqlite_url",
    "write_weights",
]

LEASE_SECONDS = 60.0  # a claim whose heartbeat is older is anybody's
_BUSY_SECONDS = 60  # how long SQLite waits for another process's transaction

_metadata = sa.MetaData()

_studies = sa.Table(
    "studies",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("lab", sa.String(64), nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
_experiments = sa.Table(
    "experiments",
    _metadata,
    sa.Column("study", sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("parameters", sa.BigInteger, nullable=False),
)
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("study", sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("experiment", sa.String(16), nullable=False, index=True),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("finished", sa.Float),
    sa.Column("compile_seconds", sa.Float),
    sa.Column("train_seconds", sa.Float),
    sa.Column("engine", sa.Integer, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
)
_epochs = sa.Table(
    "epochs",
    _metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    *(sa.Column(key, sa.Double) for key in ("loss", "accuracy", "val_loss", "val_accuracy")),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)
_weights = sa.Table(
    "weights",
    _metadata,
    sa.Column("study", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("safetensors", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(["study", "run"], ["runs.study", "runs.id"], ondelete="CASCADE"),
)


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
    """A run in the store. `epochs` is empty unless `state` is `complete` or `diverged`."""

    id: str
    experiment: str
    seed: int
    state: str
    epochs: tuple[Epoch, ...]
    train_seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Owner:
    """A process that claims runs, told apart from every other, past ones with the same number included."""

    host: str
    process: int
    started: float
    nonce: str

    @classmethod
    def this_process(cls) -> Self:
        """Return an owner for the process that calls."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), secrets.token_hex(4))

    def __str__(self) -> str:
        return json.dumps([self.host, self.process, self.started, self.nonce])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the owner that `str` wrote."""
        return cls(*json.loads(text))

    def is_gone(self) -> bool:
        """Whether the process is known to have ended: it was one of this machine's, and is there no more."""
        if self.host != socket.gethostname():
            return False
        try:
            return bool(abs(psutil.Process(self.process).create_time() - self.started) > 1.0)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


class Store:
    """One study's part of a database.

    Open it with `Store.open`; any number of threads and processes may use one study at a time.
    """

    def __init__(self, engine: sa.Engine, study: int) -> None:
        self._engine = engine
        self._study = study

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
        another lab, or of other data, is a StoreError too.
        """
        engine = _engine(url)
        with _translated(url):
            _create_tables(engine)
        store = cls(engine, 0)
        with store._write() as connection:
            row = connection.execute(sa.select(_studies).where(_studies.c.name == study)).one_or_none()
            if row is None:
                if lab is None:
                    raise StoreError(_("there is no study {study!r} in {url}.").format(study=study, url=url))
                values = {"name": study, "lab": lab, "dataset": dataset, "fingerprint": fingerprint}
                inserted = connection.execute(sa.insert(_studies).values(created=time.time(), **values))
                (identity,) = inserted.inserted_primary_key or (0,)
                return cls(engine, identity)
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
            return cls(engine, row.id)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def info(self) -> Mapping[str, Any]:
        """The study's `name`, `lab`, `dataset`, `fingerprint` and `created` (seconds since 1970)."""
        with self._read() as connection:
            row = connection.execute(sa.select(_studies).where(_studies.c.id == self._study)).one()
        return dict(row._mapping)

    def declare(self, experiments: Sequence[StoredExperiment]) -> None:
        """Make `experiments`, in this order, the study's. Runs of others stay, and count again when they come back."""
        rows = [
            {
                "study": self._study,
                "name": stored.experiment.name,
                "position": position,
                "declared": json.dumps(stored.experiment.model_dump(mode="json", exclude_none=True)),
                "parameters": stored.parameters,
            }
            for position, stored in enumerate(experiments)
        ]
        with self._write() as connection:
            connection.execute(sa.delete(_experiments).where(_experiments.c.study == self._study))
            connection.execute(sa.insert(_experiments), rows)

    def experiments(self) -> tuple[StoredExperiment, ...]:
        """Return the study's experiments, the baseline first."""
        query = sa.select(_experiments).where(_experiments.c.study == self._study).order_by(_experiments.c.position)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredExperiment(Experiment(**json.loads(row.declared)), row.parameters) for row in rows)

    def runs(self) -> tuple[StoredRun, ...]:
        """Return every run, by seed."""
        columns = [_runs.c[key] for key in ("id", "experiment", "seed", "state", "train_seconds", "error")]
        with self._read() as connection:
            rows = connection.execute(
                sa.select(*columns).where(_runs.c.study == self._study).order_by(_runs.c.seed, _runs.c.id)
            ).all()
            epochs = connection.execute(
                sa.select(_epochs).where(_epochs.c.study == self._study).order_by(_epochs.c.run, _epochs.c.epoch)
            ).all()
        histories: dict[str, list[Epoch]] = {}
        for row in epochs:
            figures = (math.nan if value is None else value for value in row[3:])
            histories.setdefault(row.run, []).append(Epoch(*figures))
        return tuple(
            StoredRun(
                id=row.id,
                experiment=row.experiment,
                seed=row.seed,
                state=row.state,
                epochs=tuple(histories.get(row.id, ())),
                train_seconds=row.train_seconds,
                error=row.error,
            )
            for row in rows
        )

    def unfinished(self, tasks: Iterable[Task]) -> list[Task]:
        """Return those of `tasks` that are neither complete nor diverged."""
        query = sa.select(_runs.c.id).where(_runs.c.study == self._study, _runs.c.state.in_(("complete", "diverged")))
        with self._read() as connection:
            done = set(connection.execute(query).scalars())
        return [task for task in tasks if task.id not in done]

    def claim(self, task: Task, owner: Owner) -> bool:
        """Take `task` for `owner`: True when it is now its own, False when it is done or another lives on it."""
        mine = {
            "state": "running",
            "owner": str(owner),
            "heartbeat": time.time(),
            "error": None,
            **_provenance(),
        }
        with self._write() as connection:
            here = sa.and_(_runs.c.study == self._study, _runs.c.id == task.id)
            row = connection.execute(
                sa.select(_runs.c.state, _runs.c.owner, _runs.c.heartbeat).where(here)
            ).one_or_none()
            if row is None:
                identity = {"id": task.id, "experiment": task.experiment.id, "seed": task.seed}
                try:
                    with connection.begin_nested():
                        connection.execute(sa.insert(_runs).values(study=self._study, **identity, **mine))
                except sa.exc.IntegrityError:  # another process was quicker
                    return False
                return True
            if row.state in ("complete", "diverged") or (row.state == "running" and _lives(row)):
                return False
            unchanged = sa.and_(here, _runs.c.owner == row.owner, _runs.c.heartbeat == row.heartbeat)
            return connection.execute(sa.update(_runs).where(unchanged).values(**mine)).rowcount == 1

    def heartbeat(self, owner: Owner) -> None:
        """Say that `owner` lives, so that its claims stay its own."""
        mine = (_runs.c.study == self._study, _runs.c.state == "running", _runs.c.owner == str(owner))
        with self._write() as connection:
            connection.execute(sa.update(_runs).where(*mine).values(heartbeat=time.time()))

    def release(self, owner: Owner) -> None:
        """Give back what `owner` has claimed and not finished."""
        mine = (_runs.c.study == self._study, _runs.c.state == "running", _runs.c.owner == str(owner))
        with self._write() as connection:
            connection.execute(sa.delete(_runs).where(*mine))

    def finish(self, run: Run) -> None:
        """Store a run that has ended: state, epochs and weights, in one transaction. A second time changes nothing."""
        weights = write_weights(run.parameters, run.network, run.training)
        epochs = [
            {"study": self._study, "run": run.id, "epoch": number}
            | {key: _finite(getattr(epoch, key)) for key in run.history.KEYS}
            for number, epoch in enumerate(run.history.epochs, 1)
        ]
        values = {
            "state": run.state,
            "finished": time.time(),
            "compile_seconds": run.seconds.compile,
            "train_seconds": run.seconds.train,
            "error": None,
        }
        here = (_runs.c.study == self._study, _runs.c.id == run.id, _runs.c.state.in_(("running", "failed")))
        with self._write() as connection:
            if connection.execute(sa.update(_runs).where(*here).values(**values)).rowcount != 1:
                return
            connection.execute(sa.insert(_epochs), epochs)
            connection.execute(
                sa.insert(_weights).values(
                    study=self._study,
                    run=run.id,
                    sha256=hashlib.sha256(weights).hexdigest(),
                    safetensors=weights,
                )
            )

    def fail(self, task: Task, error: str) -> None:
        """Store that `task` ended with an error; the next command tries it again."""
        here = (_runs.c.study == self._study, _runs.c.id == task.id, _runs.c.state == "running")
        with self._write() as connection:
            connection.execute(sa.update(_runs).where(*here).values(state="failed", error=error, finished=time.time()))

    def weights(self, run: str) -> Parameters:
        """Return the final parameters of the run with id `run`; StoreError when they are damaged or not there."""
        here = (_weights.c.study == self._study, _weights.c.run == run)
        with self._read() as connection:
            row = connection.execute(sa.select(_weights.c.sha256, _weights.c.safetensors).where(*here)).one_or_none()
        if row is None:
            raise StoreError(_("the run {run} has no weights in this study.").format(run=run))
        if hashlib.sha256(row.safetensors).hexdigest() != row.sha256:
            raise StoreError(_("the weights of the run {run} are damaged.").format(run=run))
        return read_weights(row.safetensors)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with _translated(str(self._engine.url)), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        engine = self._engine.execution_options(neurona_write=True)
        with _translated(str(self._engine.url)), engine.begin() as connection:
            yield connection


def write_weights(parameters: Parameters, network: Network, training: Training) -> bytes:
    """Return a safetensors file: `dense_<i>.kernel` (inputs, units), `dense_<i>.bias` (units,), specs as metadata."""
    tensors = {
        f"dense_{index}.{name}": np.asarray(array)
        for index, layer in enumerate(parameters)
        for name, array in layer.items()
    }
    return bytes(
        save_safetensors(
            tensors,
            metadata={"network": network.model_dump_json(), "training": json.dumps(training.declared())},
        )
    )


def read_weights(data: bytes) -> Parameters:
    """Return the parameters that `write_weights` wrote."""
    tensors = load_safetensors(data)
    layers = 1 + max(int(name.partition(".")[0].removeprefix("dense_")) for name in tensors)
    return tuple({name: tensors[f"dense_{index}.{name}"] for name in ("kernel", "bias")} for index in range(layers))


def _lives(row: Any) -> bool:
    return time.time() - row.heartbeat < LEASE_SECONDS and not Owner.parse(row.owner).is_gone()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@cache
def _provenance() -> dict[str, Any]:
    libraries = ("neurona", "jax", "jaxlib", "numpy")
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in libraries}
    machine = {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
    }
    return {"engine": ENGINE_VERSION, "versions": json.dumps(versions), "machine": json.dumps(machine)}


def sqlite_url(folder: Path) -> str:
    """Return the URL of the SQLite database in a study's folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = _("the folder {folder} cannot be made: {error}.")
        raise StoreError(sentence.format(folder=folder, error=error.strerror)) from None
    return str(sa.URL.create("sqlite", database=str(folder / "study.db")))


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed, pool_pre_ping=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise StoreError(
            _("{url!r} is not a database that can be used: {error}.").format(url=url, error=error)
        ) from None

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that will write takes the lock at once: one that read first could not wait for it.
        write = connection.get_execution_options().get("neurona_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _create_tables(engine: sa.Engine) -> None:
    if sa.inspect(engine).has_table("studies"):
        return
    with engine.execution_options(neurona_write=True).begin() as connection:
        _metadata.create_all(connection)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise StoreError(_("the database {url} fails: {error}.").format(url=url, error=error.orig)) from error
