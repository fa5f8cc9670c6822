"""What every command prints with: two consoles, one way to write JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import typer
from rich.console import Console

from neurona.files import finite
from neurona.i18n import _, ngettext

__all__ = ["confirmed", "print_json", "progress", "result", "stopping_cleanly"]


@cache
def result() -> Console:
    """Return the console for results: stdout. In a pipe its lines are as long as they need be."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


@cache
def progress() -> Console:
    """Return the console for progress: stderr."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


def confirmed(question: str) -> bool:
    """Ask on stderr; return whether the answer is yes, in the language in force or in English. No is the default."""
    hint, yes = _("y/N"), _("yes")
    typer.echo(f"{question} [{hint}] ", nl=False, err=True)
    answer = sys.stdin.readline().strip().lower()
    return answer in {"y", "yes", yes[:1], yes, yes.replace("í", "i")}


@contextmanager
def stopping_cleanly(place: str, kept: Callable[[], int] | None = None) -> Iterator[None]:
    """End the program on Ctrl-C with a sentence that says where what there is is kept; `kept` counts its runs."""
    try:
        yield
    except KeyboardInterrupt:
        count = 0 if kept is None else kept()
        sentence = _("Stopped. What there is is kept in {place}; the same command goes on from there.")
        if kept is not None:
            sentence = ngettext(
                "Stopped. {count} run is kept in {place}; the same command goes on from there.",
                "Stopped. {count} runs are kept in {place}; the same command goes on from there.",
                count,
            )
        progress().print(sentence.format(count=count, place=place), style="bold")
        sys.exit(130)


def print_json(document: Any) -> None:
    """Write one JSON document to stdout; what is not a finite number is null."""
    json.dump(finite(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
