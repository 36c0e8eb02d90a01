"""Difference-in-differences: one effect, with unit and period effects absorbed (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.longitudinal.panel_covariance import (
    PanelCovariance,
    chosen_covariance,
)
from homevisit_eval.effects.longitudinal.panel_rows import (
    PanelRows,
    checked_panel,
    finite_column,
    finite_columns,
    first_treated_periods,
    renamed_error,
)
from homevisit_eval.effects.longitudinal.two_way_weights import (
    TREATED,
    treatment_design,
    weights_of_cells,
)
from homevisit_eval.effects.regression.degrees_of_freedom import DfType, NestedEffects
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_outcome
from homevisit_eval.effects.regression.prepared_design import PreparedDesign
from homevisit_eval.errors import EstimationError

__all__ = ["DifferenceInDifferences", "difference_in_differences"]

Floats = NDArray[np.float64]

FUNCTION = "difference_in_differences"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DifferenceInDifferences:
    """The coefficient of treatment beside unit and period effects, in units of y.

    Attributes
    ----------
    estimate, std_error
    df
        Degrees of freedom of its t distribution.
    fit
        The regression, of which the first coefficient is that of treatment.
    n, units, periods
        Rows of positive weight, units and periods.
    units_treated
        Units that are treated at some time.
    start_periods
        How many different periods of first treatment there are after the first period.
    negative_weight
        The sum of the negative weights with which effects by start and period enter the
        coefficient; 0 if none is negative, NaN with covariates.
    notes : tuple of sentences
        What a reader must know.
    """

    estimate: float
    std_error: float
    df: float
    fit: LeastSquaresFit
    n: int
    units: int
    periods: int
    units_treated: int
    start_periods: int
    negative_weight: float
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """Two-sided p value of no effect."""
        return float(2.0 * stdtr(self.df, -abs(self.estimate / self.std_error)))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval, in units of y."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate with its recipe, no rows."""
        return (
            f"DifferenceInDifferences({self.estimate:.6g}, std_error {self.std_error:.6g}, "
            f"{self.fit.covariance_type}, df {self.df:.4g}; n = {self.n} rows of {self.units} "
            f"units in {self.periods} periods, K = {self.fit.K}, G = {self.fit.G})"
        )


def difference_in_differences(
    y: ArrayLike,
    treated: ArrayLike,
    unit: ArrayLike,
    period: ArrayLike,
    *,
    X: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    covariance: PanelCovariance = "default",
    df: DfType = "default",
    nested_effects: NestedEffects = "counted",
) -> DifferenceInDifferences:
    """Return the effect of treatment by difference-in-differences, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
        One row for each unit and period; units may lack periods.
    treated : array of shape (n,)
        0 or 1: whether the unit is treated in the period. Once treated, it stays so.
    unit, period : arrays of shape (n,)
        Codes of units; periods are numbers.
    X : array of shape (n, k), optional
        Covariates that vary over time and that treatment does not change.
    weights : array of shape (n,), optional
        Matching weights; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent, as schools; units if not given.
    covariance
        ``"default"``: CR2 up to 1,000 clusters and CR1S beyond, where they agree; or a name that
        `fit_least_squares` takes.
    df, nested_effects
        As in `fit_least_squares`.

    Returns
    -------
    DifferenceInDifferences

    Raises
    ------
    EstimationError
        If the panel is unusable, treatment switches off or is determined by unit and period, or
        its standard error cannot be had.

    Notes
    -----
    Weighted least squares of y on treatment with one intercept for each unit and each period;
    with two periods and all units in both it is the weighted difference of mean changes. Where
    treatment starts at different times, the coefficient is a weighted sum of the effects by
    start and period in which weights may be negative: the notes tell, and `group_time_effects`
    does not have this weakness.

    References
    ----------
    de Chaisemartin, C., & D'Haultfoeuille, X. (2020). Two-way fixed effects estimators with
    heterogeneous treatment effects. *American Economic Review*, 110(9), 2964-2996.
    Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing.
    *Journal of Econometrics*, 225(2), 254-277.

    Examples
    --------
    >>> y, treated = [1, 2, 1, 3, 2, 6, 3, 6], [0, 0, 0, 0, 0, 1, 0, 1]
    >>> found = difference_in_differences(
    ...     y, treated, [1, 1, 2, 2, 3, 3, 4, 4], [0, 1, 0, 1, 0, 1, 0, 1])
    >>> round(found.estimate, 6), round(found.std_error, 6)
    (2.0, 0.707107)
    """
    rows = checked_panel(FUNCTION, unit, period, weights)
    now = finite_column(FUNCTION, rows, treated, TREATED)
    outcome = finite_column(FUNCTION, rows, y, "y")
    covariates = finite_columns(FUNCTION, rows, X)
    try:
        starts = first_treated_periods(rows.unit, rows.periods[rows.period], now)
    except EstimationError as error:
        raise renamed_error(FUNCTION, error) from None
    homes = rows.unit if clusters is None else rows.only(FUNCTION, clusters, "clusters")
    prepared = treatment_design(FUNCTION, rows, now, covariates, homes)
    try:
        fit = fit_outcome(
            prepared,
            outcome,
            covariance=chosen_covariance(covariance, prepared.G),
            df=df,
            nested_effects=nested_effects,
            df_for=[TREATED],
        )
    except EstimationError as error:
        raise renamed_error(FUNCTION, error) from None
    if not (fit.std_errors[0] > 0 and fit.df[0] > 0):
        raise EstimationError(
            f"{FUNCTION}: the standard error of the effect is 0 with {fit.G} clusters; choose a "
            "finer level of clustering, or fewer covariates."
        )
    count, negative, notes = _starts(rows, now, starts, prepared, covariates.shape[1])
    return DifferenceInDifferences(
        estimate=float(fit.coefficients[0]),
        std_error=float(fit.std_errors[0]),
        df=float(fit.df[0]),
        fit=fit,
        n=len(now),
        units=rows.N,
        periods=rows.T,
        units_treated=len(np.unique(rows.unit[now == 1])),
        start_periods=count,
        negative_weight=negative,
        notes=(*notes, *fit.notes),
    )


def _starts(
    rows: PanelRows, now: Floats, starts: Floats, prepared: PreparedDesign, k: int
) -> tuple[int, float, tuple[str, ...]]:
    """Return the number of start periods, the sum of negative weights, and notes."""
    notes = []
    seen = np.bincount(rows.unit, minlength=rows.N)
    once = int((seen == 1).sum())
    if once:
        notes.append(f"{once} of {rows.N} units have one row only and add nothing to the effect.")
    first = np.full(rows.N, np.inf)
    np.minimum.at(first, rows.unit, rows.periods[rows.period])
    always = first[rows.unit] == starts
    if always.any():
        notes.append(
            f"{len(np.unique(rows.unit[always]))} units are treated in all their periods: they "
            "serve as comparison for others, which is right only if effects do not change over "
            "time. Leave them out if in doubt."
        )
    count = len(np.unique(starts[np.isfinite(starts) & ~always]))
    if k:
        negative = float("nan")
    else:
        shares = weights_of_cells(rows, now, starts, prepared)[2]
        negative = float(shares[shares < 0].sum())
    if count > 1:
        said = f"; negative ones add up to {negative:.2f}" if negative < 0 else ""
        notes.append(
            f"Treatment starts in {count} different periods: the coefficient is a weighted sum of "
            f"effects by start and period{said}. See group_time_effects, which compares with "
            "units not treated only."
        )
    return count, negative, tuple(notes)
