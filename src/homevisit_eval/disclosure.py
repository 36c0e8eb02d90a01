"""What may leave the building: numbers that rest on few students are not shown.

The rule is simple and is applied once, before any format: a count of 1 to 9 students is hidden,
with every number built on it; a share that gives such a count away is hidden too; and where hidden
cells could be found from a sum, more is hidden. Sums over several tables are not searched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from homevisit_eval.errors import DesignError
from homevisit_eval.table import PERCENT_OF_STUDENTS, Cell, HidingRule, Sum, Table

__all__ = [
    "SMALLEST_COUNT_SHOWN",
    "HiddenCell",
    "hidden_cells",
    "is_few",
    "round_where_few_are_lost",
    "share_tells_few",
    "shown_count",
    "shown_of",
    "suppress_small_counts",
    "total_tells_few",
]

SMALLEST_COUNT_SHOWN = 10
ROUNDED_NOTE = (
    "Where fewer than ten of the matched students lack the outcome, the count shown is that of "
    "the matched less nine, rounded down to a ten."
)


def shown_count(count: int) -> str:
    """Return a count of students as text: ``"<10"`` from 1 to 9.

    >>> shown_count(1234), shown_count(9), shown_count(0)
    ('1,234', '<10', '0')
    """
    if 0 < count < SMALLEST_COUNT_SHOWN:
        return f"<{SMALLEST_COUNT_SHOWN}"
    return f"{count:,}"


def is_few(count: float, threshold: int = SMALLEST_COUNT_SHOWN) -> bool:
    """Say whether a count is of 1 to 9 (of 1 to `threshold` - 1).

    >>> is_few(0), is_few(3), is_few(10), is_few(float("nan"))
    (False, True, False, False)
    """
    return 0.5 <= count < threshold - 0.5


def share_tells_few(share: float, count: float, threshold: int = SMALLEST_COUNT_SHOWN) -> bool:
    """Say whether a share of a count stands for few, or for all but few.

    >>> share_tells_few(0.03, 100), share_tells_few(0.97, 100), share_tells_few(0.5, 100)
    (True, True, False)
    """
    among = share * count
    return is_few(among, threshold) or is_few(count - among, threshold)


def total_tells_few(mean: float, count: float) -> bool:
    """Say whether a mean of what is counted tells of fewer than ten incidents or days in all.

    They are then of fewer than ten students.

    >>> total_tells_few(1 / 64, 64), total_tells_few(10 / 64, 64), total_tells_few(0.0, 64)
    (True, False, False)
    """
    return 0 < mean * count < SMALLEST_COUNT_SHOWN - 1e-6


def shown_of(count: int, whole: int) -> int:
    """Return a count of at least 10; if few of the whole are not in it, the whole less 9, in tens.

    It is rounded down. What is printed then depends on the whole only, so that a subtraction tells
    no more than that 1 to 9 are lacking.

    >>> shown_of(496, 498), shown_of(480, 498), shown_of(498, 498), shown_of(497, 498)
    (480, 480, 498, 480)
    """
    if not (count >= SMALLEST_COUNT_SHOWN and 0 < whole - count < SMALLEST_COUNT_SHOWN):
        return count
    fewest = whole - SMALLEST_COUNT_SHOWN + 1
    return max(fewest // SMALLEST_COUNT_SHOWN, 1) * SMALLEST_COUNT_SHOWN


def round_where_few_are_lost(table: Table, wholes: Mapping[str, Sequence[int]]) -> Table:
    """Return the table with counts made tens where another table's total would give away few.

    Parameters
    ----------
    table
        After `suppress_small_counts`, so that the rules saw the exact counts.
    wholes
        For each count column: of how many each row's count is what remains.

    Returns
    -------
    Table
        With a note if a count was rounded.
    """
    frame, rounded = table.frame.copy(), False
    for column, of in wholes.items():
        counts = frame[column]
        few = [
            not pd.isna(count) and 0 < whole - count < SMALLEST_COUNT_SHOWN
            for count, whole in zip(counts, of, strict=True)
        ]
        rounded |= any(few)
        frame[column] = [
            shown_of(int(count), whole) if is_few else count
            for count, whole, is_few in zip(counts, of, few, strict=True)
        ]
        frame[column] = frame[column].astype(counts.dtype)
    notes = (*table.notes, ROUNDED_NOTE) if rounded else table.notes
    return replace(table, frame=frame, notes=notes)


@dataclass(frozen=True, slots=True)
class HiddenCell:
    """One entry of the disclosure log: where a number was hidden and by which rule."""

    table: str
    row: str
    column: str
    rule: HidingRule


def hidden_cells(tables: Sequence[Table]) -> tuple[HiddenCell, ...]:
    """Return the disclosure log of some tables, in their order."""
    return tuple(
        HiddenCell(table.name, str(table.frame.iloc[row, 0]), column, rule)
        for table in tables
        for (row, column), rule in sorted(table.hidden.items())
    )


def suppress_small_counts(table: Table, threshold: int = SMALLEST_COUNT_SHOWN) -> Table:
    """Return the table with every number hidden that rests on fewer than `threshold` students.

    Parameters
    ----------
    table
        Its ``groups`` say which columns rest on which count, its ``sums`` which cells add up.
    threshold
        The smallest count of students that is shown; 0 is always shown.

    Returns
    -------
    Table
        A new table. Hidden values are missing from its frame, so no later format can show them.

    Raises
    ------
    DesignError
        If the threshold is not above 0.

    Notes
    -----
    Hidden are (1) counts from 1 to threshold - 1, with the columns that rest on them; (2) the
    columns that rest on a count, where a *share* times that count, or the rest of it, is such a
    count; (3) of every sum with exactly one hidden cell, or whose hidden parts together are below
    the threshold, one more cell: the smallest other part, else the total, else a zero, and one
    of the table's ``kept`` cells last; until no sum gives a cell away.
    """
    if threshold < 1:
        raise DesignError(f"threshold must be a whole number above 0; it is {threshold!r}.")
    hidden: dict[Cell, HidingRule] = dict(table.hidden)
    numbers = _Numbers(table.frame)
    for row in range(len(table.frame)):
        for column, kind in table.kinds.items():
            if kind == "count" and is_few(numbers[column][row], threshold):
                _hide(table, hidden, (row, column), "small count")
        for column, resting in table.groups.items():
            if _share_reveals(table, numbers, row, column, threshold):
                _hide_all(hidden, row, resting, "would reveal a small count")
    while cell := _first_to_hide(table, numbers, hidden, threshold):
        _hide(table, hidden, cell, "would reveal a small count")
    return replace(table, frame=_without(table.frame, hidden), hidden=hidden, threshold=threshold)


def _hide(table: Table, hidden: dict[Cell, HidingRule], cell: Cell, rule: HidingRule) -> None:
    hidden.setdefault(cell, rule)
    row, column = cell
    _hide_all(hidden, row, table.groups.get(column, ()), "rests on a small count")
    for resting in table.groups.values():
        if column in resting:
            _hide_all(hidden, row, resting, rule)


def _hide_all(
    hidden: dict[Cell, HidingRule], row: int, columns: Sequence[str], rule: HidingRule
) -> None:
    for column in columns:
        hidden.setdefault((row, column), rule)


def _share_reveals(
    table: Table, numbers: _Numbers, row: int, count_column: str, threshold: int
) -> bool:
    count = numbers[count_column][row]
    if math.isnan(count):
        return False
    of_students = bool(table.unit) and table.frame[table.unit].iloc[row] == PERCENT_OF_STUDENTS
    for column in table.groups[count_column]:
        is_share = table.kinds[column] == "share" or (of_students and table.kinds[column] == "mean")
        if is_share and share_tells_few(numbers[column][row], count, threshold):
            return True
    return False


def _first_to_hide(
    table: Table, numbers: _Numbers, hidden: dict[Cell, HidingRule], threshold: int
) -> Cell | None:
    found = (_next_to_hide(table, numbers, hidden, one, threshold) for one in table.sums)
    return next((cell for cell in found if cell is not None), None)


def _next_to_hide(
    table: Table, numbers: _Numbers, hidden: dict[Cell, HidingRule], one: Sum, threshold: int
) -> Cell | None:
    """Return the cell that must be hidden so that `one` gives nothing away; None if none must."""
    total_is_known = one.total is None or one.total not in hidden
    parts = [cell for cell in one.parts if cell in hidden]
    others = [cell for cell in one.parts if cell not in hidden]
    if not total_is_known:
        if parts or not others:
            return None
    elif not parts:
        return None
    elif len(parts) > 1:
        values = [numbers[column][row] for row, column in parts]
        counts = all(table.kinds[column] == "count" for _, column in parts)
        if not counts or any(map(math.isnan, values)) or sum(values) >= threshold:
            return None
    if total_is_known and one.total is not None:
        others.append(one.total)
    return min(others, key=lambda cell: _reluctance(table, numbers, cell, one), default=None)


def _reluctance(
    table: Table, numbers: _Numbers, cell: Cell, one: Sum
) -> tuple[bool, bool, bool, float]:
    row, column = cell
    value = numbers[column][row]
    return (cell in table.kept, value == 0, cell == one.total, value)


class _Numbers(dict[str, list[float]]):
    """The numbers of each column that is asked for, read from the frame once; NaN if missing."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__()
        self._frame = frame

    def __missing__(self, column: str) -> list[float]:
        values = self._frame[column]
        self[column] = [math.nan if pd.isna(value) else float(value) for value in values]
        return self[column]


def _without(frame: pd.DataFrame, hidden: dict[Cell, HidingRule]) -> pd.DataFrame:
    safe = frame.copy()
    hidden_rows: dict[str, list[int]] = {}
    for row, column in hidden:
        hidden_rows.setdefault(column, []).append(row)
    for column, rows in hidden_rows.items():
        values = safe[column].astype(object)
        values.iloc[rows] = None
        if pd.api.types.is_integer_dtype(frame[column].dtype):
            safe[column] = values.astype("Int64")
        elif pd.api.types.is_float_dtype(frame[column].dtype):
            safe[column] = values.astype(float)
        else:
            safe[column] = values
    return safe
