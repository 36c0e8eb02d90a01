"""Covariates -> propensity scores: a logit fitted as R's `glm` fits it (arrays)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

from homevisit_eval.errors import MatchingError

__all__ = ["LogitFit", "fit_logit", "logit"]

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-8  # relative change of the deviance at which R's glm.fit stops
MAX_ITERATIONS = 25  # as in R's glm.control
LARGEST_LINEAR_PREDICTOR = 30.0  # beyond it R sets the odds to 1 / eps or eps
EPSILON = float(np.finfo(np.float64).eps)
BLOCK_ROWS = 16_384  # rows handled at once: the temporary arrays stay in the cache
STILL_MOVING = 0.5  # log odds: a fit that converges ends with steps smaller than .01
COLLINEAR = 1e-7  # residual length over centered length, as in R's lm
CONSTANT = 1e-11  # residual length over length, as in R's glm.fit
SAFE_PIVOT = 1e-9  # a Gram matrix with smaller pivots is looked at column by column

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogitFit:
    """A logistic regression of treatment on covariates.

    Attributes
    ----------
    coefficients : array of shape (k,)
        Log odds per unit of each column; NaN for dropped columns.
    linear_predictor : array of shape (n,)
        The linear propensity score, in log odds.
    probability : array of shape (n,)
        The propensity score.
    deviance
        Minus twice the log likelihood.
    iterations, converged
        Steps taken, and whether the deviance settled within 25 of them.
    dropped
        Columns that are linear combinations of columns before them.
    diverging : array of shape (n,), bool
        Rows whose linear predictor was still running away when the iteration stopped: the
        covariates predict their group with certainty (quasi-complete separation), and their
        scores have no finite value.
    """

    coefficients: FloatArray
    linear_predictor: FloatArray
    probability: FloatArray
    deviance: float
    iterations: int
    converged: bool
    dropped: tuple[int, ...]
    diverging: NDArray[np.bool_]

    def __repr__(self) -> str:
        """Show the size of the fit and whether it converged, no rows."""
        state = "converged" if self.converged else "not converged"
        return (
            f"LogitFit({self.coefficients.size} columns, {len(self.dropped)} dropped; {state} "
            f"after {self.iterations} iterations, deviance {self.deviance:.6g})"
        )


def logit(probability: ArrayLike) -> FloatArray:
    """Return log odds, of the shape of `probability` (values between 0 and 1, exclusive).

    >>> logit([0.5]).tolist()
    [0.0]
    """
    p = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(p) - np.log1p(-p))


def fit_logit(X: ArrayLike, treated: ArrayLike) -> LogitFit:
    """Fit the probability of treatment by iteratively reweighted least squares.

    Parameters
    ----------
    X : array of shape (n, k)
        The design matrix, its intercept (a column of ones) first.
    treated : array of shape (n,)
        0 or 1; both must occur.

    Returns
    -------
    LogitFit
        Rows with equal covariates get bitwise equal scores.

    Raises
    ------
    MatchingError
        If shapes differ, a value is not finite, only one group is there, or the covariates
        separate the groups completely, so that no fit exists.

    Notes
    -----
    Starting value, stopping rule and limits are those of R's ``glm.fit``, so that scores agree with
    R's to rounding error: the mean starts at :math:`(y + .5) / 2`, and the iteration stops when the
    deviance changes by less than 1e-8 of itself plus .1. Each step solves for the *change* of the
    coefficients on centered, scaled columns, in which rounding errors of earlier steps die out;
    cross products are summed over blocks of rows. Collinear columns are dropped, later ones first,
    and get NaN, as R gives NA.

    References
    ----------
    McCullagh, P., & Nelder, J. A. (1989). *Generalized Linear Models* (2nd ed.), section 2.5.
    Albert, A., & Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
    logistic regression models. *Biometrika*, 71(1), 1-10.
    """
    matrix, y = _checked(X, treated)
    shift, length = _center_and_length(matrix)
    kept, dropped = _independent_columns(matrix, shift, length)
    problem = _Problem(matrix, y, kept, shift[kept], _scales(matrix, shift, length)[kept])
    fit = _iterate(problem)
    coefficients = np.full(matrix.shape[1], np.nan)
    coefficients[kept] = problem.original_units(fit.gamma)
    moving = np.abs(fit.eta - fit.eta_before) > STILL_MOVING
    if moving.any() and fit.eta[y == 1].min() > fit.eta[y == 0].max():
        raise MatchingError(
            "The covariates separate treated from comparison units completely, so their "
            "propensity scores would be 1 and 0. Leave out the covariate that decides who is "
            "treated, merge its levels, or use fewer covariates."
        )
    logger.info("logit: %d columns, %d iterations", matrix.shape[1], fit.iterations)
    return LogitFit(
        coefficients=coefficients,
        linear_predictor=fit.eta,
        probability=_odds(fit.eta)[1],
        deviance=fit.deviance,
        iterations=fit.iterations,
        converged=fit.converged,
        dropped=dropped,
        diverging=moving,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The data of a fit; coefficients (gamma) are those of centered, scaled columns."""

    matrix: FloatArray
    y: FloatArray
    kept: NDArray[np.intp]
    shift: FloatArray
    scale: FloatArray

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield row slices with their columns, shape (k, rows of the block)."""
        for start in range(0, len(self.y), BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, len(self.y)))
            columns = np.ascontiguousarray(self.matrix[rows][:, self.kept].T)
            yield rows, (columns - self.shift[:, None]) * self.scale[:, None]

    def original_units(self, gamma: FloatArray) -> FloatArray:
        """Turn gamma into coefficients of the columns as they were given."""
        beta = gamma * self.scale
        centered = self.shift != 0
        if centered.any():
            beta[0] -= (self.shift[centered] @ beta[centered]) / self.matrix[0, self.kept[0]]
        return np.asarray(beta)


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
    eta_before: FloatArray
    deviance: float
    iterations: int
    converged: bool


def _iterate(problem: _Problem) -> _Fitted:
    start = np.log(problem.y + 0.5) - np.log(1.5 - problem.y)
    step = _start(problem, start)
    gamma = np.zeros(len(problem.kept))
    for iteration in range(1, MAX_ITERATIONS + 1):
        try:
            change = cho_solve(cho_factor(step.information), step.gradient)
        except np.linalg.LinAlgError:  # the information vanishes where groups are separated
            return _Fitted(gamma, step.eta, step.eta - 1.0, step.deviance, iteration, False)
        gamma = gamma + change
        before, step = step, _pass(problem, gamma)
        if abs(step.deviance - before.deviance) / (abs(step.deviance) + 0.1) < TOLERANCE:
            return _Fitted(gamma, step.eta, before.eta, step.deviance, iteration, True)
    return _Fitted(gamma, step.eta, before.eta, step.deviance, MAX_ITERATIONS, False)


def _start(problem: _Problem, eta: FloatArray) -> _Step:
    """Make the first least squares problem: the whole predictor, not a change of it."""
    k = len(problem.kept)
    gradient, information, deviance = np.zeros(k), np.zeros((k, k)), 0.0
    for rows, columns in problem.blocks():
        weight, score, part = _working(eta[rows], problem.y[rows])
        gradient += columns @ (weight * eta[rows] + score)
        scaled = columns * np.sqrt(weight)
        information += scaled @ scaled.T
        deviance += part
    return _Step(eta, deviance, gradient, information)


def _pass(problem: _Problem, gamma: FloatArray) -> _Step:
    k = len(problem.kept)
    eta = np.zeros(len(problem.y))
    gradient, information, deviance = np.zeros(k), np.zeros((k, k)), 0.0
    for rows, columns in problem.blocks():
        for column, coefficient in zip(columns, gamma, strict=True):
            eta[rows] += column * coefficient  # in one order for every row: ties stay ties
        weight, score, part = _working(eta[rows], problem.y[rows])
        gradient += columns @ score
        scaled = columns * np.sqrt(weight)
        information += scaled @ scaled.T
        deviance += part
    return _Step(eta, deviance, gradient, information)


def _odds(eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return odds, probability and its derivative, with R's limits."""
    extreme = np.abs(eta) > LARGEST_LINEAR_PREDICTOR
    odds = np.exp(np.clip(eta, -LARGEST_LINEAR_PREDICTOR, LARGEST_LINEAR_PREDICTOR))
    odds = np.where(extreme, np.where(eta > 0, 1.0 / EPSILON, EPSILON), odds)
    slope = np.where(extreme, EPSILON, odds / (1.0 + odds) ** 2)
    return odds, np.asarray(odds / (1.0 + odds)), slope


def _working(eta: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return working weights, scores (weight times residual) and the deviance of some rows."""
    odds, mean, slope = _odds(eta)
    variance = mean / (1.0 + odds)
    ratio = slope / variance
    likelihood = np.where(y == 1, mean, 1.0 / (1.0 + odds))
    deviance = float(-2.0 * np.log(likelihood).sum())
    return ratio * slope, ratio * (y - mean), deviance


def _checked(X: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, FloatArray]:
    matrix = np.asarray(X, dtype=np.float64)
    y = np.asarray(treated, dtype=np.float64)
    if matrix.ndim != 2 or y.shape != matrix.shape[:1]:
        raise MatchingError(
            "fit_logit needs X of shape (n, k) and treated of shape (n,); they are "
            f"{matrix.shape} and {y.shape}."
        )
    if not np.isfinite(matrix).all():
        raise MatchingError(
            "fit_logit needs finite covariates. Leave out or fill the rows that lack a value first."
        )
    if not np.isin(y, (0.0, 1.0)).all() or len(np.unique(y)) < 2:
        raise MatchingError("fit_logit needs treated to be 0 or 1, and rows of both groups.")
    return matrix, y


def _center_and_length(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what each column is centered at (0 without an intercept) and its length."""
    first = matrix[:, 0]
    length = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    if first[0] == 0 or (first != first[0]).any():
        return np.zeros(matrix.shape[1]), length
    shift = matrix.mean(axis=0)
    shift[0] = 0.0
    return shift, length


def _scales(matrix: FloatArray, shift: FloatArray, length: FloatArray) -> FloatArray:
    """Return factors that give each centered column a mean square of 1."""
    n = len(matrix)
    square = np.zeros(matrix.shape[1])
    for start in range(0, n, BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS] - shift
        square += np.einsum("ij,ij->j", block, block)
    spread = np.sqrt(square)
    usable = spread > CONSTANT * length
    return np.where(usable, np.sqrt(n) / np.where(usable, spread, 1.0), 0.0)


def _independent_columns(
    matrix: FloatArray, shift: FloatArray, length: FloatArray
) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Split the columns into those kept and those that earlier ones determine."""
    n, k = matrix.shape
    scale = _scales(matrix, shift, length)
    gram = np.zeros((k, k))
    for start in range(0, n, BLOCK_ROWS):
        block = (matrix[start : start + BLOCK_ROWS] - shift) * scale
        gram += block.T @ block
    try:
        pivots = np.diag(np.linalg.cholesky(gram / n)) ** 2
    except np.linalg.LinAlgError:
        pivots = np.zeros(k)
    if pivots.min(initial=1.0) > SAFE_PIVOT:
        return np.arange(k), ()
    return _orthogonalize(matrix, shift, length)


def _orthogonalize(
    matrix: FloatArray, shift: FloatArray, length: FloatArray
) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Subtract earlier columns from each one (twice, against rounding) and look at the rest."""
    basis = np.empty((0, len(matrix)))
    kept: list[int] = []
    dropped: list[int] = []
    for j in range(matrix.shape[1]):
        rest = matrix[:, j] - shift[j]
        centered_length = float(np.linalg.norm(rest))
        for _ in range(2):
            rest = rest - basis.T @ (basis @ rest)
        left = float(np.linalg.norm(rest))
        if left <= max(CONSTANT * length[j], COLLINEAR * centered_length):
            dropped.append(j)
            continue
        kept.append(j)
        basis = np.vstack([basis, rest / left])
    return np.array(kept, dtype=np.intp), tuple(dropped)
