"""Degrees of freedom of cluster-robust covariances: Satterthwaite's, and Wishart's (arrays).

The contrast a of a coefficient gives its cluster-robust variance as a sum of squares, over
clusters g, of a_g'(I - H)_g y. Where errors are independent with one variance, two contrasts a and
b have the covariances

.. math:: P_{gh} = a_g'[(I - H)(I - H)']_{gh} b_h
          = [g = h] a_g'b_g - u_g'v_h - v_g'u_h + u_g'(Z'W^2Z) u_h, u = Z'a, v = Z'Wa,

one u and v of a, the other of b. Letters are those of `projected_design`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from homevisit_eval.effects.regression.projected_design import ProjectedDesign, sum_by_cluster, sums

__all__ = ["covariance_moments", "satterthwaite_df"]

Floats = NDArray[np.float64]

LINE_VALUES = 4_000_000  # numbers held at once of a matrix of clusters by clusters
DENSE_VALUES = 4_000_000  # clusters times cells up to which sums by both are held in full
DENSE_CELLS = 800


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums of one contrast by cluster and column of Z: u and v, (G, p), and those of absorbed
    cells, sparse (G, C) each, or none if they are among the columns of u and v."""

    u: Floats
    v: Floats
    cells: tuple[sparse.csr_array, sparse.csr_array] | None


def satterthwaite_df(design: ProjectedDesign, contrast: Floats) -> float:
    """Return the degrees of freedom of one coefficient's cluster-robust variance.

    Parameters
    ----------
    design
    contrast : array of shape (n,)
        The (adjusted) weight of each row's error in the coefficient.

    Notes
    -----
    (sum P_gg)^2 / sum P_gh^2: with that many, a chi-square has the mean and variance of the
    estimated variance, where errors are independent with one variance.

    References
    ----------
    Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance
    components. *Biometrics Bulletin*, 2(6), 110-114.
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    """
    means, covariances = covariance_moments(design, contrast[:, None])
    total = float(covariances.item()) / 2.0
    return float(means.item()) ** 2 / total if total > 0 else 0.0


def covariance_moments(design: ProjectedDesign, contrasts: Floats) -> tuple[Floats, Floats]:
    """Return means and covariances of the entries of a cluster-robust covariance.

    Parameters
    ----------
    design
    contrasts : array of shape (n, r)
        The (adjusted) weight of each row's error in each of r coefficients.

    Returns
    -------
    means : array of shape (r, r)
    covariances : array of shape (r, r, r, r)
        Of entry (a, b) with entry (c, d), where errors are independent and normal with
        variance 1.

    Notes
    -----
    Entry (a, b) has the mean of the trace of P^ab, and with entry (c, d) the covariance
    sum P^ac_gh P^bd_gh + P^ad_gh P^bc_gh.
    """
    r = contrasts.shape[1]
    parts = [_sums(design, a) for a in contrasts.T]
    products = [
        _Products(design, sums(design.clusters, a * b, design.G), first, second)
        for a, first in zip(contrasts.T, parts, strict=True)
        for b, second in zip(contrasts.T, parts, strict=True)
    ]
    if parts[0].cells is None and 2 * parts[0].u.shape[1] < design.G:
        means = np.array([one.trace() for one in products])
        inner = np.array([[one.inner(other) for other in products] for one in products])
    else:
        means, inner = _by_lines(products)
    inner = inner.reshape(r, r, r, r)
    covariances = inner.transpose(0, 2, 1, 3) + inner.transpose(0, 2, 3, 1)
    return means.reshape(r, r), covariances


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    """The matrix P (G, G) of two contrasts, formed in parts, or never."""

    design: ProjectedDesign
    own: Floats
    first: _Sums
    second: _Sums

    def block(self, start: int, lines: int) -> Floats:
        """Return some lines of the matrix, shape (lines, G)."""
        mine, theirs, block = self.first, self.second, slice(start, start + lines)
        u, v = mine.u[block], mine.v[block]
        if mine.cells is None or theirs.cells is None:
            P = (u @ self._full() - v) @ theirs.u.T - u @ theirs.v.T
        else:
            N, across, diagonal = self.design.middle
            (uc, vc), (UC, VC) = (one[block] for one in mine.cells), theirs.cells
            cells = (uc.multiply(diagonal[None, :]) - vc) @ UC.T - uc @ VC.T
            P = np.asarray(cells.toarray(), dtype=np.float64)
            P += (u @ N + uc @ across - v) @ theirs.u.T - u @ theirs.v.T
            P += u @ (UC @ across).T
        here = np.arange(lines)
        P[here, start + here] += self.own[block]
        return np.asarray(P, dtype=np.float64)

    def _full(self) -> Floats:
        """Return Z'W^2 Z."""
        N, across, diagonal = self.design.middle
        return np.block([[N, across.T], [across, np.diag(diagonal)]])

    def trace(self) -> float:
        """Return the trace, by rank."""
        return float(self.own.sum() + self._by_rank()[3].sum())

    def inner(self, other: _Products) -> float:
        """Return the sum of products with the entries of another, by rank.

        For many clusters and few columns: P is a diagonal plus L S R'.
        """
        L, S, R, mine = self._by_rank()
        K, _, T, theirs = other._by_rank()
        total = float(np.sum((S @ (R.T @ T) @ S) * (L.T @ K)))
        return total + float(self.own @ other.own + self.own @ theirs + mine @ other.own)

    def _by_rank(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return L, S, R and the diagonal of L S R'."""
        full = self._full()
        identity = np.eye(len(full))
        S = np.block([[full, -identity], [-identity, np.zeros_like(full)]])
        L, R = (np.hstack([one.u, one.v]) for one in (self.first, self.second))
        return L, S, R, ((L @ S) * R).sum(axis=1)


def _by_lines(products: Sequence[_Products]) -> tuple[Floats, Floats]:
    """Return traces, and sums of products of the entries of all pairs, some lines at a time."""
    m, G = len(products), products[0].design.G
    traces, inner = np.zeros(m), np.zeros((m, m))
    step = max(1, LINE_VALUES // (G * m))
    for first in range(0, G, step):
        lines = min(step, G - first)
        here = np.arange(lines)
        blocks = np.array([one.block(first, lines) for one in products])
        traces += blocks[:, here, first + here].sum(axis=1)
        flat = blocks.reshape(m, -1)
        inner += flat @ flat.T
    return traces, inner


def _sums(design: ProjectedDesign, contrast: Floats) -> _Sums:
    u = sum_by_cluster(design, contrast / design.root_weights)
    v = sum_by_cluster(design, contrast * design.root_weights)
    if design.G * design.n_cells > DENSE_VALUES or design.n_cells > DENSE_CELLS:
        weighted = contrast * design.weights
        cells = _sparse_sums(design, contrast), _sparse_sums(design, weighted)
        return _Sums(u, v, cells)
    u = np.hstack([u, _cell_sums(design, contrast)])
    v = np.hstack([v, _cell_sums(design, contrast * design.weights)])
    return _Sums(u, v, None)


def _cell_sums(design: ProjectedDesign, values: Floats) -> Floats:
    """Return the sums of `values` times the cells' column, by cluster and cell, (G, C)."""
    if design.cells is None:
        return np.empty((design.G, 0))
    codes = design.clusters * design.n_cells + design.cells
    flat = sums(codes, values * design.D, design.G * design.n_cells)
    return flat.reshape(design.G, design.n_cells)


def _sparse_sums(design: ProjectedDesign, values: Floats) -> sparse.csr_array:
    entries = (values * design.D, (design.clusters, design.cells))
    return sparse.csr_array(sparse.coo_array(entries, shape=(design.G, design.n_cells)))
