"""Disciplinary incidents: dates, the students who take part, victims, witnesses, actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws, negative_binomial_quantile
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process

__all__ = [
    "IncidentEvents",
    "Incidents",
    "draw_incidents",
    "incident_events",
    "incident_table",
    "mean_days_suspended",
    "serious_share",
    "suspended",
    "suspended_share",
]

BEHAVIORS = (
    ("disruption", 0.36, 0.12),
    ("disrespect", 0.20, 0.14),
    ("fighting", 0.19, 0.60),
    ("bullying", 0.08, 0.30),
    ("theft", 0.05, 0.25),
    ("vandalism", 0.03, 0.25),
    ("other", 0.04, 0.12),
    ("assault", 0.03, 0.90),
    ("weapon", 0.007, 0.95),
    ("drugs", 0.003, 0.90),
    ("truancy", 0.01, 0.0),
)  # behavior, share, probability of an out-of-school suspension
SEVERE, LAST_SEVERE = 7, 9
ACTIONS = np.array(["out_of_school_suspension", "in_school_suspension", "other", "none"], object)
OUT_OF_SCHOOL, IN_SCHOOL_ACTION = 0, 1
IN_SCHOOL, OTHER_ACTION = 0.14, 0.35

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Incidents:
    """All that chance would bring in a year without any visit, shape (e,) each, by student-year.

    A visit prevents some: an event is left where `mark` is below the factor of that day.

    Parameters
    ----------
    row
        Position of the student-year.
    day
        Number of the enrolled day, from 0.
    position
        Position of the date in the calendar.
    mark
        Uniform numbers.
    """

    row: Integers
    day: Integers
    position: Integers
    mark: Floats


@dataclass(frozen=True, slots=True, eq=False)
class IncidentEvents:
    """Each taking part in an incident that took place, by school and date, shape (e,) each.

    Parameters
    ----------
    row
        Position of the student-year.
    position
        Position of the date in the calendar.
    school
        Position of the school.
    incident
        Number of the incident within the year: two students may share one.
    behavior, action
        Positions in `BEHAVIORS` and `ACTIONS`.
    days
        Length of the action, school days.
    """

    row: Integers
    position: Integers
    school: Integers
    incident: Integers
    behavior: Integers
    action: Integers
    days: Integers

    @property
    def serious(self) -> Booleans:
        """Severe behavior, or an out-of-school suspension."""
        return np.asarray(_severe(self.behavior) | (self.action == OUT_OF_SCHOOL))


def suspended(events: IncidentEvents) -> Booleans:
    """Return whether each event led to a suspension, in or out of school."""
    return np.isin(events.action, (OUT_OF_SCHOOL, IN_SCHOOL_ACTION))


def draw_incidents(
    district: District, calendar: YearCalendar, roll: Enrollment, process: Process, draws: Draws
) -> Incidents:
    """Draw the incidents of each student-year without any visit, and spread them over its days."""
    n, year = len(roll.student), roll.school_year
    uniform = draws.stream(Draw.INCIDENTS, year).random(n)
    count = negative_binomial_quantile(uniform, process.incidents, district.discipline.shape)
    row = np.repeat(np.arange(n), count)
    u_day, mark = draws.stream(Draw.INCIDENT_DAYS, year).random((2, len(row)))
    day = np.floor(u_day * roll.days[row]).astype(np.int64)
    return Incidents(row, day, roll.positions(calendar, row, day), mark)


def incident_events(
    district: District, roll: Enrollment, incidents: Incidents, happened: Booleans, draws: Draws
) -> IncidentEvents:
    """Say what the incidents that took place were, and let some pairs of students share one.

    Two students can share an incident if each has one at the same school on the same day.
    """
    u = draws.stream(Draw.INCIDENT_ROWS, roll.school_year).random((4, len(incidents.row)))
    row, position = incidents.row[happened], incidents.position[happened]
    school = roll.school_on(row, position)
    order = np.lexsort((row, position, school))
    row, position, school = row[order], position[order], school[order]
    u_joint, u_behavior, u_action, u_days = u[:, happened][:, order]
    joins = np.zeros(len(row), dtype=np.bool_)
    same = (school[1:] == school[:-1]) & (position[1:] == position[:-1]) & (row[1:] != row[:-1])
    joins[1:] = same & (u_joint[1:] < district.discipline.joint)
    joins[1::2] = False  # so that no row joins one that has joined itself
    incident = np.cumsum(~joins) - 1
    share = np.array([share for _, share, _ in BEHAVIORS])
    limits = np.cumsum(share / share.sum())[:-1]
    first = np.flatnonzero(~joins)
    behavior = np.searchsorted(limits, u_behavior[first], side="right")[incident]
    action, days = _actions(behavior, u_action, u_days)
    return IncidentEvents(row, position, school, incident, behavior, action, days)


def serious_share() -> float:
    """Return the probability that an incident is serious."""
    behavior = np.arange(len(BEHAVIORS))
    out, _ = _suspension_chances(behavior)
    return _over_behaviors(np.where(_severe(behavior), 1.0, out))


def suspended_share() -> float:
    """Return the probability that an incident leads to a suspension, in or out of school."""
    out, within = _suspension_chances(np.arange(len(BEHAVIORS)))
    return _over_behaviors(out + within)


def mean_days_suspended() -> float:
    """Return the mean number of days of suspension that an incident leads to."""
    behavior = np.arange(len(BEHAVIORS))
    out, within = _suspension_chances(behavior)
    return _over_behaviors(out * (1 + _longest_suspension(behavior)) / 2 + within)


def _over_behaviors(values: Floats) -> float:
    """Return the mean over the behaviors, shape (behaviors,), each as often as it is."""
    return float(np.average(values, weights=[share for _, share, _ in BEHAVIORS]))


def _severe(behavior: Integers) -> Booleans:
    return np.asarray((behavior >= SEVERE) & (behavior <= LAST_SEVERE))


def _suspension_chances(behavior: Integers) -> tuple[Floats, Floats]:
    """Return the probabilities of a suspension out of school and in school."""
    out = np.array([chance for _, _, chance in BEHAVIORS])[behavior]
    return out, np.minimum(IN_SCHOOL, 1 - out)


def _longest_suspension(behavior: Integers) -> Integers:
    """Return the longest suspension out of school; every length up to it is as likely."""
    return np.where(_severe(behavior), 10, 3)


def _bystanders(
    roll: Enrollment, events: IncidentEvents, chance: float, stream: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return (index of the event, student-year) of bystanders: at most one an event.

    A bystander attends the school all year and takes part in no incident of that year.
    """
    calm = np.ones(len(roll.student), dtype=np.bool_)
    calm[events.row] = False
    calm &= roll.at_time_zero & ~roll.ends & (roll.second_school < 0)
    pool = np.flatnonzero(calm)
    pool = pool[np.argsort(roll.school[pool], kind="stable")]
    start = np.searchsorted(roll.school[pool], events.school, side="left")
    count = np.searchsorted(roll.school[pool], events.school, side="right") - start
    first = np.concatenate([[True], np.diff(events.incident) > 0])[: len(events.row)]
    u_happens, u_who = stream.random((2, len(events.row)))
    index = np.flatnonzero(first & (u_happens < chance) & (count > 0))
    return index, pool[start[index] + np.floor(u_who[index] * count[index]).astype(np.int64)]


def incident_table(
    district: District,
    calendar: YearCalendar,
    roll: Enrollment,
    events: IncidentEvents,
    *,
    school_ids: NDArray[np.object_],
    ids: NDArray[np.object_],
    draws: Draws,
) -> pd.DataFrame:
    """Return one row per student and incident of a year; ``incident`` numbers them from 0."""
    stream = draws.stream(Draw.BYSTANDERS, roll.school_year)
    names = np.array([name for name, _, _ in BEHAVIORS], dtype=object)
    incidents = int(events.incident[-1]) + 1 if len(events.incident) else 0
    victims = _bystanders(roll, events, district.discipline.victim, stream)
    witnesses = _bystanders(roll, events, district.discipline.witness, stream)
    taken = np.full(incidents, -1)
    taken[events.incident[victims[0]]] = victims[1]
    apart = taken[events.incident[witnesses[0]]] != witnesses[1]
    event = np.concatenate([np.arange(len(events.row)), victims[0], witnesses[0][apart]])
    row = np.concatenate([events.row, victims[1], witnesses[1][apart]])
    role = np.repeat(
        np.array(["perpetrator", "victim", "witness"], dtype=object),
        (len(events.row), len(victims[0]), int(apart.sum())),
    )
    rest = len(row) - len(events.row)
    table = pd.DataFrame(
        {
            "incident": events.incident[event],
            "student_id": ids[roll.student[row]],
            "school_id": school_ids[events.school[event]],
            "date": calendar.dates[events.position[event]].astype("datetime64[s]"),
            "behavior": names[events.behavior[event]],
            "role": role,
            "action": np.concatenate([ACTIONS[events.action], np.full(rest, "none", object)]),
            "days": np.concatenate([events.days, np.zeros(rest, dtype=np.int64)]),
        }
    )
    return table.iloc[np.lexsort((np.arange(len(event)), events.incident[event]))]


def _actions(behavior: Integers, u_action: Floats, u_days: Floats) -> tuple[Integers, Integers]:
    """Return action and days of those who took part in incidents of the given behaviors."""
    out, within = _suspension_chances(behavior)
    limits = np.cumsum([out, within, OTHER_ACTION * (1 - out)], 0)
    kind = (u_action >= limits).sum(axis=0)
    length = 1 + np.floor(u_days * _longest_suspension(behavior))
    days = np.select([kind == OUT_OF_SCHOOL, kind == IN_SCHOOL_ACTION], [length, 1], 0)
    return kind, days.astype(np.int64)
