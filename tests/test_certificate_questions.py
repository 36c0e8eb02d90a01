"""Every question of a study in a certificate: its truth, and the numbers of the stages by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import homevisit_eval as hv
from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.certificate import MAIN, Replication, Trial, certify_iter, replicate
from homevisit_eval.certificate.certify import collect_certificate
from homevisit_eval.certificate.designs import as_answered, asked_of, compared_designs
from homevisit_eval.certificate.known import known_of_sample
from homevisit_eval.certificate.plan import Plan
from homevisit_eval.certificate.prepared import (
    needs_files,
    panel_from_files,
    tables_to_simulate,
)
from homevisit_eval.certificate.question_truth import question_truth, require_known
from homevisit_eval.certificate.replicate import run_designs
from homevisit_eval.certificate.timing_truth import known_of_pairs, timing_truth
from homevisit_eval.cli.commands import app
from homevisit_eval.report.certificate_words import outcome_title, unit_of
from homevisit_eval.sample.whole_year import select_whole_year
from homevisit_eval.synthetic import (
    TABLES,
    District,
    Simulation,
    follow_up_truth,
    landmark_truth,
    preset,
    simulate,
)
from homevisit_eval.synthetic.survey_truths import survey_truth
from homevisit_eval.synthetic.teacher_truths import teacher_truth
from homevisit_eval.timing import contrast_pairs, timing_pairs
from homevisit_eval.truth import true_effect
from homevisit_eval.variations import vary_sample

KEY = ["student_id", "school_year"]
OUTCOMES = ("attendance_rate", "any_incident")
COVARIATES = (
    "attendance_rate_prior", "any_incident_prior", "at_risk_prior", "female",
    "attendance_rate_to_date", "incidents_to_date",
)  # fmt: skip
STUDY = hv.read_design("study.toml")
DESIGN = replace(
    STUDY,
    school_years=(2015, 2016),
    covariates=tuple(one for one in STUDY.covariates if one.name in COVARIATES),
)
YEAR = DESIGN.question("year_behavior")
SUMMER = DESIGN.question("summer_behavior")
ASKED = (
    "year_behavior", "summer_later_years", "summer_engagement", "teacher_retention",
    "summer_or_later",
)  # fmt: skip


def little() -> District:
    """Return five schools with many visits during the year, which change whatever can change."""
    small = preset("small")
    return replace(
        small,
        name="little",
        truth_years=(2015, 2016),
        survey_share=0.9,
        schools=replace(small.schools, elementary=5, students=1200),
        selection=replace(small.selection, during=(0.3,) * 6),
        effects=replace(small.effects, retention=0.6, engagement=0.3),
    )


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(little(), 3, tables=TABLES, outcomes=OUTCOMES)


@pytest.fixture(scope="module")
def panel(simulation: Simulation) -> Iterator[hv.Panel]:
    with panel_from_files(simulation, DESIGN.measurement) as opened:
        yield opened


@pytest.fixture(scope="module")
def trials(simulation: Simulation, panel: hv.Panel) -> tuple[Trial, ...]:
    """Return what a replication finds in the panel that the tests look at, too."""

    def opened(
        given: Simulation, measurement: hv.Measurement, questions: Sequence[hv.Question]
    ) -> AbstractContextManager[hv.Panel]:
        assert needs_files(given.district, measurement, questions), "these come from files"
        return nullcontext(panel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicate, "open_panel", opened)
        return run_designs(
            simulation, DESIGN, mode="redrawn", drawing=0, variations=True, spent={},
            questions=ASKED,
        )  # fmt: skip


def trial(trials: tuple[Trial, ...], question: str, outcome: str, design: str = MAIN) -> Trial:
    (found,) = [
        one
        for one in trials
        if (one.study_question, one.outcome, one.design) == (question, outcome, design)
    ]
    return found


def mean_effect(truth: pd.DataFrame, matched: hv.MatchedSample, m0: str, outcome: str) -> float:
    """Return the mean effect on the visited who are kept, by a plain join."""
    outcomes, baseline = matched.sample.outcomes, matched.sample.baseline
    kept = (matched.matches.weights.to_numpy() > 0) & (baseline["visited"] == 1)
    rows = baseline[kept & outcomes[outcome].notna()]
    joined = rows.merge(truth, left_on=["unit_id", "school_year"], right_on=KEY, how="left")
    return float((joined[f"{outcome}_m1"] - joined[f"{outcome}_{m0}"]).mean())


# ------------------------------------------------------------------------- which questions


def test_without_names_the_primary_questions_are_asked() -> None:
    """They give the committed numbers, named or not: `test_certificate_golden`."""
    assert [one.name for one in asked_of(DESIGN).questions] == ["summer_behavior"]
    assert asked_of(DESIGN) == asked_of(DESIGN, ("summer_behavior",))


def test_questions_and_contrasts_are_found_by_name() -> None:
    asked = asked_of(DESIGN, ("summer_or_later", "year_behavior", "year_behavior"))
    assert [one.name for one in asked.questions] == ["year_behavior"]
    assert [one.name for one in asked.contrasts] == ["summer_or_later"]
    with pytest.raises(hv.DesignError, match=r"question must be one of .* it is 'yaer_behavior'"):
        certify_iter(DESIGN, little(), replications=1, questions=("yaer_behavior",))


def test_only_the_rows_of_a_question_are_tried_and_none_with_a_lag() -> None:
    assert [one.name for one in compared_designs(DESIGN, YEAR)] == ["whole_year", "no_later_visit"]
    assert compared_designs(DESIGN, DESIGN.question("fall_behavior")) == ()
    names = [one.name for one in compared_designs(DESIGN, SUMMER)]
    assert "whole_year" not in names
    assert "unmatched_means_cr2" in names


def test_the_panel_comes_from_files_only_where_a_question_needs_them() -> None:
    rows = {
        "summer_behavior": False, "summer_later_years": False, "summer_by_at_risk": False,
        "year_behavior": True, "summer_engagement": True, "teacher_retention": True,
        "summer_or_later": True,
    }  # fmt: skip
    for name, files in rows.items():
        answered = as_answered(DESIGN, asked_of(DESIGN, (name,)), variations=False)
        tables = tables_to_simulate(little(), DESIGN.measurement, answered)
        assert (set(tables) == set(TABLES)) == files, name
    found = next(one for one in DESIGN.sensitivity if one.name == "no_later_visit")
    followed = replace(found, questions=("summer_behavior",))
    design = replace(DESIGN, sensitivity=(followed,))
    for variations in (False, True):
        answered = as_answered(design, asked_of(design), variations=variations)
        tables = tables_to_simulate(little(), design.measurement, answered)
        assert (set(tables) == set(TABLES)) == variations


@pytest.mark.parametrize(
    ("changes", "drawn_anew", "message"),
    [
        ({"programs": ("EC",)}, False, "EC visits is not known"),
        ({"window": "fall", "lag_days": 10}, False, "from 10 days after the visit on is not known"),
        ({"window": "fall", "outcomes": ("any_incident_after_1",)}, False, "later years"),
        ({"window": "fall", "outcomes": ("involvement_at_home",)}, False, "the family survey"),
        ({"follow_up": 2}, True, "Choose mode redrawn"),
        ({"unit": "teacher", "outcomes": ("retained_in_school",)}, True, "teachers is known with"),
    ],
)
def test_what_no_district_knows_is_refused_before_anything_is_simulated(
    changes: dict[str, object], drawn_anew: bool, message: str
) -> None:
    question = replace(SUMMER, **changes)  # type: ignore[arg-type]
    with pytest.raises(hv.DesignError, match=message):
        require_known(question, drawn_anew=drawn_anew)
    require_known(SUMMER, drawn_anew=True)


def test_an_outcome_without_a_truth_is_refused(simulation: Simulation, panel: hv.Panel) -> None:
    name = "days_unexcused_full"
    question = replace(SUMMER, outcomes=(name,))
    outcome = hv.Outcome(name, "Unexcused full days", "behavior", "count", "days", "lower")
    design = replace(DESIGN, outcomes=(*DESIGN.outcomes, outcome))
    sample = hv.select_sample(panel, design, question)
    with pytest.raises(hv.DesignError, match=f"{name} is not known"):
        known_of_sample(question_truth(simulation, question), sample, name)
    contrast = replace(DESIGN.timing_contrasts[0], outcomes=(name,))
    with pytest.raises(hv.DesignError, match=rf"'summer_or_later': the truth of .* {name}"):
        timing_truth(simulation, contrast)


def test_a_mode_that_a_question_does_not_know_is_refused() -> None:
    with pytest.raises(hv.DesignError, match="Choose mode redrawn"):
        certify_iter(DESIGN, "small", replications=1, mode="fixed", questions=ASKED)


def test_replications_of_other_questions_are_refused(trials: tuple[Trial, ...]) -> None:
    (place,) = {Plan("redrawn", 1, 20).place(0)}
    done = (Replication("redrawn", 0, *place, trials),)
    certify_iter(DESIGN, little(), replications=2, done=done, questions=ASKED)
    with pytest.raises(hv.DesignError, match="other questions were asked"):
        certify_iter(DESIGN, little(), replications=2, done=done)


# ----------------------------------------------------------------------------- truths


def test_the_truth_of_visits_before_the_year_is_the_simulations(simulation: Simulation) -> None:
    assert question_truth(simulation, SUMMER) is simulation.truth


@pytest.mark.parametrize("window", ["fall", "spring", "during_year"])
def test_waiting_or_no_visit_takes_the_place_of_no_visit(
    window: str, simulation: Simulation
) -> None:
    question = replace(YEAR, window=window)  # type: ignore[arg-type]
    seen = simulation.visit_truth
    truth = question_truth(simulation, question)
    assert truth["any_incident_m0"].tolist() == seen["any_incident_mw"].tolist()
    assert truth["any_incident_m1"].tolist() == seen["any_incident_m1"].tolist()
    none = question_truth(simulation, replace(question, later_visits="none"))
    both = seen.merge(none, on=KEY, suffixes=("", "_none"))
    assert len(both) == len(none) == len(seen)
    for name in ("any_incident_m1", "any_incident_m0", "attendance_rate_m0"):
        apart = (both[name] - both[f"{name}_none"]).abs()
        assert apart.median() < 1e-4, name  # students who change schools have further days


def test_the_truth_is_of_the_drawing_that_was_simulated() -> None:
    again = simulate(little(), 3, tables=(), outcomes=OUTCOMES, replication=2)
    none = question_truth(again, replace(YEAR, later_visits="none"), drawing=2)
    both = again.visit_truth.merge(none, on=KEY, suffixes=("", "_none"))
    assert len(both) == len(none)
    assert (both["any_incident_m1"] - both["any_incident_m1_none"]).abs().median() < 1e-4


def test_any_time_is_about_the_visited_before_and_during_the_year(simulation: Simulation) -> None:
    for window in ("any_time", "first_ever"):
        question = replace(YEAR, window=window)  # type: ignore[arg-type]
        truth = question_truth(simulation, question)
        assert not truth.duplicated(KEY).any()
        before = simulation.truth[simulation.truth["visited_before_year"] == 1]
        assert len(truth) == len(before) + len(simulation.visit_truth)
        gain = (truth["any_incident_m1"] - truth["any_incident_m0"]).to_numpy()
        summer = before["any_incident_m1"] - before["any_incident_m0"]
        assert gain[: len(before)] == pytest.approx(summer.to_numpy())
        assert "math_score_std_m1" not in truth
    summer_none = question_truth(simulation, replace(SUMMER, later_visits="none"))
    assert set(summer_none["window"]) == {"before_year"}
    # against no visit at all a visit changes more than against later ones
    both = simulation.truth.merge(summer_none, on=KEY, suffixes=("", "_none"))
    gain = both["any_incident_m1"] - both["any_incident_m0"]
    assert (both["any_incident_m1_none"] - both["any_incident_m0_none"]).mean() < gain.mean() < 0


def test_later_years_surveys_and_teachers_have_their_own_truths(simulation: Simulation) -> None:
    later = replace(SUMMER, follow_up=2)
    truth = question_truth(simulation, later, draws=1)
    rows = follow_up_truth(simulation.district, simulation.seed, replications=1)
    for after in (1, 2):
        one = rows[rows["follow_up"] == after].merge(truth, on=KEY, suffixes=("_own", ""))
        assert len(one) == (rows["follow_up"] == after).sum() > 0
        name = f"any_incident_after_{after}_m1"
        assert one[name].to_numpy() == pytest.approx(one["any_incident_m1_own"].to_numpy())
        assert truth[name].notna().sum() == len(one)
    assert len(truth) == len(simulation.truth)
    none = question_truth(simulation, replace(later, later_visits="none"), draws=1)
    both = truth.merge(none, on=KEY, suffixes=("", "_none"))
    assert both["any_incident_after_1_m1"].equals(both["any_incident_after_1_m1_none"])
    assert (both["any_incident_after_1_m0_none"] - both["any_incident_after_1_m0"]).mean() > 0.001
    asked = DESIGN.question("summer_engagement")
    scales = question_truth(simulation, asked)
    own = survey_truth(simulation.district, simulation.seed)
    assert scales["involvement_at_home_m1"].notna().sum() == len(own)
    gain = (scales["involvement_at_home_m1"] - scales["involvement_at_home_m0"]).mean()
    assert 0.2 < gain < 0.3  # SDs of what was observed, of .3 in the trait
    teachers = question_truth(simulation, DESIGN.question("teacher_retention"))
    own = teacher_truth(simulation.district, simulation.seed)
    assert teachers["student_id"].tolist() == own["staff_id"].tolist()


# ---------------------------------------------------------------- the stages, by hand


def test_a_question_about_the_year_is_answered_as_by_hand(
    simulation: Simulation, panel: hv.Panel, trials: tuple[Trial, ...]
) -> None:
    sample = hv.select_sample(panel, DESIGN, YEAR)
    matched = hv.match_students(sample)
    whole = select_whole_year(sample, panel)
    for outcome in OUTCOMES:
        found = trial(trials, "year_behavior", outcome)
        effect = hv.estimate_effect(matched, outcome)
        assert (found.estimate, found.std_error) == (effect.estimate, effect.std_error)
        by_hand = mean_effect(simulation.visit_truth, matched, "mw", outcome)
        assert found.truth_kept == pytest.approx(by_hand, abs=1e-12)
        groups = whole.outcomes[outcome].groupby(whole.baseline["visited"]).mean()
        assert found.naive == pytest.approx(groups[1] - groups[0], abs=1e-12)
        raw = sample.outcomes[outcome].groupby(sample.baseline["visited"]).mean()
        assert found.naive != pytest.approx(raw[1] - raw[0])
        observed = sample.outcomes[outcome].notna() & (sample.baseline["visited"] == 1)
        assert found.visited == observed.sum()
        assert found.kept == (observed & (matched.matches.weights > 0)).sum()


def test_variations_of_it_have_the_truth_that_they_ask_for(
    simulation: Simulation, panel: hv.Panel, trials: tuple[Trial, ...]
) -> None:
    sample = hv.select_sample(panel, DESIGN, YEAR)
    rows = {one.name: one for one in compared_designs(DESIGN, YEAR)}
    never = vary_sample(panel, sample, rows["no_later_visit"])
    followed = follow_without_visits(hv.match_students(never), panel)
    whole = hv.match_students(vary_sample(panel, sample, rows["whole_year"]))
    none = landmark_truth(simulation.district, simulation.seed, landmark="")
    for outcome in OUTCOMES:
        found = trial(trials, "year_behavior", outcome, "no_later_visit")
        assert found.estimate == hv.estimate_effect(followed, outcome).estimate
        by_hand = mean_effect(none, followed, "m0", outcome)
        assert found.truth_kept == pytest.approx(by_hand, abs=1e-12)
        main = trial(trials, "year_behavior", outcome)
        assert abs(found.truth_all) > abs(main.truth_all) > 0
        # the whole-year comparison is held against what the question asks for
        naive = trial(trials, "year_behavior", outcome, "whole_year")
        assert naive.estimate == hv.estimate_effect(whole, outcome).estimate
        by_hand = mean_effect(simulation.visit_truth, whole, "mw", outcome)
        assert naive.truth_kept == pytest.approx(by_hand, abs=1e-12)
        assert naive.naive == main.naive


def test_teachers_surveys_and_later_years_are_answered_as_by_hand(
    simulation: Simulation, panel: hv.Panel, trials: tuple[Trial, ...]
) -> None:
    for name in ("summer_engagement", "teacher_retention", "summer_later_years"):
        question = DESIGN.question(name)
        truth = question_truth(simulation, question)
        matched = hv.match_students(hv.select_sample(panel, DESIGN, question))
        for outcome in matched.sample.question.outcomes:
            found = trial(trials, name, outcome)
            effect = hv.estimate_effect(matched, outcome)
            assert (found.estimate, found.p_value) == (effect.estimate, effect.p_value)
            assert found.truth_kept == true_effect(truth, outcome, matched)
            assert math.isfinite(found.truth_all)
            assert not found.problem
    outcomes = {one.outcome for one in trials if one.study_question == "summer_later_years"}
    assert outcomes == {f"{name}{k}" for name in OUTCOMES for k in ("", "_after_1", "_after_2")}


def test_each_subgroup_has_an_effect_and_a_truth_of_its_own(
    simulation: Simulation, panel: hv.Panel
) -> None:
    question = DESIGN.question("summer_by_at_risk")
    trials = run_designs(
        simulation, DESIGN, mode="redrawn", drawing=0, variations=False, spent={},
        questions=(question.name,),
    )  # fmt: skip
    matched = hv.match_students(hv.select_sample(panel, DESIGN, question))
    baseline = matched.sample.baseline
    used = (matched.matches.weights > 0) & (baseline["visited"] == 1)
    found = hv.estimate_subgroups(matched, "any_incident", "subgroup")
    assert len(found.subgroups) == 2
    effects = simulation.truth.set_index(KEY)
    effect = effects["any_incident_m1"] - effects["any_incident_m0"]
    truths = []
    for one in found.subgroups:
        known = trial(trials, question.name, "any_incident", f"subgroup: {one.subgroup}")
        assert (known.estimate, known.ci_low) == (one.estimate, one.ci_low)
        here = baseline["subgroup"] == one.subgroup
        rows = pd.MultiIndex.from_frame(baseline.loc[used & here, ["unit_id", "school_year"]])
        truths.append(float(effect.loc[rows].mean()))
        assert known.truth_kept == pytest.approx(truths[-1], abs=1e-12)
        assert known.kept == len(rows) <= known.visited
        values = matched.sample.outcomes.loc[here, "any_incident"]
        raw = values.groupby(baseline.loc[here, "visited"]).mean()
        assert known.naive == pytest.approx(raw[1] - raw[0], abs=1e-12)
    assert truths[0] != pytest.approx(truths[1], abs=1e-3)
    assert len(trials) == 2 * (1 + 2)


def test_a_contrast_is_held_against_the_weighted_truth_from_its_landmark_on(
    simulation: Simulation, panel: hv.Panel, trials: tuple[Trial, ...]
) -> None:
    contrast = DESIGN.timing_contrasts[0]
    pairs = timing_pairs(panel, DESIGN, contrast)
    truth = landmark_truth(simulation.district, simulation.seed, landmark=contrast.landmark)
    by_key = truth.set_index(KEY)
    for one in contrast_pairs(pairs, DESIGN, contrast):
        outcome = one.outcome.name
        found = trial(trials, contrast.name, outcome)
        assert found.estimate == one.difference.estimate
        assert found.ci_high == one.difference.ci_high
        means = []
        for side in (pairs.earlier, pairs.later):
            rows = side.sample.baseline
            weights = side.matches.weights.to_numpy()
            seen = side.sample.outcomes[outcome].notna() & (rows["visited"] == 1) & (weights > 0)
            at = by_key.loc[pd.MultiIndex.from_frame(rows.loc[seen, ["unit_id", "school_year"]])]
            effect = (at[f"{outcome}_m1"] - at[f"{outcome}_m0"]).to_numpy()
            means.append(np.average(effect, weights=weights[seen]))
        assert found.truth_kept == pytest.approx(means[0] - means[1], abs=1e-12)
        known = known_of_pairs(truth, pairs, outcome)
        assert 0 < found.kept == known.kept < known.visited
        assert math.isnan(found.naive)


def test_a_certificate_of_many_questions_names_them(trials: tuple[Trial, ...]) -> None:
    replication = Replication("redrawn", 0, 3, 0, trials)
    made = collect_certificate(DESIGN, preset("small"), 1, [replication])
    assert {one.study_question for one in made.performance} == set(ASKED)
    labels = {one.outcome: one.outcome_label for one in made.performance}
    assert labels["attendance_rate_after_2"] == "Attendance rate, 2 years later"
    assert made.expected == {}
    assert made.because == ""
    drifting = {one.study_question for one in made.verdicts if one.question == "estimand drift"}
    assert drifting == set(ASKED) - {"summer_or_later"}
    titles = {outcome_title(DESIGN, one, made.performance) for one in made.performance}
    assert "Attendance rate (home visit before the school year instead of during it)" in titles
    for one in made.performance:
        assert unit_of(DESIGN, one)


# --------------------------------------------------------------------- recovery, command


@pytest.mark.slow
@pytest.mark.simulation
def test_the_landmark_estimate_recovers_what_the_whole_year_comparison_misses() -> None:
    """Visits follow absences and incidents here, more than in the presets."""
    chosen = little()
    follow = replace(chosen.selection, during=(0.05,) * 6, during_absence=0.5, during_incident=0.45)
    chosen = replace(chosen, selection=follow)
    rows = tuple(one for one in DESIGN.sensitivity if one.name == "whole_year")
    design = replace(DESIGN, sensitivity=rows)
    made = hv.certify(design, chosen, replications=3, seed=5, questions=("year_behavior",))
    z = {
        (one.design, one.outcome): one.bias.value
        / (one.mean_std_error.value / math.sqrt(one.replications))
        for one in made.performance
    }
    for outcome in OUTCOMES:
        assert abs(z[MAIN, outcome]) < 3, outcome
    assert z["whole_year", "any_incident"] > 4
    main = made.performance[1]
    assert (main.design, main.outcome) == (MAIN, "any_incident")
    assert main.naive_bias.value > 4 * abs(main.bias.value)


@pytest.mark.slow
@pytest.mark.simulation
def test_a_contrast_is_right_on_average() -> None:
    made = hv.certify(
        DESIGN, little(), replications=3, seed=2, variations=False, questions=("summer_or_later",)
    )
    for one in made.performance:
        assert one.failed == 0
        assert abs(one.bias.value) < 3 * one.mean_std_error.value / math.sqrt(one.replications)


def test_the_command_hands_questions_on(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    monkeypatch.setattr(
        "homevisit_eval.cli.certify.certify_design", lambda *given: orders.append(given[2])
    )
    arguments = ["certify", "--design", "study.toml", "--out", "nowhere"]
    for more in ([], ["--question", "fall_behavior", "--question", "summer_or_later"]):
        assert CliRunner().invoke(app, [*arguments, *more]).exit_code == 0
    assert [one.questions for one in orders] == [(), ("fall_behavior", "summer_or_later")]
