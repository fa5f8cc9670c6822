"""How each class fares: the confusion matrix, the pairs confused most, precision, recall and F1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurona.insight.answers import Labels

__all__ = ["ClassScores", "ConfusedPair", "Confusion", "class_scores", "confusion"]


@dataclass(frozen=True)
class ConfusedPair:
    """Images of class `true` that are taken for class `answer`: how many, and their share of the class."""

    true: int
    answer: int
    count: int
    share: float


@dataclass(frozen=True, eq=False)
class Confusion:
    """counts: int64 `(classes, classes)`; row: the true class, column: the answer."""

    counts: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """The counts as shares of their row; zeros where a class has no image."""
        totals = self.counts.sum(axis=1, keepdims=True)
        found = np.zeros(self.counts.shape)
        np.divide(self.counts, totals, out=found, where=totals > 0)
        return found

    def pairs(self, most: int) -> tuple[ConfusedPair, ...]:
        """Return the `most` pairs that are confused most often, the worst one first; never one that is not confused."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        found = [np.unravel_index(index, wrong.shape) for index in order]
        shares = self.shares
        return tuple(
            ConfusedPair(int(true), int(answer), int(wrong[true, answer]), float(shares[true, answer]))
            for true, answer in found
            if wrong[true, answer] > 0
        )


@dataclass(frozen=True)
class ClassScores:
    """One class: how right its answers are (precision), how many of it are found (recall), their harmonic mean (F1).

    A figure that would be divided by 0 is 0. images: of the class.
    """

    precision: float
    recall: float
    f1: float
    images: int


def confusion(labels: Labels, predicted: Labels, classes: int) -> Confusion:
    """Return how often each class is answered for each; `labels` and `predicted` are `(n,)`, below `classes`."""
    flat = np.asarray(labels, np.int64) * classes + predicted
    return Confusion(np.bincount(flat, minlength=classes * classes).reshape(classes, classes))


def class_scores(found: Confusion) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each class (van Rijsbergen 1979, chapter 7, with β = 1)."""
    right = np.diag(found.counts)
    of_class, answered = found.counts.sum(axis=1), found.counts.sum(axis=0)
    return tuple(
        ClassScores(
            precision=_ratio(int(right[index]), int(answered[index])),
            recall=_ratio(int(right[index]), int(of_class[index])),
            f1=_ratio(2 * int(right[index]), int(answered[index] + of_class[index])),
            images=int(of_class[index]),
        )
        for index in range(len(right))
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
