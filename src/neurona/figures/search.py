"""A search: how it went, which settings mattered, where the good values are, and the front of two objectives."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.i18n import _, ngettext

if TYPE_CHECKING:  # Optuna is loaded by who has a search
    import plotly.graph_objects as go

    from neurona.search import ContourData, FrontData, HistoryData, Objective, ParallelData, Searched, SliceData

__all__ = [
    "ContourOf",
    "FrontOf",
    "HistoryOf",
    "Importances",
    "ParallelOf",
    "SliceOf",
    "search_contour",
    "search_front",
    "search_history",
    "search_importances",
    "search_parallel",
    "search_slice",
]

_FEW_DECADES = 1.5  # as many have room for marks at 1, 2 and 5; more for the powers of ten alone
_MOST_ROWS = 12  # of trials in a table; the best ones
_MOST_AXES = 6  # of parallel coordinates, beside that of what was reached
_SPREADS = 3.0  # distances from the best to the median; what is further off than that stands at the edge


@dataclass(frozen=True)
class HistoryOf:
    """How the search called `name` went."""

    name: str
    objective: Objective
    found: HistoryData


def history_numbers(searched: Searched) -> HistoryOf:
    """Return the trials of a search in order, and the best value so far."""
    from neurona.search import history

    return HistoryOf(searched.name, searched.objective, history(searched))


def draw_history(numbers: HistoryOf) -> Figure:
    """Draw a mark for each trial and a line for the best complete one so far."""
    import plotly.graph_objects as go

    title = _("How {search} went").format(search=_called(numbers.name))
    figure = style.blank(title, height=320)
    found, objective = numbers.found, numbers.objective
    for state, name, colour, symbol in (
        ("complete", _("complete"), style.BLUE, "circle"),
        ("pruned", _("pruned"), style.GREY, "x-thin-open"),
    ):
        own = [i for i, each in enumerate(found.states) if each == state and _is_finite(found.scores[i])]
        figure.add_trace(
            go.Scatter(
                x=[found.numbers[i] for i in own],
                y=[_scaled(found.scores[i], objective) for i in own],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 7, "symbol": symbol, "line": {"width": 1.5}},
                hovertemplate=f"<b>%{{x}}</b>: %{{y:.4~f}}{_unit(objective)}<extra>{name}</extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=found.numbers,
            y=[_scaled(value, objective) if _is_finite(value) else None for value in found.best],
            mode="lines",
            line={"color": style.ORANGE, "width": 2.2, "shape": "hv"},
            name=_("the best so far"),
            hoverinfo="skip",
        )
    )
    figure.update_xaxes(title={"text": _("trial")})
    far = _look_closer(figure, [_scaled(score, objective) for score in found.scores if _is_finite(score)], objective)
    order = sorted(
        (i for i, value in enumerate(found.scores) if _is_finite(value)),
        key=lambda i: _scaled(found.scores[i], objective) * (-1 if _is_up(objective) else 1),
    )
    table = Table(
        (_("trial"), _("state"), _title(objective)),
        tuple(
            (str(found.numbers[i]), _state(found.states[i]), objective.shown(found.scores[i] or 0.0))
            for i in order[:_MOST_ROWS]
        ),
    )
    summary = _("What each of {count} trials reached, in order, and the best so far.")
    return Figure(title, figure, summary.format(count=len(found.numbers)) + far, table)


def _state(state: str) -> str:
    return {
        "complete": _("complete"),
        "pruned": _("pruned"),
        "failed": _("failed"),
        "running": _("running"),
    }[state]


@dataclass(frozen=True)
class Importances:
    """How much each setting did, key and part of 1, the greatest first; empty with too few trials."""

    name: str
    parts: tuple[tuple[str, float], ...]


def importance_numbers(searched: Searched) -> Importances:
    """Return how much each setting did to be among the best trials; see `search.explain`."""
    from neurona.search import explain

    return Importances(searched.name, tuple(explain(searched).importances.items()))


def draw_importances(numbers: Importances) -> Figure:
    """Draw a bar for each setting."""
    import plotly.graph_objects as go

    title = _("Which settings mattered in {search}").format(search=_called(numbers.name))
    figure = style.blank(title, height=60 + 30 * max(len(numbers.parts), 2), showlegend=False)
    keys = [style.plain(key) for key, _part in numbers.parts]
    figure.add_trace(
        go.Bar(
            x=[100 * part for _key, part in numbers.parts],
            y=keys,
            orientation="h",
            marker={"color": style.BLUE},
            hovertemplate="<b>%{y}</b>: %{x:.0f} %<extra></extra>",
        )
    )
    figure.update_yaxes(categoryorder="array", categoryarray=keys[::-1], showgrid=False)
    figure.update_xaxes(**style.per_cent_axis(_("part of what the settings do together")))
    table = Table(
        (_("setting"), _("part of what the settings do together")),
        tuple((key, f"{100 * part:.0f} %") for key, part in numbers.parts),
    )
    summary = _("How much each of {count} settings did, the greatest first.")
    return Figure(title, figure, summary.format(count=len(keys)), table)


@dataclass(frozen=True)
class SliceOf:
    """One setting of the search called `name` against what was reached."""

    name: str
    objective: Objective
    found: SliceData


def slice_numbers(searched: Searched, key: str) -> SliceOf:
    """Return the values of the setting `key` with what their trials reached."""
    from neurona.search import slices

    return SliceOf(searched.name, searched.objective, slices(searched, key))


def draw_slice(numbers: SliceOf) -> Figure:
    """Draw a mark for each trial; who came later is darker."""
    import plotly.graph_objects as go

    found, objective = numbers.found, numbers.objective
    title = found.key
    figure = style.blank(title, height=260, showlegend=False)
    newest = max(found.numbers, default=0) or 1
    figure.add_trace(
        go.Scatter(
            x=[_plain(value) for value in found.values],
            y=[_scaled(score, objective) for score in found.scores],
            mode="markers",
            marker={
                "color": style.BLUE,
                "size": 8,
                "opacity": [0.35 + 0.65 * number / newest for number in found.numbers],
            },
            customdata=found.numbers,
            hovertemplate=_("trial %{customdata}: %{x}, %{y:.4~f}") + _unit(objective) + "<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": found.key}, **_scale(found.values, found.log))
    far = _look_closer(figure, [_scaled(score, objective) for score in found.scores], objective)
    order = _best(found.scores, objective)
    table = Table(
        (_("trial"), found.key, _title(objective)),
        tuple((str(found.numbers[i]), _said(found.values[i]), objective.shown(found.scores[i])) for i in order),
    )
    summary = _("What {count} trials reached against {key}; later trials are darker.")
    return Figure(title, figure, summary.format(count=len(found.numbers), key=found.key) + far, table)


@dataclass(frozen=True)
class ContourOf:
    """Two settings of the search called `name`, and what was reached."""

    name: str
    objective: Objective
    found: ContourData


def contour_numbers(searched: Searched, first: str, second: str) -> ContourOf:
    """Return the trials by two of their settings."""
    from neurona.search import contour

    return ContourOf(searched.name, searched.objective, contour(searched, first, second))


def draw_contour(numbers: ContourOf) -> Figure:
    """Draw a mark for each trial where its settings are, the stronger the better: no surface is made up between."""
    import plotly.graph_objects as go

    found, objective = numbers.found, numbers.objective
    title = _("{first} and {second} together").format(first=found.keys[0], second=found.keys[1])
    figure = style.blank(title, height=360, showlegend=False)
    ranks = {place: rank for rank, place in enumerate(_ranked(found.scores, objective))}
    last = max(len(ranks) - 1, 1)
    strength = [1.0 - ranks[i] / last for i in range(len(found.scores))]
    figure.add_trace(
        go.Scatter(
            x=[_plain(value) for value in found.first],
            y=[_plain(value) for value in found.second],
            mode="markers",
            marker={
                "color": style.BLUE,
                "size": [6 + 12 * part for part in strength],
                "opacity": [0.25 + 0.7 * part for part in strength],
                "line": {"width": 0},
            },
            customdata=[[n, objective.shown(s)] for n, s in zip(found.numbers, found.scores, strict=True)],
            hovertemplate=_("trial %{customdata[0]}: %{customdata[1]}") + "<br>%{x}, %{y}<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": found.keys[0]}, **_scale(found.first, found.log[0]))
    figure.update_yaxes(title={"text": found.keys[1]}, **_scale(found.second, found.log[1]))
    table = Table(
        (_("trial"), *found.keys, _title(objective)),
        tuple(
            (str(found.numbers[i]), _said(found.first[i]), _said(found.second[i]), objective.shown(found.scores[i]))
            for i in _best(found.scores, objective)
        ),
    )
    summary = _("{count} trials by {first} and {second}; the larger and the stronger a mark, the better the trial.")
    text = summary.format(count=len(found.numbers), first=found.keys[0], second=found.keys[1])
    return Figure(title, figure, text, table)


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
    title = _("The trials of {search} across their settings").format(search=_called(numbers.name))
    figure = style.blank(title, height=340)
    order = _ranked(found.scores, objective)
    best = set(order[: max(1, len(order) // 5)])
    axes = [
        *(_Axis.of(key, [line[i] for line in found.lines], log=found.log[i]) for i, key in enumerate(found.axes)),
        _Axis.of(_title(objective), [_scaled(score, objective) for score in found.scores], log=False),
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
        (_("trial"), *found.axes, _title(objective)),
        tuple(
            (str(found.numbers[i]), *map(_said, found.lines[i]), objective.shown(found.scores[i]))
            for i in _best(found.scores, objective)
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
        if not values or not all(_is_number(value) for value in values):
            names = list(dict.fromkeys(map(_said, sorted(values, key=_in_order))))
            middle = [(i + 0.5) / len(names) for i in range(len(names))]
            places = dict(zip(names, middle, strict=True))
            return cls(
                key,
                tuple(values),
                tuple(places[_said(value)] for value in values),
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
    if _is_number(value):
        return 1, float(value), ""
    return (0, 0.0, "") if value is None else (2, 0.0, str(value))


def _said_of(numbers: ParallelOf, trial: int, axis: _Axis) -> str:
    value = style.plain(_said(axis.values[trial]))
    return _("trial {number}: {key} = {value}").format(
        number=numbers.found.numbers[trial], key=style.plain(axis.key), value=value
    )


def _short(key: str) -> str:
    """Return the part of a setting's key that says what it is."""
    parts = key.split(".")
    return parts[-2] if parts[-1] == "name" else parts[-1]


@dataclass(frozen=True)
class FrontOf:
    """The complete trials of the search called `name` by accuracy and parameters."""

    name: str
    found: FrontData


def front_numbers(searched: Searched) -> FrontOf:
    """Return the complete trials by their two objectives, and which of them no other beats in both."""
    from neurona.search import front

    return FrontOf(searched.name, front(searched))


def draw_front(numbers: FrontOf) -> Figure:
    """Draw accuracy against parameters, and the front as a line."""
    import plotly.graph_objects as go

    title = _("Accuracy against parameters in {search}").format(search=_called(numbers.name))
    figure = style.blank(title, height=360)
    found = numbers.found
    others = [i for i, on_front in enumerate(found.on_front) if not on_front]
    best = sorted((i for i, on_front in enumerate(found.on_front) if on_front), key=lambda i: found.second[i])
    for name, own, colour, mode in (
        (_("beaten in both"), others, style.GREY, "markers"),
        (_("the front"), best, style.ORANGE, "lines+markers"),
    ):
        figure.add_trace(
            go.Scatter(
                x=[found.second[i] for i in own],
                y=[100 * found.first[i] for i in own],
                mode=mode,
                name=name,
                line={"shape": "hv", "color": colour, "width": 2},
                marker={"color": colour, "size": 8},
                customdata=[found.numbers[i] for i in own],
                hovertemplate=_("trial %{customdata}: %{y:.2f} %, %{x:,} parameters") + "<extra></extra>",
            )
        )
    figure.update_xaxes(title={"text": _("parameters")}, **_scale(found.second, log=True) | {"tickformat": ",~s"})
    figure.update_yaxes(**style.per_cent_axis(_("validation accuracy")))
    far = _look_closer(figure, [100 * value for value in found.first])
    table = Table(
        (_("trial"), _("parameters"), _("val. accuracy %")),
        tuple((str(found.numbers[i]), f"{found.second[i]:,.0f}", f"{100 * found.first[i]:.2f}") for i in best),
    )
    summary = _("{count} trials by accuracy and parameters; {best} of them are beaten in both by no other.")
    return Figure(title, figure, summary.format(count=len(found.numbers), best=len(best)) + far, table)


def _called(name: str) -> str:
    """Return what a search is called in a sentence."""
    return _("the search") if name == "search" else _("the search “{name}”").format(name=name)


def _title(objective: Objective) -> str:
    if objective.name == "val_loss":
        return _("validation loss (nats)")
    return _("seconds to the target") if objective.name == "seconds" else _("validation accuracy")


def _is_per_cent(objective: Objective) -> bool:
    return objective.name not in ("val_loss", "seconds")


def _unit(objective: Objective) -> str:
    return " %" if _is_per_cent(objective) else ""


def _axis(objective: Objective) -> dict[str, Any]:
    return {"title": {"text": _title(objective)}, "ticksuffix": _unit(objective)}


def _scaled(score: float | None, objective: Objective) -> float:
    return math.nan if score is None else score * (100 if _is_per_cent(objective) else 1)


def _look_closer(figure: go.Figure, scores: Sequence[float], objective: Objective | None = None) -> str:
    """Let the axis end where the trials that failed badly begin, and put those on its edge; return a sentence on them.

    Worse than the best by `_SPREADS` times what the median is, a trial says no more than that it failed.
    """
    if objective is not None:
        figure.update_yaxes(**_axis(objective))
    known = sorted((score for score in scores if math.isfinite(score)), reverse=objective is None or _is_up(objective))
    if len(known) < _MOST_ROWS:
        return ""
    best, median = known[0], known[len(known) // 2]
    edge = best + _SPREADS * (median - best)

    def is_far(value: float) -> bool:
        return value < edge if best > edge else value > edge

    count = sum(map(is_far, known))
    if not count:
        return ""
    symbol = "triangle-down" if best > edge else "triangle-up"
    for trace in figure.data:
        if trace.y is None:
            continue
        far = [value is not None and is_far(value) for value in trace.y]
        if trace.mode == "markers":
            trace.marker.symbol = [symbol if each else trace.marker.symbol or "circle" for each in far]
            trace.text = [f"{value:.4g}" for value in trace.y]
            trace.hovertemplate = re.sub(r"%\{y:[^}]*\}", "%{text}", trace.hovertemplate)
        trace.y = [edge if each else value for value, each in zip(trace.y, far, strict=True)]
    room = 0.06 * (best - edge)
    figure.update_yaxes(range=sorted((edge - room, best + room)))
    sentence = ngettext(
        "The triangle at the edge stands for one that is worse than {edge}.",
        "The triangles at the edge stand for {count} that are worse than {edge}.",
        count,
    )
    unit = " %" if objective is None else _unit(objective)
    return " " + sentence.format(count=count, edge=f"{edge:.4g}{unit}")


def _is_up(objective: Objective) -> bool:
    return objective.directions[0] == "maximize"


def _scale(values: Sequence[Any], log: bool) -> dict[str, Any]:
    numbers = all(_is_number(value) for value in values)
    if log and numbers:
        decades = math.log10(max(values) / min(values)) if values else 0.0
        return {"type": "log", "tickformat": "~g", "dtick": 1 if decades > _FEW_DECADES else "D2"}
    return {} if numbers else {"type": "category"}


def _ranked(scores: Sequence[float], objective: Objective) -> list[int]:
    """Return the places of `scores`, the best one first."""
    sign = -1 if _is_up(objective) else 1
    return sorted(range(len(scores)), key=lambda i: sign * scores[i])


def _best(scores: Sequence[float], objective: Objective) -> list[int]:
    return _ranked(scores, objective)[:_MOST_ROWS]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _plain(value: Any) -> Any:
    return value if _is_number(value) else style.plain(_said(value))


def _said(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


search_history = Kind(history_numbers, draw_history)
search_importances = Kind(importance_numbers, draw_importances)
search_slice = Kind(slice_numbers, draw_slice)
search_contour = Kind(contour_numbers, draw_contour)
search_parallel = Kind(parallel_numbers, draw_parallel)
search_front = Kind(front_numbers, draw_front)
