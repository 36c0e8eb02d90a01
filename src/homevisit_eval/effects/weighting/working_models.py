"""Working models of outcome and treatment: fitted by rows' scores, ready to be stacked (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular
from scipy.special import expit

from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.propensity import fit_propensity

__all__ = [
    "OutcomeModel",
    "Regression",
    "WorkingModel",
    "dropped_note",
    "fit_outcome",
    "fit_treatment",
    "independent",
    "standard_columns",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
OutcomeModel = Literal["linear", "logit", "poisson"]

MAX_ITERATIONS = 30  # a separated fit moves its predictor by about 1 in each, without end
SETTLED = 1e-9  # change of the predictor after which the next change is rounding
COLLINEAR_BELOW = 1e-8  # share of a column's length that earlier columns leave
HALVINGS = 30


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Regression:
    """What a working model is fitted to.

    Attributes
    ----------
    y : array of shape (n,)
    columns : array of shape (n, k)
        An intercept first, the others about standard (see `standard_columns`).
    weights : array of shape (n,)
        0 or above; rows with 0 take no part.
    family
        ``"linear"``, ``"logit"`` or ``"poisson"``, with its canonical link.
    """

    y: Floats
    columns: Floats
    weights: Floats
    family: OutcomeModel

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"Regression({self.family}, {self.columns.shape[0]} x {self.columns.shape[1]})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WorkingModel:
    """A fitted regression with a canonical link, in columns that have mean 0 and variance 1.

    Attributes
    ----------
    family
        ``"linear"``, ``"logit"`` or ``"poisson"``.
    coefficients : array of shape (k,)
        0 for dropped columns.
    scores : array of shape (n, k)
        Each row's term of the estimating equations: weight times residual times column.
    inverse : array of shape (k, k)
        Inverse of minus the derivative of their sum; 0 for dropped columns.
    dropped : tuple of column positions
        Combinations of earlier columns in the rows of the fit.
    """

    family: OutcomeModel
    coefficients: Floats
    scores: Floats
    inverse: Floats
    dropped: tuple[int, ...]

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return (
            f"WorkingModel({self.family}, {len(self.coefficients)} columns, "
            f"{len(self.dropped)} dropped)"
        )

    def predict(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return means and their derivatives by the linear predictor, each of shape (n,)."""
        return _mean_and_slope(columns @ self.coefficients, self.family)

    def carried(self, gradient: Floats, scores: Floats | None = None) -> Floats:
        """Return what the estimation of this model adds to the influence of each row.

        Parameters
        ----------
        gradient : array of shape (k,)
            Derivative of the next stage's sum by the coefficients.
        scores : array of shape (n, k), optional
            In place of the model's own, where an earlier stage adds to them.
        """
        return np.asarray((self.scores if scores is None else scores) @ (self.inverse @ gradient))


def standard_columns(X: Floats) -> Floats:
    """Return an intercept and the columns of X with mean 0 and variance 1, shape (n, 1 + k).

    Columns that are constant become 0. Estimates do not change: every model has an intercept.
    """
    centered = X - X.mean(axis=0)
    centered -= centered.mean(axis=0)
    spread = np.sqrt(np.mean(centered**2, axis=0))
    varies = spread > 1e-12 * np.abs(X).max(axis=0, initial=0.0)
    scaled = centered * np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    return np.column_stack([np.ones(len(X)), scaled])


def fit_outcome(function: str, problem: Regression, group: str) -> WorkingModel:
    """Fit the mean of y in rows of positive weight.

    Parameters
    ----------
    function, group
        For messages: who asks, and whose outcomes these are.
    problem

    Raises
    ------
    EstimationError
        If y does not fit the family, rows are too few, or the fit does not converge.
    """
    inside, family = problem.weights > 0, problem.family
    known, w = problem.y[inside], problem.weights[inside]
    _check_outcomes(function, known, family, group)
    kept = independent(problem.columns[inside] * np.sqrt(w)[:, None])
    if len(known) <= kept.sum():
        raise EstimationError(
            f"{function}: {len(known)} {group} rows are too few for an outcome model of "
            f"{int(kept.sum())} columns; use fewer columns."
        )
    start = np.zeros(len(kept))
    start[0] = _link(float(np.average(known, weights=w)), family)
    coefficients = _newton(problem, start, kept)
    if coefficients is None:
        raise EstimationError(
            f"{function}: the {family} model of the outcome in the {len(known)} {group} rows did "
            f"not converge in {MAX_ITERATIONS} Newton steps; a covariate probably predicts "
            "outcomes with certainty. Leave it out, merge its levels, or choose a linear model."
        )
    return _model(problem, coefficients, kept)


def fit_treatment(
    function: str, treated: Flags, columns: Floats, weights: Floats
) -> tuple[WorkingModel, Floats]:
    """Fit the propensity score by logit; return the model and the scores, shape (n,).

    Parameters
    ----------
    function
        For messages.
    treated : array of bool, shape (n,)
    columns : array of shape (n, k)
        An intercept first, the others about standard (see `standard_columns`).
    weights : array of shape (n,)
        Sampling weights; rows with 0 get a score and take no part in the fit.

    Raises
    ------
    EstimationError
        If covariates separate the groups, in full or in part, or the fit does not converge.

    Notes
    -----
    `fit_propensity` finds the fit and its trouble; Newton steps then take it to rounding error,
    as the stacked equations must hold at the estimate.
    """
    try:
        first = fit_propensity(columns, treated, "logit", weights)
    except MatchingError as error:
        raise EstimationError(f"{function}: {error}") from None
    certain = int((first.diverging & (weights > 0)).sum())
    y = treated.astype(np.float64)
    kept = np.isfinite(first.coefficients)
    start = np.where(kept, first.coefficients, 0.0)
    problem = Regression(y, columns, weights, "logit")
    coefficients = None if certain else _newton(problem, start, kept)
    if coefficients is None:
        raise EstimationError(
            f"{function}: the propensity score did not converge; covariates predict the group of "
            f"{certain} rows with certainty. Leave out the covariate that decides who is treated, "
            "merge its levels, or leave out rows without a counterpart."
        )
    model = _model(problem, coefficients, kept)
    return model, model.predict(columns)[0]


def dropped_note(model: WorkingModel, columns: Floats, group: str) -> tuple[str, ...]:
    """Return the sentence on columns that do not vary in one group, but vary over all rows."""
    overall = independent(columns)
    places = ", ".join(str(j - 1) for j in model.dropped if overall[j])
    if not places:
        return ()
    return (
        f"Outcome model of {group} rows: columns {places} of X add nothing to the others there. "
        "Rows that differ in them are predicted as if they did not: look at overlap.",
    )


def _check_outcomes(function: str, known: Floats, family: str, group: str) -> None:
    if family not in get_args(OutcomeModel):
        raise EstimationError(
            f"{function}: unknown outcome model {family!r}; it must be linear, logit or poisson."
        )
    if family == "linear":
        return
    highest = 1.0 if family == "logit" else np.inf
    outside = int(((known < 0) | (known > highest)).sum())
    if outside:
        limits = "between 0 and 1" if family == "logit" else "of 0 or more"
        raise EstimationError(
            f"{function}: {outside} outcomes of {group} rows are not {limits}, as a {family} model "
            "of the outcome needs; correct them or choose a linear one."
        )
    if (known == 0).all() or (known == highest).all():
        raise EstimationError(
            f"{function}: all {len(known)} outcomes of {group} rows are the same, so a {family} "
            "model of them has no finite fit; choose a linear one."
        )


def _newton(problem: Regression, start: Floats, kept: Flags) -> Floats | None:
    """Return the root of the estimating equations; None if there is none within the limit."""
    inside, family = problem.weights > 0, problem.family
    A, y, w = problem.columns[inside][:, kept], problem.y[inside], problem.weights[inside]
    beta = start[kept]
    eta = A @ beta
    value = _objective(y, eta, w, family)
    for _ in range(MAX_ITERATIONS):
        mean, slope = _mean_and_slope(eta, family)
        root = np.sqrt(w * slope)
        if not root.all():
            return None
        q, r = qr(A * root[:, None], mode="economic", check_finite=False)
        if np.abs(np.diag(r)).min() <= np.finfo(float).eps * np.abs(np.diag(r)).max():
            return None
        step = solve_triangular(r, q.T @ (w * (y - mean) / root))
        change, length = A @ step, 1.0
        for _ in range(HALVINGS):
            there = _objective(y, eta + length * change, w, family)
            if there >= value - 1e-12 * (1.0 + abs(value)):
                break
            length /= 2.0
        beta = beta + length * step
        eta, value = A @ beta, there
        if length == 1.0 and np.abs(change).max() <= SETTLED * (1.0 + np.abs(eta).max()):
            coefficients = np.zeros(len(kept))
            coefficients[kept] = beta
            return coefficients
    return None


def _model(problem: Regression, coefficients: Floats, kept: Flags) -> WorkingModel:
    inside = problem.weights > 0
    columns, w = problem.columns[inside], problem.weights[inside]
    mean, slope = _mean_and_slope(columns @ coefficients, problem.family)
    scores = np.zeros(problem.columns.shape)
    scores[inside] = (w * (problem.y[inside] - mean))[:, None] * columns
    scores[:, ~kept] = 0.0
    A = columns[:, kept] * np.sqrt(w * slope)[:, None]
    r = qr(A, mode="r", check_finite=False)[0][: A.shape[1]]
    triangle = solve_triangular(r, np.eye(len(r)))
    inverse = np.zeros((len(kept), len(kept)))
    inverse[np.ix_(kept, kept)] = triangle @ triangle.T
    dropped = tuple(compress(range(len(kept)), ~kept))
    return WorkingModel(problem.family, coefficients, scores, inverse, dropped)


def independent(A: Floats) -> Flags:
    """Return which columns are not combinations of earlier ones that are kept."""
    if len(A) < A.shape[1]:
        A = np.vstack([A, np.zeros((A.shape[1] - len(A), A.shape[1]))])
    r = qr(A, mode="r", check_finite=False)[0][: A.shape[1]]
    length = np.sqrt((r**2).sum(axis=0))
    keep = np.zeros(r.shape[1], dtype=bool)
    basis = np.empty((len(r), 0))
    for j in range(r.shape[1]):
        rest = r[:, j] - basis @ (basis.T @ r[:, j])
        rest -= basis @ (basis.T @ rest)
        size = float(np.sqrt(rest @ rest))
        keep[j] = size > COLLINEAR_BELOW * length[j]
        if keep[j]:
            basis = np.column_stack([basis, rest / size])
    return keep


def _link(mean: float, family: OutcomeModel) -> float:
    match family:
        case "linear":
            return mean
        case "logit":
            return float(np.log(mean) - np.log1p(-mean))
        case "poisson":
            return float(np.log(mean))
        case _:
            assert_never(family)


def _mean_and_slope(eta: Floats, family: OutcomeModel) -> tuple[Floats, Floats]:
    match family:
        case "linear":
            return eta, np.ones(len(eta))
        case "logit":
            mean = expit(eta)
            return mean, mean * expit(-eta)
        case "poisson":
            with np.errstate(over="ignore"):
                mean = np.exp(eta)
            return mean, mean
        case _:
            assert_never(family)


def _objective(y: Floats, eta: Floats, w: Floats, family: OutcomeModel) -> float:
    """Return the quasi log likelihood, up to a constant."""
    match family:
        case "linear":
            return float(-0.5 * (w @ (y - eta) ** 2))
        case "logit":
            return float(w @ (y * eta - np.logaddexp(0.0, eta)))
        case "poisson":
            with np.errstate(over="ignore"):
                return float(w @ (y * eta - np.exp(eta)))
        case _:
            assert_never(family)
