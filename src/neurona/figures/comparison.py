"""The experiments of a study beside each other: differences with their verdicts, every seed of a group, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurona.figures import style
from neurona.figures.figure import Figure, Kind, Table
from neurona.i18n import _
from neurona.stats import Interval
from neurona.study import Comparison, Finding, Row, Study
from neurona.study.cells import shown_accuracy, shown_difference, shown_verdict

__all__ = ["Cost", "Difference", "SeedScores", "Seeds", "cost", "differences", "seeds"]


@dataclass(frozen=True)
class Difference:
    """An experiment's difference to the baseline, a fraction, with its 95 % interval where it has one."""

    name: str
    mean: float
    low: float | None
    high: float | None
    finding: Finding
    shown: str


def difference_numbers(source: Study | Comparison) -> tuple[Difference, ...]:
    """Return the differences of a study's comparison, in its order; who has none is not there."""
    found = []
    for row in _rows(source):
        difference, finding = row.difference, row.verdict
        if difference is not None and finding is not None and finding.word != "same-network":
            shown = shown_difference(difference, finding)
            found.append(
                Difference(row.experiment.name, difference.mean, difference.low, difference.high, finding, shown)
            )
    return tuple(found)


def draw_differences(numbers: Sequence[Difference]) -> Figure:
    """Draw a point with its interval for each experiment; where differences are of two sizes, the axis says so."""
    import plotly.graph_objects as go

    title = _("Difference to the baseline, with its interval (95 %)")
    figure = style.blank(title, height=70 + 26 * max(len(numbers), 2))
    order = ("better", "no-difference-seen", "too-few-seeds", "worse")
    for word in order:
        own = [one for one in numbers if one.finding.word == word]
        if not own:
            continue
        colour = style.VERDICT_COLOURS[word]
        figure.add_trace(
            go.Scatter(
                x=[100 * one.mean for one in own],
                y=[one.name for one in own],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (one.high - one.mean) if one.high is not None else 0 for one in own],
                    "arrayminus": [100 * (one.mean - one.low) if one.low is not None else 0 for one in own],
                    "thickness": 2,
                    "width": 0,
                    "color": colour,
                },
                mode="markers",
                name=_word(word),
                marker={"color": colour, "size": 9, "symbol": _SYMBOLS[word]},
                customdata=[[one.shown, shown_verdict(one.finding)] for one in own],
                hovertemplate="<b>%{y}</b><br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": style.GREY, "width": 1.5})
    names = [one.name for one in numbers]
    limits = _limits(numbers)
    for one in numbers:
        if limits is not None and not limits[0] <= 100 * one.mean <= limits[1]:
            left = 100 * one.mean < limits[0]
            figure.add_annotation(
                x=limits[0] if left else limits[1],
                y=one.name,
                text=f"◀ {one.shown}" if left else f"{one.shown} ▶",
                xanchor="left" if left else "right",
                font={"color": style.VERDICT_COLOURS[one.finding.word]},
            )
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False)
    figure.update_xaxes(title={"text": _("points of validation accuracy")}, range=limits)
    table = Table(
        (_("experiment"), _("difference"), _("verdict")),
        tuple((one.name, one.shown, shown_verdict(one.finding)) for one in numbers),
    )
    summary = _("A point for each of {count} experiments: how much better or worse than the baseline it is.")
    return Figure(title, figure, summary.format(count=len(numbers)), table)


_SYMBOLS = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "no-difference-seen": "diamond",
    "too-few-seeds": "circle-open",
}


def _word(word: str) -> str:
    return {
        "better": _("better"),
        "worse": _("worse"),
        "no-difference-seen": _("no difference seen"),
        "too-few-seeds": _("too few seeds"),
    }[word]


def _limits(numbers: Sequence[Difference]) -> list[float] | None:
    """Return the axis' range where a few differences are so large that all others would be one dot; else None.

    What is over three times as far from 0 as three quarters of the experiments lies outside; its figure is written.
    """
    ends = [
        (100 * (one.mean if one.low is None else one.low), 100 * (one.mean if one.high is None else one.high))
        for one in numbers
    ]
    reach = sorted(max(-low, high) for low, high in ends)
    if len(reach) < 4 or reach[-1] <= 3 * reach[3 * len(reach) // 4]:
        return None
    limit = 3 * reach[3 * len(reach) // 4]
    inside = [end for end in ends if max(-end[0], end[1]) <= limit]
    low, high = min(0.0, *(end[0] for end in inside)), max(0.0, *(end[1] for end in inside))
    margin = 0.08 * (high - low)
    return [low - margin, high + margin]


@dataclass(frozen=True)
class SeedScores:
    """One experiment's validation accuracy, one value a seed, and the mean with its interval."""

    name: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    interval: Interval | None
    shown: str


@dataclass(frozen=True)
class Seeds:
    """A group's experiments, the baseline first. group: its name."""

    group: str
    experiments: tuple[SeedScores, ...]


def seed_numbers(source: Study | Comparison, group: str) -> Seeds:
    """Return every seed's validation accuracy of the baseline and of the experiments of `group`."""
    rows = _rows(source)
    own = [rows[0], *(row for row in rows[1:] if row.experiment.group == group)]
    return Seeds(group, tuple(_seed_scores(row) for row in own))


def _seed_scores(row: Row) -> SeedScores:
    return SeedScores(row.experiment.name, row.seeds, row.val_accuracy, row.accuracy_interval, shown_accuracy(row))


def draw_seeds(numbers: Seeds) -> Figure:
    """Draw a small mark for each seed and a large one with its interval for the mean."""
    import plotly.graph_objects as go

    title = _("{group}: every seed, and the mean with its interval (95 %)").format(group=numbers.group)
    figure = style.blank(title, height=70 + 34 * max(len(numbers.experiments), 2), showlegend=False)
    for index, one in enumerate(numbers.experiments):
        colour = style.GREY if index == 0 else style.BLUE
        interval = one.interval
        if interval is None:
            figure.add_trace(go.Scatter(x=[None], y=[one.name], mode="markers", hoverinfo="skip"))
            continue
        figure.add_trace(
            go.Scatter(
                x=[100 * value for value in one.accuracies],
                y=[one.name] * len(one.accuracies),
                mode="markers",
                marker={"color": colour, "size": 7, "opacity": 0.45, "symbol": "line-ns-open", "line": {"width": 2}},
                customdata=one.seeds,
                hovertemplate=_("<b>%{y}</b><br>seed %{customdata}: %{x:.2f} %") + "<extra></extra>",
            )
        )
        half = 0.0 if interval.high is None else interval.high - interval.mean
        figure.add_trace(
            go.Scatter(
                x=[100 * interval.mean],
                y=[one.name],
                mode="markers",
                marker={"color": colour, "size": 10},
                error_x={"type": "data", "array": [100 * half], "thickness": 2.5, "width": 0, "color": colour},
                hovertemplate=f"<b>%{{y}}</b><br>{one.shown} %<extra></extra>",
            )
        )
    baseline = numbers.experiments[0].interval
    if baseline is not None and baseline.low is not None and baseline.high is not None:
        figure.add_vrect(
            x0=100 * baseline.low,
            x1=100 * baseline.high,
            fillcolor=style.GREY,
            opacity=0.12,
            line_width=0,
            layer="below",
        )
    names = [one.name for one in numbers.experiments]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False)
    figure.update_xaxes(**style.per_cent_axis(_("validation accuracy"), nticks=6))
    table = Table(
        (_("experiment"), _("val. accuracy %"), _("every seed, %")),
        tuple(
            (one.name, one.shown, ", ".join(f"{100 * value:.2f}" for value in one.accuracies))
            for one in numbers.experiments
        ),
    )
    summary = _("The validation accuracy of each seed of {names}; the grey band is the baseline's interval.")
    return Figure(title, figure, summary.format(names=", ".join(names)), table)


@dataclass(frozen=True)
class Cost:
    """An experiment's mean validation accuracy with its interval, beside what it costs."""

    name: str
    group: str
    parameters: int
    seconds: float | None
    interval: Interval


def cost_numbers(source: Study | Comparison) -> tuple[Cost, ...]:
    """Return accuracy, parameters and seconds a run of every experiment that has a run."""
    return tuple(
        Cost(row.experiment.name, row.experiment.group, row.parameters, row.seconds_per_run, row.accuracy_interval)
        for row in _rows(source)
        if row.accuracy_interval is not None
    )


def draw_cost(numbers: Sequence[Cost]) -> Figure:
    """Draw accuracy against parameters and seconds, both on logarithmic axes."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    title = _("What accuracy costs")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    blank = style.blank(title, height=360)
    figure.update_layout(blank.layout)
    groups = list(dict.fromkeys(one.group for one in numbers))
    for index, group in enumerate(groups):
        own = [one for one in numbers if one.group == group]
        colour = style.COLOURS[index % len(style.COLOURS)]
        for column, (values, unit) in enumerate(
            (([one.parameters for one in own], "%{x:,}"), ([one.seconds for one in own], "%{x:.1f} s")), 1
        ):
            figure.add_trace(
                go.Scatter(
                    x=values,
                    y=[100 * one.interval.mean for one in own],
                    mode="markers",
                    name=group,
                    legendgroup=group,
                    showlegend=column == 1 and len(groups) <= _MOST_GROUPS,
                    marker={"color": colour, "size": 10, "symbol": style.SYMBOLS[index % len(style.SYMBOLS)]},
                    text=[one.name for one in own],
                    hovertemplate="<b>%{text}</b><br>%{y:.2f} %<br>" + unit + "<extra></extra>",
                ),
                row=1,
                col=column,
            )
    figure.update_xaxes(
        type="log", title={"text": _("parameters")}, col=1, dtick=1, exponentformat="none", tickformat=",~s"
    )
    figure.update_xaxes(type="log", title={"text": _("seconds a run")}, col=2, dtick=1, tickformat="~g")
    figure.update_yaxes(**style.per_cent_axis(_("validation accuracy")), col=1)
    floor = _floor([100 * one.interval.mean for one in numbers])
    if floor is not None:
        figure.update_yaxes(range=floor)
    table = Table(
        (_("experiment"), _("parameters"), _("seconds a run"), _("val. accuracy %")),
        tuple(
            (
                one.name,
                f"{one.parameters:,}",
                "–" if one.seconds is None else f"{one.seconds:.1f}",
                f"{100 * one.interval.mean:.2f}",
            )
            for one in numbers
        ),
    )
    summary = _("Mean validation accuracy of {count} experiments against their parameters and their seconds a run.")
    return Figure(title, figure, summary.format(count=len(numbers)), table)


_MOST_GROUPS = 10


def _floor(values: Sequence[float]) -> list[float] | None:
    """Return a range for accuracies that leaves out what is far below all others, None where nothing is."""
    ordered = sorted(values)
    if len(ordered) < 4:
        return None
    spread = ordered[-1] - ordered[len(ordered) // 4]
    low = next((value for value in ordered if ordered[-1] - value <= 4 * spread), ordered[0])
    if low == ordered[0]:
        return None
    margin = 0.12 * (ordered[-1] - low)
    return [low - margin, ordered[-1] + margin]


def _rows(source: Study | Comparison) -> tuple[Row, ...]:
    return (source.compare() if isinstance(source, Study) else source).rows


differences = Kind(difference_numbers, draw_differences)
seeds = Kind(seed_numbers, draw_seeds)
cost = Kind(cost_numbers, draw_cost)
