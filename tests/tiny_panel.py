"""Panels small enough to read, made directly in the engine, and designs to go with them.

A panel is written as student-years (`student_year`, `enrolled`), visits (`visit`), schools
(`school`) and, if days matter, stretches of enrollment (`stretch`), days of instruction
(`school_days`) and dated facts (`fact`); whatever is not said has a harmless default. Every
school's year runs from August 25 to June 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd

from homevisit_eval.design import (
    Achievement,
    Covariate,
    Eligibility,
    Measurement,
    Outcome,
    Question,
    StudyDesign,
)
from homevisit_eval.panel import Panel
from homevisit_eval.panel.student_years import STUDENT_COLUMNS

__all__ = [
    "ATTENDANCE",
    "INCIDENT",
    "MATH",
    "MATH_PRIOR",
    "dated_panel",
    "enrolled",
    "fact",
    "first_day",
    "last_day",
    "school",
    "school_days",
    "stretch",
    "student_year",
    "tiny_design",
    "tiny_panel",
    "visit",
]

Record = dict[str, Any]

DEFAULT_MEASUREMENT = Measurement()
DEFAULT_ELIGIBILITY = Eligibility()
DEFAULT_ACHIEVEMENT = Achievement()

ENGINE = duckdb.connect()
"""Starting an engine takes longer than a tiny panel: each panel has a connection of its own to
this one, and its tables are the connection's alone."""

STRETCH_COLUMNS = ("student_id", "school_id", "school_year", "start", "end")
SCHOOL_DAY_COLUMNS = ("school_id", "school_year", "date", "instructional_day")
TEXT = ("student_id", "school_id", "school_id_count_date", "sex", "race_ethnicity", "household_id")
DATES = ("first_instructional_day", "last_instructional_day", "date", "start", "end")
REAL = (
    "attendance_rate",
    "on_time_attendance_rate",
    "days_absent",
    "math_score_std",
    "reading_score_std",
    "engagement_at_school",
    "involvement_at_home",
    "age",
    "age_for_grade",
    "amount",
    "days_suspended",
)

ATTENDANCE = Outcome(
    "attendance_rate",
    "Attendance rate",
    "behavior",
    "fraction",
    "percent",
    "higher",
    "attendance_rate_prior",
)
INCIDENT = Outcome(
    "any_incident",
    "Any incident",
    "behavior",
    "binary",
    "percent",
    "lower",
    "any_incident_prior",
)
MATH = Outcome(
    "math_score_std",
    "Math score",
    "math",
    "continuous",
    "standard deviations",
    "higher",
    "math_score_std_prior",
)
MATH_PRIOR = Covariate("math_score_std_prior", "Math score, year before", where_measured=True)


def first_day(school_year: int) -> date:
    return date(school_year - 1, 8, 25)


def last_day(school_year: int) -> date:
    return date(school_year, 6, 15)


def student_year(student_id: str, school_year: int, grade: int, **changes: Any) -> Record:
    """Return one row of the panel: at school S1 all year, present, no incident."""
    record = dict.fromkeys(STUDENT_COLUMNS) | {
        "student_id": student_id,
        "school_year": school_year,
        "grade": grade,
        "school_id": "S1",
        "schools_attended": 1,
        "first_instructional_day": first_day(school_year),
        "last_instructional_day": last_day(school_year),
        "days_enrolled": 180,
        "days_absent": 9.0,
        "days_unexcused": 4,
        "days_tardy": 3,
        "attendance_rate": 0.95,
        "on_time_attendance_rate": 0.9,
        "chronic_absence": 0,
        "chronic_truancy": 0,
        "incidents": 0,
        "any_incident": 0,
        "any_serious_incident": 0,
        "any_suspension": 0,
        "days_suspended": 0,
        "sex": "female",
        "race_ethnicity": "black",
        "age": 6.0 + grade,
        "age_for_grade": 0.5,
        "at_risk": 1,
        "english_learner": 0,
        "disability": 0,
        "homeless": 0,
    }
    assert set(changes) <= set(record), "unknown column"
    return record | changes


def enrolled(
    student_id: str, grade: int = 3, school_year: int = 2015, **changes: Any
) -> list[Record]:
    """Return the student's row of a year, with `changes`, and a plain one of the year before."""
    return [
        student_year(student_id, school_year - 1, grade - 1),
        student_year(student_id, school_year, grade, **changes),
    ]


def visit(student_id: str, day: date, **changes: Any) -> Record:
    """Return a completed FEP visit in person; it belongs to the year whose last day is next."""
    record = {
        "student_id": student_id,
        "date": day,
        "program": "FEP",
        "mode": "in_person",
        "completed": 1,
        "school_year": day.year if day <= last_day(day.year) else day.year + 1,
    }
    return record | changes


def school(school_id: str, school_year: int, **changes: Any) -> Record:
    """Return one school-year that takes part in FEP."""
    record = {
        "school_id": school_id,
        "school_year": school_year,
        "fep": 1,
        "fec": 0,
        "early_childhood": 0,
        "mean_attendance": 0.94,
        "incident_rate": 0.1,
        "at_risk_share": 0.5,
    }
    return record | changes


def stretch(student_id: str, start: date, end: date, **changes: Any) -> Record:
    """Return days from `start` through `end` on which a student was enrolled at S1."""
    record = {
        "student_id": student_id,
        "school_id": "S1",
        "school_year": end.year if end <= last_day(end.year) else end.year + 1,
        "start": start,
        "end": end,
    }
    return record | changes


def school_days(school_id: str, school_year: int, closed: Iterable[date] = ()) -> list[Record]:
    """Return the days of instruction: Monday to Friday, but not those on which it is closed."""
    shut, day = set(closed), first_day(school_year)
    held: list[Record] = []
    while day <= last_day(school_year):
        if day.weekday() < 5 and day not in shut:
            where = {"school_id": school_id, "school_year": school_year, "date": day}
            held.append(where | {"instructional_day": len(held) + 1})
        day += timedelta(days=1)
    return held


def fact(student_id: str, day: date, kind: str, amount: float = 1.0, **changes: Any) -> Record:
    """Return a dated fact; a panel's history also has the number of the day, not used here."""
    record = {
        "student_id": student_id,
        "school_year": day.year if day <= last_day(day.year) else day.year + 1,
        "date": day,
        "instructional_day": 0,
        "kind": kind,
        "amount": amount,
    }
    return record | changes


def dated_panel(
    students: Iterable[Record],
    visits: Sequence[Record] = (),
    facts: Sequence[Record] = (),
    stretches: Sequence[Record] = (),
    days: Sequence[Record] = (),
    schools: Sequence[Record] = (),
) -> Panel:
    """Return a panel with days.

    A student-year without a stretch is at its school from the first day to the last; a
    school-year without days of instruction is open from Monday to Friday.
    """
    rows = list(students)
    listed = {(one["student_id"], one["school_year"]) for one in stretches}
    usual = [
        stretch(
            row["student_id"],
            first_day(row["school_year"]),
            last_day(row["school_year"]),
            school_id=row["school_id"],
        )
        for row in rows
        if (row["student_id"], row["school_year"]) not in listed and row["school_id"] is not None
    ]
    where = [*stretches, *usual]
    open_on = {(one["school_id"], one["school_year"]) for one in days}
    attended = sorted({(one["school_id"], one["school_year"]) for one in where} - open_on)
    held = [*days, *(day for key in attended for day in school_days(*key))]
    return tiny_panel(rows, visits, schools, facts=facts, stretches=where, days=held)


def tiny_panel(
    students: Iterable[Record],
    visits: Sequence[Record] = (),
    schools: Sequence[Record] = (),
    missing: tuple[str, ...] = (),
    measurement: Measurement = DEFAULT_MEASUREMENT,
    *,
    facts: Sequence[Record] = (),
    stretches: Sequence[Record] = (),
    days: Sequence[Record] = (),
) -> Panel:
    """Return a panel of these rows; schools that are not listed are plain ones.

    It has no days unless they are given: `dated_panel` gives them.
    """
    rows = list(students)
    listed = {(row["school_id"], row["school_year"]): row for row in schools}
    for row in rows:
        key = (row["school_id"], row["school_year"])
        if row["school_id"] is not None and key not in listed:
            listed[key] = school(*key)
    numbered = [{"visit_id": f"V{number}", **row} for number, row in enumerate(visits)]
    connection = ENGINE.cursor()
    return Panel(
        students=_table(connection, "students", rows, STUDENT_COLUMNS),
        schools=_table(connection, "schools", listed.values(), tuple(school("", 0))),
        teachers=None,
        history=_table(connection, "history", facts, tuple(fact("", date.min, ""))),
        visits=_table(connection, "visits", numbered, ("visit_id", *visit("", date.min))),
        spells=_table(connection, "spells", [], ("student_id", "date")),
        stretches=_table(connection, "stretches", stretches, STRETCH_COLUMNS),
        school_days=_table(connection, "school_days", days, SCHOOL_DAY_COLUMNS),
        counts=(),
        missing=missing,
        measurement=measurement,
        district="Tiny district",
        synthetic=True,
        files=(),
        decisions=(),
        connection=connection,
    )


def _table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: Iterable[Record],
    columns: Sequence[str],
) -> Any:
    typed = ", ".join(f'"{one}" {_type(one)}' for one in columns)
    connection.execute(f"CREATE TEMPORARY TABLE {name} ({typed})")
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    if not frame.empty:
        connection.execute(f"INSERT INTO {name} SELECT * FROM frame")
    return nw.from_native(connection.table(name))


def _type(column: str) -> str:
    if column in DATES:
        return "DATE"
    if column in TEXT or column in ("visit_id", "program", "mode", "kind"):
        return "VARCHAR"
    if column in REAL or column in ("mean_attendance", "incident_rate", "at_risk_share"):
        return "DOUBLE"
    return "BIGINT"


def tiny_design(
    covariates: Sequence[Covariate] = (Covariate("attendance_rate_prior", "Attendance, before"),),
    outcomes: Sequence[Outcome] = (ATTENDANCE,),
    school_years: tuple[int, ...] = (2015,),
    grades: tuple[int, ...] = (1, 2, 3, 4, 5),
    eligibility: Eligibility = DEFAULT_ELIGIBILITY,
    achievement: Achievement = DEFAULT_ACHIEVEMENT,
    **asked: Any,
) -> StudyDesign:
    """Return a design with one primary question, about all outcomes; `asked` changes it."""
    question = Question("summer", "A visit before the year", "primary", ("attendance_rate",))
    names = tuple(outcome.name for outcome in outcomes)
    return StudyDesign(
        format=3,
        title="Tiny study",
        school_years=school_years,
        grades=grades,
        covariates=tuple(covariates),
        outcomes=tuple(outcomes),
        questions=(replace(question, outcomes=names, **asked),),
        eligibility=eligibility,
        achievement=achievement,
    )
