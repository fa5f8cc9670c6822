"""Starts workers, alone or several at once, and turns their answers into seconds an epoch."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from environments import python_of
from workers.job import TRAIN_IMAGES, Job

from peers import DATA, HERE, PEERS, Peer, Workload

TIMEOUT_SECONDS = 1800

# Neurona's compilation cache is in the user's cache folder; on Linux this variable moves it.
CACHE_FOLDER_VARIABLE = "XDG_CACHE_HOME"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class NotMeasuredError(Exception):
    """A peer gave no figure; the message says why and what to do."""


@dataclass
class Answer:
    """What one worker said."""

    versions: dict[str, str] = field(default_factory=dict)
    parts: list[tuple[int, float]] = field(default_factory=list)
    many: dict[str, Any] | None = None
    val_accuracy: float | None = None
    validation_seconds: float = 0.0
    process_seconds: float = 0.0

    @property
    def epoch_seconds(self) -> float:
        """Seconds of a steady epoch: the median part after the first, scaled to an epoch if it is less."""
        steady = [seconds * TRAIN_IMAGES / images for images, seconds in self.parts[1:]]
        return statistics.median(steady) + self.validation_seconds

    @property
    def mean_epoch_seconds(self) -> float:
        """The same as a mean, which is what a throughput is made of."""
        steady = [seconds * TRAIN_IMAGES / images for images, seconds in self.parts[1:]]
        return statistics.fmean(steady) + self.validation_seconds


def cores_available() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def on_cores(cores: list[int]) -> Iterator[None]:
    """Let what is started inside run on these cores only, where the system can (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Worker:
    """One worker process. Context manager: leaving it ends the process, whatever happened."""

    def __init__(self, peer: Peer, job: Job, environments: Path, cores: list[int] | None) -> None:
        python = python_of(environments, peer.environment)
        if not python.exists():
            raise NotMeasuredError(
                f"no environment in {python.parent.parent}; make it with "
                f"`python benchmarks/peers/run.py --setup --peers {peer.name}`"
            )
        self.answer = Answer()
        self._started = time.perf_counter()
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        with on_cores(cores or cores_available()):
            self._process = subprocess.Popen(
                [str(python), str(HERE / "workers" / peer.worker), job.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=variables_of(peer.variables, threads=len(cores) if cores else None),
            )
        self._timer = threading.Timer(TIMEOUT_SECONDS, self._process.kill)
        self._timer.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._errors.close()

    def read_until(self, parts: int | None = None) -> None:
        """Read answers until there are so many parts, or else until the process ends."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            self._take(json.loads(line))
            if parts is not None and len(self.answer.parts) >= parts:
                return
        code = self._process.wait()
        self.answer.process_seconds = time.perf_counter() - self._started
        if code != 0 or self.answer.val_accuracy is None:
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or ["nothing on stderr"])[-1]
            raise NotMeasuredError(f"the worker ended with code {code}: {last}")

    def go(self) -> None:
        """Let a worker that waits at the barrier go on."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def _take(self, answer: dict[str, Any]) -> None:
        match answer["event"]:
            case "begin":
                self.answer.versions = answer["versions"]
            case "part":
                self.answer.parts.append((answer["images"], answer["seconds"]))
            case "many":
                self.answer.many = answer
            case "end":
                self.answer.val_accuracy = answer["val_accuracy"]
                self.answer.validation_seconds = answer["validation_seconds"]
            case "unavailable":
                raise NotMeasuredError(answer["why"])


def variables_of(extra: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """Return a worker's environment: no GPU, and so many threads where that is fixed."""
    limits = {name: str(threads) for name in THREAD_VARIABLES} if threads else {}
    quiet = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **quiet, **limits, **extra}


def job_of(peer: Peer, workload: Workload, seed: int, **changes: Any) -> Job:
    options = {**peer.options, **changes.pop("options", {})}
    return Job(
        data=str(DATA),
        hidden=workload.hidden,
        batch_size=workload.batch_size,
        parts=workload.parts,
        images_per_part=workload.images_per_part,
        seed=seed,
        options=tuple(options.items()),
        **changes,
    )


def one_run(peer: Peer, workload: Workload, seed: int, environments: Path, cores: list[int] | None) -> Answer:
    """Train once, alone on the machine."""
    with Worker(peer, job_of(peer, workload, seed), environments, cores) as worker:
        worker.read_until()
        return worker.answer


def processes_at_once(peer: Peer, workload: Workload, seed: int, environments: Path) -> tuple[float, float]:
    """Train in a process for each core, with one thread each; return seconds a model-epoch, and the accuracy.

    The processes wait for each other after the first part, so that all of what is timed runs side by side.
    """
    cores = cores_available()
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(peer, job_of(peer, workload, seed + i, barrier=True), environments, [core]))
            for i, core in enumerate(cores)
        ]
        for worker in workers:
            worker.read_until(parts=1)
        for worker in workers:
            worker.go()
        for worker in workers:
            worker.read_until()
        answers = [worker.answer for worker in workers]
    accuracy = statistics.fmean(answer.val_accuracy or 0.0 for answer in answers)
    return max(answer.mean_epoch_seconds for answer in answers) / len(answers), accuracy


def runs_at_once(
    peer: Peer, workload: Workload, seed: int, environments: Path, runs_per_core: int
) -> tuple[float, float]:
    """Train many runs in Neurona's one process; return seconds a model-epoch, and the accuracy."""
    cores = len(cores_available())
    job = job_of(peer, workload, seed, runs=runs_per_core * cores, options={"workers": str(cores)})
    with Worker(peer, job, environments, None) as worker:
        worker.read_until()
        answer = worker.answer
    if answer.many is None:
        raise NotMeasuredError("the worker did not report its runs")
    seconds = answer.many["seconds"] / (answer.many["runs"] * answer.many["epochs"])
    return seconds, answer.many["val_accuracy"]


def neurona_train_command(workload: Workload, seed: int, environments: Path, cache_folder: Path) -> tuple[float, float]:
    """Time `neurona train` from the process' start to its exit; return the seconds and the accuracy."""
    python = python_of(environments, PEERS["neurona"].environment)
    command = [str(python), "-m", "neurona", "train", "--json", "--seed", str(seed)]
    command += ["--hidden", ",".join(map(str, workload.hidden)), "--batch-size", str(workload.batch_size)]
    command += ["--epochs", str(workload.parts)]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
        env=variables_of({CACHE_FOLDER_VARIABLE: str(cache_folder)}, threads=None),
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise NotMeasuredError(f"`neurona train` ended with code {done.returncode}: {last}")
    return seconds, json.loads(done.stdout)["history"]["val_accuracy"][-1]


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
