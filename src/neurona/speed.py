"""How fast this machine trains: the peak of its matrix products, and reference networks beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurona import engine
from neurona.data import Dataset, Split, load
from neurona.machine import cores
from neurona.specs import PRECISIONS, Network, Training

__all__ = ["Figures", "Row", "measure", "product_gflops"]

# Name -> network and batch size.
_REFERENCES: dict[str, tuple[Network, int]] = {
    "softmax, batch 100": (Network(hidden=()), 100),
    "2 x 50, batch 100": (Network(hidden=(50, 50)), 100),
    "2 x 200, batch 100": (Network(hidden=(200, 200)), 100),
    "2 x 500, batch 100": (Network(hidden=(500, 500)), 100),
    "2 x 1024, batch 250": (Network(hidden=(1024, 1024)), 250),
    "2 x 50, batch 1": (Network(hidden=(50, 50)), 1),
}
_PRODUCT = 1024  # side of the square matrices whose product is the peak
_REPEATS = 3
_IMAGES = 10_000  # an epoch here: a fifth of MNIST's, so that all takes a minute


@dataclass(frozen=True)
class Row:
    """One network in one precision.

    epoch_seconds: of a run alone over 10,000 images, the fastest of three epochs, without compiling.
    gflops: 10⁹ floating-point operations a second in it, counting the products of training and validation.
    epochs_per_second: with as many runs side by side as there are cores.
    """

    name: str
    precision: str
    epoch_seconds: float
    gflops: float
    epochs_per_second: float


@dataclass(frozen=True)
class Figures:
    """What `measure` found.

    product_gflops: 10⁹ operations a second of float32 products of 1,024 by 1,024, one at a time; XLA may use all cores.
    product_gflops_together: with as many at a time as there are cores.
    """

    cores: int
    jax: str
    product_gflops: float
    product_gflops_together: float
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object."""
        return asdict(self)


def measure(*, data: Dataset | None = None, on_step: Callable[[str], None] = lambda name: None) -> Figures:
    """Measure this machine, with MNIST unless `data` is given; `on_step` is told what comes next."""
    data = _first(data or load("mnist"))
    on_step("products")
    one = product_gflops(1)
    every = product_gflops(cores())
    rows = []
    for name, (network, batch_size) in _REFERENCES.items():
        for precision in PRECISIONS:
            on_step(f"{name}, {precision}")
            rows.append(
                _row(name, network, Training(batch_size=batch_size, epochs=_REPEATS, precision=precision), data)
            )
    return Figures(cores(), jax.__version__, one, every, tuple(rows))


def _first(data: Dataset) -> Dataset:
    """Return the data with `_IMAGES` for training and a fifth of them for validation, at most."""

    def first(split: Split, count: int) -> Split:
        return Split(split.images[:count], split.labels[:count])

    return replace(data, train=first(data.train, _IMAGES), validation=first(data.validation, _IMAGES // 5))


def _row(name: str, network: Network, training: Training, data: Dataset) -> Row:
    alone = engine.train(network, training, data, seed=0)
    seconds = min(alone.history["seconds"])
    runs = cores()
    with ThreadPoolExecutor(runs) as pool:
        started = time.perf_counter()
        list(pool.map(lambda seed: engine.train(network, training, data, seed=seed), range(runs)))
        together = time.perf_counter() - started
    return Row(name, training.precision, seconds, _epoch_gflop(network, data) / seconds, runs * _REPEATS / together)


def _epoch_gflop(network: Network, data: Dataset) -> float:
    """Return 10⁹ operations of an epoch's products: forward, two backward but one for the first layer; validation."""
    height, width = data.image_shape
    sizes = (height * width, *network.hidden, data.classes)
    products = [inputs * units for inputs, units in pairwise(sizes)]
    trained = len(data.train) * (3 * sum(products) - products[0])
    return 2e-9 * (trained + len(data.validation) * sum(products))


def product_gflops(threads: int, *, repeats: int = 20) -> float:
    """Return 10⁹ operations a second of `repeats` square products one after the other, in each of `threads`."""
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((_PRODUCT, _PRODUCT)), jnp.float32)

    def chain(matrix: jax.Array) -> jax.Array:
        found: jax.Array = jax.lax.fori_loop(0, repeats, lambda _index, x: jnp.matmul(x, matrix) / _PRODUCT, matrix)
        return found

    run = jax.jit(chain)
    run(matrix).block_until_ready()
    best = float("inf")
    for _attempt in range(_REPEATS):
        with ThreadPoolExecutor(threads) as pool:
            started = time.perf_counter()
            list(pool.map(lambda _thread: run(matrix).block_until_ready(), range(threads)))
            best = min(best, time.perf_counter() - started)
    return threads * repeats * 2e-9 * _PRODUCT**3 / best
