"""Optimizers: `make(name, …)` gives a pair of pure functions, `init` and `update`, over parameters and gradients.

They follow Keras 3, whose epsilon and momentum differ from the papers' in places; each says how. Hyper-parameters
enter as arrays, so that a change of learning rate compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurona.run import Parameters
from neurona.specs import Optimizer

__all__ = ["Numbers", "Transformation", "make", "numbers"]

Numbers = Mapping[str, Any]  # scalars: floats, or arrays while traced


class Transformation(NamedTuple):
    """init(parameters) -> state; update(gradients, state, parameters) -> (parameters, state)."""

    init: Callable[[Parameters], Any]
    update: Callable[[Parameters, Any, Parameters], tuple[Parameters, Any]]


def numbers(optimizer: Optimizer) -> dict[str, float]:
    """Return the hyper-parameters that may change without compiling anew; the rest is structure."""
    return {key: value for key, value in optimizer.settings.items() if not isinstance(value, bool)}


def make(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Return the transformation of `optimizer`, with `numbers` (scalars, traced or not) in place of its own."""
    return _MAKERS[optimizer.name](optimizer, numbers)


def _sgd(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Gradient descent; with momentum, v = momentum·v - lr·g and w += v, or Nesterov's w += momentum·v - lr·g.

    The learning rate is inside the velocity, as in Keras and Sutskever et al. (2013, eq. 1-2).
    """
    learning_rate, momentum = numbers["learning_rate"], numbers["momentum"]
    if not optimizer.momentum:

        def descend(gradients: Parameters, state: Any, parameters: Parameters) -> tuple[Parameters, Any]:
            return jax.tree.map(lambda w, g: w - learning_rate * g, parameters, gradients), state

        return Transformation(lambda parameters: (), descend)

    def update(gradients: Parameters, velocity: Any, parameters: Parameters) -> tuple[Parameters, Any]:
        velocity = jax.tree.map(lambda v, g: momentum * v - learning_rate * g, velocity, gradients)
        if optimizer.nesterov:
            step = jax.tree.map(lambda v, g: momentum * v - learning_rate * g, velocity, gradients)
        else:
            step = velocity
        return jax.tree.map(jnp.add, parameters, step), velocity

    return Transformation(lambda parameters: jax.tree.map(jnp.zeros_like, parameters), update)


class _AdamState(NamedTuple):
    step: jax.Array
    mean: Any
    variance: Any


def _adam(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Adam (Kingma & Ba 2015, the variant at the end of section 2): w -= lr·sqrt(1-b2^t)/(1-b1^t)·m/(sqrt(v)+eps).

    As in Keras, epsilon stands outside the bias correction, where the paper's algorithm 1 has it inside.
    """
    learning_rate, beta_1, beta_2 = numbers["learning_rate"], numbers["beta_1"], numbers["beta_2"]
    epsilon = numbers["epsilon"]

    def start(parameters: Parameters) -> _AdamState:
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return _AdamState(jnp.zeros((), jnp.float32), zeros, jax.tree.map(jnp.zeros_like, parameters))

    def update(gradients: Parameters, state: _AdamState, parameters: Parameters) -> tuple[Parameters, _AdamState]:
        step = state.step + 1
        scale = learning_rate * jnp.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        mean = jax.tree.map(lambda m, g: m + (g - m) * (1 - beta_1), state.mean, gradients)
        variance = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - beta_2), state.variance, gradients)
        parameters = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) + epsilon), parameters, mean, variance)
        return parameters, _AdamState(step, mean, variance)

    return Transformation(start, update)


_MAKERS: dict[str, Callable[[Optimizer, Numbers], Transformation]] = {"adam": _adam, "sgd": _sgd}
