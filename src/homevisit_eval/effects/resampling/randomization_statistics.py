"""Statistics of a randomization test for many assignments at once (arrays).

Every statistic is linear in the outcome, and its squared standard error quadratic, so that what it
gives for y - d z, z the assignment that was observed, follows for all d from what it gives for
y and for z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from homevisit_eval.effects.regression.projected_design import ProjectedDesign

__all__ = ["CoefficientStatistic", "DifferenceStatistic", "StandardError"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StandardError:
    """Which contributions are added before they are squared.

    Attributes
    ----------
    groups : array of shape (n,) of 0..S-1
        Matched sets, strata or clusters.
    within
        True if rows are squared one by one, each less the mean of its group and treatment;
        False if those of a group are added up.
    """

    groups: Codes
    within: bool

    def __repr__(self) -> str:
        """Show what is added up."""
        return f"StandardError({'by row' if self.within else 'by group'})"

    def sum(self, values: Floats) -> Floats:
        """Return sums by group of each line, (draws, n) to (draws, S)."""
        order = np.argsort(self.groups, kind="stable")
        ordered = self.groups[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        if (self.groups[1:] < self.groups[:-1]).any():
            values = values[:, order]
        return np.asarray(np.add.reduceat(values, starts, axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DifferenceStatistic:
    """The weighted mean of the treated less that of the comparison rows.

    Attributes
    ----------
    y, z : arrays of shape (n,)
        The outcome, and the assignment observed (or both less their projection on covariates).
    if_treated, if_comparison : arrays of shape (n,)
        The weight of a row in either role.
    std_error
        None for the plain difference.
    """

    y: Floats
    z: Floats
    if_treated: Floats
    if_comparison: Floats
    std_error: StandardError | None

    def __repr__(self) -> str:
        """Show the number of rows."""
        return f"DifferenceStatistic({len(self.y):,} rows)"

    def moments(self, assignments: Floats) -> Floats:
        """Return numerators for y and z, and variances: five lines of shape (draws,)."""
        values = np.column_stack([self.y, self.z])
        treated = _arm(assignments, values, self.if_treated)
        whole = _arm(np.ones((1, len(self.y))), values, self.if_comparison)
        comparison = whole - _arm(assignments, values, self.if_comparison)
        means = treated[1:] / treated[0], comparison[1:] / comparison[0]
        if self.std_error is None:
            return _plain(means[0] - means[1])
        if self.std_error.within:
            scores = self._scores_by_row(assignments, treated, comparison, self.std_error)
        else:
            scores = self._scores_by_group(assignments, treated, comparison, self.std_error)
        return np.stack([*(means[0] - means[1]), *_products(scores[0], scores[1])])

    def _scores_by_group(
        self, assignments: Floats, treated: Floats, comparison: Floats, std_error: StandardError
    ) -> list[Floats]:
        """Return what groups contribute to the error of the difference, for y and for z."""
        columns = (np.ones(len(self.y)), self.y, self.z)
        taken = [std_error.sum(assignments * (self.if_treated * c)) for c in columns]
        left = taken
        if not np.array_equal(self.if_treated, self.if_comparison):
            left = [std_error.sum(assignments * (self.if_comparison * c)) for c in columns]
        rest = [
            std_error.sum((self.if_comparison * c)[None, :]) - gone
            for c, gone in zip(columns, left, strict=True)
        ]
        return [
            _less_mean(taken[k], taken[0], treated, k) - _less_mean(rest[k], rest[0], comparison, k)
            for k in (1, 2)
        ]

    def _scores_by_row(
        self, assignments: Floats, treated: Floats, comparison: Floats, std_error: StandardError
    ) -> list[Floats]:
        """Return what rows contribute to the error of the difference, for y and for z."""
        scores = [np.zeros_like(assignments), np.zeros_like(assignments)]
        for role, weights, arm in (
            (assignments, self.if_treated, treated),
            (1.0 - assignments, self.if_comparison, comparison),
        ):
            here, groups = role * weights, std_error.groups
            total, count = std_error.sum(here), std_error.sum(role)
            factor = np.sqrt(count / (count - 1.0))[:, groups] * here / arm[0][:, None]
            for k, column in enumerate((self.y, self.z)):
                inside = std_error.sum(here * column) / total
                scores[k] += factor * (column - inside[:, groups])
        return scores


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CoefficientStatistic:
    """The coefficient of the assignment in a weighted regression with covariates and cells.

    Attributes
    ----------
    y, z : arrays of shape (n,)
        The outcome, and the assignment observed, times the root weights and less their
        projection on covariates and cells.
    basis : array of shape (n, p)
        Orthonormal, of the covariates, times the root weights.
    design
        Weights and cells.
    std_error
        None for the plain coefficient.
    """

    y: Floats
    z: Floats
    basis: Floats
    design: ProjectedDesign
    std_error: StandardError | None

    def __repr__(self) -> str:
        """Show the number of rows and columns."""
        return f"CoefficientStatistic({self.basis.shape[0]:,} rows, {self.basis.shape[1]} columns)"

    def moments(self, assignments: Floats) -> Floats:
        """Return numerators for y and z, and variances: five lines of shape (draws,)."""
        rows = self._residual(assignments)
        length = np.einsum("ij,ij->i", rows, rows)
        numerators = [rows @ self.y / length, rows @ self.z / length]
        if self.std_error is None:
            return _plain(np.stack(numerators))
        scores = [
            rows * (values - b[:, None] * rows) / length[:, None]
            for values, b in zip((self.y, self.z), numerators, strict=True)
        ]
        if not self.std_error.within:
            scores = [self.std_error.sum(each) for each in scores]
        return np.stack([*numerators, *_products(scores[0], scores[1])])

    def _residual(self, assignments: Floats) -> Floats:
        """Return assignments less their projection on covariates and cells."""
        design = self.design
        rows = assignments * design.root_weights
        if design.cells is not None:
            indicators = sparse.csr_array(
                (design.weights, (design.cells, np.arange(len(design.weights)))),
                shape=(design.n_cells, len(design.weights)),
            )
            means = (indicators @ assignments.T).T / design.cell_weights
            rows -= means[:, design.cells] * design.root_weights
        rows -= (rows @ self.basis) @ self.basis.T
        return np.asarray(rows, dtype=np.float64)


def _arm(assignments: Floats, values: Floats, weights: Floats) -> Floats:
    """Return the weight of those assigned and the weighted sums of two columns, (3, draws)."""
    table = np.column_stack([weights, weights[:, None] * values])
    return np.asarray((assignments @ table).T, dtype=np.float64)


def _less_mean(sums: Floats, weights: Floats, arm: Floats, k: int) -> Floats:
    """Return sums by group less the mean of an arm, over the weight of the arm."""
    mean = arm[k] / arm[0]
    return np.asarray((sums - mean[:, None] * weights) / arm[0][:, None], dtype=np.float64)


def _plain(numerators: Floats) -> Floats:
    one, zero = np.ones(numerators.shape[1]), np.zeros(numerators.shape[1])
    return np.stack([*numerators, one, zero, zero])


def _products(first: Floats, second: Floats) -> tuple[Floats, Floats, Floats]:
    return (
        np.einsum("ij,ij->i", first, first),
        np.einsum("ij,ij->i", first, second),
        np.einsum("ij,ij->i", second, second),
    )
