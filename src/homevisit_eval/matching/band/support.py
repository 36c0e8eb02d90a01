"""Units that have no counterpart: levels of a covariate that only one of the groups has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.disclosure import shown_count
from homevisit_eval.matching.frame import Columns, factor_levels, is_factor

__all__ = ["OneSidedLevel", "Support", "find_support"]


@dataclass(frozen=True, slots=True)
class OneSidedLevel:
    """A level that only treated, or only comparison units have."""

    covariate: str
    category: str
    group: str
    count: int

    def __str__(self) -> str:
        """Return a sentence; counts under 10 as "<10"."""
        other = "comparison" if self.group == "treated" else "treated"
        return (
            f"{self.covariate} {self.category} has no {other} unit: {shown_count(self.count)} "
            f"{self.group} unit(s) left out of the propensity model"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Support:
    """Which rows have a counterpart in the other group.

    Attributes
    ----------
    inside : array of bool, shape (n,)
    covariate : array of str, shape (n,)
        For rows outside, the covariate whose level has no counterpart; else empty.
    levels
        What was found, in order.
    """

    inside: NDArray[np.bool_]
    covariate: NDArray[np.object_]
    levels: tuple[OneSidedLevel, ...]

    def __repr__(self) -> str:
        """Show the levels found."""
        return f"Support({'; '.join(map(str, self.levels)) or 'every level has both groups'})"


def find_support(frame: Columns, covariates: Sequence[str], treated: NDArray[np.int64]) -> Support:
    """Find rows with a level of a factor, or a value of a two-valued number, that one group lacks.

    In a logit the coefficient of such a level has no finite value (its fitted probability is 0
    or 1), so these rows cannot be scored and can have no match. They are set aside by name
    before the fit; what is left is looked at again until every level has both groups.
    """
    inside = np.ones(len(frame), dtype=bool)
    covariate = np.full(len(frame), "", dtype=object)
    coded = list(_coded(frame, covariates))
    found: list[OneSidedLevel] = []
    changed = True
    while changed and inside.any():
        changed = False
        for name, codes, levels in coded:
            counts = [
                np.bincount(codes[inside & (treated == group)], minlength=len(levels))
                for group in (0, 1)
            ]
            for code in np.flatnonzero((counts[0] == 0) != (counts[1] == 0)):
                group = "treated" if counts[0][code] == 0 else "comparison"
                rows = inside & (codes == code)
                found.append(OneSidedLevel(name, levels[code], group, int(rows.sum())))
                covariate[rows] = name
                inside[rows] = False
                changed = True
    return Support(inside, covariate, tuple(found))


def _coded(
    frame: Columns, covariates: Sequence[str]
) -> Iterator[tuple[str, NDArray[np.int64], tuple[str, ...]]]:
    for name in covariates:
        column = frame[name]
        if is_factor(column):
            yield name, *factor_levels(column)
            continue
        values = column.to_numpy(dtype=np.float64)
        low, high = values.min(), values.max()
        if low < high and ((values == low) | (values == high)).all():
            yield name, (values == high).astype(np.int64), (f"= {low:g}", f"= {high:g}")
