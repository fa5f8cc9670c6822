from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from neurona import runner
from neurona.compute import here
from neurona.data import Dataset
from neurona.engine import Interrupted, Job, train_together
from neurona.run import Run
from neurona.runner import EpochEnded, Event, RunEnded, RunFailed, RunStarted
from neurona.specs import Experiment, Network, Training
from neurona.study import Lab, Study

EXPERIMENTS = (
    Experiment(name="baseline", network=Network(hidden=(10,)), training=Training(epochs=2)),
    Experiment(name="twin", network=Network(hidden=(10,)), training=Training(epochs=2)),
    Experiment(name="wide", network=Network(hidden=(30,)), training=Training(epochs=2)),
    Experiment(
        name="wild",
        network=Network(hidden=(50,) * 5, activation="linear"),
        training=Training(epochs=2, optimizer={"name": "sgd", "learning_rate": 1000.0}),
    ),
)
LAB = Lab(name="mine", dataset="mnist", experiments=EXPERIMENTS)


def table(study: Study) -> list[tuple[object, ...]]:
    """Everything in the comparison that is not a time."""
    return [
        (row.experiment.name, row.runs, row.seeds, row.val_accuracy, str(row.val_loss), str(row.difference))
        for row in study.compare().rows
    ]


@pytest.fixture
def place(database: str) -> dict[str, str]:
    """Where a study goes: SQLite and PostgreSQL in turn."""
    return {"study": "mine", "url": database}


@pytest.fixture(scope="module")
def whole(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return LAB.run(seeds=3, data=small, study=tmp_path_factory.mktemp("whole"))


def test_a_lab_runs_and_compares(whole: Study) -> None:
    comparison = whole.compare()
    assert comparison.rows[0].experiment.name == "baseline"
    completed = {row.experiment.name: row.runs.completed for row in comparison.rows}
    assert completed == {"baseline": 3, "twin": 3, "wide": 3, "wild": completed["wild"]}
    assert comparison["twin"].val_accuracy == comparison["baseline"].val_accuracy
    difference = comparison["twin"].difference
    assert difference is not None
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)
    assert comparison["baseline"].difference is None
    assert "wide" in repr(comparison)
    assert "<td>wide</td>" in comparison._repr_html_()


def test_a_diverged_run_is_counted_and_said(whole: Study) -> None:
    wild = whole.compare()["wild"]
    assert wild.runs.diverged + wild.runs.completed == 3
    assert wild.runs.diverged > 0
    assert wild.loss_interval is not None
    assert wild.loss_interval.n == 3
    assert wild.accuracy_interval is not None
    assert wild.accuracy_interval.n == 3
    assert f"({wild.runs.diverged} diverged)" in repr(whole)


def test_workers_change_nothing(whole: Study, small: Dataset, database: str) -> None:
    for workers in (1, 4):
        study = LAB.run(seeds=3, data=small, study=f"with {workers}", url=database, workers=workers)
        assert table(study) == table(whole)


def test_what_is_done_is_not_done_again(small: Dataset, place: dict[str, str]) -> None:
    events: list[Event] = []
    LAB.run(seeds=1, only=["wide"], data=small, **place, on_event=events.append)
    assert {event.task.experiment.name for event in events} == {"baseline", "wide"}
    assert sum(isinstance(event, RunStarted) for event in events) == 2
    assert sum(isinstance(event, EpochEnded) for event in events) == 4
    events.clear()
    study = LAB.run(seeds=2, data=small, **place, on_event=events.append)
    assert sum(isinstance(event, RunEnded) for event in events) == 4  # two of seed 1 more, and both of wild
    assert study.compare(seeds=3)["wide"].runs.pending == 1


def test_an_interrupted_lab_goes_on_where_it_was(whole: Study, small: Dataset, place: dict[str, str]) -> None:
    def interrupt_after(runs: int):
        seen: list[Event] = []

        def on_event(event: Event) -> None:
            seen.append(event)
            if sum(isinstance(event, RunEnded) for event in seen) == runs:
                raise KeyboardInterrupt

        return on_event

    for runs in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            LAB.run(seeds=3, data=small, **place, on_event=interrupt_after(runs))
    assert table(LAB.run(seeds=3, data=small, **place)) == table(whole)


def test_ctrl_c_that_python_loses_stops_the_lab(small: Dataset, place: dict[str, str]) -> None:
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, RunStarted):
            with suppress(KeyboardInterrupt):  # as in a callback of the garbage collector's
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LAB.run(seeds=3, data=small, **place, on_event=on_event)
    assert not any(isinstance(event, RunEnded) for event in events)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_study_that_is_asked_to_stop_says_where_it_stands_and_goes_on(
    whole: Study, small: Dataset, place: dict[str, str]
) -> None:
    study = LAB.open_study(small, **place)
    wanted = runner.tasks(LAB.experiments, 3, small.fingerprint)
    events: list[Event] = []
    under_way: list[str] = []

    def take(event: Event) -> None:
        events.append(event)
        under_way.extend(run.state for run in study.standing())

    with pytest.raises(Interrupted):
        study.run(wanted, small, workers=2, on_event=take, stop=lambda: len(events) > 4)
    assert "running" in under_way
    standing = study.standing()
    done = {(run.experiment, run.seed) for run in standing if run.state in ("complete", "diverged")}
    assert len(standing) == len(wanted)
    assert {run.state for run in standing} - {"complete", "diverged"} == {"pending"}
    assert {(task.experiment.id, task.seed) for task in study.unfinished(wanted)}.isdisjoint(done)
    study.run(wanted, small, stop=lambda: False)
    assert {run.state for run in study.standing()} <= {"complete", "diverged"}
    assert table(study) == table(whole)


def test_a_run_that_fails_leaves_the_others_alone(
    small: Dataset, place: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = here.train

    def fails_for_wide(network, *rest, **options):
        if network.hidden == (30,):
            raise MemoryError("no room")
        return train(network, *rest, **options)

    events: list[Event] = []
    monkeypatch.setattr(here, "train", fails_for_wide)
    study = LAB.run(seeds=2, data=small, **place, on_event=events.append)
    assert [event.error for event in events if isinstance(event, RunFailed)] == ["MemoryError: no room"] * 2
    assert study.compare()["wide"].runs.failed == 2
    assert study.compare()["baseline"].runs.completed == 2
    assert "no room" in (study.runs("wide")[0].error or "")
    monkeypatch.undo()
    assert LAB.run(seeds=2, data=small, **place).compare()["wide"].runs.completed == 2


def test_a_study_opens_again_and_gives_its_weights(whole: Study, small: Dataset, tmp_path: Path) -> None:
    LAB.run(seeds=1, data=small, study=tmp_path)
    study = Study.open(tmp_path)
    assert (study.lab, study.dataset, study.fingerprint) == ("mine", "mnist", small.fingerprint)
    kernel = study.weights("wide", seed=0)[0]["kernel"]
    assert kernel.shape == (784, 30)
    with pytest.raises(ValueError, match="no run with seed 9"):
        study.weights("wide", seed=9)
    with pytest.raises(ValueError, match="no experiment 'nope'"):
        study.runs("nope")
    with pytest.raises(ValueError, match="no study"):
        Study.open(tmp_path / "nowhere")


def test_runs_of_one_shape_train_side_by_side_where_there_is_room(
    whole: Study, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[list[str]] = []

    def noted(jobs: Sequence[Job], *arguments: Any, **keywords: Any) -> tuple[Run, ...]:
        groups.append([f"{len(job.network.hidden)}x{job.network.hidden[0]}" for job in jobs])
        return train_together(jobs, *arguments, **keywords)

    monkeypatch.setattr(here, "room", lambda *_: 2)
    monkeypatch.setattr(here, "train_together", noted)
    study = LAB.run(seeds=3, data=small, study=tmp_path / "side-by-side")
    assert sorted(groups) == [["1x10", "1x10"], ["1x30", "1x30"], ["5x50", "5x50"]]  # and one of each alone
    assert [row[:3] for row in table(study)] == [row[:3] for row in table(whole)]
    for name in ("baseline", "wide"):
        for one, other in zip(study.runs(name), whole.runs(name), strict=True):
            assert (one.id, one.state) == (other.id, other.state)
            assert [e.loss for e in one.epochs] == pytest.approx([e.loss for e in other.epochs], rel=1e-4)
    assert study.verify() == []


def test_a_group_that_fails_trains_one_by_one(
    whole: Study, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any, **__: Any) -> tuple[Run, ...]:
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(here, "room", lambda *_: 4)
    monkeypatch.setattr(here, "train_together", out_of_memory)
    study = LAB.run(seeds=3, data=small, study=tmp_path / "failing")
    assert table(study) == table(whole)
