"""Staff lists and visits -> teacher-years: visits made before the year, and retention."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.visits import year_ends

__all__ = ["VISITS_BY_KIND", "teacher_frame", "visitor_columns"]

KEYS = ("staff_id", "school_id", "school_year")
VISITS_BY_KIND = {
    (program, mode): f"visits_before_year_{program.lower()}_{mode}"
    for program in ("FEP", "FEC", "EC")
    for mode in ("in_person", "virtual")
}
"""The column that counts visits before the year of one program and mode."""

COUNTS = ("visits_before_year", *VISITS_BY_KIND.values(), "visits_during_year")


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
        ``staff_id, school_year, school_id, role, experience_years``;
        ``first_instructional_day`` of the school, or of the district if it has no calendar;
        ``visits_before_year``: completed visits after the last instructional day of the
        school's previous year and before that day, and each column of `VISITS_BY_KIND`: those of
        one program and mode; ``visits_during_year``: completed visits from that day to the last
        of the year (all missing if no visit names who made it); ``retained_in_school`` and
        ``retained_in_district``: 1 if on the list of that school, of any school, in the next
        year (missing if there is no list for the next year).
    """
    names = staff.collect_schema().names()
    experience = nw.col("experience_years") if "experience_years" in names else nw.lit(None)
    listed = staff.select(*KEYS, "role", experience_years=experience.cast(nw.Float64))
    counted = _with_visits(listed, visits, years, districts)
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
            *COUNTS,
            first_instructional_day=nw.col("before"),
            retained_in_school=nw.when(known).then(nw.col("in_school").fill_null(0)),
            retained_in_district=nw.when(known).then(nw.col("in_district").fill_null(0)),
        )
    )


def _with_visits(listed: Frame, visits: Frame, years: Frame, districts: Frame) -> Frame:
    """Add the first instructional day and the counts of visits to the staff lists."""
    windows = _windows(listed.select("school_id", "school_year").unique(), years, districts)
    dated = listed.join(windows, on=["school_id", "school_year"])
    columns = visitor_columns(visits)
    if not columns:
        none = {name: nw.lit(None).cast(nw.Int64) for name in COUNTS}
        return dated.with_columns(**none)
    done = visits.filter(nw.col("completed"))
    facts = ("visit_id", "date", "program", "mode")
    made = nw.concat([done.select(*facts, staff_id=nw.col(column)) for column in columns])
    made = made.filter(~nw.col("staff_id").is_null()).unique()
    before = (nw.col("date") > nw.col("after")) & (nw.col("date") < nw.col("before"))
    flags = {
        "visits_before_year": before,
        **{
            name: before & (nw.col("program") == program) & (nw.col("mode") == mode)
            for (program, mode), name in VISITS_BY_KIND.items()
        },
        "visits_during_year": (nw.col("date") >= nw.col("before"))
        & (nw.col("date") <= nw.col("until")),
    }
    counts = (
        dated.join(made, on="staff_id")
        .with_columns(**{name: flag.cast(nw.Int64) for name, flag in flags.items()})
        .group_by(*KEYS)
        .agg(*(nw.col(name).sum().cast(nw.Int64) for name in flags))
    )
    named = made.select(named=nw.len())
    counted = dated.join(counts, on=list(KEYS), how="left").join(named, how="cross")
    known = nw.col("named") > 0
    return counted.with_columns(
        **{name: nw.when(known).then(nw.col(name).fill_null(0)) for name in COUNTS}
    )


def _windows(wanted: Frame, years: Frame, districts: Frame) -> Frame:
    """Return the days between which a visit lies before the year of a school, and its last."""
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
            until=nw.coalesce("last_instructional_day", "district_last_day"),
        )
    )
