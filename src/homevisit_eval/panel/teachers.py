"""Staff lists and visits -> teacher-years: visits made before the year, and retention."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.visits import year_ends

__all__ = ["teacher_frame", "visitor_columns"]

KEYS = ("staff_id", "school_id", "school_year")


def visitor_columns(visits: Frame) -> tuple[str, ...]:
    """Return the columns of visits that name who made the visit."""
    names = visits.collect_schema().names()
    return tuple(name for name in ("staff_id_1", "staff_id_2") if name in names)


def teacher_frame(staff: Frame, visits: Frame, years: Frame, districts: Frame) -> Frame:
    """Return one row per staff member, school and school year.

    Parameters
    ----------
    staff
        The validated staff lists, all roles.
    visits
        The validated table of visits.
    years
        From `enrollment.school_years`.
    districts
        From `enrollment.district_years`.

    Returns
    -------
    Frame
        ``staff_id, school_year, school_id, role, experience_years``; ``visits_before_year``:
        completed visits in the summer, after the last instructional day of the school's
        previous year and before its first of this year (missing if no visit names who made it);
        ``retained_in_school`` and ``retained_in_district``: 1 if on the list of that school,
        of any school, in the next year (missing if there is no list for the next year).
    """
    names = staff.collect_schema().names()
    experience = nw.col("experience_years") if "experience_years" in names else nw.lit(None)
    listed = staff.select(*KEYS, "role", experience_years=experience.cast(nw.Float64))
    counted = _visits_before_year(listed, visits, years, districts)
    previous = staff.select("staff_id", "school_id", school_year=nw.col("school_year") - 1)
    same = previous.unique().with_columns(in_school=nw.lit(1))
    any_school = (
        previous.select("staff_id", "school_year").unique().with_columns(in_district=nw.lit(1))
    )
    followed = previous.select("school_year").unique().with_columns(followed=nw.lit(1))
    known = nw.col("followed") == 1
    return (
        counted.join(same, on=list(KEYS), how="left")
        .join(any_school, on=["staff_id", "school_year"], how="left")
        .join(followed, on="school_year", how="left")
        .select(
            "staff_id",
            "school_year",
            "school_id",
            "role",
            "experience_years",
            "visits_before_year",
            retained_in_school=nw.when(known).then(nw.col("in_school").fill_null(0)),
            retained_in_district=nw.when(known).then(nw.col("in_district").fill_null(0)),
        )
    )


def _visits_before_year(listed: Frame, visits: Frame, years: Frame, districts: Frame) -> Frame:
    """Add ``visits_before_year`` to the staff lists."""
    columns = visitor_columns(visits)
    if not columns:
        return listed.with_columns(visits_before_year=nw.lit(None).cast(nw.Int64))
    done = visits.filter(nw.col("completed"))
    made = nw.concat(
        [done.select("visit_id", "date", staff_id=nw.col(column)) for column in columns]
    )
    made = made.filter(~nw.col("staff_id").is_null()).unique()
    summers = _summers(listed.select("school_id", "school_year").unique(), years, districts)
    counts = (
        listed.join(summers, on=["school_id", "school_year"])
        .join(made, on="staff_id")
        .filter(nw.col("date") > nw.col("after"), nw.col("date") < nw.col("before"))
        .group_by(*KEYS)
        .agg(nw.len().cast(nw.Int64).alias("visits_before_year"))
    )
    named = made.select(named=nw.len())
    counted = listed.join(counts, on=list(KEYS), how="left").join(named, how="cross")
    return counted.with_columns(
        visits_before_year=nw.when(nw.col("named") > 0).then(
            nw.col("visits_before_year").fill_null(0)
        )
    ).drop("named")


def _summers(wanted: Frame, years: Frame, districts: Frame) -> Frame:
    """Return the days between which a visit lies before the year of a school."""
    keys = ["school_id", "school_year"]
    previous = years.select(
        "school_id",
        school_year=nw.col("school_year") + 1,
        own_after=nw.col("last_instructional_day"),
    )
    ends = year_ends(districts).select(
        school_year=nw.col("school_year") + 1, district_after=nw.col("district_last_day")
    )
    return (
        wanted.join(years, on=keys, how="left")
        .join(previous, on=keys, how="left")
        .join(ends, on="school_year", how="left")
        .join(districts, on="school_year", how="left")
        .select(
            *keys,
            after=nw.coalesce("own_after", "district_after"),
            before=nw.coalesce("first_instructional_day", "district_first_day"),
        )
    )
