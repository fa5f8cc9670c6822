"""The one visual language of every figure: colours, type, axes, number formats.

Hues are Okabe and Ito's (2008), which people with any of the common colour blindnesses tell apart, at a lightness that
has a contrast of 3:1 or more both on white and on the dark background; what lies behind (paper, grid, text) is the
scheme's. So a figure changes between light and dark by its template alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "BLUE",
    "COLOURS",
    "DASHES",
    "FAINT",
    "GREEN",
    "GREY",
    "ORANGE",
    "SCHEMES",
    "SEQUENTIAL",
    "SYMBOLS",
    "TITLE_HEIGHT",
    "VERDICT_COLOURS",
    "Scheme",
    "blank",
    "connections",
    "faded",
    "per_cent_axis",
    "plain",
    "template",
]

BLUE, ORANGE, GREEN, PINK, SKY, BROWN = "#2274b5", "#cf6412", "#158f6c", "#b5609a", "#3d93c9", "#9a7411"
GREY, FAINT = "#7b8087", "rgba(123, 128, 135, 0.35)"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, BROWN)
# What the colour says, the symbol or the dash says too.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down", "star", "pentagon", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot")
VERDICT_COLOURS = {
    "better": GREEN,
    "worse": ORANGE,
    "no-difference-seen": BLUE,
    "too-few-seeds": GREY,
    "same-network": GREY,
}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

# From the background to a strong blue: in the middle it stands out from white and from black.
SEQUENTIAL = ((0.0, "rgba(34, 116, 181, 0)"), (0.5, "rgba(34, 116, 181, 0.45)"), (1.0, "rgba(34, 116, 181, 1)"))

TITLE_HEIGHT = 68  # pixels that a title takes, and two rows of a legend below it

SchemeName = Literal["light", "dark"]


@dataclass(frozen=True)
class Scheme:
    """What lies behind a figure's marks. The report's style sheet has the same colours."""

    paper: str
    text: str
    quiet: str
    grid: str
    line: str


SCHEMES: dict[SchemeName, Scheme] = {
    "light": Scheme(paper="#ffffff", text="#1c2024", quiet="#5b6169", grid="#eceef0", line="#c3c8ce"),
    "dark": Scheme(paper="#171a1e", text="#e8eaed", quiet="#a4abb3", grid="#272c32", line="#474e57"),
}


@cache
def template(name: SchemeName = "light") -> go.layout.Template:
    """Return the Plotly template of the scheme called `name`."""
    import plotly.graph_objects as go

    scheme = SCHEMES[name]
    axis = {
        "automargin": True,
        "gridcolor": scheme.grid,
        "linecolor": scheme.line,
        "tickcolor": scheme.line,
        "tickfont": {"color": scheme.quiet, "size": 12},
        "title": {"font": {"color": scheme.quiet, "size": 12.5}, "standoff": 10},
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": scheme.text},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"t": 14},
                "font": {"size": 16, "weight": 600},
            },
            "paper_bgcolor": scheme.paper,
            "plot_bgcolor": scheme.paper,
            "colorway": COLOURS,
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 12, "t": 16 + TITLE_HEIGHT, "b": 8},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12.5},
                "tracegroupgap": 0,
            },
            "hoverlabel": {
                "bgcolor": scheme.paper,
                "bordercolor": scheme.line,
                "font": {"family": FONT, "size": 12.5, "color": scheme.text},
                "align": "left",
            },
            "annotationdefaults": {"font": {"color": scheme.quiet, "size": 12}, "showarrow": False},
            "shapedefaults": {"line": {"color": scheme.line, "width": 1}},
            "separators": ".,",
        }
    )


def blank(title: str, *, height: int, **layout: Any) -> go.Figure:
    """Return a figure without traces, `height` pixels high below its title, in the light scheme."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template=template(), title={"text": title}, height=height + TITLE_HEIGHT, dragmode=False, **layout
    )
    return figure


def connections(names: Sequence[str], ends: Sequence[tuple[float, float]]) -> go.Scatter:
    """Return a pale line in the row of each name, from one end to the other."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=[x for low, high in ends for x in (low, high, None)],
        y=[y for name in names for y in (name, name, None)],
        mode="lines",
        line={"color": FAINT, "width": 3},
        showlegend=False,
        hoverinfo="skip",
    )


def per_cent_axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis of per cents: what is drawn is 100 times the fraction."""
    return {"title": {"text": title}, "ticksuffix": " %", **more}


def plain(text: str) -> str:
    """Return `text` so that Plotly, which takes some tags for its own, shows it as it is."""
    return escape(text, quote=False)


def faded(colour: str, opacity: float = 0.16) -> str:
    """Return a hexadecimal `colour` with `opacity`."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
