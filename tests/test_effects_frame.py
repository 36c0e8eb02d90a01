"""Effects in any matched data frame: R's numbers, errors, pooling, recovery."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import (
    CoarsenedExactMatching,
    InverseProbability,
    NearestNeighbor,
    Subclassification,
)
from homevisit_eval.effects import estimate_frame_effect, pool_frame_effects
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.matching import Estimand, Matches, match_frame
from matchit_specs import COVARIATES, SPECS, covariates_of, lalonde, stored

DIGITS = 1e-8


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return lalonde()


def reference_matches(name: str, frame: pd.DataFrame) -> Matches:
    """Return the stored weights and sets as if they were ours."""
    units = stored(name, "units").set_index("id")
    return Matches(
        method=SPECS[name],
        pairs=pd.DataFrame({"treated": [], "rank": [], "comparison": []}),
        weights=units["weights"].reindex(frame.index),
        matched_set=units["subclass"].fillna(-1).astype(int).reindex(frame.index),
        propensity_score=None,
        linear_propensity_score=None,
        estimand=Estimand("ATT"),
        propensity=(),
        unmatched=pd.DataFrame({"row": [], "reason": []}),
        audit=MappingProxyType({}),
    )


@pytest.mark.parametrize("name", SPECS)
def test_estimates_and_standard_errors_equal_those_of_r(name, data):
    matches, expected = reference_matches(name, data), stored(name, "effect").iloc[0]
    plain = estimate_frame_effect(data, matches, outcome="re78", treated="treat")
    adjusted = estimate_frame_effect(
        data, matches, outcome="re78", treated="treat", covariates=COVARIATES
    )
    assert plain.estimate == pytest.approx(expected["est_unadj"], rel=DIGITS)
    assert adjusted.estimate == pytest.approx(expected["est_adj"], rel=DIGITS)
    assert adjusted.std_error == pytest.approx(expected["se_robust"], rel=DIGITS)
    assert adjusted.n_treated + adjusted.n_comparison == expected["n"]
    by_set = expected["se_kind"] == "vcovCL(subclass)"
    assert (adjusted.cluster, adjusted.covariance) == (
        ("matched_set", "CR1S") if by_set else ("", "HC3")
    )
    assert plain.mean_treated - plain.mean_comparison == pytest.approx(plain.estimate)


@pytest.mark.parametrize("name", ["s01_nn11", "s04_nn21", "s06_nn11_replace", "s24_cem"])
def test_from_raw_data_to_the_effect(name, data):
    matches = match_frame(data, treated="treat", covariates=covariates_of(name), method=SPECS[name])
    expected = stored(name, "effect").iloc[0]
    ours = estimate_frame_effect(
        data, matches, outcome="re78", treated="treat", covariates=COVARIATES
    )
    assert ours.estimate == pytest.approx(expected["est_adj"], rel=DIGITS)
    assert ours.std_error == pytest.approx(expected["se_robust"], rel=DIGITS)


def test_a_wrong_factor_would_be_noticed(data):
    """The check above fails for the other small-sample conventions."""
    matches, expected = reference_matches("s01_nn11", data), stored("s01_nn11", "effect").iloc[0]
    for other in ("CR0", "CR2"):
        found = estimate_frame_effect(
            data,
            matches,
            outcome="re78",
            treated="treat",
            covariates=COVARIATES,
            covariance=other,
        )
        assert found.std_error != pytest.approx(expected["se_robust"], rel=1e-5)


def simulated(seed: int, n: int = 3000) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return data whose effect differs by x, and the true averages of it."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([23, seed])))
    x = random.normal(size=n)
    z = random.integers(0, 2, n)
    chance = 1 / (1 + np.exp(0.7 - 0.8 * x - 0.5 * z))
    treated = (random.random(n) < chance).astype(int)
    effect = 1 + x
    y = 2 * x + x**2 / 2 + z + treated * effect + random.normal(size=n)
    truth = {
        "ATT": effect[treated == 1].mean(),
        "ATC": effect[treated == 0].mean(),
        "ATE": effect.mean(),
    }
    return pd.DataFrame({"x": x, "z": z, "d": treated, "y": y}), truth


@pytest.mark.parametrize("target", ["ATT", "ATC", "ATE"])
def test_each_estimand_is_recovered_by_methods_that_offer_it(target):
    """Over 12 simulated data sets the mean error is within 4 of its own standard errors."""
    methods = {
        "weights": InverseProbability(estimand=target),
        "subclasses": Subclassification(estimand=target, subclasses=60),
        "strata": CoarsenedExactMatching(estimand=target),
    }
    if target != "ATE":
        methods["pairs"] = NearestNeighbor(estimand=target, max_uses="unlimited", caliper="none")
    errors: dict[str, list[float]] = {name: [] for name in methods}
    naive = []
    for seed in range(12):
        frame, truth = simulated(seed)
        groups = frame.groupby("d")["y"].mean()
        naive.append(groups[1] - groups[0] - truth[target])
        for name, method in methods.items():
            matches = match_frame(frame, treated="d", covariates=["x", "z"], method=method)
            used = matches.weights > 0
            about = frame["d"] == (target == "ATT") if target != "ATE" else used | True
            of_used = (1 + frame["x"])[used & about].mean()
            found = estimate_frame_effect(frame, matches, outcome="y", treated="d")
            errors[name].append(found.estimate - of_used)
    assert abs(np.mean(naive)) > 0.5
    for name, values in errors.items():
        error, spread = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(error) < max(4 * spread, 0.06), (name, error, spread)


def test_what_is_refused(data):
    matches = match_frame(data, treated="treat", covariates=COVARIATES)
    replaced = match_frame(
        data, treated="treat", covariates=COVARIATES, method=SPECS["s06_nn11_replace"]
    )
    given = {"outcome": "re78", "treated": "treat"}
    cases = [
        (data.iloc[::-1], matches, given, "not those of the matches"),
        (data, matches, {**given, "outcome": "re79"}, "no column 're79'"),
        (data, replaced, {**given, "cluster": "matched_set"}, "in no set, or in several"),
        (data, matches, {**given, "covariance": "HC9"}, "must be one of default"),
        (data, matches, {**given, "covariates": ["treat"]}, "cannot be a covariate"),
        (data.assign(re78=np.nan), matches, given, "no matched treated row has a value"),
        (data.assign(age=np.nan), matches, {**given, "covariates": ["age"]}, "without a value"),
        (
            data.assign(same=data["treat"] * 2.0),
            matches,
            {**given, "covariates": ["same"]},
            None,
        ),
        (data.assign(one="a"), matches, {**given, "cluster": "one"}, "all rows are in one cluster"),
    ]
    for frame, those, options, message in cases:
        if message is None:
            found = estimate_frame_effect(frame, those, **options)
            assert "Left out because" in " ".join(found.notes)
            continue
        with pytest.raises((EstimationError, MatchingError), match=message):
            estimate_frame_effect(frame, those, **options)


def test_rows_without_the_outcome_are_left_out_and_counted(data):
    matches = match_frame(data, treated="treat", covariates=COVARIATES)
    first = matches.pairs["treated"].iloc[0]
    frame = data.astype({"re78": float})
    frame.loc[first, "re78"] = np.nan
    found = estimate_frame_effect(frame, matches, outcome="re78", treated="treat")
    assert found.n_treated == len(matches.pairs) - 1
    assert str(found.estimand).endswith("with the outcome observed")
    assert any("1 matched rows lack the outcome" in note for note in found.notes)


def test_few_clusters_are_said(data):
    matches = match_frame(data, treated="treat", covariates=COVARIATES)
    by_race = estimate_frame_effect(data, matches, outcome="re78", treated="treat", cluster="race")
    assert any("too narrow" in note for note in by_race.notes)
    assert "by race, G = 3" in repr(by_race)


def test_pooling_is_rubins_rule(data):
    matches = match_frame(data, treated="treat", covariates=COVARIATES)
    one = estimate_frame_effect(data, matches, outcome="re78", treated="treat")
    other = replace(one, estimate=one.estimate + 200.0, std_error=one.std_error * 1.1)
    pooled = pool_frame_effects([one, other])
    between = 200.0**2 / 2
    within = one.std_error**2 * (1 + 1.21) / 2
    assert pooled.estimate == pytest.approx(one.estimate + 100.0)
    assert pooled.std_error == pytest.approx(np.sqrt(within + 1.5 * between))
    assert pooled.df < one.df
    with pytest.raises(EstimationError, match="must agree"):
        pool_frame_effects([one, replace(one, cluster="school")])
    with pytest.raises(EstimationError):
        pool_frame_effects([one])
