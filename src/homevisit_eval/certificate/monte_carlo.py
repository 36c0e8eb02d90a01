"""Figures over independent replications with their Monte Carlo standard errors; arrays only.

Formulas are those of Morris, White and Crowther (2019), table 6. Where several replications
share a district, the districts are the independent units, and standard errors of means are found
from the districts' sums; with one replication a district both are the same.

References
----------
Morris, T. P., White, I. R., & Crowther, M. J. (2019). Using simulation studies to evaluate
statistical methods. *Statistics in Medicine*, 38(11), 2074-2102.
Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
*Journal of the American Statistical Association*, 22(158), 209-212.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from homevisit_eval.certificate.performance import Estimated

__all__ = [
    "MONTE_CARLO_LEVEL",
    "UNKNOWN",
    "estimated_mean",
    "estimated_multiple",
    "estimated_ratio",
    "estimated_ratio_of_errors",
    "estimated_root_mean_square",
    "estimated_sd",
    "estimated_share",
    "ratio_of_independent",
    "wilson_interval",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MONTE_CARLO_LEVEL = 0.95
UNKNOWN = Estimated(math.nan, math.nan, math.nan, math.nan)


def estimated_mean(values: Floats, groups: Integers) -> Estimated:
    """Return the mean of values, shape (n,), whose groups, shape (n,), are independent."""
    if not len(values):
        return UNKNOWN
    mean = float(values.mean())
    return _with_interval(mean, _error_of_mean(values - mean, groups), groups)


def estimated_ratio(numerator: Floats, denominator: Floats, groups: Integers) -> Estimated:
    """Return the mean of one array over the mean of another, by the delta method."""
    if not len(numerator) or denominator.mean() == 0:
        return UNKNOWN
    below = float(denominator.mean())
    ratio = float(numerator.mean()) / below
    return _with_interval(
        ratio, _error_of_mean((numerator - ratio * denominator) / below, groups), groups
    )


def estimated_root_mean_square(values: Floats, groups: Integers) -> Estimated:
    """Return the root of the mean square, by the delta method."""
    if not len(values):
        return UNKNOWN
    root = math.sqrt(float((values**2).mean()))
    if root == 0:
        return _with_interval(0.0, 0.0, groups)
    return _with_interval(root, _error_of_mean((values**2 - root**2) / (2 * root), groups), groups)


def estimated_multiple(values: Floats, unit: Floats, groups: Integers) -> Estimated:
    """Return the mean of values as a multiple of the root mean square of `unit`."""
    if not len(values) or not (unit**2).sum() > 0:
        return UNKNOWN
    root = math.sqrt(float((unit**2).mean()))
    mean = float(values.mean())
    deviations = (values - mean) / root - mean * (unit**2 / root**2 - 1) / (2 * root)
    return _with_interval(mean / root, _error_of_mean(deviations, groups), groups)


def estimated_sd(values: Floats, within: Integers) -> Estimated:
    r"""Return the standard deviation within groups (all in one for the ordinary one).

    Notes
    -----
    In one group of n values its Monte Carlo standard error is :math:`s / \sqrt{2 (n - 1)}`, for
    values that are about normal. Groups may differ in their spread: with several of them the
    error is found from theirs, by the delta method.
    """
    squares, free = _squares_within(values, within)
    if free < 1:
        return UNKNOWN
    variance = float(squares.sum()) / free
    sd = math.sqrt(variance)
    if sd > 0 and len(np.unique(within)) > 1:
        deviations = squares * (len(values) / free) - variance
        return _with_interval(sd, _error_of_mean(deviations, within) / (2 * sd), within)
    error = sd / math.sqrt(2 * free)
    reach = float(stdtrit(free, (1 + MONTE_CARLO_LEVEL) / 2)) * error
    return Estimated(sd, error, sd - reach, sd + reach)


def estimated_share(holds: NDArray[np.bool_], groups: Integers) -> Estimated:
    """Return the share of replications in which something holds, with Wilson's interval.

    Where replications share a district, the interval is that of as many independent replications
    as have the same standard error, never more than there are, with the t distribution's
    quantile of one degree of freedom less than there are districts.
    """
    n = len(holds)
    if not n:
        return UNKNOWN
    share, districts = float(holds.mean()), len(np.unique(groups))
    binomial = math.sqrt(share * (1 - share) / n)
    if districts == n:
        return Estimated(share, binomial, *wilson_interval(share, n))
    error = _error_of_mean(holds.astype(np.float64) - share, groups)
    if math.isnan(error):
        return Estimated(share, math.nan, math.nan, math.nan)
    independent = n if error <= binomial else share * (1 - share) / error**2
    return Estimated(share, error, *wilson_interval(share, independent, districts))


def ratio_of_independent(above: Estimated, below: Estimated) -> Estimated:
    """Return the ratio of two figures whose errors are taken to be independent."""
    if not (below.value > 0 and above.value > 0):
        return UNKNOWN
    ratio = above.value / below.value
    error = ratio * math.hypot(above.std_error / above.value, below.std_error / below.value)
    reach = float(ndtri((1 + MONTE_CARLO_LEVEL) / 2)) * error
    return Estimated(ratio, error, ratio - reach, ratio + reach)


def estimated_ratio_of_errors(std_error: Floats, values: Floats, within: Integers) -> Estimated:
    """Return the root mean square of `std_error` over the standard deviation within groups.

    The delta method over groups: both figures are larger in the same districts.
    """
    squares, free = _squares_within(values, within)
    variance = float(squares.sum()) / free if free > 0 else 0.0
    if not variance > 0 or not (std_error**2).sum() > 0:
        return UNKNOWN
    above, below = std_error**2, squares * (len(values) / free)
    ratio = math.sqrt(float(above.mean()) / variance)
    deviations = ratio / 2 * (above / above.mean() - below / variance)
    return _with_interval(ratio, _error_of_mean(deviations, within), within)


def wilson_interval(share: float, n: float, districts: int = 0) -> tuple[float, float]:
    """Return Wilson's interval of a share of n independent replications.

    Parameters
    ----------
    districts
        Where n is found from a standard error over so many districts; 0 for independent
        replications.
    """
    level = (1 + MONTE_CARLO_LEVEL) / 2
    z = float(stdtrit(districts - 1, level) if districts > 1 else ndtri(level))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _squares_within(values: Floats, within: Integers) -> tuple[Floats, int]:
    """Return squared deviations from the groups' means, and their degrees of freedom."""
    _, codes = np.unique(within, return_inverse=True)
    means = np.bincount(codes, weights=values) / np.bincount(codes)
    return (values - means[codes]) ** 2, len(values) - len(means)


def _error_of_mean(deviations: Floats, groups: Integers) -> float:
    """Return the standard error of the mean of deviations from it; NaN for one group."""
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=deviations)
    if len(sums) < 2:
        return math.nan
    spread = float((sums**2).sum()) * len(sums) / (len(sums) - 1)
    return math.sqrt(spread) / len(deviations)


def _with_interval(value: float, error: float, groups: Integers) -> Estimated:
    free = len(np.unique(groups)) - 1
    if free < 1:
        return Estimated(value, math.nan, math.nan, math.nan)
    reach = float(stdtrit(free, (1 + MONTE_CARLO_LEVEL) / 2)) * error
    return Estimated(value, error, value - reach, value + reach)
