"""Pairs in the school years after the visit's: who is enrolled, and who is visited when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.censoring.followed_rows import FollowedRows, history_until
from homevisit_eval.censoring.hazards import Stay, log_stay
from homevisit_eval.sample.day_records import BEYOND, LAST_DAY
from homevisit_eval.sample.first_visits import next_visits, pace_before_year, pace_of_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["LaterYears", "later_years", "probability_before"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LaterYears:
    """The later years of r student-years: one of n rows for each in which they are enrolled.

    Attributes
    ----------
    rows
        Those of one year later first.
    origin
        Shape (n,), which of the r student-years it is of.
    stay_before
        Shape (n,), the probability of no visit to a comparison student between the last day of the
        year before and the first day of this one; 1 for visited students.
    """

    rows: FollowedRows
    origin: Integers
    stay_before: Floats


def later_years(first: FollowedRows, keys: pd.DataFrame, panel: Panel, years: int) -> LaterYears:
    """Return the years after that of the visit of the student-years of a matched sample.

    A pair is followed as long as its comparison student is visited in none of them, before the
    year or during it. Comparison students enrolled on the first day are those who may be visited
    before a year; that is a logit on what the hazard of a day depends on (`FollowedRows.fixed`) and
    how much the school visits before that year.

    Parameters
    ----------
    first
        Their year of the visit: r rows, whose `records` hold the later years too.
    keys : DataFrame of r rows, in their order
        ``unit_id, school_year``.
    years
        How many later years, 1 or more.

    Raises
    ------
    EstimationError
        If the probability of a visit before a later year cannot be fitted.
    """
    r, records = len(keys), first.records
    after = np.repeat(np.arange(1, years + 1), r)
    origin = np.tile(np.arange(r), years)
    these = pd.DataFrame(
        {
            "unit_id": keys["unit_id"].to_numpy()[origin],
            "school_year": keys["school_year"].to_numpy(dtype=np.int64)[origin] + after,
        }
    )
    code = records.keys.get_indexer(pd.MultiIndex.from_frame(these)).astype(np.int64)
    school = records.first_school(code)
    enrolled = school >= 0
    opens = np.where(
        enrolled, records.next_school_day(np.maximum(school, 0), np.zeros_like(code), 0), BEYOND
    )
    visit = next_visits(panel, these, np.zeros_like(code))
    of_pair = (after - 1) * r + first.partner[origin]
    none = (visit == BEYOND).reshape(years, r)
    unvisited = np.vstack([first.censored == BEYOND, none[:-1]])[:, first.partner]
    before = np.logical_and.accumulate(unvisited, axis=0).ravel()
    summer = visit < opens
    left = np.where(before & ~summer[of_pair], visit[of_pair], -1)
    kept = np.flatnonzero(enrolled)
    place = np.full(len(code), -1)
    place[kept] = np.arange(len(kept))
    last_year = np.concatenate([first.code, code[:-r]])
    dummies = after[:, None] == np.arange(2, years + 1)
    fixed = np.column_stack(
        [
            first.fixed[origin],
            history_until(records, last_year, np.full_like(code, LAST_DAY)),
            dummies.astype(np.float64),
        ]
    )
    rows = FollowedRows(
        records=records,
        after=after[kept],
        visited=first.visited[origin[kept]],
        code=code[kept],
        school=school[kept],
        index_day=opens[kept] - 1,
        start=opens[kept],
        censored=left[kept],
        partner=place[of_pair[kept]],
        fixed=fixed[kept],
        pace=pace_of_visits(panel, records.schools)[school[kept]],
    )
    may_leave = before[kept] & ~rows.visited
    stay_before = _stay_before(rows, panel, may_leave, summer[kept])
    return LaterYears(rows, origin[kept], stay_before)


def _stay_before(rows: FollowedRows, panel: Panel, followed: Booleans, summer: Booleans) -> Floats:
    """Return the probability of no visit before the year, where `followed`, else 1: (n,)."""
    there = rows.records.days_enrolled(rows.code, rows.start, rows.start) > 0
    at = np.flatnonzero(followed & (there | summer))
    pace = pace_before_year(panel, rows.records.schools)[rows.school[at]]
    X = np.column_stack([np.ones(len(at)), rows.fixed[at], pace])
    stay = np.ones(len(rows.code))
    stay[at] = np.exp(log_stay(X, summer[at], rows.after[at]))
    return stay


def probability_before(
    later: LaterYears, stay: Stay, first: FollowedRows, through_first: Floats
) -> Floats:
    """Return the probability that the pair of each later row is followed to its first day: (n,).

    Parameters
    ----------
    later, stay
        The later rows, and how likely no visit is within each.
    first, through_first
        The r rows of the year of the visit, and the probability of no visit through its end.
    """
    rows, pair = later.rows, first.partner[later.origin]
    made = np.ones(len(rows.code))
    so_far = through_first.copy()
    for year in np.unique(rows.after):
        here = rows.after == year
        own, others = np.flatnonzero(here & ~rows.visited), np.flatnonzero(here & rows.visited)
        made[own] = so_far[pair[own]] * later.stay_before[own]
        there = rows.partner[others]
        made[others] = np.where(there >= 0, made[np.maximum(there, 0)], so_far[pair[others]])
        so_far[pair[own]] = made[own] * stay.through[own]
    return made
