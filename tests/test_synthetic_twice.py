"""A second visit before the year: who has one, on which days, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.synthetic import TABLES, District, Simulation, landmark_truth, simulate
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.incidents import serious_share
from homevisit_eval.synthetic.outcomes import before_year, draw_chance, realize
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.truths import expected_of_rows
from homevisit_eval.synthetic.visits import second_probability
from synthetic_districts import strong, tiny

KEY = ["student_id", "school_year"]
LIMIT = 4.0  # Monte Carlo standard errors, of fixed seeds
DRAWN = 150
SEEDS = range(1, 13)


def visited_twice(effect: float = 0.8, of: District | None = None) -> District:
    """Return a district in which many visited families have a second visit before the year."""
    district = of or strong()
    return replace(
        district,
        selection=replace(district.selection, twice=0.9),
        effects=replace(district.effects, twice=effect),
    )


@cache
def twice(effect: float = 0.8) -> Simulation:
    return simulate(visited_twice(effect), 2)


@cache
def school_year(seed: int) -> SchoolYear:
    return simulate_years(visited_twice(), Draws(seed))[2][1]


def before(simulation: Simulation) -> pd.DataFrame:
    """Return completed FEP and FEC visits of July and August."""
    visits = simulation.tables["visits"]
    summer = visits["date"].dt.strftime("%m-%d").between("07-08", "08-18")
    mine = (visits["completed"] == 1) & visits["program"].isin(["FEP", "FEC"])
    return visits[summer & mine].assign(school_year=visits["date"].dt.year + 1)


def test_without_the_parameter_nobody_is_visited_twice_and_no_truth_says_so() -> None:
    once = simulate(tiny(), 2)
    assert before(once).groupby(KEY).size().eq(1).all()
    assert not [name for name in once.truth if name.endswith("_ms") or name.startswith("visits")]


def test_second_visits_that_change_nothing_add_rows_of_visits_and_nothing_else() -> None:
    with_them, without = twice(effect=0.0), simulate(strong(), 2)
    for name in TABLES:
        if name != "visits":
            pd.testing.assert_frame_equal(with_them.tables[name], without.tables[name])
    pd.testing.assert_frame_equal(with_them.student_years, without.student_years)
    shared = [*without.truth.columns]
    pd.testing.assert_frame_equal(with_them.truth[shared], without.truth)
    for name in [name for name in with_them.truth if name.endswith("_ms")]:
        pd.testing.assert_series_equal(
            with_them.truth[name], with_them.truth[f"{name[:-1]}1"], check_names=False
        )
    ours, theirs = (one.tables["visits"].drop(columns="visit_id") for one in (with_them, without))
    both = ours.merge(theirs, how="outer", indicator=True)
    assert set(both["_merge"]) == {"both", "left_only"}
    added = both[both["_merge"] == "left_only"]
    assert len(added) > 50
    assert len(before(with_them)) == len(before(without)) + len(added)


def test_two_visits_lie_on_two_days_before_the_year_and_are_of_one_kind() -> None:
    visits = before(twice())
    count = visits.groupby(KEY).size()
    assert set(count) == {1, 2}
    pairs = visits.groupby(KEY)[["date", "program", "mode", "staff_id_1"]].nunique()
    assert (pairs["date"] == count).all()
    assert (pairs[["program", "mode", "staff_id_1"]] == 1).all(axis=None)


def test_the_truth_counts_the_visits_that_the_files_hold() -> None:
    truth = twice().truth
    assert (truth["visited_before_year"] == (truth["visits_before_year"] > 0)).all()
    filed = before(twice()).groupby(KEY).size().rename("filed").reset_index()
    joined = truth.merge(filed, on=KEY, how="left").fillna({"filed": 0})
    assert (joined["filed"] == joined["visits_before_year"]).all()


@pytest.mark.simulation
def test_second_visits_come_as_often_as_stated_to_those_with_a_hard_year() -> None:
    expected, happened, hard = [], [], []
    for seed in SEEDS:
        year = school_year(seed)
        rows = year.summer.visited
        chance = second_probability(
            visited_twice(), baseline=year.baseline, hidden=np.zeros(len(rows))
        )
        expected.append(chance[rows])
        happened.append(year.summer.twice[rows])
        hard.append((year.baseline.incidents > 0)[rows])
        assert not year.summer.twice[~rows].any()
    p, y, any_incident = (np.concatenate(parts) for parts in (expected, happened, hard))
    for group in (any_incident, ~any_incident):
        off = y[group].sum() - p[group].sum()
        assert abs(off) < LIMIT * np.sqrt((p * (1 - p))[group].sum())
    assert y[any_incident].mean() > y[~any_incident].mean() + 0.15


@cache
def drawn() -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return for all visits (1) and a single one (s): expected, mean of drawn years, error."""
    district, year = visited_twice(), school_year(1)
    rows = np.flatnonzero(year.summer.twice)
    expected = expected_of_rows(district, year, rows)
    worlds = {"1": year.process, "s": replace(year.process, before=np.ones(len(year.roll.days)))}
    sums: dict[tuple[str, str], np.ndarray] = {}
    random = np.random.default_rng(1)
    n = len(year.roll.days)
    for number in range(1, DRAWN + 1):
        draws = Draws(1, year.roll.school_year, number)
        chance = draw_chance(district, year.calendar, year.roll, year.process, draws)
        severe = random.random(len(chance.incidents.row)) < serious_share()
        for regime, process in worlds.items():
            conduct = realize(process, chance, before_year(n))
            serious = np.bincount(chance.incidents.row, conduct.involved & severe, n)
            values = {
                "attendance_rate": 1 - conduct.days_absent / year.roll.days,
                "any_incident": (conduct.incidents > 0) * 1.0,
                "incidents": conduct.incidents * 1.0,
                "any_serious_incident": (serious > 0) * 1.0,
                "math_score_std": conduct.math,
                "reading_score_std": conduct.reading,
            }
            for name, value in values.items():
                part = np.stack([value[rows], value[rows] ** 2])
                sums[regime, name] = sums.get((regime, name), 0) + part
    found = {}
    for (regime, name), (first, second) in sums.items():
        mean = first / DRAWN
        error = np.sqrt(np.maximum(second / DRAWN - mean**2, 0) / DRAWN)
        found[regime, name] = (expected[regime][name], mean, error)
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("regime", ["1", "s"])
def test_expected_outcomes_after_two_visits_and_one_are_averages_of_drawn_years(
    regime: str,
) -> None:
    for (which, name), (expected, mean, error) in drawn().items():
        if which == regime:
            assert len(expected) > 20
            z = (mean - expected).sum() / np.sqrt((error**2).sum())
            assert abs(z) < LIMIT, (name, z)


def test_a_second_visit_adds_to_the_first_for_those_who_have_it_only() -> None:
    truth = twice().truth
    two = truth["visits_before_year"] == 2
    for name, good in (("attendance_rate", 1), ("any_incident", -1), ("chronic_absence", -1)):
        added = good * (truth[f"{name}_m1"] - truth[f"{name}_ms"])
        assert (added[~two] == 0).all()
        assert (added[two] >= 0).all()
        assert (added[two] > 0).any()


def test_the_effect_is_that_of_the_stated_strength() -> None:
    """Without other visits the logarithm of incidents falls 1.8 times as far as after one."""
    alone = replace(
        strong(),
        selection=replace(
            strong().selection, during=(0.0, 0.0), during_incident=0.0, during_absence=0.0,
            early_childhood_during=0.0,
        ),
        effects=replace(strong().effects, lasting=0.0, classmates=0.0),
    )  # fmt: skip
    truth = simulate(visited_twice(0.8, of=alone), 2, tables=(), outcomes=("incidents",)).truth
    rows = truth[truth["visits_before_year"] == 2]
    one, two = (np.log(rows[f"incidents_{with_}"] / rows["incidents_m0"]) for with_ in ("ms", "m1"))
    assert len(rows) > 20
    assert (two / one).to_numpy() == pytest.approx(1.8, abs=0.02)


def test_the_truth_of_a_landmark_knows_two_visits() -> None:
    """Over the whole year, and with no visits in it, both truths are one."""
    known = landmark_truth(visited_twice(), 2, landmark="")
    known = known[known["window"] == "before_year"]
    joined = known.merge(twice().truth, on=KEY, suffixes=("", "_year"), validate="one_to_one")
    assert (joined["visits_before_year"] == 2).sum() > 20
    for name in ("attendance_rate", "any_incident", "incidents"):
        off = joined[f"{name}_m1"] - joined[f"{name}_m1_year"]
        assert off.abs().max() < 2e-5
