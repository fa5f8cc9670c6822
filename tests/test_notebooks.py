"""The course's notebooks: up to date with their source, alike in both languages, and run by a real kernel."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SECTIONS = 12


def _tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


TOOL = _tool()


def _read(language: str, notebook: str) -> Any:
    return nbformat.read(TOOL.FILES[language, notebook], as_version=4)


def _code(notebook: Any) -> dict[str, str]:
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.parametrize(("language", "notebook"), TOOL.FILES, ids="-".join)
def test_a_notebook_is_what_its_source_says(language: str, notebook: str) -> None:
    """`python tools/notebooks.py` brings it up to date."""
    path = TOOL.FILES[language, notebook]
    assert path.read_text(encoding="utf-8") == TOOL.built(language, notebook)
    cells = _read(language, notebook).cells
    assert len({cell.id for cell in cells}) == len(cells)
    assert not any(cell.get("outputs") for cell in cells)


def test_every_piece_of_prose_stands_in_both_languages() -> None:
    prose = [cell.metadata for cell in TOOL.source_cells() if cell.cell_type == "markdown"]
    spanish = [(about["name"], about.get("notebook")) for about in prose if about["lang"] == "es"]
    english = [(about["name"], about.get("notebook")) for about in prose if about["lang"] == "en"]
    assert spanish == english
    assert len(spanish) > 2 * SECTIONS


@pytest.mark.parametrize("notebook", ["course", "solutions"])
def test_only_the_language_setting_differs_in_the_code(notebook: str) -> None:
    spanish, english = _code(_read("es", notebook)), _code(_read("en", notebook))
    assert spanish.pop("settings") == english.pop("settings").replace('LANGUAGE = "en"', 'LANGUAGE = "es"')
    assert spanish == english


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_course_has_twelve_sections(language: str) -> None:
    prose = "\n".join(cell.source for cell in _read(language, "course").cells if cell.cell_type == "markdown")
    numbers = [line.split()[1] for line in prose.splitlines() if line.startswith("## ")]
    assert [number for number in numbers if number.rstrip(".").isdigit()] == [f"{n}." for n in range(1, SECTIONS + 1)]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The Spanish notebooks, run one after the other in one folder, as a student does."""
    folder = tmp_path_factory.mktemp("course")
    done = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURONA_QUICK", "1")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))  # not the user's own start-up files
        for name in ("course", "solutions"):
            notebook = _read("es", name)
            strict = nbformat.v4.new_code_cell("import warnings\nwarnings.simplefilter('error')", id="strict")
            notebook.cells.insert(0, strict)
            where = {"metadata": {"path": str(folder)}}
            NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
            done[name] = notebook
    return done


def _shown(notebook: Any, name: str, kind: str) -> str:
    """Return what the cell called `name` shows, as `kind`."""
    (cell,) = [cell for cell in notebook.cells if cell.id == name]
    (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
    return str(result.data[kind])


def test_the_course_shows_tables_and_figures_and_warns_of_nothing(executed: dict[str, Any]) -> None:
    course = executed["course"]
    errors = [o for cell in course.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []
    assert "<td>width-300</td>" in _shown(course, "width-run", "text/html")
    assert "veredicto" in _shown(course, "width-run", "text/html")
    assert "depth-3x500" in _shown(course, "depth-pair", "text/html")
    for name in ("width-figure", "deep-figure", "high-rate-figure", "search-figure", "insight-reliability"):
        assert "scatter" in _shown(course, name, "application/vnd.plotly.v1+json")
        assert "Plotly.newPlot" in _shown(course, name, "text/html")  # where Jupyter lacks Plotly's extension
        assert len(_shown(course, name, "text/plain").splitlines()) == 2
    assert _shown(course, "insight-hardest", "text/html").count("<img") == 12


def _printed(notebook: Any, name: str) -> list[str]:
    (cell,) = [cell for cell in notebook.cells if cell.id == name]
    (stream,) = cell.outputs
    return str(stream.text).splitlines()


def test_the_demonstrations_show_what_the_prose_says(executed: dict[str, Any]) -> None:
    course = executed["course"]
    scaled, unscaled = (line.split() for line in _printed(course, "scale-demo"))
    assert float(unscaled[2]) > 10 * float(scaled[2])
    assert float(unscaled[4]) == pytest.approx(float(scaled[4]), abs=0.1)
    large, stale, own = (re.findall(r"0\.\d+", line) for line in _printed(course, "stale-demo"))
    assert large == stale != own
    (peeking,) = _printed(course, "peeking-demo")
    seen, fresh, flattery = map(float, re.findall(r"[+-]?0\.\d+", peeking))
    assert flattery == pytest.approx(seen - fresh, abs=2e-4)


def test_the_seal_is_opened_once(executed: dict[str, Any]) -> None:
    assert "10,000" in _shown(executed["course"], "best-test", "text/html")


def test_the_solutions_solve(executed: dict[str, Any]) -> None:
    solved = executed["solutions"]
    share = float(re.findall(r"0\.\d+", _shown(solved, "warm-up-solution", "text/plain"))[0])
    assert 0.1 < share < 0.12
    for cell, name in (("width", "narrowing"), ("deep", "residual"), ("tanh", "gelu"), ("high-rate", "cosine")):
        assert f"<td>{name}</td>" in _shown(solved, f"{cell}-solution", "text/html")
