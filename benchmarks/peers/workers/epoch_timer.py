"""A Keras callback that reports each epoch's time."""

from __future__ import annotations

import time
from typing import Any

import keras
from job import Report


class EpochTimer(keras.callbacks.Callback):
    """Reports the time from one epoch's end to the next one's: the whole of what `fit` does for an epoch."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report
        self._start = time.perf_counter()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the epoch; what waiting at a barrier takes is nobody's time."""
        self._report.part(time.perf_counter() - self._start)
        self._start = time.perf_counter()
