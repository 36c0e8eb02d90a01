"""Who was visited in the window, who was not, and who was visited later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import narwhals as nw
import pandas as pd

from homevisit_eval.design import Question

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = [
    "first_school_year_with_visits",
    "households_visited",
    "visited_school_years",
    "visits_before_year",
]

KEY = ["student_id", "school_year"]
COMPLETED_BEFORE = ("visited", "visited_other_mode", "visited_other_program")


def visits_before_year(panel: Panel, question: Question, school_years: Iterable[int]) -> Frame:
    """Return what visits each student had before, and in, each school year.

    A visit lies before the school year if it belongs to that year (it is dated after the last
    day of the student's previous school year) and is dated before the first instructional day
    of the student's school. A visit on that day is not before the year.

    Parameters
    ----------
    panel
        Its visits already carry the school year that they belong to.
    question
        Which programs and modes count.
    school_years
        Outcome years.

    Returns
    -------
    Frame
        One row for each student-year of the panel (all grades) with a visit that belongs to
        it; 0/1 columns ``visited`` (completed before the year, of the question's programs and
        modes), ``visited_other_mode`` (completed before the year, of its programs but not its
        modes), ``visited_other_program`` (completed before the year, of no such program),
        ``attempted`` (as ``visited``, but not completed) and ``visited_later`` (completed in
        the year, on its first instructional day or after, of any program and mode); and
        ``visits``: on how many days a visit that makes ``visited`` was completed.
    """
    days = panel.students.filter(nw.col("school_year").is_in(list(school_years))).select(
        *KEY, "first_instructional_day"
    )
    before = nw.col("date") < nw.col("first_instructional_day")
    completed = nw.col("completed").cast(nw.Boolean)
    program = nw.col("program").is_in(list(question.programs))
    mode = nw.col("mode").is_in(list(question.modes))
    flags = {
        "visited": completed & before & program & mode,
        "visited_other_mode": completed & before & program & ~mode,
        "visited_other_program": completed & before & ~program,
        "attempted": ~completed & before & program & mode,
        "visited_later": completed & ~before,
    }
    return (
        panel.visits.join(days, on=KEY, how="inner")
        .with_columns(**{name: flag.cast(nw.Int32) for name, flag in flags.items()})
        .group_by(*KEY, "date")
        .agg(*(nw.col(name).max() for name in flags))
        .group_by(*KEY)
        .agg(
            nw.col("visited").sum().cast(nw.Int64).alias("visits"),
            *(nw.col(name).max() for name in flags),
        )
    )


def households_visited(panel: Panel, visits: Frame) -> Frame:
    """Return the households with a student visited before the school year, by school year.

    A completed visit of any program and mode counts, also one that the question leaves out: the
    family has met the school. A visit on the year's first day or later does not: it lies in the
    future of time zero, and choosing comparison students by it would bias the comparison. So
    "a sibling of a student visited that year" is read as visited *before* that year.

    Parameters
    ----------
    panel
        All its students count, of any grade and eligible or not.
    visits
        As `visits_before_year` returns it.

    Returns
    -------
    Frame
        Unique ``household_id``, ``school_year`` and ``household_visited`` = 1.
    """
    visited = visits.filter(nw.max_horizontal(*COMPLETED_BEFORE) == 1).select(*KEY)
    return (
        panel.students.filter(~nw.col("household_id").is_null())
        .select(*KEY, "household_id")
        .join(visited, on=KEY, how="inner")
        .select("household_id", "school_year", nw.lit(1).alias("household_visited"))
        .unique()
    )


def visited_school_years(panel: Panel) -> Frame:
    """Return the student-years to which any completed visit belongs, of any program and mode.

    Returns
    -------
    Frame
        Unique ``student_id``, ``school_year``.
    """
    return panel.visits.filter(nw.col("completed").cast(nw.Boolean)).select(*KEY).unique()


def first_school_year_with_visits(panel: Panel) -> int | None:
    """Return the first school year of the panel whose visits are all in the extracts.

    It is the first one before which there was a visit, completed or not: one dated before the
    district's first instructional day (the earliest of any student). An extract that starts in
    March does not say who was visited in the summer and fall before.

    Returns
    -------
    int or None
        The year after the panel's last if no year is whole; None if there is no visit.
    """
    visits = panel.visits.select(first=nw.col("date").min()).collect("pandas").to_native()
    first_visit = visits["first"].iloc[0]
    years = (
        panel.students.group_by("school_year")
        .agg(first_day=nw.col("first_instructional_day").min())
        .collect("pandas")
        .to_native()
    )
    if years.empty or pd.isna(first_visit):
        return None
    whole = years.loc[years["first_day"] > first_visit, "school_year"]
    return int(whole.min()) if len(whole) else int(years["school_year"].max()) + 1
