"""The first completed visit of each student in a school year, and in any year before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import Question
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.sample.day_records import BEYOND, ordinals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homevisit_eval.panel import Panel

__all__ = ["next_visits", "pace_before_year", "pace_of_visits", "with_first_visits"]

KEY = ["student_id", "school_year"]


def with_first_visits(
    students: pd.DataFrame, panel: Panel, question: Question, school_years: Sequence[int]
) -> pd.DataFrame:
    """Add to student-years when the first completed visit of the year was, and of which kind.

    Parameters
    ----------
    students : DataFrame, one row a student-year
        ``student_id, school_year, household_id``.
    panel, question
        Programs and modes that count.
    school_years
        Of the students.

    Returns
    -------
    DataFrame
        With ``first_visit`` (day since 1970 of the first completed visit that belongs to the year,
        of any program and mode; after every day if none), ``first_asked`` (whether a visit of the
        question's programs and modes was completed on that day), ``attempted`` (whether a visit
        was attempted that year and not completed), ``visited_earlier`` (whether any visit was
        completed in an earlier year of the extracts), ``visited_prior`` (0/1, in the year before)
        and ``household_visit`` (the first visit of the year in the household).
    """
    visits = fetch_frame(panel.visits, ("student_id", "date", "visit_id"))
    done = visits[visits["completed"] == 1].assign(day=lambda rows: ordinals(rows["date"]))
    asked = done["program"].isin(question.programs) & done["mode"].isin(question.modes)
    first = done.groupby(KEY)["day"].min().rename("first_visit")
    on_first = done.assign(asked=asked).join(first, on=KEY)
    on_first = on_first[on_first["day"] == on_first["first_visit"]]
    kind = on_first.groupby(KEY)["asked"].max().rename("first_asked")
    tried = visits[visits["completed"] == 0].groupby(KEY).size().rename("attempted")
    year_of_first = done.groupby("student_id")["school_year"].min().rename("first_year")
    before = done[KEY].drop_duplicates().assign(school_year=lambda r: r["school_year"] + 1)
    rows = students.join(first, on=KEY).join(kind, on=KEY).join(tried, on=KEY)
    rows = rows.join(year_of_first, on="student_id")
    never = int(ordinals(pd.Series([pd.NaT]))[0])
    prior = pd.MultiIndex.from_frame(rows[KEY]).isin(pd.MultiIndex.from_frame(before))
    rows = rows.assign(
        first_visit=rows["first_visit"].fillna(never).astype("int64"),
        first_asked=rows["first_asked"].eq(True),
        attempted=rows["attempted"].fillna(0).gt(0).astype("int64"),
        visited_earlier=rows["first_year"].lt(rows["school_year"]),
        visited_prior=prior.astype("int64"),
    )
    return rows.drop(columns="first_year").assign(
        household_visit=_of_household(rows, panel, first, school_years, never)
    )


def _of_household(
    rows: pd.DataFrame, panel: Panel, first: pd.Series, school_years: Sequence[int], never: int
) -> NDArray[np.int64]:
    """Return the first visit of the year in each student's household, all grades counted."""
    these = nw.col("school_year").is_in(list(school_years)) & ~nw.col("household_id").is_null()
    everyone = fetch_frame(
        panel.students.filter(these).select(*KEY, "household_id"), ("student_id", "school_year")
    )
    if everyone.empty:
        return np.full(len(rows), never, dtype=np.int64)
    home = ["household_id", "school_year"]
    earliest = everyone.join(first, on=KEY).groupby(home)["first_visit"].min().rename("earliest")
    joined = rows[home].join(earliest, on=home)["earliest"]
    return joined.fillna(never).to_numpy(dtype=np.int64)


def next_visits(
    panel: Panel, rows: pd.DataFrame, index_day: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the day of the next completed visit of the year after a day, of any program and mode.

    Parameters
    ----------
    rows : DataFrame, one row a student-year on a day
        ``unit_id, school_year``.
    index_day
        Shape (n,), days since 1970.

    Returns
    -------
    array of shape (n,)
        After every day if there is none.
    """
    visits = fetch_frame(panel.visits, ("student_id", "date", "visit_id"))
    done = visits[visits["completed"] == 1]
    asked = pd.DataFrame(
        {
            "student_id": rows["unit_id"].to_numpy(dtype=object),
            "school_year": rows["school_year"].to_numpy(dtype=np.int64),
            "after": index_day,
            "row": np.arange(len(rows)),
        }
    )
    joined = asked.merge(done[[*KEY, "date"]], on=KEY, how="inner")
    day = ordinals(joined["date"])
    later = day > joined["after"].to_numpy(dtype=np.int64)
    found = np.full(len(rows), BEYOND, dtype=np.int64)
    np.minimum.at(found, joined["row"].to_numpy(dtype=np.int64)[later], day[later])
    return found


def pace_of_visits(panel: Panel, schools: pd.MultiIndex) -> NDArray[np.float64]:
    """Return how fast each school visits in a year: the log of its cumulative hazard of a visit.

    Parameters
    ----------
    schools : MultiIndex of (school_id, school_year)
        Students count at their school of the first day of instruction, visits of any program and
        mode from that day on.

    Returns
    -------
    array of shape (school-years,)

    Notes
    -----
    The complementary log-log of the share of students visited, to which half a visit and half a
    student without one are added, so that no share is 0 or 1.
    """
    return _pace(panel, schools, before_year=False)


def pace_before_year(panel: Panel, schools: pd.MultiIndex) -> NDArray[np.float64]:
    """Return `pace_of_visits` of visits before the first day of instruction of each year."""
    return _pace(panel, schools, before_year=True)


def _pace(panel: Panel, schools: pd.MultiIndex, *, before_year: bool) -> NDArray[np.float64]:
    students = fetch_frame(
        panel.students.select(*KEY, "school_id", "first_instructional_day"), tuple(KEY)
    )
    visits = fetch_frame(panel.visits, ("student_id", "date", "visit_id"))
    done = visits[visits["completed"] == 1].groupby(KEY)["date"]
    rows = students.join(done.agg(earliest="min", latest="max"), on=KEY)
    opens = ordinals(rows["first_instructional_day"])
    if before_year:
        visited = ordinals(rows["earliest"]) < opens
    else:
        day = ordinals(rows["latest"])
        visited = (day < BEYOND) & (day >= opens)
    cells = rows.assign(visited=visited).groupby(["school_id", "school_year"])["visited"]
    counts = pd.DataFrame({"visited": cells.sum(), "students": cells.size()})
    found = counts.reindex(schools).fillna(0)
    share = (found["visited"] + 0.5) / (found["students"] + 1.0)
    return np.asarray(np.log(-np.log1p(-share.to_numpy(dtype=np.float64))))
