"""Covariates of a data frame -> the columns of a propensity model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.frame.checks import is_category
from homevisit_eval.matching.frame.row_view import Columns

__all__ = ["INTERCEPT", "DesignMatrix", "factor_levels", "make_design_matrix"]

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DesignMatrix:
    """The columns of a propensity model.

    Attributes
    ----------
    columns : array of shape (n, k)
        The intercept first. Each column lies in one piece of memory.
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
    frame: Columns, covariates: Sequence[str], squared: Sequence[str] = ()
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
    types = frame.dtypes
    factors = {name: factor_levels(frame[name]) for name in covariates if is_category(types[name])}
    if stray := [name for name in factors if name in squared]:
        raise MatchingError(f"squared: {stray[0]} holds categories; only numbers have squares.")
    names = _names(covariates, squared, {name: levels for name, (_, levels) in factors.items()})
    columns = np.empty((len(names), len(frame)))  # once: it is the largest array of a fit
    columns[0] = 1.0
    number = 1
    for name in covariates:
        if name in factors:
            codes, levels = factors[name]
            for code in range(1, len(levels)):
                np.equal(codes, code, out=columns[number])
                number += 1
            continue
        columns[number] = frame[name].to_numpy(dtype=np.float64)
        if name in squared:
            values, square = columns[number], columns[number + 1]
            np.subtract(values, values.mean(), out=square)
            square **= 2
            number += 1
        number += 1
    return DesignMatrix(columns.T, names)


def _names(
    covariates: Sequence[str], squared: Sequence[str], factors: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    names = [INTERCEPT]
    for name in covariates:
        if name in factors:
            names += [f"{name}: {level}" for level in factors[name][1:]]
        else:
            names += [name, f"{name} squared"] if name in squared else [name]
    return tuple(names)


def factor_levels(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return a code for each row and the levels that occur, in order; a missing value is -1."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(str).where(column.notna()).astype("category")
    used = column.cat.remove_unused_categories()
    codes: NDArray[np.int64] = used.cat.codes.to_numpy().astype(np.int64)
    return codes, tuple(str(level) for level in used.cat.categories)
