"""The truth of visits during the year: expected outcomes after a visit, without it, and waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.expected import factor_between
from homevisit_eval.synthetic.expected_measures import (
    ATTENDANCE,
    CONDUCT,
    attendance_measures,
    conduct_measures,
    fewer_incidents,
    incident_kinds,
    laplace,
    rounded,
)
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process, rows_of, strengths
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.visits import PROGRAMS, ROUNDS

__all__ = [
    "VISIT_OUTCOMES",
    "KnownAtVisit",
    "expected_rest",
    "first_visits",
    "known_at_visit",
    "visit_truth_table",
    "windows",
]

VISIT_OUTCOMES = ATTENDANCE + CONDUCT
ROUND_DAYS = np.arange(5, 5 + 10 * ROUNDS)  # the days of `make_rounds` over all students
LAST_DAYS = 10  # nobody is visited on them

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Outcomes = dict[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class KnownAtVisit:
    """Students on the day of a first visit during the year, shape (n,) each.

    Parameters
    ----------
    roll, process
        Their enrollment and propensities.
    program, day, position
        Of the visit, as in `YearVisits`.
    propensity
        Propensity to be absent.
    shape, incidents
        The gamma variable of incidents given those before the visit: its shape, and the mean
        number that a whole year without visits would bring.
    """

    roll: Enrollment
    process: Process
    program: Integers
    day: Integers
    position: Integers
    propensity: Floats
    shape: Floats
    incidents: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Days on which n unvisited students may be visited later, shape (n, r).

    Parameters
    ----------
    chance
        Probability that the day is the student's and possible, given no visit through the
        day of the visit.
    calm
        Expected probability of a visit on it without an incident before it.
    since, after
        Days from the visit's day (included) to that day (not included), and after that day.
    factor_after
        Sum of the calendar's factor over the days after that day.
    quiet
        Shape (n, 1), whether no incident took place before the day of the visit.
    by_incident
        By how much an incident before it raises the probability of a visit.
    """

    chance: Floats
    calm: Floats
    since: Floats
    after: Floats
    factor_after: Floats
    quiet: Booleans
    by_incident: float


def visit_truth_table(
    district: District, years: list[SchoolYear], ids: NDArray[np.object_]
) -> pd.DataFrame:
    """Return what a first visit during the year changes in the rest of it, one row a visit.

    Only FEP and FEC visits to students not visited before the year. Columns: ``student_id,
    school_year, date, program, window`` ("fall" to December 31, "spring" from January 1),
    ``days_after`` (enrolled days after the visit) and for each outcome of those days
    (`VISIT_OUTCOMES`: attendance and discipline as far as they are counted by the day) its
    expected value

    - with the visit (``_m1``),
    - without a visit for the rest of the year (``_m0``),
    - without a visit on that day, later ones taking their natural course (``_mw``, "waiting"), as
      for a student of the same school, grade and history who has not been visited yet.

    Notes
    -----
    Expectations are given the propensity B to be absent and what happened before the visit: with
    k incidents (before any prevention) on a share f of the days, the gamma variable of incidents
    has shape ``s + k`` and rate ``s + mean * f``. The day of the visit itself is left to chance.

    A student has one round a year, on one of R = 170 days (17 rounds on a weekday that differs by
    student), each as likely, and is visited on it with probability h. Who waits has not been
    visited through day t, so that the round falls on day r with probability ``(1 - h[r]) / Z`` for
    ``r <= t`` and ``1 / Z`` for ``r > t``, Z being their sum over all days; h is 0 where no visit
    is possible. On a later day h depends on absences, which are B times known factors, and on
    whether there was an incident; the products of h with an outcome have closed forms as in
    `expected_outcomes`.
    """
    parts = [
        _visit_truth(district, year, ids)
        for year in years
        if year.roll.school_year in district.truth_years
    ]
    return pd.concat(parts, ignore_index=True)


def _visit_truth(district: District, lived: SchoolYear, ids: NDArray[np.object_]) -> pd.DataFrame:
    rows = first_visits(district, lived)
    known = known_at_visit(district, lived, rows)
    roll, calendar = known.roll, lived.calendar
    after = (roll.days - 1 - known.day).astype(np.float64)
    start = known.position + 1
    factor = factor_between(district, calendar, roll.school, start, roll.stop + 1)
    untouched, visited = strengths(known.process)
    without = expected_rest(district, known, untouched, days=after, factor=factor)
    expected = {
        "m1": expected_rest(district, known, visited, days=after, factor=factor),
        "m0": without,
        "mw": _followed_by_visits(
            district,
            known,
            _waiting(district, lived, rows, known),
            without,
            days=after,
            factor=factor,
        ),
    }
    date = calendar.dates[known.position]
    columns = {
        "student_id": ids[roll.student],
        "school_year": np.full(len(rows), roll.school_year),
        "date": date.astype("datetime64[s]"),
        "program": PROGRAMS[known.program],
        "window": windows(date, roll.school_year),
        "days_after": after.astype(np.int64),
    }
    for regime, outcomes in expected.items():
        for name in VISIT_OUTCOMES:
            columns[f"{name}_{regime}"] = rounded(name, outcomes[name])
    return pd.DataFrame(columns)


def first_visits(district: District, lived: SchoolYear) -> Integers:
    """Return the rows whose first FEP or FEC visit is during the year, in ``truth_grades``."""
    first = lived.during.visited & ~lived.summer.visited
    return np.flatnonzero(first & np.isin(lived.roll.grade, district.truth_grades))


def windows(date: NDArray[np.datetime64], school_year: int) -> NDArray[np.object_]:
    """Return "fall" for dates to December 31 and "spring" from January 1 on."""
    spring = date >= np.datetime64(f"{school_year}-01-01")
    return np.where(spring, "spring", "fall").astype(object)


def known_at_visit(district: District, lived: SchoolYear, rows: Integers) -> KnownAtVisit:
    """Return what is known of the given rows, all visited during the year, on that day."""
    roll, process = rows_of(lived.roll, rows), rows_of(lived.process, rows)
    during, incidents = lived.during, lived.chance.incidents
    earlier = incidents.day < during.day[incidents.row]
    count = np.bincount(incidents.row[earlier], minlength=len(lived.roll.student))[rows]
    prior = district.discipline.shape
    passed = process.incidents * during.day[rows] / roll.days
    return KnownAtVisit(
        roll=roll,
        process=process,
        program=during.program[rows],
        day=during.day[rows],
        position=during.position[rows],
        propensity=lived.chance.absences.propensity[rows],
        shape=np.asarray(prior + count, dtype=np.float64),
        incidents=process.incidents * (prior + count) / (prior + passed),
    )


def expected_rest(
    district: District, known: KnownAtVisit, strength: Floats, *, days: Floats, factor: Floats
) -> Outcomes:
    """Return the outcomes that are expected on some days after a visit, at one strength.

    Parameters
    ----------
    strength
        Shape (n,), of visits on all of those days.
    days, factor
        Shape (n,): how many enrolled days, and the sum of the calendar's factor over them.
    """
    process = known.process
    full, part = _missed(district, known, strength, days=days, factor=factor)
    mean = known.incidents * np.exp(-process.incident_effect * strength) * days / known.roll.days
    return {
        **attendance_measures(process, days, full, part),
        **conduct_measures(mean, known.shape),
    }


def _missed(
    district: District, known: KnownAtVisit, strength: Floats, *, days: Floats, factor: Floats
) -> tuple[Floats, Floats]:
    """Return the days expected to be missed as a whole and in part, see `expected_rest`."""
    left = np.exp(-known.process.absence_effect * strength)
    return left * known.propensity * factor, left * district.attendance.partial * days


def _waiting(
    district: District, lived: SchoolYear, rows: Integers, known: KnownAtVisit
) -> _Waiting:
    """Return when students who are not visited on the day of the visit may be visited later."""
    roll, day, calendar = known.roll, known.day[:, None], lived.calendar
    year_index = roll.school_year - district.school_years[0]
    rules, base = district.selection, district.selection.during[year_index]
    possible = roll.days[:, None] - LAST_DAYS > ROUND_DAYS
    involved, missed = _history(lived, rows)
    happened = base + rules.during_incident * involved + rules.during_absence * missed / ROUND_DAYS
    past = possible & (day >= ROUND_DAYS)
    total = len(ROUND_DAYS) - (past * happened).sum(axis=1)
    within = np.minimum(ROUND_DAYS, roll.days[:, None] - 1)
    row = np.repeat(np.arange(len(rows)), len(ROUND_DAYS))
    at = roll.positions(calendar, row, within.ravel()).reshape(within.shape)
    school, start = roll.school[:, None], known.position[:, None]
    later = possible & (day < ROUND_DAYS)
    until = factor_between(district, calendar, school, start, np.maximum(at, start))
    untouched, _ = strengths(known.process)
    daily = known.propensity * np.exp(-known.process.absence_effect * untouched)
    column = np.searchsorted(ROUND_DAYS, known.day)
    now = np.arange(len(rows)), column
    absent = missed[now][:, None] + daily[:, None] * until
    return _Waiting(
        chance=later / total[:, None],
        calm=base + rules.during_absence * absent / ROUND_DAYS,
        since=np.maximum(ROUND_DAYS - day, 0).astype(np.float64),
        after=np.maximum(roll.days[:, None] - 1 - ROUND_DAYS, 0).astype(np.float64),
        factor_after=factor_between(district, calendar, school, at + 1, roll.stop[:, None] + 1),
        quiet=~involved[now][:, None],
        by_incident=rules.during_incident,
    )


def _history(lived: SchoolYear, rows: Integers) -> tuple[Booleans, Integers]:
    """Return what happened before each of `ROUND_DAYS`: any incident, full days absent; (n, r)."""
    roll, calendar = lived.roll, lived.calendar
    n, absences, incidents = len(roll.student), lived.chance.absences, lived.chance.incidents
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    first = np.full(n, calendar.instructional.shape[1])
    taken = lived.conduct.involved
    np.minimum.at(first, incidents.row[taken], incidents.day[taken])
    asked = lived.conduct.absent & absences.full & (place[absences.row] >= 0)
    row, position = absences.row[asked], absences.position[asked]
    school = roll.school[row]
    day = calendar.before[school, position] - calendar.before[school, roll.start[row]]
    width = int(ROUND_DAYS[-1]) + 1
    counted = day < width
    cell = place[row[counted]] * width + day[counted]
    absent = np.bincount(cell, minlength=len(rows) * width).reshape(len(rows), width)
    missed = np.cumsum(absent, axis=1)[:, ROUND_DAYS - 1]
    return first[rows][:, None] < ROUND_DAYS, missed


def _followed_by_visits(
    district: District,
    known: KnownAtVisit,
    waiting: _Waiting,
    without: Mapping[str, Floats],
    *,
    days: Floats,
    factor: Floats,
) -> Outcomes:
    """Return what is expected after the day of the visit if later visits take their course.

    Parameters
    ----------
    without
        Expected outcomes without any visit for the rest of the year.
    days, factor
        As in `expected_rest`, of the days after the visit.
    """
    process, partial = known.process, district.attendance.partial
    untouched, visited = (strength[:, None] for strength in strengths(process))
    a0, a1 = (np.exp(-process.absence_effect[:, None] * s) for s in (untouched, visited))
    daily = (known.incidents / known.roll.days)[:, None]
    m0, m1 = (daily * np.exp(-process.incident_effect[:, None] * s) for s in (untouched, visited))
    shape = known.shape[:, None]
    before = m0 * waiting.since
    none = np.where(waiting.quiet, laplace(before, shape), 0.0)
    hazard = waiting.calm + waiting.by_incident * (1 - none)
    # E[G h]: G and 1{no incident before} are dependent
    weighted = np.where(waiting.quiet, (1 + before / shape) ** (-shape - 1), 0.0)
    counted = waiting.calm + waiting.by_incident * (1 - weighted)
    saved = waiting.chance * hazard * (a0 - a1)
    fewer_full = known.propensity * (saved * waiting.factor_after).sum(axis=1)
    fewer_part = partial * (saved * waiting.after).sum(axis=1)
    full, part = _missed(district, known, untouched[:, 0], days=days, factor=factor)
    fewer = (waiting.chance * counted * (m0 - m1) * waiting.after).sum(axis=1)
    prevented = {
        name: _prevented(waiting, m0, m1, shape, days=days, share=share)
        for name, share in incident_kinds().items()
    }
    return {
        **attendance_measures(process, days, full - fewer_full, part - fewer_part),
        **fewer_incidents(without, fewer, prevented),
    }


def _prevented(
    waiting: _Waiting, m0: Floats, m1: Floats, shape: Floats, *, days: Floats, share: float
) -> Floats:
    """Return by how much later visits lower the probability of an incident of a kind.

    Parameters
    ----------
    m0, m1
        Shape (n, 1), mean number of incidents a day without and with a visit.
    shape
        Shape (n, 1), of their gamma variable.
    share
        Share of incidents that are of the kind.

    Notes
    -----
    The gain needs that none of the kind comes before the later visit. Then there was no incident
    at all before it if none of another kind came, and none on the day t, which is no outcome.
    """
    natural = share * m0 * days[:, None]
    visited = natural - share * (m0 - m1) * waiting.after
    other = m0 + (1 - share) * m0 * np.maximum(waiting.since - 1, 0)
    gain = laplace(visited, shape) - laplace(natural, shape)
    gain_calm = laplace(visited + other, shape) - laplace(natural + other, shape)
    likelier = (waiting.calm + waiting.by_incident) * gain
    likelier -= np.where(waiting.quiet, waiting.by_incident * gain_calm, 0.0)
    return np.asarray((waiting.chance * likelier).sum(axis=1))
