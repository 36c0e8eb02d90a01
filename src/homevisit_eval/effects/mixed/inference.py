"""Degrees of freedom and the robust covariance of a mixed model's coefficients (arrays).

All matrices are relative to the residual variance s^2: Var(y) = s^2 V, V = W^(-1) + Z L Z'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.mixed.likelihood import ProfilePoint
from homevisit_eval.errors import EstimationError

__all__ = ["MixedRows", "bias_reduced_covariance", "satterthwaite_df"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

CURVATURE_ZERO = 1e-10
ZERO_BELOW = 1e-10
ROUNDING = 1e-14
STACK_VALUES = 2_000_000  # numbers held at once while small groups are worked on together
LARGEST_GROUP = 5_000  # rows of one group with weights that all differ: cubic work


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixedRows:
    """The rows of a mixed model, in the order of their groups.

    Attributes
    ----------
    values : array of shape (n, q + p + 1)
        Columns of the random effects, of the fixed effects, and residuals y - Xb.
    weights : array of shape (n,)
    starts : array of shape (G + 1,)
        Where each group begins; the last is n.
    """

    values: Floats
    weights: Floats
    starts: Codes

    def __repr__(self) -> str:
        """Show the shape."""
        return f"MixedRows({self.values.shape[0]} rows in {len(self.starts) - 1} groups)"


def satterthwaite_df(point: ProfilePoint, contrasts: Floats) -> Floats:
    """Return Satterthwaite degrees of freedom of combinations of coefficients, shape (k,).

    Parameters
    ----------
    point
        The maximum of the likelihood.
    contrasts : array of shape (k, p)

    Notes
    -----
    With f(t) = s^2 l'C l the variance of a contrast as a function of t = (T, log s^2), and A the
    inverse of half the second derivative of the deviance in t, the degrees of freedom are
    2 f^2 / (f'(t) A f'(t)'), the derivatives found exactly. Directions in which the deviance is
    flat are left out. A variance of zero has no part in them: with none, they are n - p (REML).

    References
    ----------
    Giesbrecht, F. G., & Burns, J. C. (1985). Two-stage analysis based on a mixed model.
    *Biometrics*, 41(2), 477-486.
    Kuznetsova, A., Brockhoff, P. B., & Christensen, R. H. B. (2017). lmerTest package: Tests in
    linear mixed effects models. *Journal of Statistical Software*, 82(13).
    """
    fixed, cross = point.joint_hessian()
    hessian = np.block([[fixed, cross[:, None]], [cross[None, :], point.sums.divisor]])
    scale = np.sqrt(np.where(np.diag(hessian) > 0, np.diag(hessian), 1.0))
    eigenvalues, V = np.linalg.eigh(hessian / np.outer(scale, scale))
    curved = eigenvalues > CURVATURE_ZERO
    roots = V[:, curved] / np.sqrt(eigenvalues[curved]) / scale[:, None]
    leaning = contrasts @ point.inverse
    variances = np.einsum("kp,kp->k", leaning, contrasts)
    moved = np.einsum("gqp,kp->gqk", point.loadings, leaning)
    by_factor = np.einsum("gik,tij,gjk->kt", moved, point.directions(), moved, optimize=True)
    derivatives = np.column_stack([by_factor, variances])
    return np.asarray(variances**2 / np.sum((derivatives @ roots) ** 2, axis=1))


def bias_reduced_covariance(
    point: ProfilePoint, rows: MixedRows, contrasts: Floats
) -> tuple[Floats, Floats]:
    """Return the CR2 covariance of contrasts, the fitted model as working model, and their df.

    Parameters
    ----------
    point
        The maximum of the likelihood.
    rows
        Fixed columns in the basis of `point`, residuals in the units wanted.
    contrasts : array of shape (k, p)

    Returns
    -------
    covariance : array of shape (k, k)
    df : array of shape (k,)

    Raises
    ------
    EstimationError
        If a group has so many rows of different weights that its matrix would be too large.

    Notes
    -----
    Residuals of group g are multiplied by A_g = D'B^(-1/2) D with V_g = D'D and
    B = D (V_g - X_g C X_g') D', so that A_g (V_g - X_g C X_g') A_g' = V_g. A_g is the identity
    but for the columns of Z_g and X_g among rows of one weight, so such rows are first rotated
    onto these columns: at most q + p of them are left. With a_g = A_g' V_g^(-1) X_g C l the df
    are (sum P_gg)^2 / sum P_gh^2 for P_gh = [g = h] a_g'V_g a_g - a_g'X_g C X_h'a_h.

    References
    ----------
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683, equations 8 to 11.
    """
    p, k = point.sums.p, len(contrasts)
    root = np.linalg.cholesky(point.inverse)
    leaning = point.inverse @ contrasts.T
    meat, across = np.zeros((p, p)), np.zeros((k, p, p))
    trace, squares = np.zeros(k), np.zeros(k)
    for values, weights in _stacks(rows, point.sums.q + p):
        scores, own, shared = _adjusted(point, values, weights, leaning)
        meat += scores.T @ scores
        shared = root.T @ shared
        taken = np.einsum("mpk,mpk->mk", shared, shared)
        trace += (own - taken).sum(axis=0)
        squares += (own**2 - 2 * own * taken).sum(axis=0)
        across += np.einsum("mpk,mrk->kpr", shared, shared, optimize=True)
    squares += np.einsum("kpr,kpr->k", across, across)
    df = np.divide(trace**2, squares, out=np.zeros(k), where=squares > 0)
    return np.asarray(leaning.T @ meat @ leaning, dtype=np.float64), df


def _stacks(rows: MixedRows, width: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield groups of one (rotated) size together: values (m, k, q + p + 1), weights (m, k)."""
    waiting: dict[int, list[tuple[Floats, Floats]]] = {}
    one_weight = bool((rows.weights == rows.weights[0]).all())
    for first, last in zip(rows.starts[:-1], rows.starts[1:], strict=True):
        group = rows.values[first:last], rows.weights[first:last]
        if last - first > width:
            group = _rotated(*group, width, one_weight=one_weight)
        size = len(group[1])
        listed = waiting.setdefault(size, [])
        listed.append(group)
        if len(listed) * size * (size + width) > STACK_VALUES:
            yield _together(waiting.pop(size))
    for listed in waiting.values():
        yield _together(listed)


def _together(groups: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    return np.stack([values for values, _ in groups]), np.stack([w for _, w in groups])


def _rotated(
    values: Floats, weights: Floats, width: int, *, one_weight: bool
) -> tuple[Floats, Floats]:
    """Return fewer rows with the same sums of products, those of one weight rotated together.

    What is left of the residuals beside the other columns is dropped: it meets no column.
    """
    if one_weight:
        return _triangle(values)[:width], weights[:width]
    different, kinds, counts = np.unique(weights, return_inverse=True, return_counts=True)
    many = counts > width
    if int(counts[~many].sum()) + width * int(many.sum()) > LARGEST_GROUP:
        raise EstimationError(
            f"mixed model, CR2: a group of {len(weights)} rows has {len(different)} different "
            f"weights, which makes matrices of more than {LARGEST_GROUP} rows; choose covariance "
            "'model', or round the weights."
        )
    single = ~many[kinds]
    parts, part_weights = [values[single]], [weights[single]]
    for kind in np.flatnonzero(many):
        parts.append(_triangle(values[kinds == kind])[:width])
        part_weights.append(np.full(width, different[kind]))
    return np.concatenate(parts), np.concatenate(part_weights)


def _triangle(values: Floats) -> Floats:
    return np.asarray(np.linalg.qr(values, mode="r"), dtype=np.float64)


def _adjusted(
    point: ProfilePoint, values: Floats, weights: Floats, leaning: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return X'V^(-1) A e (m, p), and of each contrast a'V a (m, k) and X'a (m, p, k)."""
    q = point.sums.q
    X, e = values[:, :, q:-1], values[:, :, -1:]
    ZT = values[:, :, :q] @ point.factor
    V = ZT @ ZT.mT
    here = np.arange(V.shape[1])
    V[:, here, here] += 1.0 / weights
    variances, axes = np.linalg.eigh(V)
    root = (axes * np.sqrt(variances)[:, None, :]) @ axes.mT
    solved = axes @ ((axes.mT @ X) / variances[:, :, None])
    B = root @ (V - X @ point.inverse @ X.mT) @ root
    eigenvalues, U = np.linalg.eigh((B + B.mT) / 2)
    least = np.maximum(
        ZERO_BELOW * variances[:, :1] ** 2, ROUNDING * len(here) * eigenvalues[:, -1:]
    )
    positive = eigenvalues > least
    power = np.where(positive, 1.0 / np.sqrt(np.where(positive, eigenvalues, 1.0)), 0.0)
    rooted = root @ U
    A = (rooted * power[:, None, :]) @ rooted.mT
    scores = (solved.mT @ (A @ e))[:, :, 0]
    a = A @ (solved @ leaning)
    return scores, np.einsum("mik,mik->mk", a, V @ a), X.mT @ a
