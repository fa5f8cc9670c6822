"""Spanish and English: `_("text")` gives the text in the reader's language.

The language is that of `speaking`, else of `activate`, else of `NEURONA_LANG`, else of the locale, else English. The
catalogues are `locale/<language>/LC_MESSAGES/neurona.po`; `make translations` compiles them.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources

__all__ = [
    "LANGUAGES",
    "LOCALE_FOLDER",
    "_",
    "activate",
    "asked_for",
    "language",
    "marked",
    "ngettext",
    "speaking",
    "translated",
]

LANGUAGES = ("en", "es")
LOCALE_FOLDER = resources.files("neurona") / "locale"  # which is in a zip file where Neurona is

_active: str | None = None
_spoken: ContextVar[str | None] = ContextVar("language", default=None)


def activate(name: str | None) -> None:
    """Use language `name` (one of `LANGUAGES`) from now on; None goes back to the environment's."""
    global _active  # noqa: PLW0603 - the one place where the process's language is kept
    _active = name


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Use language `name` (one of `LANGUAGES`) meanwhile, in this thread or task alone: a server has many readers."""
    token = _spoken.set(name)
    try:
        yield
    finally:
        _spoken.reset(token)


def asked_for() -> str | None:
    """Return the language that the user has asked Neurona for, and not only the system: `--lang`, `NEURONA_LANG`."""
    wanted = _active or os.environ.get("NEURONA_LANG", "")[:2].lower()
    return wanted if wanted in LANGUAGES else None


def language() -> str:
    """Return the language in force: `es` or `en`."""
    spoken = _spoken.get()
    if spoken in LANGUAGES:
        return spoken
    if _active in LANGUAGES:
        return _active
    for variable in ("NEURONA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")[:2].lower()
        if value in LANGUAGES:
            return value
        if value and variable != "NEURONA_LANG":  # the first one that is set decides, as for every program
            break
    return "en"


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == "en":
        return gettext.NullTranslations()
    with (LOCALE_FOLDER / name / "LC_MESSAGES" / "neurona.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def _(message: str) -> str:
    """Return `message` in the language in force."""
    return _catalogue(language()).gettext(message)


def marked(message: str) -> str:
    """Return `message` as it is: it is a constant, translated with `_` where it is shown."""
    return message


def translated(message: str, name: str) -> str:
    """Return `message` in the language `name`, one of `LANGUAGES`: for what is written in several at once."""
    return _catalogue(name).gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the form that fits `count`, in the language in force."""
    return _catalogue(language()).ngettext(singular, plural, count)
