"""What a study survives: a database that goes away, a full disk, a file that is deleted, a process that dies."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import postgresql
from neurona.compute import here, work
from neurona.data import Dataset
from neurona.engines import train
from neurona.errors import StoreError
from neurona.runner import EpochEnded, Event, RunEnded, RunStarted, tasks
from neurona.specs import Experiment, Network, Training
from neurona.store import Owner, Store, Task, sqlite_url
from neurona.study import Lab, Study
from test_runner import LAB, table
from test_store import finished, open_store


class Warnings(logging.Handler):
    """Lets a test wait until the store has said that it tries again."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.came.set()


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler = Warnings()
    logger = logging.getLogger("neurona.store")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.propagate = True
    logger.removeHandler(handler)


@pytest.fixture
def task() -> Task:
    return tasks([Experiment(name="baseline")], 1, "f" * 64)[0]


def in_the_background(work: Callable[[], None]) -> Callable[[], None]:
    """Start `work` in a thread and return what waits for its end and raises what it raised."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()

    def wait() -> None:
        thread.join(60)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    return wait


def test_a_run_that_ends_while_the_server_is_away_is_stored_when_it_is_back(
    server: postgresql.Server, task: Task, warnings: Warnings
) -> None:
    store = open_store(server.new_database())
    store.claim(task, Owner.this_process())
    server.stop()
    wait = in_the_background(lambda: store.finish(finished(task)))
    assert warnings.came.wait(30)
    assert "It is tried again for 60 s." in warnings.messages[0]
    server.start()
    wait()
    assert [run.state for run in store.runs()] == ["complete"]


def test_a_server_that_stays_away_is_an_error(
    server: postgresql.Server, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(server.new_database())
    monkeypatch.setattr("neurona.store.database.PATIENCE_SECONDS", 0.5)
    server.stop()
    with pytest.raises(StoreError, match=r"fails: .*connection.* It was tried for"):
        store.claim(task, Owner.this_process())


def test_a_lab_goes_on_when_the_server_restarts(server: postgresql.Server, small: Dataset, tmp_path: Path) -> None:
    restarts = []

    def restart_sometimes(event: Event) -> None:
        if isinstance(event, RunEnded) and event.task.experiment.name == "wide" and len(restarts) < 3:
            server.stop()
            server.start()
            restarts.append(event)

    study = LAB.run(seeds=3, data=small, study="mine", url=server.new_database(), on_event=restart_sometimes)
    assert len(restarts) == 3
    assert table(study) == table(LAB.run(seeds=3, data=small, study=tmp_path))


def limited(store: Store) -> dict[str, int]:
    """Limit the pages of a SQLite database, as a full disk does: at most `pages` of them."""
    limit = {"pages": 2**31}

    @sa.event.listens_for(store.database._engine, "begin")
    def set_limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={limit['pages']}")

    return limit


def test_a_run_that_ends_while_the_disk_is_full_is_stored_when_there_is_room(
    tmp_path: Path, task: Task, warnings: Warnings
) -> None:
    store = open_store(sqlite_url(tmp_path))
    store.claim(task, Owner.this_process())
    limit = limited(store)
    limit["pages"] = 1  # SQLite makes that as many as there are
    wait = in_the_background(lambda: store.finish(finished(task)))
    assert warnings.came.wait(30)
    assert "Make room on the disk" in warnings.messages[0]
    (half,) = store.runs()
    assert (half.state, half.epochs) == ("running", ())
    limit["pages"] = 2**31
    wait()
    assert [run.state for run in store.runs()] == ["complete"]


def test_a_disk_that_stays_full_is_an_error_and_what_was_stored_stays(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Warnings
) -> None:
    monkeypatch.setattr("neurona.store.database.PATIENCE_SECONDS", 0.0)
    study = LAB.open_study(small, study=tmp_path)
    wanted = tasks(LAB.experiments, 2, small.fingerprint)
    limit = limited(study._store)

    def fill_up(event: Event) -> None:
        if isinstance(event, RunEnded):
            limit["pages"] = 1

    with pytest.raises(StoreError, match=r"disk is full.* Make room"):
        study.run(wanted, small, workers=1, on_event=fill_up)
    monkeypatch.undo()
    limit["pages"] = 2**31
    left = Study.open(tmp_path)
    assert sum(row.runs.completed for row in left.compare().rows) > 0
    assert table(LAB.run(seeds=2, data=small, study=tmp_path)) == table(
        LAB.run(seeds=2, data=small, study=tmp_path / "whole")
    )


def test_a_file_that_may_only_be_read(tmp_path: Path, task: Task) -> None:
    open_store(sqlite_url(tmp_path)).close()
    store = Store.open(f"sqlite:///file:{tmp_path / 'study.db'}?mode=ro&uri=true", study="study")
    assert store.runs() == ()
    with pytest.raises(StoreError, match=r"readonly database.* Make the file and its folder writable"):
        store.claim(task, Owner.this_process())


@pytest.mark.parametrize("then", ["gone", "another"])
def test_a_folder_that_is_deleted_while_a_lab_runs(small: Dataset, tmp_path: Path, then: str) -> None:
    folder = tmp_path / "study"

    def delete(event: Event) -> None:
        if isinstance(event, RunStarted) and folder.exists():
            shutil.rmtree(folder)
            if then == "another":
                open_store(sqlite_url(folder)).close()

    with pytest.raises(StoreError, match=r"study\.db was deleted or replaced while it was in use"):
        LAB.run(seeds=1, data=small, study=folder, workers=1, on_event=delete)


def test_a_study_that_is_removed_while_a_lab_runs(database: str, task: Task) -> None:
    store = open_store(database)
    store.claim(task, Owner.this_process())
    with store.database.writing() as connection:
        connection.execute(sa.text("DELETE FROM neurona_studies"))
    with pytest.raises(StoreError, match="was removed"):
        store.finish(finished(task))


def test_a_run_goes_on_from_its_checkpoint_to_the_same_bits(
    database: str, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of five epochs is stopped after the second, taken over, stopped after the fourth, taken over."""
    monkeypatch.setattr(work, "_CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(work, "_CHECKPOINT_SHARE", 0)
    experiment = Experiment(name="baseline", network=Network(hidden=(30,), dropout=0.2), training=Training(epochs=5))
    wanted = tasks([experiment], 1, small.fingerprint)
    whole = train(experiment.network, experiment.training, small, seed=0)
    lab = Lab(name="mine", dataset="mnist", experiments=(experiment,))
    study = lab.open_study(small, study="mine", url=database)
    begun: list[int] = []

    def stop_in(last: int) -> Callable[[Event], None]:
        def on_event(event: Event) -> None:
            if isinstance(event, EpochEnded):
                begun.append(event.number)
                if event.number == last:
                    raise KeyboardInterrupt

        return on_event

    def train_that_waits(*arguments, on_epoch, stop, on_checkpoint, **options):
        """Training that waits after the second and the fourth epoch until it is told to stop."""
        resumed = options["resume"]

        def on_epoch_and_wait(number: int, epoch: object) -> None:
            on_epoch(number, epoch)
            if number in (2, 4) and number != (len(resumed.epochs) if resumed else 0):
                while not stop():
                    threading.Event().wait(0.01)

        return train(*arguments, on_epoch=on_epoch_and_wait, stop=stop, on_checkpoint=on_checkpoint, **options)

    monkeypatch.setattr(here, "train", train_that_waits)
    for last in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            study.run(wanted, small, on_event=stop_in(last))
        kept = study._store.checkpoint(wanted[0])
        assert kept is not None
        assert len(kept[0]) == last
    study.run(wanted, small, on_event=stop_in(9))
    assert begun == [1, 2, 3, 4, 5]
    (run,) = study.runs("baseline")
    assert [epoch.loss for epoch in run.epochs] == list(whole.history["loss"])
    assert run.train_seconds is not None
    assert run.train_seconds >= sum(epoch.seconds for epoch in run.epochs)
    for ours, theirs in zip(study._store.weights(run.id), whole.parameters, strict=True):
        for name in ("kernel", "bias"):
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert study._store.checkpoint(wanted[0]) is None
