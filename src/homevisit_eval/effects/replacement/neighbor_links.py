"""Nearest rows with all ties, rows of equal coordinates taken together (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from homevisit_eval.errors import EstimationError

__all__ = ["Links", "Metric", "metric_coordinates", "nearest_links"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Metric = Literal["inverse variance", "Mahalanobis"]

TIE = 1e-9  # distances, in standard deviations, that differ by less are equal
BLOCK = 20_000  # points looked up at once
BEYOND = 2  # targets looked at beyond those needed: mostly they show that there are no more ties
LEAF = 32  # targets of the tree's leaves: more than usual, for many columns
DETERMINED = 1e-10  # share of a variance, below which a direction of X does not vary


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Links:
    """Which rows of a pool stand for each of some rows, and by which shares.

    Attributes
    ----------
    shares : sparse array of shape (a, b)
        Of the rows of pool point b in what stands for a row of point a: one row's share.
    rows : array of shape (m,)
        Rows that are stood for, by position.
    point : array of shape (m,) of 0..a-1
        Their points.
    pool : array of shape (q,)
        Rows that stand for others, by position.
    pool_point : array of shape (q,) of 0..b-1
        Their points.
    """

    shares: sparse.csr_array
    rows: Codes
    point: Codes
    pool: Codes
    pool_point: Codes

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"Links({len(self.rows)} rows, {len(self.pool)} in the pool)"

    def means(self, values: Floats) -> Floats:
        """Return the share-weighted mean of `values` (n,) over each row's links, shape (m,)."""
        sums = np.bincount(self.pool_point, values[self.pool], self.shares.shape[1])
        return np.asarray(self.shares @ sums, dtype=np.float64)[self.point]

    def spreads(self, values: Floats) -> Floats:
        """Return the share-weighted variance of `values` (n,) over each row's links, (m,)."""
        centered = values - (values[self.pool].mean() if len(self.pool) else 0.0)
        return np.maximum(self.means(centered**2) - self.means(centered) ** 2, 0.0)

    def counts(self) -> Floats:
        """Return the number of rows that stand for each row, shape (m,)."""
        size = np.bincount(self.pool_point, minlength=self.shares.shape[1]).astype(np.float64)
        return np.asarray((self.shares > 0) @ size, dtype=np.float64)[self.point]

    def uses(self, n: int) -> tuple[Floats, Floats]:
        """Return the sums of shares, and of squared shares, that each of n rows is used with."""
        stood_for = np.bincount(self.point, minlength=self.shares.shape[0]).astype(np.float64)
        both = np.zeros((2, n))
        for place, power in enumerate((self.shares, self.shares.power(2))):
            both[place, self.pool] = np.asarray(power.T @ stood_for)[self.pool_point]
        return both[0], both[1]


def nearest_links(
    function: str, coordinates: Floats, rows: Codes, pool: Codes, needed: int
) -> Links:
    """Link rows to their nearest rows of a pool: at least `needed`, and all tied with the last.

    Parameters
    ----------
    function
        For messages.
    coordinates : array of shape (n, p)
        Equal rows must be bitwise equal; distances are Euclidean, in standard deviations.
    rows, pool : arrays of positions
        A row that is in the pool too is linked to itself first.
    needed
        1 or more.

    Raises
    ------
    EstimationError
        If the pool is smaller than `needed`.

    Notes
    -----
    Distances that differ by less than 1e-9 (of a standard deviation, and relative) are ties. Work
    and memory follow the number of different points, found by a k-d tree.
    """
    if needed < 1 or len(pool) < needed:
        raise EstimationError(
            f"{function}: {needed} nearest rows are asked for, and a group has {len(pool)}. Ask "
            "for at least 1, and no more than there are."
        )
    points, point = np.unique(coordinates[rows], axis=0, return_inverse=True)
    targets, pool_point = np.unique(coordinates[pool], axis=0, return_inverse=True)
    size = np.bincount(pool_point, minlength=len(targets))
    tree = cKDTree(targets, leafsize=LEAF)
    found = []
    for first in range(0, len(points), BLOCK):
        near, target = _tied(tree, points[first : first + BLOCK], size, needed)
        found.append((first + near, target))
    near, target = (np.concatenate(part) for part in zip(*found, strict=True))
    linked = np.bincount(near, size[target], len(points))
    table = sparse.coo_array((1.0 / linked[near], (near, target)), (len(points), len(targets)))
    return Links(sparse.csr_array(table), rows, point.ravel(), pool, pool_point.ravel())


def _tied(tree: cKDTree, points: Floats, size: Codes, needed: int) -> tuple[Codes, Codes]:
    """Return pairs of a point and a target among its nearest, ties with the last included."""
    asked = min(needed + BEYOND, len(size))
    distance, index = tree.query(points, k=np.arange(1, asked + 1))
    enough = np.argmax(np.cumsum(size[index], axis=1) >= needed, axis=1)
    reach = distance[np.arange(len(points)), enough] * (1.0 + TIE) + TIE
    inside = distance <= reach[:, None]
    more = np.flatnonzero(inside.all(axis=1)) if asked < len(size) else np.zeros(0, np.intp)
    inside[more] = False  # more targets may be tied than were asked for
    near, place = np.nonzero(inside)
    if not len(more):
        return near, index[near, place]
    tied = tree.query_ball_point(points[more], reach[more])
    counts = [len(found) for found in tied]
    return (
        np.concatenate([near, np.repeat(more, counts)]),
        np.concatenate([index[near, place], *(np.asarray(found, np.intp) for found in tied)]),
    )


def metric_coordinates(X: Floats, metric: Metric) -> Floats:
    """Return coordinates in which Euclidean distances are those of the metric, shape (n, p).

    Parameters
    ----------
    X : array of shape (n, k)
    metric
        ``"inverse variance"``: each column over its standard deviation; ``"Mahalanobis"``: by the
        inverse covariance, both of all rows. Columns (or directions) that do not vary count
        nothing.

    References
    ----------
    Abadie, A., & Imbens, G. W. (2006). Large sample properties of matching estimators for average
    treatment effects. *Econometrica*, 74(1), 235-267.
    """
    points, back = np.unique(X, axis=0, return_inverse=True)  # equal rows stay equal
    center = X.mean(axis=0)
    spread = np.sqrt(((X - center) ** 2).sum(axis=0) / max(len(X) - 1, 1))
    varies = spread > DETERMINED * np.abs(X).max(axis=0, initial=0.0)
    if not varies.any():
        return np.zeros((len(X), 1))
    scaled = (points[:, varies] - center[varies]) / spread[varies]
    match metric:
        case "inverse variance":
            placed = scaled
        case "Mahalanobis":
            correlation = np.atleast_2d(np.corrcoef(X[:, varies], rowvar=False))
            values, directions = np.linalg.eigh(correlation)
            kept = values > DETERMINED
            placed = scaled @ directions[:, kept] / np.sqrt(values[kept])
        case _:
            assert_never(metric)
    return np.ascontiguousarray(placed[back.ravel()])
