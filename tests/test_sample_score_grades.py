"""Grades without a pretest, grades without a test: what the design's two rules make of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from homevisit_eval.design import (
    Achievement,
    Covariate,
    Outcome,
    Question,
    Variation,
    design_text,
)
from homevisit_eval.design.design_file import parse_design
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample import flow_adds_up, select_sample
from homevisit_eval.sample.score_grades import score_notes
from homevisit_eval.variations import vary_sample
from tiny_panel import ATTENDANCE, MATH, MATH_PRIOR, student_year, tiny_design, tiny_panel, visit

SUMMER = date(2014, 8, 2)
READING = Outcome(
    "reading_score_std", "Reading score", "reading", "continuous", "standard deviations", "higher",
    "reading_score_std_prior",
)  # fmt: skip
READING_PRIOR = Covariate("reading_score_std_prior", "Reading, before", where_measured=True)
COVARIATES = (Covariate("at_risk_prior", "At risk"), MATH_PRIOR, READING_PRIOR)
KEEP_PRETEST = Achievement(grades_without_pretest="keep")
KEEP_BOTH = Achievement("keep", "keep")

TESTS = {
    # grade: mathematics before and after, reading before and after
    1: (0, 0, 0, 0),  # no test in either year
    2: (1, 0, 1, 0),  # a pretest, and no test of the outcome
    3: (0, 1, 0, 1),  # the first test is the outcome
    4: (1, 1, 0, 1),  # reading was not tested the year before
    5: (1, 1, 1, 1),
}


def district(tests=TESTS, each=4):
    """Return a panel in which every student of a grade took what the grade takes; V is visited."""
    rows, visits = [], []
    for grade, (math_prior, math, reading_prior, reading) in tests.items():
        for number in range(each):
            student = f"{'V' if number == 0 else 'C'}{grade}{number}"
            score = 0.25 * number
            before = {"math_score_std": score} if math_prior else {}
            before |= {"reading_score_std": score} if reading_prior else {}
            after = {"math_score_std": score} if math else {}
            after |= {"reading_score_std": score} if reading else {}
            rows.append(student_year(student, 2014, grade - 1, **before))
            rows.append(student_year(student, 2015, grade, **after))
        visits.append(visit(f"V{grade}0", SUMMER))
    return tiny_panel(rows, visits)


usual_district = cache(district)


def selected(rule=Achievement(), outcomes=(MATH, READING), panel=None, **changes):  # noqa: B008
    design = tiny_design(covariates=COVARIATES, outcomes=outcomes, achievement=rule, **changes)
    sample = select_sample(panel or usual_district(), design)
    assert flow_adds_up(sample.flow)
    return sample


def grades_observed(sample, outcome):
    """Return the grades in which an outcome is there."""
    seen = sample.outcomes[outcome].notna()
    return sorted(set(sample.baseline.loc[seen, "grade"]))


def left_by(sample):
    names = ("no_pretest", "no_outcome")
    return {one.name: (one.visited, one.comparison) for one in sample.flow if one.name in names}


@pytest.mark.parametrize(
    ("rule", "grades", "math", "reading", "left"),
    [
        (Achievement(), [4, 5], [4, 5], [5], {"no_pretest": (2, 6), "no_outcome": (1, 3)}),
        (KEEP_PRETEST, [3, 4, 5], [3, 4, 5], [3, 4, 5], {"no_outcome": (2, 6)}),
        (Achievement("leave_out", "keep"), [2, 4, 5], [4, 5], [5], {"no_pretest": (2, 6)}),
        (KEEP_BOTH, [1, 2, 3, 4, 5], [3, 4, 5], [3, 4, 5], {}),
    ],
)
def test_each_subject_goes_by_its_own_scores(rule, grades, math, reading, left):
    sample = selected(rule)
    assert sorted(set(sample.baseline["grade"])) == grades
    assert grades_observed(sample, "math_score_std") == math
    assert grades_observed(sample, "reading_score_std") == reading
    assert left_by(sample) == left


@pytest.mark.parametrize("rule", [Achievement(), KEEP_PRETEST])
def test_other_outcomes_keep_every_grade(rule):
    alone = selected(rule, (ATTENDANCE,))
    beside = selected(rule, (ATTENDANCE, MATH))
    assert sorted(set(beside.baseline["grade"])) == [1, 2, 3, 4, 5]
    assert beside.baseline["unit_id"].tolist() == alone.baseline["unit_id"].tolist()
    for name in ("attendance_rate", "days_enrolled"):
        assert beside.outcomes[name].tolist() == alone.outcomes[name].tolist()
    expected = [4, 5] if rule == Achievement() else [3, 4, 5]
    assert grades_observed(beside, "math_score_std") == expected
    assert left_by(beside) == {}


def test_the_notes_name_the_grades():
    sample = selected()
    notes = score_notes(sample.design, sample.score_grades)
    assert notes == (
        "Math score: grades 1, 3 (2014-15) left out, no pretest; grade 2 (2014-15) left out, not "
        "tested.",
        "Reading score: grades 1, 3, 4 (2014-15) left out, no pretest; grade 2 (2014-15) left out, "
        "not tested.",
    )
    assert set(notes) <= set(sample.notes)
    assert not any("observed for nobody" in note for note in sample.notes)
    kept = selected(KEEP_BOTH, (MATH,))
    assert score_notes(kept.design, kept.score_grades) == (
        "Math score: grades 1, 3 (2014-15) kept without a pretest, on the other covariates; grades "
        "1-2 (2014-15) kept in the sample, not tested.",
    )


@pytest.mark.parametrize(("scores", "stays"), [(3, True), (2, False)])
def test_a_tenth_of_a_grade_makes_a_test(scores, stays):
    """Three of thirty are a tenth; those who left the district before do not count."""
    panel = district({4: (1, 0, 0, 0), 5: (1, 1, 1, 1)}, each=30)
    rows = panel.to_pandas("students").astype(object).where(lambda frame: frame.notna(), None)
    taken = (rows["grade"] == 4) & (rows["school_year"] == 2015)
    rows.loc[rows[taken].index[:scores], "math_score_std"] = 0.5
    again = tiny_panel(rows.to_dict("records"), [visit("V40", SUMMER), visit("V50", SUMMER)])
    sample = selected(outcomes=(MATH,), panel=again)
    assert (4 in set(sample.baseline["grade"])) == stays
    assert left_by(sample) == ({} if stays else {"no_outcome": (1, 29)})


def test_later_scores_count_among_those_who_are_still_enrolled():
    """Grade 4 of 2015 is tested in 2016; nine of ten have left, and one is enough."""
    rows = []
    for number in range(10):
        student = f"{'V' if number == 0 else 'C'}{number}"
        rows += [
            student_year(student, 2014, 3, math_score_std=0.1),
            student_year(student, 2015, 4, math_score_std=0.2),
        ]
    rows += [student_year("C1", 2016, 5, math_score_std=0.3), student_year("V0", 2016, 5)]
    panel = tiny_panel(rows, [visit("V0", SUMMER)])
    sample = selected(outcomes=(MATH,), panel=panel, follow_up=1)
    later = {one.outcome: one for one in sample.score_grades}["math_score_std_after_1"]
    assert later.left_out == {}
    assert sample.outcomes["math_score_std_after_1"].notna().sum() == 1


def test_a_repeater_has_the_score_of_the_same_grade_as_a_pretest():
    panel = usual_district()
    rows = panel.to_pandas("students").astype(object).where(lambda frame: frame.notna(), None)
    repeats = (rows["student_id"] == "C51") & (rows["school_year"] == 2014)
    rows.loc[repeats, ["grade", "math_score_std"]] = [5, -1.5]
    visits = [visit(f"V{grade}0", SUMMER) for grade in TESTS]
    sample = selected(outcomes=(MATH,), panel=tiny_panel(rows.to_dict("records"), visits))
    baseline = sample.baseline.set_index("unit_id")
    assert baseline.loc["C51", "math_score_std_prior"] == -1.5


def test_without_a_named_pretest_nothing_is_left_out_for_it():
    sample = selected(outcomes=(replace(MATH, baseline=None),))
    assert grades_observed(sample, "math_score_std") == [3, 4, 5]
    assert any("the design names no pretest" in note for note in sample.notes)


@pytest.mark.parametrize(
    ("tests", "said", "advice"),
    [
        ({3: (0, 1, 0, 1)}, "has the pretest math_score_std_prior", "grades_without_pretest"),
        ({2: (1, 0, 1, 0)}, "takes the test of math_score_std", "take the outcome math_score_std"),
        (
            {2: (1, 0, 1, 0), 3: (0, 1, 0, 1)},
            "has both the pretest math_score_std_prior and the test",
            "grades_without_pretest",
        ),
    ],
)
def test_rules_that_leave_no_grade(tests, said, advice):
    words = f"assessments: Math score: no grade and year of grades 1-5, 2014-15 {said}.*{advice}"
    with pytest.raises(SourceError, match=words):
        selected(panel=district(tests))


def test_a_variation_keeps_grades_without_a_pretest():
    sample = selected(outcomes=(MATH,))
    keep = Variation("keep", "Kept", grades_without_pretest="keep")
    panel = usual_district()
    varied = vary_sample(panel, sample, keep)
    assert varied.design.achievement == KEEP_PRETEST
    again = selected(KEEP_PRETEST, (MATH,))
    assert varied.baseline.equals(again.baseline)
    assert varied.outcomes.equals(again.outcomes)
    back = vary_sample(panel, varied, Variation("out", "Out", grades_without_pretest="leave_out"))
    assert back.baseline.equals(sample.baseline)


class TestDesign:
    def test_rules_and_variations_round_trip(self):
        keep = Variation("keep", "Kept", grades_without_pretest="keep")
        design = replace(
            tiny_design(outcomes=(MATH,), achievement=Achievement("keep", "leave_out")),
            sensitivity=(keep,),
        )
        assert parse_design(design_text(design)) == design

    def test_only_the_two_words(self):
        with pytest.raises(DesignError, match="must be one of 'leave_out', 'keep'"):
            Achievement(grades_without_pretest="drop")  # type: ignore[arg-type]
        text = design_text(tiny_design()).replace(
            'grades_without_outcome = "leave_out"', 'grades_without_outcome = "left_out"'
        )
        with pytest.raises(
            DesignError, match=r"achievement\.grades_without_outcome must be one of"
        ):
            parse_design(text)

    def test_a_variation_of_it_needs_scores(self):
        keep = Variation("keep", "Kept", grades_without_pretest="keep")
        with pytest.raises(DesignError, match="needs a question about test scores"):
            replace(tiny_design(), sensitivity=(keep,))
        design = tiny_design(outcomes=(ATTENDANCE, MATH))
        other = Question("other", "Other", "secondary", ("attendance_rate",))
        named = replace(keep, questions=("other",))
        with pytest.raises(DesignError, match=r"sensitivity\[0\]\.grades_without_pretest"):
            replace(design, questions=(design.questions[0], other), sensitivity=(named,))
