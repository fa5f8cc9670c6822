"""Neurona beside TensorFlow, Keras on JAX and on PyTorch, PyTorch and scikit-learn: the same training, timed.

    python benchmarks/peers/run.py --setup      makes the environments, in .bench/
    python benchmarks/peers/run.py              measures and prints the tables

Every figure is a worker process of its own. Rounds are interleaved (A B C A B C ...), so that what else the
machine does falls on all of them; each round has its seed. The first epoch, which compiles, is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import environments
import measure
import results
from measure import NotMeasuredError, cores_available, progress
from results import COMMAND, EPOCH, PROCESSES, THREADS, Results

from peers import NEURONA, PEERS, QUICK_BATCH_1_IMAGES, QUICK_PARTS, WORKLOADS, Peer, Workload

# The workload whose whole process is timed: the notebook's own script against `neurona train`.
COMMAND_WORKLOAD = "baseline"


# Load average above which the libraries' threads would wait for each other's cores, and their times say little.
BUSY = 0.5


def names(choices: dict[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in choices:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(choices)}")
        return chosen

    return parse


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--setup", action="store_true", help="make the environments, and measure nothing")
    parser.add_argument(
        "--peers", type=names({**PEERS}), default=list(PEERS), metavar="A,B", help=f"of {', '.join(PEERS)}"
    )
    parser.add_argument(
        "--workloads",
        type=names({**WORKLOADS}),
        default=list(WORKLOADS),
        metavar="A,B",
        help=f"of {', '.join(WORKLOADS)}",
    )
    parser.add_argument(
        "--skip",
        type=names({"throughput": 0, "process": 0}),
        default=[],
        metavar="A,B",
        help="of throughput (many runs, all cores) and process (start to exit)",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument("--pin", action="store_true", help="one core for everybody; single runs only (Linux)")
    parser.add_argument(
        "--quick", action="store_true", help="one round of two parts: shows that all works, not how fast"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument(
        "--environments",
        type=Path,
        default=environments.DEFAULT_FOLDER,
        metavar="DIR",
        help="where the environments are; default .bench",
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, but got {options.rounds}")
    if options.pin and not hasattr(measure.os, "sched_setaffinity"):
        parser.error("--pin needs a system that can pin a process to a core, as Linux can")
    if options.quick:
        options.rounds = 1
    if options.pin:
        options.skip = ["throughput", "process"]
    return options


def quick(workload: Workload) -> Workload:
    images = min(workload.images_per_part, QUICK_BATCH_1_IMAGES) if workload.batch_size == 1 else 50_000
    return replace(workload, parts=QUICK_PARTS, images_per_part=images)


class Session:
    """One call of this program: the options, and what has been measured."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results = Results()
        self.cores = cores_available()[:1] if options.pin else None

    def measure(self) -> Results:
        """Measure all that the options ask for, round by round."""
        for name in self.options.workloads:
            workload = quick(WORKLOADS[name]) if self.options.quick else WORKLOADS[name]
            for seed in range(self.options.rounds):
                for peer in (PEERS[name] for name in self.options.peers):
                    self._one_run(peer, workload, seed)
                if "process" not in self.options.skip and name == COMMAND_WORKLOAD:
                    self._neurona_train(workload, seed)
                if "throughput" not in self.options.skip:
                    for peer in (PEERS[name] for name in self.options.peers):
                        self._many_runs(peer, workload, seed)
        return self.results

    def _one_run(self, peer: Peer, workload: Workload, seed: int) -> None:
        def figure() -> tuple[float, float]:
            answer = measure.one_run(peer, workload, seed, self.options.environments, self.cores)
            self.results.versions[peer.name] = answer.versions
            timed = "process" not in self.options.skip and workload.name == COMMAND_WORKLOAD
            if timed and peer.name != NEURONA:
                self.results.add(workload.name, peer.name, COMMAND, answer.process_seconds, answer.val_accuracy or 0.0)
            return answer.epoch_seconds, answer.val_accuracy or 0.0

        self._record(workload.name, peer.name, EPOCH, seed, figure)

    def _many_runs(self, peer: Peer, workload: Workload, seed: int) -> None:
        if (workload.name, peer.name, EPOCH) in self.results.not_measured:
            return
        folder = self.options.environments
        if peer.name == NEURONA:
            runs = 1 if self.options.quick else 2
            self._record(
                workload.name,
                peer.name,
                THREADS,
                seed,
                lambda: measure.runs_at_once(peer, workload, seed, folder, runs),
            )
        else:
            self._record(
                workload.name,
                peer.name,
                PROCESSES,
                seed,
                lambda: measure.processes_at_once(peer, workload, seed, folder),
            )

    def _neurona_train(self, workload: Workload, seed: int) -> None:
        if NEURONA not in self.options.peers or (workload.name, NEURONA, EPOCH) in self.results.not_measured:
            return
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                self._record(
                    workload.name,
                    f"{NEURONA} train, {state} cache",
                    COMMAND,
                    seed,
                    lambda: measure.neurona_train_command(workload, seed, self.options.environments, Path(cache)),
                )

    def _record(
        self, workload: str, peer: str, what: str, seed: int, figure: Callable[[], tuple[float, float]]
    ) -> None:
        """Measure once and keep it; what cannot be measured is noted, and not tried in the rounds after."""
        if (workload, peer, what) in self.results.not_measured:
            return
        label = f"{workload}, round {seed + 1} of {self.options.rounds}, {peer}, {what}"
        try:
            seconds, val_accuracy = figure()
        except NotMeasuredError as error:
            self.results.not_measured[workload, peer, what] = str(error)
            progress(f"{label}: not measured: {error}")
            return
        self.results.add(workload, peer, what, seconds, val_accuracy)
        progress(f"{label}: {seconds:.3f} s, validation accuracy {val_accuracy:.4f}")


def print_tables(found: Results, options: argparse.Namespace) -> None:
    for name in options.workloads:
        workload = quick(WORKLOADS[name]) if options.quick else WORKLOADS[name]
        images = workload.parts * workload.images_per_part
        print(f"\n## {name}: {workload.title}; accuracy after {images / 50_000:g} epochs")
        if workload.images_per_part < 50_000:
            print(f"\nPeers: parts of {workload.images_per_part:,} images, scaled; Neurona: whole epochs.")
        for title, rows in found.tables(name, NEURONA):
            print("\n" + results.table_text(title, rows, NEURONA))
    if found.not_measured:
        print("\n## Not measured\n")
        for (workload_name, peer, what), why in found.not_measured.items():
            print(f"- {workload_name}, {peer}, {what}: {why}")


def main() -> int:
    options = parse_options()
    if options.setup:
        environments.set_up(options.environments, [PEERS[name] for name in options.peers])
        return 0
    before = results.machine()
    if (before["load_average"] or 0.0) > BUSY:
        progress(f"The machine is busy (load average {before['load_average']:.1f}): these figures will not be true.")
    found = Session(options).measure()
    print(f"{before['processor']}, {before['cores']} cores, {before['system']}")
    print_tables(found, options)
    if options.json:
        shown = {name: getattr(options, name) for name in ("peers", "workloads", "skip", "rounds", "pin", "quick")}
        text = json.dumps(results.document(found, shown, NEURONA, before), indent=1)
        options.json.write_text(text + "\n")
    return 0 if found.series else 1


if __name__ == "__main__":
    sys.exit(main())
