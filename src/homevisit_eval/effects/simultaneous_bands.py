"""Covariances and bands of several estimates from the influence of every unit (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from homevisit_eval.effects.bootstrap_draws import check_draws, sign_vectors
from homevisit_eval.effects.prepared_design import one_thread
from homevisit_eval.errors import EstimationError

__all__ = ["SimultaneousBand", "cluster_totals", "clustered_covariance", "simultaneous_band"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimultaneousBand:
    """Intervals that hold together: all m true values lie in them with the given probability.

    Attributes
    ----------
    ci_low, ci_high : arrays of shape (m,)
        In units of the estimates.
    critical_value
        Standard errors on each side.
    confidence_level
    G, draws, seed
        Clusters, sign vectors of the multiplier bootstrap, and their seed.
    """

    ci_low: Floats
    ci_high: Floats
    critical_value: float
    confidence_level: float
    G: int
    draws: int
    seed: int

    def __repr__(self) -> str:
        """Show the recipe."""
        return (
            f"SimultaneousBand({len(self.ci_low)} estimates, {self.confidence_level:g}: "
            f"{self.critical_value:.4f} standard errors; multiplier bootstrap, "
            f"{self.draws:,} draws, G = {self.G})"
        )


def cluster_totals(influence: Floats, clusters: Codes, G: int) -> Floats:
    """Return the influence of each cluster, the sum of that of its units, shape (G, m)."""
    if len(clusters) == G:
        totals = np.empty_like(influence)
        totals[clusters] = influence
        return totals
    return np.column_stack([np.bincount(clusters, column, G) for column in influence.T])


def clustered_covariance(influence: Floats, clusters: Codes, G: int) -> Floats:
    """Return the covariance of m estimates: G / (G - 1) times cross products by cluster (m, m).

    Parameters
    ----------
    influence : array of shape (N, m)
        What each unit adds to the error of each estimate.
    clusters : array of shape (N,) of 0..G-1
    G
        At least 2.
    """
    totals = cluster_totals(influence, clusters, G)
    return np.asarray(totals.T @ totals * (G / (G - 1.0)), dtype=np.float64)


def simultaneous_band(
    estimates: Floats,
    influence: Floats,
    clusters: Codes,
    *,
    seed: int,
    draws: int = 1999,
    confidence_level: float = 0.95,
) -> SimultaneousBand:
    """Return intervals of m estimates that hold together, in units of the estimates.

    Parameters
    ----------
    estimates : array of shape (m,)
    influence : array of shape (N, m)
        What each unit adds to the error of each estimate.
    clusters : array of shape (N,) of 0..G-1
    seed
        Of the sign vectors.
    draws
        Sign vectors; all are enumerated if there are no more.
    confidence_level

    Returns
    -------
    SimultaneousBand

    Raises
    ------
    EstimationError
        If an option is not possible, or a standard error is 0.

    Notes
    -----
    With s the cluster sums of influence and v signs of 1 or -1 with equal probability, the
    critical value is the quantile of max |sum v s| / (sum s^2)^(1/2) over the estimates, and
    not less than that of one estimate by the t distribution with G - 1 degrees of freedom.

    References
    ----------
    Callaway, B., & Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time
    periods. *Journal of Econometrics*, 225(2), 200-230. (Algorithm 1)
    """
    if not 0 < confidence_level < 1:
        raise EstimationError(
            f"simultaneous band: confidence_level is {confidence_level!r}; give one between 0 and "
            "1, as 0.95."
        )
    check_draws(seed=seed, draws=draws, weight_type="rademacher")
    G = int(clusters.max()) + 1
    totals = cluster_totals(influence, clusters, G)
    size = np.sqrt((totals**2).sum(axis=0))
    if not (size > 0).all():
        raise EstimationError(
            f"simultaneous band: {int((~(size > 0)).sum())} of {len(size)} standard errors are 0; "
            "leave these estimates out."
        )
    _, blocks = sign_vectors(G, draws, "rademacher", seed)
    with one_thread():
        largest = np.concatenate([np.abs(signs @ (totals / size)).max(axis=1) for signs in blocks])
    alone = float(stdtrit(G - 1.0, 0.5 + confidence_level / 2.0))
    critical = max(float(np.quantile(largest, confidence_level, method="higher")), alone)
    half = critical * np.sqrt(G / (G - 1.0)) * size
    return SimultaneousBand(
        ci_low=estimates - half,
        ci_high=estimates + half,
        critical_value=critical,
        confidence_level=confidence_level,
        G=G,
        draws=len(largest),
        seed=seed,
    )
