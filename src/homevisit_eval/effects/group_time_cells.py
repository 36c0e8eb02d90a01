"""Which units are compared with whom, and when, for each group of first treatment (arrays)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.staggered import StaggeredPanel
from homevisit_eval.errors import EstimationError

__all__ = ["BasePeriod", "Comparison", "GroupTimeCell", "after_the_end", "group_time_cells"]

Flags = NDArray[np.bool_]
Comparison = Literal["never treated", "not yet treated"]
BasePeriod = Literal["varying", "universal"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroupTimeCell:
    """One group and period: who is compared with whom, and when.

    Attributes
    ----------
    group, period
        First period of treatment, and the period of the effect.
    column, base_column
        The period and its base, as numbers from 0.
    members, comparisons : arrays of bool, shape (N,)
        Units observed in both periods.
    """

    group: int
    period: int
    column: int
    base_column: int
    members: Flags
    comparisons: Flags

    def __repr__(self) -> str:
        """Show counts, no units."""
        return (
            f"GroupTimeCell(group {self.group} in period {self.period}: "
            f"{int(self.members.sum())} and {int(self.comparisons.sum())} units)"
        )


def after_the_end(panel: StaggeredPanel, anticipation: int) -> StaggeredPanel:
    """Count units that are treated (and anticipate it) after the last period as never treated."""
    first = panel.first_treated
    late = np.isfinite(first) & (first > panel.periods[-1] + anticipation)
    if not late.any():
        return panel
    note = (
        f"{int(late.sum())} units are treated after the last period: counted as never treated "
        "within the panel."
    )
    first = np.where(late, np.inf, first)
    return replace(panel, first_treated=first, notes=(*panel.notes, note))


def group_time_cells(
    function: str,
    panel: StaggeredPanel,
    *,
    comparison: Comparison,
    base: BasePeriod,
    anticipation: int,
) -> tuple[list[GroupTimeCell], tuple[str, ...]]:
    """Return the groups and periods that have comparison units, and a note on those without.

    Raises
    ------
    EstimationError
        If none has.
    """
    found: list[GroupTimeCell] = []
    empty = 0
    for cell in _all_cells(panel, comparison, base, anticipation):
        if cell.members.any() and cell.comparisons.any():
            found.append(cell)
        else:
            empty += 1
    if not found:
        raise EstimationError(
            f"{function}: none of {empty} groups and periods has {comparison} comparison units; "
            "add units that are treated later or never."
        )
    if not empty:
        return found, ()
    return found, (
        f"{empty} of {empty + len(found)} groups and periods have no treated or no {comparison} "
        "units observed in both periods: not estimated.",
    )


def _all_cells(
    panel: StaggeredPanel, comparison: Comparison, base: BasePeriod, anticipation: int
) -> Iterator[GroupTimeCell]:
    first, times = panel.first_treated, panel.periods
    observed = panel.rows >= 0
    within = first[np.isfinite(first) & (first <= times[-1])]
    for group in np.unique(within):
        last_before = int(np.flatnonzero(times < group - anticipation)[-1])
        members = first == group
        for column, period in enumerate(times):
            before = period < group - anticipation
            base_column = column - 1 if before and base == "varying" else last_before
            if base_column < 0 or base_column == column:
                continue
            untreated_until = max(period, times[base_column]) + anticipation
            others = np.isinf(first)
            if comparison == "not yet treated":
                others = (first > untreated_until) & ~members
            both = observed[:, column] & observed[:, base_column]
            yield GroupTimeCell(
                group=int(group),
                period=int(period),
                column=column,
                base_column=base_column,
                members=members & both,
                comparisons=others & both,
            )
