"""The public interface is as it was: `tests/interface.txt` holds it, and a change of it is a change of that file.

Renew it with `python tests/test_interface.py`, and say in CHANGELOG.md what a user must change.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import neurona

PINNED = Path(__file__).parent / "interface.txt"


def interface() -> str:
    """Return every public name with its signature, and those of the public methods of classes, in readable lines."""
    return "\n".join(line for name in neurona.__all__ for line in described(name, getattr(neurona, name))) + "\n"


def described(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"{name}{signature(value)}" if callable(value) else name
        return
    yield f"class {name}{'' if issubclass(value, BaseException) else constructor(value)}"
    for key, member in sorted(members(value).items()):
        if isinstance(member, property):
            yield f"    {key}"
        elif isinstance(member, (classmethod, staticmethod)):
            yield f"    {type(member).__name__} {key}{signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield f"    {key}{signature(member)}"


def members(value: type) -> dict[str, Any]:
    """Return the public members that Neurona's own classes give it, the nearest first."""
    found: dict[str, Any] = {}
    for owner in value.__mro__:
        if owner.__module__.split(".")[0] == "neurona":
            for key, member in vars(owner).items():
                if not key.startswith("_") and not key.startswith("model_"):
                    found.setdefault(key, member)
    return found


def constructor(value: type) -> str:
    """Return the fields of a specification or data class, or the signature of `__init__`."""
    fields = getattr(value, "model_fields", None)
    if fields:
        return "(" + ", ".join(f"{key}{'' if field.is_required() else '=…'}" for key, field in fields.items()) + ")"
    if dataclasses.is_dataclass(value):
        shown = [field for field in dataclasses.fields(value) if not field.name.startswith("_")]
        missing = dataclasses.MISSING
        optional = [field.default is not missing or field.default_factory is not missing for field in shown]
        names = (f"{field.name}{'=…' if has else ''}" for field, has in zip(shown, optional, strict=True))
        return "(" + ", ".join(names) + ")"
    return signature(value.__init__)


def signature(function: Any) -> str:
    """Return a signature without the addresses that default values may show."""
    text = str(inspect.signature(function)).replace("'", "")
    return re.sub(r"<[^ ]+ .*? at 0x[0-9a-f]+>", "…", text)


def test_it_is_as_it_was() -> None:
    assert interface() == PINNED.read_text(encoding="utf-8"), "renew it: python tests/test_interface.py"


def test_a_change_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(source: str) -> None:
        """It has lost its options."""

    monkeypatch.setattr(neurona, "load", load)
    assert interface() != PINNED.read_text(encoding="utf-8")


# What a user starts -> modules that it must not load: each costs a tenth of a second or more.
HEAVY = ["jax", "jaxlib", "optuna", "plotly", "scipy", "sqlalchemy", "alembic", "numpy", "pydantic", "PIL", "starlette"]
HEAVY += ["uvicorn", "jinja2", "safetensors", "psutil", "pooch", "keras", "pandas", "mlflow", "tensorboard"]
STARTS = {
    "import neurona": ("import neurona", ["typer", "rich"]),
    "neurona --version": ("from neurona.cli import main; main(['--version'])", []),
    "neurona --help": ("from neurona.cli import main; main(['--help'])", []),
    "neurona lab --help": ("from neurona.cli import main; main(['lab', '--help'])", []),
    "neurona lab --template": ("from neurona.cli import main; main(['lab', '--template', 'x.toml'])", []),
    "neurona.Network": ("import neurona; neurona.Network()", ["typer", "rich"]),
}
NEEDED = {
    name: {"pydantic"} for name in ("neurona.Network", "neurona lab --help", "neurona lab --template")
}  # by Typer


@pytest.mark.parametrize(("code", "more"), STARTS.values(), ids=STARTS)
def test_what_a_start_does_not_load(code: str, more: list[str], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A budget without a stop-watch: docs/performance.md has the seconds."""
    name = request.node.callspec.id
    program = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *sorted({{*{HEAVY + more}}} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stdout.strip().splitlines()[-1].split()[1:])
    assert loaded == NEEDED.get(name, set())


if __name__ == "__main__":
    PINNED.write_text(interface(), encoding="utf-8")
