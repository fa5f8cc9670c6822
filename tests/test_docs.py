"""What the documentation says is checked: its commands, its labs, its links, and that Spanish says what English says.

What its commands and its Python do when they run is in `test_docs_run.py`.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from documentation import (
    PAGES,
    ROOT,
    SPANISH,
    TRANSLATED,
    Block,
    blocks,
    commands,
    english,
    lines,
    numbers,
    prose,
    without_comments,
)
from neurona.cli.program import program
from neurona.lab import LabSpec

# The pages that a student reads, and the list of them: each is there in Spanish, too.
STUDENT = (
    "classroom data index lab optimal-model page pitfalls play predict report seal search statistics training tutorial"
)

# Lines of shell blocks that are not Neurona's own -> why no test runs them.
ELSEWHERE = {
    r"make [a-z-]+": "a target of the Makefile; the continuous integration runs `make test` and `make lint`",
    r"\.ci/run": "what runs these tests",
    r"\. \.venv/bin/activate": "of the reader's shell",
    r"pip install .*": "needs a package index; that the extra exists is checked",
    r"python (benchmarks|tools)/\S+\.py( .*)?": "takes minutes to hours; that the script has these options is checked",
    r"optuna-dashboard sqlite:///\S+": "a server that does not end; test_search.py opens a study with it",
    r"tensorboard --logdir \w+": "a server that does not end; test_tracking.py reads what it would show",
    r"(jupyter|ray) .*": "starts a server or a cluster, which does not end",
    r"(kubectl|ssh) .*": "needs another machine",
    r"curl .*/api/predict": "needs a server; test_web.py asks the same",
}
OTHERS = sorted(
    {(line, page) for page in PAGES for line in lines(page) if not re.match(r"(\.venv/bin/)?neurona ", line)}
)


def _command(words: Sequence[str]) -> tuple[Any, list[str]]:
    """Return the command that these words name, and the words after its name."""
    command, rest = typer.main.get_command(program), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return command, rest


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_line_is_one_that_the_program_takes(words: tuple[str, ...]) -> None:
    command, rest = _command(words)
    command.make_context("neurona", rest)  # raises for an option, a value or an argument that is none


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_prose_have_the_options_they_name(page: Path) -> None:
    for spoken in re.findall(r"`neurona ([a-z][^`]+)`", prose(page)):
        if spoken in ("data", "study"):
            continue
        command, rest = _command(spoken.split())
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known | {"--lang", "--debug"}, spoken


@pytest.mark.parametrize(("line", "page"), OTHERS, ids=[line for line, _ in OTHERS])
def test_every_other_line_of_a_shell_is_of_a_kind_that_is_known(line: str, page: Path) -> None:
    assert any(re.fullmatch(pattern, line) for pattern in ELSEWHERE), f"{page}: nothing checks {line!r}"
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(
            rf"^([a-z-]+ )*{words[1]}( [a-z-]+)*:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    if words[0] == "python":
        script = (ROOT / words[1]).read_text(encoding="utf-8")
        assert [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in script] == []
    if extra := re.search(r"neurona\[(\w+)\]", line):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert extra[1] in project["optional-dependencies"]


FENCED = [block for page in PAGES for block in blocks(page)]
LABS = [block for block in FENCED if block.kind == "toml" and re.search(r"^[^#\n]", block.text, re.MULTILINE)]


@pytest.mark.parametrize("block", LABS, ids=lambda block: block.name)
def test_every_lab_is_a_lab(block: Block, tmp_path: Path) -> None:
    """A part of a lab is one when a head and a baseline are put before it."""
    text = block.text
    if "[lab]" not in text:
        text = '[lab]\nname = "part"\ndataset = "mnist"\n[baseline]\n' + text
    path = tmp_path / "lab.toml"
    path.write_text(text, encoding="utf-8")
    lab = LabSpec.load(path)
    assert len(lab.experiments) == 1 + text.count("[[experiment]]")
    assert (lab.search is not None) == ("[search" in text)


def test_the_lab_in_the_readme_is_a_lab_of_two_questions(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(ROOT / "README.md") if block.kind == "toml")
    path = tmp_path / "lab.toml"
    path.write_text(block.text, encoding="utf-8")
    assert [experiment.name for experiment in LabSpec.load(path).experiments] == ["baseline", "wide", "dropout"]


def test_blocks_are_of_kinds_that_are_checked() -> None:
    """`text`, and a block without a language, is what a command prints."""
    assert {block.kind for block in FENCED} <= {"shell", "python", "pycon", "toml", "json", "yaml", "text", ""}
    for block in FENCED:
        if block.kind == "json":
            json.loads(block.text)
        if block.kind == "yaml":
            assert yaml.safe_load(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = prose(page.parent / target if target else page)
        headings = [
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        ]
        assert anchor in headings


def test_what_a_student_reads_is_there_in_spanish() -> None:
    assert {ROOT / "docs" / f"{name}{SPANISH}" for name in STUDENT.split()} | {ROOT / "README.es.md"} <= set(TRANSLATED)


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_spanish_page_shows_the_same_code(page: Path) -> None:
    """But for comments; of what a command prints, in either language, the numbers."""
    both = [blocks(page), blocks(english(page))]
    for one, other in zip(*both, strict=True):
        assert one.kind == other.kind
        if one.kind in ("text", ""):
            assert numbers(one.text) == numbers(other.text)
        else:
            assert without_comments(one.text) == without_comments(other.text)


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_spanish_page_says_the_same_numbers(page: Path) -> None:
    here, there = Counter(numbers(prose(page))), Counter(numbers(prose(english(page))))
    assert (here - there, there - here) == (Counter(), Counter())


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_spanish_page_is_built_like_the_english_one(page: Path) -> None:
    """The same headings, items, rows of tables, names in code, and links: to the Spanish page where there is one."""
    here, there = prose(page), prose(english(page))
    for what in (r"^(#+) ", r"^ *([-*]|\d+\.) ", r"^(\|)"):
        assert re.findall(what, here, re.MULTILINE) == re.findall(what, there, re.MULTILINE)
    linked = re.compile(r"\]\(([^)#]+)")
    targets = [
        link.replace(".md", SPANISH) if (page.parent / link.replace(".md", SPANISH)).exists() else link
        for link in linked.findall(there)
    ]
    assert Counter(linked.findall(here)[1:]) == Counter(targets[1:])  # the first is to the twin
    assert linked.findall(here)[0] == english(page).name
    assert linked.findall(there)[0] == page.name
