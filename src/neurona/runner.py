"""The runner: a lab times its seeds, into the store, on all cores; what is done already is skipped."""

from __future__ import annotations

import math
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from neurona.compute import HERE, Compute, Work
from neurona.data import Dataset
from neurona.engine import Checkpoint, Interrupted, Teacher, shape, sizes
from neurona.engines import check_ready, expected_seconds
from neurona.errors import ClusterError, StoreError
from neurona.interrupts import remembering_interrupts
from neurona.run import Epoch, Parameters, Run, run_id
from neurona.specs import NEURONA, Experiment
from neurona.store import LEASE_SECONDS, Owner, Store, Task

__all__ = [
    "EpochEnded",
    "Event",
    "RunEnded",
    "RunFailed",
    "RunStarted",
    "check_engines",
    "heartbeat",
    "kept_checkpoint",
    "run_tasks",
    "tasks",
    "train_task",
]

_POLL_SECONDS = 0.5  # how often a process looks whether another has finished, or died on, what is left


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


def run_tasks(
    wanted: Iterable[Task],
    data: Dataset,
    store: Store,
    *,
    workers: int | None = None,
    compute: Compute = HERE,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Do those of `wanted` that the store lacks, and return when all are in it; other processes may do some of them.

    workers: pieces of work at a time; as many as `compute` has cores unless said. They change how fast it goes and
        nothing else. Here a piece is a run, on a GPU as many runs of one shape as fit, side by side; on a cluster it is
        several short runs of one shape. Of Keras one run at a time is under way in a process, since its random numbers
        are the whole process's.
    compute: where runs are trained; claims, and all that is stored, are this process's.
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
    crew = _Crew(_in_order(unfinished, data), data, store, compute, workers or compute.workers())
    with heartbeat(lambda: store.heartbeat(crew.owner)), remembering_interrupts() as check_interrupts:
        try:
            while crew.waiting or crew.busy:
                check_interrupts()
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


@dataclass(frozen=True, eq=False)
class _Group:
    """Runs that are one piece of work; here most often one."""

    tasks: tuple[Task, ...]


class _Crew:
    """The worker threads of one `run_tasks`, and what waits for them.

    waiting: tasks that nobody here does.
    busy: run -> the group that it trains in.
    events: what happens in the threads; an exception is for the caller.
    """

    def __init__(self, waiting: Iterable[Task], data: Dataset, store: Store, compute: Compute, workers: int) -> None:
        self.waiting = deque(waiting)
        self.busy: dict[str, _Group] = {}
        self.events: queue.Queue[Event | BaseException] = queue.Queue()
        self.owner = Owner.this_process()
        self._data, self._store, self._compute, self._workers = data, store, compute, workers
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._shapes: dict[Experiment, Hashable] = {}

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
            self.busy |= dict.fromkeys((each.id for each in group.tasks), group)
            work = self._alone if len(group.tasks) == 1 else self._together
            thread = threading.Thread(target=work, args=group.tasks, name=f"run-{task.id[:8]}", daemon=True)
            thread.start()
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            started += group.tasks
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
        under_way = {group.tasks[0].experiment.engine for group in self.busy.values()}
        return engine in self._compute.one_at_a_time and engine in under_way

    def _claimed_with(self, first: Task) -> _Group:
        """Claim what can be one piece of work with `first`, which is claimed; so that no worker goes without."""
        group, left = [first], []
        fair = math.ceil((len(self.waiting) + 1) / self._workers)
        places = min(self._compute.room(first.experiment, self._data), fair)
        while self.waiting and len(group) < places:
            task = self.waiting.popleft()
            if self._go_together(task, first) and self._store.claim(task, self.owner):
                group.append(task)
            else:
                left.append(task)
        self.waiting.extendleft(reversed(left))
        return _Group(tuple(group))

    def _go_together(self, one: Task, other: Task) -> bool:
        """Whether two runs can train side by side in one program."""
        same = one.experiment.engine == other.experiment.engine == NEURONA
        return same and self._shape(one.experiment) == self._shape(other.experiment)

    def _shape(self, experiment: Experiment) -> Hashable:
        if experiment not in self._shapes:
            self._shapes[experiment] = shape(experiment.network, experiment.training, sizes(self._data))
        return self._shapes[experiment]

    def _alone(self, task: Task) -> None:
        """Train one task, from its checkpoint if it has one, and store it."""
        try:
            run = train_task(
                task,
                self._data,
                self._store,
                self.owner,
                compute=self._compute,
                stop=self._stop,
                on_epoch=lambda number, epoch: self.events.put(EpochEnded(task, number, epoch)),
                resume=kept_checkpoint(task, self._store, self._compute),
            )
            self.events.put(RunEnded(task, run))
        except Interrupted:
            pass
        except (StoreError, ClusterError) as error:
            self.events.put(error)
        except Exception as error:  # whatever one run does, the others go on
            try:
                self._store.fail(task, "".join(traceback.format_exception(error)))
                self.events.put(RunFailed(task, f"{type(error).__name__}: {error}"))
            except StoreError as trouble:
                self.events.put(trouble)

    def _together(self, *group: Task) -> None:
        """Train tasks of one shape as one piece of work and store each as it ends; should it fail, those left alone."""
        ended: set[str] = set()

        def work(task: Task) -> Work:
            def finish(run: Run) -> None:
                self._store.finish(run)
                self.events.put(RunEnded(task, run))
                ended.add(task.id)

            return _work(
                task,
                self._store,
                self.owner,
                on_epoch=lambda number, epoch: self.events.put(EpochEnded(task, number, epoch)),
                on_end=finish,
                resume=kept_checkpoint(task, self._store, self._compute),
            )

        try:
            self._compute.train([work(task) for task in group], self._data, stop=self._stop.is_set)
        except Interrupted:
            pass
        except (StoreError, ClusterError) as error:
            self.events.put(error)
        except Exception:  # of one run, or for want of memory: alone each shows its own
            for task in group:
                if task.id not in ended and not self._stop.is_set():
                    self._alone(task)


def kept_checkpoint(task: Task, store: Store, compute: Compute = HERE) -> Checkpoint | None:
    """Return the checkpoint of `task` from which `compute` may bring it to the same bits; None when there is none."""
    kept = store.checkpoint(task, anybodys=compute.is_elsewhere)
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
    compute: Compute = HERE,
    initial: Parameters | None = None,
    teacher: Teacher | None = None,
) -> Run:
    """Train a task that `owner` has claimed, store its run and return it.

    compute: where it is trained.
    initial, teacher: see `engines.train`; what is no part of `task.id` must be told in its data's fingerprint.

    Raises `engine.Interrupted` at the end of the epoch in which `stop` is set, unless that was the last; a checkpoint
    is kept then.
    """
    ended: list[Run] = []

    def finish(run: Run) -> None:
        store.finish(run)
        ended.append(run)

    work = _work(task, store, owner, on_epoch=on_epoch, on_end=finish, resume=resume, initial=initial)
    compute.train([work], data, stop=stop.is_set, teacher=teacher)
    return ended[0]


def _work(
    task: Task,
    store: Store,
    owner: Owner,
    *,
    on_epoch: Callable[[int, Epoch], None],
    on_end: Callable[[Run], None],
    resume: Checkpoint | None,
    initial: Parameters | None = None,
) -> Work:
    def keep(checkpoint: Checkpoint) -> None:
        with suppress(StoreError):  # the run itself is well: the next one may be kept
            store.keep_checkpoint(
                task, owner, checkpoint.epochs, checkpoint.arrays, checkpoint.norms, by=checkpoint.made_by
            )

    experiment = task.experiment
    return Work(
        experiment.network,
        experiment.training,
        task.seed,
        experiment.engine,
        on_epoch=on_epoch,
        keep=keep,
        on_end=on_end,
        resume=resume,
        initial=initial,
    )


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
