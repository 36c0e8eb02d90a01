"""Who answered, and weights for those who did not: closed forms, an outside fit, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from homevisit_eval.design import DifferenceInMeans, NoMatching, Outcome
from homevisit_eval.effects import estimate_effect
from homevisit_eval.effects.response_weights import response_rates, weight_for_response
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import match_students
from homevisit_eval.matching.matched_sample import MatchedSample
from small_sample import OUTCOMES, sample_of

SCALE = "engagement_at_school"
MEASURED = Outcome(SCALE, "Engagement at school", "family engagement", "continuous", "SD", "higher")


def matched_of(rows: pd.DataFrame, weights: np.ndarray | None = None) -> MatchedSample:
    """Return a matched sample of rows with visited, female, y (NaN: no answer), and grade."""
    n = len(rows)
    baseline = pd.DataFrame(
        {
            "unit_id": [f"SYN{number:05d}" for number in range(n)],
            "school_year": 2015,
            "index_date": pd.Timestamp("2014-08-25"),
            "visited": rows["visited"].to_numpy(),
            "grade": rows["grade"].to_numpy() if "grade" in rows else 3,
            "school_id": [f"S{number % 20:02d}" for number in range(n)],
            "grade_band": "all",
            "visited_prior": "no",
            "female": rows["female"].to_numpy(),
        }
    )
    outcomes = pd.DataFrame({SCALE: rows["y"].to_numpy(dtype=float), "days_enrolled": 180})
    for outcome in OUTCOMES:
        outcomes[outcome.name] = np.arange(n) % 2 * 1.0
    sample = sample_of(baseline, outcomes, {"all": ["female"]})
    question = replace(sample.question, outcomes=(SCALE, "any_incident"))
    design = replace(
        sample.design,
        outcomes=(*OUTCOMES, MEASURED),
        covariates=sample.design.covariates[1:2],
        questions=(question,),
    )
    matched = match_students(replace(sample, design=design, question=question), NoMatching())
    if weights is None:
        return matched
    series = pd.Series(weights, index=matched.matches.weights.index)
    return replace(matched, matches=replace(matched.matches, weights=series))


def cells(answered: dict[tuple[int, int], tuple[int, int]]) -> pd.DataFrame:
    """Return rows of each (visited, female): asked and answered; visits raise girls by 3, boys 1.

    Without a visit boys have 0 and girls 2, so that response by sex matters.
    """
    rows = []
    for (visited, female), (asked, have) in answered.items():
        y = 2.0 * female + visited * (1 + 2 * female)
        rows += [(visited, female, y if k < have else np.nan) for k in range(asked)]
    return pd.DataFrame(rows, columns=["visited", "female", "y"])


HALF_OF_BOYS = {(1, 0): (200, 100), (1, 1): (200, 50), (0, 0): (400, 200), (0, 1): (400, 100)}


def test_weights_make_respondents_stand_for_all():
    """Boys answer with 1/2, girls with 1/4 in both groups: the model is exact, and so is ATT 2."""
    matched = matched_of(cells(HALF_OF_BOYS))
    before = estimate_effect(matched, SCALE, DifferenceInMeans())
    assert before.estimate == pytest.approx((100 * 1 + 50 * 3) / 150, abs=1e-12)
    weighted = weight_for_response(matched, SCALE)
    after = estimate_effect(weighted, SCALE, DifferenceInMeans())
    assert after.estimate == pytest.approx(2, abs=1e-7)
    assert after.mean_comparison == pytest.approx(1, abs=1e-7)
    assert "weighted for response" in str(after.estimand)


def test_response_that_differs_by_group_and_sex_is_undone():
    """Additive in the log odds: odds of visited boys 3, girls 1; of the others 1 and 1/3."""
    matched = matched_of(
        cells({(1, 0): (400, 300), (1, 1): (400, 200), (0, 0): (800, 400), (0, 1): (800, 200)})
    )
    after = estimate_effect(weight_for_response(matched, SCALE), SCALE, DifferenceInMeans())
    before = estimate_effect(matched, SCALE, DifferenceInMeans())
    assert after.estimate == pytest.approx(2, abs=1e-7)
    assert abs(before.estimate - 2) > 0.05


def test_matching_weights_are_multiplied_and_keep_each_groups_sum():
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([9, 1])))
    n = 900
    rows = pd.DataFrame({"visited": draw.integers(0, 2, n), "female": draw.integers(0, 2, n)})
    chance = 1 / (1 + np.exp(0.3 - 0.8 * rows["visited"] + 0.9 * rows["female"]))
    rows["grade"] = draw.integers(3, 6, n)
    rows["y"] = np.where(draw.random(n) < chance, draw.normal(size=n), np.nan)
    weights = np.where(rows["visited"] == 1, 1.0, draw.integers(0, 4, n) / 2)
    matched = matched_of(rows, weights)
    found = weight_for_response(matched, SCALE).matches.weights.to_numpy()
    used, have = weights > 0, rows["y"].notna().to_numpy()
    X = np.column_stack(
        [np.ones(n), rows["visited"], rows["female"], rows["grade"] == 4, rows["grade"] == 5]
    ).astype(float)
    oracle = sm.GLM(
        have[used].astype(float), X[used], family=sm.families.Binomial(), freq_weights=weights[used]
    ).fit(tol=1e-13)
    expected = weights.copy()
    expected[used & have] /= oracle.fittedvalues[have[used]]
    for code in (0, 1):
        group = used & (rows["visited"] == code).to_numpy()
        expected[group & have] *= weights[group].sum() / expected[group & have].sum()
        assert found[group & have].sum() == pytest.approx(weights[group].sum(), rel=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found[~have], weights[~have])
    assert (found[weights == 0] == 0).all()


def test_grades_that_nobody_answers_in_were_not_asked():
    rows = cells(HALF_OF_BOYS)
    younger = pd.DataFrame({"visited": [1, 0] * 30, "female": 0, "y": np.nan, "grade": 1})
    matched = matched_of(pd.concat([rows.assign(grade=3), younger], ignore_index=True))
    (rate,) = response_rates(matched, [SCALE])
    assert (rate.asked_visited, rate.answered_visited) == (400, 150)
    assert (rate.asked_comparison, rate.answered_comparison) == (800, 300)
    after = estimate_effect(weight_for_response(matched, SCALE), SCALE, DifferenceInMeans())
    assert after.estimate == pytest.approx(2, abs=1e-7)


def test_rates_are_weighted_and_their_difference_is_that_of_the_groups():
    rows = pd.DataFrame({"visited": [1] * 20 + [0] * 20, "female": [0, 1] * 20})
    rows["y"] = np.where((rows.index % 2 == 0) | (rows["visited"] == 1), 1.0, np.nan)
    weights = np.where(rows["visited"] == 1, 1.0, np.where(rows["female"] == 1, 3.0, 1.0))
    (rate,) = response_rates(matched_of(rows, weights), [SCALE])
    assert rate.rate_visited == 1
    assert rate.rate_comparison == pytest.approx(1 / 4)
    assert rate.difference == pytest.approx(3 / 4)
    assert (rate.asked_comparison, rate.answered_comparison) == (20, 10)


def test_if_all_respond_nothing_changes():
    matched = matched_of(cells(dict.fromkeys(HALF_OF_BOYS, (40, 40))))
    assert weight_for_response(matched, SCALE) is matched


def test_the_input_stays_as_it_was_and_only_that_outcome_remains():
    matched = matched_of(cells(HALF_OF_BOYS))
    weights = matched.matches.weights.copy()
    weighted = weight_for_response(matched, SCALE)
    pd.testing.assert_series_equal(matched.matches.weights, weights)
    with pytest.raises(DesignError, match="any_incident"):
        estimate_effect(weighted, "any_incident")
    assert any("from 2.00 to 4.00" in note for note in weighted.sample.notes)
    assert not any("2.00" in note for note in matched.sample.notes)


def test_the_values_that_were_answered_do_not_matter():
    rows = cells(HALF_OF_BOYS)
    again = rows.assign(y=rows["y"].where(rows["y"].isna(), 7.0))
    one, other = (
        weight_for_response(matched_of(each), SCALE).matches.weights for each in (rows, again)
    )
    pd.testing.assert_series_equal(one, other, check_exact=True)


@pytest.mark.parametrize("group", ["visited", "comparison"])
def test_fewer_than_ten_respondents_of_a_group_are_refused_without_saying_how_few(group):
    few = {key: (200, 4 if key[0] == (group == "visited") else 100) for key in HALF_OF_BOYS}
    with pytest.raises(EstimationError, match=f"fewer than 10 matched {group}") as caught:
        weight_for_response(matched_of(cells(few)), SCALE)
    assert "8" not in str(caught.value)


def test_response_decided_by_a_covariate_is_refused():
    only_boys = {(1, 0): (100, 100), (1, 1): (100, 0), (0, 0): (100, 100), (0, 1): (100, 0)}
    with pytest.raises(EstimationError, match="certainty"):
        weight_for_response(matched_of(cells(only_boys)), SCALE)


def test_a_category_of_which_nobody_responded_is_said():
    some_boys = {(1, 0): (100, 50), (1, 1): (100, 0), (0, 0): (100, 50), (0, 1): (100, 0)}
    weighted = weight_for_response(matched_of(cells(some_boys)), SCALE)
    assert any("nobody stands for them" in note for note in weighted.sample.notes)


def test_one_answer_for_very_many_is_said():
    rare = {(1, 0): (400, 300), (1, 1): (600, 20), (0, 0): (400, 300), (0, 1): (600, 20)}
    weighted = weight_for_response(matched_of(cells(rare)), SCALE)
    assert any("a single answer stands for more than 20" in n for n in weighted.sample.notes)


def test_an_outcome_that_is_not_of_the_question_is_refused():
    matched = matched_of(cells(HALF_OF_BOYS))
    with pytest.raises(DesignError, match="outcome"):
        weight_for_response(matched, "attendance_rate")
    with pytest.raises(DesignError, match="outcome"):
        response_rates(matched, ["attendance_rate"])


def test_small_counts_are_not_printed():
    rows = pd.DataFrame({"visited": [1] * 30 + [0] * 30, "female": [0, 1] * 30})
    rows["y"] = np.where(rows.index % 30 < 26, 1.0, np.nan)
    (rate,) = response_rates(matched_of(rows), [SCALE])
    assert rate.answered_visited == 26
    assert "26" not in repr(rate)
    rows["y"] = np.where(rows.index % 30 < 6, 1.0, np.nan)
    (rate,) = response_rates(matched_of(rows), [SCALE])
    assert "<10 of 30 visited" in repr(rate)
