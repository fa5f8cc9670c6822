"""What a worker process of a Ray cluster does, and what it tells the process that asked.

What counts is what the task returns. The mailbox, an actor beside the process that asked, carries what is worth knowing
before: epochs, checkpoints, and in the other direction that a piece of work is to stop.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from neurona.compute.here import HERE
from neurona.compute.work import Work
from neurona.data import Dataset
from neurona.engine import Checkpoint, Interrupted, Teacher
from neurona.machine import machine, made_by, trained_on, versions
from neurona.run import Epoch, Run
from neurona.specs import NEURONA, Experiment

__all__ = ["Began", "EpochTold", "Failure", "Kept", "Mailbox", "Message", "Order", "Outcome", "carry_out"]

_POST_SECONDS = 0.5  # between two letters of one piece of work


@dataclass(frozen=True)
class Began:
    """A worker has taken up the work."""


@dataclass(frozen=True)
class EpochTold:
    """An epoch of the run that is `index` in its order ended; `number` counts from 1."""

    index: int
    number: int
    epoch: Epoch


@dataclass(frozen=True)
class Kept:
    """A checkpoint of the run that is `index` in its order."""

    index: int
    checkpoint: Checkpoint


Message = Began | EpochTold | Kept


@dataclass(frozen=True)
class Order:
    """A piece of work, as it is sent.

    key: tells it from all others.
    data: a reference to a `Dataset` in Ray's object store, in a list, so that Ray leaves it for the worker to fetch.
    settings: environment variables that decide bits, and how much of a GPU is used.
    versions: of the libraries that are to be the same.
    """

    key: str
    works: Mapping[int, Work]
    data: Sequence[Any]
    teacher: Teacher | None
    settings: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """What went wrong: in a line, and as a traceback."""

    line: str
    traceback: str


@dataclass
class Outcome:
    """What came of an order: runs that ended, checkpoints of those that were stopped, and what ended it early.

    others: libraries whose versions are not those asked for, name -> version here; nothing was trained then.
    """

    host: str
    runs: dict[int, Run] = field(default_factory=dict)
    stopped: dict[int, Checkpoint] = field(default_factory=dict)
    is_stopped: bool = False
    failure: Failure | None = None
    others: Mapping[str, str] = field(default_factory=dict)


class Mailbox:
    """An actor that holds what workers tell until it is fetched, and what they are to be told."""

    def __init__(self) -> None:
        self._posted: list[tuple[str, list[Message]]] = []
        self._stopped: set[str] = set()
        self._came = asyncio.Event()

    async def post(self, key: str, messages: list[Message]) -> bool:
        """Take what the worker of `key` tells; return whether it is to stop."""
        if messages:
            self._posted.append((key, messages))
            self._came.set()
        return key in self._stopped

    async def collect(self, seconds: float) -> list[tuple[str, list[Message]]]:
        """Return what was told since the last time, as soon as there is something; nothing after `seconds`."""
        try:
            await asyncio.wait_for(self._came.wait(), seconds)
        except TimeoutError:
            return []
        self._came.clear()
        posted, self._posted = self._posted, []
        return posted

    async def stop(self, key: str) -> None:
        """Have the worker of `key` stop at the end of its epoch."""
        self._stopped.add(key)

    async def close(self) -> None:
        """Let go whoever waits for what is told."""
        self._came.set()

    async def forget(self, key: str) -> None:
        """Forget that `key` was to stop."""
        self._stopped.discard(key)


def carry_out(order: Order, mailbox: Any) -> Outcome:
    """Train the runs of an order one after the other, on a GPU as many side by side as fit. A Ray task."""
    # Ctrl-C in a terminal reaches workers on the same machine too, which are told to stop by the mailbox.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(order.settings)  # before JAX first looks for its devices; a worker process serves one driver only
    import ray

    own = versions()
    outcome = Outcome(machine()["host"])
    outcome.others = {name: own[name] for name, wanted in order.versions.items() if own[name] != wanted}
    if outcome.others:
        return outcome
    data = _fetched(order.data[0])
    line = _Line(ray, order.key, mailbox)
    try:
        _train(order, data, line, outcome)
    finally:
        line.hang_up()
    return outcome


@functools.lru_cache(maxsize=2)
def _fetched(reference: Any) -> Dataset:
    """Return the data set, whose arrays all worker processes of a node share."""
    import ray

    found: Dataset = ray.get(reference)
    return found


def _train(order: Order, data: Dataset, line: _Line, outcome: Outcome) -> None:
    def work(index: int, asked: Work) -> Work:
        def keep(checkpoint: Checkpoint) -> None:
            kept = replace(checkpoint, made_by=made_by())
            if line.is_to_stop():
                outcome.stopped[index] = kept
            else:
                line.tell(Kept(index, kept))

        def end(run: Run) -> None:
            outcome.runs[index] = replace(run, versions=own | dict(run.versions), machine=trained_on())

        usable = asked.resume is not None and asked.resume.made_by == made_by()
        return replace(
            asked,
            on_epoch=lambda number, epoch: line.tell(EpochTold(index, number, epoch)),
            keep=keep,
            on_end=end,
            resume=asked.resume if usable else None,
        )

    own = versions()
    works = [work(index, asked) for index, asked in order.works.items()]
    first = works[0]
    try:
        experiment = Experiment(name="run", network=first.network, training=first.training, engine=first.engine)
        places = HERE.room(experiment, data) if first.engine == NEURONA and len(works) > 1 else 1
        for begin in range(0, len(works), places):
            if line.is_to_stop():
                outcome.is_stopped = True
                return
            HERE.train(works[begin : begin + places], data, stop=line.is_to_stop, teacher=order.teacher)
    except Interrupted:
        outcome.is_stopped = True
    except Exception as error:  # it is told whole, whatever it is; the process that asked decides what follows
        outcome.failure = Failure(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


class _Line:
    """The line to the mailbox: what is told is posted now and then, by a thread of its own."""

    def __init__(self, ray: Any, key: str, mailbox: Any) -> None:
        self._ray, self._key, self._mailbox = ray, key, mailbox
        self._told: list[Message] = [Began()]
        self._lock = threading.Lock()
        self._stop, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._post, name="post", daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Have `message` posted with the next letter."""
        with self._lock:
            self._told.append(message)

    def is_to_stop(self) -> bool:
        """Whether the process that asked wants the work stopped."""
        return self._stop.is_set()

    def hang_up(self) -> None:
        """Post no more: what is left is in what the task returns."""
        self._over.set()
        self._thread.join()

    def _post(self) -> None:
        while not self._over.is_set():
            with self._lock:
                told, self._told = self._told, []
            try:
                if self._ray.get(self._mailbox.post.remote(self._key, told)):
                    self._stop.set()
            except self._ray.exceptions.RayError:
                return  # whoever asked is gone, and so will be this process
            self._over.wait(_POST_SECONDS)
