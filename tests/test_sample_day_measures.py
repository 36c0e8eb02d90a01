"""Visits during the year: what is known by the day, what counts from the next, subgroups."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from during_year import (
    DAY,
    FALL,
    FIRST,
    INCIDENTS,
    LATER,
    PRIOR,
    RATE_TO_DATE,
    SUMMER,
    TO_DATE,
    YEAR_END,
    design_of,
    flow_of,
    groups,
    row_of,
    students,
    world,
)
from homevisit_eval.design import (
    Achievement,
    Covariate,
    Eligibility,
    NearestNeighbor,
)
from homevisit_eval.errors import SourceError
from homevisit_eval.matching import match_students
from homevisit_eval.sample import select_sample
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    MATH,
    dated_panel,
    fact,
    school,
    school_days,
    stretch,
    student_year,
    tiny_design,
    visit,
)


class TestTheSchoolOfTheDay:
    """M moves from S1 to S2 before the visit; S2 was different the year before, and closes."""

    MOVED = date(2014, 9, 29)
    STRETCHES = (
        stretch("M", FIRST, MOVED - DAY),
        stretch("M", MOVED, YEAR_END, school_id="S2"),
    )

    @staticmethod
    @cache
    def sample(lag_days=0):
        own = TestTheSchoolOfTheDay
        rows = [*students("M", "C1"), *students("C2", school_id="S2")]
        schools = [school("S1", 2014, at_risk_share=0.2), school("S2", 2014, at_risk_share=0.8)]
        facts = [
            fact("M", own.MOVED - DAY * 3, "tardy"),
            fact("M", own.MOVED, "tardy"),
            fact("M", FALL + DAY, "incident"),
        ]
        days = school_days("S2", 2015, [FALL + DAY])
        panel = dated_panel(rows, [visit("M", FALL)], facts, own.STRETCHES, days, schools)
        covariates = (PRIOR, Covariate("school_at_risk_prior", "At risk"), *TO_DATE)
        asked = {"outcomes": (ATTENDANCE, INCIDENTS), "lag_days": lag_days}
        return select_sample(panel, design_of(covariates=covariates, **asked))

    def test_is_that_of_enrollment_on_the_day(self):
        sample = self.sample()
        rows = sample.baseline.set_index("unit_id")
        assert rows["school_id"].to_dict() == {"M": "S2", "C1": "S1", "C2": "S2"}
        assert rows["school_at_risk_prior"].to_dict() == {"M": 0.8, "C1": 0.2, "C2": 0.8}

    def test_history_is_that_of_all_schools(self):
        assert row_of(self.sample().baseline, self.sample(), "M")["days_tardy_to_date"] == 2

    def test_its_calendar_says_when_outcomes_begin(self):
        sample = self.sample()
        found = sample.outcomes.set_index(sample.baseline["unit_id"])
        held = len([one for one in school_days("S1", 2015) if one["date"] > FALL])
        assert found["days_enrolled"].to_dict() == {"M": held - 1, "C1": held, "C2": held - 1}
        assert found.loc["M", "incidents"] == 0  # on the day after, when S2 is closed
        sample = self.sample(lag_days=2)
        found = sample.outcomes.set_index(sample.baseline["unit_id"])
        assert found["days_enrolled"].to_dict() == {"M": held - 3, "C1": held - 2, "C2": held - 3}


class TestOutcomes:
    NEXT = FALL + DAY

    def sample(self, facts=(), stretches=(), eligibility=None, rows=(), **asked):
        panel = dated_panel([*students("V", "C"), *rows], [visit("V", FALL)], facts, stretches)
        design = design_of(**{"outcomes": (ATTENDANCE, INCIDENT), **asked})
        if eligibility:
            design = replace(design, eligibility=eligibility)
        return select_sample(panel, design)

    @pytest.mark.parametrize(
        ("lag", "counts"),
        [
            (0, {FIRST: 0, FALL - DAY: 0, FALL: 0, FALL + DAY: 1, YEAR_END: 1}),
            (1, {FALL + DAY: 0, FALL + 2 * DAY: 1}),
            (2, {FALL + 2 * DAY: 0, FALL + 4 * DAY: 0, FALL + 5 * DAY: 1}),
        ],
    )
    def test_a_fact_of_either_member_counts_from_the_next_school_day_and_the_lag(self, lag, counts):
        """Of each day there are two students who have a fact on it, one of them visited."""
        names = {day: (f"V {day}", f"C {day}") for day in counts}
        rows = students(*(name for pair in names.values() for name in pair))
        facts = [fact(name, day, "incident") for day, pair in names.items() for name in pair]
        panel = dated_panel(rows, [visit(visited, FALL) for visited, _ in names.values()], facts)
        sample = select_sample(panel, design_of(outcomes=(ATTENDANCE, INCIDENT), lag_days=lag))
        found = sample.outcomes.set_index(sample.baseline["unit_id"])["any_incident"].to_dict()
        assert found == {name: counts[day] for day, pair in names.items() for name in pair}

    def test_a_rate_is_over_the_days_that_count(self):
        facts = [fact("V", self.NEXT, "excused"), fact("V", FALL, "excused")]
        sample = self.sample(facts)
        days = len([one for one in school_days("S1", 2015) if one["date"] > FALL])
        assert sample.outcomes["days_enrolled"].tolist() == [days, days]
        assert row_of(sample.outcomes, sample, "V")["attendance_rate"] == 1 - 1 / days
        assert row_of(sample.outcomes, sample, "C")["attendance_rate"] == 1

    @pytest.mark.parametrize(("days", "enough"), [(19, False), (20, True)])
    def test_enough_enrolled_days_after_the_visit_are_needed(self, days, enough):
        held = [one["date"] for one in school_days("S1", 2015) if one["date"] > FALL]
        sample = self.sample(stretches=[stretch("V", FIRST, held[days - 1], school_year=2015)])
        row = row_of(sample.outcomes, sample, "V")
        assert row["days_enrolled"] == days
        assert row.notna()["attendance_rate"] == row.notna()["any_incident"] == enough
        rule = Eligibility(min_days_enrolled=days + 1)
        sample = self.sample((), [stretch("V", FIRST, held[days - 1], school_year=2015)], rule)
        assert row_of(sample.outcomes, sample, "V").isna()["attendance_rate"]

    def test_what_is_not_recorded_at_all_that_year_is_missing_and_not_zero(self):
        rows = students("X", attendance_rate=None)
        sample = self.sample(rows=rows)
        row = row_of(sample.outcomes, sample, "X")
        assert np.isnan(row["attendance_rate"])
        assert row["any_incident"] == 0
        sample = self.sample(rows=rows, covariates=(PRIOR, RATE_TO_DATE))
        assert groups(sample) == {FALL: ("V", "C")}
        assert flow_of(sample)["missing_attendance_rate_to_date"] == (0, 1, 0)
        sample = self.sample(rows=students("Y", any_incident=None))
        assert row_of(sample.outcomes, sample, "Y").isna()["any_incident"]

    def test_a_comparison_student_is_followed_through_a_later_visit(self):
        panel = dated_panel(
            students("V", "C"),
            [visit("V", FALL), visit("C", LATER)],
            [fact("C", LATER + 7 * DAY, "incident")],
        )
        sample = select_sample(panel, design_of(outcomes=(INCIDENT,)))
        assert row_of(sample.outcomes, sample, "C", FALL)["any_incident"] == 1
        assert any("whether or not they are visited later" in note for note in sample.notes)

    def test_the_test_score_of_the_year_of_a_fall_visit(self):
        rows = [*students("V", math_score_std=0.5), *students("C")]
        panel = dated_panel(rows, [visit("V", FALL)])
        keep = Achievement(grades_without_pretest="keep")
        sample = select_sample(panel, design_of("fall", outcomes=(MATH,), achievement=keep))
        assert sample.outcomes["math_score_std"].fillna(-9).tolist() == [-9, 0.5]

    @pytest.mark.parametrize("rule", ["leave_out", "keep"])
    def test_grades_without_a_pretest_follow_the_rule_in_the_fall_too(self, rule):
        rows = []
        for grade, before in ((3, {}), (5, {"math_score_std": 0.1})):
            for name in (f"V{grade}", f"C{grade}"):
                rows += [
                    student_year(name, 2014, grade - 1, **before),
                    student_year(name, 2015, grade, math_score_std=0.5),
                ]
        panel = dated_panel(rows, [visit("V3", FALL), visit("V5", FALL)])
        achievement = Achievement(grades_without_pretest=rule)
        only = select_sample(panel, design_of("fall", outcomes=(MATH,), achievement=achievement))
        kept = [5] if rule == "leave_out" else [3, 5]
        assert sorted(set(only.baseline["grade"])) == kept
        left = {one.name: (one.visited, one.comparison) for one in only.flow}
        assert left.get("no_pretest") == ((1, 1) if rule == "leave_out" else None)
        outcomes = (ATTENDANCE, MATH)
        both = select_sample(panel, design_of("fall", outcomes=outcomes, achievement=achievement))
        assert sorted(set(both.baseline["grade"])) == [3, 5]
        seen = both.outcomes["math_score_std"].notna()
        assert sorted(set(both.baseline.loc[seen, "grade"])) == kept
        assert both.outcomes["attendance_rate"].notna().all()


class TestHistory:
    def test_is_through_the_day_before(self):
        known = {FIRST: True, FALL - DAY: True, FALL: False, FALL + DAY: False}
        facts = [
            one
            for day in known
            for one in (
                fact(f"C {day}", day, "unexcused", 0.5),
                fact(f"V {day}", day, "tardy"),
                fact(f"V {day}", day, "incident", 2),
            )
        ]
        rows = students(*(f"{group} {day}" for day in known for group in "VC"))
        panel = dated_panel(rows, [visit(f"V {day}", FALL) for day in known], facts)
        sample = select_sample(panel, design_of(covariates=(PRIOR, *TO_DATE)))
        days = len([one for one in school_days("S1", 2015) if one["date"] < FALL])
        for day, counts in known.items():
            v, c = (row_of(sample.baseline, sample, f"{group} {day}") for group in "VC")
            assert c["attendance_rate_to_date"] == (1 - 0.5 / days if counts else 1)
            assert c["days_unexcused_to_date"] == 0.5 * counts
            assert v["days_tardy_to_date"] == counts
            assert v["any_incident_to_date"] == counts
            assert v["incidents_to_date"] == 2 * counts

    def test_who_entered_that_very_day_has_no_rate_and_leaves(self):
        stretches = [stretch("C", FALL, YEAR_END)]
        panel = dated_panel(students("V", "C", "D"), [visit("V", FALL)], (), stretches)
        sample = select_sample(panel, design_of(covariates=(PRIOR, RATE_TO_DATE)))
        assert groups(sample) == {FALL: ("V", "D")}
        assert flow_of(sample)["missing_attendance_rate_to_date"] == (0, 1, 0)

    def test_without_such_covariates_a_note_warns(self):
        panel = dated_panel(students("V", "C"), [visit("V", FALL)])
        words = "name covariates that end in _to_date"
        assert any(words in note for note in select_sample(panel, design_of()).notes)
        sample = select_sample(panel, design_of(covariates=(PRIOR, RATE_TO_DATE)))
        assert not any(words in note for note in sample.notes)

    def test_it_is_no_covariate_of_visits_before_the_year(self):
        panel = dated_panel(students("V", "C"), [visit("V", SUMMER)])
        sample = select_sample(panel, tiny_design(covariates=(PRIOR, *TO_DATE)))
        assert not [name for name in sample.baseline if name.endswith("_to_date")]
        assert not [one for one in sample.design.covariates if one.name.endswith("_to_date")]


def chosen(rows, visits, facts, design):
    sample = select_sample(dated_panel(rows, visits, facts), design)
    return sample, match_students(sample, NearestNeighbor(exact=("grade",), caliper="none"))


class TestPoison:
    """Facts of the future change nobody's baseline and no match; of the past, no outcome."""

    DESIGN = design_of(covariates=(PRIOR, *TO_DATE), outcomes=(ATTENDANCE, INCIDENT, INCIDENTS))

    def poisoned(self, where):
        rows, visits, facts = world(5)
        kept = [one for one in facts if not where(one["date"])]
        days = [one["date"] for one in school_days("S1", 2015)]
        weekends = [day + n * DAY for day in days if day.weekday() == 4 for n in (1, 2)]
        poison = [
            fact(row["student_id"], day, kind)
            for row in rows[1::4]
            for day in (*days, *weekends)
            for kind in ("unexcused", "tardy", "incident", "suspension")
            if where(day) and (day.weekday() < 5 or kind == "incident")
        ]
        assert len(poison) > 500
        return select_sample(dated_panel(rows, visits, [*kept, *poison]), self.DESIGN)

    @pytest.fixture(scope="class")
    @classmethod
    def clean(cls):
        return select_sample(dated_panel(*world(5)), cls.DESIGN)

    @pytest.mark.parametrize(
        "place",
        [pytest.param(0, marks=pytest.mark.slow), 6, pytest.param(12, marks=pytest.mark.slow), 17],
    )
    def test_of_baselines_and_outcomes(self, clean, place):
        day = sorted(one["date"] for one in world(5)[1])[place]
        at = pd.Timestamp(day)
        future = self.poisoned(lambda one: one >= day)
        until = clean.baseline["index_date"] <= at
        assert_frame_equal(future.baseline[until], clean.baseline[until])
        assert future.flow == clean.flow
        assert not future.outcomes[until].equals(clean.outcomes[until]), "the poison must work"
        past = self.poisoned(lambda one: one <= day)
        since = clean.baseline["index_date"] >= at
        assert_frame_equal(past.outcomes[since], clean.outcomes[since])
        assert not past.baseline[since].equals(clean.baseline[since]), "the poison must work"

    def test_of_matches(self):
        rows, visits, facts = world(6)
        end = date(2014, 12, 1)
        visits = [one for one in visits if one["date"] < end]
        clean, matched = chosen(rows, visits, facts, self.DESIGN)
        later = [one for one in facts if one["date"] < end]
        later += [fact(row["student_id"], end + DAY, "incident", 3) for row in rows[1::4]]
        poisoned, again = chosen(rows, visits, later, self.DESIGN)
        assert_frame_equal(clean.baseline, poisoned.baseline)
        assert_frame_equal(matched.matches.pairs, again.matches.pairs)
        assert not clean.outcomes.equals(poisoned.outcomes)

    def test_pairs_share_the_day_and_nobody_is_their_own_match(self):
        sample, matched = chosen(*world(7), self.DESIGN)
        pairs = matched.matches.pairs
        assert len(pairs) >= 15
        sides = [sample.baseline.loc[pairs[side]] for side in ("treated", "comparison")]
        assert (sides[0]["index_date"].to_numpy() == sides[1]["index_date"].to_numpy()).all()
        assert (sides[0]["unit_id"].to_numpy() != sides[1]["unit_id"].to_numpy()).all()


class TestSubgroup:
    @pytest.mark.parametrize(
        ("subgroup", "column", "values"),
        [
            (
                "attendance_rate_prior",
                "attendance_rate",
                {
                    0.8999: "attended less than 90 %",
                    0.90: "attended 90 to 95 %",
                    0.9499: "attended 90 to 95 %",
                    0.95: "attended 95 % or more",
                    1.0: "attended 95 % or more",
                },
            ),
            (
                "any_incident_prior",
                "any_incident",
                {0: "no incident the year before", 1: "incident the year before"},
            ),
            ("disability_prior", "disability", {0: "without a disability", 1: "with a disability"}),
        ],
    )
    def test_words_and_cuts(self, subgroup, column, values):
        rows = [
            one
            for number, value in enumerate(values)
            for one in (
                student_year(f"C{number}", 2014, 2, **{column: value}),
                student_year(f"C{number}", 2015, 3),
            )
        ]
        panel = dated_panel([*students("V"), *rows], [visit("V", FALL)])
        sample = select_sample(panel, design_of(subgroup=subgroup))
        found = sample.baseline.set_index("unit_id")["subgroup"]
        assert [found[f"C{number}"] for number in range(len(values))] == list(values.values())
        assert sample.exact == ("index_date", "subgroup")

    def test_grades(self):
        rows = [row for grade in (1, 2, 3, 5) for row in students(f"G{grade}", grade=grade)]
        rows += [row for grade in (1, 2, 3, 5) for row in students(f"V{grade}", grade=grade)]
        visits = [visit(f"V{grade}", FALL) for grade in (1, 2, 3, 5)]
        sample = select_sample(dated_panel(rows, visits), design_of(subgroup="grade"))
        found = sample.baseline.set_index("unit_id")["subgroup"]
        words = {1: "through grade 2", 2: "through grade 2", 3: "grades 3 to 5", 5: "grades 3 to 5"}
        assert {grade: found[f"G{grade}"] for grade in words} == words

    def test_race_is_as_recorded_and_unknown_leaves(self):
        rows = [*students("C", race_ethnicity="white"), *students("U", race_ethnicity=None)]
        panel = dated_panel([*students("V"), *rows], [visit("V", FALL)])
        sample = select_sample(panel, design_of(subgroup="race_ethnicity"))
        found = dict(zip(sample.baseline["unit_id"], sample.baseline["subgroup"], strict=True))
        assert found == {"V": "black", "C": "white"}
        assert flow_of(sample)["no_subgroup"] == (0, 1, 0)

    def test_a_pair_shares_it(self):
        rows, visits, facts = world(9)
        rows = [
            row | {"any_incident": number // 2 % 2} if row["school_year"] == 2014 else row
            for number, row in enumerate(rows)
        ]
        design = design_of(subgroup="any_incident_prior")
        sample, matched = chosen(rows, visits, facts, design)
        pairs = matched.matches.pairs
        sides = [sample.baseline.loc[pairs[side], "subgroup"] for side in ("treated", "comparison")]
        assert len(pairs) > 10
        assert sides[0].nunique() == 2
        assert sides[0].tolist() == sides[1].tolist()


class TestFollowUp:
    """V and C two and three years later; OLD is in grade 7 in the year of the visit."""

    ROWS = (
        *students("V", "C"),
        *students("OLD", "V7", grade=7),
        student_year("V", 2016, 4, attendance_rate=0.8, any_incident=1),
        student_year("C", 2016, 4, attendance_rate=0.7, days_enrolled=19),
        student_year("V", 2017, 5, attendance_rate=0.6),
        student_year("C", 2017, 5, attendance_rate=None),
        student_year("OLD", 2016, 8, attendance_rate=0.5),
        student_year("OLD", 2017, 9, attendance_rate=0.4),
    )
    VISITS = (visit("V", FALL), visit("V7", FALL))
    GRADES = (3, 7)

    def sample(self, follow_up, window="fall", visits=VISITS, **changes):
        asked = {"outcomes": (ATTENDANCE, INCIDENT), "grades": self.GRADES, **changes}
        design = design_of(window, follow_up=follow_up, **asked)
        return select_sample(dated_panel(self.ROWS, visits), design)

    @pytest.mark.parametrize("window", ["fall", "before_year"])
    def test_the_outcome_is_the_panels_value_that_many_years_later(self, window):
        visits = self.VISITS if window == "fall" else (visit("V", SUMMER), visit("V7", SUMMER))
        sample = self.sample(2, window, visits)
        assert list(sample.outcomes) == [
            "attendance_rate",
            "attendance_rate_after_1",
            "attendance_rate_after_2",
            "any_incident",
            "any_incident_after_1",
            "any_incident_after_2",
            "days_enrolled",
        ]
        found = sample.outcomes.set_index(sample.baseline["unit_id"]).fillna(-9)
        assert found["attendance_rate_after_1"].to_dict() == {
            "V": 0.8,
            "C": -9,  # 19 days enrolled
            "OLD": 0.5,
            "V7": -9,  # left the district
        }
        assert found["attendance_rate_after_2"].to_dict() == {
            "V": 0.6,
            "C": -9,
            "OLD": -9,  # in grade 9 by then
            "V7": -9,
        }
        assert found["any_incident_after_1"].to_dict() == {"V": 1, "C": -9, "OLD": 0, "V7": -9}

    def test_how_far_grades_are_followed_is_an_option(self):
        design = design_of("fall", follow_up=2, grades=self.GRADES)
        design = replace(design, eligibility=Eligibility(highest_grade_followed=9))
        sample = select_sample(dated_panel(self.ROWS, self.VISITS), design)
        assert row_of(sample.outcomes, sample, "OLD")["attendance_rate_after_2"] == 0.4

    def test_years_beyond_the_data_are_left_out_with_a_note(self):
        sample = self.sample(3)
        assert "attendance_rate_after_2" in sample.question.outcomes
        assert "attendance_rate_after_3" not in sample.question.outcomes
        assert any(
            "end with 2016-17: no student is followed 3 years after" in note
            for note in sample.notes
        )

    def test_a_question_only_of_years_beyond_the_data_is_an_error(self):
        design = design_of("fall", grades=self.GRADES)
        asked = replace(design.questions[0], outcomes=("attendance_rate_after_3",))
        later = replace(ATTENDANCE, name="attendance_rate_after_3")
        design = replace(design, outcomes=(*design.outcomes, later))
        with pytest.raises(SourceError, match="nobody of question 'summer' is followed 3 years"):
            select_sample(dated_panel(self.ROWS, self.VISITS), design, asked)
