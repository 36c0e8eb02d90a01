"""School years, and schools, without one record: what was not recorded is missing, not zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import narwhals as nw

from homevisit_eval.design.school_years import school_year_text
from homevisit_eval.disclosure import shown_count
from homevisit_eval.panel.engine import Frame, fetch_frame

__all__ = [
    "SMALLEST_SCHOOL_DAYS",
    "Unrecorded",
    "leave_missing",
    "without_absences",
    "without_incidents",
]

STUDENT_YEAR = ["student_id", "school_year"]
SCHOOL_YEAR = ["school_id", "school_year"]

SMALLEST_SCHOOL_DAYS = 1000
"""Enrolled student-days in a year from which a school without an absence record has sent none.

Our rule. Of 1,000 student-days some 50 are usually missed; a smaller group of students may well
have been present on every day.
"""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unrecorded:
    """Student-years of which a kind of record is missing altogether.

    Attributes
    ----------
    student_years
        Unique ``student_id, school_year``.
    sentences
        One for each school year, with counts and what to do.
    """

    student_years: Frame
    sentences: tuple[str, ...]


def without_absences(spells: Frame, enrolled: Frame, recorded: Frame) -> Unrecorded:
    """Return the student-years of which no attendance was recorded.

    These are all student-years of a school year without one absence record in the district,
    and those with an enrolled day at a school that has `SMALLEST_SCHOOL_DAYS` or more and not
    one absence record of its own in that year.

    Parameters
    ----------
    spells
        All enrollment spells.
    enrolled
        From `enrollment.days_enrolled`.
    recorded
        ``school_id, school_year`` of absence records; rows may repeat.
    """
    of_years = _of_years(spells, recorded)
    days = enrolled.group_by(*SCHOOL_YEAR).agg(nw.col("days_enrolled").sum().alias("days"))
    silent = (
        days.filter(nw.col("days") >= SMALLEST_SCHOOL_DAYS)
        .join(recorded.select("school_year").unique(), on="school_year", how="semi")
        .join(recorded.select(*SCHOOL_YEAR).unique(), on=SCHOOL_YEAR, how="anti")
    )
    of_schools = enrolled.join(silent, on=SCHOOL_YEAR, how="semi")
    both = [rows.select(*STUDENT_YEAR) for rows in (of_years, of_schools)]
    of_school = [
        f"absences: not one record in {year} of {schools} schools with {SMALLEST_SCHOOL_DAYS:,} "
        f"or more enrolled student-days: attendance that year is missing, not perfect, for the "
        f"{students} student-years enrolled there. Deliver the absences of these schools, or "
        "mind that their students leave the sample."
        for year, schools, students in _counts(of_schools)
    ]
    return Unrecorded(
        nw.concat(both).unique(),
        (*_sentences("absences", "attendance", "perfect", of_years), *of_school),
    )


def without_incidents(spells: Frame, incidents: Frame, districts: Frame) -> Unrecorded:
    """Return the student-years of a school year without one incident record in the district.

    Parameters
    ----------
    spells
        All enrollment spells.
    incidents
        The validated records, of any role.
    districts
        From `enrollment.district_years`: a record belongs to the year that holds its date.
    """
    date = nw.col("date")
    recorded = (
        incidents.select("date")
        .unique()
        .join(districts, how="cross")
        .filter(date >= nw.col("district_first_day"), date <= nw.col("district_last_day"))
    )
    of_years = _of_years(spells, recorded)
    return Unrecorded(
        of_years.select(*STUDENT_YEAR).unique(),
        _sentences("incidents", "discipline", "without incident", of_years),
    )


def leave_missing(rows: Frame, student_years: Frame, columns: Sequence[str]) -> Frame:
    """Return student-years with the given columns missing where nothing was recorded."""
    flag = student_years.with_columns(unrecorded=nw.lit(1))
    known = nw.col("unrecorded").is_null()
    values = {name: nw.when(known).then(nw.col(name)) for name in columns}
    return rows.join(flag, on=STUDENT_YEAR, how="left").with_columns(**values).drop("unrecorded")


def _of_years(spells: Frame, recorded: Frame) -> Frame:
    """Return the spells of the school years without a record."""
    years = recorded.select("school_year").unique()
    return spells.join(years, on="school_year", how="anti")


def _sentences(table: str, what: str, not_so: str, of_years: Frame) -> tuple[str, ...]:
    return tuple(
        f"{table}: not one record in {year}, when {schools} schools had {students} "
        f"student-years: {what} of that year is missing, not {not_so}. Deliver the {table} of "
        "that year, or take the years that need it out of the design."
        for year, schools, students in _counts(of_years)
    )


def _counts(rows: Frame) -> list[tuple[str, str, str]]:
    """Return for each school year its name and how many schools and student-years it has."""
    table = rows.group_by("school_year").agg(
        nw.col("school_id").n_unique().alias("schools"),
        nw.col("student_id").n_unique().alias("students"),
    )
    years = fetch_frame(table, ("school_year",)).to_dict("list")
    return [
        (school_year_text(year), shown_count(schools), shown_count(students))
        for year, schools, students in zip(
            years["school_year"], years["schools"], years["students"], strict=True
        )
    ]
