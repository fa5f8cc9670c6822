"""The JSON Schema of a lab file, made from the specifications: with it an editor completes and underlines.

It is narrower than no lab: what it refuses, the loader refuses too. What only the whole tells (an activation for each
layer, a space whose every corner is an experiment) it leaves to `neurona lab FILE --check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any

from neurona.lab import MOST_EXPERIMENTS, LabSpec
from neurona.space import LEAF, Parameter, SearchSpec
from neurona.specs import (
    ACTIVATIONS,
    ENGINES,
    INITIALIZERS,
    MONITORS,
    NORMALIZATIONS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    Augmentation,
    EarlyStopping,
    Experiment,
    Network,
    Optimizer,
    Schedule,
    Spec,
    Training,
)
from neurona.specs.optimizer import COMMON

__all__ = ["lab_schema"]

Document = dict[str, Any]

# Field -> the names that a text there must be one of; None allows any.
_NAMES: Mapping[tuple[type[Spec], str], Iterable[str]] = {
    (Network, "activation"): ACTIVATIONS,
    (Network, "initializer"): INITIALIZERS,
    (Network, "normalization"): NORMALIZATIONS,
    (Optimizer, "name"): OPTIMIZERS,
    (Schedule, "name"): SCHEDULES,
    (Training, "precision"): PRECISIONS,
    (Training, "class_weight"): ("balanced",),
    (EarlyStopping, "monitor"): MONITORS,
    (Experiment, "engine"): ENGINES,
}
# What there are kinds of -> kind -> its settings and their defaults
_KINDS: Mapping[type[Spec], Mapping[str, Mapping[str, Any]]] = {Optimizer: OPTIMIZERS, Schedule: SCHEDULES}
_SPECS = (Network, Training, Optimizer, Schedule, EarlyStopping, Augmentation)
_NESTED = {"optimizer": Optimizer, "schedule": Schedule, "early_stopping": EarlyStopping}  # whose keys may vary too


def lab_schema() -> Document:
    """Return the JSON Schema (draft 7, which editors know best) of a lab's TOML file."""
    definitions = {_name(model): _definition(model) for model in _SPECS}
    definitions |= {
        "parameter": _parameter(),
        "space-network": _varying(Network, {"depth": _DEPTH, "width": _WIDTH}),
        "space-training": _varying(Training),
        "space-optimizer": _varying(Optimizer),
        "space-schedule": _varying(Schedule),
        "space-early-stopping": _varying(EarlyStopping),
    }
    experiment = _fields(Experiment)
    shared = {key: experiment[key] for key in ("network", "training", "engine", "notebook_val_accuracy")}
    head = _fields(LabSpec)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A Neurona lab",
        "description": "A baseline, experiments as differences from it, and what a search varies.",
        "type": "object",
        "properties": {
            "lab": _object(
                "The lab's name and data.", {key: head[key] for key in ("name", "dataset")}, ["name", "dataset"]
            ),
            "baseline": _object("What every experiment is a difference from, and is compared with.", shared),
            "experiment": {
                "description": "The experiments, each under [[experiment]]: only what differs from the baseline.",
                "type": "array",
                "maxItems": MOST_EXPERIMENTS,
                "items": _object("What differs from the baseline.", experiment, ["name"]),
            },
            "search": _search(),
        },
        "required": ["lab"],
        "anyOf": [
            {"required": ["experiment"], "properties": {"experiment": {"minItems": 1}}},
            {"required": ["search"]},
        ],
        "additionalProperties": False,
        "definitions": definitions,
    }


def _object(description: str, properties: Document, required: Iterable[str] = ()) -> Document:
    found = {"description": description, "type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _definition(model: type[Spec]) -> Document:
    """Return the schema of a table of keys; of a kind of things, as optimizers, a name alone does too."""
    table = _object(_documented(model)[""], _fields(model))
    kinds = _KINDS.get(model)
    if kinds is None:
        return table
    others = {key for settings in kinds.values() for key in settings} - set(COMMON)
    common = [key for key in model.model_fields if key not in others]
    table["allOf"] = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": {"propertyNames": {"enum": sorted({*settings, *common})}},
        }
        for name, settings in kinds.items()
    ]
    names = {"description": f"{_documented(model)['']} By its name, with its defaults.", "enum": list(kinds)}
    return {"anyOf": [names, table]}


def _fields(model: type[Spec]) -> Document:
    """Return key -> schema of a specification's fields, with what its docstring says of them."""
    made = model.model_json_schema(ref_template="{model}")["properties"]
    words = _documented(model)
    return {key: _field(model, key, made[key], words.get(key, "")) for key in model.model_fields}


def _field(model: type[Spec], key: str, made: Document, words: str) -> Document:
    branches = [branch for branch in made.get("anyOf", [made]) if branch.get("type") != "null"]
    branches = [_referred(_named(model, key, _plain(branch))) for branch in branches]
    found: Document = {"title": key.replace("_", " ")}
    kinds = _KINDS.get(model, {})
    its = {name: settings[key] for name, settings in kinds.items() if settings.get(key) is not None}
    defaults = ", ".join(f"{value} for {name}" for name, value in its.items())
    description = " ".join(text for text in (words, f"Unless given: {defaults}." if defaults else "") if text)
    if description:
        found["description"] = description
    found |= branches[0] if len(branches) == 1 else {"anyOf": branches}
    if made.get("default") is not None:
        found["default"] = made["default"]
    return found


def _plain(branch: Document) -> Document:
    return {key: value for key, value in branch.items() if key not in ("title", "default", "description")}


def _referred(branch: Document) -> Document:
    """Return a branch whose reference is to one of our definitions; in draft 7 nothing may stand beside one."""
    return {"allOf": [{"$ref": f"#/definitions/{_kebab(branch['$ref'])}"}]} if "$ref" in branch else branch


def _named(model: type[Spec], key: str, branch: Document) -> Document:
    """Return the branch with the names that its texts may be."""
    names = _NAMES.get((model, key))
    if names is None:
        return branch
    if branch.get("type") == "string":
        return {"enum": list(names)}
    if branch.get("type") == "array" and branch["items"].get("type") == "string":
        return {**branch, "items": {"enum": list(names)}}
    return branch


def _documented(model: type[Spec]) -> dict[str, str]:
    """Return field -> what the model's docstring says of it; its first paragraph under the empty name."""
    paragraph, *rest = cleandoc(model.__doc__ or "").split("\n\n")
    words = {"": " ".join(paragraph.split())}
    for line in "\n".join(rest).splitlines():
        match = re.match(r"([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)", line)
        if match and set(names := match[1].split(", ")) <= set(model.model_fields):
            words |= dict.fromkeys(names, match[2])
        elif line.startswith("    "):
            words |= dict.fromkeys(names, f"{words[names[0]]} {line.strip()}")
    return {key: text.replace("`", "") for key, text in words.items()}


def _search() -> Document:
    fields = _fields(SearchSpec)
    space = _object(
        "What varies: a range, or a list of choices, for each key.",
        {
            "network": {"$ref": "#/definitions/space-network"},
            "training": {"$ref": "#/definitions/space-training"},
        },
    )
    # A key may be nested, or dotted in quotation marks, from any table on.
    space["patternProperties"] = {r"^(network|training)\.": True}
    return _object(_documented(SearchSpec)[""], {**fields, "space": space}, ["space"])


_LEAF_REFERENCE = {"$ref": "#/definitions/parameter"}
_DEPTH = {"allOf": [_LEAF_REFERENCE], "description": "The number of hidden layers; one of the keys that make `hidden`."}
_WIDTH = {"allOf": [_LEAF_REFERENCE], "description": "The units of each hidden layer, drawn for each."}


def _varying(model: type[Spec], more: Mapping[str, Document] | None = None) -> Document:
    """Return the schema of a table of a space: each key a parameter, or the table of those below it."""
    words = _documented(model)
    properties: Document = dict(more or {})
    for key in model.model_fields:
        leaf = {"allOf": [_LEAF_REFERENCE], "description": words.get(key, key)}
        below = _NESTED.get(key)
        if below is None:
            properties[key] = leaf
            continue
        leaves = {"anyOf": [{"required": [name]} for name in sorted(LEAF)]}
        table = {"$ref": f"#/definitions/space-{_kebab(below.__name__)}"}
        properties[key] = {
            "description": words.get(key, key),
            "if": {"anyOf": [{"not": {"type": "object"}}, leaves]},
            "then": _LEAF_REFERENCE,
            "else": table,
        }
    found = _object(f"What of this varies. {words['']}", properties)
    return {**found, "minProperties": 1, "patternProperties": {r"\.": True}}


def _parameter() -> Document:
    """Return the schema of one setting that varies: a range or choices; a list alone is choices."""
    fields = _fields(Parameter)
    fields["type"] = {**fields["type"], "enum": ["int", "float", "categorical"]}
    value = {"type": ["boolean", "number", "string"]}
    fields["when"] = {
        "title": "when",
        "description": fields["when"].get("description", ""),
        "type": "object",
        "additionalProperties": {"anyOf": [value, {"type": "array"}, {"type": "object"}]},
    }
    choices = {**fields["choices"], "minItems": 1}
    table = _object(_documented(Parameter)[""], {**fields, "choices": choices})
    one_of = [
        {"required": ["choices"], "not": {"anyOf": [{"required": [key]} for key in ("low", "high", "step", "base")]}},
        {"required": ["low", "high"], "not": {"required": ["choices"]}},
    ]
    return {"anyOf": [{"description": "The choices.", "type": "array", "minItems": 1}, {**table, "anyOf": one_of}]}


def _name(model: type[Spec]) -> str:
    return _kebab(model.__name__)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
