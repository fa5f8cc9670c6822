"""Training the members of a champion: two runs each, both in the study's store, neither longer than its time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeVar

from neurona.champion.plan import Plan
from neurona.compute import HERE, Compute
from neurona.data import Dataset
from neurona.engine import Interrupted, Teacher
from neurona.errors import NeuronaError, StoreError
from neurona.i18n import _
from neurona.interrupts import remembering_interrupts
from neurona.run import Epoch, Parameters, run_id
from neurona.runner import heartbeat, kept_checkpoint, train_task
from neurona.specs import Experiment, Network, Training
from neurona.store import Owner, Store, StoredRun, Task
from neurona.study import Member

__all__ = ["FIRST", "SETTLING", "STUDENT", "Event", "MemberEnded", "MemberEpoch", "Planned", "Stages"]

Result = TypeVar("Result")

FIRST, SETTLING, STUDENT = "first", "settling", "student"
_SLACK = 0.02  # of its time, by which a run may be late before it is shortened
_SPARE = 0.1  # of its epochs, which a shortened run may have more before it is lengthened
_POLL_SECONDS = 0.2  # how often Ctrl-C is looked for
_RECENT = 5  # epochs by which the time of the next is told


@dataclass(frozen=True)
class Planned:
    """What is going to be trained is known."""

    plan: Plan


@dataclass(frozen=True)
class MemberEpoch:
    """An epoch of a member ended; `epochs` is how many this run will have, as things stand."""

    seed: int
    stage: str
    number: int
    epochs: int
    epoch: Epoch


@dataclass(frozen=True)
class MemberEnded:
    """A member's run was stored, or was there already; `epoch` is its last."""

    seed: int
    stage: str
    epoch: Epoch


Event = Planned | MemberEpoch | MemberEnded


def _derived(data: Dataset, *parts: str) -> Dataset:
    """Return the data with a fingerprint of what belongs to them too: what a run began with, or learned from."""
    return replace(data, fingerprint=hashlib.sha256(" ".join((data.fingerprint, *parts)).encode()).hexdigest())


class Stages:
    """Trains what a plan says into a store.

    shortened: stage and seed -> epochs, of runs that were shortened in an earlier sitting.
    on_shortened: called with stage, seed and epochs when a run is shortened, or lengthened again, before it goes on.
    on_event: called from the threads that train, one at a time, as `on_shortened` is.
    """

    def __init__(
        self,
        store: Store,
        data: Dataset,
        plan: Plan,
        *,
        compute: Compute = HERE,
        shortened: Mapping[tuple[str, int], int],
        on_shortened: Callable[[str, int, int], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._store, self._data, self._plan, self._compute = store, data, plan, compute
        self._shorter, self._on_shortened = shortened, on_shortened
        self._owner = Owner.this_process()
        self._stopped = threading.Event()
        self._stops: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._on_event = on_event

    def members(self) -> tuple[Member, ...]:
        """Train every member to its end and return them.

        On KeyboardInterrupt what is under way stops at the end of its epoch, with a checkpoint; it is raised again.
        """
        with self._at_work() as pool:
            return tuple(_results([pool.submit(self._member, seed) for seed in self._plan.members]))

    def student(self, teacher: Teacher, identity: str) -> Member:
        """Train the plan's student to answer like `teacher`, whose members `identity` names, and return it."""
        plan = self._plan
        assert plan.student is not None and plan.student_training is not None  # noqa: S101, PT018 - the caller saw to it
        with self._at_work() as pool:
            future = pool.submit(
                self._run,
                STUDENT,
                plan.members[0],
                plan.student,
                plan.student_training,
                _derived(self._data, "teacher", identity),
                plan.student_seconds,
                teacher=teacher,
            )
            (run,) = _results([future])
        return self._as_member(run, run)

    def _member(self, seed: int) -> Member:
        plan, data = self._plan, self._data
        first = self._run(FIRST, seed, plan.network, plan.training, data, plan.first_seconds)
        if not plan.settle_epochs:
            return self._as_member(first, first)
        last = self._run(
            SETTLING,
            seed,
            plan.network,
            plan.settled(),
            _derived(data.with_validation(), "after", first.id),
            plan.settle_seconds,
            initial=self._store.weights(first.id),
        )
        return self._as_member(first, last)

    def _as_member(self, first: StoredRun, last: StoredRun) -> Member:
        runs = (first,) if first is last else (first, last)
        shown = first.epochs[-1]
        return Member(
            seed=first.seed,
            runs=tuple(run.id for run in runs),
            epochs=tuple(len(run.epochs) for run in runs),
            sha256=self._store.weight_hashes()[last.id],
            val_accuracy=shown.val_accuracy,
            val_loss=shown.val_loss,
        )

    def _run(
        self,
        stage: str,
        seed: int,
        network: Network,
        training: Training,
        data: Dataset,
        seconds: float | None,
        *,
        initial: Parameters | None = None,
        teacher: Teacher | None = None,
    ) -> StoredRun:
        """Return the run, trained unless it is there; with fewer epochs where it would take longer than `seconds`.

        A run that is shortened, or lengthened again, goes on from where it stands, by the rest of a schedule for that
        many epochs.
        """
        epochs = self._shorter.get((stage, seed), training.epochs)
        task = self._claimed(_task(seed, network, training.replace(epochs=epochs), data.fingerprint))
        while True:
            ended = self._store.ended(task)
            if ended is not None:
                self._tell(MemberEnded(seed, stage, ended.epochs[-1]))
                return _complete(ended)
            fitting = self._trained(task, stage, data, training.epochs, seconds, initial, teacher)
            if fitting is not None:  # else it has ended
                with self._lock:
                    self._on_shortened(stage, seed, fitting)
                other = _task(seed, network, training.replace(epochs=fitting), data.fingerprint)
                task = self._handed_over(task, self._claimed(other))

    def _trained(
        self,
        task: Task,
        stage: str,
        data: Dataset,
        most: int,
        seconds: float | None,
        initial: Parameters | None,
        teacher: Teacher | None,
    ) -> int | None:
        """Train `task`; return how many epochs of `most` it should have where it has others; its checkpoint is kept."""
        resume = kept_checkpoint(task, self._store, self._compute)
        taken = [] if resume is None else [epoch.seconds for epoch in resume.epochs]
        planned = task.experiment.training.epochs
        other: list[int] = []

        def after(number: int, epoch: Epoch) -> None:
            taken.append(epoch.seconds)
            self._tell(MemberEpoch(task.seed, stage, number, planned, epoch))
            if seconds is not None and number < planned:
                fitting = max(_fitting(planned, most, taken, seconds), number + 1)
                if fitting != planned:
                    other.append(fitting)
                    stop.set()

        with self._stoppable() as stop:
            try:
                train_task(
                    task,
                    data,
                    self._store,
                    self._owner,
                    compute=self._compute,
                    stop=stop,
                    on_epoch=after,
                    resume=resume,
                    initial=initial,
                    teacher=teacher,
                )
            except Interrupted:
                if self._stopped.is_set() or not other:
                    raise KeyboardInterrupt from None
                return other[-1]
        return None

    def _handed_over(self, task: Task, other: Task) -> Task:
        """Return `other`, with the checkpoint that `task` has got to; that is forgotten itself."""
        kept = kept_checkpoint(task, self._store, self._compute)
        if kept is not None:
            self._store.keep_checkpoint(other, self._owner, kept.epochs, kept.arrays, kept.norms, by=kept.made_by)
        self._store.abandon(task, self._owner)
        return other

    def _claimed(self, task: Task) -> Task:
        """Return `task`, which is now this process's or has ended."""
        if self._store.ended(task) is None and not self._store.claim(task, self._owner):
            sentence = _("another process trains the member with seed {seed}; wait for it, or stop it.")
            raise StoreError(sentence.format(seed=task.seed))
        return task

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._on_event(event)

    @contextmanager
    def _at_work(self) -> Iterator[ThreadPoolExecutor]:
        """Give the threads that train. Whatever is raised, they stop, and what has not ended is given back."""
        with heartbeat(lambda: self._store.heartbeat(self._owner)), ThreadPoolExecutor(self._plan.workers) as pool:
            try:
                yield pool
            except BaseException:
                self._stop()
                pool.shutdown(cancel_futures=True)
                raise
            finally:
                self._store.release(self._owner)

    @contextmanager
    def _stoppable(self) -> Iterator[threading.Event]:
        """Give an event that is set when everything is to stop."""
        stop = threading.Event()
        with self._lock:
            self._stops.add(stop)
            if self._stopped.is_set():
                stop.set()
        try:
            yield stop
        finally:
            with self._lock:
                self._stops.discard(stop)

    def _stop(self) -> None:
        with self._lock:
            self._stopped.set()
            for stop in self._stops:
                stop.set()


def _results(futures: Sequence[Future[Result]]) -> list[Result]:
    """Wait for all of `futures`, or for the first that raises, and return what they come to."""
    left = set(futures)
    with remembering_interrupts() as check_interrupts:
        while left:
            check_interrupts()
            ended, left = wait(left, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
    return [future.result() for future in futures]


def _complete(run: StoredRun) -> StoredRun:
    if run.state != "complete":
        sentence = _(
            "the member with seed {seed} diverged: its loss is no longer a finite number. Give another --seed."
        )
        raise NeuronaError(sentence.format(seed=run.seed))
    return run


def _task(seed: int, network: Network, training: Training, fingerprint: str) -> Task:
    experiment = Experiment(name="champion", group="champion", network=network, training=training)
    return Task(run_id(network, training, fingerprint, seed), experiment, seed)


def _fitting(planned: int, most: int, taken: list[float], seconds: float) -> int:
    """Return how many epochs there is time for in all, of `most`; `taken` are the seconds of those done.

    Nothing is shortened for less than a small part of the time. What was shortened while the machine was slow gets
    epochs back before its half, when those make a difference: later its learning rate would rise again.
    """
    an_epoch, left, done = median(taken[-_RECENT:]), seconds - sum(taken), len(taken)
    fitting = done + max(0, int(left / an_epoch))
    if an_epoch * (planned - done) > left + _SLACK * seconds:
        return min(fitting, planned)
    if done < planned / 2 and min(fitting, most) - planned >= _SPARE * planned:
        return min(fitting, most)
    return planned
