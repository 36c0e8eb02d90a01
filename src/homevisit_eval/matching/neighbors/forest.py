"""A k-d tree in each stratum, calipers among its boxes: compiled (arrays).

The compiled functions of this file call compiled functions of this file only; `plant` is their
gateway.

`nearest.forest` builds another tree, and the two stay apart. Here nodes are parted at the median
by count, in the order in which leaves list members, and that order says which of equally near
members a short list holds. There equal values stay together and nodes know their parents and the
ties of their rows, because rows leave the tree and the lowest of equally near rows is asked for;
parted by count, covariates of few values would make that search slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.units import Traits

__all__ = ["Forest", "plant"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LEAF = 16
SELECTIVE = 4.0  # a node this many calipers wide is split along the caliper's variable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Forest:
    """A k-d tree for the members of each stratum; arrays stand in the order of the leaves.

    Attributes
    ----------
    member : array of int, shape (m,)
        Their rows.
    place, code
        Their traits.
    start, stop, child : arrays of int, shape (nodes,)
        A node's members, and the first of its two children (neighbors), -1 for a leaf.
    low, high : arrays of shape (nodes, p + q)
        The box around a node's members.
    root : array of int, shape (strata,)
        -1 where a stratum has no member.
    """

    member: Integers
    place: FloatArray
    code: Integers
    start: Integers
    stop: Integers
    child: Integers
    low: FloatArray
    high: FloatArray
    root: Integers

    def __repr__(self) -> str:
        """Show the number of members."""
        return f"Forest({len(self.member)} members)"


def plant(traits: Traits, rows: Integers, strata: int) -> Forest:
    """Make the trees of some rows; strata are numbered from 0 to `strata` - 1."""
    cell = traits.stratum[rows]
    order = rows[np.argsort(cell, kind="stable")].astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=strata))]).astype(np.int64)
    p = traits.place.shape[1] - len(traits.widths)
    start, stop, child, low, high, root = _grow(traits.place, order, bounds, p, traits.widths)
    return Forest(
        member=order,
        place=np.ascontiguousarray(traits.place[order]),
        code=np.ascontiguousarray(traits.code[order]),
        start=start,
        stop=stop,
        child=child,
        low=low,
        high=high,
        root=root,
    )


@compiled
def _select(key: FloatArray, order: Integers, first: int, last: int, middle: int) -> None:
    """Move the rows so that those before `middle` have no larger key than those from it on."""
    last -= 1
    while first < last:
        pivot = key[order[(first + last) // 2]]
        i, j = first, last
        while i <= j:
            while key[order[i]] < pivot:
                i += 1
            while key[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            last = j
        elif middle >= i:
            first = i
        else:
            break


@compiled
def _grow(
    place: FloatArray, order: Integers, bounds: Integers, p: int, widths: FloatArray
) -> tuple[Integers, Integers, Integers, FloatArray, FloatArray, Integers]:
    """Build the trees; `order` is rearranged in place."""
    d = place.shape[1]
    strata = len(bounds) - 1
    most = 2 * (2 * (len(order) // LEAF + 1) + strata) + 2
    start = np.zeros(most, dtype=np.int64)
    stop = np.zeros(most, dtype=np.int64)
    child = np.full(most, -1, dtype=np.int64)
    low = np.zeros((most, d))
    high = np.zeros((most, d))
    root = np.full(strata, -1, dtype=np.int64)
    columns = place.T.copy()
    nodes = 0
    for cell in range(strata):
        if bounds[cell] == bounds[cell + 1]:
            continue
        root[cell] = nodes
        start[nodes], stop[nodes] = bounds[cell], bounds[cell + 1]
        at = nodes
        nodes += 1
        while at < nodes:
            a, b = start[at], stop[at]
            for k in range(d):
                least, largest = columns[k, order[a]], columns[k, order[a]]
                for i in range(a + 1, b):
                    value = columns[k, order[i]]
                    least, largest = min(least, value), max(largest, value)
                low[at, k], high[at, k] = least, largest
            if b - a > LEAF:
                along, widest = 0, -1.0
                for k in range(p):
                    if high[at, k] - low[at, k] > widest:
                        along, widest = k, high[at, k] - low[at, k]
                widest = SELECTIVE
                for k in range(p, d):
                    spread = high[at, k] - low[at, k]
                    if spread > widest * widths[k - p]:
                        along = k
                        widest = spread / widths[k - p] if widths[k - p] > 0 else np.inf
                middle = (a + b) // 2
                _select(columns[along], order, a, b, middle)
                child[at] = nodes
                start[nodes], stop[nodes] = a, middle
                start[nodes + 1], stop[nodes + 1] = middle, b
                nodes += 2
            at += 1
    return start[:nodes], stop[:nodes], child[:nodes], low[:nodes], high[:nodes], root
