"""Expected outcomes of student-years, in closed form, under the regimes that a study contrasts.

Three regimes: visited before the year (1); not visited before it, with the visits during the year
that would follow (0); and no program at all (n): neither visits of the year, nor what is left of
earlier ones, nor visits to classmates.

Notes
-----
Let B be the propensity to be absent (beta, mean mu, precision k), c[d] the calendar's factor, and G
the gamma variable behind the count of incidents (mean 1, shape s, Laplace transform L). Given B
and G, days and incidents are independent. In regime 0 a student has one round, on day T, each
of the possible days with the same chance, and is visited on it with probability ``h = during +
during_incident * 1{any incident before T} + during_absence * (full days absent before T) / T``.
Absences before T are B times known factors, so that every product of h with an outcome has an
expectation in moments of B (up to the second) and in values of L.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.attendance import calendar_factor
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.incidents import serious_share
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process
from homevisit_eval.synthetic.visits import EC, NONE, ROUNDS, Rounds

__all__ = ["expected_outcomes", "factor_between"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def factor_between(
    district: District, calendar: YearCalendar, school: Integers, start: Integers, stop: Integers
) -> Floats:
    """Return the sum of the calendar's factor over a school's days from `start` up to `stop`.

    `start` is included, `stop` is not; both are positions in the calendar, of any shape that
    fits that of `school`.
    """
    factor = calendar_factor(district, calendar)
    summed = np.zeros(calendar.before.shape)
    np.cumsum(calendar.instructional * factor, axis=1, out=summed[:, 1:])
    return np.asarray(summed[school, stop] - summed[school, start])


@dataclass(frozen=True, slots=True, eq=False)
class _Year:
    """What the closed forms need of n student-years with r rounds: shapes (n,) and (n, r).

    Parameters
    ----------
    days, total
        Enrolled days, and the sum of the calendar's factor over them.
    chance
        Probability that a round is the student's and possible.
    before, share_before, share_after, factor_after
        Mean of the calendar's factor over the days before a round; shares of the enrolled
        days before and after it; sum of the calendar's factor after it.
    square
        ``E[B**2] / E[B]``.
    """

    process: Process
    days: Floats
    total: Floats
    chance: Floats
    before: Floats
    share_before: Floats
    share_after: Floats
    factor_after: Floats
    square: Floats
    base: Floats
    by_incident: float
    by_absence: float
    shape: float


def _year(
    district: District,
    calendar: YearCalendar,
    roll: Enrollment,
    process: Process,
    *,
    rounds: Rounds,
    year_index: int,
) -> _Year:
    school, start = roll.school, roll.start
    total = factor_between(district, calendar, school, start, roll.stop + 1)
    moved = np.flatnonzero(roll.second_school >= 0)
    total[moved] += factor_between(
        district,
        calendar,
        roll.second_school[moved],
        roll.second_start[moved],
        roll.second_stop[moved] + 1,
    )
    days = np.maximum(roll.days, 1).astype(np.float64)
    at = rounds.position
    before = factor_between(district, calendar, school[:, None], start[:, None], at)
    through = factor_between(district, calendar, school[:, None], start[:, None], at + 1)
    serves = (rounds.program != NONE) & (rounds.program != EC)
    rules, precision = district.selection, district.attendance.precision
    return _Year(
        process=process,
        days=days,
        total=total,
        chance=(rounds.open & serves[:, None]) / ROUNDS,
        before=before / np.maximum(rounds.day, 1),
        share_before=rounds.day / days[:, None],
        share_after=(days[:, None] - 1 - rounds.day) / days[:, None],
        factor_after=total[:, None] - through,
        square=(process.absence * precision + 1) / (precision + 1),
        base=np.full(len(days), rules.during[year_index]),
        by_incident=rules.during_incident,
        by_absence=rules.during_absence,
        shape=district.discipline.shape,
    )


def expected_outcomes(
    district: District,
    calendar: YearCalendar,
    roll: Enrollment,
    process: Process,
    *,
    rounds: Rounds,
    year_index: int,
) -> Mapping[str, Mapping[str, Floats]]:
    """Return the expected outcomes of each student-year under the regimes "1", "0" and "n".

    Attendance rates are fractions of enrolled days, scores in SDs of one grade before
    standardization, ``*_incident`` probabilities, ``incidents`` a mean number.
    """
    year = _year(district, calendar, roll, process, rounds=rounds, year_index=year_index)
    share, partial = serious_share(), district.attendance.partial
    untouched = process.lasting + process.classmates
    visited = np.maximum(process.lasting, 1.0) + process.classmates
    with_visit = _whole_year(year, visited, share, partial)
    without = _whole_year(year, untouched, share, partial)
    none = _whole_year(year, np.zeros(len(untouched)), share, partial)
    return {
        "1": with_visit,
        "0": _followed_by_visits(year, without, untouched, visited, share=share, partial=partial),
        "n": none,
    }


def _laplace(year: _Year, mean: Floats) -> Floats:
    """Return E[exp(-G * mean)]."""
    return np.asarray((1 + mean / year.shape) ** -year.shape)


def _whole_year(year: _Year, strength: Floats, share: float, partial: float) -> dict[str, Floats]:
    """Return expected outcomes at the same strength on every day."""
    process = year.process
    absence = np.exp(-process.absence_effect * strength)
    mean = process.incidents * np.exp(-process.incident_effect * strength)
    missed = absence * (process.absence * year.total + 0.5 * partial * year.days)
    return {
        "attendance_rate": 1 - missed / year.days,
        "any_incident": 1 - _laplace(year, mean),
        "incidents": mean,
        "any_serious_incident": 1 - _laplace(year, share * mean),
        "math_score_std": process.math + process.math_effect * strength,
        "reading_score_std": process.reading + process.reading_effect * strength,
    }


def _followed_by_visits(
    year: _Year,
    without: Mapping[str, Floats],
    untouched: Floats,
    visited: Floats,
    *,
    share: float,
    partial: float,
) -> dict[str, Floats]:
    """Return expected outcomes of a year at strength `untouched`, until a visit during it."""
    process = year.process
    a0 = np.exp(-process.absence_effect * untouched)[:, None]
    a1 = np.exp(-process.absence_effect * visited)[:, None]
    m0 = (process.incidents * np.exp(-process.incident_effect * untouched))[:, None]
    m1 = (process.incidents * np.exp(-process.incident_effect * visited))[:, None]
    mu, base = process.absence[:, None], year.base[:, None]
    any_before = 1 - _laplace(year, m0 * year.share_before)
    with_absence = year.by_absence * a0 * year.before  # times B
    hazard = base + year.by_incident * any_before + with_absence * mu
    absent = mu * (base + year.by_incident * any_before + with_absence * year.square[:, None])
    full = (absent * (a0 - a1) * year.factor_after * year.chance).sum(axis=1)
    partly = (hazard * (a0 - a1) * year.share_after * year.chance).sum(axis=1) * year.days
    # E[G h]: G and 1{no incident before} are dependent
    weighted = 1 - (1 + m0 * year.share_before / year.shape) ** (-year.shape - 1)
    counted = base + with_absence * mu + year.by_incident * weighted
    fewer = (counted * (m0 - m1) * year.share_after * year.chance).sum(axis=1)
    rise = (hazard * year.share_after * year.chance).sum(axis=1) * np.maximum(
        visited - untouched, 0
    )
    calm = base + with_absence * mu
    return {
        "attendance_rate": without["attendance_rate"] + (full + 0.5 * partial * partly) / year.days,
        "any_incident": without["any_incident"] - _prevented(year, calm, m0, m1, 1.0),
        "incidents": without["incidents"] - fewer,
        "any_serious_incident": without["any_serious_incident"]
        - _prevented(year, calm, m0, m1, share),
        "math_score_std": without["math_score_std"] + process.math_effect * rise,
        "reading_score_std": without["reading_score_std"] + process.reading_effect * rise,
    }


def _prevented(year: _Year, calm: Floats, m0: Floats, m1: Floats, share: float) -> Floats:
    """Return by how much visits during the year lower the probability of an incident of a kind.

    Parameters
    ----------
    calm
        Shape (n, r), probability of a visit on a round without an incident before it.
    m0, m1
        Shape (n, 1), means of a year without and with a visit.
    share
        Share of incidents that are of the kind.
    """
    natural = share * m0
    visited = share * (m0 * (1 - year.share_after) + m1 * year.share_after)
    other = (1 - share) * m0 * year.share_before
    gain = _laplace(year, visited) - _laplace(year, natural)
    gain_calm = _laplace(year, visited + other) - _laplace(year, natural + other)
    likelier = (calm + year.by_incident) * gain - year.by_incident * gain_calm
    return np.asarray((likelier * year.chance).sum(axis=1))
