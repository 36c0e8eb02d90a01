"""Weights from a propensity score: inverse probability and overlap (arrays)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError

__all__ = ["inverse_probability_weights", "overlap_weights"]

FloatArray = NDArray[np.float64]
Estimand = Literal["ATT", "ATC", "ATE"]


def inverse_probability_weights(
    probability: ArrayLike,
    treated: ArrayLike,
    *,
    estimand: Estimand,
    truncate: float | None = None,
    sampling_weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the inverse of each unit's probability to be in its group, times the target's.

    Parameters
    ----------
    probability : array of shape (n,)
        The propensity score p, between 0 and 1, exclusive.
    treated : array of shape (n,)
        0 or 1; both occur.
    estimand
        ``"ATT"``: treated 1, comparison units p / (1 - p); ``"ATC"``: treated (1 - p) / p,
        comparison units 1; ``"ATE"``: treated 1 / p, comparison units 1 / (1 - p).
    truncate
        A share, above .5 and below 1: in each group, weights above this quantile of the group's
        weights are set to it. None truncates nothing.
    sampling_weights : array of shape (n,), optional
        0 or above. They count in the quantile only: multiply the result with them to weight by
        both.

    Returns
    -------
    array of shape (n,)
        Not scaled: with sampling weights s, sums of s times the weight estimate the size of the
        target population.

    Raises
    ------
    MatchingError
        If shapes differ, a probability is not between 0 and 1, a group is empty, or an option
        is not one of those allowed.

    Notes
    -----
    The quantile is the smallest weight that is reached by at least that share of the group,
    by sampling weight. Truncated weights no longer target the estimand exactly: less variance
    is bought with some bias (Cole and Hernán 2008).

    References
    ----------
    Hirano, K., Imbens, G. W., & Ridder, G. (2003). Efficient estimation of average treatment
    effects using the estimated propensity score. *Econometrica*, 71(4), 1161-1189.
    Cole, S. R., & Hernán, M. A. (2008). Constructing inverse probability weights for marginal
    structural models. *American Journal of Epidemiology*, 168(6), 656-664.

    Examples
    --------
    >>> inverse_probability_weights([0.5, 0.75], [1, 0], estimand="ATT").tolist()
    [1.0, 3.0]
    """
    p, group = _checked(probability, treated, "inverse_probability_weights")
    rest = 1.0 - p
    match estimand:
        case "ATT":
            weight = np.where(group, 1.0, p / rest)
        case "ATC":
            weight = np.where(group, rest / p, 1.0)
        case "ATE":
            weight = np.where(group, 1.0 / p, 1.0 / rest)
        case _:
            raise MatchingError(
                f"inverse_probability_weights: unknown estimand {estimand!r}; it must be ATT, ATC "
                "or ATE."
            )
    if truncate is None:
        return weight
    if not 0.5 < truncate < 1:
        raise MatchingError(
            "inverse_probability_weights: truncate must be above 0.5 and below 1; it is "
            f"{truncate}."
        )
    share = _checked_shares(sampling_weights, group)
    for members in (group, ~group):
        highest = np.quantile(
            weight[members], truncate, method="inverted_cdf", weights=share[members]
        )
        weight[members] = np.minimum(weight[members], highest)
    return weight


def overlap_weights(probability: ArrayLike, treated: ArrayLike) -> FloatArray:
    """Return each unit's probability to be in the other group: 1 - p if treated, else p.

    Parameters
    ----------
    probability : array of shape (n,)
        The propensity score p, between 0 and 1, exclusive.
    treated : array of shape (n,)
        0 or 1; both occur.

    Returns
    -------
    array of shape (n,)
        Between 0 and 1. The estimand is the average effect in the overlap population (ATO): units
        count by p (1 - p).

    Raises
    ------
    MatchingError
        If shapes differ, a probability is not between 0 and 1, or a group is empty.

    Notes
    -----
    With the scores of a logit that has an intercept, fitted to the same units, the weighted
    means of all its columns are equal in the two groups.

    References
    ----------
    Li, F., Morgan, K. L., & Zaslavsky, A. M. (2018). Balancing covariates via propensity score
    weighting. *Journal of the American Statistical Association*, 113(521), 390-400.
    """
    p, group = _checked(probability, treated, "overlap_weights")
    return np.where(group, 1.0 - p, p)


def _checked(
    probability: ArrayLike, treated: ArrayLike, function: str
) -> tuple[FloatArray, NDArray[np.bool_]]:
    p, group = np.asarray(probability, dtype=np.float64), np.asarray(treated)
    if p.ndim != 1 or p.shape != group.shape:
        raise MatchingError(
            f"{function} needs probability and treated of shape (n,); they are {p.shape} and "
            f"{group.shape}."
        )
    outside = int((~((p > 0) & (p < 1))).sum())
    if outside:
        raise MatchingError(
            f"{function} needs probabilities between 0 and 1, exclusive; {outside:,} of {len(p):,} "
            "are not. Units whose group is certain have no counterpart: leave them out, or use "
            "fewer covariates."
        )
    if not ((group == 0) | (group == 1)).all() or not (group == 1).any() or (group == 1).all():
        raise MatchingError(f"{function} needs treated to be 0 or 1, and units of both groups.")
    return p, group == 1


def _checked_shares(sampling_weights: ArrayLike | None, group: NDArray[np.bool_]) -> FloatArray:
    if sampling_weights is None:
        return np.ones(len(group))
    share = np.asarray(sampling_weights, dtype=np.float64)
    usable = share.shape == group.shape and np.isfinite(share).all() and (share >= 0).all()
    if not usable or not (share[group].any() and share[~group].any()):
        raise MatchingError(
            "inverse_probability_weights needs one sampling weight of 0 or above for each unit, "
            "and one above 0 in each group."
        )
    return share
