"""The optimizer and its hyper-parameters."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs.quantities import Bound, Decay, Flag, Penalty
from neurona.specs.schedule import Schedule
from neurona.specs.spec import Spec, with_defaults

__all__ = ["COMMON", "OPTIMIZERS", "Optimizer"]

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
COMMON = ("weight_decay", *_CLIPPINGS)

LearningRate = Annotated[float, Field(strict=True, gt=0.0, le=1000.0)]


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
    nesterov: Flag | None = None
    beta_1: Decay | None = None
    beta_2: Decay | None = None
    epsilon: Annotated[float, Field(strict=True, gt=0.0, le=1.0)] | None = None
    rho: Decay | None = None
    centered: Flag | None = None
    initial_accumulator_value: Penalty | None = None
    ns_steps: Annotated[int, Field(ge=1, le=20, strict=True)] | None = None
    rms_rate: Annotated[float, Field(strict=True, gt=0.0, le=1000.0)] | None = None
    adam_lr_ratio: Annotated[float, Field(strict=True, gt=0.0, le=1000.0)] | None = None
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
        return with_defaults(
            values,
            table=OPTIMIZERS,
            common=(*COMMON, "schedule"),
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
        common = {key: getattr(self, key) for key in COMMON if getattr(self, key) is not None}
        return {key: getattr(self, key) for key in OPTIMIZERS[self.name]} | common

    def declared(self) -> dict[str, Any]:
        """Return the name, the settings that differ from Keras' defaults, and a schedule that is not constant."""
        own = OPTIMIZERS[self.name]
        declared = {key: value for key, value in self.settings.items() if value != own.get(key)}
        schedule = {} if self.schedule == Schedule() else {"schedule": self.schedule.declared()}
        return {"name": self.name} | declared | schedule
