"""One experiment: its mean over seeds, its accuracy on a finite set of images, and where the variance comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neurona.errors import UsageError
from neurona.stats.checks import check_at_least, check_boolean, check_fraction, vector


@dataclass(frozen=True)
class Interval:
    """A mean with its interval. sd: of the sample (n - 1). `sd`, `low` and `high` are None for a single value."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Estimate:
    """A proportion or probability with its interval; n: the examples or seeds that it rests on."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class VarianceComponents:
    """The variance of one run's accuracy on one sample of images, in three parts that add up to `total`.

    seed: of the accuracy over all images there could be, from seed to seed; only more seeds average it out.
    sample: from having these images and not others, alike for every seed; only more images average it out.
    interaction: which images a seed happens to get right; more seeds and more images both average it out.
    """

    accuracy: float
    seed: float
    sample: float
    interaction: float

    @property
    def total(self) -> float:
        """The variance of the accuracy of one run, over seeds and samples."""
        return self.seed + self.sample + self.interaction


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of `values` with Student's t interval: mean ± t(1-α/2, n-1) · sd / √n.

    values: (n,), one finite number a seed. Equal values have an sd of 0 and an interval of width 0.
    Source: Student (1908), Biometrika 6(1), 1-25.
    """
    sample = vector("values", values)
    check_fraction("confidence", confidence)
    n = len(sample)
    if n == 1:
        return Interval(float(sample[0]), None, None, None, 1)
    if np.ptp(sample) == 0.0:
        constant = float(sample[0])
        return Interval(constant, 0.0, constant, constant, n)
    mean, sd = float(np.mean(sample)), float(np.std(sample, ddof=1))
    half = t_quantile(1.0 - (1.0 - confidence) / 2.0, n - 1) * sd / math.sqrt(n)
    return Interval(mean, sd, mean - half, mean + half, n)


def bootstrap_interval(values: ArrayLike, *, seed: int, confidence: float = 0.95, resamples: int = 10_000) -> Interval:
    """Return the mean of `values` with a bootstrap interval, which takes no shape of distribution for granted.

    The interval is the expanded percentile one: quantiles of the resampled means at Φ(-√(n/(n-1)) · t(1-α/2, n-1)) and
    its complement, instead of α/2 and 1-α/2. For a few seeds the plain percentile and BCa intervals are much too narrow
    (they cover near 83 % with 5 seeds). This one is as wide as it should be, but no bootstrap of the mean leaves the
    range of the data, which misses the centre of a symmetric distribution in 2^(1-n) of the cases: with 5 seeds it
    cannot cover more than 93.75 %, and `mean_interval` is the one to trust.

    Source: Hesterberg (2015), "What teachers should know about the bootstrap", The American Statistician 69(4),
    371-386: the narrowness bias of the percentile interval, and the expanded percentile interval against it.
    """
    from scipy.special import ndtr

    sample = vector("values", values)
    check_fraction("confidence", confidence)
    check_at_least("resamples", resamples, 1)
    n = len(sample)
    if n == 1:
        return Interval(float(sample[0]), None, None, None, 1)
    mean = float(np.mean(sample))
    means = sample[np.random.default_rng(seed).integers(n, size=(resamples, n))].mean(axis=1)
    tail = ndtr(-math.sqrt(n / (n - 1)) * t_quantile(1.0 - (1.0 - confidence) / 2.0, n - 1))
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(mean, float(np.std(sample, ddof=1)), min(float(low), mean), max(float(high), mean), n)


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """Return the accuracy `successes / n` of one model on n images, with Wilson's interval.

    (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n). It answers for the finite set of images, not for the seeds.
    Source: Wilson (1927), JASA 22(158), 209-212; recommended by Brown, Cai and DasGupta (2001), Statistical Science
    16(2), 101-133.
    """
    from scipy.special import ndtri

    check_fraction("confidence", confidence)
    check_at_least("n", n, 1)
    if not 0 <= successes <= n:
        raise UsageError(f"0 <= successes <= n must hold, but got (successes={successes}, n={n})")
    z = float(ndtri(1.0 - (1.0 - confidence) / 2.0))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else min(p, centre - half)
    high = 1.0 if successes == n else max(p, centre + half)
    return Estimate(p, low, high, int(n))


def variance_components(correct: ArrayLike) -> VarianceComponents:
    """Return how much of the variance of an accuracy comes from the seeds and how much from the images.

    correct: (seeds, examples) of bool, 2 or more of each: whether the network of that seed gets that image right.

    The model is x[s, e] = μ + seed[s] + image[e] + rest[s, e], all effects random. From the mean squares of the two-way
    analysis of variance, for S seeds and N images: σ²(rest) = MS(rest), σ²(seed) = (MS(seed) - MS(rest)) / N and
    σ²(image) = (MS(image) - MS(rest)) / S, negative estimates set to 0. The accuracy of one run on one sample of N
    images then has the variance σ²(seed) + σ²(image)/N + σ²(rest)/N: the three parts returned. That of a mean over S
    seeds is (seed + interaction) / S + sample, and what the seeds of one study show is seed + interaction.

    Source: Searle, Casella and McCulloch (1992), Variance Components, chapter 4; Brennan (2001), Generalizability
    Theory, chapter 3 (the p × i design). Jordan (2024), ICLR, arXiv:2304.01910, shows that for well trained networks
    the interaction is most of what varies from seed to seed.
    """
    table = np.asarray(correct)
    if table.ndim != 2 or min(table.shape) < 2:
        raise UsageError(
            f"correct must have 2 or more seeds (rows) and examples (columns), but has shape {table.shape}"
        )
    check_boolean("correct", table)
    seeds, examples = table.shape
    by_seed, by_example = table.mean(axis=1), table.mean(axis=0)
    accuracy = float(by_seed.mean())
    squares_seed = examples * float(np.sum((by_seed - accuracy) ** 2))
    squares_example = seeds * float(np.sum((by_example - accuracy) ** 2))
    squares_total = table.size * accuracy * (1.0 - accuracy)  # the table holds 0 and 1 only
    rest = (squares_total - squares_seed - squares_example) / ((seeds - 1) * (examples - 1))
    rest = max(0.0, rest)
    return VarianceComponents(
        accuracy=accuracy,
        seed=max(0.0, (squares_seed / (seeds - 1) - rest) / examples),
        sample=max(0.0, (squares_example / (examples - 1) - rest) / seeds) / examples,
        interaction=rest / examples,
    )


def t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
