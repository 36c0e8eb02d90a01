"""Dated records of student-years as sorted arrays: what happened between two days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.panel.engine import fetch_frame

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["FACTS", "FIRST_DAY", "LAST_DAY", "DayRecords", "day_records", "ordinals"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

BEYOND = 100_000  # more days than any date has since 1970: code * BEYOND + day orders both
FIRST_DAY, LAST_DAY = 1, BEYOND - 1
NANODAYS = 1e9  # sums of days are rounded to a billionth

FACTS = (
    "days_absent",
    "days_excused",
    "days_unexcused",
    "days_tardy",
    "days_not_on_time",
    "incidents",
    "serious_incidents",
    "suspensions",
    "days_suspended",
)
"""What can be summed over days; all in days or numbers of events."""


def ordinals(dates: pd.Series | pd.Index) -> Integers:
    """Return dates as days since 1970, shape (n,); missing ones lie after every day."""
    days = pd.Series(dates).to_numpy(dtype="datetime64[D]")
    return np.where(np.isnat(days), BEYOND, days.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DayRecords:
    """Stretches of enrollment, school days and dated facts, sorted for look-up.

    Attributes
    ----------
    keys : MultiIndex of (student_id, school_year)
        A student-year's code is its place here.
    schools : MultiIndex of (school_id, school_year)
        A school-year's code is its place here.
    stretch_code, stretch_school, stretch_start, stretch_end
        Shape (s,) each, in the order of the codes of student-years; days since 1970, inclusive.
    school_day
        Shape (d,), sorted: code of the school-year times `BEYOND` plus the day of instruction.
    fact_day
        Shape (f,), sorted: code of the student-year times `BEYOND` plus the day of a fact.
    sums
        Shape (f + 1, len(FACTS)), amounts of `FACTS` summed over the facts before each.
    """

    keys: pd.MultiIndex
    schools: pd.MultiIndex
    stretch_code: Integers
    stretch_school: Integers
    stretch_start: Integers
    stretch_end: Integers
    school_day: Integers
    fact_day: Integers
    sums: Floats

    def __repr__(self) -> str:
        """Show how much there is, no rows."""
        return f"DayRecords({len(FACTS)} kinds of facts)"

    def days_enrolled(self, code: Integers, first: Integers, last: Integers) -> Integers:
        """Return the enrolled days of instruction from `first` through `last`, shape (n,) each."""
        low = np.searchsorted(self.stretch_code, code, side="left")
        many = np.searchsorted(self.stretch_code, code, side="right") - low
        row = np.repeat(np.arange(len(code)), many)
        at = np.repeat(low - np.cumsum(many) + many, many) + np.arange(len(row))
        start = np.maximum(self.stretch_start[at], first[row])
        end = np.minimum(self.stretch_end[at], last[row])
        school = self.stretch_school[at]
        through = self._held(school, end)
        before = self._held(school, start - 1)
        days = np.where(start <= end, through - before, 0)
        return np.bincount(row, days, len(code)).astype(np.int64)

    def first_school(self, code: Integers) -> Integers:
        """Return the school-year of the first stretch of a student-year, -1 if none: (n,)."""
        at = np.searchsorted(self.stretch_code, code, side="left")
        known = np.append(self.stretch_code, -1)[at] == code
        return np.where(known & (code >= 0), np.append(self.stretch_school, -1)[at], -1)

    def total(self, fact: str, code: Integers, first: Integers, last: Integers) -> Floats:
        """Return the sum of a fact of `FACTS` from `first` through `last`, shape (n,) each."""
        column = self.sums[:, FACTS.index(fact)]
        through = np.searchsorted(self.fact_day, code * BEYOND + last, side="right")
        before = np.searchsorted(self.fact_day, code * BEYOND + first, side="left")
        found = column[np.maximum(through, before)] - column[before]
        return np.asarray(np.round(found * NANODAYS) / NANODAYS)

    def first_fact(self, fact: str, code: Integers, first: Integers) -> Integers:
        """Return the day of the first fact of a kind from `first` on; after every day if none."""
        column = self.sums[:, FACTS.index(fact)]
        before = np.searchsorted(self.fact_day, code * BEYOND + first, side="left")
        at = np.searchsorted(column, column[before], side="right") - 1
        day = np.append(self.fact_day, -1)[np.minimum(at, len(self.fact_day))]
        own = day // BEYOND == code
        return np.where(own, day % BEYOND, BEYOND)

    def next_school_day(self, school: Integers, day: Integers, skipped: int) -> Integers:
        """Return the first day of instruction after `day` and `skipped` more; `BEYOND` if none."""
        at = np.searchsorted(self.school_day, school * BEYOND + day, side="right") + skipped
        found = self.school_day[np.minimum(at, len(self.school_day) - 1)]
        own = (at < len(self.school_day)) & (found // BEYOND == school)
        return np.where(own, found % BEYOND, BEYOND)

    def _held(self, school: Integers, day: Integers) -> Integers:
        return np.searchsorted(self.school_day, school * BEYOND + day, side="right")


def day_records(panel: Panel, school_years: Sequence[int], keys: pd.MultiIndex) -> DayRecords:
    """Return the dated records of some student-years, and the calendars of all schools.

    Parameters
    ----------
    panel
        With its history.
    school_years
        Of the student-years.
    keys : MultiIndex of (student_id, school_year)
        Each once.
    """
    these = nw.col("school_year").is_in(list(school_years))
    days = fetch_frame(panel.school_days.filter(these), ("school_id", "school_year", "date"))
    schools = pd.MultiIndex.from_frame(days[["school_id", "school_year"]].drop_duplicates())
    stretches = fetch_frame(
        panel.stretches.filter(these), ("student_id", "school_year", "start", "school_id")
    )
    code = keys.get_indexer(pd.MultiIndex.from_frame(stretches[["student_id", "school_year"]]))
    school = schools.get_indexer(pd.MultiIndex.from_frame(stretches[["school_id", "school_year"]]))
    kept = np.flatnonzero((code >= 0) & (school >= 0))
    kept = kept[np.argsort(code[kept], kind="stable")]
    of_day = schools.get_indexer(pd.MultiIndex.from_frame(days[["school_id", "school_year"]]))
    history = fetch_frame(
        panel.history.filter(these), ("student_id", "school_year", "date", "kind")
    )
    fact_day, amounts = _daily(history, keys)
    sums = np.zeros((len(amounts) + 1, len(FACTS)))
    np.cumsum(amounts, axis=0, out=sums[1:])
    return DayRecords(
        keys=keys,
        schools=schools,
        stretch_code=code[kept].astype(np.int64),
        stretch_school=school[kept].astype(np.int64),
        stretch_start=ordinals(stretches["start"])[kept],
        stretch_end=ordinals(stretches["end"])[kept],
        school_day=np.sort(of_day * BEYOND + ordinals(days["date"])),
        fact_day=fact_day,
        sums=sums,
    )


def _daily(history: pd.DataFrame, keys: pd.MultiIndex) -> tuple[Integers, Floats]:
    """Return the days with facts, sorted, and the amounts of `FACTS` on each."""
    code = keys.get_indexer(pd.MultiIndex.from_frame(history[["student_id", "school_year"]]))
    known = code >= 0
    day = code[known].astype(np.int64) * BEYOND + ordinals(history["date"])[known]
    kind = history["kind"].to_numpy(dtype=object)[known]
    amount = history["amount"].to_numpy(dtype=np.float64)[known]
    days, place = np.unique(day, return_inverse=True)

    def on_days(name: str, counted: bool = False) -> Floats:
        here = kind == name
        weight = np.ones(int(here.sum())) if counted else amount[here]
        return np.bincount(place[here], weight, len(days)).astype(np.float64)

    excused, unexcused, partial = (on_days(name) for name in ("excused", "unexcused", "partial"))
    tardy, absent = on_days("tardy"), excused + unexcused + partial
    columns = (
        absent,
        excused,
        unexcused,
        tardy,
        np.where(tardy > 0, 1.0, absent),
        on_days("incident"),
        on_days("serious_incident"),
        on_days("suspension", counted=True),
        on_days("suspension"),
    )
    return days, np.column_stack(columns) if len(days) else np.zeros((0, len(FACTS)))
