"""Inside the network: what hidden layers give, where images lie, the way between two seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurona.errors import UsageError
from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.figures.images import Sprite, sprite
from neurona.figures.subject import inspected
from neurona.i18n import _, ngettext
from neurona.insight import (
    Activity,
    PathPoint,
    Projection,
    activations,
    activity,
    loss_path,
    principal_components,
)

__all__ = [
    "ActivityOf",
    "EmbeddingOf",
    "PathOf",
    "activation_histograms",
    "embedding",
    "path_between_seeds",
]


@dataclass(frozen=True)
class ActivityOf:
    """The activity of each hidden layer of one seed's network. images: how many it was measured on."""

    subject: str
    layers: tuple[Activity, ...]
    images: int


def activity_numbers(source: Any, *, images: int = 2_000, **which: Any) -> ActivityOf:
    """Return what the hidden layers give for the first `images` validation images; see `inspected`."""
    subject = inspected(source, **which)
    chosen = subject.data.validation.images[:images]
    given = activations(subject.network, subject.parameters[subject.seed], chosen)
    layers = tuple(activity(one, name) for one, name in zip(given, subject.network.activations, strict=True))
    return ActivityOf(subject.shown_seed, layers, len(chosen))


def draw_activity(numbers: ActivityOf) -> Figure:
    """Draw the histogram of each hidden layer's outputs, one above the other on one axis."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    title = _("What the hidden layers of {subject} give").format(subject=numbers.subject)
    count = max(len(numbers.layers), 1)
    figure = make_subplots(rows=count, cols=1, shared_xaxes=True, vertical_spacing=0.25 / count)
    figure.update_layout(style.blank(title, height=70 + 105 * count, bargap=0.05, showlegend=False).layout)
    for index, layer in enumerate(numbers.layers):
        middles = (layer.edges[1:] + layer.edges[:-1]) / 2
        shares = layer.counts / max(int(layer.counts.sum()), 1)
        figure.add_trace(
            go.Bar(
                x=middles.tolist(),
                y=(100 * shares).tolist(),
                marker={"color": style.BLUE, "line": {"width": 0}},
                hovertemplate=_("outputs of about %{x:.3g}: %{y:.2f} %") + "<extra></extra>",
            ),
            row=index + 1,
            col=1,
        )
        figure.add_annotation(
            text=_layer_name(index, layer),
            xref="x domain" if index == 0 else f"x{index + 1} domain",
            yref="y domain" if index == 0 else f"y{index + 1} domain",
            x=1,
            y=1,
            xanchor="right",
            yanchor="top",
        )
    figure.update_yaxes(type="log", tickvals=[0.01, 1, 100], ticktext=["0.01 %", "1 %", "100 %"], range=[-3.5, 2.3])
    figure.update_xaxes(title={"text": _("output of a unit for an image")}, row=count, col=1)
    table = Table(
        (_("layer"), _("units"), _("activation"), _("outputs that are 0"), _("dead units"), _("saturated units")),
        tuple(
            (
                str(index + 1),
                str(layer.units),
                layer.activation,
                f"{100 * layer.zeros:.1f} %",
                str(len(layer.dead)),
                "–" if layer.saturated is None else str(len(layer.saturated)),
            )
            for index, layer in enumerate(numbers.layers)
        ),
    )
    summary = _("How often the units of each of {count} hidden layers give how much, over {images} images.")
    return Figure(title, figure, summary.format(count=len(numbers.layers), images=f"{numbers.images:,}"), table)


def _layer_name(index: int, layer: Activity) -> str:
    sentence = ngettext(
        "layer {number}: {units} unit, {activation}", "layer {number}: {units} units, {activation}", layer.units
    )
    return sentence.format(number=index + 1, units=layer.units, activation=layer.activation)


@dataclass(frozen=True)
class EmbeddingOf:
    """Where a hidden layer puts validation images. layer: from 1. thumbnails: of the images, in their order."""

    subject: str
    layer: int
    class_names: tuple[str, ...]
    labels: tuple[int, ...]
    answers: tuple[int, ...]
    found: Projection
    thumbnails: Sprite


def embedding_numbers(source: Any, *, layer: int | None = None, images: int = 1_000, **which: Any) -> EmbeddingOf:
    """Return the first two principal components of a hidden layer, the last unless given, over validation images."""
    subject = inspected(source, **which)
    depth = len(subject.network.hidden)
    wanted = depth if layer is None else layer
    if not 1 <= wanted <= depth:
        sentence = _("layer must be between 1 and the {count} hidden layers of the network, but is {layer}.")
        raise UsageError(sentence.format(count=depth, layer=wanted))
    split = subject.data.validation
    chosen = split.images[:images]
    given = activations(subject.network, subject.parameters[subject.seed], chosen)[wanted - 1]
    answers = subject.answers[subject.seed].predicted[: len(chosen)]
    return EmbeddingOf(
        subject.shown_seed,
        wanted,
        subject.data.class_names,
        tuple(map(int, split.labels[: len(chosen)])),
        tuple(map(int, answers)),
        principal_components(given),
        sprite(chosen),
    )


def draw_embedding(numbers: EmbeddingOf) -> Figure:
    """Draw a mark for each image, coloured and shaped by its class; the report shows the image under the pointer."""
    import plotly.graph_objects as go

    title = _("What layer {layer} of {subject} makes of the images").format(
        layer=numbers.layer, subject=numbers.subject
    )
    figure = style.blank(title, height=420)
    labels, answers = np.array(numbers.labels), np.array(numbers.answers)
    with_text = len(numbers.class_names) <= _MOST_LETTERS and all(len(name) <= 2 for name in numbers.class_names)
    names = [style.plain(name) for name in numbers.class_names]
    for index, name in enumerate(names):
        own = np.flatnonzero(labels == index)
        if not len(own):
            continue
        colour = style.COLOURS[index % len(style.COLOURS)]
        figure.add_trace(
            go.Scatter(
                x=np.round(numbers.found.places[own, 0], 3).tolist(),
                y=np.round(numbers.found.places[own, 1], 3).tolist(),
                mode="text" if with_text else "markers",
                text=[name] * len(own) if with_text else None,
                textfont={"color": colour, "size": 11},
                name=name,
                showlegend=not with_text and len(numbers.class_names) <= _MOST_LETTERS,
                marker={
                    "color": colour,
                    "size": 7,
                    "opacity": 0.8,
                    "symbol": style.SYMBOLS[index % len(style.SYMBOLS)],
                },
                customdata=[[int(place), names[answers[place]]] for place in own],
                hovertemplate=_("image %{customdata[0]}: <b>{name}</b>, answer %{customdata[1]}").replace(
                    "{name}", name
                )
                + "<extra></extra>",
            )
        )
    shares = numbers.found.shares
    for axis, number in ((figure.update_xaxes, 0), (figure.update_yaxes, 1)):
        text = _("component {number} (variance: {share:.0f} %)")
        axis(title={"text": text.format(number=number + 1, share=100 * shares[number])}, showticklabels=False, ticks="")
    figure.update_layout(meta={"sprite": vars(numbers.thumbnails)})
    right = float((labels == answers).mean())
    table = Table(
        (_("component"), _("share of the variance")),
        tuple((str(number), f"{100 * share:.1f} %") for number, share in enumerate(shares, 1)),
    )
    summary = _("{images} validation images on the first two principal components; answered right: {right:.1f} %.")
    return Figure(title, figure, summary.format(images=f"{len(labels):,}", right=100 * right), table)


_MOST_LETTERS = 12


@dataclass(frozen=True)
class PathOf:
    """Loss and accuracy on the line between the weights of two seeds. images: how many it was measured on."""

    subject: str
    seeds: tuple[int, int]
    points: tuple[PathPoint, ...]
    images: int


def path_numbers(source: Any, *, images: int = 2_000, **which: Any) -> PathOf:
    """Return the line between the weights of the two lowest seeds, over the first `images` validation images."""
    subject = inspected(source, **which)
    if len(subject.parameters) < 2:
        raise UsageError(
            _("a line between two seeds needs two complete runs, but {name} has one.").format(name=subject.name)
        )
    first, second = sorted(subject.parameters)[:2]
    split = subject.data.validation
    points = loss_path(
        subject.network,
        subject.parameters[first],
        subject.parameters[second],
        split.images[:images],
        split.labels[:images],
    )
    return PathOf(subject.name, (first, second), points, min(images, len(split)))


def draw_path(numbers: PathOf) -> Figure:
    """Draw loss above accuracy along the line."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    title = _("From seed {first} to seed {second} of {subject} in a straight line").format(
        first=numbers.seeds[0], second=numbers.seeds[1], subject=numbers.subject
    )
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    figure.update_layout(style.blank(title, height=360, showlegend=False).layout)
    positions = [point.position for point in numbers.points]
    for row, values, colour, form in (
        (1, [point.loss for point in numbers.points], style.ORANGE, "%{y:.3f}"),
        (2, [100 * point.accuracy for point in numbers.points], style.BLUE, "%{y:.1f} %"),
    ):
        figure.add_trace(
            go.Scatter(
                x=positions,
                y=values,
                mode="lines+markers",
                line={"color": colour, "width": 2.2},
                marker={"size": 5},
                hovertemplate=f"{form}<extra></extra>",
            ),
            row=row,
            col=1,
        )
    figure.update_yaxes(title={"text": _("loss (nats)")}, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(**style.per_cent_axis(_("accuracy")), range=[0, 105], row=2, col=1)
    figure.update_xaxes(
        row=2,
        col=1,
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=[
            _("seed {seed}").format(seed=numbers.seeds[0]),
            "25 %",
            _("halfway"),
            "75 %",
            _("seed {seed}").format(seed=numbers.seeds[1]),
        ],
    )
    table = Table(
        (_("way"), _("loss (nats)"), _("accuracy, %")),
        tuple((f"{100 * p.position:.0f} %", f"{p.loss:.4f}", f"{100 * p.accuracy:.2f}") for p in numbers.points),
    )
    summary = _("Loss and accuracy on {images} validation images along the line between the weights of two seeds.")
    return Figure(title, figure, summary.format(images=f"{numbers.images:,}"), table)


activation_histograms = Kind(activity_numbers, draw_activity)
embedding = Kind(embedding_numbers, draw_embedding)
path_between_seeds = Kind(path_numbers, draw_path)
