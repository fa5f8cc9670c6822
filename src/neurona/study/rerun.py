"""Training some runs of a study again: whether what the study says of them is reproduced.

On the machine that made a run, with the same libraries, training it again gives the same bits. Elsewhere sums are
rounded otherwise, and training makes the difference grow: to nothing where it is calm, to points of accuracy where the
learning rate is too high. How far, it is measured for each run by training it again from initial weights that differ by
no more than rounding.
"""

from __future__ import annotations

import math
import random
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurona import network as networks
from neurona.data import Dataset
from neurona.engine import Stream, evaluate, workers_here
from neurona.engine.streams import sequence
from neurona.engines import train
from neurona.errors import DataError, StoreError, UsageError
from neurona.i18n import _
from neurona.run import Epoch, Parameters, kept_epoch
from neurona.runner import Event, check_engines, run_tasks
from neurona.specs import NEURONA, Experiment
from neurona.store import Provenance, Store, StoredExperiment, StoredRun, Task, sqlite_url

__all__ = ["Check", "Discrepancy", "Ended", "Rerun", "check_data", "checks", "chosen", "rerun", "variations"]

Compared = Literal["bits", "figures", "nothing"]

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
_LIBRARIES = ("jax", "jaxlib", "numpy")
_VARIATIONS = 3  # of a run, from initial weights that differ by rounding
# Of a weight, how much: a few units in the last place, as a step's sums have them; of bfloat16's, half a unit.
_ROUNDING = {"float32": 2.0**-20, "bfloat16": 2.0**-9}
# How many times as far as the variations are apart another machine's run may be from them. Measured by
# benchmarks/rounding.py: of 138 runs with other instruction sets and other cores, none was more than 0.70 times.
_WIDTH = 4.0
_LEAST = 1e-4  # of a loss or of the weights, which may differ in any case
_LEAST_IMAGES = 2  # and images, of an accuracy


@dataclass(frozen=True)
class Discrepancy:
    """A figure that the study has and training again does not give.

    figure: a key of the history, `weights`, `state`, `epochs` or `norms`.
    epoch: from 1; None for what is of the whole run.
    tolerance: how far the two may be apart; None where they must be equal.
    """

    figure: str
    epoch: int | None
    stored: float | str | None
    here: float | str | None
    tolerance: float | None = None

    def __str__(self) -> str:
        if self.figure in ("weights", "norms"):
            return {
                "weights": _("its weights are not those that training gives"),
                "norms": _("the norms of its layers are not those that training gives"),
            }[self.figure]
        if self.epoch is None:
            sentence = _("{figure} is {stored} in the study and {here} here")
        else:
            sentence = _("{figure} of epoch {epoch} is {stored} in the study and {here} here")
        stored, here = _shown(self.stored, self.here)
        text = sentence.format(figure=self.figure, epoch=self.epoch, stored=stored, here=here)
        if self.tolerance is None:
            return text
        return text + " " + _("({tolerance:.2g} apart would do)").format(tolerance=self.tolerance)


@dataclass(frozen=True)
class Rerun:
    """A run that was trained again.

    compared: `bits`, where machine and libraries are the same or the bits are; `figures`, within what rounding does;
        `nothing` where neither can be: another engine's run that was made elsewhere.
    reproduced: None where nothing was compared.
    elsewhere: what is not the same as when the run was made, as `processor` or `jax`; () when all is.
    """

    run: str
    experiment: str
    seed: int
    compared: Compared
    reproduced: bool | None
    discrepancies: tuple[Discrepancy, ...]
    elsewhere: tuple[str, ...]


def check_data(store: Store, data: Dataset) -> None:
    """Raise DataError unless `data` are those that the study was made with."""
    expected = str(store.info["fingerprint"])
    if data.fingerprint != expected:
        sentence = _(
            "a study is checked with the data it was made with (fingerprint {expected}), but {name} has {now}; "
            "--dataset says where they are."
        )
        raise DataError(sentence.format(expected=expected[:16], name=data.name, now=data.fingerprint[:16]))


def chosen(candidates: Mapping[str, Task], count: int, *, seed: int) -> tuple[Task, ...]:
    """Return `count` of `candidates`, run -> task, drawn by `seed`; all of them when there are no more."""
    if count < 1 or seed < 0:
        raise UsageError(_("at least one run is trained again, and the seed that draws them is 0 or more."))
    if not candidates:
        raise UsageError(_("the study has no run that has ended and that this Neurona can train again."))
    found = random.Random(seed).sample(sorted(candidates), min(count, len(candidates)))  # noqa: S311 - no secret
    return tuple(candidates[run] for run in found)


def rerun(
    store: Store,
    wanted: Sequence[Task],
    data: Dataset,
    *,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_variation: Callable[[Task, int, int], None] = lambda task, number, count: None,
) -> tuple[Rerun, ...]:
    """Train `wanted`, runs of the study that have ended, again and return what is reproduced; nothing is stored.

    on_variation: called in the caller's thread with a task, how many of its variations have been trained, and of how
        many.
    """
    check_data(store, data)
    check_engines(wanted)
    there = {run.id: run for run in store.runs()}
    # On Windows a file that SQLite has had open may outlive the pool for a moment.
    with tempfile.TemporaryDirectory(prefix="neurona-", ignore_cleanup_errors=True) as folder:
        here = Store.open(
            sqlite_url(Path(folder)), study="rerun", lab="rerun", dataset=data.name, fingerprint=data.fingerprint
        )
        try:
            declared = {task.experiment.name: task.experiment for task in wanted}
            here.declare([StoredExperiment(experiment, 0) for experiment in declared.values()])
            run_tasks(wanted, data, here, workers=workers, on_event=on_event)
            again = {run.id: run for run in here.runs()}
            return tuple(
                _compared(task, (store, there[task.id]), (here, again[task.id]), data, workers, on_variation)
                for task in wanted
            )
        finally:
            here.close()


_Kept = tuple[Store, StoredRun]


def _compared(
    task: Task,
    stored: _Kept,
    again: _Kept,
    data: Dataset,
    workers: int | None,
    on_variation: Callable[[Task, int, int], None],
) -> Rerun:
    where = _elsewhere(stored[0].made_with(task.id), again[0].made_with(task.id))
    name = task.experiment.name

    def found(compared: Compared, discrepancies: Sequence[Discrepancy]) -> Rerun:
        return Rerun(task.id, name, task.seed, compared, not discrepancies, tuple(discrepancies), where)

    if again[1].state == "failed":
        return found("bits", [Discrepancy("state", None, stored[1].state, again[1].state)])
    try:
        kept = stored[0].weights(task.id)
    except (StoreError, ValueError):  # which `verify` says too
        return found("bits", [Discrepancy("weights", None, None, None)])
    exact = _exact(stored, again, kept)
    if not exact or not where:
        return found("bits", exact)
    own = _of_its_weights(task.experiment, stored[1], kept, data)
    if task.experiment.engine != NEURONA:
        if own:
            return found("figures", own)
        return Rerun(task.id, name, task.seed, "nothing", None, (), where)
    plain = (again[1].state, again[1].epochs, again[0].weights(task.id))
    members = [plain, *variations(task, data, workers, on_variation)]
    return found("figures", [*own, *_apart((stored[1].state, stored[1].epochs, kept), members, data)])


def _elsewhere(recorded: Provenance, here: Provenance) -> tuple[str, ...]:
    """Return what of two provenances decides a run's bits and is not the same, or not known."""
    libraries = dict.fromkeys((*_LIBRARIES, *(here.versions.keys() - {"neurona", "python"})))
    found = [name for name in libraries if recorded.versions.get(name) != here.versions.get(name)]
    machine = ("processor", "cores", "usable_cores", "device")
    found += [key for key in machine if recorded.machine.get(key) != here.machine[key]]
    if "device" not in found and here.machine["device"] != "cpu":  # sums go side by side there, in any order
        found.append("device")
    return tuple(found)


def _exact(stored: _Kept, again: _Kept, kept: Parameters) -> list[Discrepancy]:
    """Return where two runs are not the same bits: the first epoch of each figure that is not."""
    ours, theirs = stored[1], again[1]
    found = [
        Discrepancy(name, None, one, other)
        for name, one, other in (("state", ours.state, theirs.state), ("epochs", len(ours.epochs), len(theirs.epochs)))
        if one != other
    ]
    for figure in _FIGURES:
        for number, (one, other) in enumerate(zip(ours.epochs, theirs.epochs, strict=False), 1):
            if not _same(getattr(one, figure), getattr(other, figure)):
                found.append(Discrepancy(figure, number, getattr(one, figure), getattr(other, figure)))
                break
    norms = [store.norms(run.id) for store, run in (stored, again)]
    if norms[0] and not all(_same(*pair) for pair in zip(*map(_flat_norms, norms), strict=False)):
        found.append(Discrepancy("norms", None, None, None))
    if _bytes(kept) != _bytes(again[0].weights(ours.id)):
        found.append(Discrepancy("weights", None, None, None))
    return found


def _of_its_weights(experiment: Experiment, run: StoredRun, kept: Parameters, data: Dataset) -> list[Discrepancy]:
    """Return which figures of the epoch that was kept are not those of its weights, on any machine."""
    training = experiment.training
    if run.state != "complete" or training.precision != "float32" or not run.epochs:
        return []
    loss, accuracy = evaluate(experiment.network, kept, data.validation)
    epoch = kept_epoch(training, run.epochs)
    number = run.epochs.index(epoch) + 1
    least = _LEAST_IMAGES / len(data.validation)
    checks = [("val_accuracy", epoch.val_accuracy, accuracy, least)]
    if not any((training.l1, training.l2, training.label_smoothing, training.confidence_penalty)):
        checks.append(("val_loss", epoch.val_loss, loss, _LEAST * abs(loss)))
    return [
        Discrepancy(figure, number, one, other, tolerance)
        for figure, one, other, tolerance in checks
        if not abs(one - other) <= tolerance
    ]


Ended = tuple[str, tuple[Epoch, ...], Parameters]  # state, epochs, parameters


def variations(
    task: Task,
    data: Dataset,
    workers: int | None = None,
    on_variation: Callable[[Task, int, int], None] = lambda task, number, count: None,
) -> list[Ended]:
    """Return the run as it ends from initial weights that differ from its own by no more than rounding."""
    network, training = task.experiment.network, task.experiment.training
    pixels, classes = math.prod(data.image_shape), len(data.class_names)
    drawn = networks.init(network, pixels=pixels, classes=classes, seed=sequence(task.seed, Stream.WEIGHTS))
    ended = threading.Event()

    def one(number: int) -> Ended:
        generator = np.random.default_rng((task.seed, number))

        def nudged(array: Any) -> Any:
            signs = generator.choice((-1.0, 1.0), size=array.shape)
            return (array * (1.0 + _ROUNDING[training.precision] * signs)).astype(np.float32)

        initial = tuple({**layer, "kernel": nudged(layer["kernel"])} for layer in drawn)
        run = train(network, training, data, seed=task.seed, initial=initial, stop=ended.is_set)
        return run.state, run.history.epochs, run.parameters

    with ThreadPoolExecutor(workers or workers_here()) as pool:
        try:
            found = []
            for variation in pool.map(one, range(_VARIATIONS)):
                found.append(variation)
                on_variation(task, len(found), _VARIATIONS)
            return found
        finally:
            ended.set()


@dataclass(frozen=True)
class Check:
    """One comparison with what rounding does.

    spread: the largest distance of two variations, so far. least: what is allowed besides. distance: to the nearest.
    """

    discrepancy: Discrepancy
    spread: float
    least: float
    distance: float

    @property
    def width(self) -> float:
        """How many times the spread it takes."""
        beyond = self.distance - self.least
        if beyond <= 0:
            return 0.0
        return beyond / self.spread if self.spread and not math.isnan(beyond) else math.inf


def _apart(stored: Ended, members: Sequence[Ended], data: Dataset) -> list[Discrepancy]:
    """Return which figures of `stored` are farther from all `members` than rounding takes those from each other."""
    state, epochs, _kept = stored
    if state not in {member[0] for member in members}:
        return [Discrepancy("state", None, state, members[0][0])]
    if state != "complete":
        return []
    members = [member for member in members if member[0] == state]
    counts = [len(member[1]) for member in members]
    if not min(counts) <= len(epochs) <= max(counts):
        return [Discrepancy("epochs", None, len(epochs), counts[0])]
    found: dict[str, Discrepancy] = {}
    for check in checks(stored, members, data):
        if not check.width <= _WIDTH:
            found.setdefault(check.discrepancy.figure, check.discrepancy)
    return list(found.values())


def checks(stored: Ended, members: Sequence[Ended], data: Dataset) -> Iterator[Check]:
    """Yield the comparison of each figure, epoch by epoch, and that of the weights."""
    _state, epochs, kept = stored
    for figure in _FIGURES:
        images = len(data.validation if figure.startswith("val_") else data.train)
        spread = 0.0
        for number, epoch in enumerate(epochs, 1):
            values = [getattr(member[1][number - 1], figure) for member in members if len(member[1]) >= number]
            spread = max(spread, max(values) - min(values))
            least = _LEAST_IMAGES / images if figure.endswith("accuracy") else _LEAST * abs(values[0])
            value = getattr(epoch, figure)
            distance = min(abs(value - other) for other in values)
            tolerance = _WIDTH * spread + least
            yield Check(Discrepancy(figure, number, value, values[0], tolerance), spread, least, distance)
    vectors, own = [_vector(member[2]) for member in members], _vector(kept)
    fits = own.shape == vectors[0].shape
    spread = max((float(np.linalg.norm(one - other)) for one, other in combinations(vectors, 2)), default=0.0)
    least = _LEAST * float(np.linalg.norm(vectors[0]))
    distance = min(float(np.linalg.norm(own - other)) for other in vectors) if fits else math.inf
    yield Check(Discrepancy("weights", None, None, None), spread, least, distance)


def _vector(parameters: Parameters) -> Any:
    return np.concatenate([np.ravel(layer[name]).astype(np.float64) for layer in parameters for name in sorted(layer)])


def _bytes(parameters: Parameters) -> list[tuple[str, bytes]]:
    return [(name, np.asarray(layer[name]).tobytes()) for layer in parameters for name in sorted(layer)]


def _flat_norms(norms: Sequence[Any]) -> list[float]:
    return [value for layers in norms for layer in layers for value in (layer.weights, layer.gradients)]


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _shown(*values: float | str | None) -> list[str]:
    """Return the values as texts with six digits, or with all where six do not tell them apart."""
    short = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
    return short if len(set(short)) == len(short) else [str(value) for value in values]
