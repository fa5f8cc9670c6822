"""Parallel coordinates of a search: an axis a setting, a line a trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.figures.trials import best_of, called, is_number, ranked, said, scaled, title_of
from neurona.i18n import _

if TYPE_CHECKING:  # Optuna is loaded by who has a search
    from neurona.search import Objective, ParallelData, Searched

__all__ = ["ParallelOf", "search_parallel"]

_MOST_AXES = 6  # of settings, beside that of what was reached


@dataclass(frozen=True)
class ParallelOf:
    """The trials of the search called `name` across its settings."""

    name: str
    objective: Objective
    found: ParallelData


def parallel_numbers(searched: Searched, keys: tuple[str, ...] = ()) -> ParallelOf:
    """Return the trials across the settings `keys`; across those that mattered most, unless given."""
    from neurona.search import explain, parallel

    keys = keys or tuple(explain(searched).importances)[:_MOST_AXES]
    return ParallelOf(searched.name, searched.objective, parallel(searched, keys))


def draw_parallel(numbers: ParallelOf) -> Figure:
    """Draw an axis for each setting and a line for each trial, orange for the best fifth."""
    import plotly.graph_objects as go

    found, objective = numbers.found, numbers.objective
    title = _("The trials of {search} across their settings").format(search=called(numbers.name))
    figure = style.blank(title, height=340)
    order = ranked(found.scores, objective)
    best = set(order[: max(1, len(order) // 5)])
    axes = [
        *(_Axis.of(key, [line[i] for line in found.lines], log=found.log[i]) for i, key in enumerate(found.axes)),
        _Axis.of(title_of(objective), [scaled(score, objective) for score in found.scores], log=False),
    ]
    for name, own, colour, width in (
        (_("trial"), [i for i in order if i not in best], style.FAINT, 1.2),
        (_("the best fifth"), [i for i in order if i in best], style.ORANGE, 2.0),
    ):
        figure.add_trace(
            go.Scatter(
                x=[x for _i in own for x in (*range(len(axes)), None)],
                y=[y for i in own for y in (*(axis.places[i] for axis in axes), None)],
                mode="lines",
                line={"color": colour, "width": width},
                name=name,
                text=[text for i in own for text in (*(_said_of(numbers, i, axis) for axis in axes), None)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    for x, axis in enumerate(axes):
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, layer="below")
        for place, text in axis.marks:
            figure.add_annotation(
                x=x, y=place, text=style.plain(text), xanchor="right", xshift=-5, bgcolor="rgba(0,0,0,0)"
            )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[style.plain(_short(axis.key)) for axis in axes],
        range=[-0.6, len(axes) - 0.4],
        showgrid=False,
        showline=False,
        ticks="",
    )
    figure.update_yaxes(visible=False, range=[-0.04, 1.04])
    table = Table(
        (_("trial"), *found.axes, title_of(objective)),
        tuple(
            (str(found.numbers[i]), *map(said, found.lines[i]), objective.shown(found.scores[i]))
            for i in best_of(found.scores, objective)
        ),
    )
    summary = _("{count} trials across {settings} settings; the best fifth stands out.")
    return Figure(title, figure, summary.format(count=len(found.numbers), settings=len(found.axes)), table)


@dataclass(frozen=True)
class _Axis:
    """An axis of parallel coordinates: where each trial is on it, from 0 to 1, and its marks."""

    key: str
    values: tuple[Any, ...]
    places: tuple[float, ...]
    marks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, key: str, values: Sequence[Any], *, log: bool) -> _Axis:
        """Return the axis for `values`; what is no number, as a setting without meaning there, has its own place."""
        if not values or not all(is_number(value) for value in values):
            names = list(dict.fromkeys(map(said, sorted(values, key=_in_order))))
            middle = [(i + 0.5) / len(names) for i in range(len(names))]
            places = dict(zip(names, middle, strict=True))
            return cls(
                key,
                tuple(values),
                tuple(places[said(value)] for value in values),
                tuple(zip(middle, names, strict=True)),
            )
        log = log and min(values) > 0
        scale: Callable[[float], float] = math.log10 if log else float
        low, high = scale(min(values)), scale(max(values))
        span = high - low or 1.0
        marked = [min(values), max(values)]
        if log:
            marked[1:1] = [10.0**n for n in range(math.ceil(low + 0.15 * span), math.floor(high - 0.15 * span) + 1)]
        else:
            marked[1:1] = [(low + high) / 2]
        marks = {(scale(value) - low) / span: f"{value:.4g}" for value in marked}
        return cls(key, tuple(values), tuple((scale(value) - low) / span for value in values), tuple(marks.items()))


def _in_order(value: Any) -> tuple[int, float, str]:
    """Return what sorts the values of a setting: none, then numbers, then names."""
    if is_number(value):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def _said_of(numbers: ParallelOf, trial: int, axis: _Axis) -> str:
    value = style.plain(said(axis.values[trial]))
    return _("trial {number}: {key} = {value}").format(
        number=numbers.found.numbers[trial], key=style.plain(axis.key), value=value
    )


def _short(key: str) -> str:
    """Return the part of a setting's key that says what it is."""
    parts = key.split(".")
    return parts[-2] if parts[-1] == "name" else parts[-1]


search_parallel = Kind(parallel_numbers, draw_parallel)
