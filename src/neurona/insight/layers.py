"""Inside the network: what each hidden layer gives, which units do nothing, how large weights and gradients are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import numpy.typing as npt

from neurona import network as networks
from neurona.engine import slopes
from neurona.insight.answers import Floats, Images, Labels, scorer
from neurona.run import Array, LayerNorms, Norms, Parameters
from neurona.specs import Network

__all__ = ["Activity", "activations", "activity", "most_exciting", "norms"]

# Where an activation with two ends is saturated: within 1 % of its range from either end.
_ENDS = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_SATURATED = 0.01
_OFTEN = 0.95  # a unit is saturated when it is at an end for so large a share of the images


@dataclass(frozen=True, eq=False)
class Activity:
    """What the units of one hidden layer give, over images.

    activation: the layer's activation.
    edges, counts: a histogram over all units and images: `(bins + 1,)` and `(bins,)`.
    zeros: the share of outputs that are exactly 0.
    dead: units that give the same for every image: nothing gets through them.
    saturated: units that are at one end of a bounded activation for 95 % of the images or more, and not dead; None for
        an activation without two ends.
    """

    activation: str
    edges: Floats
    counts: npt.NDArray[np.int64]
    zeros: float
    dead: tuple[int, ...]
    saturated: tuple[int, ...] | None
    units: int


def activations(network: Network, parameters: Parameters, images: Images) -> tuple[Floats, ...]:
    """Return what each hidden layer's activation gives for `images`, uint8 `(n, height, width)`: `(n, units)` each.

    Each layer is read off the network cut after it, with the identity for a last layer; so normalisation is what it is
    in the network. Of a layer with a residual connection it is the activation alone, without what is added to it.
    """
    flat = images.reshape(len(images), -1)
    found: list[Floats] = []
    before: Floats | None = None
    for depth, units in enumerate(network.hidden, 1):
        cut = network.replace(
            hidden=network.hidden[:depth],
            activation=network.activations[:depth],
            dropout=0.0,
            alpha_dropout=0.0,
        )
        last: dict[str, Array] = {"kernel": np.eye(units, dtype=np.float32), "bias": np.zeros(units, np.float32)}
        score = scorer(cut)
        given = np.asarray(score(networks.transposed((*parameters[:depth], last)), flat)).T.astype(np.float64)
        added = network.residual and before is not None and before.shape == given.shape
        found.append(given - before if added and before is not None else given)
        before = given
    return tuple(found)


def activity(given: Floats, activation: str, *, bins: int = 40) -> Activity:
    """Return the histogram of a layer's outputs `given`, `(n, units)`, and which of its units do nothing."""
    counts, edges = np.histogram(given, bins=bins)
    dead = given.min(axis=0) == given.max(axis=0)
    saturated = None
    if activation in _ENDS:
        low, high = _ENDS[activation]
        margin = _SATURATED * (high - low)
        at_an_end = (given <= low + margin) | (given >= high - margin)
        saturated = tuple(map(int, np.flatnonzero((at_an_end.mean(axis=0) >= _OFTEN) & ~dead)))
    return Activity(
        activation=activation,
        edges=edges,
        counts=counts,
        zeros=float((given == 0.0).mean()),
        dead=tuple(map(int, np.flatnonzero(dead))),
        saturated=saturated,
        units=given.shape[1],
    )


def most_exciting(given: Floats, most: int) -> tuple[tuple[int, int], ...]:
    """Return (unit, index of the image that excites it most) of the `most` units that vary most over images.

    given: `(n, units)`. No image is shown twice: a unit whose image is another's already has its next best.
    """
    order = np.argsort(-given.std(axis=0), kind="stable")[:most]
    taken: set[int] = set()
    found = []
    for unit in order:
        best = next((int(i) for i in np.argsort(-given[:, unit], kind="stable") if int(i) not in taken), None)
        if best is None:
            break
        taken.add(best)
        found.append((int(unit), best))
    return tuple(found)


def norms(network: Network, parameters: Parameters, images: Images, labels: Labels) -> Norms:
    """Return the norm of each layer's weights, and of the gradient of the mean cross-entropy over `images` there.

    At the end of training the gradient is what is left to learn from these images, and it shows a layer that learning
    does not reach. See `engine.slopes`.
    """
    gradients = _slopes(network)(networks.transposed(parameters), images.reshape(len(images), -1), labels)
    return tuple(
        LayerNorms(_norm(layer["kernel"]), _norm(gradient))
        for layer, gradient in zip(parameters, gradients, strict=True)
    )


@functools.cache
def _slopes(network: Network) -> Callable[..., tuple[jax.Array, ...]]:
    compiled: Callable[..., tuple[jax.Array, ...]] = jax.jit(functools.partial(slopes, network))
    return compiled


def _norm(array: Array) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64)))
