"""What is expected of each student-year with and without a visit, and what happens.

Everything in this module is an array over the student-years of one school year. A *regime* is
"visited before the year" (1) or "not visited before the year" (0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.baseline import Baseline
from homevisit_eval.synthetic.characteristics import Status
from homevisit_eval.synthetic.draws import (
    Draw,
    Draws,
    beta_binomial_at_most,
    beta_binomial_quantile,
    negative_binomial_quantile,
    normal,
)
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import LOWEST_GRADE, Schools
from homevisit_eval.synthetic.students import Students

__all__ = ["Conduct", "Expected", "Regime", "expect", "partial_quarters", "realize"]

SLOTS = 4
DAYS_PER_SLOT = 45
FULL_YEAR = 180

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """The parameters of outcomes under one regime, shape (n,) each.

    Parameters
    ----------
    absence
        Mean of the beta-binomial share of full days absent.
    incidents
        Mean of the negative binomial count, for the days enrolled.
    math, reading
        Mean score in SDs of one grade, before noise.
    """

    absence: Floats
    incidents: Floats
    math: Floats
    reading: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Both regimes of the student-years of one school year."""

    unvisited: Regime
    visited: Regime


@dataclass(frozen=True, slots=True, eq=False)
class Conduct:
    """What happens under one regime, shape (n,) each.

    Parameters
    ----------
    full
        Full days absent.
    partial
        Shape (n, 4), quarters of a day missed in each slot, 0 where none.
    incidents
        Incidents in which the student takes part.
    math, reading
        Scores in SDs of one grade, before rounding.
    """

    full: Integers
    partial: Integers
    incidents: Integers
    math: Floats
    reading: Floats

    @property
    def days_absent(self) -> Floats:
        """Days absent, partial days as fractions."""
        return np.asarray(self.full + self.partial.sum(axis=1) / 4)


def slots_of(days: Integers) -> Integers:
    """Return how many partial days are possible in `days` enrolled days."""
    return np.minimum(days // DAYS_PER_SLOT, SLOTS)


def expect(
    district: District,
    schools: Schools,
    students: Students,
    roll: Enrollment,
    status: Status,
    *,
    baseline: Baseline,
    year_index: int,
) -> Expected:
    """Return the parameters of both regimes for year number `year_index` (from 0).

    Parameters
    ----------
    baseline
        What was measured in the year before: effects differ by prior absence.
    """
    who, grade, school = roll.student, roll.grade, roll.school
    risk, disability = status.at_risk, status.disability
    rules, effects = district.attendance, district.effects
    absence = (
        rules.intercept
        + rules.at_risk * risk
        + rules.disability * disability
        + np.array(rules.by_grade)[grade - LOWEST_GRADE]
        + rules.trait * students.absence[who]
        + schools.attendance[school, year_index]
    )
    conduct = district.discipline
    incidents = (
        conduct.intercept
        + conduct.male * students.male[who]
        + conduct.at_risk * risk
        + conduct.disability * disability
        + conduct.grade * (grade - 3)
        + conduct.trait * students.behavior[who]
        + schools.discipline[school, year_index]
        + np.log(np.maximum(roll.days, 1) / FULL_YEAR)
    )
    math, reading = _scores(district, schools, students, roll, status, year_index=year_index)
    fewer_absences = effects.attendance * (
        1
        + effects.attendance_at_risk * risk
        + effects.attendance_absence * baseline.absence_hinge
        + effects.attendance_grade * (grade - 3)
    )
    fewer_incidents = effects.incidents * (
        1 + effects.incidents_at_risk * risk + effects.incidents_grade * (grade - 3)
    )
    more_math = effects.math + effects.math_grade * (grade - 4)
    return Expected(
        Regime(expit(absence), np.exp(incidents), math, reading),
        Regime(
            expit(absence - fewer_absences),
            np.exp(incidents - fewer_incidents),
            math + more_math,
            reading + effects.reading,
        ),
    )


def _scores(
    district: District,
    schools: Schools,
    students: Students,
    roll: Enrollment,
    status: Status,
    *,
    year_index: int,
) -> tuple[Floats, Floats]:
    rules, who = district.achievement, roll.student
    shared = (
        rules.at_risk * status.at_risk
        + rules.disability * status.disability
        + schools.achievement[roll.school, year_index]
    )
    math = (
        shared
        + rules.english_learner_math * status.english_learner
        + rules.trait * students.ability_math[who]
    )
    reading = (
        shared
        + rules.english_learner_reading * status.english_learner
        + rules.trait * students.ability_reading[who]
    )
    return math, reading


def realize(
    district: District, roll: Enrollment, expected: Expected, draws: Draws
) -> tuple[Conduct, Conduct]:
    """Draw what happens without and with a visit; both share every random number."""
    n, year = len(roll.student), roll.school_year
    slots = slots_of(roll.days)
    stream = draws.stream(Draw.ATTENDANCE, year)
    u_full = stream.random(n)
    u_used, u_length = stream.random((n, SLOTS)), stream.random((n, SLOTS))
    used = (u_used < district.attendance.partial) & (np.arange(SLOTS) < slots[:, None])
    partial = np.where(used, 1 + np.floor(3 * u_length), 0).astype(np.int64)
    u_incidents = draws.stream(Draw.INCIDENTS, year).random(n)
    stream = draws.stream(Draw.ASSESSMENTS, year)
    noise = district.achievement.noise * normal(stream, (2, n))
    precision, shape = district.attendance.precision, district.discipline.shape
    results = [
        Conduct(
            beta_binomial_quantile(u_full, roll.days - slots, regime.absence, precision),
            partial,
            negative_binomial_quantile(u_incidents, regime.incidents, shape),
            regime.math + noise[0],
            regime.reading + noise[1],
        )
        for regime in (expected.unvisited, expected.visited)
    ]
    return results[0], results[1]


def partial_quarters(used: float) -> Floats:
    """Return P(quarters missed = q) for 0 to 4 slots: shape (5, 13)."""
    slot = np.array([1 - used, used / 3, used / 3, used / 3])
    result = np.zeros((SLOTS + 1, 3 * SLOTS + 1))
    result[0, 0] = 1.0
    for slots in range(SLOTS):
        result[slots + 1] = np.convolve(result[slots], slot)[: 3 * SLOTS + 1]
    return result


def expected_attendance(district: District, roll: Enrollment, regime: Regime) -> Floats:
    """Return the expected attendance rate given the days enrolled."""
    slots = slots_of(roll.days)
    absent = (roll.days - slots) * regime.absence + slots * district.attendance.partial / 2
    return 1 - absent / np.maximum(roll.days, 1)


def expected_any_incident(district: District, regime: Regime) -> Floats:
    """Return the probability of at least one incident."""
    shape = district.discipline.shape
    return 1 - (1 + regime.incidents / shape) ** -shape


def expected_chronic_absence(district: District, roll: Enrollment, regime: Regime) -> Floats:
    """Return the probability that more than 10 % of enrolled days are missed.

    With F full days and Q quarters of days missed in n days this is P(F > (4 n - 10 Q) / 40).
    """
    slots, days = slots_of(roll.days), roll.days
    largest = int(days.max()) // 10
    at_most = beta_binomial_at_most(
        largest, days - slots, regime.absence, district.attendance.precision
    )
    chance = partial_quarters(district.attendance.partial)[slots]
    columns, result = np.arange(len(days)), np.zeros(len(days))
    for quarters in range(chance.shape[1]):
        limit = (4 * days - 10 * quarters) // 40
        above = np.where(limit >= 0, 1 - at_most[np.maximum(limit, 0), columns], 1.0)
        result += chance[:, quarters] * above
    return result
