"""What a search is after, and what a run is worth by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.run import Epoch, kept_epoch
from neurona.specs import Experiment, did_you_mean
from neurona.stats import SMALLEST_EFFECT
from neurona.study import counted_accuracy

__all__ = ["OBJECTIVES", "Objective"]

OBJECTIVES = ("val_accuracy", "val_loss", "seconds", "pareto")
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """One of `OBJECTIVES`.

    `val_accuracy`, `val_loss`: of the epoch whose weights a run keeps.
    `seconds`: of training, until the validation accuracy is `target`; infinity for a run that does not get there.
    `pareto`: validation accuracy, and against it the number of parameters.
    """

    name: str = "val_accuracy"
    target: float | None = None

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            sentence = _("there is no objective {name!r}.").format(name=self.name)
            raise UsageError(sentence + did_you_mean(self.name, OBJECTIVES))
        if (self.name == "seconds") != (self.target is not None):
            raise UsageError(_("the objective `seconds`, and no other, needs a target: the accuracy to be reached."))
        if self.target is not None and not 0 < self.target <= 1:
            raise UsageError(
                _("the target is an accuracy above 0 and up to 1, but is {value}.").format(value=self.target)
            )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Which way each of its values is better."""
        if self.name == "pareto":
            return ("maximize", "minimize")
        return ("maximize",) if self.name == "val_accuracy" else ("minimize",)

    @property
    def can_prune(self) -> bool:
        """Whether a trial can be told to be behind after an epoch."""
        return self.name in ("val_accuracy", "val_loss")

    def values(
        self, state: str, epochs: Sequence[Epoch], experiment: Experiment, parameters: int, classes: int
    ) -> tuple[float, ...]:
        """Return what a run that has ended in `state` is worth; one that diverged counts as a network that guesses."""
        kept = kept_epoch(experiment.training, epochs)
        if self.name == "val_loss":
            return (math.log(classes) if state == "diverged" else kept.val_loss,)
        if self.name == "seconds":
            return (self.seconds(epochs),)
        accuracy = counted_accuracy(state, kept, classes)
        return (accuracy, float(parameters)) if self.name == "pareto" else (accuracy,)

    def after_epoch(self, epoch: Epoch, classes: int) -> float:
        """Return what a run is worth after an epoch, as a pruner compares it."""
        if self.name == "val_loss":
            return epoch.val_loss if math.isfinite(epoch.val_loss) else math.log(classes)
        return epoch.val_accuracy if math.isfinite(epoch.val_loss) else 1.0 / classes

    def is_reached(self, epoch: Epoch) -> bool:
        """Whether nothing more is to be known after this epoch."""
        return self.target is not None and epoch.val_accuracy >= self.target

    def seconds(self, epochs: Sequence[Epoch]) -> float:
        """Return the seconds of training until the target is reached, infinity when it is not."""
        total = 0.0
        for epoch in epochs:
            total += epoch.seconds
            if self.is_reached(epoch):
                return total
        return math.inf

    def gain(self, value: float, other: float) -> float:
        """Return by how much `value` is better than `other`."""
        return value - other if self.directions[0] == "maximize" else other - value

    @property
    def same(self) -> float:
        """The difference that does not matter: 0.2 points of accuracy, 0.01 of the loss, a second."""
        return {"val_loss": 0.01, "seconds": 1.0}.get(self.name, SMALLEST_EFFECT)

    @property
    def broken(self) -> float:
        """The difference that is a failure: 5 points of accuracy, 0.2 of the loss, never getting there."""
        return {"val_loss": 0.2, "seconds": math.inf}.get(self.name, 0.05)

    def shown(self, value: float) -> str:
        """Return a value as it is shown: accuracies in per cent."""
        if self.name == "val_loss":
            return f"{value:.4f}"
        return f"{value:.1f} s" if self.name == "seconds" else f"{100 * value:.2f} %"

    def shown_gain(self, gain: float) -> str:
        """Return a difference as it is shown: of accuracies, in points."""
        if self.name == "val_loss":
            return f"{gain:.3f}"
        if self.name == "seconds":
            return f"{gain:.1f} s"
        return _("{points:.2f} points").format(points=100 * gain)
