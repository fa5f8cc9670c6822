"""The recipe of a training."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from neurona.specs.augmentation import Augmentation
from neurona.specs.optimizer import Optimizer
from neurona.specs.quantities import Bound, Decay, Flag, Penalty, Rate
from neurona.specs.spec import Spec, known_name

__all__ = ["MONITORS", "PRECISIONS", "EarlyStopping", "Training"]

PRECISIONS = ("float32", "bfloat16")
MONITORS = ("val_loss", "val_accuracy", "loss", "accuracy")


class EarlyStopping(Spec):
    """When to stop before the last epoch, as Keras' callback of this name does.

    monitor: a key of the history; a loss is to fall, an accuracy to rise.
    patience: epochs without improvement after which training stops.
    min_delta: what counts as an improvement must be greater.
    restore_best_weights: keep the weights of the best epoch instead of the last one's.
    """

    monitor: str = "val_loss"
    patience: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 0
    min_delta: Annotated[float, Field(strict=True, ge=0.0)] = 0.0
    restore_best_weights: Flag = False

    @field_validator("monitor")
    @classmethod
    def _known_monitor(cls, value: str) -> str:
        return known_name(value, MONITORS)


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
    augmentation: random changes of the training images.
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
    augmentation: Augmentation | None = None
    precision: str = "float32"

    @field_validator("class_weight")
    @classmethod
    def _balanced_or_weights(cls, value: str | tuple[float, ...] | None) -> str | tuple[float, ...] | None:
        return known_name(value, ("balanced",)) if isinstance(value, str) else value

    @field_validator("precision")
    @classmethod
    def _known_precision(cls, value: str) -> str:
        return known_name(value, PRECISIONS)

    def declared(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain JSON values."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"optimizer"})
        return {"optimizer": self.optimizer.declared()} | values
