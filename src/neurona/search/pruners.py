"""What stops a trial early: Hyperband over epochs, the median rule, or nothing.

A pruner decides from the values of the trials alone, and keeps nothing. Optuna's own Hyperband notes the rungs that a
trial has passed beside its values; a trial that was killed between the two would be decided otherwise when it goes on.
"""

from __future__ import annotations

import math
import zlib

import optuna
from optuna.study import StudyDirection

from neurona.errors import UsageError
from neurona.i18n import _
from neurona.specs import did_you_mean

__all__ = ["PRUNERS", "Hyperband", "check_pruner", "trial_pruner"]

PRUNERS = ("hyperband", "median", "none")
_STARTUP = 5  # trials that must be complete before the median rule stops any


def check_pruner(name: str) -> None:
    """Raise UsageError when there is no pruner called `name`."""
    if name not in PRUNERS:
        raise UsageError(_("there is no pruner {name!r}.").format(name=name) + did_you_mean(name, PRUNERS))


def trial_pruner(name: str, *, epochs: int, seed: int) -> optuna.pruners.BasePruner:
    """Return the pruner called `name` for trials of so many epochs."""
    if name == "hyperband":
        return Hyperband(epochs=epochs, seed=seed)
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=_STARTUP)
    return optuna.pruners.NopPruner()


class Hyperband(optuna.pruners.BasePruner):
    """Asynchronous successive halving in several brackets.

    A trial of bracket b is looked at after η^b, η^(b+1), … epochs, and goes on when it is among the best of 1/η of the
    trials of its bracket that have come as far; the best so far goes on in any case. Which bracket a trial is in
    depends on its number; as in the paper, a bracket that stops more has more trials.

    Sources: Li et al. (2018), "Hyperband", JMLR 18(185); Li et al. (2020), "A System for Massively Parallel
    Hyperparameter Tuning" (ASHA), MLSys. The constants are Optuna's.
    """

    def __init__(self, *, epochs: int, seed: int, reduction: int = 3) -> None:
        self._reduction, self._seed = reduction, seed
        brackets = math.floor(math.log(epochs, reduction) + 1e-9) + 1
        # of a bracket that begins its halvings later, fewer trials, as each costs more
        self._shares = [
            math.ceil(brackets * reduction**further / (further + 1)) for further in range(brackets - 1, -1, -1)
        ]

    def bracket(self, number: int) -> int:
        """Return the bracket of the trial with this number."""
        place = zlib.crc32(f"{self._seed} {number}".encode()) % sum(self._shares)
        for bracket, share in enumerate(self._shares):
            if place < share:
                return bracket
            place -= share
        raise AssertionError

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether `trial` is to stop after its last epoch."""
        epoch = trial.last_step
        bracket = self.bracket(trial.number)
        if epoch is None or epoch not in self._looks(bracket, epoch):
            return False
        others = [
            other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and self.bracket(other.number) == bracket
            and epoch in other.intermediate_values
        ]
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        values = sorted((sign * value for value in [*others, trial.intermediate_values[epoch]]), reverse=True)
        go_on = max(len(values) // self._reduction, 1)
        return bool(sign * trial.intermediate_values[epoch] < values[go_on - 1])

    def _looks(self, bracket: int, epoch: int) -> list[int]:
        """Return the epochs up to `epoch` after which a trial of `bracket` is looked at."""
        exponents = range(bracket, bracket + epoch)
        return [self._reduction**exponent for exponent in exponents if self._reduction**exponent <= epoch]
