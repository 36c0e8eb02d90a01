"""What drives each student's year before chance: propensities, and what a visit would change.

Everything here is an array over the student-years of one school year, and fixed before it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.baseline import NEVER, Baseline
from homevisit_eval.synthetic.characteristics import Status
from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import LOWEST_GRADE, Schools
from homevisit_eval.synthetic.staff import Classes
from homevisit_eval.synthetic.students import Students

__all__ = ["Process", "hidden_trait", "make_process", "rows_of", "strengths"]

FULL_YEAR = 180

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """The propensities of student-years, and the effects of a visit on them, shape (n,) each.

    Parameters
    ----------
    absence
        Mean of the propensity to be absent, before the calendar's and visits' factors.
    tardy
        Probability of a tardy a day.
    unexcused
        Probability that a full absence is unexcused.
    incidents
        Mean number of incidents on the days enrolled, without visits.
    math, reading
        Mean scores in SDs of one grade, without visits and before noise.
    absence_effect, incident_effect
        How much the logarithm of the daily probability of an absence, and of the mean of
        incidents, falls at full strength of a visit.
    math_effect, reading_effect
        Rise of scores at full strength, SDs.
    before
        Strength of visits before the year: 1, or more where two are made.
    lasting
        Strength that is left of visits in earlier years.
    classmates
        Strength that comes from visits to classmates.
    """

    absence: Floats
    tardy: Floats
    unexcused: Floats
    incidents: Floats
    math: Floats
    reading: Floats
    absence_effect: Floats
    incident_effect: Floats
    math_effect: Floats
    reading_effect: Floats
    before: Floats
    lasting: Floats
    classmates: Floats


def rows_of(record: Record, rows: Integers) -> Record:
    """Return the given rows of a record whose arrays have one element a student-year."""
    taken = {
        field.name: value[rows]
        for field in fields(record)  # type: ignore[arg-type]
        if isinstance(value := getattr(record, field.name), np.ndarray)
    }
    return replace(record, **taken)  # type: ignore[type-var]


def strengths(process: Process, *, before: Booleans | bool = False) -> tuple[Floats, Floats]:
    """Return the strength that works without and with a visit of the year, shape (n,) each.

    Parameters
    ----------
    before
        Shape (n,) or one value, whether the visit, or two of them, come before the year.
    """
    visit = np.where(before, process.before, 1.0)
    untouched = process.lasting + process.classmates
    return untouched, np.maximum(process.lasting, visit) + process.classmates


def hidden_trait(
    district: District, households: Integers, school_year: int, draws: Draws
) -> Floats:
    """Return the family trait of one school year, shape (n,): standard normal, no record has it."""
    largest = int(households.max()) + 1 if len(households) else 0
    stays = normal(draws.stream(Draw.HIDDEN), largest)[households]
    new = normal(draws.stream(Draw.HIDDEN, school_year), largest)[households]
    share = district.hidden.lasting
    return np.asarray(np.sqrt(share) * stays + np.sqrt(1 - share) * new)


def make_process(
    district: District,
    schools: Schools,
    students: Students,
    roll: Enrollment,
    *,
    status: Status,
    classes: Classes,
    baseline: Baseline,
    hidden: Floats,
    classmates: Floats,
    twice: Booleans,
    year_index: int,
) -> Process:
    """Return the propensities of year number `year_index` (from 0).

    Parameters
    ----------
    baseline
        What was measured in the year before: effects differ by prior absence.
    hidden
        Shape (n,), the hidden trait.
    classmates
        Shape (n,), the share of classmates visited before the year.
    twice
        Shape (n,), who is visited twice before it.
    """
    who, grade, school = roll.student, roll.grade, roll.school
    risk, disability = status.at_risk, status.disability
    years_in = schools.program_years[school, year_index]
    quality = classes.quality - district.program_schools.teachers * (years_in > 0)
    known, changes = district.hidden, district.program_schools
    rules, trait = district.attendance, students.absence[who]
    absence = (
        rules.intercept
        + rules.at_risk * risk
        + rules.disability * disability
        + np.array(rules.by_grade)[grade - LOWEST_GRADE]
        + rules.trait * trait
        + schools.attendance[school, year_index]
        - rules.teacher * quality
        - known.strength * known.absence * hidden
        - changes.absence * years_in
    )
    unexcused = rules.unexcused + rules.unexcused_at_risk * risk + rules.unexcused_trait * trait
    tardy = rules.tardy * np.exp(rules.tardy_trait * trait - rules.tardy_trait**2 / 2)
    conduct = district.discipline
    incidents = (
        conduct.intercept
        + conduct.male * students.male[who]
        + conduct.at_risk * risk
        + conduct.disability * disability
        + conduct.grade * (grade - 3)
        + conduct.trait * students.behavior[who]
        + schools.discipline[school, year_index]
        - conduct.teacher * quality
        - known.strength * known.incidents * hidden
        - changes.incidents * years_in
        + np.log(np.maximum(roll.days, 1) / FULL_YEAR)
    )
    shared = (
        district.achievement.at_risk * risk
        + district.achievement.disability * disability
        + schools.achievement[school, year_index]
        + district.achievement.teacher * quality
        + known.strength * known.scores * hidden
        + changes.scores * years_in
    )
    math, reading = _own_scores(district, students, roll, status)
    effects = district.effects
    return Process(
        absence=expit(absence),
        tardy=np.minimum(tardy / FULL_YEAR, 0.3),
        unexcused=expit(unexcused),
        incidents=np.exp(incidents),
        math=shared + math,
        reading=shared + reading,
        before=np.where(twice, 1 + effects.twice, 1.0),
        lasting=_lasting(effects.lasting, baseline),
        classmates=effects.classmates * classmates,
        **_effects(district, schools, roll, status=status, baseline=baseline),
    )


def _lasting(left: float, baseline: Baseline) -> Floats:
    """Return the strength that is left of the last visit, 0 where there was none."""
    years = baseline.years_since_visit
    return np.where(years < NEVER, left**years, 0.0)


def _own_scores(
    district: District, students: Students, roll: Enrollment, status: Status
) -> tuple[Floats, Floats]:
    rules, who = district.achievement, roll.student
    learner = status.english_learner
    math = rules.english_learner_math * learner + rules.trait * students.ability_math[who]
    reading = rules.english_learner_reading * learner + rules.trait * students.ability_reading[who]
    return math, reading


def _effects(
    district: District,
    schools: Schools,
    roll: Enrollment,
    *,
    status: Status,
    baseline: Baseline,
) -> dict[str, Floats]:
    """Return what a visit changes at full strength; never any harm."""
    rules, grade = district.effects, roll.grade
    multiplier = 1 + rules.school_sd * schools.response[roll.school]
    size = {
        "absence_effect": rules.attendance
        * (
            1
            + rules.attendance_at_risk * status.at_risk
            + rules.attendance_absence * baseline.absence_hinge
            + rules.attendance_grade * (grade - 3)
        ),
        "incident_effect": rules.incidents
        * (1 + rules.incidents_at_risk * status.at_risk + rules.incidents_grade * (grade - 3)),
        "math_effect": rules.math + rules.math_grade * (grade - 4),
        "reading_effect": np.full(len(grade), rules.reading),
    }
    return {name: np.maximum(value * multiplier, 0.0) for name, value in size.items()}
