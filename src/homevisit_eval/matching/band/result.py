"""What a method made of a band, by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.band.rows import BandRows
from homevisit_eval.matching.band.scores import BandScores
from homevisit_eval.matching.units import Pairs

__all__ = ["BandResult", "Facts", "no_reason", "outside_reasons"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Facts = Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandResult:
    """What a method made of a band, by position.

    Attributes
    ----------
    pairs
        Of methods that make pairs.
    matched_set : array of int, shape (n,), optional
        Of methods that make sets; -1 outside any.
    weights : array of shape (n,), optional
        Of methods that make neither; sampling weights not included.
    reason : array of str, shape (n,)
        Why a row is not used, where the method says so; else empty.
    scores
        None if the method needed none.
    facts
        For the audit.
    """

    reason: NDArray[np.object_]
    scores: BandScores | None = None
    pairs: Pairs | None = None
    matched_set: Integers | None = None
    weights: FloatArray | None = None
    facts: Facts = field(default_factory=dict)

    def __repr__(self) -> str:
        """Show the number of rows."""
        return f"BandResult({len(self.reason)} rows)"


def no_reason(rows: BandRows) -> NDArray[np.object_]:
    """Return an empty text for each row."""
    return np.full(len(rows), "", dtype=object)


def outside_reasons(
    rows: BandRows, scores: BandScores | None, estimand: str
) -> NDArray[np.object_]:
    """Return why rows could not be used; for the ATT and ATC only of the group it is about."""
    if scores is None:
        return no_reason(rows)
    about = {"ATT": rows.treated == 1, "ATC": rows.treated == 0}.get(estimand)
    return scores.outside.copy() if about is None else np.where(about, scores.outside, "")
