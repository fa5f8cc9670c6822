from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from neurona import store as stores
from neurona.errors import StoreError
from neurona.run import Epoch, History, Run
from neurona.runner import tasks
from neurona.specs import Experiment, Network
from neurona.store import Owner, Store, StoredExperiment, Task, read_weights, sqlite_url, write_weights

EXPERIMENTS = [Experiment(name="baseline"), Experiment(name="wide", network=Network(hidden=(9,)))]
FINGERPRINT = "f" * 64


def open_store(folder: Path, fingerprint: str = FINGERPRINT) -> Store:
    return Store.open(sqlite_url(folder), study="study", lab="mine", dataset="mnist", fingerprint=fingerprint)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path)
    store.declare([StoredExperiment(experiment, 7) for experiment in EXPERIMENTS])
    return store


@pytest.fixture
def task() -> Task:
    return tasks(EXPERIMENTS, 1, FINGERPRINT)[1]


def finished(task: Task, *, state: str = "complete", loss: float = 0.5) -> Run:
    rng = np.random.default_rng(0)
    parameters = tuple(
        {"kernel": rng.random((inputs, units), np.float32), "bias": rng.random(units, np.float32)}
        for inputs, units in ((784, 9), (9, 10))
    )
    epochs = (Epoch(1.0, 0.5, 1.1, 0.4, 0.1), Epoch(loss, 0.6, 0.7, 0.8, 0.1))
    experiment = task.experiment
    return Run(experiment.network, experiment.training, task.seed, FINGERPRINT, state, History(epochs), parameters)


def test_equal_experiments_share_their_runs() -> None:
    twins = [*EXPERIMENTS, Experiment(name="twin", network=Network(hidden=(9,)))]
    found = tasks(twins, 3, FINGERPRINT)
    assert len(found) == 6
    assert {task.seed for task in found} == {0, 1, 2}


def test_a_run_comes_back_as_it_was_stored(store: Store, task: Task) -> None:
    run = finished(task)
    assert store.claim(task, Owner.this_process())
    store.finish(run)
    (stored,) = store.runs()
    assert stored.id == task.id == run.id
    assert stored.epochs == run.history.epochs
    assert stored.state == "complete"
    for ours, theirs in zip(store.weights(task.id), run.parameters, strict=True):
        for name in ("kernel", "bias"):
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert store.unfinished([task]) == []


def test_a_diverged_run_is_stored_as_such(store: Store, task: Task) -> None:
    store.claim(task, Owner.this_process())
    store.finish(finished(task, state="diverged", loss=float("nan")))
    (stored,) = store.runs()
    assert stored.state == "diverged"
    assert np.isnan(stored.epochs[-1].loss)
    assert store.unfinished([task]) == []


def test_one_owner_at_a_time(store: Store, task: Task) -> None:
    one, two = Owner.this_process(), Owner.this_process()
    assert one != two
    assert store.claim(task, one)
    assert not store.claim(task, two)
    store.release(one)
    assert store.claim(task, two)
    store.finish(finished(task))
    assert not store.claim(task, one)


def test_what_a_dead_process_claimed_is_taken_over(store: Store, task: Task) -> None:
    dead = Owner(Owner.this_process().host, 2**22 + 1, 0.0, "x")
    assert store.claim(task, dead)
    assert dead.is_gone()
    assert store.claim(task, Owner.this_process())


def test_a_process_with_the_number_of_a_dead_one_is_another(store: Store, task: Task) -> None:
    this = Owner.this_process()
    assert not this.is_gone()
    assert Owner(this.host, this.process, this.started - 100, "x").is_gone()


def test_a_claim_from_elsewhere_lasts_as_long_as_its_heartbeat(
    store: Store, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Owner("another-machine", 1, 0.0, "x")
    assert store.claim(task, elsewhere)
    assert not store.claim(task, Owner.this_process())
    monkeypatch.setattr(stores, "LEASE_SECONDS", -1.0)
    assert store.claim(task, Owner.this_process())


def test_a_run_that_failed_is_tried_again(store: Store, task: Task) -> None:
    store.claim(task, Owner.this_process())
    store.fail(task, "Traceback: out of memory")
    (stored,) = store.runs()
    assert (stored.state, stored.error) == ("failed", "Traceback: out of memory")
    assert store.unfinished([task]) == [task]
    assert store.claim(task, Owner.this_process())


def test_storing_twice_changes_nothing(store: Store, task: Task) -> None:
    store.claim(task, Owner.this_process())
    store.finish(finished(task))
    store.finish(finished(task, loss=99.0))
    (stored,) = store.runs()
    assert stored.epochs[-1].loss == 0.5


def test_damaged_weights_are_noticed(store: Store, task: Task, tmp_path: Path) -> None:
    store.claim(task, Owner.this_process())
    store.finish(finished(task))
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE weights SET safetensors = substr(safetensors, 1, 1000)")
    with pytest.raises(StoreError, match="damaged"):
        store.weights(task.id)
    with pytest.raises(StoreError, match="no weights"):
        store.weights("0" * 32)


def test_a_study_keeps_to_its_data(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="name another with --study"):
        open_store(tmp_path, fingerprint="0" * 64)


def test_experiments_come_back_in_order(store: Store) -> None:
    assert [stored.experiment for stored in store.experiments()] == EXPERIMENTS
    store.declare([StoredExperiment(experiment, 8) for experiment in reversed(EXPERIMENTS)])
    assert [stored.experiment.name for stored in store.experiments()] == ["wide", "baseline"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("nonsense", "not a database"), ("oracle+nothing://x", "not a database"), ("sqlite:////no/such/x.db", "fails")],
)
def test_a_database_that_cannot_be_used(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        Store.open(url, study="study", lab="mine", dataset="mnist", fingerprint=FINGERPRINT)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        open_store(tmp_path)


def test_weights_survive_the_file() -> None:
    run = finished(tasks(EXPERIMENTS, 1, FINGERPRINT)[1])
    again = read_weights(write_weights(run.parameters, run.network, run.training))
    assert len(again) == 2
    np.testing.assert_array_equal(again[1]["kernel"], run.parameters[1]["kernel"])
