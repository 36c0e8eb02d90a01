"""Columns of a design matrix: centers, scales, and which of them earlier ones determine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_ROWS", "Columns", "independent_columns"]

FloatArray = NDArray[np.float64]

BLOCK_ROWS = 16_384  # rows handled at once: the temporary arrays stay in the cache
COLLINEAR = 1e-7  # residual length over centered length, as in R's lm
CONSTANT = 1e-11  # residual length over length, as in R's glm.fit
SAFE_PIVOT = 1e-9  # a Gram matrix with smaller pivots is looked at column by column


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Columns:
    """A design matrix seen through columns that are centered and scaled to a mean square of 1.

    Attributes
    ----------
    matrix : array of shape (n, k)
        As it was given; no copy is made.
    kept, dropped
        Columns that are used; columns that are linear combinations of columns before them.
    shift, scale : arrays of shape (columns kept,)
        Subtracted from each column (0 without an intercept), then multiplied with it.
    """

    matrix: FloatArray
    kept: NDArray[np.intp]
    dropped: tuple[int, ...]
    shift: FloatArray
    scale: FloatArray

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"Columns({len(self.kept)} kept, {len(self.dropped)} dropped)"

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield row slices with their columns, shape (columns kept, rows of the block).

        The columns stand in one piece of memory, which the next block overwrites.
        """
        n, k = len(self.matrix), len(self.kept)
        whole = k == self.matrix.shape[1]
        room = np.empty((k, min(n, BLOCK_ROWS)))
        for start in range(0, n, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, n))
            part = self.matrix[rows] if whole else self.matrix[rows][:, self.kept]
            size = rows.stop - start
            columns = room[:, :size] if size == room.shape[1] else np.empty((k, size))
            np.subtract(part.T, self.shift[:, None], out=columns)
            columns *= self.scale[:, None]
            yield rows, columns

    def original_units(self, gamma: FloatArray) -> FloatArray:
        """Turn coefficients of the scaled columns into those of the columns as given.

        Dropped columns get NaN.
        """
        beta = gamma * self.scale
        centered = self.shift != 0
        if centered.any():
            beta[0] -= (self.shift[centered] @ beta[centered]) / self.matrix[0, self.kept[0]]
        coefficients = np.full(self.matrix.shape[1], np.nan)
        coefficients[self.kept] = beta
        return coefficients


def independent_columns(matrix: FloatArray, used: NDArray[np.bool_] | None = None) -> Columns:
    """Split columns into those kept and those that earlier ones determine.

    Parameters
    ----------
    matrix : array of shape (n, k)
        Finite; centered if its first column is constant.
    used : array of bool, shape (n,), optional
        The rows that decide it; all by default.
    """
    rows = matrix if used is None or used.all() else matrix[used]
    shift, length = _center_and_length(rows)
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS] - shift
        gram += block.T @ block
    spread = np.sqrt(np.diag(gram))
    usable = spread > CONSTANT * length
    scale = np.where(usable, np.sqrt(len(rows)) / np.where(usable, spread, 1.0), 0.0)
    try:
        pivots = np.diag(np.linalg.cholesky(gram * np.outer(scale, scale) / len(rows))) ** 2
    except np.linalg.LinAlgError:
        pivots = np.zeros(len(scale))
    if pivots.min(initial=1.0) > SAFE_PIVOT:
        return Columns(matrix, np.arange(len(scale)), (), shift, scale)
    kept, dropped = _orthogonalize(rows, shift, length)
    return Columns(matrix, kept, dropped, shift[kept], scale[kept])


def _center_and_length(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what each column is centered at (0 without an intercept) and its length."""
    first = matrix[:, 0]
    length = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    if first[0] == 0 or (first != first[0]).any():
        return np.zeros(matrix.shape[1]), length
    shift = matrix.mean(axis=0)
    shift[0] = 0.0
    return shift, length


def _orthogonalize(
    matrix: FloatArray, shift: FloatArray, length: FloatArray
) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Subtract earlier columns from each one (twice, against rounding) and look at the rest."""
    basis = np.empty((matrix.shape[1], len(matrix)))
    kept: list[int] = []
    dropped: list[int] = []
    for j in range(matrix.shape[1]):
        rest = matrix[:, j] - shift[j]
        centered_length = float(np.linalg.norm(rest))
        before = basis[: len(kept)]
        for _ in range(2):
            rest = rest - before.T @ (before @ rest)
        left = float(np.linalg.norm(rest))
        if left <= max(CONSTANT * length[j], COLLINEAR * centered_length):
            dropped.append(j)
            continue
        basis[len(kept)] = rest / left
        kept.append(j)
    return np.array(kept, dtype=np.intp), tuple(dropped)
