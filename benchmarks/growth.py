"""How the time of an epoch grows with width, depth, batch and the number of runs side by side.

    python benchmarks/growth.py          about three minutes on 2 cores

Each figure is the median of the epochs after the first, on MNIST's 50,000 training images, validation included; the
course's baseline is `2×50, batch 100`. GFLOP/s count the products of training and validation.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from neurona import Network, Training, engine, load
from neurona.data import Dataset
from neurona.machine import cores

EPOCHS = 4  # the first is not counted


def flops(hidden: tuple[int, ...], data: Dataset) -> float:
    """Return the floating-point operations of an epoch's products; the first layer's input needs no gradient."""
    sizes = (data.image_shape[0] * data.image_shape[1], *hidden, len(data.class_names))
    kernels = [inputs * units for inputs, units in pairwise(sizes)]
    forward, backward = 2 * sum(kernels), 4 * sum(kernels) - 2 * kernels[0]
    return len(data.train) * (forward + backward) + len(data.validation) * forward


def epoch_seconds(hidden: tuple[int, ...], batch_size: int, data: Dataset) -> float:
    training = Training(batch_size=batch_size, epochs=EPOCHS)
    run = engine.train(Network(hidden=hidden), training, data, seed=0)
    return statistics.median(epoch.seconds for epoch in run.history.epochs[1:])


def print_row(hidden: tuple[int, ...], batch_size: int, data: Dataset) -> None:
    seconds = epoch_seconds(hidden, batch_size, data)
    parameters = Network(hidden=hidden).parameters(data.image_shape, len(data.class_names))
    widths = f"{len(hidden)}×{hidden[0]}"
    speed = flops(hidden, data) / seconds / 1e9
    print(f"| {widths} | {batch_size} | {parameters:,} | {seconds:.3f} | {speed:.0f} |", flush=True)


def print_side_by_side(data: Dataset) -> None:
    network, training = Network(), Training(epochs=6)
    engine.train(network, training.replace(epochs=1), data, seed=0)  # compiles
    print("\n| runs at a time | seconds an epoch of one run | runs/s, five epochs each |\n|---:|---:|---:|")
    for runs in (1, 2, 4, 8):
        began = time.perf_counter()
        with ThreadPoolExecutor(runs) as pool:
            list(pool.map(lambda seed: engine.train(network, training, data, seed=seed), range(2 * runs)))
        each = (time.perf_counter() - began) / (2 * runs * training.epochs)
        print(f"| {runs} | {each:.3f} | {1 / (5 * each):.2f} |", flush=True)


def main() -> None:
    data = load("mnist")
    print(f"{cores()} cores\n\n| hidden | batch | parameters | s/epoch | GFLOP/s |\n|---|---:|---:|---:|---:|")
    for width in (50, 100, 200, 500, 1000):
        print_row((width,) * 2, 100, data)
    for depth in (1, 3, 5):
        print_row((200,) * depth, 100, data)
    for batch_size in (1, 10, 1000):
        print_row((50, 50), batch_size, data)
    print_side_by_side(data)


if __name__ == "__main__":
    main()
