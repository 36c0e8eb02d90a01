"""One row per school and school year: programs, calendar, and what its students are like."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import exact_sum

__all__ = ["school_frame"]

PROGRAMS = ("fep", "fec", "early_childhood")


def school_frame(schools: Frame, years: Frame, students: Frame) -> Frame:
    """Return the schools with their year's limits and the means of their students.

    Parameters
    ----------
    schools
        The validated table of schools.
    years
        From `enrollment.school_years`.
    students
        The panel; a student belongs to the school of time zero (``school_id``).

    Returns
    -------
    Frame
        ``school_id, school_year, name, school_level, fep, fec, early_childhood`` (0/1), first
        and last instructional day, ``mean_attendance`` (mean of the students' attendance
        rates), ``incident_rate`` (share of students with any incident), ``at_risk_share``;
        a mean is missing where no student has the value.
    """
    keys = ["school_id", "school_year"]
    present = students.filter(~nw.col("school_id").is_null())
    means = {
        "mean_attendance": "attendance_rate",
        "incident_rate": "any_incident",
        "at_risk_share": "at_risk",
    }
    values = (
        present.group_by(*keys)
        .agg(
            *[
                column
                for name, source in means.items()
                for column in (
                    exact_sum(nw.col(source)).alias(f"{name}_sum"),
                    nw.col(source).count().alias(f"{name}_count"),
                )
            ]
        )
        .select(
            *keys,
            *[
                nw.when(nw.col(f"{name}_count") > 0)
                .then(nw.col(f"{name}_sum") / nw.col(f"{name}_count"))
                .alias(name)
                for name in means
            ],
        )
    )
    days = years.drop("count_date")
    return (
        schools.select(
            *keys,
            "name",
            "school_level",
            *[nw.col(program).cast(nw.Int64) for program in PROGRAMS],
        )
        .join(days, on=keys, how="left")
        .join(values, on=keys, how="left")
    )
