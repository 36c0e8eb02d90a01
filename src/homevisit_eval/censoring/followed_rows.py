"""Student-years of pairs that are followed until the comparison student is visited, day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.sample.day_records import BEYOND, LAST_DAY, DayRecords

__all__ = ["Days", "FollowedRows", "days_after", "fixed_columns", "history_until"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FollowedRows:
    """n student-years of members of pairs, in one school year each: shapes (n,) unless said.

    Attributes
    ----------
    records
        Dated facts of the student-years.
    after
        Years after that of the visit.
    visited
        Whether the row is of the visited member of its pair.
    code, school
        Of the student-year, and of the school-year whose calendar is its clock, in `records`.
    index_day, start
        Days since 1970: what happens after `index_day` is followed, from `start` on it counts.
    censored
        Day of the first visit to the comparison student of the pair after `index_day`, the last
        that is followed; -1 if none of the year is, after every day if it all is.
    partner
        The row of the comparison student of the pair in the same year (a comparison row's is
        itself), -1 if not enrolled then.
    fixed
        Shape (n, k), what a visit to a comparison student may depend on and does not change in the
        year.
    pace
        Of the school's visits during that year, see `pace_of_visits`.
    """

    records: DayRecords
    after: Integers
    visited: Booleans
    code: Integers
    school: Integers
    index_day: Integers
    start: Integers
    censored: Integers
    partner: Integers
    fixed: Floats
    pace: Floats


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Days:
    """The days of instruction of n rows after their `index_day`, one element a day: shapes (d,).

    `row` is sorted, `first` (n + 1,) where each row's days begin; `day` ascends in a row. Facts
    dated from `since` through `through` count on `day`: what happens on a weekend, on Monday; what
    happens after the last day, on that. A visit dated before `following`, the next such day, but
    not before `day` is one after which the pair is no longer followed.
    """

    row: Integers
    day: Integers
    since: Integers
    through: Integers
    following: Integers
    first: Integers


def days_after(rows: FollowedRows) -> Days:
    """Return the days of instruction after the `index_day` of each row, at its school."""
    calendar = rows.records.school_day
    low = np.searchsorted(calendar, rows.school * BEYOND + rows.index_day, side="right")
    high = np.searchsorted(calendar, rows.school * BEYOND + BEYOND - 1, side="right")
    many = high - low
    row = np.repeat(np.arange(len(low)), many)
    at = np.repeat(low - np.cumsum(many) + many, many) + np.arange(len(row))
    day = calendar[at] % BEYOND
    first = np.concatenate([[0], np.cumsum(many)])
    begins = np.zeros(len(row), dtype=bool)
    begins[first[:-1][many > 0]] = True
    since = np.where(begins, rows.index_day[row] + 1, np.r_[0, day[:-1]] + 1)
    ends = np.r_[begins[1:], True][: len(row)]
    following = np.where(ends, BEYOND, np.r_[day[1:], BEYOND][: len(row)])
    return Days(row, day, since, np.where(ends, LAST_DAY, day), following, first)


def fixed_columns(baseline: pd.DataFrame, names: list[str]) -> Floats:
    """Return covariates of the baseline as columns, categories but the first as 0/1: (n, k).

    The last column says whether the student was visited in the year before the baseline's.
    """
    columns: list[Floats] = []
    for name in names:
        column = baseline[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            others = column.cat.categories[1:]
            columns += [np.asarray(column == one, dtype=np.float64) for one in others]
        else:
            columns.append(column.to_numpy(dtype=np.float64))
    columns.append(np.asarray(baseline["visited_prior"] == "yes", dtype=np.float64))
    return np.column_stack(columns)


def history_until(records: DayRecords, code: Integers, before: Integers) -> Floats:
    """Return what happened to student-years before a day: shape (n, 3).

    The share of enrolled days absent, whether there was an incident, and how many, from the first
    day of the school year through `before` (days since 1970).
    """
    first = np.ones_like(before)
    enrolled = np.maximum(records.days_enrolled(code, first, before), 1)
    absent = records.total("days_absent", code, first, before) / enrolled
    incidents = records.total("incidents", code, first, before)
    return np.column_stack([absent, (incidents > 0).astype(np.float64), incidents])
