"""Training as it went: learning curves with a band over seeds, and the gap between training and validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.i18n import _
from neurona.run import Run
from neurona.stats import Interval, mean_interval
from neurona.store import StoredRun
from neurona.study import ExperimentRuns, Study

__all__ = ["Curve", "Curves", "Gap", "gap", "learning_curves", "run_curves"]

_MOST_COLOURED = 6


@dataclass(frozen=True)
class Curve:
    """A figure after each epoch: mean over seeds, and its 95 % interval; as far as every seed that is counted went.

    seeds: how many are counted: those that are complete.
    """

    name: str
    key: str
    points: tuple[Interval, ...]
    seeds: int


@dataclass(frozen=True)
class Curves:
    """Curves of one key of the history, the baseline's first where there is one. key: Keras', as `val_accuracy`."""

    title: str
    key: str
    curves: tuple[Curve, ...]


def curve_numbers(study: Study, group: str | None = None, *, key: str = "val_accuracy") -> Curves:
    """Return the curves of the baseline and of the experiments of `group`, of all unless given.

    key: of the history: `loss`, `accuracy`, `val_loss` or `val_accuracy`.
    """
    family = study.experiments()
    own = [family[0], *(runs for runs in family[1:] if group in (None, runs.stored.experiment.group))]
    curves = tuple(curve for curve in (_curve(runs, key) for runs in own) if curve.points)
    return Curves(group or _("all experiments"), key, curves)


def _curve(runs: ExperimentRuns, key: str) -> Curve:
    histories = [
        [getattr(epoch, key) for epoch in run.epochs] for run in runs.ended.values() if run.state == "complete"
    ]
    last = min(map(len, histories), default=0)
    points = tuple(mean_interval([history[epoch] for history in histories]) for epoch in range(last))
    return Curve(runs.name, key, points, len(histories))


def draw_curves(numbers: Curves) -> Figure:
    """Draw a line for each curve, and the band of its interval; of many only some are coloured."""
    import plotly.graph_objects as go

    axis = {
        "val_accuracy": _("validation accuracy"),
        "accuracy": _("training accuracy"),
        "val_loss": _("validation loss (nats)"),
        "loss": _("training loss (nats)"),
    }[numbers.key]
    title = _("{group}: {figure} epoch by epoch").format(group=numbers.title, figure=axis)
    figure = style.blank(title, height=320)
    coloured = _coloured(numbers.curves)
    scale = 100 if numbers.key.endswith("accuracy") else 1
    for index, curve in enumerate(numbers.curves):
        colour = coloured.get(curve.name, style.GREY)
        epochs = list(range(1, len(curve.points) + 1))
        shown = curve.name in coloured
        bounds = [(p.low, p.high) for p in curve.points if p.low is not None and p.high is not None]
        if shown and len(bounds) == len(epochs):
            figure.add_trace(
                go.Scatter(
                    x=epochs + epochs[::-1],
                    y=[scale * high for _low, high in bounds] + [scale * low for low, _high in bounds][::-1],
                    fill="toself",
                    fillcolor=style.faded(colour),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=curve.name,
                )
            )
        figure.add_trace(
            go.Scatter(
                x=epochs,
                y=[scale * point.mean for point in curve.points],
                mode="lines+markers" if len(epochs) <= 12 else "lines",
                name=curve.name,
                legendgroup=curve.name,
                showlegend=shown,
                line={
                    "color": colour if shown else style.FAINT,
                    "width": 2.2 if shown else 1,
                },
                marker={"size": 7, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)]},
                hovertemplate=f"<b>{curve.name}</b><br>"
                + _("epoch")
                + " %{x}: "
                + ("%{y:.2f} %" if numbers.key.endswith("accuracy") else "%{y:.4f}")
                + "<extra></extra>",
            )
        )
    longest = max((len(curve.points) for curve in numbers.curves), default=1)
    figure.update_xaxes(title={"text": _("epoch")}, **({"dtick": 1} if longest <= 12 else {}))
    if numbers.key.endswith("accuracy"):
        figure.update_yaxes(**style.per_cent_axis(axis))
    else:
        figure.update_yaxes(title={"text": axis})
    table = Table(
        (_("experiment"), *(_("epoch {number}").format(number=n) for n in _shown_epochs(longest))),
        tuple(
            (
                curve.name,
                *(
                    _cell(curve.points[n - 1].mean, numbers.key) if n <= len(curve.points) else ""
                    for n in _shown_epochs(longest)
                ),
            )
            for curve in numbers.curves
        ),
    )
    summary = _("{figure} after each of {epochs} epochs, the mean of the seeds of {count} experiments.")
    text = summary.format(figure=axis.capitalize(), epochs=longest, count=len(numbers.curves))
    return Figure(title, figure, text, table)


def _shown_epochs(longest: int) -> list[int]:
    """Return the epochs that a table has columns for: all, or eight of many."""
    if longest <= 10:
        return list(range(1, longest + 1))
    return sorted({1 + round(step * (longest - 1) / 7) for step in range(8)})


def _cell(value: float, key: str) -> str:
    return f"{100 * value:.2f}" if key.endswith("accuracy") else f"{value:.4f}"


def _coloured(curves: Sequence[Curve]) -> dict[str, str]:
    """Return name -> colour: grey for the baseline, colours for those that end best, and for the worst of many."""
    if not curves:
        return {}
    others = sorted(curves[1:], key=lambda curve: -curve.points[-1].mean)
    if len(others) > _MOST_COLOURED:
        others = [*others[: _MOST_COLOURED - 1], others[-1]]
    names = [curve.name for curve in curves if curve in others]
    return {curves[0].name: style.GREY} | dict(zip(names, style.COLOURS, strict=False))


@dataclass(frozen=True)
class Gap:
    """An experiment's accuracy in the epoch whose weights are kept, on training and validation: means over seeds.

    Training's is the mean over that epoch as it went, with dropout and augmentation where there are any.
    """

    name: str
    training: float
    validation: float
    seeds: int


def gap_numbers(study: Study) -> tuple[Gap, ...]:
    """Return training's and validation's accuracy of every experiment with a complete run."""
    found = []
    for runs in study.experiments():
        kept = [runs.kept(seed) for seed, run in runs.ended.items() if run.state == "complete"]
        if kept:
            training = math.fsum(epoch.accuracy for epoch in kept) / len(kept)
            validation = math.fsum(epoch.val_accuracy for epoch in kept) / len(kept)
            found.append(Gap(runs.name, training, validation, len(kept)))
    return tuple(found)


def draw_gap(numbers: Sequence[Gap]) -> Figure:
    """Draw a line from training to validation accuracy for each experiment."""
    import plotly.graph_objects as go

    title = _("Accuracy on training and on validation images")
    figure = style.blank(title, height=80 + 24 * max(len(numbers), 2))
    ends = [(100 * one.training, 100 * one.validation) for one in numbers]
    figure.add_trace(style.connections([one.name for one in numbers], ends))
    for name, values, colour, symbol in (
        (_("training"), [100 * one.training for one in numbers], style.ORANGE, "circle-open"),
        (_("validation"), [100 * one.validation for one in numbers], style.BLUE, "circle"),
    ):
        figure.add_trace(
            go.Scatter(
                x=values,
                y=[one.name for one in numbers],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 9, "symbol": symbol, "line": {"width": 2}},
                hovertemplate=f"<b>%{{y}}</b><br>{name}: %{{x:.2f}} %<extra></extra>",
            )
        )
    figure.update_yaxes(categoryorder="array", categoryarray=[one.name for one in numbers][::-1], showgrid=False)
    figure.update_xaxes(**style.per_cent_axis(_("accuracy"), nticks=6))
    table = Table(
        (_("experiment"), _("training, %"), _("validation, %"), _("gap, points")),
        tuple(
            (
                one.name,
                f"{100 * one.training:.2f}",
                f"{100 * one.validation:.2f}",
                f"{100 * (one.training - one.validation):+.2f}",
            )
            for one in numbers
        ),
    )
    summary = _("For each of {count} experiments its accuracy on training and on validation images.")
    return Figure(title, figure, summary.format(count=len(numbers)), table)


def run_numbers(run: Run | StoredRun, *, key: str = "val_accuracy") -> Curves:
    """Return the curve of one run, beside that of its training images for a key of validation."""
    keys = (key.removeprefix("val_"), key) if key.startswith("val_") else (key,)
    curves = tuple(
        Curve(name, name, tuple(Interval(value, None, None, None, 1) for value in run.history[name]), 1)
        for name in keys
    )
    return Curves(_("seed {seed}").format(seed=run.seed), key, curves)


learning_curves = Kind(curve_numbers, draw_curves)
run_curves = Kind(run_numbers, draw_curves)
gap = Kind(gap_numbers, draw_gap)
