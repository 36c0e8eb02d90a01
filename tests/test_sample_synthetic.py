"""The questions of the study on the synthetic district, compared with a second reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from homevisit_eval.design import Question, StudyDesign, read_design
from homevisit_eval.panel import Panel
from homevisit_eval.sample import flow_adds_up, select_sample
from sample_agreement import assert_agrees
from sample_oracle import expected_sample
from study_panel import study_panel

ROOT = Path(__file__).parents[1]
STUDY = read_design(ROOT / "study.toml")
DESIGN = replace(
    STUDY,
    questions=STUDY.questions[:3],
    covariates=tuple(one for one in STUDY.covariates if not one.name.endswith("_to_date")),
    sensitivity=(),
    timing_contrasts=(),
)
"""The study's questions about visits before the year, which the second reading knows."""
BEHAVIOR = DESIGN.question("summer_behavior")
SECONDARY = DESIGN.question("summer_behavior_secondary")
QUESTIONS = [
    replace(BEHAVIOR, name="behavior", outcomes=(*BEHAVIOR.outcomes, *SECONDARY.outcomes)),
    DESIGN.question("summer_achievement"),
    replace(BEHAVIOR, name="never_visited", pool="never_visited_that_year"),
    replace(BEHAVIOR, name="outside_program", comparison_schools="outside_program"),
    replace(BEHAVIOR, name="in_person", programs=("FEC",), modes=("in_person",)),
]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return study_panel()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_the_sample_agrees_with_the_second_reading(panel: Panel, question: Question):
    sample = select_sample(panel, DESIGN, question)
    assert flow_adds_up(sample.flow)
    assert_agrees(sample, expected_sample(panel, DESIGN, question))


def test_with_other_grades_and_eligibility(panel: Panel):
    days = replace(DESIGN.eligibility, min_days_enrolled_prior=150, min_days_enrolled=90)
    design: StudyDesign = replace(DESIGN, grades=(-1, 0, 1, 2, 3), eligibility=days)
    question = replace(BEHAVIOR, programs=("FEC",))
    sample = select_sample(panel, design, question)
    steps = {step.name: step for step in sample.flow}
    assert steps["other_program"].neither > 0
    assert steps["few_days_in_baseline_year"].total > 0
    assert_agrees(sample, expected_sample(panel, design, question))


def test_visited_students_differ_before_the_visit(panel: Panel):
    """The district has confounding: without it, nothing here would need a matched comparison."""
    baseline = select_sample(panel, DESIGN).baseline
    at_risk = baseline.groupby("visited")["at_risk_prior"].mean()
    assert at_risk[1] != pytest.approx(at_risk[0], abs=0.01)
