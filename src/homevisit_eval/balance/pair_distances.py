"""How far matched units are apart: mean absolute differences within pairs and sets (arrays).

The compiled functions of this file call compiled functions of this file only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.balance.ordering import ascending_order
from homevisit_eval.compilation import compiled

__all__ = ["mean_pair_distance", "mean_set_distance"]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def mean_pair_distance(x: FloatArray, first: Integers, second: Integers) -> float:
    """Return the mean absolute difference over pairs, in units of `x`.

    Parameters
    ----------
    x : array of shape (n,)
        NaN where it is not measured; such pairs are left out.
    first, second : arrays of int, shape (m,)
        Positions of the two units of each pair. With k:1 matching each of the k is a pair.

    Returns
    -------
    float
        NaN without a pair.

    Examples
    --------
    >>> mean_pair_distance(np.array([1.0, 2.0, 5.0]), np.array([0, 0]), np.array([1, 2]))
    2.5
    """
    return float(_over_pairs(x, first, second))


def mean_set_distance(x: FloatArray, treated: Flags, matched_set: Integers) -> float:
    """Return the mean absolute difference over all pairs of treated and comparison in a set.

    Parameters
    ----------
    x : array of shape (n,)
        NaN where it is not measured; such rows are left out.
    treated : array of bool, shape (n,)
    matched_set : array of int, shape (n,)
        The number of the set, from 0; -1 outside any.

    Returns
    -------
    float
        NaN without a pair.

    Notes
    -----
    Sets with many units have many pairs and weigh more, as R's MatchIt has it. In ascending
    order of `x` each row meets the rows of its set that came before: with their number and sum
    its distances to all of them are known at once, so the time is that of a sort.

    Examples
    --------
    >>> x, sets = np.array([1.0, 2.0, 5.0, 9.0]), np.array([0, 0, 0, -1])
    >>> mean_set_distance(x, np.array([True, False, False, False]), sets)
    2.5
    """
    rows = np.flatnonzero((matched_set >= 0) & ~np.isnan(x))
    if not len(rows):
        return float("nan")
    values = x[rows]
    order = ascending_order(values)
    rows = rows[order]
    return float(_over_sets(values[order], treated[rows], matched_set[rows]))


@compiled
def _over_pairs(x: FloatArray, first: Integers, second: Integers) -> float:
    total, pairs = 0.0, 0
    for i in range(len(first)):
        distance = abs(x[first[i]] - x[second[i]])
        if not np.isnan(distance):
            total += distance
            pairs += 1
    return total / pairs if pairs > 0 else np.nan


@compiled
def _over_sets(x: FloatArray, treated: Flags, matched_set: Integers) -> float:
    """Go over rows in ascending order of `x`, with numbers and sums by set and group so far."""
    sets = matched_set.max() + 1
    number = np.zeros((sets, 2), dtype=np.int64)
    total = np.zeros((sets, 2))
    base = np.zeros(sets)  # the set's smallest value, so that sums keep their digits
    distance, pairs = 0.0, 0
    for i in range(len(x)):
        one = matched_set[i]
        if number[one, 0] + number[one, 1] == 0:
            base[one] = x[i]
        value = x[i] - base[one]
        own = 1 if treated[i] else 0
        distance += number[one, 1 - own] * value - total[one, 1 - own]
        pairs += number[one, 1 - own]
        number[one, own] += 1
        total[one, own] += value
    return distance / pairs if pairs > 0 else np.nan
