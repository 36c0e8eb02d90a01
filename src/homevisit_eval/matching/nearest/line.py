"""All rows in the order of a score: where the nearest row on a score is looked for (arrays).

`line_up` is the gateway; the line is searched in `greedy`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.nearest.greedy import Line

__all__ = ["PLACE", "line_up", "sorted_rows"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PLACE = np.dtype(
    [
        ("score", np.float64),
        ("row", np.int32),
        ("first", np.int32),
        ("left", np.int32),
        ("right", np.int32),
    ]
)
"""A place: score and row; where its run of equal scores begins; links to the nearest usable place
at or left of it, at or right of it, where 0 and n + 1 mean that there is none."""


def line_up(
    score: FloatArray, stratum: Integers, focal: NDArray[np.bool_], width: float
) -> tuple[Line, Integers, Integers]:
    """Sort rows by stratum and score, and link the places of those that are not focal.

    Parameters
    ----------
    score : array of shape (n,)
    stratum : array of int, shape (n,)
        Numbers from 0.
    focal : array of bool, shape (n,)
    width
        The caliper, in units of the score.

    Returns
    -------
    Line
    array of int, shape (n,)
        The place of each row.
    array of int, shape (strata + 1,)
        The first place of each stratum.
    """
    n = len(score)
    order = sorted_rows(score, stratum)
    strata = int(stratum.max(initial=0)) + 1
    bounds = np.ones(strata + 1, dtype=np.int64)
    bounds[1:] += np.cumsum(np.bincount(stratum, minlength=strata))
    here = np.arange(n + 2, dtype=np.int32)
    places = np.zeros(n + 2, dtype=PLACE)
    places["row"][1:-1] = order
    values = places["score"][1:-1]
    values[:] = score[order]
    begins = np.ones(n + 2, dtype=bool)
    begins[2:-1] = values[1:] != values[:-1]
    begins[bounds] = True
    places["first"] = np.maximum.accumulate(np.where(begins, here, 0))
    chooses = np.zeros(n + 2, dtype=np.int32)
    chooses[1:-1] = focal[order]
    places["left"] = here - chooses
    places["right"] = here + chooses
    place = np.empty(n, dtype=np.int64)
    place[order] = here[1:-1]
    return Line(places, width), place, bounds


def sorted_rows(score: FloatArray, stratum: Integers) -> NDArray[np.intp]:
    """Return rows by stratum and score, equal ones in the order of rows."""
    order = np.argsort(score, kind="stable")
    if not stratum.any():
        return order
    cells = stratum[order]
    small = cells.astype(np.uint16) if int(stratum.max()) < 2**16 else cells  # sorted by digits
    return order[np.argsort(small, kind="stable")]
