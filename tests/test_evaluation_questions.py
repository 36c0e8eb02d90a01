"""The further questions of the study, from a district's files to answers and the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.design.questions import Window
from homevisit_eval.evaluation import answer_question, answer_timing
from homevisit_eval.report import tables
from homevisit_eval.sample.whole_year import select_whole_year
from study_panel import study_panel

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def study() -> hv.StudyDesign:
    return hv.read_design(ROOT / "study.toml")


@pytest.fixture(scope="module")
def panel() -> hv.Panel:
    return study_panel()


@pytest.fixture(scope="module")
def year(panel: hv.Panel, study: hv.StudyDesign) -> hv.Answer:
    one_lag = tuple(one for one in study.sensitivity if one.name != "lag_20")
    design = replace(study, sensitivity=one_lag)
    return answer_question(panel, design, study.question("year_behavior"))


def test_visits_during_the_year_are_answered_in_other_ways_too(year: hv.Answer) -> None:
    assert [one.outcome.name for one in year.effects] == ["attendance_rate", "any_incident"]
    assert year.sample is not None
    own = [one for one in year.sample.design.sensitivity if "year_behavior" in one.questions]
    assert len(own) == 3
    assert [one.sensitivity for one in year.sensitivity[::2]] == [one.label for one in own]
    assert not year.sample.baseline.duplicated(["unit_id", "school_year", "index_date"]).any()
    assert year.skipped == ()


def test_achievement_is_answered_with_and_without_grades_that_have_no_pretest(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    answer = answer_question(panel, study, study.question("summer_achievement"))
    assert answer.skipped == ()
    assert answer.matched is not None
    label = next(one.label for one in study.sensitivity if one.name == "without_pretest")
    assert [one.sensitivity for one in answer.sensitivity] == [label, label]
    for main, kept in zip(answer.effects, answer.sensitivity, strict=True):
        assert kept.outcome == main.outcome
        assert kept.n_visited > main.n_visited
    grid = tables.sensitivity_grid(answer.effects, answer.sensitivity).frame
    assert grid["variation"].tolist().count(label) == 2
    grades = tables.achievement_by_grade(answer.matched, answer.effects)
    specification = tables.matching_specification(answer.matched).frame
    said = dict(zip(specification["item"], specification["specification"], strict=True))
    rule = "for grades and years that have a pretest"
    assert rule in said["Grades of test scores"]
    assert rule in grades.notes[0]
    where = "grades 1-2 (2014-15 to 2016-17), grade 3 (2015-16 to 2016-17) left out, no pretest."
    assert f"Mathematics score: {where}" in grades.notes


def test_pairs_share_the_day_the_grade_and_the_school(year: hv.Answer) -> None:
    assert year.matched is not None
    baseline, pairs = year.matched.sample.baseline, year.matched.matches.pairs
    first, second = (baseline.loc[pairs[side]] for side in ("treated", "comparison"))
    for name in ("index_date", "school_year", "grade", "school_id"):
        assert (first[name].to_numpy() == second[name].to_numpy()).all(), name


@pytest.mark.parametrize("window", ["during_year", "any_time"])
def test_the_whole_year_comparison_is_of_whole_years_and_the_never_visited(
    year: hv.Answer, panel: hv.Panel, study: hv.StudyDesign, window: Window
) -> None:
    sample = year.sample
    if window != "during_year":
        question = replace(study.question("year_behavior"), window=window)
        sample = hv.select_sample(panel, study, question)
    assert sample is not None
    whole = select_whole_year(sample, panel)
    keys = pd.MultiIndex.from_frame(whole.baseline[["unit_id", "school_year"]])
    rows = panel.to_pandas().set_index(["student_id", "school_year"]).loc[keys]
    seen = whole.outcomes["attendance_rate"].notna().to_numpy()
    np.testing.assert_array_equal(
        whole.outcomes["attendance_rate"].to_numpy()[seen], rows["attendance_rate"].to_numpy()[seen]
    )
    visits = panel.to_pandas("visits")
    done = visits[visits["completed"] == 1]
    ever = keys.isin(pd.MultiIndex.from_frame(done[["student_id", "school_year"]]))
    assert (ever == (whole.baseline["visited"] == 1).to_numpy()).all()
    asked = sample.baseline.loc[sample.baseline["visited"] == 1, ["unit_id", "school_year"]]
    kept = set(keys[whole.baseline["visited"] == 1])
    there = set(pd.MultiIndex.from_frame(asked))
    assert kept <= there
    assert len(kept) > 0.9 * len(there)  # the rest was not enrolled on the first day


def test_the_whole_year_row_uses_those_without_a_match_in_their_school(year: hv.Answer) -> None:
    (whole,) = (
        one
        for one in year.sensitivity
        if one.sensitivity.startswith("Whole year") and one.outcome.name == "attendance_rate"
    )
    assert whole.n_visited > year.effects[0].n_visited


def test_later_years_rest_on_the_pairs_of_the_main_question(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    main = hv.match_students(hv.select_sample(panel, study))
    later = answer_question(panel, study, study.question("summer_later_years"))
    assert later.matched is not None
    assert later.matched.matches.pairs.equals(main.matches.pairs)
    names = [one.outcome.name for one in later.effects]
    assert names == [
        f"{measure}{after}"
        for measure in ("attendance_rate", "any_incident")
        for after in ("", "_after_1", "_after_2")
    ]
    notes = " ".join(later.matched.sample.notes)
    assert "end with 2016-17" in notes
    assert "followed 3 years after the visit" in notes
    rows = panel.to_pandas().set_index(["student_id", "school_year"])
    sample = later.matched.sample
    keys = list(zip(sample.baseline["unit_id"], sample.baseline["school_year"] + 1, strict=True))
    expected = rows.reindex(keys)
    enough = expected["days_enrolled"].to_numpy() >= study.eligibility.min_days_enrolled
    values = np.where(enough, expected["attendance_rate"].to_numpy(), np.nan)
    np.testing.assert_array_equal(sample.outcomes["attendance_rate_after_1"].to_numpy(), values)


def test_a_year_beyond_the_data_alone_is_a_reason_to_skip(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    (outcome,) = (one for one in study.outcomes if one.name == "attendance_rate")
    beyond = replace(outcome, name="attendance_rate_after_3", label="Attendance, 3 years later")
    question = replace(
        study.questions[0], name="beyond", role="exploratory", outcomes=(beyond.name,)
    )
    design = replace(
        study, outcomes=(*study.outcomes, beyond), questions=(*study.questions, question)
    )
    answer = answer_question(panel, design, question)
    assert answer.effects == ()
    assert "the extracts end with 2016-17" in answer.skipped[0]
    assert "Deliver later years" in answer.skipped[0]


def test_subgroups_are_matched_within_and_tested_together(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    answer = answer_question(panel, study, study.question("summer_by_attendance_rate"))
    assert answer.matched is not None
    baseline, pairs = answer.matched.sample.baseline, answer.matched.matches.pairs
    first, second = (baseline.loc[pairs[side], "subgroup"] for side in ("treated", "comparison"))
    assert (first.to_numpy() == second.to_numpy()).all()
    cuts = baseline.groupby("subgroup", observed=True)["attendance_rate_prior"].agg(["min", "max"])
    assert cuts.loc["attended less than 90 %", "max"] < 0.90
    assert cuts.loc["attended 90 to 95 %", "min"] >= 0.90
    assert cuts.loc["attended 95 % or more", "min"] >= 0.95
    assert [one.outcome.name for one in answer.subgroups] == ["attendance_rate", "any_incident"]
    assert all(one.test is not None for one in answer.subgroups)


def test_small_subgroups_are_refused_with_a_reason(panel: hv.Panel, study: hv.StudyDesign) -> None:
    answer = answer_question(panel, study, study.question("summer_by_race_ethnicity"))
    refused = [one for one in answer.subgroups[0].subgroups if one.refused]
    assert refused
    for one in refused:
        assert "fewer than 10" in one.refused
        assert np.isnan(one.estimate)


def test_a_timing_contrast_is_measured_over_the_same_days(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    found, skipped = answer_timing(panel, study)
    assert skipped == ()
    assert [one.outcome.name for one in found] == ["attendance_rate", "any_incident"]
    for one in found:
        difference = one.difference
        assert difference.estimate == pytest.approx(
            one.earlier.estimate - one.later.estimate, abs=1e-9
        )
        assert "against no visit" in str(one.earlier.estimand)
        assert any("02-01" in note for note in one.notes)


def test_a_contrast_that_nobody_reaches_says_so(panel: hv.Panel, study: hv.StudyDesign) -> None:
    early = replace(study.timing_contrasts[0], landmark="08-01")
    found, skipped = answer_timing(panel, replace(study, timing_contrasts=(early,)))
    assert found == ()
    assert "Choose a later landmark" in skipped[0]


def test_a_question_beside_the_design_is_exploratory(
    panel: hv.Panel, study: hv.StudyDesign
) -> None:
    other = replace(study.questions[0], name="other", role="primary")
    sample = hv.select_sample(panel, study, other)
    assert sample.question.role == "exploratory"
    assert "not among those of the design" in sample.notes[0]
    assert hv.design_checksum(study)[:12] in sample.notes[0]
    assert hv.select_sample(panel, study).question.role == "primary"


@pytest.mark.parametrize("follow_up", [0, 2])
def test_outcomes_that_no_pair_is_followed_for_are_not_called_without_visits(
    study: hv.StudyDesign, follow_up: int
) -> None:
    outcomes = ("attendance_rate", "chronic_absence")
    with pytest.raises(hv.DesignError, match="ask about chronic_absence in a question of"):
        replace(study.questions[0], later_visits="none", outcomes=outcomes, follow_up=follow_up)
    variation = hv.Variation("none", "None", questions=("summer_achievement",), later_visits="none")
    last = len(study.sensitivity)
    with pytest.raises(hv.DesignError, match=rf"sensitivity\[{last}\].later_visits is 'none'"):
        replace(study, sensitivity=(*study.sensitivity, variation))
