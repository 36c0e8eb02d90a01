"""Comparing the numbers of two report folders, table by table and cell by cell."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homevisit_eval.cli.output_folder import MANIFEST
from homevisit_eval.errors import OutputError

__all__ = ["Difference", "compare_tables", "read_tables"]

RELATIVE_TOLERANCE = 1e-9  # rounding differs by platform; anything larger is another number

ABOUT_FILES = ("C6", "C8", "D1")
FIRST = ("T1", "B1", "B10")
LONGEST_TEXT = 60

Rows = list[list[str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two reports differ."""

    table: str
    place: str
    old: str
    new: str

    def __str__(self) -> str:
        """Return the place with the old and the new number."""
        return f"{self.table}, {self.place}: {_short(self.old)} -> {_short(self.new)}"


def read_tables(folder: Path) -> dict[str, Rows]:
    """Return the tables of a report folder by name.

    Raises
    ------
    OutputError
        If the folder is not the result of an earlier run.
    """
    if not (folder / MANIFEST).is_file():
        raise OutputError(
            f"{folder}: holds no {MANIFEST}, so there is nothing to compare with. Give the folder "
            "of an earlier run."
        )
    tables = {}
    for path in sorted((folder / "tables").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            tables[path.stem] = list(csv.reader(lines))
    return tables


def compare_tables(old: Mapping[str, Rows], new: Mapping[str, Rows]) -> list[Difference]:
    """List every table, row and cell in which two reports differ, key findings first.

    Tables about the files themselves (their checksums, what was decided about them, how the
    design's differ) are left out: the same records and choices may come in other files.
    """
    differences = []
    names = {name for name in [*old, *new] if name not in ABOUT_FILES}
    for name in sorted(names, key=lambda name: (name not in FIRST, name)):
        if name not in old or name not in new:
            here = "present" if name in old else "absent"
            there = "present" if name in new else "absent"
            differences.append(Difference(name, "whole table", here, there))
        else:
            differences += _compare_rows(name, old[name], new[name])
    return differences


def _compare_rows(name: str, old: Rows, new: Rows) -> list[Difference]:
    widths = [[len(row) for row in rows] for rows in (old, new)]
    if widths[0] != widths[1] or len(set(widths[0])) != 1 or old[0] != new[0]:
        shapes = [
            f"{len(rows)} lines, columns {', '.join(rows[0] if rows else [])}"
            for rows in (old, new)
        ]
        return [Difference(name, "shape", *shapes)]
    return [
        Difference(name, f"line {line} ({_short(new_row[0])}), column {column}", before, after)
        for line, (old_row, new_row) in enumerate(zip(old, new, strict=True), start=1)
        for column, before, after in zip(old[0], old_row, new_row, strict=True)
        if not _same(before, after)
    ]


def _same(before: str, after: str) -> bool:
    if before == after:
        return True
    try:
        return math.isclose(float(before), float(after), rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-15)
    except ValueError:
        return False


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."
