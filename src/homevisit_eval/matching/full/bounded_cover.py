"""Cheapest edges that reach every unit between a least and a largest number of times (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.neighbors import Forest, nearest_neighbors, neighbors_within, plant
from homevisit_eval.matching.units import Traits

__all__ = ["BoundedCover", "Bounds", "bounded_cover"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

FIRST_NEIGHBORS = 8
MOST_NEW = 20  # pairs added for a row in one round, those that promise most
BLOCK = 4_000_000  # pairs looked at together
TOLERANCE = 1e-7  # of prices, in mean distances to the nearest neighbor


@dataclass(frozen=True, slots=True)
class Bounds:
    """In how many pairs a row is, at least and at most; `np.inf` sets no bound."""

    treated_least: int
    treated_most: float
    others_least: int
    others_most: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoundedCover:
    """Pairs, and how many rows lack some.

    Attributes
    ----------
    treated, others : arrays of int, shape (m,)
        The rows of each pair.
    missing_treated, missing_others
        Rows of a group in fewer pairs than their least number.
    """

    treated: Integers
    others: Integers
    missing_treated: int
    missing_others: int

    def __repr__(self) -> str:
        """Show the number of pairs."""
        return f"BoundedCover({len(self.treated)} pairs)"


def bounded_cover(
    traits: Traits, treated: Integers, others: Integers, bounds: Bounds
) -> BoundedCover:
    """Return pairs with every row in as many as its bounds say, at the smallest total distance.

    Parameters
    ----------
    traits
        Of all rows.
    treated, others : arrays of int
        Rows of one stratum, ascending, each with at least one allowed partner.
    bounds
        What cannot be met is counted as missing.

    Raises
    ------
    MatchingError
        If the solver stops without a solution.

    Notes
    -----
    A linear program whose matrix is totally unimodular, so that a vertex has whole numbers. It
    begins with near neighbors; pairs that its prices call for (:math:`c_{ij} < y_i + z_j`)
    are added until there is none, which proves the optimum among all allowed pairs. A pair
    that is missing costs more than any exchange of pairs could.

    References
    ----------
    Hansen, B. B., & Klopfer, S. O. (2006). Optimal full matching and related designs via
    network flows. *Journal of Computational and Graphical Statistics*, 15(3), 609-627.
    """
    strata = int(traits.stratum.max(initial=-1)) + 1
    forest = plant(traits, others, strata)
    pairs = _first_pairs(traits, treated, others, forest, strata)
    scale = _scale(traits, pairs)
    missing = _price_of_missing(traits, np.concatenate([treated, others])) / scale
    while True:
        cost = traits.distance(pairs[:, 0], pairs[:, 1]) / scale
        ends = np.searchsorted(treated, pairs[:, 0]), np.searchsorted(others, pairs[:, 1])
        used, lacking, y, z = _solve(ends, cost, (len(treated), len(others)), bounds, missing)
        new = _called_for(traits, forest, (treated, others), (y * scale, z * scale), scale, pairs)
        if not len(new):
            break
        pairs = np.unique(np.concatenate([pairs, new]), axis=0)
    return BoundedCover(
        treated=pairs[used, 0],
        others=pairs[used, 1],
        missing_treated=int((lacking[: len(treated)] > 0.5).sum()),
        missing_others=int((lacking[len(treated) :] > 0.5).sum()),
    )


def _first_pairs(
    traits: Traits, treated: Integers, others: Integers, forest: Forest, strata: int
) -> Integers:
    near = nearest_neighbors(forest, traits, treated, FIRST_NEIGHBORS)
    back = nearest_neighbors(plant(traits, treated, strata), traits, others, FIRST_NEIGHBORS)
    one = np.concatenate([np.repeat(treated, near.size), back.member])
    other = np.concatenate([near.member, np.repeat(others, back.size)])
    return np.unique(np.column_stack([one, other]), axis=0)


def _scale(traits: Traits, pairs: Integers) -> float:
    mean = float(traits.distance(pairs[:, 0], pairs[:, 1]).mean())
    return mean if mean > 0 else 1.0


def _price_of_missing(traits: Traits, rows: Integers) -> float:
    """Return more than the total distance along any path through all rows."""
    p = traits.place.shape[1] - len(traits.widths)
    spread = np.ptp(traits.place[rows, :p], axis=0)
    return float(np.sqrt((spread**2).sum()) + 1.0) * len(rows)


def _solve(
    ends: tuple[Integers, Integers],
    cost: FloatArray,
    size: tuple[int, int],
    bounds: Bounds,
    missing: float,
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray, FloatArray]:
    """Return the pairs used, what each row lacks, and the prices of treated and other rows."""
    m, n = len(cost), sum(size)
    incidence = sparse.csr_array(
        (
            np.ones(2 * m),
            (np.concatenate([ends[0], ends[1] + size[0]]), np.tile(np.arange(m), 2)),
        ),
        shape=(n, m),
    )
    least = np.repeat([bounds.treated_least, bounds.others_least], size).astype(np.float64)
    most = np.repeat([bounds.treated_most, bounds.others_most], size).astype(np.float64)
    bounded = np.flatnonzero(np.isfinite(most))
    matrix = sparse.vstack(
        [
            sparse.hstack([-incidence, -sparse.eye_array(n)]),
            sparse.hstack([incidence[bounded], sparse.csr_array((len(bounded), n))]),
        ]
    )
    found = linprog(
        np.concatenate([cost, np.full(n, missing)]),
        A_ub=matrix.tocsr(),
        b_ub=np.concatenate([-least, most[bounded]]),
        bounds=np.column_stack([np.zeros(m + n), np.repeat([1.0, np.inf], [m, n])]),
        method="highs-ds",
    )
    if found.status != 0:
        raise MatchingError(
            f"full matching: the solver stopped without a solution for {n} units and {m} "
            "pairs. Loosen the ratio bounds, or match exactly on a further column."
        )
    price = -np.asarray(found.ineqlin.marginals[:n])
    price[bounded] += found.ineqlin.marginals[n:]
    return found.x[:m] > 0.5, found.x[m:], price[: size[0]], price[size[0] :]


def _called_for(  # noqa: PLR0917
    traits: Traits,
    forest: Forest,
    rows: tuple[Integers, Integers],
    prices: tuple[FloatArray, FloatArray],
    scale: float,
    pairs: Integers,
) -> Integers:
    """Return other pairs that cost less than the prices of their rows, the best for each row."""
    treated, others = rows
    reach = np.zeros(len(traits.stratum))
    reach[others] = prices[1] - TOLERANCE * scale
    key = np.array([len(reach), 1])
    listed = pairs @ key
    block = max(1, BLOCK // max(1, len(others)))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for first in range(0, len(treated), block):
        seekers = treated[first : first + block]
        radius = prices[0][first : first + block]
        near = neighbors_within(forest, traits, seekers, radius, reach)
        row = np.repeat(np.arange(len(seekers)), near.size)
        new = np.column_stack([seekers[row], near.member])
        unlisted = ~np.isin(new @ key, listed)
        row, new = row[unlisted], new[unlisted]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        found.append(new[place < MOST_NEW])
    return np.concatenate(found)
