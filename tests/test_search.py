"""The search: what it draws, how it goes on after it was stopped or killed, what it keeps, who may share it."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from neurona.data import Dataset
from neurona.engine import compilations, train
from neurona.errors import MissingExtraError, UsageError
from neurona.runner import RunEnded, run_tasks
from neurona.search import SAMPLERS, Search, SearchResult, TrialBegan, TrialEnded, TrialEpoch, searches
from neurona.search import samplers as samplers_module
from neurona.search.pruners import Hyperband
from neurona.search.sharing import TRIALS_A_SHAPE
from neurona.space import Space
from neurona.specs import Experiment
from neurona.store import Owner, Sittings, Store, Task, tables
from neurona.study import SEARCH_SEEDS, Lab, Study

LAB = Lab(
    name="mine",
    dataset="mnist",
    experiments=(
        Experiment(name="baseline", network={"hidden": (8,)}, training={"epochs": 3, "batch_size": 105}),
        Experiment(name="wide", network={"hidden": (16,)}, training={"epochs": 3, "batch_size": 105}),
    ),
)
SPACE: dict[str, Any] = {
    "network.depth": {"low": 1, "high": 2},
    "network.width": {"low": 8, "high": 16, "base": 2},
    "training.optimizer.name": ["adam", "nesterov"],
    "training.optimizer.momentum": {"low": 0.5, "high": 0.9, "when": {"training.optimizer.name": "nesterov"}},
    "training.optimizer.learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
}


RULES = ("sampler", "pruner", "objective", "target", "space", "seed", "name")


def searched(small: Dataset, study: Path | str, **options: Any) -> SearchResult:
    """A search with one worker and no finals."""
    made = {key: options.pop(key) for key in RULES if key in options}
    return Search(LAB, **{"space": SPACE, **made}).run(
        **{"trials": 14, "finalists": 0, "workers": 1, "data": small, "study": study, **options}
    )


def bits(result: SearchResult) -> list[Any]:
    """All of the trials that must be the same again."""
    return [trial.to_json() for trial in result.searched[0].trials]


@pytest.fixture(scope="module")
def whole(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return searched(small, tmp_path_factory.mktemp("whole"))


def test_a_search_draws_trains_and_prunes(whole: SearchResult, small: Dataset) -> None:
    (search,) = whole.searched
    assert [trial.number for trial in search.trials] == list(range(14))
    assert search.count("complete") + search.count("pruned") == 14
    assert search.count("pruned") > 0
    runs = {run.id: run for run in whole.study.store.runs()}
    for trial in search.trials:
        run = runs[trial.run]
        assert run.seed == SEARCH_SEEDS
        assert run.state == ("complete" if trial.state == "complete" else "paused")
        if trial.state == "complete":
            assert trial.values == (run.epochs[-1].val_accuracy,)
            assert trial.curve == tuple(epoch.val_accuracy for epoch in run.epochs)
        else:
            assert len(trial.curve) < 3
    best = max(trial.values[0] for trial in search.trials if trial.values)
    assert search.best is not None
    assert search.best.values == (best,)
    assert whole.study.verify() == []


def test_a_trial_is_what_anybody_can_train_again(whole: SearchResult, small: Dataset) -> None:
    best = whole.searched[0].best
    assert best is not None
    assert best.experiment is not None
    run = train(best.experiment.network, best.experiment.training, small, seed=SEARCH_SEEDS)
    assert run.history["val_accuracy"] == best.curve
    assert run.id == best.run


def test_the_same_search_again_is_the_same(whole: SearchResult, small: Dataset, database: str) -> None:
    assert bits(searched(small, "again", url=database)) == bits(whole)


def test_another_seed_is_another_search(whole: SearchResult, small: Dataset, tmp_path: Path) -> None:
    other = bits(searched(small, tmp_path, seed=1, trials=4))
    assert all(one["point"] != two["point"] for one, two in zip(other, bits(whole), strict=False))


def test_a_budget_that_grows_goes_on(whole: SearchResult, small: Dataset, tmp_path: Path) -> None:
    for trials in (3, 3, 9, 14):
        assert bits(searched(small, tmp_path, trials=trials)) == bits(whole)[:trials]


def interrupt_at(moment: int) -> Callable[[Any], None]:
    """What raises KeyboardInterrupt at the event with this number."""
    seen: list[Any] = []

    def on_event(event: Any) -> None:
        seen.append(event)
        if len(seen) == moment:
            raise KeyboardInterrupt

    return on_event


def test_an_interrupted_search_goes_on_where_it_was(whole: SearchResult, small: Dataset, database: str) -> None:
    for moment in (1, 2, 4, 7):
        with pytest.raises(KeyboardInterrupt):
            searched(small, "stopped", url=database, on_event=interrupt_at(moment))
    assert bits(searched(small, "stopped", url=database)) == bits(whole)


def test_ctrl_c_that_python_loses_stops_the_search(small: Dataset, tmp_path: Path) -> None:
    events: list[Any] = []

    def on_event(event: Any) -> None:
        events.append(event)
        if len(events) == 1:
            with suppress(KeyboardInterrupt):  # as in a callback of the garbage collector's
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        searched(small, tmp_path, on_event=on_event)
    assert len(events) == 1


KILLED = """
import os, signal, sys
from dataclasses import replace
import neurona
from neurona.data import Split
from neurona.search import trials
from test_search import LAB, SPACE, searched

place, function, calls, after = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "after"
owner, _dot, name = function.rpartition(".")
owner = getattr(trials, owner) if owner else trials
real, count = getattr(owner, name), 0

def deadly(*arguments, **options):
    global count
    count += 1
    if count == calls and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    found = real(*arguments, **options)
    if count == calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(owner, name, deadly)
mnist = neurona.load("mnist")
def first(split, count):
    return Split(split.images[:count].copy(), split.labels[:count].copy())
searched(replace(mnist, train=first(mnist.train, 1050), validation=first(mnist.validation, 330)), place)
"""
MOMENTS = [
    ("_create", 2, "after"),  # a trial without a point
    ("Trials._set_parameters", 2, "before"),  # a point, of which Optuna knows nothing
    ("_set_intermediate", 4, "after"),  # an epoch was told, but not whether to go on
    ("_tell", 3, "before"),  # all is done, and nobody knows
    ("_tell", 2, "after"),  # all is told, but the claim is there
]


def test_a_search_killed_at_its_worst_moments_is_bit_identical(
    whole: SearchResult, small: Dataset, tmp_path: Path
) -> None:
    for function, calls, when in MOMENTS:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), function, str(calls), when],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    result = searched(small, tmp_path)
    assert bits(result) == bits(whole)
    points = [tuple(trial.point.items()) for trial in result.searched[0].trials]
    assert len(set(points)) == len(points)
    assert result.searched[0].count("running") == 0
    assert result.study.verify() == []


def test_several_processes_share_a_search(small: Dataset, database: str) -> None:
    """Each sitting has an owner of its own, as if it were another process."""
    events: list[list[Any]] = [[], [], []]
    threads = [
        threading.Thread(
            target=lambda own: searched(small, "shared", url=database, workers=2, on_event=own.append), args=(own,)
        )
        for own in events
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    ended = [event.number for own in events for event in own if isinstance(event, TrialEnded)]
    assert sorted(ended) == list(range(14))
    (search,) = searched(small, "shared", url=database).searched
    assert len(search.trials) == 14
    assert search.count("running") == 0


def test_a_trial_that_somebody_is_at_is_left_to_them(small: Dataset, database: str) -> None:
    result = searched(small, "mine", url=database, trials=2)
    store = result.study.store
    study = optuna.load_study(study_name="mine/search", storage=database)
    alive = Sittings(store, "search", Owner.this_process())
    alive.begin()
    assert alive.claim(2)
    left = study.ask()
    assert left.number == 2
    begun: list[int] = []

    def on_event(event: Any) -> None:
        if isinstance(event, TrialBegan):
            begun.append(event.number)

    searched(small, "mine", url=database, trials=4, on_event=on_event)
    assert begun == [3]
    alive.end()
    searched(small, "mine", url=database, trials=4, on_event=on_event)
    assert begun == [3, 2]


def test_time_counts_once_however_many_were_at_work(small: Dataset, tmp_path: Path) -> None:
    store = searched(small, tmp_path, trials=1).study.store
    with store.database.writing() as connection:
        connection.execute(sa.delete(tables.sittings))
        for owner, began, last in (("a", 100, 160), ("b", 130, 150), ("c", 150, 170), ("d", 1000, 1005)):
            row = {"study": store.number, "search": "search", "owner": owner, "began": began, "heartbeat": last}
            connection.execute(sa.insert(tables.sittings).values(**row))
    assert Sittings(store, "search", Owner.this_process()).seconds() == 75
    begun: list[Any] = []
    searched(small, tmp_path, trials=None, minutes=75 / 60, on_event=begun.append)
    assert begun == []


def test_a_run_that_was_stopped_early_goes_on_from_there(whole: SearchResult, small: Dataset, tmp_path: Path) -> None:
    """A lab that wants it has it train the epochs that are left, to the same bits."""
    result = searched(small, tmp_path)
    assert bits(result) == bits(whole)
    stopped = next(trial for trial in result.searched[0].trials if trial.state == "pruned")
    assert stopped.experiment is not None
    events: list[Any] = []
    task = Task(stopped.run, stopped.experiment, SEARCH_SEEDS)
    run_tasks([task], small, result.study.store, on_event=events.append)
    (run,) = [event.run for event in events if isinstance(event, RunEnded)]
    alone = train(stopped.experiment.network, stopped.experiment.training, small, seed=SEARCH_SEEDS)
    assert len([event for event in events if type(event).__name__ == "EpochEnded"]) == 3 - len(stopped.curve)
    assert run.history["loss"] == alone.history["loss"]
    assert all(
        (one["kernel"] == two["kernel"]).all() for one, two in zip(run.parameters, alone.parameters, strict=True)
    )


def test_checkpoints_of_stopped_runs_have_their_room(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurona.store.store.PAUSED_BYTES", 200_000)
    result = searched(small, tmp_path)
    with result.study.store.database.reading() as connection:
        sizes = [len(row.safetensors) for row in connection.execute(sa.select(tables.checkpoints))]
    assert 0 < sum(sizes) <= 200_000
    assert result.searched[0].count("pruned") > len(sizes)


def test_what_the_study_has_is_not_trained_again(whole: SearchResult, small: Dataset, tmp_path: Path) -> None:
    """A search around what another has trained reads it off, and comes to the same."""
    searched(small, tmp_path)
    first = [trial.to_json() for trial in whole.searched[0].trials]
    trained: list[Any] = []
    real = Store.finish

    def finish(store: Store, run: Any) -> None:
        trained.append(run)
        real(store, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "finish", finish)
        again = Search(LAB, space=SPACE, name="other").run(
            trials=14, finalists=0, workers=1, data=small, study=tmp_path
        )
    assert [trial.to_json() for trial in again.searched[0].trials] == first
    assert trained == []
    assert searches(again.study.store) == ("search", "other")


def test_few_programs_do_for_many_trials(whole: SearchResult, small: Dataset, tmp_path: Path) -> None:
    shapes = {
        (trial.experiment.network.hidden, trial.experiment.training.optimizer.name)
        for trial in whole.searched[0].trials
        if trial.experiment is not None
    }
    assert len(shapes) <= math.ceil(14 / TRIALS_A_SHAPE)
    before = compilations()
    searched(small, tmp_path, trials=8)
    assert compilations() == before  # those of `whole`


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("grid", "gp")])
def test_every_sampler_searches_and_goes_on(sampler: str, small: Dataset, tmp_path: Path) -> None:
    result = searched(small, tmp_path / "whole", sampler=sampler, trials=13)
    assert len(result.searched[0].trials) == 13
    rates = [trial.point["training.optimizer.learning_rate"] for trial in result.searched[0].trials]
    assert len(set(rates)) == 13
    for moment in (3, 20):
        with pytest.raises(KeyboardInterrupt):
            searched(small, tmp_path / "parts", sampler=sampler, trials=13, on_event=interrupt_at(moment))
    assert bits(searched(small, tmp_path / "parts", sampler=sampler, trials=13)) == bits(result)


def test_a_grid_is_searched_once_and_whole(small: Dataset, tmp_path: Path) -> None:
    space = {
        "network.depth": {"low": 1, "high": 2},
        "network.width": {"low": 8, "high": 16, "base": 2},
        "network.dropout": {"low": 0.0, "high": 0.3, "step": 0.3},
    }
    result = searched(small, tmp_path, sampler="grid", space=space, trials=100, pruner="none")
    points = {tuple(sorted(trial.point.items())) for trial in result.searched[0].trials}
    assert len(points) == len(result.searched[0].trials) == (2 + 4) * 2
    with pytest.raises(UsageError, match=r"every setting, but training.optimizer.learning_rate, "):
        searched(small, tmp_path, sampler="grid")


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neurona\[search\]'"):
        Search(LAB, space=SPACE, sampler="cmaes")
    with pytest.raises(MissingExtraError, match=r"PyTorch: pip install torch"):
        Search(LAB, space=SPACE, sampler="gp")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sampler": "tpa"}, r"no sampler 'tpa'. Did you mean tpe\?"),
        ({"pruner": "hyperbant"}, r"no pruner 'hyperbant'. Did you mean hyperband\?"),
        ({"objective": "accuracy"}, r"no objective 'accuracy'. Did you mean val_accuracy\?"),
        ({"objective": "seconds"}, r"`seconds`, and no other, needs a target"),
        ({"objective": "seconds", "target": 97.0}, r"above 0 and up to 1, but is 97.0"),
        ({"objective": "pareto", "sampler": "cmaes"}, r"CMA-ES has one objective only"),
        ({"trials": None}, r"needs a budget"),
        ({"name": "my search"}, r"letters, digits and . _ \+ - \(56 at most\), but is 'my search'"),
        ({"trials": None, "minutes": -1.0}, r"must be above 0"),
    ],
)
def test_what_cannot_be_asked_for_is_named(
    options: dict[str, Any], expected: str, small: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=expected):
        searched(small, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_was_begun_otherwise_is_not_mixed(small: Dataset, tmp_path: Path) -> None:
    searched(small, tmp_path, trials=1)
    with pytest.raises(UsageError, match=r"begun with another sampler, seed; .* --name"):
        searched(small, tmp_path, trials=2, sampler="random", seed=3)


def test_the_objectives_measure_what_they_say(small: Dataset, tmp_path: Path) -> None:
    loss = searched(small, tmp_path / "loss", objective="val_loss", trials=6)
    runs = {run.id: run for run in loss.study.store.runs()}
    for trial in loss.searched[0].trials:
        if trial.state == "complete" and runs[trial.run].state == "complete":
            assert trial.values == (runs[trial.run].epochs[-1].val_loss,)
    assert loss.searched[0].best is not None
    assert loss.searched[0].best.values[0] == min(trial.values[0] for trial in loss.searched[0].trials if trial.values)
    seconds = searched(small, tmp_path / "seconds", objective="seconds", target=0.5, trials=6)
    for trial in seconds.searched[0].trials:
        reached = [index for index, value in enumerate(trial.curve, 1) if value >= 0.5]
        assert math.isinf(trial.values[0]) == (not reached)
        assert not reached or len(trial.curve) == reached[0]  # no epoch more than needed
    pareto = searched(small, tmp_path / "pareto", objective="pareto", trials=6)
    (found,) = pareto.searched
    assert found.count("complete") == 6
    for trial in found.trials:
        assert trial.experiment is not None
        assert trial.values[1] == trial.experiment.network.parameters((28, 28), 10)
    front = {trial.number for trial in found.front()}
    for trial in found.trials:
        beaten = any(
            other.values[0] >= trial.values[0] and other.values[1] <= trial.values[1] and other.values != trial.values
            for other in found.trials
        )
        assert (trial.number in front) == (not beaten)


def test_a_trial_that_fails_leaves_the_others_alone(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neurona.search import trials

    real = trials.train_task

    def fails_sometimes(task: Task, *rest: Any, **options: Any) -> Any:
        if task.experiment.name == "trial-2":
            raise MemoryError("no room")
        return real(task, *rest, **options)

    monkeypatch.setattr(trials, "train_task", fails_sometimes)
    events: list[Any] = []
    (search,) = searched(small, tmp_path, trials=5, on_event=events.append).searched
    assert [trial.number for trial in search.trials if trial.state == "failed"] == [2]
    assert [event.error for event in events if isinstance(event, TrialEnded) and event.error] == [
        "MemoryError: no room"
    ]
    assert sum(isinstance(event, TrialEpoch) for event in events) == sum(len(trial.curve) for trial in search.trials)


def test_a_point_that_is_no_experiment_fails_alone(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking a space tries its ends and some points; what it misses is told, and the search goes on."""
    monkeypatch.setattr(Space, "check", lambda *arguments: None)
    space = {"training.optimizer.name": ["adam", "sgd"], "training.optimizer.momentum": {"low": 0.5, "high": 0.9}}
    events: list[Any] = []
    (search,) = searched(small, tmp_path, space=space, trials=8, sampler="random", on_event=events.append).searched
    assert search.count("failed") > 0
    assert search.count("complete") + search.count("pruned") > 0
    assert search.count("running") == 0
    errors = [event.error for event in events if isinstance(event, TrialEnded) and event.error]
    assert len(errors) == search.count("failed")
    assert all("the optimizer adam has no such setting" in error for error in errors)


def test_a_diverged_run_counts_as_guessing(small: Dataset, tmp_path: Path) -> None:
    space = {"training.optimizer.learning_rate": {"low": 900.0, "high": 1000.0}, "training.optimizer.name": ["sgd"]}
    lab = LAB.replace(
        experiments=(
            Experiment(name="baseline", network={"hidden": (8,) * 5, "activation": "linear"}, training={"epochs": 2}),
        )
    )
    result = Search(lab, space=space, pruner="none").run(trials=2, finalists=0, workers=1, data=small, study=tmp_path)
    runs = {run.id: run for run in result.study.store.runs()}
    diverged = [trial for trial in result.searched[0].trials if runs[trial.run].state == "diverged"]
    assert diverged
    assert all(trial.values == (0.1,) for trial in diverged)


def test_hyperband_decides_as_optunas_does() -> None:
    """On trials that are never interrupted, where Optuna's keeps its rungs right."""
    theirs = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    study = optuna.create_study(study_name="oracle", direction="maximize", pruner=theirs)

    class Ours(Hyperband):
        def bracket(self, number: int) -> int:
            name = optuna.trial.create_trial(value=0.0)
            name.number = number
            theirs._try_initialization(study) if not theirs._pruners else None
            return theirs._get_bracket_id(study, name)

    ours = Ours(epochs=27, seed=0)
    generator = random.Random(0)
    decided = 0
    for _number in range(120):
        trial = study.ask()
        quality = generator.random()
        state = TrialState.COMPLETE
        for epoch in range(1, 28):
            trial.report(quality * epoch / 27 + 0.05 * generator.random(), epoch)
            mine = ours.prune(study, study._storage.get_trial(trial._trial_id))
            assert trial.should_prune() == mine
            decided += mine
            if mine:
                state = TrialState.PRUNED
                break
        study.tell(trial, 1.0 if state == TrialState.COMPLETE else None, state=state)
    assert 20 < decided < 120
    shares = Hyperband(epochs=27, seed=0)._shares
    assert shares == theirs._trial_allocation_budgets


def test_optuna_reads_the_search(whole: SearchResult) -> None:
    study = optuna.load_study(study_name="mine/search", storage=whole.study.store.database.url)
    best = whole.searched[0].best
    assert best is not None
    assert study.best_trial.number == best.number
    assert study.best_trial.user_attrs["drawn"]["run"] == best.run
    assert {"log2(network.width_1)", "training.optimizer.learning_rate"} <= set(study.best_params)


def test_old_studies_take_a_search(small: Dataset, tmp_path: Path) -> None:
    """A lab and a search in one study: runs of equal experiments and seeds are the same runs."""
    LAB.run(seeds=2, data=small, study=tmp_path)
    result = Search(LAB, space=SPACE).run(trials=3, finalists=1, seeds=2, workers=1, data=small, study=tmp_path)
    study = Study.open(tmp_path)
    assert {row.experiment.name for row in study.compare().rows} == {"baseline", "wide", "search-1"}
    assert study.compare()["search-1"].runs.completed == 2
    assert study.compare()["search-1"].runs.pending == 0  # the trial's own seed is no seed of the table
    assert result.finals is not None
    LAB.run(seeds=2, data=small, study=tmp_path)
    assert "search-1" in {row.experiment.name for row in Study.open(tmp_path).compare().rows}


def test_a_study_of_the_same_name_begins_anew(small: Dataset, database: str) -> None:
    """What Optuna's tables still have of a study that was removed is no part of the new one."""
    other = Lab(name="other", dataset="mnist", experiments=LAB.experiments)
    other.run(seeds=1, data=small, study="other", url=database)
    first = searched(small, "twice", url=database, trials=3)
    first.study.remove()
    again = LAB.open_study(small, study="twice", url=database)
    assert searches(again.store) == ()
    result = searched(small, "twice", url=database, trials=2)
    assert bits(result) == bits(first)[:2]
    assert searches(again.store) == ("search",)


def test_a_database_with_anothers_tables_is_refused(tmp_path: Path) -> None:
    from neurona.errors import StoreError

    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=url)
    with pytest.raises(StoreError, match="a table `studies` of another program"):
        Store.open(url, study="study", lab="mine", dataset="mnist", fingerprint="f" * 64)


def test_the_experiment_of_a_race_is_where_its_search_begins(small: Dataset, tmp_path: Path) -> None:
    lab = Lab.load("mnist-optimizers")
    assert lab.search is not None
    few = replace_race(lab, ("sgd", "adam"))
    result = Search(few, epochs=2).run(trials=4, finalists=5, seeds=2, workers=2, data=small, study=tmp_path)
    assert [search.name for search in result.searched] == ["search-sgd", "search-adam"]
    assert [search.base.training.optimizer.name for search in result.searched] == ["sgd", "adam"]
    assert result.finals is not None
    assert {each.row.experiment.name for each in result.finals.finalists} == {"search-sgd-tuned", "search-adam-tuned"}
    tuned = {each.search: each.row.experiment.training.optimizer for each in result.finals.finalists}
    best = {search.name: search.best for search in result.searched}
    for name, optimizer in tuned.items():
        trial = best[name]
        assert trial is not None
        assert optimizer.learning_rate == trial.point["training.optimizer.learning_rate"]
    times = result.equal_time()
    assert set(times) == {row.experiment.name for row in result.finals.comparison.rows}


def replace_race(lab: Lab, race: tuple[str, ...]) -> Lab:
    """The lab with another race."""
    assert lab.search is not None
    return lab.replace(search=lab.search.replace(race=race))
