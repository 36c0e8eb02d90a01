"""A weighted design whose columns are orthonormal and free of absorbed cells (arrays).

Throughout, Z is the design with *all* its columns, absorbed factors included, in a basis for which
Z'WZ is the identity: Z = [W^(-1/2) Q, D] with Q orthonormal and D the indicators of the absorbed
cells, each divided by the square root of its total weight. The projection is H = Z Z'W.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.errors import EstimationError

__all__ = ["ProjectedDesign", "sum_by_cluster", "sums"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ProjectedDesign:
    """A weighted design, freed of absorbed cells and made orthonormal.

    Attributes
    ----------
    Q : array of shape (n, p)
        Orthonormal basis of the columns, times the square roots of the weights.
    weights : array of shape (n,)
        Above 0, with mean 1; all exactly 1 if they are constant.
    cells : array of shape (n,) of 0..C-1, or None
        The absorbed cell of each row.
    clusters : array of shape (n,) of 0..G-1
        The cluster of each row.
    crossed : tuple of arrays of shape (n,)
        Further absorbed factors, swept out together with `cells` and in no column of Q. With
        any, Z is not known in full: no leverage, so no CR2, CR3, Satterthwaite df or bootstrap.
    """

    Q: Floats
    weights: Floats
    cells: Codes | None
    clusters: Codes
    crossed: tuple[Codes, ...] = ()

    @property
    def p(self) -> int:
        """Columns beside the absorbed cells."""
        return int(self.Q.shape[1])

    @cached_property
    def G(self) -> int:
        """Clusters."""
        return int(self.clusters.max()) + 1

    @cached_property
    def n_cells(self) -> int:
        """Absorbed cells."""
        return 0 if self.cells is None else int(self.cells.max()) + 1

    @cached_property
    def cell_weights(self) -> Floats:
        """Total weight of each absorbed cell, shape (C,).

        Raises
        ------
        EstimationError
            If further factors are absorbed that Z does not show.
        """
        if self.crossed:
            raise EstimationError(
                f"least squares: {1 + len(self.crossed)} large absorbed factors cross, which "
                "leaves no more than CR0, CR1, CR1S and CR1p with df 'G - 1'. Absorb their "
                "combinations as one factor for more."
            )
        return sums(self._cell_codes, self.weights, self.n_cells)

    @cached_property
    def root_weights(self) -> Floats:
        """Square roots of the weights, shape (n,)."""
        return np.sqrt(self.weights)

    @cached_property
    def unweighted(self) -> bool:
        """Whether all weights are 1."""
        return bool((self.weights == 1.0).all())

    @cached_property
    def D(self) -> Floats:
        """Value of each row in the column of its absorbed cell, shape (n,)."""
        return np.asarray(1.0 / np.sqrt(self.cell_weights))[self._cell_codes]

    @cached_property
    def middle(self) -> tuple[Floats, Floats, Floats]:
        """Blocks of Z'W^2 Z: (p, p), (C, p) and the diagonal (C,) of the last."""
        w = self.weights
        dense = (self.Q * w[:, None]).T @ self.Q
        if self.cells is None:
            return dense, np.zeros((0, self.p)), np.zeros(0)
        scale = w * self.root_weights * self.D
        across = np.column_stack(
            [sums(self.cells, scale * self.Q[:, j], self.n_cells) for j in range(self.p)]
        )
        return dense, across, sums(self.cells, w**2, self.n_cells) / self.cell_weights

    @property
    def _cell_codes(self) -> Codes:
        return np.zeros(0, dtype=np.intp) if self.cells is None else self.cells


def sums(codes: Codes, values: Floats, levels: int) -> Floats:
    """Return the sum of `values` at each of the codes 0..levels-1, shape (levels,)."""
    return np.bincount(codes, values, levels).astype(np.float64, copy=False)


def sum_by_cluster(design: ProjectedDesign, values: Floats) -> Floats:
    """Return the cluster sums of each column of Q times `values` (n,), shape (G, p)."""
    return np.column_stack(
        [sums(design.clusters, design.Q[:, j] * values, design.G) for j in range(design.p)]
    )
