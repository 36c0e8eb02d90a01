"""Enrollment: who attends which school and grade in a year, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import GRADES, LOWEST_GRADE, Schools
from homevisit_eval.synthetic.students import Students, new_students

__all__ = ["Enrollment", "enroll", "enrollment_table", "grade_codes"]

GRADE_CODES = ("PK", "PK", "KG", "01", "02", "03", "04", "05", "06", "07", "08")

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


def _other_school(schools: Schools, school: Integers, grade: Integers, uniform: Floats) -> Integers:
    """Return another school with the grade, likelier if large and alike in at-risk share.

    Gives -1 where no other school has the grade.
    """
    share = schools.at_risk_share
    alike = np.exp(-np.abs(share[:, None] - share[None, :]) / 0.15)
    np.fill_diagonal(alike, 0.0)
    result = np.full(len(school), -1)
    for value in np.unique(grade):
        rows = np.flatnonzero(grade == value)
        weight = np.cumsum(alike * schools.places[:, value - LOWEST_GRADE], axis=1)
        total = weight[school[rows], -1]
        found = (weight[school[rows]] < (uniform[rows] * total)[:, None]).sum(axis=1)
        result[rows] = np.where(total > 0, found, -1)
    return result


def _continuing(
    district: District, schools: Schools, students: Students, last: Enrollment, draws: Draws
) -> tuple[Integers, Integers, Integers]:
    """Return student, school and grade of those who stay from last year to this one."""
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
    )
    stays &= (u_leave >= chance) & (grade < GRADES + LOWEST_GRADE)
    moves = stays & (beyond | (u_change < rules.change_school))
    target = _other_school(schools, school[moves], grade[moves], u_where[moves])
    school, rows = school.copy(), np.flatnonzero(moves)
    stays[rows[(target < 0) & beyond[moves]]] = False
    school[rows[target >= 0]] = target[target >= 0]
    return last.student[stays], school[stays], grade[stays]


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

    Students who stay keep their places; new students fill those that are left.
    """
    whole = np.empty(0, np.int64)
    student, school, grade = whole, whole, whole
    if last is not None:
        student, school, grade = _continuing(district, schools, students, last, draws)
    taken = np.zeros_like(schools.places)
    np.add.at(taken, (school, grade - LOWEST_GRADE), 1)
    free = np.maximum(schools.places - taken, 0)
    cells = np.repeat(np.arange(free.size), free.ravel())
    new_school, new_grade = cells // GRADES, cells % GRADES + LOWEST_GRADE
    added = new_students(
        new_school,
        new_grade,
        calendar.school_year,
        schools=schools,
        existing=students,
        enrolled=(student, school),
        sibling_share=district.mobility.sibling,
        draws=draws,
    )
    numbers = np.arange(len(students), len(students) + len(added))
    enrolled = np.concatenate([student, numbers])
    is_new = enrolled >= len(students)
    everyone = students.joined(added)
    school = np.concatenate([school, new_school])
    grade = np.concatenate([grade, new_grade])
    order = np.argsort(enrolled, kind="stable")
    late = np.where(is_new, district.mobility.late_entry * (0.3 if last is None else 1), 0)
    return everyone, _spells(
        district,
        schools,
        calendar,
        draws,
        student=enrolled[order],
        school=school[order],
        grade=grade[order],
        late=late[order],
    )


def _spells(
    district: District,
    schools: Schools,
    calendar: YearCalendar,
    draws: Draws,
    *,
    student: Integers,
    school: Integers,
    grade: Integers,
    late: Floats,
) -> Enrollment:
    """Give each student-year its spells."""
    rules, n = district.mobility, len(student)
    u_late, u_kind, u_day, u_where, u_entry = draws.stream(
        Draw.SPELLS, calendar.school_year
    ).random((5, n))
    leaves = u_kind < rules.leave_during
    transfers = ~leaves & (u_kind < rules.leave_during + rules.transfer_during)
    entry_day = np.where(u_late < late, 5 + np.floor(u_entry * 150).astype(np.int64), 0)
    span = np.maximum(170 - entry_day, 1)
    change_day = np.minimum(entry_day + 4 + np.floor(u_day * span).astype(np.int64), 175)
    start = calendar.ordinals[school, entry_day]
    change = calendar.ordinals[school, change_day]
    second = np.full(n, -1)
    rows = np.flatnonzero(transfers)
    second[rows] = _other_school(schools, school[rows], grade[rows], u_where[rows])
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
