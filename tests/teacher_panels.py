"""Panels with teachers and little else: from text, or from a simulation without its files.

The teachers are made by the panel's own function; that it reads whole extracts alike is tested in
`test_panel_schools_teachers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd

from homevisit_eval.certificate.prepared import prepared_panel
from homevisit_eval.design import Measurement, NearestNeighbor, Outcome, Question, StudyDesign
from homevisit_eval.panel import Panel
from homevisit_eval.panel.enrollment import district_years
from homevisit_eval.panel.teachers import teacher_frame
from homevisit_eval.synthetic import Simulation
from panel_spec import TYPES, fill, read_rows
from tiny_panel import enrolled, first_day, last_day, student_year, tiny_design, tiny_panel, visit

__all__ = ["QUESTION", "simulated_panel", "teacher_design", "teacher_panel"]

IN_SCHOOL = Outcome(
    "retained_in_school", "Stays in the school", "teachers", "binary", "percent", "higher"
)
IN_DISTRICT = Outcome(
    "retained_in_district", "Stays in the district", "teachers", "binary", "percent", "higher"
)
MATCHING = NearestNeighbor(exact=("school_year",))
QUESTION = Question(
    "teachers",
    "Teachers who visit",
    "exploratory",
    ("retained_in_school", "retained_in_district"),
    unit="teacher",
    matching=MATCHING,
)
SCHOOL_YEARS = (2014, 2015, 2016)


def teacher_design(question: Question = QUESTION, **changes: Any) -> StudyDesign:
    design = tiny_design()
    return replace(
        design,
        outcomes=(*design.outcomes, IN_SCHOOL, IN_DISTRICT),
        questions=(*design.questions, question),
        **changes,
    )


def teacher_panel(
    staff: str | None, visits: str, missing: tuple[str, ...] = (), names_staff: bool = True
) -> Panel:
    """Return a panel of schools S1 and S2, of staff lists and of visits written as text.

    Every year runs from August 25 to June 15; a student of each is enrolled in 2014 and 2015.
    """
    bob = [student_year("bob", year, year - 2012, school_id="S2") for year in (2014, 2015)]
    students = [*enrolled("ann"), *bob]
    made = [visit("ann", pd.Timestamp(row["date"]).date()) for row in read_rows(visits)]
    panel = tiny_panel(students, made, missing=missing)
    schools = panel.schools.with_columns(school_level=nw.lit("elementary"))
    if staff is None:
        return replace(panel, schools=schools)
    connection = panel.connection
    tables = {"staff": staff, "visits_made": visits}
    for name, text in tables.items():
        schema = name.removesuffix("_made")
        connection.execute(f"CREATE TEMPORARY TABLE {name} ({TYPES[schema]})")
        rows = fill(schema, read_rows(text))
        marks = ", ".join("(" + ", ".join("?" for _ in cells) + ")" for cells in rows)
        if rows:
            connection.execute(
                f"INSERT INTO {name} VALUES {marks}", [cell for cells in rows for cell in cells]
            )
    years = pd.DataFrame(
        [
            (school, school_year, first_day(school_year), last_day(school_year))
            for school in ("S1", "S2")
            for school_year in SCHOOL_YEARS
        ],
        columns=["school_id", "school_year", "first_instructional_day", "last_instructional_day"],
    )
    connection.register("years_frame", years)
    connection.execute(
        "CREATE TEMPORARY TABLE years AS SELECT school_id, school_year, "
        "CAST(first_instructional_day AS DATE) AS first_instructional_day, "
        "CAST(last_instructional_day AS DATE) AS last_instructional_day FROM years_frame"
    )
    made_by = _table(connection, "visits_made")
    if not names_staff:
        made_by = made_by.drop("staff_id_1", "staff_id_2")
    teachers = _teachers(_table(connection, "staff"), made_by, _table(connection, "years"))
    return replace(panel, schools=schools, teachers=teachers)


@contextmanager
def simulated_panel(simulation: Simulation) -> Iterator[Panel]:
    """Open the panel of a simulation with the tables schools, calendar, visits and staff."""
    with prepared_panel(simulation, Measurement()) as panel:
        for name in ("staff", "visits"):
            table = simulation.tables[name]
            if name == "visits":
                table = table.assign(completed=table["completed"] == 1)
            panel.connection.register("delivered", table)
            dated = ", CAST(date AS DATE) AS date" if name == "visits" else ""
            kept = "* EXCLUDE (date)" if name == "visits" else "*"
            panel.connection.execute(
                f"CREATE TABLE delivered_{name} AS SELECT {kept}{dated} FROM delivered"
            )
            panel.connection.unregister("delivered")
        years = panel.schools.select(
            "school_id", "school_year", "first_instructional_day", "last_instructional_day"
        )
        teachers = _teachers(
            _table(panel.connection, "delivered_staff"),
            _table(panel.connection, "delivered_visits"),
            years,
        )
        yield replace(panel, teachers=teachers)


def _teachers(staff: Any, visits: Any, years: Any) -> Any:
    return teacher_frame(staff, visits, years, district_years(years))


def _table(connection: duckdb.DuckDBPyConnection, name: str) -> Any:
    return nw.from_native(connection.table(name))
