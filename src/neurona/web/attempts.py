"""A network that is trained in the page: what is seen of it, how it pauses and goes on, and two over five seeds."""

from __future__ import annotations

import base64
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurona import engine
from neurona.data import Dataset, Split
from neurona.data.dataset import first_images
from neurona.engine import Checkpoint, Interrupted
from neurona.errors import DataError
from neurona.i18n import _
from neurona.model import Model
from neurona.run import Epoch, Parameters, Run, kept_epoch
from neurona.stats import BaselineComparison, compare_to_baseline, mean_interval
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job
from neurona.web.setup import Setup, data_name

__all__ = ["SEEDS", "UNITS", "Attempts", "Probe"]

SEEDS = 5  # with which two attempts are compared
UNITS = 24  # of the first layer that are shown
_PROBES = 10  # validation images whose answers are followed
_KEPT_BYTES = 256_000_000  # of checkpoints; the oldest goes first, and a training that lacks its own begins anew
_SUBSETS = 4  # data sets that are held, one for each number of images


@dataclass(frozen=True)
class Probe:
    """A validation image whose answer is followed: where it stands in the split, and its class."""

    index: int
    label: int


class Attempts:
    """What is trained in the page, for all readers. A run is a function of its setup: whoever pauses keeps nothing.

    data: the data set.
    """

    def __init__(self, data: Callable[[], Dataset]) -> None:
        self._whole = data
        self._lock = threading.Lock()
        self._subsets: OrderedDict[int, Dataset] = OrderedDict()
        self._checkpoints: OrderedDict[tuple[str, int, int, int], Checkpoint] = OrderedDict()
        self._bytes = 0

    def data(self, images: int) -> Dataset:
        """Return the data set with its first `images` training images; Refusal (400) when it cannot be."""
        whole = self._whole()
        if images == len(whole.train):
            return whole
        with self._lock:
            if images not in self._subsets:
                name = data_name(whole, images)
                try:
                    train = first_images(whole.train, images, name.partition("[")[0])
                except DataError as error:
                    raise Refusal(400, str(error)) from None
                self._subsets[images] = replace(whole, name=name, train=train)
                if len(self._subsets) > _SUBSETS:
                    self._subsets.popitem(last=False)
            self._subsets.move_to_end(images)
            return self._subsets[images]

    def probes(self) -> tuple[Probe, ...]:
        """Return the first validation image of each class, of ten classes at most."""
        labels = self._whole().validation.labels
        classes, first = np.unique(labels, return_index=True)
        return tuple(Probe(int(index), int(label)) for label, index in zip(classes, first, strict=True))[:_PROBES]

    def train(self, job: Job, setup: Setup, *, start: int, until: int, pace: float) -> dict[str, Any]:
        """Train `setup` from the end of epoch `start` to that of `until`, and tell `job` of each epoch in between.

        Events: `epoch` has the figures and the answers to the probes, `weights` a picture of the first layer. The first
        are of epoch 0, before anything is learnt. What is returned says how far it came, and whether that is the end.

        pace: epochs a second at most; 0 for as many as there can be.
        """
        data, experiment = self.data(setup.images), setup.experiment
        watched = _Watched(job, experiment.network, data, self.probes())
        resume = self._kept(setup, start)
        reached, pausing, shown_at = start, False, time.monotonic()
        last: Epoch | None = None

        def on_epoch(number: int, epoch: Epoch) -> None:
            nonlocal reached, last
            reached, last = number, epoch

        def on_parameters(number: int, parameters: Callable[[], Parameters]) -> None:
            nonlocal shown_at
            if number > start or number == start == 0:
                watched.tell(number, last, parameters())
                job.rest(shown_at + 1 / pace - time.monotonic() if pace else 0.0)
                shown_at = time.monotonic()

        def on_checkpoint(make: Callable[[], Checkpoint]) -> None:
            nonlocal pausing
            pausing = reached >= until or job.asked_to_stop()
            if pausing:
                self._keep(setup, reached, make())

        asked = engine.Job(
            experiment.network,
            experiment.training,
            setup.seed,
            on_epoch=on_epoch,
            on_parameters=on_parameters,
            on_checkpoint=on_checkpoint,
            resume=resume,
        )
        try:
            run = engine.train_together([asked], data, stop=lambda: pausing)[0]
        except Interrupted:
            return {"epochs": reached, "ended": False, "diverged": False}
        return {"epochs": len(run.history.epochs), "ended": True, "diverged": run.state == "diverged"}

    def compare(self, job: Job, first: Setup, second: Setup) -> dict[str, Any] | None:
        """Train both with the seeds 0 to 4 and return what may be said of the second against the first.

        Each run is told as an event `run`. None when `job` is asked to stop.
        """
        scores: dict[str, dict[int, float]] = {"first": {}, "second": {}}
        classes = self._whole().classes
        for seed in range(SEEDS):
            for side, setup in (("first", first), ("second", second)):
                try:
                    run = self._run(job, setup, seed)
                except Interrupted:
                    return None
                score = math.nan if run.state == "diverged" else _kept(run).val_accuracy
                scores[side][seed] = score
                job.tell("run", side=side, seed=seed, val_accuracy=score, diverged=run.state == "diverged")
        found = compare_to_baseline(scores, "first", diverged_score=1.0 / classes)["second"]
        same = first.replace(seed=0) == second.replace(seed=0)
        return {
            "first": _interval(scores["first"], classes),
            "second": _interval(scores["second"], classes),
            "difference": None if found.difference is None else vars(found.difference),
            "verdict": "same-network" if same else found.verdict.word,
            "sentence": _sentence(found, same=same),
        }

    def _run(self, job: Job, setup: Setup, seed: int) -> Run:
        experiment = setup.experiment
        network, training = experiment.network, experiment.training
        if job.asked_to_stop():
            raise Interrupted
        return engine.train(network, training, self.data(setup.images), seed=seed, stop=job.asked_to_stop)

    def _kept(self, setup: Setup, epochs: int) -> Checkpoint | None:
        with self._lock:
            return self._checkpoints.get(_key(setup, epochs))

    def _keep(self, setup: Setup, epochs: int, checkpoint: Checkpoint) -> None:
        with self._lock:
            before = self._checkpoints.pop(_key(setup, epochs), None)
            self._checkpoints[_key(setup, epochs)] = checkpoint
            self._bytes += _size(checkpoint) - (_size(before) if before else 0)
            while self._bytes > _KEPT_BYTES and len(self._checkpoints) > 1:
                _oldest, gone = self._checkpoints.popitem(last=False)
                self._bytes -= _size(gone)


class _Watched:
    """A training that is looked at: tells the figures, the answers and the first layer of an epoch."""

    def __init__(self, job: Job, network: Any, data: Dataset, probes: tuple[Probe, ...]) -> None:
        self._job, self._network, self._data = job, network, data
        self._images = data.validation.images[[probe.index for probe in probes]]

    def tell(self, number: int, epoch: Epoch | None, parameters: Parameters) -> None:
        """Tell epoch `number`, 0 before the first, which ended with `parameters`."""
        model = Model(self._network, (parameters,), self._data.image_shape, self._data.class_names)
        figures = vars(epoch) if epoch is not None else _untrained(self._network, parameters, self._data.validation)
        answers = np.round(model.probabilities(self._images), 4).tolist()
        self._job.show("weights", number=number, **picture(np.asarray(parameters[0]["kernel"])))
        self._job.tell("epoch", number=number, **figures, answers=answers)


def _untrained(network: Any, parameters: Parameters, validation: Split) -> dict[str, Any]:
    loss, accuracy = engine.evaluate(network, parameters, validation)
    return {"loss": None, "accuracy": None, "val_loss": loss, "val_accuracy": accuracy, "seconds": 0.0}


def picture(kernel: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the weights into the first units, `(pixels, units)`, as signed bytes in base 64, unit by unit.

    scale: the weight that 127 stands for, the largest of those shown; 0 where there is none, or none is finite.
    """
    shown = kernel[:, :UNITS].T
    scale = float(np.abs(shown).max()) if np.isfinite(shown).all() else 0.0
    whole = np.round(shown / scale * 127).astype(np.int8) if scale else np.zeros(shown.shape, np.int8)
    pixels = base64.b64encode(np.ascontiguousarray(whole).tobytes()).decode("ascii")
    return {"units": len(shown), "of": kernel.shape[1], "scale": scale, "pixels": pixels}


def _kept(run: Run) -> Epoch:
    return kept_epoch(run.training, run.history.epochs)


def _interval(scores: dict[int, float], classes: int) -> dict[str, Any]:
    """Return mean and 95 % interval; a run that diverged counts as a network that guesses."""
    return vars(mean_interval([1.0 / classes if math.isnan(score) else score for score in scores.values()]))


def _sentence(found: BaselineComparison, *, same: bool) -> str:
    """Return the verdict for whoever has set up both."""
    if same:
        return _("Both attempts are the same: there is nothing to find.")
    match found.verdict.word:
        case "better":
            return _("This attempt is better than the previous one: the seeds bear it out.")
        case "worse":
            return _("This attempt is worse than the previous one: the seeds bear it out.")
        case "no-difference-seen":
            return _("No difference is seen; one of 0.2 points probably would have been.")
        case "too-few-seeds":
            text = _("Nothing can be said yet: for runs that differ so much among themselves these are too few seeds.")
            if found.verdict.seeds_needed is not None:
                text += " " + _("About {count} seeds would do.").format(count=found.verdict.seeds_needed)
            return text


def _key(setup: Setup, epochs: int) -> tuple[str, int, int, int]:
    return (setup.experiment.id, setup.images, setup.seed, epochs)


def _size(checkpoint: Checkpoint) -> int:
    return sum(array.nbytes for array in checkpoint.arrays)
