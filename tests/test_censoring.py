"""A visit now against no visit for the rest of the year: pairs followed until the next visit."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pandas.testing import assert_frame_equal, assert_series_equal

from during_year import INCIDENTS, PRIOR, design_of, students
from homevisit_eval.censoring.follow import LARGEST_WEIGHT, follow_without_visits
from homevisit_eval.design import Covariate, NearestNeighbor, Outcome, TimingContrast
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effects import estimate_effect
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import match_students
from homevisit_eval.sample import select_sample
from homevisit_eval.sample.day_records import BEYOND
from homevisit_eval.sample.first_visits import next_visits, pace_of_visits
from homevisit_eval.timing import _require_days
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    dated_panel,
    fact,
    school_days,
    stretch,
    student_year,
    tiny_design,
    tiny_panel,
    visit,
)

DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1)
FALL, LATER = date(2014, 10, 8), date(2014, 11, 12)
ABSENT = Outcome("days_absent", "Days absent", "behavior", "count", "days", "lower")
ON_TIME = Outcome("on_time_attendance_rate", "On time", "behavior", "fraction", "percent", "higher")
OUTCOMES = (ATTENDANCE, ON_TIME, INCIDENT, INCIDENTS, ABSENT)
COVARIATES = (PRIOR, Covariate("attendance_rate_to_date", "Attendance to date"))
PAIRS = NearestNeighbor(exact=("grade",), caliper="none")
NAMES = tuple(f"N{number:03d}" for number in range(120))
S1_DAYS = [one["date"] for one in school_days("S1", 2015)]
S2_CLOSED = (date(2014, 11, 12), date(2015, 2, 2), *(date(2015, 6, day) for day in range(8, 16)))


class World:
    """120 students of two schools, of whom two thirds is visited some day, some on a weekend.

    S2 is closed on two days more, and ends a week before S1; some move, leave, or are away.
    """

    def __init__(self, seed: int, *, later: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.rng, self.by_lag = rng, {}
        self.days = [*school_days("S1", 2015), *school_days("S2", 2015, S2_CLOSED)]
        self.home = {name: f"S{1 + rng.integers(2)}" for name in NAMES}
        self.rows = [
            row
            for name in NAMES
            for row in (
                student_year(name, 2014, 2, attendance_rate=round(rng.uniform(0.8, 1), 3)),
                student_year(name, 2015, 3, school_id=self.home[name]),
            )
        ]
        first = date(2014, 9, 15)
        self.visits = [visit(name, first + int(rng.integers(200)) * DAY) for name in NAMES[:80]]
        if not later:
            names = [one["student_id"] for one in self.visits]
            self.visits = [visit(name, date(2014, 10, 8)) for name in names]
        self.stretches = [one for name in NAMES for one in self._stretches(name)]
        self.facts = [one for name in NAMES for one in self._facts(name)]
        self.panel = dated_panel(
            self.rows, self.visits, self.facts, self.stretches, self.days
        )  # fmt: skip
        self.open_on = {
            place: {one["date"] for one in self.days if one["school_id"] == place}
            for place in ("S1", "S2")
        }
        self.of = {
            name: [one for one in self.stretches if one["student_id"] == name] for name in NAMES
        }

    def _stretches(self, name: str) -> list[dict]:
        kind, home = self.rng.integers(8), self.home[name]
        start, end = date(2014, 8, 25), date(2015, 6, 15)
        cut = date(2014, 12, 1) + int(self.rng.integers(100)) * DAY
        if kind == 0:
            other = "S1" if home == "S2" else "S2"
            return [
                stretch(name, start, cut - DAY, school_id=home, school_year=2015),
                stretch(name, cut, end, school_id=other),
            ]
        if kind == 1:
            return [stretch(name, start, cut, school_id=home, school_year=2015)]
        if kind == 2:
            return [
                stretch(name, start, cut, school_id=home, school_year=2015),
                stretch(name, cut + 30 * DAY, end, school_id=home),
            ]
        return [stretch(name, start, end, school_id=home)]

    def _facts(self, name: str) -> list[dict]:
        facts = []
        for day in (date(2014, 8, 25) + n * DAY for n in range(295)):
            u = self.rng.random(3)
            if u[0] < 0.012:
                facts.append(fact(name, day, "incident", 1 + (u[0] < 0.004)))
            if day.weekday() < 5 and u[1] < 0.06:
                facts.append(fact(name, day, "unexcused", 0.5 if u[1] < 0.02 else 1))
            if day.weekday() < 5 and u[2] < 0.04:
                facts.append(fact(name, day, "tardy"))
        return facts

    def matched(self, lag_days=0):
        if lag_days not in self.by_lag:
            design = design_of(covariates=COVARIATES, outcomes=OUTCOMES, lag_days=lag_days)
            self.by_lag[lag_days] = match_students(select_sample(self.panel, design), PAIRS)
        return self.by_lag[lag_days]


class Recount:
    """The definition of `follow_without_visits`, in plain Python, one pair and day at a time."""

    def __init__(self, world: World, matched, lag_days: int = 0) -> None:
        self.world, self.lag_days = world, lag_days
        self.rows = matched.sample.baseline.to_dict("index")
        self.covariates = [one.name for one in matched.sample.adjusted_for]
        pairs = matched.matches.pairs
        self.pairs = list(zip(pairs["treated"], pairs["comparison"], strict=True))
        self.pace = self._pace()
        self.facts = {}
        for one in world.facts:
            key = (one["student_id"], one["date"], one["kind"])
            self.facts[key] = self.facts.get(key, 0) + one["amount"]
        self.columns = {row: self._columns(row) for _, row in self.pairs}
        self.survival = self._survival()

    def days(self, row) -> list[date]:
        """Return the days of instruction after time zero at the school of that day."""
        place, index = self.rows[row]["school_id"], self.rows[row]["index_date"].date()
        return [day for day in sorted(self.world.open_on[place]) if day > index]

    def enrolled(self, row, day: date) -> bool:
        return any(
            one["start"] <= day <= one["end"] and day in self.world.open_on[one["school_id"]]
            for one in self.world.of[self.rows[row]["unit_id"]]
        )

    def count(self, row, kind: str, days: list[date]) -> float:
        name = self.rows[row]["unit_id"]
        return sum(self.facts.get((name, day, kind), 0) for day in days)

    def left(self, row) -> date:
        """Return the day of a comparison student's next visit, but one day at least is followed."""
        name, index = self.rows[row]["unit_id"], self.rows[row]["index_date"].date()
        days = [one["date"] for one in self.world.visits if one["student_id"] == name]
        return max(min([day for day in days if day > index], default=date.max), self.days(row)[0])

    def _pace(self) -> dict[str, float]:
        found = {}
        for place in ("S1", "S2"):
            here = [name for name in NAMES if self.world.home[name] == place]
            visited = {one["student_id"] for one in self.world.visits} & set(here)
            share = (len(visited) + 0.5) / (len(here) + 1)
            found[place] = math.log(-math.log(1 - share))
        return found

    def _columns(self, row) -> list[list[float]]:
        """Return what the hazard of a comparison row depends on, one line a day."""
        own, days, lines = self.rows[row], self.days(row), []
        enrolled = absent = incidents = 0.0
        start = date(2014, 8, 25)
        for k in range(len(days)):
            last = days[k - 1] if k else own["index_date"].date()
            since = _between(start, last)
            start = last + DAY
            enrolled += sum(self.enrolled(row, day) for day in since)
            absent += self.count(row, "unexcused", since)
            incidents += self.count(row, "incident", since)
            lines.append(
                [
                    1.0,
                    *(own[name] for name in self.covariates),
                    self.pace[own["school_id"]],
                    k / len(days),
                    (k / len(days)) ** 2,
                    absent / max(enrolled, 1),
                    float(incidents > 0),
                    incidents,
                ]
            )
        return lines

    def _survival(self) -> dict:
        """Return by row and day the probability that the pair is still followed."""
        X, events, at_risk = [], [], {}
        for row, lines in self.columns.items():
            days, left = self.days(row), self.left(row)
            for day, following, x in zip(days, [*days[1:], date.max], lines, strict=True):
                event = day <= left < following
                at_risk[row, day] = self.enrolled(row, day) or event
                if at_risk[row, day] and day <= left:
                    X.append(x)
                    events.append(float(event))
        assert sum(events) >= 15
        fit = sm.GLM(np.array(events), np.array(X), sm.families.Binomial()).fit(tol=1e-14)
        survival = {}
        for row, lines in self.columns.items():
            hazards, S = fit.predict(np.array(lines)), 1.0
            for day, hazard in zip(self.days(row), hazards, strict=True):
                survival[row, day] = S
                S *= 1 - hazard if at_risk[row, day] else 1.0
        return survival

    def weight(self, comparison, day: date) -> float:
        """Return the weight of a day; of one on which that school is closed, of the last before."""
        days = [one for one in self.days(comparison) if one <= day]
        S = self.survival[comparison, days[-1]] if days else 1.0
        return 1 / max(S, 1 / LARGEST_WEIGHT)

    def outcomes(self, row, comparison) -> dict[str, float]:
        """Return the outcomes of a member of the pair of a comparison row."""
        days, left = self.days(row), self.left(comparison)
        start = days[self.lag_days]
        absent = late = incidents = any_incident = 0.0
        for k, day in enumerate(days):
            if not start <= day <= left:
                continue
            since = start if day == start else days[k - 1] + DAY
            here = _between(since, day if k + 1 < len(days) else date(2015, 7, 31))
            weight = self.weight(comparison, day)
            for one in here:
                missed = self.count(row, "unexcused", [one])
                absent += weight * missed
                late += weight * (1.0 if self.count(row, "tardy", [one]) else missed)
            number = self.count(row, "incident", here)
            incidents += weight * number
            any_incident = any_incident or weight * bool(number)
        enrolled = sum(self.enrolled(row, day) for day in _between(start, date(2015, 6, 30)))
        return {
            "attendance_rate": 1 - absent / enrolled,
            "on_time_attendance_rate": 1 - late / enrolled,
            "any_incident": any_incident,
            "incidents": incidents,
            "days_absent": absent,
        }


def _between(first: date, last: date) -> list[date]:
    return [first + n * DAY for n in range((last - first).days + 1)]


@pytest.fixture(scope="module")
def world() -> World:
    return World(3)


@pytest.fixture(scope="module")
def calm() -> World:
    """Return a world in which nobody is visited later."""
    return World(4, later=False)


@pytest.mark.parametrize("lag_days", [0, 4])
def test_every_outcome_of_every_member_is_the_recounted_one(world, lag_days):
    matched = world.matched(lag_days=lag_days)
    followed = follow_without_visits(matched, world.panel)
    recount = Recount(world, matched, lag_days)
    later = [recount.left(comparison) for _, comparison in recount.pairs]
    assert sum(day.weekday() >= 5 for day in later if day < date.max) >= 3
    compared = 0
    for treated, comparison in recount.pairs:
        for row in (treated, comparison):
            before, found = matched.sample.outcomes.loc[row], followed.sample.outcomes.loc[row]
            assert found.isna().equals(before.isna())
            if before.isna().any():
                continue
            expected = recount.outcomes(row, comparison)
            assert found[list(expected)].to_dict() == pytest.approx(expected, abs=1e-7)
            compared += 1
    assert compared >= 100


def test_a_landmark_after_the_last_day_of_school_is_named(world):
    contrast = TimingContrast("when", "When", "a", "b", ("attendance_rate",), landmark="07-15")
    matched = world.matched()
    _require_days(follow_without_visits(matched, world.panel, landmark="02-01"), contrast)
    late = follow_without_visits(matched, world.panel, landmark="07-15")
    pairs = shown_count(len(matched.matches.pairs))
    words = f"'when': landmark '07-15': {pairs} pairs of question .* have the visit before it"
    with pytest.raises(EstimationError, match=words):
        _require_days(late, contrast)


class TestWithoutLaterVisits:
    """Movers, leavers and facts on weekends included, nothing changes."""

    @pytest.mark.parametrize("lag_days", [0, 4])
    def test_outcomes_are_as_before(self, calm, lag_days):
        matched = calm.matched(lag_days=lag_days)
        followed = follow_without_visits(matched, calm.panel)
        pairs = matched.matches.pairs
        rows = [*pairs["treated"], *pairs["comparison"]]
        assert len(pairs) >= 25
        assert_frame_equal(
            followed.sample.outcomes.loc[rows],
            matched.sample.outcomes.loc[rows],
            rtol=0,
            atol=1e-12,
        )
        assert followed.sample.notes[-1] == "No comparison student was visited later in the year."
        assert_series_equal(followed.matches.weights, matched.matches.weights)

    def test_what_is_not_used_is_not_touched(self, world):
        matched = world.matched()
        before = matched.sample.outcomes.copy()
        followed = follow_without_visits(matched, world.panel)
        assert_frame_equal(matched.sample.outcomes, before)
        unused = matched.matches.weights == 0
        assert unused.sum() > 100
        assert_frame_equal(followed.sample.outcomes[unused], before[unused])

    def test_an_estimate_before_it_is_refused(self, world):
        matched = world.matched()
        sample = matched.sample
        asked = replace(sample.question, later_visits="none")
        never = replace(matched, sample=replace(sample, question=asked))
        with pytest.raises(EstimationError, match="Call matched = follow_without_visits"):
            estimate_effect(never, "incidents")
        effect = estimate_effect(follow_without_visits(never, world.panel), "incidents")
        assert any("visited later" in note for note in effect.notes)

    def test_the_estimand_says_so(self, world):
        matched = world.matched()
        followed = follow_without_visits(matched, world.panel)
        words = "against no visit for the rest of the year"
        assert words in str(followed.matches.estimand)
        assert words not in str(matched.matches.estimand)

    def test_a_hazard_needs_more_than_one_comparison_student(self):
        visits = [visit("V", date(2014, 8, 2)), visit("C", LATER), visit("D", FALL)]
        panel = dated_panel(students("V", "C", "D"), visits)
        matched = match_students(select_sample(panel, tiny_design(outcomes=(INCIDENTS,))), PAIRS)
        with pytest.raises(EstimationError, match="cannot be fitted"):
            follow_without_visits(matched, panel)


class TestRefused:
    @pytest.mark.parametrize("method", [NearestNeighbor(exact=("grade",), ratio=2, caliper="none")])
    def test_matches_that_are_no_pairs(self, world, method):
        sample = world.matched().sample
        with pytest.raises(EstimationError, match="follows pairs: match each visited student"):
            follow_without_visits(match_students(sample, method), world.panel)

    def test_a_panel_without_days(self, world):
        undated = tiny_panel(world.rows, world.visits)
        with pytest.raises(EstimationError, match="needs dated records"):
            follow_without_visits(world.matched(), undated)


class TestLandmark:
    DATE = date(2015, 2, 1)

    def test_facts_before_it_do_not_count_and_visits_from_it_on_are_left_out(self, calm):
        matched = calm.matched()
        followed = follow_without_visits(matched, calm.panel, landmark="02-01")
        pairs = matched.matches.pairs
        rows = matched.sample.baseline
        compared = 0
        for row in (*pairs["treated"], *pairs["comparison"]):
            name = rows.loc[row, "unit_id"]
            found = followed.sample.outcomes.loc[row]
            if found.isna().any():
                continue
            facts = [one for one in calm.facts if one["student_id"] == name]
            later = [one for one in facts if one["date"] >= self.DATE]
            incidents = sum(one["amount"] for one in later if one["kind"] == "incident")
            absent = sum(one["amount"] for one in later if one["kind"] == "unexcused")
            assert found["incidents"] == pytest.approx(incidents, abs=1e-9)
            assert found["days_absent"] == pytest.approx(absent, abs=1e-9)
            compared += 1
        assert compared >= 60

    def test_pairs_of_visits_from_then_on_are_left_out(self, world):
        matched = world.matched()
        followed = follow_without_visits(matched, world.panel, landmark="02-01")
        index = matched.sample.baseline["index_date"]
        late = index >= pd.Timestamp(self.DATE)
        used = matched.matches.weights > 0
        assert (used & late).sum() >= 10
        assert not (followed.matches.weights[late] > 0).any()
        kept = matched.matches.weights.where(~late, 0.0)
        assert_series_equal(followed.matches.weights, kept, check_names=False)

    def test_in_the_fall_it_is_of_the_year_before(self, world):
        followed = follow_without_visits(world.matched(), world.panel, landmark="10-15")
        used = followed.matches.weights > 0
        assert used.any()
        assert followed.sample.baseline.loc[used, "index_date"].max() < pd.Timestamp("2014-10-15")


class TestNextVisits:
    def test_is_the_first_completed_one_after_the_day_of_any_program(self):
        visits = [
            visit("A", FALL),
            visit("A", LATER, program="EC", mode="virtual"),
            visit("A", LATER + DAY),
            visit("B", LATER, completed=0),
            visit("C", LATER, school_year=2016),
        ]
        panel = tiny_panel(students("A", "B", "C"), visits)
        rows = pd.DataFrame({"unit_id": ["A", "A", "A", "B", "C"], "school_year": 2015})
        at = np.array([(day - EPOCH).days for day in (FALL - DAY, FALL, LATER + DAY, FALL, FALL)])
        expected = [(FALL - EPOCH).days, (LATER - EPOCH).days, BEYOND, BEYOND, BEYOND]
        assert next_visits(panel, rows, at).tolist() == expected

    def test_the_pace_of_a_school(self):
        rows = [*students("A", "B", "C"), *students("D", "E", school_id="S2")]
        visits = [visit("A", FALL), visit("A", LATER), visit("B", date(2014, 8, 2))]
        panel = tiny_panel(rows, visits)
        schools = pd.MultiIndex.from_tuples([("S1", 2015), ("S2", 2015), ("S3", 2015)])
        shares = [1.5 / 4, 0.5 / 3, 0.5]
        expected = [math.log(-math.log(1 - share)) for share in shares]
        assert pace_of_visits(panel, schools) == pytest.approx(expected, abs=1e-12)
