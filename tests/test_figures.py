"""Figures: their numbers against the study, their drawing as far as a machine can look."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.io
import pytest
from PIL import Image

import neurona
from neurona import figures, i18n, insight
from neurona.data import Dataset
from neurona.errors import DataError, UsageError
from neurona.figures import Figure, Inspected, Kind, Pictures, style
from neurona.figures.images import FirstWeights
from neurona.insight import PERTURBATIONS
from neurona.search import Search, Searched, SearchResult

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def one(small_study: neurona.Study, small: Dataset) -> Inspected:
    return figures.inspected(small_study, experiment="wide", data=small)


@pytest.fixture(autouse=True)
def _back_to_english() -> Iterator[None]:
    yield
    i18n.activate(None)


OF_STUDY: dict[str, Callable[[Any], Any]] = {
    "differences": figures.differences,
    "seeds": lambda study: figures.seeds(study, "width"),
    "cost": figures.cost,
    "learning_curves": figures.learning_curves,
    "loss curves": lambda study: figures.learning_curves(study, "width", key="val_loss"),
    "gap": figures.gap,
}
OF_NETWORK: dict[str, Callable[[Any], Any]] = {
    name: getattr(figures, name)
    for name in (
        "classes",
        "confusion_matrix",
        "reliability",
        "hardest_images",
        "missed_by_all",
        "first_layer",
        "exciting_images",
        "saliency",
        "activation_histograms",
        "layer_norms",
        "norm_curves",
        "embedding",
        "path_between_seeds",
    )
} | {name: lambda one, name=name: figures.robustness_curve(one, name) for name in PERTURBATIONS}


OF_SEARCH: dict[str, Callable[[Any], Any]] = {
    "search_history": figures.search_history,
    "search_importances": figures.search_importances,
    "search_slice": lambda searched: figures.search_slice(searched, "training.optimizer.learning_rate"),
    "slice of choices": lambda searched: figures.search_slice(searched, "network.activation"),
    "search_contour": lambda searched: figures.search_contour(
        searched, "training.optimizer.learning_rate", "network.activation"
    ),
    "search_parallel": figures.search_parallel,
}


@pytest.fixture(scope="module")
def found(small_lab: neurona.Lab, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """A search with a number on a logarithmic scale and a choice."""
    space = {
        "training.optimizer.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
        "network.activation": {"choices": ["relu", "tanh"]},
    }
    search = Search(small_lab, space=space, epochs=1, sampler="random", pruner="none")
    return search.run(trials=12, finalists=1, seeds=2, data=small, study=tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def fronted(small_lab: neurona.Lab, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A search for accuracy against parameters."""
    space = {"network.hidden": {"choices": [[4], [16], [32]]}}
    search = Search(small_lab, space=space, epochs=1, objective="pareto", sampler="random", pruner="none")
    return search.run(trials=6, finalists=0, data=small, study=tmp_path_factory.mktemp("front")).searched[0]


def test_every_figure_is_listed_in_the_docs_and_drawn_here() -> None:
    kinds = {name for name in figures.__all__ if isinstance(getattr(figures, name), Kind)}
    listed = set(re.findall(r"`figures\.(\w+)\(", (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")))
    assert kinds == listed
    assert kinds - {*OF_STUDY, *OF_NETWORK, *OF_SEARCH} == {
        "augmented_images",
        "robustness_curve",
        "run_curves",
        "search_front",
    }


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("name", [*OF_STUDY, *OF_NETWORK])
def test_every_figure_has_title_axes_words_and_numbers(
    name: str, language: str, small_study: neurona.Study, one: Inspected
) -> None:
    i18n.activate(language)
    drawn = OF_STUDY[name](small_study) if name in OF_STUDY else OF_NETWORK[name](one)
    assert drawn.title
    if isinstance(drawn, Pictures):
        assert drawn.pictures
        assert all(p.address.startswith("data:image/png;base64,") and p.summary and p.lines for p in drawn.pictures)
        assert drawn.title in drawn._repr_html_()
        return
    assert isinstance(drawn, Figure)
    layout = drawn.plot.to_plotly_json()["layout"]
    assert layout["title"]["text"] == drawn.title
    assert any(axis.get("title", {}).get("text") for key, axis in layout.items() if key.startswith(("xaxis", "yaxis")))
    assert drawn.summary.endswith(".")
    assert "{" not in drawn.summary
    assert drawn.table.rows
    assert {len(row) for row in drawn.table.rows} == {len(drawn.table.head)}
    assert any(len(trace.x) for trace in drawn.plot.data)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("name", OF_SEARCH)
def test_every_figure_of_a_search_has_title_words_and_numbers(name: str, language: str, found: SearchResult) -> None:
    i18n.activate(language)
    drawn = OF_SEARCH[name](found.searched[0])
    assert drawn.plot.layout.title.text == drawn.title
    assert drawn.summary.endswith(".")
    assert "{" not in drawn.summary
    assert {len(row) for row in drawn.table.rows} == {len(drawn.table.head)}


def test_a_searchs_figures_have_its_trials(found: SearchResult, fronted: Searched) -> None:
    (searched,) = found.searched
    scores = {trial.number: trial.values[0] for trial in searched.trials}
    drawn = figures.search_history(searched)
    complete = drawn.plot.data[0]
    assert dict(zip(complete.x, complete.y, strict=True)) == {n: pytest.approx(100 * s) for n, s in scores.items()}
    assert drawn.plot.data[2].y[-1] == pytest.approx(100 * max(scores.values()))
    best = max(scores, key=lambda number: scores[number])
    assert drawn.table.rows[0][0] == str(best)
    parts = dict(figures.search_importances.numbers(searched).parts)
    assert sum(parts.values()) == pytest.approx(1.0)
    front = figures.search_front(fronted)
    beaten, on_front = front.plot.data
    assert len(beaten.x) + len(on_front.x) == 6
    ordered = sorted(zip(on_front.x, on_front.y, strict=True))
    assert [y for _x, y in ordered] == sorted(y for _x, y in ordered)  # who costs more is better
    assert len(front.table.rows) == len(on_front.x)


def test_a_figure_shows_itself_in_a_notebook(small_study: neurona.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")  # what Plotly sets inside Jupyter
    shown = figures.gap(small_study)._repr_mimebundle_()
    assert len(shown["application/vnd.plotly.v1+json"]["data"]) == 3


def test_differences_are_the_tables(small_study: neurona.Study) -> None:
    comparison = small_study.compare()
    numbers = figures.differences.numbers(small_study)
    assert [one.name for one in numbers] == ["wide", "slow"]
    for one in numbers:
        row = comparison[one.name]
        assert row.difference is not None
        assert (one.mean, one.low, one.high) == (row.difference.mean, row.difference.low, row.difference.high)
        assert one.finding == row.verdict
    trace_of = {trace.y[0]: trace for trace in figures.differences.draw(numbers).plot.data}
    assert trace_of["slow"].x[0] == pytest.approx(100 * numbers[1].mean)
    assert trace_of["slow"].name == "worse"


def test_what_is_far_from_all_others_is_written_beside_the_axis(small_study: neurona.Study) -> None:
    slow = figures.differences.numbers(small_study)[1]
    near = [replace(slow, name=f"near-{n}", mean=-0.01, low=-0.012, high=-0.008, shown=f"-1.0{n}") for n in range(8)]
    far = replace(slow, name="far", mean=-0.8, low=-0.82, high=-0.78, shown="-80.00 ± 2.00")
    drawn = figures.differences.draw([*near, far])
    low, high = drawn.plot.layout.xaxis.range
    assert -5 < low < -1.2
    assert high > 0
    assert [note.text for note in drawn.plot.layout.annotations] == ["◀ -80.00 ± 2.00"]


def test_every_seed_is_a_mark(small_study: neurona.Study) -> None:
    numbers = figures.seeds.numbers(small_study, "width")
    assert [one.name for one in numbers.experiments] == ["baseline", "wide"]
    wide = small_study.compare()["wide"]
    assert numbers.experiments[1].accuracies == wide.val_accuracy
    marks = figures.seeds.draw(numbers).plot.data[2]
    assert list(marks.x) == pytest.approx([100 * value for value in wide.val_accuracy])


def test_learning_curves_are_means_over_seeds(small_study: neurona.Study) -> None:
    curve = figures.learning_curves.numbers(small_study, "width").curves[1]
    runs = small_study.runs("wide")
    for epoch, point in enumerate(curve.points):
        values = [run.epochs[epoch].val_accuracy for run in runs]
        assert point.mean == pytest.approx(np.mean(values))
        assert point.sd == pytest.approx(np.std(values, ddof=1))
    assert (len(curve.points), curve.seeds) == (3, 3)


def test_gap_and_cost_are_the_stores(small_study: neurona.Study) -> None:
    gap = {one.name: one for one in figures.gap.numbers(small_study)}["slow"]
    last = [run.epochs[-1] for run in small_study.runs("slow")]
    assert gap.training == pytest.approx(np.mean([epoch.accuracy for epoch in last]))
    assert gap.validation == pytest.approx(np.mean([epoch.val_accuracy for epoch in last]))
    cost = {one.name: one for one in figures.cost.numbers(small_study)}["wide"]
    assert cost.parameters == 785 * 40 + 41 * 40 + 41 * 10
    assert cost.seconds == pytest.approx(np.mean([run.train_seconds for run in small_study.runs("wide")]))


def test_figures_of_a_network_look_at_the_validation_images(one: Inspected, small_study: neurona.Study) -> None:
    confusion = figures.confusion_matrix.numbers(one)
    counts = confusion.found.counts
    run = small_study.runs("wide")[0]
    assert np.trace(counts) / counts.sum() == pytest.approx(run.epochs[-1].val_accuracy)
    missed = figures.missed_by_all.numbers(one).found
    assert sum(missed.counts) == len(one.data.validation)
    wrong = sum(number * count for number, count in enumerate(missed.counts))
    accuracies = [run.epochs[-1].val_accuracy for run in small_study.runs("wide")]
    assert wrong == round(sum(1 - accuracy for accuracy in accuracies) * len(one.data.validation))
    embedding = figures.embedding.numbers(one)
    thumbnails = embedding.thumbnails
    assert thumbnails.columns**2 >= len(embedding.labels) == 330
    path = figures.path_between_seeds.numbers(one)
    assert path.points[0].accuracy == pytest.approx(accuracies[0])
    assert path.points[-1].accuracy == pytest.approx(accuracies[1])


def test_robustness_compares_networks_on_the_same_images(one: Inspected, small_study: neurona.Study) -> None:
    other = figures.inspected(small_study, experiment="baseline", data=one.data)
    both = figures.robustness_curve.numbers((one, other), "noise", images=100)
    alone = figures.robustness_curve.numbers(one, "noise", images=100)
    assert both.found[0] == alone.found[0]
    assert both.subjects == ("wide, seed 0", "baseline, seed 0")
    assert both.images == 100
    with pytest.raises(UsageError, match="Did you mean rotation"):
        figures.robustness_curve(one, "rotatoin")


def test_what_augmentation_makes_is_what_is_trained_on(small: Dataset) -> None:
    recipe = neurona.Augmentation(rotation=10.0, classes=(1, 2), warmup=0.5)
    found = figures.augmented_images.numbers(recipe, small, variants=3, seed=5)
    assert found.images.shape == (10, 4, 28, 28)
    for number, row in enumerate(found.images):
        first = int(np.flatnonzero(small.train.labels == number)[0])
        assert np.array_equal(row[0], small.train.images[first])
        assert np.array_equal(row[1], row[0]) == (number not in (1, 2))
    assert np.array_equal(found.images, figures.augmented_images.numbers(recipe, small, variants=3, seed=5).images)
    drawn = figures.augmented_images(recipe, small)
    assert [picture.lines for picture in drawn.pictures] == [(name,) for name in small.class_names]
    assert "rotation 10.0" in drawn.note
    with pytest.raises(UsageError, match="from 1 to 100"):
        figures.augmented_images(recipe, small, variants=0)


def test_figures_of_a_run(small: Dataset, small_study: neurona.Study) -> None:
    run = neurona.train(neurona.Network(hidden=(12,)), neurona.Training(epochs=2), small, seed=1)
    curves = figures.run_curves.numbers(run)
    assert [curve.key for curve in curves.curves] == ["accuracy", "val_accuracy"]
    assert [point.mean for point in curves.curves[1].points] == list(run.history["val_accuracy"])
    assert figures.run_curves(run).title == "seed 1: validation accuracy epoch by epoch"
    stored = small_study.runs("baseline")[0]
    assert figures.run_curves.numbers(stored).curves[1].name == "val_accuracy"
    assert stored.history["val_accuracy"] == tuple(epoch.val_accuracy for epoch in stored.epochs)
    counts = figures.confusion_matrix.numbers(run, data=small).found.counts
    assert np.trace(counts) / counts.sum() == pytest.approx(run.history["val_accuracy"][-1])
    with pytest.raises(UsageError, match="needs data="):
        figures.confusion_matrix(run)
    with pytest.raises(UsageError, match="needs two complete runs"):
        figures.path_between_seeds(run, data=small)


def test_what_cannot_be_inspected(small_study: neurona.Study, small: Dataset, one: Inspected) -> None:
    with pytest.raises(UsageError, match=r"no experiment 'wode'.*wide"):
        figures.confusion_matrix(small_study, experiment="wode", data=small)
    with pytest.raises(UsageError, match="between 1 and the 2 hidden layers"):
        figures.embedding(one, layer=3)


def test_a_data_set_that_changed_is_noticed(small_lab: neurona.Lab, small: Dataset, tmp_path: Path) -> None:
    study = small_lab.open_study(replace(small, fingerprint="0" * 64), study=tmp_path)
    with pytest.raises(DataError, match="not what the study was made with"):
        figures.study_data(study)


def test_names_of_classes_are_no_markup(one: Inspected) -> None:
    names = ("<b>bold</b>", "a & b", *one.data.class_names[2:])
    odd = replace(one, data=replace(one.data, class_names=names))
    drawn = figures.confusion_matrix(odd).plot.data[0]
    assert drawn.x[:2] == ("&lt;b&gt;bold&lt;/b&gt;", "a &amp; b")


def test_kernels_are_drawn_from_blue_over_white_to_orange() -> None:
    """The pixel without weight is white; the strongest ones have the palette's colours."""
    made = figures.first_layer.draw(FirstWeights("x", (0,), np.array([[[0.0, 2.0], [-2.0, 1.0]]])))
    data = base64.b64decode(made.pictures[0].address.partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == [207, 100, 18]
    assert pixels[1, 0].tolist() == [34, 116, 181]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", style.SCHEMES)
def test_colours_stand_out_in_light_and_dark(scheme: Any) -> None:
    """WCAG 1.4.11 asks 3:1 of marks, 1.4.3 asks 4.5:1 of text."""
    paper = style.SCHEMES[scheme].paper
    assert min(contrast(colour, paper) for colour in (*style.COLOURS, style.GREY)) >= 3
    assert contrast(style.SCHEMES[scheme].text, paper) >= 4.5
    assert contrast(style.SCHEMES[scheme].quiet, paper) >= 4.5
    assert math.isclose(contrast("#000000", "#ffffff"), 21)


def test_gradient_times_input_is_another_method(one: Inspected) -> None:
    images = (0, 1, 2)
    ours = figures.saliency.numbers(one, images=images, method=insight.gradient_times_input)
    theirs = figures.saliency.numbers(one, images=images)
    assert ours.found.shape == theirs.found.shape == (3, 28, 28)
    assert not np.allclose(ours.found, theirs.found)
