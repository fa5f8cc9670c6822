"""The page and its files, read once and answered from memory: no address leads to a file."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from neurona.i18n import LANGUAGES, _, language
from neurona.web.tabs import tabs

__all__ = ["asset", "index"]

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_LANGUAGE_NAMES = {"en": "English", "es": "Español"}


@dataclass(frozen=True)
class _Asset:
    content: bytes
    packed: bytes
    media_type: str
    tag: str


@cache
def _assets() -> dict[str, _Asset]:
    """Return every file that the page may ask for: this package's, and `neurona.drawing`'s under `drawing/`."""
    folders = {"": "neurona.web.static", "drawing/": "neurona.drawing"}
    found = {}
    for prefix, package in folders.items():
        name, _dot, folder = package.rpartition(".")
        if find_spec(name) is None or not (resources.files(name) / folder).is_dir():
            continue
        for file in (resources.files(name) / folder).iterdir():
            media_type = _TYPES.get(PurePosixPath(file.name).suffix)
            if media_type is not None:
                content = file.read_bytes()
                tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                found[prefix + file.name] = _Asset(content, gzip.compress(content, mtime=0), media_type, tag)
    return found


async def asset(request: Request) -> Response:
    """Answer a file; one that the browser has already is not sent again."""
    found = _assets().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = {"etag": found.tag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, headers=headers | {"content-encoding": "gzip"}, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)


async def index(request: Request) -> Response:
    """Answer the page, in the reader's language."""
    its = tabs()
    config = {
        "language": language(),
        "tabs": {name: {"title": tab.title(), "words": dict(tab.words())} for name, tab in its.items()},
        "words": _words(),
    }
    text = (
        _environment()
        .get_template("index.html")
        .render(
            language=language(),
            languages=[(code, _LANGUAGE_NAMES[code]) for code in LANGUAGES],
            tabs=[(name, tab.title()) for name, tab in its.items()],
            config=Markup(json.dumps(config, ensure_ascii=False).replace("<", "\\u003c")),  # noqa: S704 - no `<` is in it
            words=_words(),
        )
    )
    return HTMLResponse(text)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("neurona.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _words() -> dict[str, str]:
    """Return the sentences of the page around the tabs, in the reader's language."""
    return {
        "title": _("Neurona"),
        "tagline": _("A laboratory for small neural networks"),
        "skip": _("Skip to the content"),
        "sections": _("Sections"),
        "language": _("Language"),
        "theme": _("Colours"),
        "system": _("As the system"),
        "light": _("Light"),
        "dark": _("Dark"),
        "no_script": _("This page needs JavaScript."),
        "loading": _("One moment…"),
        "unreachable": _("The server does not answer. Is `neurona serve` still running?"),
        "not_loaded": _("This part of the page could not be loaded."),
    }
