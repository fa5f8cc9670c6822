"""The rules: how each optimizer changes parameters by gradients.

g is a gradient, w what it belongs to, t the number of the step, from 1; defaults and symbols are Keras'. Every state
begins as zeros. Keras' epsilon and momentum differ from the papers' in places; each rule says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurona.specs import Optimizer

__all__ = ["RULES", "Numbers", "Transformation", "Tree", "decayed"]

Tree = Any  # parameters, some of them, or what has their structure
Numbers = Mapping[str, Any]  # scalars: floats, or arrays while traced; `schedule` has its own


class Transformation(NamedTuple):
    """init(parameters) -> state, all zeros; update(gradients, state, parameters) -> (parameters, state)."""

    init: Callable[[Tree], Any]
    update: Callable[[Tree, Any, Tree], tuple[Tree, Any]]


def decayed(parameters: Tree, weight_decay: Any, learning_rate: Any) -> Tree:
    """Return `parameters` less learning_rate·weight_decay of each."""
    return jax.tree.map(lambda w: w - w * weight_decay * learning_rate, parameters)


def _zeros(parameters: Tree) -> Tree:
    return jax.tree.map(jnp.zeros_like, parameters)


def _sgd(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Gradient descent; with momentum, v = momentum·v - lr·g and w += v, or Nesterov's w += momentum·v - lr·g.

    The learning rate is inside the velocity, as in Keras and Sutskever et al. (2013, eq. 1-2): when it changes, what
    has gathered keeps the rate that it was gathered with. `momentum` and `nesterov` are the two with momentum 0.9.
    """
    learning_rate, momentum = numbers["learning_rate"], numbers["momentum"]
    nesterov = optimizer.nesterov or optimizer.name == "nesterov"
    if not optimizer.momentum:

        def descend(gradients: Tree, state: Any, parameters: Tree) -> tuple[Tree, Tree]:
            return jax.tree.map(lambda w, g: w - learning_rate * g, parameters, gradients), state

        return Transformation(lambda parameters: (), descend)

    def update(gradients: Tree, velocity: Tree, parameters: Tree) -> tuple[Tree, Tree]:
        velocity = jax.tree.map(lambda v, g: momentum * v - learning_rate * g, velocity, gradients)
        if nesterov:
            step = jax.tree.map(lambda v, g: momentum * v - learning_rate * g, velocity, gradients)
        else:
            step = velocity
        return jax.tree.map(jnp.add, parameters, step), velocity

    return Transformation(_zeros, update)


class _RmspropState(NamedTuple):
    square: Tree
    mean: Tree  # () unless centered
    velocity: Tree  # () without momentum


def _rmsprop(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5): s = rho·s + (1-rho)·g², w -= lr·g/sqrt(s + eps).

    Centered (Graves 2013, eq. 38-41), a = rho·a + (1-rho)·g and s - a² stands for s under the root; should rounding
    make the sum under it negative, where Keras' is NaN, it is epsilon. With momentum, v = momentum·v + lr·g/sqrt(…) and
    w -= v. Keras' epsilon is inside the root, PyTorch's outside.
    """
    learning_rate, rho, epsilon = numbers["learning_rate"], numbers["rho"], numbers["epsilon"]
    momentum = numbers["momentum"]

    def start(parameters: Tree) -> _RmspropState:
        return _RmspropState(
            _zeros(parameters),
            _zeros(parameters) if optimizer.centered else (),
            _zeros(parameters) if optimizer.momentum else (),
        )

    def update(gradients: Tree, state: _RmspropState, parameters: Tree) -> tuple[Tree, _RmspropState]:
        square = jax.tree.map(lambda s, g: rho * s + (1 - rho) * g * g, state.square, gradients)
        mean, velocity = state.mean, state.velocity
        if optimizer.centered:
            mean = jax.tree.map(lambda a, g: rho * a + (1 - rho) * g, mean, gradients)
            inside = jax.tree.map(lambda s, a: s - a * a + epsilon, square, mean)
            inside = jax.tree.map(lambda d: jnp.where(d > 0, d, epsilon), inside)
        else:
            inside = jax.tree.map(lambda s: s + epsilon, square)
        step = jax.tree.map(lambda g, d: learning_rate * g / jnp.sqrt(d), gradients, inside)
        if optimizer.momentum:
            step = velocity = jax.tree.map(lambda v, s: momentum * v + s, velocity, step)
        return jax.tree.map(jnp.subtract, parameters, step), _RmspropState(square, mean, velocity)

    return Transformation(start, update)


def _adagrad(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Adagrad (Duchi et al. 2011, with diagonal matrices): s += g², w -= lr·g/sqrt(initial + s + eps).

    `initial_accumulator_value` is Keras'; the paper's is zero, and its epsilon outside the root.
    """
    learning_rate, epsilon = numbers["learning_rate"], numbers["epsilon"]
    initial = numbers["initial_accumulator_value"]

    def update(gradients: Tree, sums: Tree, parameters: Tree) -> tuple[Tree, Tree]:
        sums = jax.tree.map(lambda s, g: s + g * g, sums, gradients)
        parameters = jax.tree.map(
            lambda w, g, s: w - learning_rate * g / jnp.sqrt(initial + s + epsilon), parameters, gradients, sums
        )
        return parameters, sums

    return Transformation(_zeros, update)


class _AdadeltaState(NamedTuple):
    gradient: Tree
    step: Tree


def _adadelta(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Adadelta (Zeiler 2012, algorithm 1): s = rho·s + (1-rho)·g², d = sqrt(x + eps)/sqrt(s + eps)·g, w -= lr·d.

    Then x = rho·x + (1-rho)·d². The paper has no learning rate: 1.0, where Keras' default is 0.001.
    """
    learning_rate, rho, epsilon = numbers["learning_rate"], numbers["rho"], numbers["epsilon"]

    def update(gradients: Tree, state: _AdadeltaState, parameters: Tree) -> tuple[Tree, _AdadeltaState]:
        squares = jax.tree.map(lambda s, g: rho * s + (1 - rho) * g * g, state.gradient, gradients)
        steps = jax.tree.map(
            lambda g, s, x: jnp.sqrt(x + epsilon) * g / jnp.sqrt(s + epsilon), gradients, squares, state.step
        )
        parameters = jax.tree.map(lambda w, d: w - learning_rate * d, parameters, steps)
        step_squares = jax.tree.map(lambda x, d: rho * x + (1 - rho) * d * d, state.step, steps)
        return parameters, _AdadeltaState(squares, step_squares)

    return Transformation(lambda parameters: _AdadeltaState(_zeros(parameters), _zeros(parameters)), update)


class _Moments(NamedTuple):
    step: jax.Array
    mean: Tree
    variance: Tree


def _no_moments(parameters: Tree) -> _Moments:
    return _Moments(jnp.zeros((), jnp.float32), _zeros(parameters), _zeros(parameters))


def _moments(moments: _Moments, gradients: Tree, beta_1: Any, beta_2: Any) -> _Moments:
    """m += (1-b1)·(g - m), v += (1-b2)·(g² - v)."""
    return _Moments(
        moments.step + 1,
        jax.tree.map(lambda m, g: m + (g - m) * (1 - beta_1), moments.mean, gradients),
        jax.tree.map(lambda v, g: v + (g * g - v) * (1 - beta_2), moments.variance, gradients),
    )


def _adam_step(parameters: Tree, moments: _Moments, variance: Tree, numbers: Numbers) -> Tree:
    """w -= lr·sqrt(1-b2^t)/(1-b1^t)·m/(sqrt(variance) + eps)."""
    step, epsilon = moments.step, numbers["epsilon"]
    scale = numbers["learning_rate"] * jnp.sqrt(1 - numbers["beta_2"] ** step) / (1 - numbers["beta_1"] ** step)
    return jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) + epsilon), parameters, moments.mean, variance)


def _adam(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Adam (Kingma & Ba 2015, the variant at the end of section 2): w -= lr·sqrt(1-b2^t)/(1-b1^t)·m/(sqrt(v)+eps).

    As in Keras, epsilon stands outside the bias correction, where the paper's algorithm 1 has it inside. `adamw` is it
    with a weight decay (Loshchilov & Hutter 2019, algorithm 2).
    """

    def update(gradients: Tree, state: _Moments, parameters: Tree) -> tuple[Tree, _Moments]:
        moments = _moments(state, gradients, numbers["beta_1"], numbers["beta_2"])
        return _adam_step(parameters, moments, moments.variance, numbers), moments

    return Transformation(_no_moments, update)


class _AmsgradState(NamedTuple):
    moments: _Moments
    largest: Tree


def _amsgrad(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """AMSGrad (Reddi et al. 2018, algorithm 2): Adam with the largest v so far in place of v.

    As in Keras and PyTorch, the largest is of v as it is, and Adam's bias correction follows; the paper has none, and
    optax takes the largest of corrected ones.
    """

    def update(gradients: Tree, state: _AmsgradState, parameters: Tree) -> tuple[Tree, _AmsgradState]:
        moments = _moments(state.moments, gradients, numbers["beta_1"], numbers["beta_2"])
        largest = jax.tree.map(jnp.maximum, state.largest, moments.variance)
        return _adam_step(parameters, moments, largest, numbers), _AmsgradState(moments, largest)

    return Transformation(lambda parameters: _AmsgradState(_no_moments(parameters), _zeros(parameters)), update)


class _NadamState(NamedTuple):
    moments: _Moments
    corrected: jax.Array  # 1 - u_1·…·u_t: what m is divided by


def _nadam(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Nadam (Dozat 2016), with u_t = b1·(1 - 0.96^t/2) and P_t = u_1·…·u_t:

        w -= lr·(u_{t+1}·m/(1 - P_{t+1}) + (1 - u_t)·g/(1 - P_t)) / (sqrt(v/(1 - b2^t)) + eps)

    Keras' 0.96^t is Dozat's 0.96^(t/250), so its momentum grows 250 times as fast; optax's nadam has u_t = b1.
    """
    learning_rate, beta_1, beta_2 = numbers["learning_rate"], numbers["beta_1"], numbers["beta_2"]
    epsilon = numbers["epsilon"]

    def start(parameters: Tree) -> _NadamState:
        return _NadamState(_no_moments(parameters), jnp.zeros((), jnp.float32))

    def update(gradients: Tree, state: _NadamState, parameters: Tree) -> tuple[Tree, _NadamState]:
        moments = _moments(state.moments, gradients, beta_1, beta_2)
        now = beta_1 * (1 - 0.5 * 0.96**moments.step)
        after = beta_1 * (1 - 0.5 * 0.96 ** (moments.step + 1))
        product = (1 - state.corrected) * now
        of_mean, of_gradient = after / (1 - product * after), (1 - now) / (1 - product)
        correction = 1 - beta_2**moments.step
        parameters = jax.tree.map(
            lambda w, g, m, v: (
                w - learning_rate * (of_mean * m + of_gradient * g) / (jnp.sqrt(v / correction) + epsilon)
            ),
            parameters,
            gradients,
            moments.mean,
            moments.variance,
        )
        return parameters, _NadamState(moments, 1 - product)

    return Transformation(start, update)


def _adamax(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Adamax (Kingma & Ba 2015, algorithm 2): u = max(b2·u, |g|), w -= lr/(1-b1^t)·m/(u + eps).

    Epsilon is Keras'; the paper has none, optax and PyTorch add it to |g|.
    """
    learning_rate, beta_1, beta_2 = numbers["learning_rate"], numbers["beta_1"], numbers["beta_2"]
    epsilon = numbers["epsilon"]

    def update(gradients: Tree, state: _Moments, parameters: Tree) -> tuple[Tree, _Moments]:
        step = state.step + 1
        mean = jax.tree.map(lambda m, g: m + (g - m) * (1 - beta_1), state.mean, gradients)
        largest = jax.tree.map(lambda u, g: jnp.maximum(beta_2 * u, jnp.abs(g)), state.variance, gradients)
        scale = learning_rate / (1 - beta_1**step)
        parameters = jax.tree.map(lambda w, m, u: w - scale * m / (u + epsilon), parameters, mean, largest)
        return parameters, _Moments(step, mean, largest)

    return Transformation(_no_moments, update)


def _lion(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Lion (Chen et al. 2023, algorithm 2): w -= lr·sign(b1·m + (1-b1)·g), then m = b2·m + (1-b2)·g."""
    learning_rate, beta_1, beta_2 = numbers["learning_rate"], numbers["beta_1"], numbers["beta_2"]

    def update(gradients: Tree, mean: Tree, parameters: Tree) -> tuple[Tree, Tree]:
        parameters = jax.tree.map(
            lambda w, m, g: w - learning_rate * jnp.sign(m * beta_1 + g * (1 - beta_1)), parameters, mean, gradients
        )
        return parameters, jax.tree.map(lambda m, g: m * beta_2 + g * (1 - beta_2), mean, gradients)

    return Transformation(_zeros, update)


class _MuonState(NamedTuple):
    velocity: list[jax.Array]
    rest: _Moments


def _muon(optimizer: Optimizer, numbers: Numbers) -> Transformation:
    """Muon (Jordan et al. 2024) for the kernels of hidden layers, Adam for biases, other vectors and the last layer.

    m = momentum·m + g, then w -= lr·rms_rate·sqrt(max(inputs, units))·orthogonal(m, or Nesterov's g + momentum·m). The
    root is of Liu et al. (2025, eq. 4) and makes a step as large as Adam's. Adam's rate is lr·adam_lr_ratio; the two
    groups have decays of their own, at the rate lr both. It is Keras' `Muon` with the last layer in `exclude_layers`,
    as Keras advises; its polynomial is the default one. The first layer is a hidden one.
    """
    learning_rate, momentum = numbers["learning_rate"], numbers["momentum"]
    adam = _adam(
        optimizer,
        {
            "learning_rate": learning_rate * numbers["adam_lr_ratio"],
            "beta_1": numbers["adam_beta_1"],
            "beta_2": numbers["adam_beta_2"],
            "epsilon": numbers["epsilon"],
        },
    )

    def start(parameters: Tree) -> _MuonState:
        matrices, rest = _hidden_matrices(parameters, parameters)
        return _MuonState(_zeros(matrices), adam.init(rest))

    def update(gradients: Tree, state: _MuonState, parameters: Tree) -> tuple[Tree, _MuonState]:
        matrices, rest = _hidden_matrices(parameters, parameters)
        matrix_gradients, rest_gradients = _hidden_matrices(gradients, parameters)
        if optimizer.weight_decay:
            matrices = decayed(matrices, numbers["weight_decay"], learning_rate)
        if optimizer.adam_weight_decay:
            rest = decayed(rest, numbers["adam_weight_decay"], learning_rate)
        rest, rest_state = adam.update(rest_gradients, state.rest, rest)
        velocity = jax.tree.map(lambda m, g: momentum * m + g, state.velocity, matrix_gradients)
        ahead = jax.tree.map(lambda m, g: momentum * m + g, velocity, matrix_gradients)
        matrices = [
            w - learning_rate * numbers["rms_rate"] * max(w.shape) ** 0.5 * _orthogonal(d, optimizer.ns_steps or 0)
            for w, d in zip(matrices, ahead if optimizer.nesterov else velocity, strict=True)
        ]
        return _joined(matrices, rest, parameters), _MuonState(velocity, rest_state)

    return Transformation(start, update)


def _is_hidden_matrix(parameters: Tree) -> list[bool]:
    """Return, for each array of `parameters`, whether it is a kernel of a layer before the last."""
    last = len(parameters) - 1
    return [leaf.ndim == 2 and at < last for at, layer in enumerate(parameters) for leaf in jax.tree.leaves(layer)]


def _hidden_matrices(values: Tree, parameters: Tree) -> tuple[list[Any], list[Any]]:
    """Return those of `values` that stand where `parameters` has hidden layers' kernels, and the others."""
    pairs = list(zip(jax.tree.leaves(values), _is_hidden_matrix(parameters), strict=True))
    return [value for value, is_matrix in pairs if is_matrix], [value for value, is_matrix in pairs if not is_matrix]


def _joined(matrices: list[Any], rest: list[Any], parameters: Tree) -> Tree:
    """Undo `_hidden_matrices`."""
    matrix, other = iter(matrices), iter(rest)
    leaves = [next(matrix if is_matrix else other) for is_matrix in _is_hidden_matrix(parameters)]
    return jax.tree.unflatten(jax.tree.structure(parameters), leaves)


def _orthogonal(matrix: jax.Array, steps: int) -> jax.Array:
    """Return `matrix` with its singular values brought near 1 by a Newton-Schulz iteration, x = a·x + (b·A + c·A²)x.

    A = x·xᵀ of the wide form of x, its norm at most 1; a, b, c are Jordan's. It commutes with transposition, so kernels
    may be `(units, inputs)`.
    """
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (jnp.sqrt(jnp.sum(x * x)) + 1e-7)
    for _step in range(steps):
        product = x @ x.T
        x = 3.4445 * x + (-4.7750 * product + 2.0315 * product @ product) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


RULES: dict[str, Callable[[Optimizer, Numbers], Transformation]] = {
    "adam": _adam,
    "sgd": _sgd,
    "momentum": _sgd,
    "nesterov": _sgd,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "amsgrad": _amsgrad,
    "adamw": _adam,
    "nadam": _nadam,
    "adamax": _adamax,
    "lion": _lion,
    "muon": _muon,
}
