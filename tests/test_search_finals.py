"""The finals and what a search explains: the figures against ones computed apart, the command as a user runs it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from neurona import i18n
from neurona.data import Dataset
from neurona.errors import UsageError
from neurona.search import (
    Objective,
    Search,
    Searched,
    SearchResult,
    TrialRecord,
    contour,
    explain,
    front,
    history,
    parallel,
    slices,
)
from neurona.search.finalists import is_behind, references
from neurona.space import Space
from neurona.specs import Experiment
from neurona.study import Lab
from test_search import LAB, SPACE

PRINTED = LAB.replace(
    experiments=(
        LAB.baseline.replace(notebook_val_accuracy=0.9),
        LAB.experiments[1].replace(notebook_val_accuracy=0.95),
        Experiment(name="wider", network={"hidden": (24,)}, training=LAB.baseline.training, notebook_val_accuracy=0.94),
    )
)


@pytest.fixture(scope="module")
def result(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    place = tmp_path_factory.mktemp("finals")
    return Search(PRINTED, space=SPACE).run(trials=14, finalists=3, seeds=6, workers=2, data=small, study=place)


def test_the_finals_are_of_the_best_and_with_fresh_seeds(result: SearchResult) -> None:
    (search,) = result.searched
    assert result.finals is not None
    best = sorted((trial.values[0] for trial in search.trials if trial.values), reverse=True)
    assert sorted((each.first for each in result.finals.finalists), reverse=True)[0] == best[0]
    runs = result.study.store.runs()
    for each in result.finals.finalists:
        own = [run for run in runs if run.experiment == each.row.experiment.id and run.seed < 6]
        accuracies = [run.epochs[-1].val_accuracy for run in own]
        assert len(own) == (5 if each.stopped else 6)
        assert each.fresh == pytest.approx(np.mean(accuracies))
        assert each.optimism == pytest.approx(each.first - np.mean(accuracies))
        assert each.row.val_accuracy == tuple(accuracies)
        reference = [run.epochs[-1].val_accuracy for run in runs if run.experiment == PRINTED.experiments[1].id]
        oracle = stats.ttest_rel(accuracies, reference[: len(own)])
        assert each.difference is not None
        assert each.difference.mean == pytest.approx(np.mean(accuracies) - np.mean(reference[: len(own)]))
        assert each.difference.p_value == pytest.approx(oracle.pvalue)
    means = [each.fresh for each in result.finals.finalists]
    assert means == sorted(means, reverse=True)


def test_the_baseline_and_the_notebooks_best_have_every_seed(result: SearchResult) -> None:
    assert result.finals is not None
    assert (result.finals.baseline, result.finals.notebook) == ("baseline", "wide")
    for name in ("baseline", "wide"):
        assert result.finals.comparison[name].runs.completed == 6
    assert "wider" not in {row.experiment.name for row in result.finals.comparison.rows}
    assert result.study.verify() == []


def test_references_are_trained_as_long_as_the_trials() -> None:
    found = references(PRINTED, 7)
    assert [each.name for each in found] == ["baseline-7-epochs", "wide-7-epochs"]
    assert [each.training.epochs for each in found] == [7, 7]
    assert references(LAB, 3) == (LAB.baseline,)


def test_who_is_clearly_behind_is_what_wilcoxon_says() -> None:
    generator = np.random.default_rng(0)
    decided = 0
    for _case in range(40):
        ours, theirs = generator.normal(0.0, 0.1, 8), generator.normal(0.05, 0.1, 8)
        oracle = stats.wilcoxon(ours, theirs, alternative="less", zero_method="zsplit").pvalue < 0.05
        assert is_behind(list(ours), list(theirs)) == oracle
        decided += oracle
    assert 3 < decided < 37
    assert not is_behind([0.5] * 5, [0.5] * 5)
    assert is_behind([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.45, 0.6, 0.7])


def test_a_search_is_read_without_its_rules(small: Dataset, tmp_path: Path) -> None:
    made = Search(LAB, space=SPACE, objective="val_loss", sampler="random", seed=3)
    there = made.run(trials=3, finalists=0, workers=1, data=small, study=tmp_path)
    found = Search(LAB, space=SPACE).read(there.study, finalists=0)
    assert found.searched[0] == replace(there.searched[0], seconds=found.searched[0].seconds)
    with pytest.raises(UsageError, match="begun with another space"):
        Search(LAB).read(there.study)


def test_reading_a_search_again_gives_the_same(result: SearchResult) -> None:
    again = Search(PRINTED, space=SPACE).read(result.study, finalists=3, seeds=6)
    assert repr(again) == repr(result)
    assert json.dumps(again.to_json()) == json.dumps(result.to_json())
    assert "<td>search-1" in result._repr_html_()


FAKE = Space.read(
    {
        "training.optimizer.learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
        "network.activation": ["relu", "tanh", "sigmoid"],
        "training.optimizer.weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "network.width": {"low": 16, "high": 256, "base": 2},
    }
)
BASE = Experiment(name="baseline", network={"hidden": (50,)})


def landscape(trials: int = 240, seed: int = 0) -> Searched:
    """A search on a known landscape: all good from 1e-3 to 1e-2, broken above 0.1, sigmoid 2 points behind."""
    generator = np.random.default_rng(seed)
    records = []
    for number in range(trials):
        rate = float(10 ** generator.uniform(-4, 0))
        activation = str(generator.choice(["relu", "tanh", "sigmoid"]))
        width = int(2 ** generator.integers(4, 9))
        score = 0.95 - 0.02 * (activation == "sigmoid") + 0.0002 * generator.normal()
        score -= 0.02 * max(0.0, -3 - np.log10(rate)) + (0.03 * (rate > 1e-2)) + (0.5 * (rate > 0.1))
        point = {
            "training.optimizer.learning_rate": rate,
            "network.activation": activation,
            "training.optimizer.weight_decay": float(10 ** generator.uniform(-6, -2)),
            "network.width_1": width,
        }
        pruned = score < 0.6
        values = () if pruned else (score,)
        record = TrialRecord(number, "pruned" if pruned else "complete", values, (score,), point, None, "")
        records.append(record)
    return Searched("search", FAKE, BASE, Objective(), tuple(records), 0.0)


def test_an_explanation_says_what_the_landscape_is() -> None:
    found = explain(landscape())
    assert list(found.importances)[:2] == ["training.optimizer.learning_rate", "network.activation"]
    assert sum(found.importances.values()) == pytest.approx(1.0)
    assert found.importances["training.optimizer.weight_decay"] < 0.1
    rate, activation = found.effects[:2]
    best = [level for level in rate.levels if level.score > 0.948]
    assert 5e-4 < float(best[0].low) < 2e-3
    assert 5e-3 < float(best[-1].high) < 2e-2
    assert "all the same" in rate.sentence
    assert "it breaks" in rate.sentence
    assert "sigmoid is worse by 2.0" in activation.sentence
    assert "relu" in activation.sentence.split(";")[0]
    assert len(found.sentences()) >= 3


def test_a_value_at_the_end_of_its_range_is_noted() -> None:
    search = landscape()
    best = search.best
    assert best is not None
    edged = replace(best, point={**best.point, "training.optimizer.learning_rate": 0.99, "network.width_1": 256})
    (rate, width) = explain(replace(search, trials=(edged, *search.trials[best.number + 1 :]))).borders
    assert (rate.key, rate.end, width.key, width.end) == (
        "training.optimizer.learning_rate",
        "upper",
        "network.width_1",
        "upper",
    )
    assert "0.99, is at the upper end of its range" in rate.sentence


def test_few_trials_explain_nothing() -> None:
    found = explain(landscape(5))
    assert found.importances == {}
    assert found.sentences()[0] == "Too few trials to say which settings mattered: 5, of 10 or more."


def test_a_loss_is_explained_the_other_way_round() -> None:
    search = landscape()
    losses = tuple(
        replace(trial, values=tuple(1 - value for value in trial.values), curve=tuple(1 - c for c in trial.curve))
        for trial in search.trials
    )
    turned = replace(search, objective=Objective("val_loss"), trials=losses)
    assert turned.best is not None
    assert search.best is not None
    assert turned.best.number == search.best.number
    there, here = explain(turned).importances, explain(search).importances
    assert list(there)[:2] == list(here)[:2]
    assert there == pytest.approx(here)


def test_the_figures_have_the_searchs_numbers() -> None:
    search = landscape(50)
    scores = [trial.values[0] if trial.values else -np.inf for trial in search.trials]
    best = np.maximum.accumulate(scores)
    assert history(search).best == tuple(None if np.isinf(value) else value for value in best)
    lines = parallel(search)
    assert lines.axes == search.space.keys(search.base)
    assert lines.lines[7] == tuple(search.trials[7].point[key] for key in lines.axes)
    one = slices(search, "network.width_1")
    assert one.values == tuple(trial.point["network.width_1"] for trial in search.trials)
    assert one.log
    two = contour(search, "network.width_1", "network.activation")
    assert (two.first[3], two.second[3]) == (one.values[3], search.trials[3].point["network.activation"])
    pareto = replace(
        search,
        objective=Objective("pareto"),
        trials=tuple(
            replace(search.trials[index], state="complete", values=values)
            for index, values in enumerate([(0.9, 10.0), (0.95, 20.0), (0.94, 30.0), (0.9, 5.0)])
        ),
    )
    assert front(pareto).on_front == (False, True, False, True)
    assert [trial.number for trial in pareto.ranked()][:2] == [1, 3]


@pytest.fixture(scope="module")
def lab_file(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with a space, on an npz of the small data."""
    folder = tmp_path_factory.mktemp("lab")
    arrays = {"x_train": small.train.images, "y_train": small.train.labels}
    np.savez(folder / "small.npz", **arrays)
    (folder / "lab.toml").write_text(
        """
        [lab]
        name = "mine"
        dataset = "small.npz"
        [baseline]
        network.hidden = [8]
        training = { epochs = 2, batch_size = 105 }
        [[experiment]]
        name = "wide"
        network.hidden = [16]
        [search.space]
        training.optimizer.learning_rate = { low = 1e-3, high = 0.3, log = true }
        network.activation = ["relu", "tanh"]
        """
    )
    return folder / "lab.toml"


def test_the_command_searches_goes_on_and_explains(lab_file: Path, program: Any, tmp_path: Path) -> None:
    words = ("search", str(lab_file), "--trials", "4", "--finalists", "1", "--seeds", "2", "--study", "s")
    first = program(*words)
    assert first.returncode == 0, first.stderr
    assert "search: 4 trials in" in first.stdout
    assert "search-1" in first.stdout
    assert "Too few trials to say which settings mattered: 4, of 10 or more." in first.stdout
    assert "[4/4] trial " in first.stderr
    assert "final: baseline, seed 0:" in first.stderr
    document = json.loads(
        program(*words[:2], "--explain", "--finalists", "1", "--seeds", "2", "--study", "s", "--json").stdout
    )
    assert len(document["searches"][0]["trials"]) == 4
    assert document["finals"]["finalists"][0]["name"] == "search-1"
    spanish = program(*words, lang="es")
    assert "4 ensayos" in spanish.stdout
    assert "optimismo" in spanish.stdout
    assert spanish.stderr == ""  # nothing was done again
    shown = program("study", "show", "s")
    assert "search-1" in shown.stdout
    assert program("study", "verify", "s").returncode == 0


def test_the_command_says_what_is_wrong(lab_file: Path, program: Any, tmp_path: Path) -> None:
    done = program("search", str(lab_file))
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a budget: --trials, --minutes, or both" in done.stderr
    done = program("search", str(lab_file), "--trials", "3", "--sampler", "tep")
    assert done.returncode == 2
    assert "Did you mean tpe?" in done.stderr
    done = program("search", str(lab_file), "--explain", "--study", "nowhere")
    assert done.returncode == 2
    assert "no study in the folder nowhere" in done.stderr
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(lab_file.read_text().replace("low = 1e-3", "low = 3.0"))
    done = program("search", str(wrong), "--trials", "3", "--study", "none")
    assert done.returncode == 2
    assert "wrong.toml: search.space.training.optimizer.learning_rate: low <= high must hold" in done.stderr
    assert not (tmp_path / "none").exists()


def test_optunas_dashboard_opens_the_study(result: SearchResult) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(Path(sys.executable).parent / "optuna-dashboard"), result.study.store.database.url]
    with subprocess.Popen([*words, "--host", "127.0.0.1", "--port", str(port)], stderr=subprocess.DEVNULL) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _attempt in range(120):
                try:
                    with urllib.request.urlopen(f"{address}/dashboard", timeout=5) as page:
                        assert b"<html" in page.read()
                    break
                except (OSError, http.client.HTTPException):  # a port that nobody has yet may connect to itself
                    time.sleep(0.25)
            with urllib.request.urlopen(f"{address}/api/studies", timeout=20) as answer:
                names = [study["study_name"] for study in json.load(answer)["study_summaries"]]
            assert names == ["mine/search"]
            with urllib.request.urlopen(f"{address}/api/studies/1", timeout=20) as answer:
                assert len(json.load(answer)["trials"]) == 14
        finally:
            server.terminate()


def test_it_speaks_spanish(result: SearchResult) -> None:
    i18n.activate("es")
    try:
        again = Search(PRINTED, space=SPACE).read(result.study, finalists=3, seeds=6)
        text = repr(again)
    finally:
        i18n.activate(None)
    assert "ensayos" in text
    assert "optimismo" in text
    assert "Optimism:" not in text


def test_fewer_finalists_leave_none_behind(small: Dataset, tmp_path: Path) -> None:
    search = Search(PRINTED, space=SPACE)
    for finalists, names in ((2, {"search-1", "search-2"}), (1, {"search-1"})):
        found = search.run(trials=6, finalists=finalists, seeds=1, workers=1, data=small, study=tmp_path)
        declared = {stored.experiment.name for stored in found.study.store.experiments()}
        assert {name for name in declared if name.startswith("search")} == names


def test_a_built_in_space_does_for_a_lab_without_one() -> None:
    search = Search(LAB)
    built_in = Lab.load("mnist-dnn").search
    assert built_in is not None
    assert search.plans["search"].space == built_in.space
