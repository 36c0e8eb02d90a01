"""The largest selection under linear constraints: integer programs with HiGHS (arrays).

The linear relaxation is solved first. It bounds the size, and all but a few of its variables are
whole numbers already, so an integer program in those whose change costs least, with the others
held, mostly reaches the bound. If it does not, more variables are set free, in the end all.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp

__all__ = ["Program", "Selection", "largest_selection"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FREED = (500, 5_000)  # variables that may change in the first integer programs, before all do
LEAST_SECONDS = 0.05
INFEASIBLE = 2  # status of scipy.optimize.milp
WHOLE = 1e-6  # the solver's tolerance for whole numbers, and ours for its bounds
BENT = 1e-6  # by how much, per unit of size, a constraint may be missed after rounding
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Program:
    """Maximize `size` @ x over whole numbers from 0 to `most`, under linear constraints.

    Attributes
    ----------
    size, most : arrays of shape (n,)
        Whole numbers.
    equal : sparse array of shape (s, n)
        Whole numbers; `equal` @ x = 0.
    at_most : sparse array of shape (q, n)
        `at_most` @ x <= `bound`.
    bound : array of shape (q,)
    """

    size: Floats
    most: Floats
    equal: sparse.csc_array
    at_most: sparse.csc_array
    bound: Floats

    def __repr__(self) -> str:
        """Show numbers of variables and constraints."""
        s, q = self.equal.shape[0], self.at_most.shape[0]
        return f"Program({len(self.size)} variables, {s} equalities, {q} inequalities)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Selection:
    """What was found.

    Attributes
    ----------
    x : array of int, shape (n,)
        The best solution; all 0 if none was found.
    size
        Of the best solution.
    bound
        No solution is larger; 0 if there is no solution of a size above 0.
    """

    x: Integers
    size: int
    bound: int

    def __repr__(self) -> str:
        """Show the size and its bound."""
        return f"Selection(size {self.size}, at most {self.bound})"


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """What one integer program found, if anything; a bound of it; whether there is nothing."""

    x: Integers | None
    bound: float
    is_impossible: bool


def largest_selection(program: Program, *, seconds: float, relative_gap: float = 0.0) -> Selection:
    """Search for the largest solution of a size above 0.

    Parameters
    ----------
    program
    seconds
        The search ends then, with what it has; the solver may notice a little late.
    relative_gap
        It ends when the best solution is within this share of the bound.

    Returns
    -------
    Selection
        The same for the same program, unless time ran out. A constraint may be missed by 1e-6
        times the size, the tolerance of the solver.

    Notes
    -----
    With some variables held at the rounded solution of the relaxation the program has a small
    number of variables and the same bound, as those are free whose reduced cost is least.

    References
    ----------
    Huangfu, Q., & Hall, J. A. J. (2018). Parallelizing the dual revised simplex method.
    *Mathematical Programming Computation*, 10(1), 119-142.
    """
    ends, n = time.monotonic() + seconds, len(program.most)
    best = np.zeros(n, dtype=np.int64)
    relaxed = _relaxation(program, seconds)
    if relaxed.x is None:
        return Selection(best, 0, _whole(float(program.size @ program.most)))
    size, bound = 0, _whole(-relaxed.fun)
    for freed in [*(number for number in FREED if number < n), n]:
        if bound == 0 or (size > 0 and bound - size <= relative_gap * bound):
            break
        left = max(ends - time.monotonic(), LEAST_SECONDS)
        found = _integer_program(
            program,
            np.rint(relaxed.x),
            _cheapest(relaxed, freed),
            at_least=size + 1,
            options={"time_limit": left if freed == n else left / 2, "mip_rel_gap": relative_gap},
        )
        if freed == n:
            bound = size if found.is_impossible else _whole(min(bound, found.bound))
        if found.x is not None and _holds(program, found.x):
            best, size = found.x, _size(program, found.x)
    return Selection(best, size, bound)


def _relaxation(program: Program, seconds: float) -> OptimizeResult:
    return linprog(
        -program.size,
        A_ub=program.at_most,
        b_ub=program.bound,
        A_eq=program.equal,
        b_eq=np.zeros(program.equal.shape[0]),
        bounds=np.column_stack([np.zeros(len(program.most)), program.most]),
        method="highs-ds",
        options={"time_limit": seconds},
    )


def _cheapest(relaxed: OptimizeResult, number: int) -> Integers:
    """Return that many variables, ascending: broken ones, then those of the least reduced cost.

    Equally cheap ones are taken from everywhere, not from the beginning.
    """
    cost = np.abs(relaxed.lower.marginals + relaxed.upper.marginals).round(9)
    broken = np.abs(relaxed.x - np.rint(relaxed.x)) > WHOLE
    scattered = (np.arange(len(cost)) * GOLDEN) % 1.0
    order = np.lexsort((scattered, cost, ~broken))
    return np.sort(order[:number]).astype(np.int64)


def _integer_program(
    program: Program,
    start: Floats,
    free: Integers,
    *,
    at_least: int,
    options: dict[str, float],
) -> _Attempt:
    """Search for a solution of a size, in which only some variables differ from `start`."""
    held = start.copy()
    held[free] = 0.0
    size = sparse.csc_array(program.size[None, :])
    rows = sparse.vstack([program.at_most, program.equal, size], format="csc")
    q, s = program.at_most.shape[0], program.equal.shape[0]
    already = rows @ held
    lower = np.concatenate([np.full(q, -np.inf), np.zeros(s), [at_least]]) - already
    upper = np.concatenate([program.bound, np.zeros(s), [np.inf]]) - already
    result = milp(
        -program.size[free],
        integrality=np.ones(len(free)),
        bounds=Bounds(0.0, program.most[free]),
        constraints=LinearConstraint(rows[:, free], lower, upper),
        options=options,
    )
    bound = math.inf if result.mip_dual_bound is None else -result.mip_dual_bound + already[-1]
    if result.x is None:
        return _Attempt(None, bound, result.status == INFEASIBLE)
    held[free] = np.rint(result.x)
    return _Attempt(held.astype(np.int64), bound, is_impossible=False)


def _holds(program: Program, x: Integers) -> bool:
    """Say whether rounded numbers meet the constraints."""
    slack = BENT * _size(program, x)
    kept = (program.at_most @ x <= program.bound + slack).all()
    return bool(kept and (np.abs(program.equal @ x) < WHOLE).all())


def _size(program: Program, x: Integers) -> int:
    return round(float(program.size @ x))


def _whole(bound: float) -> int:
    return math.floor(bound + WHOLE)
