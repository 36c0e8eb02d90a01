"""Where a student was enrolled, and for how many instructional days.

District extracts record absences only, so the denominator of every rate comes from here: the
instructional days of a school's calendar that lie within a student's enrollment spells.
"""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import is_last

__all__ = [
    "days_enrolled",
    "district_years",
    "number_days",
    "resolve_segments",
    "school_years",
    "schools_of_students",
    "spell_dates",
]

STUDENT_YEAR = ("student_id", "school_year")
SPELL_ORDER = ("entry_date", "exit_date", "school_id", "grade")
"""Of several spells the last in this order holds a day: the one with the latest entry."""


def school_years(calendar: Frame) -> Frame:
    """Return first and last instructional day and count date of every school and year.

    The count date is the first one marked as such, missing if none is.
    """
    keys = ("school_id", "school_year")
    days = calendar.filter(nw.col("instructional")).group_by(*keys)
    counted = calendar.filter(nw.col("count_date")).group_by(*keys)
    return (
        calendar.select(*keys)
        .unique()
        .join(
            days.agg(
                nw.col("date").min().alias("first_instructional_day"),
                nw.col("date").max().alias("last_instructional_day"),
            ),
            on=list(keys),
            how="left",
        )
        .join(counted.agg(nw.col("date").min().alias("count_date")), on=list(keys), how="left")
    )


def district_years(schools: Frame) -> Frame:
    """Return the first and last instructional day of any school of the district, by year."""
    return schools.group_by("school_year").agg(
        nw.col("first_instructional_day").min().alias("district_first_day"),
        nw.col("last_instructional_day").max().alias("district_last_day"),
    )


def spell_dates(spells: Frame) -> Frame:
    """Return the dates (column ``date``) on which a stretch of enrollment may begin or end.

    These are entries and exits, and because another spell may begin or end there, the days
    before an entry and after an exit.
    """
    entry, leaving = nw.col("entry_date"), nw.col("exit_date")
    dates = (
        entry,
        entry.dt.offset_by("-1d").cast(nw.Date),
        leaving,
        leaving.dt.offset_by("1d").cast(nw.Date),
    )
    return nw.concat([spells.select(date.alias("date")).unique() for date in dates])


def number_days(calendar: Frame, dates: Frame) -> Frame:
    """Return the instructional-day number of every school, year and date.

    Parameters
    ----------
    calendar
        The validated calendar, one row per school and date.
    dates
        A column ``date``: further dates to number, of `spell_dates` and of incidents.

    Returns
    -------
    Frame
        ``school_id, school_year, date, instructional`` (0/1) and ``instructional_day``: how
        many instructional days the school's year has had through that date, 0 before the
        first. A date without a row in the calendar is no instructional day.
    """
    keys = ["school_id", "school_year", "date"]
    every = nw.concat([calendar.select("date"), dates.select("date")]).unique()
    held = calendar.filter(nw.col("instructional")).select(*keys, instructional=nw.lit(1))
    numbered = (
        calendar.select("school_id", "school_year")
        .unique()
        .join(every, how="cross")
        .join(held, on=keys, how="left")
        .with_columns(nw.col("instructional").fill_null(0).cast(nw.Int64))
    )
    number = nw.col("instructional").cum_sum().over("school_id", "school_year", order_by="date")
    return numbered.with_columns(instructional_day=number.cast(nw.Int64))


def resolve_segments(spells: Frame, numbers: Frame) -> Frame:
    """Return stretches of enrollment of which no two hold the same day of a student.

    Where spells overlap, each instructional day belongs to the spell with the latest entry
    date (then the latest exit, then the last school in alphabetical order).

    Returns
    -------
    Frame
        ``student_id, school_id, school_year, start, end`` (inclusive).

    Notes
    -----
    The days of a spell after the exits of all spells before it in that order, and before the
    entry of the next, are undisputed and stay one stretch. Only the other days are looked at
    one by one; runs of those that a spell keeps become further stretches.
    """
    reach = nw.col("exit_date").cum_max().over(*STUDENT_YEAR, order_by=SPELL_ORDER)
    earlier = nw.col("reach").shift(1).over(*STUDENT_YEAR, order_by=SPELL_ORDER)
    later = nw.col("entry_date").shift(-1).over(*STUDENT_YEAR, order_by=SPELL_ORDER)
    ordered = spells.with_columns(reach=reach).with_columns(
        after=earlier.dt.offset_by("1d").cast(nw.Date),
        before=later.dt.offset_by("-1d").cast(nw.Date),
    )
    bounded = ordered.with_columns(
        start=_later_of("after", "entry_date"), end=_earlier_of("before", "exit_date")
    )
    columns = ["student_id", "school_id", "school_year", "start", "end"]
    undisputed = bounded.filter(nw.col("start") <= nw.col("end"))
    disputed = bounded.filter(
        (nw.col("start") > nw.col("entry_date")) | (nw.col("end") < nw.col("exit_date"))
    )
    return nw.concat(
        [undisputed.select(*columns), _runs_of_days(disputed, numbers).select(*columns)]
    )


def _later_of(bound: str, own: str) -> nw.Expr:
    """Return the later of two dates, the own one where there is no bound."""
    return nw.when(nw.col(bound) > nw.col(own)).then(nw.col(bound)).otherwise(nw.col(own))


def _earlier_of(bound: str, own: str) -> nw.Expr:
    """Return the earlier of two dates, the own one where there is no bound."""
    return nw.when(nw.col(bound) < nw.col(own)).then(nw.col(bound)).otherwise(nw.col(own))


def _runs_of_days(spells: Frame, numbers: Frame) -> Frame:
    """Give every disputed instructional day to one spell and join consecutive days to runs.

    The days from ``start`` to ``end`` of a spell are undisputed and left out.
    """
    date = nw.col("date")
    days = (
        spells.join(numbers.filter(nw.col("instructional") == 1), on=["school_id", "school_year"])
        .filter(date >= nw.col("entry_date"), date <= nw.col("exit_date"))
        .filter((date < nw.col("start")) | (date > nw.col("end")))
        .filter(is_last(("student_id", "school_year", "date"), SPELL_ORDER))
    )
    group = ("student_id", "school_id", "school_year")
    position = date.cum_count().over(*group, order_by="date")
    return (
        days.drop("start", "end")
        .with_columns(run=nw.col("instructional_day") - position)
        .group_by(*group, "run")
        .agg(date.min().alias("start"), date.max().alias("end"))
    )


def days_enrolled(segments: Frame, numbers: Frame) -> Frame:
    """Return the enrolled instructional days of every student, school and year.

    A segment holds the number of its last day minus that of the day before its first.
    """
    keys = ["school_id", "school_year"]
    first = numbers.select(
        *keys,
        start=nw.col("date"),
        days_before=nw.col("instructional_day") - nw.col("instructional"),
    )
    last = numbers.select(*keys, end=nw.col("date"), days_through=nw.col("instructional_day"))
    return (
        segments.join(first, on=[*keys, "start"])
        .join(last, on=[*keys, "end"])
        .with_columns(days=nw.col("days_through") - nw.col("days_before"))
        .filter(nw.col("days") > 0)
        .group_by("student_id", *keys)
        .agg(nw.col("days").sum().cast(nw.Int64).alias("days_enrolled"))
    )


def schools_of_students(spells: Frame, schools: Frame, enrolled: Frame) -> Frame:
    """Return for every student-year its schools, its grade, its days and the year's limits.

    Parameters
    ----------
    spells
        All enrollment spells.
    schools
        From `school_years`.
    enrolled
        From `days_enrolled`.

    Returns
    -------
    Frame
        One row per student and school year of `spells`: ``grade, school_id`` (time zero),
        ``school_id_count_date, schools_attended`` (schools with at least one enrolled day),
        ``first_instructional_day, last_instructional_day, days_enrolled``.
    """
    dated = spells.join(schools, on=["school_id", "school_year"], how="left")
    zero = _school_on(dated, "first_instructional_day")
    counted = _school_on(dated, "count_date").select(
        *STUDENT_YEAR, school_id_count_date=nw.col("school_id")
    )
    entered = _first_spell(spells)
    attended = enrolled.join(schools, on=["school_id", "school_year"])
    sums = attended.group_by(*STUDENT_YEAR).agg(
        nw.len().cast(nw.Int64).alias("schools_attended"),
        nw.col("days_enrolled").sum().cast(nw.Int64),
        nw.col("last_instructional_day").max(),
    )
    limits = dated.group_by(*STUDENT_YEAR).agg(
        nw.col("last_instructional_day").max().alias("last_of_spells")
    )
    keys = list(STUDENT_YEAR)
    return (
        limits.join(entered, on=keys, how="left")
        .join(zero, on=keys, how="left")
        .join(counted, on=keys, how="left")
        .join(sums, on=keys, how="left")
        .join(district_years(schools), on="school_year", how="left")
        .select(
            *STUDENT_YEAR,
            "school_id",
            "school_id_count_date",
            grade=nw.coalesce("grade", "first_grade").cast(nw.Int64),
            schools_attended=nw.col("schools_attended").fill_null(0),
            first_instructional_day=nw.coalesce("first_instructional_day", "district_first_day"),
            last_instructional_day=nw.coalesce(
                "last_instructional_day", "last_of_spells", "district_last_day"
            ),
            days_enrolled=nw.col("days_enrolled").fill_null(0),
        )
    )


def _school_on(dated: Frame, day: str) -> Frame:
    """Return the school at which a student was enrolled on that school's `day`.

    Should two schools have different days, the school with the earlier day counts; on the
    same day the spell with the latest entry.
    """
    present = dated.filter(nw.col("entry_date") <= nw.col(day), nw.col("exit_date") >= nw.col(day))
    earliest = present.with_columns(earliest=nw.col(day).min().over(*STUDENT_YEAR)).filter(
        nw.col(day) == nw.col("earliest")
    )
    chosen = earliest.filter(is_last(STUDENT_YEAR, SPELL_ORDER))
    return chosen.select(*STUDENT_YEAR, "school_id", "grade", day)


def _first_spell(spells: Frame) -> Frame:
    """Return the grade of a student-year's first spell."""
    position = nw.col("entry_date").cum_count().over(*STUDENT_YEAR, order_by=SPELL_ORDER)
    first = spells.with_columns(position=position).filter(nw.col("position") == 1)
    return first.select(*STUDENT_YEAR, first_grade=nw.col("grade"))
