"""Event study: leads and lags of treatment beside unit and period effects (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

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
    renamed_error,
    start_periods,
)
from homevisit_eval.effects.regression.degrees_of_freedom import DfType, NestedEffects
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_outcome
from homevisit_eval.effects.regression.prepared_design import PreparedDesign, prepare_design
from homevisit_eval.effects.regression.wald_tests import (
    JointTest,
    TestType,
    joint_test,
    zero_constraints,
)
from homevisit_eval.errors import EstimationError

__all__ = ["Endpoints", "EventStudy", "event_study_pretrend_test", "fit_event_study"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Endpoints = Literal["separate", "binned", "left_out"]
PretrendTest = TestType | Literal["default"]

FUNCTION = "fit_event_study"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventStudy:
    """Differences from the reference event time, in units of y.

    Attributes
    ----------
    event_times : array of shape (m,)
        Periods since first treatment, the reference among them; a binned endpoint stands at its
        inner bound.
    estimates, std_errors : arrays of shape (m,)
        0 at the reference.
    df : array of shape (m,)
        Degrees of freedom of the t distribution of each; NaN at the reference.
    reference : array of bool, shape (m,)
    names : tuple of m names
        Those of the regression's columns.
    fit, prepared
        The regression and its design.
    endpoints
        ``"separate"``, ``"binned"`` or ``"left_out"``.
    n, units
        Rows and units that took part.
    notes : tuple of sentences
        What a reader must know.
    """

    event_times: Floats
    estimates: Floats
    std_errors: Floats
    df: Floats
    reference: Flags
    names: tuple[str, ...]
    fit: LeastSquaresFit
    prepared: PreparedDesign
    endpoints: Endpoints
    n: int
    units: int
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of no difference from the reference, shape (m,); NaN there."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.estimates / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals, shape (m, 2): lower and upper bounds; 0 at the
        reference."""
        quantile = stdtrit(np.where(self.reference, 1.0, self.df), 0.5 + confidence_level / 2.0)
        half = quantile * self.std_errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def __repr__(self) -> str:
        """Show the recipe, no rows."""
        where = ", ".join(f"{value:g}" for value in self.event_times[self.reference])
        return (
            f"EventStudy({len(self.event_times)} event times, reference {where}, endpoints "
            f"{self.endpoints}; {self.fit.covariance_type}, df: {self.fit.df_convention}; "
            f"n = {self.n} rows of {self.units} units, K = {self.fit.K}, G = {self.fit.G})"
        )


def fit_event_study(
    y: ArrayLike,
    unit: ArrayLike,
    period: ArrayLike,
    first_treated: ArrayLike,
    *,
    reference: Sequence[float] = (-1.0,),
    endpoints: Endpoints = "separate",
    earliest: float = -float("inf"),
    latest: float = float("inf"),
    X: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    covariance: PanelCovariance = "default",
    df: DfType = "default",
    nested_effects: NestedEffects = "counted",
) -> EventStudy:
    """Return leads and lags of treatment beside unit and period effects, in units of y.

    Parameters
    ----------
    y, unit, period, first_treated : arrays of shape (n,)
        As in `group_time_effects`; units may lack periods.
    reference
        Event times whose difference is set to 0: the period before treatment. Without units that
        are never treated, two are needed, as unit and period effects leave a line open.
    endpoints
        ``"separate"``: each event time has its own coefficient. ``"binned"``: those up to
        `earliest` share one, and those from `latest` on. ``"left_out"``: rows of treated units
        before `earliest` and after `latest` are left out.
    earliest, latest
        See `endpoints`.
    X : array of shape (n, k), optional
        Covariates that vary over time and that treatment does not change.
    weights : array of shape (n,), optional
        Matching weights; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; units if not given.
    covariance
        ``"default"``: CR2 up to 1,000 clusters and CR1S beyond, where they agree; or a name that
        `fit_least_squares` takes.
    df, nested_effects
        As in `fit_least_squares`.

    Returns
    -------
    EventStudy

    Raises
    ------
    EstimationError
        If the panel is unusable, a reference does not occur, or event times are not identified
        beside unit and period effects.

    Notes
    -----
    Units that are treated in all their periods are left out and counted. Where treatment starts
    at different times and effects differ between groups, a coefficient mixes effects of other
    event times, leads too (Sun & Abraham 2021): see `interaction_weighted_effects`.

    References
    ----------
    Sun, L., & Abraham, S. (2021). Estimating dynamic treatment effects in event studies with
    heterogeneous treatment effects. *Journal of Econometrics*, 225(2), 175-199.
    Schmidheiny, K., & Siegloch, S. (2023). On event studies and distributed-lags in two-way fixed
    effects models. *Journal of Applied Econometrics*, 38(5), 695-713.
    """
    _check_endpoints(endpoints, earliest, latest)
    rows = checked_panel(FUNCTION, unit, period, weights)
    outcome = finite_column(FUNCTION, rows, y, "y")
    covariates = finite_columns(FUNCTION, rows, X)
    homes = rows.unit if clusters is None else rows.only(FUNCTION, clusters, "clusters")
    starts = start_periods(FUNCTION, rows, first_treated)
    event = rows.periods[rows.period] - starts[rows.unit]  # -inf: never treated
    kept, notes = _kept(rows, event)
    if endpoints == "left_out":
        kept &= np.isinf(event) | ((event >= earliest) & (event <= latest))
    elif endpoints == "binned":
        event = np.where(np.isinf(event), event, event.clip(earliest, latest))
    times, at_reference = _event_times(event[kept], reference)
    labels = _labels(times, endpoints, earliest, latest)
    own = [label for label, one in zip(labels, at_reference, strict=True) if not one]
    columns = event[kept, None] == times[~at_reference]
    try:
        prepared = prepare_design(
            np.column_stack([columns, covariates[kept]]),
            weights=rows.weights[kept],
            absorb=[rows.unit[kept], rows.period[kept]],
            clusters=homes[kept],
            names=[*own, *(f"x{j}" for j in range(covariates.shape[1]))],
        )
        _check_identified(prepared, own)
        fit = fit_outcome(
            prepared,
            outcome[kept],
            covariance=chosen_covariance(covariance, prepared.G),
            df=df,
            nested_effects=nested_effects,
            df_for=own,
        )
    except EstimationError as error:
        raise renamed_error(FUNCTION, error) from None
    free, m = ~at_reference, len(own)
    found = np.zeros((3, len(times)))
    found[2] = np.nan
    found[:, free] = fit.coefficients[:m], fit.std_errors[:m], fit.df[:m]
    return EventStudy(
        event_times=times,
        estimates=found[0],
        std_errors=found[1],
        df=found[2],
        reference=at_reference,
        names=tuple(labels),
        fit=fit,
        prepared=prepared,
        endpoints=endpoints,
        n=int(kept.sum()),
        units=len(np.unique(rows.unit[kept])),
        notes=(*notes, *_staggered(rows, starts, kept), *fit.notes),
    )


def event_study_pretrend_test(
    study: EventStudy, *, before: float = 0.0, test: PretrendTest = "default"
) -> JointTest:
    """Test that all coefficients of event times before treatment are 0 together.

    Parameters
    ----------
    study
    before
        Event times below this are tested; give minus the periods of anticipation.
    test
        ``"default"``: HTZ with CR2 and CR3, F with others; or one that `joint_test` takes.

    Raises
    ------
    EstimationError
        If there is no such event time beside the reference, or the test cannot be had.
    """
    tested = [
        name
        for name, time, fixed in zip(study.names, study.event_times, study.reference, strict=True)
        if time < before and not fixed
    ]
    if not tested:
        raise EstimationError(
            "event_study_pretrend_test: there is no event time before treatment beside the "
            "reference; give more periods before treatment."
        )
    constraints = zero_constraints(study.fit, tested)
    if test == "default":
        test = "HTZ" if study.fit.covariance_type in ("CR2", "CR3") else "F"
    return joint_test(study.prepared, study.fit, constraints, test=test)


def _check_endpoints(endpoints: str, earliest: float, latest: float) -> None:
    if endpoints not in get_args(Endpoints):
        raise EstimationError(
            f"{FUNCTION}: endpoints must be one of {', '.join(get_args(Endpoints))}; it is "
            f"{endpoints!r}."
        )
    bounded = bool(np.isfinite(earliest) or np.isfinite(latest))
    if bounded == (endpoints == "separate"):
        raise EstimationError(
            f"{FUNCTION}: endpoints={endpoints!r} "
            + ("takes no earliest and latest." if bounded else "needs earliest, latest or both.")
        )
    if not earliest < latest:
        raise EstimationError(f"{FUNCTION}: earliest must be below latest.")


def _kept(rows: PanelRows, event: Floats) -> tuple[Flags, tuple[str, ...]]:
    """Return which rows are of units with a period before treatment, and a note on others."""
    lowest = np.full(rows.N, np.inf)
    np.minimum.at(lowest, rows.unit, event)
    always = lowest >= 0
    if not always.any():
        return np.ones(len(event), dtype=bool), ()
    note = (
        f"{int(always.sum())} of {rows.N} units are left out because they are treated in all their "
        "periods."
    )
    return ~always[rows.unit], (note,)


def _event_times(event: Floats, reference: Sequence[float]) -> tuple[Floats, Flags]:
    """Return the event times that occur, and which of them are references."""
    times = np.unique(event[np.isfinite(event)])
    if not len(times):
        raise EstimationError(
            f"{FUNCTION}: no unit is treated after its first period, so there are no event times."
        )
    if not len(reference):
        raise EstimationError(f"{FUNCTION}: give one or two reference event times, as [-1].")
    absent = [value for value in reference if value not in times]
    if absent:
        raise EstimationError(
            f"{FUNCTION}: {len(absent)} of {len(reference)} reference event times occur in no row; "
            f"give one or two of the {len(times)} event times that do."
        )
    fixed = np.isin(times, reference)
    if fixed.all():
        raise EstimationError(f"{FUNCTION}: there is no event time beside the reference.")
    return times, fixed


def _labels(times: Floats, endpoints: Endpoints, earliest: float, latest: float) -> list[str]:
    labels = [f"event {time:g}" for time in times]
    if endpoints == "binned":
        if times[0] == earliest:
            labels[0] = f"event {earliest:g} or before"
        if times[-1] == latest:
            labels[-1] = f"event {latest:g} or after"
    return labels


def _check_identified(prepared: PreparedDesign, own: Sequence[str]) -> None:
    lost = [name for name in own if name in prepared.dropped]
    if lost:
        raise EstimationError(
            f"{FUNCTION}: unit and period effects determine {len(lost)} of {len(own)} event times "
            f"({', '.join(lost[:3])}). Without units that are never treated, give a second "
            "reference or bin endpoints."
        )


def _staggered(rows: PanelRows, starts: Floats, kept: Flags) -> tuple[str, ...]:
    mine = starts[np.unique(rows.unit[kept])]
    count = len(np.unique(mine[mine <= rows.periods[-1]]))
    if count < 2:
        return ()
    return (
        f"Treatment starts in {count} different periods: where effects differ between groups, each "
        "coefficient mixes effects of other event times. See interaction_weighted_effects.",
    )
