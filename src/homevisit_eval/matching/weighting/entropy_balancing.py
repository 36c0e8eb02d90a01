"""Entropy balancing: the weights nearest to equal ones that make means equal (arrays)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import linprog

from homevisit_eval.errors import MatchingError
from homevisit_eval.propensity.columns import BLOCK_ROWS, Columns, independent_columns

__all__ = ["EntropyBalance", "entropy_balancing_weights"]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimand = Literal["ATT", "ATC", "ATE"]

MAX_ITERATIONS = 200
SUFFICIENT = 1e-4  # share of the predicted decrease that a step must reach (Armijo's rule)
SMALLEST_STEP = 1e-10
DAMPING = 1e-12  # added to the covariances, in which variances begin at 1
OUTSIDE = 1e-6  # relative: how far a hyperplane must pass all units by to be a proof
ROUNDING = 1e-12  # relative: smaller differences are not seen
MOST_ROWS_CHECKED = 50_000  # in the linear program that looks for any weights at all

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EntropyBalance:
    """Weights found by entropy balancing.

    Attributes
    ----------
    weights : array of shape (n,)
        Base weights included; the mean over a group that was reweighted is 1.
    largest_difference
        The largest difference of weighted means between the groups that is left, in standard
        deviations of the group that the estimand is about (ATE: of both, averaged as variances).
    iterations
        Newton steps taken; with the ATE, of the group that took more.
    """

    weights: FloatArray
    largest_difference: float
    iterations: int

    def __repr__(self) -> str:
        """Show the state of the solution, no rows."""
        return (
            f"EntropyBalance({len(self.weights)} weights; largest difference "
            f"{self.largest_difference:.2g} SD after {self.iterations} iterations)"
        )


def entropy_balancing_weights(
    X: ArrayLike,
    treated: ArrayLike,
    *,
    estimand: Estimand,
    base_weights: ArrayLike | None = None,
    tolerance: float = 1e-8,
) -> EntropyBalance:
    """Return the weights nearest to the base weights under which both groups have equal means.

    Parameters
    ----------
    X : array of shape (n, k)
        The columns whose means are balanced, without an intercept.
    treated : array of shape (n,)
        0 or 1; both occur.
    estimand
        ``"ATT"``: comparison units get the means of the treated; ``"ATC"``: the reverse;
        ``"ATE"``: both groups get those of all units.
    base_weights : array of shape (n,), optional
        Sampling weights, 0 or above; 1 by default. The target means are weighted by them.
    tolerance
        The largest standardized mean difference at which the weights have converged.

    Returns
    -------
    EntropyBalance
        A group that is not reweighted keeps its base weights.

    Raises
    ------
    MatchingError
        If no weights make the means equal (the target lies outside the convex hull of the
        group), or none were found; if the input is unusable. No weights are returned that have
        not converged.

    Notes
    -----
    In the group that is reweighted, with base weights q and target means t, the weights are
    :math:`w_i \\propto q_i \\exp(\\lambda' x_i)`; of all weights with these means they have the
    smallest :math:`\\sum w_i \\log(w_i / q_i)`. The multipliers minimize the convex dual
    :math:`\\log \\sum q_i \\exp(\\lambda'(x_i - t))`, found by Newton's method with backtracking.
    Columns that others determine within the group are left out of it, and checked afterwards.
    If for some multipliers all :math:`\\lambda'(x_i - t) < 0`, a hyperplane parts the target from
    every unit, and no weights exist. Where Newton's method ends without this proof, a linear
    program (HiGHS) looks for any weights.

    References
    ----------
    Hainmueller, J. (2012). Entropy balancing for causal effects: a multivariate reweighting
    method to produce balanced samples in observational studies. *Political Analysis*, 20(1),
    25-46.
    Zhao, Q., & Percival, D. (2017). Entropy balancing is doubly robust. *Journal of Causal
    Inference*, 5(1), 20160010.
    """
    matrix, group, base = _checked(X, treated, base_weights)
    if estimand not in ("ATT", "ATC", "ATE") or not 0 < tolerance < 1:
        raise MatchingError(
            "entropy balancing needs an estimand of ATT, ATC or ATE and a tolerance above 0 and "
            f"below 1; they are {estimand!r} and {tolerance!r}."
        )
    center = matrix.mean(axis=0)  # means are taken as distances from here, against rounding
    used = base > 0
    aimed = {"ATT": used & group, "ATC": used & ~group, "ATE": used}[estimand]
    goal = _Goal(
        center, _means(matrix, base * aimed, center), _spreads(matrix, group, base, estimand)
    )
    weights, iterations = base.copy(), 0
    reweighted = {"ATT": (~group,), "ATC": (group,), "ATE": (group, ~group)}[estimand]
    for members in reweighted:
        rows = np.flatnonzero(members & used)
        found = _reweighted(matrix[rows], base[rows], goal, tolerance / len(reweighted))
        weights[rows] = found.share * len(rows)  # mean 1
        iterations = max(iterations, found.iterations)
    means = [_means(matrix, weights * one, center) for one in (group, ~group)]
    largest = float(goal.in_spreads(means[0] - means[1]).max(initial=0.0))
    logger.info("entropy balancing: %d columns, %d iterations", matrix.shape[1], iterations)
    return EntropyBalance(weights, largest, iterations)


@dataclass(frozen=True, slots=True, eq=False)
class _Goal:
    """The means aimed at, less `center`, and the standard deviations for differences."""

    center: FloatArray
    mean: FloatArray
    spread: FloatArray

    def in_spreads(self, difference: FloatArray) -> FloatArray:
        """Return absolute differences in standard deviations, of the columns that vary."""
        varies = self.spread > 0
        return np.asarray(np.abs(difference[varies]) / self.spread[varies])


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """Shares that add to 1, in the order of the rows that were reweighted."""

    share: FloatArray
    iterations: int


def _reweighted(rows: FloatArray, base: FloatArray, goal: _Goal, tolerance: float) -> _Solution:
    """Solve for one group, or say why there is no solution."""
    columns = independent_columns(np.column_stack([np.ones(len(rows)), rows]))
    kept = columns.kept[1:] - 1  # without the intercept, numbered as in the input
    scale = columns.scale[1:]
    aim = (goal.mean[kept] - (columns.shift[1:] - goal.center[kept])) * scale
    units = 1.0 / (scale * goal.spread[kept])  # scaled columns -> standard deviations
    dual = _Dual(columns, aim, np.log(base))
    multipliers = np.zeros(len(kept))
    point = dual.at(multipliers)
    for iteration in range(MAX_ITERATIONS + 1):
        if _passes_by(point.exponent):
            raise _no_weights(rows, goal, iteration)
        share = point.share()
        gradient, covariance = dual.derivatives(share)
        left = float(np.abs(gradient * units).max(initial=0.0))
        if left <= tolerance:
            beyond = goal.in_spreads(_means(rows, share, goal.center) - goal.mean)
            if beyond.max(initial=0.0) > 2 * tolerance + ROUNDING:  # in a column that was dropped
                raise _no_weights(rows, goal, iteration)
            return _Solution(share, iteration)
        step = _newton_step(gradient, covariance)
        moved = _search(dual, multipliers, point, step, float(gradient @ step))
        if moved is None:
            break
        multipliers, point = moved
    raise _not_found(rows, goal, left, iteration)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """The dual at some multipliers: exponents lambda'(x - t), their sum with log base weights."""

    exponent: FloatArray
    log_weight: FloatArray
    value: float

    def share(self) -> FloatArray:
        """Return the weights there, which add to 1."""
        return np.asarray(np.exp(self.log_weight - self.value))


@dataclass(frozen=True, slots=True, eq=False)
class _Dual:
    """The convex problem of one group, in scaled columns (the intercept stands first)."""

    columns: Columns
    aim: FloatArray
    log_base: FloatArray

    def at(self, multipliers: FloatArray) -> _Point:
        """Return the value of the dual, and the weights before scaling, as logarithms."""
        exponent = np.empty(len(self.log_base))
        for rows, columns in self.columns.blocks():
            exponent[rows] = multipliers @ columns[1:]
        exponent -= multipliers @ self.aim
        log_weight = exponent + self.log_base
        highest = float(log_weight.max())
        value = highest + float(np.log(np.exp(log_weight - highest).sum()))
        return _Point(exponent, log_weight, value)

    def derivatives(self, share: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the means less their targets, and the covariances, under some shares."""
        k = len(self.aim)
        mean, square = np.zeros(k), np.zeros((k, k))
        for rows, columns in self.columns.blocks():
            part = columns[1:]
            part -= self.aim[:, None]
            mean += part @ share[rows]
            part *= np.sqrt(share[rows])
            square += part @ part.T
        return mean, square - np.outer(mean, mean)


def _passes_by(exponent: FloatArray) -> bool:
    """Say whether a hyperplane parts the target from all units."""
    highest = float(exponent.max())
    return highest < 0 and highest < -OUTSIDE * float(np.abs(exponent).max())


def _newton_step(gradient: FloatArray, covariance: FloatArray) -> FloatArray:
    damping = DAMPING
    while True:
        try:
            damped = covariance + damping * np.eye(len(gradient))
            return np.asarray(-cho_solve(cho_factor(damped), gradient))
        except np.linalg.LinAlgError:
            damping *= 100.0


def _search(
    dual: _Dual, multipliers: FloatArray, point: _Point, step: FloatArray, slope: float
) -> tuple[FloatArray, _Point] | None:
    """Halve the step until the dual falls enough; None if no step does."""
    length = 1.0
    while length > SMALLEST_STEP:
        candidate = multipliers + length * step
        there = dual.at(candidate)
        rounding = 1e-15 * max(1.0, abs(point.value))
        if there.value <= point.value + SUFFICIENT * length * slope + rounding:
            return candidate, there
        length /= 2.0
    return None


def _no_weights(rows: FloatArray, goal: _Goal, iteration: int) -> MatchingError:
    target = goal.mean + goal.center
    beyond = np.maximum(rows.min(axis=0) - target, target - rows.max(axis=0))
    alone = int((beyond > ROUNDING * goal.spread).sum())
    cause = (
        f"in {alone} of them the target mean lies outside the range of the group's values"
        if alone
        else "only in combination; each column alone could be balanced"
    )
    return MatchingError(
        f"entropy balancing: no weights exist that balance the means of {len(target)} column(s); "
        "the target lies outside the convex hull of the group that is reweighted "
        f"({cause}; found after {iteration} iterations). Leave out columns, merge rare "
        "categories, balance fewer moments, or first leave out units without a counterpart."
    )


def _not_found(rows: FloatArray, goal: _Goal, left: float, iteration: int) -> MatchingError:
    """Say whether weights exist that Newton's method did not find."""
    exist = _hull_holds(rows - goal.center, goal.mean)
    if exist is False:
        return _no_weights(rows, goal, iteration)
    state = (
        "The target lies inside the convex hull of the group that is reweighted, so weights "
        "exist, but close to its edge: a few units would carry almost all weight."
        if exist
        else "It is not known whether the target lies inside the convex hull of the group."
    )
    return MatchingError(
        f"entropy balancing of {rows.shape[1]} column(s) did not converge in {iteration} "
        f"iterations; the largest standardized mean difference left is {left:.2g}. {state} Leave "
        "out columns, merge rare categories, balance fewer moments, or raise the tolerance."
    )


def _hull_holds(rows: FloatArray, target: FloatArray) -> bool | None:
    """Say whether some weights of the rows give the target means; None if it is too much work."""
    if len(rows) > MOST_ROWS_CHECKED:
        return None
    points = np.unique(rows, axis=0) - target
    scale = np.abs(points).max(axis=0)
    equations = np.vstack([(points / np.where(scale > 0, scale, 1.0)).T, np.ones(len(points))])
    right = np.append(np.zeros(len(target)), 1.0)
    found = linprog(
        np.zeros(len(points)), A_eq=equations, b_eq=right, bounds=(0, None), method="highs"
    )
    return {0: True, 2: False}.get(found.status)


def _means(matrix: FloatArray, weight: FloatArray, center: FloatArray) -> FloatArray:
    """Return weighted means of the columns less `center`."""
    total = np.zeros(matrix.shape[1])
    for start in range(0, len(matrix), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        total += weight[rows] @ (matrix[rows] - center)
    return np.asarray(total / weight.sum())


def _spreads(matrix: FloatArray, group: Flags, base: FloatArray, estimand: str) -> FloatArray:
    """Return the standard deviations that differences are measured in; 0 if a column is constant.

    Where a column does not vary in the estimand's group, that of all units stands in.
    """
    variance = {}
    for name, members in (("ATT", group), ("ATC", ~group), ("all", group | ~group)):
        weight, total = base * members, np.zeros(matrix.shape[1])
        mean = _means(matrix, weight, np.zeros(matrix.shape[1]))
        for start in range(0, len(matrix), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            total += weight[rows] @ (matrix[rows] - mean) ** 2
        varies = total > (ROUNDING * np.abs(mean)) ** 2 * weight.sum()
        variance[name] = np.where(varies, total / weight.sum(), 0.0)
    variance["ATE"] = (variance["ATT"] + variance["ATC"]) / 2.0
    chosen = variance[estimand]
    return np.sqrt(np.where(chosen > 0, chosen, variance["all"]))


def _checked(
    X: ArrayLike, treated: ArrayLike, base_weights: ArrayLike | None
) -> tuple[FloatArray, Flags, FloatArray]:
    matrix, group = np.asarray(X, dtype=np.float64), np.asarray(treated)
    if matrix.ndim != 2 or group.shape != matrix.shape[:1]:
        raise MatchingError(
            "entropy balancing needs X of shape (n, k) and treated of shape (n,); they are "
            f"{matrix.shape} and {group.shape}."
        )
    base = np.ones(len(group))
    if base_weights is not None:
        base = np.array(base_weights, dtype=np.float64)
    if base.shape != group.shape or not np.isfinite(base).all() or (base < 0).any():
        raise MatchingError(
            "entropy balancing needs one base weight, 0 or above, for each unit. Correct them, or "
            "leave out the units that lack one."
        )
    if not np.isfinite(matrix).all():
        raise MatchingError(
            "entropy balancing needs finite numbers. Leave out or fill the rows that lack a value "
            "first."
        )
    both = ((group == 1) & (base > 0)).any() and ((group == 0) & (base > 0)).any()
    if not ((group == 0) | (group == 1)).all() or not both:
        raise MatchingError(
            "entropy balancing needs treated to be 0 or 1, and units of both groups (with a base "
            "weight above 0)."
        )
    return matrix, group == 1, base
