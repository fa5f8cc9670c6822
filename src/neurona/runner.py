"""The runner: a lab times its seeds, into the store, on all cores; what is done already is skipped."""

from __future__ import annotations

import math
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from neurona.data import Dataset
from neurona.engine import Checkpoint, Interrupted, cores, train
from neurona.errors import StoreError
from neurona.run import Epoch, Run, run_id
from neurona.specs import Experiment
from neurona.store import LEASE_SECONDS, Owner, Store, Task

__all__ = [
    "EpochEnded",
    "Event",
    "RunEnded",
    "RunFailed",
    "RunStarted",
    "expected_seconds",
    "run_tasks",
    "tasks",
]

_POLL_SECONDS = 0.5  # how often a process looks whether another has finished, or died on, what is left
_CHECKPOINT_SECONDS = 30.0  # what a killed run loses at most, and an epoch
_CHECKPOINT_SHARE = 20  # but a checkpoint takes no more than this part of the time: 5 %


@dataclass(frozen=True)
class RunStarted:
    """A run began here."""

    task: Task


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a run ended here; `number` counts from 1."""

    task: Task
    number: int
    epoch: Epoch


@dataclass(frozen=True)
class RunEnded:
    """A run was stored, complete or diverged."""

    task: Task
    run: Run


@dataclass(frozen=True)
class RunFailed:
    """A run ended with an error, which was stored; the others go on."""

    task: Task
    error: str


Event = RunStarted | EpochEnded | RunEnded | RunFailed


def tasks(experiments: Sequence[Experiment], seeds: int, data_fingerprint: str) -> list[Task]:
    """Return a task for each different experiment and each seed from 0; experiments that are equal share theirs."""
    found: dict[str, Task] = {}
    for seed in range(seeds):
        for experiment in experiments:
            identity = run_id(experiment.network, experiment.training, data_fingerprint, seed)
            found.setdefault(identity, Task(identity, experiment, seed))
    return list(found.values())


def expected_seconds(experiment: Experiment, data: Dataset) -> float:
    """Return a rough time for one run on one core: good enough to start long runs first and to guess what is left.

    The constants were fitted on a 2.3 GHz server core: 80 GFLOP/s in products, 8 µs a step, 0.5 ns a parameter a step.
    """
    parameters = experiment.network.parameters(data.image_shape, len(data.class_names))
    steps = math.ceil(len(data.train) / experiment.training.batch_size)
    epoch = len(data.train) * parameters * 6 / 80e9 + steps * (8e-6 + parameters * 0.5e-9)
    return experiment.training.epochs * epoch


def run_tasks(
    wanted: Iterable[Task],
    data: Dataset,
    store: Store,
    *,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> None:
    """Do those of `wanted` that the store lacks, and return when all are in it; other processes may do some of them.

    workers: threads, one run each; as many as cores unless said. They change how fast it goes and nothing else.
    on_event: called in the caller's thread.

    While the database is away, nothing is lost: what runs goes on, and what ends waits to be stored. StoreError when it
    stays away for a minute.

    On KeyboardInterrupt the runs in flight stop at the end of their epoch and are given back; then it is raised again.
    """
    wanted = list(wanted)
    store.plan(wanted)
    waiting = deque(_in_order(store.unfinished(wanted), data))
    owner = Owner.this_process()
    events: queue.Queue[Event | BaseException] = queue.Queue()
    stop = threading.Event()
    busy: set[str] = set()
    threads: list[threading.Thread] = []

    def start_what_can() -> None:
        """Claim waiting tasks for the free workers; those that other processes have stay at the end of the line."""
        for _ in range(len(waiting)):
            if len(busy) >= (workers or cores()):
                return
            task = waiting.popleft()
            if store.claim(task, owner):
                busy.add(task.id)
                on_event(RunStarted(task))
                thread = threading.Thread(
                    target=_work,
                    args=(task, data, store, owner, events, stop),
                    name=f"run-{task.id[:8]}",
                    daemon=True,
                )
                threads.append(thread)
                thread.start()
            else:
                waiting.append(task)

    with _heartbeat(store, owner):
        try:
            while waiting or busy:
                start_what_can()
                try:
                    event = events.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    waiting = deque(store.unfinished(waiting))
                    continue
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, RunEnded | RunFailed):
                    busy.discard(event.task.id)
                on_event(event)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            with suppress(StoreError):
                store.release(owner)


def _work(
    task: Task,
    data: Dataset,
    store: Store,
    owner: Owner,
    events: queue.Queue[Event | BaseException],
    stop: threading.Event,
) -> None:
    """Train one task, from its checkpoint if it has one, and store it; what happens goes into `events`."""
    try:
        kept = store.checkpoint(task)
        resume = None if kept is None else Checkpoint(*kept)
        run = train(
            task.experiment.network,
            task.experiment.training,
            data,
            seed=task.seed,
            on_epoch=lambda number, epoch: events.put(EpochEnded(task, number, epoch)),
            stop=stop.is_set,
            on_checkpoint=_Checkpoints(task, store, owner, stop).take,
            resume=resume,
        )
        if resume is not None:
            before = sum(epoch.seconds for epoch in resume.epochs)
            run = replace(run, seconds=replace(run.seconds, train=run.seconds.train + before))
        store.finish(run)
        events.put(RunEnded(task, run))
    except Interrupted:
        pass
    except StoreError as error:
        events.put(error)
    except Exception as error:  # whatever one run does, the others go on
        try:
            store.fail(task, "".join(traceback.format_exception(error)))
            events.put(RunFailed(task, f"{type(error).__name__}: {error}"))
        except StoreError as trouble:
            events.put(trouble)


class _Checkpoints:
    """Keeps a checkpoint of one run now and then, and whenever it is asked to stop."""

    def __init__(self, task: Task, store: Store, owner: Owner, stop: threading.Event) -> None:
        self._task, self._store, self._owner, self._stop = task, store, owner, stop
        self._last = time.monotonic()
        self._took = 0.0

    def take(self, make: Callable[[], Checkpoint]) -> None:
        """Keep what `make` returns, if it is time."""
        began = time.monotonic()
        pause = max(_CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * self._took)
        if not self._stop.is_set() and began - self._last < pause:
            return
        checkpoint = make()
        with suppress(StoreError):  # the run itself is well: the next one may be kept
            self._store.keep_checkpoint(self._task, self._owner, checkpoint.epochs, checkpoint.arrays)
        self._last = time.monotonic()
        self._took = self._last - began


def _in_order(todo: list[Task], data: Dataset) -> list[Task]:
    """Seed by seed, so that an interrupted lab has whole rows; the baseline first, then the longest first."""
    first = todo[0].experiment.id if todo else ""
    return sorted(
        todo,
        key=lambda task: (task.seed, task.experiment.id != first, -expected_seconds(task.experiment, data)),
    )


@contextmanager
def _heartbeat(store: Store, owner: Owner) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 6):
            with suppress(StoreError):  # the next beat may succeed; the lease bears five misses
                store.heartbeat(owner)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
