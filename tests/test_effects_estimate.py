"""From a matched sample to an effect: rows, columns, means, sizes, notes and errors."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from effect_examples import (
    EFFECTS,
    matched_example,
    one_effect,
    with_baseline,
    with_outcome,
    with_weights,
)
from homevisit_eval.design import DifferenceInMeans, FixedEffects
from homevisit_eval.effect_sizes import cox_index, hedges_g
from homevisit_eval.effects import estimate_effect
from homevisit_eval.effects.regression.imputation import imputed_effect_on_treated
from homevisit_eval.effects.regression_rows import regression_rows
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample

RELATIVE = 1e-9  # two solvers, double precision, condition numbers below 1e4
CR1S = FixedEffects(covariance="CR1S")
COVARIATES = (
    "visited + attendance_rate_prior + I((attendance_rate_prior - center)**2) + female"
    " + C(race_ethnicity)"
)


def used_rows(matched: MatchedSample, outcome: str) -> pd.DataFrame:
    frame = matched.sample.baseline.assign(
        y=matched.sample.outcomes[outcome],
        weight=matched.matches.weights,
        matched_set=matched.matches.matched_set,
    )
    frame = frame[(frame["weight"] > 0) & frame["y"].notna()]
    pretest = frame["math_score_std_prior"].notna()
    score = frame["math_score_std_prior"]
    return frame.assign(
        center=frame["attendance_rate_prior"].mean(),
        pretest=(score - score.mean()).fillna(0.0),
        has_pretest=pretest.astype(int),
    )


def statsmodels_fit(frame: pd.DataFrame, formula: str, cluster: str = "school_id"):
    groups = pd.factorize(frame[cluster])[0]
    return smf.wls(formula, frame, weights=frame["weight"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_t": True}
    )


@pytest.mark.parametrize("weights", ["matching", "unequal"])
def test_the_estimate_equals_the_regression_written_out(weights):
    matched = matched_example()
    if weights == "unequal":
        drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, 1200)
        matched = with_weights(matched, drawn * matched.matches.weights.to_numpy())
    effect = estimate_effect(matched, "attendance_rate", CR1S)
    frame = used_rows(matched, "attendance_rate")
    theirs = statsmodels_fit(frame, f"y ~ {COVARIATES} + pretest + C(school_year):C(grade)")
    # the center of the square moves the coefficient of the linear term only
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
    assert effect.df == effect.clusters - 1 == 23
    assert effect.p_value == pytest.approx(theirs.pvalues["visited"], rel=1e-6)
    low, high = theirs.conf_int().loc["visited"]
    assert (effect.ci_low, effect.ci_high) == pytest.approx((low, high), rel=RELATIVE)
    assert effect.parameters == 6 + 1 + 6
    pretest = effect.coefficients["math_score_std_prior"]
    assert pretest == pytest.approx((theirs.params["pretest"], theirs.bse["pretest"]), rel=RELATIVE)


def test_weights_are_used():
    matched = matched_example()
    drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, 1200)
    unequal = with_weights(matched, drawn * matched.matches.weights.to_numpy())
    one, other = (estimate_effect(m, "attendance_rate") for m in (matched, unequal))
    assert abs(one.estimate - other.estimate) > 1e-5
    assert abs(one.mean_comparison - other.mean_comparison) > 1e-6
    assert abs(one.sd_visited - other.sd_visited) > 1e-6


def test_bias_reduced_errors_are_the_default():
    effect, other = one_effect(), estimate_effect(matched_example(), "attendance_rate", CR1S)
    assert (effect.covariance, other.covariance) == ("CR2", "CR1S")
    assert effect.df_convention == "Satterthwaite (Bell-McCaffrey)"
    assert effect.df < 23 == other.df
    assert effect.std_error != other.std_error
    assert effect.estimate == other.estimate


def test_an_outcome_of_some_grades_uses_these_only():
    matched = matched_example()
    effect = estimate_effect(matched, "math_score_std", CR1S)
    frame = used_rows(matched, "math_score_std")
    theirs = statsmodels_fit(frame, f"y ~ {COVARIATES} + pretest + C(school_year):C(grade)")
    assert set(frame["grade"]) == {3, 4}
    assert effect.n_visited + effect.n_comparison == len(frame)
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
    lost = 450 - effect.n_visited
    assert f"is not observed for {lost} of 450 ({lost / 4.5:.1f} %) matched" in effect.notes[1]


def test_the_visited_without_a_match_are_told():
    assert "No match was found for 150 of 600 (25.0 %) visited" in one_effect().notes[0]
    assert estimate_effect(matched_example(matching=False), "attendance_rate").notes == ()


def test_small_counts_are_not_told():
    matched = matched_example()
    values = matched.sample.outcomes["attendance_rate"].to_numpy().copy()
    values[:6] = np.nan
    effect = estimate_effect(with_outcome(matched, "attendance_rate", values), "attendance_rate")
    assert effect.n_visited == 447
    assert "Attendance rate is not observed for <10 of 450 matched visited" in effect.notes[1]


def test_a_band_that_splits_cells_gets_its_own_intercept():
    """Grades absorbed alone; the pretest exists in one year only."""
    matched = matched_example()
    baseline = matched.sample.baseline
    in_2015 = (baseline["school_year"] == 2015).to_numpy()
    score = np.random.Generator(np.random.PCG64(4)).normal(size=len(baseline)) + 3.0
    matched = with_baseline(
        matched,
        grade_band=np.where(in_2015, "with pretest", "without pretest"),
        math_score_std_prior=np.where(in_2015, score, np.nan),
    )
    effect = estimate_effect(
        matched, "attendance_rate", FixedEffects(absorb=("grade",), covariance="CR1S")
    )
    frame = used_rows(matched, "attendance_rate")
    theirs = statsmodels_fit(frame, f"y ~ {COVARIATES} + pretest + C(grade) + has_pretest")
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
    assert effect.formula.endswith("| grade + grade_band")


def test_without_absorbed_cells_there_is_an_intercept():
    matched = matched_example()
    effect = estimate_effect(matched, "attendance_rate", FixedEffects(absorb=(), covariance="CR1S"))
    frame = used_rows(matched, "attendance_rate")
    theirs = statsmodels_fit(frame, f"y ~ {COVARIATES} + pretest + has_pretest")
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.formula.endswith("| grade_band")


@pytest.mark.parametrize("cluster", ["matched_set", "student_id"])
def test_errors_may_be_clustered_by_matched_set_or_student(cluster):
    matched = matched_example()
    model = FixedEffects(cluster=cluster, covariance="CR1S")
    effect = estimate_effect(matched, "attendance_rate", model)
    frame = used_rows(matched, "attendance_rate").rename(columns={"unit_id": "student_id"})
    formula = f"y ~ {COVARIATES} + pretest + C(school_year):C(grade)"
    theirs = statsmodels_fit(frame, formula, cluster)
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
    assert effect.clusters == frame[cluster].nunique()
    assert effect.cluster == cluster


def test_difference_in_means_is_that():
    matched = matched_example()
    effect = estimate_effect(matched, "attendance_rate", DifferenceInMeans())
    frame = used_rows(matched, "attendance_rate")
    means = frame.groupby("visited")["y"].mean()
    assert effect.estimate == pytest.approx(means[1] - means[0], rel=RELATIVE)
    assert effect.adjusted_mean_comparison == pytest.approx(means[0], rel=RELATIVE)
    assert effect.formula == "attendance_rate ~ visited"
    assert effect.parameters == 2


def test_without_matching_everybody_counts_once():
    effect = estimate_effect(matched_example(matching=False), "attendance_rate")
    assert (effect.n_visited, effect.n_comparison) == (600, 600)
    assert str(effect.estimand) == "ATT"


def test_means_and_counts_are_those_of_the_rows_used():
    matched, effect = matched_example(), one_effect()
    frame = used_rows(matched, "attendance_rate")
    visited, comparison = frame[frame["visited"] == 1], frame[frame["visited"] == 0]
    assert (effect.n_visited, effect.n_comparison) == (len(visited), len(comparison)) == (450, 450)
    assert effect.mean_visited == pytest.approx(visited["y"].mean(), rel=RELATIVE)
    assert effect.mean_comparison == pytest.approx(comparison["y"].mean(), rel=RELATIVE)
    assert effect.sd_visited == pytest.approx(visited["y"].std(), rel=RELATIVE)
    assert effect.sd_comparison == pytest.approx(comparison["y"].std(), rel=RELATIVE)
    assert effect.adjusted_mean_visited == effect.mean_visited
    assert effect.adjusted_mean_comparison == pytest.approx(effect.mean_visited - effect.estimate)
    assert effect.clusters == frame["school_id"].nunique()
    assert effect.clusters_visited == visited["school_id"].nunique()
    assert effect.clusters_comparison == comparison["school_id"].nunique()


def test_students_seen_in_two_years_are_counted_once():
    matched = matched_example()
    twice = matched.sample.baseline["unit_id"].copy()
    twice.iloc[8:12] = twice.iloc[0:4].to_numpy()
    effect = estimate_effect(with_baseline(matched, unit_id=twice), "attendance_rate")
    assert (effect.n_visited, effect.n_comparison) == (450, 450)
    assert (effect.students_visited, effect.students_comparison) == (448, 448)


def test_effect_sizes_follow_the_scale_of_the_outcome():
    rate, incident = one_effect(), estimate_effect(matched_example(), "any_incident")
    assert rate.effect_size_kind == "Hedges' g"
    assert rate.effect_size == hedges_g(
        rate.estimate, rate.sd_visited, rate.sd_comparison, 450, 450
    )
    assert incident.effect_size_kind == "Cox index"
    assert incident.effect_size == cox_index(
        incident.adjusted_mean_visited, incident.adjusted_mean_comparison, 450, 450
    )
    assert incident.effect_size < 0 < incident.improvement_index  # fewer incidents are favorable


def test_an_adjusted_probability_outside_0_and_1_gives_no_effect_size():
    matched = matched_example()
    visited = matched.sample.baseline["visited"].to_numpy()
    generator = np.random.Generator(np.random.PCG64(5))
    always = np.where(visited == 1, 1.0, (generator.random(1200) < 0.9).astype(float))
    effect = estimate_effect(with_outcome(matched, "any_incident", always), "any_incident")
    assert math.isnan(effect.effect_size)
    assert math.isnan(effect.improvement_index)
    assert "No effect size: an adjusted mean lies outside 0 to 1." in effect.notes
    assert effect.estimate > 0


def test_the_model_of_the_question_goes_before_that_of_the_design():
    effect = estimate_effect(matched_example(model=DifferenceInMeans()), "attendance_rate")
    assert effect.model == DifferenceInMeans()
    assert one_effect().model == FixedEffects()


def test_the_effect_knows_its_question_and_recipe():
    effect = one_effect()
    assert (effect.question, effect.role, effect.sensitivity) == ("summer", "primary", "")
    assert str(effect.estimand) == "ATT in the matched sample"
    assert effect.synthetic
    assert math.isnan(effect.p_value_adjusted)
    assert next(iter(effect.coefficients)) == "visited"
    assert effect.coefficients["visited"] == (effect.estimate, effect.std_error)
    assert effect.formula == (
        "attendance_rate ~ visited + attendance_rate_prior + attendance_rate_prior^2 + female + "
        "race_ethnicity + math_score_std_prior | school_year x grade"
    )


def test_the_confidence_level_is_that_of_the_design():
    matched = matched_example()
    sample = matched.sample
    narrow = replace(sample, design=replace(sample.design, confidence_level=0.80))
    effect = estimate_effect(MatchedSample(narrow, matched.matches), "attendance_rate")
    wide = one_effect()
    assert effect.confidence_level == 0.80
    assert wide.ci_low < effect.ci_low < effect.ci_high < wide.ci_high


def test_same_input_same_output_and_nothing_is_changed():
    matched = matched_example()
    baseline, outcomes = matched.sample.baseline.copy(), matched.sample.outcomes.copy()
    first, second = (estimate_effect(matched, "attendance_rate") for _ in range(2))
    assert (first.estimate, first.std_error, first.df) == (
        second.estimate,
        second.std_error,
        second.df,
    )
    pd.testing.assert_frame_equal(matched.sample.baseline, baseline)
    pd.testing.assert_frame_equal(matched.sample.outcomes, outcomes)
    with pytest.raises(FrozenInstanceError):
        first.estimate = 0.0
    with pytest.raises(TypeError):
        first.coefficients["visited"] = (0.0, 0.0)


def test_it_shows_estimate_and_recipe_but_no_small_count():
    text = repr(one_effect())
    assert "synthetic data, attendance_rate, ATT in the matched sample" in text
    assert "450 visited and 450 comparison student-years;\n  CR2 by school_id, G = 24, K = " in text
    assert "(Satterthwaite)" in text
    assert "<10 visited" in repr(replace(one_effect(), n_visited=9))


def test_few_clusters_and_few_degrees_of_freedom_are_flagged():
    effect = estimate_effect(matched_example(schools=4), "attendance_rate")
    assert effect.df < 4
    assert any("degrees of freedom (under 4)" in note for note in effect.notes)
    assert any(note.startswith("Only 4 clusters (school_id)") for note in effect.notes)
    assert not any("clusters" in note for note in one_effect().notes)


def test_all_visited_in_one_cluster_is_flagged():
    matched = matched_example(n=4000)
    schools = matched.sample.baseline["school_id"].where(
        matched.sample.baseline["visited"] == 0, "S99"
    )
    effect = estimate_effect(with_baseline(matched, school_id=schools), "attendance_rate", CR1S)
    assert effect.clusters_visited == 1
    assert any(note.startswith("All visited student-years are in one") for note in effect.notes)


def test_a_repeated_covariate_is_named():
    matched = matched_example()
    effect = estimate_effect(
        with_baseline(matched, female=(matched.sample.baseline["grade"] == 3).astype(float)),
        "attendance_rate",
    )
    assert "female" not in effect.coefficients
    assert effect.notes[0].endswith(": female.")


def test_effects_that_differ_by_cell_are_flagged():
    """The effect is large in one grade, where few are compared; the coefficient weighs it less."""
    matched = matched_example(n=4000)
    baseline = matched.sample.baseline
    third = (baseline["grade"] == 3).to_numpy()
    visited = baseline["visited"].to_numpy()
    keep = ~(third & (visited == 0) & (np.arange(4000) % 10 != 1))
    values = matched.sample.outcomes["attendance_rate"] + 0.2 * third * visited
    unequal = with_weights(matched, matched.matches.weights.to_numpy() * keep)
    effect = estimate_effect(
        with_outcome(unequal, "attendance_rate", values.to_numpy()), "attendance_rate"
    )
    assert any("by interacted regression" in note for note in effect.notes)
    assert not any("by interacted regression" in note for note in one_effect().notes)


def test_imputation_equals_the_fully_interacted_regression():
    matched = matched_example()
    rows = regression_rows(matched, "attendance_rate", FixedEffects())
    cells = rows.absorb[0]
    indicators = (cells[:, None] == np.unique(cells)[None, :]).astype(float)
    full = np.hstack([rows.X, indicators])
    centered = full - full[rows.visited == 1].mean(axis=0)
    interacted = np.column_stack([rows.visited, full, rows.visited[:, None] * centered])
    beta = np.linalg.lstsq(interacted, rows.y, rcond=None)[0]
    imputed = imputed_effect_on_treated(rows.y, rows.X, rows.visited, cells=cells)
    assert imputed.estimate == pytest.approx(beta[0], rel=1e-8)
    ones = np.ones((len(rows.y), 1))
    difference = rows.y[rows.visited == 1].mean() - rows.y[rows.visited == 0].mean()
    plain = imputed_effect_on_treated(rows.y, ones, rows.visited)
    assert plain.estimate == pytest.approx(difference)


def test_imputation_leaves_out_cells_without_comparison_units():
    y, visited = np.array([5.0, 1.0, 2.0, 9.0]), np.array([1, 0, 0, 1])
    nothing = np.empty((4, 0))
    assert imputed_effect_on_treated(y, nothing, visited, cells=[0, 0, 0, 7]).estimate == 3.5
    none = imputed_effect_on_treated(y, nothing, visited, cells=[1, 0, 0, 7])
    assert math.isnan(none.estimate)
    assert not none.influence.any()


@pytest.mark.parametrize("with_cells", [True, False])
def test_influence_is_the_change_of_the_imputed_effect_with_each_weight(with_cells):
    rng = np.random.Generator(np.random.PCG64(4))
    n = 60
    cells = rng.integers(0, 4, n) if with_cells else None
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])[:, int(with_cells) :]
    visited, w = rng.random(n) < 0.4, rng.uniform(0.5, 2, n)
    w[:3] = 0
    y = X.sum(axis=1) + visited * (1 + X[:, -1]) + rng.normal(size=n)
    influence = imputed_effect_on_treated(y, X, visited, weights=w, cells=cells).influence
    step = 1e-5
    for row in range(0, n, 4):
        ends = []
        for sign in (1, -1):
            moved = w * (1 + sign * step * (np.arange(n) == row))
            ends.append(imputed_effect_on_treated(y, X, visited, weights=moved, cells=cells))
        slope = (ends[0].estimate - ends[1].estimate) / (2 * step)
        assert influence[row] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def broken(kind: str) -> MatchedSample:
    matched = matched_example()
    n, visited = 1200, matched.sample.baseline["visited"].to_numpy()
    values = matched.sample.outcomes["attendance_rate"].to_numpy()
    few = np.where(np.arange(n) < 12, matched.matches.weights, 0.0)
    match kind:
        case "constant outcome":
            return with_outcome(matched, "attendance_rate", np.full(n, 0.9))
        case "no outcome":
            return with_outcome(matched, "attendance_rate", np.where(visited == 1, np.nan, values))
        case "one school":
            return with_baseline(matched, school_id="S01")
        case "few rows":
            return with_weights(matched, few)
        case "determined":
            return with_baseline(matched, female=1.0 - visited)
        case "determined by cells":
            return with_baseline(matched, school_year=2014 + visited)
        case "missing covariate":
            return with_baseline(matched, female=np.where(visited == 1, np.nan, 1.0))
        case "missing school":
            return with_baseline(matched, school_id=np.where(visited == 1, None, "S01"))
        case _:
            return matched_example(matching=False)


@pytest.mark.parametrize(
    ("kind", "model", "message"),
    [
        ("constant outcome", None, "same value in all 900 matched student-years"),
        ("no outcome", None, "observed for no matched visited student-year"),
        ("one school", None, "all matched student-years are in one school_id"),
        ("few rows", None, "attendance_rate: there are too few rows to determine 10"),
        ("determined", None, "determine who was visited"),
        ("determined by cells", None, "determine who was visited"),
        ("missing covariate", None, "female: missing for 450 matched student-years"),
        ("missing school", None, "school_id: missing for 450 matched student-years"),
        ("no sets", FixedEffects(cluster="matched_set"), "1200 student-years are in no matched"),
    ],
)
def test_what_cannot_be_estimated_is_said(kind, model, message):
    with pytest.raises(EstimationError, match=message):
        estimate_effect(broken(kind), "attendance_rate", model)


def test_an_unknown_outcome_lists_those_allowed():
    with pytest.raises(DesignError, match="'attendance_rate', 'any_incident', 'math_score_std'"):
        estimate_effect(matched_example(), "attendance")


def test_the_known_effects_are_within_four_standard_errors():
    for name, truth in EFFECTS.items():
        effect = estimate_effect(matched_example(n=4000, seed=2), name)
        assert abs(effect.estimate - truth) < 4 * effect.std_error
        assert effect.std_error < 0.05


def test_the_interacted_estimate_is_the_regression_with_all_interactions():
    matched = matched_example(matching=False)
    effect = estimate_effect(matched, "attendance_rate", FixedEffects(absorb=()))
    frame = used_rows(matched, "attendance_rate")
    frame["rate2"] = (frame["attendance_rate_prior"] - frame["center"]) ** 2
    names = ["attendance_rate_prior", "rate2", "female", "pretest", "has_pretest"]
    frame = frame.join(pd.get_dummies(frame["race_ethnicity"], drop_first=True, dtype=float))
    names += list(frame.columns[-2:])
    for name in names:
        frame[name] = frame[name] - frame.loc[frame["visited"] == 1, name].mean()
    theirs = smf.wls(f"y ~ visited * ({' + '.join(names)})", frame, weights=frame["weight"]).fit()
    assert effect.estimate_interacted == pytest.approx(theirs.params["visited"], rel=1e-7)
    assert math.isnan(
        estimate_effect(matched, "attendance_rate", DifferenceInMeans()).estimate_interacted
    )


def test_the_estimand_says_that_some_visited_lack_the_outcome():
    matched = matched_example()
    values = matched.sample.outcomes["attendance_rate"].to_numpy().copy()
    values[:30] = np.nan
    for example, words in (
        (matched, "ATT in the matched sample with the outcome observed"),
        (matched_example(matching=False), "ATT with the outcome observed"),
    ):
        effect = estimate_effect(with_outcome(example, "attendance_rate", values),
                                 "attendance_rate")  # fmt: skip
        assert str(effect.estimand) == words
        assert effect.matched_visited == example.n_visited > effect.n_visited
        assert effect.matched_students_comparison == example.n_comparison
    comparison_only = matched.sample.outcomes["attendance_rate"].to_numpy().copy()
    comparison_only[1:30:2] = np.nan
    effect = estimate_effect(with_outcome(matched, "attendance_rate", comparison_only),
                             "attendance_rate")  # fmt: skip
    assert str(effect.estimand) == "ATT in the matched sample"


def test_the_improvement_index_is_positive_where_the_difference_is_favorable():
    for name, sign in (("attendance_rate", 1), ("any_incident", -1)):
        effect = estimate_effect(matched_example(), name)
        assert math.copysign(1, effect.effect_size) == sign
        assert effect.improvement_index > 0
