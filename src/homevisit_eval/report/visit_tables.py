"""Table of the visits that were made: when, by program and mode, and how many (A2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from homevisit_eval.disclosure import suppress_small_counts
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.sample.labels import grades_text, school_years_text
from homevisit_eval.table import Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.design import StudyDesign
    from homevisit_eval.panel import Panel

__all__ = ["visits_made"]

KEY = ["student_id", "school_year"]
ALL, BEFORE = "All", "Before the school year"
WHEN = "When the first visit was"
TIMES = (BEFORE, "Fall", "Spring")
PROGRAMS: Mapping[str, str] = {
    "FEP": "Family Engagement Partnership",
    "FEC": "Family Engagement Collaborative",
    "EC": "Early childhood",
}
MODES: Mapping[str, str] = {"in_person": "In person", "virtual": "Virtual"}
BOTH = "More than one on that day"
DOSE_BEFORE = "Days with a visit before the school year"
DOSE = "Days with a visit before or during the school year"


def visits_made(panel: Panel, design: StudyDesign, name: str = "A2") -> Table:
    """Return when students were visited, by which program and mode, and on how many days.

    Parameters
    ----------
    panel
        Still open.
    design
        Its school years and grades, and the day on which spring starts.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: student-years with a completed visit, whatever the questions ask, and
        shares of them; of days before the year, of those visited before it. Counted are days with
        a completed visit, so that two visits on one day are one.
    """
    students, days = _days(panel, design)
    each = _student_years(days, design.risk_sets.spring_starts)
    lines: list[dict[str, Any]] = [
        {
            "what": ALL,
            "visits": "With a completed visit",
            "n": len(each),
            "share": len(each) / students if students else math.nan,
        }
    ]
    sums, all_of_them = [], (0, "n")
    early = each[each["when"] == BEFORE]
    blocks = (
        (WHEN, each["when"], TIMES),
        ("Program of the first visit", each["program"], (*PROGRAMS.values(), BOTH)),
        ("Mode of the first visit", each["mode"], (*MODES.values(), BOTH)),
        (DOSE_BEFORE, _at_most(early["days_before"], 2), ("One", "Two or more")),
        (DOSE, _at_most(each["days"], 3), ("One", "Two", "Three or more")),
    )
    for what, values, rows in blocks:
        total = (1, "n") if what == DOSE_BEFORE else all_of_them
        sums.append(Sum(tuple((len(lines) + row, "n") for row in range(len(rows))), total))
        for row in rows:
            count = int((values == row).sum())
            share = count / len(values) if len(values) else math.nan
            lines.append({"what": what, "visits": row, "n": count, "share": share})
    place = f"{grades_text(design.grades)}, {school_years_text(design.school_years)}"
    return suppress_small_counts(
        Table(
            name=name,
            title="The visits that were made",
            frame=pd.DataFrame(lines)[["visits", "what", "n", "share"]],
            kinds={"visits": "text", "what": "text", "n": "count", "share": "rate"},
            labels={"visits": "Completed visits", "n": "Student-years", "share": "Share"},
            notes=(
                "Of all enrolled student-years the share with a completed visit; below, shares of "
                "those, and of days before the school year shares of those visited before it. Days "
                "are counted: two visits on one day are one. All programs and modes, whatever the "
                "questions ask.",
            ),
            synthetic=panel.synthetic,
            population=f"Enrolled: {place}",
            section="what",
            groups={"n": ("share",)},
            sums=tuple(sums),
        )
    )


def _days(panel: Panel, design: StudyDesign) -> tuple[int, pd.DataFrame]:
    """Count enrolled student-years; return one row for each of their days, program and mode."""
    enrolled = panel.students.filter(
        nw.col("school_year").is_in(list(design.school_years)),
        nw.col("grade").is_in(list(design.grades)),
    ).select(*KEY, "first_instructional_day")
    students = fetch_frame(enrolled, tuple(KEY))
    visits = fetch_frame(
        panel.visits.filter(nw.col("completed") == 1).select(*KEY, "date", "program", "mode"),
        (*KEY, "date", "program", "mode"),
    ).drop_duplicates()
    return len(students), visits.merge(students, on=KEY)


def _student_years(days: pd.DataFrame, spring_starts: str) -> pd.DataFrame:
    """Return one row for each student-year: when, program and mode of the first day, and days."""
    spring = pd.to_datetime(days["school_year"].astype(str) + f"-{spring_starts}")
    date = pd.to_datetime(days["date"])
    before = date < pd.to_datetime(days["first_instructional_day"])
    days = days.assign(
        when=np.select([before, date < spring], TIMES[:2], TIMES[2]), before=before, date=date
    )
    first = days[days["date"] == days.groupby(KEY)["date"].transform("min")].groupby(KEY)
    unique = days.drop_duplicates([*KEY, "date"]).groupby(KEY)
    found = first[["when"]].first()
    for column, words in (("program", PROGRAMS), ("mode", MODES)):
        lowest, highest = first[column].min(), first[column].max()
        found[column] = lowest.map(words).where(lowest == highest, BOTH)
    return found.assign(days=unique["date"].size(), days_before=unique["before"].sum())


def _at_most(days: pd.Series[int], most: int) -> pd.Series[str]:
    """Return numbers of days in words, `most` and more together."""
    words = {1: "One", 2: "Two", 3: "Three"} | {
        most: f"{('', 'One', 'Two', 'Three')[most]} or more"
    }
    return days.clip(upper=most).map(words)
