"""Groups of first treatment and periods: which can be compared, and with whom (arrays)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.longitudinal.panel_rows import WidePanel
from homevisit_eval.errors import EstimationError

__all__ = ["BasePeriod", "Cell", "Comparison", "cell_notes", "cells_of", "with_base_period"]

Flags = NDArray[np.bool_]
Comparison = Literal["never_treated", "not_yet_treated"]
BasePeriod = Literal["varying", "universal"]

FUNCTION = "group_time_effects"
FEW_UNITS = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cell:
    """One pair of group and period, by positions of periods.

    Attributes
    ----------
    group
        The period of first treatment.
    period, base
        Positions of t and of the period it is compared with.
    treated, comparison : arrays of bool, shape (n,)
    """

    group: float
    period: int
    base: int
    treated: Flags
    comparison: Flags

    def __repr__(self) -> str:
        """Show the cell, no units."""
        return f"Cell(group {self.group:g}, period {self.period}, base {self.base})"


def with_base_period(panel: WidePanel, anticipation: float) -> WidePanel:
    """Leave out units that are treated before there is a base period.

    Raises
    ------
    EstimationError
        If fewer than two units, or one cluster, are left.
    """
    early = panel.first_treated <= panel.periods[0] + anticipation
    after = np.isfinite(panel.first_treated) & (
        panel.first_treated > panel.periods[-1] + anticipation
    )
    start = np.where(after, np.inf, panel.first_treated)
    notes = list(panel.notes)
    if early.any():
        notes.append(
            f"{int(early.sum())} of {len(early)} units are left out because they are treated "
            "before there is a period to compare with."
        )
    if after.any():
        notes.append(
            f"{int(after.sum())} units first treated after the last period count as never treated."
        )
    kept = ~early
    if kept.sum() < 2:
        raise EstimationError(
            f"{FUNCTION}: {int(early.sum())} of {len(early)} units are treated before there is a "
            "period to compare with; give earlier periods."
        )
    clusters = np.unique(panel.clusters[kept], return_inverse=True)[1].astype(np.intp)
    if clusters.max() < 1:
        raise EstimationError(
            f"{FUNCTION}: all units that have a base period are in one cluster, so no standard "
            "error can be computed; choose a finer level of clustering."
        )
    return replace(
        panel,
        y=panel.y[kept],
        X=panel.X[kept],
        first_treated=start[kept],
        weights=panel.weights[kept] / panel.weights[kept].mean(),
        clusters=clusters,
        units=panel.units[kept],
        notes=tuple(notes),
    )


def cells_of(
    panel: WidePanel, comparison: Comparison, base_period: BasePeriod, anticipation: float
) -> Iterator[Cell]:
    """Yield every pair of group and period that can be compared.

    Raises
    ------
    EstimationError
        If nobody is treated within the periods, or nobody is never treated but should be.
    """
    start, periods = panel.first_treated, panel.periods
    groups = np.unique(start[start <= periods[-1]])
    if not len(groups):
        raise EstimationError(
            f"{FUNCTION}: no unit is first treated within the periods after the first; there is "
            "no effect to estimate."
        )
    never = np.isinf(start)
    if comparison == "never_treated" and not never.any():
        raise EstimationError(
            f"{FUNCTION}: all {len(start)} units are treated at some time, so none is never "
            "treated; use comparison='not_yet_treated'."
        )
    for group in groups:
        treated = start == group
        last = int(np.flatnonzero(periods < group - anticipation)[-1])
        for t in range(len(periods)):
            before = periods[t] < group - anticipation
            base = t - 1 if before and base_period == "varying" else last
            if base < 0:
                continue
            others = never
            if comparison == "not_yet_treated":
                others = start > periods[max(t, base)] + anticipation
                others = others & ~treated
            if others.any():
                yield Cell(float(group), t, base, treated, others)


def cell_notes(panel: WidePanel, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return what a reader must know of groups and effects that are missing."""
    notes = []
    estimated = {cell.group for cell in cells}
    last = panel.periods[-1]
    groups = np.unique(panel.first_treated[panel.first_treated <= last])
    small = [group for group in groups if (panel.first_treated == group).sum() < FEW_UNITS]
    if small:
        notes.append(
            f"{len(small)} of {len(groups)} groups have fewer than {FEW_UNITS} units: their "
            "standard errors cannot be relied on."
        )
    notes.extend(_alone_notes(panel, cells))
    missing = sum(
        (group, t) not in {(cell.group, panel.periods[cell.period]) for cell in cells}
        for group in groups
        for t in panel.periods
        if t >= group
    )
    if missing:
        alone = len(set(groups.tolist()) - estimated)
        notes.append(
            f"{missing} effects after treatment have nobody left to compare with and are left out"
            + (f"; {alone} groups have no effect at all." if alone else ".")
        )
    return tuple(notes)


def _alone_notes(panel: WidePanel, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return notes on groups and comparisons that lie in one cluster, or are one unit."""
    notes = []
    homes = {cell.group: len(np.unique(panel.clusters[cell.treated])) for cell in cells}
    alone = sum(count == 1 for count in homes.values())
    if alone:
        notes.append(
            f"{alone} of {len(homes)} groups lie in one cluster: standard errors of their effects "
            "lack the differences between clusters and are far too small."
        )
    single = sum(len(np.unique(panel.clusters[cell.comparison])) == 1 for cell in cells)
    if single:
        notes.append(
            f"{single} of {len(cells)} effects are compared with units of one cluster: their "
            "standard errors lack the differences between clusters and are far too small."
        )
    return tuple(notes)
