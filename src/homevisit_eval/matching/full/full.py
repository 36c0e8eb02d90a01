"""Optimal full matching: sets of one unit with one or more of the other group (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.full.bounded_cover import Bounds, bounded_cover
from homevisit_eval.matching.full.edge_cover import cheapest_cover, nearest_allowed, to_stars
from homevisit_eval.matching.full.feasibility import least_left_out
from homevisit_eval.matching.optimal import Uses, line_pairs
from homevisit_eval.matching.units import Traits, Units

__all__ = ["FullSets", "full_sets"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FullSets:
    """The sets of a full matching.

    Attributes
    ----------
    matched_set : array of int, shape (n,)
        Numbered from 0 by the first row of each set; -1 for rows that nobody may be matched
        with.
    total_distance
        The sum over pairs of a treated and a comparison row of one set.
    """

    matched_set: Integers
    total_distance: float

    def __repr__(self) -> str:
        """Show the number of sets, no rows."""
        return f"FullSets({self.matched_set.max(initial=-1) + 1} sets)"


def full_sets(units: Units, *, min_ratio: float, max_ratio: float) -> FullSets:
    """Put every unit into a set of one with one or more of the other group, at least distance.

    Parameters
    ----------
    units
        The focal rows are the treated.
    min_ratio, max_ratio
        Comparison for each treated unit in a set: a whole number, or one over a whole number (1/3:
        up to three treated share a comparison unit). 0 and `np.inf` set no bound.

    Raises
    ------
    MatchingError
        If the bounds leave no place for some units that have an allowed partner.

    Notes
    -----
    The sum of distances within sets is the smallest possible, with all calipers, anti-exact
    columns and persons; of several optimal choices one is made, by the order of rows alone.
    Each set is a star: its center is in a pair with all others, which are in no other pair. The
    best stars are the cheapest edges that reach every unit: on a score by a dynamic program in
    n log n steps; else, without bounds, by a sparse matching, and with bounds by a linear
    program.

    References
    ----------
    Rosenbaum, P. R. (1991). A characterization of optimal designs for observational studies.
    *Journal of the Royal Statistical Society, Series B*, 53(3), 597-610.
    Hansen, B. B. (2004). Full matching in an observational study of coaching for the SAT.
    *Journal of the American Statistical Association*, 99(467), 609-618.
    """
    traits = Traits.of(units)
    focal = np.ascontiguousarray(units.focal, dtype=np.bool_)
    bounds = _bounds(min_ratio, max_ratio)
    strata = int(traits.stratum.max(initial=-1)) + 1
    treated_count = np.bincount(traits.stratum[focal], minlength=strata)
    other_count = np.bincount(traits.stratum[~focal], minlength=strata)
    usable = (treated_count > 0) & (other_count > 0)
    constrained = len(traits.widths) + traits.code.shape[1] > 0
    possible = usable & _possible(treated_count, other_count, bounds)
    if not constrained:
        _check_counts(treated_count[usable], other_count[usable], bounds, min_ratio, max_ratio)
    one, other = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    unsolved = usable
    if units.coordinates is None and units.score is not None:
        one, other, unsolved = _on_the_line(units, traits, focal, possible, bounds)
        unsolved = usable & unsolved
    if unsolved.any():
        here = unsolved[traits.stratum]
        more = _in_the_graph(traits, here & focal, here & ~focal, bounds, min_ratio, max_ratio)
        one, other = np.concatenate([one, more[0]]), np.concatenate([other, more[1]])
    return _stars(traits, one, other, bounds)


def _bounds(min_ratio: float, max_ratio: float) -> Bounds:
    return Bounds(
        treated_least=max(1, round(min_ratio)),
        treated_most=np.inf if max_ratio == np.inf else max(1, round(max_ratio)),
        others_least=max(1, round(1 / max_ratio)),
        others_most=np.inf if min_ratio == 0 else max(1, round(1 / min_ratio)),
    )


def _possible(treated: Integers, others: Integers, bounds: Bounds) -> Flags:
    """Say for each stratum whether the bounds can be met if everybody may be matched."""
    with np.errstate(invalid="ignore"):
        enough_others = others * bounds.others_most >= treated * bounds.treated_least
        enough_treated = treated * bounds.treated_most >= others * bounds.others_least
    return np.asarray(enough_others & enough_treated, dtype=np.bool_)


def _check_counts(
    treated: Integers, others: Integers, bounds: Bounds, min_ratio: float, max_ratio: float
) -> None:
    """Say how many units are too many where everybody of a stratum may be matched."""
    room = np.floor(others * bounds.others_most / bounds.treated_least)
    _complain("treated", np.maximum(treated - room, 0).sum(), "min_ratio", min_ratio)
    room = np.floor(treated * bounds.treated_most / bounds.others_least)
    _complain("comparison", np.maximum(others - room, 0).sum(), "max_ratio", max_ratio)


def _complain(group: str, count: float, name: str, ratio: float) -> None:
    if count > 0:
        do = "Lower" if name == "min_ratio" else "Raise"
        raise MatchingError(
            f"full matching: {name} = {ratio:.4g} leaves no place in a set for {count:.0f} "
            f"{group} units that have an allowed partner. {do} {name}, widen the calipers or "
            "match exactly on fewer columns."
        )


def _on_the_line(
    units: Units, traits: Traits, focal: Flags, possible: Flags, bounds: Bounds
) -> tuple[Integers, Integers, Flags]:
    """Return the best pairs on the score, and the strata where these are not allowed."""
    n = len(focal)

    def everywhere(number: float) -> Integers:
        return np.where(possible, min(number, n), 0).astype(np.int64)

    one, other = line_pairs(
        np.asarray(units.score),
        focal,
        traits.stratum,
        Uses(
            everywhere(bounds.treated_least),
            everywhere(bounds.treated_most),
            everywhere(bounds.others_least),
            everywhere(bounds.others_most),
        ),
    )
    unsolved = ~possible
    unsolved[traits.stratum[one[~traits.may_pair(one, other)]]] = True
    kept = ~unsolved[traits.stratum[one]]
    pairs = np.unique(np.column_stack([one[kept], other[kept]]), axis=0)
    return pairs[:, 0], pairs[:, 1], unsolved


def _in_the_graph(  # noqa: PLR0917
    traits: Traits,
    treated: Flags,
    others: Flags,
    bounds: Bounds,
    min_ratio: float,
    max_ratio: float,
) -> tuple[Integers, Integers]:
    """Return the best pairs where not everybody may be matched, or in several coordinates."""
    one, other = np.flatnonzero(treated), np.flatnonzero(others)
    if bounds == Bounds(1, np.inf, 1, np.inf):
        return cheapest_cover(traits, one, other)
    partner_of_one, _ = nearest_allowed(traits, one, other)
    partner_of_other, _ = nearest_allowed(traits, other, one)
    one, other = one[partner_of_one >= 0], other[partner_of_other >= 0]
    least, most = bounds.treated_least, bounds.others_most  # before a linear program is solved
    count = least_left_out(traits, one, other, least=least, most=most)
    _complain("treated", count, "min_ratio", min_ratio)
    least, most = bounds.others_least, bounds.treated_most
    count = least_left_out(traits, other, one, least=least, most=most)
    _complain("comparison", count, "max_ratio", max_ratio)
    found, missing = [np.zeros((2, 0), dtype=np.int64)], np.zeros(2)
    one_cell, other_cell = traits.stratum[one], traits.stratum[other]
    for cell in np.unique(one_cell):
        cover = bounded_cover(traits, one[one_cell == cell], other[other_cell == cell], bounds)
        found.append(np.stack([cover.treated, cover.others]))
        missing += cover.missing_treated, cover.missing_others
    _complain("treated", missing[0], "min_ratio", min_ratio)
    _complain("comparison", missing[1], "max_ratio", max_ratio)
    pairs = np.concatenate(found, axis=1)
    return pairs[0], pairs[1]


def _stars(traits: Traits, one: Integers, other: Integers, bounds: Bounds) -> FullSets:
    """Leave out pairs that both rows can spare, and number the sets that remain."""
    n = len(traits.stratum)
    distance = traits.distance(one, other)
    kept = to_stars(
        one,
        other,
        distance,
        n=n,
        least_treated=bounds.treated_least,
        least_others=bounds.others_least,
    )
    one, other = one[kept], other[kept]
    degree = np.bincount(np.concatenate([one, other]), minlength=n)
    center = np.where(degree[one] > 1, one, other)
    label = np.full(n, -1, dtype=np.int64)
    label[one] = label[other] = center
    used = np.flatnonzero(label >= 0)
    _, first, number = np.unique(label[used], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    matched_set = np.full(n, -1, dtype=np.int64)
    matched_set[used] = rank[number]
    return FullSets(matched_set, float(distance[kept].sum()))
