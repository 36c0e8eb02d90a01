"""Home visits and the school year that each belongs to."""

from __future__ import annotations

from datetime import date

import narwhals as nw

from homevisit_eval.panel.engine import Frame

__all__ = ["visit_frame", "year_ends"]

END_OF_TIME = date(9999, 12, 31)


def year_ends(districts: Frame) -> Frame:
    """Return the last instructional day of each school year, and of the years around them.

    The year before the first is taken to end on the same day of the year as the first, so that
    a visit in that year is not counted to the summer after it; the year after the last has
    no end.

    Parameters
    ----------
    districts
        From `enrollment.district_years`.
    """
    year, last = nw.col("school_year"), nw.col("district_last_day")
    before = districts.select(
        (year.min() - 1).cast(nw.Int64).alias("school_year"),
        last.min().dt.offset_by("-1y").cast(nw.Date).alias("district_last_day"),
    )
    after = districts.select(
        (year.max() + 1).cast(nw.Int64).alias("school_year"),
        district_last_day=nw.lit(END_OF_TIME),
    )
    known = districts.select(year.cast(nw.Int64), "district_last_day")
    return nw.concat([before, known, after])


def visit_frame(visits: Frame, students: Frame, districts: Frame) -> Frame:
    """Return all visits with the school year that each belongs to.

    A school year's visits are dated after the last instructional day of the previous year and
    on or before the last of this one: a visit in the summer belongs to the coming year. The
    days are those of the student's own schools in that year, and the district's (the last of
    any school) in a year in which the student was not enrolled.

    Parameters
    ----------
    visits
        The validated table of visits.
    students
        The panel's ``student_id, school_year, last_instructional_day``.
    districts
        From `enrollment.district_years`.

    Returns
    -------
    Frame
        ``student_id, visit_id, date, school_year, program, mode, completed`` (0/1).
    """
    ends = students.select(
        "student_id",
        nw.col("school_year").cast(nw.Int64),
        own_last=nw.col("last_instructional_day"),
    )
    candidates = (
        visits.select("visit_id", "student_id", "date", "program", "mode", "completed")
        .join(year_ends(districts), how="cross")
        .join(ends, on=["student_id", "school_year"], how="left")
        .filter(nw.col("date") <= nw.coalesce("own_last", "district_last_day"))
    )
    first = candidates.with_columns(earliest=nw.col("school_year").min().over("visit_id")).filter(
        nw.col("school_year") == nw.col("earliest")
    )
    return first.select(
        "student_id",
        "visit_id",
        "date",
        "school_year",
        "program",
        "mode",
        nw.col("completed").cast(nw.Int64),
    )
