"""Changing single lines of delivered files, and checking them without showing a value."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from homevisit_eval.sources import Problem, SourceReport, check_sources

__all__ = ["append", "change", "check", "contents", "found", "rewrite", "to_parquet"]

SECRET = re.compile(r"SYN\d|QQQ|T0\d{3}|V0\d{4}|I0\d{4}|R0\d{3}|\bH0\d|2014-08-\d\d(?!\W)", re.I)
EXAMPLE_IN_MESSAGES = "2014-08-25"


def append(folder: Path, name: str, *lines: str) -> None:
    """Add lines to the end of a table's CSV file."""
    with (folder / f"{name}.csv").open("a", encoding="utf-8", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)


def change(folder: Path, name: str, line: int, old: str, new: str) -> None:
    """Replace text in one line (the header is line 1) of a table's CSV file."""
    path = folder / f"{name}.csv"
    lines = path.read_text("utf-8").split("\n")
    assert old in lines[line - 1], "the test must change something"
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_bytes("\n".join(lines).encode())


def rewrite(folder: Path, name: str, old: str, new: str) -> None:
    """Replace text in a whole CSV file."""
    path = folder / f"{name}.csv"
    text = path.read_text("utf-8")
    assert old in text, "the test must change something"
    path.write_bytes(text.replace(old, new).encode())


def to_parquet(folder: Path, name: str, select: str = "*") -> None:
    """Store a table as Parquet, all columns as text unless `select` says otherwise."""
    source, target = folder / f"{name}.csv", folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {select} FROM read_csv('{source}', all_varchar=true, header=true)) "
            f"TO '{target}' (FORMAT parquet)"
        ).fetchall()
    source.unlink()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def check(folder: Path) -> SourceReport:
    """Check a folder; make sure that no file changes and nothing printable holds a value."""
    before = contents(folder)
    report = check_sources(folder)
    assert contents(folder) == before, "reading must not touch what was delivered"
    for text in (report.text(), repr(report), report._repr_html_()):
        assert not SECRET.search(text.replace(EXAMPLE_IN_MESSAGES, ""))
    return report


def found(report: SourceReport, rule: str) -> Problem:
    """Return the one problem of a rule."""
    (problem,) = [problem for problem in report.problems if problem.rule == rule]
    return problem
