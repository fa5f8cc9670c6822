"""The network: `init(network, …)` makes parameters, `logits(network, parameters, images)` applies them, transposed.

Images enter as uint8 and are divided by 255 here, first thing, so that no caller can scale them differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurona.activations import ACTIVATIONS
from neurona.initializers import INITIALIZERS
from neurona.run import Array, Parameters
from neurona.specs import Network

__all__ = ["STATISTICS", "Layer", "Noise", "init", "logits", "noisy_logits", "summary", "transposed"]

# A layer's arrays that no gradient changes: batch normalisation's running moments.
STATISTICS = ("moving_mean", "moving_variance")
_EPSILON = 1e-3  # Keras' of both normalisations
_MOMENTUM = 0.99  # Keras' of the running moments

# Fixed point of selu and the factor that keeps its variance (Klambauer et al. 2017, eq. 14)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class Noise(NamedTuple):
    """What is drawn while training: a key, and the rates in the order of the network's hidden layers."""

    key: jax.Array
    input_noise: Any
    input_dropout: Any
    dropout: Sequence[Any]
    alpha_dropout: Sequence[Any]


def init(network: Network, *, pixels: int, classes: int, seed: np.random.SeedSequence) -> Parameters:
    """Return initial parameters, a dict a layer: `kernel` (inputs, units) and `bias` (units,).

    A normalised layer also has `gamma` and `beta`; after batch normalisation `moving_mean` and `moving_variance` too,
    all (units,). Kernels are by `network.initializer`, the output's too; biases are zero, as Keras' `Dense` has them.
    """
    generator = np.random.default_rng(seed)
    draw = INITIALIZERS[network.initializer]
    layers: list[dict[str, Array]] = []
    for inputs, units in pairwise((pixels, *network.hidden, classes)):
        layer: dict[str, Array] = {"kernel": draw(generator, inputs, units), "bias": np.zeros(units, np.float32)}
        if network.normalization is not None and len(layers) < len(network.hidden):
            layer |= {"gamma": np.ones(units, np.float32), "beta": np.zeros(units, np.float32)}
            if network.normalization == "batch":
                moments = zip(STATISTICS, (np.zeros(units, np.float32), np.ones(units, np.float32)), strict=True)
                layer |= dict(moments)
        layers.append(layer)
    return tuple(layers)


def transposed(parameters: Parameters) -> Parameters:
    """Return the parameters with kernels `(units, inputs)`, as `logits` takes them; a second time undoes it."""
    return tuple({**layer, "kernel": layer["kernel"].T} for layer in parameters)


def logits(network: Network, parameters: Parameters, images: jax.Array, *, precision: str = "float32") -> jax.Array:
    """Return what the last layer gives before softmax, float32 `(classes, n)`: a column for each image.

    Activations are columns and kernels `(units, inputs)` because the products for narrow layers then take half the
    time: at 784 inputs, 50 units and 100 images, 60 and 49 µs forward and backward against 114 and 97 with images as
    rows (one core, jaxlib 0.10, measured by `benchmarks/products.py`).

    parameters: transposed.
    images: uint8 `(n, pixels)`, 0 to 255.
    precision: of the operands of the products, float32 or bfloat16; sums are float32.
    """
    return _forward(network, parameters, images, None, precision)[0]


def noisy_logits(
    network: Network, parameters: Parameters, images: jax.Array, noise: Noise, *, precision: str = "float32"
) -> tuple[jax.Array, Parameters]:
    """Return what `logits` does while training, and the new running moments, a dict for each hidden layer.

    Dropout (Srivastava et al. 2014) divides what it keeps by 1 - rate. Where a declared rate is 0, nothing is drawn.
    """
    return _forward(network, parameters, images, noise, precision)


def _forward(
    network: Network, parameters: Parameters, images: jax.Array, noise: Noise | None, precision: str
) -> tuple[jax.Array, Parameters]:
    x = (images.astype(jnp.float32) / 255.0).T
    if noise is not None:
        x = _noisy_input(network, x, noise)
    statistics: list[dict[str, Array]] = []
    for index, (layer, activation) in enumerate(zip(parameters[:-1], network.activations, strict=True)):
        z = _dense(layer, x, precision)
        z, moments = _normalized(network.normalization, layer, z, training=noise is not None)
        statistics.append(moments)
        y = ACTIVATIONS[activation](z)
        if noise is not None:
            y = _dropped(network, y, noise, index)
        x = x + y if network.residual and x.shape == y.shape and index > 0 else y
    return _dense(parameters[-1], x, precision), tuple(statistics)


def _dense(layer: dict[str, Array], x: jax.Array, precision: str) -> jax.Array:
    kernel = jnp.asarray(layer["kernel"])
    if precision == "bfloat16":
        kernel, x = kernel.astype(jnp.bfloat16), x.astype(jnp.bfloat16)
    return jnp.matmul(kernel, x, preferred_element_type=jnp.float32) + layer["bias"][:, None]


def _normalized(
    kind: str | None, layer: dict[str, Array], z: jax.Array, *, training: bool
) -> tuple[jax.Array, dict[str, Array]]:
    """Normalise pre-activations `(units, n)`, as Keras does: over the batch (Ioffe & Szegedy 2015) or the units.

    The running variance is of the batch itself, not the unbiased one of the paper. Layer normalisation is Ba et al.'s
    (2016). Epsilon is 0.001 for both.
    """
    if kind is None:
        return z, {}
    moments: dict[str, Array] = {}
    if kind == "layer":
        mean, variance = jnp.mean(z, axis=0, keepdims=True), jnp.var(z, axis=0, keepdims=True)
    elif training:
        mean, variance = jnp.mean(z, axis=1, keepdims=True), jnp.var(z, axis=1, keepdims=True)
        for name, value in zip(STATISTICS, (mean, variance), strict=True):
            moments[name] = layer[name] * _MOMENTUM + value[:, 0] * (1 - _MOMENTUM)
    else:
        mean, variance = (jnp.asarray(layer[name])[:, None] for name in STATISTICS)
    scale = jax.lax.rsqrt(variance + _EPSILON) * layer["gamma"][:, None]
    return (z - mean) * scale + layer["beta"][:, None], moments


def _noisy_input(network: Network, x: jax.Array, noise: Noise) -> jax.Array:
    if network.input_noise > 0:
        key = jax.random.fold_in(noise.key, len(network.hidden) + 1)
        x = x + noise.input_noise * jax.random.normal(key, x.shape)
    if network.input_dropout > 0:
        key = jax.random.fold_in(noise.key, len(network.hidden))
        x = jnp.where(_kept(key, x.shape, noise.input_dropout), x / (1.0 - noise.input_dropout), 0.0)
    return x


def _dropped(network: Network, y: jax.Array, noise: Noise, index: int) -> jax.Array:
    key = jax.random.fold_in(noise.key, index)
    if network.dropouts[index] > 0:
        rate = noise.dropout[index]
        return jnp.where(_kept(key, y.shape, rate), y / (1.0 - rate), 0.0)
    if network.alpha_dropouts[index] > 0:
        return _alpha_dropped(key, y, noise.alpha_dropout[index])
    return y


def _alpha_dropped(key: jax.Array, y: jax.Array, rate: Any) -> jax.Array:
    """Dropout that keeps selu's mean and variance (Klambauer et al. 2017, section "New dropout technique")."""
    floor = -_SELU_ALPHA * _SELU_SCALE
    a = 1.0 / jnp.sqrt((1.0 - rate) * (1.0 + rate * floor**2))
    kept: jax.Array = jnp.where(_kept(key, y.shape, rate), y, floor)
    dropped: jax.Array = a * kept - a * floor * rate
    return dropped


def _kept(key: jax.Array, shape: tuple[int, ...], rate: Any) -> jax.Array:
    """Draw which elements are kept. Sixteen bits an element: the rate is exact to 1/65,536, in half the time."""
    return jax.random.bits(key, shape, jnp.uint16) >= jnp.round(rate * 65_536).astype(jnp.uint32)


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
    kinds: list[tuple[str, tuple[int, ...], int]] = [("Rescaling", image_shape, 0), ("Flatten", (pixels,), 0)]
    kinds += [("GaussianNoise", (pixels,), 0)] if network.input_noise > 0 else []
    kinds += [("Dropout", (pixels,), 0)] if network.input_dropout > 0 else []
    for index, (inputs, units) in enumerate(pairwise((pixels, *network.hidden, classes))):
        kinds.append(("Dense", (units,), (inputs + 1) * units))
        if index == len(network.hidden):
            break
        if network.normalization == "batch":
            kinds.append(("BatchNormalization", (units,), 4 * units))
        if network.normalization == "layer":
            kinds.append(("LayerNormalization", (units,), 2 * units))
        if network.dropouts[index] > 0:
            kinds.append(("Dropout", (units,), 0))
        if network.alpha_dropouts[index] > 0:
            kinds.append(("AlphaDropout", (units,), 0))
        if network.residual and index > 0 and inputs == units:
            kinds.append(("Add", (units,), 0))
    seen: dict[str, int] = {}
    layers = []
    for kind, output, count in kinds:
        number = seen.get(kind, 0)
        seen[kind] = number + 1
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("_")
        layers.append(Layer(f"{name}_{number}" if number else name, kind, output, count))
    return tuple(layers)
