"""Differences of two survival curves: cumulative incidence at given times, restricted mean time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.survival_curves.follow_up import FollowUp, check_level, follow_up
from homevisit_eval.effects.survival_curves.kaplan_meier import (
    SurvivalCurve,
    curve_of,
    survival_at,
    survival_influence,
)
from homevisit_eval.errors import EstimationError

__all__ = ["SurvivalDifferences", "compare_survival"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalDifferences:
    """What two survival curves say at given times, and up to one of them.

    Attributes
    ----------
    treated, comparison
        The curves, their errors by cluster.
    at : array of shape (k,)
        Times.
    incidence_treated, incidence_comparison : arrays of shape (k,)
        Probability of an event by each time.
    differences, std_errors : arrays of shape (k,)
        Of the treated less the comparison group.
    restricted_to
        The time up to which mean times are taken.
    mean_treated, mean_comparison
        Restricted mean time without event, in units of time.
    mean_difference, mean_std_error
    df
        G - 1, infinite without clusters.
    G
        Clusters of both groups together.
    confidence_level
    """

    treated: SurvivalCurve
    comparison: SurvivalCurve
    at: Floats
    incidence_treated: Floats
    incidence_comparison: Floats
    differences: Floats
    std_errors: Floats
    restricted_to: float
    mean_treated: float
    mean_comparison: float
    mean_difference: float
    mean_std_error: float
    df: float
    G: int
    confidence_level: float

    @property
    def intervals(self) -> Floats:
        """Confidence intervals of the differences at the times, shape (k, 2)."""
        half = self._quantile * self.std_errors
        return np.column_stack([self.differences - half, self.differences + half])

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of no difference at each time, shape (k,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.differences / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    @property
    def mean_interval(self) -> tuple[float, float]:
        """Confidence interval of the difference of restricted mean times."""
        half = self._quantile * self.mean_std_error
        return self.mean_difference - half, self.mean_difference + half

    @property
    def mean_p_value(self) -> float:
        """Two-sided p value of no difference of restricted mean times."""
        if not self.mean_std_error > 0:
            return float("nan")
        return float(2.0 * stdtr(self.df, -abs(self.mean_difference / self.mean_std_error)))

    @property
    def _quantile(self) -> float:
        return float(stdtrit(self.df, (1 + self.confidence_level) / 2))

    def __repr__(self) -> str:
        """Show the restricted mean and the recipe, no counts."""
        return (
            f"SurvivalDifferences({len(self.at)} times; mean time to {self.restricted_to:g}: "
            f"{self.mean_difference:+.4g}, std_error {self.mean_std_error:.4g}, G = {self.G})"
        )


def compare_survival(
    times: ArrayLike,
    events: ArrayLike,
    treated: ArrayLike,
    *,
    at: Sequence[float],
    restricted_to: float,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> SurvivalDifferences:
    """Compare two groups' probabilities of an event by given times, and mean times without one.

    Parameters
    ----------
    times, events, weights, clusters : arrays of shape (n,)
        As in `kaplan_meier`; a cluster may hold rows of both groups.
    treated : array of shape (n,)
        1 or true for treated rows.
    at : sequence of k numbers
        Times at which the curves are compared.
    restricted_to
        The time up to which mean times are taken.
    confidence_level
        Of all intervals.

    Raises
    ------
    EstimationError
        If a group has no row, is not followed as long as the times ask for, or all rows, or a
        group's, are in one cluster.

    Notes
    -----
    The restricted mean time without event is the area under the curve,
    :math:`\\int_0^\\tau S(t) dt`. It is a difference in units of time whatever the hazards do,
    where a hazard ratio rests on their being proportional. Influences of clusters on both curves
    (see `kaplan_meier`) are subtracted, so that what is common to a cluster drops out; the
    variance is :math:`G / (G - 1)` times the sum of their squares (factor 1 without clusters).

    References
    ----------
    Royston, P., & Parmar, M. K. B. (2013). Restricted mean survival time: An alternative to the
    hazard ratio for the design and analysis of randomized trials with a time-to-event outcome.
    *BMC Medical Research Methodology*, 13, 152.
    Williams, R. L. (1995). Product-limit survival functions with correlated survival times.
    *Lifetime Data Analysis*, 1(2), 171-186.
    """
    check_level(confidence_level)
    rows = follow_up(times, events, weights, clusters)
    flags = np.asarray(treated) == 1
    if flags.shape != rows.kept.shape:
        raise EstimationError(
            f"survival: treated has shape {flags.shape} for {len(rows.kept)} rows; give one of "
            "each."
        )
    group = flags[rows.kept]
    days = np.asarray(at, dtype=np.float64)
    longest = max([restricted_to, *days])
    if not (np.isfinite(longest) and min([restricted_to, *days]) > 0):
        raise EstimationError("survival: times to compare at must be finite and above 0.")
    G = rows.G
    sides = [_side(rows, group == flag, longest, confidence_level) for flag in (True, False)]
    incidence, influence, means, of_means = [], [], [], []
    for own, curve in sides:
        survival, place = survival_at(curve, days)
        on_curve = survival_influence(own, curve, G)
        on_days = np.where(place >= 0, on_curve[:, np.maximum(place, 0)], 0.0)
        lengths = _lengths(curve.times, restricted_to)
        incidence.append(1.0 - survival)
        influence.append(-on_days)
        means.append(float(lengths[0] + lengths[1:] @ curve.survival))
        of_means.append(on_curve @ lengths[1:])
    factor = G / (G - 1) if rows.clustered else 1.0
    return SurvivalDifferences(
        treated=sides[0][1],
        comparison=sides[1][1],
        at=days,
        incidence_treated=incidence[0],
        incidence_comparison=incidence[1],
        differences=incidence[0] - incidence[1],
        std_errors=np.sqrt(factor * ((influence[0] - influence[1]) ** 2).sum(axis=0)),
        restricted_to=float(restricted_to),
        mean_treated=means[0],
        mean_comparison=means[1],
        mean_difference=means[0] - means[1],
        mean_std_error=float(np.sqrt(factor * ((of_means[0] - of_means[1]) ** 2).sum())),
        df=G - 1.0 if rows.clustered else np.inf,
        G=G,
        confidence_level=confidence_level,
    )


def _side(
    rows: FollowUp, own: NDArray[np.bool_], longest: float, confidence_level: float
) -> tuple[FollowUp, SurvivalCurve]:
    """Return one group's rows, clusters numbered as before, and its curve."""
    if not own.any():
        raise EstimationError("survival: one of the groups has no row with a positive weight.")
    if rows.times[own].max() < longest and not _all_had_it(rows, own):
        raise EstimationError(
            f"survival: one of the groups is followed up to {rows.times[own].max():g} only, which "
            f"is before {longest:g}. Compare at earlier times."
        )
    part = FollowUp(
        rows.times[own], rows.events[own], rows.weights[own], rows.clusters[own], own,
        rows.clustered,
    )  # fmt: skip
    numbered = np.unique(part.clusters, return_inverse=True)[1].ravel()
    alone = FollowUp(part.times, part.events, part.weights, numbered, own, rows.clustered)
    return part, curve_of(alone, confidence_level)


def _all_had_it(rows: FollowUp, own: NDArray[np.bool_]) -> bool:
    """Say whether the last of a group had the event: the curve is 0 from there on."""
    last = own & (rows.times == rows.times[own].max())
    return bool(rows.events[last].all())


def _lengths(times: Floats, restricted_to: float) -> Floats:
    """Return how long the curve stays at 1 and at each of its values, up to a time, (m + 1,)."""
    edges = np.minimum(np.concatenate([[0.0], times, [np.inf]]), restricted_to)
    return np.diff(edges)
