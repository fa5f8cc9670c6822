"""How large the weights of each layer are, and the gradient there: epoch by epoch, and at the end of training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.figures.subject import inspected
from neurona.i18n import _
from neurona.insight import norms
from neurona.run import Norms

__all__ = ["NormCurves", "NormsOf", "Spread", "layer_norms", "norm_curves"]

_FEW = 12  # epochs that have a mark each


@dataclass(frozen=True)
class Spread:
    """What several seeds gave: the geometric mean, the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of `values`, positive numbers; all NaN where one of them is none."""
        found = tuple(values)
        if not all(0 < value < math.inf for value in found):
            return cls(math.nan, math.nan, math.nan)
        return cls(math.exp(math.fsum(map(math.log, found)) / len(found)), min(found), max(found))


@dataclass(frozen=True)
class NormCurves:
    """Norms of weights and of gradients at the end of each epoch: a row for each layer, the output last.

    seeds: those whose norms are known; without any, there are no rows.
    first: the first epoch that all of them have norms of; from 1.
    """

    subject: str
    seeds: tuple[int, ...]
    first: int
    weights: tuple[tuple[Spread, ...], ...]
    gradients: tuple[tuple[Spread, ...], ...]


def curve_numbers(source: Any, **which: Any) -> NormCurves:
    """Return the norms that were kept while training, as far as every seed has them; see `inspected`."""
    subject = inspected(source, **which)
    known = {seed: found for seed, found in sorted(subject.norms.items()) if any(found)}
    if not known:
        return NormCurves(subject.name, (), 1, (), ())
    first = max(next(index for index, layers in enumerate(found) if layers) for found in known.values())
    last = min(map(len, known.values()))
    epochs = [[found[epoch] for found in known.values()] for epoch in range(first, last)]
    layers = range(len(subject.network.hidden) + 1)

    def rows(key: str) -> tuple[tuple[Spread, ...], ...]:
        return tuple(
            tuple(Spread.of(getattr(seed[layer], key) for seed in seeds) for seeds in epochs) for layer in layers
        )

    return NormCurves(subject.name, tuple(known), first + 1, rows("weights"), rows("gradients"))


def draw_curves(numbers: NormCurves) -> Figure:
    """Draw a line for each layer, from the lowest to the highest seed a band: weights above, gradients below."""
    from plotly.subplots import make_subplots

    title = _("Norms of weights and gradients of {subject}, epoch by epoch").format(subject=numbers.subject)
    if not numbers.seeds:
        return _without_norms(title)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    figure.update_layout(style.blank(title, height=440).layout)
    names = _layer_names(len(numbers.weights))
    epochs = list(range(numbers.first, numbers.first + len(numbers.weights[0])))
    for row, (rows, axis) in enumerate(
        ((numbers.weights, _("weights: norm")), (numbers.gradients, _("gradient: norm"))), 1
    ):
        for index, (name, points) in enumerate(zip(names, rows, strict=True)):
            _add_layer(figure, row, index, name, epochs, points, band=len(numbers.seeds) > 1)
        figure.update_yaxes(type="log", title={"text": axis}, tickformat="~g", row=row, col=1)
        ends = [end for points in rows for point in points for end in (point.low, point.high) if end > 0]
        marks = "D2" if ends and max(ends) < 50 * min(ends) else 1  # at 1, 2 and 5 times a power of ten, or at powers
        figure.update_yaxes(minor={"showgrid": False}, dtick=marks, row=row, col=1)
    figure.update_xaxes(**({"dtick": 1} if len(epochs) <= 12 else {}))
    figure.update_xaxes(title={"text": _("epoch")}, row=2, col=1)
    shown = _shown(len(epochs))
    table = Table(
        (_("norm"), *(_("epoch {number}").format(number=epochs[place]) for place in shown)),
        tuple(
            (form.format(layer=name), *(f"{points[place].middle:.3g}" for place in shown))
            for form, rows in ((_("{layer}: weights"), numbers.weights), (_("{layer}: gradient"), numbers.gradients))
            for name, points in zip(names, rows, strict=True)
        ),
    )
    summary = _("Euclidean norm of the weights and of the loss's gradient in each of {layers} layers, epoch by epoch.")
    return Figure(title, figure, summary.format(layers=len(names)), table)


def _add_layer(
    figure: Any, row: int, index: int, name: str, epochs: list[int], points: Sequence[Spread], *, band: bool
) -> None:
    import plotly.graph_objects as go

    colour = style.COLOURS[index % len(style.COLOURS)]
    if band:
        figure.add_trace(
            go.Scatter(
                x=epochs + epochs[::-1],
                y=[point.high for point in points] + [point.low for point in points][::-1],
                fill="toself",
                fillcolor=style.faded(colour),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=name,
            ),
            row=row,
            col=1,
        )
    figure.add_trace(
        go.Scatter(
            x=epochs,
            y=[point.middle for point in points],
            mode="lines+markers" if len(epochs) <= _FEW else "lines",
            name=name,
            legendgroup=name,
            showlegend=row == 1,
            line={"color": colour, "width": 2.2, "dash": style.DASHES[index % len(style.DASHES)]},
            marker={"size": 7, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)]},
            customdata=[[point.low, point.high] for point in points],
            hovertemplate=f"<b>{name}</b><br>"
            + _("epoch")
            + " %{x}: %{y:.3g}"
            + (" (%{customdata[0]:.3g} – %{customdata[1]:.3g})" if band else "")
            + "<extra></extra>",
        ),
        row=row,
        col=1,
    )


def _shown(count: int) -> list[int]:
    """Return which of `count` epochs a table has columns for: all, or eight of many."""
    return list(range(count)) if count <= 10 else sorted({round(step * (count - 1) / 7) for step in range(8)})


def _without_norms(title: str) -> Figure:
    text = _("No norms were kept of these runs: Keras trained them, or an older Neurona.")
    figure = style.blank(title, height=160, xaxis={"visible": False}, yaxis={"visible": False})
    figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper")
    return Figure(title, figure, text, Table((_("norm"),), ()))


@dataclass(frozen=True)
class NormsOf:
    """Size of weights and gradients of each layer at the end of training; seed -> layers. The output comes last."""

    subject: str
    seeds: tuple[int, ...]
    layers: tuple[Norms, ...]


def norm_numbers(source: Any, *, images: int = 2_000, **which: Any) -> NormsOf:
    """Return the norm of each layer's weights, and of the gradient there on the first `images` training images."""
    subject = inspected(source, **which)
    split = subject.data.train
    seeds = tuple(sorted(subject.parameters))[:5]
    layers = tuple(
        norms(subject.network, subject.parameters[seed], split.images[:images], split.labels[:images]) for seed in seeds
    )
    return NormsOf(subject.name, seeds, layers)


def draw_norms(numbers: NormsOf) -> Figure:
    """Draw the norms of weights and of gradients, a mark for each seed, layer by layer."""
    import plotly.graph_objects as go

    title = _("Norms of weights and gradients of {subject}, layer by layer").format(subject=numbers.subject)
    figure = style.blank(title, height=300)
    names = _layer_names(len(numbers.layers[0]))
    for key, name, colour, symbol in (
        ("weights", _("weights"), style.BLUE, "circle"),
        ("gradients", _("gradient of the loss"), style.ORANGE, "diamond"),
    ):
        values = np.array([[getattr(layer, key) for layer in layers] for layers in numbers.layers])
        figure.add_trace(
            go.Scatter(
                x=names,
                y=np.exp(np.log(np.maximum(values, 1e-30)).mean(axis=0)).tolist(),
                mode="lines",
                line={"color": colour, "width": 2},
                showlegend=False,
                hoverinfo="skip",
                legendgroup=key,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=names * len(values),
                y=values.ravel().tolist(),
                mode="markers",
                name=name,
                legendgroup=key,
                marker={"color": colour, "size": 8, "symbol": symbol, "opacity": 0.75},
                customdata=[seed for seed in numbers.seeds for _name in names],
                hovertemplate=f"<b>%{{x}}</b><br>{name}: %{{y:.3~g}}<br>" + _("seed %{customdata}") + "<extra></extra>",
            )
        )
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names, showgrid=False)
    figure.update_yaxes(type="log", title={"text": _("norm")}, dtick=1, tickformat="~g")
    table = Table(
        (
            _("layer"),
            *(_("weights, seed {seed}").format(seed=seed) for seed in numbers.seeds),
            *(_("gradient, seed {seed}").format(seed=seed) for seed in numbers.seeds),
        ),
        tuple(
            (
                name,
                *(f"{layers[index].weights:.3g}" for layers in numbers.layers),
                *(f"{layers[index].gradients:.3g}" for layers in numbers.layers),
            )
            for index, name in enumerate(names)
        ),
    )
    summary = _("Euclidean norm of the weights and of the loss's gradient in each layer, after training.")
    return Figure(title, figure, summary, table)


def _layer_names(count: int) -> list[str]:
    return [*(_("layer {number}").format(number=number) for number in range(1, count)), _("output")]


norm_curves = Kind(curve_numbers, draw_curves)
layer_norms = Kind(norm_numbers, draw_norms)
