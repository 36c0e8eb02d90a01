"""Absences: how many are unexcused or tardy, and on which days they fall."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws, negative_binomial_quantile
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.outcomes import FULL_YEAR, Conduct
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.students import Students

__all__ = ["absence_table", "count_tardies", "unexcused_absences"]

CATEGORIES = np.array(["excused", "unexcused", "tardy", "partial"], dtype=object)
EXCUSED, UNEXCUSED, TARDY, PARTIAL = range(4)
BY_WEEKDAY = np.array([1.15, 0.95, 0.90, 0.95, 1.25, 1.0, 1.0])  # Monday to Sunday
BY_MONTH = np.array([1.15, 1.20, 1.05, 1.0, 1.05, 1.25, 1.0, 0.80, 0.85, 0.95, 1.0, 1.20])
TARDY_SHAPE = 1.5
ROWS_AT_ONCE = 8192

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def unexcused_absences(
    district: District,
    students: Students,
    roll: Enrollment,
    conduct: Conduct,
    *,
    at_risk: Booleans,
    draws: Draws,
) -> tuple[Booleans, Integers]:
    """Return which full absences are unexcused (student by student), and how many of each.

    Parameters
    ----------
    at_risk
        Shape (n,), the flag.
    """
    rules = district.attendance
    logit = (
        rules.unexcused
        + rules.unexcused_at_risk * at_risk
        + rules.unexcused_trait * students.absence[roll.student]
    )
    row = np.repeat(np.arange(len(roll.student)), conduct.full)
    stream = draws.stream(Draw.ABSENCE_DAYS, roll.school_year)
    unexcused = stream.random(len(row)) < expit(logit)[row]
    return unexcused, np.bincount(row, weights=unexcused, minlength=len(logit)).astype(np.int64)


def count_tardies(
    district: District, students: Students, roll: Enrollment, conduct: Conduct, draws: Draws
) -> Integers:
    """Return tardies of each student-year, never more than the days that are left."""
    rules = district.attendance
    trait = students.absence[roll.student]
    mean = rules.tardy * np.exp(rules.tardy_trait * trait - rules.tardy_trait**2 / 2)
    uniform = draws.stream(Draw.TARDIES, roll.school_year).random(len(trait))
    count = negative_binomial_quantile(uniform, mean * roll.days / FULL_YEAR, TARDY_SHAPE)
    left = roll.days - conduct.full - (conduct.partial > 0).sum(axis=1)
    return np.asarray(np.minimum(count, left))


def _day_weights(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    weekday = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    month = dates.astype("datetime64[M]").astype(np.int64) % 12
    return np.asarray(BY_WEEKDAY[weekday] * BY_MONTH[month])


def _missed_days(
    calendar: YearCalendar, roll: Enrollment, count: Integers, draws: Draws
) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Yield (row, rank, calendar position) of `count` distinct enrolled days of each row.

    Days are drawn without replacement, in proportion to their weights: the first to arrive in
    a race of exponential times.
    """
    stream = draws.stream(Draw.ABSENCE_DATES, roll.school_year)
    position = np.flatnonzero(calendar.instructional.any(axis=0))
    weight = _day_weights(calendar.dates[position])
    for begin in range(0, len(count), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        second = roll.second_school[rows]
        enrolled = calendar.instructional[roll.school[rows]][:, position]
        enrolled &= position >= roll.start[rows, None]
        enrolled &= position <= roll.stop[rows, None]
        later = calendar.instructional[second][:, position]
        later &= (second >= 0)[:, None] & (position >= roll.second_start[rows, None])
        time = -np.log1p(-stream.random((len(second), len(position)))) / weight
        time[~(enrolled | later)] = np.inf
        most = int(count[rows].max())
        first = np.argsort(time, axis=1)[:, :most]
        row, rank = np.nonzero(np.arange(most) < count[rows, None])
        yield row + begin, rank, position[first[row, rank]]


def absence_table(
    calendar: YearCalendar,
    roll: Enrollment,
    conduct: Conduct,
    *,
    unexcused: Booleans,
    tardies: Integers,
    school_ids: NDArray[np.object_],
    ids: NDArray[np.object_],
    draws: Draws,
) -> pd.DataFrame:
    """Return one row per absence, partial day or tardy of one school year, by student and date."""
    partials = (conduct.partial > 0).sum(axis=1)
    pieces = list(_missed_days(calendar, roll, conduct.full + partials + tardies, draws))
    row, rank, position = (np.concatenate(column) for column in zip(*pieces, strict=True))
    full = rank < conduct.full[row]
    partial = ~full & (rank < (conduct.full + partials)[row])
    category = np.full(len(row), TARDY)
    category[full] = np.where(unexcused, UNEXCUSED, EXCUSED)
    category[partial] = PARTIAL
    fraction = np.full(len(row), np.nan)
    fraction[partial] = conduct.partial[conduct.partial > 0] / 4
    order = np.lexsort((position, row))
    row, position = row[order], position[order]
    return pd.DataFrame(
        {
            "student_id": ids[roll.student[row]],
            "school_id": school_ids[roll.school_on(row, position)],
            "date": calendar.dates[position].astype("datetime64[s]"),
            "category": CATEGORIES[category[order]],
            "fraction": fraction[order],
        }
    )
