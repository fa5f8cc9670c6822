"""A report as one HTML file: nothing in it points outside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from neurona.figures import Figure, template
from neurona.figures.style import SCHEMES, TITLE_HEIGHT
from neurona.i18n import _, language
from neurona.report.document import Block, Document, Grid, Group

__all__ = ["page", "policy"]


def page(document: Document) -> bytes:
    """Return the HTML of `document`, in UTF-8.

    Plotly's library stands in it once; the figures are JSON beside it, and `report.js` draws them. Only these two
    scripts may run, by their hashes, and nothing may be fetched: the page's own policy says so.
    """
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("neurona.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["of_kind"] = lambda block, name: type(block).__name__ == name
    figures = list(_figures(block for section in document.sections for block in section.blocks))
    numbers = {id(figure): number for number, figure in enumerate(figures)}
    drawing = {
        "figures": [_plain(figure) for figure in figures],
        "templates": {name: template(name).to_plotly_json() for name in SCHEMES},
    }
    library, script = get_plotlyjs(), _asset("report.js")
    text = environment.get_template("report.html").render(
        document=document,
        language=language(),
        number=lambda figure: numbers[id(figure)],
        height=_height,
        comma=Markup(",<wbr>"),
        style=Markup(_asset("report.css")),  # noqa: S704 - a file of this package
        drawing=Markup(_json_in_html(drawing)) if figures else None,  # noqa: S704 - escaped there
        library=Markup(library),  # noqa: S704 - Plotly's own file
        script=Markup(script),  # noqa: S704 - a file of this package
        policy=policy(),
        words={
            "contents": _("Contents"),
            "skip": _("Skip to the report"),
            "numbers": _("The numbers of this figure"),
            "scroll": _("Table, can be scrolled sideways"),
            "no_script": _("The figures need JavaScript; their numbers stand below each of them."),
        },
    )
    return text.encode()


def _figures(blocks: Iterator[Block] | tuple[Block, ...]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Grid):
            yield from block.figures
        elif isinstance(block, Group):
            yield from _figures(block.blocks)


def _plain(figure: Figure) -> dict[str, Any]:
    """Return the figure as JSON values, without template and title: the page has its own."""
    plot = figure.plot.to_plotly_json()
    layout = {key: value for key, value in plot["layout"].items() if key not in ("template", "title")}
    layout["margin"] = {"t": 12}
    layout["height"] = _height(figure)
    return {"data": plot["data"], "layout": layout}


def _height(figure: Figure) -> float:
    """Return how many pixels a figure without its title is high."""
    return max(float(figure.plot.layout.height) - TITLE_HEIGHT, 200.0)


def _json_in_html(value: Any) -> str:
    """Return `value` as JSON that may stand in a script element: no `<` is in it."""
    from plotly.utils import PlotlyJSONEncoder

    text = json.dumps(value, cls=PlotlyJSONEncoder, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def policy() -> str:
    """Return the content security policy of a report: two scripts, styles and images of its own, nothing else."""
    from plotly.offline import get_plotlyjs

    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in (get_plotlyjs(), _asset("report.js"))
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (resources.files("neurona.report") / "templates" / name).read_text(encoding="utf-8")
