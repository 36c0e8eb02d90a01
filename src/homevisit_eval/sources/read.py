"""From a folder of raw files to validated tables, or to all problems at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
import narwhals as nw

from homevisit_eval.errors import SourceError
from homevisit_eval.sources.attendance_days import (
    absences_that_count,
    fractions_over_day,
    record_attendance,
)
from homevisit_eval.sources.delivery import find_files
from homevisit_eval.sources.district import District, all_synthetic_students, read_district
from homevisit_eval.sources.engine import Engine, quoted
from homevisit_eval.sources.extracts import TABLES, Sources
from homevisit_eval.sources.files import load_table
from homevisit_eval.sources.problems import Problem, SourceFile, SourceReport, render_problems
from homevisit_eval.sources.relations import duplicate_keys, unknown_references
from homevisit_eval.sources.schema import ATTENDANCE_TABLES, SCHEMAS, schema_of
from homevisit_eval.sources.school_years import (
    birth_problems,
    calendar_problems,
    dates_outside_calendar,
    enrollment_problems,
    expand_calendar,
    fill_exits,
)
from homevisit_eval.sources.values import type_table

__all__ = ["check_sources", "read_sources"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

LINE_ERRORS = ("short_line", "long_line", "stray_quote", "no_rows")


@dataclass(slots=True)
class _Examination:
    """What is known so far about a folder: the only thing that grows while it is read."""

    engine: Engine
    problems: list[Problem] = field(default_factory=list)
    files: dict[str, SourceFile] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)
    district: District = field(default_factory=District)

    def clean(self, *tables: str) -> bool:
        """Whether the tables are there and have no error so far."""
        wrong = {problem.file for problem in self.problems if problem.severity == "error"}
        return all(table in self.names and self.names[table] not in wrong for table in tables)

    def typed(self, *tables: str) -> bool:
        """Whether the tables could be read with all their lines."""
        return all(table in self.names and table not in self.incomplete for table in tables)


def check_sources(folder: str | Path) -> SourceReport:
    """Check the raw files of a district against the data dictionary.

    Every problem of every file is found in one run, grouped by file and rule, with line numbers
    and counts; no value and no identifier is shown.

    Parameters
    ----------
    folder
        Holds one file a table, ``NAME.csv`` or ``NAME.parquet``: see `data_dictionary`.

    Returns
    -------
    SourceReport
        Its `ok` says whether `read_sources` would succeed; its `text` can be printed.

    Raises
    ------
    SourceError
        Only if memory or disk space does not suffice.
    """
    return _run(Path(folder), _report)


def read_sources(folder: str | Path) -> Sources:
    """Read the raw files of a district into validated, normalized tables.

    Parameters
    ----------
    folder
        Holds one file a table, ``NAME.csv`` or ``NAME.parquet``: see `data_dictionary`.

    Returns
    -------
    Sources
        Lazy tables; what was decided about rows is in its `decisions`.

    Raises
    ------
    SourceError
        If any file has an error; the message lists all of them. Also if memory or disk space does
        not suffice.
    """
    return _run(Path(folder), _hand_on)


def _run(folder: Path, finish: Callable[[_Examination], Result]) -> Result:
    engine = Engine.start()
    try:
        return finish(_examine(engine, folder))
    except duckdb.Error as error:
        engine.close()
        kind = type(error).__name__
        raise SourceError(
            f"The files in the folder could not be checked to the end (database: {kind}). "
            "Free memory and disk space for temporary files, then try again."
        ) from None
    except BaseException:
        engine.close()
        raise


def _report(state: _Examination) -> SourceReport:
    state.engine.close()
    return SourceReport(_in_order(state.problems), tuple(state.files.values()))


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (p.file, p.severity != "error", p.rule, p.column)))


def _examine(engine: Engine, folder: Path) -> _Examination:
    began = time.perf_counter()
    state = _Examination(engine)
    paths, state.problems = find_files(folder)
    state.district, found = read_district(folder)
    state.problems += found
    for name, path in paths.items():
        _read_table(state, name, path)
    _check_relations(state)
    _check_school_years(state)
    _check_attendance(state)
    rows = sum(file.rows for file in state.files.values())
    seconds = time.perf_counter() - began
    logger.info("checked %d files, %d rows in %.1f s", len(state.files), rows, seconds)
    return state


def _read_table(state: _Examination, name: str, path: Path) -> None:
    schema = schema_of(name)
    loaded = load_table(state.engine, path, schema)
    state.problems += loaded.problems
    if loaded.file is not None:
        state.files[name] = loaded.file
    if not loaded.loaded or loaded.file is None:
        return
    state.problems += type_table(
        state.engine,
        path.name,
        schema,
        decimal_comma=loaded.file.delimiter == ";",
        quotes=loaded.quotes,
    )
    state.engine.run(f"DROP VIEW {quoted(f'raw_{name}')}")
    state.engine.run(f"DROP TABLE {quoted(f'rows_{name}')}")
    state.names[name] = path.name
    if any(problem.rule in LINE_ERRORS for problem in loaded.problems):
        state.incomplete.add(name)


def _check_relations(state: _Examination) -> None:
    """Check keys and references; what refers to a table that lost lines is not judged."""
    for name, file in state.names.items():
        schema = schema_of(name)
        state.problems += duplicate_keys(state.engine, file, schema)
        for reference in schema.references:
            if state.typed(reference.target):
                state.problems += unknown_references(state.engine, file, schema, reference)


def _check_school_years(state: _Examination) -> None:
    engine, names = state.engine, state.names
    if state.typed("calendar", "schools"):
        expand_calendar(engine)
        state.problems += calendar_problems(engine, names["calendar"], names["schools"])
        for name in names:
            if "outside_school_years" in schema_of(name).rules:
                state.problems += dates_outside_calendar(engine, names[name], name)
    if state.typed("enrollments"):
        state.problems += enrollment_problems(engine, names["enrollments"])
        if "students" in names:
            state.problems += birth_problems(engine, names["students"])


def _check_attendance(state: _Examination) -> None:
    """Check absences; against enrollment only where calendar and enrollment can be relied on."""
    present = [name for name in ATTENDANCE_TABLES if name in state.names]
    if len(present) != 1:
        return
    file = state.names[present[0]]
    record_attendance(state.engine, present[0])
    state.problems += fractions_over_day(state.engine, file)
    if state.clean("schools", "calendar", "students", "enrollments"):
        fill_exits(state.engine)
        state.problems += absences_that_count(state.engine, file)


def _hand_on(state: _Examination) -> Sources:
    problems = _in_order(state.problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        plural = "" if len(errors) == 1 else "s"
        raise SourceError(
            f"The files do not fit the data dictionary ({len(errors)} problem{plural}):\n"
            f"{render_problems(errors)}"
        )
    synthetic = state.district.synthetic or all_synthetic_students(state.engine)
    _normalize(state)
    state.engine.run("SET enable_external_access = false")
    connection = state.engine.connection
    present = state.engine.tables()
    tables = {
        name: nw.from_native(connection.table(name)) if name in present else None for name in TABLES
    }
    return Sources(
        **tables,  # type: ignore[arg-type]
        files=tuple(state.files.values()),
        decisions=tuple(problems),
        district=state.district.name,
        seed=state.district.seed,
        synthetic=synthetic,
        connection=connection,
        remove_temporary=state.engine.remove,
    )


def _normalize(state: _Examination) -> None:
    """Give the tables their final names and columns."""
    engine = state.engine
    engine.run("DROP VIEW recorded")
    engine.run("DROP TABLE IF EXISTS spells")
    engine.run("ALTER TABLE calendar DROP COLUMN _line")
    present = engine.tables()
    for schema in SCHEMAS:
        typed = f"typed_{schema.name}"
        if typed not in present:
            continue
        if schema.name in ("calendar", *ATTENDANCE_TABLES):
            engine.run(f"DROP TABLE {quoted(typed)}")
            continue
        engine.run(f"ALTER TABLE {quoted(typed)} DROP COLUMN _line")
        engine.run(f"ALTER TABLE {quoted(typed)} RENAME TO {quoted(schema.name)}")
