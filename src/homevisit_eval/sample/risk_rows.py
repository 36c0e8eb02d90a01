"""Which students could have been visited on the day on which somebody was: arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.sample.day_records import DayRecords

__all__ = ["Drawn", "RiskRows", "StudentDays", "rows_at_risk"]

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StudentDays:
    """What decides when n student-years are at risk; shape (n,) each, days since 1970.

    Attributes
    ----------
    school_year, grade
    first_visit
        The first completed visit that belongs to the year; after every day if none.
    household_visit
        The first such visit in the household.
    index_day
        Of the visited in the window: time zero, the day of the visit or the day before the first
        day of instruction; -1 of all others.
    member_day
        The day on which they must be enrolled: that of the visit, or the first of instruction.
    eligible
        Whether they may be in either group.
    """

    school_year: Integers
    grade: Integers
    first_visit: Integers
    household_visit: Integers
    index_day: Integers
    member_day: Integers
    eligible: Booleans

    def __len__(self) -> int:
        return len(self.school_year)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Drawn:
    """How comparison candidates are drawn from a risk set."""

    per_visit: int
    seed: int
    same_school: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RiskRows:
    """Student-years on days of visits, shape (r,) each.

    Attributes
    ----------
    code
        The student-year.
    visited
        Whether the student is visited on that day.
    index_day
        Time zero.
    school
        Code of the school-year of enrollment on that day.
    at_risk
        Shape (n,), of all student-years: on how many days of visits of their grade (and school)
        they were at risk, drawn or not.
    """

    code: Integers
    visited: Booleans
    index_day: Integers
    school: Integers
    at_risk: Integers


def rows_at_risk(
    records: DayRecords, students: StudentDays, may_compare: Booleans, drawn: Drawn
) -> RiskRows:
    """Return the visited on the day of their visit, and candidates drawn from the risk set.

    At risk on a day are eligible students who are enrolled then and have had no completed visit
    that belongs to the school year through that day, and whose household has had none.

    Parameters
    ----------
    records
        Whose codes are the places in `students`.
    students
    may_compare
        Shape (school-years,), whether students of a school-year may be comparisons.
    drawn
        Candidates are drawn within school year, day, grade and (if so) school, as many for each
        visit there, by one uniform number a student and day.
    """
    code, school = records.stretch_code, records.stretch_school
    kept = np.flatnonzero(students.eligible[code])
    parts: list[tuple[Integers, Booleans, Integers, Integers]] = []
    at_risk = np.zeros(len(students), dtype=np.int64)
    asked = students.eligible & (students.index_day >= 0)
    days = np.unique(np.column_stack([students.school_year, students.index_day])[asked], axis=0)
    for school_year, index_day in days:
        of_year = kept[students.school_year[code[kept]] == school_year]
        here = _on_day(records, students, of_year, int(index_day))
        who, where = code[here], school[here]
        now = students.index_day[who] == index_day
        later = (students.first_visit[who] > index_day) & (
            students.household_visit[who] > index_day
        )
        wait = later & ~now & may_compare[where]
        cell = students.grade[who] + 100 * (where + 1 if drawn.same_school else 0)
        visits = np.bincount(_places(cell, cell[now])[now], minlength=1) if now.any() else None
        if visits is None:
            continue
        place = _places(cell, cell[now])
        wait &= place >= 0
        at_risk[who[wait]] += 1
        seeds = [drawn.seed, int(school_year), int(index_day)]
        u = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds))).random(len(who))
        order = np.lexsort((u, place, ~wait))[: int(wait.sum())]
        start = np.searchsorted(place[order], place[order], side="left")
        rank = np.arange(len(order)) - start
        chosen = order[rank < drawn.per_visit * visits[place[order]]]
        rows = np.concatenate([np.flatnonzero(now), np.sort(chosen)])
        parts.append((who[rows], now[rows], np.full(len(rows), index_day), where[rows]))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return RiskRows(nothing, nothing.astype(bool), nothing, nothing, at_risk)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return RiskRows(columns[0], columns[1].astype(bool), columns[2], columns[3], at_risk)


def _on_day(
    records: DayRecords, students: StudentDays, stretches: Integers, index_day: int
) -> Integers:
    """Return the stretches, of those given, of who is visited on a day or enrolled then.

    Time zero of a visit before the year can be the day of a visit to a student of a school that
    had begun: the others must then be enrolled on the later of the two days of membership.
    """
    who = records.stretch_code[stretches]
    start, end = records.stretch_start[stretches], records.stretch_end[stretches]
    member = students.member_day[who]
    asked = students.index_day[who] == index_day
    now = asked & (start <= member) & (member <= end)
    if not now.any():
        return stretches[:0]
    latest = int(member[now].max())
    others = ~asked & (start <= latest) & (latest <= end)
    return np.asarray(stretches[now | others], dtype=np.int64)


def _places(cell: Integers, wanted: Integers) -> Integers:
    """Return the place of each cell among the distinct ones wanted; -1 if it is none of them."""
    distinct = np.unique(wanted)
    at = np.searchsorted(distinct, cell)
    found = distinct[np.minimum(at, len(distinct) - 1)] == cell
    return np.where(found, at, -1)
