"""`match_students`: bands, strata and the method of a question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import ExactMatching, NearestNeighbor, NoMatching
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching import match_frame, match_students
from small_sample import random_sample, sample_of

BANDS = ("with pretest", "without pretest")


def test_each_band_is_matched_as_a_frame_of_its_own():
    sample = random_sample(1)
    matches = match_students(sample).matches
    assert [model.band for model in matches.propensity] == [f"band {band!r}" for band in BANDS]
    alone = []
    for band, model in zip(BANDS, matches.propensity, strict=True):
        rows = sample.baseline[sample.baseline["grade_band"] == band]
        single = match_frame(
            rows,
            treated="visited",
            covariates=sample.covariates[band],
            method=sample.design.matching,
            squared=["attendance_rate_prior"],
            key=["unit_id", "school_year", "index_date"],
        )
        assert single.propensity[0].caliper_width == model.caliper_width
        assert single.propensity[0].coefficients == model.coefficients
        assert "math_score_std_prior" not in model.names or band == "with pretest"
        alone += [tuple(pair) for pair in single.pairs[["treated", "comparison"]].to_numpy()]
    assert {tuple(pair) for pair in matches.pairs[["treated", "comparison"]].to_numpy()} == set(
        alone
    )


def test_pairs_stay_within_grade_and_school_where_asked():
    sample = random_sample(2, comparison_schools="same_school")
    matched = match_students(sample)
    left = sample.baseline.loc[matched.matches.pairs["treated"]]
    right = sample.baseline.loc[matched.matches.pairs["comparison"]]
    for column in ("grade", "school_id", "grade_band"):
        assert left[column].tolist() == right[column].tolist()
    assert matched.matches.method.exact == ("grade", "school_id")
    anywhere = match_students(random_sample(2)).matches
    assert anywhere.method.exact == ("grade",)
    assert len(anywhere.pairs) > len(matched.matches.pairs)


def test_the_method_is_that_given_else_the_question_s_else_the_design_s():
    sample = random_sample(3)
    of_design = match_students(sample).matches
    assert of_design.method == sample.design.matching
    question = replace(sample.question, matching=NearestNeighbor(caliper=0.01))
    asked = replace(sample, question=question)
    assert match_students(asked).matches.method == question.matching
    assert match_students(asked, NoMatching()).matches.method == NoMatching()


def test_rows_in_another_order_make_the_same_pairs():
    sample = random_sample(4)
    matches = match_students(sample).matches
    order = np.random.Generator(np.random.PCG64(4)).permutation(len(sample.baseline))
    shuffled = replace(
        sample,
        baseline=sample.baseline.iloc[order].reset_index(drop=True),
        outcomes=sample.outcomes.iloc[order].reset_index(drop=True),
    )
    again = match_students(shuffled).matches
    for side in ("treated", "comparison"):
        units = sample.baseline.loc[matches.pairs[side], "unit_id"].tolist()
        assert shuffled.baseline.loc[again.pairs[side], "unit_id"].tolist() == units


def test_outcomes_are_not_read():
    sample = random_sample(5)
    blind = replace(sample, outcomes=pd.DataFrame(index=sample.outcomes.index))
    first, second = match_students(sample).matches, match_students(blind).matches
    pd.testing.assert_frame_equal(first.pairs, second.pairs)
    pd.testing.assert_series_equal(first.weights, second.weights)


def test_a_band_with_one_group_does_not_stop_the_study():
    sample = random_sample(6)
    pretest = sample.baseline["grade_band"] == "with pretest"
    for group, lost in ((1, pretest.sum()), (0, 0)):
        baseline = sample.baseline.assign(visited=sample.baseline["visited"].where(~pretest, group))
        matches = match_students(replace(sample, baseline=baseline)).matches
        assert [model.band for model in matches.propensity] == ["band 'without pretest'"]
        reasons = matches.unmatched["reason"]
        assert (reasons == "no comparison unit in the band").sum() == lost
        assert matches.linear_propensity_score[pretest].isna().all()
        assert "band 'with pretest': no" in str(matches.audit["notes"])


def test_a_covariate_constant_in_one_band_is_dropped_there_and_named():
    sample = random_sample(7)
    pretest = sample.baseline["grade_band"] == "with pretest"
    baseline = sample.baseline.assign(female=sample.baseline["female"].where(~pretest, 1))
    matches = match_students(replace(sample, baseline=baseline)).matches
    with_pretest, without = matches.propensity
    assert np.isnan(with_pretest.coefficients["female"])
    assert np.isfinite(without.coefficients["female"])
    assert matches.audit["notes"] == (
        "band 'with pretest': dropped as combinations of other covariates: female"
    )


def test_separation_names_the_band_and_the_covariate():
    sample = random_sample(8)
    baseline = sample.baseline.copy()
    pretest = baseline["grade_band"] == "with pretest"
    spread = np.linspace(0, 1, len(baseline))
    baseline["math_score_std_prior"] = (baseline["visited"] * 5 + spread).where(pretest)
    with pytest.raises(MatchingError, match=r"^band 'with pretest': .*math_score_std_prior alone"):
        match_students(replace(sample, baseline=baseline))


def test_an_incomplete_baseline_names_the_band():
    sample = random_sample(9)
    baseline = sample.baseline.copy()
    baseline.loc[baseline.index[:2], "attendance_rate_prior"] = np.nan
    with pytest.raises(MatchingError, match=r"^band '.*attendance_rate_prior: "):
        match_students(replace(sample, baseline=baseline))


def test_a_band_without_covariates_is_refused():
    sample = random_sample(10)
    covariates = {"with pretest": sample.covariates["with pretest"]}
    with pytest.raises(MatchingError, match="'without pretest': the sample names no covariates"):
        match_students(sample_of(sample.baseline, sample.outcomes, covariates))


def test_the_representation_shows_counts_and_the_estimand():
    text = repr(match_students(random_sample(11)))
    assert "ATT" in text
    assert "synthetic data" in text
    assert "SYN0" not in text


def test_same_school_needs_pairs():
    sample = random_sample(10, comparison_schools="same_school")
    with pytest.raises(MatchingError, match="only within school_id, which needs a matching method"):
        match_students(sample, NoMatching())
    with pytest.raises(MatchingError, match="'exact' names none"):
        match_students(sample, ExactMatching())
    matched = match_students(sample, ExactMatching(exact=("grade",)))
    used = matched.matches.matched_set[matched.matches.matched_set > 0]
    schools = sample.baseline.loc[used.index, "school_id"].astype(str)
    assert schools.groupby(used).agg(lambda values: len(set(values))).eq(1).all()


def test_a_student_is_not_matched_with_himself_in_another_year():
    sample = random_sample(11)
    pairs = match_students(sample).matches.pairs
    first, second = pairs.loc[0, ["treated", "comparison"]]
    baseline = sample.baseline.copy()
    baseline.loc[second, "unit_id"] = baseline.loc[first, "unit_id"]
    baseline.loc[second, "school_year"] = 2014
    again = replace(sample, baseline=baseline)
    across = match_students(again, NearestNeighbor(exact=("grade",), ties="matchit")).matches.pairs
    units = baseline["unit_id"]
    himself = units[across["treated"]].to_numpy() == units[across["comparison"]].to_numpy()
    assert not himself.any()
    assert second not in across.loc[across["treated"] == first, "comparison"].tolist()
    exact = NearestNeighbor(exact=("grade", "school_year"), ties="matchit")
    assert len(match_students(again, exact).matches.pairs) > 0
