"""Evaluation and certificate under every rule for missing covariates."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import prepared_panel
from homevisit_eval.certificate.replicate import run_designs
from homevisit_eval.design import Variation
from homevisit_eval.evaluation import answer_question
from homevisit_eval.sample.missing import NOT_ACCEPTED
from homevisit_eval.synthetic import preset, simulate
from homevisit_eval.truth import true_effect
from study_panel import study_panel

ROOT = Path(__file__).resolve().parent.parent
RULE = hv.MultipleImputation(imputations=3, iterations=2)
VARIATIONS = (
    Variation("cases", "Complete cases", missing_covariates=hv.CompleteCases()),
    Variation("constant", "Filled in", missing_covariates=hv.MissingIndicator()),
    Variation("cr1", "CR1S", model=hv.FixedEffects(covariance="CR1S")),
    Variation("none", "No matching", matching=hv.NoMatching()),
)


@pytest.fixture(scope="module")
def study() -> hv.StudyDesign:
    return replace(hv.read_design(ROOT / "study.toml"), school_years=(2015,))


@pytest.fixture(scope="module")
def panel() -> hv.Panel:
    return study_panel()


@pytest.fixture(scope="module")
def answer(panel: hv.Panel, study: hv.StudyDesign) -> hv.Answer:
    design = replace(study, missing_covariates=RULE, sensitivity=VARIATIONS)
    return answer_question(panel, design, design.questions[0])


def test_an_answer_is_pooled_over_what_the_stages_give(answer, panel, study):
    sample = hv.select_sample(panel, replace(study, missing_covariates=RULE))
    matched = [hv.match_students(one) for one in hv.impute_baseline(sample, RULE)]
    for effect in answer.effects:
        name = effect.outcome.name
        by_hand = hv.pool_effects([hv.estimate_effect(one, name) for one in matched])
        assert (effect.estimate, effect.std_error) == (by_hand.estimate, by_hand.std_error)
        assert effect.notes[:-1] == by_hand.notes
        worst = max(hv.assess_balance(one, name).worst for one in matched)
        assert f"in none of them is a standardized difference above {worst:.3f}" in effect.notes[-1]
        assert answer.balance[name].imputations == 3
    assert answer.matched is not None
    assert answer.matched.sample.imputation == 1
    assert answer.sample.baseline["math_score_std_prior"].isna().sum() > 0


def test_the_flow_and_the_counts_are_those_of_the_first_imputation(answer):
    for effect in answer.effects:
        assert effect.matched_visited == answer.matched.n_visited
        assert effect.matched_comparison == answer.matched.n_comparison
    assert "imputed" in answer.sample.flow[-1].label
    assert answer.sample.flow[-1].visited == answer.matched.sample.n_visited


def test_variations_change_the_rule_and_nothing_else(answer, panel, study):
    rows = {
        one.sensitivity: one for one in answer.sensitivity if one.outcome.name == "any_incident"
    }
    plain = hv.match_students(hv.select_sample(panel, study))
    cases = hv.estimate_effect(plain, "any_incident")
    assert rows["Complete cases"].estimate == cases.estimate
    assert rows["Complete cases"].std_error == cases.std_error
    assert NOT_ACCEPTED in rows["Filled in"].notes
    assert rows["Filled in"].n_visited > rows["Complete cases"].n_visited
    main = next(one for one in answer.effects if one.outcome.name == "any_incident")
    assert rows["CR1S"].estimate == pytest.approx(main.estimate)
    assert rows["CR1S"].std_error != main.std_error
    assert "Pooled over 3 imputations" in rows["No matching"].notes[0]
    assert rows["No matching"].n_comparison > 5 * main.n_comparison


def test_the_report_shows_the_rule_and_what_was_missing(answer, panel, study):
    design = replace(study, missing_covariates=RULE, sensitivity=VARIATIONS)
    evaluation = hv.Evaluation(
        design, (answer,), panel.counts, panel.missing, panel.files, panel.decisions, "", True
    )
    report = hv.build_report(evaluation)
    assert "A6" in {table.name for table in report.tables}
    for words in ("Missing covariates were drawn, and not from outcomes.", "drawn 3 times"):
        assert words in report.html
    assert not re.search(r"SYN\d{5}", report.html)


def test_complete_cases_give_the_numbers_of_a_design_without_the_table(panel, study):
    explicit = replace(study, missing_covariates=hv.CompleteCases())
    assert explicit == study
    sample = hv.select_sample(panel, study)
    assert sample.baseline[list(sample.covariates["with pretest"])].isna().sum().max() > 0
    assert all(one.of_visited >= one.visited for one in sample.missing)


def test_a_certificate_pools_and_averages_the_truth_over_imputations(study):
    small = preset("small")
    mix = replace(small.schools, elementary=5, students=1500)
    simulation = simulate(replace(small, name="little", schools=mix), 3,
                          tables=("schools", "calendar", "visits"))  # fmt: skip
    design = replace(study, missing_covariates=RULE, sensitivity=VARIATIONS[:1])
    trials = run_designs(simulation, design, mode="redrawn", drawing=0, variations=False, spent={})
    with prepared_panel(simulation, design.measurement) as panel:
        sample = hv.select_sample(panel, design)
    matched = [hv.match_students(one) for one in hv.impute_baseline(sample, RULE)]
    for trial in trials:
        effects = [hv.estimate_effect(one, trial.outcome) for one in matched]
        assert trial.estimate == hv.pool_effects(effects).estimate
        kept = [true_effect(simulation.truth, trial.outcome, one) for one in matched]
        assert trial.truth_kept == pytest.approx(np.mean(kept))
        assert trial.truth_all == true_effect(simulation.truth, trial.outcome, sample)
        assert not trial.problem
