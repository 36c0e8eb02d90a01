"""A table of numbers with what is needed to print it: title, notes, kinds of columns.

A `Table` holds numbers until it is rendered. Percent signs, thousands separators and the words for
a hidden cell appear in `text`, `html` and `to_csv_text` only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from homevisit_eval.errors import DesignError
from homevisit_eval.table.cells import Kind, format_value, full_precision, missing

__all__ = ["HIDDEN", "SYNTHETIC", "Cell", "HidingRule", "Sum", "Table"]

HidingRule = Literal["small count", "rests on a small count", "would reveal a small count"]
Cell = tuple[int, str]
"""A row position and a column name of a table's frame."""

SYNTHETIC = "Synthetic data"
HIDDEN = "*"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Sum:
    """Cells of a table that add up, so that one hidden cell could be found from the others.

    Parameters
    ----------
    parts
        The cells that are added.
    total
        The cell that holds the sum; None if the reader knows it anyway (shares that make 1).
    """

    parts: tuple[Cell, ...]
    total: Cell | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """An immutable table of numbers, rendered last.

    Parameters
    ----------
    name, title
        The number in the report, for example ``"T1"`` (also the file name), and the heading. What
        follows an underscore tells files of one number apart and is not printed.
    frame : DataFrame
        One row a line, plain numbers: fractions, not percents. A copy is kept. The first column
        is the heading of its row.
    kinds
        For each column how its values are printed. Counts of *students* are ``"count"`` and are
        hidden by `suppress_small_counts` when few; other whole numbers are ``"whole_number"``.
        A ``"share"`` is one *of* the students that it rests on; of a ``"rate"`` they are the
        numerator.
    labels
        Column headings; the column name if not given.
    notes
        Printed below the table.
    synthetic
        Whether "Synthetic data" is written on the table.
    population
        Whom the numbers describe, as printed below the title.
    unit
        The text column that holds the unit of each row. In rows whose unit is ``"percent"`` or
        ``"percent of students"``, means are printed as percents and effects and spreads as
        percentage points; the second one says that the mean is a share of counted students.
    digits
        Decimals of a column, where they differ from those of its kind.
    row_formats
        For each row the kind and the decimals of its numbers, where rows are unlike: the kind
        holds in columns of kind ``"number"``, the decimals in all.
    spanners
        Headings over several adjoining columns.
    section
        The text column whose values stand as headings above groups of rows.
    detail
        The text column that is printed below each row, over the whole width.
    csv_only
        Columns that stand in the CSV only.
    groups
        For each count column, the columns whose numbers rest on those students.
    sums
        Cells that add up.
    kept
        Cells that other tables show as well; they are hidden only if nothing else protects a sum.
    hidden
        Cells that must not be shown, with the rule; their values are missing from `frame`.
    threshold
        Counts below it were hidden; 0 if nobody has looked yet.
    counted
        Who are counted, as the notes on hidden cells call them.

    Raises
    ------
    DesignError
        If a declared column is not in the frame, or a column has no kind.
    """

    name: str
    title: str
    frame: pd.DataFrame
    kinds: Mapping[str, Kind]
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    synthetic: bool = False
    population: str = ""
    unit: str = ""
    digits: Mapping[str, int] = field(default_factory=dict)
    row_formats: tuple[tuple[Kind, int], ...] = ()
    spanners: tuple[tuple[str, tuple[str, ...]], ...] = ()
    section: str = ""
    detail: str = ""
    csv_only: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sums: tuple[Sum, ...] = ()
    kept: frozenset[Cell] = frozenset()
    hidden: Mapping[Cell, HidingRule] = field(default_factory=dict)
    threshold: int = 0
    counted: str = "students"

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", self.frame.reset_index(drop=True))
        columns = set(self.frame.columns)
        declared = {
            *self.kinds, *self.labels, *self.digits, *self.csv_only, *self.groups,
            *(column for _, over in self.spanners for column in over),
            *(column for over in self.groups.values() for column in over),
            *(name for name in (self.unit, self.section, self.detail) if name),
            *(column for one in self.sums for _, column in _cells(one)),
        }  # fmt: skip
        if unknown := sorted(declared - columns):
            raise DesignError(
                f"table {self.name!r}: {', '.join(unknown)} is declared but is no column of frame; "
                "take it out or add the column."
            )
        if self.row_formats and len(self.row_formats) != len(self.frame):
            raise DesignError(
                f"table {self.name!r}: row_formats has {len(self.row_formats)} entries for "
                f"{len(self.frame)} rows; give one a row."
            )
        if without := [name for name in self.frame.columns if name not in self.kinds]:
            raise DesignError(
                f"table {self.name!r}: {', '.join(without)} has no kind; name one in kinds."
            )

    @property
    def number(self) -> str:
        """The number as printed: the name up to its first underscore."""
        return self.name.partition("_")[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the printed table, in order."""
        left_out = {self.section, self.detail, *self.csv_only}
        return tuple(name for name in self.frame.columns if name not in left_out)

    def label(self, column: str) -> str:
        """Return the heading of a column."""
        return self.labels.get(column, column)

    def cell(self, row: int, column: str) -> str:
        """Return one cell as it is printed."""
        rule = self.hidden.get((row, column))
        if rule is not None:
            return self._marker(rule)
        unit = str(self.frame[self.unit].iloc[row]) if self.unit else ""
        kind, digits = self.kinds[column], self.digits.get(column)
        if self.row_formats:
            row_kind, digits = self.row_formats[row]
            kind = row_kind if kind == "number" else kind
        return format_value(self.frame[column].iloc[row], kind, unit, digits)

    def text(self) -> str:
        """Return the table as aligned plain text, for a terminal."""
        from homevisit_eval.table.text import render_text

        return render_text(self)

    def html(self) -> str:
        """Return the table as one HTML ``<table>`` element: escaped, without style or script.

        Each number also stands at full precision in the attribute ``data-value`` of its cell.
        """
        from homevisit_eval.table.html import render_html

        return render_html(self)

    def to_csv_text(self) -> str:
        """Return the table as CSV: all columns, numbers at full precision, LF line ends.

        The first line holds the column names of `frame`. A hidden cell is ``<10`` where the count
        itself is small and ``*`` otherwise; a number that does not exist is empty. Text that a
        spreadsheet would read as a formula gets an apostrophe in front. What holds for the whole
        table stands on every line: ``population``, if it has one, and ``data``, if these are
        synthetic.
        """
        whole = {"population": self.population, "data": SYNTHETIC if self.synthetic else ""}
        said = {name: text for name, text in whole.items() if text}
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*self.frame.columns, *said])
        for row in range(len(self.frame)):
            cells = [self._csv_cell(row, column) for column in self.frame.columns]
            writer.writerow([*cells, *said.values()])
        return out.getvalue()

    def _csv_cell(self, row: int, column: str) -> str:
        rule = self.hidden.get((row, column))
        if rule is not None:
            return self._marker(rule)
        value = self.frame[column].iloc[row]
        if missing(value):
            return ""
        if self.kinds[column] == "text":
            text = " ".join(str(value).splitlines())
            return f"'{text}" if str(value).startswith(FORMULA_STARTS) else text
        return full_precision(value)

    def _marker(self, rule: HidingRule) -> str:
        return f"<{self.threshold}" if rule == "small count" else HIDDEN

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and the meaning of the marks of hidden cells if there are any."""
        if not self.hidden:
            return self.notes
        marks = {self._marker(rule) for rule in self.hidden.values()}
        few = f"<{self.threshold}"
        sentences = {
            few: f"{few}: from 1 to {self.threshold - 1} {self.counted}; not shown.",
            HIDDEN: f"{HIDDEN}: not shown, because it rests on fewer than {self.threshold} "
            f"{self.counted} or would reveal such a number.",
        }
        return (*self.notes, *(text for mark, text in sentences.items() if mark in marks))

    def sections(self) -> list[tuple[str, list[int]]]:
        """Return the headings of the groups of rows with the positions of their rows."""
        if not self.section:
            return [("", list(range(len(self.frame))))]
        found: list[tuple[str, list[int]]] = []
        for row, heading in enumerate(self.frame[self.section].astype(str)):
            if not found or found[-1][0] != heading:
                found.append((heading, []))
            found[-1][1].append(row)
        return found

    def row_detail(self, row: int) -> str:
        """Return the text printed below a row, or nothing."""
        if not self.detail or missing(self.frame[self.detail].iloc[row]):
            return ""
        return self.cell(row, self.detail)

    def __repr__(self) -> str:
        """Show the title, the size and the column names, never rows."""
        label = f"{SYNTHETIC.lower()}, " if self.synthetic else ""
        return (
            f"Table({label}{self.name} {self.title!r}: {len(self.frame)} rows, "
            f"columns {', '.join(self.frame.columns)})"
        )

    def _repr_html_(self) -> str:
        from homevisit_eval.table.html import TABLE_STYLE

        return f"<style>{TABLE_STYLE}</style>{self.html()}"


def _cells(one: Sum) -> tuple[Cell, ...]:
    return one.parts if one.total is None else (*one.parts, one.total)
