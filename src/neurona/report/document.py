"""What a report is made of, before it is a page: sections of sentences, tables, figures and images."""

from __future__ import annotations

from dataclasses import dataclass

from neurona.figures import Figure, Pictures, Table

__all__ = ["Badge", "Block", "Code", "Document", "Facts", "Grid", "Group", "Note", "Section", "Text", "Verdicts"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    sentences: str


@dataclass(frozen=True)
class Note:
    """A paragraph that stands out: what the reader should know before going on."""

    sentences: str


@dataclass(frozen=True)
class Facts:
    """Names with what they stand for."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Badge:
    """A verdict: the word that decides its colour, and what it says."""

    word: str
    shown: str


@dataclass(frozen=True)
class Verdicts:
    """The table of experiments. Cells are text, but for a badge; a line is drawn where the group changes.

    numeric: which columns hold figures. groups: the number of rows of each group.
    """

    caption: str
    head: tuple[str, ...]
    numeric: tuple[bool, ...]
    groups: tuple[tuple[tuple[str | Badge, ...], ...], ...]


@dataclass(frozen=True)
class Code:
    """Lines to be copied."""

    lines: str


@dataclass(frozen=True)
class Grid:
    """Figures beside each other, as far as there is room."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Group:
    """A heading inside a section, which can be linked to, and what stands below it."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


Block = Text | Note | Facts | Verdicts | Code | Grid | Group | Figure | Pictures | Table


@dataclass(frozen=True)
class Section:
    """A part of the report that the contents list. anchor: its place in the address."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report. subtitle: a line below the title. made: when and with what, in words."""

    title: str
    subtitle: str
    made: str
    sections: tuple[Section, ...]
