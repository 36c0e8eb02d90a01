"""Differences of the empirical distributions of two groups, before and after (arrays).

The compiled functions of this file call compiled functions of this file only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.balance.ordering import ascending_order, whole_number_range
from homevisit_eval.compilation import compiled

__all__ = ["ecdf_differences", "signed_shares"]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]


def signed_shares(treated: ArrayLike, before: ArrayLike, after: ArrayLike) -> FloatArray:
    """Return each row's share of its group's weight, shape (n, 2); comparisons below 0.

    Parameters
    ----------
    treated : array of shape (n,)
        1 or true for treated rows.
    before, after : arrays of shape (n,)
        Weights, at least 0.

    Returns
    -------
    array of shape (n, 2)
        Shares before and after: those of the treated sum to 1, those of the comparisons to -1.
        A column is NaN if a group has no weight.
    """
    group = np.asarray(treated) == 1
    shares = np.empty((len(group), 2))
    for column, weights in enumerate((before, after)):
        w = np.asarray(weights, dtype=np.float64)
        totals = float(w @ group), float(w @ ~group)
        if min(totals, default=0.0) > 0:
            shares[:, column] = np.where(group, w / totals[0], w / -totals[1])
        else:
            shares[:, column] = np.nan
    return shares


def ecdf_differences(x: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the mean and the largest difference of two weighted empirical distributions.

    Parameters
    ----------
    x : array of shape (n,)
        Finite numbers, contiguous.
    shares : array of shape (n, 2)
        From `signed_shares`.

    Returns
    -------
    array of shape (2, 2)
        Before and after: the mean and the largest absolute difference, between 0 and 1; NaN if
        a group has no weight.

    Notes
    -----
    With :math:`F_1, F_0` the weighted distribution functions of the groups,

    .. math:: \\frac{1}{m} \\sum_{j=1}^m |F_1(u_j) - F_0(u_j)|, \\qquad
              \\max_j |F_1(u_j) - F_0(u_j)|

    over the :math:`m` different values :math:`u_j` of *all* rows, those of weight 0 too, so
    that before and after matching are averaged over the same points. The largest difference is
    the two-sample Kolmogorov-Smirnov statistic. For 0/1 variables R's MatchIt reports instead
    the absolute difference of the means for both; so does `column_balance`.

    References
    ----------
    Ho, D. E., Imai, K., King, G., & Stuart, E. A. (2007). Matching as nonparametric
    preprocessing for reducing model dependence in parametric causal inference. *Political
    Analysis*, 15(3), 199-236.
    """
    if len(x) == 0:
        return np.full((2, 2), np.nan)
    few = whole_number_range(x)
    if few is None:
        found = np.asarray(_over_rows(x, ascending_order(x), shares))
    else:
        found = np.asarray(_over_whole_numbers(x, few[0], few[1], shares))
    found[np.isnan(shares[0])] = np.nan
    return found


@compiled
def _over_whole_numbers(x: FloatArray, least: int, most: int, shares: FloatArray) -> FloatArray:
    """Sum shares by value, then go over the values."""
    rows = np.zeros(most - least + 1, dtype=np.int64)
    sums = np.zeros((most - least + 1, 2))
    for i in range(len(x)):
        place = int(x[i]) - least
        rows[place] += 1
        sums[place, 0] += shares[i, 0]
        sums[place, 1] += shares[i, 1]
    out = np.zeros((2, 2))
    for j in range(2):
        so_far, values = 0.0, 0
        for place in range(most - least + 1):
            if rows[place] > 0:
                so_far += sums[place, j]
                values += 1
                out[j, 0] += abs(so_far)
                out[j, 1] = max(out[j, 1], abs(so_far))
        out[j, 0] /= values
    return out


@compiled
def _over_rows(x: FloatArray, order: Integers, shares: FloatArray) -> FloatArray:
    """Go over the rows in ascending order; a gap counts where a value is complete."""
    before = after = sum_before = sum_after = largest_before = largest_after = 0.0
    values = 1
    last = x[order[0]]
    for at in range(len(order)):
        row = order[at]
        if x[row] != last:
            last = x[row]
            values += 1
            sum_before += abs(before)
            sum_after += abs(after)
            largest_before = max(largest_before, abs(before))
            largest_after = max(largest_after, abs(after))
        before += shares[row, 0]
        after += shares[row, 1]
    out = np.empty((2, 2))
    out[0, 0], out[0, 1] = sum_before / values, largest_before
    out[1, 0], out[1, 1] = sum_after / values, largest_after
    return out
