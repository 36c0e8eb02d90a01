"""What was found in the files: problems, the rules they break, and the report of a check.

A problem says where, what and how many, the first places and what to do. It never holds a value
of a record, nor a header or file name that the data dictionary does not know (a file without a
header line shows its first record there).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from homevisit_eval.sources.rule_catalogue import RULES

__all__ = ["Problem", "Severity", "SourceFile", "SourceReport", "render_problems"]

Severity = Literal["error", "decision"]
FOLDER = "(folder)"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that was read.

    Parameters
    ----------
    name
        File name within the folder.
    sha256
        Checksum of the bytes as delivered, 64 hexadecimal digits.
    rows
        Records after the header line, blank ones not counted.
    encoding
        ``"utf-8"``, ``"utf-8-sig"`` (with a mark), ``"utf-16"``, ``"cp1252"``; ``"parquet"`` for
        Parquet files.
    delimiter
        Of a CSV file; empty for Parquet.
    """

    name: str
    sha256: str
    rows: int
    encoding: str
    delimiter: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that rows of one file break, or one decision about them.

    Parameters
    ----------
    file
        File name, ``"(folder)"`` for what concerns the folder as a whole, or its path if it is
        not there.
    rule
        Name of the rule, a key of `RULES`.
    severity
        ``"error"``: the files cannot be used. ``"decision"``: they can, and this was decided.
    column
        Column or columns concerned; empty if none in particular.
    count
        How many rows (or columns, files: see the rule) it concerns.
    lines
        The first three places: line numbers of a CSV file as a text editor counts them (the header
        is line 1), row numbers of a Parquet file (the first row is 1).
    advice
        What to do, or what was done.
    detail
        More about what was found, never a value.
    """

    file: str
    rule: str
    severity: Severity
    column: str
    count: int
    lines: tuple[int, ...]
    advice: str
    detail: str = ""

    @property
    def text(self) -> str:
        """The problem in one or two sentences."""
        rule = RULES[self.rule]
        what = rule.describe(self.column)
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.file}: {what}{detail}{self._how_many(rule.unit)}. {self.advice}"

    def _how_many(self, unit: str) -> str:
        if not unit:
            return ""
        plural = "" if self.count == 1 else "s"
        text = f": {self.count:,} {unit}{plural}"
        if self.lines:
            places = "row" if self.file.lower().endswith(".parquet") else "line"
            several = "" if len(self.lines) == 1 else "s"
            first = "first at" if self.count > len(self.lines) else "at"
            text += f", {first} {places}{several} {', '.join(f'{n}' for n in self.lines)}"
        return text


def make_problem(
    file: str,
    rule: str,
    *,
    column: str = "",
    count: int = 1,
    lines: Sequence[int] = (),
    detail: str = "",
) -> Problem:
    """Return the problem of `rule` with the severity and advice of the catalogue."""
    entry = RULES[rule]
    return Problem(
        file, rule, entry.severity, column, count, tuple(lines[:3]), entry.advice, detail
    )


def render_problems(problems: Sequence[Problem]) -> str:
    """Return the problems as text, grouped by file and rule, errors of a file first."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.file, []).append(problem)
    parts = []
    for file in sorted(groups):
        lines = [file]
        for problem in sorted(groups[file], key=lambda p: (p.severity != "error", p.rule)):
            lines.append(f"  {problem.severity}: {problem.text.removeprefix(f'{file}: ')}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """All problems and decisions of a folder of raw tables.

    Parameters
    ----------
    problems
        Errors and decisions, grouped by file, then rule.
    files
        What was read.
    """

    problems: tuple[Problem, ...]
    files: tuple[SourceFile, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems because of which the files cannot be used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def decisions(self) -> tuple[Problem, ...]:
        """What was decided about usable rows, with counts."""
        return tuple(problem for problem in self.problems if problem.severity == "decision")

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def text(self) -> str:
        """Return the report as plain text: one summary line, then file by file."""
        rows = sum(file.rows for file in self.files)
        summary = (
            f"{_count(len(self.files), 'file')}, {_count(rows, 'row')}: "
            f"{_count(len(self.errors), 'error')}, {_count(len(self.decisions), 'decision')}."
        )
        details = render_problems(self.problems)
        return f"{summary}\n\n{details}" if details else summary

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text())}</pre>"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
