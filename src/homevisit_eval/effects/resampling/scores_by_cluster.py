"""What a wild cluster bootstrap needs of a regression: sums by cluster, made once (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_outcome
from homevisit_eval.effects.regression.prepared_design import PreparedDesign
from homevisit_eval.effects.regression.projected_design import ProjectedDesign, sum_by_cluster, sums
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["ClusterScores", "cluster_scores", "named_column"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Sums: TypeAlias = Floats | sparse.csr_array

ZERO_SCORES = 1e-20  # squared scores below this share of their bound are rounding
ZERO_RESIDUALS = 1e-26  # the same of squared residuals, against squared outcomes
DENSE_SUMS = 4_000_000  # clusters times cells up to which sums by both are held in full
FEW_TREATED = 2
FULL_CLUSTERS = 3_000  # clusters up to which a G x G matrix may be formed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClusterScores:
    """One coefficient's scores by cluster, and what a change of signs does to them.

    A sign vector v turns the restricted residuals into other ones; with the null value
    `estimate` + d, the coefficient then lies v'(`own` - d `own_change`) from that value, and
    its scores by cluster are the difference of the two arrays that `perturbed` returns, the
    second times d.

    Attributes
    ----------
    column, estimate
        The name of the coefficient's column, and the coefficient.
    labels : array of shape (G,)
        The codes of the clusters, as given.
    own, own_change : arrays of shape (G,)
        Scores of the residuals, and of the part of them that one unit of the null value takes.
    left, right : arrays of shape (G, p)
        Projections on the columns, by cluster: of the coefficient's rows, and of residuals.
    left_cells, right_cells : arrays of shape (G, c), dense or sparse
        The same for absorbed cells that cross clusters; c = 0 if all nest.
    length
        The squared length of the coefficient's rows.
    n, K
        Rows of positive weight, and parameters (absorbed levels counted).
    notes : tuple of sentences
        What a reader must know.
    """

    column: str
    estimate: float
    labels: NDArray[np.generic]
    own: Floats
    own_change: Floats
    left: Floats
    right: Floats
    left_cells: Sums
    right_cells: Sums
    length: float
    n: int
    K: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the sizes, no sums."""
        return (
            f"ClusterScores({self.column}: {self.G} clusters, {self.left.shape[1]} columns, "
            f"{self.left_cells.shape[1]} cells that cross clusters)"
        )

    @property
    def G(self) -> int:
        """Clusters."""
        return len(self.own)

    @property
    def std_error(self) -> float:
        """The standard error of the sandwich (CR0)."""
        return float(np.sqrt(self.own @ self.own))

    @property
    def largest_share(self) -> float:
        """The largest share of one cluster in what identifies the coefficient, 0 to 1."""
        return float(self.own_change.max())

    def perturbation(self) -> tuple[Floats, Floats] | None:
        """Return the G x G matrices that turn signs into scores, if they are the cheaper way."""
        columns = self.left.shape[1] + self.left_cells.shape[1]
        if self.G > FULL_CLUSTERS or (2 * columns < self.G and self.G > 200):
            return None
        residual = np.diag(self.own) - self.left @ self.right.T
        residual -= _dense(self.left_cells @ self.right_cells.T)
        cells = _dense(self.left_cells @ self.left_cells.T)
        change = np.diag(self.own_change) - (self.left @ self.left.T + cells) / self.length
        return residual, change

    def perturbed(
        self, signs: Floats, matrices: tuple[Floats, Floats] | None
    ) -> tuple[Floats, Floats]:
        """Return scores by cluster after a change of signs: two arrays of shape (draws, G).

        Parameters
        ----------
        signs : array of shape (draws, G)
        matrices
            What `perturbation` returned.
        """
        if matrices is not None:
            return signs @ matrices[0].T, signs @ matrices[1].T
        residual = signs * self.own - (signs @ self.right) @ self.left.T
        change = signs * self.own_change - (signs @ self.left) @ self.left.T / self.length
        if self.left_cells.shape[1]:
            across = self.left_cells
            residual -= (across @ (self.right_cells.T @ signs.T)).T
            change -= (across @ (across.T @ signs.T)).T / self.length
        return residual, change


def cluster_scores(
    prepared: PreparedDesign, y: ArrayLike, *, column: str, treated: ArrayLike | None = None
) -> ClusterScores:
    """Return the sums by cluster from which the wild bootstrap of one coefficient is computed.

    Parameters
    ----------
    prepared
        From `prepare_design`, with clusters.
    y : array of shape (rows given,)
    column
        The name of the coefficient's column.
    treated : array of shape (rows given,), optional
        The column itself; the notes then tell if few clusters have one of its two values.

    Raises
    ------
    EstimationError
        As `fit_outcome`; if the column is unknown or collinear; or if the scores of all
        clusters are 0: the residuals are, or the column differs between two clusters only.

    Notes
    -----
    With Q the orthonormal basis of the columns in the metric of the root weights and a the row
    of the inverse triangle, u = Q a gives the coefficient as u'W^(1/2) y, and residuals
    restricted to the null value b + d are e - d u / u'u. Signs v that are constant by cluster
    give the scores of cluster g

    .. math:: v_g u_g'r_g - \\sum_h v_h (u_g'Z_g)(Z_h'r_h),

    where r is restricted and Z = [Q, D] holds the columns and the cells. Cells inside one
    cluster have u_g'Z_g = 0 and are left out; for those that cross clusters this is not so.

    References
    ----------
    Roodman, D., Nielsen, M. O., MacKinnon, J. G., & Webb, M. D. (2019). Fast and wild:
    Bootstrap inference in Stata using boottest. *Stata Journal*, 19(1), 4-60.
    """
    position = _position(prepared, column)
    fit = fit_outcome(prepared, y, covariance="CR0", df_for=[column])
    design, inverse = prepared.design, prepared.inverse[position]
    weighted = fit.residuals[prepared.used] * design.root_weights
    given = np.asarray(y, dtype=np.float64)[prepared.used]
    length = float(inverse @ inverse)
    with one_thread():
        rows = design.Q @ inverse
        own = sums(design.clusters, rows * weighted, design.G)
        _check_scores(own, length, float(weighted @ weighted), float(design.weights @ given**2))
        left_cells, right_cells = _cell_sums(design, rows, weighted)
        return ClusterScores(
            column=column,
            estimate=float(fit.coefficients[position]),
            labels=prepared.cluster_values,
            own=own,
            own_change=sums(design.clusters, rows * rows, design.G) / length,
            left=sum_by_cluster(design, rows),
            right=sum_by_cluster(design, weighted),
            left_cells=left_cells,
            right_cells=right_cells,
            length=length,
            n=prepared.n,
            K=prepared.K,
            notes=(*_other_notes(fit), *_few_treated(treated, prepared)),
        )


def _other_notes(fit: LeastSquaresFit) -> tuple[str, ...]:
    """Return the notes of the fit but the one that points to this bootstrap."""
    return tuple(note for note in fit.notes if "wild cluster bootstrap" not in note)


def named_column(X: ArrayLike, names: Sequence[str] | None, column: str) -> Floats | None:
    """Return the column of X with that name, ``x0``, ``x1``, ... if none are given, or None."""
    values = np.asarray(X, dtype=np.float64)
    labels = [f"x{j}" for j in range(values.shape[1])] if names is None else list(names)
    return values[:, labels.index(column)] if column in labels else None


def _position(prepared: PreparedDesign, column: str) -> int:
    if column in prepared.dropped:
        raise EstimationError(
            f"wild bootstrap: {column!r} is a linear combination of absorbed factors and earlier "
            "columns, so it has no coefficient; leave these out, or test another column."
        )
    if column not in prepared.names:
        raise EstimationError(
            f"wild bootstrap: there is no column {column!r}; the columns are "
            f"{', '.join((*prepared.names, *prepared.dropped))}."
        )
    return prepared.names.index(column)


def _check_scores(own: Floats, length: float, residual: float, total: float) -> None:
    """Refuse scores that are 0 but for rounding: of no residuals, or of two clusters."""
    if not (residual > ZERO_RESIDUALS * total and own @ own > ZERO_SCORES * length * residual):
        raise EstimationError(
            "wild bootstrap: the cluster-robust standard error of the coefficient is 0, because "
            "residuals are 0 or the column differs between two clusters only. Use more clusters, "
            "or another level of clustering."
        )


def _few_treated(treated: ArrayLike | None, prepared: PreparedDesign) -> tuple[str, ...]:
    """Return a note if one value of a two-valued column occurs in one or two clusters only."""
    if treated is None:
        return ()
    values, design = np.asarray(treated, dtype=np.float64)[prepared.used], prepared.design
    low, high = values.min(), values.max()
    if not ((values == low) | (values == high)).all():
        return ()
    counts = {
        words: len(np.unique(design.clusters[values == value]))
        for value, words in ((high, "the higher"), (low, "the lower"))
    }
    return tuple(
        f"Only {count} of {design.G} clusters hold{'s' if count == 1 else ''} rows with {words} "
        "value of the column: the restricted bootstrap then rejects far too seldom (MacKinnon & "
        "Webb, 2017); see randomization inference."
        for words, count in counts.items()
        if count <= FEW_TREATED < design.G
    )


def _cell_sums(design: ProjectedDesign, *values: Floats) -> tuple[Sums, ...]:
    """Return sums of each of `values` by cluster and cell, of cells that cross clusters."""
    if design.cells is None:
        return tuple(np.empty((design.G, 0)) for _ in values)
    somewhere = np.empty(design.n_cells, dtype=np.intp)
    somewhere[design.cells] = design.clusters
    crossing = np.zeros(design.n_cells, dtype=bool)
    crossing[design.cells[somewhere[design.cells] != design.clusters]] = True
    number = np.cumsum(crossing) - 1
    rows: Codes | slice = slice(None) if crossing.all() else np.flatnonzero(crossing[design.cells])
    cells, clusters = number[design.cells[rows]], design.clusters[rows]
    scale = design.root_weights[rows] * design.D[rows]
    shape = (design.G, int(crossing.sum()))
    if shape[0] * shape[1] <= DENSE_SUMS:
        codes = clusters * shape[1] + cells
        return tuple(
            np.bincount(codes, v[rows] * scale, shape[0] * shape[1]).reshape(shape) for v in values
        )
    return tuple(
        sparse.coo_array((v[rows] * scale, (clusters, cells)), shape=shape).tocsr() for v in values
    )


def _dense(matrix: Sums) -> Floats:
    if isinstance(matrix, np.ndarray):
        return matrix
    return np.asarray(matrix.toarray(), dtype=np.float64)
