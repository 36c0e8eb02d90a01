"""Students who lack a covariate: who leaves, who stays with a stand-in, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from homevisit_eval.design import (
    CompleteCases,
    Covariate,
    MissingIndicator,
    MultipleImputation,
    StudyDesign,
)
from homevisit_eval.sample import flow_adds_up, select_sample
from homevisit_eval.sample.missing import NOT_ACCEPTED, MissingCount, missing_notes
from small_sample import random_sample
from tiny_panel import (
    MATH,
    MATH_PRIOR,
    enrolled,
    student_year,
    tiny_design,
    tiny_panel,
    visit,
)

SUMMER = date(2014, 8, 2)
COVARIATES = (
    Covariate("attendance_rate_prior", "Attendance", squared=True),
    Covariate("at_risk_prior", "At risk"),
    Covariate("race_ethnicity", "Race"),
)


@cache
def panel_with_gaps():
    """Five comparison students; A lacks at-risk, B at-risk and attendance, C race; V is visited."""
    rows = [*enrolled("V"), *enrolled("W"), *enrolled("X"), *enrolled("C", race_ethnicity=None)]
    for student, changes in {
        "A": {"at_risk": None},
        "B": {"at_risk": None, "attendance_rate": None},
        "Y": {"at_risk": 0, "attendance_rate": 0.75},
    }.items():
        rows += [student_year(student, 2014, 2, **changes), student_year(student, 2015, 3)]
    return tiny_panel(rows, [visit("V", SUMMER), visit("B", SUMMER)])


def design_with(rule, **changes) -> StudyDesign:
    return replace(tiny_design(covariates=COVARIATES, **changes), missing_covariates=rule)


def by_student(sample) -> pd.DataFrame:
    return sample.baseline.set_index("unit_id")


class TestCompleteCases:
    def test_they_leave_and_the_counts_are_kept(self):
        sample = select_sample(panel_with_gaps(), design_with(CompleteCases()))
        assert sorted(sample.baseline["unit_id"]) == ["V", "W", "X", "Y"]
        steps = {step.name: (step.visited, step.comparison) for step in sample.flow}
        assert steps["missing_attendance_rate_prior"] == (1, 0)  # B, of both that it lacks
        assert steps["missing_at_risk_prior"] == (0, 1)
        assert steps["missing_race_ethnicity"] == (0, 1)
        assert sample.missing == (
            MissingCount("attendance_rate_prior", "Attendance", 1, 0, 2, 5),
            MissingCount("at_risk_prior", "At risk", 1, 1, 2, 5),
            MissingCount("race_ethnicity", "Race", 0, 1, 2, 5),
        )
        assert sample.indicators == ()
        assert missing_notes(CompleteCases(), sample.missing) == ()


class TestIndicator:
    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls):
        return select_sample(panel_with_gaps(), design_with(MissingIndicator()))

    def test_everybody_stays_and_the_flow_adds_up(self, sample):
        assert sorted(sample.baseline["unit_id"]) == ["A", "B", "C", "V", "W", "X", "Y"]
        assert flow_adds_up(sample.flow)
        assert not [step for step in sample.flow if step.name.startswith("missing_")]
        assert (sample.flow[-1].visited, sample.flow[-1].comparison) == (2, 5)
        assert sample.flow[-1].label == "Candidates, missing covariates filled in"

    def test_numbers_take_the_mean_of_those_who_have_it(self, sample):
        values = by_student(sample)
        assert values.loc["B", "attendance_rate_prior"] == pytest.approx((5 * 0.95 + 0.75) / 6)
        assert values.loc["A", "at_risk_prior"] == pytest.approx(4 / 5)
        assert values.loc["Y", "at_risk_prior"] == 0

    def test_categories_get_a_level_of_their_own_and_no_indicator(self, sample):
        values = by_student(sample)["race_ethnicity"]
        assert values["C"] == "missing"
        assert values.drop("C").unique().tolist() == ["black"]
        assert "race_ethnicity_missing" not in sample.baseline

    def test_indicators_are_covariates_of_the_band(self, sample):
        values = by_student(sample)
        assert values.index[values["at_risk_prior_missing"] == 1].tolist() == ["A", "B"]
        assert values.index[values["attendance_rate_prior_missing"] == 1].tolist() == ["B"]
        added = ("attendance_rate_prior_missing", "at_risk_prior_missing")
        assert sample.covariates["all grades"] == (*(one.name for one in COVARIATES), *added)
        assert tuple(one.name for one in sample.indicators) == added
        assert sample.indicators[1].label == "Missing: At risk"
        assert sample.adjusted_for == (*COVARIATES, *sample.indicators)

    def test_the_notes_say_that_the_clearinghouse_does_not_accept_it(self, sample):
        assert NOT_ACCEPTED in sample.notes
        text = " ".join(sample.notes)
        assert "At risk (<10 visited, <10 comparison student-years)" in text

    def test_nothing_missing_changes_nothing_and_says_nothing(self):
        panel = tiny_panel([*enrolled("V"), *enrolled("W")], [visit("V", SUMMER)])
        plain = select_sample(panel, design_with(CompleteCases()))
        for rule in (MissingIndicator(), MultipleImputation()):
            sample = select_sample(panel, design_with(rule))
            assert_frame_equal(sample.baseline, plain.baseline)
            assert sample.covariates == plain.covariates
            assert sample.notes == plain.notes


def test_numbers_missing_in_the_same_rows_share_one_indicator():
    lacking = student_year("A", 2014, 2, at_risk=None, disability=None)
    rows = [*enrolled("V"), *enrolled("W"), lacking, student_year("A", 2015, 3)]
    covariates = (
        Covariate("at_risk_prior", "At risk"),
        Covariate("disability_prior", "Disability"),
    )
    design = replace(tiny_design(covariates=covariates), missing_covariates=MissingIndicator())
    sample = select_sample(tiny_panel(rows, [visit("V", SUMMER)]), design)
    assert [(one.name, one.label) for one in sample.indicators] == [
        ("at_risk_prior_missing", "Missing: At risk and Disability")
    ]


class TestPretests:
    """A pretest that the grade does not have is not missing; one that a student lacks is."""

    def panel(self):
        rows = []
        for number in range(4):
            for grade in (2, 4):
                score = {"math_score_std": 0.5 * number} if grade == 4 and number else {}
                rows += [
                    student_year(f"S{grade}{number}", 2014, grade - 1, **score),
                    student_year(f"S{grade}{number}", 2015, grade, math_score_std=0.1),
                ]
        return tiny_panel(rows, [visit("S21", SUMMER), visit("S41", SUMMER)])

    def design(self, rule, **changes):
        covariates = (Covariate("attendance_rate_prior", "Attendance"), MATH_PRIOR)
        plain = tiny_design(covariates=covariates, **changes)
        return replace(plain, missing_covariates=rule)

    @pytest.mark.parametrize("rule", [MissingIndicator(), MultipleImputation()])
    def test_only_students_of_the_grade_that_has_it_lack_it(self, rule):
        sample = select_sample(self.panel(), self.design(rule))
        assert len(sample.baseline) == 8
        assert sample.missing == (
            MissingCount("attendance_rate_prior", "Attendance", 0, 0, 2, 6),
            MissingCount(MATH_PRIOR.name, MATH_PRIOR.label, 0, 1, 1, 3),
        )
        without = sample.baseline[sample.baseline["grade"] == 2]
        assert without["math_score_std_prior"].isna().all()
        assert "math_score_std_prior" not in sample.covariates["without pretest"]

    def test_the_indicator_is_a_covariate_where_the_grade_has_the_test(self):
        sample = select_sample(self.panel(), self.design(MissingIndicator()))
        name = "math_score_std_prior_missing"
        assert name in sample.covariates["with pretest"]
        assert name not in sample.covariates["without pretest"]
        values = by_student(sample)
        assert values.loc["S40", "math_score_std_prior"] == pytest.approx((0.5 + 1 + 1.5) / 3)
        assert values.loc[values[name] == 1].index.tolist() == ["S40"]

    @pytest.mark.parametrize("rule", [MissingIndicator(), MultipleImputation()])
    def test_a_question_on_the_outcome_still_leaves_out_grades_without_it(self, rule):
        sample = select_sample(self.panel(), self.design(rule, outcomes=(MATH,)))
        assert sample.baseline["grade"].unique().tolist() == [4]
        assert {step.name: step.total for step in sample.flow}["no_pretest"] == 4


def test_under_multiple_imputation_everybody_stays_and_values_stay_missing():
    sample = select_sample(panel_with_gaps(), design_with(MultipleImputation(imputations=7)))
    values = by_student(sample)
    assert len(values) == 7
    assert values["at_risk_prior"].isna().sum() == 2
    assert any(note.startswith("Missing covariates were drawn 7 times") for note in sample.notes)
    assert not any(NOT_ACCEPTED in note for note in sample.notes)


def test_notes_and_representations_hide_few():
    few = MissingCount("x", "X", 3, 40, 500, 900)
    assert repr(few) == "MissingCount('x', visited=<10, comparison=40)"
    assert "X (<10 visited, 40 comparison" in missing_notes(MultipleImputation(), [few])[1]
    assert few.total == 43


def test_text_that_is_no_categorical_gets_a_level_too():
    from homevisit_eval.sample.missing import fill_with_indicators

    sample = random_sample(1, 50)
    race = sample.baseline["race_ethnicity"].astype(object).where(np.arange(50) > 4, None)
    incomplete = replace(sample, baseline=sample.baseline.assign(race_ethnicity=race))
    filled = fill_with_indicators(incomplete)
    assert (filled.baseline["race_ethnicity"] == "missing").sum() == 5
    assert incomplete.baseline["race_ethnicity"].isna().sum() == 5  # the input is as it was
