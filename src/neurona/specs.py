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
    "INITIALIZERS",
    "MONITORS",
    "NORMALIZATIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "EarlyStopping",
    "Experiment",
    "Network",
    "Optimizer",
    "Schedule",
    "Spec",
    "Training",
    "did_you_mean",
    "unknown_key",
]

# The names; `neurona.activations` and `neurona.initializers` have the functions.
ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "linear",
)
INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "zeros",
)
NORMALIZATIONS = ("batch", "layer")
PRECISIONS = ("float32", "bfloat16")
MONITORS = ("val_loss", "val_accuracy", "loss", "accuracy")

_ADAM: dict[str, Any] = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}

# Optimizer -> its hyper-parameters and their defaults, as in Keras 3. `momentum`, `nesterov` and `amsgrad` are Keras'
# SGD and Adam with what their names say.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": _ADAM,
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "momentum": {"learning_rate": 0.01, "momentum": 0.9},
    "nesterov": {"learning_rate": 0.01, "momentum": 0.9},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    "amsgrad": _ADAM,
    "adamw": _ADAM | {"weight_decay": 0.004},
    "nadam": _ADAM,
    "adamax": _ADAM,
    "lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
    "muon": {
        "learning_rate": 0.001,
        "momentum": 0.95,
        "nesterov": True,
        "ns_steps": 5,
        "rms_rate": 0.2,
        "weight_decay": 0.004,
        "adam_lr_ratio": 1.0,
        "adam_beta_1": 0.9,
        "adam_beta_2": 0.999,
        "adam_weight_decay": 0.004,
        "epsilon": 1e-7,
    },
}
# What every optimizer also takes; not done unless given.
_CLIPPINGS = ("clipnorm", "global_clipnorm", "clipvalue")
_COMMON = ("weight_decay", *_CLIPPINGS)

# Schedule -> its settings and their defaults. Keras' names and defaults where Keras has them; lengths are fractions.
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {},
    "cosine": {"decay": None, "alpha": 0.0},
    "exponential": {"decay": 0.1, "decay_rate": 0.5, "staircase": False},
    "step": {"boundaries": (0.5, 0.75), "factors": (0.1, 0.01)},
    "polynomial": {"decay": None, "end_learning_rate": 0.0001, "power": 1.0},
    "one_cycle": {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 10_000.0},
}
_WARMUP: dict[str, Any] = {"warmup": 0.0, "warmup_from": 0.0}

Value = TypeVar("Value")

Units = Annotated[int, Field(ge=1, le=65_536, strict=True)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
LearningRate = Annotated[float, Field(gt=0.0, le=1000.0)]
Penalty = Annotated[float, Field(ge=0.0, le=1000.0)]
Bound = Annotated[float, Field(gt=0.0, le=1e6)]


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
    initializer: a name of `INITIALIZERS`, for every kernel.
    dropout: rate in [0, 1) after each hidden layer, or a rate for each (Srivastava et al. 2014).
    alpha_dropout: likewise, dropout that suits selu (Klambauer et al. 2017); a layer has one of the two.
    input_dropout: rate in [0, 1) on the scaled pixels.
    input_noise: standard deviation of normal noise on the scaled pixels, while training.
    normalization: `batch` (Ioffe & Szegedy 2015) or `layer` (Ba et al. 2016), before each hidden activation.
    residual: add a hidden layer's input to its output where both have equal units (He et al. 2016).
    """

    hidden: tuple[Units, ...] = Field(default=(50, 50), max_length=64)
    activation: str | tuple[str, ...] = "relu"
    initializer: str = "glorot_uniform"
    dropout: Rate | tuple[Rate, ...] = 0.0
    alpha_dropout: Rate | tuple[Rate, ...] = 0.0
    input_dropout: Rate = 0.0
    input_noise: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    normalization: str | None = None
    residual: bool = False

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if name not in ACTIVATIONS:
                raise ValueError(
                    _("there is no activation {name!r}.").format(name=name) + did_you_mean(name, ACTIVATIONS)
                )
        return value

    @field_validator("initializer")
    @classmethod
    def _known_initializer(cls, value: str) -> str:
        return _known_name(value, INITIALIZERS)

    @field_validator("normalization")
    @classmethod
    def _known_normalization(cls, value: str | None) -> str | None:
        return None if value is None else _known_name(value, NORMALIZATIONS)

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> Self:
        for field in ("activation", "dropout", "alpha_dropout"):
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
        if any(one > 0 and other > 0 for one, other in zip(self.dropouts, self.alpha_dropouts, strict=True)):
            raise SpecError([Problem(("alpha_dropout",), _("a layer has dropout or alpha dropout, not both."))])
        return self

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return _for_each_layer(self.activation, len(self.hidden))

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The dropout rate after each hidden layer."""
        return _for_each_layer(self.dropout, len(self.hidden))

    @property
    def alpha_dropouts(self) -> tuple[float, ...]:
        """The alpha dropout rate after each hidden layer."""
        return _for_each_layer(self.alpha_dropout, len(self.hidden))

    def parameters(self, image_shape: tuple[int, int], classes: int) -> int:
        """Return the number of weights for images of `image_shape` (height, width) pixels, as Keras counts them.

        That is weights, biases and what normalisation has, its running moments included.
        """
        sizes = (math.prod(image_shape), *self.hidden, classes)
        dense = sum((inputs + 1) * units for inputs, units in pairwise(sizes))
        return dense + {"batch": 4, "layer": 2, None: 0}[self.normalization] * sum(self.hidden)


def _known_name(value: str, names: tuple[str, ...]) -> str:
    if value not in names:
        raise ValueError(_("there is no {name!r} here.").format(name=value) + did_you_mean(value, names))
    return value


def _for_each_layer(value: Value | tuple[Value, ...], layers: int) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,) * layers


def _with_defaults(
    values: Any, *, table: dict[str, dict[str, Any]], common: Iterable[str], default: str, unknown: str, foreign: str
) -> Any:
    """Return `values` with the defaults of the kind they name, a row of `table`, whose settings alone they may have."""
    if isinstance(values, str):
        values = {"name": values}
    if not isinstance(values, dict):
        return values
    name = values.get("name", default)
    if name not in table:
        raise SpecError([Problem(("name",), unknown.format(name=name) + did_you_mean(str(name), table))])
    others = {key for settings in table.values() for key in settings} - {*table[name], *common}
    problems = [
        Problem((key,), foreign.format(name=name) + did_you_mean(key, [*table[name], *common]))
        for key, value in values.items()
        if key in others and value is not None
    ]
    if problems:
        raise SpecError(problems)
    return table[name] | {key: value for key, value in values.items() if value is not None}


class Schedule(Spec):
    """How the learning rate changes from step to step: a schedule of `SCHEDULES` and its settings.

    Lengths are fractions of the whole training, rounded to whole steps.

    warmup: in [0, 1); the rate first rises, step by step, linearly to where the schedule begins; then that runs.
    warmup_from: in [0, 1]; where the rise begins, as a part of where it ends.
    decay: length of cosine's and polynomial's decay (unless given, all that warm-up leaves), or of a period of
        exponential's.
    alpha: cosine's last rate, as a part of the learning rate.
    decay_rate, staircase: what the rate is multiplied by in each period; whether in one step at its end.
    boundaries, factors: where the rate steps, rising, later than warm-up; what part of the learning rate it steps to.
    end_learning_rate, power: polynomial's last rate, and its exponent.
    pct_start, div_factor, final_div_factor: one-cycle's rise, which ends at the learning rate and begins at that over
        div_factor; it falls to that over div_factor·final_div_factor.
    """

    name: str = "constant"
    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    warmup_from: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    alpha: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    decay_rate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    staircase: bool | None = None
    boundaries: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=64)] | None = None
    factors: Annotated[tuple[Penalty, ...], Field(min_length=1, max_length=64)] | None = None
    end_learning_rate: Annotated[float, Field(ge=0.0, le=1000.0)] | None = None
    power: Annotated[float, Field(gt=0.0, le=100.0)] | None = None
    pct_start: Fraction | None = None
    div_factor: Annotated[float, Field(ge=1.0, le=1e9)] | None = None
    final_div_factor: Annotated[float, Field(ge=1.0, le=1e9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        return _with_defaults(
            values,
            table=SCHEDULES,
            common=_WARMUP,
            default="constant",
            unknown=_("there is no schedule {name!r}."),
            foreign=_("the schedule {name} has no such setting."),
        )

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.boundaries and self.factors:
            if len(self.factors) != len(self.boundaries):
                sentence = _("must be one for each of the {boundaries} boundaries, but there are {count}.")
                sentence = sentence.format(boundaries=len(self.boundaries), count=len(self.factors))
                raise SpecError([Problem(("factors",), sentence)])
            if not all(one < other for one, other in pairwise((self.warmup, *self.boundaries))):
                sentence = _("must rise, and begin after the warm-up, {warmup}. It is {value!r}.")
                sentence = sentence.format(warmup=self.warmup, value=self.boundaries)
                raise SpecError([Problem(("boundaries",), sentence)])
        if self.pct_start and self.warmup + self.pct_start >= 1:
            sentence = _("must be less than 1 together with the warm-up, {warmup}. It is {value!r}.")
            raise SpecError([Problem(("pct_start",), sentence.format(warmup=self.warmup, value=self.pct_start))])
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """This schedule's settings, name -> value, none missing; a `decay` that is not given is None."""
        return {key: getattr(self, key) for key in (*SCHEDULES[self.name], *_WARMUP)}

    def declared(self) -> dict[str, Any]:
        """Return the name and the settings that differ from the defaults."""
        own = SCHEDULES[self.name] | _WARMUP
        return {"name": self.name} | {key: value for key, value in self.settings.items() if value != own[key]}


class Optimizer(Spec):
    """An optimizer of `OPTIMIZERS` and its hyper-parameters; what is not given has Keras' default.

    A hyper-parameter that the optimizer does not have is refused: `sgd` has no `beta_1`. Every optimizer has these:

    weight_decay: decoupled; each step first takes learning_rate·weight_decay of every weight and bias.
    clipnorm, global_clipnorm, clipvalue: bound of the gradient's norm for each array of weights or biases, of its norm
        over all of them, or of each number in it; one of the three.
    schedule: how the learning rate changes; a name of `SCHEDULES`, or a table.
    """

    name: str = "adam"
    learning_rate: LearningRate | None = None
    momentum: Decay | None = None
    nesterov: bool | None = None
    beta_1: Decay | None = None
    beta_2: Decay | None = None
    epsilon: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    rho: Decay | None = None
    centered: bool | None = None
    initial_accumulator_value: Penalty | None = None
    ns_steps: Annotated[int, Field(ge=1, le=20, strict=True)] | None = None
    rms_rate: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    adam_lr_ratio: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    adam_beta_1: Decay | None = None
    adam_beta_2: Decay | None = None
    adam_weight_decay: Penalty | None = None
    weight_decay: Penalty | None = None
    clipnorm: Bound | None = None
    global_clipnorm: Bound | None = None
    clipvalue: Bound | None = None
    schedule: Schedule = Field(default_factory=Schedule)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        return _with_defaults(
            values,
            table=OPTIMIZERS,
            common=(*_COMMON, "schedule"),
            default="adam",
            unknown=_("there is no optimizer {name!r}."),
            foreign=_("the optimizer {name} has no such setting."),
        )

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        clippings = [key for key in _CLIPPINGS if getattr(self, key) is not None]
        if len(clippings) > 1:
            sentence = _("only one of {names} can be given, but {first} is given too.")
            sentence = sentence.format(names=", ".join(_CLIPPINGS), first=clippings[0])
            raise SpecError([Problem((clippings[1],), sentence)])
        if self.name == "lion" and self.beta_1 == 0:
            sentence = _(
                "must be greater than 0 for lion: without it only the sign of the gradient is left. It is 0.0."
            )
            raise SpecError([Problem(("beta_1",), sentence)])
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """This optimizer's hyper-parameters, name -> value, none missing; of those that all have, what is given."""
        common = {key: getattr(self, key) for key in _COMMON if getattr(self, key) is not None}
        return {key: getattr(self, key) for key in OPTIMIZERS[self.name]} | common

    def declared(self) -> dict[str, Any]:
        """Return the name, the settings that differ from Keras' defaults, and a schedule that is not constant."""
        own = OPTIMIZERS[self.name]
        declared = {key: value for key, value in self.settings.items() if value != own.get(key)}
        schedule = {} if self.schedule == Schedule() else {"schedule": self.schedule.declared()}
        return {"name": self.name} | declared | schedule


class EarlyStopping(Spec):
    """When to stop before the last epoch, as Keras' callback of this name does.

    monitor: a key of the history; a loss is to fall, an accuracy to rise.
    patience: epochs without improvement after which training stops.
    min_delta: what counts as an improvement must be greater.
    restore_best_weights: keep the weights of the best epoch instead of the last one's.
    """

    monitor: str = "val_loss"
    patience: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 0
    min_delta: Annotated[float, Field(ge=0.0)] = 0.0
    restore_best_weights: bool = False

    @field_validator("monitor")
    @classmethod
    def _known_monitor(cls, value: str) -> str:
        return _known_name(value, MONITORS)


class Training(Spec):
    """The recipe: sparse categorical cross-entropy, minimised by `optimizer`.

    batch_size: images a step, 1 up to the whole split; the last batch holds what is left over.
    epochs: passes over the training split, each in a new random order.
    l1, l2: penalty on the absolute values and the squares of all kernels, part of every loss that is shown, as Keras'.
    max_norm: bound of the norm of the weights into a unit, kept after each step (Srivastava et al. 2014, section 5.1).
    label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, section 7).
    confidence_penalty: times the entropy of the answers, taken off the loss (Pereyra et al. 2017, eq. 2).
    class_weight: a weight for each class in the training loss, or `balanced`: images / (classes · images of the class).
    ema_momentum: of a running mean of the weights, which is what is validated and kept (Polyak & Juditsky 1992).
    early_stopping: when to stop before the last epoch.
    precision: of the operands of matrix products, float32 or bfloat16; sums and weights stay float32.
    """

    optimizer: Optimizer = Field(default_factory=Optimizer)
    batch_size: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] = 100
    epochs: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 5
    l1: Penalty = 0.0
    l2: Penalty = 0.0
    max_norm: Bound | None = None
    label_smoothing: Rate = 0.0
    confidence_penalty: Penalty = 0.0
    class_weight: str | tuple[Penalty, ...] | None = None
    ema_momentum: Decay | None = None
    early_stopping: EarlyStopping | None = None
    precision: str = "float32"

    @field_validator("class_weight")
    @classmethod
    def _balanced_or_weights(cls, value: str | tuple[float, ...] | None) -> str | tuple[float, ...] | None:
        return _known_name(value, ("balanced",)) if isinstance(value, str) else value

    @field_validator("precision")
    @classmethod
    def _known_precision(cls, value: str) -> str:
        return _known_name(value, PRECISIONS)

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
    "too_short": lambda context: _("must have at least {min_length} items.").format(**context),
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
