"""The network: `init(network, …)` makes parameters, `logits(network, parameters, images)` applies them, transposed.

Images enter as uint8 and are divided by 255 here, first thing, so that no caller can scale them differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from neurona.run import Array, Parameters
from neurona.specs import Network

__all__ = ["Layer", "init", "logits", "summary", "transposed"]

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "linear": lambda x: x,
}


def init(network: Network, *, pixels: int, classes: int, seed: np.random.SeedSequence) -> Parameters:
    """Return initial parameters: kernels by Glorot's uniform rule, biases zero, as Keras' `Dense` has them.

    A kernel `(inputs, units)` is uniform in ±sqrt(6 / (inputs + units)) (Glorot & Bengio 2010, eq. 16). The draw is
    NumPy's: nothing is compiled for it.
    """
    generator = np.random.default_rng(seed)
    layers: list[dict[str, Array]] = []
    sizes = (pixels, *network.hidden, classes)
    for inputs, units in pairwise(sizes):
        limit = math.sqrt(6.0 / (inputs + units))
        kernel = generator.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        layers.append({"kernel": kernel, "bias": np.zeros(units, np.float32)})
    return tuple(layers)


def transposed(parameters: Parameters) -> Parameters:
    """Return the parameters with kernels `(units, inputs)`, as `logits` takes them; a second time undoes it."""
    return tuple({**layer, "kernel": layer["kernel"].T} for layer in parameters)


def logits(
    network: Network,
    parameters: Parameters,
    images: jax.Array,
    *,
    dropout: tuple[jax.Array, ...] | None = None,
    key: jax.Array | None = None,
) -> jax.Array:
    """Return what the last layer gives before softmax, float32 `(classes, n)`: a column for each image.

    Activations are columns and kernels `(units, inputs)` because the products for narrow layers then take half the
    time: at 784 inputs, 50 units and 100 images, 60 and 49 µs forward and backward against 114 and 97 with images as
    rows (one core, jaxlib 0.10, measured by `benchmarks/products.py`).

    parameters: transposed.
    images: uint8 `(n, pixels)`, 0 to 255.
    dropout, key: while training, the rate after each hidden layer and the key that draws the masks; without them
        nothing is dropped. A layer whose declared rate is 0 draws nothing.
    """
    x = (images.astype(jnp.float32) / 255.0).T
    for index, (layer, activation) in enumerate(zip(parameters[:-1], network.activations, strict=True)):
        x = _ACTIVATIONS[activation](jnp.matmul(layer["kernel"], x) + layer["bias"][:, None])
        if dropout is not None and key is not None and network.dropouts[index] > 0:
            keep = jax.random.uniform(jax.random.fold_in(key, index), x.shape) >= dropout[index]
            x = jnp.where(keep, x / (1.0 - dropout[index]), 0.0)
    return jnp.matmul(parameters[-1]["kernel"], x) + parameters[-1]["bias"][:, None]


@dataclass(frozen=True)
class Layer:
    """A row of `summary`: Keras' name and type, output shape without the batch, and count of parameters."""

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int


def summary(network: Network, *, image_shape: tuple[int, int], classes: int) -> tuple[Layer, ...]:
    """Return the layers as Keras' `model.summary()` lists them, the scaling included."""
    pixels = math.prod(image_shape)
    layers = [Layer("rescaling", "Rescaling", image_shape, 0), Layer("flatten", "Flatten", (pixels,), 0)]
    sizes = (pixels, *network.hidden, classes)
    dropped = 0
    for index, (inputs, units) in enumerate(pairwise(sizes)):
        layers.append(Layer(_keras_name("dense", index), "Dense", (units,), (inputs + 1) * units))
        if index < len(network.hidden) and network.dropouts[index] > 0:
            layers.append(Layer(_keras_name("dropout", dropped), "Dropout", (units,), 0))
            dropped += 1
    return tuple(layers)


def _keras_name(kind: str, index: int) -> str:
    return f"{kind}_{index}" if index else kind
