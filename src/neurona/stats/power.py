"""How many seeds a difference of a given size needs."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from neurona.errors import UsageError
from neurona.stats.checks import check_at_least, check_effect, check_fraction
from neurona.stats.estimates import t_quantile


def power_of_paired_t(difference: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """Return the chance that the two-sided paired t test at level `alpha` over n seeds shows a true `difference`.

    sd: of the paired differences. With the noncentrality δ = √n · difference / sd and c = t(1-α/2, n-1), the power is
    P(T(n-1, δ) > c) + P(T(n-1, δ) < -c), T noncentral t.
    Source: Cohen (1988), Statistical Power Analysis, chapter 2.
    """
    check_effect(difference, sd)
    check_at_least("n", n, 2)
    check_fraction("alpha", alpha)
    if difference == 0.0:
        return alpha
    critical = t_quantile(1.0 - alpha / 2.0, n - 1)
    noncentrality = math.sqrt(n) * abs(difference)
    if noncentrality >= 40.0 * critical * sd:  # one tail is 1 to the last digit, and sd may be 0
        return 1.0
    return min(1.0, _outside(noncentrality / sd, critical, n - 1))


def seeds_needed(difference: float, sd: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return the smallest number of seeds, 2 or more, with which `power_of_paired_t` reaches `power`."""
    check_effect(difference, sd)
    check_fraction("power", power)
    check_fraction("alpha", alpha)
    if difference == 0.0:
        raise UsageError("difference != 0 must hold: no number of seeds shows a difference of 0")
    below, enough = 1, 2
    while power_of_paired_t(difference, sd, enough, alpha) < power:
        below, enough = enough, 2 * enough
    while enough - below > 1:
        middle = (below + enough) // 2
        if power_of_paired_t(difference, sd, middle, alpha) < power:
            below = middle
        else:
            enough = middle
    return enough


def _outside(noncentrality: float, critical: float, degrees: int) -> float:
    """Return P(|T| > critical) for the noncentral t: T = (Z + noncentrality) / S, with S = √(χ²(degrees) / degrees).

    `scipy.special.nctdtr` is not used: SciPy 1.17 returns NaN at many ordinary places, such as (4, 20, 10). One of the
    two variables is integrated in closed form and the other by quadrature, whichever leaves the smoother integrand;
    both agree with SciPy, where it has a value, to 1e-11.
    """
    from scipy.special import gammainc, gammainccinv, gammaincinv, ndtr

    shape = degrees / 2.0
    if critical * critical > degrees:  # S integrated in closed form, Z by Gauss-Legendre from where the tail begins
        total = 0.0
        nodes, weights = _gauss_legendre()
        for centre in (noncentrality, -noncentrality):
            low = max(-centre, -9.0)
            if low < 9.0:
                z = low + (9.0 - low) * (nodes + 1.0) / 2.0
                inside = gammainc(shape, shape * ((centre + z) / critical) ** 2)
                total += (9.0 - low) / 2.0 * float(np.sum(weights * _normal_density(z) * inside))
        return total
    # Z integrated in closed form; S by the trapezoidal rule over v, where S is the quantile at Φ(v).
    v, step = np.linspace(-9.0, 9.0, 73, retstep=True)
    s = np.sqrt(np.where(v < 0.0, gammaincinv(shape, ndtr(v)), gammainccinv(shape, ndtr(-v))) / shape)
    tails = ndtr(noncentrality - critical * s) + ndtr(-noncentrality - critical * s)
    return float(step * np.sum(_normal_density(v) * tails))


@functools.cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(64)
    return nodes, weights


def _normal_density(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
