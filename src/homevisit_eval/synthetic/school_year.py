"""One school year of a district, from enrollment to visits during the year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.assessments import Scores, score
from homevisit_eval.synthetic.attendance import UNEXCUSED
from homevisit_eval.synthetic.baseline import Baseline, blank_baseline, hinge
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.characteristics import Status, make_status
from homevisit_eval.synthetic.draws import Draw, Draws, negative_binomial_quantile, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.incidents import IncidentEvents, incident_events
from homevisit_eval.synthetic.outcomes import (
    AFTER,
    Chance,
    Conduct,
    Regime,
    before_year,
    draw_chance,
    realize,
)
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process, hidden_trait, make_process
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.staff import (
    Classes,
    StaffYear,
    leaving_probability,
    make_classes,
    staff_of_year,
    visitors,
)
from homevisit_eval.synthetic.students import Students
from homevisit_eval.synthetic.visits import (
    Rounds,
    SummerVisits,
    YearVisits,
    choose_summer_visits,
    choose_year_visits,
    make_rounds,
    no_year_visits,
    second_probability,
    summer_probability,
)

__all__ = ["SchoolYear", "leaving_after", "live_through", "regime_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

USUALLY_UNEXCUSED = 0.35
USUAL_CALENDAR_FACTOR = 0.63


@dataclass(frozen=True, slots=True, eq=False)
class SchoolYear:
    """Everything that happens in one school year, as arrays over its n student-years.

    Parameters
    ----------
    calendar, roll, status, staff, classes, baseline
        What is fixed before the year's visits.
    summer, rounds, process, chance
        Who is visited before the year, when visits are possible during it, what drives the year,
        and what chance would bring without any visit.
    during_if_unvisited, during
        Visits during the year without one before it, and those that take place.
    if_unvisited, if_visited, conduct
        What happens under each regime, and what does happen.
    unexcused
        Shape (n,), unexcused full days.
    events, scores
        Incidents that take place, and test scores.
    """

    calendar: YearCalendar
    roll: Enrollment
    status: Status
    staff: StaffYear
    classes: Classes
    baseline: Baseline
    summer: SummerVisits
    rounds: Rounds
    process: Process
    chance: Chance
    during_if_unvisited: YearVisits
    during: YearVisits
    if_unvisited: Conduct
    if_visited: Conduct
    conduct: Conduct
    unexcused: Integers
    events: IncidentEvents
    scores: Scores


def _baseline_from(district: District, roll: Enrollment, last: SchoolYear) -> Baseline:
    """Return last year's measures of this year's students."""
    known = np.isin(roll.student, last.roll.student)
    at = np.searchsorted(last.roll.student, roll.student[known])
    blank = blank_baseline(district, len(roll.student))
    rate = last.conduct.days_absent / last.roll.days
    visited = (last.summer.program > 0) | (last.during.program > 0)
    since = np.where(
        last.summer.visited | last.during.visited, 1, last.baseline.years_since_visit + 1
    )
    measured = (
        (blank.absence_hinge, hinge(district, rate)),
        (blank.unexcused, last.unexcused),
        (blank.incidents, last.conduct.incidents),
        (blank.at_risk, last.status.at_risk),
        (blank.english_learner, last.status.english_learner),
        (blank.disability, last.status.disability),
        (blank.visited, visited),
        (blank.chronic, rate > 0.10),
        (blank.years_since_visit, since),
    )
    for mine, theirs in measured:
        mine[known] = theirs[at]
    return Baseline(known, *(mine for mine, _ in measured))


def _imagined_baseline(
    district: District, roll: Enrollment, *, process: Process, status: Status, draws: Draws
) -> Baseline:
    """Return a year before the first one, of which no records exist."""
    n = len(roll.student)
    stream = draws.stream(Draw.EARLIER_YEAR, roll.school_year)
    rate = process.absence * USUAL_CALENDAR_FACTOR * np.exp(0.5 * normal(stream, n))
    incidents = negative_binomial_quantile(
        stream.random(n), process.incidents, district.discipline.shape
    )
    blank = blank_baseline(district, n)
    return Baseline(
        blank.known,
        hinge(district, rate),
        np.floor(rate * 180 * USUALLY_UNEXCUSED),
        incidents.astype(np.float64),
        status.at_risk.astype(np.float64),
        status.english_learner.astype(np.float64),
        status.disability.astype(np.float64),
        blank.visited,
        (rate > 0.10).astype(np.float64),
        blank.years_since_visit,
    )


def regime_of(roll: Enrollment, summer: Booleans, during: YearVisits) -> Regime:
    """Return when each student-year is visited under FEP or FEC first."""
    regime = before_year(len(summer))
    days = np.maximum(roll.days, 1)
    left = np.where(during.visited, (days - 1 - during.day) / days, 0.0)
    return Regime(
        np.where(summer, regime.position, np.where(during.visited, during.position, AFTER)),
        np.where(summer, regime.left, left),
    )


def _chosen(visited: Booleans, chance: Chance, with_visit: Conduct, without: Conduct) -> Conduct:
    absences, incidents = visited[chance.absences.row], visited[chance.incidents.row]
    return Conduct(
        np.where(absences, with_visit.absent, without.absent),
        np.where(incidents, with_visit.involved, without.involved),
        np.where(visited, with_visit.quarters, without.quarters),
        np.where(visited, with_visit.incidents, without.incidents),
        np.where(visited, with_visit.math, without.math),
        np.where(visited, with_visit.reading, without.reading),
    )


def _share_of_classmates(classes: Classes, visited: Booleans) -> Floats:
    """Return the share of each student's classmates who are visited before the year."""
    size = np.bincount(classes.teacher)[classes.teacher]
    others = np.bincount(classes.teacher, visited)[classes.teacher] - visited
    return np.asarray(others / np.maximum(size - 1, 1))


def leaving_after(district: District, lived: SchoolYear | None) -> Floats:
    """Return the probability of each on staff of leaving the district after a year, shape (t,).

    Parameters
    ----------
    lived
        None stands for a year without staff.
    """
    if lived is None:
        return np.empty(0)
    made = visitors(lived.staff, lived.classes, lived.summer.visited)
    return leaving_probability(district.staffing, lived.staff, made, district.effects.retention)


def live_through(
    district: District,
    schools: Schools,
    calendar: YearCalendar,
    students: Students,
    roll: Enrollment,
    *,
    last: SchoolYear | None,
    draws: Draws,
    summer_visits: bool = True,
    year_visits: bool = True,
) -> SchoolYear:
    """Return the school year of the students in `roll`.

    Parameters
    ----------
    last
        The year before; None in the first.
    summer_visits
        Whether there are visits before this year.
    year_visits
        Whether there are visits during it.
    """
    year_index = roll.school_year - district.school_years[0]
    status = make_status(district, schools, students, roll, draws)
    staff = staff_of_year(
        schools, roll, last.staff if last else None, draws,
        leave=leaving_after(district, last), move=district.staffing.move,
    )  # fmt: skip
    classes = make_classes(staff, roll, draws)
    hidden = hidden_trait(district, students.household[roll.student], roll.school_year, draws)

    def process_from(baseline: Baseline, classmates: Floats, twice: Booleans) -> Process:
        return make_process(
            district, schools, students, roll, status=status, classes=classes,
            baseline=baseline, hidden=hidden, classmates=classmates, twice=twice,
            year_index=year_index,
        )  # fmt: skip

    alone, nobody = np.zeros(len(roll.student)), np.zeros(len(roll.student), dtype=np.bool_)
    if last is None:
        usual = process_from(blank_baseline(district, len(alone)), alone, nobody)
        baseline = _imagined_baseline(district, roll, process=usual, status=status, draws=draws)
    else:
        baseline = _baseline_from(district, roll, last)
    probability = summer_visits * summer_probability(
        district, schools, roll, baseline=baseline, classes=classes, hidden=hidden,
        year_index=year_index,
    )  # fmt: skip
    summer = choose_summer_visits(
        district, schools, roll, chance=probability,
        second=second_probability(district, baseline=baseline, hidden=hidden),
        year_index=year_index, draws=draws,
    )  # fmt: skip
    mates = _share_of_classmates(classes, summer.visited)
    process = process_from(baseline, mates, summer.twice)
    rounds = make_rounds(schools, calendar, roll, year_index=year_index, draws=draws)
    chance = draw_chance(district, calendar, roll, process, draws)
    would, during = choose_year_visits(
        district, roll, rounds, process=process, chance=chance, summer=summer,
        year_index=year_index, draws=draws,
    )  # fmt: skip
    if not year_visits:
        would = during = no_year_visits(len(alone))
    without = realize(process, chance, regime_of(roll, nobody, would))
    with_visit = realize(process, chance, before_year(len(alone)))
    conduct = _chosen(summer.visited, chance, with_visit, without)
    unexcused = conduct.absent & (chance.absences.category == UNEXCUSED)
    return SchoolYear(
        calendar=calendar,
        roll=roll,
        status=status,
        staff=staff,
        classes=classes,
        baseline=baseline,
        summer=summer,
        rounds=rounds,
        process=process,
        chance=chance,
        during_if_unvisited=would,
        during=during,
        if_unvisited=without,
        if_visited=with_visit,
        conduct=conduct,
        unexcused=np.bincount(chance.absences.row[unexcused], minlength=len(alone)),
        events=incident_events(district, roll, chance.incidents, conduct.involved, draws),
        scores=score(district, students, roll, conduct, draws),
    )
