"""Weighted means and standard deviations of two groups (arrays).

The compiled functions of this file call compiled functions of this file only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.compilation import compiled

__all__ = ["GroupMoments", "describe_groups", "is_binary", "two_group_moments"]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GroupMoments:
    """Weighted means and standard deviations of a variable in two groups, in its units.

    Attributes
    ----------
    mean_treated, mean_comparison, sd_treated, sd_comparison
        NaN for a group without rows.
    n_treated, n_comparison
        Rows with a positive weight.
    ess_treated, ess_comparison
        Effective sample sizes: how many equally weighted rows are as precise.
    """

    mean_treated: float
    mean_comparison: float
    sd_treated: float
    sd_comparison: float
    n_treated: int
    n_comparison: int
    ess_treated: float
    ess_comparison: float

    @property
    def variance_ratio(self) -> float:
        """Variance of the treated over that of the comparison group."""
        if not self.sd_comparison > 0:
            return math.nan
        return (self.sd_treated / self.sd_comparison) ** 2

    @property
    def difference(self) -> float:
        """Mean of the treated less that of the comparison group."""
        return self.mean_treated - self.mean_comparison


def describe_groups(
    x: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None, *, binary: bool
) -> GroupMoments:
    """Return weighted means and standard deviations of the two groups.

    Parameters
    ----------
    x, treated : arrays of shape (n,)
        Finite numbers; 0 or 1.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given.
    binary
        Whether `x` is 0 or 1: its standard deviation is then :math:`\\sqrt{p (1 - p)}`, else
        that of `weighted_sd` (denominator n - 1 with unit weights).
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    group = np.ascontiguousarray(np.asarray(treated) == 1)
    w = np.ones(len(values)) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    return two_group_moments(values, group, w, binary=binary)


def two_group_moments(
    x: FloatArray, treated: Flags, weights: FloatArray, *, binary: bool
) -> GroupMoments:
    """Return moments of contiguous arrays; rows of weight 0 are not used.

    Notes
    -----
    With weights :math:`w_i` of a group that sum to :math:`W`,

    .. math:: s^2 = \\frac{\\sum_i w_i (x_i - \\bar x)^2 / W}{1 - \\sum_i (w_i / W)^2},

    which is the usual variance (denominator n - 1) with unit weights; :math:`\\bar x (1 - \\bar
    x)` for 0/1 variables. A group without rows has no mean, one of a single row no standard
    deviation (NaN), unless it is of a 0/1 variable. The mean of a constant is that constant to
    the last bit.
    """
    first, second = _moments(x, treated, weights)
    return GroupMoments(
        mean_treated=first[3],
        mean_comparison=second[3],
        sd_treated=_spread(first, binary=binary),
        sd_comparison=_spread(second, binary=binary),
        n_treated=int(first[0]),
        n_comparison=int(second[0]),
        ess_treated=_effective(first),
        ess_comparison=_effective(second),
    )


def is_binary(x: FloatArray) -> bool:
    """Say whether all numbers of a contiguous array are 0 or 1.

    >>> is_binary(np.array([0.0, 1.0])), is_binary(np.array([1.0, 2.0]))
    (True, False)
    """
    return bool(_is_binary(x))


Cell = tuple[float, float, float, float, float]
"""Of a group: rows, sum of weights, sum of squared weights, mean, weighted squared deviations."""


def _spread(cell: Cell, *, binary: bool) -> float:
    rows, total, squares, mean, deviations = cell
    if rows == 0:
        return math.nan
    if binary:
        return math.sqrt(max(mean * (1 - mean), 0.0))
    if rows < 2:
        return math.nan
    return math.sqrt(deviations / total / (1.0 - squares / total**2))


def _effective(cell: Cell) -> float:
    return cell[1] ** 2 / cell[2] if cell[0] > 0 else 0.0


@compiled
def _moments(x: FloatArray, treated: Flags, weights: FloatArray) -> tuple[Cell, Cell]:
    """Return the cells of the treated and of the comparison group, in two passes."""
    n1 = n0 = 0
    w1 = w0 = q1 = q0 = s1 = s0 = first1 = first0 = 0.0
    for i in range(len(x)):
        w = weights[i]
        if not w > 0:
            continue
        if treated[i]:
            if n1 == 0:
                first1 = x[i]
            n1 += 1
            w1 += w
            q1 += w * w
            s1 += w * (x[i] - first1)
        else:
            if n0 == 0:
                first0 = x[i]
            n0 += 1
            w0 += w
            q0 += w * w
            s0 += w * (x[i] - first0)
    mean1 = first1 + s1 / w1 if n1 > 0 else np.nan
    mean0 = first0 + s0 / w0 if n0 > 0 else np.nan
    d1 = d0 = 0.0
    for i in range(len(x)):
        w = weights[i]
        if not w > 0:
            continue
        if treated[i]:
            d1 += w * (x[i] - mean1) ** 2
        else:
            d0 += w * (x[i] - mean0) ** 2
    return (float(n1), w1, q1, mean1, d1), (float(n0), w0, q0, mean0, d0)


@compiled
def _is_binary(x: FloatArray) -> bool:
    at = 0
    while at < len(x) and (x[at] == 0.0 or x[at] == 1.0):
        at += 1
    return at == len(x)
