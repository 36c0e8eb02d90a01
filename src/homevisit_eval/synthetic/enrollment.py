"""Enrollment: who attends which school and grade in a year, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.population import GRADES, LOWEST_GRADE
from homevisit_eval.synthetic.schools import Schools, share_out
from homevisit_eval.synthetic.students import Students, new_students

__all__ = ["Enrollment", "enroll", "enrollment_table", "grade_codes"]

GRADE_CODES = ("PK", "PK", "KG", "01", "02", "03", "04", "05", "06", "07", "08")
NEW_IN_FIRST_YEAR = 0.3  # the part of the first year's students who would be new to the district
FULL_SCHOOL = 0.02

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Enrollment:
    """The student-years of one school year, shape (n,) each; a student has one or two spells.

    Parameters
    ----------
    school_year
        Named by its spring.
    student
        Positions in `Students`.
    grade
        -2 and -1 for the two years of pre-K, 0 for kindergarten, 1 to 8.
    school, second_school
        Positions in `Schools`; the second is -1 without a transfer.
    start, stop, second_start, second_stop
        First and last date of each spell, as positions in the year's calendar.
    ends
        Whether the last spell ends before the school's last day.
    days, first_days
        Instructional days enrolled in all, and in the first spell.
    at_time_zero
        Enrolled on the first instructional day of the first school.
    """

    school_year: int
    student: Integers
    grade: Integers
    school: Integers
    second_school: Integers
    start: Integers
    stop: Integers
    second_start: Integers
    second_stop: Integers
    ends: Booleans
    days: Integers
    first_days: Integers
    at_time_zero: Booleans

    @property
    def last_school(self) -> Integers:
        """The school attended last."""
        return np.where(self.second_school >= 0, self.second_school, self.school)

    def positions(self, calendar: YearCalendar, row: Integers, day: Integers) -> Integers:
        """Return the calendar position of the `day`-th enrolled day (from 0) of each `row`."""
        second = day >= self.first_days[row]
        school = np.where(second, self.second_school[row], self.school[row])
        start = np.where(second, self.second_start[row], self.start[row])
        nth = day - np.where(second, self.first_days[row], 0) + calendar.before[school, start]
        return np.asarray(calendar.ordinals[school, nth])

    def school_on(self, row: Integers, position: Integers) -> Integers:
        """Return the school that each `row` attends at a calendar position."""
        second = (self.second_school[row] >= 0) & (position >= self.second_start[row])
        return np.where(second, self.second_school[row], self.school[row])


def _room(places: Integers, school: Integers, grade: Integers) -> Floats:
    """Return the places that students of these schools and grades leave, hardly any if full."""
    taken = np.zeros_like(places)
    np.add.at(taken, (school, grade - LOWEST_GRADE), 1)
    return np.asarray(np.maximum(places - taken, FULL_SCHOOL * places), dtype=np.float64)


def _other_school(
    schools: Schools, room: Floats, school: Integers, grade: Integers, uniform: Floats
) -> Integers:
    """Return another school with the grade, likelier if it has room and a like at-risk share.

    Gives -1 where no other school has the grade. `room` has shape (S, 11).
    """
    share, count = schools.at_risk_share, len(schools.ids)
    alike = np.exp(-np.abs(share[:, None] - share[None, :]) / 0.15)
    np.fill_diagonal(alike, 0.0)
    result = np.full(len(school), -1)
    for value in np.unique(grade):
        rows = np.flatnonzero(grade == value)
        weight = np.cumsum(alike * room[:, value - LOWEST_GRADE], axis=1)
        total = weight[:, -1:].copy()
        np.divide(weight, total, out=weight, where=total > 0)
        ladder = (weight + np.arange(count)[:, None]).ravel()
        found = np.searchsorted(ladder, school[rows] + uniform[rows]) - school[rows] * count
        result[rows] = np.where(total[school[rows], 0] > 0, np.minimum(found, count - 1), -1)
    return result


def _continuing(
    district: District,
    schools: Schools,
    places: Integers,
    students: Students,
    *,
    last: Enrollment | None,
    draws: Draws,
) -> tuple[Integers, Integers, Integers]:
    """Return student, school and grade of those who stay from last year to this one.

    Never more of a grade than it has places in the district: the others leave.
    """
    if last is None:
        nobody = np.empty(0, np.int64)
        return nobody, nobody, nobody
    rules = district.mobility
    stream = draws.stream(Draw.ROSTER_FORWARD, last.school_year + 1)
    u_repeat, u_leave, u_change, u_where = stream.random((4, len(last.student)))
    stays = ~last.ends
    grade = last.grade + np.where((u_repeat < rules.retention) & (last.grade >= 0), 0, 1)
    school = last.last_school
    beyond = grade > schools.highest[school]
    chance = (
        rules.leave
        + rules.leave_at_risk * students.at_risk[last.student]
        + rules.leave_at_transition * beyond
        + np.array(rules.leave_after)[last.grade - LOWEST_GRADE]
    )
    stays &= (u_leave >= chance) & (grade < GRADES + LOWEST_GRADE)
    moves = stays & (beyond | (u_change < rules.change_school))
    room = _room(places, school[stays & ~moves], grade[stays & ~moves])
    target = _other_school(schools, room, school[moves], grade[moves], u_where[moves])
    school, rows = school.copy(), np.flatnonzero(moves)
    stays[rows[(target < 0) & beyond[moves]]] = False
    school[rows[target >= 0]] = target[target >= 0]
    stays &= ~_surplus(places, stays, grade, u_leave - chance)
    return last.student[stays], school[stays], grade[stays]


def _surplus(places: Integers, stays: Booleans, grade: Integers, margin: Floats) -> Booleans:
    """Return who of a grade stays beyond its places: those of the smallest margin."""
    result = np.zeros(len(stays), dtype=np.bool_)
    for at, limit in enumerate(places.sum(axis=0)):
        rows = np.flatnonzero(stays & (grade == at + LOWEST_GRADE))
        if len(rows) > limit:
            order = np.argsort(margin[rows], kind="stable")
            result[rows[order[: len(rows) - limit]]] = True
    return result


def enroll(
    district: District,
    schools: Schools,
    calendar: YearCalendar,
    students: Students,
    *,
    last: Enrollment | None,
    draws: Draws,
) -> tuple[Students, Enrollment]:
    """Return the students known by the end of a year, and that year's enrollment.

    Students who stay keep their schools; new students fill the places that are left, so that
    as many begin the year in each grade as the district has places. Some more enter later.
    """
    school_year = calendar.school_year
    places = schools.places[school_year - district.school_years[0]]
    student, school, grade = _continuing(
        district, schools, places, students, last=last, draws=draws
    )
    late_share = district.mobility.late_entry * (1 if last else NEW_IN_FIRST_YEAR)
    late_stream = draws.stream(Draw.LATE_ENTRY, school_year)
    cells, is_late = _new_cells(places, school, grade, late_share, late_stream)
    new_school, new_grade = cells // GRADES, cells % GRADES + LOWEST_GRADE
    added = new_students(
        new_school,
        new_grade,
        school_year,
        families=district.families,
        schools=schools,
        existing=students,
        enrolled=(student, school),
        sibling_share=district.mobility.sibling,
        draws=draws,
    )
    numbers = np.arange(len(students), len(students) + len(added))
    late = np.concatenate([np.zeros(len(student), dtype=np.bool_), is_late])
    # those who stay are in order already, and come before the new
    return students.joined(added), _spells(
        district,
        schools,
        places,
        calendar,
        draws,
        student=np.concatenate([student, numbers]),
        school=np.concatenate([school, new_school]),
        grade=np.concatenate([grade, new_grade]),
        late=late,
    )


def _new_cells(
    places: Integers,
    school: Integers,
    grade: Integers,
    late_share: float,
    stream: np.random.Generator,
) -> tuple[Integers, Booleans]:
    """Return ``school * 11 + position of the grade`` of new students, and which enter late.

    A school with more students than places leaves as many fewer places to all others.
    """
    taken = np.zeros_like(places)
    np.add.at(taken, (school, grade - LOWEST_GRADE), 1)
    free = np.maximum(places - taken, 0)
    wanted = places.sum(axis=0) - taken.sum(axis=0)
    for at in np.flatnonzero(free.sum(axis=0) > wanted):
        free[:, at] = share_out(free[:, at].astype(np.float64), int(wanted[at]))
    cells = np.repeat(np.arange(free.size), free.ravel())
    later = cells[stream.random(len(cells)) < late_share]
    is_late = np.arange(len(cells) + len(later)) >= len(cells)
    return np.concatenate([cells, later]), is_late


def _spells(
    district: District,
    schools: Schools,
    places: Integers,
    calendar: YearCalendar,
    draws: Draws,
    *,
    student: Integers,
    school: Integers,
    grade: Integers,
    late: Booleans,
) -> Enrollment:
    """Give each student-year its spells; the `late` enter after the first day."""
    rules, n = district.mobility, len(student)
    u_kind, u_day, u_where, u_entry = draws.stream(Draw.SPELLS, calendar.school_year).random((4, n))
    leaves = u_kind < rules.leave_during
    transfers = ~leaves & (u_kind < rules.leave_during + rules.transfer_during)
    entry_day = np.where(late, 5 + np.floor(u_entry * 150).astype(np.int64), 0)
    span = np.maximum(170 - entry_day, 1)
    change_day = np.minimum(entry_day + 4 + np.floor(u_day * span).astype(np.int64), 175)
    start = calendar.ordinals[school, entry_day]
    change = calendar.ordinals[school, change_day]
    second, rows = np.full(n, -1), np.flatnonzero(transfers)
    room = places.astype(np.float64)
    second[rows] = _other_school(schools, room, school[rows], grade[rows], u_where[rows])
    moved = second >= 0
    stop = np.where(leaves | moved, change, calendar.last[school])
    # calendars differ by at most three days, so the fourth day after is later everywhere
    second_start = np.where(moved, calendar.ordinals[second, change_day + 4], -1)
    second_stop = np.where(moved, calendar.last[second], -1)
    before = calendar.before
    first_days = before[school, stop + 1] - before[school, start]
    second_days = before[second, second_stop + 1] - before[second, np.maximum(second_start, 0)]
    return Enrollment(
        school_year=calendar.school_year,
        student=student,
        grade=grade,
        school=school,
        second_school=second,
        start=start,
        stop=stop,
        second_start=second_start,
        second_stop=second_stop,
        ends=leaves,
        days=first_days + np.where(moved, second_days, 0),
        first_days=first_days,
        at_time_zero=entry_day == 0,
    )


def grade_codes(grade: Integers) -> NDArray[np.object_]:
    """Return the data dictionary's codes of grades."""
    return np.array(GRADE_CODES, dtype=object)[grade - LOWEST_GRADE]


def enrollment_table(
    years: list[tuple[Enrollment, YearCalendar]],
    schools: Schools,
    ids: NDArray[np.object_],
) -> pd.DataFrame:
    """Return one row per spell; no exit date where it lasts to the end of the year."""
    parts = []
    for roll, calendar in years:
        moved = np.flatnonzero(roll.second_school >= 0)
        row = np.concatenate([np.arange(len(roll.student)), moved])
        second = np.arange(len(row)) >= len(roll.student)
        school = np.where(second, roll.second_school[row], roll.school[row])
        start = np.where(second, roll.second_start[row], roll.start[row])
        exits = ~second & (roll.ends[row] | (roll.second_school[row] >= 0))
        exit_date = calendar.dates[roll.stop[row]].astype("datetime64[s]")
        exit_date[~exits] = np.datetime64("NaT")
        table = pd.DataFrame(
            {
                "student_id": ids[roll.student[row]],
                "school_id": schools.ids[school],
                "school_year": roll.school_year,
                "grade": grade_codes(roll.grade[row]),
                "entry_date": calendar.dates[start].astype("datetime64[s]"),
                "exit_date": exit_date,
            }
        )
        parts.append(table.iloc[np.lexsort((second, row))])
    return pd.concat(parts, ignore_index=True)
