"""Effects by group of first treatment and period: Callaway and Sant'Anna (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.group_time_cells import (
    BasePeriod,
    Comparison,
    after_the_end,
    group_time_cells,
)
from homevisit_eval.effects.pretrends import PretrendTest, hotelling_pretrend
from homevisit_eval.effects.simultaneous_bands import (
    SimultaneousBand,
    clustered_covariance,
    simultaneous_band,
)
from homevisit_eval.effects.staggered import Incomplete, StaggeredPanel, staggered_panel
from homevisit_eval.effects.two_period_effect import ChangeMethod, two_period_effect
from homevisit_eval.errors import EstimationError

__all__ = ["BasePeriod", "Comparison", "GroupTimeEffects", "group_time_effects"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
Periods = NDArray[np.int64]

FUNCTION = "group-time effects"
FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroupTimeEffects:
    """Average effects on the treated, one for each group of first treatment and period.

    Attributes
    ----------
    groups, periods, base_periods : arrays of shape (m,)
        First period of treatment, the period of the effect, and the one that it is compared with.
    estimates, std_errors : arrays of shape (m,)
        In units of the outcome. Those of periods before treatment are pretrends.
    df
        Degrees of freedom of their t distribution: G - 1.
    covariance : array of shape (m, m)
    influence : array of shape (N, m)
        What each unit adds to the error of each estimate; sums by cluster give `covariance`.
    n_treated, n_comparison : arrays of shape (m,)
        Units behind each estimate.
    units, unit_groups, unit_weights, clusters : arrays of shape (N,)
        The code of each unit as it was given, its first period of treatment (infinite: none),
        its weight (mean 1), and its cluster from 0.
    comparison, base, method, anticipation
        The recipe.
    G
        Clusters; units if none were given.
    notes : tuple of sentences
        What a reader must know.
    """

    groups: Periods
    periods: Periods
    base_periods: Periods
    estimates: Floats
    std_errors: Floats
    df: float
    covariance: Floats
    influence: Floats
    n_treated: Periods
    n_comparison: Periods
    units: NDArray[np.generic]
    unit_groups: Floats
    unit_weights: Floats
    clusters: Codes
    comparison: Comparison
    base: BasePeriod
    method: ChangeMethod
    anticipation: int
    G: int
    notes: tuple[str, ...]

    @property
    def event_times(self) -> Periods:
        """Periods since the first treatment, shape (m,); negative before it."""
        return self.periods - self.groups

    @property
    def before(self) -> Flags:
        """Which effects are of periods before treatment and its anticipation, shape (m,)."""
        return self.event_times < -self.anticipation

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of no effect, shape (m,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.estimates / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return the interval of each effect alone, shape (m, 2), in units of the outcome."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def band(
        self, *, seed: int, draws: int = 1999, confidence_level: float = 0.95
    ) -> SimultaneousBand:
        """Return intervals that hold for all effects together; see `simultaneous_band`."""
        return simultaneous_band(
            self.estimates,
            self.influence,
            self.clusters,
            seed=seed,
            draws=draws,
            confidence_level=confidence_level,
        )

    def pretrend_test(self) -> PretrendTest:
        """Test that all effects before treatment are 0 together; see `hotelling_pretrend`."""
        early = self.before
        return hotelling_pretrend(
            self.estimates[early], self.covariance[np.ix_(early, early)], self.G
        )

    def __repr__(self) -> str:
        """Show the recipe, no units."""
        return (
            f"GroupTimeEffects({len(self.estimates)} effects of {len(np.unique(self.groups))} "
            f"groups; {self.method}, {self.comparison}, {self.base} base, anticipation "
            f"{self.anticipation}; {len(self.units)} units, G = {self.G})"
        )


def group_time_effects(
    y: ArrayLike,
    units: ArrayLike,
    periods: ArrayLike,
    first_treated: ArrayLike,
    *,
    X: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    comparison: Comparison = "never treated",
    base: BasePeriod = "varying",
    method: ChangeMethod = "doubly robust",
    anticipation: int = 0,
    incomplete: Incomplete = "refuse",
    few_units: int = 10,
) -> GroupTimeEffects:
    """Return the average effect on the treated of each group and period, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    units, periods : arrays of shape (n,)
        Codes of units, and whole numbers as school years; one row for each unit and period.
    first_treated : array of shape (n,)
        The first period of treatment of the row's unit, infinite if there is none; see
        `first_treatment`. The same in all rows of a unit. A period after the last one counts as
        never (with `anticipation`, one far enough after it).
    X : array of shape (n, k), optional
        Covariates without an intercept; those of the base period are used.
    weights : array of shape (n,), optional
        Sampling or matching weights, 0 or above, the same in all rows of a unit.
    clusters : array of shape (n,), optional
        Codes of the groups within which units may be dependent, the same in all rows of a unit;
        each unit its own if not given.
    comparison
        ``"never treated"`` units, or all that are ``"not yet treated"`` (nor anticipate it) in
        either of the two periods.
    base
        What a period before treatment is compared with: with ``"varying"`` the period before
        it, with ``"universal"`` the last one before treatment, as later periods are.
    method
        See `two_period_effect`. Without X all are the same.
    anticipation
        Periods before treatment in which outcomes may already react: the base is before them.
    incomplete
        Units that are not observed in every period: ``"refuse"``, ``"drop"``, or ``"keep"``: each
        effect uses units that are observed in both of its periods.
    few_units
        Groups with fewer units get a note.

    Returns
    -------
    GroupTimeEffects
        By group, then period. Effects without any comparison unit are left out, and noted.

    Raises
    ------
    EstimationError
        If the panel is unusable (see `staggered_panel`), there are no comparison units, a model
        cannot be fitted, or there is one cluster only.

    Notes
    -----
    With base period b, D the group g, and C its comparison units,

    .. math:: ATT(g, t) = E[Y_t - Y_b | D] - E[E[Y_t - Y_b | X, C] | D].

    For periods from g - anticipation on, b is the last period before g - anticipation.

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230.

    Examples
    --------
    >>> y, units, periods = [1, 4, 2, 3, 5, 9, 0, 2], [1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 4
    >>> first = [2, 2, np.inf, np.inf, 2, 2, np.inf, np.inf]
    >>> group_time_effects(y, units, periods, first).estimates.tolist()
    [2.0]
    """
    _check_options(comparison, base, method, X is not None)
    laid_out = staggered_panel(
        FUNCTION,
        y,
        units,
        periods,
        first_treated,
        weights=weights,
        clusters=clusters,
        incomplete=incomplete,
        anticipation=anticipation,
    )
    panel = after_the_end(laid_out, anticipation)
    _check_groups(panel, comparison)
    columns = _checked_columns(X, np.asarray(y).shape[0], panel)
    cells, without = group_time_cells(
        FUNCTION, panel, comparison=comparison, base=base, anticipation=anticipation
    )
    influence = np.zeros((len(panel.y), len(cells)))
    estimates, notes = np.empty(len(cells)), dict.fromkeys(panel.notes)
    for j, cell in enumerate(cells):
        who = np.flatnonzero(cell.members | cell.comparisons)
        effect = two_period_effect(
            f"{FUNCTION}, group {cell.group} in period {cell.period}",
            panel.y[who, cell.column] - panel.y[who, cell.base_column],
            cell.members[who],
            columns[panel.rows[who, cell.base_column]],
            panel.weights[who],
            method=method,
        )
        estimates[j], influence[who, j] = effect.estimate, effect.influence
        notes.update(dict.fromkeys(effect.notes))
    covariance = clustered_covariance(influence, panel.clusters, panel.G)
    return GroupTimeEffects(
        groups=np.array([cell.group for cell in cells]),
        periods=np.array([cell.period for cell in cells]),
        base_periods=panel.periods[[cell.base_column for cell in cells]],
        estimates=estimates,
        std_errors=np.sqrt(np.diag(covariance)),
        df=panel.G - 1.0,
        covariance=covariance,
        influence=influence,
        n_treated=np.array([cell.members.sum() for cell in cells]),
        n_comparison=np.array([cell.comparisons.sum() for cell in cells]),
        units=panel.unit_values,
        unit_groups=panel.first_treated,
        unit_weights=panel.weights,
        clusters=panel.clusters,
        comparison=comparison,
        base=base,
        method=method,
        anticipation=anticipation,
        G=panel.G,
        notes=(*notes, *without, *_group_notes(panel, few_units)),
    )


def _check_options(comparison: str, base: str, method: str, with_columns: bool) -> None:
    for value, allowed, name in (
        (comparison, get_args(Comparison), "comparison"),
        (base, get_args(BasePeriod), "base"),
        (method, get_args(ChangeMethod), "method"),
    ):
        if value not in allowed:
            raise EstimationError(
                f"{FUNCTION}: {name} must be one of {', '.join(allowed)}; it is {value!r}."
            )
    if method == "unconditional" and with_columns:
        raise EstimationError(
            f"{FUNCTION}: method='unconditional' does not use X; leave X out, or choose "
            "'doubly robust', 'outcome regression' or 'inverse probability weighting'."
        )


def _check_groups(panel: StaggeredPanel, comparison: Comparison) -> None:
    first = panel.first_treated
    within = np.isfinite(first) & (first <= panel.periods[-1])
    if not within.any():
        raise EstimationError(
            f"{FUNCTION}: none of {len(first)} units is first treated between the second and the "
            f"last period, so there is no effect to estimate. {' '.join(panel.notes)}".rstrip()
        )
    if comparison == "never treated" and not np.isinf(first).any():
        raise EstimationError(
            f"{FUNCTION}: none of {len(first)} units is never treated (first_treated infinite); "
            "choose comparison='not yet treated', or add such units."
        )
    if panel.G < 2:
        raise EstimationError(
            f"{FUNCTION}: all units are in one cluster, so no standard error can be computed; "
            "choose a level of clustering with at least two."
        )


def _checked_columns(X: ArrayLike | None, n: int, panel: StaggeredPanel) -> Floats:
    """Return the covariates of the rows given (n, k), finite where a unit of the panel is."""
    if X is None:
        return np.empty((n, 0))
    try:
        columns = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(
            f"{FUNCTION}: X must be numbers; turn categories into columns of 0 and 1."
        ) from None
    if columns.ndim != 2 or len(columns) != n:
        raise EstimationError(
            f"{FUNCTION}: X has shape {columns.shape}; give ({n}, k), without an intercept."
        )
    bad = int((~np.isfinite(columns[panel.rows[panel.rows >= 0]])).sum())
    if bad:
        raise EstimationError(
            f"{FUNCTION}: X has {bad} missing or infinite values in rows that are used; fill them "
            "first, or leave these rows out."
        )
    return columns


def _group_notes(panel: StaggeredPanel, few_units: int) -> Sequence[str]:
    """Return what must be known of small groups, and of groups in few clusters."""
    first, notes = panel.first_treated, []
    if panel.G < FEW_CLUSTERS:
        notes.append(f"There are only {panel.G} clusters: standard errors may be too small.")
    small, alone = [], []
    for group in np.unique(first):
        members = first == group
        label = "never treated" if np.isinf(group) else f"group {int(group)}"
        if members.sum() < few_units:
            small.append(f"{label} ({int(members.sum())})")
        if len(np.unique(panel.clusters[members])) == 1:
            alone.append(label)
    if small:
        notes.append(
            f"Fewer than {few_units} units: {', '.join(small)}. Their effects vary by chance more "
            "than their standard errors say."
        )
    if alone:
        notes.append(
            f"In one cluster only: {', '.join(alone)}. Standard errors say nothing about "
            "differences between clusters there."
        )
    return notes
