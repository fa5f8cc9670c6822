"""What the figures of a search share: names, units, axes, which trials are the best, which failed badly."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neurona.figures import style
from neurona.i18n import _, ngettext

if TYPE_CHECKING:  # Optuna is loaded by who has a search
    import plotly.graph_objects as go

    from neurona.search import Objective

__all__ = [
    "MOST_ROWS",
    "axis_of",
    "best_of",
    "called",
    "is_finite",
    "is_number",
    "is_up",
    "look_closer",
    "plain",
    "ranked",
    "said",
    "scale",
    "scaled",
    "title_of",
    "unit_of",
]

MOST_ROWS = 12  # of trials in a table; the best ones
_FEW_DECADES = 1.5  # as many have room for marks at 1, 2 and 5; more for the powers of ten alone
_SPREADS = 3.0  # distances from the best to the median; what is further off than that stands at the edge


def called(name: str) -> str:
    """Return what a search is called in a sentence."""
    return _("the search") if name == "search" else _("the search “{name}”").format(name=name)


def title_of(objective: Objective) -> str:
    """Return what an axis of the objective's scores is called, with its unit."""
    if objective.name == "val_loss":
        return _("validation loss (nats)")
    return _("seconds to the target") if objective.name == "seconds" else _("validation accuracy")


def _is_per_cent(objective: Objective) -> bool:
    return objective.name not in ("val_loss", "seconds")


def unit_of(objective: Objective) -> str:
    """Return what stands after a score: ` %`, or nothing."""
    return " %" if _is_per_cent(objective) else ""


def axis_of(objective: Objective) -> dict[str, Any]:
    """Return the axis of the objective's scores."""
    return {"title": {"text": title_of(objective)}, "ticksuffix": unit_of(objective)}


def scaled(score: float | None, objective: Objective) -> float:
    """Return a score as it is drawn, accuracies in per cent; NaN for none."""
    return math.nan if score is None else score * (100 if _is_per_cent(objective) else 1)


def look_closer(figure: go.Figure, scores: Sequence[float], objective: Objective | None = None) -> str:
    """Let the axis end where the trials that failed badly begin, and put those on its edge; return a sentence on them.

    Worse than the best by `_SPREADS` times what the median is, a trial says no more than that it failed.
    """
    if objective is not None:
        figure.update_yaxes(**axis_of(objective))
    known = sorted((score for score in scores if math.isfinite(score)), reverse=objective is None or is_up(objective))
    if len(known) < MOST_ROWS:
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
    unit = " %" if objective is None else unit_of(objective)
    return " " + sentence.format(count=count, edge=f"{edge:.4g}{unit}")


def is_up(objective: Objective) -> bool:
    """Whether more is better."""
    return objective.directions[0] == "maximize"


def scale(values: Sequence[Any], log: bool) -> dict[str, Any]:
    """Return the kind of axis that `values` of a setting need: names, numbers, or logarithms where `log` says so."""
    numbers = all(is_number(value) for value in values)
    if log and numbers:
        decades = math.log10(max(values) / min(values)) if values else 0.0
        return {"type": "log", "tickformat": "~g", "dtick": 1 if decades > _FEW_DECADES else "D2"}
    return {} if numbers else {"type": "category"}


def ranked(scores: Sequence[float], objective: Objective) -> list[int]:
    """Return the places of `scores`, the best one first."""
    sign = -1 if is_up(objective) else 1
    return sorted(range(len(scores)), key=lambda i: sign * scores[i])


def best_of(scores: Sequence[float], objective: Objective) -> list[int]:
    """Return the places of the best scores, as many as a table has rows, the best one first."""
    return ranked(scores, objective)[:MOST_ROWS]


def is_number(value: Any) -> bool:
    """Whether a setting's value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: float | None) -> bool:
    """Whether a score is there and finite."""
    return value is not None and math.isfinite(value)


def plain(value: Any) -> Any:
    """Return a setting's value as Plotly is given it: a number, or a text without markup."""
    return value if is_number(value) else style.plain(said(value))


def said(value: Any) -> str:
    """Return a setting's value as a text; a dash where it has none."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
