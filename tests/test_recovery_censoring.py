"""Following pairs without later visits gives what would have been without them, known exactly.

In these worlds every student's year is simulated twice, with the visits and without any, from the
same random numbers; visits follow incidents, and a visit changes nothing, or much.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from during_year import INCIDENTS, PRIOR, TO_DATE, design_of
from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.design import Covariate, FixedEffects, NearestNeighbor
from homevisit_eval.effects import estimate_effect
from homevisit_eval.matching import match_students
from homevisit_eval.sample import select_sample
from tiny_panel import ATTENDANCE, INCIDENT
from visit_worlds import DAYS, NEVER, simulate_visits

SEEDS = range(1, 9)
COVARIATES = (
    PRIOR,
    Covariate("incidents_prior", "Incidents, before"),
    Covariate("any_incident_prior", "Any incident, before"),
    *TO_DATE,
)
OUTCOMES = (INCIDENT, INCIDENTS, ATTENDANCE)
PLACE = {pd.Timestamp(day): place for place, day in enumerate(DAYS)}
PAIRS = NearestNeighbor(exact=("grade",), caliper=0.2)
ENOUGH = 20  # days after the visit

pytestmark = [pytest.mark.simulation, pytest.mark.ci]


def measured(happened, counts, name):
    """Return an outcome from 0/1 by student and day, over the days that count."""
    number = (happened & counts).sum(axis=1)
    if name == "attendance_rate":
        return 1 - number / counts.sum(axis=1)
    return number.astype(float) if name == "incidents" else (number > 0).astype(float)


def followed_world(seed, effect):
    """Return by outcome what was made of both members less what is true, and estimates."""
    world = simulate_visits(seed, effect=effect, calm=0.001, after_incident=0.006)
    sample = select_sample(world.panel, design_of(covariates=COVARIATES, outcomes=OUTCOMES))
    matched = match_students(sample, PAIRS)
    followed = follow_without_visits(matched, world.panel)
    pairs, baseline = matched.matches.pairs, matched.sample.baseline
    at = baseline.loc[pairs["treated"], "index_date"].map(PLACE).to_numpy()
    kept = len(DAYS) - 1 - at >= ENOUGH
    pairs, at = pairs[kept], at[kept]
    treated, comparison = (
        baseline.loc[pairs[side], "unit_id"].str[1:].astype(int).to_numpy()
        for side in ("treated", "comparison")
    )
    made = [followed.sample.outcomes.loc[pairs[side]] for side in ("treated", "comparison")]
    after = np.arange(len(DAYS)) > at[:, None]
    left = np.where(world.visited_on[comparison] > at, world.visited_on[comparison], NEVER)
    until = after & (np.arange(len(DAYS)) <= left[:, None])
    rows = {}
    for outcome in OUTCOMES:
        name = outcome.name
        fact, without = (
            (world.absent, world.absent_m0)
            if name == "attendance_rate"
            else (world.incident, world.incident_m0)
        )
        visited = measured(fact[treated], after, name)
        unvisited = measured(without[comparison], after, name)
        natural = measured(fact[comparison], after, name)
        censored = measured(fact[comparison], until, name) if name != "attendance_rate" else natural
        effects = [
            estimate_effect(one, name, FixedEffects(absorb=())).estimate
            for one in (matched, followed)
        ]
        rows[name] = {
            "visited": (made[0][name].to_numpy() - visited).mean(),
            "comparison": (made[1][name].to_numpy() - unvisited).mean(),
            "natural": (natural - unvisited).mean(),
            "one censored": (visited - censored).mean() - (visited - unvisited).mean(),
            "truth": (visited - measured(without[treated], after, name)).mean(),
            "not yet": effects[0],
            "no visit": effects[1],
        }
    return rows


NO_EFFECT = pytest.param(1.0, id="no effect", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[pytest.param(0.3, id="an effect"), NO_EFFECT])
def worlds(request):
    """Return one row a world for each outcome, and by how much a visit multiplies what happens."""
    found = [followed_world(seed, request.param) for seed in SEEDS]
    frames = {one.name: pd.DataFrame([row[one.name] for row in found]) for one in OUTCOMES}
    return frames, request.param


def z_of(values):
    return values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))


@pytest.mark.parametrize("name", [one.name for one in OUTCOMES])
@pytest.mark.parametrize("member", ["visited", "comparison"])
def test_the_mean_of_each_member_is_that_of_a_year_without_later_visits(worlds, member, name):
    frames, _ = worlds
    assert abs(z_of(frames[name][member])) < 4
    smallest = {"incidents": 0.03, "any_incident": 0.015, "attendance_rate": 0.001}
    assert abs(frames[name][member].mean()) < smallest[name], "or the noise hides a bias"


@pytest.mark.parametrize("name", ["incidents", "any_incident"])
def test_censoring_one_member_alone_is_clearly_wrong(worlds, name):
    """Comparison students leave at a visit, which follows an incident: few are seen after it."""
    frames, _ = worlds
    assert z_of(frames[name]["one censored"]) > 6
    assert frames[name]["one censored"].mean() > 0.02


@pytest.mark.parametrize("name", [one.name for one in OUTCOMES])
def test_the_effect_against_no_visit_is_recovered(worlds, name):
    frames, effect = worlds
    found = frames[name]
    assert abs(z_of(found["no visit"] - found["truth"])) < 4
    if effect == 1:
        assert (found["truth"] == 0).all()
    else:
        better = 1 if name == "attendance_rate" else -1
        assert z_of(better * found["no visit"]) > 6


@pytest.mark.parametrize("name", [one.name for one in OUTCOMES])
def test_following_them_through_later_visits_answers_another_question(worlds, name):
    frames, effect = worlds
    if effect == 1:
        assert (frames[name]["natural"] == 0).all()
    else:
        assert abs(z_of(frames[name]["natural"])) > 6
