"""What a lab would do, before it does it: its problems, what in it has no effect, how many runs, and about how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from neurona import objective
from neurona.data import Dataset, load
from neurona.engine import sizes, workers_here
from neurona.engine.programs import arguments
from neurona.engines import FITTED_GFLOPS, check_ready, expected_seconds
from neurona.errors import NeuronaError, Problem, SpecError
from neurona.i18n import _, marked
from neurona.lab import LabSpec
from neurona.runner import tasks
from neurona.specs import NEURONA, Experiment
from neurona.speed import product_gflops

__all__ = ["Review", "review"]

_ALONE = marked("has no effect: there is no hidden layer.")


@dataclass(frozen=True)
class Review:
    """What was found.

    problems: each keeps the lab from running, or one of its experiments from ending.
    notes: what runs, but is perhaps not meant: experiments that are the same, settings without effect.
    lab, data: None where they cannot be read.
    runs: how many different runs the lab has with the seeds asked for.
    seconds: about how long these take here, as many side by side as `workers`; compiling comes on top. None without
        data.
    """

    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    lab: LabSpec | None = None
    data: Dataset | None = None
    runs: int = 0
    seconds: float | None = None
    workers: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "problems": [_document(problem) for problem in self.problems],
            "notes": [_document(note) for note in self.notes],
            "lab": None if self.lab is None else self.lab.name,
            "experiments": 0 if self.lab is None else len(self.lab.experiments),
            "dataset": None if self.data is None else {"name": self.data.name, "fingerprint": self.data.fingerprint},
            "runs": self.runs,
            "seconds": self.seconds,
            "workers": self.workers,
        }


def _document(problem: Problem) -> dict[str, str]:
    return {"key": ".".join(problem.where), "sentence": problem.sentence}


def review(name_or_path: str | Path, *, seeds: int = 5) -> Review:
    """Return what the built-in lab, or the lab in a file, would do with `seeds` seeds. Nothing is trained.

    Raises UsageError when there is no such lab, or its file cannot be read.
    """
    try:
        lab = LabSpec.load(name_or_path)
    except SpecError as error:
        return Review(error.problems, ())
    notes = tuple(note for number, experiment in enumerate(lab.experiments) for note in _notes(lab, number, experiment))
    problems = list(_without_engine(lab))
    try:
        data = load(lab.dataset)
    except NeuronaError as error:
        return Review((*problems, Problem(("lab", "dataset"), str(error))), notes, lab)
    found = [note for number, experiment in enumerate(lab.experiments) for note in _with_data(number, experiment, data)]
    problems += [problem for is_problem, problem in found if is_problem]
    notes += tuple(note for is_problem, note in found if not is_problem)
    wanted = tasks(lab.experiments, seeds, data.fingerprint)
    return Review(tuple(problems), notes, lab, data, len(wanted), *_seconds([t.experiment for t in wanted], data))


def _seconds(experiments: list[Experiment], data: Dataset) -> tuple[float, int]:
    """Return about how long runs of `experiments` take on this machine, and how many go side by side.

    The pace is that of this machine's products against those of the machine where the guess was fitted.
    """
    workers = workers_here()
    pace = FITTED_GFLOPS / product_gflops(1, repeats=5)
    each = [pace * expected_seconds(experiment, data) for experiment in experiments]
    return max(sum(each) / workers, *each), workers


def _place(experiment: Experiment, number: int) -> tuple[str, ...]:
    return ("experiment", experiment.name) if number else ("baseline",)


def _without_engine(lab: LabSpec) -> Iterator[Problem]:
    for engine in {experiment.engine for experiment in lab.experiments} - {NEURONA}:
        try:
            check_ready(engine)
        except NeuronaError as error:
            first = next(n for n, experiment in enumerate(lab.experiments) if experiment.engine == engine)
            yield Problem((*_place(lab.experiments[first], first), "engine"), str(error))


def _notes(lab: LabSpec, number: int, experiment: Experiment) -> Iterator[Problem]:
    """Yield what of an experiment is perhaps not meant."""
    where = _place(experiment, number)
    earlier = next((other for other in lab.experiments[:number] if other.id == experiment.id), None)
    if earlier is not None:
        sentence = _("is the same network, trained the same way, as {name}: they share their runs.")
        yield Problem(where, sentence.format(name=earlier.name))
        return
    base = lab.baseline if number else None
    for key, sentence in _idle(experiment):
        if base is None or (key, sentence) not in set(_idle(base)):  # said once, of the baseline
            yield Problem((*where, *key.split(".")), sentence)


def _idle(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield key and sentence for each setting that has no effect in this experiment."""
    network, training = experiment.network, experiment.training
    if not network.hidden:
        for key in ("activation", "dropout", "alpha_dropout", "normalization", "residual"):
            if key in network.declared():
                yield f"network.{key}", _(_ALONE)
    elif network.residual and all(one != other for one, other in pairwise(network.hidden)):
        yield "network.residual", _("has no effect: no two hidden layers in a row have equally many units.")
    stopping = training.early_stopping
    if stopping is not None and stopping.patience >= training.epochs and not stopping.restore_best_weights:
        sentence = _("has no effect: its patience, {patience}, is not over before the {epochs} epochs are.")
        yield "training.early_stopping", sentence.format(patience=stopping.patience, epochs=training.epochs)
    changes = training.augmentation
    if changes is not None:
        if changes.elastic_alpha == 0 and "elastic_sigma" in changes.declared():
            yield "training.augmentation.elastic_sigma", _("has no effect without elastic_alpha.")
        drawn = (changes.moves, changes.thickness, changes.erasing, changes.mixup)
        if not any(drawn):
            yield "training.augmentation", _("has no effect: nothing in it changes an image.")
    schedule = training.optimizer.schedule
    if schedule.warmup_from and not schedule.warmup:
        yield "training.optimizer.schedule.warmup_from", _("has no effect without a warm-up.")


def _with_data(number: int, experiment: Experiment, data: Dataset) -> Iterator[tuple[bool, Problem]]:
    """Yield, with whether they are problems, those of an experiment on its data."""
    where = _place(experiment, number)
    training = experiment.training
    its = sizes(data)
    try:  # all that training itself would find
        weights = objective.class_weights(training, data.train.labels, its.classes)
        arguments(experiment.network, training, its, weights)
    except SpecError as error:
        yield from ((True, Problem((*where, *problem.where), problem.sentence)) for problem in error.problems)
    if training.batch_size > len(data.train):
        sentence = _("is more than the {images:,} training images: each epoch is one step of all of them.")
        yield False, Problem((*where, "training", "batch_size"), sentence.format(images=len(data.train)))
