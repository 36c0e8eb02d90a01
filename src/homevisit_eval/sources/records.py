"""Irregular CSV files, record by record: quotation marks, line ends in quotes, broken lines.

Only files that the engine does not read one record a line come here. They are written again in a
form without ambiguity: one record a line, its physical line number first, fields separated by a
character that no text holds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from homevisit_eval.sources.header import LONGEST_RECORD, Header
from homevisit_eval.sources.problems import Problem, make_problem

__all__ = ["SEPARATOR", "rewrite_records"]

SEPARATOR = "\x1f"


@dataclass(slots=True)
class _Places:
    """Line numbers per rule, counted; the first three are kept."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, list[int]] = field(default_factory=dict)

    def add(self, rule: str, line: int) -> None:
        self.counts[rule] = self.counts.get(rule, 0) + 1
        places = self.first.setdefault(rule, [])
        if len(places) < 3:
            places.append(line)


def rewrite_records(file: str, path: Path, header: Header, target: Path) -> list[Problem]:
    """Write the records of a CSV file to `target`, with line numbers, and return what was wrong.

    Parameters
    ----------
    file
        Name for the problems.
    path
        A UTF-8 file.
    header
        Its delimiter and number of fields.
    target
        A file in a private folder: ``line SEPARATOR field SEPARATOR field ...``.

    Returns
    -------
    list of Problem
        Short and long lines and stray quotes; such records are not written. Blank lines
        between records are written as records of empty cells; empty fields after the last column
        are left out.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    """
    places = _Places()
    with (
        path.open(encoding="utf-8-sig", newline=None) as source,
        target.open("w", encoding="utf-8", newline="\n") as out,
    ):
        records = _records(source, header.delimiter, places)
        next(records, None)
        blank: list[int] = []
        for line, fields in records:
            if not any(fields):
                blank.append(line)
                continue
            out.writelines(f"{number}{SEPARATOR * header.width}\n" for number in blank)
            blank.clear()
            row = _of_width(fields, header.width, line, places)
            if row is not None:
                out.write(f"{line}{SEPARATOR}{_join(row)}\n")
    return [
        make_problem(file, rule, count=count, lines=places.first[rule])
        for rule, count in sorted(places.counts.items())
    ]


def _join(fields: list[str]) -> str:
    text = SEPARATOR.join(fields)
    if "\n" in text or text.count(SEPARATOR) != len(fields) - 1:
        text = SEPARATOR.join(field.replace("\n", " ").replace(SEPARATOR, " ") for field in fields)
    return text


def _of_width(fields: list[str], width: int, line: int, places: _Places) -> list[str] | None:
    if len(fields) == width:
        return fields
    if len(fields) < width:
        places.add("short_line", line)
        return None
    if any(field.strip() for field in fields[width:]):
        places.add("long_line", line)
        return None
    return fields[:width]


def _records(
    lines: Iterator[str], delimiter: str, places: _Places
) -> Iterator[tuple[int, list[str]]]:
    """Yield the physical line number and fields of each record.

    A record goes on to the next line while its quotation marks are unpaired. One that finds no
    end within `LONGEST_RECORD` lines has a stray mark: its first line is reported and left out,
    and reading goes on with the line after it.
    """
    waiting: list[str] = []
    number = 0
    while True:
        if not waiting:
            text = next(lines, None)
            if text is None:
                return
            waiting.append(text)
        taken, fields = _first_record(waiting, delimiter)
        while taken == 0 and len(waiting) < LONGEST_RECORD:
            text = next(lines, None)
            if text is None:
                break
            waiting.append(text)
            taken, fields = _first_record(waiting, delimiter)
        if fields is None:
            places.add("stray_quote", number + 1)
        else:
            yield number + 1, fields
        taken = max(taken, 1)
        number += taken
        del waiting[:taken]


def _first_record(waiting: list[str], delimiter: str) -> tuple[int, list[str] | None]:
    """Return how many of the lines make up the first record, and its fields.

    0 lines if it has no end yet; no fields if its marks are out of place.
    """
    if '"' not in waiting[0]:
        return 1, waiting[0].rstrip("\n").split(delimiter)
    marks = 0
    for count, text in enumerate(waiting, start=1):
        marks += text.count('"')
        if marks % 2 == 0:
            reader = csv.reader(waiting[:count], delimiter=delimiter, strict=True)
            try:
                fields = next(reader, [])
            except csv.Error:
                return 1, None
            return max(reader.line_num, 1), fields
    return 0, None
