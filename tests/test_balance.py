"""Balance: closed forms, one denominator, and what it may read of an outcome."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import assess_balance, describe_groups
from homevisit_eval.design import DifferenceInMeans, FixedEffects, NearestNeighbor, NoMatching
from homevisit_eval.effect_sizes import cox_index, hedges_g
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import match_students
from small_sample import random_sample, sample_of


@pytest.fixture(scope="module")
def matched():
    return match_students(random_sample(21))


def row(balance, covariate: str, level: str = "") -> pd.Series:
    table = balance.table
    (found,) = table[(table["covariate"] == covariate) & (table["level"] == level)].to_dict(
        "records"
    )
    return found


def test_a_table_by_hand():
    baseline = pd.DataFrame(
        {
            "unit_id": ["a", "b", "c", "d", "e"],
            "school_year": 2015,
            "index_date": pd.Timestamp("2014-08-25"),
            "visited": [1, 1, 0, 0, 0],
            "grade": 1,
            "school_id": "S01",
            "grade_band": "all grades",
            "attendance_rate_prior": [0.9, 1.0, 0.8, 0.9, 0.7],
            "female": [1, 0, 1, 0, 0],
            "any_incident_prior": [0, 0, 0, 1, 1],
        }
    )
    outcomes = pd.DataFrame(
        {"attendance_rate": [0.9, 0.9, 0.9, 0.9, np.nan], "any_incident": [0.0] * 5}
    )
    sample = sample_of(baseline, outcomes, {"all grades": ["attendance_rate_prior", "female"]})
    balance = assess_balance(match_students(sample, NoMatching()), "attendance_rate")
    rate = row(balance, "attendance_rate_prior")
    sd = math.sqrt(0.005)
    assert rate["mean_treated_before"] == pytest.approx(0.95)
    assert rate["mean_comparison_before"] == pytest.approx(0.8)
    assert rate["mean_comparison_after"] == pytest.approx(0.85)  # the last row is not observed
    assert rate["smd_before"] == pytest.approx(0.15 / sd)
    assert rate["smd_after"] == pytest.approx(0.10 / sd)
    assert rate["variance_ratio_before"] == pytest.approx(0.005 / 0.01)
    assert rate["variance_ratio_after"] == pytest.approx(1.0)
    assert rate["wwc_effect_size"] == pytest.approx((1 - 3 / 7) * 0.10 / sd)
    assert rate["wwc_category"] == "not satisfied"
    assert (rate["n_treated"], rate["n_comparison"]) == (2, 2)
    assert (rate["n_treated_before"], rate["n_comparison_before"]) == (2, 3)
    girl = row(balance, "female")
    assert girl["sd_treated_before"] == 0.5
    assert girl["smd_before"] == pytest.approx((1 / 2 - 1 / 3) / 0.5)
    assert math.isnan(girl["variance_ratio_before"])
    assert girl["wwc_effect_size"] == 0
    assert (girl["wwc_effect_size_kind"], girl["wwc_category"]) == ("Cox index", "satisfied")
    assert balance.table["covariate"].tolist() == ["attendance_rate_prior", "female"]
    incident = row(assess_balance(match_students(sample, NoMatching()), "any_incident"),
                   "any_incident_prior")  # fmt: skip
    assert not incident["in_model"]  # the outcome's own baseline, though no covariate
    assert incident["wwc_effect_size_kind"] == "Hedges' g"  # a share is 0: no Cox index
    assert incident["wwc_category"] == "not satisfied"


def test_rows_are_the_score_then_covariates_and_levels(matched):
    table = assess_balance(matched).table
    assert list(zip(table["covariate"], table["level"], strict=True)) == [
        ("linear_propensity_score", ""),
        ("attendance_rate_prior", ""),
        ("female", ""),
        ("race_ethnicity", "black"),
        ("race_ethnicity", "hispanic"),
        ("race_ethnicity", "white"),
        ("math_score_std_prior", ""),
    ]
    assert table["in_model"].tolist() == [False, *[True] * 6]


def test_a_pretest_counts_only_where_it_is_measured(matched):
    balance = assess_balance(matched)
    baseline, weights = matched.sample.baseline, matched.matches.weights
    pretest = (baseline["grade_band"] == "with pretest") & (weights > 0)
    math_row = row(balance, "math_score_std_prior")
    assert math_row["n_treated"] == (pretest & (baseline["visited"] == 1)).sum()
    assert math_row["n_treated"] < row(balance, "female")["n_treated"]
    assert math_row["mean_treated_after"] == pytest.approx(
        baseline.loc[pretest & (baseline["visited"] == 1), "math_score_std_prior"].mean()
    )


def test_before_and_after_have_one_denominator(matched):
    table = assess_balance(matched).table
    for when in ("before", "after"):
        gap = table[f"mean_treated_{when}"] - table[f"mean_comparison_{when}"]
        np.testing.assert_allclose(table[f"smd_{when}"], gap / table["sd_treated_before"])


def test_matching_improves_the_score(matched):
    score = row(assess_balance(matched), "linear_propensity_score")
    assert abs(score["smd_after"]) < 0.1 < abs(score["smd_before"])


def test_wwc_sizes_use_the_spread_of_the_analytic_sample(matched):
    balance = assess_balance(matched, "attendance_rate")
    for found in balance.table.to_dict("records"):
        n = found["n_treated"], found["n_comparison"]
        means = found["mean_treated_after"], found["mean_comparison_after"]
        if found["wwc_effect_size_kind"] == "Cox index":
            expected = cox_index(*means, *n)
        else:
            spreads = found["sd_treated_after"], found["sd_comparison_after"]
            expected = hedges_g(means[0] - means[1], *spreads, *n)
        assert found["wwc_effect_size"] == pytest.approx(expected)


def test_of_an_outcome_only_whether_it_is_observed_is_read(matched):
    balance = assess_balance(matched, "attendance_rate")
    outcomes = matched.sample.outcomes.copy()
    seen = outcomes["attendance_rate"].notna()
    outcomes.loc[seen, "attendance_rate"] = outcomes.loc[seen, "attendance_rate"].to_numpy()[::-1]
    permuted = replace(matched, sample=replace(matched.sample, outcomes=outcomes))
    pd.testing.assert_frame_equal(balance.table, assess_balance(permuted, "attendance_rate").table)
    outcomes.loc[outcomes.index[seen][:50], "attendance_rate"] = np.nan
    fewer = replace(matched, sample=replace(matched.sample, outcomes=outcomes))
    assert not balance.table.equals(assess_balance(fewer, "attendance_rate").table)


def test_an_affine_change_of_units_changes_no_difference(matched):
    baseline = matched.sample.baseline
    rate = baseline["attendance_rate_prior"] * 180 + 7
    moved = replace(
        matched,
        sample=replace(matched.sample, baseline=baseline.assign(attendance_rate_prior=rate)),
    )
    columns = [c for c in assess_balance(matched).table if c[:3] in ("smd", "var", "wwc")]
    before, after = assess_balance(matched).table[columns], assess_balance(moved).table[columns]
    pd.testing.assert_frame_equal(before, after)


def test_no_row_may_be_left(matched):
    outcomes = matched.sample.outcomes.copy()
    outcomes.loc[matched.sample.baseline["visited"] == 1, "attendance_rate"] = np.nan
    empty = replace(matched, sample=replace(matched.sample, outcomes=outcomes))
    with pytest.raises(EstimationError, match="no visited student-year has the outcome"):
        assess_balance(empty, "attendance_rate")
    with pytest.raises(DesignError, match="outcome"):
        assess_balance(matched, "math_score_std")


def test_worst_and_the_representation(matched):
    balance = assess_balance(matched, "attendance_rate")
    assert balance.worst == balance.table["smd_after"].abs().max()
    text = repr(balance)
    assert "7 characteristics" in text
    assert "'attendance_rate'" in text
    assert balance.outcome.name == "attendance_rate"
    assert balance.synthetic
    assert balance.question == "summer"


def test_group_moments_of_an_empty_group_are_missing():
    moments = describe_groups([1.0, 2.0], [1, 1], binary=False)
    assert math.isnan(moments.mean_comparison)
    assert math.isnan(moments.variance_ratio)


def test_the_method_does_not_matter_to_the_before_columns():
    sample = random_sample(22)
    wide = assess_balance(match_students(sample, NearestNeighbor(caliper="none"))).table
    none = assess_balance(match_students(sample, NoMatching())).table
    columns = [name for name in wide if name.endswith("_before")]
    pd.testing.assert_frame_equal(
        wide[columns].iloc[1:].reset_index(drop=True), none[columns], check_dtype=False
    )


def test_what_the_model_leaves_out_is_not_satisfied_above_five_hundredths():
    sample = random_sample(23)
    few = sample.baseline.index % 7 == 0
    incident = np.where((sample.baseline["visited"] == 1) & few, 1, 0)
    incident[:20] = 1
    sample = replace(sample, baseline=sample.baseline.assign(any_incident_prior=incident))
    matched = match_students(sample, NoMatching())
    left_out = row(assess_balance(matched, "any_incident"), "any_incident_prior")
    assert abs(left_out["wwc_effect_size"]) > 0.05
    assert left_out["wwc_category"] == "not satisfied"
    assert not left_out["in_model"]


def test_only_a_model_with_covariates_adjusts():
    matched = match_students(random_sample(24), NoMatching())
    adjusted = assess_balance(matched, "any_incident").table
    plain = assess_balance(matched, "any_incident", DifferenceInMeans()).table
    assert not plain["in_model"].any()
    assert not plain["absorbed"].any()
    assert "adjustment required" in set(adjusted["wwc_category"])
    assert "adjustment required" not in set(plain["wwc_category"])
    sample = replace(matched.sample, question=replace(matched.sample.question,
                     model=DifferenceInMeans()))  # fmt: skip
    of_question = assess_balance(replace(matched, sample=sample), "any_incident").table
    pd.testing.assert_frame_equal(of_question, plain)


def test_what_does_not_vary_within_absorbed_cells_is_adjusted_for_by_them():
    matched = match_students(random_sample(25), NoMatching())
    baseline = matched.sample.baseline
    constant = baseline["grade"] * 0.01
    matched = replace(
        matched,
        sample=replace(matched.sample, baseline=baseline.assign(any_incident_prior=constant)),
    )
    by_grade = assess_balance(matched, "any_incident", FixedEffects(absorb=("grade",)))
    assert row(by_grade, "any_incident_prior")["absorbed"]
    assert not row(by_grade, "female")["absorbed"]
    without = assess_balance(matched, "any_incident", FixedEffects(absorb=()))
    assert not row(without, "any_incident_prior")["absorbed"]


def test_the_propensity_score_belongs_to_no_category(matched):
    assert pd.isna(row(assess_balance(matched), "linear_propensity_score")["wwc_category"])


def test_an_infinite_difference_is_told_and_not_the_worst():
    sample = random_sample(26)
    girls = sample.baseline["female"].where(sample.baseline["visited"] == 0, 1)
    matched = match_students(
        replace(sample, baseline=sample.baseline.assign(female=girls)), NoMatching()
    )
    balance = assess_balance(matched)
    assert math.isinf(row(balance, "female")["smd_after"])
    assert math.isfinite(balance.worst)
    assert balance.infinite == ("Girl",)
    assert "infinite for Girl" in repr(balance)


def test_matched_rows_without_the_outcome_are_counted(matched):
    found = row(assess_balance(matched, "attendance_rate"), "female")
    seen = matched.sample.outcomes["attendance_rate"].notna()
    used, visited = matched.matches.weights > 0, matched.sample.baseline["visited"] == 1
    assert found["lost_treated"] == (used & visited & ~seen).sum() > 0
    assert found["n_treated"] + found["lost_treated"] == matched.n_visited
