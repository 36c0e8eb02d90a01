"""Incident records -> incidents, suspensions and days suspended of a student-year."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.design import Measurement
from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.enrollment import SPELL_ORDER
from homevisit_eval.panel.expressions import exact_sum, is_last, zero_one

__all__ = [
    "DISCIPLINE_COLUMNS",
    "discipline_measures",
    "discipline_not_delivered",
    "from_first_day",
    "incidents_taken_part",
    "student_incidents",
]

SUSPENSIONS = ("in_school_suspension", "out_of_school_suspension")
DISCIPLINE_COLUMNS = (
    "incidents",
    "any_incident",
    "any_serious_incident",
    "any_suspension",
    "days_suspended",
)


def incidents_taken_part(incidents: Frame, measurement: Measurement) -> Frame:
    """Return the records of students who took part: not of victims and witnesses."""
    return incidents.filter(nw.col("role").is_in(list(measurement.incident_roles)))


def student_incidents(taken_part: Frame, spells: Frame, measurement: Measurement) -> Frame:
    """Return the incidents of enrolled students, dated and classified.

    An incident belongs to the school year of the enrollment spell that holds its date, at
    whichever school it happened; of several spells to the one with the latest entry. An
    incident in no spell of the student (in the summer, after leaving) is not counted.
    *Serious* is an out-of-school suspension or a behavior of
    `Measurement.serious_behaviors`; *suspension* is in or out of school.

    Returns
    -------
    Frame
        ``student_id, school_year, school_id`` (of enrollment), ``date, serious`` (0/1),
        ``suspended`` (0/1), ``days_suspended``.
    """
    records = taken_part.select(
        "incident_id", "student_id", "date", "behavior", "action", "days"
    ).join(spells, on="student_id")
    held = records.filter(
        nw.col("entry_date") <= nw.col("date"), nw.col("date") <= nw.col("exit_date")
    ).filter(is_last(("incident_id", "student_id"), SPELL_ORDER))
    severe = nw.col("behavior").is_in(list(measurement.serious_behaviors))
    out = nw.col("action") == "out_of_school_suspension"
    suspended = nw.col("action").is_in(list(SUSPENSIONS))
    days = nw.when(suspended).then(nw.col("days").fill_null(0).cast(nw.Float64)).otherwise(0.0)
    return held.select(
        "student_id",
        "school_year",
        "school_id",
        "date",
        serious=zero_one(severe | out),
        suspended=zero_one(suspended),
        days_suspended=days,
    )


def from_first_day(incidents: Frame, students: Frame) -> Frame:
    """Leave out incidents before the student-year's first instructional day.

    That day is time zero: an incident in a spell that starts in the summer may have come before
    a visit, and is no outcome of it.

    Parameters
    ----------
    incidents
        From `student_incidents`.
    students
        Student-years with ``first_instructional_day``.
    """
    keys = ["student_id", "school_year"]
    first = students.select(*keys, "first_instructional_day")
    return (
        incidents.join(first, on=keys)
        .filter(nw.col("date") >= nw.col("first_instructional_day"))
        .drop("first_instructional_day")
    )


def discipline_measures(students: Frame, incidents: Frame) -> Frame:
    """Add incidents, 0/1 indicators and days suspended; 0 for a student-year without any.

    A school year without one incident record is another matter: see
    `unrecorded.without_incidents`.
    """
    keys = ["student_id", "school_year"]
    sums = incidents.group_by(*keys).agg(
        nw.len().cast(nw.Int64).alias("incidents"),
        nw.col("serious").max().alias("any_serious_incident"),
        nw.col("suspended").max().alias("any_suspension"),
        exact_sum(nw.col("days_suspended")).alias("days_suspended"),
    )
    return (
        students.join(sums, on=keys, how="left")
        .with_columns(
            nw.col("incidents").fill_null(0),
            nw.col("any_serious_incident").fill_null(0),
            nw.col("any_suspension").fill_null(0),
            nw.col("days_suspended").fill_null(0.0),
        )
        .with_columns(any_incident=zero_one(nw.col("incidents") > 0))
    )


def discipline_not_delivered(students: Frame) -> Frame:
    """Add the same columns, missing: no incident file is not the same as no incident."""
    kinds = {name: nw.Int64() for name in DISCIPLINE_COLUMNS[:-1]}
    return students.with_columns(
        **{name: nw.lit(None).cast(kind) for name, kind in kinds.items()},
        days_suspended=nw.lit(None).cast(nw.Float64),
    )
