"""Covariates of a data frame -> the columns of a propensity model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.frame.checks import is_factor

__all__ = ["INTERCEPT", "DesignMatrix", "factor_levels", "make_design_matrix"]

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DesignMatrix:
    """The columns of a propensity model.

    Attributes
    ----------
    columns : array of shape (n, k)
        The intercept first.
    names
        For example ``"age_for_grade"``, ``"race_ethnicity: hispanic"``,
        ``"attendance_rate_prior squared"``.
    """

    columns: NDArray[np.float64]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Show shape and names, no rows."""
        return f"DesignMatrix({self.columns.shape[0]} rows: {', '.join(self.names)})"


def make_design_matrix(
    frame: pd.DataFrame, covariates: Sequence[str], squared: Sequence[str] = ()
) -> DesignMatrix:
    """Return intercept, covariates, and squares of the covariates named in `squared`.

    A factor gives one 0/1 column for each level but the first (its category order, else sorted
    as text). A square is that of the value less its mean over the rows of `frame`.

    Raises
    ------
    MatchingError
        If a factor is to be squared, or a square is asked of what is no covariate.
    """
    stray = [name for name in squared if name not in covariates]
    if stray:
        raise MatchingError(
            f"squared: {', '.join(stray)} is not among the covariates. Name it there as well."
        )
    names = [INTERCEPT]
    columns = [np.ones(len(frame))]
    for name in covariates:
        column = frame[name]
        if is_factor(column):
            if name in squared:
                raise MatchingError(f"squared: {name} holds categories; only numbers have squares.")
            codes, levels = factor_levels(column)
            names += [f"{name}: {level}" for level in levels[1:]]
            columns += [(codes == code).astype(np.float64) for code in range(1, len(levels))]
            continue
        values = column.to_numpy(dtype=np.float64)
        names.append(name)
        columns.append(values)
        if name in squared:
            names.append(f"{name} squared")
            columns.append((values - values.mean()) ** 2)
    return DesignMatrix(np.array(columns).T, tuple(names))  # columns lie in one piece each


def factor_levels(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return a code for each row and the levels that occur, in order; a missing value is -1."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(str).where(column.notna()).astype("category")
    used = column.cat.remove_unused_categories()
    codes: NDArray[np.int64] = used.cat.codes.to_numpy().astype(np.int64)
    return codes, tuple(str(level) for level in used.cat.categories)
