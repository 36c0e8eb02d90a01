"""Optimal assignment of units on a line, in n log n steps: a compiled slope trick (arrays).

The compiled functions of this file call compiled functions of this file only; `line_pairs` is
their gateway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.compilation import compiled

__all__ = ["Uses", "line_pairs"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Uses:
    """How often a unit is in a pair, at least and at most, in each stratum.

    Attributes
    ----------
    focal_least, focal_most, other_least, other_most : arrays of int, shape (strata,)
    """

    focal_least: Integers
    focal_most: Integers
    other_least: Integers
    other_most: Integers

    def __repr__(self) -> str:
        """Show the number of strata."""
        return f"Uses({len(self.focal_least)} strata)"


def line_pairs(
    score: ArrayLike, focal: ArrayLike, stratum: ArrayLike, uses: Uses
) -> tuple[Integers, Integers]:
    """Pair focal with other rows so that the sum of score differences is the smallest.

    Parameters
    ----------
    score : array of shape (n,)
        Finite.
    focal : array of bool, shape (n,)
    stratum : array of int, shape (n,)
        Numbers from 0; pairs are made within.
    uses
        Bounds on the pairs of a row, which must be possible in every stratum.

    Returns
    -------
    tuple of two arrays of int, shape (m,)
        The focal and the other row of each pair, by stratum and ascending score. A pair may
        occur twice if both of its rows may be used more than once.

    Notes
    -----
    Let :math:`s` be the surplus at a point of the line: pairs' focal ends minus their other ends
    so far. The total distance is :math:`\\sum_p g_p |s_p|` with the gaps :math:`g_p` between
    neighboring scores. The smallest cost up to a point, :math:`f_p(s)`, is convex and piecewise
    linear in :math:`s`: a gap adds two breakpoints at 0, and a row that is in :math:`a` to
    :math:`b` pairs moves the breakpoints left of the minimum by :math:`a`, the others by
    :math:`b`. Two heaps hold the breakpoints. Going back, each :math:`s_p` is the point nearest
    to the minimum of :math:`f_p` among those that lead to the next one. Pairs join the t-th
    focal end with the t-th other end, so none of them cross.

    References
    ----------
    Karp, R. M., & Li, S.-Y. R. (1975). Two special cases of the assignment problem. *Discrete
    Mathematics*, 13(2), 129-142.
    Colannino, J., Damian, M., Hurtado, F., Langerman, S., Meijer, H., Ramaswami, S., Souvaine,
    D., & Toussaint, G. (2007). Efficient many-to-many point matching in one dimension. *Graphs
    and Combinatorics*, 23, 169-178.
    """
    values = np.ascontiguousarray(score, dtype=np.float64)
    is_focal = np.ascontiguousarray(focal, dtype=np.bool_)
    cell = np.ascontiguousarray(stratum, dtype=np.int64)
    n = len(values)
    if n == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=len(uses.focal_least)))])
    order = np.argsort(values, kind="stable").astype(np.int64)
    if len(bounds) > 2:
        order = _by_stratum(order, cell, bounds[:-1].astype(np.int64))
    values, is_focal = values[order], is_focal[order]
    limits = np.column_stack(
        [uses.focal_least, uses.focal_most, uses.other_least, uses.other_most]
    ).astype(np.int64)
    count = _count_uses(values, is_focal, bounds.astype(np.int64), limits)
    focal_rows = np.repeat(order[is_focal], count[is_focal])
    other_rows = np.repeat(order[~is_focal], count[~is_focal])
    return focal_rows, other_rows


@compiled
def _by_stratum(order: Integers, cell: Integers, starts: Integers) -> Integers:
    """Return the rows by stratum, in their given order within each (a counting sort)."""
    place = starts.copy()
    sorted_rows = np.empty_like(order)
    for row in order:
        sorted_rows[place[cell[row]]] = row
        place[cell[row]] += 1
    return sorted_rows


@compiled
def _push(keys: Integers, weights: FloatArray, size: int, key: int, weight: float) -> int:
    """Put an element into a heap with the smallest key on top; return the new size."""
    if size > 0 and keys[0] == key:
        weights[0] += weight
        return size
    at = size
    while at > 0:
        above = (at - 1) // 2
        if keys[above] <= key:
            break
        keys[at], weights[at] = keys[above], weights[above]
        at = above
    keys[at], weights[at] = key, weight
    return size + 1


@compiled
def _pop(keys: Integers, weights: FloatArray, size: int) -> int:
    """Take the top off a heap; return the new size."""
    size -= 1
    key, weight = keys[size], weights[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[at], weights[at] = keys[below], weights[below]
        at = below
    keys[at], weights[at] = key, weight
    return size


@compiled
def _move(  # noqa: PLR0917
    keys: Integers,
    weights: FloatArray,
    size: int,
    to_keys: Integers,
    to_weights: FloatArray,
    to_size: int,
    shifts: int,
    slope: float,
) -> tuple[int, int]:
    """Move breakpoints worth a change of slope to the other heap; return the new sizes."""
    while slope > 0:
        key, weight = keys[0], weights[0]
        if weight <= slope:
            size = _pop(keys, weights, size)
        else:
            weights[0] -= slope
            weight = slope
        to_size = _push(to_keys, to_weights, to_size, shifts - key, weight)
        slope -= weight
    return size, to_size


@compiled
def _count_uses(
    score: FloatArray, focal: NDArray[np.bool_], bounds: Integers, limits: Integers
) -> Integers:
    """Return in how many pairs each row is in the optimum."""
    count = np.zeros(len(score), dtype=np.int64)
    longest = 0
    for cell in range(len(bounds) - 1):
        longest = max(longest, bounds[cell + 1] - bounds[cell])
    left = np.empty(2 * longest + 4, dtype=np.int64)
    right = np.empty(2 * longest + 4, dtype=np.int64)
    left_weight, right_weight = np.empty(len(left)), np.empty(len(left))
    lowest = np.empty(longest, dtype=np.int64)
    highest = np.empty(longest, dtype=np.int64)
    for cell in range(len(bounds) - 1):
        first, last = bounds[cell], bounds[cell + 1]
        focal_least, focal_most, other_least, other_most = limits[cell]
        # The left heap holds the breakpoints up to the minimum as left_shift - position, the
        # right heap those from it on as position - right_shift; no surplus but 0 to begin with.
        left_shift, right_shift = 0, 0
        left[0], right[0] = 0, 0
        left_weight[0], right_weight[0] = np.inf, np.inf
        lefts, rights = 1, 1
        for at in range(first, last):
            gap = score[at] - score[at - 1] if at > first else 0.0
            if gap > 0:
                if left_shift > left[0]:  # the minimum is above 0
                    lefts = _push(left, left_weight, lefts, left_shift, 2 * gap)
                    lefts, rights = _move(
                        left,
                        left_weight,
                        lefts,
                        right,
                        right_weight,
                        rights,
                        left_shift - right_shift,
                        gap,
                    )
                elif right_shift + right[0] < 0:
                    rights = _push(right, right_weight, rights, -right_shift, 2 * gap)
                    rights, lefts = _move(
                        right,
                        right_weight,
                        rights,
                        left,
                        left_weight,
                        lefts,
                        left_shift - right_shift,
                        gap,
                    )
                else:
                    lefts = _push(left, left_weight, lefts, left_shift, gap)
                    rights = _push(right, right_weight, rights, -right_shift, gap)
            lowest[at - first] = left_shift - left[0]
            highest[at - first] = right_shift + right[0]
            if focal[at]:
                left_shift += focal_least
                right_shift += focal_most
            else:
                left_shift -= other_most
                right_shift -= other_least
        surplus = 0
        for at in range(last - 1, first - 1, -1):
            if focal[at]:
                least, most = surplus - focal_most, surplus - focal_least
            else:
                least, most = surplus + other_least, surplus + other_most
            least = min(max(least, lowest[at - first]), most)
            most = max(min(most, highest[at - first]), least)
            before = min(max(0, least), most)
            count[at] = abs(surplus - before)
            surplus = before
    return count
