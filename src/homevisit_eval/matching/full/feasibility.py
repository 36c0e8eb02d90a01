"""How many units bounds leave without a place, seen from one caliper at a time (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.units import Traits

__all__ = ["least_left_out"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def least_left_out(
    traits: Traits, seekers: Integers, members: Integers, *, least: int, most: float
) -> int:
    """Return how many seekers at least must be in too few pairs.

    Parameters
    ----------
    traits
        Of all rows.
    seekers, members : arrays of int
        Rows of the two groups.
    least
        Pairs that each seeker needs.
    most
        Pairs that each member may be in; 1 if `least` is above 1, or infinite.

    Notes
    -----
    Each caliper is looked at alone, without what else rules out pairs; the largest number counts.
    It is exact where one caliper is all that limits pairs. From the lowest seeker on, each takes
    the lowest members that have room: as all windows have one width, no other choice
    places more.

    References
    ----------
    Glover, F. (1967). Maximum matching in a convex bipartite graph. *Naval Research Logistics
    Quarterly*, 14(3), 313-316.
    """
    if most == np.inf:
        return 0
    p = traits.place.shape[1] - len(traits.widths)
    left_out = 0
    for number, width in enumerate(traits.widths):
        values = traits.place[:, p + number]
        one, other = (
            rows[np.lexsort((values[rows], traits.stratum[rows]))] for rows in (seekers, members)
        )
        cells = traits.stratum[one], traits.stratum[other]
        count = _left_out(values[one], values[other], *cells, float(width), least, int(most))
        left_out = max(left_out, -(-count // least))  # a row lacks `least` pairs at most
    return left_out


@compiled
def _left_out(  # noqa: PLR0917
    seekers: FloatArray,
    members: FloatArray,
    seeker_cell: Integers,
    member_cell: Integers,
    width: float,
    least: int,
    most: int,
) -> int:
    """Return how many pairs the seekers lack."""
    missing, at, used = 0, 0, 0
    for row in range(len(seekers)):
        wanted = least
        while wanted > 0 and at < len(members):
            cell, apart = member_cell[at] - seeker_cell[row], members[at] - seekers[row]
            if cell > 0 or (cell == 0 and apart > width):
                break
            if used == most or cell < 0 or apart < -width:  # of no use to later seekers either
                at += 1
                used = 0
                continue
            used += 1
            wanted -= 1
        missing += wanted
    return missing
