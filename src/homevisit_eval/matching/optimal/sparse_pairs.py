"""Optimal pairs among units that may be matched with near ones only, or in several variables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.optimal.assignment import Assignment, Rows
from homevisit_eval.matching.optimal.near_lists import NearLists
from homevisit_eval.matching.optimal.sparse_assignment import assign
from homevisit_eval.matching.units import Traits

__all__ = ["sparse_pairs"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

FIRST_NEIGHBORS = 12  # of each list, times the number of slots


def sparse_pairs(
    traits: Traits, focal: Flags, strata: Flags, ratio: int
) -> tuple[Integers, Integers]:
    """Pair focal with other rows: as many as possible, at the smallest total distance.

    Parameters
    ----------
    traits
        Of all rows.
    focal : array of bool, shape (n,)
    strata : array of bool, shape (number of strata,)
        Where to make pairs.
    ratio
        Pairs of a focal row at most.

    Returns
    -------
    tuple of two arrays of int, shape (m,)
        The focal and the other row of each pair.

    Notes
    -----
    As many focal rows as possible get a pair; further pairs come after that, and never at the
    cost of a focal row's only one. (Both numbers reach their maximum at once: a set of rows that
    can be matched together is contained in a largest one.)

    Lists of neighbors belong to the side that is short, so that they stay short themselves:
    focal rows if there are comparison rows for all their slots, comparison rows if there are
    fewer than focal rows; and between the two, focal rows for their first pair and comparison
    rows for further ones (Mendelsohn and Dulmage 1958: those who have a partner keep one).

    References
    ----------
    Mendelsohn, N. S., & Dulmage, A. L. (1958). Some generalizations of the problem of distinct
    representatives. *Canadian Journal of Mathematics*, 10, 230-241.
    """
    focal_count = np.bincount(traits.stratum[focal], minlength=len(strata))
    other_count = np.bincount(traits.stratum[~focal], minlength=len(strata))
    strata = strata & (focal_count > 0) & (other_count > 0)
    unrestricted = len(traits.widths) + traits.code.shape[1] == 0
    few = other_count < focal_count
    if ratio > 1 and not unrestricted:
        few = np.zeros_like(few)
    middle = (other_count > focal_count) & (other_count < ratio * focal_count)
    found = []
    for way, cells in ((_turned, few), (_in_both_ways, middle), (_in_slots, ~(few | middle))):
        here = (strata & cells)[traits.stratum]
        if here.any():
            rows = np.flatnonzero(here & focal), np.flatnonzero(here & ~focal)
            found.append(way(traits, *rows, ratio))
    none = np.zeros(0, dtype=np.int64)
    return (
        np.concatenate([none, *(pairs[0] for pairs in found)]),
        np.concatenate([none, *(pairs[1] for pairs in found)]),
    )


def _slot_rows(units: int, slots: int) -> Rows:
    """Return first slots of all units, then their second ones and so on, all to be filled."""
    n = units * slots
    return Rows(
        unit=np.tile(np.arange(units, dtype=np.int64), slots),
        price=np.full(n, np.inf),
        gives_way=np.ones(n, dtype=np.bool_),
    )


def _one_each(traits: Traits, seekers: Integers, members: Integers) -> Assignment:
    near = NearLists.among(traits, seekers, members)
    rows = _slot_rows(len(seekers), 1)
    state = Assignment.empty(len(seekers), len(members))
    todo = np.arange(len(seekers))
    return assign(near.nearest(FIRST_NEIGHBORS), near.widen, rows, todo, state)


def _turned(
    traits: Traits,
    focal: Integers,
    others: Integers,
    ratio: int,  # noqa: ARG001
) -> tuple[Integers, Integers]:
    """Find one focal row for each of the others, which are fewer."""
    state = _one_each(traits, others, focal)
    got = np.flatnonzero(state.col_of_row >= 0)
    return focal[state.col_of_row[got]], others[got]


def _in_slots(
    traits: Traits, focal: Integers, others: Integers, ratio: int
) -> tuple[Integers, Integers]:
    """Fill first slots, then further ones; no first slot gives way to one of those."""
    near = NearLists.among(traits, focal, others)
    n = len(focal)
    rows = _slot_rows(n, ratio)
    state = Assignment.empty(n * ratio, len(others))
    lists = near.nearest(FIRST_NEIGHBORS * ratio)
    state = assign(lists, near.widen, rows, np.arange(n), state)
    if ratio > 1:
        state.closed[state.closed == 1] = 2
        rows.gives_way[:n] = False
        state = assign(lists, near.widen, rows, np.arange(n, n * ratio), state)
    got = np.flatnonzero(state.col_of_row >= 0)
    return focal[rows.unit[got]], others[state.col_of_row[got]]


def _in_both_ways(
    traits: Traits, focal: Integers, others: Integers, ratio: int
) -> tuple[Integers, Integers]:
    """Find one match for each focal row, then a free slot for each of the others left over."""
    first = _one_each(traits, focal, others)
    matched = first.col_of_row >= 0
    # Focal rows that compete for too few others reach none of those that are left over.
    shut = ~matched
    shut[matched] = first.closed[first.col_of_row[matched]] > 0
    state = Assignment.empty(len(others), len(focal) * ratio)
    state.row_dual[:] = first.col_dual
    state.col_dual[::ratio] = np.where(shut, 0.0, first.row_dual)
    state.col_of_row[:] = np.where(first.row_of_col >= 0, first.row_of_col * ratio, -1)
    state.row_of_col[::ratio] = first.col_of_row
    state.closed[np.repeat(shut, ratio)] = 2
    near = NearLists.among(traits, others, focal)
    rows = _slot_rows(len(others), 1)
    todo = np.flatnonzero(first.row_of_col < 0)
    widest = max(0.0, float(state.col_dual.max()))
    state = assign(
        near.nearest(FIRST_NEIGHBORS), near.widen, rows, todo, state, slots=ratio, widest=widest
    )
    got = np.flatnonzero(state.col_of_row >= 0)
    return focal[state.col_of_row[got] // ratio], others[got]
