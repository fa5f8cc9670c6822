"""Whether a network is right as often as it says: reliability bins, expected calibration error, temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurona.insight.answers import Answers, Floats, Labels, log_softmax

__all__ = ["Bin", "Calibration", "calibration", "temperature"]


@dataclass(frozen=True)
class Bin:
    """Answers whose probability lies in (low, high]: mean probability, share that is right, and how many."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """Reliability of the answers given.

    bins: those that hold an answer.
    error: the expected calibration error: the mean, over answers, of how far their bin's accuracy is from its
        confidence.
    temperature: what the scores must be divided by for the smallest loss; above 1 the network is too sure of itself.
    loss, loss_at_temperature: mean cross-entropy in nats, before and after that division.
    """

    bins: tuple[Bin, ...]
    error: float
    temperature: float
    loss: float
    loss_at_temperature: float


def calibration(answers: Answers, *, bins: int = 15) -> Calibration:
    """Return how the probability of the answer given compares with how often it is right.

    The bins are of equal width, 15 unless said, and the error is theirs (Guo et al. 2017, section 2, eq. 3).
    """
    confidence = answers.probabilities[np.arange(len(answers.labels)), answers.predicted]
    edges = np.linspace(0.0, 1.0, bins + 1)
    # (low, high]: the edge belongs to the bin below it
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = []
    for index in range(bins):
        here = place == index
        if here.any():
            accuracy = float(answers.right[here].mean())
            own = Bin(
                float(edges[index]),
                float(edges[index + 1]),
                float(confidence[here].mean()),
                accuracy,
                int(here.sum()),
            )
            found.append(own)
    error = sum(one.count * abs(one.accuracy - one.confidence) for one in found) / len(confidence)
    best = temperature(answers.scores, answers.labels)
    return Calibration(tuple(found), error, best, answers.loss, _loss(answers.scores, answers.labels, best))


def temperature(scores: Floats, labels: Labels) -> float:
    """Return the number by which `scores` `(n, classes)` are to be divided for the smallest mean loss on `labels`.

    Of several networks, `(networks, n, classes)`, the loss is that of the mean of their probabilities.
    Guo et al. (2017), section 4.2. Searched between 1/100 and 100, in which the loss of one network has one minimum: it
    is convex in 1/temperature. Where every answer is right the smallest loss is at no temperature at all, and 1/100 is
    returned.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda logarithm: _loss(scores, labels, float(np.exp(logarithm))),
        bounds=(-np.log(100.0), np.log(100.0)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(np.exp(found.x))


def _loss(scores: Floats, labels: Labels, divisor: float) -> float:
    answers = log_softmax(scores / divisor)[..., np.arange(len(labels)), labels]
    if answers.ndim > 1:
        answers = np.logaddexp.reduce(answers, axis=0) - np.log(len(answers))
    return float(-answers.mean())
