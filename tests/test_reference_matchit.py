"""Pairs, weights, matched sets and balance of R MatchIt 4.7.2, from the raw lalonde file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import describe_groups
from homevisit_eval.design import NearestNeighbor
from homevisit_eval.effect_sizes import standardized_mean_difference
from homevisit_eval.matching import Matches, match_frame

REFERENCE = Path(__file__).parent / "reference" / "matchit"
COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
DIGITS = 1e-11  # relative: sums of 614 numbers in another order
SPECS = {
    "s01_nn11": NearestNeighbor(score="propensity_score", caliper="none", ties="matchit"),
    "s02_nn11_linear": NearestNeighbor(caliper="none", ties="matchit"),
    "s07_nn11_cal02": NearestNeighbor(score="propensity_score", caliper=0.2, ties="matchit"),
    "s08_nn11_exact": NearestNeighbor(
        score="propensity_score", caliper="none", exact=("race", "married"), ties="matchit"
    ),
}


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    raw = pd.read_csv(REFERENCE / "lalonde_with_ps.csv").set_index("id")
    return raw.drop(columns=["ps", "linps"])


@pytest.fixture(scope="module", params=sorted(SPECS))
def spec(request, lalonde) -> tuple[str, Matches]:
    name = request.param
    return name, match_frame(lalonde, treated="treat", covariates=COVARIATES, method=SPECS[name])


def test_pairs_are_equal(spec):
    name, matches = spec
    reference = pd.read_csv(REFERENCE / f"{name}_pairs.csv")
    matched = reference.dropna(subset="match")
    assert matches.pairs["treated"].tolist() == matched["focal"].tolist()
    assert matches.pairs["comparison"].tolist() == matched["match"].tolist()
    assert matches.pairs["rank"].tolist() == matched["k"].tolist()
    assert (
        matches.unmatched["row"].tolist()
        == reference.loc[reference["match"].isna(), "focal"].tolist()
    )


def test_scores_weights_and_matched_sets_are_equal(spec):
    name, matches = spec
    units = pd.read_csv(REFERENCE / f"{name}_units.csv").set_index("id")
    linear = name == "s02_nn11_linear"
    score = matches.linear_propensity_score if linear else matches.propensity_score
    np.testing.assert_allclose(score, units["distance"], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(matches.weights, units["weights"])
    np.testing.assert_array_equal(matches.matched_set, units["subclass"].fillna(-1).astype(int))


def test_the_estimand_is_the_realized_one(spec):
    name, matches = spec
    everybody = name in ("s01_nn11", "s02_nn11_linear")
    assert str(matches.estimand) == ("ATT" if everybody else "ATT in the matched sample")


def test_scores_given_as_data_make_the_same_pairs(lalonde):
    scores = pd.read_csv(REFERENCE / "lalonde_with_ps.csv").set_index("id")["ps"]
    for name, method in SPECS.items():
        fitted = match_frame(lalonde, treated="treat", covariates=COVARIATES, method=method)
        given = match_frame(
            lalonde, treated="treat", covariates=COVARIATES, method=method, propensity_score=scores
        )
        pd.testing.assert_frame_equal(given.pairs, fitted.pairs, obj=name)
        assert given.propensity == ()


def test_standardized_differences_and_variance_ratios_are_equal(spec, lalonde):
    name, matches = spec
    reference = pd.read_csv(REFERENCE / f"{name}_balance.csv").set_index(["sample", "term"])
    treated = lalonde["treat"]
    variables = {key: lalonde[key].astype(float) for key in COVARIATES if key != "race"}
    variables |= {
        f"race{level}": (lalonde["race"] == level).astype(float)
        for level in ("black", "hispan", "white")
    }
    linear = name == "s02_nn11_linear"
    score = matches.linear_propensity_score if linear else matches.propensity_score
    variables["distance"] = score
    assert len(variables) * 2 == len(reference)
    for term, x in variables.items():
        binary = bool(x.isin([0, 1]).all())
        spread = describe_groups(x, treated, binary=binary).sd_treated
        for when, weights in (("all", None), ("matched", matches.weights)):
            row = reference.loc[(when, term)]
            moments = describe_groups(x, treated, weights, binary=binary)
            difference = standardized_mean_difference(
                x, treated, weights, standard_deviation=spread
            )
            ours = (moments.mean_treated, moments.mean_comparison, difference)
            theirs = row[["Means Treated", "Means Control", "Std. Mean Diff."]]
            np.testing.assert_allclose(
                ours, theirs.astype(float), rtol=DIGITS, atol=1e-14, err_msg=f"{when} {term}"
            )
            if binary:
                assert np.isnan(row["Var. Ratio"])
            else:
                assert moments.variance_ratio == pytest.approx(row["Var. Ratio"], rel=DIGITS)
