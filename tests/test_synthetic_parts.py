"""The small functions of the generator against plain readings of what they should do."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, kstest, nbinom

from homevisit_eval.synthetic import preset, simulate
from homevisit_eval.synthetic.attendance import calendar_factor
from homevisit_eval.synthetic.calendars import YearCalendar, make_calendar
from homevisit_eval.synthetic.draws import (
    OUTCOMES,
    SUMMER,
    Draw,
    Draws,
    negative_binomial_quantile,
    normal,
)
from homevisit_eval.synthetic.expected import factor_between
from homevisit_eval.synthetic.incidents import (
    BEHAVIORS,
    LAST_SEVERE,
    SEVERE,
    mean_days_suspended,
    serious_share,
    suspended_share,
)
from homevisit_eval.synthetic.outcomes import before_year, never, realize
from homevisit_eval.synthetic.process import hidden_trait, rows_of
from homevisit_eval.synthetic.school_days import eventful_days
from homevisit_eval.synthetic.school_year import SchoolYear, regime_of
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.staff import CLASS_SIZE, SLOTS
from homevisit_eval.synthetic.visits import ROUNDS
from synthetic_districts import shrunken, small, strong, tiny


@cache
def years(name: str = "strong", seed: int = 3) -> list[SchoolYear]:
    district = strong() if name == "strong" else shrunken(name)
    return simulate_years(district, Draws(seed))[2]


# -- random numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.5, 2.0, 30.0])
def test_negative_binomial_numbers_are_quantiles(shape: float) -> None:
    uniform = np.random.default_rng(1).random(4000)
    mean = np.random.default_rng(2).uniform(0.01, 6, 4000)
    drawn = negative_binomial_quantile(uniform, mean, shape)
    quantile = nbinom.ppf(uniform, shape, shape / (shape + mean))
    np.testing.assert_array_equal(drawn, np.minimum(quantile, 60))
    assert (negative_binomial_quantile(np.zeros(3), mean[:3], shape) == 0).all()


def test_normal_numbers_have_their_distribution_and_no_infinity() -> None:
    drawn = normal(Draws(1).stream(Draw.HIDDEN), (50, 200))
    assert drawn.shape == (50, 200)
    assert kstest(drawn.ravel(), "norm").pvalue > 0.001

    class Ends:
        def random(self, size: int) -> np.ndarray:
            return np.arange(size, dtype=float)

    assert np.isfinite(normal(Ends(), 2)).all()


def test_streams_depend_on_seed_purpose_and_year_only() -> None:
    def first(draws: Draws, purpose: Draw, year: int = 0) -> float:
        return draws.stream(purpose, year).random()

    asked = [(seed, purpose, year) for seed in (1, 2) for purpose in Draw for year in (0, 2015)]
    assert len({first(Draws(seed), purpose, year) for seed, purpose, year in asked}) == len(asked)
    assert first(Draws(1), Draw.STAFF, 2015) == first(Draws(1), Draw.STAFF, 2015)


@pytest.mark.parametrize("keep", [False, True])
def test_a_replication_draws_visits_and_outcomes_anew_from_its_year_on(keep: bool) -> None:
    usual, again = Draws(1), Draws(1, 2015, 3, keep_first_summer=keep)
    for purpose in Draw:
        for year in (2014, 2015, 2016):
            same = usual.stream(purpose, year).random() == again.stream(purpose, year).random()
            anew = purpose in OUTCOMES and year >= 2015
            anew |= purpose in SUMMER and year >= 2015 + keep
            assert same != anew, (purpose, year)
    other = Draws(1, 2015, 4, keep_first_summer=keep)
    numbers = [draws.stream(Draw.ATTENDANCE, 2016).random() for draws in (again, other)]
    assert numbers[0] != numbers[1]


# -- days -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_eventful_days_are_those_of_plain_comparisons(seed: int) -> None:
    r = np.random.default_rng(seed)
    n, k, schools = 300, 60, 4
    uniform = r.random((n, k), dtype=np.float32)
    propensity, late, factor = r.random(n) ** 3, 1 - 0.1 * r.random(n), r.uniform(0.3, 1, k)
    position = np.sort(r.choice(90, k, replace=False))
    open_days = r.random((schools, k)) < 0.8
    school = r.integers(0, schools, n)
    start, stop = r.integers(0, 30, n), r.integers(30, 60, n)
    second = np.where(r.random(n) < 0.4, r.integers(0, schools, n), -1)
    second_start, second_stop = stop + r.integers(1, 9, n), np.full(n, 85)
    spells = np.stack([school, start, stop, second, second_start, second_stop], axis=1)
    extreme = (uniform < propensity[:, None] * factor) | (uniform >= late[:, None])
    there = (start[:, None] <= position) & (position <= stop[:, None]) & open_days[school]
    later = (second_start[:, None] <= position) & (position <= second_stop[:, None])
    there |= (second >= 0)[:, None] & later & open_days[second]
    row, column = np.nonzero(extreme & there)
    found = eventful_days(uniform, propensity, late, factor, open_days, position, spells)
    np.testing.assert_array_equal(found[0], row)
    np.testing.assert_array_equal(found[1], column)
    assert len(row) > n  # more than the arrays hold at first, where many are absent


def test_eventful_days_need_more_room_than_expected() -> None:
    n, k = 40, 100
    spells = np.tile([0, 0, k, -1, 0, 0], (n, 1))
    every = eventful_days(
        np.zeros((n, k), np.float32), np.ones(n), np.ones(n), np.ones(k),
        np.ones((1, k), bool), np.arange(k), spells,
    )  # fmt: skip
    np.testing.assert_array_equal(every[0], np.repeat(np.arange(n), k))
    np.testing.assert_array_equal(every[1], np.tile(np.arange(k), n))


@cache
def calendar() -> YearCalendar:
    return make_calendar(preset("small"), 2015, 12, Draws(4))


def test_the_calendars_factor_is_of_weekday_and_month() -> None:
    rules, factor = preset("small").attendance, calendar_factor(preset("small"), calendar())
    for at, day in enumerate(pd.DatetimeIndex(calendar().dates)):
        weekday = [*rules.by_weekday, 0, 0][day.day_of_week]
        expected = weekday * rules.by_month[day.month - 1]
        highest = max(rules.by_weekday) * max(rules.by_month)
        assert factor[at] == pytest.approx(expected / highest)
    assert factor.max() == 1


def test_factors_between_two_dates_are_sums_over_the_days_of_the_school() -> None:
    district, days = preset("small"), calendar()
    factor, r = calendar_factor(district, days), np.random.default_rng(3)
    school = r.integers(0, 12, 50)
    start = r.integers(0, 100, 50)
    stop = start + r.integers(0, 120, 50)
    found = factor_between(district, days, school, start, stop)
    for at in range(50):
        between = np.arange(len(factor))
        inside = days.instructional[school[at]] & (between >= start[at]) & (between < stop[at])
        assert found[at] == pytest.approx(factor[inside].sum())
    assert (factor_between(district, days, school, start, start) == 0).all()


def test_schools_with_calendars_of_their_own_have_as_many_days() -> None:
    days = calendar()
    assert (days.instructional.sum(axis=1) == 180).all()
    assert len({row.tobytes() for row in days.instructional}) > 1
    weekday = pd.DatetimeIndex(days.dates).day_of_week.to_numpy()
    assert not days.instructional[:, weekday > 4].any()


# -- chance given what drives it --------------------------------------------------------------


def test_propensities_are_beta_and_counts_negative_binomial_given_the_process() -> None:
    """By their distribution functions: of counts, spread evenly over each step."""
    district, ranks, r = strong(), {"propensity": [], "count": []}, np.random.default_rng(1)
    precision, shape = district.attendance.precision, district.discipline.shape
    for seed in range(1, 21):
        year = simulate_years(district, Draws(seed))[2][1]
        mean, drawn = year.process.absence, year.chance.absences.propensity
        ranks["propensity"].append(beta.cdf(drawn, mean * precision, (1 - mean) * precision))
        count = np.bincount(year.chance.incidents.row, minlength=len(mean))
        known = nbinom(shape, shape / (shape + year.process.incidents))
        ranks["count"].append(known.cdf(count - 1) + r.random(len(mean)) * known.pmf(count))
    for values in ranks.values():
        assert kstest(np.concatenate(values), "uniform").pvalue > 0.001


def test_incidents_are_spread_evenly_over_the_days_enrolled() -> None:
    days = [
        (y.chance.incidents.day + 0.5) / y.roll.days[y.chance.incidents.row]
        for seed in range(1, 6)
        for y in years(seed=seed)
    ]
    assert kstest(np.concatenate(days), "uniform").pvalue > 0.001
    assert len(np.concatenate(days)) > 1000


# -- records --------------------------------------------------------------------------------


def test_rows_of_a_record_are_the_rows_of_each_of_its_arrays() -> None:
    roll, rows = years()[1].roll, np.array([5, 2, 2, 9])
    taken = rows_of(roll, rows)
    for field in fields(roll):
        value = getattr(roll, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(taken, field.name), value[rows])
        else:
            assert getattr(taken, field.name) == value
    rounds = rows_of(years()[1].rounds, rows)
    assert rounds.day.shape == (4, ROUNDS)
    np.testing.assert_array_equal(rounds.day, years()[1].rounds.day[rows])


def test_the_hidden_trait_is_the_familys_and_lasts_in_part() -> None:
    district, draws = preset("hidden_confounding"), Draws(2)
    families = np.repeat(np.arange(6000), 2)
    first, second = (hidden_trait(district, families, year, draws) for year in (2015, 2016))
    np.testing.assert_array_equal(first[::2], first[1::2])
    assert first.std() == pytest.approx(1, abs=0.04)
    assert np.corrcoef(first[::2], second[::2])[0, 1] == pytest.approx(0.5, abs=0.05)
    forever = replace(district, hidden=replace(district.hidden, lasting=1.0))
    one, other = (hidden_trait(forever, families, year, draws) for year in (2015, 2016))
    np.testing.assert_array_equal(one, other)


# -- staff and classes ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["strong", "dcps"])
def test_every_class_has_one_teacher_of_its_school_and_grade(name: str) -> None:
    for year in years(name):
        staff, roll, classes = year.staff, year.roll, year.classes
        assert (np.diff(staff.cell) >= 0).all()
        assert len(np.unique(staff.person)) == len(staff.person)
        assert staff.person.max() < staff.people
        cell = pd.Series(staff.cell, index=staff.person)
        taught = cell.loc[classes.teacher].to_numpy()
        np.testing.assert_array_equal(taught // SLOTS, roll.school)
        np.testing.assert_array_equal(taught % SLOTS, roll.grade + 2)
        assert (classes.partner != classes.teacher).all()
        partner = cell.loc[classes.partner].to_numpy()
        np.testing.assert_array_equal(partner // SLOTS, roll.school)
        assert np.bincount(classes.teacher).max() < 2.5 * CLASS_SIZE


def test_staff_stay_leave_and_move() -> None:
    lived = simulate_years(preset("small"), Draws(1))[2]
    for before, after in itertools.pairwise(lived):
        both = np.isin(before.staff.person, after.staff.person)
        assert 0.75 < both.mean() < 0.95
        now = pd.Series(after.staff.cell, index=after.staff.person)
        was = pd.Series(before.staff.cell, index=before.staff.person)[both]
        moved = (now.loc[was.index] // SLOTS).to_numpy() != (was // SLOTS).to_numpy()
        assert 0.01 < moved.mean() < 0.10
        spent = pd.Series(after.staff.experience, index=after.staff.person).loc[was.index]
        earlier = pd.Series(before.staff.experience, index=before.staff.person)[both]
        np.testing.assert_array_equal(spent, earlier + 1)
        assert after.staff.people >= before.staff.people


def test_a_teachers_quality_lasts() -> None:
    lived = simulate_years(preset("small"), Draws(1))[2]
    one, two = (dict(zip(y.classes.teacher, y.classes.quality, strict=True)) for y in lived[1:3])
    shared = set(one) & set(two)
    assert len(shared) > 80
    assert all(one[person] == two[person] for person in shared)
    quality = np.array(list(one.values()))
    assert 0.8 < quality.std() < 1.2


# -- visits and regimes ---------------------------------------------------------------------


def test_a_visit_changes_nothing_before_it() -> None:
    year = years()[1]
    unvisited = realize(year.process, year.chance, never(len(year.roll.student)))
    nobody = np.zeros(len(year.roll.student), dtype=bool)
    visited = realize(year.process, year.chance, regime_of(year.roll, nobody, year.during))
    whole = realize(year.process, year.chance, before_year(len(year.roll.student)))
    for events, name in ((year.chance.absences, "absent"), (year.chance.incidents, "involved")):
        one, zero = getattr(visited, name), getattr(unvisited, name)
        early = events.position <= year.during.position[events.row]
        np.testing.assert_array_equal(one[early], zero[early])
        assert (one[~early] <= zero[~early]).all()
        assert (one[~early] < zero[~early]).any()
        assert (getattr(whole, name) <= one).all()


def test_rounds_are_one_in_two_weeks_on_days_of_the_student() -> None:
    year = years()[1]
    rounds, roll = year.rounds, year.roll
    assert (np.diff(rounds.day, axis=1) == 10).all()
    assert rounds.day[:, 0].min() == 5
    assert rounds.day[:, 0].max() == 14
    row, column = np.nonzero(rounds.open)
    at = rounds.position[row, column]
    assert year.calendar.instructional[roll.school[row], at].all()
    passed = year.calendar.before[roll.school[row], at]
    passed -= year.calendar.before[roll.school[row], roll.start[row]]
    np.testing.assert_array_equal(passed, rounds.day[row, column])
    assert not rounds.open[roll.second_school >= 0].any()
    visited = year.during.program > 0
    assert visited.sum() > 20
    assert (year.during.day[visited] < roll.days[visited] - 10).all()
    assert (year.during.program[~visited] == 0).all()


def test_the_chance_of_a_visit_during_the_year_is_the_stated_one() -> None:
    """By history up to the round, among those for whom the round is possible."""
    district, chance, visited = tiny(), [], []
    rules = replace(district.selection, during=(0.2, 0.1), during_incident=0.3, during_absence=0.5)
    share = replace(district.schools, program_share=(1.0, 1.0))
    district = replace(district, selection=rules, schools=share)
    for seed in range(1, 31):
        year = simulate_years(district, Draws(seed))[2][1]
        asked = year.during_if_unvisited.visited
        days = np.where(asked, year.during_if_unvisited.day, 90)
        position = np.where(asked, year.during_if_unvisited.position, 10_000)
        absences, incidents = year.chance.absences, year.chance.incidents
        unvisited = realize(year.process, year.chance, never(len(asked)))
        early = unvisited.absent & absences.full & (absences.position < position[absences.row])
        missed = np.bincount(absences.row[early], minlength=len(asked))
        early = unvisited.involved & (incidents.position < position[incidents.row])
        involved = np.bincount(incidents.row[early], minlength=len(asked)) > 0
        hazard = 0.1 + 0.3 * involved + 0.5 * missed / days
        chance.append((1 / hazard)[asked])
        visited.append(year.rounds.open.mean(axis=1)[year.rounds.program != 0].sum())
        at = np.isin(year.rounds.program[asked], (1, 2))
        assert at.all()
    # each possible round is weighted by one over its chance: they add up to all possible ones
    serves = sum(visited)
    total = np.concatenate(chance).sum()
    assert total == pytest.approx(serves, rel=0.12)


def test_the_share_of_serious_incidents_is_the_stated_one() -> None:
    rows = pd.concat([small().tables["incidents"]]).query("role == 'perpetrator'")
    severe = [name for name, _, _ in BEHAVIORS[SEVERE : LAST_SEVERE + 1]]
    assert severe == ["assault", "weapon", "drugs"]
    serious = rows["behavior"].isin(severe) | (rows["action"] == "out_of_school_suspension")
    error = np.sqrt(serious.mean() * (1 - serious.mean()) / len(rows))
    assert abs(serious.mean() - serious_share()) < 4 * error
    assert 4 * error < 0.05


def test_suspensions_are_as_frequent_and_as_long_as_stated() -> None:
    rows = small().tables["incidents"].query("role == 'perpetrator'")
    out = rows["action"].isin(["in_school_suspension", "out_of_school_suspension"])
    assert suspended_share() < 0.6
    for found, stated in ((out * 1.0, suspended_share()), (rows["days"], mean_days_suspended())):
        error = found.std() / np.sqrt(len(rows))
        assert abs(found.mean() - stated) < 4 * error
        assert 4 * error < 0.25 * stated


def test_printing_a_simulation_of_no_table_says_so() -> None:
    assert "no tables" in repr(simulate(tiny(), 1, tables=(), outcomes=()))
