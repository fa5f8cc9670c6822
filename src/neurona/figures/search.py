"""A search: how it went, which settings mattered, where the good values are, and the front of two objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.figures.trials import (
    MOST_ROWS,
    best_of,
    called,
    is_finite,
    is_up,
    look_closer,
    plain,
    ranked,
    said,
    scale,
    scaled,
    title_of,
    unit_of,
)
from neurona.i18n import _

if TYPE_CHECKING:  # Optuna is loaded by who has a search
    from neurona.search import ContourData, FrontData, HistoryData, Objective, Searched, SliceData

__all__ = [
    "ContourOf",
    "FrontOf",
    "HistoryOf",
    "Importances",
    "SliceOf",
    "search_contour",
    "search_front",
    "search_history",
    "search_importances",
    "search_slice",
]


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

    title = _("How {search} went").format(search=called(numbers.name))
    figure = style.blank(title, height=320)
    found, objective = numbers.found, numbers.objective
    for state, name, colour, symbol in (
        ("complete", _("complete"), style.BLUE, "circle"),
        ("pruned", _("pruned"), style.GREY, "x-thin-open"),
    ):
        own = [i for i, each in enumerate(found.states) if each == state and is_finite(found.scores[i])]
        figure.add_trace(
            go.Scatter(
                x=[found.numbers[i] for i in own],
                y=[scaled(found.scores[i], objective) for i in own],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 7, "symbol": symbol, "line": {"width": 1.5}},
                hovertemplate=f"<b>%{{x}}</b>: %{{y:.4~f}}{unit_of(objective)}<extra>{name}</extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=found.numbers,
            y=[scaled(value, objective) if is_finite(value) else None for value in found.best],
            mode="lines",
            line={"color": style.ORANGE, "width": 2.2, "shape": "hv"},
            name=_("the best so far"),
            hoverinfo="skip",
        )
    )
    figure.update_xaxes(title={"text": _("trial")})
    far = look_closer(figure, [scaled(score, objective) for score in found.scores if is_finite(score)], objective)
    order = sorted(
        (i for i, value in enumerate(found.scores) if is_finite(value)),
        key=lambda i: scaled(found.scores[i], objective) * (-1 if is_up(objective) else 1),
    )
    table = Table(
        (_("trial"), _("state"), title_of(objective)),
        tuple(
            (str(found.numbers[i]), _state(found.states[i]), objective.shown(found.scores[i] or 0.0))
            for i in order[:MOST_ROWS]
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

    title = _("Which settings mattered in {search}").format(search=called(numbers.name))
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
            x=[plain(value) for value in found.values],
            y=[scaled(score, objective) for score in found.scores],
            mode="markers",
            marker={
                "color": style.BLUE,
                "size": 8,
                "opacity": [0.35 + 0.65 * number / newest for number in found.numbers],
            },
            customdata=found.numbers,
            hovertemplate=_("trial %{customdata}: %{x}, %{y:.4~f}") + unit_of(objective) + "<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": found.key}, **scale(found.values, found.log))
    far = look_closer(figure, [scaled(score, objective) for score in found.scores], objective)
    order = best_of(found.scores, objective)
    table = Table(
        (_("trial"), found.key, title_of(objective)),
        tuple((str(found.numbers[i]), said(found.values[i]), objective.shown(found.scores[i])) for i in order),
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
    ranks = {place: rank for rank, place in enumerate(ranked(found.scores, objective))}
    last = max(len(ranks) - 1, 1)
    strength = [1.0 - ranks[i] / last for i in range(len(found.scores))]
    figure.add_trace(
        go.Scatter(
            x=[plain(value) for value in found.first],
            y=[plain(value) for value in found.second],
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
    figure.update_xaxes(title={"text": found.keys[0]}, **scale(found.first, found.log[0]))
    figure.update_yaxes(title={"text": found.keys[1]}, **scale(found.second, found.log[1]))
    table = Table(
        (_("trial"), *found.keys, title_of(objective)),
        tuple(
            (str(found.numbers[i]), said(found.first[i]), said(found.second[i]), objective.shown(found.scores[i]))
            for i in best_of(found.scores, objective)
        ),
    )
    summary = _("{count} trials by {first} and {second}; the larger and the stronger a mark, the better the trial.")
    text = summary.format(count=len(found.numbers), first=found.keys[0], second=found.keys[1])
    return Figure(title, figure, text, table)


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

    title = _("Accuracy against parameters in {search}").format(search=called(numbers.name))
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
    figure.update_xaxes(title={"text": _("parameters")}, **scale(found.second, log=True) | {"tickformat": ",~s"})
    figure.update_yaxes(**style.per_cent_axis(_("validation accuracy")))
    far = look_closer(figure, [100 * value for value in found.first])
    table = Table(
        (_("trial"), _("parameters"), _("val. accuracy %")),
        tuple((str(found.numbers[i]), f"{found.second[i]:,.0f}", f"{100 * found.first[i]:.2f}") for i in best),
    )
    summary = _("{count} trials by accuracy and parameters; {best} of them are beaten in both by no other.")
    return Figure(title, figure, summary.format(count=len(found.numbers), best=len(best)) + far, table)


search_history = Kind(history_numbers, draw_history)
search_importances = Kind(importance_numbers, draw_importances)
search_slice = Kind(slice_numbers, draw_slice)
search_contour = Kind(contour_numbers, draw_contour)
search_front = Kind(front_numbers, draw_front)
