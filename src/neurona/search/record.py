"""What a search has done, as plain values: its trials, read from Optuna's study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from neurona.search.objective import Objective
from neurona.search.storage import load_search, patient
from neurona.search.trials import Plan, drawn
from neurona.space import Space, Values
from neurona.specs import Experiment
from neurona.store import Store

__all__ = ["Searched", "TrialRecord", "read_search"]

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    state: `complete`, `pruned`, `failed` or `running`.
    values: the objective's, empty unless it is complete.
    curve: what it was worth after each of its epochs, as a pruner compares it.
    point: key -> value, of the settings that it was asked for.
    """

    number: int
    state: str
    values: tuple[float, ...]
    curve: tuple[float, ...]
    point: Values
    experiment: Experiment | None
    run: str

    @property
    def score(self) -> float | None:
        """What it is worth by the first objective, of a pruned one at the end of its last epoch; None when unknown."""
        if self.values:
            return self.values[0]
        return self.curve[-1] if self.state == "pruned" and self.curve else None

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object."""
        return {
            "number": self.number,
            "state": self.state,
            "values": list(self.values),
            "curve": list(self.curve),
            "point": dict(self.point),
            "run": self.run,
        }


@dataclass(frozen=True)
class Searched:
    """One search in a study, as far as it is.

    seconds: how long anybody was at work on it.
    """

    name: str
    space: Space
    base: Experiment
    objective: Objective
    trials: tuple[TrialRecord, ...]
    seconds: float

    def count(self, state: str) -> int:
        """Return how many trials are in `state`."""
        return sum(trial.state == state for trial in self.trials)

    def ranked(self) -> list[TrialRecord]:
        """Return the complete trials, the best first; of two objectives, the Pareto front first."""
        complete = [trial for trial in self.trials if trial.state == "complete"]
        if len(self.objective.directions) > 1:
            front = {trial.number for trial in self.front()}
            return sorted(complete, key=lambda trial: (trial.number not in front, -trial.values[0], trial.number))
        sign = -1 if self.objective.directions[0] == "maximize" else 1
        return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))

    def front(self) -> list[TrialRecord]:
        """Return the complete trials than which no other is better in one value and as good in all."""
        signs = [1.0 if direction == "maximize" else -1.0 for direction in self.objective.directions]
        complete = [trial for trial in self.trials if trial.state == "complete"]
        gains = {trial.number: [s * v for s, v in zip(signs, trial.values, strict=True)] for trial in complete}
        return [trial for trial in complete if not any(_beats(gains[o.number], gains[trial.number]) for o in complete)]

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None while none is complete."""
        return next(iter(self.ranked()), None)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))


def read_search(store: Store, name: str, plan: Plan, seconds: float) -> Searched:
    """Return the search called `name` as it stands; without trials when it has not begun."""
    trials = _trials(store, name)
    return Searched(name, plan.space, plan.base, plan.objective, tuple(map(_record, trials)), seconds)


@patient
def _trials(store: Store, name: str) -> list[optuna.trial.FrozenTrial]:
    study = load_search(store, name)
    return [] if study is None else study.get_trials(deepcopy=False)


def _record(trial: optuna.trial.FrozenTrial) -> TrialRecord:
    found = drawn(trial)
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state],
        values=tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else (),
        curve=tuple(trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)),
        point=found.get("values", {}),
        experiment=Experiment(**found["experiment"]) if found else None,
        run=found.get("run", ""),
    )
