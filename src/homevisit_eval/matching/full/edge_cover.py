"""Cheapest edges that reach every unit of two groups, and the stars they form (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.neighbors import nearest_neighbors, neighbors_within, plant
from homevisit_eval.matching.optimal import Assignment, Lists, Rows, assign
from homevisit_eval.matching.units import Traits

__all__ = ["cheapest_cover", "nearest_allowed", "to_stars"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


def nearest_allowed(
    traits: Traits, seekers: Integers, members: Integers
) -> tuple[Integers, FloatArray]:
    """Return each seeker's nearest allowed member and its distance; -1 and infinity without."""
    strata = int(traits.stratum.max(initial=-1)) + 1
    found = nearest_neighbors(plant(traits, members, strata), traits, seekers, 1)
    nearest = np.full(len(seekers), -1, dtype=np.int64)
    distance = np.full(len(seekers), np.inf)
    nearest[found.size > 0], distance[found.size > 0] = found.member, found.distance
    return nearest, distance


def cheapest_cover(
    traits: Traits, treated: Integers, others: Integers
) -> tuple[Integers, Integers]:
    """Return pairs so that every row with an allowed partner is in one, at the smallest total.

    Parameters
    ----------
    traits
        Of all rows.
    treated, others : arrays of int
        The rows of the two groups, ascending.

    Returns
    -------
    tuple of two arrays of int, shape (m,)
        The treated and the other row of each pair.

    Notes
    -----
    With :math:`m_i` the distance of a row to its nearest allowed partner, a cover consists of a
    matching and, for each row outside of it, the nearest partner. Its total is
    :math:`\\sum_i m_i - \\sum_{(i,j)} (m_i + m_j - c_{ij})`, the second sum over the matching. So
    the best matching has the largest sum of gains, and only pairs with
    :math:`c_{ij} < m_i + m_j` can be in it.

    References
    ----------
    Schrijver, A. (2003). *Combinatorial Optimization: Polyhedra and Efficiency*, section 19.3
    (minimum weight edge covers). Springer.
    """
    nearest = np.full(len(traits.stratum), -1, dtype=np.int64)
    cost = np.full(len(nearest), -np.inf)
    for seekers, members in ((treated, others), (others, treated)):
        partner, distance = nearest_allowed(traits, seekers, members)
        nearest[seekers] = partner
        cost[seekers] = np.where(partner >= 0, distance, -np.inf)
    treated, others = treated[nearest[treated] >= 0], others[nearest[others] >= 0]
    one, other = _largest_gains(traits, treated, others, cost)
    alone = np.ones(len(nearest), dtype=np.bool_)
    alone[one] = alone[other] = False
    rest, left = treated[alone[treated]], others[alone[others]]
    return (
        np.concatenate([one, rest, nearest[left]]),
        np.concatenate([other, nearest[rest], left]),
    )


def _largest_gains(
    traits: Traits, treated: Integers, others: Integers, cost: FloatArray
) -> tuple[Integers, Integers]:
    """Return the matching with the largest sum of cost_i + cost_j - c_ij."""
    strata = int(traits.stratum.max(initial=-1)) + 1
    forest = plant(traits, others, strata)
    useful = neighbors_within(forest, traits, treated, cost[treated], cost)
    lists = Lists(
        useful.start,
        np.searchsorted(others, useful.member),
        useful.distance - cost[useful.member] - np.repeat(cost[treated], useful.size),
        np.full(len(treated), np.inf),
    )
    n = len(treated)
    rows = Rows(np.arange(n), np.zeros(n), np.ones(n, dtype=np.bool_))
    state = Assignment.empty(n, len(others))
    state = assign(lists, lambda complete, _: complete, rows, np.arange(n), state)
    got = np.flatnonzero(state.col_of_row >= 0)
    return treated[got], others[state.col_of_row[got]]


def to_stars(
    treated: Integers,
    others: Integers,
    distance: FloatArray,
    *,
    n: int,
    least_treated: int,
    least_others: int,
) -> Flags:
    """Say which pairs to keep so that in each at least one row has no pair too many.

    Parameters
    ----------
    treated, others, distance : arrays of shape (m,)
        The pairs.
    n
        Number of rows.
    least_treated, least_others
        Pairs that a row of each group keeps at least.

    Returns
    -------
    array of bool, shape (m,)
        Of pairs that both rows can spare, the farthest goes first; equal ones in order.
    """
    order = np.lexsort((np.arange(len(distance)), -distance)).astype(np.int64)
    degree = np.bincount(np.concatenate([treated, others]), minlength=n).astype(np.int64)
    return _spare(order, treated, others, degree, least_treated, least_others)


@compiled
def _spare(  # noqa: PLR0917
    order: Integers,
    treated: Integers,
    others: Integers,
    degree: Integers,
    least_treated: int,
    least_others: int,
) -> Flags:
    kept = np.ones(len(order), dtype=np.bool_)
    for pair in order:
        one, other = treated[pair], others[pair]
        if degree[one] > least_treated and degree[other] > least_others:
            kept[pair] = False
            degree[one] -= 1
            degree[other] -= 1
    return kept
