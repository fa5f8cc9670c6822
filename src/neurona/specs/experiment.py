"""A network and a training under one name."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from neurona.errors import Problem, SpecError
from neurona.i18n import _
from neurona.specs.network import Network
from neurona.specs.spec import Spec, did_you_mean, fingerprint
from neurona.specs.training import Training

__all__ = ["ENGINES", "NEURONA", "Experiment", "check_engine"]

NEURONA = "neurona"
ENGINES = (NEURONA, "keras")  # what can train; `neurona.engines` has the functions


class Experiment(Spec):
    """A named network and training. `group` gathers experiments that vary the same thing.

    engine: a name of `ENGINES`, what trains it.
    notebook_val_accuracy: what the course's notebook printed for it after its last epoch, in [0, 1]; shown beside ours.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$")]
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}$")] = "other"
    network: Network = Field(default_factory=Network)
    training: Training = Field(default_factory=Training)
    engine: str = NEURONA
    notebook_val_accuracy: Annotated[float, Field(strict=True, ge=0.0, le=1.0)] | None = None

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        check_engine(self.engine, self.training)
        return self

    @property
    def id(self) -> str:
        """Sixteen hex digits of the SHA-256 of network, training and, unless it is Neurona's, engine; not of the name.

        Experiments with one id are the same: their runs are the same runs.
        """
        declared: dict[str, Any] = {"network": self.network.declared(), "training": self.training.declared()}
        if self.engine != NEURONA:
            declared["engine"] = self.engine
        return fingerprint(declared)[:16]


def check_engine(engine: str, training: Training) -> None:
    """Raise SpecError unless `engine` is one of `ENGINES` and can do `training`."""
    if engine not in ENGINES:
        sentence = _("there is no engine {name!r}.").format(name=engine) + did_you_mean(engine, ENGINES)
        raise SpecError([Problem(("engine",), sentence)])
    if engine == "keras" and training.augmentation is not None:
        raise SpecError(
            [Problem(("training", "augmentation"), _("must not be given with Keras, which has no such one."))]
        )
    if engine == "keras" and training.precision != "float32":
        sentence = _(
            "must be float32 with Keras, whose mixed precision keeps more than the products' operands in {precision}."
        )
        raise SpecError([Problem(("training", "precision"), sentence.format(precision=training.precision))])
