"""Nearest neighbor matching: who chooses when, and how many matches each may have (arrays)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.nearest.forest import plant
from homevisit_eval.matching.nearest.greedy import (
    Forest,
    Line,
    Market,
    take_by_distance,
    take_in_turn,
)
from homevisit_eval.matching.nearest.line import line_up, sorted_rows
from homevisit_eval.matching.nearest.market import (
    FOUND,
    MATCH,
    as_pairs,
    columns_of,
    focal_of,
    rows_of,
)
from homevisit_eval.matching.units import Limit, Pairs, Units

__all__ = ["nearest_pairs", "variable_ratio"]

Integers = NDArray[np.int64]
Records = NDArray[Any]

ORDERS = ("largest", "smallest", "data", "random", "closest", "farthest")


def nearest_pairs(
    units: Units,
    *,
    ratio: ArrayLike,
    max_uses: int,
    max_uses_per_person: int,
    order: str,
    seed: int,
    ties: str,
    person_uses: Integers | None = None,
) -> Pairs:
    """Give each focal row the nearest rows of the other group that may still be used.

    Parameters
    ----------
    units
        Rows in the order that breaks ties. The distance is that of the coordinates, or of the
        score if there are none. Under ``ties="row"`` scores should be whole numbers below 2^53,
        so that equal distances are exactly equal.
    ratio : int, or array of int, shape (focal rows,)
        Matches for each focal row, in the order of rows.
    max_uses, max_uses_per_person
        How often a row, and all rows of a person together, may be matches; 0 for no limit.
    order
        Who chooses first: ``"largest"`` or ``"smallest"`` score, ``"data"`` (rows), ``"random"``,
        ``"closest"`` or ``"farthest"``.
    seed
        Of the random order.
    ties
        ``"row"`` or ``"matchit"``.
    person_uses : array of int, shape (persons,), optional
        Uses so far, as of other calls; this call's uses are added in place.

    Returns
    -------
    Pairs

    Raises
    ------
    MatchingError
        If an option is unknown, lacks what it needs, or arrays do not fit together.

    Notes
    -----
    With a limit of uses, everybody chooses a first match, then everybody with one a second, and
    so on; without any, all at once. Nobody gets the same row twice, and every pair meets the
    stratum, all calipers (inclusive), what must differ, and is of two persons.

    *Order.* Equal scores keep the order of rows. ``"closest"``: the focal row whose nearest usable
    row is closest; who finds that row used when its turn comes looks again and waits anew (among
    equal distances by row, or, under ``"matchit"``, before all others). ``"farthest"``: the same
    with the largest distance first, so who finds the row used takes the next nearest at once.

    *Equal distances* under ``"row"``: the lower row. Under ``"matchit"``, the rules of R's MatchIt
    4.7.2, as its results show them. On a score: all rows of the stratum, focal ones too, stand in
    the order of scores; fewer steps from the focal row (in later rounds from its outermost
    matches) win, then the left. In coordinates: rows stand in the order of the first one; the
    most steps win, then the right.

    Used rows are skipped by links that shorten themselves (union-find), or cut from the tree, so
    a line takes the time of its sort.
    """
    _check(units, order, ties, max_uses, max_uses_per_person)
    focal = focal_of(units, ratio)
    rows, persons = rows_of(units, max_uses, max_uses_per_person, person_uses)
    line, forest, limits = _space(units, rows, focal, by_row=ties == "row")
    matches = np.zeros(int(focal["room"].sum()), dtype=MATCH)
    matches["row"] = -1
    market = Market(
        rows=rows,
        persons=persons,
        focal=focal,
        matches=matches,
        limits=columns_of([limit.values for limit in limits], len(rows), np.float64),
        widths=np.array([limit.width for limit in limits], dtype=np.float64),
        apart=columns_of([] if units.apart is None else [*units.apart.T], len(rows), np.int64),
        found=np.zeros(int(focal["room"].max(initial=0)), dtype=FOUND),
        by_row=ties == "row",
    )
    at_once = max_uses == 0 and max_uses_per_person == 0
    _take(market, line, forest, _turns(units, focal, order, seed), order="" if at_once else order)
    if person_uses is not None:
        person_uses[: len(persons)] = persons["done"]
    if forest is not None:
        matches["distance"] = np.sqrt(matches["distance"])
    return as_pairs(focal, matches)


def variable_ratio(
    score: ArrayLike, focal: ArrayLike, *, mean: int, least: int, most: int
) -> Integers:
    """Return how many matches each focal row may have, more where the score is low.

    Parameters
    ----------
    score : array of shape (n,)
    focal : array of bool, shape (n,)
    mean, least, most
        Matches for each focal row; 1 <= least <= mean <= most.

    Returns
    -------
    array of int, shape (focal rows,)
        In the order of rows; their mean is `mean`.

    Notes
    -----
    Focal rows with low scores have more comparison rows like them. From the lowest score on (of
    equal ones the last row), each gets `most`, until the mean is reached; the others get `least`.

    References
    ----------
    Ming, K., & Rosenbaum, P. R. (2000). Substantial gains in bias reduction from matching with
    a variable number of controls. *Biometrics*, 56(1), 118-124.
    """
    if not 1 <= least <= mean <= most:
        raise MatchingError(
            f"A variable ratio needs 1 <= least <= mean <= most; they are {least}, {mean}, {most}."
        )
    values = np.asarray(score, dtype=np.float64)[np.asarray(focal, dtype=bool)]
    ratio = np.full(len(values), least, dtype=np.int64)
    spare = len(values) * (mean - least)
    from_lowest = np.argsort(-values, kind="stable")[::-1]
    before = np.arange(len(values)) * (most - least)
    ratio[from_lowest] += np.clip(spare - before, 0, most - least)
    return ratio


def _check(units: Units, order: str, ties: str, max_uses: int, max_uses_per_person: int) -> None:
    n = len(units.focal)
    if order not in ORDERS or ties not in ("row", "matchit"):
        raise MatchingError(
            f"order must be one of {', '.join(ORDERS)}, and ties row or matchit; they are "
            f"{order!r} and {ties!r}."
        )
    if units.score is None and (units.coordinates is None or order in ("largest", "smallest")):
        raise MatchingError(
            f"order {order!r} needs a score, and so does matching without coordinates. Give a "
            "score, or choose order 'data'."
        )
    if min(max_uses, max_uses_per_person) < 0 or (max_uses_per_person and units.person is None):
        raise MatchingError(
            "max_uses and max_uses_per_person must be 0 (no limit) or more, and the latter needs "
            "to know whose row each is."
        )
    arrays = (units.stratum, units.score, units.coordinates, units.apart, units.person)
    lengths = [len(array) for array in arrays if array is not None]
    lengths += [len(limit.values) for limit in units.limits]
    if set(lengths) - {n}:
        raise MatchingError(f"All arrays need the length of focal, {n:,}; there is another one.")
    if n and units.stratum.min() < 0:
        raise MatchingError("Strata are numbered from 0; there are negative numbers.")
    for values in (units.score, units.coordinates):
        if values is not None and not np.isfinite(values).all():
            raise MatchingError(
                "Scores and coordinates must be finite; leave rows without them out first."
            )


def _take(
    market: Market, line: Line | None, forest: Forest | None, turns: Integers, *, order: str
) -> None:
    """Let focal rows choose: in rounds, or all matches at once if `order` is empty."""
    focal = market.focal
    turns = turns[focal["room"][turns] > 0]
    if not order:
        take_in_turn(market, line, forest, turns, True)
        return
    for rank in range(1, len(market.found) + 1):
        if order in ("closest", "farthest"):
            take_by_distance(market, line, forest, turns, 1.0 if order == "closest" else -1.0)
        else:
            take_in_turn(market, line, forest, turns, False)
        turns = turns[(focal["have"][turns] == rank) & (focal["room"][turns] > rank)]


def _space(
    units: Units, rows: Records, focal: Records, *, by_row: bool
) -> tuple[Line | None, Forest | None, tuple[Limit, ...]]:
    """Return where to look, and the calipers still to be checked; tell rows where they stand."""
    stratum = np.ascontiguousarray(units.stratum, dtype=np.int64)
    own = stratum[units.focal]
    if units.coordinates is None:
        score = np.ascontiguousarray(units.score, dtype=np.float64)
        on_score = [np.array_equal(limit.values, score) for limit in units.limits]
        widths = [limit.width for limit, same in zip(units.limits, on_score, strict=True) if same]
        rest = [limit for limit, same in zip(units.limits, on_score, strict=True) if not same]
        width = float(min(widths, default=np.inf))
        line, rows["place"], bounds = line_up(score, stratum, units.focal, width)
        focal["here"] = focal["low"] = focal["high"] = rows["place"][units.focal]
        focal["lowest"], focal["highest"] = bounds[own], bounds[own + 1] - 1
        return line, None, tuple(rest)
    points = np.column_stack([units.coordinates, *(limit.values for limit in units.limits)])
    points = np.ascontiguousarray(points, dtype=np.float64)
    tie = np.arange(len(rows))
    if not by_row and units.coordinates.shape[1]:
        tie[sorted_rows(points[:, 0], stratum)] = np.arange(len(rows))
    all_widths = np.array([limit.width for limit in units.limits], dtype=np.float64)
    forest, rows["place"], roots = plant(points, all_widths, stratum, units.focal, tie)
    focal["here"], focal["lowest"] = tie[units.focal], roots[own]
    return None, forest, units.limits


def _turns(units: Units, focal: Records, order: str, seed: int) -> Integers:
    """Return the numbers of focal rows in the order in which they choose."""
    rows = focal["row"]
    if order == "random":
        bits = np.random.PCG64(np.random.SeedSequence([seed]))
        key = np.random.Generator(bits).random(len(units.focal))[rows]
    elif order in ("largest", "smallest"):
        assert units.score is not None
        key = units.score[rows] if order == "smallest" else -units.score[rows]
    else:
        return np.arange(len(rows))
    if units.person is None:  # strata do not touch each other: one after the other is faster
        return sorted_rows(key, units.stratum[rows]).astype(np.int64)
    return np.argsort(key, kind="stable").astype(np.int64)
