"""Adjusted p values: families, order, and what belongs to none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from effect_examples import one_effect
from homevisit_eval.multiplicity import adjust_p_values, benjamini_hochberg


def effect(p, *, domain="behavior", role="primary", sensitivity="", question="summer"):
    example = one_effect()
    return replace(
        example,
        outcome=replace(example.outcome, domain=domain),
        role=role,
        sensitivity=sensitivity,
        question=question,
        p_value=p,
    )


def adjusted(*effects) -> list[float]:
    return [one.p_value_adjusted for one in adjust_p_values(effects)]


def test_a_family_is_one_role_in_one_domain():
    values = adjusted(
        effect(0.01),
        effect(0.04, domain="achievement"),
        effect(0.03),
        effect(0.02, role="secondary"),
    )
    assert values == [pytest.approx(0.02), 0.04, pytest.approx(0.03), 0.02]


def test_primary_questions_share_their_families():
    assert adjusted(effect(0.01), effect(0.5, question="fall")) == [0.02, 0.5]


def test_sensitivity_rows_and_missing_p_values_are_not_counted():
    values = adjusted(
        effect(0.01), effect(math.nan), effect(0.02, sensitivity="never visited"), effect(0.5)
    )
    assert values[0] == 0.02
    assert values[3] == 0.5
    assert math.isnan(values[1])
    assert math.isnan(values[2])


def test_the_given_effects_stay_as_they_were_and_twice_is_once():
    given_effects = [effect(0.01), effect(0.04)]
    once = adjust_p_values(given_effects)
    assert all(math.isnan(one.p_value_adjusted) for one in given_effects)
    twice = adjust_p_values(once)
    assert [one.p_value_adjusted for one in twice] == [one.p_value_adjusted for one in once]
    assert [one.p_value for one in once] == [0.01, 0.04]


def test_nothing_gives_nothing():
    assert adjust_p_values([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_benjamini_hochberg_equals_statsmodels(p_values):
    theirs = multipletests(p_values, method="fdr_bh")[1]
    np.testing.assert_allclose(benjamini_hochberg(p_values), theirs, rtol=1e-12, atol=1e-300)
