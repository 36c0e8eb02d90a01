"""The first line of a CSV file: how fields are separated, and which column stands where."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homevisit_eval.sources.columns import TableSchema
from homevisit_eval.sources.problems import Problem, make_problem

__all__ = ["DELIMITERS", "Header", "match_columns", "read_header"]

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST_RECORD = 20


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns of a table stand.

    Parameters
    ----------
    positions
        Column name -> position from 0, for the columns that are there.
    width
        Number of fields in a record.
    delimiter
        Between fields; empty for Parquet.
    """

    positions: dict[str, int]
    width: int
    delimiter: str


def read_header(path: Path, schema: TableSchema) -> tuple[list[str], str]:
    """Return the fields of the header and the delimiter with which it shows most known columns.

    Parameters
    ----------
    path
        A UTF-8 file, with or without byte-order mark.
    schema
        The table that it should hold.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open(encoding="utf-8-sig", newline=None) as file:
        text = file.readline()
        for _ in range(LONGEST_RECORD):
            if text.count('"') % 2 == 0:
                break
            text += file.readline()
    candidates = {delimiter: _split(text, delimiter) for delimiter in DELIMITERS}

    def known(delimiter: str) -> int:
        return sum(plain(field) in schema.names for field in candidates[delimiter])

    best = max(DELIMITERS, key=known)
    return candidates[best], best


def _split(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text.rstrip("\n")], delimiter=delimiter), [])
    except csv.Error:
        return text.rstrip("\n").split(delimiter)


def plain(field: str) -> str:
    """Return a header in the form in which headers are compared."""
    return "_".join(field.strip().lower().replace("-", " ").replace("_", " ").split())


def match_columns(
    file: str, fields: Sequence[str], delimiter: str, schema: TableSchema
) -> tuple[Header, list[Problem]]:
    """Find the columns of a table among the fields of a header.

    Returns
    -------
    Header
        The first place of each known column.
    list of Problem
        Missing, doubled, unknown and differently spelled columns. An unknown header is named by
        its position only: in a file without a header line it would be a value.
    """
    positions: dict[str, int] = {}
    unknown: list[int] = []
    doubled: dict[str, int] = {}
    respelled: list[str] = []
    for position, field in enumerate(fields):
        name = plain(field)
        if name not in schema.names:
            unknown.append(position)
        elif name in positions:
            doubled[name] = doubled.get(name, 1) + 1
        else:
            positions[name] = position
            if field != name:
                respelled.append(name)
    problems = [
        make_problem(file, "duplicate_column", column=name, count=count)
        for name, count in doubled.items()
    ]
    problems += _missing(file, schema, positions)
    if unknown:
        detail = _describe_unknown(fields, unknown, schema, positions)
        problems.append(make_problem(file, "extra_column", count=len(unknown), detail=detail))
    if respelled:
        names = ", ".join(respelled)
        problems.append(make_problem(file, "header_spelling", column=names, count=len(respelled)))
    return Header(positions, len(fields), delimiter), problems


def _missing(file: str, schema: TableSchema, positions: dict[str, int]) -> list[Problem]:
    absent = [column for column in schema.columns if column.name not in positions]
    if len(absent) == len(schema.columns):
        detail = "no known name in the first line, which must be the header"
        names = ", ".join(column.name for column in absent if column.required)
        return [make_problem(file, "missing_column", column=names, detail=detail)]
    return [
        make_problem(
            file, "missing_column" if column.required else "absent_column", column=column.name
        )
        for column in absent
        if column.required or not column.descriptive
    ]


def _describe_unknown(
    fields: Sequence[str], unknown: Sequence[int], schema: TableSchema, found: dict[str, int]
) -> str:
    """Describe unknown headers by position, and the known name that each may stand for."""
    open_names = [name for name in schema.names if name not in found]
    parts = []
    for position in unknown[:10]:
        near = difflib.get_close_matches(plain(fields[position]), open_names, n=1, cutoff=0.75)
        parts.append(f"column {position + 1}" + (f", is it {near[0]}?" if near else ""))
    if len(unknown) > len(parts):
        parts.append(f"and {len(unknown) - len(parts)} more")
    return "; ".join(parts)
