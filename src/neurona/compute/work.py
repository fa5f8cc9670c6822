"""What is computed, and what computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from neurona.data import Dataset
from neurona.engine import Checkpoint, Teacher
from neurona.run import Epoch, Parameters, Run
from neurona.specs import NEURONA, Experiment, Network, Training

__all__ = ["Compute", "Pace", "Work"]

_CHECKPOINT_SECONDS = 30.0  # what a killed run loses at most, and an epoch
_CHECKPOINT_SHARE = 20  # but a checkpoint takes no more than this part of the time: 5 %


def _nobody(*_told: Any) -> None:
    """Hear nothing."""


@dataclass(frozen=True, eq=False)
class Work:
    """A run that is asked for, and who wants to hear of it.

    on_epoch: called with the epoch's number (from 1) and figures, each once, as they end.
    keep: called with a checkpoint now and then, and when the run is stopped.
    on_end: called with the run when it has ended.
    resume, initial: see `engines.train`.
    """

    network: Network
    training: Training
    seed: int
    engine: str = NEURONA
    on_epoch: Callable[[int, Epoch], None] = _nobody
    keep: Callable[[Checkpoint], None] = _nobody
    on_end: Callable[[Run], None] = _nobody
    resume: Checkpoint | None = None
    initial: Parameters | None = None


class Compute(Protocol):
    """Where runs are computed. Any number of threads may use one at a time.

    one_at_a_time: engines of which one run at a time can be under way.
    is_elsewhere: whether other machines train, which see themselves from whose checkpoints they can go on.
    """

    one_at_a_time: frozenset[str]
    is_elsewhere: bool

    def workers(self) -> int:
        """Return how many pieces of work to give it at a time."""

    def room(self, experiment: Experiment, data: Dataset) -> int:
        """Return how many runs of the shape of `experiment` to give it as one piece of work."""

    def train(
        self, works: Sequence[Work], data: Dataset, *, stop: Callable[[], bool], teacher: Teacher | None = None
    ) -> None:
        """Train `works`, all of one shape, and return when all have ended; what happens is told in this thread.

        Raises `engine.Interrupted` some time after `stop` says True, with a checkpoint of each that has not ended; and
        what a run raised: those that had ended before were told.
        """


class Pace:
    """Makes a checkpoint of one run now and then, and whenever it is asked to stop."""

    def __init__(self, keep: Callable[[Checkpoint], None], stop: Callable[[], bool]) -> None:
        self._keep, self._stop = keep, stop
        self._last = time.monotonic()
        self._took = 0.0

    def take(self, make: Callable[[], Checkpoint]) -> None:
        """Keep what `make` returns, if it is time."""
        began = time.monotonic()
        pause = max(_CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * self._took)
        if not self._stop() and began - self._last < pause:
            return
        self._keep(make())
        self._last = time.monotonic()
        self._took = self._last - began
