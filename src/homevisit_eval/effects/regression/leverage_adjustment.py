"""Residuals divided by what their leverage took: the adjustments of CR2 and CR3 (arrays).

Z, H and the other letters are those of `projected_design`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.regression.cluster_factors import cluster_factors, sorted_rows
from homevisit_eval.effects.regression.projected_design import ProjectedDesign, sums

__all__ = ["AdjustedRows", "adjust_rows", "clusters_alone"]

AdjustmentType = Literal["CR2", "CR3"]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

ZERO_BELOW = 1e-10  # eigenvalues of I - H; they lie in 0..1, rounding leaves about 1e-14
LOST_ABOVE = 1e-6  # share of a contrast's length in directions that are set to 0
LARGE_SHARE = 0.2  # of what identifies a coefficient, in one cluster
STACK_VALUES = 4_000_000  # numbers held at once while small clusters are worked on together


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AdjustedRows:
    """Residuals and contrasts after the adjustment.

    Attributes
    ----------
    residuals : array of shape (n,)
        In units of y.
    contrasts : array of shape (n, r)
        The weight of each row's error in each of r coefficients, without that of leverage.
    lost : array of shape (r,)
        For each coefficient the clusters in which the adjustment is singular in a direction
        that matters to it; that direction is set to 0.
    """

    residuals: Floats
    contrasts: Floats
    lost: Codes

    def __repr__(self) -> str:
        """Show the sizes, not the rows."""
        return f"AdjustedRows({len(self.residuals)} rows, {len(self.lost)} contrasts)"


def adjust_rows(
    design: ProjectedDesign, residuals: Floats, combinations: Floats, kind: AdjustmentType
) -> AdjustedRows:
    """Return residuals and contrasts, adjusted for the leverage of their cluster.

    Parameters
    ----------
    design
    residuals : array of shape (n,)
        In units of y.
    combinations : array of shape (r, p)
        Rows that turn Q'W^(1/2) y into the coefficients whose contrasts are wanted.
    kind
        Residuals of cluster g are multiplied, for ``"CR2"``, by the symmetric inverse root of

        .. math:: B_g = [(I - H)(I - H)']_{gg}
                  = I - Z_g Z_g' W_g - W_g Z_g Z_g' + Z_g (Z'W^2Z) Z_g',

        and for ``"CR3"`` by the inverse of I - H_gg; by Moore-Penrose where singular.

    Returns
    -------
    AdjustedRows

    Notes
    -----
    B_g is the identity plus a term of rank 2 (p + c), c being the cells that the cluster
    touches; I - H_gg, and B_g without weights, plus one of rank p + c. Where that is less than
    the cluster's size no square matrix of that size is formed.
    """
    root = design.root_weights
    plain = design.Q @ combinations.T
    if kind == "CR3":  # symmetric between root weights
        values = np.column_stack([root * residuals, plain])
        probe = plain
    else:
        values = np.column_stack([residuals, root[:, None] * plain])
        probe = plain if design.unweighted else plain / root[:, None]
    del plain
    lost = np.zeros(len(combinations), dtype=np.intp)
    for rows in _stacks(design):
        if rows.shape[0] == 1 and rows.shape[1] > _rank_bound(design, rows[0], kind):
            found = _low_rank(design, rows[0], values[rows[0]], probe[rows[0]], kind)
        else:
            found = _stack(design, rows, values[rows], probe[rows], kind)
        values[rows if found[0].ndim == 3 else rows[0]] = found[0]
        lost += found[1]
    if kind == "CR3":
        values[:, 0] /= root
        values[:, 1:] *= root[:, None]
    return AdjustedRows(residuals=values[:, 0], contrasts=values[:, 1:], lost=lost)


def clusters_alone(design: ProjectedDesign, combinations: Floats) -> Codes:
    """Return for each coefficient how many large clusters determine a parameter of it alone.

    Parameters
    ----------
    design
    combinations : array of shape (r, p)
        Rows that turn Q'W^(1/2) y into the coefficients.

    Returns
    -------
    array of shape (r,)
        Clusters with at least a fifth of what identifies the coefficient whose residuals say
        nothing about it, as where all the treated are in one cluster.
    """
    alone = np.zeros(len(combinations), dtype=np.intp)
    for j, row in enumerate(combinations):
        plain = design.Q @ row
        shares = sums(design.clusters, plain * plain, design.G) / float(row @ row)
        for g in np.flatnonzero(shares > LARGE_SHARE):
            rows = np.flatnonzero(design.clusters == g)
            if design.cells is not None:
                rows = rows[np.argsort(design.cells[rows], kind="stable")]
            values = plain[rows, None]
            alone[j] += _low_rank(design, rows, values, values, "CR3")[1][0]
    return alone


def _stacks(design: ProjectedDesign) -> Iterator[Codes]:
    """Yield arrays of row numbers, one cluster a line, its rows sorted by cell: many small
    clusters of one size, or one."""
    order = sorted_rows(design)
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


def _rank_bound(design: ProjectedDesign, rows: Codes, kind: AdjustmentType) -> int:
    touched = 0
    if design.cells is not None:
        cells = design.cells[rows]
        touched = 1 + int((cells[1:] != cells[:-1]).sum())
    return (1 if design.unweighted or kind == "CR3" else 2) * (design.p + touched)


def _low_rank(
    design: ProjectedDesign, rows: Codes, values: Floats, probe: Floats, kind: AdjustmentType
) -> tuple[Floats, Codes]:
    """Return the adjusted `values` (n_g, m), by identity plus low rank, and what is lost."""
    factors = cluster_factors(design, rows, both_sides=not (design.unweighted or kind == "CR3"))
    basis = factors.basis()
    taken, V = np.linalg.eigh(basis.triangle @ factors.middle @ basis.triangle.T)
    left = 1.0 - taken
    power = (_power(left, kind) - 1.0)[:, None]
    change = _first_apart(
        lambda part: basis.combine(V @ (power * (V.T @ basis.project(part)))), values
    )
    zero = left <= ZERO_BELOW
    lost = V[:, zero].T @ basis.project(probe) if zero.any() else np.zeros((0, probe.shape[1]))
    return values + change, _lost(lost, probe)


def _stack(
    design: ProjectedDesign, rows: Codes, values: Floats, probe: Floats, kind: AdjustmentType
) -> tuple[Floats, Codes]:
    """Return the adjusted `values` (m, n_g, k) of m clusters of n_g rows, and what is lost."""
    left = _left(design, rows) if kind == "CR2" else _left_between_roots(design, rows)
    eigenvalues, V = np.linalg.eigh(left)
    power = _power(eigenvalues, kind)[..., None]
    adjusted = _first_apart(lambda part: V @ (power * (V.mT @ part)), values)
    zero = eigenvalues <= ZERO_BELOW
    if not zero.any():
        return adjusted, np.zeros(probe.shape[2], dtype=np.intp)
    return adjusted, _lost(zero[..., None] * (V.mT @ probe), probe)


def _first_apart(linear: Callable[[Floats], Floats], values: Floats) -> Floats:
    """Return a linear map of columns (..., k); the first is that of residuals, and mapped alone.

    The last digits of a product hang on how many columns it has, but those of a standard error must
    not hang on how many contrasts are asked for.
    """
    return np.concatenate([linear(values[..., :1]), linear(values[..., 1:])], axis=-1)


def _left_between_roots(design: ProjectedDesign, rows: Codes) -> Floats:
    """Return I - W^(1/2) Z Z' W^(1/2) of each cluster, shape (m, n_g, n_g)."""
    S = design.Q[rows]
    left = np.eye(rows.shape[1]) - S @ S.mT
    if design.cells is not None:
        cells, side = design.cells[rows], design.root_weights[rows] * design.D[rows]
        same = cells[:, :, None] == cells[:, None, :]
        left -= same * side[:, :, None] * side[:, None, :]
    return np.asarray(left, dtype=np.float64)


def _left(design: ProjectedDesign, rows: Codes) -> Floats:
    """Return B of each cluster, shape (m, n_g, n_g)."""
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
    return np.asarray(B, dtype=np.float64)


def _power(left: Floats, kind: AdjustmentType) -> Floats:
    """Return the inverse root (CR2) or the inverse (CR3), 0 where nothing is left."""
    positive = left > ZERO_BELOW
    safe = np.where(positive, left, 1.0)
    return np.where(positive, 1.0 / (np.sqrt(safe) if kind == "CR2" else safe), 0.0)


def _lost(inside: Floats, probe: Floats) -> Codes:
    """Return for each contrast the clusters with a part of it in directions set to 0."""
    part = np.sqrt((inside**2).sum(axis=-2))
    whole = np.sqrt((probe**2).sum(axis=-2))
    lost = np.atleast_2d((part > LOST_ABOVE * whole) & (whole > 0))
    return np.asarray(lost.sum(axis=0), dtype=np.intp)
