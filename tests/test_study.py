"""Comparisons of a study: verdicts over the whole lab, pairs, exports. The runs are made up: the figures are known."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from neurona import stats
from neurona.errors import MissingExtraError, UsageError
from neurona.run import Epoch, History, Run, run_id
from neurona.specs import EarlyStopping, Experiment, Network, Training
from neurona.store import Owner, Store, StoredExperiment, Task, add_opening, sqlite_url
from neurona.study import Study

FINGERPRINT = "f" * 64
NAN = math.nan


def experiment(name: str, group: str, units: int) -> Experiment:
    return Experiment(name=name, group=group, network=Network(hidden=(units,)))


FAMILY = [
    experiment("baseline", "baseline", 5),
    experiment("wide", "width", 9),
    experiment("twin", "other", 5),
    experiment("wider", "width", 10),
    experiment("steady", "other", 11),
    experiment("shaky", "other", 12),
    experiment("missing", "width", 13),
]
BASELINE = [0.960, 0.962, 0.958, 0.961, 0.959]
ACCURACIES: dict[str, list[float]] = {
    "baseline": BASELINE,
    "wide": [0.9711, 0.9709, 0.9702, 0.9718, 0.9700],
    "wider": [0.9800, 0.9811, 0.9791, 0.9803, 0.9799],
    "steady": [0.9601, 0.9622, 0.9579, 0.9610, 0.9591],
    "shaky": [0.9900, NAN, 0.9890, 0.9870, 0.9920],
}


def finished(task: Task, accuracy: float) -> Run:
    units = task.experiment.network.hidden[0]
    parameters = tuple(
        {"kernel": np.zeros(shape, np.float32), "bias": np.zeros(shape[1], np.float32)}
        for shape in ((4, units), (units, 10))
    )
    diverged = math.isnan(accuracy)
    last = Epoch(0.1, 0.99, NAN, 0.0991, 0.1) if diverged else Epoch(0.1, 0.99, 1 - accuracy, accuracy, 0.1)
    spec = task.experiment
    return Run(
        spec.network,
        spec.training,
        task.seed,
        FINGERPRINT,
        "diverged" if diverged else "complete",
        History((last,)),
        parameters,
    )


def add(store: Store, spec: Experiment, accuracies: Mapping[int, float]) -> None:
    for seed, accuracy in accuracies.items():
        task = Task(run_id(spec.network, spec.training, FINGERPRINT, seed), spec, seed)
        assert store.claim(task, Owner.this_process())
        store.finish(finished(task, accuracy))


Made = Callable[..., tuple[Study, Store]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(
        accuracies: Mapping[str, Sequence[float]] = ACCURACIES, family: Sequence[Experiment] = FAMILY
    ) -> tuple[Study, Store]:
        store = Store.open(
            sqlite_url(tmp_path / "made"), study="study", lab="mine", dataset="mnist", fingerprint=FINGERPRINT
        )
        store.declare([StoredExperiment(spec, 1000 + spec.network.hidden[0]) for spec in family])
        for spec in family:
            if spec.name in accuracies:
                add(store, spec, dict(enumerate(accuracies[spec.name])))
        return Study(store), store

    return make


def test_verdicts_are_those_of_the_statistics_over_the_whole_lab(made: Made) -> None:
    study, _store = made()
    scores = {
        spec.name: dict(enumerate(ACCURACIES["baseline" if spec.name == "twin" else spec.name]))
        for spec in FAMILY
        if spec.name != "missing"
    } | {"missing": {}}
    expected = stats.compare_to_baseline(scores, "baseline", diverged_score=0.1)
    for comparison in (study.compare(), study.compare(only=["wide", "shaky"])):
        for row in comparison.rows[1:]:
            if row.experiment.name == "twin":
                continue
            assert row.verdict is not None
            found = expected[row.experiment.name]
            assert row.difference == found.difference
            assert row.verdict.word == found.verdict.word
            assert row.verdict.adjusted_p == found.adjusted_p
            assert row.verdict.seeds_needed == found.verdict.seeds_needed
    table = study.compare()
    words = {row.experiment.name: row.verdict.word for row in table.rows if row.verdict}
    assert words == {
        "wide": "better",
        "wider": "better",
        "steady": "no-difference-seen",
        "twin": "same-network",
        "shaky": "too-few-seeds",
        "missing": "too-few-seeds",
    }
    assert table["baseline"].verdict is None
    # Holm over six, not over the five that have run: the smallest p value is multiplied by 6.
    wider = scipy_stats.ttest_rel(ACCURACIES["wider"], BASELINE).pvalue
    assert table["wider"].verdict is not None
    assert table["wider"].verdict.adjusted_p == pytest.approx(6 * wider)


def test_a_diverged_run_has_one_number_everywhere(made: Made) -> None:
    row = made()[0].compare()["shaky"]
    expected = [0.99, 0.1, 0.989, 0.987, 0.992]
    assert row.val_accuracy == tuple(expected)
    assert row.val_loss[1] == pytest.approx(math.log(10))
    assert row.accuracy_interval is not None
    assert row.accuracy_interval.mean == pytest.approx(np.mean(expected))
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(np.mean(expected) - np.mean(BASELINE))
    assert row.runs.diverged == 1
    assert row.verdict is not None
    assert row.verdict.seeds_needed is None
    document = row.to_json()
    assert document["val_accuracy"]["values"] == expected
    assert document["val_accuracy"]["mean"] == row.accuracy_interval.mean
    json.dumps(document, allow_nan=False)


def test_the_same_network_is_called_that(made: Made) -> None:
    table = made()[0].compare()
    twin = table["twin"]
    assert twin.val_accuracy == tuple(BASELINE)
    assert twin.verdict is not None
    assert twin.verdict.adjusted_p is None
    line = next(line for line in repr(table).splitlines() if line.startswith("twin"))
    assert "the same network" in line
    assert "+0.00" not in line


def test_rows_are_sorted_within_groups_as_the_lab_declares_them(made: Made) -> None:
    names = [row.experiment.name for row in made()[0].compare().rows]
    assert names == ["baseline", "wider", "wide", "missing", "steady", "twin", "shaky"]


def test_probability_of_being_better(made: Made) -> None:
    table = made()[0].compare()
    assert table["wider"].probability_better == stats.probability_better(ACCURACIES["wider"], BASELINE, seed=0)
    assert table["missing"].probability_better is None
    assert table["baseline"].probability_better is None


def test_two_experiments(made: Made) -> None:
    study, _store = made()
    pair = study.compare_pair("wider", "wide")
    expected = stats.paired_difference(ACCURACIES["wider"], ACCURACIES["wide"])
    assert pair.difference == expected
    assert pair.verdict.word == "better"
    assert pair.verdict.adjusted_p == pytest.approx(
        scipy_stats.ttest_rel(ACCURACIES["wider"], ACCURACIES["wide"]).pvalue
    )
    assert pair.probability_better == stats.probability_better(ACCURACIES["wider"], ACCURACIES["wide"], seed=0)
    assert "wider is better than wide" in repr(pair)
    assert study.compare_pair("wide", "wider").verdict.word == "worse"
    assert study.compare_pair("twin", "baseline").verdict.word == "same-network"
    assert study.compare_pair("missing", "wide").difference is None
    assert study.compare_pair("wide", "shaky").difference == stats.paired_difference(
        ACCURACIES["wide"], [0.99, 0.1, 0.989, 0.987, 0.992]
    )
    document = pair.to_json()
    assert document["times_parameters"] == pytest.approx(1010 / 1009)
    assert document["difference"]["mean"] == expected.mean


def test_a_run_counts_with_the_epoch_whose_weights_it_kept(made: Made) -> None:
    stopping = EarlyStopping(monitor="val_accuracy", patience=1, restore_best_weights=True)
    spec = Experiment(name="stopped", network=Network(hidden=(14,)), training=Training(early_stopping=stopping))
    study, store = made(ACCURACIES, [*FAMILY, spec])
    for seed in range(2):
        task = Task(run_id(spec.network, spec.training, FINGERPRINT, seed), spec, seed)
        assert store.claim(task, Owner.this_process())
        run = finished(task, 0.98)
        worse = Epoch(0.1, 0.99, 0.5, 0.90, 0.1)
        store.finish(replace(run, history=History((*run.history.epochs, worse))))
    row = study.compare()["stopped"]
    assert row.val_accuracy == (0.98, 0.98)
    assert row.val_loss == pytest.approx((0.02, 0.02))


def test_fewer_seeds(made: Made) -> None:
    study, _store = made()
    assert study.compare(seeds=2)["wide"].seeds == (0, 1)
    assert study.compare_pair("wide", "wider", seeds=2).verdict.word == "too-few-seeds"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(("wide", "widr"), "Did you mean wide"), (("wide", "wide"), "named twice"), (("zzz", "wide"), "It is one of")],
)
def test_pairs_that_are_none(made: Made, names: tuple[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        made()[0].compare_pair(*names)


def test_a_study_without_runs_has_a_table(made: Made) -> None:
    table = made({})[0].compare()
    assert {row.verdict.word for row in table.rows if row.verdict} == {"too-few-seeds", "same-network"}
    assert "baseline" in repr(table)
    assert table.to_pandas()["val_accuracy_mean"].isna().all()


def test_csv_and_parquet_and_pandas_say_the_same(made: Made, tmp_path: Path) -> None:
    table = made()[0].compare()
    table.export(tmp_path / "table.csv")
    table.export(tmp_path / "table.parquet")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [row.experiment.name for row in table.rows]
    assert float(lines[1]["val_accuracy_mean"]) == table.rows[1].accuracy_interval.mean
    assert lines[1]["verdict"] == "better"
    assert lines[0]["verdict"] == lines[0]["difference"] == ""
    frame = table.to_pandas()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), frame)
    numbers = frame.select_dtypes("number")
    again = pd.read_csv(tmp_path / "table.csv")[numbers.columns].astype(numbers.dtypes)
    pd.testing.assert_frame_equal(again, numbers)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["table.csv", "table.parquet"]


def test_exports_that_cannot_be(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = made()[0].compare()
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        table.export(tmp_path / "table.xlsx")
    with pytest.raises(UsageError, match="there is no folder"):
        table.export(tmp_path / "no" / "table.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"neurona\[pandas\]"):
        table.export(tmp_path / "table.parquet")
    table.export(tmp_path / "table.csv")


def test_what_ended_after_an_opening_is_marked(made: Made) -> None:
    study, store = made()
    assert study.compare().note == ""
    add_opening(store, user="me", reason="because", models=[], results={})
    add(store, FAMILY[-1], {0: 0.97})
    table = study.compare()
    assert {row.experiment.name: row.after_opening for row in table.rows if row.after_opening} == {"missing": 1}
    assert table["missing"].to_json()["after_opening"] == 1
    for shown in (repr(table), table._repr_html_()):
        assert "missing*" in shown
        assert "opened 1 time." in shown
        assert "trained after the test set was opened" in shown
    assert study.compare_pair("missing", "wide").to_json()["first"]["after_opening"] == 1
