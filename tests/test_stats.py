"""Statistics, against SciPy and statsmodels as oracles, by their properties, and by simulation."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from unittest import mock

import numpy as np
import pandas
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.api import stats as anova
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from neurona import stats
from neurona.errors import UsageError

ACCURACIES = np.array([0.9701, 0.9688, 0.9715, 0.9692, 0.9706])
OTHERS = np.array([0.9722, 0.9701, 0.9719, 0.9731, 0.9712])

# Scores of real runs: multiples of 1/10,000, so that ties and repeated differences do come up.
scores = st.integers(9000, 10_000).map(lambda hits: hits / 10_000)
samples = st.lists(scores, min_size=2, max_size=20)
pairs = st.lists(st.tuples(scores, scores), min_size=2, max_size=20).map(lambda rows: np.array(rows).T)
p_lists = st.lists(st.floats(0.0, 1.0), max_size=30)


def test_mean_interval_is_scipys_t_interval():
    ours = stats.mean_interval(ACCURACIES, confidence=0.9)
    theirs = scipy.stats.ttest_1samp(ACCURACIES, 0.0).confidence_interval(0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert (ours.mean, ours.sd, ours.n) == (pytest.approx(ACCURACIES.mean()), pytest.approx(ACCURACIES.std(ddof=1)), 5)


def test_one_value_has_no_spread():
    assert stats.mean_interval([0.97]) == stats.Interval(0.97, None, None, None, 1)
    assert stats.bootstrap_interval([0.97], seed=0) == stats.Interval(0.97, None, None, None, 1)
    assert stats.paired_difference([0.97], [0.96]).p_value is None
    assert stats.probability_better([0.97], [0.96], seed=0) == stats.Estimate(1.0, None, None, 1)


def test_equal_values_have_an_interval_of_width_zero():
    assert stats.mean_interval([0.1] * 3) == stats.Interval(0.1, 0.0, 0.1, 0.1, 3)


@given(samples)
def test_intervals_hold_the_mean(values):
    for interval in (stats.mean_interval(values), stats.bootstrap_interval(values, seed=0, resamples=50)):
        assert interval.low <= interval.mean <= interval.high
        assert interval.mean == pytest.approx(np.mean(values))


@given(samples, st.randoms())
def test_the_order_of_the_seeds_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    a, b = stats.mean_interval(values), stats.mean_interval(shuffled)
    assert dataclasses.astuple(a) == pytest.approx(dataclasses.astuple(b), abs=1e-12)


def test_bootstrap_interval_is_the_expanded_percentile():
    # With 4 values all 256 resamples can be listed, which gives the quantiles without drawing.
    values = np.array([0.1, 0.2, 0.4, 0.9])
    every = values[np.indices((4, 4, 4, 4)).reshape(4, -1)].mean(axis=0)
    tail = scipy.stats.norm.cdf(-math.sqrt(4 / 3) * scipy.stats.t.ppf(0.75, 3))
    ours = stats.bootstrap_interval(values, seed=0, confidence=0.5, resamples=100_000)
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(every, [tail, 1 - tail])), abs=0.01)


@pytest.mark.parametrize("function", [stats.bootstrap_interval, stats.probability_better])
def test_a_seed_gives_the_same_numbers_again(function):
    rows = np.random.default_rng(0).normal(size=(2, 20))
    arguments = rows if function is stats.probability_better else rows[:1]
    assert function(*arguments, seed=1) == function(*arguments, seed=1)
    assert function(*arguments, seed=1) != function(*arguments, seed=2)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (1, 1), (97, 100), (9_712, 10_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_interval_is_statsmodels(hits, n, confidence):
    ours = stats.wilson_interval(hits, n, confidence)
    theirs = proportion_confint(hits, n, alpha=1 - confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-12)
    assert ours.value == hits / n


def test_paired_difference_is_scipys_paired_t_test():
    ours = stats.paired_difference(OTHERS, ACCURACIES)
    theirs = scipy.stats.ttest_rel(OTHERS, ACCURACIES)
    interval = theirs.confidence_interval()
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-10)


@given(pairs)
def test_swapping_the_experiments_turns_the_difference_round(rows):
    a, b = rows
    forth, back = stats.paired_difference(a, b), stats.paired_difference(b, a)
    assert forth.mean == -back.mean
    assert forth.p_value == back.p_value
    assert (forth.low is None) == (back.low is None)
    if forth.low is not None:
        assert (forth.low, forth.high) == (-back.high, -back.low)


@given(pairs)
def test_the_p_value_and_the_interval_agree(rows):
    difference = stats.paired_difference(*rows)
    assume(difference.low is not None and abs(difference.p_value - 0.05) > 1e-6)
    assert (difference.p_value > 0.05) == (difference.low <= 0.0 <= difference.high)


def test_the_same_network_differs_by_nothing():
    assert stats.paired_difference(ACCURACIES, ACCURACIES) == stats.PairedDifference(0.0, 0.0, 0.0, 1.0, 5, 0.0)


def test_equal_differences_are_a_sign_test_and_have_no_interval():
    # 0.0012 off in every seed, but not to the last bit.
    difference = stats.paired_difference(ACCURACIES + 0.0012, ACCURACIES)
    signs = scipy.stats.binomtest(5, 5).pvalue
    assert (difference.p_value, difference.sd, difference.low, difference.high) == (signs, 0.0, None, None)
    assert difference.mean == pytest.approx(0.0012)


@given(p_lists)
def test_holm_is_statsmodels(p_values):
    ours = stats.holm(p_values)
    if p_values:
        with mock.patch("gc.collect"):  # which statsmodels calls each time, and which takes longer than all the rest
            claimed, adjusted, *_ = multipletests(p_values, alpha=0.05, method="holm")
        assert ours == pytest.approx(adjusted)
        assert list(ours <= 0.05) == list(claimed)
    else:
        assert ours.size == 0


@given(p_lists)
def test_holm_keeps_the_order_and_never_helps(p_values):
    adjusted = stats.holm(p_values)
    assert np.all(adjusted >= p_values)
    assert np.all(np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0.0)
    assert np.all(adjusted <= 1.0)


def test_probability_better_is_the_mann_whitney_statistic():
    a, b = [0.97, 0.98, 0.98, 0.99], [0.96, 0.97, 0.98, 0.95]
    ours = stats.probability_better(a, b, seed=0)
    assert ours.value == pytest.approx(scipy.stats.mannwhitneyu(a, b).statistic / 16)


@given(pairs)
@settings(max_examples=30)
def test_probability_better_has_a_sensible_interval(rows):
    a, b = rows
    forth, back = (stats.probability_better(*both, seed=0, resamples=100) for both in ((a, b), (b, a)))
    assert forth.value == pytest.approx(1.0 - back.value)
    assert 0.0 <= forth.low <= forth.value <= forth.high <= 1.0


def test_probability_better_does_not_depend_on_the_scale():
    assert stats.probability_better(OTHERS**20, ACCURACIES**20, seed=0) == stats.probability_better(
        OTHERS, ACCURACIES, seed=0
    )


def test_winning_five_times_is_not_certainty():
    estimate = stats.probability_better(ACCURACIES + 0.01, ACCURACIES, seed=0)
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert 0.7 < estimate.low < 0.95


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_exact_is_statsmodels(only_a, only_b):
    correct_a = np.array([True] * only_a + [False] * only_b + [True, False])
    correct_b = np.array([False] * only_a + [True] * only_b + [True, False])
    ours = stats.mcnemar_exact(correct_a, correct_b)
    assert (ours.only_a, ours.only_b, ours.n) == (only_a, only_b, only_a + only_b + 2)
    theirs = mcnemar([[1, only_a], [only_b, 1]], exact=True).pvalue if only_a + only_b else 1.0
    assert ours.p_value == pytest.approx(theirs)


def test_variance_components_are_those_of_the_analysis_of_variance():
    generator = np.random.default_rng(0)
    hard = generator.choice([0.2, 0.95], size=30)
    skill = np.array([-0.3, -0.1, 0.0, 0.2])
    correct = generator.random((4, 30)) < np.clip(hard + skill[:, None], 0.0, 1.0)
    seed, image = np.indices(correct.shape)
    frame = pandas.DataFrame({"x": correct.ravel().astype(float), "seed": seed.ravel(), "image": image.ravel()})
    squares = anova.anova_lm(ols("x ~ C(seed) + C(image)", frame).fit())["mean_sq"]
    ours = stats.variance_components(correct)
    assert ours.seed == pytest.approx((squares["C(seed)"] - squares["Residual"]) / 30)
    assert ours.sample == pytest.approx((squares["C(image)"] - squares["Residual"]) / 4 / 30)
    assert ours.interaction == pytest.approx(squares["Residual"] / 30)
    assert ours.accuracy == pytest.approx(correct.mean())


@given(hnp.arrays(bool, st.tuples(st.integers(2, 6), st.integers(2, 20))))
def test_variance_components_explain_the_spread_between_the_seeds(correct):
    parts = stats.variance_components(correct)
    assert min(parts.seed, parts.sample, parts.interaction) >= 0.0
    observed = np.var(correct.mean(axis=1), ddof=1)
    if parts.seed > 0.0:
        assert parts.seed + parts.interaction == pytest.approx(observed, abs=1e-12)
    else:
        assert parts.interaction >= observed - 1e-12


def test_seeds_that_agree_on_every_image_have_only_a_sample_part():
    parts = stats.variance_components(np.tile(np.arange(100) < 97, (5, 1)))
    assert (parts.seed, parts.interaction) == pytest.approx((0.0, 0.0), abs=1e-15)
    assert parts.total == pytest.approx(0.97 * 0.03 / 99)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1_000])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.5, 1.4, 3.0])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 15])
def test_power_is_statsmodels(n, effect, alpha):
    ours = stats.power_of_paired_t(0.002 * effect, 0.002, n, alpha)
    theirs = TTestPower().power(effect, n, alpha)
    assert 0.0 <= ours <= 1.0
    if not math.isnan(theirs):  # statsmodels takes SciPy's distribution, which has gaps
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_power_has_a_value_where_scipy_has_none():
    # 20 = √5 · difference / sd and the critical value is 10 with 4 degrees of freedom: by simulation, to 3 sigma.
    alpha = 2.0 * scipy.stats.t.sf(10.0, 4)
    ours = stats.power_of_paired_t(20.0 / math.sqrt(5.0), 1.0, 5, alpha)
    generator = np.random.default_rng(0)
    t = (generator.standard_normal(200_000) + 20.0) / np.sqrt(generator.chisquare(4, 200_000) / 4.0)
    assert ours == pytest.approx(np.mean(t > 10.0), abs=3e-4)


@pytest.mark.parametrize(("difference", "sd"), [(1e-300, 1e-300), (1.0, 1e-300), (1.0, 0.0), (1e300, 1.0)])
def test_power_of_extreme_differences_is_a_number(difference, sd):
    assert 0.0 < stats.power_of_paired_t(difference, sd, 3) <= 1.0


@given(st.floats(0.05, 5.0), st.floats(0.1, 0.95), st.sampled_from([0.05, 0.01, 0.05 / 15]))
def test_seeds_needed_is_the_first_number_that_is_enough(effect, power, alpha):
    seeds = stats.seeds_needed(effect, 1.0, power, alpha)
    assert stats.power_of_paired_t(effect, 1.0, seeds, alpha) >= power
    assert seeds == 2 or stats.power_of_paired_t(effect, 1.0, seeds - 1, alpha) < power


def test_seeds_needed_is_statsmodels():
    theirs = TTestPower().solve_power(effect_size=0.8, power=0.8, alpha=0.05)
    assert stats.seeds_needed(0.002, 0.0025) == math.ceil(theirs)


# Verdicts: mean, sd, n and p of a difference -> what is said.
def difference(mean, sd, n):
    """Return the PairedDifference of n seeds with exactly this mean and sd."""
    values = np.linspace(-1.0, 1.0, n)
    return stats.paired_difference(mean + sd * values / np.std(values, ddof=1), np.zeros(n))


@pytest.mark.parametrize(
    ("mean", "sd", "n", "word"),
    [
        (0.01, 0.001, 5, "better"),
        (-0.01, 0.001, 5, "worse"),
        (0.1, 0.02, 5, "better"),  # significant, though 0.2 points would never have been seen
        (0.0001, 0.001, 5, "no-difference-seen"),
        (0.0001, 0.005, 5, "too-few-seeds"),
        (0.01, 0.0001, 2, "too-few-seeds"),
        (0.01, 0.0001, 3, "better"),
    ],
)
def test_verdicts(mean, sd, n, word):
    said = stats.verdict(difference(mean, sd, n))
    assert said.word == word
    assert (said.seeds_needed is not None) == (word == "too-few-seeds")


def test_a_lower_loss_is_better():
    assert stats.verdict(difference(-0.1, 0.01, 5), higher_is_better=False).word == "better"
    assert stats.verdict(difference(0.1, 0.01, 5), higher_is_better=False).word == "worse"


def test_the_adjusted_p_value_decides():
    clear = difference(0.003, 0.001, 5)
    assert stats.verdict(clear).word == "better"
    assert stats.verdict(clear, adjusted_p=0.06).word != "better"


def test_no_seed_in_common_or_a_single_one_is_too_few():
    assert stats.verdict(None) == stats.Verdict("too-few-seeds", None, 3)
    assert stats.verdict(stats.paired_difference([0.98], [0.97])) == stats.Verdict("too-few-seeds", None, 3)


def test_the_same_network_gives_no_difference_seen():
    same = stats.paired_difference(ACCURACIES, ACCURACIES)
    assert stats.verdict(same) == stats.Verdict("no-difference-seen", 1.0, None)


def test_equal_differences_need_as_many_seeds_as_the_sign_test():
    for n, word in ((5, "too-few-seeds"), (6, "better")):
        said = stats.verdict(stats.paired_difference(np.full(n, 0.98), np.full(n, 0.97)))
        assert said == stats.Verdict(word, None, 6 if n == 5 else None)


@given(st.floats(-0.01, 0.01), st.floats(1e-4, 0.02), st.integers(2, 20), st.floats(0.001, 0.05))
def test_the_seeds_that_would_do_would_do(mean, sd, n, level):
    seen = difference(mean, sd, n)
    said = stats.verdict(seen, adjusted_p=1.0, level=level)
    if said.word == "too-few-seeds":
        assert said.seeds_needed > n
        again = dataclasses.replace(seen, n=said.seeds_needed)
        assert stats.verdict(again, adjusted_p=1.0, level=level).word == "no-difference-seen"


def runs(values):
    return dict(enumerate(values))


def test_a_family_is_corrected_and_paired_by_seed():
    shuffled = {seed: runs(OTHERS)[seed] for seed in (3, 0, 4)}
    family = {
        "baseline": runs(ACCURACIES),
        "other": runs(OTHERS),
        "same": runs(ACCURACIES),
        "three": shuffled,
        "one": {2: 0.9},
        "none": {},
        "far": {99: 0.5},
    }
    compared = stats.compare_to_baseline(family, "baseline")
    assert list(compared) == ["other", "same", "three", "one", "none", "far"]
    assert compared["other"].difference == stats.paired_difference(OTHERS, ACCURACIES)
    assert compared["three"].difference.n == 3
    assert compared["three"].difference.mean == pytest.approx((OTHERS - ACCURACIES)[[0, 3, 4]].mean())
    p = [compared[name].difference.p_value for name in ("other", "same", "three")]
    adjusted = multipletests([*p, 1.0, 1.0, 1.0], method="holm")[1]
    assert [compared[name].adjusted_p for name in ("other", "same", "three")] == pytest.approx(list(adjusted[:3]))
    assert compared["same"].verdict.word == "no-difference-seen"
    for name in ("one", "none", "far"):
        assert compared[name].adjusted_p is None
        assert compared[name].verdict == stats.Verdict("too-few-seeds", None, 3)
    assert compared["none"].difference is None


def test_power_is_for_the_level_that_holm_asked():
    quiet = ACCURACIES + np.array([0.001, -0.001, 0.0005, -0.0008, 0.0002])
    clear = {f"clear-{k}": runs(ACCURACIES + 0.05 + 0.001 * k * np.arange(5)) for k in (1, 2)}
    compared = stats.compare_to_baseline(
        {"baseline": runs(ACCURACIES), "a": runs(quiet), "b": runs(quiet)} | clear, "baseline"
    )
    assert [comparison.verdict.word for comparison in compared.values()][2:] == ["better", "better"]
    # Two claims are made, so each of the other two had 0.05 / 2 to reach.
    expected = stats.power_of_paired_t(0.002, compared["a"].difference.sd, 5, 0.025)
    assert compared["a"].verdict.power == pytest.approx(expected)


def with_diverged(values, *seeds):
    return runs(values) | dict.fromkeys(seeds, math.nan)


def test_a_diverged_seed_counts_as_what_it_is():
    family = {
        "baseline": runs(ACCURACIES),
        "once": with_diverged(OTHERS + 0.01, 2),
        "always": with_diverged(OTHERS, *range(5)),
        "infinite": runs([math.inf] * 5),
    }
    compared = stats.compare_to_baseline(family, "baseline", diverged_score=0.1)
    once = OTHERS + 0.01
    once[2] = 0.1
    assert compared["once"].difference == stats.paired_difference(once, ACCURACIES)
    assert compared["once"].verdict.word == "too-few-seeds"  # though it won on the four seeds that ended
    assert compared["once"].verdict.seeds_needed is None
    assert compared["always"].verdict.word == compared["infinite"].verdict.word == "worse"
    assert [comparison.diverged for comparison in compared.values()] == [1, 5, 5]


def test_pairs_of_their_own_are_corrected_together():
    """Each pair is SciPy's paired t test, and the correction is statsmodels' over them."""
    family = {"a": runs(ACCURACIES), "b": runs(OTHERS), "c": runs(OTHERS + 0.01), "d": runs(OTHERS[::-1] + 0.008)}
    wanted = {"first": ("b", "a"), "second": ("d", "c"), "third": ("c", "a")}
    compared = stats.compare_pairs(family, wanted)
    assert list(compared) == list(wanted)
    theirs = [
        float(scipy.stats.ttest_rel(*([*family[name].values()] for name in names)).pvalue) for names in wanted.values()
    ]
    assert [found.difference.p_value for found in compared.values()] == pytest.approx(theirs)
    adjusted = multipletests(theirs, method="holm")[1]
    assert [found.adjusted_p for found in compared.values()] == pytest.approx(adjusted)
    shared = stats.compare_pairs(family, {name: (name, "a") for name in "bcd"})
    assert shared == stats.compare_to_baseline(family, "a")


def test_a_baseline_that_diverges_is_beaten():
    family = {"baseline": runs([math.nan] * 5), "steady": runs(OTHERS)}
    steady = stats.compare_to_baseline(family, "baseline", diverged_score=0.1)["steady"]
    assert (steady.verdict.word, steady.diverged, steady.baseline_diverged) == ("better", 0, 5)


def test_a_diverged_loss_counts_as_guessing():
    family = {"baseline": runs(1.0 - ACCURACIES), "broken": runs([math.inf] * 5)}
    broken = stats.compare_to_baseline(family, "baseline", diverged_score=math.log(10), higher_is_better=False)[
        "broken"
    ]
    assert broken.verdict.word == "worse"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.mean_interval([]), "values must be one row"),
        (lambda: stats.mean_interval([[0.9, 0.8]]), r"shape \(1, 2\)"),
        (lambda: stats.mean_interval([0.9, math.nan]), "finite"),
        (lambda: stats.mean_interval([0.9, 0.8], confidence=95), "0 < confidence < 1 must hold, but got 95"),
        (lambda: stats.bootstrap_interval([0.9, 0.8], seed=0, resamples=0), "resamples >= 1"),
        (lambda: stats.paired_difference([0.9, 0.8], [0.9]), "same seeds, but have 2 and 1"),
        (lambda: stats.holm([0.1, 1.2]), "from 0 to 1"),
        (lambda: stats.holm([0.1, math.nan]), "from 0 to 1"),
        (lambda: stats.wilson_interval(11, 10), r"successes=11, n=10"),
        (lambda: stats.wilson_interval(0, 0), "n >= 1"),
        (lambda: stats.mcnemar_exact(np.array([True]), np.array([True, False])), "one length"),
        (lambda: stats.mcnemar_exact(np.array([1]), np.array([1])), "booleans"),
        (lambda: stats.variance_components(np.array([[True, False]])), "2 or more seeds"),
        (lambda: stats.variance_components(np.array([[1, 0], [1, 1]])), "booleans"),
        (lambda: stats.power_of_paired_t(0.1, -1.0, 5), "sd >= 0"),
        (lambda: stats.power_of_paired_t(0.1, 1.0, 1), "n >= 2"),
        (lambda: stats.seeds_needed(0.0, 1.0), "difference != 0"),
        (lambda: stats.compare_to_baseline({"a": {}}, "b"), "'b' is not in"),
        (lambda: stats.compare_to_baseline({"a": {0: math.nan}}, "a"), "'a' diverged on seeds"),
    ],
)
def test_misuse_names_the_rule_and_the_value(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_results_are_plain_json():
    generator = np.random.default_rng(0)
    correct = generator.random((3, 20)) < 0.9
    results = [
        stats.mean_interval(ACCURACIES),
        stats.bootstrap_interval(ACCURACIES, seed=0),
        stats.paired_difference(OTHERS, ACCURACIES),
        stats.probability_better(OTHERS, ACCURACIES, seed=0),
        stats.wilson_interval(np.int64(9), np.int64(10)),
        stats.mcnemar_exact(correct[0], correct[1]),
        stats.variance_components(correct),
        *stats.compare_to_baseline({"a": runs(ACCURACIES), "b": runs(OTHERS)}, "a").values(),
    ]
    for result in results:
        fields = dataclasses.asdict(result)
        assert json.loads(json.dumps(fields, allow_nan=False)) == fields


def test_the_public_names():
    assert sorted(stats.__all__) == sorted(
        [
            "BaselineComparison",
            "Estimate",
            "Interval",
            "MINIMUM_SEEDS",
            "McNemar",
            "PairedDifference",
            "SMALLEST_EFFECT",
            "VarianceComponents",
            "Verdict",
            "VerdictWord",
            "bootstrap_interval",
            "compare_pairs",
            "compare_to_baseline",
            "holm",
            "mcnemar_exact",
            "mean_interval",
            "paired_difference",
            "power_of_paired_t",
            "probability_better",
            "seeds_needed",
            "variance_components",
            "verdict",
            "wilson_interval",
        ]
    )


def test_importing_stats_does_not_import_scipy():
    code = "import sys, neurona.stats; sys.exit(any(name.split('.')[0] == 'scipy' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Calibration. benchmarks/calibration.py is the larger version; here the bounds allow for three sigma of simulation.


@pytest.mark.parametrize("seeds", [5, 10])
def test_families_without_a_difference_have_a_false_claim_in_at_most_one_of_twenty(seeds):
    families, false = 400, 0
    generator = np.random.default_rng(seeds)
    for _ in range(families):
        shared = 0.3**0.5 * generator.standard_normal(seeds)
        rows = np.round(0.97 + 0.0018 * (shared + 0.7**0.5 * generator.standard_normal((16, seeds))), 4)
        compared = stats.compare_to_baseline({str(number): runs(row) for number, row in enumerate(rows)}, "0")
        false += any(comparison.verdict.word in ("better", "worse") for comparison in compared.values())
    assert false / families <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / families)
    assert false > 0  # it can claim


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_t_intervals_hold_the_mean_95_times_in_100(seeds):
    samples = np.round(np.random.default_rng(seeds).normal(0.97, 0.0018, size=(10_000, seeds)), 4)
    intervals = [stats.mean_interval(sample) for sample in samples]
    covered = np.mean([interval.low <= 0.97 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.01)


def test_wilson_intervals_hold_the_accuracy_95_times_in_100():
    hits = np.random.default_rng(0).binomial(10_000, 0.97, size=10_000)
    intervals = [stats.wilson_interval(k, 10_000) for k in hits]
    covered = np.mean([interval.low <= 0.97 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.01)


def test_variance_components_are_right_on_average():
    # Images with a chance of being right each, seeds that shift it: the parts are known from how they are made.
    generator = np.random.default_rng(0)
    seeds, images, shift = 6, 200, 0.05
    found = []
    for _ in range(400):
        easy = generator.choice([0.6, 0.9], size=images)
        skill = generator.choice([-shift, shift], size=(seeds, 1))
        found.append(stats.variance_components(generator.random((seeds, images)) < easy + skill))
    assert np.mean([parts.seed for parts in found]) == pytest.approx(shift**2, rel=0.1)
    assert np.mean([parts.sample for parts in found]) == pytest.approx(0.15**2 / images, rel=0.1)
