"""The columns of a linear predictor, with the levels of one factor beside them (arrays)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from homevisit_eval.propensity.columns import independent_columns

__all__ = ["Information", "PredictorColumns", "predictor_columns", "sums_by_code"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

BLOCK_ROWS = 8_192  # rows handled at once: the temporary arrays stay in the cache


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PredictorColumns:
    """Columns that are centered and scaled, and the level of each row.

    The linear predictor is Z gamma plus the effect of the level. Where the first column is
    constant the others are centered at their means; with levels, at the means of each level.

    Attributes
    ----------
    Z : array of shape (n, k)
    kept, dropped : arrays of column positions
        Columns that are used, and combinations of levels and earlier columns.
    scale : array of shape (k,)
        What the centered columns were multiplied by.
    shift : array of shape (1, k), or (L, k) with levels
        What was subtracted before.
    constant
        Value of the first column if it takes up the centers; 0 if nothing was centered at it.
    levels : array of shape (n,) of 0..L-1, or None
    """

    Z: Floats
    kept: Codes
    dropped: tuple[int, ...]
    scale: Floats
    shift: Floats
    constant: float
    levels: Codes | None

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"PredictorColumns({self.k} columns, {self.L} levels)"

    @property
    def k(self) -> int:
        """Columns beside the levels."""
        return int(self.Z.shape[1])

    @property
    def L(self) -> int:
        """Levels of the factor, 0 without one."""
        return 0 if self.levels is None else len(self.shift)

    def blocks(self) -> Iterator[slice]:
        """Yield slices of rows."""
        for first in range(0, len(self.Z), BLOCK_ROWS):
            yield slice(first, min(first + BLOCK_ROWS, len(self.Z)))

    def by_level(self, values: Floats) -> Floats:
        """Return sums of values (n,) by level, shape (L,)."""
        if self.levels is None:
            return np.zeros(0)
        return np.bincount(self.levels, values, self.L).astype(np.float64, copy=False)

    def original(self, gamma: Floats, effects: Floats) -> tuple[Floats, Floats]:
        """Return coefficients (k,) of the columns as given, and effects (L,) beside them."""
        beta = gamma * self.scale
        if self.levels is not None:
            return beta, effects - self.shift @ beta
        if self.constant:
            beta[0] -= float(self.shift[0] @ beta) / self.constant
        return beta, effects

    def turning(self) -> Floats:
        """Return the matrix (k, k) that turns gamma into coefficients of the columns as given."""
        turn = np.diag(self.scale)
        if self.constant:
            turn[0] -= self.shift[0] * self.scale / self.constant
        return turn

    def working_gradient(self, by_beta: Floats, by_effects: Floats) -> tuple[Floats, Floats]:
        """Return derivatives by gamma and effects, from those by the columns as given."""
        if self.levels is not None:
            return self.scale * (by_beta - by_effects @ self.shift), by_effects
        if self.constant:
            return self.scale * (by_beta - self.shift[0] * by_beta[0] / self.constant), by_effects
        return self.scale * by_beta, by_effects


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Information:
    """A symmetric matrix of columns and levels, by its blocks.

    Attributes
    ----------
    dense : array of shape (k, k)
    across : array of shape (L, k)
    diagonal : array of shape (L,)
    """

    dense: Floats
    across: Floats
    diagonal: Floats

    def __repr__(self) -> str:
        """Show the size."""
        return f"Information({len(self.dense)} columns, {len(self.diagonal)} levels)"

    @property
    def level_means(self) -> Floats:
        """Weighted means of the columns in each level, shape (L, k)."""
        return self.across / self.diagonal[:, None]

    def inverse(self) -> Floats:
        """Return the inverse's block of the columns, shape (k, k).

        Raises
        ------
        LinAlgError
            If the matrix is not positive definite.
        """
        left = self.dense - self.across.T @ self.level_means
        lengths = np.sqrt(np.maximum(np.diag(left), 0.0))
        positive = len(lengths) == 0 or (np.isfinite(left).all() and lengths.min() > 0)
        if not positive or (len(self.diagonal) and not (self.diagonal > 0).all()):
            raise np.linalg.LinAlgError
        factor = cho_factor(left / np.outer(lengths, lengths), check_finite=False)
        inverse = cho_solve(factor, np.eye(len(left)), check_finite=False)
        return np.asarray(inverse / np.outer(lengths, lengths), dtype=np.float64)

    def solve(self, by_gamma: Floats, by_effects: Floats) -> tuple[Floats, Floats]:
        """Return the inverse times a vector of columns (k,) and levels (L,).

        Raises
        ------
        LinAlgError
            If the matrix is not positive definite.
        """
        inverse = self.inverse()
        if not len(self.diagonal):
            return inverse @ by_gamma, by_effects
        means = self.level_means
        gamma = inverse @ (by_gamma - means.T @ by_effects)
        return gamma, by_effects / self.diagonal - means @ gamma


def predictor_columns(X: Floats, levels: Codes | None, weights: Floats) -> PredictorColumns:
    """Return independent columns, centered and scaled.

    Parameters
    ----------
    X : array of shape (n, k)
        Finite.
    levels : array of shape (n,) of 0..L-1, or None

    Notes
    -----
    A column is dropped when 1e-7 of its length (centered at the mean, where there is a constant
    before it) or less is left after projection on levels and the columns before it, as in R.
    """
    if levels is None:
        found = independent_columns(X)
        constant = float(X[0, 0]) if found.shift.any() else 0.0
        means = (weights @ X)[found.kept] / weights.sum()
        shift = np.where(found.shift != 0, means, 0.0)[None, :]
        Z = _scaled(X, found.kept, shift[0], found.scale)
        return PredictorColumns(
            Z, found.kept, found.dropped, found.scale, shift, constant, None
        )  # fmt: skip
    size = np.bincount(levels).astype(np.float64)
    means = sums_by_code(levels, np.ones(len(X)), X, len(size)) / size[:, None]
    Z = X - means[levels]
    kept, dropped, scale = _vary_within(X, Z)
    Z = np.ascontiguousarray(Z[:, kept])
    Z *= scale
    return PredictorColumns(Z, kept, dropped, scale, means[:, kept], 0.0, levels)


def _scaled(X: Floats, kept: Codes, shift: Floats, scale: Floats) -> Floats:
    """Return the columns kept, shifted and scaled, made in blocks that stay in the cache."""
    Z = np.empty((len(X), len(kept)))
    whole = len(kept) == X.shape[1]
    for first in range(0, len(X), BLOCK_ROWS):
        rows = slice(first, first + BLOCK_ROWS)
        part = X[rows] if whole else X[rows][:, kept]
        np.subtract(part, shift, out=Z[rows])
        Z[rows] *= scale
    return Z


def _vary_within(X: Floats, Z: Floats) -> tuple[Codes, tuple[int, ...], Floats]:
    """Return columns kept and dropped, and scales: X as given, Z without means of levels."""
    length = np.sqrt(np.einsum("ij,ij->j", X, X))
    left = np.sqrt(np.einsum("ij,ij->j", Z, Z))
    varies = np.flatnonzero(left > 1e-11 * length)  # the rest is rounding
    if not len(varies):
        return varies, tuple(range(X.shape[1])), np.empty(0)
    found = independent_columns(Z[:, varies])
    kept = varies[found.kept]
    dropped = tuple(int(j) for j in np.setdiff1d(np.arange(X.shape[1]), kept))
    return kept, dropped, np.sqrt(len(X)) / left[kept]


def sums_by_code(codes: Codes, weights: Floats, values: Floats, size: int) -> Floats:
    """Return sums of weights (n,) times values (n, k) by codes 0..size-1, shape (size, k)."""
    n = len(codes)
    chosen = sparse.csr_array((weights, codes, np.arange(n + 1)), shape=(n, size))
    return np.asarray(chosen.T @ values, dtype=np.float64)
