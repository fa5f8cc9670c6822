"""What the course's notebook got wrong, in figures: unscaled pixels, one seed, peeking, stale results.

    python benchmarks/pitfalls.py            trains what its study lacks (120 runs, about 4 minutes on 2 quiet cores),
                                             then prints the same figures every time on the same machine
    python benchmarks/pitfalls.py --seeds 3 --candidates 5 --epochs 1     does everything work? no figures to quote

The test set stays sealed: where the notebook used it, a half of the validation split takes its place.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import neurona
from neurona.engine import evaluate, predictions
from neurona.stats import holm, paired_difference
from neurona.study import Lab, Study

SEEDS, CANDIDATES = 20, 40
SPLITS = 2_000  # random halves of the validation split
BASELINE = "baseline"

Array = NDArray[np.float64]


def unscaled_pixels(study: Study, data: neurona.Dataset, seeds: int) -> None:
    """Score the baseline's runs on pixels from 0 to 255 that training saw from 0 to 1.

    Our networks divide by 255 themselves; a first kernel 255 times as large undoes that.
    """
    network = neurona.Network(hidden=(50, 50))
    figures = []
    for seed in range(seeds):
        first, *rest = study.weights(BASELINE, seed)
        unscaled = ({**first, "kernel": first["kernel"] * np.float32(255)}, *rest)
        figures.append(
            (*evaluate(network, (first, *rest), data.validation), *evaluate(network, unscaled, data.validation))
        )
    scaled_loss, scaled, unscaled_loss, unscaled_accuracy = np.mean(figures, axis=0)
    print(f"1. The baseline on the validation split, means over {seeds} seeds")
    print("  pixels    loss   accuracy %")
    print(f"  0 to 1    {scaled_loss:5.2f}  {100 * scaled:6.2f}      as in training")
    print(
        f"  0 to 255  {unscaled_loss:5.2f}  {100 * unscaled_accuracy:6.2f}      as the notebook scored its test split"
    )
    print()


def one_seed(study: Study, seeds: int) -> None:
    """Count how often one run of each width shows the order that the notebook's runs, one of each, did."""
    rows = sorted(study.compare(seeds=seeds).rows, key=lambda row: row.experiment.network.hidden)
    names = [f"{row.experiment.network.hidden[0]}" for row in rows]
    accuracies = np.array([row.val_accuracy for row in rows])
    print(f"2. Widths of two hidden layers, validation accuracy %, {seeds} seeds")
    print("  units  mean   sd    least  greatest  notebook")
    for row, name, values in zip(rows, names, 100 * accuracies, strict=True):
        printed = 100 * (row.experiment.notebook_val_accuracy or 0.0)
        figures = f"{values.mean():5.2f}  {values.std(ddof=1):4.2f}  {values.min():5.2f}  {values.max():8.2f}"
        print(f"  {name:>5}  {figures}  {printed:8.2f}")
    print("  What one run of each shows, over every way to draw one run of each:")
    by_mean = accuracies[np.argsort(accuracies.mean(axis=1))]
    for what, share in (
        ("the order of the means", orders(by_mean)[0]),
        ("the best mean's width on top", orders(by_mean)[1]),
        (f"the notebook's order, {' < '.join(names)}", orders(accuracies)[0]),
    ):
        print(f"    {what:<50}{100 * share:5.1f} %")
    print(f"  The notebook's order, step by step; differences over {seeds} seeds, p after Holm's correction:")
    pairs = list(pairwise(range(len(rows))))
    differences = [paired_difference(accuracies[above], accuracies[below]) for below, above in pairs]
    adjusted = holm([difference.p_value or 1.0 for difference in differences])
    for (below, above), difference, p in zip(pairs, differences, adjusted, strict=True):
        half = (difference.high or difference.mean) - difference.mean
        print(
            f"    {names[above]} above {names[below]:<4}{100 * difference.mean:+.2f} ± {100 * half:.2f}   p = {p:.3f}"
            f"   one run of each says the opposite: {100 * misordered(accuracies[below], accuracies[above]):4.1f} %"
        )
    print()


def misordered(worse: Array, better: Array) -> float:
    """Return the share of pairs of runs in which the first, said to be worse, wins; a tie counts half."""
    return float((np.sign(worse[:, None] - better[None, :]).mean() + 1) / 2)


def orders(accuracies: Array) -> tuple[float, float]:
    """Return how often one run of each experiment gives the order of `accuracies`' rows, and has the last on top.

    accuracies: (experiments, seeds), worst first. Every combination of one run of each is counted.
    """
    # ways[j]: the number of ways in which the experiments so far are in order and the last has its j-th run
    ways = np.ones(accuracies.shape[1])
    for below, above in pairwise(accuracies):
        ways = (below[:, None] < above[None, :]).T @ ways
    beaten = np.prod([(row[:, None] < accuracies[-1][None, :]).mean(axis=0) for row in accuracies[:-1]], axis=0)
    return float(ways.sum() / accuracies.shape[1] ** len(accuracies)), float(beaten.mean())


def peeking(study: Study, data: neurona.Dataset, candidates: int) -> None:
    """Choose the best of many runs of one recipe on some images, and look at it on others."""
    network = neurona.Network(hidden=(50, 50))
    right = np.array(
        [
            predictions(network, study.weights(BASELINE, seed), data.validation) == data.validation.labels
            for seed in range(candidates)
        ],
        dtype=np.float64,
    )
    half = right.shape[1] // 2
    generator = np.random.default_rng(0)
    found = []
    for _split in range(SPLITS):
        order = generator.permutation(right.shape[1])
        seen, fresh = right[:, order[:half]].mean(axis=1), right[:, order[half : 2 * half]].mean(axis=1)
        best = int(seen.argmax())
        found.append((seen[best], fresh[best], fresh.mean()))
    seen_best, fresh_best, fresh_mean = 100 * np.array(found).T
    overstated, gained = np.mean(seen_best - fresh_best), np.mean(fresh_best - fresh_mean)
    print(
        f"3. The best of {candidates} runs of the baseline, chosen on {half:,} images; "
        f"means over {SPLITS:,} random halves"
    )
    for title, value in (
        ("", "accuracy %"),
        ("the chosen run where it was chosen", f"{seen_best.mean():.2f}"),
        (f"the chosen run on {half:,} fresh images", f"{fresh_best.mean():.2f}"),
        ("all runs, mean, on the fresh images", f"{fresh_mean.mean():.2f}"),
    ):
        print(f"  {title:<41}{value:>5}".rstrip())
    print(f"  overstated by {overstated:.2f} points; the choice itself gained {gained:.2f}")
    print()


def stale() -> None:
    """Say what the notebook printed for batch size 1: cells 107 and 109 of its published outputs."""
    print("4. What the notebook printed last, and what its last epoch had said")
    print("  exercise       test loss  test accuracy %  validation accuracy %, same cell")
    print("  batch 10,000       40.32            76.48                          77.88")
    print("  batch 1            40.32            76.48                          95.90")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of every width")
    parser.add_argument("--candidates", type=int, default=CANDIDATES, help="runs of the baseline to choose from")
    parser.add_argument("--epochs", type=int, help="instead of the lab's 5")
    parser.add_argument("--study", type=Path, default=Path("neurona-studies/mnist-pitfalls"))
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    lab = Lab.load("mnist-pitfalls")
    if options.epochs:
        lab = lab.with_epochs(options.epochs)
    data = neurona.load(lab.dataset)
    for seeds, only in ((options.seeds, ()), (options.candidates, (BASELINE,))):
        study = lab.run(seeds=seeds, only=only, data=data, study=options.study, workers=options.workers)
    unscaled_pixels(study, data, options.candidates)
    one_seed(study, options.seeds)
    peeking(study, data, options.candidates)
    stale()


if __name__ == "__main__":
    main()
