"""Sampling weights: scale does not matter, rows of weight 0 are not there, balance has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import assess_frame_balance
from homevisit_eval.design import (
    EntropyBalancing,
    FullMatching,
    InverseProbability,
    NearestNeighbor,
    OptimalPairs,
    Subclassification,
)
from homevisit_eval.matching import Matches, match_frame
from matching_invariants import check_matches
from matchit_specs import COVARIATES, lalonde

METHODS = [
    NearestNeighbor(caliper="none"),
    NearestNeighbor(distance="mahalanobis", caliper="none"),
    OptimalPairs(),
    FullMatching(),
    Subclassification(),
    InverseProbability(),
    EntropyBalancing(),
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    frame = lalonde()
    random = np.random.Generator(np.random.PCG64(5))
    return frame.assign(sampled=random.uniform(0.5, 2.0, len(frame)))


def match(frame: pd.DataFrame, method) -> Matches:
    return match_frame(
        frame,
        treated="treat",
        covariates=COVARIATES,
        method=method,
        sampling_weights="sampled",
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
def test_the_scale_of_sampling_weights_does_not_matter(method, data):
    first = match(data, method)
    for factor in (1e-6, 512.0):
        other = match(data.assign(sampled=data["sampled"] * factor), method)
        pd.testing.assert_frame_equal(first.pairs, other.pairs)
        np.testing.assert_allclose(other.weights, first.weights * factor, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=lambda one: type(one).__name__)
def test_rows_of_weight_0_are_as_if_they_were_not_there(method, data):
    sampled = data["sampled"].where(np.arange(len(data)) % 5 != 0, 0.0)
    frame = data.assign(sampled=sampled)
    matches = match(frame, method)
    without = match(frame[sampled > 0], method)
    assert (matches.weights[sampled == 0] == 0).all()
    assert not set(matches.unmatched["row"]) & set(frame.index[sampled == 0])
    pd.testing.assert_frame_equal(matches.pairs, without.pairs)
    np.testing.assert_allclose(matches.weights[sampled > 0], without.weights, rtol=1e-12)
    assert matches.estimand == without.estimand


def test_entropy_balancing_makes_weighted_means_equal(data):
    matches = match(data, EntropyBalancing())
    check_matches(data, matches, "treat")
    treated = data["treat"] == 1
    for name in ("age", "educ", "re74"):
        means = [
            np.average(data.loc[rows, name], weights=matches.weights[rows])
            for rows in (treated, ~treated)
        ]
        assert means[0] == pytest.approx(means[1], rel=1e-6)
        target = np.average(data.loc[treated, name], weights=data.loc[treated, "sampled"])
        assert means[0] == pytest.approx(target)


def test_balance_before_matching_has_the_sampling_weights(data):
    matches = match(data, NearestNeighbor())
    balance = assess_frame_balance(data, matches, treated="treat", covariates=["age"])
    row = balance.table.set_index("covariate").loc["age"]
    treated = data["treat"] == 1
    expected = np.average(data.loc[treated, "age"], weights=data.loc[treated, "sampled"])
    assert row["mean_treated_before"] == pytest.approx(expected)
