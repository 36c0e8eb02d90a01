"""Weights of effects in the coefficient of treatment beside unit and period effects (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.longitudinal.panel_rows import (
    PanelRows,
    checked_panel,
    finite_column,
    renamed_error,
    start_periods,
)
from homevisit_eval.effects.regression.prepared_design import PreparedDesign, prepare_design
from homevisit_eval.errors import EstimationError

__all__ = ["TREATED", "TwoWayWeights", "treatment_design", "two_way_weights", "weights_of_cells"]

Floats = NDArray[np.float64]

FUNCTION = "two_way_weights"
TREATED = "treated"
ROUNDING = 1e-12
NOTHING_VARIES = "no column of X varies"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TwoWayWeights:
    """What the two-way coefficient of treatment is made of.

    Attributes
    ----------
    estimate
        The coefficient of treatment beside unit and period effects, in units of y.
    groups, periods, weights : arrays of shape (m,)
        Period of first treatment, period, and the weight of the average effect there; weights
        add up to 1.
    negative
        How many weights are negative.
    negative_total
        Their sum.
    """

    estimate: float
    groups: Floats
    periods: Floats
    weights: Floats
    negative: int
    negative_total: float

    def __repr__(self) -> str:
        """Show the coefficient and its negative weights."""
        return (
            f"TwoWayWeights(coefficient {self.estimate:.6g}: {len(self.weights)} effects, "
            f"{self.negative} with negative weights that add up to {self.negative_total:.4g})"
        )


def two_way_weights(
    y: ArrayLike,
    unit: ArrayLike,
    period: ArrayLike,
    first_treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
) -> TwoWayWeights:
    """Return the two-way coefficient of treatment and the weight of each group's effects in it.

    Parameters
    ----------
    y : array of shape (n,)
    unit, period, first_treated : arrays of shape (n,)
        As in `group_time_effects`; units may lack periods.
    weights : array of shape (n,), optional
        Matching or sampling weights; rows of weight 0 take no part.

    Raises
    ------
    EstimationError
        If the panel is unusable or treatment is determined by unit and period.

    Notes
    -----
    With e the residual of treatment D on unit and period effects, the weight of group g in
    period t is the sum of w D e over its rows, divided by that over all rows. Under parallel
    trends the coefficient is the sum of weights times the average effects.

    References
    ----------
    de Chaisemartin, C., & D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with
    heterogeneous treatment effects. *American Economic Review*, 110(9), 2964-2996 (theorem 1).
    """
    rows = checked_panel(FUNCTION, unit, period, weights)
    outcome = finite_column(FUNCTION, rows, y, "y")
    starts = start_periods(FUNCTION, rows, first_treated)[rows.unit]
    now = (rows.periods[rows.period] >= starts).astype(np.float64)
    prepared = treatment_design(FUNCTION, rows, now, np.empty((len(now), 0)), rows.unit)
    groups, periods, shares = weights_of_cells(rows, now, starts, prepared)
    return TwoWayWeights(
        estimate=float(_multipliers(prepared) @ outcome),
        groups=groups,
        periods=periods,
        weights=shares,
        negative=int((shares < -ROUNDING).sum()),
        negative_total=float(shares[shares < -ROUNDING].sum()),
    )


def treatment_design(
    function: str,
    rows: PanelRows,
    treated: Floats,
    covariates: Floats,
    clusters: NDArray[np.generic],
) -> PreparedDesign:
    """Return the design of treatment, then covariates, beside unit and period effects.

    Parameters
    ----------
    function
        For messages.
    rows
    treated, clusters : arrays of shape (n,)
    covariates : array of shape (n, k)

    Raises
    ------
    EstimationError
        If it cannot be estimated, as where unit and period determine treatment.
    """
    try:
        prepared = prepare_design(
            np.column_stack([treated, covariates]),
            weights=rows.weights,
            absorb=[rows.unit, rows.period],
            clusters=clusters,
            names=[TREATED, *(f"x{j}" for j in range(covariates.shape[1]))],
        )
    except EstimationError as error:
        if NOTHING_VARIES not in str(error):
            raise renamed_error(function, error) from None
        prepared = None
    if prepared is None or TREATED in prepared.dropped:
        raise EstimationError(
            f"{function}: treatment is determined by unit and period ({int(treated.sum())} of "
            f"{len(treated)} rows are treated), so no effect is identified. Give units whose "
            "treatment starts within the periods, and others that are not yet or never treated."
        )
    return prepared


def weights_of_cells(
    rows: PanelRows, treated: Floats, starts: Floats, prepared: PreparedDesign
) -> tuple[Floats, Floats, Floats]:
    """Return groups, periods and weights of the treated cells, each of shape (m,).

    Parameters
    ----------
    rows
    treated, starts : arrays of shape (n,)
        Treatment, and the period of first treatment.
    prepared
        The design with treatment as its first column.
    """
    on = treated == 1
    groups, of_group = np.unique(starts[on], return_inverse=True)
    cell, at = np.unique(of_group * rows.T + rows.period[on], return_inverse=True)
    shares = np.bincount(at, _multipliers(prepared)[on], len(cell)).astype(np.float64, copy=False)
    shares[np.abs(shares) < ROUNDING] = 0.0
    return groups[cell // rows.T], rows.periods[cell % rows.T], shares


def _multipliers(prepared: PreparedDesign) -> Floats:
    """Return what each outcome is multiplied by in the first coefficient, shape (n,)."""
    design = prepared.design
    return np.asarray((design.Q @ prepared.inverse[0]) * design.root_weights, dtype=np.float64)
