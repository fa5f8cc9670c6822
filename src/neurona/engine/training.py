"""Training: from a network, a training, data and a seed to a run; several runs of one shape in one program."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import jax
import numpy as np

from neurona import network as networks
from neurona import objective
from neurona.data import Dataset
from neurona.engine.programs import (
    Drawn,
    Sizes,
    Sums,
    Teacher,
    TrainingState,
    arguments,
    initial_state,
    means,
    on_device,
    program,
    shape,
    sizes,
)
from neurona.engine.streams import Stream, order, sequence
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.run import Epoch, History, LayerNorms, Norms, Parameters, Run, Seconds, State, best_epoch
from neurona.specs import EarlyStopping, Network, Training

__all__ = ["Checkpoint", "Interrupted", "Job", "train", "train_together"]

Tree = TypeVar("Tree")


class Interrupted(Exception):  # noqa: N818 - it is an event, not an error
    """Training was asked to stop before its last epoch."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a run needs to go on from the end of an epoch: the epochs so far, and every array of its state.

    norms: of each of the epochs; () where they are not known.
    made_by: what is to be the same for going on to the same bits, as `machine.made_by` tells it; "" for this process's.

    The random streams are functions of seed and epoch: they need no state.
    """

    epochs: tuple[Epoch, ...]
    arrays: tuple[np.ndarray[Any, Any], ...]
    norms: tuple[Norms, ...] = ()
    made_by: str = ""


@dataclass(frozen=True)
class Job:
    """A run that is asked for, and who wants to hear of it.

    seed: 0 or more; initial weights, order of the images and dropout each have a stream of it.
    on_epoch: called with the epoch's number (from 1) and figures, as each ends.
    on_parameters: called before the first epoch with 0, and with the number of each epoch as it ends, and a function
        that gives the parameters as `Run.parameters` has them; neither may be kept.
    on_checkpoint: called after each epoch but the last with a function that makes a `Checkpoint`, which copies every
        array; it may not be kept.
    on_end: called with the run, as soon as it has ended.
    resume: a checkpoint of the same run: training goes on after its last epoch, to the same bits.
    initial: parameters to begin with, as `Run.parameters` has them, instead of those drawn from the seed.
    """

    network: Network
    training: Training
    seed: int
    on_epoch: Callable[[int, Epoch], None] | None = None
    on_parameters: Callable[[int, Callable[[], Parameters]], None] | None = None
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None] | None = None
    on_end: Callable[[Run], None] | None = None
    resume: Checkpoint | None = None
    initial: Parameters | None = None


def train(
    network: Network,
    training: Training,
    data: Dataset,
    *,
    seed: int,
    on_epoch: Callable[[int, Epoch], None] | None = None,
    stop: Callable[[], bool] | None = None,
    on_checkpoint: Callable[[Callable[[], Checkpoint]], None] | None = None,
    resume: Checkpoint | None = None,
    initial: Parameters | None = None,
    teacher: Teacher | None = None,
) -> Run:
    """Train `network` on `data.train` and return the run. Same arguments, same bits, on the same machine.

    seed, on_epoch, on_checkpoint, resume, initial: see `Job`.
    stop: asked after each epoch; when it says True, `Interrupted` is raised.
    teacher: what it learns to answer like; from the labels unless given.
    """
    job = Job(network, training, seed, on_epoch=on_epoch, on_checkpoint=on_checkpoint, resume=resume, initial=initial)
    return train_together([job], data, stop=stop, teacher=teacher)[0]


def train_together(
    jobs: Sequence[Job],
    data: Dataset,
    *,
    stop: Callable[[], bool] | None = None,
    teacher: Teacher | None = None,
) -> tuple[Run, ...]:
    """Train runs of one shape side by side in one program and return them in the order of `jobs`.

    They may differ in seed and in every number: `engine.shape` tells which go together. A run that stops early or
    diverges waits, its result kept, for the others. Of the seconds that pass, each run still under way has its part.

    stop: asked after each epoch; when it says True, `Interrupted` is raised, and `Job.on_end` has told what had ended.
    teacher: what all of them learn to answer like; from the labels unless given.

    Raises ValueError for no jobs, or jobs of different shapes.
    """
    started = time.perf_counter()
    its = sizes(data)
    if len({shape(job.network, job.training, its) for job in jobs}) != 1:
        raise ValueError(_("runs that train side by side must have one shape."))
    arrays = (*on_device(data.train), *on_device(data.validation))
    runs = [_UnderWay(job, data, its) for job in jobs]
    # A power of two, so that few programs are compiled; the last run fills the places left over, and nobody asks.
    places = [*runs, *[runs[-1]] * ((1 << (len(runs) - 1).bit_length()) - len(runs))]
    state = _stacked([run.state for run in places])
    numbers = _stacked([run.numbers for run in places])
    loaded = time.perf_counter()
    epoch = program(jobs[0].network, jobs[0].training, its, runs=len(places), teacher=teacher).epoch
    taught = () if teacher is None else jax.device_put(tuple(map(networks.transposed, teacher.members)))
    compiled = time.perf_counter()
    for run in runs:
        run.prepared = Seconds((loaded - started) / len(runs), (compiled - loaded) / len(runs))
    drawn = _stacked([run.draw(1) for run in places])
    while not all(run.ended for run in runs):
        began = time.perf_counter()
        state, sums, norms = epoch(state, numbers, *arrays, drawn, taught)
        if any(run.goes_on_after(1) for run in runs):
            drawn = _stacked([run.draw(2) for run in places])  # while the device works
        sums, norms = jax.device_get((sums, norms))
        under_way = [(place, run) for place, run in enumerate(runs) if not run.ended]
        seconds = (time.perf_counter() - began) / len(under_way)
        for place, run in under_way:
            alone = functools.partial(_alone, place if len(places) > 1 else None)
            run.after_epoch(alone(sums), alone(norms), functools.partial(alone, state), seconds)
        if stop is not None and stop() and not all(run.ended for run in runs):
            raise Interrupted
    return tuple(run.result for run in runs if run.result is not None)


def _stacked(trees: list[Tree]) -> Tree:
    """Return one tree whose arrays hold those of all `trees` along a new first axis; the tree itself for one."""
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _alone(place: int | None, tree: Tree) -> Tree:
    """Return what stands at `place` of stacked arrays; the tree itself for None."""
    return tree if place is None else jax.tree.map(lambda leaf: leaf[place], tree)


def _checked(initial: Parameters, drawn: Parameters) -> Parameters:
    """Return `initial`; raises UsageError when its arrays are not of the shapes that the network draws."""
    found, wanted = (
        [{name: np.shape(array) for name, array in layer.items()} for layer in each] for each in (initial, drawn)
    )
    if found != wanted:
        raise UsageError(_("the initial parameters must be those of the network to be trained, but have other shapes."))
    return initial


class _UnderWay:
    """A run that trains: its epochs so far, the best of them, and at the end its result."""

    def __init__(self, job: Job, data: Dataset, its: Sizes) -> None:
        network, training = job.network, job.training
        self._job, self._data = job, data
        self._splits = (len(data.train), len(data.validation))
        weights = objective.class_weights(training, data.train.labels, its.classes)
        self.numbers = arguments(network, training, its, weights)
        drawn = networks.init(network, pixels=its.pixels, classes=its.classes, seed=sequence(job.seed, Stream.WEIGHTS))
        initial = drawn if job.initial is None else _checked(job.initial, drawn)
        self.state = initial_state(networks.transposed(initial), training, self.numbers)
        self.prepared = Seconds()
        self.result: Run | None = None
        self._epochs: list[Epoch] = []
        self._norms: list[Norms] = []
        self._best = _Best.of(training.early_stopping, self.state)
        if job.resume is not None:
            self._epochs = list(job.resume.epochs)
            self._norms = list(job.resume.norms or ((),) * len(self._epochs))
            structure = jax.tree.structure((self.state, self._best.parameters))
            self.state, best_parameters = jax.tree.unflatten(structure, job.resume.arrays)
            self._best = _Best(self._best.rule, best_parameters)
        if job.on_parameters is not None and job.resume is None:
            job.on_parameters(0, lambda: initial)

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self.result is not None

    def draw(self, ahead: int) -> Drawn:
        """Return what the epoch `ahead` of the last one draws on."""
        seed, number = self._job.seed, len(self._epochs) + ahead
        noise, augmentation = (
            sequence(seed, stream, number).generate_state(2, np.uint32)
            for stream in (Stream.DROPOUT, Stream.AUGMENTATION)
        )
        return Drawn(order(seed, number, self._splits[0]), noise, augmentation, np.int32(number - 1))

    def goes_on_after(self, epochs: int) -> bool:
        """Whether it may train longer than `epochs` from now."""
        return not self.ended and len(self._epochs) + epochs < self._job.training.epochs

    def after_epoch(
        self,
        sums: tuple[Sums, Sums],
        norms: np.ndarray[Any, Any],
        state: Callable[[], TrainingState],
        seconds: float,
    ) -> None:
        """Take in an epoch: its sums over both splits, its layers' norms, its state and the seconds it took."""
        job, training = self._job, self._job.training
        trained, validated = (means(part, images) for part, images in zip(sums, self._splits, strict=True))
        epoch = Epoch(*trained, *validated, seconds)
        self._epochs.append(epoch)
        self._norms.append(tuple(LayerNorms(*map(float, layer)) for layer in norms))
        number = len(self._epochs)
        if job.on_epoch is not None:
            job.on_epoch(number, epoch)
        if job.on_parameters is not None:
            job.on_parameters(number, lambda: networks.transposed(state().shown))
        if not (math.isfinite(epoch.loss) and math.isfinite(epoch.val_loss)):
            self._end("diverged", state())
            return
        self._best = self._best.after(self._epochs, lambda: state().shown)
        if number == training.epochs or self._best.is_time_to_stop(self._epochs):
            self._end("complete", state())
        elif job.on_checkpoint is not None:
            job.on_checkpoint(lambda: self._checkpoint(state()))

    def _checkpoint(self, state: TrainingState) -> Checkpoint:
        leaves = jax.tree.leaves((state, self._best.parameters))
        return Checkpoint(tuple(self._epochs), tuple(np.array(leaf) for leaf in leaves), tuple(self._norms))

    def _end(self, outcome: State, state: TrainingState) -> None:
        kept = networks.transposed(self._best.parameters or state.shown)
        train = sum(epoch.seconds for epoch in self._epochs)
        self.result = Run(
            network=self._job.network,
            training=self._job.training,
            seed=self._job.seed,
            fingerprint=self._data.fingerprint,
            state=outcome,
            history=History(tuple(self._epochs), tuple(self._norms)),
            parameters=jax.tree.map(np.ascontiguousarray, kept),
            seconds=replace(self.prepared, train=train),
        )
        if self._job.on_end is not None:
            self._job.on_end(self.result)


@dataclass(frozen=True)
class _Best:
    """Early stopping as it stands: the weights of the best epoch, where those are to be restored, else ()."""

    rule: EarlyStopping | None
    parameters: Parameters

    @classmethod
    def of(cls, rule: EarlyStopping | None, state: TrainingState) -> Self:
        return cls(rule, state.shown if rule is not None and rule.restore_best_weights else ())

    def after(self, epochs: list[Epoch], parameters: Callable[[], Parameters]) -> _Best:
        """Return what stands after the last of `epochs`, which ended with `parameters`."""
        if not self.parameters or self.rule is None or best_epoch(self.rule, epochs) != len(epochs):
            return self
        return _Best(self.rule, jax.tree.map(np.array, parameters()))

    def is_time_to_stop(self, epochs: list[Epoch]) -> bool:
        """Whether the last `patience` epochs brought no improvement; never after the first, as in Keras."""
        if self.rule is None or len(epochs) == 1:
            return False
        waited = len(epochs) - best_epoch(self.rule, epochs)
        return waited >= max(self.rule.patience, 1)
