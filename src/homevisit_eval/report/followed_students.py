"""Tables of who can be followed, and who is visited, in the years after a visit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design.measures import LONGEST_FOLLOW_UP
from homevisit_eval.disclosure import is_few, suppress_small_counts
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.report.follow_up_tables import years_after_words
from homevisit_eval.report.rounded_blocks import tens_where_few_are_lost
from homevisit_eval.report.words import question_words
from homevisit_eval.sample.labels import school_year_text
from homevisit_eval.table import Cell, HidingRule, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.matching import MatchedSample
    from homevisit_eval.panel import Panel

__all__ = ["follow_up_years", "later_visits"]

GROUPS = ("visited", "comparison")
KEY = ["student_id", "school_year"]


def follow_up_years(panel: Panel, matched: MatchedSample, name: str = "B7-1") -> Table:
    """Return how far the extracts reach after each school year of visits, and who is still there.

    Parameters
    ----------
    panel
        That the sample is from.
    matched
        Student-years with a positive weight are counted.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: for each school year of visits and each of 0 to 3 years later whether the
        extracts reach it, and how many of the matched are enrolled then for the days that the
        design asks for, in a grade that it follows.
    """
    rows = _used(matched)
    days = _days_enrolled(panel, matched)
    last = max((int(one) for one in days["school_year"]), default=0)
    lines: list[dict[str, Any]] = []
    wholes: dict[str, list[int]] = {f"n_{group}": [] for group in GROUPS}
    for year, cohort in rows.groupby("school_year", observed=True, sort=True):
        for after in range(LONGEST_FOLLOW_UP + 1):
            there = int(str(year)) + after <= last
            counts = _still_there(cohort, days, after) if there else {}
            lines.append(
                {
                    "when": f"{years_after_words(after)} "
                    f"({school_year_text(int(str(year)) + after)})",
                    "cohort": f"Visits of {school_year_text(int(str(year)))}",
                    "years_after": after,
                    "reached": "yes" if there else "no",
                    **{f"n_{group}": counts.get(group) for group in GROUPS},
                }
            )
            for group in GROUPS:
                wholes[f"n_{group}"].append(int((cohort["visited"] == _code(group)).sum()))
    frame = pd.DataFrame(lines).astype({f"n_{group}": "Int64" for group in GROUPS})
    days_needed = matched.sample.design.eligibility.min_days_enrolled
    table = Table(
        name=name,
        title="How far students can be followed",
        frame=frame,
        kinds={
            "when": "text", "cohort": "text", "years_after": "whole_number", "reached": "text",
            "n_visited": "count", "n_comparison": "count",
        },
        labels={
            "when": "When", "reached": "In the extracts", "n_visited": "Visited",
            "n_comparison": "Comparison",
        },
        notes=(
            f"Of the matched student-years, those enrolled at least {days_needed} days in that "
            "year, through grade "
            f"{matched.sample.design.eligibility.highest_grade_followed}. Students who left the "
            "district, or were past that grade, are not among them.",
        ),
        synthetic=matched.sample.synthetic,
        population=question_words(matched.sample.question),
        section="cohort",
        csv_only=("years_after",),
        spanners=(("Student-years enrolled", ("n_visited", "n_comparison")),),
        sums=tuple(
            Sum(tuple((int(row), f"n_{group}") for row in np.flatnonzero(here)))
            for after in range(LONGEST_FOLLOW_UP + 1)
            for group in GROUPS
            for here in [(frame["years_after"] == after) & frame[f"n_{group}"].notna()]
        ),
    )  # fmt: skip
    blocks = [
        np.flatnonzero(frame["years_after"] == after).tolist()
        for after in range(LONGEST_FOLLOW_UP + 1)
    ]
    return tens_where_few_are_lost(suppress_small_counts(table), wholes, blocks)


def later_visits(panel: Panel, matched: MatchedSample, name: str = "B7-2") -> Table:
    """Return which shares of the matched students were visited again, or first, in later years.

    Parameters
    ----------
    panel
        That the sample is from.
    matched
        Student-years with a positive weight are counted.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Completed visits of any program and mode count.
    """
    rows = _used(matched)
    visits = fetch_frame(
        panel.visits.filter(nw.col("completed") == 1).select(*KEY, "date"), (*KEY, "date")
    )
    last = max((int(one) for one in _days_enrolled(panel, matched)["school_year"]), default=0)
    when = _years_of_visits(rows, visits, matched.sample.question.during)
    lines = []
    for after in range(LONGEST_FOLLOW_UP + 1):
        reached = (rows["school_year"] + after <= last).to_numpy()
        line: dict[str, Any] = {"when": years_after_words(after)}
        for group in GROUPS:
            own = reached & (rows["visited"] == _code(group)).to_numpy()
            line[f"n_{group}"] = int(own.sum())
            line[f"share_{group}"] = when[own, after].mean() if own.any() else math.nan
        earlier = np.asarray(when[:, :after].any(axis=1))
        own = reached & (rows["visited"] == 0).to_numpy()
        first = when[own, after] & ~earlier[own]
        line["share_first"] = first.mean() if own.any() else math.nan
        lines.append(line)
    hidden: dict[Cell, HidingRule] = {
        (row, "share_first"): "would reveal a small count"
        for row, line in enumerate(lines)
        if is_few(line["n_comparison"] * (line["share_comparison"] - line["share_first"]))
    }
    return suppress_small_counts(
        Table(
            name=name,
            title="Visits after the one asked about",
            frame=pd.DataFrame(lines),
            kinds={
                "when": "text", "n_visited": "count", "share_visited": "share",
                "n_comparison": "count", "share_comparison": "share", "share_first": "share",
            },
            labels={
                "when": "When", "n_visited": "Visited: student-years",
                "share_visited": "visited again then", "n_comparison": "Comparison: student-years",
                "share_comparison": "visited then", "share_first": "for the first time since",
            },
            notes=(
                "Of all matched student-years whose later year is in the extracts, whether still "
                "enrolled or not. In the year of the visit: after the visit, and of a visit before "
                "the year, from the first day of instruction on. Completed visits of any program "
                "and mode.",
            ),
            synthetic=matched.sample.synthetic,
            population=question_words(matched.sample.question),
            groups={
                "n_visited": ("share_visited",),
                "n_comparison": ("share_comparison", "share_first"),
            },
            hidden=hidden,
        )
    )  # fmt: skip


def _code(group: str) -> int:
    return int(group == "visited")


def _used(matched: MatchedSample) -> pd.DataFrame:
    """Return key, group, grade and time zero of the matched rows."""
    columns = ["unit_id", "school_year", "grade", "visited", "index_date"]
    return matched.sample.baseline.loc[matched.matches.weights.to_numpy() > 0, columns]


def _days_enrolled(panel: Panel, matched: MatchedSample) -> pd.DataFrame:
    """Return who is enrolled long enough in which year, from the first of the sample's on."""
    design = matched.sample.design
    enough = panel.students.filter(
        nw.col("school_year") >= min(design.school_years),
        nw.col("days_enrolled") >= design.eligibility.min_days_enrolled,
        nw.col("grade") <= design.eligibility.highest_grade_followed,
    ).select(*KEY, "grade")
    return fetch_frame(enough, tuple(KEY))


def _still_there(cohort: pd.DataFrame, days: pd.DataFrame, after: int) -> dict[str, int]:
    """Count the students of one school year by group who are enrolled some years later."""
    then = days[days["school_year"] == int(cohort["school_year"].iloc[0]) + after]
    there = cohort["unit_id"].isin(then["student_id"])
    return {group: int((there & (cohort["visited"] == _code(group))).sum()) for group in GROUPS}


def _years_of_visits(rows: pd.DataFrame, visits: pd.DataFrame, during: bool) -> NDArray[np.bool_]:
    """Say in which years from the visit's on each row has a completed visit: shape (n, 4).

    Of the year of the visit only days after time zero count, and time zero itself where it is the
    first day of instruction.
    """
    found = np.zeros((len(rows), LONGEST_FOLLOW_UP + 1), dtype=bool)
    own = visits.rename(columns={"student_id": "unit_id", "school_year": "year_of_visit"})
    pairs = rows.reset_index(drop=True).reset_index(names="place").merge(own, on="unit_id")
    after = (pairs["year_of_visit"] - pairs["school_year"]).to_numpy()
    late = pairs["date"] > pairs["index_date"] if during else pairs["date"] >= pairs["index_date"]
    counts = ((after == 0) & late.to_numpy()) | ((after > 0) & (after <= LONGEST_FOLLOW_UP))
    found[pairs["place"].to_numpy()[counts], after[counts].astype(int)] = True
    return found
