"""The profile likelihood of a linear mixed model with its two derivatives (arrays).

The model is y = X b + Z u + e with Var(u_g) = s^2 T T' for each group g and Var(e) = s^2 W^(-1);
T is lower triangular, the *relative factor*. Rows are multiplied by the roots of their weights, so
that Var(y) = s^2 V with V = I + Z L Z', L = T T'. With an orthonormal basis of each group's Z,
Z_g = Q_g R_g, whatever the likelihood needs is the part of the columns that lies outside these
bases (`within`, one matrix) and Q_g' times the columns (`between`, q rows a group).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.regression.projected_design import sums

__all__ = ["GroupSums", "LikelihoodMethod", "ProfilePoint", "group_sums", "profile_at"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
LikelihoodMethod = Literal["REML", "ML"]

DEPENDENT_BELOW = 1e-10  # length of a column of Z_g left beside those before it, relative


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroupSums:
    """What the likelihood of a mixed model needs of n rows in G groups, made once.

    Attributes
    ----------
    roots : array of shape (G, q, q)
        Upper triangles R_g with Z_g = Q_g R_g; lines of zeros where Z_g has lower rank.
    between : array of shape (G, q, p + 1)
        Q_g' [X, y].
    within : array of shape (p + 1, p + 1)
        Cross product of what the Q_g leave of [X, y].
    ranks : array of shape (G,)
        Ranks of the Z_g.
    n
        Rows.
    method
        ``"REML"`` or ``"ML"``.
    """

    roots: Floats
    between: Floats
    within: Floats
    ranks: Codes
    n: int
    method: LikelihoodMethod

    def __repr__(self) -> str:
        """Show the sizes."""
        return f"GroupSums({self.n} rows, {self.G} groups, q = {self.q}, p = {self.p})"

    @property
    def G(self) -> int:
        """Groups."""
        return len(self.roots)

    @property
    def q(self) -> int:
        """Random effects of a group."""
        return int(self.roots.shape[1])

    @property
    def p(self) -> int:
        """Fixed effects."""
        return len(self.within) - 1

    @property
    def divisor(self) -> int:
        """What the residual sum of squares is divided by: n - p, or n for ML."""
        return self.n - self.p if self.method == "REML" else self.n


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProfilePoint:
    """The deviance of a mixed model at one relative factor, all else at its best.

    Attributes
    ----------
    factor : array of shape (q, q)
        T, lower triangular.
    deviance
        -2 log likelihood (restricted for REML), less log determinants that T does not change.
    coefficients : array of shape (p,)
    squares
        r^2 = (y - Xb)' V^(-1) (y - Xb).
    inverse : array of shape (p, p)
        C = (X'V^(-1)X)^(-1).
    precision : array of shape (G, q, q)
        F_g = Z_g' V_g^(-1) Z_g.
    loadings : array of shape (G, q, p)
        H_g = Z_g' V_g^(-1) X_g.
    scores : array of shape (G, q)
        s_g = Z_g' V_g^(-1) (y - Xb).
    sums
    """

    factor: Floats
    deviance: float
    coefficients: Floats
    squares: float
    inverse: Floats
    precision: Floats
    loadings: Floats
    scores: Floats
    sums: GroupSums

    def __repr__(self) -> str:
        """Show the deviance."""
        return f"ProfilePoint(deviance {self.deviance:.6f}, {self.sums!r})"

    @property
    def variance(self) -> float:
        """The residual variance s^2 at a weight of 1."""
        return self.squares / self.sums.divisor

    def slope(self) -> Floats:
        """Return S with dD = trace(S dL), shape (q, q), symmetric.

        Notes
        -----
        S = sum F_g - s_g s_g' / s^2 - H_g C H_g', the last term with REML only.
        """
        S = self.precision.sum(axis=0) - self.scores.T @ self.scores / self.variance
        if self.sums.method == "REML":
            H = self.loadings
            S -= _over_groups(H @ self.inverse, H)
        return np.asarray((S + S.T) / 2, dtype=np.float64)

    def gradient(self) -> Floats:
        """Return the derivative of the deviance in the lower triangle of T, shape (m,)."""
        lower = np.tril_indices(self.sums.q)
        return np.asarray((2 * self.slope() @ self.factor)[lower], dtype=np.float64)

    def directions(self) -> Floats:
        """Return dL for one unit of each element of the lower triangle of T, shape (m, q, q)."""
        rows, columns = np.tril_indices(self.sums.q)
        unit = np.zeros((len(rows), self.sums.q, self.sums.q))
        unit[np.arange(len(rows)), rows, columns] = 1.0
        changes = unit @ self.factor.T
        return np.asarray(changes + changes.mT, dtype=np.float64)

    def hessian(self) -> Floats:
        """Return the second derivative of the deviance in T, s^2 profiled out, shape (m, m)."""
        fixed, cross = self.joint_hessian()
        return np.asarray(fixed - np.outer(cross, cross) / self.sums.divisor, dtype=np.float64)

    def joint_hessian(self) -> tuple[Floats, Floats]:
        """Return second derivatives of the deviance in T and log s^2, coefficients profiled out.

        Returns
        -------
        array of shape (m, m)
            In T, s^2 held.
        array of shape (m,)
            In T and log s^2. That in log s^2 alone is `GroupSums.divisor`.

        Notes
        -----
        With dL: dF_g = -F_g dL F_g, db = -C sum H_g' dL s_g, ds_g = -F_g dL s_g - H_g db,
        dH_g = -F_g dL H_g, dC = C (sum H_g' dL H_g) C and dr^2 = -sum s_g' dL s_g.
        """
        F, H, s, C = self.precision, self.loadings, self.scores, self.inverse
        rows, columns = np.tril_indices(self.sums.q)
        S, changes = self.slope(), self.directions()
        HC = H @ C
        HCH = HC @ H.mT
        products = _outer(F, F)
        if self.sums.method == "REML":
            mixed = _outer(F, HCH)
            products = products - mixed - mixed.transpose(2, 3, 0, 1)
        hessian = np.empty((len(rows), len(rows)))
        for k, dL in enumerate(changes):
            moved = s @ dL
            db = -C @ (H.reshape(-1, H.shape[2]).T @ moved.ravel())
            ds = -(F @ moved[:, :, None])[:, :, 0] - H @ db
            dS = -np.einsum("ijkl,jk->il", products, dL) - (ds.T @ s + s.T @ ds) / self.variance
            if self.sums.method == "REML":
                N = H.reshape(-1, H.shape[2]).T @ (dL @ H).reshape(-1, H.shape[2])
                dS -= _over_groups(HC @ N, HC)
            dT = np.zeros_like(S)
            dT[rows[k], columns[k]] = 1.0
            hessian[k] = (2 * (dS @ self.factor + S @ dT))[rows, columns]
        cross = np.einsum("ij,kij->k", s.T @ s, changes) / self.variance
        return (hessian + hessian.T) / 2, np.asarray(cross, dtype=np.float64)


def _over_groups(first: Floats, second: Floats) -> Floats:
    """Return the sum of A_g B_g' over groups, from arrays (G, q, p)."""
    return np.asarray(np.tensordot(first, second, axes=([0, 2], [0, 2])), dtype=np.float64)


def _outer(first: Floats, second: Floats) -> Floats:
    """Return the sum over groups of A_ij B_kl, from arrays (G, q, q)."""
    q = first.shape[1]
    product = first.reshape(-1, q * q).T @ second.reshape(-1, q * q)
    return np.asarray(product.reshape(q, q, q, q), dtype=np.float64)


def group_sums(
    columns: Floats, Z: Floats, groups: Codes, G: int, method: LikelihoodMethod
) -> GroupSums:
    """Return what the likelihood needs, from rows multiplied by the roots of their weights.

    Parameters
    ----------
    columns : array of shape (n, p + 1)
        The fixed part's columns, and y last.
    Z : array of shape (n, q)
        The columns of the random effects.
    groups : array of shape (n,) of 0..G-1
    G
        Groups.
    method
        ``"REML"`` or ``"ML"``.
    """
    q, width = Z.shape[1], columns.shape[1]
    bases, roots = _bases(Z, groups, G)
    between = np.empty((G, q, width))
    rest = np.empty_like(columns, order="F")
    for j in range(width):
        left = columns[:, j].copy()
        between[:, :, j] = _take_out(left, bases, groups, G)
        rest[:, j] = left
    return GroupSums(
        roots=roots,
        between=between,
        within=rest.T @ rest,
        ranks=(np.diagonal(roots, axis1=1, axis2=2) != 0).sum(axis=1),
        n=len(columns),
        method=method,
    )


def _bases(Z: Floats, groups: Codes, G: int) -> tuple[Floats, Floats]:
    """Return orthonormal columns (n, q), zero where dependent, and the triangles (G, q, q)."""
    q = Z.shape[1]
    bases, roots = np.zeros_like(Z, order="F"), np.zeros((G, q, q))
    for j in range(q):
        left = Z[:, j].copy()
        length = np.sqrt(sums(groups, left * left, G))
        roots[:, :j, j] = _take_out(left, bases[:, :j], groups, G)
        size = np.sqrt(sums(groups, left * left, G))
        kept = size > DEPENDENT_BELOW * length
        roots[:, j, j] = np.where(kept, size, 0.0)
        scale = np.divide(1.0, size, out=np.zeros(G), where=kept)
        bases[:, j] = left * scale[groups]
    return bases, roots


def _take_out(values: Floats, bases: Floats, groups: Codes, G: int) -> Floats:
    """Take the bases out of `values`, in place and twice; return the coefficients, (G, q)."""
    taken = np.zeros((G, bases.shape[1]))
    for _ in range(2):
        for j, basis in enumerate(bases.T):
            part = sums(groups, basis * values, G)
            values -= basis * part[groups]
            taken[:, j] += part
    return taken


def profile_at(sums_: GroupSums, factor: Floats) -> ProfilePoint:
    """Return the deviance and what its derivatives need, at a relative factor T, (q, q).

    Notes
    -----
    V_g = I + Z_g L Z_g' has the inverse I - Q_g Q_g' + Q_g M_g^(-1) Q_g' and the determinant of
    M_g = I + R_g L R_g'. All sums are of positive terms, so that nothing is lost however large
    the variance of the groups is. With v = n - p for REML and n for ML the deviance is

    .. math:: D = \\log|V| + [\\log|X'V^{-1}X|] + v (1 + \\log(2 \\pi r^2 / v)).

    References
    ----------
    Bates, D., Maechler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models
    using lme4. *Journal of Statistical Software*, 67(1), equations 31 to 42.
    """
    p = sums_.p
    half, J, log_volume = _whitened(sums_, factor)
    flat = half.reshape(-1, p + 1)
    full = sums_.within + flat.T @ flat
    root = np.linalg.cholesky(full[:p, :p])
    inverse = np.linalg.inv(root)
    inverse = inverse.T @ inverse
    coefficients = inverse @ full[:p, p]
    contrast = np.append(-coefficients, 1.0)
    left = half @ contrast
    squares = float(np.sum(left * left) + contrast @ sums_.within @ contrast)
    deviance = log_volume + sums_.divisor * (1 + math.log(2 * math.pi * squares / sums_.divisor))
    if sums_.method == "REML":
        deviance += 2 * float(np.log(np.diag(root)).sum())
    return ProfilePoint(
        factor=factor,
        deviance=deviance,
        coefficients=coefficients,
        squares=squares,
        inverse=inverse,
        precision=J.mT @ J,
        loadings=J.mT @ half[:, :, :p],
        scores=np.einsum("gij,gi->gj", J, left),
        sums=sums_,
    )


def _whitened(sums_: GroupSums, factor: Floats) -> tuple[Floats, Floats, float]:
    """Return K_g^(-1) Q_g'[X, y] and K_g^(-1) R_g, with M_g = K_g K_g', and log|V|."""
    RT = sums_.roots @ factor
    M = RT @ RT.mT
    M[:, np.arange(sums_.q), np.arange(sums_.q)] += 1.0
    if sums_.q == 1:
        size = np.sqrt(M)
        return sums_.between / size, sums_.roots / size, float(np.log(M).sum())
    K = np.linalg.cholesky(M)
    log_volume = 2 * float(np.log(np.diagonal(K, axis1=1, axis2=2)).sum())
    solved = np.linalg.solve(K, np.concatenate([sums_.between, sums_.roots], axis=2))
    return solved[:, :, : sums_.p + 1], solved[:, :, sums_.p + 1 :], log_volume
