"""The straight line between two sets of weights: how loss and accuracy go along it."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from neurona.insight.answers import Images, Labels, answered
from neurona.run import Parameters
from neurona.specs import Network

__all__ = ["PathPoint", "loss_path"]


@dataclass(frozen=True)
class PathPoint:
    """At `position`, 0 for the first weights and 1 for the second: mean cross-entropy in nats, and accuracy."""

    position: float
    loss: float
    accuracy: float


def loss_path(
    network: Network, first: Parameters, second: Parameters, images: Images, labels: Labels, *, points: int = 21
) -> tuple[PathPoint, ...]:
    """Return loss and accuracy on `images` along (1 - t)·first + t·second, t from 0 to 1 in `points` steps.

    A hump means that both found valleys of their own (Goodfellow et al. 2015; Frankle et al. 2020, section 2). Units of
    two seeds are in another order, so a hump is what is to be expected.
    """
    found = []
    for position in np.linspace(0.0, 1.0, points):
        weight = np.float32(position)
        between = jax.tree.map(lambda a, b, t=weight: (1 - t) * np.asarray(a) + t * np.asarray(b), first, second)
        answers = answered(network, between, images, labels)
        found.append(PathPoint(float(position), answers.loss, answers.accuracy))
    return tuple(found)
