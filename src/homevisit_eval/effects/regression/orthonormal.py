"""An orthonormal basis of the columns of a tall matrix, fast where it is safe (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, qr, solve_triangular

__all__ = ["make_orthonormal"]

Floats = NDArray[np.float64]

WELL_CONDITIONED = 1e-3  # smallest pivot, as a share of its column's length
TALL = 4  # rows per column from which the Gram matrix is the cheaper way
BLOCK_ROWS = 8_192


def make_orthonormal(matrix: Floats) -> tuple[Floats, Floats]:
    """Return Q (n, k) with orthonormal columns and R (k, k), Q R being the matrix given.

    Parameters
    ----------
    matrix : array of shape (n, k), n at least k
        Overwritten: Q takes its place where it can.

    Notes
    -----
    Where columns are far from collinear, R is found twice from the Gram matrix; the second time
    corrects what rounding left of the first. Otherwise by Householder reflections, which tell
    collinear columns apart from nearly collinear ones.

    References
    ----------
    Yamamoto, Y., Nakatsukasa, Y., Yanagisawa, Y., & Fukaya, T. (2015). Roundoff error analysis
    of the CholeskyQR2 algorithm. *Electronic Transactions on Numerical Analysis*, 44, 306-326.
    """
    n, k = matrix.shape
    if n >= TALL * k > 0:
        first = _triangle(matrix.T @ matrix)
        if first is not None:
            second = _triangle(_divide(matrix, first))
            if second is not None:
                _divide(matrix, second)
                return matrix, second @ first
            basis, triangle = _reflections(matrix)
            return basis, triangle @ first
    return _reflections(matrix)


def _triangle(gram: Floats) -> Floats | None:
    """Return the upper triangle R with R'R the Gram matrix, or None if that is not safe."""
    lengths = np.sqrt(np.diag(gram))
    if not (lengths > 0).all():
        return None
    try:
        scaled: Floats = cholesky(gram / np.outer(lengths, lengths), check_finite=False)
    except np.linalg.LinAlgError:
        return None
    if not np.diag(scaled).min() > WELL_CONDITIONED:
        return None
    return scaled * lengths


def _divide(matrix: Floats, triangle: Floats) -> Floats:
    """Divide the rows of a matrix by a triangle, in place; return the Gram matrix of what is
    left."""
    inverse = solve_triangular(triangle, np.eye(len(triangle)), check_finite=False)
    gram = np.zeros_like(inverse)
    for first in range(0, len(matrix), BLOCK_ROWS):
        block = matrix[first : first + BLOCK_ROWS] @ inverse
        gram += block.T @ block
        matrix[first : first + BLOCK_ROWS] = block
    return np.asarray(gram, dtype=np.float64)


def _reflections(matrix: Floats) -> tuple[Floats, Floats]:
    basis, triangle = qr(matrix, mode="economic", overwrite_a=True, check_finite=False)
    return basis, triangle
