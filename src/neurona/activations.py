"""Activations: element-wise functions of a layer's pre-activations. The constants are Keras 3's."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["ACTIVATIONS"]


def relu(x: jax.Array) -> jax.Array:
    """max(x, 0) (Nair & Hinton 2010)."""
    return jax.nn.relu(x)


def leaky_relu(x: jax.Array) -> jax.Array:
    """x where it is positive, else 0.2·x (Maas et al. 2013, whose slope is 0.01; Keras' is 0.2)."""
    return jax.nn.leaky_relu(x, 0.2)


def elu(x: jax.Array) -> jax.Array:
    """x where it is positive, else exp(x) - 1 (Clevert et al. 2016, eq. 15, alpha 1)."""
    return jax.nn.elu(x)


def selu(x: jax.Array) -> jax.Array:
    """1.0507·x where it is positive, else 1.0507·1.6733·(exp(x) - 1) (Klambauer et al. 2017, eq. 2)."""
    return jax.nn.selu(x)


def gelu(x: jax.Array) -> jax.Array:
    """x·Φ(x), with the normal distribution's Φ by erf (Hendrycks & Gimpel 2016, section 2)."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """0.5·x·(1 + tanh(sqrt(2/π)·(x + 0.044715·x³))): gelu by tanh (Hendrycks & Gimpel 2016, section 2)."""
    return jax.nn.gelu(x, approximate=True)


def silu(x: jax.Array) -> jax.Array:
    """x·sigmoid(x), also called swish (Elfwing et al. 2018, eq. 3)."""
    return jax.nn.silu(x)


def mish(x: jax.Array) -> jax.Array:
    """x·tanh(softplus(x)) (Misra 2020, eq. 4)."""
    return jax.nn.mish(x)


def softplus(x: jax.Array) -> jax.Array:
    """log(1 + exp(x)) (Dugas et al. 2001)."""
    return jax.nn.softplus(x)


def tanh(x: jax.Array) -> jax.Array:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    return jnp.tanh(x)


def sigmoid(x: jax.Array) -> jax.Array:
    """1 / (1 + exp(-x))."""
    return jax.nn.sigmoid(x)


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """x/6 + 0.5 between -3 and 3, else 0 or 1 (Keras 3; Courbariaux et al. 2015 have a slope of 1/2)."""
    return jax.nn.hard_sigmoid(x)


def linear(x: jax.Array) -> jax.Array:
    """Return x."""
    return x


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    function.__name__: function
    for function in (
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        gelu_tanh,
        silu,
        mish,
        softplus,
        tanh,
        sigmoid,
        hard_sigmoid,
        linear,
    )
}
