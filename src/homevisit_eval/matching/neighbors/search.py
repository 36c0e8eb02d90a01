"""Near neighbors that may be matched, found in k-d trees: compiled (arrays).

The compiled functions of this file call compiled functions of this file only. `nearest_neighbors`
and `neighbors_within` are the gateways of one search, which keeps the nearest, or all in reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.neighbors.forest import Forest
from homevisit_eval.matching.units import Traits

__all__ = ["Neighbors", "nearest_neighbors", "neighbors_within"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Neighbors:
    """Allowed neighbors of some rows, one list a row, nearest first.

    Attributes
    ----------
    start : array of int, shape (rows + 1,)
        Where each row's list begins.
    member : array of int, shape (m,)
        Rows of the neighbors.
    distance : array of shape (m,)
    """

    start: Integers
    member: Integers
    distance: FloatArray

    def __repr__(self) -> str:
        """Show the number of lists and neighbors."""
        return f"Neighbors({len(self.start) - 1} lists, {len(self.member)})"

    @property
    def size(self) -> Integers:
        """How many neighbors each list has."""
        return np.diff(self.start)


def nearest_neighbors(forest: Forest, traits: Traits, rows: Integers, count: int) -> Neighbors:
    """Find the nearest allowed members for each row, `count` of them or as many as there are."""
    nowhere = np.empty(0)
    most = max(min(count, len(forest.member)), 1)
    size, place, distance = _found(forest, traits, rows, most, nowhere, nowhere, nowhere)
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return Neighbors(start, forest.member[place], distance)


def neighbors_within(
    forest: Forest, traits: Traits, rows: Integers, radius: FloatArray, reach: FloatArray
) -> Neighbors:
    """Find for each row i the allowed members j nearer than radius_i + reach_j.

    Parameters
    ----------
    forest, traits, rows
        The members are those of the forest.
    radius : array of shape (rows,)
    reach : array of shape (n,)
        Of the members, by row; may be negative.

    Returns
    -------
    Neighbors
        By distance minus reach, ascending; equal ones as they stand in the forest.
    """
    member_reach = np.ascontiguousarray(reach[forest.member], dtype=np.float64)
    farthest = _farthest_reach(forest.start, forest.stop, forest.child, member_reach)
    near = np.ascontiguousarray(radius, dtype=np.float64)
    size, place, distance = _found(forest, traits, rows, 0, near, member_reach, farthest)
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    row = np.repeat(np.arange(len(rows)), size)
    order = np.lexsort((place, distance - member_reach[place], row))
    return Neighbors(start, forest.member[place[order]], distance[order])


def _found(  # noqa: PLR0917
    forest: Forest,
    traits: Traits,
    rows: Integers,
    count: int,
    radius: FloatArray,
    reach: FloatArray,
    farthest: FloatArray,
) -> tuple[Integers, Integers, FloatArray]:
    return _search(
        forest.place,
        forest.code,
        forest.start,
        forest.stop,
        forest.child,
        forest.low,
        forest.high,
        traits.widths,
        np.ascontiguousarray(traits.place[rows]),
        np.ascontiguousarray(traits.code[rows]),
        forest.root[traits.stratum[rows]],
        count,
        radius,
        reach,
        farthest,
    )


@compiled
def _box_distance(
    x: FloatArray, low: FloatArray, high: FloatArray, node: int, widths: FloatArray
) -> float:
    """Return the squared distance of a point to a node's box; infinite outside a caliper."""
    p = len(x) - len(widths)
    total = 0.0
    for k in range(p):
        if x[k] < low[node, k]:
            total += (low[node, k] - x[k]) ** 2
        elif x[k] > high[node, k]:
            total += (x[k] - high[node, k]) ** 2
    for k in range(p, len(x)):
        if low[node, k] - x[k] > widths[k - p] or x[k] - high[node, k] > widths[k - p]:
            return np.inf
    return total


@compiled
def _pair_distance(  # noqa: PLR0917
    x: FloatArray,
    codes: Integers,
    place: FloatArray,
    code: Integers,
    at: int,
    widths: FloatArray,
) -> float:
    """Return the squared distance of a point to a member; infinite if they may not be a pair."""
    p = len(x) - len(widths)
    for k in range(p, len(x)):
        if abs(x[k] - place[at, k]) > widths[k - p]:
            return np.inf
    for k in range(len(codes)):
        if codes[k] == code[at, k]:
            return np.inf
    total = 0.0
    for k in range(p):
        total += (x[k] - place[at, k]) ** 2
    return total


@compiled
def _sink(far: FloatArray, who: Integers, size: int, distance: float, member: int) -> None:
    """Put an element on top of a heap whose top is the farthest, and let it sink."""
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and far[below + 1] > far[below]:
            below += 1
        if far[below] <= distance:
            break
        far[at], who[at] = far[below], who[below]
        at = below
    far[at], who[at] = distance, member


@compiled
def _rise(far: FloatArray, who: Integers, size: int, distance: float, member: int) -> None:
    """Put an element at the end of a heap whose top is the farthest, and let it rise."""
    at = size
    while at > 0 and far[(at - 1) // 2] < distance:
        far[at], who[at] = far[(at - 1) // 2], who[(at - 1) // 2]
        at = (at - 1) // 2
    far[at], who[at] = distance, member


@compiled
def _farthest_reach(
    start: Integers, stop: Integers, child: Integers, reach: FloatArray
) -> FloatArray:
    """Return the largest reach of each node's members."""
    farthest = np.full(len(start), -np.inf)
    for node in range(len(start) - 1, -1, -1):
        if child[node] >= 0:
            farthest[node] = max(farthest[child[node]], farthest[child[node] + 1])
        else:
            for at in range(start[node], stop[node]):
                farthest[node] = max(farthest[node], reach[at])
    return farthest


@compiled
def _sort(far: FloatArray, who: Integers, size: int) -> None:
    """Put a heap into ascending order, and turn its squared distances into distances."""
    for last in range(size - 1, 0, -1):
        distance, member = far[last], who[last]
        far[last], who[last] = far[0], who[0]
        _sink(far, who, last, distance, member)
    for at in range(size):
        far[at] = np.sqrt(far[at])


@compiled
def _search(  # noqa: PLR0912, PLR0917
    place: FloatArray,
    code: Integers,
    start: Integers,
    stop: Integers,
    child: Integers,
    low: FloatArray,
    high: FloatArray,
    widths: FloatArray,
    points: FloatArray,
    codes: Integers,
    roots: Integers,
    count: int,
    radius: FloatArray,
    reach: FloatArray,
    farthest: FloatArray,
) -> tuple[Integers, Integers, FloatArray]:
    """Keep the `count` nearest members of each point, or all in reach of it if `count` is 0.

    The nearer child comes first. Squared distances are compared while the nearest are kept.
    Returns the number of members of each point, and members and distances one after the other.
    """
    rows = len(points)
    size = np.zeros(rows, dtype=np.int64)
    room = count * rows if count > 0 else 4 * rows + 64
    who, far = np.empty(room, dtype=np.int64), np.empty(room)
    stack, bound = np.empty(256, dtype=np.int64), np.empty(256)
    begin = 0
    for row in range(rows):
        if roots[row] < 0:
            continue
        x, mine = points[row], codes[row]
        near, whom = far[begin : begin + count], who[begin : begin + count]
        held, top = 0, 1
        stack[0], bound[0] = roots[row], _box_distance(x, low, high, roots[row], widths)
        while top > 0:
            top -= 1
            node = stack[top]
            if bound[top] == np.inf or (count > 0 and held == count and bound[top] >= near[0]):
                continue
            if count == 0 and np.sqrt(bound[top]) >= radius[row] + farthest[node]:
                continue
            if child[node] >= 0:
                one, two = child[node], child[node] + 1
                first = _box_distance(x, low, high, one, widths)
                second = _box_distance(x, low, high, two, widths)
                if first > second:
                    one, two, first, second = two, one, second, first
                stack[top], bound[top] = two, second
                stack[top + 1], bound[top + 1] = one, first
                top += 2
                continue
            for at in range(start[node], stop[node]):
                distance = _pair_distance(x, mine, place, code, at, widths)
                if distance == np.inf:
                    continue
                if count == 0:
                    distance = np.sqrt(distance)
                    if distance < radius[row] + reach[at]:
                        if begin + held == len(who):
                            who = np.concatenate((who, np.empty_like(who)))
                            far = np.concatenate((far, np.empty_like(far)))
                        who[begin + held], far[begin + held] = at, distance
                        held += 1
                elif held < count:
                    _rise(near, whom, held, distance, at)
                    held += 1
                elif distance < near[0]:
                    _sink(near, whom, held, distance, at)
        if count > 0:
            _sort(near, whom, held)
        size[row] = held
        begin += held
    return size, who[:begin].copy(), far[:begin].copy()
