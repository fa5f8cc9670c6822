"""What a network answers: the confusion matrix, calibration, the scores of each class, robustness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurona.errors import UsageError
from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.figures.subject import Inspected, inspected
from neurona.i18n import _
from neurona.insight import (
    PERTURBATIONS,
    Calibration,
    ClassScores,
    Confusion,
    Perturbation,
    Robustness,
    calibration,
    class_scores,
    confusion,
    robustness,
)
from neurona.specs import did_you_mean

__all__ = [
    "ClassesOf",
    "ConfusionOf",
    "ReliabilityOf",
    "RobustnessOf",
    "classes",
    "confusion_matrix",
    "reliability",
    "robustness_curve",
]

_STRONG = 0.6  # of the darkest cell: from there on its text is white
_MOST_WITH_TEXT = 12  # classes; more leave no room for a number in a cell


@dataclass(frozen=True)
class ConfusionOf:
    """The confusion of one seed's network over the validation images. subject: name and seed, as shown."""

    subject: str
    class_names: tuple[str, ...]
    found: Confusion


def confusion_numbers(source: Any, **which: Any) -> ConfusionOf:
    """Return the confusion matrix of a study's experiment, a run or what `inspected` gives; see there."""
    subject = inspected(source, **which)
    answers = subject.answers[subject.seed]
    names = subject.data.class_names
    return ConfusionOf(subject.shown_seed, names, confusion(answers.labels, answers.predicted, len(names)))


def draw_confusion(numbers: ConfusionOf) -> Figure:
    """Draw the mistakes in shades; the diagonal, which would outshine them, is left white and has its share."""
    import plotly.graph_objects as go

    counts, names = numbers.found.counts, list(numbers.class_names)
    marks = [style.plain(name) for name in names]
    title = _("Confusion matrix of {subject}").format(subject=numbers.subject)
    figure = style.blank(title, height=min(720, 90 + max(34 * len(names), 120)))
    off = counts.astype(float)
    np.fill_diagonal(off, np.nan)
    text = [
        [
            f"{100 * numbers.found.shares[i, j]:.0f} %" if i == j else (str(value) if value else "")
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(counts.tolist())
    ]
    figure.add_trace(
        go.Heatmap(
            z=[[None if i == j else value for j, value in enumerate(row)] for i, row in enumerate(counts.tolist())],
            x=marks,
            y=marks,
            colorscale=[list(stop) for stop in style.SEQUENTIAL],
            zmin=0,
            showscale=False,
            xgap=2,
            ygap=2,
            customdata=counts.tolist(),
            hovertemplate=_("%{customdata} images of %{y} are taken for %{x}") + "<extra></extra>",
            hoverongaps=True,
        )
    )
    if len(names) <= _MOST_WITH_TEXT:
        largest = float(np.nanmax(off)) if len(names) > 1 else 0.0
        figure.update_layout(
            annotations=[
                _cell_text(i, j, cell, strong=i != j and largest > 0 and off[i, j] > _STRONG * largest)
                for i, row in enumerate(text)
                for j, cell in enumerate(row)
                if cell
            ]
        )
    figure.update_xaxes(title={"text": _("answer")}, type="category", showgrid=False, ticks="", showline=False)
    figure.update_yaxes(
        title={"text": _("true class")}, type="category", autorange="reversed", showgrid=False, ticks="", showline=False
    )
    pairs = numbers.found.pairs(12)
    table = Table(
        (_("true class"), _("answer"), _("images"), _("share of the class")),
        tuple((names[pair.true], names[pair.answer], str(pair.count), f"{100 * pair.share:.1f} %") for pair in pairs),
    )
    wrong = int(counts.sum() - np.trace(counts))
    summary = _("A row for each true class and a column for each answer; {wrong} of {images} images are mistaken.")
    return Figure(title, figure, summary.format(wrong=f"{wrong:,}", images=f"{int(counts.sum()):,}"), table)


def _cell_text(row: int, column: int, text: str, *, strong: bool) -> dict[str, Any]:
    font = {"size": 11} | ({"color": "#ffffff"} if strong else {})
    return {"x": column, "y": row, "text": text, "font": font, "showarrow": False}


@dataclass(frozen=True)
class ClassesOf:
    """Precision, recall and F1 of each class, of one seed's network over the validation images."""

    subject: str
    class_names: tuple[str, ...]
    scores: tuple[ClassScores, ...]


def class_numbers(source: Any, **which: Any) -> ClassesOf:
    """Return the scores of each class of a study's experiment, a run or what `inspected` gives; see there."""
    found = confusion_numbers(source, **which)
    return ClassesOf(found.subject, found.class_names, class_scores(found.found))


def draw_classes(numbers: ClassesOf) -> Figure:
    """Draw precision and recall of each class, the class with the lowest F1 on top."""
    import plotly.graph_objects as go

    title = _("Precision and recall of {subject}").format(subject=numbers.subject)
    order = sorted(range(len(numbers.scores)), key=lambda index: numbers.scores[index].f1)
    names = [style.plain(numbers.class_names[index]) for index in order]
    figure = style.blank(title, height=70 + 26 * max(len(order), 3))
    scores = [numbers.scores[index] for index in order]
    ends = [(100 * score.precision, 100 * score.recall) for score in scores]
    figure.add_trace(style.connections(names, ends))
    for key, title_of_key, colour, symbol in (
        ("precision", _("precision"), style.ORANGE, "diamond-open"),
        ("recall", _("recall"), style.BLUE, "circle"),
    ):
        figure.add_trace(
            go.Scatter(
                x=[100 * getattr(numbers.scores[index], key) for index in order],
                y=names,
                mode="markers",
                name=title_of_key,
                marker={"color": colour, "size": 9, "symbol": symbol, "line": {"width": 2}},
                hovertemplate=f"<b>%{{y}}</b><br>{title_of_key}: %{{x:.2f}} %<extra></extra>",
            )
        )
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1], showgrid=False)
    figure.update_xaxes(**style.per_cent_axis(_("precision, recall"), nticks=6))
    table = Table(
        (_("class"), _("precision, %"), _("recall, %"), "F1", _("images")),
        tuple(
            (
                numbers.class_names[index],
                f"{100 * numbers.scores[index].precision:.2f}",
                f"{100 * numbers.scores[index].recall:.2f}",
                f"{numbers.scores[index].f1:.4f}",
                f"{numbers.scores[index].images:,}",
            )
            for index in order
        ),
    )
    summary = _("Precision and recall of {count} classes, the class with the lowest F1 first.")
    return Figure(title, figure, summary.format(count=len(order)), table)


@dataclass(frozen=True)
class ReliabilityOf:
    """How sure one seed's network is, and how often it is right, over the validation images."""

    subject: str
    found: Calibration


def reliability_numbers(source: Any, **which: Any) -> ReliabilityOf:
    """Return the calibration of a study's experiment, a run or what `inspected` gives; see there."""
    subject = inspected(source, **which)
    return ReliabilityOf(subject.shown_seed, calibration(subject.answers[subject.seed]))


def draw_reliability(numbers: ReliabilityOf) -> Figure:
    """Draw the share that is right against the probability given, and the line on which both are equal."""
    import plotly.graph_objects as go

    title = _("Calibration of {subject}").format(subject=numbers.subject)
    figure = style.blank(title, height=340)
    bins = numbers.found.bins
    figure.add_trace(
        go.Scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            line={"color": style.GREY, "dash": "dot", "width": 1.5},
            name=_("right as often as it says"),
            hoverinfo="skip",
        )
    )
    most = max(one.count for one in bins)
    figure.add_trace(
        go.Scatter(
            x=[100 * one.confidence for one in bins],
            y=[100 * one.accuracy for one in bins],
            mode="lines+markers",
            name=_("this network (area: how many answers)"),
            line={"color": style.BLUE, "width": 2},
            marker={"size": [6 + 18 * (one.count / most) ** 0.5 for one in bins], "color": style.BLUE, "opacity": 1},
            customdata=[one.count for one in bins],
            hovertemplate=_("says %{x:.1f} %, right in %{y:.1f} %<br>%{customdata:,} answers") + "<extra></extra>",
        )
    )
    figure.update_xaxes(**style.per_cent_axis(_("probability of the answer given")), range=[0, 102])
    figure.update_yaxes(**style.per_cent_axis(_("share that is right")), range=[0, 105])
    table = Table(
        (_("probability"), _("answers"), _("mean probability, %"), _("right, %")),
        tuple(
            (
                f"{100 * one.low:.0f}–{100 * one.high:.0f} %",
                f"{one.count:,}",
                f"{100 * one.confidence:.1f}",
                f"{100 * one.accuracy:.1f}",
            )
            for one in bins
        ),
    )
    summary = _("How often answers are right against how sure the network is; the expected error is {error:.2f} %.")
    return Figure(title, figure, summary.format(error=100 * numbers.found.error), table)


@dataclass(frozen=True)
class RobustnessOf:
    """Accuracy under one perturbation, of one seed of each network. images: how many it was measured on."""

    kind: str
    subjects: tuple[str, ...]
    found: tuple[Robustness, ...]
    images: int


def robustness_numbers(source: Any, kind: str, *, images: int = 1_000, **which: Any) -> RobustnessOf:
    """Return the accuracy on the first `images` validation images under the perturbation `kind`, one of PERTURBATIONS.

    source: a study, a run or what `inspected` gives, or several of the last to be compared.
    """
    if kind not in PERTURBATIONS:
        raise UsageError(_("there is no perturbation {name!r}.").format(name=kind) + did_you_mean(kind, PERTURBATIONS))
    subjects: Sequence[Inspected] = source if isinstance(source, tuple) else (inspected(source, **which),)
    split = subjects[0].data.validation
    chosen, labels = split.images[:images], split.labels[:images]
    perturbation = PERTURBATIONS[kind]
    levels = {level: perturbation.change(chosen, level, 0) for level in perturbation.levels}
    remembered = Perturbation(
        perturbation.title,
        perturbation.unit,
        perturbation.levels,
        perturbation.unchanged,
        lambda _i, level, _s: levels[level],
    )
    found = tuple(
        robustness(one.network, one.parameters[one.seed], chosen, labels, remembered, seed=0) for one in subjects
    )
    return RobustnessOf(kind, tuple(one.shown_seed for one in subjects), found, len(chosen))


def draw_robustness(numbers: RobustnessOf) -> Figure:
    """Draw accuracy against the strength of the perturbation, a line for each network."""
    import plotly.graph_objects as go

    perturbation = PERTURBATIONS[numbers.kind]
    title, unit = _(perturbation.title), _(perturbation.unit)
    figure = style.blank(title, height=250)
    for index, (name, found) in enumerate(zip(numbers.subjects, numbers.found, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=found.levels,
                y=[100 * value for value in found.accuracy],
                mode="lines+markers",
                name=name,
                line={"color": style.GREY if index else style.BLUE, "width": 2.2, "dash": style.DASHES[index]},
                marker={"size": 6},
                hovertemplate=f"<b>{name}</b><br>%{{x:.3~g}} {unit}: %{{y:.1f}} %<extra></extra>",
            )
        )
    figure.add_vline(x=perturbation.unchanged, line={"color": style.GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title={"text": unit})
    figure.update_yaxes(**style.per_cent_axis(_("accuracy")), range=[0, 103])
    table = Table(
        (unit, *(_("{name}, accuracy %").format(name=name) for name in numbers.subjects)),
        tuple(
            (f"{level:.3g}", *(f"{100 * found.accuracy[place]:.1f}" for found in numbers.found))
            for place, level in enumerate(perturbation.levels)
        ),
    )
    summary = _("{title}: accuracy on {images} validation images as the perturbation grows.")
    return Figure(title, figure, summary.format(title=title, images=f"{numbers.images:,}"), table)


confusion_matrix = Kind(confusion_numbers, draw_confusion)
classes = Kind(class_numbers, draw_classes)
reliability = Kind(reliability_numbers, draw_reliability)
robustness_curve = Kind(robustness_numbers, draw_robustness)
