"""The tabs of the page. A module here is a tab: its routes and words; `static/NAME.js` is what the reader sees of it.

A module has
    title() -> str            as the tab is called, in the reader's language
    words() -> dict[str, str] the sentences of its script, in the reader's language
    ENDPOINTS                 a tuple of `Endpoint`, under `/api/`
and `static/NAME.js` exports `async function mount(root, page)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from neurona.web.endpoint import Endpoint

__all__ = ["Tab", "tabs"]

_ORDER = ("draw", "play", "reveal", "lab")


class Tab(Protocol):
    """What a module of this package has."""

    ENDPOINTS: tuple[Endpoint, ...]

    def title(self) -> str:
        """Return what the tab is called."""

    def words(self) -> Mapping[str, str]:
        """Return the sentences of its script."""


def tabs() -> dict[str, Tab]:
    """Return the tabs that are there, name -> module, in the order in which they are shown."""
    found: dict[str, Tab] = {}
    for name in _ORDER:
        if find_spec(f"{__name__}.{name}") is not None:
            found[name] = import_module(f"{__name__}.{name}")
    return found
