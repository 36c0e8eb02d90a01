"""Differences in standard deviations: Hedges' g, Cox index, baseline equivalence (arrays)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BaselineCategory",
    "baseline_category",
    "cox_index",
    "hedges_g",
    "improvement_index",
    "pooled_sd",
    "standardized_mean_difference",
    "weighted_mean",
    "weighted_sd",
]

BaselineCategory = Literal["satisfied", "adjustment required", "not satisfied"]

SATISFIED_UP_TO = 0.05
ADJUSTABLE_UP_TO = 0.25
COX_DIVISOR = 1.65


def weighted_mean(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean, in units of `x`.

    Parameters
    ----------
    x : array of shape (n,)
        A missing value (NaN) with a positive weight makes the result NaN.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Rows of weight 0 are not used.

    Returns
    -------
    float
        NaN if no weight is positive.

    Examples
    --------
    >>> weighted_mean([1, 2, 6], [1, 1, 2])
    3.75
    """
    values, w = _used(x, weights)
    if w.size == 0:
        return math.nan
    first = float(values[0])  # so that the mean of a constant is that constant, to the last bit
    return first + float(w @ (values - first) / w.sum())


def weighted_sd(x: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted standard deviation, in units of `x`.

    Unit weights give the usual standard deviation with denominator n - 1, and multiplying all
    weights by a constant changes nothing.

    Parameters
    ----------
    x : array of shape (n,)
        A missing value (NaN) with a positive weight makes the result NaN.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Rows of weight 0 are not used.

    Returns
    -------
    float
        NaN with fewer than two rows of positive weight.

    Notes
    -----
    With weights :math:`w_i` scaled to sum to 1,

    .. math:: s^2 = \\frac{\\sum_i w_i (x_i - \\bar x_w)^2}{1 - \\sum_i w_i^2},

    unbiased when observations are independent with one variance. R's MatchIt and cobalt use the
    same denominator for the variables that are not binary; for binary ones they take
    :math:`\\bar x (1 - \\bar x)`, which this function does not.

    Examples
    --------
    >>> round(weighted_sd([1, 2, 3]), 12), round(weighted_sd([1, 2, 3], [5, 5, 5]), 12)
    (1.0, 1.0)
    """
    values, w = _used(x, weights)
    if w.size < 2:
        return math.nan
    share = w / w.sum()
    deviation = values - weighted_mean(values, w)
    return math.sqrt(share @ deviation**2 / (1.0 - share @ share))


def pooled_sd(
    sd_treated: float, sd_comparison: float, n_treated: float, n_comparison: float
) -> float:
    """Return the standard deviation pooled within two groups, in units of the variable.

    Notes
    -----
    .. math:: S^2 = \\frac{(n_t - 1) s_t^2 + (n_c - 1) s_c^2}{n_t + n_c - 2}

    NaN unless both groups have a row and one of them has two; a group of one adds nothing.
    """
    if min(n_treated, n_comparison) < 1 or n_treated + n_comparison <= 2:
        return math.nan
    total = 0.0
    for sd, n in ((sd_treated, n_treated), (sd_comparison, n_comparison)):
        total += (n - 1) * sd**2 if n > 1 else 0.0
    return math.sqrt(total / (n_treated + n_comparison - 2))


def standardized_mean_difference(
    x: ArrayLike,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    standard_deviation: float,
) -> float:
    """Return the difference of weighted means, treated less comparison, in given SDs.

    The denominator is given by the caller, so that differences before and after matching can be
    divided by one and the same number.

    Parameters
    ----------
    x : array of shape (n,)
    treated : array of shape (n,)
        1 (or true) for treated, 0 for comparison.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given.
    standard_deviation
        In units of `x`, for example that of all treated units before matching.

    Returns
    -------
    float
        0 when the means are equal, also if the standard deviation is 0; infinite when they
        differ and it is 0; NaN if a group is empty.
    """
    group = np.asarray(treated, dtype=float) == 1
    values = np.asarray(x, dtype=float)
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    difference = weighted_mean(values[group], w[group]) - weighted_mean(values[~group], w[~group])
    return _in_standard_deviations(difference, standard_deviation)


def hedges_g(
    difference: float,
    sd_treated: float,
    sd_comparison: float,
    n_treated: float,
    n_comparison: float,
    *,
    small_sample: bool = True,
) -> float:
    """Return a difference of means in pooled standard deviations of the two groups (Hedges' g).

    Parameters
    ----------
    difference
        Treated less comparison, in units of the outcome: of means, or a regression coefficient.
    sd_treated, sd_comparison
        Unadjusted standard deviations within the groups (denominator n - 1).
    n_treated, n_comparison
        Units in each group.
    small_sample
        Whether to multiply by the correction for small samples.

    Returns
    -------
    float
        0 when the difference is 0; infinite when it is not and the pooled SD is 0; NaN when
        the groups are too small.

    Notes
    -----
    .. math:: g = \\omega \\frac{\\bar y_t - \\bar y_c}{S}, \\quad
              \\omega = 1 - \\frac{3}{4 (n_t + n_c) - 9}

    with S the pooled standard deviation.

    References
    ----------
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*,
    appendix E. Institute of Education Sciences.
    Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size and related
    estimators. *Journal of Educational Statistics*, 6(2), 107-128.

    Examples
    --------
    >>> round(hedges_g(2.0, 10.0, 10.0, 50, 50), 4)
    0.1985
    """
    pooled = pooled_sd(sd_treated, sd_comparison, n_treated, n_comparison)
    omega = _omega(n_treated + n_comparison) if small_sample else 1.0
    return omega * _in_standard_deviations(difference, pooled)


def cox_index(
    p_treated: float,
    p_comparison: float,
    n_treated: float,
    n_comparison: float,
    *,
    small_sample: bool = True,
) -> float:
    """Return the difference of two probabilities in standard deviations (Cox index).

    Parameters
    ----------
    p_treated, p_comparison
        Probabilities, 0 to 1.
    n_treated, n_comparison
        Units in each group; used by the correction only.
    small_sample
        Whether to multiply by the same correction for small samples as Hedges' g.

    Returns
    -------
    float
        NaN unless both probabilities are above 0 and below 1.

    Notes
    -----
    .. math:: d = \\omega \\frac{\\mathrm{logit}(p_t) - \\mathrm{logit}(p_c)}{1.65}

    References
    ----------
    Cox, D. R. (1970). *Analysis of Binary Data*. Chapman & Hall.
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*,
    appendix E. Institute of Education Sciences.

    Examples
    --------
    >>> round(cox_index(0.6, 0.5, 500, 500, small_sample=False), 4)
    0.2457
    """
    if not (0.0 < p_treated < 1.0 and 0.0 < p_comparison < 1.0):
        return math.nan
    omega = _omega(n_treated + n_comparison) if small_sample else 1.0
    log_odds_ratio = math.log(p_treated / (1 - p_treated)) - math.log(
        p_comparison / (1 - p_comparison)
    )
    return omega * log_odds_ratio / COX_DIVISOR


def baseline_category(effect_size: float, *, adjusted_for: bool = True) -> BaselineCategory:
    """Return what a baseline difference of `effect_size` standard deviations means to the WWC.

    The number is not rounded first: .0500001 is above .05. A difference that cannot be computed
    (NaN) is not shown to be small, hence "not satisfied".

    Parameters
    ----------
    effect_size
        In standard deviations.
    adjusted_for
        Whether the outcome model adjusts for the characteristic itself. If not, nothing can
        mend a difference above .05: "not satisfied".

    References
    ----------
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*, chapter
    on baseline equivalence. Institute of Education Sciences.

    Examples
    --------
    >>> baseline_category(-0.05), baseline_category(0.0500001), baseline_category(-0.3)
    ('satisfied', 'adjustment required', 'not satisfied')
    >>> baseline_category(0.1, adjusted_for=False)
    'not satisfied'
    """
    size = abs(effect_size)
    if size <= SATISFIED_UP_TO:
        return "satisfied"
    if size <= ADJUSTABLE_UP_TO and adjusted_for:
        return "adjustment required"
    return "not satisfied"


def improvement_index(effect_size: float) -> float:
    """Return the change in rank of the average comparison unit, in percentile points.

    Give the effect size with the sign that makes a favorable effect positive (turned around
    for an outcome that had better be lower): the index then is positive for an improvement.

    Notes
    -----
    :math:`100 (\\Phi(g) - .5)`, from -50 to 50.

    Examples
    --------
    >>> round(improvement_index(0.25), 2)
    9.87
    """
    return 50.0 * math.erf(effect_size / math.sqrt(2.0))


def _omega(n: float) -> float:
    return 1.0 - 3.0 / (4.0 * n - 9.0) if n > 2 else math.nan


def _in_standard_deviations(difference: float, standard_deviation: float) -> float:
    if math.isnan(difference) or math.isnan(standard_deviation):
        return math.nan
    if difference == 0.0:
        return 0.0
    if standard_deviation == 0.0:
        return math.copysign(math.inf, difference)
    return difference / standard_deviation


def _used(
    x: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.asarray(x, dtype=np.float64)
    if weights is None:
        return values, np.ones(len(values))
    w = np.asarray(weights, dtype=np.float64)
    return values[w > 0], w[w > 0]
