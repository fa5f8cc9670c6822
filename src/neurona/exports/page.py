"""A model as one HTML file: a page to draw on that works from disk, with the weights in it and nothing outside it."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from importlib import resources
from importlib.metadata import version
from itertools import count, takewhile
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from neurona import drawing
from neurona.exports.bundle import bundled
from neurona.exports.origin import licence, short_title
from neurona.i18n import LANGUAGES, language, marked, translated
from neurona.model import Model

__all__ = ["page", "written"]

_CHUNK = 3 * 2**18  # bytes of weights in an element: a multiple of 3, so that each decodes for itself

_WORDS = {
    "title": marked("Draw for a network"),
    "title_digits": marked("Draw a digit"),
    "subtitle": marked("A dense network of {weights} weights"),
    "subtitle_data": marked("A dense network of {weights} weights, trained on {dataset}"),
    "hint": marked("Draw here"),
    "answer": marked("The answer"),
    "nothing": marked("Nothing is drawn yet."),
    "unsure": marked("Not sure: {name} ({share}) or {next} ({next_share})"),
    "spoken": marked("The answer is {name}, {share}. Next comes {next}, {next_share}."),
    "spoken_unsure": marked("Not sure. {name}, {share}, or {next}, {next_share}."),
    "seen": marked("What the network sees"),
    "seen_image": marked("The drawing as an image of {width} by {height} pixels"),
    "seen_why": marked("The same image; in colour, what speaks for and against {name}"),
    "why": marked("Why?"),
    "speaks_for": marked("speaks for {name}"),
    "speaks_against": marked("speaks against"),
    "why_note": marked("Each pixel times the slope of the score by it."),
    "keyboard": marked("By keyboard"),
    "about": marked("About this model"),
    "private": marked("Nothing you draw leaves this page. It works without a network."),
    "other_language": marked("Español"),
    "waiting": marked("The weights are being read…"),
    "broken": marked("This page is damaged: its weights cannot be read."),
}
_NO_SCRIPT = marked("This page computes a neural network where you are, and needs JavaScript for it.")


def page(model: Model) -> bytes:
    """Return the HTML of a page to draw on, in UTF-8; it speaks the language of its reader's browser, es or en.

    Only its own script and style may run, by their hashes, and nothing may be fetched: the page's own policy says so.
    """
    environment = Environment(
        loader=PackageLoader("neurona.exports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    modules = ("board.js", "ink.js", "network.js")
    script = bundled({**{name: drawing.source(name) for name in modules}, "page.js": _asset("page.js")})
    style = drawing.source("drawing.css") + _asset("page.css")
    digits = list(model.class_names) == list(string.digits)
    data = {
        "model": drawing.description(model),
        "words": {name: _words(model, name, digits) for name in LANGUAGES},
        "facts": {name: _facts(model, name) for name in LANGUAGES},
    }
    weights = drawing.weights(model)
    starts = takewhile(lambda start: start < len(weights), count(0, _CHUNK))
    text = environment.get_template(
        "page.html"
    ).render(
        language=language(),
        words=data["words"][language()],
        no_script={name: translated(_NO_SCRIPT, name) for name in LANGUAGES},
        version=version("neurona"),
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704 - files of these packages
        script=Markup(script),  # noqa: S704 - the same
        data=Markup(_json_in_html(data)),  # noqa: S704 - escaped there
        chunks=[base64.b64encode(weights[start : start + _CHUNK]).decode() for start in starts],
    )
    return text.encode()


written = page


def _words(model: Model, name: str, digits: bool) -> dict[str, str]:
    found = drawing.words(name) | {key: translated(word, name) for key, word in _WORDS.items()}
    if digits:
        found["title"] = found["title_digits"]
    subtitle = found["subtitle_data"] if model.dataset else found["subtitle"]
    found["subtitle"] = subtitle.format(weights=f"{model.parameters:,}", dataset=short_title(model.dataset))
    return found


def _facts(model: Model, name: str) -> list[tuple[str, str]]:
    """Return what is to be known of the model, in the language `name`: what it is, and its value."""
    network = model.network
    shape = "×".join(map(str, model.image_shape))
    rows = [
        (marked("network"), "-".join([shape, *map(str, network.hidden), str(model.classes)])),
        (marked("activation"), ", ".join(dict.fromkeys(network.activations))),
        (marked("members"), str(len(model.members)) if len(model.members) > 1 else ""),
        (marked("weights"), f"{model.parameters:,}"),
        (marked("data set"), model.dataset),
        (marked("licence of the data"), licence(model.dataset)),
        (marked("validation accuracy"), _per_cent(model.metrics.get("val_accuracy"))),
        (marked("fingerprint of the data"), model.fingerprint[:16]),
        (marked("made with"), f"Neurona {version('neurona')}"),
    ]
    return [(translated(title, name), value) for title, value in rows if value]


def _per_cent(value: Any) -> str:
    return f"{100 * value:.2f} %" if isinstance(value, float) else ""


def _json_in_html(value: Any) -> str:
    """Return `value` as JSON that may stand in a script element: no `<` is in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("neurona.exports") / "templates" / name).read_text(encoding="utf-8")
