"""What leverage takes from one cluster, as a product of narrow matrices (arrays).

In one cluster S = W^(1/2) Z, a row for each of its rows: columns of Q, and one for each absorbed
cell that the cluster touches, of which each row has a single entry. Sums by cell stand for products
with the latter, so that S is not formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.regression.orthonormal import make_orthonormal
from homevisit_eval.effects.regression.projected_design import ProjectedDesign

__all__ = ["Basis", "ClusterFactors", "cluster_factors", "sorted_rows"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

SAFE = 1e-4  # eigenvalues of a Gram matrix of unit columns that leave 12 digits
ROUNDING = 4e-16  # times the columns: eigenvalues that are 0
EQUAL = 1e-15  # spread of weights, as a share of their mean, that is rounding
SHORT_CODES = 65_536  # below which codes are sorted by their digits


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Basis:
    """An orthonormal basis U of the columns of F, found from the Gram matrix or in full.

    Attributes
    ----------
    factors
    triangle : array of shape (m, k)
        U'F; it need not be a triangle.
    divided : array of shape (k, m), or None
        F times this is U.
    full : array of shape (n_g, m), or None
        U itself, where it had to be formed.
    """

    factors: ClusterFactors
    triangle: Floats
    divided: Floats | None
    full: Floats | None

    def __repr__(self) -> str:
        """Show the size."""
        return f"Basis({len(self.triangle)} columns)"

    def project(self, values: Floats) -> Floats:
        """Return U' values, shape (m, columns of `values`)."""
        if self.full is not None:
            return np.asarray(self.full.T @ values, dtype=np.float64)
        assert self.divided is not None
        return np.asarray(self.divided.T @ self.factors.project(values), dtype=np.float64)

    def combine(self, coefficients: Floats) -> Floats:
        """Return U times coefficients (m, columns), shape (n_g, columns)."""
        if self.full is not None:
            return np.asarray(self.full @ coefficients, dtype=np.float64)
        assert self.divided is not None
        return self.factors.combine(self.divided @ coefficients)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClusterFactors:
    """F of one cluster: what leverage takes from the identity is F M F'.

    Attributes
    ----------
    Q : array of shape (n_g, p)
    side : array of shape (n_g,), or None
        The entry of each row in the column of its cell.
    starts : array of shape (c,)
        First row of each cell; rows are sorted by cell.
    root : array of shape (n_g,), or None
        With root weights F is S / root; without it is S.
    tilt : array of shape (n_g,), or None
        The weights, centered and scaled; with it F is [S / root, tilt S / root].
    middle : array of shape (k, k)
        M.
    """

    Q: Floats
    side: Floats | None
    starts: Codes
    root: Floats | None
    tilt: Floats | None
    middle: Floats

    def __repr__(self) -> str:
        """Show the size."""
        return f"ClusterFactors({len(self.Q)} rows, {len(self.middle)} columns)"

    def project(self, values: Floats) -> Floats:
        """Return F' values, shape (k, columns of `values`)."""
        if self.root is not None:
            values = values / self.root[:, None]
        inside = self._project(values)
        if self.tilt is None:
            return inside
        return np.vstack([inside, self._project(values * self.tilt[:, None])])

    def combine(self, coefficients: Floats) -> Floats:
        """Return F times coefficients (k, columns), shape (n_g, columns)."""
        half = len(coefficients) if self.tilt is None else len(coefficients) // 2
        combined = self._combine(coefficients[:half])
        if self.tilt is not None:
            combined += self._combine(coefficients[half:]) * self.tilt[:, None]
        return combined if self.root is None else combined / self.root[:, None]

    def basis(self) -> Basis:
        """Return an orthonormal basis of the columns of F."""
        gram = self._gram()
        size = np.sqrt(np.diag(gram))
        if (size > 0).all():
            eigenvalues, V = np.linalg.eigh(gram / np.outer(size, size))
            kept = eigenvalues > ROUNDING * len(eigenvalues) * eigenvalues[-1]
            if eigenvalues[kept][0] > SAFE:
                root = np.sqrt(eigenvalues[kept])
                V = V[:, kept]
                return Basis(self, (V * root).T * size, V / root / size[:, None], None)
        full, triangle = make_orthonormal(np.asfortranarray(self.combine(np.eye(len(gram)))))
        return Basis(self, triangle, None, full)

    def _gram(self) -> Floats:
        """Return F'F."""
        weights = None if self.root is None else self.root**-2
        dense = self._weighted_gram(weights)
        if self.tilt is None or weights is None:
            return dense
        mixed = self._weighted_gram(weights * self.tilt)
        return np.block([[dense, mixed], [mixed, self._weighted_gram(weights * self.tilt**2)]])

    def _weighted_gram(self, w: Floats | None) -> Floats:
        """Return S'WS."""
        weighted = self.Q if w is None else self.Q * w[:, None]
        dense = weighted.T @ self.Q
        if self.side is None:
            return np.asarray(dense, dtype=np.float64)
        across = np.add.reduceat(weighted * self.side[:, None], self.starts, axis=0)
        squares = self.side**2 if w is None else self.side**2 * w
        own = np.diag(np.add.reduceat(squares, self.starts))
        return np.block([[dense, across.T], [across, own]])

    def _project(self, values: Floats) -> Floats:
        inside = self.Q.T @ values
        if self.side is None:
            return np.asarray(inside, dtype=np.float64)
        by_cell = np.add.reduceat(values * self.side[:, None], self.starts, axis=0)
        return np.vstack([inside, by_cell])

    def _combine(self, coefficients: Floats) -> Floats:
        p = self.Q.shape[1]
        combined = self.Q @ coefficients[:p]
        if self.side is not None:
            lengths = np.diff(self.starts, append=len(self.Q))
            combined += np.repeat(coefficients[p:], lengths, axis=0) * self.side[:, None]
        return np.asarray(combined, dtype=np.float64)


def cluster_factors(design: ProjectedDesign, rows: Codes, *, both_sides: bool) -> ClusterFactors:
    """Return F and M of the cluster of some rows.

    Parameters
    ----------
    design
    rows : array of shape (n_g,)
        Row numbers, sorted by cell.
    both_sides
        Whether F M F' is Z Z'W + W Z Z' - Z (Z'W^2Z) Z' (CR2 with weights), or else S S'.

    Notes
    -----
    With W = c + h T, T the `tilt`, the first is Z (2 c - Z'W^2Z) Z' + h (T Z Z' + Z Z'T), whose
    factors are far from collinear however alike the weights.
    """
    Q, p = np.ascontiguousarray(design.Q[rows]), design.p
    side: Floats | None = None
    touched, starts = np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    if design.cells is not None:
        cells = design.cells[rows]
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        touched = cells[starts]
        side = design.D[rows] * design.root_weights[rows]
    identity = np.eye(p + len(touched))
    if not both_sides:
        return ClusterFactors(Q, side, starts, None, None, identity)
    N, across, diagonal = design.middle
    N = np.block([[N, across[touched].T], [across[touched], np.diag(diagonal[touched])]])
    w = design.weights[rows]
    center = float(w.mean())
    spread = float(np.abs(w - center).max())
    top = 2.0 * center * identity - N
    if spread <= EQUAL * center:
        return ClusterFactors(Q, side, starts, design.root_weights[rows], None, top)
    middle = np.block([[top, spread * identity], [spread * identity, np.zeros_like(N)]])
    return ClusterFactors(Q, side, starts, design.root_weights[rows], (w - center) / spread, middle)


def sorted_rows(design: ProjectedDesign) -> Codes:
    """Return the row numbers, sorted by cluster and within it by cell."""
    if design.cells is None:
        return _argsort(design.clusters)
    order = _argsort(design.cells)
    return order[_argsort(design.clusters[order])]


def _argsort(codes: Codes) -> Codes:
    if int(codes.max()) < SHORT_CODES:
        return np.argsort(codes.astype(np.uint16), kind="stable")
    return np.argsort(codes, kind="stable")
