"""Closed forms of expected outcomes against averages of many drawn years, group by group.

The district is an extreme one, so that every term counts: strong and lasting effects, classmates,
many visits during the year, many late entries, transfers and exits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from drawn_measures import counted, kinds_of
from homevisit_eval.synthetic import District, preset, simulate
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.expected import expected_outcomes
from homevisit_eval.synthetic.expected_measures import ATTENDANCE, CONDUCT
from homevisit_eval.synthetic.incidents import IncidentEvents, incident_events
from homevisit_eval.synthetic.outcomes import (
    Chance,
    Conduct,
    before_year,
    draw_chance,
    never,
    realize,
)
from homevisit_eval.synthetic.process import rows_of
from homevisit_eval.synthetic.school_year import SchoolYear, regime_of
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.visits import choose_year_visits

DRAWN = [100, pytest.param(800, marks=pytest.mark.slow)]
LIMIT = 4.0  # Monte Carlo standard errors, of 416 comparisons with a fixed seed
YEAR = 2  # the third
OUTCOMES = (*ATTENDANCE, *CONDUCT, "math_score_std", "reading_score_std")

Values = NDArray[np.float64]


def extreme() -> District:
    small = preset("small")
    return replace(
        small,
        name="extreme",
        schools=replace(
            small.schools, students=1500, elementary=6, program_share=(0.6, 0.8, 0.9, 0.9)
        ),
        mobility=replace(
            small.mobility, late_entry=0.5, leave_during=0.15, transfer_during=0.2
        ),
        attendance=replace(small.attendance, intercept=-2.0, precision=6.0, partial=0.05),
        effects=replace(
            small.effects,
            attendance=1.2, incidents=1.5, math=0.5, reading=0.3, lasting=0.6, classmates=0.8,
            school_sd=0.3,
        ),
        discipline=replace(small.discipline, intercept=-1.5, shape=0.6),
        selection=replace(
            small.selection,
            during=(0.05,) * 4, during_incident=0.4, during_absence=0.55, intercept=-1.0,
        ),
    )  # fmt: skip


def measured(
    lived: SchoolYear, chance: Chance, conduct: Conduct, events: IncidentEvents
) -> dict[str, Values]:
    return {
        **counted(chance, conduct, events, lived.roll.days),
        "math_score_std": conduct.math,
        "reading_score_std": conduct.reading,
    }


@cache
def compared(
    times: int,
) -> tuple[SchoolYear, Mapping[tuple[str, str], tuple[Values, Values, Values]]]:
    """Return for each regime and outcome: expected, mean of drawn ones, their error; shape (n,)."""
    district = extreme()
    lived = simulate_years(district, Draws(3))[2][YEAR]
    roll, process, n = lived.roll, lived.process, len(lived.roll.student)
    alone = replace(process, lasting=np.zeros(n), classmates=np.zeros(n))
    of, of_alone = (
        expected_outcomes(
            district, lived.calendar, roll, world, rounds=lived.rounds, year_index=YEAR
        )
        for world in (process, alone)
    )
    expected = {
        **of,
        "during": {name: of_alone["0"][name] - of_alone["n"][name] for name in of["0"]},
    }
    random = np.random.default_rng(1)
    sums: dict[tuple[str, str], list[Values]] = {}
    for number in range(1, times + 1):
        draws = Draws(3, roll.school_year, number)
        chance = draw_chance(district, lived.calendar, roll, process, draws)
        natural, natural_alone = (
            regime_of(roll, np.zeros(n, dtype=np.bool_), would)
            for would, _ in (
                choose_year_visits(
                    district, roll, lived.rounds, process=world, chance=chance,
                    summer=lived.summer, year_index=YEAR, draws=draws,
                )
                for world in (process, alone)
            )
        )  # fmt: skip
        worlds = {"1": (process, before_year(n)), "0": (process, natural), "n": (alone, never(n))}
        drawn: dict[str, dict[str, Values]] = {}
        for regime, (world, when) in worlds.items():
            conduct = realize(world, chance, when)
            events = incident_events(district, roll, chance.incidents, conduct.involved, draws)
            drawn[regime] = measured(lived, chance, conduct, events)
        # what visits during the year change, with every random number the same: hardly any noise
        kinds = kinds_of(chance.incidents, random)
        without, during = (
            measured(lived, chance, conduct, rows_of(kinds, np.flatnonzero(conduct.involved)))
            for conduct in (realize(alone, chance, when) for when in (never(n), natural_alone))
        )
        drawn["during"] = {name: during[name] - without[name] for name in OUTCOMES}
        for regime, outcomes in drawn.items():
            for name, values in outcomes.items():
                total = sums.setdefault((regime, name), [np.zeros(n), np.zeros(n)])
                total[0] += values
                total[1] += values**2
    found = {}
    for (regime, name), (first, second) in sums.items():
        mean = first / times
        error = np.sqrt(np.maximum(second / times - mean**2, 0) / times)
        found[regime, name] = (expected[regime][name], mean, error)
    return lived, found


GROUPS: Mapping[str, Callable[[SchoolYear], NDArray[np.bool_]]] = {
    "everyone": lambda lived: lived.roll.student >= 0,
    "late": lambda lived: ~lived.roll.at_time_zero,
    "moved": lambda lived: lived.roll.second_school >= 0,
    "left": lambda lived: lived.roll.ends,
    "few days": lambda lived: lived.roll.days < 40,
    "pre-K": lambda lived: lived.roll.grade < 0,
    "visited the year before": lambda lived: lived.process.lasting > 0.5,
    "often absent": lambda lived: lived.process.absence > 0.1,
}


@pytest.mark.simulation
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("regime", ["1", "0", "n", "during"])
@pytest.mark.parametrize("times", DRAWN)
def test_closed_forms_are_the_averages_of_drawn_years(times: int, regime: str, group: str) -> None:
    lived, found = compared(times)
    rows = GROUPS[group](lived)
    assert rows.sum() > 50
    for name in OUTCOMES:
        expected, mean, error = (values[rows] for values in found[regime, name])
        spread = np.sqrt((error**2).sum())
        if spread == 0:
            np.testing.assert_allclose(mean, expected, atol=1e-12)
        else:
            z = (mean - expected).sum() / spread
            assert abs(z) < LIMIT, (name, z)


@pytest.mark.simulation
@pytest.mark.parametrize("name", OUTCOMES)
def test_visits_during_the_year_count_in_the_counterfactual(name: str) -> None:
    lived, found = compared(DRAWN[0])
    without = found["n", name][0]
    rows = (lived.process.lasting + lived.process.classmates == 0) & lived.rounds.open.any(axis=1)
    rows &= lived.rounds.program > 0
    pre_k = rows & (lived.roll.grade < 0)
    gain = (found["0", name][0] - without) * (1 if name.endswith(("_rate", "_std")) else -1)
    if name == "days_tardy":
        assert not gain.any()  # no visit prevents one
    else:
        assert (gain[rows & (lived.roll.grade >= 0)] > 0).all()
    np.testing.assert_allclose(gain[pre_k], 0, atol=1e-15)  # visits under EC change nothing


def test_an_effect_that_never_fades_needs_a_visit() -> None:
    small = preset("small")
    forever = replace(
        small,
        schools=replace(small.schools, elementary=4, students=800),
        effects=replace(small.effects, lasting=1.0),
    )
    truth = simulate(forever, 1, tables=(), outcomes=("any_incident",)).truth
    visited = truth[truth["visited_before_year"] == 1]
    effect = visited["any_incident_m1"] - visited["any_incident_m0"]
    assert (effect == 0).any()  # of those visited before
    assert effect.mean() < -0.01


def test_visits_are_independent_of_chance_and_replications_of_each_other() -> None:
    small, residuals = preset("small"), []
    for number in (1, 2, 3):
        truth = simulate(
            small, 11, tables=(), outcomes=("attendance_rate",), replication=number
        ).truth
        rows = truth["school_year"] == small.truth_years[0]
        chance = truth["attendance_rate_y0"] - truth["attendance_rate_m0"]
        limit = 4 / np.sqrt(len(truth))
        assert abs(np.corrcoef(chance, truth["visited_before_year"])[0, 1]) < limit
        residuals.append(chance[rows].to_numpy())
    off = np.corrcoef(residuals)[np.triu_indices(3, 1)]
    assert np.abs(off).max() < 4.5 / np.sqrt(len(residuals[0]))
