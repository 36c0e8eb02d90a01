"""A visit against none through a later year: recovered, where later visits follow incidents.

In these worlds two school years of every student are simulated twice, with the visits and without
any, from the same random numbers. A visit works from the next day on, for
good; visits in both years, and before the second, are likelier after an incident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from during_year import INCIDENTS, PRIOR, SUMMER, design_of
from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.design import Covariate, FixedEffects, NearestNeighbor
from homevisit_eval.effects import estimate_effect
from homevisit_eval.matching import match_students
from homevisit_eval.panel import Panel
from homevisit_eval.sample import select_sample
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    dated_panel,
    fact,
    school_days,
    student_year,
    visit,
)

SEEDS = range(1, 6)
STUDENTS, SCHOOLS = 1400, 10
DAYS = [[one["date"] for one in school_days("S1", year)] for year in (2015, 2016)]
COVARIATES = (PRIOR, Covariate("any_incident_prior", "Any incident, before"))
NAMES = ("attendance_rate_after_1", "any_incident_after_1", "incidents_after_1")
EFFECT = 0.4
PAIRS = NearestNeighbor(exact=("grade",), caliper=0.2)

pytestmark = [pytest.mark.simulation, pytest.mark.ci]

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Incidents and absences (n, 2 years, days) as they were, and without any visit.

    visited_later: shape (n,), whether a visit came after the first summer.
    """

    panel: Panel
    incident: Booleans
    absent: Booleans
    incident_none: Booleans
    absent_none: Booleans
    visited_later: Booleans

    def measured(
        self, name: str, rows: NDArray[np.int64], *, none: bool = False
    ) -> NDArray[np.float64]:
        """Return an outcome of the second year of some students."""
        if name.startswith("attendance"):
            return 1 - (self.absent_none if none else self.absent)[rows, 1].mean(axis=1)
        number = (self.incident_none if none else self.incident)[rows, 1].sum(axis=1)
        return (number > 0 if name.startswith("any") else number).astype(float)


def simulate(seed: int) -> World:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 612])))
    n, days = STUDENTS, min(len(one) for one in DAYS)
    frailty = rng.gamma(0.6, 1 / 0.6, n)
    prior = rng.poisson(0.35 * frailty)
    base, absence = 0.003 * frailty, np.clip(rng.beta(1.6, 28, n), 0.005, 0.4)
    school = rng.integers(SCHOOLS, size=n)
    pace = np.linspace(0.4, 1.6, SCHOOLS)[school]
    first = rng.random(n) < np.where(prior > 0, 0.35, 0.2)
    u_incident, u_absent, u_visit = rng.random((3, n, 2, days))
    u_summer = rng.random(n)
    visits: list[tuple[int, date]] = [(i, SUMMER) for i in np.flatnonzero(first)]
    happened = {}
    for none in (False, True):
        touched = first & (not none)
        incident, absent = np.zeros((2, n, 2, days), dtype=bool)
        for year in (0, 1):
            before = np.zeros(n, dtype=bool)
            if year and not none:
                often = pace * np.where(incident[:, 0].any(axis=1), 0.3, 0.05)
                now = u_summer < often
                visits += [(i, date(2015, 8, 1)) for i in np.flatnonzero(now)]
                touched |= now
            seen = np.zeros(n, dtype=bool)
            for day in range(days):
                factor = np.where(touched, EFFECT, 1.0)
                incident[:, year, day] = u_incident[:, year, day] < base * factor
                absent[:, year, day] = u_absent[:, year, day] < absence * factor
                hazard = pace * (0.0005 + 0.002 * before)
                now = ~seen & (u_visit[:, year, day] < hazard) & (not none)
                visits += [(i, DAYS[year][day]) for i in np.flatnonzero(now)]
                touched, seen = touched | now, seen | now
                before |= incident[:, year, day]
        happened[none] = incident, absent
    rates = 1 - rng.binomial(180, absence) / 180
    panel = _panel(school, prior, rates, visits, happened[False])
    later = np.isin(np.arange(n), [i for i, day in visits if day > SUMMER])
    return World(panel, *happened[False], *happened[True], later)


def _panel(
    school: NDArray[np.int64],
    prior: NDArray[np.int64],
    rates: NDArray[np.float64],
    visits: list[tuple[int, date]],
    happened: tuple[Booleans, Booleans],
) -> Panel:
    """Return the panel; a student-year's measures count the days that are simulated."""
    incident, absent = happened
    days = absent.shape[2]
    rows = []
    for i in range(len(school)):
        name, where = f"N{i:05d}", f"S{school[i]:02d}"
        known = {"incidents": int(prior[i]), "any_incident": int(prior[i] > 0)}
        rate = round(float(rates[i]), 4)
        rows.append(student_year(name, 2014, 2, school_id=where, attendance_rate=rate, **known))
        for year in (0, 1):
            number, missed = int(incident[i, year].sum()), int(absent[i, year].sum())
            measures = {
                "incidents": number,
                "any_incident": int(number > 0),
                "days_absent": float(missed),
                "attendance_rate": 1 - missed / days,
            }
            rows.append(student_year(name, 2015 + year, 3 + year, school_id=where, **measures))
    facts = [
        fact(f"N{i:05d}", DAYS[year][day], kind)
        for kind, what in (("incident", incident), ("unexcused", absent))
        for i, year, day in zip(*np.nonzero(what), strict=True)
    ]
    held = [
        one
        for place in range(SCHOOLS)
        for year in (2015, 2016)
        for one in school_days(f"S{place:02d}", year)[:days]
    ]
    return dated_panel(rows, [visit(f"N{i:05d}", day) for i, day in visits], facts, days=held)


def found_in(seed: int) -> list[dict[str, float | str]]:
    """Return for each outcome what was made of both members less what is true, and estimates."""
    world = simulate(seed)
    outcomes = (ATTENDANCE, INCIDENT, INCIDENTS)
    design = design_of("before_year", covariates=COVARIATES, outcomes=outcomes, follow_up=1)
    sample = select_sample(world.panel, design)
    matched = match_students(sample, PAIRS)
    followed = follow_without_visits(matched, world.panel)
    pairs, baseline = matched.matches.pairs, sample.baseline
    treated, comparison = (
        baseline.loc[pairs[side], "unit_id"].str[1:].astype(int).to_numpy()
        for side in ("treated", "comparison")
    )
    calm = comparison[~world.visited_later[comparison]]
    ways = {"natural course": matched, "none": followed}
    found: list[dict[str, float | str]] = []
    for name in NAMES:
        visited = world.measured(name, treated)
        unvisited = world.measured(name, comparison, none=True)
        made = followed.sample.outcomes[name]
        row: dict[str, float | str] = {
            "outcome": name,
            "visited": float((made.loc[pairs["treated"]].to_numpy() - visited).mean()),
            "comparison": float((made.loc[pairs["comparison"]].to_numpy() - unvisited).mean()),
            "calm": float(world.measured(name, calm).mean() - unvisited.mean()),
            "truth": float((visited - world.measured(name, treated, none=True)).mean()),
        }
        for way, one in ways.items():
            row[way] = estimate_effect(one, name, FixedEffects(absorb=())).estimate
        found.append(row)
    return found


@pytest.fixture(scope="module")
def worlds() -> pd.DataFrame:
    return pd.DataFrame([row for seed in SEEDS for row in found_in(seed)])


def z_of(values: pd.Series) -> float:
    return float(values.mean() / (values.std(ddof=1) / math.sqrt(len(values))))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("member", ["visited", "comparison"])
def test_the_mean_of_each_member_is_that_without_later_visits(
    worlds: pd.DataFrame, member: str, name: str
) -> None:
    off = worlds.loc[worlds["outcome"] == name, member]
    assert abs(z_of(off)) < 4
    smallest = {"incidents": 0.05, "any_incident": 0.03, "attendance_rate": 0.003}
    assert abs(off.mean()) < smallest[name.removesuffix("_after_1")], "or noise hides a bias"


@pytest.mark.parametrize("name", NAMES)
def test_the_effect_against_none_is_recovered(worlds: pd.DataFrame, name: str) -> None:
    rows = worlds[worlds["outcome"] == name]
    assert abs(z_of(rows["none"] - rows["truth"])) < 4
    better = 1 if name.startswith("attendance") else -1
    assert z_of(better * rows["none"]) > 4


@pytest.mark.parametrize("name", NAMES)
def test_the_natural_course_is_another_effect(worlds: pd.DataFrame, name: str) -> None:
    rows = worlds[worlds["outcome"] == name]
    better = 1 if name.startswith("attendance") else -1
    assert z_of(better * (rows["truth"] - rows["natural course"])) > 4


def test_leaving_out_pairs_that_are_visited_later_is_clearly_wrong(worlds: pd.DataFrame) -> None:
    """Visits follow incidents, so comparison students without a visit are the calm ones."""
    for name in ("any_incident_after_1", "incidents_after_1"):
        calm = worlds.loc[worlds["outcome"] == name, "calm"]
        assert z_of(-calm) > 6
        assert calm.mean() < -0.05
