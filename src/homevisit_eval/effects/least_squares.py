"""Weighted least squares with absorbed factors and cluster-robust standard errors (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, solve_triangular
from scipy.special import stdtr, stdtrit
from threadpoolctl import ThreadpoolController

from homevisit_eval.effects.covariance import (
    ProjectedDesign,
    bias_reduced_covariance,
    jackknife_covariance,
    sandwich_covariance,
)
from homevisit_eval.errors import EstimationError

__all__ = ["CovarianceType", "LeastSquaresFit", "fit_least_squares"]

CovarianceType = Literal["CR0", "CR1", "CR2", "HC3"]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

COLLINEAR_BELOW = 1e-8
DF_CONVENTIONS = {
    "CR0": "G - 1",
    "CR1": "G - 1",
    "CR2": "Satterthwaite (Bell-McCaffrey)",
    "HC3": "n - K",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LeastSquaresFit:
    """Weighted least squares coefficients with their cluster-robust covariance.

    Attributes
    ----------
    coefficients : array of shape (p,)
        In the order of `names`: the columns of X that are kept.
    covariance : array of shape (p, p)
    std_errors : array of shape (p,)
        Square roots of the diagonal of `covariance`.
    df : array of shape (p,)
        Degrees of freedom of the t distribution of each coefficient; NaN where `df_for` did
        not name the column.
    names : tuple of p names
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed factors and earlier columns.
    residuals : array of shape (rows given,)
        In units of y, not multiplied by weights; NaN where the weight is 0.
    n
        Rows of positive weight.
    K
        Parameters: the rank of X together with the absorbed factors, all their levels counted.
    G
        Clusters.
    covariance_type, df_convention
        How `covariance` and `df` were found.
    notes : tuple of sentences
        What a reader must know.
    """

    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    df: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    residuals: Floats
    n: int
    K: int
    G: int
    covariance_type: CovarianceType
    df_convention: str
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of zero coefficients, shape (p,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.coefficients / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals, shape (p, 2): lower and upper bounds."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.coefficients - half, self.coefficients + half])

    def __repr__(self) -> str:
        """Show the recipe, not the residuals."""
        return (
            f"LeastSquaresFit({len(self.names)} coefficients, {self.covariance_type}, "
            f"df: {self.df_convention}; n = {self.n}, K = {self.K}, G = {self.G})"
        )


def fit_least_squares(
    y: ArrayLike,
    X: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    clusters: ArrayLike | None = None,
    covariance: CovarianceType = "CR2",
    names: Sequence[str] | None = None,
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress y on X by weighted least squares, with cluster-robust standard errors.

    Parameters
    ----------
    y : array of shape (n,)
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
        Codes of the groups within which errors may be dependent; each row its own if not
        given, which makes CR1 the covariance known as HC1 and CR2 that known as HC2.
    covariance
        ``"CR0"``: the sandwich. ``"CR1"``: times G / (G - 1) * (n - 1) / (n - K), all absorbed
        levels counted in K (the convention of Stata's `areg` and `regress`; clubSandwich calls
        it CR1S). ``"CR2"``: the bias-reduced linearization of Bell and McCaffrey with the
        absorbed factors and weights in full, for independent errors of one variance as
        working model (clubSandwich's for `lm`, and estimatr's). ``"HC3"``: for independent
        rows, each residual over one less its leverage (sandwich's, also with weights).
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.
    df_for : sequence of names, optional
        Columns whose Satterthwaite degrees of freedom are wanted (CR2 only); all if not given.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, no row has a
        positive weight, there are fewer than two clusters, all columns of X are collinear,
        there are not more rows than parameters, or ``"HC3"`` is asked for with clusters or
        where a row determines a parameter alone.

    Notes
    -----
    A column is dropped, and named in `dropped`, when less than 1e-8 of its (weighted) length
    is left after projection on the absorbed factors and the columns before it.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. *Journal of Econometrics*, 29(3), 305-325.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.

    Examples
    --------
    >>> fit = fit_least_squares([1.0, 2.0, 4.0, 5.0], [[1, 0], [1, 0], [1, 1], [1, 1]])
    >>> fit.coefficients.round(6).tolist()
    [1.5, 3.0]
    """
    if covariance == "HC3" and clusters is not None:
        raise EstimationError(
            "fit_least_squares: HC3 is for independent rows; with clusters choose CR1 or CR2."
        )
    outcome, columns, w, used = _checked(y, X, weights)
    labels = _labels(names, columns.shape[1])
    factors = [_codes(codes, used, "a factor of absorb") for codes in absorb]
    groups = np.arange(len(outcome)) if clusters is None else _codes(clusters, used, "clusters")
    with _threads().limit(limits=1, user_api="blas"):
        projection = _project(columns, w, factors, groups)
        design = projection.design
        kept = tuple(compress(labels, projection.keep))
        dropped = tuple(compress(labels, ~projection.keep))
        n, K, G = len(outcome), design.p + design.n_cells, design.G
        _check_identified(n, K, G, columns=len(kept))
        swept = _sweep(outcome, design) * design.root_weights
        effects = design.Q.T @ swept
        residuals = (swept - design.Q @ effects) / design.root_weights
        df = np.full(len(kept), np.nan if covariance == "CR2" else G - 1.0)
        if covariance == "CR2":
            wanted = [j for j, name in enumerate(kept) if df_for is None or name in df_for]
            matrix, df[wanted] = bias_reduced_covariance(
                design, residuals, projection.inverse, wanted
            )
        elif covariance == "HC3":
            matrix = jackknife_covariance(design, residuals, projection.inverse)
            df[:] = n - K
        else:
            factor = G / (G - 1) * (n - 1) / (n - K) if covariance == "CR1" else 1.0
            matrix = factor * sandwich_covariance(design, residuals, projection.inverse)
    everywhere = np.full(used.shape, np.nan)
    everywhere[used] = residuals
    return LeastSquaresFit(
        coefficients=projection.inverse @ effects,
        covariance=matrix,
        std_errors=np.sqrt(np.maximum(np.diag(matrix), 0.0)),
        df=df,
        names=kept,
        dropped=dropped,
        residuals=everywhere,
        n=n,
        K=K,
        G=G,
        covariance_type=covariance,
        df_convention=DF_CONVENTIONS[covariance],
        notes=_notes(dropped),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Projection:
    """The projected design; `inverse` (q, p) turns Q'W^(1/2) y into the q coefficients wanted;
    `keep` (k,) says which columns of X these are."""

    design: ProjectedDesign
    inverse: Floats
    keep: NDArray[np.bool_]


@cache
def _threads() -> ThreadpoolController:
    """Return the controller of BLAS threads: one is faster for many small matrices, and gives
    the same last digits on every machine."""
    return ThreadpoolController()


def _project(columns: Floats, w: Floats, factors: Sequence[Codes], groups: Codes) -> _Projection:
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
    return _Projection(design, inverse, independent[len(dummies) :])


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


def _sweep(values: Floats, design: ProjectedDesign) -> Floats:
    if design.cells is None:
        return values
    means = np.bincount(design.cells, design.weights * values) / design.cell_weights
    return np.asarray(values - means[design.cells], dtype=np.float64)


def _checked(
    y: ArrayLike, X: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    outcome, columns = np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    n = len(outcome)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if outcome.ndim != 1 or columns.ndim != 2 or len(columns) != n or w.shape != (n,):
        raise EstimationError(
            f"fit_least_squares: y has shape {outcome.shape}, X {columns.shape} and weights "
            f"{w.shape}; give (n,), (n, k) and (n,)."
        )
    if not np.isfinite(w).all() or (w < 0).any():
        raise EstimationError(
            f"fit_least_squares: {int((~(w >= 0) | np.isinf(w)).sum())} weights are missing, "
            "infinite or negative; give weights of 0 or more."
        )
    used = w > 0
    if not used.any():
        raise EstimationError(
            "fit_least_squares: no row has a positive weight; give at least as many rows as "
            "parameters."
        )
    if not used.all():
        outcome, columns, w = outcome[used], columns[used], w[used]
    bad = int(len(outcome) - np.isfinite(outcome).sum())
    bad += int(columns.size - np.isfinite(columns).sum())
    if bad:
        raise EstimationError(
            f"fit_least_squares: y or X has {bad} missing or infinite values in rows of positive "
            "weight; leave these rows out."
        )
    w = np.ones(len(w)) if w.min() == w.max() else w / w.mean()
    return outcome, columns, w, used


def _labels(names: Sequence[str] | None, k: int) -> tuple[str, ...]:
    labels = tuple(names) if names is not None else tuple(f"x{j}" for j in range(k))
    if len(labels) != k or len(set(labels)) != k:
        raise EstimationError(
            f"fit_least_squares: names has {len(labels)} entries, {len(set(labels))} of them "
            f"different; X has {k} columns. Give one name for each, none twice."
        )
    return labels


def _codes(codes: ArrayLike, used: NDArray[np.bool_], what: str) -> Codes:
    values = np.asarray(codes)
    if values.shape != used.shape:
        raise EstimationError(
            f"fit_least_squares: {what} has shape {values.shape}; give one code for each of the "
            f"{len(used)} rows."
        )
    values = values[used]
    if values.dtype.kind == "O":
        values = values.astype(str) if all(isinstance(v, str) for v in values) else values
    missing = values.dtype.kind == "f" and np.isnan(values).any()
    try:
        _, found = np.unique(values, return_inverse=True)
    except TypeError:
        missing = True
    if missing:
        raise EstimationError(
            f"fit_least_squares: {what} has missing codes, or codes of several types; give one "
            "code of the same type for each row."
        )
    return np.asarray(found, dtype=np.intp)


def _check_identified(n: int, K: int, G: int, *, columns: int) -> None:
    if not columns:
        raise EstimationError(
            "fit_least_squares: no column of X varies beyond the absorbed factors; give a "
            "column that does."
        )
    if n <= K:
        raise _too_few_rows(K)
    if G < 2:
        raise EstimationError(
            "fit_least_squares: all rows are in one cluster, so no standard error can be "
            "computed; choose a level of clustering with at least two."
        )


def _too_few_rows(K: int) -> EstimationError:
    return EstimationError(
        f"fit_least_squares: there are too few rows to determine {K} parameters; use fewer "
        "columns or absorb fewer levels."
    )


def _notes(dropped: Sequence[str]) -> tuple[str, ...]:
    if not dropped:
        return ()
    return (f"Left out because they add nothing to the other columns: {', '.join(dropped)}.",)
