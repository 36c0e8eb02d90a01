"""One school year of a district, from enrollment to visits during the year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.assessments import Scores, score
from homevisit_eval.synthetic.attendance import count_tardies, unexcused_absences
from homevisit_eval.synthetic.baseline import Baseline, blank_baseline, hinge
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.characteristics import Status, make_status
from homevisit_eval.synthetic.draws import (
    Draw,
    Draws,
    beta_binomial_quantile,
    negative_binomial_quantile,
)
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.incidents import IncidentEvents, incident_events
from homevisit_eval.synthetic.outcomes import FULL_YEAR, Conduct, Expected, expect, realize
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.students import Students
from homevisit_eval.synthetic.visits import (
    SummerVisits,
    YearVisits,
    choose_summer_visits,
    choose_year_visits,
)

__all__ = ["SchoolYear", "live_through"]

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

USUALLY_UNEXCUSED = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class SchoolYear:
    """Everything that happens in one school year, as arrays over its n student-years.

    Parameters
    ----------
    calendar, roll, status, baseline
        What is fixed before the year's visits.
    summer, expected
        Who is visited before the year, and what is expected of both regimes.
    if_unvisited, if_visited, conduct
        What happens under each regime, and what does happen.
    absence_unexcused
        For each full absence, student by student, whether it is unexcused.
    unexcused, tardies
        Shape (n,), counts.
    events, scores, during
        Incidents, test scores, visits during the year.
    """

    calendar: YearCalendar
    roll: Enrollment
    status: Status
    baseline: Baseline
    summer: SummerVisits
    expected: Expected
    if_unvisited: Conduct
    if_visited: Conduct
    conduct: Conduct
    absence_unexcused: Booleans
    unexcused: Integers
    tardies: Integers
    events: IncidentEvents
    scores: Scores
    during: YearVisits


def _baseline_from(district: District, roll: Enrollment, last: SchoolYear) -> Baseline:
    """Return last year's measures of this year's students."""
    known = np.isin(roll.student, last.roll.student)
    at = np.searchsorted(last.roll.student, roll.student[known])
    blank = blank_baseline(district, len(roll.student))
    rate = last.conduct.days_absent / last.roll.days
    visited = (last.summer.program > 0) | (last.during.program > 0)
    measured = (
        (blank.absence_hinge, hinge(district, rate)),
        (blank.unexcused, last.unexcused),
        (blank.incidents, last.conduct.incidents),
        (blank.at_risk, last.status.at_risk),
        (blank.english_learner, last.status.english_learner),
        (blank.disability, last.status.disability),
        (blank.visited, visited),
    )
    for mine, theirs in measured:
        mine[known] = theirs[at]
    return Baseline(known, *(mine for mine, _ in measured))


def _imagined_baseline(
    district: District,
    schools: Schools,
    students: Students,
    roll: Enrollment,
    *,
    status: Status,
    draws: Draws,
) -> Baseline:
    """Return a year before the first one, of which no records exist."""
    n = len(roll.student)
    blank = blank_baseline(district, n)
    expected = expect(district, schools, students, roll, status, baseline=blank, year_index=0)
    regime = expected.unvisited
    u_absent, u_incident = draws.stream(Draw.EARLIER_YEAR, roll.school_year).random((2, n))
    trials = np.full(n, FULL_YEAR)
    absent = beta_binomial_quantile(u_absent, trials, regime.absence, district.attendance.precision)
    incidents = negative_binomial_quantile(u_incident, regime.incidents, district.discipline.shape)
    return Baseline(
        np.zeros(n, dtype=np.bool_),
        hinge(district, (absent / FULL_YEAR).astype(np.float64)),
        (absent * USUALLY_UNEXCUSED).astype(np.float64),
        incidents.astype(np.float64),
        status.at_risk.astype(np.float64),
        status.english_learner.astype(np.float64),
        status.disability.astype(np.float64),
        np.zeros(n),
    )


def _chosen(visited: Booleans, with_visit: Conduct, without: Conduct) -> Conduct:
    return Conduct(
        np.where(visited, with_visit.full, without.full),
        without.partial,
        np.where(visited, with_visit.incidents, without.incidents),
        np.where(visited, with_visit.math, without.math),
        np.where(visited, with_visit.reading, without.reading),
    )


def live_through(
    district: District,
    schools: Schools,
    calendar: YearCalendar,
    students: Students,
    roll: Enrollment,
    *,
    last: SchoolYear | None,
    draws: Draws,
) -> SchoolYear:
    """Return the school year of the students in `roll`.

    Parameters
    ----------
    last
        The year before; None in the first.
    """
    year_index = roll.school_year - district.school_years[0]
    status = make_status(district, schools, students, roll, draws)
    if last is None:
        baseline = _imagined_baseline(district, schools, students, roll, status=status, draws=draws)
    else:
        baseline = _baseline_from(district, roll, last)
    summer = choose_summer_visits(
        district, schools, roll, baseline, year_index=year_index, draws=draws
    )
    expected = expect(
        district, schools, students, roll, status, baseline=baseline, year_index=year_index
    )
    without, with_visit = realize(district, roll, expected, draws)
    conduct = _chosen(summer.visited, with_visit, without)
    absence_unexcused, unexcused = unexcused_absences(
        district, students, roll, conduct, at_risk=status.at_risk, draws=draws
    )
    tardies = count_tardies(district, students, roll, conduct, draws)
    events = incident_events(district, calendar, roll, conduct, draws)
    scores = score(district, students, roll, conduct, draws)
    during = choose_year_visits(
        district,
        schools,
        calendar,
        roll,
        summer=summer,
        conduct=conduct,
        events=events,
        year_index=year_index,
        draws=draws,
    )
    return SchoolYear(
        calendar=calendar,
        roll=roll,
        status=status,
        baseline=baseline,
        summer=summer,
        expected=expected,
        if_unvisited=without,
        if_visited=with_visit,
        conduct=conduct,
        absence_unexcused=absence_unexcused,
        unexcused=unexcused,
        tardies=tardies,
        events=events,
        scores=scores,
        during=during,
    )
