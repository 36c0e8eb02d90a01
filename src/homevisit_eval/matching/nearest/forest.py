"""A k-d tree for each stratum: where the nearest row is looked for in coordinates (arrays).

The functions of this file call compiled functions of this file only. `plant` is the gateway; the
trees are searched in `greedy`. Why lists of neighbors have trees of their own is said in
`neighbors.forest`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.nearest.greedy import Forest

__all__ = ["NODE", "SLOT", "plant"]

LEAF_ROWS = 64
DIMS_AT_ONCE = 4
WIDE = 4.0
"""A caliper's variable is split first as long as it spreads over this many widths."""

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SLOT = np.dtype([("row", np.int64), ("tie", np.int64), ("leaf", np.int64)])
"""A row in a tree: its number, its place in the order that decides ties, and its node."""

NODE = np.dtype(
    [
        (
            "begin",
            np.int64,
        ),  # first slot, and rows that can still be used; in a leaf they are first
        ("alive", np.int64),
        ("child", np.int64),  # the first of two children side by side; -1 in a leaf
        ("parent", np.int64),  # -1 above a root
        ("tie_low", np.int64),  # what the ties of its rows lie between
        ("tie_high", np.int64),
    ]
)
"""A node of a tree."""


def plant(
    points: FloatArray,
    widths: FloatArray,
    stratum: Integers,
    focal: NDArray[np.bool_],
    tie: Integers,
) -> tuple[Forest, Integers, Integers]:
    """Build the trees.

    Parameters
    ----------
    points : array of shape (n, p + q)
        Coordinates and the variables of q calipers. They are overwritten.
    widths : array of shape (q,)
        The widths of the calipers.
    stratum : array of int, shape (n,)
        Numbers from 0.
    focal : array of bool, shape (n,)
        Rows that are in no tree.
    tie : array of int, shape (n,)
        Each row's place in the order that decides ties.

    Returns
    -------
    Forest
    array of int, shape (n,)
        The slot of each row; -1 for focal rows.
    array of int, shape (strata,)
        The root of each stratum; -1 where no row may be a match.

    References
    ----------
    Friedman, J. H., Bentley, J. L., & Finkel, R. A. (1977). An algorithm for finding best
    matches in logarithmic expected time. *ACM Transactions on Mathematical Software*, 3(3),
    209-226.
    """
    rows = np.flatnonzero(~focal)
    rows = rows[np.argsort(stratum[rows], kind="stable")]
    strata = int(stratum.max(initial=-1)) + 1
    starts = np.zeros(strata + 1, dtype=np.int64)
    np.cumsum(np.bincount(stratum[rows], minlength=strata), out=starts[1:])
    slots = np.zeros(len(rows), dtype=SLOT)
    slots["row"], slots["tie"] = rows, tie[rows]
    most = 2 * len(rows)
    nodes = np.empty(most, dtype=NODE)  # memory is taken where it is written to
    boxes = np.empty((most, 2, points.shape[1]))
    roots = np.full(strata, -1, dtype=np.int64)
    used = _grow(slots, points, nodes, boxes, roots, widths, starts, LEAF_ROWS)
    place = np.full(len(stratum), -1, dtype=np.int64)
    place[slots["row"]] = np.arange(len(slots))
    origins = points[focal]
    for dim in range(0, points.shape[1], DIMS_AT_ONCE):  # in place: it is the largest array
        dims = slice(dim, dim + DIMS_AT_ONCE)
        points[: len(slots), dims] = points[slots["row"], dims]
    forest = Forest(slots, points[: len(slots)], nodes[:used], boxes[:used], origins)
    return forest, place, roots


@compiled
def _grow(  # noqa: PLR0917
    slots: NDArray[Any],
    points: FloatArray,
    nodes: NDArray[Any],
    boxes: FloatArray,
    roots: Integers,
    widths: FloatArray,
    starts: Integers,
    leaf_rows: int,
) -> int:
    """Fill nodes and boxes, put slots into the order of leaves, and return the number of nodes."""
    used = 0
    stack = np.empty(512, dtype=np.int64)
    for stratum in range(len(roots)):
        if starts[stratum] == starts[stratum + 1]:
            continue
        roots[stratum] = used
        nodes[used]["parent"] = -1
        nodes[used]["begin"] = starts[stratum]
        nodes[used]["alive"] = starts[stratum + 1] - starts[stratum]
        stack[0] = used
        used += 1
        waiting = 1
        while waiting:
            waiting -= 1
            node = stack[waiting]
            begin = nodes[node]["begin"]
            end = begin + nodes[node]["alive"]
            _measure(slots, points, nodes, boxes, node)
            if end - begin <= leaf_rows:
                nodes[node]["child"] = -1
                for slot in range(begin, end):
                    slots[slot]["leaf"] = node
                continue
            cut = _part(slots, points, begin, end, _direction(boxes, node, widths))
            nodes[node]["child"] = used
            for part in range(2):
                nodes[used]["parent"] = node
                nodes[used]["begin"] = begin if part == 0 else cut
                nodes[used]["alive"] = cut - begin if part == 0 else end - cut
                stack[waiting] = used
                used += 1
                waiting += 1
    return used


@compiled
def _measure(
    slots: NDArray[Any], points: FloatArray, nodes: NDArray[Any], boxes: FloatArray, node: int
) -> None:
    """Find what the points and ties of a node lie between."""
    begin = nodes[node]["begin"]
    low, high = slots[begin]["tie"], slots[begin]["tie"]
    for dim in range(points.shape[1]):
        boxes[node, 0, dim] = boxes[node, 1, dim] = points[slots[begin]["row"], dim]
    for slot in range(begin + 1, begin + nodes[node]["alive"]):
        low, high = min(low, slots[slot]["tie"]), max(high, slots[slot]["tie"])
        row = slots[slot]["row"]
        for dim in range(points.shape[1]):
            boxes[node, 0, dim] = min(boxes[node, 0, dim], points[row, dim])
            boxes[node, 1, dim] = max(boxes[node, 1, dim], points[row, dim])
    nodes[node]["tie_low"], nodes[node]["tie_high"] = low, high


@compiled
def _direction(boxes: FloatArray, node: int, widths: FloatArray) -> int:
    """Return the column by which to part a node; -1 (the ties) if all its points are equal."""
    dims = boxes.shape[2]
    plain = dims - len(widths)
    widest, by = 0.0, -1
    for dim in range(plain):
        spread = boxes[node, 1, dim] - boxes[node, 0, dim]
        if spread > widest:
            widest, by = spread, dim
    most = WIDE if by >= 0 else 0.0
    for dim in range(plain, dims):
        spread, width = boxes[node, 1, dim] - boxes[node, 0, dim], widths[dim - plain]
        if spread > most * width:
            most, by = spread / width if width > 0 else np.inf, dim
    return by


@compiled
def _part(slots: NDArray[Any], points: FloatArray, begin: int, end: int, by: int) -> int:
    """Order slots around the median of a column (-1: of the ties); return where to cut.

    Equal values stay together: the cut is at that end of the median's run which is nearer to the
    middle.
    """
    middle = (begin + end) // 2
    first, last = begin, end
    while True:
        pivot = _value(slots, points, (first + last) // 2, by)
        less, place, more = first, first, last
        while place < more:
            value = _value(slots, points, place, by)
            if value < pivot:
                _swap(slots, place, less)
                less += 1
                place += 1
            elif value > pivot:
                more -= 1
                _swap(slots, place, more)
            else:
                place += 1
        if middle < less:
            last = less
        elif middle >= more:
            first = more
        elif less > begin and (middle - less <= more - middle or more == end):
            return less
        else:
            return more


@compiled
def _value(slots: NDArray[Any], points: FloatArray, slot: int, by: int) -> float:
    if by < 0:
        return float(slots[slot]["tie"])
    value: float = points[slots[slot]["row"], by]
    return value


@compiled
def _swap(slots: NDArray[Any], a: int, b: int) -> None:
    slots[a]["row"], slots[b]["row"] = slots[b]["row"], slots[a]["row"]
    slots[a]["tie"], slots[b]["tie"] = slots[b]["tie"], slots[a]["tie"]
