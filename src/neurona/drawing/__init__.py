"""What draws: ES modules and styles that the exported page and the server share."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["source"]

_NAMES = ("board.css", "board.js", "ink.js", "network.js")


def source(name: str) -> str:
    """Return the text of the module or style `name`, as `ink.js`. Raises KeyError for any other name."""
    if name not in _NAMES:
        raise KeyError(name)
    return (files("neurona.drawing") / name).read_text(encoding="utf-8")
