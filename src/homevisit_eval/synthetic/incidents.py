"""Disciplinary incidents: dates, the students who take part, victims, witnesses, actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.outcomes import Conduct
from homevisit_eval.synthetic.parameters import District

__all__ = ["IncidentEvents", "incident_events", "incident_table"]

BEHAVIORS = (
    ("disruption", 0.36, 0.04),
    ("disrespect", 0.20, 0.05),
    ("fighting", 0.19, 0.35),
    ("bullying", 0.08, 0.15),
    ("theft", 0.05, 0.15),
    ("vandalism", 0.03, 0.15),
    ("other", 0.04, 0.05),
    ("assault", 0.03, 0.80),
    ("weapon", 0.007, 0.90),
    ("drugs", 0.003, 0.80),
    ("truancy", 0.01, 0.0),
)  # behavior, share, probability of an out-of-school suspension
SEVERE = 7
IN_SCHOOL, OTHER_ACTION = 0.14, 0.35

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class IncidentEvents:
    """Each taking part in an incident, by school and date, shape (e,) each.

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
    """

    row: Integers
    position: Integers
    school: Integers
    incident: Integers


def incident_events(
    district: District, calendar: YearCalendar, roll: Enrollment, conduct: Conduct, draws: Draws
) -> IncidentEvents:
    """Spread each student's incidents over enrolled days, and let some pairs share one."""
    row = np.repeat(np.arange(len(roll.student)), conduct.incidents)
    u_day, u_joint = draws.stream(Draw.INCIDENT_DAYS, roll.school_year).random((2, len(row)))
    day = np.floor(u_day * roll.days[row]).astype(np.int64)
    position = roll.positions(calendar, row, day)
    school = roll.school_on(row, position)
    order = np.lexsort((row, position, school))
    row, position, school = row[order], position[order], school[order]
    joins = np.zeros(len(row), dtype=np.bool_)
    if len(row) > 1:
        here = (school[1:] == school[:-1]) & (row[1:] != row[:-1])
        stays = (roll.school_on(row[1:], position[:-1]) == school[1:]) & (
            position[:-1] >= roll.start[row[1:]]
        )
        after_gap = (roll.second_school[row[1:]] < 0) | (position[:-1] <= roll.stop[row[1:]])
        joins[1:] = here & stays & after_gap & (u_joint[order][1:] < district.discipline.joint)
        joins[1::2] = False  # so that no row joins one that has joined itself
    position = np.where(joins, np.concatenate([position[:1], position[:-1]]), position)
    return IncidentEvents(row, position, school, np.cumsum(~joins) - 1)


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
    stream = draws.stream(Draw.INCIDENT_ROWS, roll.school_year)
    names = np.array([name for name, _, _ in BEHAVIORS], dtype=object)
    share = np.array([share for _, share, _ in BEHAVIORS])
    incidents = int(events.incident[-1]) + 1 if len(events.incident) else 0
    limits = np.cumsum(share / share.sum())[:-1]
    behavior = np.searchsorted(limits, stream.random(incidents), side="right")
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
    action, days = _actions(behavior[events.incident], stream)
    rest = len(row) - len(events.row)
    table = pd.DataFrame(
        {
            "incident": events.incident[event],
            "student_id": ids[roll.student[row]],
            "school_id": school_ids[events.school[event]],
            "date": calendar.dates[events.position[event]].astype("datetime64[s]"),
            "behavior": names[behavior[events.incident[event]]],
            "role": role,
            "action": np.concatenate([action, np.full(rest, "none", dtype=object)]),
            "days": np.concatenate([days, np.zeros(rest, dtype=np.int64)]),
        }
    )
    return table.iloc[np.lexsort((np.arange(len(event)), events.incident[event]))]


def _actions(
    behavior: Integers, stream: np.random.Generator
) -> tuple[NDArray[np.object_], Integers]:
    """Return action and days of those who took part in incidents of the given behaviors."""
    chance = np.array([chance for _, _, chance in BEHAVIORS])[behavior]
    u_action, u_days = stream.random((2, len(behavior)))
    limits = np.cumsum([chance, np.minimum(IN_SCHOOL, 1 - chance), OTHER_ACTION * (1 - chance)], 0)
    kind = (u_action >= limits).sum(axis=0)
    names = np.array(["out_of_school_suspension", "in_school_suspension", "other", "none"], object)
    longest = np.where(behavior >= SEVERE, 10, 3)
    days = np.select([kind == 0, kind == 1], [1 + np.floor(u_days * longest), 1], 0)
    return names[kind], days.astype(np.int64)
