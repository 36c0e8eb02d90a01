"""Who is visited, when, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.baseline import Baseline
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.outcomes import AFTER, Chance, never, realize
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.staff import Classes
from homevisit_eval.synthetic.staffing import EXPERIENCED

__all__ = [
    "ROUNDS",
    "Rounds",
    "SummerVisits",
    "YearVisits",
    "choose_summer_visits",
    "choose_year_visits",
    "make_rounds",
    "no_year_visits",
    "second_probability",
    "summer_probability",
    "visit_table",
]

PROGRAMS = np.array(["", "FEP", "FEC", "EC"], dtype=object)
NONE, FEP, FEC, EC = range(4)
JULY_8 = "07-08"
SUMMER_DAYS = 42  # July 8 to August 18: after any last day, before any first day
FIRST_VIRTUAL_YEAR = 2021
ROUNDS = 17

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
    twice
        Whether a second visit, of the same program, was completed on another day.
    """

    program: Integers
    attempted: Integers
    twice: Booleans

    @property
    def visited(self) -> Booleans:
        """Completed under FEP or FEC."""
        return np.isin(self.program, (FEP, FEC))


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """The days on which teams may visit students during one school year.

    Parameters
    ----------
    program
        Shape (n,), position in `PROGRAMS` under which a student may be visited, 0 for none.
    day
        Shape (n, ROUNDS), number of the enrolled day of each round, from 0.
    position
        Shape (n, ROUNDS), its position in the calendar.
    open
        Shape (n, ROUNDS), whether a visit is possible on it: the student stays at one school,
        and is enrolled for at least ten more days.
    """

    program: Integers
    day: Integers
    position: Integers
    open: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class YearVisits:
    """Completed visits during one school year, shape (n,) each.

    Parameters
    ----------
    program
        Position in `PROGRAMS`, 0 for none.
    day
        Number of the enrolled day, from 0; -1 for none.
    position
        Position of the date in the year's calendar.
    """

    program: Integers
    day: Integers
    position: Integers

    @property
    def visited(self) -> Booleans:
        """Completed under FEP or FEC."""
        return np.isin(self.program, (FEP, FEC))


def _program(schools: Schools, roll: Enrollment, year_index: int) -> Integers:
    """Return the program under which a student of each row could be visited."""
    school = roll.school
    serves = np.select(
        [schools.fep[school, year_index], schools.fec[school, year_index]], [FEP, FEC], NONE
    )
    early = np.where(schools.early_childhood[school, year_index], EC, NONE)
    return np.where(roll.grade < 0, early, serves)


def summer_probability(
    district: District,
    schools: Schools,
    roll: Enrollment,
    *,
    baseline: Baseline,
    classes: Classes,
    hidden: Floats,
    year_index: int,
) -> Floats:
    """Return each student's probability of a completed visit before year number `year_index`."""
    rules = district.selection
    x, any_incident = baseline.absence_hinge, baseline.incidents > 0
    score = (
        rules.intercept
        + schools.uptake[roll.school, year_index]
        + rules.teacher_uptake_sd * classes.uptake
        + rules.teacher * classes.quality
        + rules.teacher_experience * (2 * np.minimum(classes.experience / EXPERIENCED, 1) - 1)
        + rules.absence * x
        + rules.absence_squared * x**2
        + rules.chronic * baseline.chronic
        + rules.unexcused * np.minimum(baseline.unexcused, 10) / 5
        + rules.any_incident * any_incident
        + rules.at_risk * baseline.at_risk
        + rules.at_risk_any_incident * baseline.at_risk * any_incident
        + rules.english_learner * baseline.english_learner
        + rules.disability * baseline.disability
        + rules.visited_prior * baseline.visited
        + rules.grade * (roll.grade - 3)
        + district.hidden.strength * district.hidden.visits * hidden
    )
    program = _program(schools, roll, year_index)
    chance = np.where(program == EC, rules.early_childhood, rules.highest * expit(score))
    return np.where((program != NONE) & roll.at_time_zero, chance, 0.0)


def second_probability(district: District, *, baseline: Baseline, hidden: Floats) -> Floats:
    """Return the probability of a second visit before the year of each student who has a first."""
    rules = district.selection
    score = (
        rules.twice_absence * baseline.absence_hinge
        + rules.twice_any_incident * (baseline.incidents > 0)
        + rules.twice_at_risk * baseline.at_risk
        + district.hidden.strength * district.hidden.visits * hidden
    )
    return np.asarray(rules.twice * expit(score))


def choose_summer_visits(
    district: District,
    schools: Schools,
    roll: Enrollment,
    *,
    chance: Floats,
    second: Floats,
    year_index: int,
    draws: Draws,
) -> SummerVisits:
    """Draw who is visited before the school year, and who of them twice.

    Parameters
    ----------
    chance, second
        Shape (n,): probabilities of a visit, and of a second one after a visit.
    """
    program = _program(schools, roll, year_index)
    u_visit, u_attempt = draws.stream(Draw.SUMMER_VISITS, roll.school_year).random((2, len(chance)))
    visited = u_visit < chance
    attempted = (chance > 0) & (u_attempt < district.selection.attempted)
    made = SummerVisits(
        program=np.where(visited, program, NONE),
        attempted=np.where(attempted, program, NONE),
        twice=draws.stream(Draw.SECOND_VISITS, roll.school_year).random(len(chance)) < second,
    )
    return replace(made, twice=made.twice & made.visited)


def make_rounds(
    schools: Schools, calendar: YearCalendar, roll: Enrollment, *, year_index: int, draws: Draws
) -> Rounds:
    """Return the rounds of each student: one in every two weeks of school, on a fixed weekday."""
    n = len(roll.student)
    offset = np.floor(10 * draws.stream(Draw.ROUNDS, roll.school_year).random(n)).astype(np.int64)
    day = 5 + offset[:, None] + 10 * np.arange(ROUNDS)
    stays = (roll.second_school < 0)[:, None]
    possible = stays & (day < roll.days[:, None] - 10)
    within = np.minimum(day, roll.days[:, None] - 1)
    row = np.repeat(np.arange(n), ROUNDS)
    position = roll.positions(calendar, row, within.ravel()).reshape(n, ROUNDS)
    return Rounds(_program(schools, roll, year_index), day, position, possible)


def choose_year_visits(
    district: District,
    roll: Enrollment,
    rounds: Rounds,
    *,
    process: Process,
    chance: Chance,
    summer: SummerVisits,
    year_index: int,
    draws: Draws,
) -> tuple[YearVisits, YearVisits]:
    """Draw visits during the year: without a visit before it, and those that take place.

    Who is visited depends on the student's incidents and absences of that year up to the
    round: a comparison group of students "never visited that year" is chosen on the future.
    """
    rules, n = district.selection, len(roll.student)
    u_round, u_visit = draws.stream(Draw.YEAR_VISITS, roll.school_year).random((2, n))
    which = np.floor(ROUNDS * u_round).astype(np.int64)
    row = np.arange(n)
    day, position = rounds.day[row, which], rounds.position[row, which]
    possible = rounds.open[row, which]
    conduct = realize(process, chance, never(n))
    absences, incidents = chance.absences, chance.incidents
    before = conduct.absent & absences.full & (absences.position < position[absences.row])
    missed = np.bincount(absences.row[before], minlength=n)
    before = conduct.involved & (incidents.day < day[incidents.row])
    involved = np.bincount(incidents.row[before], minlength=n) > 0
    hazard = rules.during[year_index] + rules.during_incident * involved
    hazard = hazard + rules.during_absence * missed / day
    hazard = np.where(rounds.program == EC, rules.early_childhood_during, hazard)
    possible = possible & (rounds.program != NONE)

    def visits(probability: NDArray[np.floating]) -> YearVisits:
        happens = possible & (u_visit < probability)
        return YearVisits(
            np.where(happens, rounds.program, NONE),
            np.where(happens, day, -1),
            np.where(happens, position, AFTER),
        )

    again = np.isin(summer.program, (FEP, FEC))
    return visits(hazard), visits(np.where(again, rules.second, hazard))


def no_year_visits(n: int) -> YearVisits:
    """Return the visits during a year in which none of n students is visited."""
    nothing = np.full(n, NONE)
    return YearVisits(nothing, np.full(n, -1), np.full(n, AFTER))


def visit_table(
    calendar: YearCalendar,
    roll: Enrollment,
    *,
    summer: SummerVisits,
    during: YearVisits,
    team: tuple[NDArray[np.object_], NDArray[np.object_]],
    ids: NDArray[np.object_],
    virtual: float,
    draws: Draws,
) -> pd.DataFrame:
    """Return one row per visit or attempt that belongs to one school year, by date.

    Parameters
    ----------
    team
        Shape (n,) each: the first and second member of staff who would visit a student.
    virtual
        Share of visits by video or telephone from 2020-21 on.
    """
    u_summer, u_before, u_mode = draws.stream(Draw.VISIT_ROWS, roll.school_year).random(
        (3, len(roll.student))
    )
    july = np.datetime64(f"{roll.school_year - 1}-{JULY_8}")
    date = july + np.floor(u_summer * SUMMER_DAYS).astype(np.int64)
    earlier = date - 1 - np.floor(u_before * 7).astype(np.int64)
    u_again = draws.stream(Draw.SECOND_VISITS, roll.school_year).random((2, len(date)))[1]
    days_on = 1 + np.floor(u_again * (SUMMER_DAYS - 1)).astype(np.int64)
    again = july + ((date - july).astype(np.int64) + days_on) % SUMMER_DAYS  # never the same day
    kinds = (summer.program, summer.attempted, during.program, summer.twice * summer.program)
    rows = [np.flatnonzero(program) for program in kinds]
    row = np.concatenate(rows)
    dates = [
        date[rows[0]], earlier[rows[1]], calendar.dates[during.position[rows[2]]], again[rows[3]],
    ]  # fmt: skip
    programs = [program[at] for program, at in zip(kinds, rows, strict=True)]
    by_video = (roll.school_year >= FIRST_VIRTUAL_YEAR) & (u_mode < virtual)
    completed = np.repeat([1, 0, 1, 1], [len(part) for part in rows])
    table = pd.DataFrame(
        {
            "student_id": ids[roll.student[row]],
            "date": np.concatenate(dates).astype("datetime64[s]"),
            "program": PROGRAMS[np.concatenate(programs)],
            "mode": np.where(by_video[row], "virtual", "in_person").astype(object),
            "completed": completed,
            "staff_id_1": team[0][row],
            "staff_id_2": team[1][row],
        }
    )
    return table.iloc[np.lexsort((row, table["date"].to_numpy()))]
