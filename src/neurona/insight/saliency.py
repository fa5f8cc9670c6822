"""Which pixels an answer rests on: gradient times input, and integrated gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from neurona import network as networks
from neurona.insight.answers import Floats, Images, Labels
from neurona.run import Parameters
from neurona.specs import Network

__all__ = ["gradient_times_input", "integrated_gradients"]


def gradient_times_input(network: Network, parameters: Parameters, images: Images, classes: Labels) -> Floats:
    """Return, for each image, its pixels times the derivative of the score of its class by them, like `images`.

    images: uint8 `(n, height, width)`. classes: `(n,)`, the class whose score before softmax is explained.
    Source: Shrikumar et al. (2017), section 2.
    """
    return _attributed(network, parameters, images, classes, np.array([1.0]))


def integrated_gradients(
    network: Network, parameters: Parameters, images: Images, classes: Labels, *, steps: int = 64
) -> Floats:
    """Return how much each pixel adds to the score of the image's class, against a black image; like `images`.

    The mean of the gradient along the straight line from black to the image, times the image: over all pixels it adds
    up to the score of the image minus that of the black image (completeness), as near as `steps` midpoints come to the
    integral. Source: Sundararajan et al. (2017), sections 3 and 5.
    """
    return _attributed(network, parameters, images, classes, (np.arange(steps) + 0.5) / steps)


def _attributed(network: Network, parameters: Parameters, images: Images, classes: Labels, fractions: Floats) -> Floats:
    """Return the images times the mean of their score's gradients at `fractions` of their brightness."""
    transposed = networks.transposed(parameters)
    flat = jnp.asarray(images.reshape(len(images), -1), jnp.float32)
    wanted = jnp.asarray(classes)

    def score(pixels: jax.Array) -> jax.Array:
        return networks.logits(network, transposed, pixels)[wanted, jnp.arange(len(wanted))].sum()

    gradient = jax.jit(jax.grad(score))
    total = sum(np.asarray(gradient(flat * float(fraction)), np.float64) for fraction in fractions)
    return (np.asarray(flat, np.float64) * total / len(fractions)).reshape(images.shape)
