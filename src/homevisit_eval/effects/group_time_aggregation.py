"""Group-time effects brought together: all, by event time, by group, by period (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.group_time import GroupTimeEffects
from homevisit_eval.effects.pretrends import PretrendTest, hotelling_pretrend
from homevisit_eval.effects.simultaneous_bands import (
    SimultaneousBand,
    clustered_covariance,
    simultaneous_band,
)
from homevisit_eval.errors import EstimationError

__all__ = ["AggregatedEffects", "Aggregation", "aggregate_effects"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
Aggregation = Literal["all", "event time", "group", "period"]

FUNCTION = "aggregated effects"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AggregatedEffects:
    """Weighted averages of group-time effects, and their average over all of them.

    Attributes
    ----------
    by
        ``"all"``, ``"event time"``, ``"group"`` or ``"period"``.
    keys : array of shape (m,)
        Event times, groups or periods; empty with ``"all"``.
    estimates, std_errors : arrays of shape (m,)
        In units of the outcome.
    overall, overall_std_error
        One number for all periods from the first treatment on; see `aggregate_effects`.
    df
        Degrees of freedom: G - 1.
    covariance : array of shape (m, m)
    influence : array of shape (N, m)
    overall_influence : array of shape (N,)
        What each unit adds to the errors, group shares included.
    clusters : array of shape (N,) of 0..G-1
    anticipation
        Of the group-time effects.
    G
        Clusters.
    recipe
        That of the group-time effects, in words.
    notes : tuple of sentences
    """

    by: Aggregation
    keys: NDArray[np.int64]
    estimates: Floats
    std_errors: Floats
    overall: float
    overall_std_error: float
    df: float
    covariance: Floats
    influence: Floats
    overall_influence: Floats
    clusters: Codes
    anticipation: int
    G: int
    recipe: str
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of no effect, shape (m,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.estimates / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    @property
    def overall_p_value(self) -> float:
        """Two-sided p value of no overall effect; NaN if it and its standard error are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(np.float64(self.overall) / self.overall_std_error)
        return float(2.0 * stdtr(self.df, -t))

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return the interval of each effect alone, shape (m, 2), in units of the outcome."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def overall_interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of the overall effect."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.overall_std_error
        return self.overall - half, self.overall + half

    def band(
        self, *, seed: int, draws: int = 1999, confidence_level: float = 0.95
    ) -> SimultaneousBand:
        """Return intervals that hold for all effects together; see `simultaneous_band`.

        Raises
        ------
        EstimationError
            If there is only the overall effect, or a standard error is 0.
        """
        if self.by == "all":
            raise EstimationError(f"{FUNCTION}: one number needs no band; use overall_interval.")
        return simultaneous_band(
            self.estimates,
            self.influence,
            self.clusters,
            seed=seed,
            draws=draws,
            confidence_level=confidence_level,
        )

    def pretrend_test(self) -> PretrendTest:
        """Test that the effects at all event times before treatment are 0 together.

        Raises
        ------
        EstimationError
            If effects are not by event time, or cannot be tested together.
        """
        if self.by != "event time":
            raise EstimationError(
                f"{FUNCTION}: by {self.by} there are no effects before treatment; aggregate by "
                "event time."
            )
        early = self.keys < -self.anticipation
        return hotelling_pretrend(
            self.estimates[early], self.covariance[np.ix_(early, early)], self.G
        )

    def __repr__(self) -> str:
        """Show the overall effect and the recipe, no units."""
        return (
            f"AggregatedEffects(by {self.by}: {len(self.keys)} effects, overall "
            f"{self.overall:.6g}, std_error {self.overall_std_error:.6g}; {self.recipe}, "
            f"G = {self.G})"
        )


def aggregate_effects(
    effects: GroupTimeEffects,
    by: Aggregation,
    *,
    earliest: int | None = None,
    latest: int | None = None,
    balanced_to: int | None = None,
) -> AggregatedEffects:
    """Return averages of group-time effects, weighted by the groups' sizes, in units of y.

    Parameters
    ----------
    effects
    by
        ``"all"``: all effects from the first treatment on, weighted by the size of their group.
        ``"event time"``: over groups, at each number of periods since the first treatment; the
        overall effect is the plain average over those from 0 on. ``"group"``: over the periods
        of each group; the overall effect weights groups by size. ``"period"``: over groups
        treated by then; the overall effect is the plain average over periods.
    earliest, latest
        Event times outside are left out.
    balanced_to
        Only groups that have an effect at this event time, and event times up to it: the same
        groups then stand behind each event time from 0 on. Only by event time.

    Returns
    -------
    AggregatedEffects

    Raises
    ------
    EstimationError
        If an option is not possible, or no effect is left.

    Notes
    -----
    With W_g the total weight of the units of group g, an average over cells c is theta =
    sum W_g(c) ATT(c) / sum W_g(c). A unit's influence is the average of its influence on the
    cells, plus w_i sum_c [g(c) = G_i] (ATT(c) - theta) / sum W_g(c), for sizes are estimated.

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230. (Section 3)
    """
    if by not in get_args(Aggregation):
        raise EstimationError(
            f"{FUNCTION}: by must be one of {', '.join(get_args(Aggregation))}; it is {by!r}."
        )
    since = effects.event_times
    chosen = _window(effects, by, earliest, latest, balanced_to)
    after = chosen & (since >= 0)
    if not after.any():
        raise EstimationError(
            f"{FUNCTION}: none of {len(since)} effects from the first treatment on is left; "
            "widen the window of event times."
        )
    values = {"all": since, "event time": since, "group": effects.groups, "period": effects.periods}
    within = chosen if by == "event time" else after
    keys = np.unique(values[by][within]) if by != "all" else np.empty(0, dtype=np.int64)
    sets = [within & (values[by] == key) for key in keys]
    averages = [_average(effects, cells) for cells in sets]
    influence = np.array([phi for _, phi in averages]).reshape(len(keys), len(effects.units)).T
    estimates = np.array([estimate for estimate, _ in averages])
    if by in ("all", "group"):
        overall, phi = _average(effects, after, shared=by == "group")
    else:
        late = keys >= (0 if by == "event time" else keys[0])
        overall, phi = float(estimates[late].mean()), influence[:, late].mean(axis=1)
    covariance = (
        clustered_covariance(influence, effects.clusters, effects.G)
        if len(keys)
        else (np.empty((0, 0)))
    )
    variance = clustered_covariance(phi[:, None], effects.clusters, effects.G).item()
    return AggregatedEffects(
        by=by,
        keys=keys,
        estimates=estimates,
        std_errors=np.sqrt(np.diag(covariance)),
        overall=overall,
        overall_std_error=float(np.sqrt(variance)),
        df=effects.df,
        covariance=covariance,
        influence=influence,
        overall_influence=phi,
        clusters=effects.clusters,
        anticipation=effects.anticipation,
        G=effects.G,
        recipe=f"{effects.method}, {effects.comparison}, {effects.base} base",
        notes=(*effects.notes, *_composition(effects, by, sets, keys)),
    )


def _average(
    effects: GroupTimeEffects, cells: Flags, *, shared: bool = False
) -> tuple[float, Floats]:
    """Return the average over cells by the size of their groups, and its influence (N,).

    With `shared` the weight of a group is shared among its cells.
    """
    groups = effects.groups[cells]
    different, number, count = np.unique(groups, return_inverse=True, return_counts=True)
    share = 1.0 / count[number] if shared else np.ones(len(groups))
    place = np.searchsorted(different, effects.unit_groups)
    place = np.minimum(place, len(different) - 1)
    member = different[place] == effects.unit_groups
    own = effects.unit_weights * member
    size = np.bincount(place, own, len(different))
    weight = size[number] * share
    total = float(weight.sum())
    estimates = effects.estimates[cells]
    theta = float(weight @ estimates) / total
    distance = np.bincount(number, share * (estimates - theta), len(different))
    influence = effects.influence[:, cells] @ (weight / total) + own * distance[place] / total
    return theta, np.asarray(influence, dtype=np.float64)


def _window(
    effects: GroupTimeEffects,
    by: Aggregation,
    earliest: int | None,
    latest: int | None,
    balanced_to: int | None,
) -> Flags:
    since = effects.event_times
    chosen = np.ones(len(since), dtype=bool)
    if earliest is not None:
        chosen &= since >= earliest
    if latest is not None:
        chosen &= since <= latest
    if balanced_to is not None:
        if by != "event time" or balanced_to < 0:
            raise EstimationError(
                f"{FUNCTION}: balanced_to is an event time of 0 or more, for effects by event "
                f"time; it is {balanced_to} by {by}."
            )
        reaching = effects.groups[since == balanced_to]
        chosen &= np.isin(effects.groups, reaching) & (since <= balanced_to)
    return chosen


def _composition(
    effects: GroupTimeEffects, by: Aggregation, sets: Sequence[Flags], keys: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return a note if other groups stand behind some event times than behind others."""
    if by != "event time":
        return ()
    late = [
        frozenset(effects.groups[cells]) for cells, key in zip(sets, keys, strict=True) if key >= 0
    ]
    if len(set(late)) < 2:
        return ()
    return (
        "Groups behind the event times differ, so a change over event time may be one of groups; "
        "balanced_to holds them fixed.",
    )
