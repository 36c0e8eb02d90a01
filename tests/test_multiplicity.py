"""Adjusted p values: families, order, and what belongs to none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from effect_examples import one_effect
from homevisit_eval.effects.resampling.families_of_tests import adjusted_p_values, romano_wolf
from homevisit_eval.errors import EstimationError
from homevisit_eval.multiplicity import adjust_p_values, benjamini_hochberg

GOLDEN = Path(__file__).parent / "reference" / "regression" / "golden.csv"
METHODS = {  # ours: (R's p.adjust, statsmodels)
    "benjamini_hochberg": ("BH", "fdr_bh"),
    "benjamini_yekutieli": ("BY", "fdr_by"),
    "holm": ("holm", "holm"),
    "hochberg": ("hochberg", "simes-hochberg"),
    "bonferroni": ("bonferroni", "bonferroni"),
}


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


@pytest.mark.parametrize("method", METHODS)
def test_adjusted_p_values_equal_r(method):
    rows = pd.read_csv(GOLDEN).query(f"spec == 'G17_padjust_{METHODS[method][0]}'")
    assert len(rows) == 15
    shuffled = rows.sample(frac=1, random_state=1)
    for given_rows in (rows, shuffled):
        ours = adjusted_p_values(given_rows["estimate"], method=method)
        np.testing.assert_allclose(ours, given_rows["p"], rtol=1e-13)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(sorted(METHODS)))
def test_adjusted_p_values_equal_statsmodels(p_values, method):
    with patch("gc.collect"):  # which statsmodels calls for one of the methods: half a second
        theirs = multipletests(p_values, method=METHODS[method][1])[1]
    ours = adjusted_p_values(p_values, method=method)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_p_value_stays_missing_and_is_not_counted(method):
    ours = adjusted_p_values([math.nan, 0.01, 0.3, math.nan, 0.02], method=method)
    known = adjusted_p_values([0.01, 0.3, 0.02], method=method)
    np.testing.assert_array_equal(ours, [math.nan, known[0], known[1], math.nan, known[2]])
    assert np.isnan(adjusted_p_values([math.nan], method=method)).all()
    assert len(adjusted_p_values([], method=method)) == 0


def closed_test(p_values: np.ndarray) -> np.ndarray:
    """Holm's values as the largest Bonferroni p of all intersections that hold a hypothesis."""
    m = len(p_values)
    result = np.zeros(m)
    for size in range(1, m + 1):
        for members in combinations(range(m), size):
            joint = min(1.0, size * p_values[list(members)].min())
            for member in members:
                result[member] = max(result[member], joint)
    return result


def test_holm_is_the_closed_bonferroni_test():
    p_values = np.random.Generator(np.random.PCG64(4)).uniform(0, 0.3, 7)
    np.testing.assert_allclose(adjusted_p_values(p_values, method="holm"), closed_test(p_values))


def test_effects_are_adjusted_by_a_named_method_that_their_notes_name():
    effects = [effect(0.01), effect(0.04), effect(0.02), effect(0.02, sensitivity="never visited")]
    holm = adjust_p_values(effects, method="holm")
    assert [one.p_value_adjusted for one in holm[:3]] == [0.03, 0.04, 0.04]
    assert math.isnan(holm[3].p_value_adjusted)
    assert ["Holm" in " ".join(one.notes) for one in holm] == [True, True, True, False]
    again = adjust_p_values(holm, method="bonferroni")
    assert [one.p_value_adjusted for one in again[:3]] == [0.03, 0.12, 0.06]
    assert "Holm" not in " ".join(again[0].notes)
    back = adjust_p_values(again)
    assert back[0].notes == effects[0].notes
    assert [one.p_value_adjusted for one in back] == pytest.approx(
        [one.p_value_adjusted for one in adjust_p_values(effects)], nan_ok=True
    )


@pytest.mark.parametrize("p_values", [[-0.1, 0.5], [0.5, 1.5], [[0.1, 0.2]], [math.inf]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(EstimationError, match="adjusted_p_values"):
        adjusted_p_values(p_values)


def test_an_unknown_method_is_refused_and_the_known_are_listed():
    with pytest.raises(EstimationError, match="holm, hochberg"):
        adjusted_p_values([0.1], method="sidak")
    with pytest.raises(EstimationError, match="sidak"):
        adjust_p_values([], method="sidak")


def stepdown_by_rejections(t, draws, rate):
    """Romano and Wolf (2005): reject, leave the rejected out, try again."""
    left = list(range(len(t)))
    rejected: set[int] = set()
    while left:
        largest = np.abs(draws[:, left]).max(axis=1)
        out = [j for j in left if (1 + (largest >= abs(t[j])).sum()) / (1 + len(draws)) <= rate]
        if not out:
            break
        rejected |= set(out)
        left = [j for j in left if j not in out]
    return rejected


def test_romano_wolf_values_give_the_rejections_of_the_stepwise_procedure():
    r = np.random.Generator(np.random.PCG64(8))
    seen = set()
    for _ in range(30):
        m = int(r.integers(2, 7))
        t = r.normal(size=m) * 2.5
        draws = r.normal(size=(199, m)) + r.normal(size=(199, 1))
        ours = romano_wolf(t, draws)
        for rate in (0.01, 0.05, 0.1, 0.3):
            expected = stepdown_by_rejections(t, draws, rate)
            assert set(np.flatnonzero(ours <= rate)) == expected
            seen.add(len(expected))
    assert len(seen) > 3


def test_romano_wolf_counts_the_largest_of_the_rest_in_each_draw():
    t = np.array([1.0, -3.0, 2.0])
    draws = np.array([[0.5, 3.5, 0.0], [1.5, 0.1, -2.5], [0.2, 0.1, 0.3], [1.0, -0.2, 0.0]])
    # -3: 1 draw of all; 2: 1 of columns 0 and 2; 1: 2 of column 0
    np.testing.assert_allclose(romano_wolf(t, draws), [3 / 5, 2 / 5, 2 / 5])
    np.testing.assert_allclose(romano_wolf(t, draws, kind="enumerated"), [2 / 4, 1 / 4, 1 / 4])


def test_romano_wolf_takes_missing_statistics_out_and_missing_draws_as_extreme():
    draws = np.array([[0.1, 9.0, 0.2], [0.2, 9.0, 0.1], [0.1, 9.0, 0.1]])
    np.testing.assert_allclose(romano_wolf([2.0, math.nan, 1.0], draws), [0.25, math.nan, 0.25])
    draws[0, 0] = math.nan
    np.testing.assert_allclose(romano_wolf([2.0, math.nan, 1.0], draws), [0.5, math.nan, 0.5])


def test_romano_wolf_of_one_outcome_is_the_plain_p_and_of_equal_outcomes_pays_nothing():
    r = np.random.Generator(np.random.PCG64(9))
    draws = r.normal(size=(999, 1))
    one = romano_wolf([1.9], draws)
    assert one[0] == (1 + (np.abs(draws) >= 1.9).sum()) / 1000
    np.testing.assert_allclose(romano_wolf([1.9, -1.9], np.hstack([draws, draws])), [one[0]] * 2)


def test_romano_wolf_keeps_the_familywise_error_rate_where_no_adjustment_loses_it():
    r = np.random.Generator(np.random.PCG64(10))
    simulations, m = 400, 5
    false = {"none": 0, "romano_wolf": 0, "bonferroni": 0}
    for _ in range(simulations):
        t = r.normal(size=m) + r.normal()
        draws = r.normal(size=(199, m)) + r.normal(size=(199, 1))
        plain = (1 + (np.abs(draws) >= np.abs(t)).sum(axis=0)) / 200
        false["none"] += plain.min() <= 0.1
        false["romano_wolf"] += romano_wolf(t, draws).min() <= 0.1
        false["bonferroni"] += adjusted_p_values(plain, method="bonferroni").min() <= 0.1
    # 400 samples: a rate of .10 is seen between .055 and .145 with probability .997
    assert 0.055 < false["romano_wolf"] / simulations < 0.145
    assert false["none"] / simulations > 0.2
    assert false["bonferroni"] < false["romano_wolf"]


@pytest.mark.parametrize(("t", "draws"), [([1.0], [[1.0, 2.0]]), ([1.0], np.empty((0, 1)))])
def test_romano_wolf_refuses_draws_that_do_not_fit(t, draws):
    with pytest.raises(EstimationError, match="romano_wolf"):
        romano_wolf(t, draws)
    with pytest.raises(EstimationError, match="kind"):
        romano_wolf([1.0], [[1.0]], kind="some")
