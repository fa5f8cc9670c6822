"""What can be declared: a network, its training, and an experiment that names the two.

Specifications are frozen pydantic models. An unknown key, a value out of range or a misspelt name is a `SpecError`
that says where it stands. `spec.replace(...)` makes another; nothing changes one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from neurona.errors import Problem, SpecError, nearest
from neurona.i18n import _

__all__ = [
    "ACTIVATIONS",
    "OPTIMIZERS",
    "Experiment",
    "Network",
    "Optimizer",
    "Spec",
    "Training",
    "did_you_mean",
    "unknown_key",
]

ACTIVATIONS = ("relu", "sigmoid", "tanh", "linear")

# Optimizer -> its hyper-parameters and their defaults, as in Keras 3.
OPTIMIZERS: dict[str, dict[str, float | bool]] = {
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
}

Value = TypeVar("Value")

Units = Annotated[int, Field(ge=1, le=65_536, strict=True)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return " Did you mean …?" for a misspelt word, or the whole list when nothing is near."""
    words = list(words)
    close = nearest(word, words)
    if close:
        return " " + _("Did you mean {name}?").format(name=close)
    return " " + _("It is one of: {names}.").format(names=", ".join(words))


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence about a key that does not exist, with the nearest right one."""
    return _("there is no such key.") + did_you_mean(key, known)


class Spec(BaseModel):
    """What all specifications share: frozen, closed to unknown keys, one kind of error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_problems(type(self), error)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` (field = value), checked like a new one."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changes)

    def declared(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Network(Spec):
    """The architecture: a stack of dense layers on the flattened image, then softmax over the classes.

    hidden: units of each hidden layer, 1 to 65,536; empty for a softmax regression.
    activation: a name of `ACTIVATIONS` for all hidden layers, or a name for each.
    dropout: rate in [0, 1) after each hidden layer, or a rate for each (Srivastava et al. 2014).
    """

    hidden: tuple[Units, ...] = Field(default=(50, 50), max_length=64)
    activation: str | tuple[str, ...] = "relu"
    dropout: Rate | tuple[Rate, ...] = 0.0

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if name not in ACTIVATIONS:
                raise ValueError(
                    _("there is no activation {name!r}.").format(name=name) + did_you_mean(name, ACTIVATIONS)
                )
        return value

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> Self:
        for field in ("activation", "dropout"):
            value = getattr(self, field)
            if isinstance(value, tuple) and len(value) != len(self.hidden):
                raise SpecError(
                    [
                        Problem(
                            (field,),
                            _(
                                "must be one value, or one for each of the {layers} hidden layers, but has {count}."
                            ).format(layers=len(self.hidden), count=len(value)),
                        )
                    ]
                )
        return self

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return _for_each_layer(self.activation, len(self.hidden))

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The dropout rate after each hidden layer."""
        return _for_each_layer(self.dropout, len(self.hidden))

    def parameters(self, image_shape: tuple[int, int], classes: int) -> int:
        """Return the number of weights and biases for images of `image_shape` (height, width) pixels."""
        sizes = (math.prod(image_shape), *self.hidden, classes)
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def _for_each_layer(value: Value | tuple[Value, ...], layers: int) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,) * layers


class Optimizer(Spec):
    """An optimizer of `OPTIMIZERS` and its hyper-parameters; what is not given has Keras' default.

    A hyper-parameter that the optimizer does not have is refused: `sgd` has no `beta_1`.
    """

    name: str = "adam"
    learning_rate: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    momentum: Decay | None = None
    nesterov: bool | None = None
    beta_1: Decay | None = None
    beta_2: Decay | None = None
    epsilon: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, values: Any) -> Any:
        if isinstance(values, str):
            values = {"name": values}
        if not isinstance(values, dict):
            return values
        name = values.get("name", "adam")
        if name not in OPTIMIZERS:
            sentence = _("there is no optimizer {name!r}.").format(name=name) + did_you_mean(str(name), OPTIMIZERS)
            raise SpecError([Problem(("name",), sentence)])
        own = OPTIMIZERS[name]
        foreign = [
            Problem(
                (key,),
                _("the optimizer {name} has no such setting.").format(name=name) + did_you_mean(key, own),
            )
            for key, value in values.items()
            if key in cls.model_fields and key not in own and key != "name" and value is not None
        ]
        if foreign:
            raise SpecError(foreign)
        return own | {key: value for key, value in values.items() if value is not None}

    @property
    def settings(self) -> dict[str, float | bool]:
        """This optimizer's hyper-parameters, name -> value, none missing."""
        return {key: getattr(self, key) for key in OPTIMIZERS[self.name]}

    def declared(self) -> dict[str, Any]:
        """Return the name and the settings that differ from Keras' defaults."""
        own = OPTIMIZERS[self.name]
        return {"name": self.name} | {key: value for key, value in self.settings.items() if value != own[key]}


class Training(Spec):
    """The recipe: sparse categorical cross-entropy, minimised by `optimizer`.

    batch_size: images a step, 1 up to the whole split; the last batch holds what is left over.
    epochs: passes over the training split, each in a new random order.
    """

    optimizer: Optimizer = Field(default_factory=Optimizer)
    batch_size: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] = 100
    epochs: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 5

    def declared(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain JSON values."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"optimizer"})
        return {"optimizer": self.optimizer.declared()} | values


class Experiment(Spec):
    """A named network and training. `group` gathers experiments that vary the same thing.

    notebook_val_accuracy: what the course's notebook printed for it after its last epoch, in [0, 1]; shown beside ours.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}$")] = "other"
    network: Network = Field(default_factory=Network)
    training: Training = Field(default_factory=Training)
    notebook_val_accuracy: Annotated[float, Field(ge=0.0, le=1.0)] | None = None

    @property
    def id(self) -> str:
        """Sixteen hex digits of the SHA-256 of the network and the training; the name is not part of it."""
        declared = {"network": self.network.declared(), "training": self.training.declared()}
        return fingerprint(declared)[:16]


def fingerprint(value: Any) -> str:
    """Return the SHA-256, in hex, of a JSON value written with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# pydantic's error type -> our sentence, from the error's context
_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda context: _("is required."),
    "greater_than": lambda context: _("must be greater than {gt}.").format(**context),
    "greater_than_equal": lambda context: _("must be at least {ge}.").format(**context),
    "less_than": lambda context: _("must be less than {lt}.").format(**context),
    "less_than_equal": lambda context: _("must be at most {le}.").format(**context),
    "finite_number": lambda context: _("must be a finite number."),
    "int_type": lambda context: _("must be a whole number."),
    "int_parsing": lambda context: _("must be a whole number."),
    "int_from_float": lambda context: _("must be a whole number."),
    "float_type": lambda context: _("must be a number."),
    "float_parsing": lambda context: _("must be a number."),
    "bool_type": lambda context: _("must be true or false."),
    "bool_parsing": lambda context: _("must be true or false."),
    "string_type": lambda context: _("must be a text."),
    "tuple_type": lambda context: _("must be a list."),
    "string_too_short": lambda context: _("must not be empty."),
    "string_too_long": lambda context: _("must have at most {max_length} characters.").format(**context),
    "too_long": lambda context: _("must have at most {max_length} items.").format(**context),
    "string_pattern_mismatch": lambda context: _("may hold letters, digits and . _ + - (64 at most)."),
    "model_type": lambda context: _("must be a table of keys and values."),
    "model_attributes_type": lambda context: _("must be a table of keys and values."),
}


def _problems(model: type[Spec], error: ValidationError) -> list[Problem]:
    problems: dict[tuple[str, ...], Problem] = {}
    for detail in error.errors(include_url=False):
        for problem in _explained(model, detail):
            problems.setdefault(problem.where, problem)  # a union reports each of its branches: the first will do
    return list(problems.values())


def _explained(model: type[Spec], detail: ErrorDetails) -> list[Problem]:
    where = tuple(str(part) for part in detail["loc"] if not _is_branch(part))
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return [Problem((*where, *problem.where), problem.sentence) for problem in cause.problems]
    if cause is not None:
        return [Problem(where, str(cause))]
    if detail["type"] == "extra_forbidden":
        return [Problem(where, unknown_key(where[-1], model.model_fields))]
    sentence = _SENTENCES.get(detail["type"])
    text = sentence(detail.get("ctx", {})) if sentence else detail["msg"]
    if detail["type"] != "missing":
        text += " " + _("It is {value!r}.").format(value=detail["input"])
    return [Problem(where, text)]


def _is_branch(part: int | str) -> bool:
    """Whether a part of pydantic's location names a branch of a union rather than a key."""
    return isinstance(part, str) and (part in {"str", "int", "float"} or part.startswith("constrained-") or "[" in part)
