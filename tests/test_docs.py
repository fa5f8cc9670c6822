"""What README and the docs show is checked by running it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from neurona import cli
from neurona.lab import LabSpec

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    {
        tuple(line.split("#")[0].split())
        for page in PAGES
        for line in re.findall(r"^ {4}neurona (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_in_the_docs_is_one(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Every option of it is in its help."""
    command = words[:2] if words[0] in ("data", "study") else words[:1]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for word in words:
        if word.startswith("--"):
            assert word in shown


def test_the_lab_in_the_readme_is_a_lab(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert tomllib.loads(block)
    path = tmp_path / "lab.toml"
    path.write_text(block)
    assert [experiment.name for experiment in LabSpec.load(path).experiments] == ["baseline", "wide", "dropout"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
