"""Estimators for experiments that are repeated over seeds: arrays in, numbers out.

Every function is pure; what is random takes a seed. Results are frozen dataclasses of plain Python numbers, and a
figure that the data cannot give (the spread of one value) is None. Scores are fractions: 0.2 points are 0.002.
`docs/statistics.md` explains the choices and `benchmarks/calibration.py` measures how well they hold.

SciPy is imported where it is used: `scipy.special` takes 0.2 s, and the command line must start fast.
"""

from neurona.stats.differences import (
    McNemar,
    PairedDifference,
    holm,
    mcnemar_exact,
    paired_difference,
    probability_better,
)
from neurona.stats.estimates import (
    Estimate,
    Interval,
    VarianceComponents,
    bootstrap_interval,
    mean_interval,
    variance_components,
    wilson_interval,
)
from neurona.stats.power import power_of_paired_t, seeds_needed
from neurona.stats.verdicts import (
    MINIMUM_SEEDS,
    SMALLEST_EFFECT,
    BaselineComparison,
    Verdict,
    VerdictWord,
    compare_pairs,
    compare_to_baseline,
    verdict,
)

__all__ = [
    "MINIMUM_SEEDS",
    "SMALLEST_EFFECT",
    "BaselineComparison",
    "Estimate",
    "Interval",
    "McNemar",
    "PairedDifference",
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
