"""The size of a layer's weights, and of the gradient there: what an epoch ends with."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from neurona import network as networks
from neurona.run import Parameters
from neurona.specs import Network

__all__ = ["measured", "measured_images", "slopes"]

# A hundredth of the training images costs a hundredth of an epoch; with fewer than 32 a gradient is mostly noise.
_PART, _LEAST = 100, 32


def measured_images(images: int) -> npt.NDArray[np.int64]:
    """Return the training images, of so many, that the gradient is taken over: a hundredth, evenly spread.

    32 at least, or all where there are fewer. Spread, since a data set may be sorted by class.
    """
    count = min(images, max(_LEAST, images // _PART))
    return np.arange(count) * images // count


def slopes(
    network: Network, parameters: Parameters, images: Any, labels: Any, *, precision: str = "float32"
) -> tuple[jax.Array, ...]:
    """Return the gradient, with respect to each layer's kernel, of the mean cross-entropy over `images`.

    The network answers as after training: without dropout, noise and augmentation, normalised by the running moments.
    No penalty, smoothing or class weight is in it, so that trainings compare.

    parameters: transposed, and so is what is returned: `(units, inputs)`.
    images: uint8 `(n, pixels)`. labels: int32 `(n,)`.
    """

    def loss(kernels: tuple[Any, ...]) -> jax.Array:
        layers = tuple({**layer, "kernel": kernel} for layer, kernel in zip(parameters, kernels, strict=True))
        scores = networks.logits(network, layers, images, precision=precision)
        return -jnp.mean(jax.nn.log_softmax(scores, axis=0)[labels, jnp.arange(labels.shape[0])])

    found: tuple[jax.Array, ...] = jax.grad(loss)(tuple(layer["kernel"] for layer in parameters))
    return found


def measured(network: Network, parameters: Parameters, images: Any, labels: Any, *, precision: str) -> jax.Array:
    """Return the Euclidean norm of each layer's kernel and of `slopes` there, float32 `(layers, 2)`.

    images, labels: the whole training split; `measured_images` of it are looked at.
    """
    chosen = measured_images(images.shape[0])
    # What was trained is finished before it is measured, so that measuring changes no bit of it.
    parameters = jax.lax.optimization_barrier(parameters)
    gradients = slopes(network, parameters, images[chosen], labels[chosen], precision=precision)
    kernels = tuple(jnp.asarray(layer["kernel"]) for layer in parameters)
    return jnp.stack([jnp.stack([_norm(one) for one in pair]) for pair in zip(kernels, gradients, strict=True)])


def _norm(array: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(array.astype(jnp.float32) ** 2))
