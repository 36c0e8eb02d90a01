"""Several large factors that cross, swept out together (arrays).

The projection on the indicators of all factors is found from their contingency tables: the factor
with most levels is solved for exactly, the rest by conjugate gradients, preconditioned by their
diagonal, and corrected until nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from homevisit_eval.effects.regression.projected_design import sums
from homevisit_eval.errors import EstimationError

__all__ = ["CrossedFactors", "crossed_factors", "joint_rank"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

SOLVED = 1e-13  # of the length of the right side, in conjugate gradients
CONVERGED = 1e-12  # of the length of what is swept, in the last correction
NOTHING = 1e-15  # of the length of sums by level of absolute values: rounding
STEPS = 10_000
CORRECTIONS = 6
EXACT_RANK = 1_500  # levels beside the largest factor up to which the rank is counted exactly


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CrossedFactors:
    """The normal equations of the indicators of several factors.

    Attributes
    ----------
    factors : tuple of arrays of shape (n,)
        Codes from 0, the factor with most levels first.
    weights : array of shape (n,)
    totals : array of shape (C,)
        Weight of each level of the first factor.
    across : sparse array of shape (C, m)
        Weight at each level of the first factor and each of the others, one after the other.
    among : sparse array of shape (m, m)
        The same among the others.
    """

    factors: tuple[Codes, ...]
    weights: Floats
    totals: Floats
    across: sparse.csr_array
    among: sparse.csr_array

    def __repr__(self) -> str:
        """Show the sizes."""
        return f"CrossedFactors({len(self.factors)} factors, {sum(self.across.shape)} levels)"

    def sweep(self, values: Floats) -> Floats:
        """Return values (n,) less their weighted projection on all factors, shape (n,).

        Raises
        ------
        EstimationError
            If it does not converge.
        """
        whole = self._length(values)
        rounding = self._rounding(values)
        left = values - self._fitted(values, rounding)
        for _ in range(CORRECTIONS):
            change = self._fitted(left, rounding)
            left -= change
            if self._length(change) <= CONVERGED * whole:
                return left
        raise EstimationError(
            f"least squares: sweeping out {len(self.factors)} crossed factors did not converge: "
            f"after {CORRECTIONS} corrections {self._length(change) / whole:.1e} of the length "
            f"still changes, {CONVERGED:.0e} is asked for. Absorb their combinations as one "
            "factor, or leave out levels with few rows."
        )

    def _length(self, values: Floats) -> float:
        return float(np.sqrt(np.dot(self.weights * values, values)))

    def _rounding(self, values: Floats) -> float:
        """Return the squared length below which a right side is nothing but rounding."""
        sizes = self.weights * np.abs(values)
        parts = [sums(codes, sizes, int(codes.max()) + 1) for codes in self.factors[1:]]
        others = np.concatenate(parts)
        return NOTHING**2 * float(others @ (others / self.among.diagonal()))

    def _fitted(self, values: Floats, rounding: float) -> Floats:
        weighted = self.weights * values
        parts = [sums(codes, weighted, int(codes.max()) + 1) for codes in self.factors]
        first, others = parts[0], np.concatenate(parts[1:])
        solution = self._solve(others - self.across.T @ (first / self.totals), rounding)
        start = (first - self.across @ solution) / self.totals
        fitted, position = start[self.factors[0]], 0
        for codes, part in zip(self.factors[1:], parts[1:], strict=True):
            fitted += solution[position : position + len(part)][codes]
            position += len(part)
        return np.asarray(fitted, dtype=np.float64)

    def _solve(self, right: Floats, rounding: float) -> Floats:
        """Solve for the levels of the other factors by conjugate gradients."""
        diagonal = self.among.diagonal()
        solution, left = np.zeros(len(right)), right.copy()
        direction = left / diagonal
        length = float(left @ direction)
        goal = max(SOLVED**2 * length, rounding)
        for _ in range(STEPS):
            if length <= goal:
                return solution
            image = self.among @ direction
            image -= self.across.T @ ((self.across @ direction) / self.totals)
            curvature = float(direction @ image)
            if not curvature > 0:  # nothing is left but what all factors share
                return solution
            step = length / curvature
            solution += step * direction
            left -= step * image
            scaled = left / diagonal
            before, length = length, float(left @ scaled)
            direction = scaled + (length / before) * direction
        raise EstimationError(
            f"least squares: sweeping out {len(self.factors)} crossed factors did not converge in "
            f"{STEPS:,} steps of conjugate gradients. Absorb their combinations as one factor, "
            "or leave out levels with few rows."
        )


def crossed_factors(factors: Sequence[Codes], weights: Floats) -> CrossedFactors:
    """Return the normal equations of factors, to sweep values by.

    Parameters
    ----------
    factors : sequence of arrays of shape (n,)
        Codes 0, 1, ..., each of which occurs; the factor with most levels first.
    weights : array of shape (n,)
        Above 0.
    """
    first = factors[0]
    C, counts = int(first.max()) + 1, [int(codes.max()) + 1 for codes in factors[1:]]
    starts = np.cumsum([0, *counts[:-1]])
    m = sum(counts)
    columns = [codes + start for codes, start in zip(factors[1:], starts, strict=True)]
    across, among = sparse.csr_array((C, m)), sparse.csr_array((m, m))
    for i, one in enumerate(columns):
        across = across + sparse.coo_array((weights, (first, one)), shape=(C, m)).tocsr()
        for j, other in enumerate(columns):
            rows = one, (one if i == j else other)
            among = among + sparse.coo_array((weights, rows), shape=(m, m)).tocsr()
    return CrossedFactors(
        factors=tuple(factors),
        weights=weights,
        totals=sums(first, weights, C),
        across=sparse.csr_array(across),
        among=sparse.csr_array(among),
    )


def joint_rank(factors: Sequence[Codes]) -> tuple[int, bool]:
    """Return the rank of the indicators of all factors together, and whether it is exact.

    Parameters
    ----------
    factors : sequence of arrays of shape (n,)
        Codes 0, 1, ..., each of which occurs; the factor with most levels first.

    Notes
    -----
    With two factors it is the number of levels less the connected components of the graph of
    levels that occur together (Abowd, Creecy & Kramarz, 2002). With more it is counted up to
    1,500 levels beside the first factor, beyond which this is an upper bound.

    References
    ----------
    Abowd, J. M., Creecy, R. H., & Kramarz, F. (2002). Computing person and firm effects using
    linked longitudinal employer-employee data. U.S. Census Bureau, technical paper 2002-06.
    """
    counts = [int(codes.max()) + 1 for codes in factors]
    if len(factors) < 2:
        return sum(counts), True
    if len(factors) == 2:
        return _rank_of_two(factors[0], factors[1]), True
    if sum(counts[1:]) <= EXACT_RANK:
        equations = crossed_factors(factors, np.ones(len(factors[0])))
        across = equations.across
        scaled = sparse.diags_array(1.0 / equations.totals) @ across
        rest = (equations.among - across.T @ scaled).toarray()
        size = np.sqrt(equations.among.diagonal())
        return counts[0] + int(np.linalg.matrix_rank(rest / np.outer(size, size), tol=1e-9)), True
    bound = _rank_of_two(factors[0], factors[1])
    return bound + sum(counts[2:]) - (len(counts) - 2), False


def _rank_of_two(first: Codes, second: Codes) -> int:
    levels = int(first.max()) + 1, int(second.max()) + 1
    table = sparse.coo_array((np.ones(len(first)), (first, second + levels[0])), (sum(levels),) * 2)
    parts, _ = connected_components(table, directed=False)
    return sum(levels) - int(parts)
