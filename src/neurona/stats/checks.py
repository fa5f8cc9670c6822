"""What the estimators ask of their arguments."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurona.errors import UsageError


def vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as a row of finite numbers."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) == 0:
        raise UsageError(f"{name} must be one row of one or more numbers, but has shape {vector.shape}")
    if not np.all(np.isfinite(vector)):
        raise UsageError(f"{name} must be finite, but got {vector.tolist()}; say what a diverged run counts as")
    return vector


def paired(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `a` and `b` as rows of finite numbers, one pair a seed."""
    first, second = vector("a", a), vector("b", b)
    if len(first) != len(second):
        raise UsageError(f"a and b must have the same seeds, but have {len(first)} and {len(second)} values")
    return first, second


def check_fraction(name: str, value: float) -> None:
    """Raise when `value` is not between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise UsageError(f"0 < {name} < 1 must hold, but got {value}")


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise when `value` is less than `least`."""
    if value < least:
        raise UsageError(f"{name} >= {least} must hold, but got {value}")


def check_effect(difference: float, sd: float) -> None:
    """Raise when a difference or its standard deviation makes no sense."""
    if not (math.isfinite(difference) and math.isfinite(sd) and sd >= 0.0):
        raise UsageError(f"difference and sd must be finite and sd >= 0, but got (difference={difference}, sd={sd})")


def check_boolean(name: str, values: NDArray[np.generic]) -> None:
    """Raise when `values` are not booleans: 0 and 1 may be counts or labels by mistake."""
    if values.dtype != np.bool_:
        raise UsageError(f"{name} must hold booleans (was the prediction correct?), but holds {values.dtype}")
