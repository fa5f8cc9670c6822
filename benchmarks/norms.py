"""What measuring the norms adds to an epoch: the course's baseline on MNIST, with and without, one after the other.

`python benchmarks/norms.py [--batch-size 100] [--rounds 20]` prints the median, over rounds, of the ratio of the two
epochs' processor time, and of the lowest of each. Other work on the machine moves the second figure less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import jax
import numpy as np

import neurona
from neurona import engine
from neurona import network as networks
from neurona.engine import programs, streams
from neurona.specs import Network, Training


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    data = neurona.load("mnist")
    network, training = Network(), Training(batch_size=options.batch_size)
    sizes = engine.sizes(data)
    arrays = (*programs.on_device(data.train), *programs.on_device(data.validation))
    numbers = programs.arguments(network, training, sizes, np.ones(sizes.classes))
    seed = np.random.SeedSequence(0)
    initial = networks.init(network, pixels=sizes.pixels, classes=sizes.classes, seed=seed)
    key = np.zeros(2, np.uint32)
    drawn = programs.Drawn(streams.order(0, 1, sizes.train), key, key, np.int32(0))

    def seconds(epoch: Any) -> float:
        state = programs.initial_state(networks.transposed(initial), training, numbers)
        began = time.process_time()
        jax.block_until_ready(epoch(state, numbers, *arrays, drawn, ()))
        return time.process_time() - began

    with_norms = programs.program(network, training, sizes).epoch
    programs._programs.clear()
    programs.measured = lambda *_given, **_more: jax.numpy.zeros((0, 2))
    without = programs.program(network, training, sizes).epoch
    for epoch in (with_norms, without):
        seconds(epoch)
    pairs = []
    for number in range(options.rounds):  # in turn first and second
        order = (with_norms, without) if number % 2 else (without, with_norms)
        taken = {id(epoch): seconds(epoch) for epoch in order}
        pairs.append((taken[id(with_norms)], taken[id(without)]))
    ratio = statistics.median(one / other for one, other in pairs)
    lowest = min(one for one, _ in pairs), min(other for _, other in pairs)
    print(f"batch size {options.batch_size}: {ratio:.3f} times an epoch without norms (median of {len(pairs)})")
    print(f"lowest: {lowest[0]:.3f} s with, {lowest[1]:.3f} s without, {lowest[0] / lowest[1]:.3f} times")


if __name__ == "__main__":
    main()
