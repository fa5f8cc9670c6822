"""What MkDocs does to the pages of docs/ for the site, beyond what they say on their own.

The pages are written to be read in the repository, too. There a Spanish page names its Spanish neighbours by their
files (`seal.es.md`) and links to its English twin; on the site the language is a switch.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

_ROOT = Path(__file__).parents[2]
_SPANISH = ".es.md"
_TWIN = re.compile(r"^\*\[(?:En español|In English)\]\([^)]*\)\*\n+", re.MULTILINE)
_GENERATED = re.compile(r"<!-- generated: tools/reference\.py ([a-z-]+) -->")
_ALTERNATE = re.compile(r'\s*<link rel="alternate"[^>]*>')
_ENGLISH_ONLY = '!!! note ""\n    Esta página está solo en inglés.\n\n'


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Return the page with the site's links, and with what is generated in its place."""
    spanish = config.theme["language"] == "es"
    if page.file.src_uri in ("index.md", f"index{_SPANISH}"):
        page.meta["hide"] = ["navigation", "toc"]
    markdown = _TWIN.sub("", markdown)
    markdown = markdown.replace(f"{_SPANISH})", ".md)").replace(f"{_SPANISH}#", ".md#")
    markdown = _GENERATED.sub(lambda found: _reference(found[1], "es" if spanish else "en"), markdown)
    if spanish and not page.file.src_uri.endswith(_SPANISH):
        heading, _, rest = markdown.partition("\n")
        markdown = f"{heading}\n\n{_ENGLISH_ONLY}{rest}"
    return markdown


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Return the page without the links for which the theme looks for a site map of each language, in vain."""
    return _ALTERNATE.sub("", output)


def _reference(what: str, language: str) -> str:
    made = subprocess.run(
        [sys.executable, _ROOT / "tools" / "reference.py", what],
        env=os.environ | {"NEURONA_LANG": language, "PYTHONPATH": str(_ROOT / "src")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if made.returncode:
        raise PluginError(f"tools/reference.py {what}: {made.stderr}")
    return made.stdout
