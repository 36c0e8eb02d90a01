"""All questions in one call: the same numbers as stage by stage, and what is skipped is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import homevisit_eval as hv
from fabricated import leave_out_drawings
from homevisit_eval.evaluation import answer_question, collect_answers
from study_panel import study_panel

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "synthetic"


STUDY = hv.read_design(ROOT / "study.toml")


@pytest.fixture(scope="module")
def design() -> hv.StudyDesign:
    """Return the study's three questions about visits before the year, asked of one year."""
    study = replace(STUDY, school_years=(2015,))
    return replace(
        study,
        questions=study.questions[:3],
        sensitivity=tuple(one for one in study.sensitivity if not one.questions),
        timing_contrasts=(),
    )


@pytest.fixture(scope="module")
def panel() -> hv.Panel:
    return study_panel()


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


SKIPPED = {
    "summer_achievement": "assessments",
    "summer_engagement": "surveys",
    "teacher_retention": "staff",
}
"""Questions of tables that a district need not deliver."""


@pytest.fixture(scope="module")
def bare(design: hv.StudyDesign, tmp_path_factory: pytest.TempPathFactory) -> hv.Evaluation:
    """Evaluate a district without tests, surveys and names of staff."""
    folder = tmp_path_factory.mktemp("bare") / "district"
    shutil.copytree(DATA, folder)
    for table in ("assessments", "surveys", "staff", "rosters"):
        (folder / f"{table}.csv").unlink()
    visits = (folder / "visits.csv").read_text(encoding="utf-8").splitlines()
    place = visits[0].split(",").index("staff_id_1")
    nameless = [",".join(line.split(",")[:place]) for line in visits]
    (folder / "visits.csv").write_text("\n".join(nameless) + "\n", encoding="utf-8")
    behavior = replace(design.question("summer_behavior"), outcomes=("attendance_rate",))
    slim = replace(
        design,
        covariates=tuple(one for one in design.covariates if not one.where_measured),
        questions=(behavior, *(STUDY.question(name) for name in SKIPPED)),
        sensitivity=(),
    )
    with hv.read_sources(folder) as sources:
        return hv.evaluate(sources, slim)


def test_without_optional_tables_their_questions_are_skipped_with_a_sentence(
    bare: hv.Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bare.answer("summer_behavior").effects
    leave_out_drawings(monkeypatch)
    report = hv.build_report(bare)
    for name, table in SKIPPED.items():
        answer = bare.answer(name)
        assert answer.effects == ()
        (sentence,) = answer.skipped
        assert table in sentence
        assert f"{table} was not delivered" in report.html
    assert report.summary.splitlines()[-1].startswith("Not computed: ")


def test_if_nothing_can_be_answered_the_error_says_why(
    bare: hv.Evaluation, panel: hv.Panel
) -> None:
    answers = [bare.answer(name) for name in SKIPPED]
    words = "No question of the design can be answered.*assessments.*surveys.*staff"
    with pytest.raises(hv.SourceError, match=words):
        collect_answers(panel, bare.design, iter(answers))


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


def test_p_values_are_adjusted_over_all_questions(
    primary: hv.Answer, panel: hv.Panel, design: hv.StudyDesign
) -> None:
    plain = replace(design, sensitivity=())
    others = [answer_question(panel, plain, one) for one in design.questions[1:]]
    evaluation = collect_answers(panel, design, iter([primary, *others]))
    by_name = {effect.outcome.name: effect for effect in evaluation.effects}
    both = sorted(by_name[name].p_value for name in ("attendance_rate", "any_incident"))
    expected = {both[0]: min(2 * both[0], both[1]), both[1]: both[1]}
    for name in ("attendance_rate", "any_incident"):
        effect = by_name[name]
        assert effect.p_value_adjusted == pytest.approx(expected[effect.p_value])
    alone = by_name["math_score_std"]
    assert alone.p_value_adjusted == alone.p_value
