"""What may be said of an experiment: better, worse, no difference seen, or too few seeds to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from neurona.errors import UsageError
from neurona.stats.checks import check_fraction
from neurona.stats.differences import PairedDifference, holm, paired_difference
from neurona.stats.power import power_of_paired_t, seeds_needed

MINIMUM_SEEDS = 3  # with fewer, no difference is claimed
SMALLEST_EFFECT = 0.002  # the difference in accuracy that an experiment should have been able to show: 0.2 points
VERDICT_POWER = 0.5  # the power for it under which "no difference" only means that there were too few seeds

VerdictWord = Literal["better", "worse", "no-difference-seen", "too-few-seeds"]


@dataclass(frozen=True)
class Verdict:
    """What the seeds say about a difference.

    power: for the smallest effect, at the level that the comparison faced; None when it could not be estimated.
    seeds_needed: how many seeds in all would do; only with `too-few-seeds`, and None when seeds have diverged.
    """

    word: VerdictWord
    power: float | None
    seeds_needed: int | None


@dataclass(frozen=True)
class BaselineComparison:
    """One experiment against the baseline, or another. `difference` is None while they have no seed in common.

    adjusted_p: Holm's, over the family; None where there is no p value.
    diverged, baseline_diverged: how many of the experiment's seeds diverged, and of the baseline's.
    """

    difference: PairedDifference | None
    adjusted_p: float | None
    verdict: Verdict
    diverged: int
    baseline_diverged: int


def verdict(
    difference: PairedDifference | None,
    *,
    adjusted_p: float | None = None,
    level: float | None = None,
    confidence: float = 0.95,
    effect: float = SMALLEST_EFFECT,
    higher_is_better: bool = True,
) -> Verdict:
    """Return what may be said of a difference to the baseline.

    adjusted_p: the p value after Holm's correction; the difference's own when it is the only comparison.
    level: the level that this comparison's own p value had to reach; 1 - confidence when it is the only one.
    effect: the smallest difference that matters, in the units of the scores; 0.002 is for accuracies.

    In this order:

    1. fewer than 3 seeds: `too-few-seeds`;
    2. adjusted p <= 1 - confidence: `better` or `worse`, whatever the power was;
    3. power of one half or more for `effect`, at `level` and with the spread seen: `no-difference-seen`. An interval at
       that level is then about as narrow as ± effect;
    4. else `too-few-seeds`, and `seeds_needed` is the number with which 3 would hold. It rests on a spread seen in few
       seeds: it is an order of magnitude. When all differences are one number, it is what the sign test needs.
    """
    alpha = 1.0 - confidence
    level = alpha if level is None else level
    check_fraction("confidence", confidence)
    check_fraction("level", level)
    if difference is None or difference.sd is None or difference.p_value is None:
        return Verdict("too-few-seeds", None, MINIMUM_SEEDS)
    p_value = difference.p_value if adjusted_p is None else adjusted_p
    all_one_number = difference.sd == 0.0 and difference.mean != 0.0
    power = None if all_one_number else power_of_paired_t(effect, difference.sd, difference.n, level)
    if difference.n >= MINIMUM_SEEDS:
        if p_value <= alpha:
            return Verdict("better" if (difference.mean > 0.0) == higher_is_better else "worse", power, None)
        if power is not None and power >= VERDICT_POWER:
            return Verdict("no-difference-seen", power, None)
    if all_one_number:
        needed = 1 + math.ceil(-math.log2(level))
    else:
        needed = seeds_needed(effect, difference.sd, VERDICT_POWER, level)
    return Verdict("too-few-seeds", power, max(needed, MINIMUM_SEEDS))


def compare_to_baseline(
    scores: Mapping[str, Mapping[int, float]],
    baseline: str,
    *,
    diverged_score: float | None = None,
    confidence: float = 0.95,
    effect: float = SMALLEST_EFFECT,
    higher_is_better: bool = True,
) -> dict[str, BaselineComparison]:
    """Compare every experiment of a family with its baseline; return experiment -> comparison, in the order given.

    scores: experiment -> seed -> score. Pairs are made by seed, over the seeds that both have. A seed that has not run
        is absent; one that diverged is NaN or infinite.
    diverged_score: what a diverged run counts as. For accuracy, that of guessing (1 / classes), which is what a network
        of NaNs scores; for loss, that of guessing (log classes), which is less than it deserves.

    The family is all that is in `scores`, finished or not (an experiment without p value counts as p = 1), so that a
    claim made early is not lost because the lab went on. Intervals are each at `confidence`, not corrected; claims are
    Holm's. An interval that excludes 0 is therefore not always a claim.

    A diverged seed is paired, averaged and tested like the others, at `diverged_score`: a recipe that fails on one seed
    in five has that as its mean. Nothing else is done about it, since this suffices: one failure spreads the
    differences so much that no `better` comes of it, unless the gain outweighs the failures, and failing on every seed
    is `worse`. Where it ends as `too-few-seeds`, no number of seeds is given: what stands in the way is the failing.

    Raises UsageError when the baseline is not among the scores, or a seed diverged and `diverged_score` is not given.
    """
    if baseline not in scores:
        raise UsageError(f"the baseline must be one of the experiments, but {baseline!r} is not in {list(scores)}")
    pairs = {name: (name, baseline) for name in scores if name != baseline}
    return compare_pairs(
        scores,
        pairs,
        diverged_score=diverged_score,
        confidence=confidence,
        effect=effect,
        higher_is_better=higher_is_better,
    )


def compare_pairs(
    scores: Mapping[str, Mapping[int, float]],
    pairs: Mapping[str, tuple[str, str]],
    *,
    diverged_score: float | None = None,
    confidence: float = 0.95,
    effect: float = SMALLEST_EFFECT,
    higher_is_better: bool = True,
) -> dict[str, BaselineComparison]:
    """Compare the first of each pair with its second; return pair -> comparison, in the order given.

    pairs: what to call it -> two names in `scores`; they are the family that `compare_to_baseline` speaks of, which is
        this with one second for all.
    """
    counted = {name: _counted(name, by_seed, diverged_score) for name, by_seed in scores.items()}
    family = {key: (counted[first], counted[second]) for key, (first, second) in pairs.items()}
    both = {key: [seed for seed in own[0] if seed in theirs[0]] for key, (own, theirs) in family.items()}
    differences = {
        key: paired_difference([own[0][s] for s in both[key]], [theirs[0][s] for s in both[key]], confidence)
        for key, (own, theirs) in family.items()
        if both[key]
    }
    p_values = {name: difference.p_value for name, difference in differences.items() if difference.p_value is not None}
    adjusted = dict(zip(family, holm([p_values.get(name, 1.0) for name in family]).tolist(), strict=True))
    alpha = 1.0 - confidence
    claims = sum(p <= alpha for p in adjusted.values())
    level = alpha / max(1, len(family) - claims)  # what a p value that was not enough would have had to reach
    result = {}
    for name, ((_own, diverged), (_theirs, their_diverged)) in family.items():
        said = verdict(
            differences.get(name),
            adjusted_p=adjusted[name],
            level=level,
            confidence=confidence,
            effect=effect,
            higher_is_better=higher_is_better,
        )
        if any(seed in diverged or seed in their_diverged for seed in both[name]):
            said = replace(said, seeds_needed=None)
        result[name] = BaselineComparison(
            difference=differences.get(name),
            adjusted_p=adjusted[name] if name in p_values else None,
            verdict=said,
            diverged=len(diverged),
            baseline_diverged=len(their_diverged),
        )
    return result


def _counted(
    name: str, by_seed: Mapping[int, float], diverged_score: float | None
) -> tuple[dict[int, float], frozenset[int]]:
    """Return seed -> score with diverged seeds at `diverged_score`, and which they are."""
    diverged = frozenset(seed for seed, score in by_seed.items() if not math.isfinite(score))
    if diverged_score is None:
        if diverged:
            raise UsageError(
                f"diverged_score must say what a diverged run counts as: {name!r} diverged on seeds {sorted(diverged)}"
            )
        return {seed: float(score) for seed, score in by_seed.items()}, diverged
    return {seed: diverged_score if seed in diverged else float(score) for seed, score in by_seed.items()}, diverged
