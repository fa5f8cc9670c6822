"""A run that has ended, as other tools take it: hyper-parameters, figures by epoch, weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neurona.run import Epoch, History, Norms, Parameters
from neurona.specs import Experiment
from neurona.study import ExperimentRuns, Study

__all__ = ["EndedRun", "Value", "ended_runs", "hyperparameters"]

Value = bool | int | float | str


@dataclass(frozen=True, eq=False)
class EndedRun:
    """A run of an experiment of a study.

    state: `complete` or `diverged`.
    norms: of the layers at the end of each epoch; () where none were kept.
    finished: when it ended, in seconds since 1970.
    versions: of the libraries it was made with.
    parameters: reads the final weights.
    """

    id: str
    experiment: Experiment
    seed: int
    state: str
    epochs: tuple[Epoch, ...]
    norms: tuple[Norms, ...]
    finished: float
    versions: Mapping[str, str]
    parameters: Callable[[], Parameters]

    @property
    def name(self) -> str:
        """Its place among others: `experiment/seed-0`."""
        return f"{self.experiment.name}/seed-{self.seed}"

    @property
    def started(self) -> float:
        """When the first epoch began, in seconds since 1970, as if nothing had come between the epochs."""
        return self.finished - sum(epoch.seconds for epoch in self.epochs)

    @property
    def times(self) -> tuple[float, ...]:
        """When each epoch ended, in seconds since 1970, as if nothing had come between them."""
        left = (sum(epoch.seconds for epoch in self.epochs[number:]) for number in range(1, len(self.epochs) + 1))
        return tuple(self.finished - seconds for seconds in left)

    def scalars(self) -> Iterator[dict[str, float]]:
        """Yield what each epoch ended with: the keys of `History`, and the norms by layer where they were kept."""
        for number, epoch in enumerate(self.epochs):
            found = {key: float(getattr(epoch, key)) for key in History.KEYS}
            for index, layer in enumerate(self.norms[number] if number < len(self.norms) else ()):
                found[f"weights_norm/dense_{index}"] = layer.weights
                found[f"gradients_norm/dense_{index}"] = layer.gradients
            yield found


def ended_runs(study: Study, runs: ExperimentRuns) -> Iterator[EndedRun]:
    """Yield the runs of one experiment of `study` that have ended, by seed."""
    for seed, run in sorted(runs.ended.items()):
        yield EndedRun(
            id=run.id,
            experiment=runs.stored.experiment,
            seed=seed,
            state=run.state,
            epochs=run.epochs,
            norms=study.run_norms(run.id),
            finished=run.finished or 0.0,
            versions=study.run_versions(run.id),
            parameters=functools.partial(study.run_weights, run.id),
        )


def hyperparameters(experiment: Experiment) -> dict[str, Value]:
    """Return every setting of network and training that has a value, as `training.optimizer.learning_rate`.

    A list is text: `50,50`.
    """
    found: dict[str, Value] = {}
    for name, spec in (("network", experiment.network), ("training", experiment.training)):
        found |= _flat(name, spec.model_dump(mode="json", exclude_none=True))
    return found


def _flat(name: str, value: Any) -> dict[str, Value]:
    if isinstance(value, Mapping):
        return {key: part for inner, own in value.items() for key, part in _flat(f"{name}.{inner}", own).items()}
    return {name: ",".join(map(str, value)) if isinstance(value, list) else value}
