"""Nearest neighbors on a score, 1:1 without replacement: compiled loops (arrays).

The functions of this file call compiled functions of this file only. They are reached through
two gateways, which fix types and memory layout: `nearest_in_data_order` and `nearest_by_key`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.compilation import compiled

__all__ = [
    "IN_USE",
    "MATCHED",
    "NOT_IN_STRATUM",
    "OUTSIDE_CALIPER",
    "NearestMatches",
    "nearest_by_key",
    "nearest_in_data_order",
]

MATCHED = 0
NOT_IN_STRATUM = 1
OUTSIDE_CALIPER = 2
IN_USE = 3

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NearestMatches:
    """For each row, its partner and why it has none.

    Attributes
    ----------
    partner : array of int, shape (n,)
        The row of the match, for treated and for comparison rows; -1 without.
    reason : array of int, shape (n,)
        For treated rows `MATCHED`; `NOT_IN_STRATUM`: no comparison row in the stratum;
        `OUTSIDE_CALIPER`: none within the caliper; `IN_USE`: those allowed were all taken.
    tied
        Rows that share their score with another row of their stratum.
    """

    partner: Integers
    reason: Integers
    tied: int

    def __repr__(self) -> str:
        """Show that there are matches, no rows."""
        return f"NearestMatches({len(self.partner)} rows)"


def nearest_in_data_order(
    score: ArrayLike, treated: ArrayLike, stratum: ArrayLike, *, caliper: float = np.inf
) -> NearestMatches:
    """Give each treated row the nearest free comparison row; ties go by the order of rows.

    Parameters
    ----------
    score : array of shape (n,)
        The distance scale; finite.
    treated : array of shape (n,)
        0 or 1.
    stratum : array of int, shape (n,)
        Only rows of one stratum are matched.
    caliper
        The widest distance, in units of `score`, inclusive.

    Notes
    -----
    Treated rows choose by descending score, equal ones by row. All rows of a stratum, treated
    ones too, stand sorted by score (equal ones by row); the search steps outward from the
    treated row, left 1, right 1, left 2, right 2 and so on, and of equally near free comparison
    rows takes the one that it meets first. This is the rule of R's MatchIt 4.7.2. Used rows are
    skipped by links that shorten themselves (union-find), so the time is that of the sort.
    """
    values = np.ascontiguousarray(score, dtype=np.float64)
    return _run(_data_order_loop, values, treated, stratum, float(caliper))


def nearest_by_key(
    score: ArrayLike, treated: ArrayLike, stratum: ArrayLike, *, caliper: int | None = None
) -> NearestMatches:
    """Give each treated row the nearest free comparison row; ties go to the first row.

    Parameters
    ----------
    score : array of int, shape (n,)
        The distance scale in whole units (for example 1e-12), so that equal distances are
        exactly equal.
    treated, stratum
        As in `nearest_in_data_order`.
    caliper
        The widest distance in the same units, inclusive; None for no limit.

    Notes
    -----
    Treated rows choose by descending score, equal ones by row; of equally near free comparison
    rows, on either side, the first row is taken. With rows ordered by a key beforehand, the
    result depends on scores and keys alone.
    """
    values = np.ascontiguousarray(score, dtype=np.int64)
    widest = np.iinfo(np.int64).max if caliper is None else int(caliper)
    return _run(_key_loop, values, treated, stratum, widest)


def _run(
    loop: Callable[..., None],
    score: NDArray[Any],
    treated: ArrayLike,
    stratum: ArrayLike,
    caliper: float,
) -> NearestMatches:
    n = len(score)
    group = np.ascontiguousarray(treated, dtype=np.int64)
    cell = np.ascontiguousarray(stratum, dtype=np.int64)
    order = np.lexsort((score, cell)) if n and (cell != cell[0]).any() else _stable(score)
    order = np.ascontiguousarray(order, dtype=np.int64)
    score, group, cell = score[order], group[order], cell[order]
    bounds = np.flatnonzero(np.diff(cell, prepend=cell[:1] - 1, append=cell[-1:] + 1))
    bounds = np.ascontiguousarray(bounds if n else np.zeros(1), dtype=np.int64)
    run_start = _run_starts(score, bounds)
    partner = np.full(n, -1, dtype=np.int64)
    loop(score, group, order, bounds, run_start, caliper, partner)
    reason = _reasons(score, group, bounds, caliper, partner)
    in_rows = np.full(n, -1, dtype=np.int64)
    in_rows[order] = np.where(partner >= 0, order[partner], -1)
    why = np.zeros(n, dtype=np.int64)
    why[order] = reason
    sizes = np.bincount(run_start, minlength=n)
    return NearestMatches(in_rows, why, int(sizes[sizes > 1].sum()))


def _stable(score: NDArray[Any]) -> NDArray[np.intp]:
    return np.argsort(score, kind="stable")


def _run_starts(score: NDArray[Any], bounds: Integers) -> Integers:
    """Return for each sorted position where its run of equal scores begins."""
    n = len(score)
    begins = np.ones(n, dtype=bool)
    begins[1:] = score[1:] != score[:-1]
    begins[bounds[:-1]] = True
    starts: Integers = np.maximum.accumulate(np.where(begins, np.arange(n), 0)).astype(np.int64)
    return starts


def _reasons(
    score: NDArray[Any], group: Integers, bounds: Integers, caliper: float, partner: Integers
) -> Integers:
    """Say of each treated position without a partner what stood in the way."""
    n = len(score)
    reason = np.zeros(n, dtype=np.int64)
    lost = np.flatnonzero((group == 1) & (partner < 0))
    if not len(lost):
        return reason
    position = np.arange(n)
    before = np.maximum.accumulate(np.where(group == 0, position, -1))[lost]
    after = np.minimum.accumulate(np.where(group == 0, position, n)[::-1])[::-1][lost]
    cell = np.searchsorted(bounds, lost, side="right") - 1
    has_before, has_after = before >= bounds[cell], after < bounds[cell + 1]
    near = np.zeros(len(lost), dtype=bool)
    near[has_before] = (score[lost] - score[before])[has_before] <= caliper
    last = np.minimum(after, n - 1)
    near[has_after] |= (score[last] - score[lost])[has_after] <= caliper
    reason[lost] = np.where(near, IN_USE, OUTSIDE_CALIPER)
    reason[lost[~(has_before | has_after)]] = NOT_IN_STRATUM
    return reason


@compiled
def _follow(link: Integers, place: int) -> int:
    """Return where the links from `place` end, and shorten them on the way."""
    while link[place] != place:
        link[place] = link[link[place]]
        place = link[place]
    return place


@compiled
def _links(group: Integers) -> tuple[Integers, Integers]:
    """Return links to the nearest free comparison place at or left of, at or right of, a place.

    Places are 1 to n; 0 and n + 1 mean that there is none.
    """
    n = len(group)
    left = np.arange(n + 2)
    right = np.arange(n + 2)
    for place in range(1, n + 1):
        if group[place - 1] == 1:
            left[place] = place - 1
            right[place] = place + 1
    return left, right


@compiled
def _data_order_loop(  # noqa: PLR0917
    score: NDArray[np.float64],
    group: Integers,
    order: Integers,  # noqa: ARG001
    bounds: Integers,
    run_start: Integers,
    caliper: float,
    partner: Integers,
) -> None:
    left, right = _links(group)
    for cell in range(len(bounds) - 1):
        last = bounds[cell + 1] - 1
        while last >= bounds[cell]:
            first = run_start[last]
            for at in range(first, last + 1):
                if group[at] == 0:
                    continue
                below = _follow(left, at + 1) - 1
                above = _follow(right, at + 1) - 1
                has_below = below >= bounds[cell]
                has_above = above < bounds[cell + 1]
                chosen = -1
                if has_below and has_above:
                    down = abs(score[at] - score[below])
                    up = abs(score[at] - score[above])
                    first_met = at - below <= above - at
                    chosen = below if down < up or (down == up and first_met) else above
                elif has_below:
                    chosen = below
                elif has_above:
                    chosen = above
                if chosen >= 0 and abs(score[at] - score[chosen]) <= caliper:
                    partner[at] = chosen
                    partner[chosen] = at
                    left[chosen + 1] = chosen
                    right[chosen + 1] = chosen + 2
            last = first - 1


@compiled
def _key_loop(  # noqa: PLR0917
    score: Integers,
    group: Integers,
    order: Integers,
    bounds: Integers,
    run_start: Integers,
    caliper: int,
    partner: Integers,
) -> None:
    left, right = _links(group)
    for cell in range(len(bounds) - 1):
        last = bounds[cell + 1] - 1
        while last >= bounds[cell]:
            first = run_start[last]
            for at in range(first, last + 1):
                if group[at] == 0:
                    continue
                above = _follow(right, first + 1) - 1
                below = _follow(left, first) - 1
                has_above = above < bounds[cell + 1]
                has_below = below >= bounds[cell]
                if has_below:  # of the equal scores there, the first that is free
                    below = _follow(right, run_start[below] + 1) - 1
                chosen = -1
                if has_below and has_above:
                    down = score[at] - score[below]
                    up = score[above] - score[at]
                    first_key = order[below] < order[above]
                    chosen = below if down < up or (down == up and first_key) else above
                elif has_below:
                    chosen = below
                elif has_above:
                    chosen = above
                if chosen >= 0 and abs(score[at] - score[chosen]) <= caliper:
                    partner[at] = chosen
                    partner[chosen] = at
                    left[chosen + 1] = chosen
                    right[chosen + 1] = chosen + 2
            last = first - 1
