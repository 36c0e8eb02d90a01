"""Effects of several completed samples as one effect."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from effect_examples import matched_example, one_effect
from homevisit_eval.design import DifferenceInMeans
from homevisit_eval.effects import estimate_effect, pool_effects
from homevisit_eval.effects.rubin import pool_estimates
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import Estimand


def imputed(*shifts: float, **changes):
    """Return the example's effect with its estimate shifted, once for each imputation."""
    one = one_effect()
    return [
        replace(
            one,
            estimate=one.estimate + shift,
            adjusted_mean_comparison=one.adjusted_mean_comparison - shift,
            **changes,
        )
        for shift in shifts
    ]


def test_the_pooled_effect_follows_rubins_rules():
    effects = imputed(-0.004, 0.0, 0.001)
    expected = pool_estimates(
        [one.estimate for one in effects],
        [one.std_error for one in effects],
        [one.df for one in effects],
    )
    pooled = pool_effects(effects)
    assert (pooled.estimate, pooled.std_error, pooled.df) == (
        expected.estimate,
        expected.std_error,
        expected.df,
    )
    half = expected.std_error * stats.t.ppf(0.975, expected.df)
    assert pooled.ci_low == pytest.approx(expected.estimate - half)
    assert pooled.ci_high == pytest.approx(expected.estimate + half)
    t = expected.estimate / expected.std_error
    assert pooled.t == pytest.approx(t)
    assert pooled.p_value == pytest.approx(2 * stats.t.sf(abs(t), expected.df))
    assert math.isnan(pooled.p_value_adjusted)
    assert pooled.df_convention.startswith("Barnard-Rubin")
    assert pooled.adjusted_mean_visited - pooled.adjusted_mean_comparison == pytest.approx(
        pooled.estimate
    )
    assert f"missing information is {100 * expected.missing_information:.0f} %" in pooled.notes[0]


def test_equal_effects_give_that_effect_up_to_the_df_rule():
    one = one_effect()
    pooled = pool_effects([one, one, one])
    for name in (
        "estimate", "std_error", "t", "mean_visited", "mean_comparison", "sd_visited",
        "sd_comparison", "effect_size", "improvement_index", "estimate_interacted",
    ):  # fmt: skip
        assert getattr(pooled, name) == pytest.approx(getattr(one, name)), name
    for name in ("n_visited", "n_comparison", "clusters", "parameters", "formula", "estimand"):
        assert getattr(pooled, name) == getattr(one, name)
    assert pooled.df == pytest.approx((one.df + 1) / (one.df + 3) * one.df)
    assert {name: value for name, (value, _) in pooled.coefficients.items()} == pytest.approx(
        {name: value for name, (value, error) in one.coefficients.items() if error > 0}
    )
    assert pooled.notes[1:] == one.notes
    assert "is 0 %" in pooled.notes[0]


def test_the_order_of_imputations_matters_for_counts_only():
    effects = imputed(-0.004, 0.0, 0.001)
    one, other = pool_effects(effects), pool_effects(effects[::-1])
    assert one.estimate == pytest.approx(other.estimate)
    assert one.std_error == pytest.approx(other.std_error)


def test_counts_are_those_of_the_first_and_the_note_says_how_far_others_are():
    one = one_effect()
    pooled = pool_effects([one, replace(one, matched_visited=one.matched_visited + 12)])
    assert pooled.matched_visited == one.matched_visited
    assert any("by up to 12 visited and 0 comparison" in note for note in pooled.notes)
    few = pool_effects([one, replace(one, n_comparison=one.n_comparison - 3)])
    assert any("0 visited and <10 comparison" in note for note in few.notes)
    assert not any("Counts are those" in note for note in pool_effects([one, one]).notes)


def test_few_imputations_for_much_missing_information_are_said():
    assert any("imputations are few" in note for note in pool_effects(imputed(-0.1, 0, 0.1)).notes)
    assert not any("are few" in note for note in pool_effects([one_effect()] * 2).notes)


def test_notes_with_numbers_are_those_of_the_pooled_effect():
    """Fewer degrees of freedom than any single one, and an interacted effect that is near."""
    effects = imputed(-0.02, 0.0, 0.02, df=4.4)
    pooled = pool_effects(effects)
    assert pooled.df < 4
    assert [note for note in pooled.notes if "degrees of freedom" in note] == [
        f"Only {pooled.df:.1f} degrees of freedom (under 4): interval and p value are not to be "
        "relied on."
    ]
    far = imputed(0.0, 0.0, estimate_interacted=9.0)
    assert sum("interacted regression is +9" in note for note in pool_effects(far).notes) == 1


def test_an_effect_size_that_one_lacks_is_not_made_up():
    one = one_effect()
    pooled = pool_effects([one, replace(one, effect_size=math.nan)])
    assert math.isnan(pooled.effect_size)
    assert math.isnan(pooled.improvement_index)


def test_a_restriction_in_one_imputation_is_kept():
    one = replace(one_effect(), estimand=Estimand("ATT"))
    other = replace(one, estimand=Estimand("ATT", "in the matched sample"))
    assert str(pool_effects([one, other]).estimand) == "ATT in the matched sample"


def test_a_coefficient_that_one_model_lacks_is_left_out():
    one = one_effect()
    name = list(one.coefficients)[1]
    fewer = {key: value for key, value in one.coefficients.items() if key != name}
    assert name not in pool_effects([one, replace(one, coefficients=fewer)]).coefficients


@pytest.mark.parametrize(
    ("effects", "message"),
    [
        (lambda: [], "at least two completed samples; there are 0"),
        (lambda: [one_effect()], "at least two completed samples; there are 1"),
        (
            lambda: [one_effect(), estimate_effect(matched_example(), "any_incident")],
            "they differ in outcome",
        ),
        (
            lambda: [
                one_effect(),
                estimate_effect(matched_example(), "attendance_rate", DifferenceInMeans()),
            ],
            "they differ in model",
        ),
        (lambda: [one_effect(), replace(one_effect(), sensitivity="x")], "in sensitivity"),
        (lambda: [one_effect(), replace(one_effect(), confidence_level=0.9)], "confidence level"),
        (
            lambda: [one_effect(), replace(one_effect(), estimand=Estimand("ATE"))],
            "they differ in estimand",
        ),
    ],
)
def test_effects_of_different_things_are_not_pooled(effects, message):
    with pytest.raises(EstimationError, match=message):
        pool_effects(effects())


def test_purity_and_a_binary_outcome():
    one = estimate_effect(matched_example(), "any_incident")
    two = estimate_effect(matched_example(seed=2), "any_incident")
    before = (one.estimate, one.notes)
    pooled = pool_effects([one, two])
    assert (one.estimate, one.notes) == before
    assert pooled.effect_size == pytest.approx(np.mean([one.effect_size, two.effect_size]))
    assert pooled.effect_size_kind == "Cox index"
    assert pooled.sd_visited == pytest.approx(math.hypot(one.sd_visited, two.sd_visited) / 2**0.5)
