"""A design made ready for least squares: checked, projected once, for many outcomes (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from itertools import compress

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, solve_triangular
from threadpoolctl import ThreadpoolController

from homevisit_eval.effects.projected_design import ProjectedDesign, sum_by_cluster
from homevisit_eval.errors import EstimationError

__all__ = [
    "PreparedDesign",
    "cluster_influence",
    "one_thread",
    "prepare_design",
    "row_influence",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

COLLINEAR_BELOW = 1e-8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PreparedDesign:
    """A design of n rows and q columns, projected, to which any number of outcomes is fitted.

    Attributes
    ----------
    design
        Orthonormal columns, weights, absorbed cells and clusters of the rows of positive weight.
    inverse : array of shape (q, p)
        Turns Q'W^(1/2) y into the coefficients of `names`; p counts columns of `design.Q`.
    names : tuple of q names
        The columns of X that are kept.
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed factors and earlier columns.
    used : array of shape (rows given,)
        Which rows have a positive weight.
    cluster_values : array of shape (G,)
        The codes of the clusters as they were given, in the order of ``design.clusters``; row
        numbers if none were given.
    clustered
        Whether clusters were given.
    n
        Rows of positive weight.
    K
        Parameters: the rank of X together with the absorbed factors, all their levels counted.
    G
        Clusters.
    """

    design: ProjectedDesign
    inverse: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    used: NDArray[np.bool_]
    cluster_values: NDArray[np.generic]
    clustered: bool
    n: int
    K: int
    G: int

    def __repr__(self) -> str:
        """Show the sizes, not the rows."""
        return (
            f"PreparedDesign({len(self.names)} columns, {len(self.dropped)} dropped; "
            f"n = {self.n}, K = {self.K}, G = {self.G})"
        )

    def sweep(self, values: Floats) -> Floats:
        """Return values (n,) less their projection on the absorbed factors, shape (n,)."""
        design = self.design
        if design.cells is None:
            return values
        means = np.bincount(design.cells, design.weights * values) / design.cell_weights
        return np.asarray(values - means[design.cells], dtype=np.float64)


def prepare_design(
    X: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    clusters: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> PreparedDesign:
    """Check a design and project it once, so that many outcomes can be regressed on it.

    Parameters
    ----------
    X : array of shape (n, k)
        Used as it is: without `absorb`, give an intercept column yourself.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Their scale does not matter. They are taken as part of
        the estimator (matching or sampling weights), not as inverse variances. Rows of weight
        0 are left out.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that get one intercept for each level. The factor with most levels is
        swept out by weighted demeaning, which is exact; the others enter as columns.
    clusters : array of shape (n,), optional
        Codes of the groups within which errors may be dependent; each row its own if not given.
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.

    Returns
    -------
    PreparedDesign

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, no row has a
        positive weight, there are fewer than two clusters, all columns of X are collinear, or
        there are not more rows than parameters.

    Notes
    -----
    A column is dropped, and named in `dropped`, when less than 1e-8 of its (weighted) length
    is left after projection on the absorbed factors and the columns before it.

    Examples
    --------
    >>> prepare_design([[1, 0], [1, 0], [1, 1], [1, 1]], names=["constant", "visited"])
    PreparedDesign(2 columns, 0 dropped; n = 4, K = 2, G = 4)
    """
    columns, w, used = _checked(X, weights)
    labels = _labels(names, columns.shape[1])
    factors = [_codes(codes, used, "a factor of absorb")[1] for codes in absorb]
    n = len(columns)
    rows = np.arange(len(used)) if clusters is None else clusters
    values, groups = _codes(rows, used, "clusters")
    with one_thread():
        design, inverse, keep = _project(columns, w, factors, groups)
    K = design.p + design.n_cells
    _check_identified(n, K, design.G, columns=int(keep.sum()))
    return PreparedDesign(
        design=design,
        inverse=inverse,
        names=tuple(compress(labels, keep)),
        dropped=tuple(compress(labels, ~keep)),
        used=used,
        cluster_values=values,
        clustered=clusters is not None,
        n=n,
        K=K,
        G=design.G,
    )


def row_influence(prepared: PreparedDesign, residuals: Floats) -> Floats:
    """Return the influence of each row on the coefficients, in units of the coefficients.

    Parameters
    ----------
    prepared
    residuals : array of shape (rows given,)
        Of one outcome, as in ``LeastSquaresFit.residuals``.

    Returns
    -------
    array of shape (rows given, q)
        0 in rows of weight 0. Its cross product is HC0; rows shared by two fits can be added.

    Notes
    -----
    Row i has w_i e_i (X'WX)^(-1) x_i, with x_i free of absorbed factors.
    """
    design = prepared.design
    scores = design.Q * (design.root_weights * residuals[prepared.used])[:, None]
    influence = np.zeros((len(prepared.used), len(prepared.names)))
    influence[prepared.used] = scores @ prepared.inverse.T
    return influence


def cluster_influence(prepared: PreparedDesign, residuals: Floats) -> Floats:
    """Return the influence of each cluster on the coefficients: sums of that of its rows.

    Parameters
    ----------
    prepared
    residuals : array of shape (rows given,)
        Of one outcome, as in ``LeastSquaresFit.residuals``.

    Returns
    -------
    array of shape (G, q)
        In the order of ``prepared.cluster_values``. Its cross product is CR0.
    """
    design = prepared.design
    scores = sum_by_cluster(design, design.root_weights * residuals[prepared.used])
    return np.asarray(scores @ prepared.inverse.T, dtype=np.float64)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Return a context with one BLAS thread: faster for many small matrices, and the same last
    digits on every machine."""
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited


def _project(
    columns: Floats, w: Floats, factors: Sequence[Codes], groups: Codes
) -> tuple[ProjectedDesign, Floats, NDArray[np.bool_]]:
    """Free the design of absorbed factors and of collinear columns, and make it orthonormal."""
    levels = [int(codes.max()) + 1 for codes in factors]
    swept = int(np.argmax(levels)) if factors else -1
    cells = factors[swept] if factors else None
    dummies = [
        codes == level
        for position, codes in enumerate(factors)
        if position != swept
        for level in range(1, levels[position])
    ]
    matrix, length = _swept_columns(columns, w, dummies, cells)
    if len(w) <= matrix.shape[1]:
        raise _too_few_rows(matrix.shape[1])
    q, r = qr(matrix, mode="economic", overwrite_a=True, check_finite=False)
    independent = _independent(r, length)
    if not independent.all():
        rotation, r = qr(r[:, independent], mode="economic")
        q = np.asfortranarray(q @ rotation)
    design = ProjectedDesign(Q=q, weights=w, cells=cells, clusters=groups)
    extra = int(independent[: len(dummies)].sum())
    inverse = solve_triangular(r, np.eye(len(r)))[extra:]
    return design, inverse, independent[len(dummies) :]


def _swept_columns(
    columns: Floats, w: Floats, dummies: Sequence[NDArray[np.bool_]], cells: Codes | None
) -> tuple[Floats, Floats]:
    """Return dummies and columns, demeaned by cell, times root weights, (n, p), and their
    lengths before demeaning, (p,)."""
    p = len(dummies) + columns.shape[1]
    root = np.sqrt(w)
    totals = None if cells is None else np.bincount(cells, w)
    matrix, length = np.empty((len(w), p), order="F"), np.empty(p)
    for j in range(p):
        column = dummies[j] if j < len(dummies) else columns[:, j - len(dummies)]
        values = column * root
        length[j] = np.sqrt(values @ values)
        if cells is not None and totals is not None:
            values -= (np.bincount(cells, values * root) / totals)[cells] * root
        matrix[:, j] = values
    return matrix, length


def _independent(r: Floats, length: Floats) -> NDArray[np.bool_]:
    """Return which columns of a triangle are not combinations of earlier ones that are kept."""
    keep = np.ones(r.shape[1], dtype=bool)
    if (np.abs(np.diag(r)) > COLLINEAR_BELOW * length).all():
        return keep
    basis = np.empty((r.shape[0], 0))
    for j in range(r.shape[1]):
        rest = r[:, j] - basis @ (basis.T @ r[:, j])
        rest -= basis @ (basis.T @ rest)
        size = float(np.sqrt(rest @ rest))
        keep[j] = size > COLLINEAR_BELOW * length[j]
        if keep[j]:
            basis = np.column_stack([basis, rest / size])
    return keep


def _checked(X: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    columns = np.asarray(X, dtype=np.float64)
    if columns.ndim != 2:
        raise EstimationError(f"least squares: X has shape {columns.shape}; give (n, k).")
    n = len(columns)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,):
        raise EstimationError(
            f"least squares: X has shape {columns.shape} and weights {w.shape}; give (n, k) and "
            "(n,)."
        )
    if not np.isfinite(w).all() or (w < 0).any():
        raise EstimationError(
            f"least squares: {int((~(w >= 0) | np.isinf(w)).sum())} weights are missing, "
            "infinite or negative; give weights of 0 or more."
        )
    used = w > 0
    if not used.any():
        raise EstimationError(
            "least squares: no row has a positive weight; give at least as many rows as parameters."
        )
    if not used.all():
        columns, w = columns[used], w[used]
    bad = int(columns.size - np.isfinite(columns).sum())
    if bad:
        raise EstimationError(
            f"least squares: X has {bad} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    w = np.ones(len(w)) if w.min() == w.max() else w / w.mean()
    return columns, w, used


def _labels(names: Sequence[str] | None, k: int) -> tuple[str, ...]:
    labels = tuple(names) if names is not None else tuple(f"x{j}" for j in range(k))
    if len(labels) != k or len(set(labels)) != k:
        raise EstimationError(
            f"least squares: names has {len(labels)} entries, {len(set(labels))} of them "
            f"different; X has {k} columns. Give one name for each, none twice."
        )
    return labels


def _codes(
    codes: ArrayLike, used: NDArray[np.bool_], what: str
) -> tuple[NDArray[np.generic], Codes]:
    """Return the different codes of the rows used, and the number of its code for each row."""
    values = np.asarray(codes)
    if values.shape != used.shape:
        raise EstimationError(
            f"least squares: {what} has shape {values.shape}; give one code for each of the "
            f"{len(used)} rows."
        )
    values = values[used]
    if values.dtype.kind == "O":
        values = values.astype(str) if all(isinstance(v, str) for v in values) else values
    missing = values.dtype.kind == "f" and np.isnan(values).any()
    try:
        different, found = np.unique(values, return_inverse=True)
    except TypeError:
        missing = True
    if missing:
        raise EstimationError(
            f"least squares: {what} has missing codes, or codes of several types; give one "
            "code of the same type for each row."
        )
    return different, np.asarray(found, dtype=np.intp)


def _check_identified(n: int, K: int, G: int, *, columns: int) -> None:
    if not columns:
        raise EstimationError(
            "least squares: no column of X varies beyond the absorbed factors; give a "
            "column that does."
        )
    if n <= K:
        raise _too_few_rows(K)
    if G < 2:
        raise EstimationError(
            "least squares: all rows are in one cluster, so no standard error can be "
            "computed; choose a level of clustering with at least two."
        )


def _too_few_rows(K: int) -> EstimationError:
    return EstimationError(
        f"least squares: there are too few rows to determine {K} parameters; use fewer "
        "columns or absorb fewer levels."
    )
