"""Absence records and the calendar -> days absent, rates, chronic absence and truancy."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.design import Measurement
from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import RESOLUTION, exact_sum, zero_one

__all__ = [
    "ATTENDANCE_COLUMNS",
    "absence_days",
    "absences_on_school_days",
    "attendance_measures",
    "attendance_sums",
]

ATTENDANCE_COLUMNS = (
    "days_absent",
    "days_excused",
    "days_unexcused",
    "days_unexcused_full",
    "days_tardy",
    "attendance_rate",
    "on_time_attendance_rate",
    "chronic_absence",
    "chronic_truancy",
)
KINDS = ("excused", "unexcused", "partial")


def absences_on_school_days(absences: Frame, numbers: Frame) -> Frame:
    """Return the absences dated on an instructional day of their school, with its number.

    Adds ``school_year`` and ``instructional_day``.
    """
    held = numbers.filter(nw.col("instructional") == 1).drop("instructional")
    return absences.join(held, on=["school_id", "date"])


def absence_days(dated: Frame, segments: Frame, measurement: Measurement) -> Frame:
    """Return one row per student and day missed in whole or part, or late.

    Only a day counts on which the student was enrolled at the school of the record. Several
    records of one day add up to at most one day. The day is absent by the rule of
    `Measurement.partial_day` for its school year, and is shared among excused, unexcused and
    partial records in proportion to the time each says was missed. A tardy is not an absence.

    Parameters
    ----------
    dated
        From `absences_on_school_days`.
    segments
        From `enrollment.resolve_segments`.
    measurement
        The rules.

    Returns
    -------
    Frame
        ``student_id, school_year, date, instructional_day``, the days (0 to 1)
        ``absent, excused, unexcused, partial``, ``tardy`` (0/1) and ``records``.
    """
    enrolled = dated.join(segments, on=["student_id", "school_id", "school_year"]).filter(
        nw.col("date") >= nw.col("start"), nw.col("date") <= nw.col("end")
    )
    category = nw.col("category")
    parts = [
        nw.when(category == kind).then(nw.col("fraction")).otherwise(0.0).alias(kind)
        for kind in KINDS
    ]
    days = (
        enrolled.with_columns(*parts, tardy=zero_one(category == "tardy"))
        .group_by("student_id", "school_year", "date", "instructional_day")
        .agg(
            *[exact_sum(nw.col(kind)).alias(kind) for kind in KINDS],
            nw.col("tardy").max(),
            nw.len().cast(nw.Int64).alias("records"),
        )
    )
    missed = nw.col("excused") + nw.col("unexcused") + nw.col("partial")
    days = days.with_columns(missed=missed.round(9))
    days = days.with_columns(absent=_absent(measurement))
    share = nw.col("absent") / nw.col("missed")
    return days.with_columns(
        *[
            nw.when(nw.col("missed") > 0).then(nw.col(kind) * share).otherwise(0.0).alias(kind)
            for kind in KINDS
        ]
    ).drop("missed")


def _absent(measurement: Measurement) -> nw.Expr:
    """Return the part of a day (0 to 1) that counts as absent, from the time missed."""
    missed = nw.col("missed")
    fraction = nw.when(missed > 1).then(1.0).otherwise(missed)
    over = (missed > measurement.partial_day_threshold).cast(nw.Float64)
    rules = {"fraction": fraction, "absent_if_over": over}
    rule = rules[measurement.partial_day]
    for year, name in measurement.partial_day_by_year:
        rule = nw.when(nw.col("school_year") == year).then(rules[name]).otherwise(rule)
    return rule


def attendance_sums(days: Frame) -> Frame:
    """Return the days of each kind of every student-year with at least one record.

    ``days_absent, days_excused, days_unexcused, days_unexcused_full`` (days unexcused from
    first to last bell), ``days_tardy`` and ``days_not_on_time`` (absent or tardy; a day of
    which a part was missed and on which the student was tardy is one day not on time).
    """
    full = zero_one((nw.col("unexcused") * RESOLUTION).round(0) >= RESOLUTION)
    late = nw.when(nw.col("tardy") == 1).then(1.0).otherwise(nw.col("absent"))
    return (
        days.with_columns(full=full, late=late)
        .group_by("student_id", "school_year")
        .agg(
            exact_sum(nw.col("absent")).alias("days_absent"),
            exact_sum(nw.col("excused")).alias("days_excused"),
            exact_sum(nw.col("unexcused")).alias("days_unexcused"),
            nw.col("full").sum().cast(nw.Int64).alias("days_unexcused_full"),
            nw.col("tardy").sum().cast(nw.Int64).alias("days_tardy"),
            exact_sum(nw.col("late")).alias("days_not_on_time"),
        )
    )


def attendance_measures(students: Frame, measurement: Measurement) -> Frame:
    """Add rates and indicators to student-years that have ``days_enrolled`` and the sums.

    A student-year without an absence record has been present every day, unless its year or
    school has none at all: see `unrecorded.without_absences`. A student-year without an
    enrolled day has no rate and no indicator. Chronic absence compares days absent with the
    threshold times days enrolled after rounding to a billionth of a day, so that exactly 10 %
    is exactly 10 %.
    """
    days = ("days_absent", "days_excused", "days_unexcused", "days_not_on_time")
    counts = ("days_unexcused_full", "days_tardy")
    filled = students.with_columns(
        *[nw.col(name).fill_null(0.0) for name in days],
        *[nw.col(name).fill_null(0) for name in counts],
    )
    enrolled = nw.col("days_enrolled")
    limit = measurement.chronic_absence_threshold * enrolled
    excess = (nw.col("days_absent") - limit).round(9)
    chronic = excess >= 0 if measurement.chronic_absence_inclusive else excess > 0
    truant = nw.col("days_unexcused_full") >= measurement.chronic_truancy_days
    measures = {
        "attendance_rate": 1 - nw.col("days_absent") / enrolled,
        "on_time_attendance_rate": 1 - nw.col("days_not_on_time") / enrolled,
        "chronic_absence": zero_one(chronic),
        "chronic_truancy": zero_one(truant),
    }
    return filled.with_columns(
        **{name: nw.when(enrolled > 0).then(value) for name, value in measures.items()}
    )
