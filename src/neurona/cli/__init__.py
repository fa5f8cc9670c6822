"""The command line: thin. `main` finds the language first, so that every help text is in it, then runs the program."""

from __future__ import annotations

import atexit
import gettext
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from neurona import i18n
from neurona.errors import NeuronaError, UsageError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with `arguments` (those of the process unless given) and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_flag(words, "--debug")
    try:
        i18n.activate(_take_language(words))
        _translate_typer()
        from neurona.cli.program import run

        code = run(words, debug=debug)
    except NeuronaError as error:
        if debug:
            raise
        print(f"neurona: {error}", file=sys.stderr)  # noqa: T201
        code = error.exit_code
    sys.exit(code)


def _take_flag(words: list[str], flag: str) -> bool:
    if flag not in words:
        return False
    words.remove(flag)
    return True


def _take_language(words: list[str]) -> str | None:
    """Remove `--lang X` or `--lang=X` from `words`, wherever it stands, and return X."""
    for index, word in enumerate(words):
        if word == "--":
            break
        if word == "--lang" or word.startswith("--lang="):
            if "=" in word:
                value = word.partition("=")[2]
                del words[index]
            else:
                value = words[index + 1] if index + 1 < len(words) else ""
                del words[index : index + 2]
            if value not in i18n.LANGUAGES:
                known = ", ".join(i18n.LANGUAGES)
                raise UsageError(
                    i18n._("--lang must be one of {known}, but is {value!r}.").format(known=known, value=value)
                )
            return value
    return None


def _translate_typer() -> None:
    """Let Typer's own words ("Options", "Arguments") come from our catalogue."""
    os.environ["LANGUAGE"] = i18n.language()
    if isinstance(i18n.LOCALE_FOLDER, Path):
        gettext.bindtextdomain("neurona", str(i18n.LOCALE_FOLDER))
    elif i18n.language() != "en":
        from neurona.files import on_disk

        copies = ExitStack()
        atexit.register(copies.close)
        gettext.bindtextdomain("neurona", str(copies.enter_context(on_disk(i18n.LOCALE_FOLDER))))
    gettext.textdomain("neurona")
