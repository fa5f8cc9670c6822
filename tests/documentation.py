"""The pages of the documentation, taken apart: their prose, their blocks of code, the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPANISH = ".es.md"
PAGES = (
    ROOT / "README.md",
    ROOT / "README.es.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
TRANSLATED = tuple(page for page in PAGES if page.name.endswith(SPANISH))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}\S.*\n)+", re.MULTILINE)
_CARDS = re.compile(r"<div .*?</div>", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code of a page. kind: its language, `shell` for an indented one; empty or `text` for output."""

    page: Path
    kind: str
    text: str

    @property
    def name(self) -> str:
        """The page and the first line, for the name of a test."""
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0]}"


def english(page: Path) -> Path:
    """Return the English twin of a Spanish page."""
    return page.with_name(page.name.removesuffix(SPANISH) + ".md")


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """Return the blocks of code of a page, in order."""
    text = _CARDS.sub("", page.read_text(encoding="utf-8"))
    found = [(match.start(), Block(page, match[1], match[2])) for match in _FENCE.finditer(text)]
    rest = _FENCE.sub(lambda match: re.sub(r"[^\n]", "`", match[0]), text)
    found += [
        (match.start(), Block(page, "shell", re.sub(r"^ {4}", "", match[0], flags=re.M))) for match in _indented(rest)
    ]
    return tuple(block for _, block in sorted(found, key=lambda pair: pair[0]))


def _indented(text: str) -> list[re.Match[str]]:
    """Return the indented blocks; what is indented below the item of a list belongs to the item."""
    return [
        match
        for match in _INDENTED.finditer(text)
        if text[: match.start()].endswith("\n\n")
        and not re.match(r"(?:[-*]|\d+\.) ", (text[: match.start()].rstrip("\n").rsplit("\n\n", 1)[-1]).lstrip("\n"))
    ]


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in reversed(_indented(_CARDS.sub(lambda cards: re.sub(r"[^\n]", "x", cards[0]), text))):
        text = text[: match.start()] + text[match.end() :]
    return text


def without_comments(text: str) -> str:
    """Return code without its comments, which a page says in its own language."""
    return "\n".join(re.sub(r"\s*(?:^|\s)# .*", "", line) for line in text.splitlines())


def numbers(text: str) -> list[str]:
    """Return the numbers in a text, sorted."""
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", text))


def lines(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks, without their comments."""
    shell = "\n".join(block.text for block in blocks(page) if block.kind == "shell")
    return [line.strip() for line in without_comments(shell).splitlines() if line.strip()]


def commands() -> list[tuple[str, ...]]:
    """Return every command line of Neurona in a block of any page, split into words, each once."""
    found = {
        tuple(shlex.split(line.removeprefix(".venv/bin/").partition(" > ")[0]))[1:]
        for page in PAGES
        for line in lines(page)
        if line.removeprefix(".venv/bin/").split()[0] == "neurona"
    }
    return sorted(found)
