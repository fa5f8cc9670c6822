"""The files of this package that a browser reads."""

from __future__ import annotations

from importlib import resources

from neurona.errors import UsageError
from neurona.i18n import _

__all__ = ["SOURCES", "source"]

SOURCES = ("board.js", "drawing.css", "ink.js", "network.js")
"""Board: a place to draw. drawing.css: how it looks. ink: a drawing as the network sees it. network: its answers."""


def source(name: str) -> str:
    """Return the text of the file called `name`. Raises UsageError for a name that is not one of `SOURCES`."""
    if name not in SOURCES:
        sentence = _("there is no file {name!r} for drawing; there are {names}.")
        raise UsageError(sentence.format(name=name, names=", ".join(SOURCES)))
    return (resources.files("neurona.drawing") / name).read_text(encoding="utf-8")
