"""What trained parameters answer on a split."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurona import network as networks
from neurona.data import Split
from neurona.engine.programs import VALIDATION_CHUNK, Sums, in_chunks, means, on_device, score
from neurona.run import Parameters
from neurona.specs import Network, Training

__all__ = ["evaluate", "predictions"]


def evaluate(network: Network, parameters: Parameters, split: Split) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy of `parameters` on `split`, whatever loss they were trained with."""
    images, labels = on_device(split)
    return means(_evaluator(network)(networks.transposed(parameters), images, labels), len(split))


def predictions(network: Network, parameters: Parameters, split: Split) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the class that `parameters` give each image of `split`, int32 `(n,)`."""
    images, _labels = on_device(split)
    classify = _classifier(network)
    chunks = [
        classify(networks.transposed(parameters), images[first : first + VALIDATION_CHUNK])
        for first in range(0, len(split), VALIDATION_CHUNK)
    ]
    return np.concatenate(chunks)


@functools.lru_cache(maxsize=32)
def _evaluator(network: Network) -> Callable[..., Sums]:
    def run(parameters: Parameters, images: jax.Array, labels: jax.Array) -> Sums:
        return in_chunks(functools.partial(score, network, Training(), {}, parameters), images, labels)

    return jax.jit(run)


@functools.lru_cache(maxsize=32)
def _classifier(network: Network) -> Callable[..., jax.Array]:
    def classify(parameters: Parameters, images: jax.Array) -> jax.Array:
        return jnp.argmax(networks.logits(network, parameters, images), axis=0).astype(jnp.int32)

    return jax.jit(classify)
