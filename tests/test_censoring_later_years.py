"""A visit against none through later years: recounted day by day, and at its edges."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pandas.testing import assert_frame_equal

from during_year import INCIDENTS, PRIOR, SUMMER, design_of
from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.censoring.follow import LARGEST_WEIGHT
from homevisit_eval.design import NearestNeighbor
from homevisit_eval.effects import estimate_effect
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import match_students
from homevisit_eval.sample import select_sample
from homevisit_eval.sample.first_visits import pace_before_year
from homevisit_eval.variations import match_as_asked
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    dated_panel,
    fact,
    first_day,
    last_day,
    school_days,
    stretch,
    student_year,
    tiny_panel,
    visit,
)

DAY = timedelta(days=1)
YEARS = (2015, 2016, 2017)
OUTCOMES = (ATTENDANCE, INCIDENT, INCIDENTS)
MEASURES = [one.name for one in OUTCOMES]
LATER = [f"{name}_after_{after}" for after in (1, 2) for name in MEASURES]
PAIRS = NearestNeighbor(exact=("grade",), caliper="none")
NAMES = tuple(f"N{number:03d}" for number in range(120))
VISITED = 48
CLOSED = {"S1": (date(2016, 2, 3),), "S2": (date(2015, 8, 25), date(2016, 11, 9))}


def days_of(place: str, year: int) -> list[dict]:
    return school_days(place, year, CLOSED[place])


class World:
    """120 students of two schools in three years, of whom 48 are visited before the first.

    Of the others some are visited before the second or third year, or during any. Some change
    schools in a year or between years, leave, come late, or stay away a year.
    """

    def __init__(self, seed: int, *, later: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.rows = [
            student_year(name, 2014, 2, attendance_rate=round(rng.uniform(0.8, 1), 3))
            for name in NAMES
        ]
        self.stretches, self.facts = [], []
        self.visits = [visit(name, SUMMER) for name in NAMES[:VISITED]]
        for name in NAMES:
            for year in YEARS:
                self._live(rng, name, year)
                if later:
                    self._visit(rng, name, year)
        held = [one for place in CLOSED for year in YEARS for one in days_of(place, year)]
        self.open_on = {
            (place, year): [
                one["date"]
                for one in held
                if (one["school_id"], one["school_year"]) == (place, year)
            ]
            for place in CLOSED
            for year in YEARS
        }
        self.is_open = {key: set(days) for key, days in self.open_on.items()}
        self.of = {(name, year): [] for name in NAMES for year in YEARS}
        for one in self.stretches:
            self.of[one["student_id"], one["school_year"]].append(one)
        self.count = {}
        for one in self.facts:
            key = (one["student_id"], one["date"], one["kind"])
            self.count[key] = self.count.get(key, 0) + one["amount"]
        self.rows = [row | self._measures(row) for row in self.rows]
        self.panel = dated_panel(self.rows, self.visits, self.facts, self.stretches, held)
        design = design_of("before_year", covariates=(PRIOR,), outcomes=OUTCOMES, follow_up=2)
        self.sample = select_sample(self.panel, design)
        self.matched = match_students(self.sample, PAIRS)

    def _live(self, rng: np.random.Generator, name: str, year: int) -> None:
        kind, place = rng.integers(12), f"S{1 + rng.integers(2)}"
        start, end = first_day(year), last_day(year)
        spells = [(place, start, end)]
        cut = start + int(rng.integers(60, 200)) * DAY
        if kind == 0:
            spells = [(place, start, cut), ("S1" if place == "S2" else "S2", cut + DAY, end)]
        elif kind == 1:
            spells = [(place, start, cut)]
        elif kind == 2 and year > 2015:
            spells = [(place, cut, end)]
        elif kind == 3 and year > 2015:
            return
        there = place if spells[0][1] == start else None
        self.rows.append(student_year(name, year, year - 2012, school_id=there))
        for where, first, last in spells:
            self.stretches.append(stretch(name, first, last, school_id=where, school_year=year))
        for day in (start + n * DAY for n in range(1, (end - start).days)):
            u = rng.random(2)
            enrolled = any(first <= day <= last for _, first, last in spells)
            if enrolled and u[0] < 0.01:
                self.facts.append(fact(name, day, "incident", 1 + (u[0] < 0.003)))
            if enrolled and day.weekday() < 5 and u[1] < 0.06:
                self.facts.append(fact(name, day, "unexcused", 0.5 if u[1] < 0.02 else 1))

    def _visit(self, rng: np.random.Generator, name: str, year: int) -> None:
        u = rng.random(2)
        if year > 2015 and u[0] < 0.25:
            self.visits.append(visit(name, date(year - 1, 8, 3)))
        if u[1] < 0.3:
            self.visits.append(visit(name, first_day(year) + int(rng.integers(280)) * DAY))

    def _measures(self, row: dict) -> dict[str, float]:
        """Return what the panel measures of a student-year with stretches."""
        name, year = row["student_id"], row["school_year"]
        if year not in YEARS:
            return {}
        span = date(year - 1, 8, 1), date(year, 7, 31)
        enrolled = sum(self.enrolled(name, year, day) for day in _between(*span))
        incidents, absent = (self.total(name, one, *span) for one in ("incident", "unexcused"))
        return {
            "days_enrolled": enrolled,
            "attendance_rate": 1 - absent / enrolled,
            "incidents": int(incidents),
            "any_incident": int(incidents > 0),
        }

    def place(self, name: str, year: int) -> str:
        """Return the school of the first stretch of the year, "" if there is none."""
        spells = sorted(self.of[name, year], key=lambda one: one["start"])
        return spells[0]["school_id"] if spells else ""

    def enrolled(self, name: str, year: int, day: date) -> bool:
        return any(
            one["start"] <= day <= one["end"] and day in self.is_open[one["school_id"], year]
            for one in self.of[name, year]
        )

    def first_visit(self, name: str, year: int) -> date:
        """Return the first visit of the year; of 2015, from the first day of school on."""
        days = [
            one["date"]
            for one in self.visits
            if (one["student_id"], one["school_year"]) == (name, year) and one["date"] != SUMMER
        ]
        return min(days, default=date.max)

    def total(self, name: str, kind: str, first: date, last: date) -> float:
        return sum(self.count.get((name, day, kind), 0) for day in _between(first, last))


def _between(first: date, last: date) -> list[date]:
    return [first + n * DAY for n in range((last - first).days + 1)]


class Recount:
    """The definition in plain Python: one comparison student, year and day at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        baseline = world.sample.baseline
        pairs = world.matched.matches.pairs
        self.names = baseline["unit_id"].to_dict()
        self.rate = dict(zip(self.names.values(), baseline["attendance_rate_prior"], strict=True))
        self.pairs = list(zip(pairs["treated"], pairs["comparison"], strict=True))
        self.comparisons = [self.names[row] for _, row in self.pairs]
        self.left: dict[tuple[str, int], date] = {}
        for name in self.comparisons:
            gone = False
            for year in YEARS:
                seen = self.world.first_visit(name, year)
                self.left[name, year] = date.min if gone else seen
                if year > 2015 and seen < self.opens(name, year):
                    self.left[name, year] = date.min
                gone |= seen < date.max
        self.S = self._probabilities()

    def opens(self, name: str, year: int) -> date:
        place = self.world.place(name, year)
        return self.world.open_on[place, year][0] if place else date.max

    def days(self, name: str, year: int) -> list[date]:
        place = self.world.place(name, year)
        return self.world.open_on[place, year] if place else []

    def so_far(self, name: str, year: int, ends: list[date]) -> list[list[float]]:
        """Return what happened in the year through each of some days, which ascend."""
        enrolled = absent = incidents = 0.0
        lines, start = [], date(year - 1, 7, 1)
        for end in ends:
            for day in _between(start, end):
                enrolled += self.world.enrolled(name, year, day)
                absent += self.world.count.get((name, day, "unexcused"), 0)
                incidents += self.world.count.get((name, day, "incident"), 0)
            start = max(start, end + DAY)
            lines.append([absent / max(enrolled, 1), float(incidents > 0), incidents])
        return lines

    def pace(self, name: str, year: int, *, summer: bool) -> float:
        here = [
            row["student_id"]
            for row in self.world.rows
            if row["school_year"] == year and row["school_id"] == self.world.place(name, year)
        ]
        dates = {
            other: [
                one["date"]
                for one in self.world.visits
                if (one["student_id"], one["school_year"]) == (other, year)
            ]
            for other in here
        }
        opens = first_day(year)
        hit = sum(any((day < opens) == summer for day in dates[other]) for other in here)
        return math.log(-math.log(1 - (hit + 0.5) / (len(here) + 1)))

    def fixed(self, name: str, year: int) -> list[float]:
        if year == 2015:
            return [1.0, self.rate[name]]
        (before,) = self.so_far(name, year - 1, [date(year - 1, 7, 31)])
        return [1.0, self.rate[name], *before, float(year == 2017)]

    def _lines(self, name: str, year: int) -> list[tuple[date, list[float], bool, bool]]:
        """Return of each day its columns, whether a visit may follow, and whether one does."""
        days, left, lines = self.days(name, year), self.left[name, year], []
        if year == 2015 and days:
            left = max(left, days[0])
        fixed, pace = self.fixed(name, year), self.pace(name, year, summer=False)
        known = self.so_far(name, year, [days[0] - DAY, *days[:-1]]) if days else []
        for k, day in enumerate(days):
            following = days[k + 1] if k + 1 < len(days) else date.max
            event = day <= left < following
            columns = [*fixed, pace, k / len(days), (k / len(days)) ** 2, *known[k]]
            at_risk = day <= left and (event or self.world.enrolled(name, year, day))
            lines.append((day, columns, at_risk, event))
        return lines

    def _probabilities(self) -> dict[tuple[str, int], tuple[float, dict[date, float]]]:
        """Return by student and year the probability before the year, and on each of its days."""
        lines = {
            (name, year): self._lines(name, year) for name in self.comparisons for year in YEARS
        }
        stay = {}
        for years in ((2015,), (2016, 2017)):
            keys = [
                (key, k)
                for key, own in lines.items()
                if key[1] in years
                for k, line in enumerate(own)
                if line[2]
            ]
            fit = _fitted(
                [lines[key][k][1] for key, k in keys], [lines[key][k][3] for key, k in keys]
            )
            stay |= {(*key, lines[key][k][0]): one for (key, k), one in zip(keys, fit, strict=True)}
        keys, columns, events = [], [], []
        for name in self.comparisons:
            for year in YEARS[1:]:
                opens = self.opens(name, year)
                event = self.world.first_visit(name, year) < opens
                unseen = all(
                    self.world.first_visit(name, one) == date.max for one in range(2015, year)
                )
                if (
                    opens < date.max
                    and unseen
                    and (event or self.world.enrolled(name, year, opens))
                ):
                    keys.append((name, year))
                    columns.append([*self.fixed(name, year), self.pace(name, year, summer=True)])
                    events.append(event)
        assert sum(events) >= 8
        summer = dict(zip(keys, _fitted(columns, events), strict=True))
        made = {}
        for name in self.comparisons:
            S = 1.0
            for year in YEARS:
                S *= summer.get((name, year), 1.0)
                before, on = S, {}
                for day, *_ in lines[name, year]:
                    on[day] = S
                    S *= stay.get((name, year, day), 1.0)
                made[name, year] = before, on
        return made

    def outcomes(self, member: str, comparison: str, year: int) -> dict[str, float]:
        days, left = self.days(member, year), self.left[comparison, year]
        before, on = self.S[comparison, year]
        if year == 2015:
            left = max(left, self.days(comparison, year)[0])
        absent = incidents = some = 0.0
        for k, day in enumerate(days):
            if day > left:
                continue
            since = days[k - 1] + DAY if k else day
            until = day if k + 1 < len(days) else date(year, 7, 31)
            known = [one for one in on if one <= day]
            weight = 1 / max(on[known[-1]] if known else before, 1 / LARGEST_WEIGHT)
            number = self.world.total(member, "incident", since, until)
            absent += weight * self.world.total(member, "unexcused", since, until)
            incidents += weight * number
            some = some or weight * bool(number)
        enrolled = sum(
            self.world.enrolled(member, year, day)
            for day in _between(date(year - 1, 8, 1), date(year, 7, 31))
        )
        return {
            "attendance_rate": 1 - absent / enrolled,
            "any_incident": some,
            "incidents": incidents,
        }


def _fitted(columns: list[list[float]], events: list[bool]) -> list[float]:
    """Return the probability of no event of each row, by a logit."""
    X = np.array(columns)
    fit = sm.GLM(np.array(events, float), X, sm.families.Binomial()).fit(tol=1e-14)
    return list(1 - fit.predict(X))


@pytest.fixture(scope="module")
def world() -> World:
    return World(5)


@pytest.fixture(scope="module")
def calm() -> World:
    return World(7, later=False)


def test_every_outcome_of_every_year_is_the_recounted_one(world: World) -> None:
    followed = follow_without_visits(world.matched, world.panel)
    recount = Recount(world)
    gone = {
        year: sum(recount.left[name, year] < date.max for name in recount.comparisons)
        for year in YEARS
    }
    assert 8 <= gone[2015] < gone[2016] < gone[2017] < len(recount.comparisons) - 8
    compared = dict.fromkeys(YEARS, 0)
    for pair in recount.pairs:
        for row in pair:
            for year in YEARS:
                after = year - 2015
                names = [f"{name}_after_{after}" if after else name for name in MEASURES]
                before, found = world.sample.outcomes.loc[row], followed.sample.outcomes.loc[row]
                assert found[names].isna().equals(before[names].isna())
                if before[names].isna().any():
                    continue
                expected = recount.outcomes(recount.names[row], recount.names[pair[1]], year)
                assert found[names].tolist() == pytest.approx(
                    list(expected.values()), rel=1e-6, abs=1e-7
                )
                compared[year] += 1
    assert min(compared.values()) >= 80
    assert "through the year in which" in str(followed.matches.estimand)


def test_the_year_of_the_visit_does_not_depend_on_later_ones(world: World) -> None:
    design = design_of("before_year", covariates=(PRIOR,), outcomes=OUTCOMES)
    alone = match_students(select_sample(world.panel, design), PAIRS)
    first = follow_without_visits(alone, world.panel).sample.outcomes[MEASURES]
    both = follow_without_visits(world.matched, world.panel).sample.outcomes[MEASURES]
    assert_frame_equal(first, both)
    assert not first.equals(alone.sample.outcomes[MEASURES])


def test_without_later_visits_later_years_are_as_measured(calm: World) -> None:
    """Movers, leavers and facts on weekends included."""
    followed = follow_without_visits(calm.matched, calm.panel)
    used = calm.matched.matches.weights > 0
    found, before = (one.sample.outcomes.loc[used] for one in (followed, calm.matched))
    assert_frame_equal(found, before, rtol=0, atol=1e-12)
    assert found[LATER].notna().sum().min() >= 60
    assert followed.sample.notes[-2:] == (
        "No comparison student was visited by the end of year 1 after it.",
        "No comparison student was visited by the end of year 2 after it.",
    )


def test_a_year_into_which_no_pair_is_followed_has_no_outcome(calm: World) -> None:
    visits = [*calm.visits, *(visit(name, date(2016, 8, 3)) for name in NAMES[VISITED:])]
    held = [one for place in CLOSED for year in YEARS for one in days_of(place, year)]
    panel = dated_panel(calm.rows, visits, calm.facts, calm.stretches, held)
    followed = follow_without_visits(calm.matched, panel)
    used = followed.matches.weights > 0
    found = followed.sample.outcomes[used]
    assert found[LATER[3:]].isna().all(axis=None)
    before = calm.matched.sample.outcomes[used]
    assert_frame_equal(found[LATER[:3]], before[LATER[:3]], rtol=0, atol=1e-12)
    assert "no pair is followed into it" in followed.sample.notes[-1]
    with pytest.raises(EstimationError, match="observed for no matched visited"):
        estimate_effect(followed, "incidents_after_2")


def test_years_beyond_the_extracts_are_left_out_as_ever(world: World) -> None:
    design = design_of(
        "before_year", covariates=(PRIOR,), outcomes=(INCIDENTS,), follow_up=3, later_visits="none"
    )
    (followed,) = match_as_asked(
        world.panel, select_sample(world.panel, replace(design, matching=PAIRS))
    )
    assert followed.sample.question.outcomes == ("incidents", *LATER[2::3])
    assert any("end with 2016-17" in note for note in followed.sample.notes)


def test_the_pace_before_the_year() -> None:
    rows = [
        *(student_year(name, 2015, 3) for name in "ABC"),
        student_year("D", 2015, 3, school_id="S2"),
    ]
    visits = [visit("A", SUMMER), visit("A", date(2014, 10, 8)), visit("B", date(2014, 10, 8))]
    schools = pd.MultiIndex.from_tuples([("S1", 2015), ("S2", 2015)])
    expected = [math.log(-math.log(1 - share)) for share in (1.5 / 4, 0.5 / 2)]
    found = pace_before_year(tiny_panel(rows, visits), schools)
    assert found == pytest.approx(expected, abs=1e-12)
