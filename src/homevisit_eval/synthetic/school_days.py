"""Which school days of a student are eventful, of one random number a day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled

__all__ = ["eventful_days"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@compiled
def eventful_days(  # noqa: PLR0917, compiled functions take positions
    uniform: NDArray[np.float32],
    propensity: Floats,
    late: Floats,
    factor: Floats,
    open_days: Booleans,
    position: Integers,
    spells: Integers,
) -> tuple[Integers, Integers]:
    """Return (row, column) of the enrolled days with an extreme random number, row by row.

    Parameters
    ----------
    uniform
        Shape (n, k), one number for each row and each day on which any school is open.
    propensity, late
        Shape (n,): a day is eventful if its number is below ``propensity * factor``, or not
        below `late`.
    factor
        Shape (k,).
    open_days
        Shape (schools, k).
    position
        Shape (k,), positions of the days in the calendar.
    spells
        Shape (n, 6): school, first and last position of the first spell, then of the second,
        whose school is -1 if there is none.
    """
    n, k = uniform.shape
    rows = np.empty(n * 8 + 64, np.int64)
    columns = np.empty(n * 8 + 64, np.int64)
    count = 0
    for row in range(n):
        if count + k > len(rows):
            more = np.empty(2 * len(rows) + k, np.int64)
            more[:count] = rows[:count]
            rows = more
            more = np.empty(2 * len(columns) + k, np.int64)
            more[:count] = columns[:count]
            columns = more
        school, start, stop = spells[row, 0], spells[row, 1], spells[row, 2]
        second, second_start, second_stop = spells[row, 3], spells[row, 4], spells[row, 5]
        for column in range(k):
            u = uniform[row, column]
            if u >= propensity[row] * factor[column] and u < late[row]:
                continue
            at = position[column]
            enrolled = start <= at <= stop and open_days[school, column]
            if second >= 0 and second_start <= at <= second_stop and open_days[second, column]:
                enrolled = True
            if enrolled:
                rows[count], columns[count] = row, column
                count += 1
    return rows[:count].copy(), columns[:count].copy()
