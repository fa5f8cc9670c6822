"""Optimizers: `make(optimizer, numbers)` gives a pair of pure functions, `init` and `update`, over parameters.

They compute what Keras 3 computes. Where that differs from the paper, the rule's docstring says how. Of optax's, only
rmsprop, adagrad, adadelta and lion agree with Keras; adam, amsgrad, nadam, adamax and muon do not, so all are ours.

A step is Keras' step, in its order: clip the gradients, take the weight decay, update. What is not declared is not
compiled. Hyper-parameters and lengths of schedules enter as arrays, so that another value compiles nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from neurona.optimizers import schedules
from neurona.optimizers.rules import RULES, Numbers, Transformation, Tree, decayed
from neurona.specs import Optimizer

__all__ = ["Numbers", "Transformation", "make", "numbers", "structure"]


def numbers(optimizer: Optimizer, steps: int) -> dict[str, Any]:
    """Return the numbers that may change without compiling anew, for a training of `steps` steps."""
    own: dict[str, Any] = {key: value for key, value in optimizer.settings.items() if isinstance(value, float)}
    if schedules.changes(optimizer.schedule):
        own["schedule"] = schedules.numbers(optimizer.schedule, steps)
    return own


def structure(optimizer: Optimizer) -> tuple[Any, ...]:
    """Return what of `optimizer` decides the program: all but its numbers, and of a number whether it is zero."""
    settings = (
        (key, value > 0 if isinstance(value, float) else value) for key, value in sorted(optimizer.settings.items())
    )
    return (optimizer.name, *settings, schedules.structure(optimizer.schedule))


def make(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Return the transformation of `optimizer`, with `numbers` (scalars, traced or not) in place of its own."""
    step = _with_clipping_and_decay(optimizer, numbers)
    if not schedules.changes(optimizer.schedule):
        return step

    def start(parameters: Tree) -> tuple[jax.Array, Any]:
        return jnp.zeros((), jnp.int32), step.init(parameters)

    def update(gradients: Tree, state: tuple[jax.Array, Any], parameters: Tree) -> tuple[Tree, tuple[jax.Array, Any]]:
        taken, inner = state
        rate = schedules.rate(optimizer.schedule, numbers["schedule"], numbers["learning_rate"], taken)
        scheduled = _with_clipping_and_decay(optimizer, {**numbers, "learning_rate": rate})
        parameters, inner = scheduled.update(gradients, inner, parameters)
        return parameters, (taken + 1, inner)

    return Transformation(start, update)


def _with_clipping_and_decay(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Return the rule of `optimizer` after its clipping and its decoupled weight decay.

    Decay is Keras' and that of Loshchilov & Hutter (2019, algorithm 2): w -= learning_rate·weight_decay·w, for weights
    and biases alike. Muon has two decays, and takes them itself.
    """
    rule = RULES[optimizer.name](optimizer, numbers)
    decays = bool(optimizer.weight_decay) and optimizer.name != "muon"
    clipping = optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue
    if not (decays or clipping):
        return rule

    def update(gradients: Tree, state: Any, parameters: Tree) -> tuple[Tree, Any]:
        if clipping:
            gradients = _clipped(optimizer, numbers, gradients)
        if decays:
            parameters = decayed(parameters, numbers["weight_decay"], numbers["learning_rate"])
        return rule.update(gradients, state, parameters)

    return Transformation(rule.init, update)


def _clipped(optimizer: Optimizer, numbers: Numbers, gradients: Tree) -> Tree:
    """Return `gradients` within the one bound that `optimizer` declares (Pascanu et al. 2013, algorithm 1)."""
    if optimizer.clipvalue:
        bound = numbers["clipvalue"]
        return jax.tree.map(lambda g: jnp.clip(g, -bound, bound), gradients)
    if optimizer.clipnorm:
        bound = numbers["clipnorm"]
        return jax.tree.map(lambda g: g * (bound / jnp.maximum(jnp.sqrt(jnp.sum(g * g)), bound)), gradients)
    bound = numbers["global_clipnorm"]
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradients)))
    scale = jnp.where(jnp.isfinite(norm), bound / jnp.maximum(norm, bound), jnp.nan)  # diverge rather than stand still
    return jax.tree.map(lambda g: g * scale, gradients)
