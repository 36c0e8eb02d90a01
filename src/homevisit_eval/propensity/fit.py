"""Covariates -> propensity scores: a binary model fitted as R's `glm` fits it (arrays)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

from homevisit_eval.errors import MatchingError
from homevisit_eval.propensity.columns import Columns, independent_columns
from homevisit_eval.propensity.links import Link, check_link, linear_score, mean_and_slope
from homevisit_eval.threads import one_thread

__all__ = ["PropensityFit", "fit_propensity"]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

TOLERANCE = 1e-8  # relative change of the deviance at which R's glm.fit stops
MAX_ITERATIONS = 25  # as in R's glm.control
STILL_MOVING = 0.5  # log odds: a fit that converges ends with steps smaller than .01

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropensityFit:
    """A binary regression of treatment on covariates.

    Attributes
    ----------
    coefficients : array of shape (k,)
        Change of the linear predictor per unit of each column; NaN for dropped columns.
    linear_predictor : array of shape (n,)
        The linear propensity score, in units of the link (logit: log odds).
    probability : array of shape (n,)
        The propensity score.
    deviance
        Minus twice the log likelihood, weighted.
    iterations, converged
        Steps taken, and whether the deviance settled within 25 of them.
    dropped
        Columns that are linear combinations of columns before them.
    diverging : array of shape (n,), bool
        Rows whose linear predictor was still running away when the iteration stopped: the
        covariates predict their group with certainty (quasi-complete separation), and their
        scores have no finite value.
    link
        ``"logit"``, ``"probit"`` or ``"cloglog"``.
    """

    coefficients: FloatArray
    linear_predictor: FloatArray
    probability: FloatArray
    deviance: float
    iterations: int
    converged: bool
    dropped: tuple[int, ...]
    diverging: Flags
    link: Link

    def __repr__(self) -> str:
        """Show the size of the fit and whether it converged, no rows."""
        state = "converged" if self.converged else "not converged"
        return (
            f"PropensityFit({self.link}, {self.coefficients.size} columns, {len(self.dropped)} "
            f"dropped; {state} after {self.iterations} iterations, deviance {self.deviance:.6g})"
        )


def fit_propensity(
    X: ArrayLike, treated: ArrayLike, link: Link = "logit", weights: ArrayLike | None = None
) -> PropensityFit:
    """Fit the probability of treatment by iteratively reweighted least squares.

    Parameters
    ----------
    X : array of shape (n, k)
        The design matrix, its intercept (a column of ones) first.
    treated : array of shape (n,)
        0 or 1; both must occur.
    link
        ``"logit"``, ``"probit"``, or ``"cloglog"``, the complementary log-log.
    weights : array of shape (n,), optional
        Sampling weights, 0 or above; they need not be whole numbers. A row with weight 0 gets a
        score and takes no part in the fit.

    Returns
    -------
    PropensityFit
        Rows with equal covariates get bitwise equal scores.

    Raises
    ------
    MatchingError
        If shapes differ, a value is not finite, only one group is there, a weight is negative,
        the link is unknown, or the covariates separate the groups completely, so that no fit
        exists.

    Notes
    -----
    Starting value, stopping rule and limits are those of R's ``glm.fit`` with ``binomial()``
    (``quasibinomial()`` with weights), so that scores agree with R's to rounding error: the mean
    starts at :math:`(w y + .5) / (w + 1)`, and the iteration (Fisher scoring) stops when the
    deviance changes by less than 1e-8 of itself plus .1. Each step solves for the *change* of the
    coefficients on centered, scaled columns, in which rounding errors of earlier steps die out;
    cross products are summed over blocks of rows. Collinear columns are dropped, later ones first,
    and get NaN, as R gives NA.

    References
    ----------
    Rosenbaum, P. R., & Rubin, D. B. (1983). The central role of the propensity score in
    observational studies for causal effects. *Biometrika*, 70(1), 41-55.
    McCullagh, P., & Nelder, J. A. (1989). *Generalized Linear Models* (2nd ed.), section 2.5.
    Albert, A., & Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
    logistic regression models. *Biometrika*, 71(1), 1-10.
    """
    check_link(link)
    matrix, y = _checked(X, treated)
    prior = None if weights is None else _checked_weights(weights, y)
    used = np.ones(len(y), dtype=bool) if prior is None else prior > 0
    with one_thread():
        problem = _Problem(independent_columns(matrix, used), y, prior, link)
        fit = _iterate(problem)
    moving = fit.moving
    if (moving & used).any() and fit.eta[used & (y == 1)].min() > fit.eta[used & (y == 0)].max():
        raise MatchingError(
            "The covariates separate treated from comparison units completely, so their "
            "propensity scores would be 1 and 0. Leave out the covariate that decides who is "
            "treated, merge its levels, or use fewer covariates."
        )
    logger.info("%s: %d columns, %d iterations", link, matrix.shape[1], fit.iterations)
    return PropensityFit(
        coefficients=problem.columns.original_units(fit.gamma),
        linear_predictor=fit.eta,
        probability=mean_and_slope(fit.eta, link)[0],
        deviance=fit.deviance,
        iterations=fit.iterations,
        converged=fit.converged,
        dropped=problem.columns.dropped,
        diverging=moving,
        link=link,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The data of a fit; coefficients (gamma) are those of centered, scaled columns."""

    columns: Columns
    y: FloatArray
    prior: FloatArray | None
    link: Link


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A pass over the rows: linear predictor, deviance, gradient and information there."""

    eta: FloatArray
    deviance: float
    gradient: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    gamma: FloatArray
    eta: FloatArray
    moving: Flags
    deviance: float
    iterations: int
    converged: bool


def _iterate(problem: _Problem) -> _Fitted:
    gamma = np.zeros(len(problem.columns.kept))
    step = _pass(problem, None)
    for iteration in range(1, MAX_ITERATIONS + 1):
        try:
            change = cho_solve(cho_factor(step.information), step.gradient)
        except np.linalg.LinAlgError:  # the information vanishes where groups are separated
            everybody = np.ones(len(problem.y), dtype=bool)
            return _Fitted(gamma, step.eta, everybody, step.deviance, iteration, False)
        gamma = gamma + change
        before, step = step, _pass(problem, gamma)
        change_of_deviance = abs(step.deviance - before.deviance)
        converged = change_of_deviance / (abs(step.deviance) + 0.1) < TOLERANCE
        if converged:
            break
    moving = _moving(before.eta, step.eta, problem.link)
    return _Fitted(gamma, step.eta, moving, step.deviance, iteration, converged)


def _pass(problem: _Problem, gamma: FloatArray | None) -> _Step:
    """Evaluate the rows at gamma; without it, at the starting mean.

    From the starting mean the whole predictor is solved for, not a change of it.
    """
    k, n = len(problem.columns.kept), len(problem.y)
    eta = _starting_predictor(problem) if gamma is None else np.zeros(n)
    gradient, information, deviance = np.zeros(k), np.zeros((k, k)), 0.0
    for rows, columns in problem.columns.blocks():
        part = eta[rows]
        if gamma is not None:
            for column, coefficient in zip(columns, gamma, strict=True):
                part += column * coefficient  # in one order for every row: ties stay ties
        prior = None if problem.prior is None else problem.prior[rows]
        weight, score, loss = _working(part, problem.y[rows], problem.link, prior)
        gradient += columns @ (score if gamma is not None else weight * part + score)
        np.multiply(columns, np.sqrt(weight), out=columns)
        information += columns @ columns.T
        deviance += loss
    return _Step(eta, deviance, gradient, information)


def _starting_predictor(problem: _Problem) -> FloatArray:
    prior = np.ones(len(problem.y)) if problem.prior is None else problem.prior
    return linear_score((prior * problem.y + 0.5) / (prior + 1.0), problem.link)


def _working(
    eta: FloatArray, y: FloatArray, link: Link, prior: FloatArray | None
) -> tuple[FloatArray, FloatArray, float]:
    """Return working weights, scores (weight times residual) and the deviance of some rows."""
    mean, rest, slope = mean_and_slope(eta, link)
    ratio = slope / (mean * rest)
    loss = np.log(np.where(y == 1, mean, rest))
    if prior is not None:
        ratio *= prior
        loss *= prior
    return ratio * slope, ratio * np.where(y == 1, rest, -mean), float(-2.0 * loss.sum())


def _moving(before: FloatArray, after: FloatArray, link: Link) -> Flags:
    """Return rows whose last step was large, in the linear predictor or in log odds."""
    moving = np.abs(after - before) > STILL_MOVING
    if link != "logit":
        odds = []
        for eta in (before, after):
            mean, rest, _ = mean_and_slope(eta, link)
            odds.append(np.log(mean) - np.log(rest))
        moving |= np.abs(odds[1] - odds[0]) > STILL_MOVING
    return np.asarray(moving)


def _checked(X: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, FloatArray]:
    matrix = np.asarray(X, dtype=np.float64)
    y = np.asarray(treated, dtype=np.float64)
    if matrix.ndim != 2 or y.shape != matrix.shape[:1] or not matrix.size:
        raise MatchingError(
            "fit_propensity needs X of shape (n, k) and treated of shape (n,), at least one row "
            f"and column; they are {matrix.shape} and {y.shape}."
        )
    if not np.isfinite(matrix).all():
        raise MatchingError(
            "fit_propensity needs finite covariates. Leave out or fill the rows that lack a value "
            "first."
        )
    if not ((y == 0) | (y == 1)).all() or y.min() == y.max():
        raise MatchingError("fit_propensity needs treated to be 0 or 1, and rows of both groups.")
    return matrix, y


def _checked_weights(weights: ArrayLike, y: FloatArray) -> FloatArray:
    prior = np.asarray(weights, dtype=np.float64)
    if prior.shape != y.shape:
        raise MatchingError(
            f"fit_propensity needs one weight for each of {len(y):,} rows; the shape of weights "
            f"is {prior.shape}."
        )
    unusable = int((~np.isfinite(prior) | (prior < 0)).sum())
    if unusable:
        raise MatchingError(
            f"fit_propensity needs weights of 0 or above; {unusable:,} of {len(y):,} are "
            "negative, missing or infinite. Correct them, or leave these rows out."
        )
    if not ((prior > 0) & (y == 1)).any() or not ((prior > 0) & (y == 0)).any():
        raise MatchingError("fit_propensity needs rows with a weight above 0 in both groups.")
    return prior
