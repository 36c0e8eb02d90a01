"""Completed samples: what is drawn, from what it is drawn, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from homevisit_eval.design import MultipleImputation
from homevisit_eval.errors import MatchingError, SourceError
from homevisit_eval.matching import match_students
from homevisit_eval.sample import AnalyticSample, completed_samples, impute_baseline
from small_sample import random_sample

RULE = MultipleImputation(imputations=3, seed=5, iterations=2)
HOLES = ("attendance_rate_prior", "female", "race_ethnicity", "math_score_std_prior")


def with_holes(seed: int = 1, n: int = 600, rule: MultipleImputation = RULE) -> AnalyticSample:
    """A random sample that lacks a tenth of every covariate, and scores where there is no test."""
    sample = random_sample(seed, n)
    random = np.random.Generator(np.random.PCG64(seed))
    baseline = sample.baseline.copy()
    baseline["female"] = baseline["female"].astype(float)
    for name in HOLES:
        baseline[name] = baseline[name].where(random.random(n) > 0.1)
    design = replace(sample.design, missing_covariates=rule)
    return replace(sample, baseline=baseline, design=design)


SAMPLE = with_holes()
COMPLETED = completed_samples(SAMPLE)


def test_there_are_as_many_samples_as_asked_for_and_they_say_which_they_are():
    assert [one.imputation for one in COMPLETED] == [1, 2, 3]
    assert SAMPLE.imputation == 0
    assert {one.question for one in COMPLETED} == {SAMPLE.question}


def test_what_is_known_stays_and_nothing_that_a_grade_has_is_missing():
    for one in COMPLETED:
        for name in SAMPLE.baseline:
            known = SAMPLE.baseline[name].notna()
            before, after = SAMPLE.baseline.loc[known, name], one.baseline.loc[known, name]
            pd.testing.assert_series_equal(before, after)
        for band, names in SAMPLE.covariates.items():
            rows = one.baseline[one.baseline["grade_band"] == band]
            assert rows[list(names)].notna().all(axis=None)
        untested = one.baseline["grade_band"] == "without pretest"
        assert one.baseline.loc[untested, "math_score_std_prior"].isna().all()
        assert_frame_equal(one.outcomes, SAMPLE.outcomes)


def test_drawn_values_are_those_of_the_band_and_differ_between_samples():
    for name in HOLES:
        missing = SAMPLE.baseline[name].isna()
        for band in SAMPLE.covariates:
            rows = SAMPLE.baseline["grade_band"] == band
            known = set(SAMPLE.baseline.loc[rows & ~missing, name])
            assert set(COMPLETED[0].baseline.loc[rows & missing, name].dropna()) <= known
    first, second = (one.baseline[list(HOLES)] for one in COMPLETED[:2])
    assert not first.equals(second)
    assert COMPLETED[0].baseline["race_ethnicity"].dtype == SAMPLE.baseline["race_ethnicity"].dtype


def test_the_order_of_rows_does_not_matter():
    order = np.random.Generator(np.random.PCG64(3)).permutation(len(SAMPLE.baseline))
    shuffled = replace(
        SAMPLE,
        baseline=SAMPLE.baseline.iloc[order].reset_index(drop=True),
        outcomes=SAMPLE.outcomes.iloc[order].reset_index(drop=True),
    )
    for one, other in zip(COMPLETED, completed_samples(shuffled), strict=True):
        assert_frame_equal(one.baseline.iloc[order].reset_index(drop=True), other.baseline)


def test_outcomes_are_not_looked_at():
    """Who is compared is decided before outcomes are read."""
    random = np.random.Generator(np.random.PCG64(4))
    outcomes = SAMPLE.outcomes.apply(lambda column: random.permutation(column.to_numpy()))
    other = completed_samples(replace(SAMPLE, outcomes=outcomes * 0.5))
    for one, same in zip(COMPLETED, other, strict=True):
        assert_frame_equal(one.baseline, same.baseline)


def test_the_treatment_is_looked_at():
    baseline = SAMPLE.baseline.assign(visited=1 - SAMPLE.baseline["visited"].iloc[::-1].to_numpy())
    other = completed_samples(replace(SAMPLE, baseline=baseline))
    assert not COMPLETED[0].baseline[list(HOLES)].equals(other[0].baseline[list(HOLES)])


def test_a_sample_is_the_same_whatever_the_number_of_samples():
    more = impute_baseline(SAMPLE, replace(RULE, imputations=4))
    for one, same in zip(COMPLETED, more[:3], strict=True):
        assert_frame_equal(one.baseline, same.baseline)
    other = impute_baseline(SAMPLE, replace(RULE, seed=6))
    assert not other[0].baseline.equals(COMPLETED[0].baseline)


def test_asked_twice_the_answer_is_the_same_and_the_sample_unchanged():
    before = SAMPLE.baseline.copy()
    for one, same in zip(COMPLETED, completed_samples(SAMPLE), strict=True):
        assert_frame_equal(one.baseline, same.baseline)
    assert_frame_equal(SAMPLE.baseline, before)


def test_a_complete_sample_is_its_own_completion():
    sample = random_sample(2)
    asked = replace(sample, design=replace(sample.design, missing_covariates=RULE))
    assert completed_samples(asked) == (asked,)
    assert completed_samples(sample) == (sample,)
    for one in impute_baseline(sample, RULE):
        assert_frame_equal(one.baseline, sample.baseline)


def test_an_incomplete_sample_without_the_rule_is_left_alone():
    plain = replace(SAMPLE, design=random_sample(1).design)
    assert completed_samples(plain) == (plain,)


def test_a_schools_value_is_drawn_once_for_a_school_and_year():
    sample = random_sample(3, 1200)
    random = np.random.Generator(np.random.PCG64(3))
    school = np.array([f"S{number:02d}" for number in random.integers(0, 40, 1200)])
    share = dict(zip(sorted(set(school)), random.random(40).round(3), strict=True))
    values = pd.Series([share[name] for name in school])
    unknown = np.isin(school, ["S03", "S17"])
    one_known = unknown & (np.arange(1200) == np.flatnonzero(school == "S17")[0])
    baseline = sample.baseline.assign(
        school_id=school, school_at_risk_prior=values.where(~unknown | one_known)
    )
    covariates = {
        band: (*names, "school_at_risk_prior") for band, names in sample.covariates.items()
    }
    for one in impute_baseline(replace(sample, baseline=baseline, covariates=covariates), RULE):
        drawn = one.baseline.groupby(["school_id", "grade_band"])["school_at_risk_prior"]
        assert (drawn.max() == drawn.min()).all()
        band = one.baseline["grade_band"][np.flatnonzero(one_known)[0]]
        assert drawn.max()["S17", band] == share["S17"]


def test_a_covariate_that_nobody_of_the_band_has_is_an_error():
    untested = SAMPLE.baseline["grade_band"] == "without pretest"
    baseline = SAMPLE.baseline.assign(female=SAMPLE.baseline["female"].mask(untested))
    with pytest.raises(SourceError, match=r"female: known of none of .* 'without pretest'"):
        completed_samples(replace(SAMPLE, baseline=baseline))


def test_completed_samples_are_matched_and_the_incomplete_one_says_what_to_do():
    assert match_students(COMPLETED[0]).n_visited > 0
    with pytest.raises(MatchingError, match=r"female: \d+ rows are without .*impute_baseline"):
        match_students(SAMPLE)
