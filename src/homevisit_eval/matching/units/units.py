"""The units of one matching problem and the pairs found among them, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "IN_USE",
    "MATCHED",
    "NOT_ALLOWED",
    "NOT_IN_STRATUM",
    "OUTSIDE_CALIPER",
    "Limit",
    "Pairs",
    "Units",
]

MATCHED = 0
NOT_IN_STRATUM = 1
OUTSIDE_CALIPER = 2
IN_USE = 3
NOT_ALLOWED = 4
"""Why a focal unit has no match: nobody of the other group in its stratum; none of them within
all calipers; all those allowed were used; those within the calipers are ruled out by an
anti-exact column, or are the same person."""

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Limit:
    """A caliper: a pair may differ by at most `width` (inclusive) in `values`.

    Attributes
    ----------
    values : array of shape (n,)
    width
        In the units of `values`; at least 0.
    """

    values: FloatArray
    width: float

    def __repr__(self) -> str:
        """Show the width, no rows."""
        return f"Limit(width {self.width:g})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Units:
    """The units of one matching problem; rows stand in the order that breaks ties.

    Attributes
    ----------
    focal : array of bool, shape (n,)
        Those who look for matches; the others are matches.
    stratum : array of int, shape (n,)
        Only rows of one stratum are matched; numbers from 0.
    score : array of shape (n,), optional
        The distance if there are no coordinates; the order of focal rows by score.
    coordinates : array of shape (n, p), optional
        The Euclidean distance between two rows is their distance.
    limits
        Calipers that every pair meets, that of the score among them.
    apart : array of int, shape (n, a)
        Codes of anti-exact columns: a pair differs in each of them.
    person : array of int, shape (n,), optional
        Whose row it is: a person is not matched with itself, and its rows share its uses.
    """

    focal: NDArray[np.bool_]
    stratum: Integers
    score: FloatArray | None = None
    coordinates: FloatArray | None = None
    limits: tuple[Limit, ...] = ()
    apart: Integers | None = None
    person: Integers | None = None

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"Units({len(self.focal)} rows, {len(self.limits)} calipers)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pairs:
    """Pairs by position, ordered by focal row and rank.

    Attributes
    ----------
    focal, match : arrays of int, shape (m,)
    rank : array of int, shape (m,)
        1 for a focal row's first match.
    distance : array of shape (m,)
        On the scale on which they were matched.
    """

    focal: Integers
    rank: Integers
    match: Integers
    distance: FloatArray

    def __repr__(self) -> str:
        """Show the number of pairs, no rows."""
        return f"Pairs({len(self.focal)})"
