"""The tab to draw in: models, and what they answer."""

from __future__ import annotations

from neurona.i18n import _
from neurona.web.endpoint import Endpoint

__all__ = ["ENDPOINTS", "title", "words"]

ENDPOINTS: tuple[Endpoint, ...] = ()


def title() -> str:
    """Return what the tab is called."""
    return _("Draw")


def words() -> dict[str, str]:
    """Return the sentences of `draw.js`."""
    return {"heading": _("Draw a digit")}
