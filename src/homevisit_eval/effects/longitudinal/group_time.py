"""Group-time effects of a treatment that starts at different times (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.longitudinal.group_time_cells import (
    BasePeriod,
    Cell,
    Comparison,
    cell_notes,
    cells_of,
    with_base_period,
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
    Gaps,
    WidePanel,
    checked_panel,
    wide_panel,
)
from homevisit_eval.effects.longitudinal.two_period import (
    Changes,
    Estimation,
    Score,
    change_effect,
    group_score,
)
from homevisit_eval.effects.weighting.working_models import standard_columns
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = [
    "BasePeriod",
    "Comparison",
    "GroupTimeEffects",
    "group_time_effects",
    "pretrend_test",
]

Floats = NDArray[np.float64]
Overlap = Literal["refuse", "trim"]

FUNCTION = "group_time_effects"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroupTimeEffects:
    """Average effects ATT(g, t) on the units first treated in g, in period t.

    Attributes
    ----------
    groups, periods, base_periods : arrays of shape (m,)
        g, t, and the period that t is compared with.
    effects
        Estimates, standard errors and influence of units, in units of the outcome.
    n_treated, n_comparison : arrays of shape (m,)
        Units in group g, and units they are compared with.
    units : array of shape (n,)
        Codes of the units as given: the lines of the influence.
    first_treated, weights : arrays of shape (n,)
        Of the units: the period of first treatment (infinite: never) and weights with mean 1.
    comparison, base_period, estimation, anticipation
        The recipe.
    notes : tuple of sentences
        What a reader must know.
    """

    groups: Floats
    periods: Floats
    base_periods: Floats
    effects: InfluenceEffects
    n_treated: NDArray[np.intp]
    n_comparison: NDArray[np.intp]
    units: NDArray[np.generic]
    first_treated: Floats
    weights: Floats
    comparison: Comparison
    base_period: BasePeriod
    estimation: Estimation
    anticipation: float
    notes: tuple[str, ...]

    @property
    def event_times(self) -> Floats:
        """Periods since first treatment, shape (m,)."""
        return self.periods - self.groups

    @property
    def estimates(self) -> Floats:
        """ATT(g, t), shape (m,)."""
        return self.effects.estimates

    @property
    def std_errors(self) -> Floats:
        """Standard errors, shape (m,); 0 in the universal base period."""
        return self.effects.std_errors

    def __repr__(self) -> str:
        """Show the recipe, no units."""
        return (
            f"GroupTimeEffects({len(self.groups)} effects of {len(np.unique(self.groups))} groups, "
            f"{self.estimation}, comparison {self.comparison}, base {self.base_period}, "
            f"anticipation {self.anticipation:g}; {self.effects.covariance_type}, "
            f"n = {len(self.units)}, G = {self.effects.G})"
        )


def group_time_effects(
    y: ArrayLike,
    unit: ArrayLike,
    period: ArrayLike,
    first_treated: ArrayLike,
    *,
    X: ArrayLike | None = None,
    comparison: Comparison = "never_treated",
    base_period: BasePeriod = "varying",
    estimation: Estimation = "unconditional",
    anticipation: float = 0,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    gaps: Gaps = "refuse",
    overlap: Overlap = "refuse",
    highest_probability: float = 0.995,
    covariance: InfluenceCovariance = "CR1",
    df: InfluenceDf = "G - 1",
) -> GroupTimeEffects:
    """Return ATT(g, t) for every group g of first treatment and period t, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
        One row for each unit and period.
    unit, period : arrays of shape (n,)
        Codes of units; periods are numbers, whose differences count as time since treatment.
    first_treated : array of shape (n,)
        The unit's period of first treatment, infinite if it is never treated; see
        `first_treated_periods`. Treatment lasts.
    X : array of shape (n, k), optional
        Covariates without an intercept, read in the base period.
    comparison
        ``"never_treated"``, or ``"not_yet_treated"``: never, or later than both periods and
        the anticipation.
    base_period
        ``"varying"``: before treatment and anticipation, t is compared with the period before it,
        from then on with the last one before both. ``"universal"``: always with that one.
    estimation
        ``"unconditional"`` (takes no X), ``"outcome_regression"``, ``"inverse_probability"``
        (weights add up to 1) or ``"doubly_robust"``.
    anticipation
        Periods before treatment in which it may already have effects.
    weights : array of shape (n,), optional
        Matching or sampling weights, constant by unit; units of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which units may be dependent, constant by unit; each unit its
        own if not given.
    gaps
        Units without a row in every period: ``"refuse"`` (an error) or ``"complete_units"``
        (they are left out and counted).
    overlap, highest_probability
        Comparison units that would belong to the group with a higher probability: ``"refuse"``
        (an error) or ``"trim"`` (they weigh nothing, and are counted).
    covariance, df
        ``"CR1"`` with ``"G - 1"`` degrees of freedom, or ``"CR0"`` and ``"normal"``.

    Returns
    -------
    GroupTimeEffects

    Raises
    ------
    EstimationError
        If the panel is unusable or has gaps, there is nobody to compare with, or a model of a
        cell cannot be fitted.

    Notes
    -----
    Each effect is that of two groups (g and its comparison) and two periods (t and the base);
    see `change_effect` for the formula. Units treated in the first period, or no later than
    `anticipation` after it, have no base period and are left out. A period without anybody to
    compare with has no effect.

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230.
    Sant'Anna, P. H. C., & Zhao, J. (2020). Doubly robust difference-in-differences estimators.
    *Journal of Econometrics*, 219(1), 101-122.

    Examples
    --------
    >>> group_time_effects([1, 4, 1, 2, 2, 3], [1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1],
    ...                    [1, 1, *[float("inf")] * 4]).estimates.tolist()
    [2.0]
    """
    _check_options(
        (comparison, base_period, estimation, overlap), anticipation, covariates=X is not None
    )
    rows = checked_panel(FUNCTION, unit, period, weights)
    panel = wide_panel(FUNCTION, rows, y, first_treated, X=X, clusters=clusters, gaps=gaps)
    panel = with_base_period(panel, anticipation)
    cells = list(cells_of(panel, comparison, base_period, anticipation))
    if not cells:
        raise EstimationError(
            f"{FUNCTION}: no group has a period with units to compare with; give units that are "
            "treated later or never."
        )
    with one_thread():
        estimates, influence, notes = _estimate_cells(
            panel, cells, estimation, overlap, highest_probability
        )
    effects = influence_effects(
        FUNCTION,
        estimates,
        influence,
        panel.clusters,
        names=[f"ATT({cell.group:g}, {panel.periods[cell.period]:g})" for cell in cells],
        covariance=covariance,
        df=df,
    )
    return GroupTimeEffects(
        groups=np.array([cell.group for cell in cells]),
        periods=panel.periods[[cell.period for cell in cells]],
        base_periods=panel.periods[[cell.base for cell in cells]],
        effects=effects,
        n_treated=np.array([cell.treated.sum() for cell in cells], dtype=np.intp),
        n_comparison=np.array([cell.comparison.sum() for cell in cells], dtype=np.intp),
        units=panel.units,
        first_treated=panel.first_treated,
        weights=panel.weights,
        comparison=comparison,
        base_period=base_period,
        estimation=estimation,
        anticipation=float(anticipation),
        notes=(*panel.notes, *cell_notes(panel, cells), *notes, *cluster_notes(effects.G)),
    )


def pretrend_test(
    found: GroupTimeEffects, *, test: InfluenceTestType = "Hotelling"
) -> InfluenceTest:
    """Test that all effects before treatment and anticipation are 0 together.

    Parameters
    ----------
    found
    test
        See `influence_test`.

    Raises
    ------
    EstimationError
        If no period before treatment can be compared, or they are too many for the clusters.
    """
    before = (found.event_times < -found.anticipation) & (found.periods != found.base_periods)
    if not before.any():
        raise EstimationError(
            "pretrend_test: there is no effect before treatment beside the base period; give "
            "more periods before treatment."
        )
    return influence_test(found.effects, np.flatnonzero(before).tolist(), test=test)


def _check_options(
    options: tuple[str, str, str, str], anticipation: float, *, covariates: bool
) -> None:
    names = ("comparison", "base_period", "estimation", "overlap")
    kinds = (Comparison, BasePeriod, Estimation, Overlap)
    for name, value, kind in zip(names, options, kinds, strict=True):
        if value not in get_args(kind):
            raise EstimationError(
                f"{FUNCTION}: {name} must be one of {', '.join(get_args(kind))}; it is {value!r}."
            )
    if not 0 <= anticipation < float("inf"):
        raise EstimationError(f"{FUNCTION}: anticipation must be 0 periods or more.")
    if options[2] == "unconditional" and covariates:
        raise EstimationError(
            f"{FUNCTION}: estimation='unconditional' takes no covariates; choose "
            "'doubly_robust', 'outcome_regression' or 'inverse_probability', or leave X out."
        )


def _estimate_cells(
    panel: WidePanel,
    cells: list[Cell],
    estimation: Estimation,
    overlap: Overlap,
    highest_probability: float,
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return estimates (m,), influence (n, m) and notes."""
    estimates, influence = np.zeros(len(cells)), np.zeros((len(panel.units), len(cells)))
    scores: dict[tuple[float, bytes, int], Score] = {}
    constant = bool((panel.X[:, :1] == panel.X).all())
    scored = estimation in ("inverse_probability", "doubly_robust")
    notes: list[str] = []
    for j, cell in enumerate(cells):
        if cell.period == cell.base:
            continue
        where = f"{FUNCTION}: group {cell.group:g} in period {panel.periods[cell.period]:g}"
        inside = np.flatnonzero(cell.treated | cell.comparison)
        rows = Changes(
            change=panel.y[inside, cell.period] - panel.y[inside, cell.base],
            treated=cell.treated[inside],
            columns=standard_columns(panel.X[inside, cell.base]),
            weights=panel.weights[inside],
        )
        score = None
        if scored:
            key = (cell.group, cell.comparison.tobytes(), -1 if constant else cell.base)
            if key not in scores:
                scores[key] = group_score(
                    where,
                    rows.treated,
                    rows.columns,
                    rows.weights,
                    overlap=overlap,
                    highest_probability=highest_probability,
                )
                notes.extend(_trimmed(scores[key], cell))
            score = scores[key]
        estimates[j], influence[inside, j], said = change_effect(where, rows, estimation, score)
        notes.extend(f"{where.partition(': ')[2]}: {sentence}" for sentence in said)
    return estimates, influence, tuple(notes)


def _trimmed(score: Score, cell: Cell) -> tuple[str, ...]:
    if not score.trimmed:
        return ()
    return (
        f"Group {cell.group:g}: {score.trimmed} comparison units that resemble it too closely "
        "weigh nothing.",
    )
