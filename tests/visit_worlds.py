"""School years simulated day by day, in which visits follow what happened: for tests of timing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.panel import Panel
from tiny_panel import dated_panel, fact, school_days, student_year, visit

__all__ = ["VisitWorld", "simulate_visits"]

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DAYS = tuple(one["date"] for one in school_days("S1", 2015))
NEVER = len(DAYS)


@dataclass(frozen=True)
class VisitWorld:
    """One school year of n students on the days of `DAYS`.

    incident, absent: shape (n, days), what happened; incident_m0, absent_m0: what would have
    happened without any visit; visited_on: shape (n,), place in `DAYS`, `NEVER` if none.
    """

    panel: Panel
    incident: Booleans
    absent: Booleans
    incident_m0: Booleans
    absent_m0: Booleans
    visited_on: NDArray[np.int64]


def simulate_visits(
    seed: int,
    n: int = 1500,
    *,
    effect: float = 1.0,
    calm: float = 0.0015,
    after_incident: float = 0.012,
    schools: int = 10,
) -> VisitWorld:
    """Return a world in which a visit multiplies the chances of the days after it by `effect`.

    Students differ in how often they have incidents and are absent. On a day the chance of a first
    visit is `calm` (times a factor of the school, .2 to 1.8), and more by `after_incident` once
    there was an incident.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 611])))
    frailty = rng.gamma(0.6, 1 / 0.6, n)
    prior = rng.poisson(0.35 * frailty)
    base = 0.0022 * frailty
    absence = np.clip(rng.beta(1.6, 28, n), 0.005, 0.4)
    school = rng.integers(schools, size=n)
    pace = np.linspace(0.2, 1.8, schools)[school]
    u_incident, u_absent, u_visit = rng.random((3, n, len(DAYS)))
    incident, absent = np.zeros((2, n, len(DAYS)), dtype=bool)
    visited_on = np.full(n, NEVER)
    before = np.zeros(n, dtype=bool)
    for day in range(len(DAYS)):
        factor = np.where(visited_on < day, effect, 1.0)
        incident[:, day] = u_incident[:, day] < base * factor
        absent[:, day] = u_absent[:, day] < absence * factor
        hazard = pace * (calm + after_incident * before)
        now = (visited_on == NEVER) & (u_visit[:, day] < hazard) & (day >= 8)
        visited_on[now] = day
        before |= incident[:, day]
    panel = _panel(
        school, prior, 1 - rng.binomial(180, absence) / 180, incident, absent, visited_on
    )
    none = np.ones(n)[:, None]
    return VisitWorld(
        panel, incident, absent, u_incident < base[:, None] * none, u_absent < absence[:, None],
        visited_on,
    )  # fmt: skip


def _panel(
    school: NDArray[np.int64],
    prior: NDArray[np.int64],
    rate_prior: Floats,
    incident: Booleans,
    absent: Booleans,
    visited_on: NDArray[np.int64],
) -> Panel:
    students, visits, facts = [], [], []
    for i in range(len(school)):
        name, where = f"N{i:05d}", f"S{school[i]:02d}"
        before = {"incidents": int(prior[i]), "any_incident": int(prior[i] > 0)}
        rate = round(float(rate_prior[i]), 4)
        students.append(
            student_year(name, 2014, 2, school_id=where, attendance_rate=rate, **before)
        )
        students.append(student_year(name, 2015, 3, school_id=where))
        if visited_on[i] < NEVER:
            visits.append(visit(name, DAYS[visited_on[i]]))
        facts += [fact(name, DAYS[at], "incident") for at in np.flatnonzero(incident[i])]
        facts += [fact(name, DAYS[at], "unexcused") for at in np.flatnonzero(absent[i])]
    return dated_panel(students, visits, facts)
