"""An assignment of rows to columns, and what it is made from (arrays)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Assignment", "Lists", "Rows"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Lists(NamedTuple):
    """Neighbors of each row's unit, cheapest first.

    Attributes
    ----------
    start : array of int, shape (lists + 1,)
    member : array of int, shape (m,)
        Numbers of the units on the side of the columns.
    cost : array of shape (m,)
        Ascending within a list.
    radius : array of shape (lists,)
        Neighbors that are not listed cost at least this; infinite if all are listed.
    """

    start: Integers
    member: Integers
    cost: FloatArray
    radius: FloatArray


class Rows(NamedTuple):
    """Those who are to be assigned.

    Attributes
    ----------
    unit : array of int, shape (rows,)
        Whose list is the row's; several rows of a unit are its slots.
    price : array of shape (rows,)
        The cost of staying without a column; infinite: only if there is no way around it.
    gives_way : array of bool, shape (rows,)
        Whether a row with an infinite price may lose its column to another such row.
    """

    unit: Integers
    price: FloatArray
    gives_way: Flags


class Assignment(NamedTuple):
    """An optimal assignment of the rows treated so far, with the prices that prove it.

    Attributes
    ----------
    row_dual, col_dual : arrays of shape (rows,), (columns,)
        Their sum is at most the cost of each pair, and equal to it for pairs made; a free
        column has 0.
    col_of_row, row_of_col : arrays of int
        -1 without.
    closed : array of int, shape (columns,)
        1: columns all of which are taken, and whose rows have no neighbor outside of them, so
        that a further row gets one of them only if another goes without. 2: columns that no
        further row may have. Else 0.
    """

    row_dual: FloatArray
    col_dual: FloatArray
    col_of_row: Integers
    row_of_col: Integers
    closed: Integers

    @classmethod
    def empty(cls, rows: int, columns: int) -> Assignment:
        """Return the assignment of nobody to nothing."""
        return cls(
            row_dual=np.zeros(rows),
            col_dual=np.zeros(columns),
            col_of_row=np.full(rows, -1, dtype=np.int64),
            row_of_col=np.full(columns, -1, dtype=np.int64),
            closed=np.zeros(columns, dtype=np.int64),
        )

    def copied(self) -> Assignment:
        """Return an assignment that may be changed without changing this one."""
        return Assignment(
            self.row_dual.copy(),
            self.col_dual.copy(),
            self.col_of_row.copy(),
            self.row_of_col.copy(),
            self.closed.copy(),
        )
