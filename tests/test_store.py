from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from neurona.errors import MissingExtraError, StoreError
from neurona.run import Epoch, History, Run
from neurona.runner import tasks
from neurona.specs import Experiment, Network
from neurona.store import Owner, Store, StoredExperiment, Task, read_weights, sqlite_url, tables, write_weights

EXPERIMENTS = [Experiment(name="baseline"), Experiment(name="wide", network=Network(hidden=(9,)))]
FINGERPRINT = "f" * 64


def open_store(url: str, fingerprint: str = FINGERPRINT) -> Store:
    return Store.open(url, study="study", lab="mine", dataset="mnist", fingerprint=fingerprint)


@pytest.fixture
def store(database: str) -> Store:
    store = open_store(database)
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
    monkeypatch.setattr("neurona.store.store.LEASE_SECONDS", -1.0)
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


def test_damaged_weights_are_noticed(store: Store, task: Task) -> None:
    store.claim(task, Owner.this_process())
    store.finish(finished(task))
    with store.database.writing() as connection:
        connection.execute(sa.text("UPDATE weights SET safetensors = substr(safetensors, 1, 1000)"))
    with pytest.raises(StoreError, match="damaged"):
        store.weights(task.id)
    with pytest.raises(StoreError, match="no weights"):
        store.weights("0" * 32)


@pytest.mark.usefixtures("store")
def test_a_study_keeps_to_its_data(database: str) -> None:
    with pytest.raises(StoreError, match="name another with --study"):
        open_store(database, fingerprint="0" * 64)


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
        open_store(sqlite_url(tmp_path))


def test_weights_survive_the_file() -> None:
    run = finished(tasks(EXPERIMENTS, 1, FINGERPRINT)[1])
    first, last = run.parameters
    # a normalised layer has more than kernel and bias; an array that lies otherwise in memory is the same array
    layers = ({**first, "kernel": np.asarray(first["kernel"], order="F"), "gamma": np.ones(9, np.float32)}, last)
    again = read_weights(write_weights(layers, run.network, run.training))
    assert [set(layer) for layer in again] == [{"kernel", "bias", "gamma"}, {"kernel", "bias"}]
    for ours, theirs in zip(again, layers, strict=True):
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


def test_equal_weights_are_equal_files() -> None:
    run = finished(tasks(EXPERIMENTS, 1, FINGERPRINT)[1])
    assert len({write_weights(run.parameters, run.network, run.training) for _time in range(10)}) == 1


def test_what_is_wanted_is_pending(store: Store, task: Task) -> None:
    wanted = tasks(EXPERIMENTS, 2, FINGERPRINT)
    store.claim(task, Owner.this_process())
    store.finish(finished(task))
    store.plan(wanted)
    store.plan(wanted)
    assert sorted(run.state for run in store.runs()) == ["complete", "pending", "pending", "pending"]
    assert store.claim(wanted[0], Owner.this_process())


def test_what_is_given_back_is_pending(store: Store, task: Task) -> None:
    owner = Owner.this_process()
    store.claim(task, owner)
    store.release(owner)
    (stored,) = store.runs()
    assert stored.state == "pending"


def test_a_claim_may_be_made_twice(store: Store, task: Task) -> None:
    """It is when the database went away before it could say that the claim was made."""
    owner = Owner.this_process()
    assert store.claim(task, owner)
    assert store.claim(task, owner)


def test_leases_go_by_the_databases_clock(store: Store, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Owner("another-machine", 1, 0.0, "x")
    store.claim(task, elsewhere)
    this = time.time()
    monkeypatch.setattr(time, "time", lambda: this + 1_000_000)  # this machine's clock is wrong by days
    assert not store.claim(task, Owner.this_process())
    store.heartbeat(elsewhere)
    with store.database.reading() as connection:
        (beat,) = connection.execute(sa.select(tables.runs.c.heartbeat)).scalars()
    assert beat == pytest.approx(this, abs=60)


STATE = (np.linspace(0, 1, 7, dtype=np.float32), np.int32(3) * np.ones((), np.int32), np.zeros((2, 3), np.float32))


def test_a_checkpoint_comes_back_bit_for_bit(store: Store, task: Task) -> None:
    owner = Owner.this_process()
    store.claim(task, owner)
    assert store.checkpoint(task) is None
    for loss in (0.7, 0.1 + 0.2):
        store.keep_checkpoint(task, owner, (Epoch(loss, 0.5, 1.1, 0.4, 0.123456789),), STATE)
    kept = store.checkpoint(task)
    assert kept is not None
    assert kept[0] == (Epoch(0.1 + 0.2, 0.5, 1.1, 0.4, 0.123456789),)
    for ours, theirs in zip(kept[1], STATE, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    store.release(owner)
    assert store.checkpoint(task) is not None  # for whoever takes it over
    store.claim(task, owner)
    store.finish(finished(task))
    assert store.checkpoint(task) is None


def test_a_checkpoint_is_kept_for_the_owner_only(store: Store, task: Task) -> None:
    store.claim(task, Owner.this_process())
    store.keep_checkpoint(task, Owner.this_process(), (), STATE)
    assert store.checkpoint(task) is None


@pytest.mark.parametrize("change", ["made_by = 'another library'", "safetensors = substr(safetensors, 1, 90)"])
def test_a_checkpoint_that_would_give_other_bits_is_not_used(store: Store, task: Task, change: str) -> None:
    owner = Owner.this_process()
    store.claim(task, owner)
    store.keep_checkpoint(task, owner, (), STATE)
    with store.database.writing() as connection:
        connection.execute(sa.text(f"UPDATE checkpoints SET {change}"))  # noqa: S608
    assert store.checkpoint(task) is None


def test_a_run_that_failed_begins_anew(store: Store, task: Task) -> None:
    owner = Owner.this_process()
    store.claim(task, owner)
    store.keep_checkpoint(task, owner, (), STATE)
    store.fail(task, "Traceback: out of memory")
    assert store.checkpoint(task) is None


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"neurona\[postgresql\]"):
        Store.open("postgresql://nobody@localhost/nothing", study="study")


def test_no_error_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurona.store.database.OPENING_SECONDS", 0.0)
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql+psycopg://me:secret@127.0.0.1:1/nothing", study="study")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
