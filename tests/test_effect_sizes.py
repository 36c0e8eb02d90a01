"""Effect sizes: closed forms, limits, and what units must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homevisit_eval.effect_sizes import (
    baseline_category,
    cox_index,
    hedges_g,
    improvement_index,
    pooled_sd,
    standardized_mean_difference,
    weighted_mean,
    weighted_sd,
)

VALUES = np.array([0.3, -1.0, 2.5, 4.0, 4.0])


def test_unit_weights_give_the_usual_mean_and_n_minus_1_standard_deviation():
    assert weighted_mean(VALUES) == pytest.approx(VALUES.mean(), rel=1e-15)
    assert weighted_sd(VALUES) == pytest.approx(VALUES.std(ddof=1), rel=1e-15)
    assert weighted_sd(VALUES, np.full(5, 7.0)) == pytest.approx(VALUES.std(ddof=1), rel=1e-15)


def test_weighted_mean_and_standard_deviation_by_hand():
    """Weights .5, .25, .25: mean 2, squares .5 * 1 + .25 * 0 + .25 * 4, over 1 - .375."""
    assert weighted_mean([1, 2, 4], [2, 1, 1]) == 2.0
    assert weighted_sd([1, 2, 4], [2, 1, 1]) == pytest.approx(math.sqrt(1.5 / 0.625), rel=1e-15)


def test_rows_of_weight_zero_are_not_used_even_if_missing():
    assert weighted_mean([1, 3, np.nan], [1, 1, 0]) == 2.0
    assert weighted_sd([1, 3, np.nan], [1, 1, 0]) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert math.isnan(weighted_mean([1, np.nan], [1, 1]))


def test_a_constant_has_no_spread_whatever_the_weights():
    assert weighted_sd(np.full(7, 0.1), np.arange(1, 8)) == 0.0
    assert weighted_mean(np.full(7, 0.1), np.arange(1, 8)) == 0.1


def test_too_few_rows_give_nan():
    assert math.isnan(weighted_mean([1.0], [0.0]))
    assert math.isnan(weighted_sd([1.0]))
    assert math.isnan(weighted_sd([1.0, 2.0], [1.0, 0.0]))


def test_pooled_sd_by_hand():
    assert pooled_sd(3.0, 4.0, 11, 21) == pytest.approx(
        math.sqrt((10 * 9 + 20 * 16) / 30), rel=1e-15
    )
    assert pooled_sd(math.nan, 4.0, 1, 21) == 4.0
    assert math.isnan(pooled_sd(math.nan, math.nan, 1, 1))
    assert math.isnan(pooled_sd(1.0, 1.0, 0, 30))


def test_hedges_g_by_hand():
    """Difference 5 over SD 10 is .5; 40 units give omega = 1 - 3 / 151."""
    assert hedges_g(5, 10, 10, 20, 20) == pytest.approx(0.5 * (1 - 3 / 151), rel=1e-15)
    assert hedges_g(5, 10, 10, 20, 20, small_sample=False) == 0.5
    assert hedges_g(-5, 10, 10, 20, 20) == -hedges_g(5, 10, 10, 20, 20)


def test_hedges_g_without_spread():
    assert hedges_g(0.0, 0.0, 0.0, 10, 10) == 0.0
    assert hedges_g(0.1, 0.0, 0.0, 10, 10) == math.inf
    assert math.isnan(hedges_g(0.1, math.nan, math.nan, 1, 1))


def test_cox_index_by_hand():
    """Odds 3 against 1: log 3 / 1.65."""
    assert cox_index(0.75, 0.5, 20, 20, small_sample=False) == pytest.approx(math.log(3) / 1.65)
    assert cox_index(0.75, 0.5, 20, 20) == pytest.approx(math.log(3) / 1.65 * (1 - 3 / 151))
    assert cox_index(0.5, 0.5, 20, 20) == 0.0


@pytest.mark.parametrize("p", [0.0, 1.0, -0.01, 1.2, math.nan])
def test_cox_index_needs_probabilities_inside_0_and_1(p):
    assert math.isnan(cox_index(p, 0.5, 20, 20))
    assert math.isnan(cox_index(0.5, p, 20, 20))


@pytest.mark.parametrize(
    ("effect_size", "category"),
    [
        (0.0, "satisfied"),
        (0.05, "satisfied"),
        (-0.05, "satisfied"),
        (0.0500001, "adjustment required"),
        (-0.25, "adjustment required"),
        (0.2500001, "not satisfied"),
        (-math.inf, "not satisfied"),
        (math.nan, "not satisfied"),
    ],
)
def test_baseline_category_is_decided_without_rounding(effect_size, category):
    assert baseline_category(effect_size) == category


def test_improvement_index_is_the_normal_distribution():
    from scipy import stats

    for g in (-1.3, 0.0, 0.25, 4.0):
        assert improvement_index(g) == pytest.approx(100 * (stats.norm.cdf(g) - 0.5), abs=1e-12)
    assert math.isnan(improvement_index(math.nan))


def test_standardized_mean_difference_by_hand():
    x, treated, w = [1, 3, 0, 4], [1, 1, 0, 0], [1, 1, 3, 1]
    assert standardized_mean_difference(x, treated, w, standard_deviation=2.0) == 0.5
    assert standardized_mean_difference(x, treated, standard_deviation=2.0) == 0.0
    assert standardized_mean_difference([1, 1, 1], [1, 0, 0], standard_deviation=0.0) == 0.0
    assert standardized_mean_difference([2, 1, 1], [1, 0, 0], standard_deviation=0.0) == math.inf
    assert math.isnan(standardized_mean_difference([2, 1], [1, 1], standard_deviation=1.0))


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=4, max_size=30),
    scale=st.floats(0.01, 100),
    shift=st.floats(-1000, 1000),
)
def test_units_do_not_change_a_standardized_difference(values, scale, shift):
    x = np.array(values, dtype=float)
    treated = np.arange(len(x)) % 2
    sd = weighted_sd(x[treated == 1])
    there = standardized_mean_difference(scale * x + shift, treated, standard_deviation=scale * sd)
    here = standardized_mean_difference(x, treated, standard_deviation=sd)
    if sd > 0:
        assert there == pytest.approx(here, rel=1e-6, abs=1e-6)
