"""How well the statistics keep their promises: false claims, coverage, verdicts, by simulation.

    python benchmarks/calibration.py                  about 50 s; the same table every time
    python benchmarks/calibration.py --trained 200    trains the course's baseline 200 times instead, and compares it
                                                      with itself; some minutes

Simulated accuracies are those of a small network on 10,000 validation images: 0.97, with a standard deviation of
0.0018 from seed to seed of which a part (correlation 0.3) belongs to the seed whatever the experiment, rounded to
1/10,000.
A family is 15 experiments against one baseline over the same seeds; their spreads go from 0.7 to 1.5 times its own.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from scipy.special import ndtri

from neurona import stats

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

ACCURACY, SPREAD, CORRELATION, IMAGES, EXPERIMENTS = 0.97, 0.0018, 0.3, 10_000, 15

# Noise with mean 0 and variance 1. `skewed` has a long lower tail (skewness -1.4), `heavy` has outliers on both sides.
NOISES: dict[str, Noise] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "skewed": lambda generator, shape: (2.0 - generator.gamma(2.0, size=shape)) / np.sqrt(2.0),
    "heavy": lambda generator, shape: generator.standard_t(4, size=shape) / np.sqrt(2.0),
}


def families(
    generator: np.random.Generator, count: int, seeds: int, noise: Noise, differences: float | Array = 0.0
) -> tuple[Array, Array]:
    """Return accuracies of baselines, (count, seeds), and of experiments, (count, 15, seeds); `noise` is theirs."""
    shared = np.sqrt(CORRELATION) * generator.standard_normal((count, 1, seeds))
    own = np.sqrt(1.0 - CORRELATION)
    baseline = shared[:, 0] + own * generator.standard_normal((count, seeds))
    spreads = np.linspace(0.7, 1.5, EXPERIMENTS)[:, None]
    experiments = shared + own * spreads * noise(generator, (count, EXPERIMENTS, seeds))
    means = ACCURACY + np.broadcast_to(differences, (EXPERIMENTS,))[:, None]
    return rounded(ACCURACY + SPREAD * baseline), rounded(means + SPREAD * experiments)


def rounded(accuracy: Array) -> Array:
    return np.round(accuracy * IMAGES) / IMAGES


def p_values(experiments: Array, baseline: Array) -> list[float]:
    return [stats.paired_difference(experiment, baseline).p_value or 0.0 for experiment in experiments]


def percent(hits: int | float, of: int) -> str:
    return f"{100.0 * hits / of:.1f}"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        print(
            "  "
            + "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        )


def false_claims(count: int = 4_000) -> None:
    rows = []
    for name, noise in NOISES.items():
        for seeds in (3, 5, 10):
            generator = np.random.default_rng([1, seeds])
            uncorrected = holm = 0
            for baseline, experiments in zip(*families(generator, count, seeds, noise), strict=True):
                p = p_values(experiments, baseline)
                uncorrected += min(p) <= 0.05
                holm += min(stats.holm(p)) <= 0.05
            rows.append((name, str(seeds), percent(uncorrected, count), percent(holm, count)))
    table(
        f"Families with a false claim, %, no experiment differs ({count} families)",
        ("noise", "seeds", "each at 5 %", "Holm"),
        rows,
    )


def looking_again(count: int = 4_000) -> None:
    first = later = 0
    generator = np.random.default_rng(2)
    for baseline, experiments in zip(*families(generator, count, 10, NOISES["normal"]), strict=True):
        early = min(stats.holm(p_values(experiments[:, :5], baseline[:5]))) <= 0.05
        first += early
        later += early or min(stats.holm(p_values(experiments, baseline))) <= 0.05
    table(
        f"Families with a false claim, %, when five seeds are added after a look at the first five ({count} families)",
        ("looks", "Holm"),
        [("at 5 seeds", percent(first, count)), ("at 5 and at 10 seeds", percent(later, count))],
    )


def coverage_of_means(count: int = 20_000, bootstraps: int = 2_000) -> None:
    rows = []
    for seeds in (3, 5, 10, 20):
        generator = np.random.default_rng([3, seeds])
        samples = rounded(ACCURACY + SPREAD * generator.standard_normal((count, seeds)))
        few = samples[:bootstraps]
        t = sum(holds(stats.mean_interval(sample), ACCURACY) for sample in samples)
        ours = sum(
            holds(stats.bootstrap_interval(sample, seed=number, resamples=2_000), ACCURACY)
            for number, sample in enumerate(few)
        )
        theirs = []
        for method in ("percentile", "BCa"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # BCa has no interval for equal values; that counts as a miss
                interval = scipy_stats.bootstrap(
                    (few,), np.mean, axis=-1, n_resamples=1_000, batch=100, method=method, rng=generator
                ).confidence_interval
            theirs.append(
                np.count_nonzero(abs(2.0 * ACCURACY - interval.low - interval.high) <= interval.high - interval.low)
            )
        rows.append((str(seeds), percent(t, count), *(percent(hits, bootstraps) for hits in (ours, *theirs))))
    table(
        f"Intervals for a mean over seeds that hold it, %, of 95 ({count} samples; bootstraps {bootstraps})",
        ("seeds", "t", "bootstrap_interval", "plain percentile", "BCa"),
        rows,
    )


def coverage_of_accuracies(count: int = 20_000) -> None:
    rows = []
    for images, accuracy in ((100, 0.97), (1_000, 0.97), (10_000, 0.97), (10_000, 0.5)):
        hits = np.random.default_rng([4, images]).binomial(images, accuracy, size=count)
        wilson = sum(holds(stats.wilson_interval(int(k), images), accuracy) for k in hits)
        rows.append((f"{images:,}", f"{accuracy}", percent(wilson, count)))
    table(
        f"Wilson intervals that hold the accuracy, %, of 95 ({count} samples)", ("images", "accuracy", "Wilson"), rows
    )


def coverage_of_probabilities(count: int = 1_000, resamples: int = 500) -> None:
    rows = []
    for seeds in (3, 5, 10, 20):
        for truth in (0.5, 0.76, 0.92):
            generator = np.random.default_rng([5, seeds])
            shared = np.sqrt(CORRELATION) * generator.standard_normal((count, 1, seeds))
            both = shared + np.sqrt(1.0 - CORRELATION) * generator.standard_normal((count, 2, seeds))
            both[:, 0] += np.sqrt(2.0) * ndtri(truth)  # makes P(A > B) the truth, for runs of different seeds
            smooth = plain = 0
            for number, (a, b) in enumerate(rounded(ACCURACY + SPREAD * both)):
                smooth += holds(stats.probability_better(a, b, seed=number, resamples=resamples), truth)
                drawn = np.random.default_rng(number).integers(seeds, size=(resamples, seeds))
                sides = np.sign(a[drawn][:, :, None] - b[drawn][:, None, :]).mean(axis=(1, 2)) / 2.0 + 0.5
                low, high = np.quantile(sides, [0.025, 0.975])
                plain += bool(low <= truth <= high)
            rows.append((str(seeds), f"{truth}", percent(smooth, count), percent(plain, count)))
    table(
        f"Intervals for the probability of being better that hold it, %, of 95 ({count} samples)",
        ("seeds", "truth", "probability_better", "not smoothed"),
        rows,
    )


def verdicts(count: int = 60) -> None:
    words = ("better", "worse", "no-difference-seen", "too-few-seeds")
    truths = np.repeat([0.0, 0.002, 0.004], EXPERIMENTS // 3)[np.random.default_rng(0).permutation(EXPERIMENTS)]
    rows = []
    for seeds in (3, 5, 10, 20, 40):
        generator = np.random.default_rng([6, seeds])
        said: dict[float, Counter[str]] = {truth: Counter() for truth in np.unique(truths)}
        for baseline, experiments in zip(*families(generator, count, seeds, NOISES["normal"], truths), strict=True):
            scores = {str(number): dict(enumerate(row)) for number, row in enumerate(experiments)}
            compared = stats.compare_to_baseline({"baseline": dict(enumerate(baseline))} | scores, "baseline")
            for truth, comparison in zip(truths, compared.values(), strict=True):
                said[truth][comparison.verdict.word] += 1
        for truth, counter in said.items():
            rows.append(
                (str(seeds), f"{100 * truth:+.1f}", *(percent(counter[word], counter.total()) for word in words))
            )
    table(
        f"Verdicts, %, when a third of the 15 experiments differ by 0, 0.2 and 0.4 points each ({count} families)",
        ("seeds", "points", *words),
        rows,
    )


def trained(runs: int) -> None:
    """Train one experiment `runs` times and compare it with itself."""
    from neurona import Network, Training, load
    from neurona.engine import train

    data = load("mnist")

    def accuracy(seed: int) -> float:
        return train(Network(), Training(), data, seed=seed).history["val_accuracy"][-1]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        accuracies = np.array(list(pool.map(accuracy, range(runs))))
    print(
        f"The course's baseline on MNIST, {runs} seeds: validation accuracy {accuracies.mean():.4f}, "
        f"sd {accuracies.std(ddof=1):.5f},\nskewness {scipy_stats.skew(accuracies):+.2f}, "
        f"excess kurtosis {scipy_stats.kurtosis(accuracies):+.2f}, "
        f"Shapiro-Wilk p = {scipy_stats.shapiro(accuracies).pvalue:.2f}"
    )
    count, rows = 4_000, []
    for seeds in (3, 5, 10):
        if (EXPERIMENTS + 1) * seeds > runs:
            continue
        generator, holm = np.random.default_rng([7, seeds]), 0
        for _ in range(count):
            drawn = generator.permutation(accuracies)[: (EXPERIMENTS + 1) * seeds].reshape(-1, seeds)
            holm += min(stats.holm(p_values(drawn[1:], drawn[0]))) <= 0.05
        rows.append((str(seeds), percent(holm, count)))
    table(
        f"Families with a false claim, %: 15 times the baseline against the baseline ({count} draws)",
        ("seeds", "Holm"),
        rows,
    )


def holds(interval: stats.Interval | stats.Estimate, truth: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=int, metavar="RUNS", help="train this many runs instead of simulating")
    options = parser.parse_args()
    if options.trained:
        trained(options.trained)
        return
    for measure in (
        false_claims,
        looking_again,
        coverage_of_means,
        coverage_of_accuracies,
        coverage_of_probabilities,
        verdicts,
    ):
        measure()


if __name__ == "__main__":
    main()
