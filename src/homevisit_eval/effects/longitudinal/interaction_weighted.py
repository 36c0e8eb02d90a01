"""Event study by cohorts of first treatment, averaged by their shares (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.longitudinal.cohort_rows import (
    CohortComparison,
    CohortRows,
    cohort_rows,
)
from homevisit_eval.effects.longitudinal.influence import (
    InfluenceCovariance,
    InfluenceDf,
    InfluenceEffects,
    InfluenceTest,
    InfluenceTestType,
    cluster_notes,
    influence_effects,
    influence_test,
)
from homevisit_eval.effects.longitudinal.panel_rows import (
    checked_panel,
    finite_column,
    finite_columns,
    renamed_error,
    start_periods,
)
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_outcome
from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    cluster_influence,
    prepare_design,
)
from homevisit_eval.errors import EstimationError

__all__ = [
    "CohortComparison",
    "InteractionWeightedEffects",
    "Shares",
    "interaction_weighted_effects",
    "interaction_weighted_pretrend_test",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Shares = Literal["estimated", "fixed"]

FUNCTION = "interaction_weighted_effects"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InteractionWeightedEffects:
    """Effects by event time, averaged over cohorts by their shares, in units of y.

    Attributes
    ----------
    event_times : array of shape (m,)
        Periods since first treatment, references left out.
    effects
        The m averages; lines of the influence are clusters.
    overall
        One effect: the average over all cohorts and periods after treatment, by rows.
    cohorts, periods : arrays of shape (q,)
        Period of first treatment, and period, of each cohort effect.
    cohort_effects
        The q coefficients of the saturated regression.
    fit
        That regression.
    comparison, shares, anticipation
        The recipe.
    n, units
        Rows and units that took part.
    notes : tuple of sentences
        What a reader must know.
    """

    event_times: Floats
    effects: InfluenceEffects
    overall: InfluenceEffects
    cohorts: Floats
    periods: Floats
    cohort_effects: InfluenceEffects
    fit: LeastSquaresFit
    comparison: CohortComparison
    shares: Shares
    anticipation: float
    n: int
    units: int
    notes: tuple[str, ...]

    @property
    def estimates(self) -> Floats:
        """Averages, shape (m,)."""
        return self.effects.estimates

    @property
    def std_errors(self) -> Floats:
        """Their standard errors, shape (m,)."""
        return self.effects.std_errors

    def __repr__(self) -> str:
        """Show the overall effect with its recipe, no rows."""
        return (
            f"InteractionWeightedEffects(overall {self.overall.estimates[0]:.6g}, std_error "
            f"{self.overall.std_errors[0]:.6g}; {len(self.event_times)} event times of "
            f"{len(np.unique(self.cohorts))} cohorts, comparison {self.comparison}, shares "
            f"{self.shares}; {self.effects.covariance_type}, n = {self.n} rows of {self.units} "
            f"units, G = {self.effects.G})"
        )


def interaction_weighted_effects(
    y: ArrayLike,
    unit: ArrayLike,
    period: ArrayLike,
    first_treated: ArrayLike,
    *,
    comparison: CohortComparison = "never_treated",
    anticipation: float = 0,
    shares: Shares = "estimated",
    X: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    covariance: InfluenceCovariance = "CR1",
    df: InfluenceDf = "G - 1",
) -> InteractionWeightedEffects:
    """Return effects by event time that do not mix event times, in units of y.

    Parameters
    ----------
    y, unit, period, first_treated : arrays of shape (n,)
        As in `group_time_effects`; units may lack periods.
    comparison
        ``"never_treated"``, or ``"last_treated"``: the last cohort, before its treatment and
        anticipation, with the periods after that left out for all.
    anticipation
        Periods before treatment in which it may have effects; the reference of each cohort is the
        last period before them.
    shares
        Whether standard errors count the shares of cohorts as ``"estimated"`` or ``"fixed"``.
    X : array of shape (n, k), optional
        Covariates that vary over time and that treatment does not change.
    weights : array of shape (n,), optional
        Matching weights; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; units if not given.
    covariance, df
        As in `group_time_effects`.

    Returns
    -------
    InteractionWeightedEffects

    Raises
    ------
    EstimationError
        If the panel is unusable, there is nobody to compare with, or a cohort's effects are not
        identified.

    Notes
    -----
    Least squares of y on an indicator of each cohort and period but the reference, with unit
    and period effects; then, at each event time, the average of the coefficients by the weight
    of the cohorts' rows. Without covariates and gaps, coefficients equal ATT(g, t) against the
    never treated with a universal base period. Units treated before they have a reference
    period are left out and counted.

    References
    ----------
    Sun, L., & Abraham, S. (2021). Estimating dynamic treatment effects in event studies with
    heterogeneous treatment effects. *Journal of Econometrics*, 225(2), 175-199.
    """
    for value, kind, name in (
        (comparison, CohortComparison, "comparison"),
        (shares, Shares, "shares"),
    ):
        if value not in get_args(kind):
            raise EstimationError(
                f"{FUNCTION}: {name} must be one of {', '.join(get_args(kind))}; it is {value!r}."
            )
    if not 0 <= anticipation < float("inf"):
        raise EstimationError(f"{FUNCTION}: anticipation must be 0 periods or more.")
    rows = checked_panel(FUNCTION, unit, period, weights)
    outcome = finite_column(FUNCTION, rows, y, "y")
    covariates = finite_columns(FUNCTION, rows, X)
    homes = rows.unit if clusters is None else rows.only(FUNCTION, clusters, "clusters")
    starts = start_periods(FUNCTION, rows, first_treated)
    cohort = cohort_rows(rows, starts, comparison, anticipation)
    kept, q = cohort.kept, len(cohort.cohorts)
    try:
        prepared = prepare_design(
            np.column_stack([cohort.cell[:, None] == np.arange(q), covariates[kept]]),
            weights=rows.weights[kept],
            absorb=[rows.unit[kept], rows.period[kept]],
            clusters=homes[kept],
            names=[*cohort.names, *(f"x{j}" for j in range(covariates.shape[1]))],
        )
        _check_identified(prepared, cohort.names)
        fit = fit_outcome(prepared, outcome[kept], covariance="CR0", df="G - 1")
    except EstimationError as error:
        raise renamed_error(FUNCTION, error) from None
    influence = cluster_influence(prepared, fit.residuals)[:, :q]
    averages = Averages(
        fit.coefficients[:q], influence, cohort, rows.weights[kept], prepared, shares
    )
    event = cohort.periods - cohort.cohorts
    times = np.unique(event)
    after = np.flatnonzero(event >= 0)
    lists = [*(np.flatnonzero(event == time) for time in times), after]
    found = [averages.over(cells) for cells in lists]
    names = [*(f"event {time:g}" for time in times), "overall"]

    def effects(which: slice) -> InfluenceEffects:
        return influence_effects(
            FUNCTION,
            np.array([one[0] for one in found[which]]),
            np.column_stack([one[1] for one in found[which]]),
            np.arange(prepared.G),
            names=names[which],
            covariance=covariance,
            df=df,
        )

    return InteractionWeightedEffects(
        event_times=times,
        effects=effects(slice(0, -1)),
        overall=effects(slice(-1, None)),
        cohorts=cohort.cohorts,
        periods=cohort.periods,
        cohort_effects=influence_effects(
            FUNCTION,
            fit.coefficients[:q],
            influence,
            np.arange(prepared.G),
            names=fit.names[:q],
            covariance=covariance,
            df=df,
        ),
        fit=fit,
        comparison=comparison,
        shares=shares,
        anticipation=float(anticipation),
        n=prepared.n,
        units=len(np.unique(rows.unit[kept])),
        notes=(
            *cohort.notes,
            *_alone_notes(starts[rows.unit][kept], prepared),
            *cluster_notes(prepared.G),
        ),
    )


def interaction_weighted_pretrend_test(
    found: InteractionWeightedEffects, *, test: InfluenceTestType = "Hotelling"
) -> InfluenceTest:
    """Test that the averages at all event times before treatment are 0 together.

    Parameters
    ----------
    found
    test
        See `influence_test`.

    Raises
    ------
    EstimationError
        If no event time before treatment and anticipation is beside the reference.
    """
    before = np.flatnonzero(found.event_times < -found.anticipation)
    if not len(before):
        raise EstimationError(
            "interaction_weighted_pretrend_test: there is no event time before treatment beside "
            "the reference; give more periods before treatment."
        )
    return influence_test(found.effects, before.tolist(), test=test)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Averages:
    """Cohort effects, and what it takes to average them by shares.

    Attributes
    ----------
    coefficients : array of shape (q,)
    influence : array of shape (G, q)
    cohort
    weights : array of shape (n kept,)
    prepared
    shares
    """

    coefficients: Floats
    influence: Floats
    cohort: CohortRows
    weights: Floats
    prepared: PreparedDesign
    shares: Shares

    def __repr__(self) -> str:
        """Show counts."""
        return f"Averages({len(self.coefficients)} cohort effects)"

    def over(self, cells: Codes) -> tuple[float, Floats]:
        """Return the average of some cohort effects and the influence of clusters, (G,)."""
        if not len(cells):
            raise EstimationError(
                f"{FUNCTION}: no cohort has a period after treatment to average; give later "
                "periods."
            )
        place = np.full(len(self.coefficients), -1)
        place[cells] = np.arange(len(cells))
        of_row = np.where(self.cohort.cell >= 0, place[self.cohort.cell], -1)
        inside = of_row >= 0
        size = np.bincount(of_row[inside], self.weights[inside], len(cells))
        total = float(size.sum())
        mean = float(size @ self.coefficients[cells]) / total
        influence = self.influence[:, cells] @ (size / total)
        if self.shares == "estimated":
            apart = self.coefficients[cells] - mean
            share = self.weights[inside] * apart[of_row[inside]] / total
            influence += np.bincount(self.prepared.design.clusters[inside], share, self.prepared.G)
        return mean, influence


def _check_identified(prepared: PreparedDesign, names: tuple[str, ...]) -> None:
    lost = [name for name in names if name in prepared.dropped]
    if lost:
        raise EstimationError(
            f"{FUNCTION}: {len(lost)} of {len(names)} cohort effects ({', '.join(lost[:3])}) are "
            "not identified beside unit and period effects, as where a cohort lacks its reference "
            "period or nobody to compare with is seen in a period. Leave these rows out."
        )


def _alone_notes(start: Floats, prepared: PreparedDesign) -> tuple[str, ...]:
    """Return a note on cohorts, the never treated among them, that lie in one cluster."""
    cohorts = np.unique(start)
    clusters = prepared.design.clusters
    alone = sum(len(np.unique(clusters[start == value])) == 1 for value in cohorts)
    if not alone:
        return ()
    return (
        f"{alone} of {len(cohorts)} cohorts, the never treated among them, lie in one cluster: "
        "standard errors lack the differences between clusters and are far too small.",
    )
