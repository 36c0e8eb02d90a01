"""A design made ready for least squares: checked, projected once, for many outcomes (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, solve_triangular

from homevisit_eval.effects.regression.absorption import Absorption, absorb_factors, rank_nested_in
from homevisit_eval.effects.regression.design_rows import checked_design, checked_labels, numbered
from homevisit_eval.effects.regression.orthonormal import make_orthonormal
from homevisit_eval.effects.regression.projected_design import ProjectedDesign, sum_by_cluster
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = [
    "PreparedDesign",
    "cluster_influence",
    "prepare_design",
    "row_influence",
    "with_clusters",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

COLLINEAR_BELOW = 1e-8
BLOCK_ROWS = 8_192


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
    nested_rank
        How many of these parameters are levels of absorbed factors that nest in clusters.
    absorption
        How the absorbed factors are swept out.
    notes : tuple of sentences
        What a reader must know.
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
    nested_rank: int
    absorption: Absorption
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the sizes, not the rows."""
        return (
            f"PreparedDesign({len(self.names)} columns, {len(self.dropped)} dropped; "
            f"n = {self.n}, K = {self.K}, G = {self.G})"
        )

    def sweep(self, values: Floats) -> Floats:
        """Return values (n,) less their projection on the absorbed factors that are in no
        column of `design.Q`, shape (n,)."""
        return self.absorption.sweep(values)


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
        Codes of factors that get one intercept for each level. One that nests in another is
        left out. The factor with most levels is swept out by weighted demeaning, which is
        exact; others enter as columns while they are small (300 levels together), and are
        swept out with the first, to 1e-12 of the length, where they are not.
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
        positive weight, there are fewer than two clusters, all columns of X are collinear,
        there are not more rows than parameters, or large crossed factors cannot be swept out.

    Notes
    -----
    A column is dropped, and named in `dropped`, when less than 1e-8 of its (weighted) length
    is left after projection on the absorbed factors and the columns before it.

    Examples
    --------
    >>> prepare_design([[1, 0], [1, 0], [1, 1], [1, 1]], names=["constant", "visited"])
    PreparedDesign(2 columns, 0 dropped; n = 4, K = 2, G = 4)
    """
    columns, w, used = checked_design(X, weights)
    labels = checked_labels(names, columns.shape[1])
    factors = [numbered(codes, used, "a factor of absorb")[1] for codes in absorb]
    with one_thread():
        absorption = absorb_factors(factors, w)
        Q, inverse, keep = _project(columns, absorption)
    n, K = len(w), Q.shape[1] + absorption.rank
    _check_identified(n, K, columns=int(keep.sum()))
    design = ProjectedDesign(
        Q=Q,
        weights=w,
        cells=absorption.cells,
        clusters=np.arange(n),
        crossed=absorption.crossed,
    )
    prepared = PreparedDesign(
        design=design,
        inverse=inverse,
        names=tuple(compress(labels, keep)),
        dropped=tuple(compress(labels, ~keep)),
        used=used,
        cluster_values=np.flatnonzero(used),
        clustered=False,
        n=n,
        K=K,
        G=n,
        nested_rank=0,
        absorption=absorption,
        notes=absorption.notes,
    )
    return prepared if clusters is None else with_clusters(prepared, clusters)


def with_clusters(prepared: PreparedDesign, clusters: ArrayLike) -> PreparedDesign:
    """Return a prepared design with other clusters, without projecting it again.

    Parameters
    ----------
    prepared
    clusters : array of shape (rows given,)

    Raises
    ------
    EstimationError
        If the shape is another, codes are missing, or there is one cluster only.
    """
    values, groups = numbered(clusters, prepared.used, "clusters")
    if len(values) < 2:
        raise EstimationError(
            "least squares: all rows are in one cluster, so no standard error can be computed; "
            "choose a level of clustering with at least two."
        )
    return replace(
        prepared,
        design=replace(prepared.design, clusters=groups),
        cluster_values=values,
        clustered=True,
        G=len(values),
        nested_rank=rank_nested_in(prepared.absorption, groups),
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


def _project(columns: Floats, absorption: Absorption) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the orthonormal design free of absorbed factors and collinear columns (n, p), what
    turns it into coefficients (q, p), and which columns are kept (k,)."""
    extra = [int(codes.max()) for codes in absorption.columns]
    matrix = np.empty((len(columns), sum(extra) + columns.shape[1]), order="F")
    if matrix.shape[0] <= matrix.shape[1]:
        raise _too_few_rows(matrix.shape[1] + absorption.rank)
    _fill(matrix, columns, absorption.columns)
    root = np.sqrt(absorption.weights)
    length = np.empty(matrix.shape[1])
    for j in range(matrix.shape[1]):
        column = matrix[:, j]
        length[j] = np.sqrt(absorption.weights @ np.square(column))
        if absorption.cells is not None:
            column[:] = absorption.sweep(column)
        column *= root
    Q, R = make_orthonormal(matrix)
    independent = _independent(R, length)
    if not independent.all():
        rotation, R = qr(R[:, independent], mode="economic")
        Q = np.asfortranarray(Q @ rotation)
    first = int(independent[: sum(extra)].sum())
    inverse = solve_triangular(R, np.eye(len(R)))[first:]
    return Q, inverse, independent[sum(extra) :]


def _fill(matrix: Floats, columns: Floats, factors: Sequence[Codes]) -> None:
    """Write the indicators of all levels but the first of each factor, then the columns."""
    position = 0
    for codes in factors:
        for level in range(1, int(codes.max()) + 1):
            matrix[:, position] = codes == level
            position += 1
    for first in range(0, len(matrix), BLOCK_ROWS):  # both layouts stay in the cache
        block = slice(first, first + BLOCK_ROWS)
        matrix[block, position:] = columns[block]


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


def _check_identified(n: int, K: int, *, columns: int) -> None:
    if not columns:
        raise EstimationError(
            "least squares: no column of X varies beyond the absorbed factors; give a "
            "column that does."
        )
    if n <= K:
        raise _too_few_rows(K)


def _too_few_rows(K: int) -> EstimationError:
    return EstimationError(
        f"least squares: there are too few rows to determine {K} parameters; use fewer "
        "columns or absorb fewer levels."
    )
