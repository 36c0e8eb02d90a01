"""Cluster-robust covariance of weighted least squares: sandwich and Bell-McCaffrey (arrays).

Throughout, Z is the design with *all* its columns, absorbed factors included, in a basis for which
Z'WZ is the identity: Z = [W^(-1/2) Q, D] with Q orthonormal and D the indicators of the absorbed
cells, each divided by the square root of its total weight. The projection is H = Z Z'W.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from homevisit_eval.effects.projected_design import ProjectedDesign, sum_by_cluster, sums
from homevisit_eval.errors import EstimationError

__all__ = [
    "ProjectedDesign",
    "bias_reduced_covariance",
    "jackknife_covariance",
    "sandwich_covariance",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

ZERO_BELOW = 1e-10  # eigenvalues of I - H; they lie in 0..1, rounding leaves about 1e-14
STACK_VALUES = 4_000_000  # numbers held at once while small clusters are worked on together
DENSE_VALUES = 4_000_000  # clusters times cells up to which sums by both are held in full
DENSE_CELLS = 800


def sandwich_covariance(design: ProjectedDesign, residuals: Floats, inverse: Floats) -> Floats:
    """Return the cluster-robust sandwich (CR0) of the coefficients.

    Parameters
    ----------
    design
    residuals : array of shape (n,)
        In units of y.
    inverse : array of shape (q, p)
        Rows of the inverse triangle that turns Q'W^(1/2) y into coefficients.

    Returns
    -------
    array of shape (q, q)

    References
    ----------
    Liang, K.-Y., & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
    models. *Biometrika*, 73(1), 13-22.
    """
    scores = sum_by_cluster(design, design.root_weights * residuals) @ inverse.T
    return np.asarray(scores.T @ scores, dtype=np.float64)


def jackknife_covariance(design: ProjectedDesign, residuals: Floats, inverse: Floats) -> Floats:
    """Return the covariance for independent rows with residuals over 1 - leverage (HC3).

    Parameters
    ----------
    design
    residuals : array of shape (n,)
        In units of y.
    inverse : array of shape (q, p)
        Rows of the inverse triangle that turns Q'W^(1/2) y into coefficients.

    Returns
    -------
    array of shape (q, q)

    Raises
    ------
    EstimationError
        If a row has leverage 1.

    References
    ----------
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. *Journal of Econometrics*, 29(3), 305-325.
    """
    leverage = np.einsum("ij,ij->i", design.Q, design.Q)
    if design.cells is not None:
        leverage = leverage + design.weights / design.cell_weights[design.cells]
    alone = int((1.0 - leverage < ZERO_BELOW).sum())
    if alone:
        raise EstimationError(
            f"HC3: {alone} rows determine a parameter alone (leverage 1), so their residuals say "
            "nothing. Use fewer columns or cells, or CR2."
        )
    rows = (design.root_weights * residuals / (1.0 - leverage))[:, None] * design.Q
    scores = rows @ inverse.T
    return np.asarray(scores.T @ scores, dtype=np.float64)


def bias_reduced_covariance(
    design: ProjectedDesign, residuals: Floats, inverse: Floats, wanted: Sequence[int]
) -> tuple[Floats, Floats]:
    """Return the Bell-McCaffrey covariance (CR2) and Satterthwaite degrees of freedom.

    Parameters
    ----------
    design
    residuals : array of shape (n,)
        In units of y.
    inverse : array of shape (q, p)
        Rows of the inverse triangle that turns Q'W^(1/2) y into coefficients.
    wanted
        Positions among the q coefficients whose degrees of freedom are found.

    Returns
    -------
    covariance : array of shape (q, q)
    df : array of shape (len(wanted),)

    Notes
    -----
    Residuals of cluster g are multiplied by the symmetric inverse root (Moore-Penrose) of

    .. math:: B_g = [(I - H)(I - H)']_{gg}
              = I - Z_g Z_g' W_g - W_g Z_g Z_g' + Z_g (Z'W^2Z) Z_g',

    which makes the covariance unbiased when errors are independent with one variance. B_g is
    the identity plus a term of rank 2 (p + c), c being the cells that the cluster touches
    (p + c without weights); where that is less than the cluster's size no square matrix of
    that size is formed. With a the adjusted row of a coefficient in cluster g, u = Z_g'a and
    v = Z_g'W_g a, the degrees of freedom are (sum P_gg)^2 / sum P_gh^2 for

    .. math:: P_{gh} = [g = h] a_g'a_g - u_g'v_h - v_g'u_h + u_g'(Z'W^2Z)u_h.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    Imbens, G. W., & Kolesar, M. (2016). Robust standard errors in small samples: Some
    practical advice. *Review of Economics and Statistics*, 98(4), 701-712.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.
    """
    contrasts = design.Q @ inverse[list(wanted)].T * design.root_weights[:, None]
    adjusted = np.column_stack([residuals, contrasts])
    for rows in _stacks(design):
        if rows.shape[0] == 1 and rows.shape[1] > _rank_bound(design, rows[0]):
            adjusted[rows[0]] = _adjust_low_rank(design, rows[0], adjusted[rows[0]])
        else:
            adjusted[rows] = _adjust_stack(design, rows, adjusted[rows])
    scores = sum_by_cluster(design, design.root_weights * adjusted[:, 0]) @ inverse.T
    df = np.array([_satterthwaite_df(design, a) for a in adjusted[:, 1:].T])
    return np.asarray(scores.T @ scores, dtype=np.float64), df


def _stacks(design: ProjectedDesign) -> Iterator[NDArray[np.intp]]:
    """Yield arrays of row numbers, one cluster a line: many small ones of one size, or one."""
    order = np.argsort(design.clusters, kind="stable")
    sizes = np.bincount(design.clusters, minlength=design.G)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        firsts = starts[sizes == size]
        together = int(max(1, STACK_VALUES // (size * (size + design.p + 1))))
        if size > design.p:
            together = 1
        for first in range(0, len(firsts), together):
            lines = firsts[first : first + together]
            yield order[lines[:, None] + np.arange(size)[None, :]]


def _rank_bound(design: ProjectedDesign, rows: Codes) -> int:
    touched = 0 if design.cells is None else len(np.unique(design.cells[rows]))
    return (1 if design.unweighted else 2) * (design.p + touched)


def _adjust_low_rank(design: ProjectedDesign, rows: Codes, values: Floats) -> Floats:
    """Return B_g^(-1/2) times the columns `values` (n_g, m), as identity plus low rank."""
    w = design.weights[rows]
    Z = design.Q[rows] / design.root_weights[rows][:, None]
    N, across, diagonal = design.middle
    if design.cells is not None:
        touched, local = np.unique(design.cells[rows], return_inverse=True)
        indicators = np.zeros((len(rows), len(touched)))
        indicators[np.arange(len(rows)), local] = design.D[rows]
        Z = np.column_stack([Z, indicators])
        N = np.block([[N, across[touched].T], [across[touched], np.diag(diagonal[touched])]])
    identity = np.eye(Z.shape[1])
    if design.unweighted:
        factors, middle = Z, identity
    else:
        factors = np.column_stack([Z, w[:, None] * Z])
        middle = np.block([[-N, identity], [identity, np.zeros_like(N)]])
    U, T = np.linalg.qr(factors)
    taken, V = np.linalg.eigh(T @ middle @ T.T)
    U = U @ V
    return np.asarray(values + U @ ((_inverse_root(1.0 - taken) - 1.0)[:, None] * (U.T @ values)))


def _adjust_stack(design: ProjectedDesign, rows: NDArray[np.intp], values: Floats) -> Floats:
    """Return B_g^(-1/2) times `values` (m, n_g, k) for m clusters of n_g rows each."""
    w = design.weights[rows]
    Z = design.Q[rows] / design.root_weights[rows][..., None]
    H = (Z @ Z.mT) * w[:, None, :]
    same: Floats | None = None
    if design.cells is not None:
        cells = design.cells[rows]
        same = (cells[:, :, None] == cells[:, None, :]) / design.cell_weights[cells][:, None, :]
        H += same * w[:, None, :]
    B = np.eye(rows.shape[1]) - H
    if not design.unweighted:
        N, across, diagonal = design.middle
        B -= H.mT
        B += Z @ N @ Z.mT
        if design.cells is not None and same is not None:
            mixed = Z @ (across[cells] * design.D[rows][..., None]).mT
            B += mixed + mixed.mT
            B += same * diagonal[cells][:, None, :]
    eigenvalues, V = np.linalg.eigh(B)
    return np.asarray(V @ (_inverse_root(eigenvalues)[..., None] * (V.mT @ values)))


def _inverse_root(eigenvalues: Floats) -> Floats:
    positive = eigenvalues > ZERO_BELOW
    return np.where(positive, 1.0 / np.sqrt(np.where(positive, eigenvalues, 1.0)), 0.0)


def _satterthwaite_df(design: ProjectedDesign, a: Floats) -> float:
    """Return the degrees of freedom of one coefficient from its adjusted rows a (n,)."""
    squares = sums(design.clusters, a * a, design.G)
    U = sum_by_cluster(design, a / design.root_weights)
    V = sum_by_cluster(design, a * design.root_weights)
    if design.G * design.n_cells > DENSE_VALUES or design.n_cells > DENSE_CELLS:
        cells = _sparse_cell_sums(design, a), _sparse_cell_sums(design, a * design.weights)
        return _df_by_blocks(design, squares, (U, V), cells)
    U = np.hstack([U, _cell_sums(design, a)])
    V = np.hstack([V, _cell_sums(design, a * design.weights)])
    N, across, diagonal = design.middle
    full = np.block([[N, across.T], [across, np.diag(diagonal)]])
    if 2 * len(full) < design.G:
        return _df_low_rank(squares, U, V, full)
    UV = U @ V.T
    P = np.diag(squares) - UV - UV.T + U @ full @ U.T
    return _ratio(float(np.trace(P)), float(np.sum(P * P)))


def _cell_sums(design: ProjectedDesign, values: Floats) -> Floats:
    """Return the sums of `values` times the cells' column, by cluster and cell, (G, C)."""
    if design.cells is None:
        return np.empty((design.G, 0))
    codes = design.clusters * design.n_cells + design.cells
    flat = sums(codes, values * design.D, design.G * design.n_cells)
    return flat.reshape(design.G, design.n_cells)


def _sparse_cell_sums(design: ProjectedDesign, values: Floats) -> sparse.csr_array:
    entries = (values * design.D, (design.clusters, design.cells))
    return sparse.csr_array(sparse.coo_array(entries, shape=(design.G, design.n_cells)))


def _df_low_rank(squares: Floats, U: Floats, V: Floats, full: Floats) -> float:
    """Many clusters, few columns: P is a diagonal plus L S L', never formed."""
    identity = np.eye(len(full))
    S = np.block([[full, -identity], [-identity, np.zeros_like(full)]])
    L = np.hstack([U, V])
    low_rank_diagonal = ((L @ S) * L).sum(axis=1)
    product = S @ (L.T @ L)
    off_diagonal = np.sum(product * product.T) - low_rank_diagonal @ low_rank_diagonal
    on_diagonal = squares + low_rank_diagonal
    return _ratio(float(on_diagonal.sum()), float(on_diagonal @ on_diagonal + off_diagonal))


def _df_by_blocks(
    design: ProjectedDesign,
    squares: Floats,
    dense: tuple[Floats, Floats],
    cells: tuple[sparse.csr_array, sparse.csr_array],
) -> float:
    """Many cells: P is formed some lines at a time, the cells' part from sparse sums."""
    (U, V), (UD, VD) = dense, cells
    N, across, diagonal = design.middle
    right = UD @ across
    NU = U @ N + right
    trace, total = 0.0, 0.0
    lines = max(1, STACK_VALUES // design.G)
    for first in range(0, design.G, lines):
        block = slice(first, min(first + lines, design.G))
        u, v = UD[block], VD[block]
        P = (u.multiply(diagonal[None, :]) @ UD.T - u @ VD.T - v @ UD.T).toarray()
        P += NU[block] @ U.T - U[block] @ V.T - V[block] @ U.T + U[block] @ right.T
        here = np.arange(P.shape[0])
        P[here, first + here] += squares[block]
        trace += float(P[here, first + here].sum())
        total += float(np.sum(P * P))
    return _ratio(trace, total)


def _ratio(trace: float, total: float) -> float:
    return trace**2 / total if total > 0 else 0.0
