"""Absorbed factors: which are swept out, which enter as columns, and what they count (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.regression.crossed_factors import (
    CrossedFactors,
    crossed_factors,
    joint_rank,
)
from homevisit_eval.effects.regression.projected_design import sums

__all__ = ["Absorption", "absorb_factors", "nests_in", "rank_nested_in"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

COLUMN_LEVELS = 300  # levels beside the largest factor that may enter as columns
COLUMN_VALUES = 100_000_000  # rows times such levels


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Absorption:
    """How the absorbed factors of a design are swept out.

    Attributes
    ----------
    weights : array of shape (n,)
    cells : array of shape (n,), or None
        The factor with most levels.
    cell_weights : array of shape (C,)
        Total weight of each of its levels.
    columns : tuple of arrays of shape (n,)
        Factors with few levels, which enter as columns of indicators (all levels but one).
    crossed : tuple of arrays of shape (n,)
        Further large factors, swept out together with `cells`.
    equations
        The normal equations of `cells` and `crossed`, or None.
    rank
        Parameters of `cells` and `crossed`.
    notes : tuple of sentences
        If `rank` is an upper bound.
    """

    weights: Floats
    cells: Codes | None
    cell_weights: Floats
    columns: tuple[Codes, ...]
    crossed: tuple[Codes, ...]
    equations: CrossedFactors | None
    rank: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the sizes."""
        return (
            f"Absorption({len(self.cell_weights)} cells, {len(self.columns)} factors as columns, "
            f"{len(self.crossed)} crossed)"
        )

    def sweep(self, values: Floats) -> Floats:
        """Return values (n,) less their weighted projection on `cells` and `crossed`.

        Raises
        ------
        EstimationError
            If several large factors cross and sweeping does not converge.
        """
        if self.equations is not None:
            return self.equations.sweep(values)
        if self.cells is None:
            return values.copy()
        means = sums(self.cells, self.weights * values, len(self.cell_weights))
        means /= self.cell_weights
        return np.asarray(values - means[self.cells], dtype=np.float64)


def absorb_factors(factors: Sequence[Codes], weights: Floats) -> Absorption:
    """Decide how each absorbed factor is swept out; one that nests in another is left out.

    Parameters
    ----------
    factors : sequence of arrays of shape (n,)
        Codes 0, 1, ..., each of which occurs.
    weights : array of shape (n,)
        Above 0.

    Notes
    -----
    The factor with most levels is swept by weighted demeaning, exactly. Further ones enter as
    columns while they have at most 300 levels together; larger ones are swept together with
    the first, from their contingency tables.
    """
    kept: list[Codes] = []
    for codes in sorted(factors, key=lambda one: -int(one.max())):
        if not any(nests_in(finer, codes) for finer in kept):
            kept.append(codes)
    columns: list[Codes] = []
    crossed: list[Codes] = []
    levels = 0
    for codes in kept[:0:-1]:  # the smallest first
        levels += int(codes.max())
        small = levels <= COLUMN_LEVELS and levels * len(weights) <= COLUMN_VALUES
        (columns if small else crossed).append(codes)
    swept = [*kept[:1], *crossed[::-1]]
    rank, exact = joint_rank(swept) if swept else (0, True)
    note = (
        f"K is an upper bound: the {len(swept)} large absorbed factors may share more than the "
        "mean, which would make K smaller."
    )
    return Absorption(
        weights=weights,
        cells=kept[0] if kept else None,
        cell_weights=sums(kept[0], weights, int(kept[0].max()) + 1) if kept else np.zeros(0),
        columns=tuple(columns),
        crossed=tuple(crossed[::-1]),
        equations=crossed_factors(swept, weights) if crossed else None,
        rank=rank,
        notes=() if exact else (note,),
    )


def nests_in(finer: Codes, coarser: Codes) -> bool:
    """Return whether all rows of each level of the first factor are at one level of the other."""
    home = np.empty(int(finer.max()) + 1, dtype=np.intp)
    home[finer] = coarser
    return bool((home[finer] == coarser).all())


def rank_nested_in(absorption: Absorption, clusters: Codes) -> int:
    """Return the parameters of those absorbed factors whose levels lie each in one cluster."""
    swept = () if absorption.cells is None else (absorption.cells,)
    factors = (*swept, *absorption.crossed, *absorption.columns)
    nested = [codes for codes in factors if nests_in(codes, clusters)]
    nested.sort(key=lambda codes: -int(codes.max()))
    return joint_rank(nested)[0] if nested else 0
