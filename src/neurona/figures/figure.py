"""What a figure is: its numbers, its drawing, and the words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Drawing", "Figure", "Kind", "Picture", "Pictures", "Table"]

Numbers = TypeVar("Numbers")
Drawing = TypeVar("Drawing", bound="Figure | Pictures")


@dataclass(frozen=True)
class Table:
    """head: a title for each column. rows: what they say, as it is shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Figure:
    """A chart.

    plot: Plotly's figure, with the title in it.
    summary: what it shows, in a sentence, for who cannot see it.
    table: the numbers that it shows, as text.
    """

    title: str
    plot: go.Figure
    summary: str
    table: Table

    def show(self) -> None:
        """Show it as Plotly does: in the notebook, else in a browser."""
        self.plot.show()

    def __repr__(self) -> str:
        return f"{self.title}\n{self.summary}"

    def _repr_mimebundle_(self, *arguments: Any, **options: Any) -> Any:
        bundle = self.plot._repr_mimebundle_(*arguments, **options)
        return {**bundle, "text/plain": repr(self)}  # Plotly's own are all its numbers, pages of them


@dataclass(frozen=True)
class Picture:
    """One image: a PNG as `data:` address, what is to be seen, and the lines below it."""

    address: str
    summary: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Pictures:
    """Images beside each other, with what they have in common said in `note`. width: of each, in pixels on screen."""

    title: str
    pictures: tuple[Picture, ...]
    note: str = ""
    width: int = 84

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<div style="width:{self.width}px;font-size:11px;line-height:1.3">'
            f'<img src="{escape(picture.address)}" alt="{escape(picture.summary)}" '
            f'style="width:100%;image-rendering:pixelated"><br>{"<br>".join(map(escape, picture.lines))}</div>'
            for picture in self.pictures
        )
        return (
            f"<h4>{escape(self.title)}</h4>"
            f'<div style="display:flex;flex-wrap:wrap;gap:12px">{cells}</div><p>{escape(self.note)}</p>'
        )


@dataclass(frozen=True)
class Kind(Generic[Numbers, Drawing]):
    """A figure in two parts: `numbers(source, …)` finds what it shows, `draw(numbers)` draws it; a call does both."""

    numbers: Callable[..., Numbers]
    draw: Callable[[Numbers], Drawing]

    def __call__(self, *arguments: Any, **options: Any) -> Drawing:
        """Return the drawing of the numbers that `numbers` finds with these arguments."""
        return self.draw(self.numbers(*arguments, **options))
