"""The difference of effects in two samples that may share students."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from effect_examples import matched_example, relabeled, reordered, some_of, with_outcome
from homevisit_eval.design import (
    AbadieImbens,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    RandomIntercept,
)
from homevisit_eval.effects import compare_effects, estimate_effect
from homevisit_eval.effects.fit_model import fit_model
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression_rows import regression_rows
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample

RELATIVE = 1e-8  # two solvers, double precision
OUTCOME = "attendance_rate"
CR1S = FixedEffects(covariance="CR1S")


def halves(n: int = 600, seed: int = 1, schools: int = 24) -> tuple[MatchedSample, MatchedSample]:
    """Return the first and the last two thirds of the pairs: a third of all is in both."""
    matched = matched_example(n, seed=seed, schools=schools)
    pair = np.arange(n) // 2
    return some_of(matched, pair < n // 3), some_of(matched, pair >= n // 6)


def stack(first: MatchedSample, second: MatchedSample) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows and columns of both regressions, one below the other, zeros elsewhere."""
    frames, columns = [], []
    for name, matched in (("first", first), ("second", second)):
        baseline, y = matched.sample.baseline, matched.sample.outcomes[OUTCOME]
        frame = baseline.assign(y=y, weight=matched.matches.weights, sample=name)
        frame = frame[(frame["weight"] > 0) & frame["y"].notna()]
        rate = frame["attendance_rate_prior"]
        cells = frame["school_year"].astype(str) + frame["grade"].astype(str)
        parts = [
            frame[["visited", "female"]].astype(float),
            rate.rename("rate"),
            (rate - 0.93).pow(2).rename("square"),
            frame["math_score_std_prior"].fillna(0.0).rename("score"),
            pd.get_dummies(frame["race_ethnicity"].astype(str), drop_first=True).astype(float),
            pd.get_dummies(cells).astype(float),
        ]
        frames.append(frame)
        columns.append(pd.concat(parts, axis=1).add_prefix(f"{name}: "))
    return pd.concat(frames), pd.concat(columns).fillna(0.0)


@pytest.mark.parametrize("cluster", ["school_id", "student_id"])
def test_the_difference_equals_a_stacked_regression_in_statsmodels(cluster):
    first, second = halves()
    found = compare_effects(first, second, OUTCOME, replace(CR1S, cluster=cluster))
    frame, X = stack(first, second)
    groups = pd.factorize(frame["school_id" if cluster == "school_id" else "unit_id"])[0]
    theirs = sm.WLS(frame["y"], X, weights=frame["weight"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_t": True}
    )
    contrast = (X.columns == "first: visited").astype(float) - (X.columns == "second: visited")
    test = theirs.t_test(contrast)
    assert found.estimate == pytest.approx(float(test.effect[0]), rel=RELATIVE)
    assert found.std_error == pytest.approx(float(test.sd[0, 0]), rel=RELATIVE)
    G = groups.max() + 1
    assert (found.clusters, found.df) == (G, G - 1)
    assert found.p_value == pytest.approx(
        2 * stats.t.sf(abs(found.estimate / found.std_error), G - 1)
    )
    half = stats.t.ppf(0.975, G - 1) * found.std_error
    assert (found.ci_low, found.ci_high) == pytest.approx(
        (found.estimate - half, found.estimate + half)
    )


def test_the_default_is_bias_reduced_over_both_samples():
    first, second = halves(400)
    found = compare_effects(first, second, OUTCOME)
    frame, X = stack(first, second)
    X = X.rename(columns={"first: visited": "difference", "second: visited": "visited"})
    X["visited"] += X["difference"]
    by_hand = fit_least_squares(
        frame["y"], X.to_numpy(), names=list(X), weights=frame["weight"],
        clusters=pd.factorize(frame["school_id"])[0], covariance="CR2",
    )  # fmt: skip
    at = by_hand.names.index("difference")
    assert found.estimate == pytest.approx(by_hand.coefficients[at], rel=RELATIVE)
    assert found.std_error == pytest.approx(by_hand.std_errors[at], rel=1e-6)
    assert found.df == pytest.approx(by_hand.df[at], rel=1e-4)
    assert found.covariance == "CR2, stacked"


def test_the_two_effects_are_those_of_each_alone():
    first, second = halves(400)
    for model in (None, DifferenceInMeans(), DoublyRobust(outcome_model="linear")):
        found = compare_effects(first, second, OUTCOME, model)
        for part, matched in ((found.first, first), (found.second, second)):
            alone = estimate_effect(matched, OUTCOME, model)
            assert (part.estimate, part.std_error) == (alone.estimate, alone.std_error)
        assert found.estimate == pytest.approx(
            found.first.estimate - found.second.estimate, abs=1e-12
        )


@pytest.mark.parametrize("model", [DoublyRobust(outcome_model="linear"), RandomIntercept()])
def test_other_models_subtract_influence_summed_by_cluster(model):
    first, second = halves(400)
    found = compare_effects(first, second, OUTCOME, model)
    sums: dict[str, float] = {}
    for sign, matched in ((1, first), (-1, second)):
        rows = regression_rows(matched, OUTCOME, model)
        fit = fit_model(matched, rows, matched.sample.design.outcome(OUTCOME), model)
        schools = matched.sample.baseline["school_id"].to_numpy()[rows.places]
        for school, value in zip(schools, fit.influence, strict=True):
            sums[school] = sums.get(school, 0.0) + sign * value
    G = len(sums)
    error = math.sqrt(G / (G - 1) * sum(value**2 for value in sums.values()))
    assert found.std_error == pytest.approx(error, rel=RELATIVE)
    assert (found.clusters, found.df, found.df_convention) == (G, G - 1, "G - 1")


def test_influence_and_stacking_agree_on_a_linear_model():
    first, second = halves(400)
    stacked = compare_effects(first, second, OUTCOME, FixedEffects(covariance="CR1"))
    by_hand: dict[str, float] = {}
    for sign, matched in ((1, first), (-1, second)):
        rows = regression_rows(matched, OUTCOME, CR1S)
        fit = fit_model(matched, rows, matched.sample.design.outcome(OUTCOME), CR1S)
        schools = matched.sample.baseline["school_id"].to_numpy()[rows.places]
        for school, value in zip(schools, fit.influence, strict=True):
            by_hand[school] = by_hand.get(school, 0.0) + sign * value
    G = len(by_hand)
    error = math.sqrt(G / (G - 1) * sum(value**2 for value in by_hand.values()))
    assert stacked.std_error == pytest.approx(error, rel=RELATIVE)


def test_what_is_shared_is_counted():
    first, second = halves(600)
    found = compare_effects(first, second, OUTCOME)
    parts = [m.sample.baseline.loc[m.matches.weights > 0] for m in (first, second)]
    for field, column in (("students_shared", "unit_id"), ("clusters_shared", "school_id")):
        both = set(parts[0][column]) & set(parts[1][column])
        assert getattr(found, field) == len(both)
    assert found.clusters == len(set(parts[0]["school_id"]) | set(parts[1]["school_id"]))


def test_students_in_both_samples_make_the_error_far_smaller():
    matched = matched_example(800)
    less = some_of(matched, np.arange(800) // 2 < 380)
    model = FixedEffects(cluster="student_id", covariance="CR1")
    found = compare_effects(matched, less, OUTCOME, model)
    independent = math.hypot(found.first.std_error, found.second.std_error)
    assert found.std_error < 0.25 * independent


def test_samples_apart_have_independent_errors():
    matched = matched_example(800)
    pair = np.arange(800) // 2
    first, second = some_of(matched, pair < 200), some_of(matched, pair >= 200)
    model = FixedEffects(cluster="student_id", covariance="CR0")
    found = compare_effects(first, second, OUTCOME, model)
    assert found.students_shared == 0
    assert found.std_error == pytest.approx(
        math.hypot(found.first.std_error, found.second.std_error), rel=RELATIVE
    )


def test_the_error_is_the_spread_over_draws():
    draws, model = 60, DifferenceInMeans(cluster="student_id")
    differences, errors = [], []
    for seed in range(draws):
        found = compare_effects(*halves(240, seed=seed, schools=20), OUTCOME, model)
        differences.append(found.estimate)
        errors.append(found.std_error)
    spread = float(np.std(differences, ddof=1))
    # the spread of 60 draws is known to 1 / sqrt(118) = 9 %
    assert np.mean(errors) == pytest.approx(spread, rel=0.3)
    assert abs(np.mean(differences)) < 4 * spread / math.sqrt(draws)


def test_first_and_second_change_the_sign_only():
    first, second = halves(400)
    one, other = compare_effects(first, second, OUTCOME), compare_effects(second, first, OUTCOME)
    assert one.estimate == pytest.approx(-other.estimate, rel=1e-9)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-9)
    assert one.df == pytest.approx(other.df, rel=1e-6)


def test_order_labels_and_unused_categories_do_not_matter():
    first, second = halves(300)
    found = compare_effects(first, second, OUTCOME)
    for one, other in (
        (reordered(first), reordered(second, 2)),
        (relabeled(first), relabeled(second)),
    ):
        again = compare_effects(one, other, OUTCOME)
        assert again.estimate == pytest.approx(found.estimate, rel=RELATIVE)
        assert again.std_error == pytest.approx(found.std_error, rel=1e-7)
        assert (again.clusters, again.students_shared) == (found.clusters, found.students_shared)


def test_the_unit_of_weights_in_one_sample_does_not_matter():
    first, second = halves(300)
    found = compare_effects(first, second, OUTCOME)
    weights = second.matches.weights * 100
    other = MatchedSample(second.sample, replace(second.matches, weights=weights))
    again = compare_effects(first, other, OUTCOME)
    assert again.estimate == pytest.approx(found.estimate, rel=RELATIVE)
    assert again.std_error == pytest.approx(found.std_error, rel=1e-7)
    assert again.df == pytest.approx(found.df, rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        FixedEffects(), CR1S, FixedEffects(cluster="student_id"), DifferenceInMeans(),
        DoublyRobust(outcome_model="linear"), RandomIntercept(),
    ],
    ids=repr,
)  # fmt: skip
def test_a_sample_is_not_compared_with_itself(model):
    matched = matched_example(300)
    for again in (matched, reordered(matched)):
        with pytest.raises(EstimationError, match=r"rest on the same student-years"):
            compare_effects(matched, again, OUTCOME, model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FixedEffects(cluster="matched_set"), r"'matched_set' means other groups in each"),
        (
            FixedEffects(cluster="school_id+matched_set", covariance="CR1"),
            r"'school_id\+matched_set' means other groups in each",
        ),
        (AbadieImbens(), r"Choose cluster school_id or student_id"),
    ],
)
def test_clusters_must_mean_the_same_in_both(model, message):
    with pytest.raises(EstimationError, match=message):
        compare_effects(*halves(200), OUTCOME, model)


def test_an_outcome_must_be_one_of_both_questions():
    first, second = halves(200)
    question = replace(second.sample.question, outcomes=("any_incident",))
    other = MatchedSample(replace(second.sample, question=question), second.matches)
    for pair in ((first, other), (other, first)):
        with pytest.raises(DesignError, match=r"any_incident"):
            compare_effects(*pair, OUTCOME)


def test_few_clusters_are_said():
    found = compare_effects(*halves(300, schools=6), OUTCOME)
    assert "Only 6 clusters (school_id): the test rests on few groups." in found.notes


def test_it_shows_the_difference_and_its_recipe_no_rows_and_no_small_count():
    first, second = halves(600)
    found = compare_effects(first, second, OUTCOME)
    shown = repr(found)
    assert shown.startswith("EffectDifference(synthetic data, attendance_rate: +")
    assert "CR2, stacked by school_id, G = 24, df = " in shown
    assert "SYN" not in shown
    assert found._repr_html_().startswith("<pre>EffectDifference")
    y = second.sample.outcomes[OUTCOME].to_numpy(copy=True)
    y[-6:] = np.nan
    few = with_outcome(second, OUTCOME, y)
    model = FixedEffects(cluster="student_id", covariance="CR1")
    assert " G = " not in repr(compare_effects(first, few, OUTCOME, model))
    assert " df " not in repr(compare_effects(first, few, OUTCOME, model))


def test_inputs_are_unchanged():
    first, second = halves(200)
    before = [m.sample.baseline.copy() for m in (first, second)]
    weights = [m.matches.weights.copy() for m in (first, second)]
    one, other = (compare_effects(first, second, OUTCOME) for _ in range(2))
    assert (one.estimate, one.std_error, one.df) == (other.estimate, other.std_error, other.df)
    for matched, frame, weight in zip((first, second), before, weights, strict=True):
        pd.testing.assert_frame_equal(matched.sample.baseline, frame)
        pd.testing.assert_series_equal(matched.matches.weights, weight)
