"""What a network answers to images: scores, probabilities, and the loss of each answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
import numpy.typing as npt

from neurona import network as networks
from neurona.run import Parameters
from neurona.specs import Network

__all__ = ["Answers", "Floats", "Images", "Labels", "answered", "log_softmax", "scorer"]

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

_CHUNK = 2_000  # images; what a pass holds in memory


@dataclass(frozen=True, eq=False)
class Answers:
    """A network's answers to images whose class is known.

    scores: float64 `(n, classes)`, what the last layer gives before softmax.
    labels: `(n,)`, the true classes.
    """

    scores: Floats
    labels: Labels

    @cached_property
    def log_probabilities(self) -> Floats:
        """Logarithms of `probabilities`, `(n, classes)`."""
        return log_softmax(self.scores)

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the scores, `(n, classes)`."""
        return np.exp(self.log_probabilities)

    @cached_property
    def predicted(self) -> Labels:
        """The class with the highest score, `(n,)`; of equal ones the first."""
        found: Labels = self.scores.argmax(axis=1).astype(np.int32)
        return found

    @cached_property
    def losses(self) -> Floats:
        """Cross-entropy of each answer in nats, `(n,)`: minus the logarithm of the true class's probability."""
        return -self.log_probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is the true class, `(n,)`."""
        found: npt.NDArray[np.bool_] = self.predicted == self.labels
        return found

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())

    @property
    def loss(self) -> float:
        """The mean of `losses`."""
        return float(self.losses.mean())


def answered(network: Network, parameters: Parameters, images: Images, labels: Labels) -> Answers:
    """Return what `network` answers to `images`, uint8 `(n, height, width)`, whose classes are `labels`, `(n,)`."""
    score = scorer(network)
    transposed = networks.transposed(parameters)
    flat = images.reshape(len(images), -1)
    parts = [np.asarray(score(transposed, flat[start : start + _CHUNK])) for start in range(0, len(flat), _CHUNK)]
    return Answers(np.concatenate(parts, axis=1).T.astype(np.float64), np.asarray(labels))


@functools.cache
def scorer(network: Network) -> Callable[..., jax.Array]:
    """Return the compiled `network.logits` of `network`: transposed parameters and images `(n, pixels)` in."""

    def score(parameters: Parameters, images: jax.Array) -> jax.Array:
        return networks.logits(network, parameters, images)

    compiled: Callable[..., jax.Array] = jax.jit(score)
    return compiled


def log_softmax(scores: Floats) -> Floats:
    """Return the logarithm of the softmax of `scores`, `(…, classes)`, over classes."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found
