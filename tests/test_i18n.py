from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurona import errors, i18n
from neurona.cli.output import confirmed

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "neurona"


@pytest.fixture(autouse=True)
def _back_to_the_environments_language() -> Iterator[None]:
    yield
    i18n.activate(None)


def test_every_message_is_translated_and_compiled() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "translations.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


OURS = {name for name in errors.__all__ if name.endswith("Error") and name != "SpecError"} | {"ValueError"}


def raised_without_translation(tree: ast.AST) -> Iterator[int]:
    """Yield the lines of errors and help texts whose sentence is a plain string."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        first = node.args[:1] if name in OURS else []
        if name == "Problem":
            first = node.args[1:2]
        said = [*first, *(keyword.value for keyword in node.keywords if keyword.arg in ("help", "epilog"))]
        if any(isinstance(value, ast.JoinedStr | ast.Constant) and getattr(value, "value", 1) for value in said):
            yield node.lineno


# The errors of `stats` are a programmer's, not a user's.
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "stats" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_sentence_goes_around_the_catalogue(path: Path) -> None:
    assert list(raised_without_translation(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_check_above_finds_plain_sentences() -> None:
    wrong = 'raise UsageError("no")\nProblem((), f"no {x}")\nOption(help="no")\nraise UsageError(_("yes"))\n'
    assert list(raised_without_translation(ast.parse(wrong))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "es_GT.UTF-8"}, "es"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "es_GT.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "es_GT.UTF-8"}, "en"),
        ({"NEURONA_LANG": "es", "LC_ALL": "en_US"}, "es"),
        ({"NEURONA_LANG": "fr", "LANG": "es_ES"}, "es"),
        ({}, "en"),
    ],
)
def test_whose_language_it_is(environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NEURONA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert i18n.language() == expected
    i18n.activate("es")
    assert i18n.language() == "es"


def test_spanish_where_a_person_reads(program) -> None:
    shown = program("--help", lang="es").stdout
    assert "Opciones" in shown
    assert "Entrena una red" in shown or "Entrenar una red" in shown
    assert "¿Quiso decir --hidden?" in program("train", "--hiden", "3", lang="es").stderr
    assert "¿Quiso decir relu?" in program("train", "--activation", "relo", "--lang", "es").stderr
    assert "Parámetros" in program("train", "--epochs", "1", "--hidden", "", lang="es").stdout


@pytest.mark.parametrize(
    ("language", "answer", "expected"),
    [
        ("en", "y", True),
        ("en", "yes", True),
        ("en", "", False),
        ("en", "s", False),
        ("es", "s", True),
        ("es", "Sí", True),
        ("es", "si", True),
        ("es", "y", True),
        ("es", "n", False),
    ],
)
def test_a_question_takes_the_readers_yes(
    language: str, answer: str, expected: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    i18n.activate(language)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer + "\n"))
    assert confirmed("?") is expected
    assert {"en": "[y/N]", "es": "[s/N]"}[language] in capsys.readouterr().err
