"""What tests of visits during the year share: days, questions, and a small random world."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from homevisit_eval.design import Covariate, Outcome
from homevisit_eval.sample import flow_adds_up
from tiny_panel import (
    enrolled,
    fact,
    first_day,
    last_day,
    school_days,
    student_year,
    tiny_design,
    visit,
)

__all__ = [
    "DAY", "FALL", "FIRST", "INCIDENTS", "LATER", "PRIOR", "RATE_TO_DATE", "SATURDAY", "SPRING",
    "SUMMER", "TO_DATE", "YEAR_END", "design_of", "flow_of", "groups", "row_of", "students",
    "world",
]  # fmt: skip

DAY = timedelta(days=1)
SUMMER, FIRST = date(2014, 8, 2), first_day(2015)
FALL, LATER, SPRING = date(2014, 10, 8), date(2014, 11, 12), date(2015, 3, 4)
SATURDAY = date(2014, 10, 11)
YEAR_END = last_day(2015)
RATE_TO_DATE = Covariate("attendance_rate_to_date", "Attendance to date")
TO_DATE = (
    RATE_TO_DATE,
    Covariate("days_unexcused_to_date", "Unexcused days to date"),
    Covariate("days_tardy_to_date", "Tardy days to date"),
    Covariate("any_incident_to_date", "Any incident to date"),
    Covariate("incidents_to_date", "Incidents to date"),
)
PRIOR = Covariate("attendance_rate_prior", "Attendance, before")
INCIDENTS = Outcome("incidents", "Incidents", "behavior", "count", "incidents", "lower")


def design_of(window="during_year", **changes):
    return tiny_design(window=window, **changes)


def students(*names, **changes):
    return [row for name in names for row in enrolled(name, **changes)]


def groups(sample):
    """Return who is compared on which day: {day: (visited, comparison)}."""
    rows = sample.baseline
    return {
        day.date(): tuple(
            " ".join(part.loc[part["visited"] == group, "unit_id"]) for group in (1, 0)
        )
        for day, part in rows.groupby("index_date")
    }


def flow_of(sample):
    assert flow_adds_up(sample.flow)
    return {step.name: (step.visited, step.comparison, step.neither) for step in sample.flow}


def row_of(frame, sample, name, day=None):
    here = sample.baseline["unit_id"] == name
    if day is not None:
        here &= sample.baseline["index_date"] == pd.Timestamp(day)
    return frame.loc[here].iloc[0]


def world(seed, facts=None):
    """Return 60 students with random facts, of whom 18 are visited, and the facts."""
    rng = np.random.default_rng(seed)
    names = [f"N{number:02d}" for number in range(60)]
    rows = [
        row
        for name in names
        for row in (
            student_year(name, 2014, 2, attendance_rate=round(rng.uniform(0.8, 1), 3)),
            student_year(name, 2015, 3, school_id=f"S{rng.integers(1, 4)}"),
        )
    ]
    held = [one["date"] for one in school_days("S1", 2015)]
    visits = [visit(name, held[rng.integers(20, 150)]) for name in names[:18]]
    kinds = ("unexcused", "tardy", "incident")
    made = [
        fact(names[rng.integers(60)], held[rng.integers(len(held))], kinds[rng.integers(3)])
        for _ in range(600)
    ]
    return rows, visits, made if facts is None else facts
