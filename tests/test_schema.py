"""The JSON Schema of lab files: up to date, true of every lab that there is, and never stricter than the loader."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from neurona.cli import main
from neurona.errors import SpecError
from neurona.lab import LabSpec
from neurona.schema import lab_schema
from neurona.specs import ACTIVATIONS, OPTIMIZERS, Network, Training

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "docs" / "lab.schema.json"
LABS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "src/neurona/labs").glob("*.toml")}
LABS |= {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "src/neurona/templates").glob("*.toml")}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.name} {number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
}
VALIDATOR = Draft7Validator(lab_schema())


def refused(document: dict[str, Any]) -> list[str]:
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def test_it_is_a_schema_and_the_committed_one() -> None:
    """Made anew by `neurona lab --schema > docs/lab.schema.json`."""
    Draft7Validator.check_schema(lab_schema())
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == lab_schema()


def test_the_program_prints_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In English, whatever the language: it is one file for all."""
    monkeypatch.setenv("NEURONA_LANG", "es")
    with pytest.raises(SystemExit) as stopped:
        main(["lab", "--schema"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == COMMITTED.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", LABS.values(), ids=LABS)
def test_labs_that_come_with_neurona_fit(text: str) -> None:
    assert refused(tomllib.loads(text)) == []


WHOLE = {"lab": {"name": "x", "dataset": "mnist"}, "experiment": [{"name": "x"}]}


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
def test_every_lab_in_the_docs_fits(text: str) -> None:
    """Where a page shows a part of a lab, the rest is put beside it."""
    assert refused(WHOLE | tomllib.loads(text)) == []


def test_every_key_is_described() -> None:
    definitions = lab_schema()["definitions"]
    for model, name in ((Network, "network"), (Training, "training")):
        properties = definitions[name]["properties"]
        assert set(properties) == set(model.model_fields)
        for key, schema in properties.items():
            assert len(schema.get("description", "")) > 10 or "allOf" in schema, key
    (names, table) = definitions["optimizer"]["anyOf"]
    assert names["enum"] == list(OPTIMIZERS)
    assert "0.01 for sgd" in table["properties"]["learning_rate"]["description"]


BROKEN = {
    "an unknown key": ("baseline.network.hiden", [5]),
    "an activation": ("baseline.network.activation", "rellu"),
    "an activation in a list": ("baseline.network.activation", ["relu", "rellu"]),
    "units": ("baseline.network.hidden", [0]),
    "units that are no whole number": ("baseline.network.hidden", [2.5]),
    "units that are no list": ("baseline.network.hidden", 50),
    "a text for a number": ("baseline.network.dropout", "0.1"),
    "true for a number": ("baseline.training.l2", True),
    "a number for true": ("baseline.network.residual", 1),
    "out of range": ("baseline.training.optimizer.learning_rate", 0.0),
    "a foreign setting": ("baseline.training.optimizer", {"name": "sgd", "beta_1": 0.9}),
    "a foreign setting of a schedule": ("baseline.training.optimizer.schedule", {"name": "cosine", "power": 2.0}),
    "an optimizer": ("experiment.0.training.optimizer", "adma"),
    "an engine": ("experiment.0.engine", "torch"),
    "a monitor": ("baseline.training.early_stopping", {"monitor": "vall_loss"}),
    "a table of augmentation": ("baseline.training.augmentation", {"rotate": 5}),
    "a name": ("lab.name", "my lab"),
    "no name": ("experiment.0", {"network": {}}),
    "no data": ("lab", {"name": "x"}),
    "a top-level table": ("serch", {}),
    "a space's key": ("search.space.network.deep", {"low": 1, "high": 2}),
    "a range without an end": ("search.space.network.depth", {"low": 1}),
    "choices and a range": ("search.space.training.l2", {"low": 0.1, "high": 0.2, "choices": [1]}),
    "no choices": ("search.space.training.l2", []),
    "a kind of setting": ("search.space.training.l2", {"type": "real", "low": 0.1, "high": 0.2}),
    "a nested key": ("search.space.training.optimizer", {"learning": {"low": 0.1, "high": 0.2}}),
    "no space": ("search", {"epochs": 2}),
}


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *tables, last = path.split(".")
    table: Any = document
    for key in tables:
        table = table[int(key)] if key.isdigit() else table.setdefault(key, {})
    table[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(("path", "value"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_refused_by_both(path: str, value: Any) -> None:
    document = tomllib.loads(LABS["lab.en"])
    document["baseline"]["training"].pop("optimizer")
    put(document, path, value)
    assert refused(document)
    with pytest.raises(SpecError) as raised:
        LabSpec._parse(document, None)
    assert raised.value.problems


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every table, list and value below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from leaves(part, (*path, key))


PATHS = [(name, path) for name, text in LABS.items() for path in leaves(tomllib.loads(text))]
KEYS = st.sampled_from(sorted({*Network.model_fields, *Training.model_fields, "name", "low", "high", "choices", "x.y"}))
VALUES = st.one_of(
    st.booleans(),
    st.integers(-2, 10**6),
    st.floats(-1.0, 2.0),
    st.sampled_from(["", "relu", "sgd", "none", "batch", "0.5", "balanced", *ACTIVATIONS[:2]]),
)
PARTS = st.one_of(
    VALUES,
    st.lists(VALUES, max_size=3),
    st.dictionaries(KEYS, st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=3),
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PATHS), PARTS, st.sampled_from(["change", "remove", "add"]), KEYS)
def test_what_the_schema_refuses_the_loader_refuses(
    place: tuple[str, tuple[Any, ...]], part: Any, what: str, key: str
) -> None:
    """A lab that comes with Neurona, changed in one place."""
    name, path = place
    document = copy.deepcopy(tomllib.loads(LABS[name]))
    table: Any = document
    for step in path[:-1]:
        table = table[step]
    if what == "remove":
        del table[path[-1]]
    elif what == "add" and isinstance(table[path[-1]], dict):
        table[path[-1]][key] = part
    else:
        table[path[-1]] = part
    if refused(document):
        with pytest.raises(SpecError):
            LabSpec._parse(document, None)
