"""Initializers of a kernel `(inputs, units)`. NumPy draws, so that nothing is compiled for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

__all__ = ["INITIALIZERS"]

Kernel = npt.NDArray[np.float32]
Initializer = Callable[[np.random.Generator, int, int], Kernel]

# Standard deviation of a normal distribution cut off at two of its own; Keras divides by it.
_CUT_DEVIATION = 0.87962566103423978


def _scaled_uniform(
    generator: np.random.Generator, inputs: int, units: int, *, variance: Callable[[int, int], float]
) -> Kernel:
    limit = math.sqrt(3.0 * variance(inputs, units))
    return generator.uniform(-limit, limit, (inputs, units)).astype(np.float32)


def _scaled_normal(
    generator: np.random.Generator, inputs: int, units: int, *, variance: Callable[[int, int], float]
) -> Kernel:
    """Draw from a normal distribution cut off at two standard deviations, as Keras' `VarianceScaling` does."""
    draws = generator.standard_normal((inputs, units))
    while (far := np.abs(draws) > 2.0).any():
        draws[far] = generator.standard_normal(int(far.sum()))
    return (draws * math.sqrt(variance(inputs, units)) / _CUT_DEVIATION).astype(np.float32)


def _glorot(inputs: int, units: int) -> float:
    """2 / (inputs + units) (Glorot & Bengio 2010, eq. 12 and 16)."""
    return 2.0 / (inputs + units)


def _he(inputs: int, units: int) -> float:
    """2 / inputs (He et al. 2015, eq. 10)."""
    return 2.0 / inputs


def _lecun(inputs: int, units: int) -> float:
    """1 / inputs (LeCun et al. 1998, Efficient BackProp, eq. 16)."""
    return 1.0 / inputs


def _orthogonal(generator: np.random.Generator, inputs: int, units: int) -> Kernel:
    """Return rows or columns, whichever are fewer, that are orthonormal (Saxe et al. 2014, section 3)."""
    draws = generator.standard_normal((max(inputs, units), min(inputs, units)))
    q, r = np.linalg.qr(draws)
    q *= np.sign(np.diag(r))
    return np.ascontiguousarray(q.T if inputs < units else q, np.float32)


def _zeros(generator: np.random.Generator, inputs: int, units: int) -> Kernel:
    return np.zeros((inputs, units), np.float32)


INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": partial(_scaled_uniform, variance=_glorot),
    "glorot_normal": partial(_scaled_normal, variance=_glorot),
    "he_uniform": partial(_scaled_uniform, variance=_he),
    "he_normal": partial(_scaled_normal, variance=_he),
    "lecun_uniform": partial(_scaled_uniform, variance=_lecun),
    "lecun_normal": partial(_scaled_normal, variance=_lecun),
    "orthogonal": _orthogonal,
    "zeros": _zeros,
}
