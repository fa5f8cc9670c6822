"""The search, measured: against random, against other tuners, against kill -9, and how much of it is compiling.

    python benchmarks/search.py random --minutes 5 --repeats 5    TPE against random sampling at equal time
    python benchmarks/search.py peers --minutes 5 --python PATH   trials beside KerasTuner and Optuna over Keras
    python benchmarks/search.py kill --kills 50                   kill -9 at random moments: nothing lost, the same bits
    python benchmarks/search.py compile --minutes 5               the share of the time that goes into compiling

PATH is the Python of an environment with keras, jax, keras-tuner and optuna: `benchmarks/search-peers.txt`. Run the
first two on a machine that does nothing else; they use two cores or all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# What the peers search too, as `search_peers.py` has it: all of it in Keras' own terms.
COMMON = {
    "network.hidden": [[width] * depth for depth in (1, 2, 3) for width in (32, 64, 128, 256)],
    "network.activation": ["relu", "tanh"],
    "network.dropout": {"low": 0.0, "high": 0.4, "step": 0.1},
    "training.optimizer.learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    "training.batch_size": [100, 200, 500],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["random", "peers", "kill", "compile"])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--backend", default="jax", help="of the peers' Keras: jax, the fastest here, or tensorflow")
    parser.add_argument("--python", help="of the environment that has the peers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neurona-search-") as folder:
        measure = {"random": against_random, "peers": against_peers, "kill": killed, "compile": compiling}
        measure[options.what](options, Path(folder))


def against_random(options: argparse.Namespace, folder: Path) -> None:
    """Print what the best of each search reaches with five fresh seeds; the two run side by side, one run at a time."""
    found: dict[str, list[float]] = {"tpe": [], "random": []}
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for repeat in range(options.repeats):
            searches = [(sampler, repeat, options.minutes, folder) for sampler in found]
            for (sampler, *_rest), (said, fresh) in zip(searches, pool.starmap(best_of, searches), strict=True):
                found[sampler].append(fresh)
                print(f"repeat {repeat}, {sampler}: {said}", flush=True)
    for sampler, values in found.items():
        print(f"{sampler}: mean {100 * statistics.fmean(values):.2f} %, of {len(values)} repeats")
    differences = [ours - theirs for ours, theirs in zip(found["tpe"], found["random"], strict=True)]
    print("difference, repeat by repeat:", " ".join(f"{100 * each:+.2f}" for each in differences))


def best_of(sampler: str, seed: int, minutes: float, folder: Path) -> tuple[str, float]:
    """Return a sentence on a search, and the accuracy that its best finalist has with fresh seeds."""
    from neurona.search import Search

    place = folder / f"{sampler}-{seed}"
    result = Search(sampler=sampler, seed=seed).run(minutes=minutes, finalists=1, seeds=5, workers=1, study=place)
    (one,), best = result.searched, result.best
    assert best is not None and best.fresh is not None  # noqa: S101, PT018
    name = best.row.experiment.name
    trials = f"{len(one.trials)} trials in {one.seconds:.0f} s"
    return f"{trials}, first {100 * best.first:.2f} %, fresh {100 * best.fresh:.2f} % ({name})", best.fresh


def against_peers(options: argparse.Namespace, folder: Path) -> None:
    """Print how many trials of the same space each tuner finishes in the same time; every run has all its epochs."""
    from neurona.search import Search

    if options.python is None:
        sys.exit("--python names the environment that has the peers")
    search = Search(space=COMMON, pruner="none", sampler="random")
    began = time.perf_counter()
    result = search.run(minutes=options.minutes, finalists=0, study=folder / "neurona")
    ours = result.searched[0].count("complete")
    print(f"neurona: {ours} trials in {time.perf_counter() - began:.0f} s", flush=True)
    for peer in ("keras-tuner", "optuna-keras"):
        words = [options.python, str(HERE / "search_peers.py"), peer, str(options.minutes)]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env=os.environ | {"KERAS_BACKEND": options.backend}
        )
        if done.returncode:
            print(f"{peer}: failed\n{done.stderr[-2000:]}")
            continue
        answer = json.loads(done.stdout.splitlines()[-1])
        times = ours / max(1, answer["trials"])
        print(f"{peer}: {answer['trials']} trials in {answer['seconds']:.0f} s; neurona × {times:.1f}", flush=True)


def compiling(options: argparse.Namespace, folder: Path) -> None:
    """Print which part of all cores' time a search compiles, with an empty cache of compiled programs."""
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")
    from neurona.engine import programs
    from neurona.machine import cores
    from neurona.search import Search

    began = time.perf_counter()
    result = Search().run(minutes=options.minutes, finalists=0, study=folder / "study")
    passed = time.perf_counter() - began
    seconds = sum(program.seconds for program in programs._programs.values())
    print(
        f"{len(result.searched[0].trials)} trials, {len(programs._programs)} programs, {seconds:.0f} s of compiling: "
        f"{100 * seconds / passed / cores():.0f} % of {passed:.0f} s on {cores()} cores"
    )


LAB = """
[lab]
name = "kill"
dataset = "small.npz"
[baseline]
network.hidden = [50]
training = { epochs = 5, batch_size = 100 }
[[experiment]]
name = "wide"
network.hidden = [100]
[search.space]
network.depth = { low = 1, high = 2 }
network.width = { low = 16, high = 64, base = 2 }
training.optimizer.name = ["adam", "nesterov"]
training.optimizer.momentum = { low = 0.5, high = 0.9, when = { training.optimizer.name = "nesterov" } }
training.optimizer.learning_rate = { low = 1e-4, high = 1.0, log = true }
"""
TRIALS = 30


def killed(options: argparse.Namespace, folder: Path) -> None:
    """Kill searches at seeded moments until there were enough kills, and compare each with one left alone."""
    import numpy as np

    import neurona

    data = neurona.load("mnist")
    np.savez(folder / "small.npz", x_train=data.train.images[:6000], y_train=data.train.labels[:6000])
    (folder / "lab.toml").write_text(LAB)
    moments = random.Random(options.seed)  # noqa: S311 - it must be the same again
    began = time.perf_counter()
    whole = trials_of(subprocess.run(command(folder, "whole"), capture_output=True, check=True).stdout)
    length = time.perf_counter() - began
    print(f"left alone: {TRIALS} trials in {length:.1f} s")
    kills = searches = wrong = 0
    while kills < options.kills:
        searches += 1
        here = 0
        while True:
            process = subprocess.Popen(
                command(folder, f"killed-{searches}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            timer = None
            if kills + here < options.kills:
                timer = threading.Timer(moments.uniform(1.0, length / 2), process.send_signal, (signal.SIGKILL,))
                timer.start()
            output, errors = process.communicate()
            if timer is not None:
                timer.cancel()
            if process.returncode == 0:
                break
            if process.returncode != -signal.SIGKILL:
                sys.exit(f"failed after {kills + here} kills:\n{errors.decode()}")
            here += 1
        kills += here
        same = trials_of(output) == whole
        wrong += not same
        print(f"search {searches}: {here} kills, {'the same bits' if same else 'OTHER BITS'}", flush=True)
    print(f"{kills} kills, {searches} searches, {searches - wrong} of them bit-identical to the one left alone")
    sys.exit(1 if wrong else 0)


def command(folder: Path, study: str) -> list[str]:
    words = ["search", str(folder / "lab.toml"), "--trials", str(TRIALS), "--workers", "1", "--finalists", "0"]
    return [sys.executable, "-m", "neurona", *words, "--json", "--study", str(folder / study)]


def trials_of(output: bytes) -> Any:
    return json.loads(output)["searches"][0]["trials"]


if __name__ == "__main__":
    main()
