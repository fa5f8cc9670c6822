"""What a Ray cluster costs and how far it goes, measured on this machine; see docs/cluster.md.

    python benchmarks/cluster.py overhead                    a lab by threads and by Ray on the same cores, in turn
    python benchmarks/cluster.py tiny --runs 5000            many runs of no length: runs a second, memory
    python benchmarks/cluster.py simulate                    10, 100, 1,000 nodes, from times that it measures first

`overhead` repeats both in alternation and gives the ratio of wall times and of the processor's time of all processes,
which depends less on what else the machine does. `simulate` measures what the driver needs to store a run, what a piece
of work costs beside training and what starting a worker takes, and then plays a lab on clusters that are not there.
"""

from __future__ import annotations

import argparse
import heapq
import math
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

import neurona
from neurona.compute import HERE, Compute, Work, computing
from neurona.data import Dataset, Split
from neurona.engine import train
from neurona.engines import expected_seconds
from neurona.machine import cores
from neurona.runner import Event, RunEnded, tasks
from neurona.specs import Experiment, Network, Training
from neurona.store import Owner, Task
from neurona.study import Lab

TESTS = Path(__file__).parents[1] / "tests"
CORES_A_NODE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("overhead")
    command.add_argument("--only", nargs="+", default=[], help="experiments of the course lab; all unless given")
    command.add_argument("--seeds", type=int, default=1)
    command.add_argument("--epochs", type=int, default=5)
    command.add_argument("--rounds", type=int, default=3)
    command = commands.add_parser("tiny")
    command.add_argument("--runs", type=int, default=5000)
    command = commands.add_parser("simulate")
    command.add_argument("--runs", type=int, default=100_000)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {cores()} cores, load {psutil.getloadavg()[0]:.1f}")
    {"overhead": overhead, "tiny": tiny, "simulate": simulate}[options.command](options)


# Overhead


def overhead(options: argparse.Namespace) -> None:
    data = neurona.load("mnist")
    lab = Lab.load("mnist-dnn").with_epochs(options.epochs)
    began = time.perf_counter()
    with computing("ray") as cluster:
        print(f"starting Ray: {time.perf_counter() - began:.1f} s")
        places: dict[str, Compute] = {"threads": HERE, "ray": cluster}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
        for number in range(options.rounds + 1):
            for name, place in places.items():
                with folder() as study, measured() as spent:
                    lab.run(seeds=options.seeds, only=options.only, data=data, study=study, on=place)
                wall, processor = spent()
                if number:  # the first round starts workers and compiles
                    took[name].append((wall, processor))
                print(f"  round {number} {name:<8} {wall:7.1f} s, processor {processor:7.1f} s", flush=True)
    for index, what in enumerate(("wall time", "processor time")):
        ratios = [ray[index] / here[index] for ray, here in zip(took["ray"], took["threads"], strict=True)]
        print(f"Ray / threads, {what}: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="neurona-cluster-"))
    yield made / "study"
    shutil.rmtree(made)


@contextmanager
def measured() -> Iterator[Callable[[], tuple[float, float]]]:
    """Give what tells wall time and the processor's time of this process and all below it, in seconds."""
    spent: list[tuple[float, float]] = []
    before, began = processor_seconds(), time.perf_counter()
    yield lambda: spent[0]
    after = processor_seconds()
    spent.append((time.perf_counter() - began, sum(value - before.get(key, 0.0) for key, value in after.items())))


def processor_seconds() -> dict[int, float]:
    found = {}
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            found[process.pid] = sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return found


# Many runs of no length


def few_images(count: int = 100) -> Dataset:
    data = neurona.load("mnist")

    def first(split: Split, count: int) -> Split:
        return Split(split.images[:count].copy(), split.labels[:count].copy())

    return replace(data, train=first(data.train, count), validation=first(data.validation, count // 2))


TINY = Experiment(name="baseline", network=Network(hidden=(4,)), training=Training(epochs=1))


def tiny(options: argparse.Namespace) -> None:
    data, lab = few_images(), Lab(name="tiny", dataset="mnist", experiments=(TINY,))
    ended: list[float] = []

    def take(event: Event) -> None:
        if isinstance(event, RunEnded):
            ended.append(time.perf_counter())
            if len(ended) % (options.runs // 10) == 0:
                print(
                    f"  {len(ended):>6} runs, driver {driver_megabytes():.0f} MB, workers {worker_megabytes()}",
                    flush=True,
                )

    with folder() as study, computing("ray") as cluster:
        began = time.perf_counter()
        lab.run(seeds=options.runs, data=data, study=study, on=cluster, on_event=take)
        whole = time.perf_counter() - began
    rate = (len(ended) - 1) / (ended[-1] - ended[0])
    print(f"{len(ended)} runs in {whole:.1f} s; once workers had started, {rate:.0f} runs/s")


def driver_megabytes() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


def worker_megabytes() -> str:
    workers = [each for each in psutil.Process().children(recursive=True) if each.name().startswith("ray::carry_out")]
    return ", ".join(f"{each.memory_info().rss / 2**20:.0f} MB" for each in workers)


# Clusters that are not there


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds.

    run: the driver's, for each run: claiming it, storing it, telling of it.
    piece: the driver's, for each piece of work: a thread, an order, a reply.
    reply: from the end of a piece to the driver's knowing, and to a worker's having the next one.
    start: until a worker has loaded Neurona and JAX, and has its first program.
    """

    run: float
    piece: float
    reply: float
    start: float


def simulate(options: argparse.Namespace) -> None:
    costs = measured_costs()
    print(
        f"measured: {1e3 * costs.run:.1f} ms of the driver a run, {1e3 * costs.piece:.1f} ms a piece of work, "
        f"{1e3 * costs.reply:.0f} ms from one piece to the next, {costs.start:.1f} s to start a worker"
    )
    data = neurona.load("mnist")
    lab = Lab.load("mnist-dnn")
    loads = {
        "baseline, 1 s a run": [expected_seconds(lab.baseline, data)],
        "course lab, mixed": [expected_seconds(experiment, data) for experiment in lab.experiments],
    }
    for name, seconds in loads.items():
        print(f"\n{name}: {options.runs:,} runs, mean {statistics.mean(seconds):.1f} s")
        print(f"{'nodes':>6} {'cores':>7} {'drivers':>8} {'runs/s':>9} {'of ideal':>9}  what limits")
        for nodes in (1, 10, 100, 1_000):
            for drivers in (1, 8) if nodes >= 100 else (1,):
                print_played(nodes, drivers, seconds, options.runs, costs)


def print_played(nodes: int, drivers: int, seconds: list[float], runs: int, costs: Costs) -> None:
    workers = nodes * CORES_A_NODE
    mean = statistics.mean(seconds)
    took, busy = played(workers, drivers, seconds, runs, costs)
    ideal = runs * mean / workers
    limit = "training"
    if busy > 0.6:
        limit = "the driver stores"
    elif costs.start > 0.2 * took:
        limit = "starting workers"
    elif ideal < 0.8 * took:
        limit = "the last, long runs"
    rate = f"{runs / took:,.0f}"
    print(f"{nodes:>6,} {workers:>7,} {drivers:>8} {rate:>9} {100 * ideal / took:>8.0f}%  {limit}")


def played(workers: int, drivers: int, seconds: list[float], runs: int, costs: Costs) -> tuple[float, float]:
    """Return the seconds that `runs` runs take, and the part of it that the drivers are busy.

    Each driver has its share of workers and runs. It does one thing at a time, as Python does, in the order in which
    they come up: sending a piece of work, and storing one that has come back.
    """
    workers, runs = math.ceil(workers / drivers), math.ceil(runs / drivers)
    pieces = pieces_of(seconds, runs, workers)
    free = busy = now = 0.0
    ready = [(costs.start, index, 0) for index in range(workers)]  # when the driver hears of it, worker, runs to store
    heapq.heapify(ready)
    while ready:
        heard, worker, ended = heapq.heappop(ready)
        work = costs.run * ended
        if pieces:
            count, length = pieces.pop()
            work += costs.piece
            free = max(free, heard) + work
            heapq.heappush(ready, (free + costs.reply + length, worker, count))
        else:
            free = max(free, heard) + work
        busy += work
        now = max(now, free)
    return now, busy / now


def pieces_of(seconds: list[float], runs: int, workers: int) -> list[tuple[int, float]]:
    """Return the pieces of work, as count of runs and seconds, the first one last; cut as the runner cuts them."""
    each = runs // len(seconds)
    found = []
    for length in sorted(seconds):
        at_most = min(max(1, int(2.0 / length)), 64, max(1, math.ceil(runs / workers)))
        whole, rest = divmod(each, at_most)
        found += [(at_most, at_most * length)] * whole + ([(rest, rest * length)] if rest else [])
    return found


def measured_costs() -> Costs:
    data = few_images()
    run = run_seconds()
    with computing("ray", workers=1) as cluster:
        began = time.perf_counter()
        one = Work(TINY.network, TINY.training, 0)
        cluster.train([one], data, stop=lambda: False)
        start = time.perf_counter() - began
        replies, own = [], []
        for _ in range(50):
            busy, began = time.thread_time(), time.perf_counter()
            cluster.train([one], data, stop=lambda: False)
            replies.append(time.perf_counter() - began)
            own.append(time.thread_time() - busy)
    alone = []
    for _ in range(50):
        began = time.perf_counter()
        train(TINY.network, TINY.training, data, seed=0)
        alone.append(time.perf_counter() - began)
    return Costs(run, undisturbed(own), undisturbed(replies) - undisturbed(alone), start)


def undisturbed(seconds: list[float]) -> float:
    """Return the 10th percentile: what it takes on a machine that does nothing else, where others may be at work."""
    return statistics.quantiles(seconds, n=10)[0]


def run_seconds(runs: int = 400) -> float:
    """Return what a run costs a driver that claims and stores them from eight threads, as that of a cluster does.

    In PostgreSQL, on this machine too, or in SQLite where there is none; the best of five parts of the runs.
    """
    sys.path.insert(0, str(TESTS))
    import postgresql

    data, baseline = few_images(), Lab.load("mnist-dnn").baseline
    lab = Lab(name="mine", dataset="mnist", experiments=(baseline,))
    made = train(baseline.network, baseline.training, data, seed=0)
    binaries = postgresql.binaries()
    server = None if binaries is None else postgresql.Server(binaries)
    owner = Owner.this_process()
    with folder() as place:
        where: dict[str, Any] = {"study": place} if server is None else {"study": "mine", "url": server.new_database()}
        study = lab.open_study(data, **where)
        print(f"stored in {study.place.partition(':')[0]}")

        def store(task: Task) -> None:
            study.store.claim(task, owner)
            study.store.finish(replace(made, seed=task.seed))

        wanted, took = tasks([baseline], runs, data.fingerprint), []
        with ThreadPoolExecutor(8) as threads:
            for part in range(5):
                began = time.perf_counter()
                list(threads.map(store, wanted[part::5]))
                took.append((time.perf_counter() - began) / (runs / 5))
        study.store.close()
    if server is not None:
        server.remove()
    return min(took)


if __name__ == "__main__":
    main()
