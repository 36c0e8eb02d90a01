"""Rows of a saturated event study: the cohort effect that each is part of (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.longitudinal.panel_rows import PanelRows
from homevisit_eval.errors import EstimationError

__all__ = ["CohortComparison", "CohortRows", "cohort_rows"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
CohortComparison = Literal["never_treated", "last_treated"]

FUNCTION = "interaction_weighted_effects"
FEW_UNITS = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CohortRows:
    """Rows that take part, with the cohort effect that each is part of.

    Attributes
    ----------
    kept : array of bool, shape (n,)
    cell : array of shape (n kept,)
        Position in `cohorts`; -1 for rows in the reference period or of the comparison.
    cohorts, periods : arrays of shape (q,)
    notes : tuple of sentences
    """

    kept: Flags
    cell: Codes
    cohorts: Floats
    periods: Floats
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"CohortRows({len(self.cell)} rows, {len(self.cohorts)} cohort effects)"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the cohort effects, q of them."""
        pairs = zip(self.cohorts, self.periods, strict=True)
        return tuple(f"cohort {g:g} in period {t:g}" for g, t in pairs)


def cohort_rows(
    rows: PanelRows, starts: Floats, comparison: CohortComparison, anticipation: float
) -> CohortRows:
    """Return which rows take part, and the cohort effect of each.

    Parameters
    ----------
    rows
    starts : array of shape (N,)
        Period of first treatment of each unit, infinite if never.
    comparison, anticipation
        See `interaction_weighted_effects`.

    Raises
    ------
    EstimationError
        If there is nobody to compare with, or no cohort to compare.
    """
    notes = []
    early = starts <= rows.periods[0] + anticipation
    if early.any():
        notes.append(
            f"{int(early.sum())} of {rows.N} units are left out because they are treated before "
            "there is a period to compare with."
        )
    never = starts > rows.periods[-1] + anticipation
    kept = ~early[rows.unit]
    if comparison == "never_treated":
        if not never.any():
            raise EstimationError(
                f"{FUNCTION}: all {rows.N} units are treated at some time, so none is never "
                "treated; use comparison='last_treated'."
            )
    else:
        ever = starts[~early & ~never]
        if not len(ever) or ever.min() == ever.max():
            raise EstimationError(
                f"{FUNCTION}: comparison='last_treated' needs two cohorts or more that are "
                "treated after the first period."
            )
        kept &= (rows.periods[rows.period] < ever.max() - anticipation) & ~never[rows.unit]
        notes.append(
            f"{int((~kept & ~early[rows.unit]).sum())} rows are left out: periods in which the "
            "last cohort is treated, and units that never are."
        )
        never = starts == ever.max()
    cell, cohorts, periods = _cells(rows, starts, kept & ~never[rows.unit], anticipation)
    small = sum((starts == value).sum() < FEW_UNITS for value in np.unique(cohorts))
    if small:
        notes.append(
            f"{small} of {len(np.unique(cohorts))} cohorts have fewer than {FEW_UNITS} units: "
            "their standard errors cannot be relied on."
        )
    return CohortRows(kept, cell[kept], cohorts, periods, tuple(notes))


def _cells(
    rows: PanelRows, starts: Floats, treated: Flags, anticipation: float
) -> tuple[Codes, Floats, Floats]:
    """Return the cohort effect of each row (n,), and cohorts and periods of effects (q,)."""
    cohorts, of_row = np.unique(starts[rows.unit[treated]], return_inverse=True)
    if not len(cohorts):
        raise EstimationError(
            f"{FUNCTION}: no unit is first treated within the periods after the first; there is "
            "no effect to estimate."
        )
    reference = np.searchsorted(rows.periods, cohorts - anticipation, side="left") - 1
    moves = rows.period[treated] != reference[of_row]
    keys, place = np.unique((of_row * rows.T + rows.period[treated])[moves], return_inverse=True)
    cell = np.full(len(treated), -1, dtype=np.intp)
    cell[np.flatnonzero(treated)[moves]] = place
    return cell, cohorts[keys // rows.T], rows.periods[keys % rows.T]
