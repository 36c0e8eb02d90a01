"""Optimal pairs: as many as possible, at the smallest total distance (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.optimal.line_assignment import Uses, line_pairs
from homevisit_eval.matching.optimal.sparse_pairs import sparse_pairs
from homevisit_eval.matching.units import Pairs, Traits, Units

__all__ = ["optimal_pairs", "optimal_total"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_SLOTS = 2_000  # of focal rows, for an optimum beside another method's pairs
MOST_ROWS = 20_000


def optimal_pairs(units: Units, *, ratio: int, ties: str) -> Pairs:  # noqa: ARG001
    """Match without replacement so that the total distance is the smallest possible.

    Parameters
    ----------
    units
        Distances are Euclidean in `units.coordinates`, or of `units.score` without them.
    ratio
        Matches of a focal row, at least 1.
    ties
        Not used: of several optimal choices one is made, by the order of rows alone.

    Returns
    -------
    Pairs
        A focal row's matches by distance, rank 1 the nearest.

    Notes
    -----
    First, as many focal rows as possible have a match. Second, there are as many pairs as
    possible, up to `ratio` for each focal row; where comparison rows are too few for all slots,
    the total distance decides who has more than one. Third, the total is the smallest. All
    hold exactly, in each stratum, with all calipers, anti-exact columns and persons.

    On a score, pairs come from a dynamic program in n log n steps. Strata where one of these
    breaks a caliper, an anti-exact column or is one person's are solved again as a sparse
    assignment, as are all strata with a distance in several coordinates.

    References
    ----------
    Rosenbaum, P. R. (1989). Optimal matching for observational studies. *Journal of the
    American Statistical Association*, 84(408), 1024-1032.
    """
    traits = Traits.of(units)
    focal = np.ascontiguousarray(units.focal, dtype=np.bool_)
    rows, matches, unsolved = _on_the_line(units, traits, focal, ratio)
    if unsolved.any():
        more_rows, more_matches = sparse_pairs(traits, focal, unsolved, ratio)
        rows = np.concatenate([rows, more_rows])
        matches = np.concatenate([matches, more_matches])
    return _ranked(traits, rows, matches)


def optimal_total(units: Units, ratio: int) -> float | None:
    """Return the smallest total distance of `optimal_pairs`, or None if that would take long.

    It is found for every problem on a score that the dynamic program solves (all without
    constraints other than strata), and for others with at most 2,000 matches to find and
    20,000 rows.
    """
    traits = Traits.of(units)
    focal = np.ascontiguousarray(units.focal, dtype=np.bool_)
    rows, matches, unsolved = _on_the_line(units, traits, focal, ratio)
    if unsolved.any():
        here = unsolved[traits.stratum]
        if (here & focal).sum() * ratio > MOST_SLOTS or here.sum() > MOST_ROWS:
            return None
        more_rows, more_matches = sparse_pairs(traits, focal, unsolved, ratio)
        rows = np.concatenate([rows, more_rows])
        matches = np.concatenate([matches, more_matches])
    return float(traits.distance(rows, matches).sum())


def _on_the_line(
    units: Units, traits: Traits, focal: Flags, ratio: int
) -> tuple[Integers, Integers, Flags]:
    """Return optimal pairs on the score, and the strata where these are not allowed."""
    strata = int(traits.stratum.max(initial=-1)) + 1
    if units.coordinates is not None or units.score is None:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.ones(strata, dtype=np.bool_)
    uses = _uses(focal, traits.stratum, strata, ratio)
    rows, matches = line_pairs(units.score, focal, traits.stratum, uses)
    unsolved = np.zeros(strata, dtype=np.bool_)
    unsolved[traits.stratum[rows[~traits.may_pair(rows, matches)]]] = True
    kept = ~unsolved[traits.stratum[rows]]
    return rows[kept], matches[kept], unsolved


def _uses(focal: Flags, stratum: Integers, strata: int, ratio: int) -> Uses:
    """Return in how many pairs a row is where everybody of a stratum may be matched."""
    wanted = ratio * np.bincount(stratum[focal], minlength=strata)
    others = np.bincount(stratum[~focal], minlength=strata)
    enough = others >= wanted
    one_each = others * ratio >= wanted
    return Uses(
        focal_least=np.where(enough, ratio, np.where(one_each, 1, 0)),
        focal_most=np.where(one_each, ratio, 1),
        other_least=np.where(enough, 0, 1),
        other_most=np.ones(strata, dtype=np.int64),
    )


def _ranked(traits: Traits, rows: Integers, matches: Integers) -> Pairs:
    distance = traits.distance(rows, matches)
    order = np.lexsort((matches, distance, rows))
    rows, matches, distance = rows[order], matches[order], distance[order]
    place = np.arange(len(rows))
    first = np.maximum.accumulate(np.where(np.diff(rows, prepend=-1) != 0, place, 0))
    return Pairs(rows, place - first + 1, matches, distance)
