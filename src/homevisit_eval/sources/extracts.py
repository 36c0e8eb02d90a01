"""The validated tables of a district, in the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from html import escape
from types import TracebackType
from typing import Any

import duckdb
import narwhals as nw

from homevisit_eval.disclosure import shown_count
from homevisit_eval.sources.problems import Problem, SourceFile

__all__ = ["TABLES", "Sources"]

TABLES = (
    "schools",
    "calendar",
    "students",
    "enrollments",
    "characteristics",
    "absences",
    "visits",
    "incidents",
    "assessments",
    "staff",
    "rosters",
    "surveys",
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sources:
    """The raw tables of a district, checked and normalized.

    Tables are lazy (Narwhals over DuckDB): nothing is computed before it is asked for. Grades are
    integers (PK is -1, KG 0), yes/no columns booleans, dates dates. Use it in a ``with`` block, or
    call `close`, to free the memory; stages after it use the same connection.

    Parameters
    ----------
    schools, students, characteristics, visits
        As in the data dictionary.
    calendar
        One row per school_id, school_year and date, for every school.
    enrollments
        All spells; exit_date is never empty.
    absences
        student_id, school_id, date, category, fraction (of a day, never empty): records on
        instructional days within enrollment. What was left out is in `decisions`.
    incidents, assessments, staff, rosters, surveys
        As in the data dictionary; None if not delivered.
    files
        What was read, with checksums and rows.
    decisions
        What was decided about rows, with counts.
    district
        Name of the district.
    synthetic
        Whether the data are made up.
    connection
        The database that holds the tables.
    remove_temporary
        Removes the private folder to which the database writes what does not fit into memory.
    seed
        The seed of a synthetic district; None for a real one.
    """

    schools: nw.LazyFrame[Any]
    calendar: nw.LazyFrame[Any]
    students: nw.LazyFrame[Any]
    enrollments: nw.LazyFrame[Any]
    characteristics: nw.LazyFrame[Any]
    absences: nw.LazyFrame[Any]
    visits: nw.LazyFrame[Any]
    incidents: nw.LazyFrame[Any] | None
    assessments: nw.LazyFrame[Any] | None
    staff: nw.LazyFrame[Any] | None
    rosters: nw.LazyFrame[Any] | None
    surveys: nw.LazyFrame[Any] | None
    files: tuple[SourceFile, ...]
    decisions: tuple[Problem, ...]
    district: str
    synthetic: bool
    connection: duckdb.DuckDBPyConnection = field(repr=False)
    remove_temporary: Callable[[], object] = field(repr=False)
    seed: int | None = None

    def close(self) -> None:
        """Close the database; tables, and panels built from them, cannot be read any more."""
        self.connection.close()
        self.remove_temporary()

    def __enter__(self) -> Sources:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        made_up = " (synthetic data)" if self.synthetic else ""
        lines = [f"Sources of {self.district}{made_up}"]
        lines += [f"  {name}: {what}" for name, what in self._contents()]
        lines.append(f"  {len(self.decisions)} decisions")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        made_up = " (synthetic data)" if self.synthetic else ""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(what)}</td></tr>"
            for name, what in self._contents()
        )
        return (
            f"<p>Sources of {escape(self.district)}{made_up}, {len(self.decisions)} decisions</p>"
            f"<table><thead><tr><th>table</th><th>contents</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def _contents(self) -> list[tuple[str, str]]:
        contents = []
        names = {item.name for item in fields(self)}
        for name in TABLES:
            table = getattr(self, name) if name in names else None
            if table is None:
                contents.append((name, "not delivered"))
                continue
            columns = ", ".join(table.collect_schema().names())
            contents.append((name, f"{_rows(self.connection, name)}: {columns}"))
        return contents


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Return the number of rows as text; small numbers are not shown exactly."""
    try:
        ((count,),) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()
    except duckdb.ConnectionException:
        return "closed"
    return f"{shown_count(count)} rows"
