"""Why focal rows have no match: the constraint that stood in the way (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.nearest.line import sorted_rows
from homevisit_eval.matching.nearest.market import columns_of
from homevisit_eval.matching.units import (
    IN_USE,
    NOT_ALLOWED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
    Pairs,
    Units,
)

__all__ = ["lost_reasons"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def lost_reasons(units: Units, pairs: Pairs) -> Integers:
    """Say of each focal row without a match what stood in the way.

    Returns
    -------
    array of int, shape (n,)
        0 for rows with a match and rows that are not focal; `NOT_IN_STRATUM`: there is nobody
        of the other group in the stratum; `OUTSIDE_CALIPER`: none of them is within all
        calipers; `NOT_ALLOWED`: those within are ruled out by a column in which pairs must
        differ, or are the same person; `IN_USE`: those allowed were used as often as they may.
    """
    n = len(units.focal)
    reason = np.zeros(n, dtype=np.int64)
    lost = units.focal.copy()
    lost[pairs.focal] = False
    rows = np.flatnonzero(lost)
    if not len(rows):
        return reason
    stratum = np.ascontiguousarray(units.stratum, dtype=np.int64)
    concerned = np.zeros(int(stratum.max()) + 1, dtype=bool)
    concerned[stratum[rows]] = True
    others = np.flatnonzero(~units.focal & concerned[stratum])
    values, widths = _narrowest_first(units)
    others = others[sorted_rows(values[others, 0], stratum[others])]
    starts = np.zeros(len(concerned) + 1, dtype=np.int64)
    np.cumsum(np.bincount(stratum[others], minlength=len(concerned)), out=starts[1:])
    reached = _best_reached(
        rows.astype(np.int64),
        others.astype(np.int64),
        stratum,
        starts,
        values,
        widths,
        _differing(units),
    )
    reason[rows] = np.array([NOT_IN_STRATUM, OUTSIDE_CALIPER, NOT_ALLOWED, IN_USE])[reached]
    return reason


def _narrowest_first(units: Units) -> tuple[FloatArray, FloatArray]:
    """Return what calipers limit and their widths, the most selective first; else one column."""
    if not units.limits:
        return np.zeros((len(units.focal), 1)), np.zeros(1)
    values = np.column_stack([limit.values for limit in units.limits]).astype(np.float64)
    widths = np.array([limit.width for limit in units.limits], dtype=np.float64)
    spread = values.max(axis=0) - values.min(axis=0)
    share = np.divide(widths, spread, out=np.full(len(widths), np.inf), where=spread > widths)
    order = np.argsort(share, kind="stable")
    return np.ascontiguousarray(values[:, order]), widths[order]


def _differing(units: Units) -> Integers:
    """Return all columns in which a pair must differ, the person among them."""
    columns = [] if units.apart is None else [*units.apart.T]
    if units.person is not None:
        columns.append(units.person)
    return columns_of(columns, len(units.focal), np.int64)


@compiled
def _best_reached(  # noqa: PLR0917
    rows: Integers,
    others: Integers,
    stratum: Integers,
    starts: Integers,
    values: FloatArray,
    widths: FloatArray,
    apart: Integers,
) -> Integers:
    """Return how far the best other comes: 0 there is none, 1 there is, 2 near, 3 allowed.

    The others within the first caliper are looked at until one is allowed.
    """
    reached = np.zeros(len(rows), dtype=np.int64)
    for number in range(len(rows)):
        row = rows[number]
        begin, end = starts[stratum[row]], starts[stratum[row] + 1]
        middle, last = begin, end
        while middle < last:
            half = (middle + last) // 2
            if values[others[half], 0] < values[row, 0]:
                middle = half + 1
            else:
                last = half
        best = 1 if begin < end else 0
        for step in (1, -1):
            at = middle if step > 0 else middle - 1
            while begin <= at < end and best < 3:
                other = others[at]
                if abs(values[other, 0] - values[row, 0]) > widths[0]:
                    break
                best = max(best, _reached(values, widths, apart, row, other))
                at += step
        reached[number] = best
    return reached


@compiled
def _reached(values: FloatArray, widths: FloatArray, apart: Integers, a: int, b: int) -> int:
    """Return 3 for a pair that is allowed, 2 for one only within all calipers, else 1."""
    for q in range(1, len(widths)):
        if not abs(values[a, q] - values[b, q]) <= widths[q]:
            return 1
    for column in range(apart.shape[1]):
        if apart[a, column] == apart[b, column]:
            return 2
    return 3
