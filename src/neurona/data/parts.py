"""What a reader hands over: pixels and labels as they stand in the files, before any rule is applied to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "Parts", "text_or_integers"]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a source.

    pixels: `(n, height, width)`, `(n, height, width, 1|3|4)` or `(n, height * width)`; any integer or float dtype.
    labels: `(n,)` integers, whole floats or text.
    where: the file or folder that it came from, for messages.
    """

    pixels: NDArray[Any]
    labels: NDArray[Any]
    where: str


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts that a source has; one without a split of its own has `train` only."""

    train: Part
    validation: Part | None = None
    test: Part | None = None

    def present(self) -> list[Part]:
        """Return the parts that are there, train first."""
        return [part for part in (self.train, self.validation, self.test) if part is not None]


def text_or_integers(words: list[str]) -> NDArray[Any]:
    """Return labels that were written as text: int64 if every word is a whole number, else text."""
    try:
        return np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        numbers = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        return np.array(words, dtype=np.str_)
    if np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all() and np.abs(numbers).max() < 2**53:
        return numbers.astype(np.int64)
    return np.array(words, dtype=np.str_)
