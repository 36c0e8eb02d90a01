"""Who is visited, when, and by whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.baseline import Baseline
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.incidents import IncidentEvents
from homevisit_eval.synthetic.outcomes import Conduct
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import Schools

__all__ = [
    "SummerVisits",
    "YearVisits",
    "choose_summer_visits",
    "choose_year_visits",
    "summer_probability",
    "visit_table",
]

PROGRAMS = np.array(["", "FEP", "FEC", "EC"], dtype=object)
NONE, FEP, FEC, EC = range(4)
JULY_8 = "07-08"
SUMMER_DAYS = 42  # July 8 to August 18: after any last day, before any first day
HIGH_ABSENCE = 0.08

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SummerVisits:
    """Visits before one school year, shape (n,) each.

    Parameters
    ----------
    program
        Position in `PROGRAMS` of a completed visit, 0 for none.
    attempted
        Program of an attempt that was not completed, 0 for none.
    """

    program: Integers
    attempted: Integers

    @property
    def visited(self) -> Booleans:
        """Completed under FEP or FEC."""
        return np.isin(self.program, (FEP, FEC))


@dataclass(frozen=True, slots=True, eq=False)
class YearVisits:
    """Completed visits during one school year, shape (n,) each.

    Parameters
    ----------
    program
        Position in `PROGRAMS`, 0 for none.
    position
        Position of the date in the year's calendar.
    """

    program: Integers
    position: Integers


def _program(schools: Schools, roll: Enrollment, year_index: int) -> Integers:
    """Return the program under which a student of each row could be visited."""
    school = roll.school
    serves = np.select(
        [schools.fep[school, year_index], schools.fec[school, year_index]], [FEP, FEC], NONE
    )
    early = np.where(schools.early_childhood[school, year_index], EC, NONE)
    return np.where(roll.grade < 0, early, serves)


def summer_probability(
    district: District, schools: Schools, roll: Enrollment, baseline: Baseline, year_index: int
) -> Floats:
    """Return each student's probability of a completed visit before year number `year_index`.

    It depends on what last year's records hold, on the grade and on the school: on no trait.
    """
    rules = district.selection
    x, any_incident = baseline.absence_hinge, baseline.incidents > 0
    score = (
        rules.intercept
        + schools.uptake[roll.school, year_index]
        + rules.absence * x
        + rules.absence_squared * x**2
        + rules.unexcused * np.minimum(baseline.unexcused, 10) / 5
        + rules.any_incident * any_incident
        + rules.at_risk * baseline.at_risk
        + rules.at_risk_any_incident * baseline.at_risk * any_incident
        + rules.english_learner * baseline.english_learner
        + rules.disability * baseline.disability
        + rules.visited_prior * baseline.visited
        + rules.grade * (roll.grade - 3)
    )
    program = _program(schools, roll, year_index)
    chance = np.where(program == EC, rules.early_childhood, rules.highest * expit(score))
    return np.where((program != NONE) & roll.at_time_zero, chance, 0.0)


def choose_summer_visits(
    district: District,
    schools: Schools,
    roll: Enrollment,
    baseline: Baseline,
    *,
    year_index: int,
    draws: Draws,
) -> SummerVisits:
    """Draw who is visited before the school year."""
    chance = summer_probability(district, schools, roll, baseline, year_index)
    program = _program(schools, roll, year_index)
    u_visit, u_attempt = draws.stream(Draw.SUMMER_VISITS, roll.school_year).random((2, len(chance)))
    visited = u_visit < chance
    attempted = (chance > 0) & (u_attempt < district.selection.attempted)
    return SummerVisits(np.where(visited, program, NONE), np.where(attempted, program, NONE))


def choose_year_visits(
    district: District,
    schools: Schools,
    calendar: YearCalendar,
    roll: Enrollment,
    *,
    summer: SummerVisits,
    conduct: Conduct,
    events: IncidentEvents,
    year_index: int,
    draws: Draws,
) -> YearVisits:
    """Draw visits during the year: likelier after an incident or many absences of that year.

    They have no effect. Who has them is chosen by the same year's outcomes, so a comparison
    group of students "never visited that year" is chosen on the future.
    """
    rules, n = district.selection, len(roll.student)
    u_visit, u_day = draws.stream(Draw.YEAR_VISITS, roll.school_year).random((2, n))
    first_incident = np.full(n, -1)
    first_incident[events.row[::-1]] = events.position[::-1]
    often_absent = conduct.days_absent > HIGH_ABSENCE * roll.days
    chance = rules.during + rules.during_incident * (first_incident >= 0)
    chance = np.where(summer.program > 0, rules.second, chance + rules.during_absent * often_absent)
    program = _program(schools, roll, year_index)
    possible = (program != NONE) & (roll.second_school < 0) & (roll.days >= 10)
    program = np.where(possible & (u_visit < chance), program, NONE)
    after = calendar.before[roll.school, np.maximum(first_incident, roll.start)]
    earliest = np.minimum(after - calendar.before[roll.school, roll.start] + 1, roll.days - 1)
    day = earliest + np.floor(u_day * (roll.days - earliest)).astype(np.int64)
    rows = np.flatnonzero(program)
    position = np.full(n, -1)
    position[rows] = roll.positions(calendar, rows, np.minimum(day, roll.days - 1)[rows])
    return YearVisits(program, position)


def visit_table(
    calendar: YearCalendar,
    roll: Enrollment,
    *,
    summer: SummerVisits,
    during: YearVisits,
    team: tuple[NDArray[np.object_], NDArray[np.object_]],
    ids: NDArray[np.object_],
    draws: Draws,
) -> pd.DataFrame:
    """Return one row per visit or attempt that belongs to one school year, by date.

    Parameters
    ----------
    team
        Shape (n,) each: the first and second member of staff who would visit a student.
    """
    u_summer, u_before = draws.stream(Draw.VISIT_ROWS, roll.school_year).random(
        (2, len(roll.student))
    )
    july = np.datetime64(f"{roll.school_year - 1}-{JULY_8}")
    date = july + np.floor(u_summer * SUMMER_DAYS).astype(np.int64)
    earlier = date - 1 - np.floor(u_before * 7).astype(np.int64)
    rows = [np.flatnonzero(p) for p in (summer.program, summer.attempted, during.program)]
    row = np.concatenate(rows)
    dates = [date[rows[0]], earlier[rows[1]], calendar.dates[during.position[rows[2]]]]
    programs = [summer.program[rows[0]], summer.attempted[rows[1]], during.program[rows[2]]]
    completed = np.repeat([1, 0, 1], [len(part) for part in rows])
    table = pd.DataFrame(
        {
            "student_id": ids[roll.student[row]],
            "date": np.concatenate(dates).astype("datetime64[s]"),
            "program": PROGRAMS[np.concatenate(programs)],
            "mode": np.full(len(row), "in_person", dtype=object),
            "completed": completed,
            "staff_id_1": team[0][row],
            "staff_id_2": team[1][row],
        }
    )
    return table.iloc[np.lexsort((row, table["date"].to_numpy()))]
