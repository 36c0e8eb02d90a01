"""Expected outcomes of student-years, in closed form, under the regimes that a study contrasts.

Five regimes: visited before the year, as often as the student is (1), or once (s, single); not
visited before it, with the visits during the year that would follow (0), or without them (u,
unvisited); and no program at all (n): neither visits of the year, nor what is left of earlier ones,
nor visits to classmates.

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
from homevisit_eval.synthetic.expected_measures import (
    attendance_measures,
    conduct_measures,
    fewer_incidents,
    incident_kinds,
    laplace,
)
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process, strengths
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
    partial
        Probability that a day is missed in part, before a visit's factor.
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
    partial: float


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
        partial=district.attendance.partial,
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
    """Return the expected outcomes of each student-year under each regime, by its letter.

    Attendance rates are fractions of enrolled days, ``any_*`` probabilities, ``days_*`` and
    ``incidents`` mean numbers, scores in SDs of one grade before standardization.
    """
    year = _year(district, calendar, roll, process, rounds=rounds, year_index=year_index)
    untouched, visited = strengths(process)
    _, before = strengths(process, before=True)
    with_visits = _whole_year(year, before)
    without = _whole_year(year, untouched)
    none = _whole_year(year, np.zeros(len(untouched)))
    return {
        "1": with_visits,
        "s": _whole_year(year, visited) if district.selection.twice else with_visits,
        "0": _followed_by_visits(year, without, untouched, visited),
        "u": without,
        "n": none,
    }


def _missed(year: _Year, strength: Floats) -> tuple[Floats, Floats]:
    """Return the days expected to be missed as a whole and in part, at one strength."""
    left = np.exp(-year.process.absence_effect * strength)
    return left * year.process.absence * year.total, left * year.partial * year.days


def _whole_year(year: _Year, strength: Floats) -> dict[str, Floats]:
    """Return expected outcomes at the same strength on every day."""
    process = year.process
    mean = process.incidents * np.exp(-process.incident_effect * strength)
    return {
        **attendance_measures(process, year.days, *_missed(year, strength)),
        **conduct_measures(mean, year.shape),
        "math_score_std": process.math + process.math_effect * strength,
        "reading_score_std": process.reading + process.reading_effect * strength,
    }


def _followed_by_visits(
    year: _Year,
    without: Mapping[str, Floats],
    untouched: Floats,
    visited: Floats,
) -> dict[str, Floats]:
    """Return expected outcomes of a year at strength `untouched`, until a visit during it."""
    process = year.process
    a0 = np.exp(-process.absence_effect * untouched)[:, None]
    a1 = np.exp(-process.absence_effect * visited)[:, None]
    m0 = (process.incidents * np.exp(-process.incident_effect * untouched))[:, None]
    m1 = (process.incidents * np.exp(-process.incident_effect * visited))[:, None]
    mu, base = process.absence[:, None], year.base[:, None]
    any_before = 1 - laplace(m0 * year.share_before, year.shape)
    with_absence = year.by_absence * a0 * year.before  # times B
    hazard = base + year.by_incident * any_before + with_absence * mu
    absent = mu * (base + year.by_incident * any_before + with_absence * year.square[:, None])
    fewer_full = (absent * (a0 - a1) * year.factor_after * year.chance).sum(axis=1)
    partly = year.partial * year.days
    fewer_part = partly * (hazard * (a0 - a1) * year.share_after * year.chance).sum(axis=1)
    # E[G h]: G and 1{no incident before} are dependent
    weighted = 1 - (1 + m0 * year.share_before / year.shape) ** (-year.shape - 1)
    counted = base + with_absence * mu + year.by_incident * weighted
    fewer = (counted * (m0 - m1) * year.share_after * year.chance).sum(axis=1)
    rise = (hazard * year.share_after * year.chance).sum(axis=1) * np.maximum(
        visited - untouched, 0
    )
    calm = base + with_absence * mu
    full, part = _missed(year, untouched)
    prevented = {
        name: _prevented(year, calm, m0, m1, share) for name, share in incident_kinds().items()
    }
    return {
        **attendance_measures(process, year.days, full - fewer_full, part - fewer_part),
        **fewer_incidents(without, fewer, prevented),
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
    gain = laplace(visited, year.shape) - laplace(natural, year.shape)
    gain_calm = laplace(visited + other, year.shape) - laplace(natural + other, year.shape)
    likelier = (calm + year.by_incident) * gain - year.by_incident * gain_calm
    return np.asarray((likelier * year.chance).sum(axis=1))
