"""School calendars: instructional days, holidays, and schools that differ by a few days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.parameters import District

__all__ = ["YearCalendar", "calendar_table", "count_positions", "make_calendar"]

INSTRUCTIONAL_DAYS = 180
FRIDAY = 4


@dataclass(frozen=True, slots=True, eq=False)
class YearCalendar:
    """The days of one school year, of S schools and D dates.

    Parameters
    ----------
    school_year
        Named by its spring.
    dates
        Shape (D,), every date from the first to the last of any school.
    instructional
        Shape (S, D).
    before
        Shape (S, D + 1), instructional days of the school before each date.
    ordinals
        Shape (S, longest), positions of each school's instructional days in `dates`.
    own
        Shape (S,), schools with rows of their own.
    first, last
        Shape (S,), positions of each school's first and last instructional day.
    """

    school_year: int
    dates: NDArray[np.datetime64]
    instructional: NDArray[np.bool_]
    before: NDArray[np.int64]
    ordinals: NDArray[np.int64]
    own: NDArray[np.bool_]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def _weekday_of_month(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _days(first: date, count: int) -> set[date]:
    return {first + timedelta(days=offset) for offset in range(count)}


def _holidays(fall: int) -> set[date]:
    """Return the days without school, weekends apart, of the year that begins in `fall`."""
    spring = fall + 1
    thanksgiving = _weekday_of_month(fall, 11, 3, 4)
    memorial = max(day for day in _days(date(spring, 5, 25), 7) if day.weekday() == 0)
    single = {
        _weekday_of_month(fall, 9, 0, 1),
        _weekday_of_month(fall, 10, 0, 2),
        _weekday_of_month(fall, 10, 0, 2) - timedelta(days=3),
        date(fall, 11, 11),
        _weekday_of_month(spring, 1, 0, 3),
        _weekday_of_month(spring, 2, 0, 3),
        date(spring, 4, 16),
        memorial,
    }
    breaks = _days(date(fall, 12, 23), 11) | _days(_weekday_of_month(spring, 4, 0, 2), 5)
    return single | breaks | _days(thanksgiving, 2)


def first_monday(school_year: int) -> date:
    """Return the Monday between August 22 and 28 on which most schools begin."""
    start = date(school_year - 1, 8, 22)
    return start + timedelta(days=-start.weekday() % 7)


def make_calendar(district: District, school_year: int, schools: int, draws: Draws) -> YearCalendar:
    """Return the calendar of one year for `schools` schools.

    Most schools share one calendar of 180 instructional days; some begin one or two days
    later and end as much later, and close on one day of the winter.
    """
    first = first_monday(school_year)
    holidays = _holidays(school_year - 1)
    span = [first + timedelta(days=offset) for offset in range(330)]
    open_day = np.array([d.weekday() <= FRIDAY and d not in holidays for d in span])
    stream = draws.stream(Draw.CALENDAR, school_year)
    own = stream.random(schools) < district.schools.own_calendar_share
    delay = np.where(own, np.floor(stream.random(schools) * 3), 0).astype(np.int64)
    closed = 85 + np.floor(stream.random(schools) * 30).astype(np.int64)
    instructional = np.zeros((schools, len(span)), dtype=np.bool_)
    for school in range(schools):
        days = np.flatnonzero(open_day)[delay[school] :]
        if own[school]:
            days = np.delete(days, closed[school])
        instructional[school, days[:INSTRUCTIONAL_DAYS]] = True
    length = int(np.flatnonzero(instructional.any(axis=0)).max()) + 1
    instructional = instructional[:, :length]
    before = np.zeros((schools, length + 1), dtype=np.int64)
    np.cumsum(instructional, axis=1, out=before[:, 1:])
    ordinals = np.nonzero(instructional)[1].reshape(schools, INSTRUCTIONAL_DAYS)
    dates = np.datetime64(first, "D") + np.arange(length)
    return YearCalendar(
        school_year, dates, instructional, before, ordinals, own, ordinals[:, 0], ordinals[:, -1]
    )


def count_positions(calendar: YearCalendar) -> NDArray[np.int64]:
    """Return each school's count date, its first instructional day from October 5 on: (S,)."""
    fall = np.datetime64(f"{calendar.school_year - 1}-10-05")
    october = np.searchsorted(calendar.dates, fall)
    schools = np.arange(len(calendar.own))
    return np.asarray(calendar.ordinals[schools, calendar.before[schools, october]])


def calendar_table(calendars: list[YearCalendar], school_ids: NDArray[np.object_]) -> pd.DataFrame:
    """Return one row per date: those of all schools (no school_id), then each school's own."""
    parts = []
    for calendar in calendars:
        shared = np.flatnonzero(~calendar.own)[:1]
        counted = count_positions(calendar)
        for school in [*shared, *np.flatnonzero(calendar.own)]:
            positions = np.arange(calendar.first[school], calendar.last[school] + 1)
            open_day = calendar.instructional[school, positions]
            dates = calendar.dates[positions]
            count = positions == counted[school]
            parts.append(
                pd.DataFrame(
                    {
                        "school_id": school_ids[school] if calendar.own[school] else None,
                        "school_year": calendar.school_year,
                        "date": dates.astype("datetime64[s]"),
                        "instructional": open_day.astype(np.int64),
                        "count_date": count.astype(np.int64),
                    }
                )
            )
    table = pd.concat(parts, ignore_index=True)
    table["school_id"] = table["school_id"].astype(object)
    return table
