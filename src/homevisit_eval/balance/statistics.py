"""Balance of one column of numbers between two groups, before and after matching (arrays)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.balance.ecdf import ecdf_differences, signed_shares
from homevisit_eval.balance.moments import GroupMoments, is_binary, two_group_moments
from homevisit_eval.balance.pair_distances import mean_pair_distance, mean_set_distance
from homevisit_eval.errors import EstimationError

__all__ = [
    "ColumnBalance",
    "ComparedGroups",
    "Denominator",
    "PairScale",
    "balance_columns",
    "column_balance",
    "compared_groups",
    "split_groups",
    "standardizing_sd",
]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

Denominator = Literal["treated", "comparison", "pooled"]
"""Whose standard deviation before matching divides differences of means, before and after."""

PairScale = Literal["standard_deviations", "matchit"]
"""The unit of pair distances; see `column_balance`."""

EQUAL_MEANS = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ComparedGroups:
    """Who is compared with whom: the arrays that all columns share. Made by `compared_groups`.

    Attributes
    ----------
    treated : array of bool, shape (n,)
    before, after : arrays of shape (n,)
        Weights before and after matching, at least 0.
    first, second : arrays of int, shape (m,)
        Positions of the two units of each pair; empty if there are none.
    matched_set : array of int, shape (n,) or (0,)
        Used if there are no pairs: numbers from 0, -1 outside any set.
    shares : array of shape (n, 2)
        From `signed_shares`.
    """

    treated: Flags
    before: FloatArray
    after: FloatArray
    first: Integers
    second: Integers
    matched_set: Integers
    shares: FloatArray

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"ComparedGroups({len(self.treated)} rows, {len(self.first)} pairs)"


@dataclass(frozen=True, slots=True)
class ColumnBalance:
    """Statistics of one column.

    Attributes
    ----------
    binary
        Whether all its values are 0 or 1.
    before, after
        Means, standard deviations and counts of the two groups.
    smd_before, smd_after
        Differences of means, treated less comparison, in units of one standard deviation.
    ecdf_mean_before, ecdf_mean_after, ecdf_max_before, ecdf_max_after
        Between 0 and 1: see `ecdf_differences`. The largest is the Kolmogorov-Smirnov statistic.
    pair_distance_after
        The mean absolute difference within pairs or sets, in the same standard deviations.
    """

    binary: bool
    before: GroupMoments
    after: GroupMoments
    smd_before: float
    smd_after: float
    ecdf_mean_before: float
    ecdf_mean_after: float
    ecdf_max_before: float
    ecdf_max_after: float
    pair_distance_after: float


def compared_groups(
    treated: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    *,
    pairs: tuple[Integers, Integers] | None = None,
    matched_set: ArrayLike | None = None,
) -> ComparedGroups:
    """Return the arrays of a comparison with their types and memory layout fixed.

    Parameters
    ----------
    treated : array of shape (n,)
        0 or 1.
    before, after : arrays of shape (n,)
        Weights, at least 0. Rows with a weight of 0 after are not in any pair or set.
    pairs : two arrays of int, shape (m,), optional
        Positions of the units of each pair.
    matched_set : array of int, shape (n,), optional
        Numbers of the sets, -1 outside any; used only without pairs.

    Raises
    ------
    EstimationError
        If lengths differ, or a weight is negative or not finite.
    """
    group = np.ascontiguousarray(np.asarray(treated) == 1)
    weights = [np.ascontiguousarray(w, dtype=np.float64) for w in (before, after)]
    for name, w in zip(("before", "after"), weights, strict=True):
        if w.shape != group.shape:
            raise EstimationError(
                f"balance: treated has {len(group):,} rows and the weights {name} matching have "
                f"shape {w.shape}; give one weight a row."
            )
        if not (np.isfinite(w).all() and (w >= 0).all()):
            raise EstimationError(
                f"balance: weights {name} matching must be finite and at least 0 in every row."
            )
    used = weights[1] > 0
    none = np.zeros(0, dtype=np.int64)
    first, second, sets = none, none, none
    if pairs is not None and len(pairs[0]):
        kept = used[pairs[0]] & used[pairs[1]]
        first, second = (np.ascontiguousarray(side[kept], dtype=np.int64) for side in pairs)
    elif matched_set is not None:
        sets = np.where(used, np.asarray(matched_set, dtype=np.int64), -1)
        sets = none if (sets < 0).all() else np.ascontiguousarray(sets)
    shares = signed_shares(group, *weights)
    return ComparedGroups(group, weights[0], weights[1], first, second, sets, shares)


def split_groups(groups: ComparedGroups, parts: Sequence[Integers]) -> list[ComparedGroups]:
    """Return the comparison within each part: pairs and sets with both ends in it.

    Parameters
    ----------
    groups
        A comparison.
    parts : arrays of int, shape (k,)
        Positions of the rows of each part; a row is in one part at most.
    """
    part = np.full(len(groups.treated), -1, dtype=np.int64)
    place = np.zeros(len(groups.treated), dtype=np.int64)
    for number, rows in enumerate(parts):
        part[rows] = number
        place[rows] = np.arange(len(rows))
    of_pair = part[groups.first]
    within = np.flatnonzero((of_pair >= 0) & (of_pair == part[groups.second]))
    within = within[np.argsort(of_pair[within], kind="stable")]
    bounds = np.searchsorted(of_pair[within], np.arange(len(parts) + 1))
    found = []
    for number, rows in enumerate(parts):
        pairs = within[bounds[number] : bounds[number + 1]]
        sets = None
        if len(groups.matched_set):
            labels = groups.matched_set[rows]
            sets = np.where(labels < 0, -1, np.unique(labels, return_inverse=True)[1])
        found.append(
            compared_groups(
                groups.treated[rows],
                groups.before[rows],
                groups.after[rows],
                pairs=(place[groups.first[pairs]], place[groups.second[pairs]]),
                matched_set=sets,
            )
        )
    return found


def standardizing_sd(moments: GroupMoments, denominator: Denominator) -> float:
    """Return the standard deviation that divides differences of means, in units of the column.

    That of the treated (for an average effect on them, the ATT), that of the comparison group
    (ATC), or :math:`\\sqrt{(s_1^2 + s_0^2) / 2}` (ATE and the overlap population).
    """
    if denominator == "treated":
        return moments.sd_treated
    if denominator == "comparison":
        return moments.sd_comparison
    return math.sqrt((moments.sd_treated**2 + moments.sd_comparison**2) / 2)


def column_balance(
    x: FloatArray,
    groups: ComparedGroups,
    *,
    denominator: Denominator = "treated",
    pair_scale: PairScale = "standard_deviations",
) -> ColumnBalance:
    """Return the balance of one column, before and after matching.

    Parameters
    ----------
    x : array of shape (n,)
        NaN where it is not measured: its statistics are those of the other rows.
    groups
        From `compared_groups`.
    denominator
        Whose standard deviation before matching divides differences before and after.
    pair_scale
        ``"matchit"``: where the means after matching are equal (within 1.5e-8), the pair
        distance is in units of `x`, as R's MatchIt 4.7.2 reports it.

    Notes
    -----
    All numbers agree with ``summary()`` of MatchIt 4.7.2: weighted means; standard deviations
    as in `two_group_moments`; the distribution differences of `ecdf_differences`, which are the
    absolute difference of the means for 0/1 columns; pair distances over all pairs. A difference
    of means that are equal is 0 even if the standard deviation is 0; it is infinite if they
    differ and it is 0.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21.
    Austin, P. C. (2009). Balance diagnostics for comparing the distribution of baseline
    covariates between treatment groups in propensity-score matched samples. *Statistics in
    Medicine*, 28(25), 3083-3107.
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    treated, before, after, shares = groups.treated, groups.before, groups.after, groups.shares
    measured, missing = values, np.isnan(values)
    if missing.any():
        has = ~missing
        measured, treated, before, after = values[has], treated[has], before[has], after[has]
        shares = signed_shares(treated, before, after)
    binary = is_binary(measured)
    moments = [two_group_moments(measured, treated, w, binary=binary) for w in (before, after)]
    sd = standardizing_sd(moments[0], denominator)
    if binary:
        gaps = np.repeat([[abs(one.difference)] for one in moments], 2, axis=1)
    else:
        gaps = ecdf_differences(measured, shares)
    as_is = pair_scale == "matchit" and abs(moments[1].difference) < EQUAL_MEANS
    return ColumnBalance(
        binary,
        moments[0],
        moments[1],
        in_standard_deviations(moments[0].difference, sd),
        in_standard_deviations(moments[1].difference, sd),
        float(gaps[0, 0]),
        float(gaps[1, 0]),
        float(gaps[0, 1]),
        float(gaps[1, 1]),
        in_standard_deviations(_pair_distance(values, groups), 1.0 if as_is else sd),
    )


def balance_columns(
    X: ArrayLike,
    groups: ComparedGroups,
    *,
    denominator: Denominator = "treated",
    pair_scale: PairScale = "standard_deviations",
) -> tuple[ColumnBalance, ...]:
    """Return the balance of each column of a matrix, shape (n, k); see `column_balance`.

    One column at a time is in memory besides the matrix.
    """
    matrix = np.asarray(X, dtype=np.float64)
    return tuple(
        column_balance(column, groups, denominator=denominator, pair_scale=pair_scale)
        for column in matrix.T
    )


def in_standard_deviations(difference: float, sd: float) -> float:
    """Return a difference over a standard deviation; 0 over 0 is 0, anything else infinite."""
    if difference == 0.0:
        return 0.0 if not math.isnan(sd) else math.nan
    if sd == 0.0:
        return math.copysign(math.inf, difference) if not math.isnan(difference) else math.nan
    return difference / sd


def _pair_distance(x: FloatArray, groups: ComparedGroups) -> float:
    if len(groups.first):
        return mean_pair_distance(x, groups.first, groups.second)
    if len(groups.matched_set):
        return mean_set_distance(x, groups.treated, groups.matched_set)
    return math.nan
