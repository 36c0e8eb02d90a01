"""Some rows of a data frame in another order, read one column at a time: no copy of the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Columns", "RowView"]

Integers = NDArray[np.int64]


class Columns(Protocol):
    """Columns of equal length by name: a data frame, or a view of some of its rows."""

    @property
    def dtypes(self) -> pd.Series:
        """The type of each column, by name."""

    def __getitem__(self, name: str, /) -> pd.Series:
        """Return a column."""

    def __len__(self) -> int:
        """Return the number of rows."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowView:
    """Rows of a data frame; a column is put into their order when it is read.

    Attributes
    ----------
    frame
        The whole data frame.
    at : array of int, shape (n,)
        Positions in the frame.
    categories
        Columns that are read as categories, whatever they hold.
    """

    frame: pd.DataFrame
    at: Integers
    categories: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show the number of rows."""
        return f"RowView({len(self)} rows)"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.at)

    def __getitem__(self, name: str, /) -> pd.Series:
        """Return a column, its rows numbered from 0."""
        column = pd.Series(self.frame[name].array.take(self.at), name=name)
        return column.astype(str).astype("category") if name in self.categories else column

    @property
    def dtypes(self) -> pd.Series:
        """The type of each column, by name."""
        types = self.frame.dtypes
        if not self.categories:
            return types
        return types.where(~types.index.isin(self.categories), pd.CategoricalDtype())

    def take(self, rows: Integers) -> RowView:
        """Return some of these rows, by their position here; the view itself if all in order."""
        if len(rows) == len(self) and bool((rows[1:] > rows[:-1]).all()):
            return self
        return replace(self, at=self.at[rows])

    def with_categories(self, names: tuple[str, ...]) -> RowView:
        """Return the view with some columns read as categories."""
        return replace(self, categories=names)
