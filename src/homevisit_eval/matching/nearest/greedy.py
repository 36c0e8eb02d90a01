"""Greedy matching: focal rows take the nearest usable row, one after the other (compiled loops).

The functions of this file call compiled functions of this file only, and the tuples that they take
are those of this file. The gateway is `nearest.nearest_pairs`. One of `line` and `forest` is None:
numba compiles for the other alone.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled

__all__ = ["Forest", "Line", "Market", "take_by_distance", "take_in_turn"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Records = NDArray[Any]
"""An array of records; a field is read as array[number]["field"]."""


class Market(NamedTuple):
    """Who looks for whom, what a pair must meet, and the pairs made; n rows, f of them focal.

    Attributes
    ----------
    rows : array of ROW, shape (n,)
    persons : array of PERSON, shape (persons,)
        Empty if it does not matter whose a row is.
    focal : array of FOCAL, shape (f,)
    matches : array of MATCH
        Those of each focal row side by side.
    limits, widths : arrays of shape (n, q) and (q,)
        Calipers, inclusive; that of the score is not among them on a line.
    apart : array of int, shape (n, a)
        Codes that must differ.
    found : array of FOUND, shape (most matches of a row,)
        Of the last search, nearest first.
    by_row : bool
        Ties go to the lower row; else by MatchIt's rules.
    """

    rows: Records
    persons: Records
    focal: Records
    matches: Records
    limits: FloatArray
    widths: FloatArray
    apart: Integers
    found: Records
    by_row: bool


class Line(NamedTuple):
    """All n rows sorted by stratum and score, equal ones by row.

    Attributes
    ----------
    places : array of PLACE, shape (n + 2,)
        Rows stand at places 1 to n.
    width : float
        The caliper of the score.
    """

    places: NDArray[Any]
    width: float


class Forest(NamedTuple):
    """Trees over the m rows that may be matches, in the order of slots.

    Attributes
    ----------
    slots : array of SLOT, shape (m,)
    points : array of shape (m, p + q)
        Coordinates, then the variables of the calipers.
    nodes : array of NODE
    boxes : array of shape (nodes, 2, p + q)
        What the points of a node lie between.
    origins : array of shape (f, p + q)
        The points of focal rows.
    """

    slots: NDArray[Any]
    points: FloatArray
    nodes: NDArray[Any]
    boxes: FloatArray
    origins: FloatArray


@compiled
def take_in_turn(
    market: Market, line: Line | None, forest: Forest | None, turns: Integers, at_once: bool
) -> None:
    """Let focal rows take their nearest usable row one after the other.

    Parameters
    ----------
    market
        Matches are written into it.
    line, forest
        Where to look; one of them is None.
    turns : array of int
        Numbers of focal rows in the order in which they choose.
    at_once
        Each takes as many rows as it has room for; else one.
    """
    found = market.found
    for f in turns:
        got = _nearest(market, line, forest, f, market.focal[f]["room"] if at_once else 1)
        for rank in range(got):
            _take(market, line, forest, f, found[rank]["row"], found[rank]["distance"])


@compiled
def take_by_distance(
    market: Market, line: Line | None, forest: Forest | None, turns: Integers, sign: float
) -> None:
    """Let those take one row first whose nearest usable row is closest, or farthest.

    Parameters
    ----------
    market, line, forest, turns
        As for `take_in_turn`.
    sign
        1 for the closest, -1 for the farthest first.

    Notes
    -----
    Who comes up when that row is no longer usable looks again and waits anew; among equal
    distances behind earlier turns (by row), or before all others (MatchIt).
    """
    best = market.found
    waiting = [(0.0, 0, 0, 0) for _ in range(0)]
    stamp = 0
    for turn in range(len(turns)):
        f = turns[turn]
        if _nearest(market, line, forest, f, 1):
            heappush(waiting, (sign * best[0]["distance"], turn, f, best[0]["row"]))
    while waiting:
        distance, turn, f, row = heappop(waiting)
        if not _spent(market, row):
            _take(market, line, forest, f, row, sign * distance)
        elif _nearest(market, line, forest, f, 1):
            stamp -= 1
            turn = turn if market.by_row else stamp
            heappush(waiting, (sign * best[0]["distance"], turn, f, best[0]["row"]))


@compiled
def _spent(market: Market, row: int) -> bool:
    if market.rows[row]["left"] <= 0:
        return True
    if len(market.persons) == 0:
        return False
    spent: bool = market.persons[market.rows[row]["person"]]["left"] <= 0
    return spent


@compiled
def _allowed(market: Market, f: int, row: int) -> bool:
    """Say whether a pair meets all calipers but that of a line, and everything else."""
    own = market.focal[f]["row"]
    for q in range(len(market.widths)):
        if not abs(market.limits[own, q] - market.limits[row, q]) <= market.widths[q]:
            return False
    for a in range(market.apart.shape[1]):
        if market.apart[own, a] == market.apart[row, a]:
            return False
    if len(market.persons) and market.rows[own]["person"] == market.rows[row]["person"]:
        return False
    start = market.focal[f]["start"]
    for at in range(start, start + market.focal[f]["have"]):
        if market.matches[at]["row"] == row:
            return False
    return True


@compiled
def _take(  # noqa: PLR0917
    market: Market, line: Line | None, forest: Forest | None, f: int, row: int, distance: float
) -> None:
    """Make a pair."""
    own, taken = market.focal[f], market.rows[row]
    at = own["start"] + own["have"]
    market.matches[at]["row"], market.matches[at]["distance"] = row, distance
    own["have"] += 1
    own["low"] = min(own["low"], taken["place"])
    own["high"] = max(own["high"], taken["place"])
    if len(market.persons):
        market.persons[taken["person"]]["done"] += 1
        market.persons[taken["person"]]["left"] -= 1
    taken["left"] -= 1
    if taken["left"] == 0:
        _remove(market, line, forest, row)


@compiled
def _remove(market: Market, line: Line | None, forest: Forest | None, row: int) -> None:
    """Take a row out of what is searched."""
    place = market.rows[row]["place"]
    if line is not None:
        line.places[place]["left"] = place - 1
        line.places[place]["right"] = place + 1
    if forest is not None:
        slots = forest.slots
        node = slots[place]["leaf"]
        last = forest.nodes[node]["begin"] + forest.nodes[node]["alive"] - 1
        for dim in range(forest.points.shape[1]):
            here = forest.points[place, dim]
            forest.points[place, dim] = forest.points[last, dim]
            forest.points[last, dim] = here
        slots[place]["row"], slots[last]["row"] = slots[last]["row"], slots[place]["row"]
        slots[place]["tie"], slots[last]["tie"] = slots[last]["tie"], slots[place]["tie"]
        market.rows[slots[place]["row"]]["place"], market.rows[row]["place"] = place, last
        while node >= 0:
            forest.nodes[node]["alive"] -= 1
            node = forest.nodes[node]["parent"]


@compiled
def _nearest(market: Market, line: Line | None, forest: Forest | None, f: int, need: int) -> int:
    """Find up to `need` rows, nearest first; return how many."""
    got = 0
    if line is not None:
        got = _nearest_on_line(market, line, f, need)
    if forest is not None:
        got = _nearest_in_tree(market, forest, f, need)
    return got


@compiled
def _free_left(places: Records, place: int) -> int:
    """Return the nearest usable place at or left of one, 0 without; shorten the links."""
    while places[place]["left"] != place:
        places[place]["left"] = places[places[place]["left"]]["left"]
        place = places[place]["left"]
    return place


@compiled
def _free_right(places: Records, place: int) -> int:
    """Return the nearest usable place at or right of one, n + 1 without; shorten the links."""
    while places[place]["right"] != place:
        places[place]["right"] = places[places[place]["right"]]["right"]
        place = places[place]["right"]
    return place


@compiled
def _next_left(places: Records, place: int, lowest: int, by_row: bool) -> int:
    """Return the usable place after `place` on the left, 0 if there is none.

    By row, a run of equal scores is gone through from its first row on.
    """
    if by_row:
        after = _free_right(places, place + 1)
        if places[after]["first"] == places[place]["first"]:
            return after
        place = places[place]["first"]
    before = _free_left(places, place - 1)
    if before < lowest:
        return 0
    return _free_right(places, places[before]["first"]) if by_row else before


@compiled
def _nearest_on_line(market: Market, line: Line, f: int, need: int) -> int:
    """Step outward from a focal row (MatchIt: from its outermost matches), nearest first.

    Equal distances: by row, the lower row first; else fewer steps first, then the left.
    """
    places, found, by_row = line.places, market.found, market.by_row
    own = market.focal[f]
    low, high = own["low"], own["high"]
    if by_row:  # its own run counts as being on the right
        low = places[own["here"]]["first"]
        high = low - 1
    before = _free_left(places, low - 1)
    if before < own["lowest"]:
        before = 0
    elif by_row:
        before = _free_right(places, places[before]["first"])
    after = _free_right(places, high + 1)
    score = places[own["here"]]["score"]
    got = 0
    while got < need and (before or after <= own["highest"]):
        down = score - places[before]["score"] if before else np.inf
        up = places[after]["score"] - score if after <= own["highest"] else np.inf
        if min(down, up) > line.width:
            break
        if down != up:
            left = down < up
        elif by_row:
            left = places[before]["row"] < places[after]["row"]
        else:
            left = low - before <= after - high
        place = before if left else after
        row = places[place]["row"]
        if _spent(market, row):
            _remove(market, line, None, row)
        elif _allowed(market, f, row):
            found[got]["row"], found[got]["distance"] = row, min(down, up)
            got += 1
        if left:
            before = _next_left(places, place, own["lowest"], by_row)
        else:
            after = _free_right(places, place + 1)
    return got


@compiled
def _bound(forest: Forest, node: int, point: FloatArray, widths: FloatArray) -> float:
    """Return the least squared distance that a row of a node may have; infinity if none is allowed.

    It adds what `_search_leaf` adds, in the same order, so rounding never makes it too large.
    """
    if forest.nodes[node]["alive"] == 0:
        return np.inf
    boxes, plain = forest.boxes, len(point) - len(widths)
    total = 0.0
    for dim in range(plain):
        gap = max(boxes[node, 0, dim] - point[dim], point[dim] - boxes[node, 1, dim], 0.0)
        total += gap * gap
    for dim in range(plain, len(point)):
        gap = max(boxes[node, 0, dim] - point[dim], point[dim] - boxes[node, 1, dim])
        if gap > widths[dim - plain]:
            return np.inf
    return total


@compiled
def _key(tie: int, here: int, by_row: bool) -> int:
    """Return what decides between equal distances, the smallest first.

    By row, the place of the row; else the most steps from `here`, the right before the left.
    """
    if by_row:
        return tie
    return -2 * (tie - here) - 1 if tie > here else -2 * (here - tie)


@compiled
def _least_key(forest: Forest, node: int, here: int, by_row: bool) -> int:
    first = _key(forest.nodes[node]["tie_low"], here, by_row)
    return first if by_row else min(first, _key(forest.nodes[node]["tie_high"], here, by_row))


@compiled
def _nearest_in_tree(market: Market, forest: Forest, f: int, need: int) -> int:
    """Search the tree of a focal row's stratum, the nearer child first; distances are squares."""
    found, widths, point = market.found, market.widths, forest.origins[f]
    here, root = market.focal[f]["here"], market.focal[f]["lowest"]
    if root < 0:
        return 0
    waits, bounds = np.empty(512, dtype=np.int64), np.empty(512)
    waits[0], bounds[0] = root, _bound(forest, root, point, widths)
    waiting, got = 1, 0
    while waiting:
        waiting -= 1
        node, bound = waits[waiting], bounds[waiting]
        most = found[need - 1]["distance"] if got == need else np.inf
        if bound > most or bound == np.inf:
            continue
        if (
            bound == most
            and _least_key(forest, node, here, market.by_row) >= found[need - 1]["key"]
        ):
            continue
        child = forest.nodes[node]["child"]
        if child < 0:
            got = _search_leaf(market, forest, f, node, need, got)
            continue
        first = _bound(forest, child, point, widths)
        second = _bound(forest, child + 1, point, widths)
        later = 1 if first <= second else 0
        waits[waiting], bounds[waiting] = child + later, max(first, second)
        waits[waiting + 1], bounds[waiting + 1] = child + 1 - later, min(first, second)
        waiting += 2
    return got


@compiled
def _search_leaf(  # noqa: PLR0917
    market: Market, forest: Forest, f: int, node: int, need: int, got: int
) -> int:
    """Put the rows of a leaf that are nearer among those found; return how many there are."""
    found, point, here = market.found, forest.origins[f], market.focal[f]["here"]
    plain = len(point) - len(market.widths)
    slot = forest.nodes[node]["begin"]
    while slot < forest.nodes[node]["begin"] + forest.nodes[node]["alive"]:
        most = found[need - 1]["distance"] if got == need else np.inf
        total = 0.0
        for dim in range(plain):
            gap = forest.points[slot, dim] - point[dim]
            total += gap * gap
        row = forest.slots[slot]["row"]
        tie = _key(forest.slots[slot]["tie"], here, market.by_row)
        if total > most or (total == most and tie >= found[need - 1]["key"]):
            slot += 1
        elif _spent(market, row):
            _remove(market, None, forest, row)  # another row takes its slot
        else:
            slot += 1
            if _allowed(market, f, row):
                got = _insert(found, need, got, row, total, tie)
    return got


@compiled
def _insert(  # noqa: PLR0917
    found: Records, need: int, got: int, row: int, distance: float, key: int
) -> int:
    """Put a row among those found, where distance and key belong; return how many there are."""
    at = min(got, need - 1)
    while at:
        other = found[at - 1]
        if other["distance"] < distance or (other["distance"] == distance and other["key"] < key):
            break
        found[at]["row"], found[at]["distance"] = other["row"], other["distance"]
        found[at]["key"] = other["key"]
        at -= 1
    found[at]["row"], found[at]["distance"], found[at]["key"] = row, distance, key
    return min(got + 1, need)
