"""What is made of the options: an architecture, a recipe and its epochs, chosen by how fast this machine is."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from neurona.champion.options import Options
from neurona.champion.recipes import LADDER, PATIENCE, network, settled, training
from neurona.compute import HERE, Compute
from neurona.data import Dataset, Split
from neurona.engine import train
from neurona.errors import UsageError
from neurona.i18n import _
from neurona.search import stored
from neurona.specs import Experiment, Network, Training
from neurona.stats import mean_interval
from neurona.study import Study

__all__ = ["Plan", "chosen", "epoch_seconds"]

SETTLE_SHARE = 0.25  # epochs on training and validation images, as a part of those on training images alone
_DISTILL_SHARE = 0.25  # of the time
_TRIAL_SHARE = 0.1  # of the epochs, for each recipe that is tried out
_HELD_BACK = 0.06  # of the time: for measuring, compiling, calibrating, and a machine that slows down
_MEASURED_STEPS = 12
_MEASURED_EPOCHS = 3
_VALIDATION_COST = 0.33  # of an image that is trained on


@dataclass(frozen=True)
class Plan:
    """How a champion is trained.

    recipe: the name of the recipe that `network` and `training` are of.
    network, training: of every member's first run, on training images.
    settle_epochs: of its second run, on training and validation images; 0 for none.
    members: seeds. workers: members that train at a time.
    member_seconds: what one may take in all; None when nothing was measured.
    student, student_training: the small network that learns the members' answers.
    student_seconds: what it may take.
    """

    recipe: str
    network: Network
    training: Training
    settle_epochs: int
    members: tuple[int, ...]
    workers: int
    member_seconds: float | None = None
    student: Network | None = None
    student_training: Training | None = None
    student_seconds: float | None = None

    @property
    def first_seconds(self) -> float | None:
        """What a member's first run may take."""
        return None if self.member_seconds is None else self.member_seconds / (1 + self._settling)

    @property
    def settle_seconds(self) -> float | None:
        """What a member's second run may take."""
        return None if self.member_seconds is None else self.member_seconds - (self.first_seconds or 0.0)

    @property
    def _settling(self) -> float:
        return _settle_cost(self.settle_epochs / self.training.epochs)

    def settled(self) -> Training:
        """Return the recipe of a member's second run."""
        return settled(self.training, self.settle_epochs)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        values: dict[str, Any] = dict(vars(self))
        values["members"] = list(self.members)
        for key in ("network", "training", "student", "student_training"):
            values[key] = None if values[key] is None else values[key].declared()
        return values

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan of which `values` is what `to_json` gave."""
        kinds = {"network": Network, "training": Training, "student": Network, "student_training": Training}
        found = {
            key: kinds[key](**value) if key in kinds and value is not None else value for key, value in values.items()
        }
        return cls(**{**found, "members": tuple(values["members"])})


def chosen(
    options: Options, study: Study, data: Dataset, *, compute: Compute = HERE, workers: int | None = None
) -> Plan:
    """Return the plan for `options` on this machine; trains for some seconds to see how fast it is.

    workers: members that train at a time, as many as `compute` has cores unless given.
    """
    at_a_time = min(options.members, workers or compute.workers())
    plan = _of_recipe(options, data, study, at_a_time)
    if options.distill is not None:
        student = network("augmented", options.distill)
        teaching = training("augmented" if plan.recipe == "search" else plan.recipe, data.image_shape, 1)
        seconds = None
        epochs = options.epochs or 1
        if options.minutes is not None:
            seconds = 60.0 * options.minutes * _DISTILL_SHARE
            a_step = epoch_seconds(student, teaching, data, 1) + _answering_seconds(plan, data)
            epochs = max(1, int(seconds * (1 - _HELD_BACK) / a_step))
        plan = replace(plan, student=student, student_training=teaching.replace(epochs=epochs), student_seconds=seconds)
    return plan


def _of_recipe(options: Options, data: Dataset, study: Study, workers: int) -> Plan:
    """Return the plan by the recipe asked for, else by the better of the built-in one and a search's best finalist."""
    finalist = _best_finalist(study) if options.recipe in (None, "search") else None
    if options.recipe == "search" and finalist is None:
        raise UsageError(_("the study has no finalists; `neurona search` finds some."))
    plans = []
    if options.recipe != "search":
        name = options.recipe or "augmented"
        ladder = LADDER if options.hidden is None else (options.hidden,)
        architectures = [network(name, hidden) for hidden in ladder]
        plans.append(_timed(options, name, architectures, training(name, data.image_shape, 1), data, workers))
    if finalist is not None:
        own = finalist.network if options.hidden is None else finalist.network.replace(hidden=options.hidden)
        plans.append(_timed(options, "search", [own], finalist.training, data, workers))
    if len(plans) == 1:
        return plans[0]
    tried = [_tried(plan, data) for plan in plans]
    plan = plans[tried.index(max(tried))]
    if options.minutes is None:
        return plan
    left = 1 - _TRIAL_SHARE * len(plans)
    epochs = max(1, int(plan.training.epochs * left))
    seconds = None if plan.member_seconds is None else plan.member_seconds * left
    return replace(
        plan,
        training=plan.training.replace(epochs=epochs),
        settle_epochs=min(plan.settle_epochs, max(1, round(SETTLE_SHARE * epochs))),
        member_seconds=seconds,
    )


def _tried(plan: Plan, data: Dataset) -> float:
    """Return the validation accuracy that a plan reaches in a small part of its epochs, its schedule compressed."""
    epochs = max(1, int(plan.training.epochs * _TRIAL_SHARE))
    run = train(plan.network, plan.training.replace(epochs=epochs), data, seed=plan.members[0])
    return run.history["val_accuracy"][-1] if run.state == "complete" else 0.0


def _best_finalist(study: Study) -> Experiment | None:
    """Return the finalist of all the study's searches with the best mean accuracy over its seeds."""
    found = []
    for result in stored(study):
        best = result.best
        if best is not None and best.row.val_accuracy:
            found.append((mean_interval(best.row.val_accuracy).mean, best.row.experiment))
    return max(found, key=lambda each: each[0], default=(0.0, None))[1]


def _timed(
    options: Options,
    recipe: str,
    architectures: list[Network],
    recipes: Training,
    data: Dataset,
    workers: int,
) -> Plan:
    """Return the plan with the largest of `architectures`, from small to large, for which there is time enough."""
    members = tuple(range(options.seed, options.seed + options.members))
    share = SETTLE_SHARE if options.with_validation else 0.0
    if options.epochs is not None:
        architecture = architectures[min(1, len(architectures) - 1)]
        timed = recipes.replace(epochs=options.epochs)
        settling = max(1, round(share * options.epochs)) if share else 0
        return Plan(recipe, architecture, timed, settling, members, workers)
    assert options.minutes is not None  # noqa: S101 - `Options` has one of the two
    waves = math.ceil(len(members) / workers)
    part = 1.0 - (_DISTILL_SHARE if options.distill is not None else 0.0)
    seconds = 60.0 * options.minutes * part / waves
    best: Plan | None = None
    for architecture in architectures:
        an_epoch = epoch_seconds(architecture, recipes, data, workers)
        epochs = max(1, int(seconds * (1 - _HELD_BACK) / (an_epoch * (1 + _settle_cost(share)))))
        if best is not None and epochs < PATIENCE.get(architecture.hidden, 1):
            break
        settling = max(1, round(share * epochs)) if share else 0
        best = Plan(recipe, architecture, recipes.replace(epochs=epochs), settling, members, workers, seconds)
    assert best is not None  # noqa: S101 - there is at least one architecture
    return best


def _settle_cost(share: float) -> float:
    """Return what the second run of a member costs, as a part of the first, for so many of its epochs.

    It sees the validation images too; on most data sets these are about a fifth of those for training.
    """
    return 1.2 * share


def epoch_seconds(network: Network, training: Training, data: Dataset, workers: int) -> float:
    """Return how long an epoch on `data` takes, in seconds, while `workers` runs train at a time.

    Measured over some steps on part of the images, compiling not counted.
    """
    images = min(len(data.train), _MEASURED_STEPS * min(training.batch_size, len(data.train)))
    seen = min(len(data.validation), images // 4 or 1)
    part = replace(
        data,
        train=Split(data.train.images[:images].copy(), data.train.labels[:images].copy()),
        validation=Split(data.validation.images[:seen].copy(), data.validation.labels[:seen].copy()),
    )
    timed = training.replace(epochs=_MEASURED_EPOCHS, early_stopping=None)
    train(network, timed.replace(epochs=1), part, seed=0)
    found: list[float] = []

    def work() -> None:
        run = train(network, timed, part, seed=0)
        found.extend(run.history["seconds"])

    threads = [threading.Thread(target=work) for _worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = len(data.train) + _VALIDATION_COST * len(data.validation)
    return sorted(found)[len(found) // 2] * whole / (images + _VALIDATION_COST * seen)


def _answering_seconds(plan: Plan, data: Dataset) -> float:
    """Return how long the members take to answer to an epoch's images, in seconds: a third of training on them."""
    an_epoch = epoch_seconds(plan.network, plan.training.replace(augmentation=None), data, 1)
    return an_epoch * len(plan.members) / 3
