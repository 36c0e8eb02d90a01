"""The maximum of a concave likelihood by Newton's method, or why there is none (arrays)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.likelihood.families import (
    Family,
    is_bounded,
    is_certain,
    row_terms,
    starting_predictor,
)
from homevisit_eval.effects.likelihood.predictor_columns import (
    Information,
    PredictorColumns,
    sums_by_code,
)

__all__ = ["MAX_ITERATIONS", "Maximum", "PredictorProblem", "expected_information", "maximize"]

Floats = NDArray[np.float64]

MAX_ITERATIONS = 60  # a separated fit moves its predictor by up to 1 in each, without end
SETTLED = 1e-8  # change of the predictor after which the next one is rounding: it is quadratic
HALVINGS = 30
MOVING = 1e-2  # a change of the predictor that is no end of iterations
STILL = 1e-6  # share of the largest change that is none
FIRST_ROWS = 20_000  # rows from which a start is found, where there are many more


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PredictorProblem:
    """What is fitted: outcomes y (n,) of positive weights (n,), and a linear predictor."""

    columns: PredictorColumns
    y: Floats
    weights: Floats
    family: Family
    dispersion: float = 0.0

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"PredictorProblem({self.family}, {len(self.y)} rows, {self.columns!r})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Maximum:
    """Where Newton's method ended.

    Attributes
    ----------
    gamma, effects : arrays of shape (k,) and (L,)
    eta : array of shape (n,)
        Linear predictor.
    score : array of shape (n,)
        Weight times the derivative of the likelihood by the linear predictor.
    information
        Observed.
    end
        ``"converged"``; ``"separated"``: the likelihood grows without end along the last step;
        ``"not converged"``.
    iterations
    last_step : arrays of shape (k,) and (L,)
    moved
        Rows whose linear predictor the last step moved.
    """

    gamma: Floats
    effects: Floats
    eta: Floats
    score: Floats
    information: Information
    end: str
    iterations: int
    last_step: tuple[Floats, Floats]
    moved: int

    def __repr__(self) -> str:
        """Show how it ended, no rows."""
        return f"Maximum({len(self.gamma)} coefficients, {self.end}, {self.iterations} steps)"


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    gamma: Floats
    effects: Floats
    eta: Floats
    score: Floats
    value: float
    gradient: tuple[Floats, Floats]
    information: Information


def maximize(problem: PredictorProblem, start: tuple[Floats, Floats] | None = None) -> Maximum:
    """Maximize the weighted log (quasi-)likelihood.

    Parameters
    ----------
    problem
    start : arrays of shape (k,) and (L,), optional
        Found from the outcomes if not given.

    Notes
    -----
    Newton steps with the observed information, halved while the likelihood falls; levels are
    eliminated by a Schur complement. The end is a full step that changes no linear predictor by
    more than 1e-8 (1 + the largest). A step that moves some rows, all of them toward an outcome
    at the limit of its range that they predict to 1e-6 already, and no other row, can be
    repeated without end: the columns separate the outcomes.

    References
    ----------
    Albert, A., & Anderson, J. A. (1984). On the existence of maximum likelihood estimates in
    logistic regression models. *Biometrika*, 71(1), 1-10.
    Correia, S., Guimaraes, P., & Zylkin, T. (2019). Verifying the existence of maximum likelihood
    estimates for generalized linear models. arXiv:1903.01633.
    """
    gamma, effects = start if start is not None else _start(problem)
    here = _evaluate(problem, gamma, effects)
    if not np.isfinite(here.value):
        here = _evaluate(problem, np.zeros_like(gamma), np.zeros_like(effects))
    step, moved, iteration = (np.zeros_like(gamma), np.zeros_like(effects)), 0, 0
    for iteration in range(1, MAX_ITERATIONS + 1):
        try:
            step = here.information.solve(*here.gradient)
        except np.linalg.LinAlgError:
            break
        there, full = _climb(problem, here, step)
        if there is None:
            break
        change = there.eta - here.eta
        here = there
        largest = float(np.abs(change).max())
        if full and largest <= SETTLED * (1.0 + float(np.abs(here.eta).max())):
            return _ended(here, "converged", iteration, step, 0)
        if largest >= MOVING:
            moved = _moved_outward(problem, here.eta, change, largest)
            if moved:
                return _ended(here, "separated", iteration, step, moved)
    return _ended(here, "not converged", iteration, step, moved)


def expected_information(problem: PredictorProblem, eta: Floats) -> Information:
    """Return the expected information at a linear predictor (n,)."""
    terms = row_terms(eta, problem.y, problem.family, problem.dispersion)
    weight = problem.weights * terms.expected
    columns = problem.columns
    dense = np.zeros((columns.k, columns.k))
    for rows in columns.blocks():
        block = columns.Z[rows] * np.sqrt(weight[rows])[:, None]
        dense += block.T @ block
    return Information(dense, *_level_blocks(columns, weight))


def _ended(
    here: _Point, end: str, iterations: int, step: tuple[Floats, Floats], moved: int
) -> Maximum:
    return Maximum(
        gamma=here.gamma,
        effects=here.effects,
        eta=here.eta,
        score=here.score,
        information=here.information,
        end=end,
        iterations=iterations,
        last_step=step,
        moved=moved,
    )


def _climb(
    problem: PredictorProblem, here: _Point, step: tuple[Floats, Floats]
) -> tuple[_Point | None, bool]:
    """Return a point no lower, and whether the step was taken in full."""
    slack = 1e-12 * (1.0 + abs(here.value))
    length = 1.0
    for _ in range(HALVINGS):
        there = _evaluate(problem, here.gamma + length * step[0], here.effects + length * step[1])
        if there.value >= here.value - slack:
            return there, length == 1.0
        length /= 2.0
    return None, False


def _moved_outward(problem: PredictorProblem, eta: Floats, change: Floats, largest: float) -> int:
    """Return how many rows moved, if all that did are certain and became more so; else 0."""
    moving = np.flatnonzero(np.abs(change) > STILL * largest)
    y = problem.y[moving]
    outward = (y == 0) & (change[moving] < 0)
    if is_bounded(problem.family):
        outward |= (y == 1) & (change[moving] > 0)
    if not outward.all() or not is_certain(eta[moving], y, problem.family).all():
        return 0
    return len(moving)


def _evaluate(problem: PredictorProblem, gamma: Floats, effects: Floats) -> _Point:
    """Return the likelihood with its derivatives, one pass over blocks of rows."""
    columns, n = problem.columns, len(problem.y)
    eta, score, weight = np.empty(n), np.empty(n), np.empty(n)
    dense, gradient, value = np.zeros((columns.k, columns.k)), np.zeros(columns.k), 0.0
    for rows in columns.blocks():
        block, w = columns.Z[rows], problem.weights[rows]
        part = block @ gamma
        if columns.levels is not None:
            part += effects[columns.levels[rows]]
        terms = row_terms(part, problem.y[rows], problem.family, problem.dispersion)
        with np.errstate(invalid="ignore", over="ignore"):
            eta[rows], score[rows], weight[rows] = part, w * terms.score, w * terms.observed
            value += float(w @ terms.objective)
            gradient += score[rows] @ block
            scaled = block * np.sqrt(weight[rows])[:, None]
            dense += scaled.T @ scaled
    return _Point(
        gamma=gamma,
        effects=effects,
        eta=eta,
        score=score,
        value=value if np.isfinite(value) else -np.inf,
        gradient=(gradient, columns.by_level(score)),
        information=Information(dense, *_level_blocks(columns, weight)),
    )


def _level_blocks(columns: PredictorColumns, weight: Floats) -> tuple[Floats, Floats]:
    if columns.levels is None:
        return np.zeros((0, columns.k)), np.zeros(0)
    return (
        sums_by_code(columns.levels, weight, columns.Z, columns.L),
        columns.by_level(weight),
    )


def _start(problem: PredictorProblem) -> tuple[Floats, Floats]:
    """Return the fit of every so manyth row where there are many, else the fit of linear
    predictors that stand near the outcomes."""
    columns, stride = problem.columns, len(problem.y) // FIRST_ROWS
    if stride > 1 and columns.levels is None and 20 * columns.k < FIRST_ROWS:
        part = replace(columns, Z=np.ascontiguousarray(columns.Z[::stride]))
        found = maximize(
            replace(problem, columns=part, y=problem.y[::stride], weights=problem.weights[::stride])
        )
        if found.end == "converged":
            return found.gamma, found.effects
    w = problem.weights / problem.weights.mean()
    eta = starting_predictor(problem.y, w, problem.family)
    terms = row_terms(eta, problem.y, problem.family, problem.dispersion)
    target = problem.weights * (terms.expected * eta + terms.score)
    try:
        return expected_information(problem, eta).solve(
            target @ columns.Z, columns.by_level(target)
        )
    except np.linalg.LinAlgError:
        return np.zeros(columns.k), np.zeros(columns.L)
