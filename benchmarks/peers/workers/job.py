"""What a worker is asked to train, and the JSON lines with which it answers.

A worker is called as `python WORKER.py JOB`, JOB being a Job in JSON. It answers on stdout, one JSON object a
line, and whatever else the libraries print goes to stderr:

    {"event": "begin", "versions": {"torch": "2.13.0"}}
    {"event": "part", "images": 50000, "seconds": 0.31}     one for each part; the first one compiles
    {"event": "end", "val_accuracy": 0.967, "validation_seconds": 0.0}

or, where the peer cannot run here, `{"event": "unavailable", "why": "..."}`. `validation_seconds` is what
one pass over the validation split takes where the parts do not hold it already.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

TRAIN_IMAGES = 50_000


@dataclass(frozen=True)
class Job:
    """One training: `parts` pieces of `images_per_part` images each, every piece timed on its own."""

    data: str
    hidden: tuple[int, ...]
    batch_size: int
    parts: int
    images_per_part: int
    seed: int
    runs: int = 0  # so many more, trained at once
    barrier: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """Return the text that a worker is called with."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that `to_json` wrote."""
        values = json.loads(text)
        values["hidden"] = tuple(values["hidden"])
        values["options"] = tuple((name, value) for name, value in values["options"])
        return cls(**values)

    @property
    def whole_epochs(self) -> bool:
        """Whether a part is an epoch; it then ends, as in Keras, with a pass over the validation split."""
        return self.images_per_part == TRAIN_IMAGES

    @property
    def images(self) -> int:
        """Images seen in all the parts together."""
        return self.parts * self.images_per_part

    def option(self, name: str) -> str | None:
        """Return the value of a worker's own option."""
        return dict(self.options).get(name)


class Report:
    """Writes the answers of a worker; takes stdout for itself and sends everybody else's to stderr."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._out: TextIO = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._parts = 0

    def begin(self, *distributions: str) -> None:
        """Report the versions of these."""
        versions = {name: version(name) for name in distributions}
        self._write({"event": "begin", "versions": {"python": platform.python_version(), **versions}})

    def part(self, seconds: float, images: int | None = None) -> None:
        """Report a part; after the first, if there is a barrier, wait there until told to go on."""
        self._write({"event": "part", "images": images or self.job.images_per_part, "seconds": seconds})
        self._parts += 1
        if self._parts == 1 and self.job.barrier:
            sys.stdin.readline()

    def many(self, *, runs: int, epochs: int, seconds: float, val_accuracy: float) -> None:
        """Report many runs trained together: the time for all, their mean accuracy."""
        answer = {"runs": runs, "epochs": epochs, "seconds": seconds, "val_accuracy": val_accuracy}
        self._write({"event": "many", **answer})

    def end(self, val_accuracy: float, validation_seconds: float = 0.0) -> None:
        """Report the accuracy reached."""
        self._write({"event": "end", "val_accuracy": val_accuracy, "validation_seconds": validation_seconds})

    def unavailable(self, why: str) -> None:
        """Report that this peer cannot run here."""
        self._write({"event": "unavailable", "why": why})

    def _write(self, answer: dict[str, Any]) -> None:
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()


def open_job() -> tuple[Job, Report]:
    job = Job.from_json(sys.argv[1])
    return job, Report(job)


def train_in_parts(job: Job, report: Report, train_part: Callable[[int], None], validate: Callable[[], float]) -> None:
    """Time `train_part(first_image)` for each part, for libraries whose training loop is the caller's.

    `first_image` is where in the epoch's order the part begins: 0 asks for a new order.
    """
    val_accuracy = 0.0
    for part in range(job.parts):
        start = time.perf_counter()
        train_part(part * job.images_per_part % TRAIN_IMAGES)
        if job.whole_epochs:
            val_accuracy = validate()
        report.part(time.perf_counter() - start)
    if job.whole_epochs:
        report.end(val_accuracy)
        return
    validate()  # warms up
    start = time.perf_counter()
    val_accuracy = validate()
    report.end(val_accuracy, time.perf_counter() - start)


def load_splits(path: str) -> tuple[Any, Any, Any, Any]:
    """Return the notebook's training and validation split: images (n, 28, 28) and labels (n,), both uint8."""
    import numpy as np

    with np.load(Path(path), allow_pickle=False) as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    return images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES], images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:]
