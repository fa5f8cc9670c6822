"""A Ray cluster computes (extra `[ray]`): a piece of work is a task of Ray's, which has a core for itself.

Runs, claims and checkpoints are stored by the process that asks, and by it alone: workers know of no database. What is
lost with a worker is asked for again here, from its last checkpoint, and not by Ray, which cannot tell a node that died
from a run that kills its process wherever it is sent.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import secrets
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

from neurona.compute.node import Began, EpochTold, Kept, Mailbox, Message, Order, Outcome, carry_out
from neurona.compute.work import Work
from neurona.data import Dataset
from neurona.engine import Interrupted, Teacher
from neurona.engines import expected_seconds
from neurona.errors import ClusterError, MissingExtraError, NeuronaError, UsageError
from neurona.i18n import _
from neurona.machine import cores, versions
from neurona.run import Run
from neurona.specs import NEURONA, Experiment

__all__ = ["Cluster", "RunError"]

_log = logging.getLogger(__name__)

_PIECE_SECONDS = 2.0  # of training in a piece of work: a hundred times what Ray needs to send it
_MOST_RUNS = 64  # in a piece of work; what is lost when a worker dies
_LOSSES = 3  # workers that a piece of work may lose before it is given up, unless a checkpoint came in between
_POLL_SECONDS = 0.5  # how often it is asked whether to stop
_COLLECT_SECONDS = 10.0
_ATTEMPTS = 3  # of a client to join: its server on the head may die as it starts, and a new one not
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
_SAME = ("neurona", "jax", "jaxlib")  # libraries that decide what a run is


class RunError(NeuronaError):
    """A run raised an error on a worker, or every worker that was given it died."""


class Cluster:
    """A Ray cluster; see `Compute`. Open it with `Cluster.open`, and close it afterwards.

    gpus_per_run: what a piece of work has of a GPU for its own; 0 for a core instead.
    """

    one_at_a_time: frozenset[str] = frozenset()
    is_elsewhere = True

    def __init__(self, ray: Any, *, gpus_per_run: float = 0.0, is_ours: bool = False) -> None:
        self._ray, self._gpus, self._is_ours = ray, gpus_per_run, is_ours
        self._data: weakref.WeakKeyDictionary[Dataset, Any] = weakref.WeakKeyDictionary()
        self._inboxes: dict[str, queue.Queue[Any]] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._trouble: Exception | None = None
        if gpus_per_run and not ray.cluster_resources().get("GPU"):
            raise ClusterError(_("--gpus-per-run needs a GPU, but no node of the cluster has one."))
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        beside = affinity(node_id=ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "max_concurrency": 10_000, "scheduling_strategy": beside}
        self._mailbox = ray.remote(Mailbox).options(**options).remote()
        self._task = ray.remote(carry_out).options(num_cpus=1, num_gpus=gpus_per_run or None, max_retries=0)
        self._postman = threading.Thread(target=self._deliver, name="postman", daemon=True)
        self._postman.start()

    @classmethod
    def open(cls, on: str, *, workers: int | None = None, gpus_per_run: float = 0.0) -> Self:
        """Return the cluster that `on` names; see `compute.computing`."""
        address = _address(on)
        ray = _ray(on_loopback=address is None)
        if ray.is_initialized():
            return cls(ray, gpus_per_run=gpus_per_run)
        logging.getLogger("ray").setLevel(logging.ERROR)  # a client takes no option for it; what fails is said here
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Ray Client connection timed out", UserWarning)
                if address is None:
                    ray.init(address="local", num_cpus=workers or cores(), include_dashboard=False, **_QUIET)
                elif address.startswith("ray://"):
                    _be_client(ray, address)
                else:
                    ray.init(address=address, **_QUIET)
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
            sentence = _("the Ray cluster {on} cannot be reached: {error}")
            raise ClusterError(sentence.format(on=on, error=_in_a_line(error))) from None
        return cls(ray, gpus_per_run=gpus_per_run, is_ours=True)

    def close(self) -> None:
        """Leave the cluster; one that was started for this process ends."""
        self._is_closed = True
        with suppress(Exception):  # it may be gone
            self._mailbox.close.remote()
            self._postman.join(_COLLECT_SECONDS)
            self._ray.kill(self._mailbox)
        if self._is_ours:
            self._ray.shutdown()

    def workers(self) -> int:
        """Return how many pieces of work the cluster can do at a time: by its cores, or by its GPUs."""
        resources = self._ray.cluster_resources()
        places = resources.get("GPU", 0) / self._gpus if self._gpus else resources.get("CPU", 0)
        return max(1, int(places))

    def room(self, experiment: Experiment, data: Dataset) -> int:
        """Return how many short runs are worth sending together; on a GPU, as many as may go side by side."""
        if experiment.engine != NEURONA:
            return 1
        if self._gpus:
            return _MOST_RUNS
        return min(max(1, int(_PIECE_SECONDS / expected_seconds(experiment, data))), _MOST_RUNS)

    def train(
        self, works: Sequence[Work], data: Dataset, *, stop: Callable[[], bool], teacher: Teacher | None = None
    ) -> None:
        """Train `works` as one task of Ray's; what a lost worker has not done is asked for again.

        Raises RunError for what a run raised there, ClusterError when the cluster is lost.
        """
        pieces = _Pieces(works, stop)
        losses = 0
        while pieces.todo:
            if pieces.is_to_stop():
                raise Interrupted
            known = pieces.checkpoints
            try:
                outcome = self._carried_out(pieces, data, teacher)
            except (self._ray.exceptions.TaskCancelledError, KeyboardInterrupt):
                raise Interrupted from None
            except self._ray.exceptions.RayTaskError as error:
                sentence = _("a worker of the Ray cluster cannot train: {error}")
                raise ClusterError(sentence.format(error=str(error).strip().splitlines()[-1])) from None
            except self._ray.exceptions.RayError as error:
                losses = 1 if pieces.checkpoints > known else losses + 1
                if losses >= _LOSSES:
                    sentence = _(
                        "{count} workers of the Ray cluster that trained it were lost, the last one so: {error}"
                    )
                    line = str(error).strip().splitlines()[0]
                    raise RunError(sentence.format(count=losses, error=line)) from None
                _log.warning(_("A worker of the Ray cluster was lost; what it had not done is given to another."))
                continue
            pieces.take_outcome(outcome)

    def _carried_out(self, pieces: _Pieces, data: Dataset, teacher: Teacher | None) -> Outcome:
        """Send what is to do, tell what is heard of it, and return what came of it."""
        inbox: queue.Queue[list[Message] | Future[Outcome]] = queue.Queue()
        key = secrets.token_hex(8)
        with self._lock:
            self._inboxes[key] = inbox
        order = Order(key, pieces.todo, [self._sent(data)], teacher, self._settings(), _wanted())
        reference = self._task.remote(order, self._mailbox)
        reference.future().add_done_callback(inbox.put)
        has_begun, is_told, is_over = False, False, False
        try:
            while True:
                if pieces.is_to_stop() and not is_told:
                    self._stop(key, reference, has_begun)
                    is_told = True
                try:
                    heard = inbox.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    self._check()
                    continue
                if isinstance(heard, Future):
                    is_over = True
                    return heard.result()
                for message in heard:
                    has_begun = has_begun or isinstance(message, Began)
                    pieces.take(message)
        finally:
            with self._lock:
                del self._inboxes[key]
            if not is_over:  # whoever is told has raised an error
                self._stop(key, reference, has_begun)
            elif is_told:
                self._mailbox.forget.remote(key)

    def _stop(self, key: str, reference: Any, has_begun: bool) -> None:
        self._mailbox.stop.remote(key)
        if not has_begun:  # it may wait for a worker for long
            self._ray.cancel(reference)

    def _sent(self, data: Dataset) -> Any:
        """Return a reference to the data in Ray's object store, where they are put once."""
        with self._lock:
            if data not in self._data:
                self._data[data] = self._ray.put(data)
            return self._data[data]

    def _settings(self) -> dict[str, str]:
        """Return the environment with which a worker comes to the bits that this process would come to."""
        settings = {"NPROC": str(cores())}
        if "KERAS_BACKEND" in os.environ:
            settings["KERAS_BACKEND"] = os.environ["KERAS_BACKEND"]
        if self._gpus % 1:
            settings["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * self._gpus:.3f}"
        return settings

    def _deliver(self) -> None:
        """Bring what workers tell to whom it is for, until the cluster is closed."""
        try:
            while not self._is_closed:
                for key, messages in self._ray.get(self._mailbox.collect.remote(_COLLECT_SECONDS)):
                    with self._lock:
                        inbox = self._inboxes.get(key)
                    if inbox is not None:
                        inbox.put(messages)
        except Exception as error:  # whatever it is: who waits for a piece of work finds it, and says so
            self._trouble = error

    def _check(self) -> None:
        """Raise ClusterError when nothing more can be heard."""
        if not self._postman.is_alive() and not self._is_closed:
            sentence = _("the Ray cluster was lost: {error}")
            raise ClusterError(sentence.format(error=self._trouble)) from None


class _Pieces:
    """The runs of one piece of work: those to do, and what those who asked were told.

    todo: index -> work, that has not ended; it goes on from the last checkpoint there was.
    checkpoints: how many came.
    """

    def __init__(self, works: Sequence[Work], stop: Callable[[], bool]) -> None:
        self._works, self._asked = works, stop
        self._told = [0 if work.resume is None else len(work.resume.epochs) for work in works]
        self.todo = {
            index: Work(work.network, work.training, work.seed, work.engine, resume=work.resume, initial=work.initial)
            for index, work in enumerate(works)
        }
        self.checkpoints = 0
        self._is_stopping = False

    def is_to_stop(self) -> bool:
        """Whether it is to stop; once it is, it stays so."""
        self._is_stopping = self._is_stopping or self._asked()
        return self._is_stopping

    def take(self, message: Message) -> None:
        """Tell what a worker told, each epoch once; of a run that is to stop, no more epochs."""
        if isinstance(message, EpochTold):
            self._tell_epoch(message.index, message.number, message.epoch)
        elif isinstance(message, Kept):
            self._keep(message.index, message.checkpoint)

    def take_outcome(self, outcome: Outcome) -> None:
        """Tell what an order came to. Raises what it ended with, if not with all its runs."""
        if outcome.others:
            theirs = ", ".join(f"{name} {version}" for name, version in outcome.others.items())
            sentence = _("the node {host} of the Ray cluster has {theirs}, but must have what is here: {ours}.")
            ours = ", ".join(f"{name} {_wanted()[name]}" for name in outcome.others)
            raise ClusterError(sentence.format(host=outcome.host, theirs=theirs, ours=ours))
        for index, run in outcome.runs.items():
            self._end(index, run)
        for index, checkpoint in outcome.stopped.items():
            if index in self.todo:
                self._keep(index, checkpoint)
        if outcome.failure is not None:
            error = RunError(_("{error} (on {host})").format(error=outcome.failure.line, host=outcome.host))
            error.add_note(outcome.failure.traceback)
            raise error
        if outcome.is_stopped or self.is_to_stop():
            raise Interrupted

    def _tell_epoch(self, index: int, number: int, epoch: Any) -> None:
        if number == self._told[index] + 1 and not self.is_to_stop():
            self._told[index] = number
            self._works[index].on_epoch(number, epoch)

    def _keep(self, index: int, checkpoint: Any) -> None:
        self.checkpoints += 1
        self.todo[index] = replace(self.todo[index], resume=checkpoint)
        self._works[index].keep(checkpoint)

    def _end(self, index: int, run: Run) -> None:
        for number, epoch in enumerate(run.history.epochs, 1):
            self._tell_epoch(index, number, epoch)
        del self.todo[index]
        self._works[index].on_end(run)


def _wanted() -> dict[str, str]:
    own = versions()
    return {name: own[name] for name in _SAME}


def _address(on: str) -> str | None:
    """Return what Ray calls the cluster that `on` names; None for one that is to be started on this machine."""
    if on == "ray":
        return os.environ.get("RAY_ADDRESS") or None
    if on == "auto" or on.startswith("ray://") or _is_host_and_port(on):
        return on
    sentence = _(
        "--on must be local, ray, auto, ray://HOST:PORT or HOST:PORT, but is {on!r}; ray starts a cluster on this "
        "machine."
    )
    raise UsageError(sentence.format(on=on))


def _be_client(ray: Any, address: str) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(address=address)
            return
        except ConnectionAbortedError:  # reached, but not served
            ray.shutdown()
            if attempt == _ATTEMPTS - 1:
                raise


def _in_a_line(error: Exception) -> str:
    """Return what `error` says, and of a traceback from elsewhere its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else type(error).__name__


def _is_host_and_port(on: str) -> bool:
    found = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})", on)
    return found is not None and 0 < int(found[1]) < 65_536


def _ray(*, on_loopback: bool) -> Any:
    """Import Ray, which then sends no statistics of its use, and on a machine alone listens to that machine alone.

    Ray reads these variables when it is first imported. RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER is meant for desktops whose
    firewall asks about every port: without it, every port of Ray's is bound to the loopback address. The token, a file
    in the user's home, keeps other users of the machine out.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if on_loopback:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        sentence = _("Ray is not installed; it comes with the extra: pip install 'neurona[ray]'.")
        raise MissingExtraError(sentence) from None
    return ray
