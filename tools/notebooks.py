"""Build the course's notebooks, in Spanish and English, from notebooks/course.md.

    python tools/notebooks.py            writes notebooks/es and notebooks/en
    python tools/notebooks.py --check    says whether they are up to date, and writes nothing

The source is Markdown as jupytext reads it. Each cell has a `name`, which becomes its id; prose stands once in each
language (`lang`), code once. `notebook` says where a cell goes: `course` unless given, `solutions`, or `both`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = {
    ("es", "course"): FOLDER / "es" / "curso.ipynb",
    ("es", "solutions"): FOLDER / "es" / "soluciones.ipynb",
    ("en", "course"): FOLDER / "en" / "course.ipynb",
    ("en", "solutions"): FOLDER / "en" / "solutions.ipynb",
}


def source_cells() -> list[Any]:
    """Return the cells of the source, all languages and notebooks."""
    cells: list[Any] = jupytext.read(FOLDER / "course.md").cells
    return cells


def built(language: str, notebook: str) -> str:
    """Return one notebook as the text of its file: no outputs, and the same text every time."""
    cells = []
    for cell in source_cells():
        about = cell.metadata
        if about.get("lang", language) != language or about.get("notebook", "course") not in (notebook, "both"):
            continue
        if cell.cell_type == "code":
            text = cell.source.replace('LANGUAGE = "en"', f'LANGUAGE = "{language}"')
            cells.append(nbformat.v4.new_code_cell(text, id=about["name"]))
        else:
            cells.append(nbformat.v4.new_markdown_cell(cell.source, id=about["name"]))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def main() -> int:
    """Write the notebooks, or say which are not up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when one is not up to date")
    check = parser.parse_args().check
    stale = 0
    for (language, notebook), path in FILES.items():
        text = built(language, notebook)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(path.relative_to(FOLDER.parent))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
