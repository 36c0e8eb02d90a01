"""What decides on the distance of two units, and on whether they may be a pair (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.units.units import Units

__all__ = ["Traits"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Traits:
    """What decides on the distance of two units, and on whether they may be a pair.

    Attributes
    ----------
    place : array of shape (n, p + q)
        p coordinates, whose Euclidean distance counts, and q variables with a caliper.
    widths : array of shape (q,)
        The calipers.
    code : array of int, shape (n, c)
        A pair differs in each of them.
    stratum : array of int, shape (n,)
        A pair agrees.
    """

    place: FloatArray
    widths: FloatArray
    code: Integers
    stratum: Integers

    def __repr__(self) -> str:
        """Show the number of units."""
        return f"Traits({len(self.place)} units)"

    @classmethod
    def of(cls, units: Units) -> Traits:
        """Collect the traits of the units of a matching problem."""
        place = units.score if units.coordinates is None else units.coordinates
        parts = [np.asarray(part, dtype=np.float64) for part in (place,) if part is not None]
        parts += [np.asarray(limit.values, dtype=np.float64) for limit in units.limits]
        codes = [np.zeros((len(units.focal), 0), dtype=np.int64)]
        codes += [np.asarray(c) for c in (units.apart, units.person) if c is not None]
        return cls(
            place=np.ascontiguousarray(np.column_stack(parts)),
            widths=np.array([limit.width for limit in units.limits], dtype=np.float64),
            code=np.ascontiguousarray(np.column_stack(codes), dtype=np.int64),
            stratum=np.ascontiguousarray(units.stratum, dtype=np.int64),
        )

    def distance(self, one: Integers, other: Integers) -> FloatArray:
        """Return the distance of each pair of rows, in the units of the coordinates."""
        p = self.place.shape[1] - len(self.widths)
        gaps = self.place[one, :p] - self.place[other, :p]
        return np.asarray(np.sqrt((gaps**2).sum(axis=1)), dtype=np.float64)

    def may_pair(self, one: Integers, other: Integers) -> NDArray[np.bool_]:
        """Say of each two rows of a stratum whether they may be a pair."""
        p = self.place.shape[1] - len(self.widths)
        gaps = np.abs(self.place[one, p:] - self.place[other, p:])
        near = (gaps <= self.widths).all(axis=1)
        apart = (self.code[one] != self.code[other]).all(axis=1)
        return np.asarray(near & apart, dtype=np.bool_)
