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
from neurona.engine import Checkpoint, Interrupted, Job, Teacher, room, shape, sizes, train_together, workers_here
from neurona.engines import ONE_AT_A_TIME, check_ready, train
from neurona.errors import StoreError
from neurona.run import Epoch, Parameters, Run, run_id
from neurona.specs import NEURONA, Experiment, Network, Training
from neurona.store import LEASE_SECONDS, Owner, Store, Task

__all__ = [
    "EpochEnded",
    "Event",
    "RunEnded",
    "RunFailed",
    "RunStarted",
    "check_engines",
    "expected_seconds",
    "heartbeat",
    "kept_checkpoint",
    "run_tasks",
    "tasks",
    "train_task",
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
            network, training, engine = experiment.network, experiment.training, experiment.engine
            identity = run_id(network, training, data_fingerprint, seed, engine=engine)
            found.setdefault(identity, Task(identity, experiment, seed))
    return list(found.values())


def check_engines(wanted: Iterable[Task]) -> None:
    """Raise MissingExtraError or UsageError when one of `wanted` is for an engine that cannot train here."""
    for engine in {task.experiment.engine for task in wanted}:
        check_ready(engine)


def expected_seconds(experiment: Experiment, data: Dataset) -> float:
    """Return a rough time for one run on one core: good enough to start long runs first and to guess what is left.

    The constants were fitted on a 2.3 GHz server core: 80 GFLOP/s in products, 8 µs a step, 0.5 ns a parameter a step;
    230 µs more a step of Keras' on JAX.
    """
    parameters = experiment.network.parameters(data.image_shape, len(data.class_names))
    steps = math.ceil(len(data.train) / experiment.training.batch_size)
    step = 8e-6 + parameters * 0.5e-9 + (230e-6 if experiment.engine == "keras" else 0.0)
    epoch = len(data.train) * parameters * 6 / 80e9 + steps * step
    return experiment.training.epochs * epoch


def run_tasks(
    wanted: Iterable[Task],
    data: Dataset,
    store: Store,
    *,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Do those of `wanted` that the store lacks, and return when all are in it; other processes may do some of them.

    workers: threads, one run each; as many as cores unless said. They change how fast it goes and nothing else. Of
        Keras one run at a time is under way here, since its random numbers are the whole process's. On a GPU one thread
        trains as many runs of one shape as fit, side by side.
    on_event: called in the caller's thread.
    stop: asked all the while; once it says True, this ends as on KeyboardInterrupt, with `engine.Interrupted`.

    While the database is away, nothing is lost: what runs goes on, and what ends waits to be stored. StoreError when it
    stays away for a minute.

    Before anything is done, MissingExtraError when some of it needs Keras, which is not installed.

    On KeyboardInterrupt the runs in flight stop at the end of their epoch and are given back; then it is raised again.
    """
    wanted = list(wanted)
    unfinished = store.unfinished(wanted)
    check_engines(unfinished)
    store.plan(wanted)
    crew = _Crew(_in_order(unfinished, data), data, store, workers or workers_here())
    with heartbeat(lambda: store.heartbeat(crew.owner)):
        try:
            while crew.waiting or crew.busy:
                if stop():
                    raise Interrupted
                for task in crew.start_what_can():
                    on_event(RunStarted(task))
                try:
                    event = crew.events.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    crew.waiting = deque(store.unfinished(crew.waiting))
                    continue
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, RunEnded | RunFailed):
                    del crew.busy[event.task.id]
                on_event(event)
        finally:
            crew.leave()


_Group = tuple[Task, ...]  # runs that train side by side; most often one


class _Crew:
    """The worker threads of one `run_tasks`, and what waits for them.

    waiting: tasks that nobody here does.
    busy: run -> the group that it trains in.
    events: what happens in the threads; an exception is for the caller.
    """

    def __init__(self, waiting: Iterable[Task], data: Dataset, store: Store, workers: int) -> None:
        self.waiting = deque(waiting)
        self.busy: dict[str, _Group] = {}
        self.events: queue.Queue[Event | BaseException] = queue.Queue()
        self.owner = Owner.this_process()
        self._data, self._store, self._workers = data, store, workers
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start_what_can(self) -> list[Task]:
        """Claim waiting tasks for the free workers, start them and return them.

        Those that other processes have stay at the end of the line.
        """
        started: list[Task] = []
        for _ in range(len(self.waiting)):
            if not self.waiting or len(set(self.busy.values())) >= self._workers:
                break
            task = self.waiting.popleft()
            if self._must_wait(task) or not self._store.claim(task, self.owner):
                self.waiting.append(task)
                continue
            group = self._claimed_with(task)
            self.busy |= dict.fromkeys((each.id for each in group), group)
            work = self._alone if len(group) == 1 else self._together
            thread = threading.Thread(target=work, args=group, name=f"run-{task.id[:8]}", daemon=True)
            self._threads.append(thread)
            thread.start()
            started += group
        return started

    def leave(self) -> None:
        """Stop the threads at the end of their epoch, and give back what has not ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        with suppress(StoreError):
            self._store.release(self.owner)

    def _must_wait(self, task: Task) -> bool:
        engine = task.experiment.engine
        under_way = {group[0].experiment.engine for group in self.busy.values()}
        return engine in ONE_AT_A_TIME and engine in under_way

    def _claimed_with(self, first: Task) -> _Group:
        """Claim what can train side by side with `first`, which is claimed, as much as fits."""
        group = [first]
        places = room(*_specs(first), self._data) if first.experiment.engine == NEURONA else 1
        for _ in range(len(self.waiting) if places > 1 else 0):
            task = self.waiting.popleft()
            fits = len(group) < places and _go_together(task, first, self._data)
            if fits and self._store.claim(task, self.owner):
                group.append(task)
            else:
                self.waiting.append(task)
        return tuple(group)

    def _alone(self, task: Task) -> None:
        """Train one task, from its checkpoint if it has one, and store it."""
        try:
            run = train_task(
                task,
                self._data,
                self._store,
                self.owner,
                stop=self._stop,
                on_epoch=lambda number, epoch: self.events.put(EpochEnded(task, number, epoch)),
                resume=kept_checkpoint(task, self._store),
            )
            self.events.put(RunEnded(task, run))
        except Interrupted:
            pass
        except StoreError as error:
            self.events.put(error)
        except Exception as error:  # whatever one run does, the others go on
            try:
                self._store.fail(task, "".join(traceback.format_exception(error)))
                self.events.put(RunFailed(task, f"{type(error).__name__}: {error}"))
            except StoreError as trouble:
                self.events.put(trouble)

    def _together(self, *group: Task) -> None:
        """Train tasks of one shape side by side and store each as it ends; should it fail, those left one by one."""
        ended: set[str] = set()

        def job(task: Task) -> Job:
            resume = kept_checkpoint(task, self._store)

            def finish(run: Run) -> None:
                self.events.put(RunEnded(task, _finish(run, self._store, resume)))
                ended.add(task.id)

            return Job(
                *_specs(task),
                task.seed,
                on_epoch=lambda number, epoch: self.events.put(EpochEnded(task, number, epoch)),
                on_checkpoint=_Checkpoints(task, self._store, self.owner, self._stop).take,
                on_end=finish,
                resume=resume,
            )

        try:
            train_together([job(task) for task in group], self._data, stop=self._stop.is_set)
        except Interrupted:
            pass
        except StoreError as error:
            self.events.put(error)
        except Exception:  # of one run, or for want of memory: alone each shows its own
            for task in group:
                if task.id not in ended and not self._stop.is_set():
                    self._alone(task)


def _specs(task: Task) -> tuple[Network, Training]:
    return task.experiment.network, task.experiment.training


def _go_together(one: Task, other: Task, data: Dataset) -> bool:
    """Whether two runs can train side by side in one program."""
    same = one.experiment.engine == other.experiment.engine == NEURONA
    return same and shape(*_specs(one), sizes(data)) == shape(*_specs(other), sizes(data))


def kept_checkpoint(task: Task, store: Store) -> Checkpoint | None:
    """Return the checkpoint from which this process would bring `task` to the same bits; None when there is none."""
    kept = store.checkpoint(task)
    return None if kept is None else Checkpoint(*kept)


def train_task(
    task: Task,
    data: Dataset,
    store: Store,
    owner: Owner,
    *,
    stop: threading.Event,
    on_epoch: Callable[[int, Epoch], None],
    resume: Checkpoint | None,
    initial: Parameters | None = None,
    teacher: Teacher | None = None,
) -> Run:
    """Train a task that `owner` has claimed, store its run and return it.

    initial, teacher: see `engines.train`; what is no part of `task.id` must be told in its data's fingerprint.

    Raises `engine.Interrupted` at the end of the epoch in which `stop` is set, unless that was the last; a checkpoint
    is kept then.
    """
    run = train(
        *_specs(task),
        data,
        seed=task.seed,
        engine=task.experiment.engine,
        on_epoch=on_epoch,
        stop=stop.is_set,
        on_checkpoint=_Checkpoints(task, store, owner, stop).take,
        resume=resume,
        initial=initial,
        teacher=teacher,
    )
    return _finish(run, store, resume)


def _finish(run: Run, store: Store, resume: Checkpoint | None) -> Run:
    """Store a run that has ended, with the seconds of what its checkpoint had behind it, and return it."""
    if resume is not None:
        before = sum(epoch.seconds for epoch in resume.epochs)
        run = replace(run, seconds=replace(run.seconds, train=run.seconds.train + before))
    store.finish(run)
    return run


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
            self._store.keep_checkpoint(self._task, self._owner, checkpoint.epochs, checkpoint.arrays, checkpoint.norms)
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
def heartbeat(beats: Callable[[], None]) -> Iterator[None]:
    """Call `beats`, which tells the store that this process lives, often enough meanwhile."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 6):
            with suppress(StoreError):  # the next beat may succeed; the lease bears five misses
                beats()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
