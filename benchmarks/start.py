"""How soon does Neurona start? Processes that only begin, beside those of the libraries that people use for the same.

    python benchmarks/start.py [--repeats 15]

Each repeat starts every one of them once, one after the other, so that a disturbance meets all; shown are the fastest
and the median, and the fastest against that of `python -c pass`. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

STARTS = {
    "python -c pass": ["-c", "pass"],
    "import neurona": ["-c", "import neurona"],
    "neurona --version": ["-m", "neurona", "--version"],
    "neurona --help": ["-m", "neurona", "--help"],
    "neurona.Network()": ["-c", "import neurona; neurona.Network()"],
    "neurona.load": ["-c", "import neurona; neurona.load"],
    "neurona.train": ["-c", "import neurona; neurona.train"],
    "import jax": ["-c", "import jax"],
    "import optuna": ["-c", "import optuna"],
    "import keras": ["-c", "import keras"],
}


def seconds(words: list[str]) -> float | None:
    """Return how long a process takes from beginning to end, None when it fails."""
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, check=False)
    return time.perf_counter() - began if done.returncode == 0 else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    there = {name: words for name, words in STARTS.items() if seconds(words) is not None}  # and warms the disk's cache
    found: dict[str, list[float]] = {name: [] for name in there}
    for _repeat in range(options.repeats):
        for name, words in there.items():
            found[name].append(seconds(words) or float("nan"))
    least = min(found["python -c pass"])
    print(f"| process, {options.repeats} repeats | fastest, s | median, s | × |\n|---|---:|---:|---:|")
    for name, times in found.items():
        print(f"| `{name}` | {min(times):.3f} | {statistics.median(times):.3f} | {min(times) / least:.1f} |")


if __name__ == "__main__":
    main()
