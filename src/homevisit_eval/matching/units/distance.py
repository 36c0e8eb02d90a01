"""Coordinates in which the Euclidean distance between two rows is their distance (arrays).

Sums run in one fixed order, column after column, and no library of linear algebra is asked, so
rows with equal covariates get equal coordinates and every machine gets the same digits: whether
two distances are equal is decided by their last digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError

__all__ = [
    "mahalanobis_coordinates",
    "robust_mahalanobis_coordinates",
    "scaled_euclidean_coordinates",
]

FloatArray = NDArray[np.float64]

SINGULAR = 1e-8
"""A column counts as determined by others if this share of its variance, or less, is its own."""

BLOCK_ROWS = 8_192

CONSTANT = 1e-12
"""A column counts as constant if its SD is at most this share of its largest value."""


def mahalanobis_coordinates(
    X: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None
) -> FloatArray:
    """Return coordinates whose Euclidean distance is the Mahalanobis distance, in pooled SDs.

    Parameters
    ----------
    X : array of shape (n, p)
        Covariates; a factor as one column for each level, 1 / sqrt(2) for its rows and 0 for
        others, so that two levels are one unit apart.
    treated : array of shape (n,)
        0 or 1.
    weights : array of shape (n,), optional
        Sampling weights.

    Returns
    -------
    array of shape (n, rank)
        The rank of the covariance matrix; one column of zeros if no covariate varies.

    Raises
    ------
    MatchingError
        If shapes do not fit, or a value is missing or infinite.

    Notes
    -----
    With S the covariance matrix of the covariates less the means of the row's group (divisor
    n - 1), the distance is d(i, j)^2 = (x_i - x_j)' S^- (x_i - x_j), with the pseudo-inverse
    where S is nearly singular. The coordinates come from the pivoted Cholesky factor of S^- in
    units of within-group SDs, so the first belongs to the covariate that the others explain best.

    References
    ----------
    Rubin, D. B. (1980). Bias reduction using Mahalanobis-metric matching. *Biometrics*, 36(2),
    293-298.
    """
    columns, group, share = _checked(X, treated, weights)
    deviations = _deviations(columns, group, share)
    within = np.empty_like(columns)
    for column, deviation, out in zip(columns, deviations, within, strict=True):
        out[:] = _less_mean(column / deviation, group, share)
    covariance = _covariance(within, share)
    del within  # as large as what is to come
    return _coordinates(columns, deviations, covariance)


def robust_mahalanobis_coordinates(
    X: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None
) -> FloatArray:
    """Return coordinates whose Euclidean distance is the Mahalanobis distance of ranks.

    Parameters
    ----------
    X, treated, weights
        As for `mahalanobis_coordinates`. A factor's levels are ranked, so their scale does not
        matter.

    Returns
    -------
    array of shape (n, rank)

    Raises
    ------
    MatchingError
        If shapes do not fit, or a value is missing or infinite.

    Notes
    -----
    Each covariate is replaced by its average ranks, so outliers do not matter. The covariance
    matrix of all ranks (not pooled) is rescaled until each variance is that of untied ranks, so a
    covariate with many ties, such as a rare level, does not weigh more for its small variance.

    References
    ----------
    Rosenbaum, P. R. (2010). *Design of observational studies*, section 8.3. Springer.
    """
    from scipy.stats import rankdata  # half a second to load, for this alone

    columns, _, share = _checked(X, treated, weights)
    everybody = np.ones(len(share), dtype=bool)
    ranks = np.array([rankdata(column) for column in columns]).reshape(columns.shape)
    centered = np.array([_less_mean(column, everybody, share) for column in ranks])
    correlation = _covariance(_in_deviations(centered, everybody, share), share)
    untied = np.sqrt(len(share) * (len(share) + 1) / 12)  # the SD of the ranks 1 to n
    return _coordinates(ranks, np.full(len(ranks), max(untied, 1.0)), correlation)


def scaled_euclidean_coordinates(
    X: ArrayLike, treated: ArrayLike, weights: ArrayLike | None = None
) -> FloatArray:
    """Return each covariate in units of its pooled within-group SD.

    Parameters
    ----------
    X, treated, weights
        As for `mahalanobis_coordinates`.

    Returns
    -------
    array of shape (n, p)
        Zeros for a covariate that does not vary within the groups.

    Raises
    ------
    MatchingError
        If shapes do not fit, or a value is missing or infinite.
    """
    columns, group, share = _checked(X, treated, weights)
    return np.ascontiguousarray(_in_deviations(columns, group, share).T)


def _checked(
    X: ArrayLike, treated: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, NDArray[np.bool_], FloatArray]:
    """Return columns (p, n), who is treated, and weights of mean 1."""
    matrix = np.asarray(X, dtype=np.float64)
    group = np.asarray(treated, dtype=np.float64)
    share = np.ones(len(group)) if weights is None else np.asarray(weights, dtype=np.float64)
    if matrix.ndim != 2 or group.shape != matrix.shape[:1] or share.shape != group.shape:
        raise MatchingError(
            "A distance in covariates needs X of shape (n, p), treated and weights of shape (n,); "
            f"they are {matrix.shape}, {group.shape} and {share.shape}."
        )
    columns = np.ascontiguousarray(matrix.T)
    if not np.isfinite(columns).all():
        bad = int((~np.isfinite(columns)).any(axis=0).sum())
        raise MatchingError(
            f"A distance in covariates needs finite values; {bad:,} of {len(matrix):,} rows lack "
            "one. Leave these rows out, or fill the values first."
        )
    if not np.isfinite(share).all() or (share < 0).any() or (len(share) and share.sum() <= 0):
        raise MatchingError(
            "A distance in covariates needs finite weights, none of them negative, and not all 0."
        )
    return columns, group == 1, share * (len(share) / share.sum()) if len(share) else share


def _sum(values: FloatArray) -> float:
    return float(np.add.reduce(np.ascontiguousarray(values)))


def _less_mean(column: FloatArray, group: NDArray[np.bool_], share: FloatArray) -> FloatArray:
    """Return a column less the weighted mean of the row's group."""
    means = []
    for members in (group, ~group):
        part = np.where(members, share, 0.0)
        means.append(_sum(column * part) / (_sum(part) or 1.0))
    return column - np.where(group, means[0], means[1])


def _in_deviations(columns: FloatArray, group: NDArray[np.bool_], share: FloatArray) -> FloatArray:
    """Return columns over their SD within the groups; zeros where a column does not vary."""
    scaled = np.zeros_like(columns)
    deviations = _deviations(columns, group, share)
    for column, deviation, out in zip(columns, deviations, scaled, strict=True):
        if deviation < np.inf:
            np.divide(column, deviation, out=out)
    return scaled


def _deviations(columns: FloatArray, group: NDArray[np.bool_], share: FloatArray) -> FloatArray:
    """Return the SD of each column within the groups; infinite where it does not vary."""
    deviations = np.full(len(columns), np.inf)
    for number, column in enumerate(columns):
        within = _less_mean(column, group, share)
        deviation = np.sqrt(_sum(within * share * within) / max(len(share) - 1, 1))
        if deviation > CONSTANT * max(column.max(initial=0.0), -column.min(initial=0.0)):
            deviations[number] = deviation
    return deviations


def _covariance(centered: FloatArray, share: FloatArray) -> FloatArray:
    """Return the covariance matrix (p, p) of columns (p, n) whose mean is 0."""
    p = len(centered)
    products = np.zeros((p, p))
    for a in range(p):
        weighted = centered[a] * share
        for b in range(a, p):
            products[a, b] = products[b, a] = _sum(weighted * centered[b])
    return products / max(len(share) - 1, 1)


def _coordinates(columns: FloatArray, scale: FloatArray, covariance: FloatArray) -> FloatArray:
    """Turn columns (p, n) over their scale into coordinates (n, rank).

    They come from the factor of the inverse of the scaled columns' covariance.
    """
    inverse, rank = _pseudo_inverse(covariance)
    factor = _pivoted_cholesky(inverse, most=rank)
    coordinates = np.zeros((columns.shape[1], max(rank, 1)))
    for start in range(0, len(coordinates), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        coordinates[rows, :rank] = _product(factor, columns[:, rows] / scale[:, None]).T
    return coordinates


def _pseudo_inverse(covariance: FloatArray) -> tuple[FloatArray, int]:
    """Return the (pseudo-)inverse of a correlation matrix and its rank.

    With F'F = S and F of full row rank, it is M'M for M = (FF')^-1 F.
    """
    factor = _pivoted_cholesky(covariance, most=len(covariance), smallest=SINGULAR)
    rank = len(factor)
    if rank == len(covariance):
        return _inverse(covariance), rank
    root = _product(_inverse(_product(factor, factor.T)), factor)
    return _product(root.T, root), rank


def _pivoted_cholesky(matrix: FloatArray, *, most: int, smallest: float = 0.0) -> FloatArray:
    """Return F of shape (rank, p) with F'F = matrix; row k has zeros at earlier pivots.

    The pivot is the column with the largest part that earlier rows leave, the first of equal
    ones; there are `most` rows, or fewer where no part is above `smallest`.
    """
    left = matrix.copy()
    free = np.ones(len(left), dtype=bool)
    rows: list[FloatArray] = []
    for _ in range(most):
        parts = np.where(free, np.diag(left), -np.inf)
        pivot = int(np.argmax(parts))
        if parts[pivot] <= smallest:
            break
        row = np.where(free, left[pivot], 0.0) / np.sqrt(parts[pivot])
        free[pivot] = False
        left -= row[:, None] * row[None, :]
        rows.append(row)
    return np.array(rows).reshape(len(rows), len(left))


def _inverse(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a positive definite matrix (Gauss-Jordan elimination)."""
    swept = matrix.copy()
    for k in range(len(swept)):
        pivot = swept[k, k]
        column, row = swept[:, k].copy(), swept[k] / pivot
        swept -= column[:, None] * row[None, :]
        swept[k], swept[:, k] = row, -column / pivot
        swept[k, k] = 1.0 / pivot
    return (swept + swept.T) / 2


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Multiply two matrices, adding in the order of the inner index."""
    total = np.zeros((left.shape[0], right.shape[1]))
    for k in range(left.shape[1]):
        total += left[:, k, None] * right[None, k]
    return total
