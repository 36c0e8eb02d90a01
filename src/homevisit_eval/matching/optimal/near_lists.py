"""Lists of near allowed neighbors, for an assignment that widens them where needed (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.neighbors import Forest, Neighbors, nearest_neighbors, plant
from homevisit_eval.matching.optimal.assignment import Lists
from homevisit_eval.matching.units import Traits

__all__ = ["NearLists"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

WIDENING = 4


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NearLists:
    """Makes and widens the lists of neighbors of some units among others.

    Attributes
    ----------
    traits
        Of all units.
    seekers, members : arrays of int
        Rows of the units that have lists, and of those listed; both ascending.
    forest
        Of the members.
    """

    traits: Traits
    seekers: Integers
    members: Integers
    forest: Forest

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"NearLists({len(self.seekers)} seekers, {len(self.members)} members)"

    @classmethod
    def among(cls, traits: Traits, seekers: Integers, members: Integers) -> NearLists:
        """Prepare lists for seekers among members."""
        strata = int(traits.stratum.max(initial=-1)) + 1
        return cls(traits, seekers, members, plant(traits, members, strata))

    def nearest(self, count: int) -> Lists:
        """Return lists of the `count` nearest."""
        found = nearest_neighbors(self.forest, self.traits, self.seekers, count)
        return Lists(
            found.start,
            np.searchsorted(self.members, found.member),
            found.distance,
            _radius(found, count),
        )

    def widen(self, lists: Lists, short: Flags) -> Lists:
        """Return lists of which those marked are four times as long, or complete."""
        size = np.diff(lists.start)
        parts = [Neighbors(lists.start, lists.member, lists.cost)]
        wanted = size * WIDENING
        radius = lists.radius.copy()
        source = np.zeros(len(size), dtype=np.int64)
        first = lists.start[:-1].copy()
        for count in np.unique(wanted[short]):
            rows = np.flatnonzero(short & (wanted == count))
            more = nearest_neighbors(self.forest, self.traits, self.seekers[rows], int(count))
            radius[rows] = _radius(more, int(count))
            source[rows] = len(parts)
            first[rows] = more.start[:-1]
            size[rows] = more.size
            local = np.searchsorted(self.members, more.member)
            parts.append(Neighbors(more.start, local, more.distance))
        offset = np.concatenate([[0], np.cumsum([len(part.member) for part in parts])])
        start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        place = np.arange(start[-1]) + np.repeat(offset[source] + first - start[:-1], size)
        member = np.concatenate([part.member for part in parts])[place]
        cost = np.concatenate([part.distance for part in parts])[place]
        return Lists(start, member, cost, radius)


def _radius(found: Neighbors, count: int) -> NDArray[np.float64]:
    """Return the distance that unlisted neighbors have at least; infinite without any."""
    radius = np.full(len(found.start) - 1, np.inf)
    full = found.size >= count
    radius[full] = found.distance[found.start[1:][full] - 1]
    return radius
