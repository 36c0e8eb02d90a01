"""The weighted Kaplan-Meier curve of one group, and how it hangs on its clusters (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from homevisit_eval.effects.survival_curves.follow_up import FollowUp, check_level, follow_up
from homevisit_eval.errors import EstimationError

__all__ = ["SurvivalCurve", "curve_of", "kaplan_meier", "survival_at", "survival_influence"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalCurve:
    """The estimated probability of no event through each time, for one group.

    Attributes
    ----------
    times : array of shape (m,)
        Increasing: all times at which a row has its event or is censored.
    survival : array of shape (m,)
        Probability of no event through each time; it holds until the next.
    std_errors : array of shape (m,)
    intervals : array of shape (m, 2)
        Between 0 and 1, for each time alone; equal to the curve while it is 1, NaN once it is 0.
    at_risk, events : arrays of shape (m,)
        Rows that are followed to the time or longer, and those with their event then.
    weighted_at_risk, weighted_events : arrays of shape (m,)
    G
        Clusters; rows if none were given.
    covariance
        ``"Greenwood"`` for independent rows, else ``"CR1"``.
    confidence_level
    """

    times: Floats
    survival: Floats
    std_errors: Floats
    intervals: Floats
    at_risk: Integers
    events: Integers
    weighted_at_risk: Floats
    weighted_events: Floats
    G: int
    covariance: str
    confidence_level: float

    def __repr__(self) -> str:
        """Show the recipe, no counts."""
        return (
            f"SurvivalCurve({len(self.times)} times up to {self.times[-1]:g}, "
            f"{self.covariance} errors)"
        )


def kaplan_meier(
    times: ArrayLike,
    events: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> SurvivalCurve:
    """Return the weighted Kaplan-Meier estimate of the probability of no event, by time.

    Parameters
    ----------
    times : array of shape (n,)
        Above 0: of the event, or the last at which the row was seen without it.
    events : array of shape (n,)
        1 if the event happened, 0 if the row is censored. At one time events come first.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Rows of weight 0 are left out.
    clusters : array of shape (n,), optional
        Codes of the groups within which times may be dependent.
    confidence_level
        Of the intervals.

    Raises
    ------
    EstimationError
        If an argument is out of range, or all rows are in one cluster.

    Notes
    -----
    With :math:`Y(u)` the weight of rows at risk at u and :math:`d(u)` that of events,

    .. math:: S(t) = \\prod_{u \\le t} \\left(1 - \\frac{d(u)}{Y(u)}\\right).

    The derivative of S by the weights gives each cluster's influence

    .. math:: \\psi_g(t) = -S(t) \\sum_{u \\le t}
              \\frac{d_g(u) - Y_g(u) d(u) / Y(u)}{Y(u) - d(u)},

    and the variance :math:`G / (G - 1) \\sum_g \\psi_g(t)^2`. For independent rows the factor is 1,
    and with equal weights this is Greenwood's formula, exactly. Intervals are those of
    :math:`\\log(-\\log S)`, with quantiles of the normal, or for clusters of the t distribution
    with G - 1 degrees of freedom.

    References
    ----------
    Greenwood, M. (1926). *The natural duration of cancer*. Reports on Public Health and Medical
    Subjects 33. HMSO.
    Kalbfleisch, J. D., & Prentice, R. L. (2002). *The Statistical Analysis of Failure Time Data*
    (2nd ed.). Wiley.
    Kaplan, E. L., & Meier, P. (1958). Nonparametric estimation from incomplete observations.
    *Journal of the American Statistical Association*, 53(282), 457-481.
    Williams, R. L. (1995). Product-limit survival functions with correlated survival times.
    *Lifetime Data Analysis*, 1(2), 171-186.

    Examples
    --------
    >>> kaplan_meier([1, 2, 3, 4], [1, 0, 1, 0]).survival.tolist()
    [0.75, 0.75, 0.375, 0.375]
    """
    check_level(confidence_level)
    return curve_of(follow_up(times, events, weights, clusters), confidence_level)


def curve_of(rows: FollowUp, confidence_level: float) -> SurvivalCurve:
    """Return the curve of checked rows; see `kaplan_meier`."""
    G = rows.G
    if rows.clustered and G < 2:
        raise EstimationError(
            "survival: all rows are in one cluster, so there is no standard error. Choose a finer "
            "cluster level."
        )
    grid, place = np.unique(rows.times, return_inverse=True)
    m = len(grid)
    weighted_events: Floats = np.bincount(place, rows.weights * rows.events, m).astype(float)
    weighted_at_risk: Floats = (
        np.bincount(place, rows.weights, m).astype(float)[::-1].cumsum()[::-1]
    )
    numbers = np.bincount(place, minlength=m)
    events = np.bincount(place, rows.events, m).astype(np.int64)
    at_risk = np.cumsum(numbers[::-1])[::-1].astype(np.int64)
    hazard = _hazard(events, at_risk, weighted_events, weighted_at_risk)
    survival: Floats = np.cumprod(1.0 - hazard).astype(np.float64)
    factor = G / (G - 1) if rows.clustered else 1.0
    variance = np.zeros(m)
    step = max(1, CELLS_AT_ONCE // m)
    for first in range(0, G, step):
        own = (rows.clusters >= first) & (rows.clusters < first + step)
        influence = _influence(rows, place, (weighted_at_risk, hazard, survival), own, first=first)
        variance += (influence**2).sum(axis=0)
    errors = np.sqrt(factor * variance)
    df = G - 1.0 if rows.clustered else np.inf
    return SurvivalCurve(
        times=grid,
        survival=survival,
        std_errors=errors,
        intervals=_intervals(survival, errors, float(stdtrit(df, (1 + confidence_level) / 2))),
        at_risk=at_risk,
        events=events,
        weighted_at_risk=weighted_at_risk,
        weighted_events=weighted_events,
        G=G,
        covariance="CR1" if rows.clustered else "Greenwood",
        confidence_level=confidence_level,
    )


def survival_influence(rows: FollowUp, curve: SurvivalCurve, G: int) -> Floats:
    """Return the influence of each of G clusters on the curve at its times, shape (G, m)."""
    place = np.searchsorted(curve.times, rows.times)
    hazard = _hazard(curve.events, curve.at_risk, curve.weighted_events, curve.weighted_at_risk)
    every = np.ones(len(place), dtype=np.bool_)
    parts = (curve.weighted_at_risk, hazard, curve.survival)
    return _influence(rows, place, parts, every, first=0, G=G)


def survival_at(curve: SurvivalCurve, times: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return the curve at some times, shape (k,), and the place of each in it; -1 before all."""
    at = np.searchsorted(curve.times, times, side="right") - 1
    return np.where(at >= 0, curve.survival[np.maximum(at, 0)], 1.0), at


def _hazard(
    events: Integers, at_risk: Integers, weighted_events: Floats, weighted_at_risk: Floats
) -> Floats:
    """Return d / Y, exactly 1 where all at risk have the event."""
    return np.where(events == at_risk, 1.0, weighted_events / weighted_at_risk)


def _influence(
    rows: FollowUp,
    place: NDArray[np.intp],
    parts: tuple[Floats, Floats, Floats],
    own: NDArray[np.bool_],
    *,
    first: int,
    G: int = 0,
) -> Floats:
    """Return the influence of clusters from `first` on, of the `own` rows, (clusters, m)."""
    at_risk, hazard, survival = parts
    m = len(at_risk)
    code = rows.clusters[own] - first
    lines = G or int(code.max()) + 1
    cell = code * m + place[own]
    shape = (lines, m)
    weight = np.bincount(cell, rows.weights[own], lines * m).reshape(shape)
    events = np.bincount(cell, (rows.weights * rows.events)[own], lines * m).reshape(shape)
    of_cluster = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1]
    left = at_risk * (1.0 - hazard)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(left > 0, (events - of_cluster * hazard) / left, 0.0)
    return np.asarray(-survival * np.cumsum(steps, axis=1))


def _intervals(survival: Floats, errors: Floats, quantile: float) -> Floats:
    inside = (survival > 0) & (survival < 1)
    bounds = np.column_stack([survival, survival])
    bounds[survival <= 0] = np.nan
    log = np.log(survival[inside])
    half = quantile * errors[inside] / (survival[inside] * -log)
    bounds[inside] = np.exp(log[:, None] * np.exp(np.column_stack([half, -half])))
    return bounds
