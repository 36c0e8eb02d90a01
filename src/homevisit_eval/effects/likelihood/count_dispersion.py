"""The dispersion of negative binomial counts by maximum likelihood (arrays)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import psi

from homevisit_eval.effects.likelihood.families import mean_terms
from homevisit_eval.effects.likelihood.likelihood_maximum import Maximum, PredictorProblem, maximize
from homevisit_eval.errors import EstimationError

__all__ = ["maximize_with_dispersion", "most_likely_dispersion"]

Floats = NDArray[np.float64]

ROUNDS = 200
SETTLED = 1e-11  # relative change of the dispersion
SMALLEST, LARGEST = 1e-7, 1e5
SCAN = 37  # a third of a power of ten apart: the likelihood need not have one top only
SERIES_BELOW = 0.02  # of dispersion times mean
LARGEST_TABLE = 100_000  # counts up to which sums over 0..y-1 are tabulated
# (log(1 + t) - t / (1 + t)) / t^2 as a power series in t, highest power first
SERIES = np.array([(-1) ** j * (j + 1) / (j + 2) for j in range(11, -1, -1)], dtype=np.float64)


def most_likely_dispersion(y: Floats, mean: Floats, weights: Floats, near: float = 0.0) -> float:
    """Return a of the variance mean + a mean^2 that makes counts of given means most likely.

    Parameters
    ----------
    y, mean, weights : arrays of shape (n,)
        Counts (whole numbers), means above 0, weights.
    near
        Where to look first, if it is above 0: within a tenth of it.

    Returns
    -------
    float
        0 if no dispersion above 1e-7 is more likely than Poisson's 0.

    Raises
    ------
    EstimationError
        If the likelihood still grows at 1e5.

    Notes
    -----
    The derivative of the log likelihood by a is the weighted sum of

    .. math:: \\sum_{j<y} j / (1 + a j) + \\log(1 + a \\mu) / a^2 - (y + 1/a) \\mu / (1 + a \\mu).

    Its signs are looked at from 1e-7 to 1e5; the root follows the most likely of its downward
    crossings.
    """
    slope = _Slope(y, mean, weights)
    if near > 0:
        low, high = np.log(near) - 0.1, np.log(near) + 0.1
        if slope(low) > 0 >= slope(high):
            return _root(slope, low, high)
    grid = np.linspace(np.log(SMALLEST), np.log(LARGEST), SCAN)
    signs = np.array([slope(at) for at in grid])
    if signs[-1] > 0:
        raise EstimationError(
            "generalized linear model: the dispersion of the counts has no finite maximum (it is "
            f"above {LARGEST:.0e}): nearly all counts are 0. Choose poisson with a robust "
            "covariance, or model whether there is any."
        )
    tops = [
        _root(slope, low, high)
        for low, high, first, then in zip(grid, grid[1:], signs, signs[1:], strict=False)
        if first > 0 >= then
    ]
    if not tops:
        return 0.0
    if len(tops) == 1 and signs[0] > 0:
        return tops[0]
    return max([0.0, *tops], key=slope.likelihood)


def _root(slope: _Slope, low: float, high: float) -> float:
    return float(np.exp(brentq(slope, low, high, xtol=1e-14, rtol=1e-14)))


class _Slope:
    """The derivative of the log likelihood by the log of the dispersion, and the likelihood."""

    def __init__(self, y: Floats, mean: Floats, weights: Floats) -> None:
        self.y, self.mean, self.weights = y, mean, weights
        self.counts, place = np.unique(y, return_inverse=True)
        self.size = np.bincount(place, weights)
        top = int(self.counts[-1])
        self.above = None  # weight of counts above j, for j = 0..top-1
        if top <= LARGEST_TABLE:
            by_count = np.zeros(top + 1)
            by_count[self.counts.astype(np.intp)] = self.size
            self.above = by_count[::-1].cumsum()[::-1][1:]

    def __call__(self, log_dispersion: float) -> float:
        a = float(np.exp(log_dispersion))
        t = a * self.mean
        small = t < SERIES_BELOW
        shape = np.empty_like(t)
        shape[small] = np.polyval(SERIES, t[small])
        large = t[~small]
        shape[~small] = (np.log1p(large) - large / (1.0 + large)) / large**2
        of_rows = self.mean**2 * shape - self.y * self.mean / (1.0 + t)
        return a * (self._of_counts(a) + float(self.weights @ of_rows))

    def _of_counts(self, a: float) -> float:
        """Return the weighted sum of j / (1 + a j) over j below each count."""
        if self.above is not None:
            j = np.arange(len(self.above))
            return float(self.above @ (j / (1.0 + a * j)))
        gained = psi(self.counts + 1.0 / a) - psi(1.0 / a)  # sum of a / (1 + a j)
        return float(self.size @ (self.counts - gained / a)) / a

    def likelihood(self, a: float) -> float:
        if a == 0:
            return float(self.weights @ -self.mean)
        if self.above is not None:
            gained = float(self.above @ np.log1p(a * np.arange(len(self.above))))
        else:
            gained = float(self.size @ [np.log1p(a * np.arange(c)).sum() for c in self.counts])
        return gained - float(self.weights @ ((self.y + 1.0 / a) * np.log1p(a * self.mean)))


def maximize_with_dispersion(problem: PredictorProblem) -> tuple[Maximum, PredictorProblem]:
    """Maximize the negative binomial likelihood by coefficients and dispersion, in turns.

    Parameters
    ----------
    problem
        Its own dispersion is not used.

    Returns
    -------
    The maximum by coefficients, and the problem with the dispersion that belongs to it.

    Raises
    ------
    EstimationError
        If the dispersion has no finite value, or does not settle in 200 rounds.

    References
    ----------
    Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. *Canadian Journal of
    Statistics*, 15(3), 209-225.
    """
    problem = replace(problem, dispersion=0.0)
    found = maximize(problem)
    for _ in range(ROUNDS):
        if found.end != "converged":
            return found, problem
        mean = mean_terms(found.eta, problem.family).mean
        dispersion = most_likely_dispersion(
            problem.y, mean, problem.weights, near=problem.dispersion
        )
        if abs(dispersion - problem.dispersion) <= SETTLED * dispersion:
            return found, problem
        problem = replace(problem, dispersion=dispersion)
        found = maximize(problem, (found.gamma, found.effects))
    raise EstimationError(
        f"generalized linear model: the dispersion of the counts did not settle in {ROUNDS} rounds "
        "of coefficients and dispersion in turns; choose poisson with a robust covariance."
    )
