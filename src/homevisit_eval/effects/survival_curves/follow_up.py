"""Times to an event, some of them censored: checked, and counted by time (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError

__all__ = ["FollowUp", "check_level", "follow_up"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FollowUp:
    """Rows of positive weight, each followed until its event or until it is censored.

    Attributes
    ----------
    times : array of shape (n,)
        Above 0, in the unit of the data.
    events : array of bool, shape (n,)
        Whether the event happened at that time; if not, the row is censored after it.
    weights : array of shape (n,)
        Above 0.
    clusters : array of shape (n,) of 0..G-1
    kept : array of shape (rows given,)
        Which rows these are.
    clustered
        Whether clusters were given; if not each row is its own.
    """

    times: Floats
    events: NDArray[np.bool_]
    weights: Floats
    clusters: Codes
    kept: NDArray[np.bool_]
    clustered: bool

    @property
    def G(self) -> int:
        """Clusters."""
        return int(self.clusters.max()) + 1

    def __repr__(self) -> str:
        """Show the number of clusters, no rows."""
        return f"FollowUp(clustered: {self.clustered})"


def follow_up(
    times: ArrayLike,
    events: ArrayLike,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> FollowUp:
    """Return checked arrays without rows of weight 0.

    Raises
    ------
    EstimationError
        If shapes do not fit, a time is not above 0, an event is not 0 or 1, or a weight is below 0.
    """
    t = np.asarray(times, dtype=np.float64)
    d = np.asarray(events, dtype=np.float64)
    w = np.ones(t.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    groups = np.arange(t.size) if clusters is None else np.asarray(clusters)
    if t.ndim != 1 or not t.shape == d.shape == w.shape == groups.shape:
        raise EstimationError(
            f"survival: times have shape {t.shape}, events {d.shape}, weights {w.shape} and "
            f"clusters {groups.shape}; give (n,) all."
        )
    if not np.isfinite(w).all() or (w < 0).any():
        raise EstimationError("survival: weights must be finite and not below 0.")
    kept = w > 0
    t, d, w = t[kept], d[kept], w[kept]
    if not len(t):
        raise EstimationError("survival: there is no row with a positive weight.")
    bad = int((~np.isfinite(t) | (t <= 0)).sum())
    if bad:
        raise EstimationError(
            f"survival: {bad} of {len(t)} times are missing, infinite or not above 0; leave these "
            "rows out, or count the first day as 1."
        )
    other = int((~np.isin(d, (0.0, 1.0))).sum())
    if other:
        raise EstimationError(
            f"survival: {other} of {len(t)} events are neither 1 (it happened at that time) nor 0 "
            "(not seen to happen)."
        )
    codes = np.unique(groups[kept], return_inverse=True)[1].ravel()
    return FollowUp(t, d == 1, w, codes, kept, clusters is not None)


def check_level(confidence_level: float) -> None:
    """Raise an EstimationError unless the confidence level lies between 0 and 1."""
    if not 0.0 < confidence_level < 1.0:
        raise EstimationError(
            f"survival: confidence_level is {confidence_level!r}; give one between 0 and 1."
        )
