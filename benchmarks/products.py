"""How fast one core does the matrix products of a dense layer, by the way they are written; NumPy's BLAS beside.

    python benchmarks/products.py [UNITS ...]

Each product has 784 inputs and a batch of 100. Columns: best of seven, microseconds and GFLOP/s. Run it on one core
(`taskset -c 0` on Linux) to compare with BLAS. The engine uses the ways marked with a star.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import jax
import numpy as np

INPUTS, BATCH, REPEATS = 784, 100, 500


def product(left: int, right: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the product that contracts dimension `left` of the first array with `right` of the second."""
    return lambda a, b: jax.lax.dot_general(a, b, (((left,), (right,)), ((), ())))


def jax_seconds(way: Callable[[jax.Array, jax.Array], jax.Array], a: np.ndarray, b: np.ndarray) -> float:
    """Return seconds a product, inside a compiled loop, as the engine runs it."""

    def body(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        a, b = carry
        return (a.at[0, 0].add(0.0 * way(a, b)[0, 0]), b), None

    run = jax.jit(lambda a, b: jax.lax.scan(body, (a, b), None, length=REPEATS)[0])
    jax.block_until_ready(run(a, b))
    return best(lambda: jax.block_until_ready(run(a, b))) / REPEATS


def numpy_seconds(left: int, right: int, a: np.ndarray, b: np.ndarray) -> float:
    """Return seconds a product by NumPy's BLAS."""
    a, b = (a.T if left == 0 else a), (b.T if right == 1 else b)
    out = np.empty((a.shape[0], b.shape[1]), np.float32)
    return best(lambda: [np.matmul(a, b, out=out) for _ in range(50)]) / 50


def best(work: Callable[[], object]) -> float:
    """Return the shortest of seven timings."""
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    """Print the table."""
    generator = np.random.default_rng(0)
    print(f"{'units':>5}  {'product':38} {'XLA µs':>8} {'GFLOP/s':>8} {'BLAS µs':>8} {'GFLOP/s':>8}")
    for units in [int(word) for word in sys.argv[1:]] or [50, 64, 500]:
        x, w, d = ((BATCH, INPUTS), (INPUTS, units), (BATCH, units))
        ways = (
            ("images as rows: x @ w", x, w, 1, 0),
            ("images as columns: wT @ xT *", w[::-1], x, 1, 1),
            ("gradient, rows: xT @ d", x, d, 0, 0),
            ("gradient, columns: dT @ x *", d[::-1], x, 1, 0),
        )
        for name, first, second, left, right in ways:
            a, b = (generator.random(shape, np.float32) for shape in (first, second))
            work = 2 * BATCH * INPUTS * units / 1e9
            ours, theirs = jax_seconds(product(left, right), a, b), numpy_seconds(left, right, a, b)
            print(
                f"{units:>5}  {name:38} {ours * 1e6:8.1f} {work / ours:8.0f} {theirs * 1e6:8.1f} {work / theirs:8.0f}"
            )


if __name__ == "__main__":
    main()
