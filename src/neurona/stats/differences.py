"""Two experiments, or a family of them: paired differences, Holm's correction, who wins how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurona.errors import UsageError
from neurona.stats.checks import check_at_least, check_boolean, check_fraction, paired
from neurona.stats.estimates import Estimate, t_quantile

# Scores come out of float32 arithmetic: what differs by less than this, relative to the scores, does not differ.
_RESOLUTION = 4 * float(np.finfo(np.float32).eps)

# Kernel width of `probability_better`, in standard deviations times n^-1/2: with it, intervals of 5 seeds or more cover
# some 95 %; `benchmarks/calibration.py` measures that, beside intervals without smoothing.
_KERNEL_WIDTH = 1.5


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a - b over the same seeds, its interval, and the two-sided p value of "the mean is 0".

    Over one seed `low`, `high`, `p_value` and `sd` are None. When every seed shows the same difference, other than 0,
    `sd` is 0 and there is no interval (see `paired_difference`).
    """

    mean: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    sd: float | None


@dataclass(frozen=True)
class McNemar:
    """Two models on the same n examples: how many only one of them gets right, and the exact p value."""

    only_a: int
    only_b: int
    n: int
    p_value: float


def paired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> PairedDifference:
    """Return the mean of a - b over the same seeds, with the paired t interval and two-sided p value.

    a, b: (n,), finite; a[i] and b[i] had the same seed. Two cases leave the t test, which would divide by 0:

    - a and b are the same: mean 0, interval [0, 0], p = 1. It is the same network.
    - All differences are one number other than 0. Their spread is unknown rather than nil (accuracies are multiples of
      1/images, so two or three differences coincide by chance): no interval, and the p value of the exact sign test,
      2^(1-n).

    Source: Student (1908), Biometrika 6(1), 1-25; the sign test: Conover (1999), Practical Nonparametric Statistics,
    section 3.4.
    """
    first, second = paired(a, b)
    check_fraction("confidence", confidence)
    differences = first - second
    n = len(differences)
    smallest = _RESOLUTION * float(max(np.abs(first).max(), np.abs(second).max()))
    same = float(np.abs(differences).max()) <= smallest
    mean = 0.0 if same else float(np.mean(differences))
    if n == 1:
        return PairedDifference(mean, None, None, None, 1, None)
    if same:
        return PairedDifference(0.0, 0.0, 0.0, 1.0, n, 0.0)
    if float(np.ptp(differences)) <= smallest:
        return PairedDifference(mean, None, None, 2.0 ** (1 - n), n, 0.0)
    from scipy.special import stdtr

    sd = float(np.std(differences, ddof=1))
    error = sd / math.sqrt(n)
    half = t_quantile(1.0 - (1.0 - confidence) / 2.0, n - 1) * error
    p_value = min(1.0, 2.0 * float(stdtr(n - 1, -abs(mean) / error)))
    return PairedDifference(mean, mean - half, mean + half, p_value, n, sd)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's adjusted p values, in the order given.

    Claiming where they are <= α keeps the chance of one or more false claims in the whole family at α or less, however
    the comparisons depend on each other; that they share a baseline does not matter. With p(1) <= … <= p(m):
    adjusted(i) = min(1, max over j <= i of (m - j + 1) · p(j)).
    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0.0) & (p <= 1.0)):
        raise UsageError(f"p_values must be one row of numbers from 0 to 1, but got {p_values!r}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def probability_better(
    a: ArrayLike, b: ArrayLike, *, seed: int, confidence: float = 0.95, resamples: int = 2_000
) -> Estimate:
    """Return the probability that a run of A scores higher than a run of B, a tie counting one half.

    a, b: (n,), finite; a[i] and b[i] had the same seed. The estimate is the share of all n² pairs, the Mann-Whitney
    statistic: whoever trains A instead of B once does not get B's seed, and n² pairs say more than n.

    The interval is a percentile bootstrap that draws seeds, A's and B's runs of a seed together because they depend on
    each other. It is smoothed: ranks become normal scores, and each drawn score gets normal noise with a standard
    deviation of 1.5/√n times the sample's. Without it, five runs that all beat five others would give [1, 1]. Like the
    estimate, it does not change when the scores are stretched, so one diverged run weighs as one rank. For losses, swap
    a and b.

    Sources: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice", NeurIPS, section 4
    (probability of improvement); Silverman and Young (1987), Biometrika 74(3), 469-479 (smoothed bootstrap).
    """
    from scipy.special import ndtri

    first, second = paired(a, b)
    check_fraction("confidence", confidence)
    check_at_least("resamples", resamples, 1)
    n = len(first)
    value = float(_share_of_pairs(first, second))
    if n == 1:
        return Estimate(value, None, None, 1)
    _, rank, count = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
    scores = ndtri((np.cumsum(count) - count / 2.0) / (2.0 * n))[rank]
    generator = np.random.default_rng(seed)
    shares = []
    for rows in np.array_split(np.arange(resamples), math.ceil(resamples * n * n / 2**21)):  # 16 MB at a time
        drawn = generator.integers(n, size=(len(rows), n))
        x, y = (
            sample[drawn]
            + _KERNEL_WIDTH / math.sqrt(n) * np.std(sample, ddof=1) * generator.standard_normal(drawn.shape)
            for sample in (scores[:n], scores[n:])
        )
        shares.append(_share_of_pairs(x, y))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(shares), [tail, 1.0 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value), n)


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """Return McNemar's exact test of two models on the same examples: do they err equally often?

    correct_a, correct_b: (examples,) of bool. Of the examples that only one model gets right, each model has half when
    they err equally often, so the two-sided p value is min(1, 2 · P(Binomial(only_a + only_b, ½) <= the smaller)).
    It speaks of these two trained models; another seed is another model.
    Source: McNemar (1947), Psychometrika 12(2), 153-157; Dietterich (1998), Neural Computation 10(7), 1895-1923.
    """
    from scipy.special import bdtr

    first, second = np.asarray(correct_a), np.asarray(correct_b)
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise UsageError(
            f"correct_a and correct_b must be two rows of one length, but have shapes {first.shape} and {second.shape}"
        )
    check_boolean("correct_a", first)
    check_boolean("correct_b", second)
    only_a = int(np.count_nonzero(first & ~second))
    only_b = int(np.count_nonzero(second & ~first))
    p_value = min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
    return McNemar(only_a, only_b, len(first), p_value)


def _share_of_pairs(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of pairs with a > b, ties one half, over the last axis."""
    pairs = a[..., :, None] - b[..., None, :]
    return np.asarray((np.sign(pairs).mean(axis=(-2, -1)) + 1.0) / 2.0)
