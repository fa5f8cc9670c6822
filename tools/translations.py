"""Bring the Spanish catalogue up to date with the messages in the source, and compile it.

`python tools/translations.py` writes neurona.po and neurona.mo; with `--check` it writes nothing, says what is missing
or out of date, and fails if anything is. English is the language of the source and needs no catalogue.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).parents[1] / "src" / "neurona"
FOLDER = SOURCE / "locale" / "es" / "LC_MESSAGES"
PO, MO = FOLDER / "neurona.po", FOLDER / "neurona.mo"

# Words of Typer's own that it looks up in the program's catalogue.
TYPERS = (
    "Arguments",
    "Options",
    "Commands",
    "Error",
    "Aborted.",
    "[default: {}]",
    "[required]",
    "(deprecated) ",
)


def template() -> Catalog:
    """Return every message in the source."""
    catalog = Catalog(project="neurona", charset="utf-8")
    for name, _line, message, comments, _context in extract_from_dir(
        SOURCE, [("**.py", "python")], keywords={"_": None, "marked": None, "ngettext": (1, 2)}
    ):
        catalog.add(message, locations=[(name, 0)], auto_comments=comments)
    for message in TYPERS:
        catalog.add(message, locations=[("typer", 0)])
    return catalog


def updated() -> Catalog:
    """Return the Spanish catalogue with the source's messages and no others."""
    if PO.exists():
        with PO.open("rb") as file:
            catalog = read_po(file, locale="es")
    else:
        catalog = Catalog(locale="es", project="neurona")
    catalog.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.fuzzy = False
    catalog.obsolete.clear()
    return catalog


def untranslated(catalog: Catalog) -> list[str]:
    """Return the messages without a translation, or with a doubtful one."""
    return [
        str(message.id)
        for message in catalog
        if message.id and (message.fuzzy or not all(_strings(message.string)) or any(message.check(catalog)))
    ]


def _strings(string: object) -> tuple[object, ...]:
    return string if isinstance(string, tuple) else (string,)


def compiled(catalog: Catalog) -> bytes:
    """Return the catalogue in gettext's binary form."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def main() -> None:
    """Write the catalogue, or check it."""
    catalog = updated()
    missing = untranslated(catalog)
    for message in missing:
        print(f"without translation: {message}")
    if "--check" in sys.argv:
        stale = not MO.exists() or MO.read_bytes() != compiled(catalog)
        if stale:
            print(f"{MO.name} is out of date: run `make translations`")
        sys.exit(bool(missing) or stale)
    with PO.open("wb") as file:
        write_po(file, catalog, omit_header=False, sort_output=True, width=110, include_lineno=False)
    MO.write_bytes(compiled(catalog))


if __name__ == "__main__":
    main()
