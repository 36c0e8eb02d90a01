"""All questions in one call: the same numbers as stage by stage, and what is skipped is said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import homevisit_eval as hv
from homevisit_eval.evaluation import answer_question, answer_questions, collect_answers

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "synthetic"


@pytest.fixture(scope="module")
def design() -> hv.StudyDesign:
    """Return the design of the study with its three questions about visits before the year."""
    study = hv.read_design(ROOT / "study.toml")
    return replace(
        study,
        questions=study.questions[:3],
        sensitivity=tuple(one for one in study.sensitivity if not one.questions),
        timing_contrasts=(),
    )


@pytest.fixture(scope="module")
def panel(design: hv.StudyDesign) -> Iterator[hv.Panel]:
    with hv.read_sources(DATA) as sources:
        yield hv.build_panel(sources, design.measurement)


@pytest.fixture(scope="module")
def primary(panel: hv.Panel, design: hv.StudyDesign) -> hv.Answer:
    return answer_question(panel, design, design.questions[0])


def test_an_answer_holds_what_the_stages_give(
    primary: hv.Answer, panel: hv.Panel, design: hv.StudyDesign
) -> None:
    matched = hv.match_students(hv.select_sample(panel, design))
    for effect in primary.effects:
        again = hv.estimate_effect(matched, effect.outcome.name)
        assert (effect.estimate, effect.std_error) == (again.estimate, again.std_error)
    assert list(primary.balance) == list(primary.question.outcomes)


def test_each_variation_answers_each_primary_outcome(
    primary: hv.Answer, design: hv.StudyDesign
) -> None:
    labels = [variation.label for variation in design.sensitivity]
    assert [row.sensitivity for row in primary.sensitivity] == [
        label for label in labels for _ in primary.question.outcomes
    ]
    assert primary.skipped == ()


def test_variations_change_what_they_name_and_nothing_else(
    primary: hv.Answer, design: hv.StudyDesign
) -> None:
    main = primary.effects[0]
    rows = {
        variation.name: next(
            row for row in primary.sensitivity if row.sensitivity == variation.label
        )
        for variation in design.sensitivity
    }
    for name in ("cr1", "cluster_matched_set"):
        assert rows[name].estimate == main.estimate
        assert rows[name].std_error != main.std_error
    assert rows["cr1"].covariance == "CR1S"
    assert rows["cluster_matched_set"].clusters > rows["cr1"].clusters
    assert rows["no_matching"].n_comparison > 5 * main.n_comparison
    assert rows["min_days_90"].n_visited < rows["min_days_1"].n_visited
    for name in ("never_visited", "same_school", "outside_program"):
        assert rows[name].estimate != main.estimate
    assert rows["outside_program"].clusters <= main.clusters


def test_without_an_optional_table_its_questions_are_skipped_with_a_sentence(
    design: hv.StudyDesign, tmp_path: Path
) -> None:
    folder = tmp_path / "district"
    shutil.copytree(DATA, folder)
    (folder / "assessments.csv").unlink()
    kept = tuple(one for one in design.covariates if not one.where_measured)
    asked = tuple(design.question(name) for name in ("summer_behavior", "summer_achievement"))
    slim = replace(design, questions=asked, covariates=kept, sensitivity=())
    with hv.read_sources(folder) as sources:
        evaluation = hv.evaluate(sources, slim)
    assert evaluation.answer("summer_behavior").effects
    achievement = evaluation.answer("summer_achievement")
    assert achievement.effects == ()
    assert "assessments" in achievement.skipped[0]
    assert "assessments" in hv.build_report(evaluation).html


def test_if_nothing_can_be_answered_the_error_says_why(
    design: hv.StudyDesign, tmp_path: Path
) -> None:
    folder = tmp_path / "district"
    shutil.copytree(DATA, folder)
    (folder / "incidents.csv").unlink()
    with (
        hv.read_sources(folder) as sources,
        pytest.raises(hv.SourceError, match=r"incidents.*any_incident_prior"),
    ):
        hv.evaluate(sources, design)


def test_an_outcome_without_variation_is_skipped_unless_primary(
    panel: hv.Panel, design: hv.StudyDesign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(matched: hv.MatchedSample, outcome: str, model: object = None) -> hv.Effect:
        if outcome in ("incidents", "any_incident"):
            raise hv.EstimationError("the outcome does not vary.")
        return hv.estimate_effect(matched, outcome)

    monkeypatch.setattr("homevisit_eval.variations.estimate_effect", fails)
    question = design.question("summer_behavior_secondary")
    secondary = answer_question(panel, design, question)
    others = [name for name in question.outcomes if name != "incidents"]
    assert [effect.outcome.name for effect in secondary.effects] == others
    said = [any("were not alike" in note for note in one.notes) for one in secondary.effects]
    unlike = [bool(secondary.balance[name].not_equivalent) for name in others]
    assert said == unlike
    assert 0 < sum(said) < len(said)
    assert secondary.skipped == ("Number of disciplinary incidents: the outcome does not vary.",)
    with pytest.raises(hv.EstimationError):
        answer_question(panel, design, design.questions[0])


def test_p_values_are_adjusted_over_all_questions(panel: hv.Panel, design: hv.StudyDesign) -> None:
    plain = replace(design, sensitivity=())
    evaluation = collect_answers(panel, plain, answer_questions(panel, plain))
    by_name = {effect.outcome.name: effect for effect in evaluation.effects}
    both = sorted(by_name[name].p_value for name in ("attendance_rate", "any_incident"))
    expected = {both[0]: min(2 * both[0], both[1]), both[1]: both[1]}
    for name in ("attendance_rate", "any_incident"):
        effect = by_name[name]
        assert effect.p_value_adjusted == pytest.approx(expected[effect.p_value])
    alone = by_name["math_score_std"]
    assert alone.p_value_adjusted == alone.p_value
