"""Who was visited in the window, who was not, and who was visited later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import narwhals as nw

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
        the year, on its first instructional day or after, of any program and mode).
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
        .group_by(*KEY)
        .agg(*(nw.col(name).max() for name in flags))
    )


def households_visited(panel: Panel, visits: Frame) -> Frame:
    """Return the households with a student visited in the window, by school year.

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
    visited = visits.filter(nw.col("visited") == 1).select(*KEY)
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
    """Return the first school year to which any visit of the extracts belongs; None if none."""
    first = panel.visits.select(nw.col("school_year").min()).collect("pandas").to_native()
    years = first["school_year"].dropna()
    return int(years.iloc[0]) if len(years) else None
