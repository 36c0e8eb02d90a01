"""From a simulation to the panel of it: through files, or at once from what it already knows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import narwhals as nw
import pandas as pd

from homevisit_eval.certificate.question_truth import needs_records
from homevisit_eval.design import Measurement, Question
from homevisit_eval.errors import DesignError
from homevisit_eval.panel import Panel, build_panel
from homevisit_eval.panel.engine import Frame, store
from homevisit_eval.panel.enrollment import district_years, school_years
from homevisit_eval.panel.schools import school_frame
from homevisit_eval.panel.student_years import STUDENT_COLUMNS
from homevisit_eval.panel.visits import visit_frame
from homevisit_eval.sources import read_sources
from homevisit_eval.sources.engine import Engine
from homevisit_eval.sources.school_years import expand_calendar
from homevisit_eval.synthetic import TABLES, District, Simulation, write_simulation

__all__ = ["open_panel", "panel_from_files", "prepared_panel", "tables_to_simulate"]

PREPARED_TABLES = ("schools", "calendar", "visits")
STUDENT_TYPES = {
    "school_year": "INTEGER",
    "first_instructional_day": "DATE",
    "last_instructional_day": "DATE",
}
TABLE_COLUMNS = {
    "schools": "school_id, CAST(school_year AS INTEGER) AS school_year, name, school_level, "
    "CAST(fep AS BOOLEAN) AS fep, CAST(fec AS BOOLEAN) AS fec, "
    "CAST(early_childhood AS BOOLEAN) AS early_childhood",
    "calendar": "school_id, CAST(school_year AS INTEGER) AS school_year, "
    "CAST(date AS DATE) AS date, CAST(instructional AS BOOLEAN) AS instructional, "
    "CAST(count_date AS BOOLEAN) AS count_date, 0 AS _line",
    "visits": "visit_id, student_id, CAST(date AS DATE) AS date, program, mode, "
    "CAST(completed AS BOOLEAN) AS completed",
}
HISTORY_COLUMNS = (
    "student_id VARCHAR, school_year BIGINT, date DATE, instructional_day BIGINT, kind VARCHAR, "
    "amount DOUBLE"
)
SPELL_COLUMNS = (
    "student_id VARCHAR, school_id VARCHAR, school_year BIGINT, grade BIGINT, entry_date DATE, "
    "exit_date DATE"
)
STRETCH_COLUMNS = (
    'student_id VARCHAR, school_id VARCHAR, school_year BIGINT, start DATE, "end" DATE'
)
DAY_COLUMNS = "school_id VARCHAR, school_year BIGINT, date DATE, instructional_day BIGINT"


def needs_files(
    district: District, measurement: Measurement, questions: Sequence[Question] = ()
) -> bool:
    """Return whether a district's panel can only be made from its files.

    It can where the simulation's own measures would not be those of the extracts: extracts
    with defects, and other rules of measurement than the default ones; and where a question needs
    dated facts, staff lists or surveys.
    """
    other = district.defects is not None or measurement != Measurement()
    return other or any(needs_records(question) for question in questions)


def tables_to_simulate(
    district: District, measurement: Measurement, questions: Sequence[Question] = ()
) -> tuple[str, ...]:
    """Return the names of the tables that `open_panel` needs of a simulation."""
    return tuple(TABLES) if needs_files(district, measurement, questions) else PREPARED_TABLES


@contextmanager
def open_panel(
    simulation: Simulation, measurement: Measurement, questions: Sequence[Question] = ()
) -> Iterator[Panel]:
    """Open the panel of a simulation by the quickest route that answers the questions rightly."""
    files = needs_files(simulation.district, measurement, questions)
    route = panel_from_files if files else prepared_panel
    with route(simulation, measurement) as panel:
        yield panel


@contextmanager
def panel_from_files(simulation: Simulation, measurement: Measurement) -> Iterator[Panel]:
    """Open the panel that a district's files give: written, read, validated, measured.

    Parameters
    ----------
    simulation
        With all its tables.
    measurement
        The rules, any.

    Raises
    ------
    OutputError
        If the files cannot be written to a temporary folder.
    SourceError
        If they do not fit.
    """
    with tempfile.TemporaryDirectory(prefix="homevisit-eval-") as folder:
        write_simulation(simulation, folder)
        with read_sources(folder) as sources:
            yield build_panel(sources, measurement)


@contextmanager
def prepared_panel(simulation: Simulation, measurement: Measurement) -> Iterator[Panel]:
    """Open the panel of a simulation without its files.

    Parameters
    ----------
    simulation
        With the tables schools, calendar and visits.
    measurement
        The default rules, by which the simulation measured its student-years.

    Yields
    ------
    Panel
        For `select_sample`, which finds in it what it would find in the panel made from the
        files. It has no teachers, dated facts, spells or counts, and closes with the context.

    Raises
    ------
    DesignError
        If the rules are others, the extracts have defects, or a table was not simulated.

    Notes
    -----
    Only the measures of a student-year are taken over from the simulation. The schools'
    measures, and the school year that each visit belongs to, are found by the panel's own
    functions.
    """
    if needs_files(simulation.district, measurement):
        raise DesignError(
            "a prepared panel knows the default rules of measurement and extracts without "
            "defects only; take this district through its files."
        )
    if lacking := [name for name in PREPARED_TABLES if name not in simulation.tables]:
        raise DesignError(f"the simulation has no table {lacking[0]}; simulate it as well.")
    engine = Engine.start()
    try:
        engine.run("SET threads = 1")
        yield _panel(simulation, measurement, engine)
    finally:
        engine.close()


def _panel(simulation: Simulation, measurement: Measurement, engine: Engine) -> Panel:
    """Make the panel's tables in the order in which they need each other."""
    _keep(engine, simulation.student_years, "students", _casts(STUDENT_COLUMNS, STUDENT_TYPES))
    for name, columns in TABLE_COLUMNS.items():
        _keep(engine, simulation.tables[name], f"typed_{name}", columns)
    expand_calendar(engine)
    students = _table(engine, "students")
    years = store(engine.connection, school_years(_table(engine, "calendar")), "school_years")
    schools = school_frame(_table(engine, "typed_schools"), years, students)
    visits = visit_frame(_table(engine, "typed_visits"), students, district_years(years))
    return Panel(
        students=students,
        schools=store(engine.connection, schools, "schools"),
        teachers=None,
        history=_empty(engine, "history", HISTORY_COLUMNS),
        visits=store(engine.connection, visits, "visits"),
        spells=_empty(engine, "spells", SPELL_COLUMNS),
        stretches=_empty(engine, "stretches", STRETCH_COLUMNS),
        school_days=_empty(engine, "school_days", DAY_COLUMNS),
        counts=(),
        missing=(),
        measurement=measurement,
        district=f"Synthetic district ({simulation.district.name})",
        synthetic=True,
        files=(),
        decisions=(),
        connection=engine.connection,
    )


def _casts(columns: Iterable[str], types: Mapping[str, str]) -> str:
    """Return a list of columns in SQL, cast to the types that validated files have."""
    return ", ".join(
        f"CAST({name} AS {types[name]}) AS {name}" if name in types else name for name in columns
    )


def _keep(engine: Engine, frame: pd.DataFrame, name: str, columns: str) -> None:
    """Copy a data frame to a table of the engine; missing values become NULL."""
    engine.connection.register("given", frame)
    engine.run(f"CREATE TEMPORARY TABLE {name} AS SELECT {columns} FROM given")
    engine.connection.unregister("given")


def _table(engine: Engine, name: str) -> Frame:
    return nw.from_native(engine.connection.table(name))


def _empty(engine: Engine, name: str, columns: str) -> Frame:
    engine.run(f"CREATE TEMPORARY TABLE {name} ({columns})")
    return _table(engine, name)
