"""Table B9: effects with who responded, honest about the missing baseline, and safe to publish."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import DifferenceInMeans
from homevisit_eval.effects import Effect, estimate_effect
from homevisit_eval.effects.response_weights import (
    ResponseRate,
    response_rates,
    weight_for_response,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.panel.reliability import RELIABILITY_COLUMNS
from homevisit_eval.report.engagement_tables import family_engagement, survey_scales
from test_effects_response_weights import HALF_OF_BOYS, MEASURED, SCALE, cells, matched_of


def noisy(counts: dict[tuple[int, int], tuple[int, int]]) -> MatchedSample:
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 8])))
    rows = cells(counts)
    return matched_of(rows.assign(y=rows["y"] + draw.normal(size=len(rows))))


def of(matched: MatchedSample) -> tuple[list[Effect], tuple[ResponseRate, ...], tuple[str, ...]]:
    """Return the effect as answered and weighted, the response rate, and the weights' notes."""
    weighted = weight_for_response(matched, SCALE)
    effects = [estimate_effect(one, SCALE, DifferenceInMeans()) for one in (weighted, matched)]
    return effects, response_rates(matched, [SCALE]), weighted.sample.notes


def everything(table) -> str:
    return "\n".join([table.text(), table.html(), table.to_csv_text(), *table.notes])


def test_both_estimates_stand_with_the_shares_who_responded():
    effects, rates, notes = of(noisy(HALF_OF_BOYS))
    table = family_engagement(effects, rates, weighting_notes=notes)
    assert table.name == "B9"
    assert table.frame["analysis"].tolist() == ["Those who responded", "Weighted for response"]
    answered, weighted = (table.frame.iloc[row] for row in (0, 1))
    for row, effect in ((answered, effects[1]), (weighted, effects[0])):
        for column in ("estimate", "std_error", "ci_low", "ci_high", "p_value", "effect_size"):
            assert row[column] == getattr(effect, column)
        assert (row["n_visited"], row["n_comparison"]) == (150, 300)
        assert row["rate_visited"] == row["rate_comparison"] == pytest.approx(0.375)
        assert row["rate_difference"] == pytest.approx(0, abs=1e-12)
    assert weighted["estimate"] != answered["estimate"]
    assert not table.hidden
    for said in ("Synthetic data", "not assessable", "Exploratory", "from 2.00 to 4.00", "37.50%"):
        assert said in everything(table)
    assert "weighted for response" in table.frame["estimand"][1]


def test_an_outcome_with_a_baseline_points_to_its_equivalence():
    effects, rates, _ = of(noisy(HALF_OF_BOYS))
    measured = [
        replace(one, outcome=replace(one.outcome, baseline="math_score_std_prior"))
        for one in effects
    ]
    table = family_engagement(measured, rates)
    assert set(table.frame["equivalence"]) == {"see A8"}
    assert "not assessable" not in everything(table)


def test_shares_that_would_tell_how_few_did_not_respond_are_hidden():
    few = {(1, 0): (60, 57), (1, 1): (60, 58), (0, 0): (100, 60), (0, 1): (100, 40)}
    effects, rates, notes = of(noisy(few))
    assert (rates[0].asked_visited, rates[0].answered_visited) == (120, 115)
    table = family_engagement(effects, rates, weighting_notes=notes)
    assert table.frame["rate_visited"].isna().all()
    assert table.frame["rate_difference"].isna().all()
    assert table.frame["rate_comparison"].notna().all()
    assert set(table.frame["n_visited"]) == {110}
    assert not re.search(r"(?<![\d.])115(?!\d)", everything(table))
    assert "95.83" not in everything(table)


def test_a_few_who_were_not_asked_are_not_told():
    rows = cells(HALF_OF_BOYS)
    younger = pd.DataFrame({"visited": [1] * 4 + [0] * 40, "female": 0, "y": np.nan, "grade": 1})
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 9])))
    rows["y"] += draw.normal(size=len(rows))
    matched = matched_of(pd.concat([rows.assign(grade=3), younger], ignore_index=True))
    effects, rates, _ = of(matched)
    assert effects[0].matched_visited == 404
    table = family_engagement(effects, rates)
    assert table.frame["rate_visited"].isna().all()
    assert table.frame["rate_comparison"].notna().all()


def test_few_respondents_are_hidden_with_all_that_rests_on_them():
    few = {(1, 0): (60, 4), (1, 1): (60, 4), (0, 0): (100, 60), (0, 1): (100, 40)}
    matched = noisy(few)
    effects = [estimate_effect(matched, SCALE, DifferenceInMeans())]
    table = family_engagement(effects, response_rates(matched, [SCALE]))
    row = table.frame.iloc[0]
    for column in ("n_visited", "estimate", "ci_low", "p_value", "rate_visited", "rate_difference"):
        assert pd.isna(row[column]), column


def test_there_must_be_an_effect_and_its_response_rate():
    effects, _, _ = of(noisy(HALF_OF_BOYS))
    with pytest.raises(EstimationError, match="no effect to show"):
        family_engagement([], [])
    with pytest.raises(EstimationError, match=f"{SCALE} has no response rate"):
        family_engagement(effects, [])


# -- scales ---------------------------------------------------------------------------------


def reliability(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(RELIABILITY_COLUMNS))


def test_scales_have_labels_years_and_alpha():
    table = survey_scales(
        reliability((SCALE, 2015, 4, 120, 110, 100, 3.1, 0.8, 0.81)), [MEASURED], synthetic=True
    )
    text = everything(table)
    for said in ("Engagement at school", "2014-15", "0.81", "120", "Synthetic data", "Cronbach"):
        assert said in text
    assert table.name.startswith("B9")


def test_scales_of_few_respondents_are_hidden():
    table = survey_scales(
        reliability(
            (SCALE, 2015, 4, 8, 8, 8, 3.1, 0.8, 0.81),
            (SCALE, 2016, 4, 80, 80, 75, 3.2, 0.9, 0.82),
            (SCALE, 2017, 4, 80, 80, 9, 3.3, 0.7, 0.83),
        ),
        [MEASURED],
        synthetic=False,
    )
    frame = table.frame
    assert frame.loc[0, ["respondents", "mean", "complete", "cronbach_alpha"]].isna().all()
    assert frame.loc[1, "complete"] == 70  # 5 of 80 left out an item
    assert frame.loc[1, "cronbach_alpha"] == 0.82
    assert frame.loc[2, ["complete", "cronbach_alpha"]].isna().all()
    assert frame.loc[2, "mean"] == 3.3


def test_without_a_scale_there_is_no_table():
    with pytest.raises(EstimationError, match="no answer"):
        survey_scales(reliability(), [MEASURED], synthetic=True)
