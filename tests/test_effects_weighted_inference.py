"""Weighted effects whose weights were estimated: oracles, theory, recovery, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit
from statsmodels.treatment.treatment_effects import TreatmentEffect

import stacked_equations as oracle
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.weighting.weighted_inference import (
    given_weights_effect,
    weighted_effect,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.weighting import (
    entropy_balancing_weights,
    inverse_probability_weights,
    overlap_weights,
)

RELATIVE = 1e-8
BY_DIFFERENCES = 1e-6  # the oracle's derivatives are numerical


def logit_scores(treated, X):
    return sm.Logit(treated, sm.add_constant(X)).fit(disp=0, tol=1e-14).predict()


@pytest.mark.parametrize(("estimand", "group"), [("ATE", "all"), ("ATT", 1), ("ATC", 0)])
def test_inverse_probability_weights_equal_statsmodels(estimand, group):
    y, treated, X, _, _ = oracle.data(1)
    A = sm.add_constant(X)
    score = sm.Logit(treated, A).fit(disp=0, tol=1e-14, method="newton")
    theirs = TreatmentEffect(sm.OLS(y, A), treated, results_select=score)
    numbers = theirs.ipw(effect_group=group, return_results=False)
    gmm = theirs.ipw(effect_group=group).results_gmm
    ours = weighted_effect(y, treated, X, estimand=estimand)
    assert ours.estimate == pytest.approx(numbers[0], rel=RELATIVE)
    assert ours.mean_comparison == pytest.approx(numbers[1], rel=RELATIVE)
    error = np.sqrt(400 / 399 * gmm.cov_params()[0, 0])
    assert ours.std_error == pytest.approx(error, rel=BY_DIFFERENCES)  # theirs are numerical too


def stacked_scores(y, treated, X, s, clusters, estimand):
    A = np.column_stack([np.ones(len(y)), X])

    def equations(theta):
        p = expit(A @ theta[:-2])
        w = s * oracle.score_weights(p, treated, estimand)
        return np.column_stack(
            [
                (s * (treated - p))[:, None] * A,
                w * treated * (y - theta[-2]),
                w * (1 - treated) * (y - theta[-1]),
            ]
        )

    return oracle.solve(equations, np.zeros(A.shape[1] + 2), clusters)


def stacked_balance(y, treated, X, s, clusters, estimand):
    """Targets, multipliers and means of both groups; exponents as in Zhao and Percival."""
    k = X.shape[1]
    h = oracle.share_of_target(treated, estimand)

    def equations(theta):
        t, parts, means = theta[:k], [], []
        for place, member in ((1, treated), (2, 1 - treated)):
            reweighted = not np.array_equal(member, h)
            lam = theta[place * k : (place + 1) * k] if reweighted else np.zeros(k)
            w = s * member * np.exp((X - t) @ lam)
            free = np.tile(theta[place * k : (place + 1) * k], (len(y), 1))
            parts.append(w[:, None] * (X - t) if reweighted else free)
            means.append(w * (y - theta[3 * k + place - 1]))
        return np.column_stack([(s * h)[:, None] * (X - t), *parts, *means])

    return oracle.solve(equations, np.zeros(3 * k + 2), clusters)


def difference(theta, covariance):
    contrast = np.array([1.0, -1.0])
    return theta[-2:], float(np.sqrt(contrast @ covariance[-2:, -2:] @ contrast))


@pytest.mark.parametrize(
    ("estimand", "weighting"),
    [
        ("ATE", "inverse probability"),
        ("ATT", "inverse probability"),
        ("ATC", "inverse probability"),
        ("ATO", "overlap"),
        ("ATE", "entropy balancing"),
        ("ATT", "entropy balancing"),
        ("ATC", "entropy balancing"),
    ],
)
def test_weighted_and_clustered_effects_equal_brute_force(estimand, weighting):
    y, treated, X, s, clusters = oracle.data(2)
    ours = weighted_effect(
        y, treated, X, estimand=estimand, weighting=weighting, weights=s, clusters=clusters
    )
    stacked = stacked_balance if weighting == "entropy balancing" else stacked_scores
    means, error = difference(*stacked(y, treated, X, s, clusters, estimand))
    np.testing.assert_allclose([ours.mean_treated, ours.mean_comparison], means, rtol=1e-7)
    assert ours.std_error == pytest.approx(error, rel=BY_DIFFERENCES)
    assert (ours.G, ours.df, ours.estimand) == (40, 39, estimand)
    assert abs(ours.influence.sum()) < 1e-9


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC", "ATO"])
def test_estimates_are_those_of_the_weights_of_matching(estimand):
    y, treated, X, s, _ = oracle.data(3)
    p = logit_scores(treated, X)
    if estimand == "ATO":
        w, weighting = overlap_weights(p, treated), "overlap"
    else:
        w = inverse_probability_weights(p, treated, estimand=estimand)
        weighting = "inverse probability"
    known = given_weights_effect(y, treated, w, estimand=estimand)
    estimated = weighted_effect(y, treated, X, estimand=estimand, weighting=weighting)
    assert estimated.estimate == pytest.approx(known.estimate, rel=1e-9)
    assert estimated.std_error != pytest.approx(known.std_error, rel=1e-3)
    if estimand != "ATO":
        balance = entropy_balancing_weights(X, treated, estimand=estimand, base_weights=s)
        known = given_weights_effect(y, treated, balance.weights, estimand=estimand)
        estimated = weighted_effect(
            y, treated, X, estimand=estimand, weighting="entropy balancing", weights=s
        )
        assert estimated.estimate == pytest.approx(known.estimate, rel=1e-9)


def test_known_weights_give_the_sandwich_of_the_weighted_regression():
    y, treated, _, s, clusters = oracle.data(4)
    ours = given_weights_effect(y, treated, s, estimand="ATE", clusters=clusters)
    fit = fit_least_squares(
        y,
        np.column_stack([np.ones(400), treated]),
        weights=s,
        clusters=clusters,
        covariance="CR0",
    )
    assert ours.estimate == pytest.approx(fit.coefficients[1], rel=1e-12)
    assert ours.std_error == pytest.approx(fit.std_errors[1] * np.sqrt(40 / 39), rel=1e-12)


def ratio_to_known(y, treated, X, estimand):
    """Return the standard error with the score estimated over that with the score known."""
    estimated = weighted_effect(y, treated, X, estimand=estimand)
    w = inverse_probability_weights(logit_scores(treated, X), treated, estimand=estimand)
    return estimated.std_error / given_weights_effect(y, treated, w, estimand=estimand).std_error


def test_a_score_taken_as_known_makes_errors_of_the_ate_too_large():
    """Hirano, Imbens & Ridder 2003; Lunceford & Davidian 2004: whatever the outcome is."""
    rng = np.random.default_rng(5)
    for slope in (-1.0, 0.0, 2.0):
        X = rng.normal(size=(6000, 2))
        treated = (rng.random(6000) < expit(0.5 * X[:, 0])).astype(float)
        y = slope * X[:, 0] + treated * (1 - X[:, 1]) + rng.normal(size=6000)
        assert ratio_to_known(y, treated, X, "ATE") < 1.02
    assert ratio_to_known(y, treated, X, "ATE") < 0.8


def test_a_score_taken_as_known_errs_either_way_for_the_att():
    rng = np.random.default_rng(6)
    x = rng.normal(size=6000)
    treated = (rng.random(6000) < expit(x)).astype(float)
    noise = rng.normal(size=6000)
    parallel = ratio_to_known(x + 0.2 * noise, treated, x[:, None], "ATT")
    opposite = ratio_to_known(
        np.where(treated == 1, -2 * x, x) + 0.2 * noise, treated, x[:, None], "ATT"
    )
    assert parallel < 0.75  # taken as known: too large
    assert opposite > 1.1  # too small


@pytest.mark.parametrize(
    ("estimand", "weighting"),
    [
        ("ATE", "inverse probability"),
        ("ATT", "inverse probability"),
        ("ATO", "overlap"),
        ("ATT", "entropy balancing"),
        ("ATE", "entropy balancing"),
    ],
)
def test_errors_have_the_size_of_the_spread_over_draws(estimand, weighting):
    """Effects 1 + x; the truth in the overlap population by integration over x."""
    grid = np.random.default_rng(0).normal(size=400_000)
    p = expit(grid - 0.3)
    shares = {"ATE": np.ones(len(grid)), "ATT": p, "ATO": p * (1 - p)}[estimand]
    truth = 1 + np.average(grid, weights=shares)
    estimates, errors = [], []
    for seed in range(120):
        rng = np.random.default_rng([7, seed])
        schools = rng.integers(0, 50, 600)
        x = rng.normal(size=600)
        treated = (rng.random(600) < expit(x - 0.3)).astype(float)
        y = 2 * x + treated * (1 + x) + 0.5 * rng.normal(size=50)[schools] + rng.normal(size=600)
        effect = weighted_effect(
            y, treated, x[:, None], estimand=estimand, weighting=weighting, clusters=schools
        )
        estimates.append(effect.estimate)
        errors.append(effect.std_error)
    estimates, errors = np.array(estimates), np.array(errors)
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - truth) < 4 * spread / np.sqrt(120)
    assert 0.8 < errors.mean() / spread < 1.2
    assert 0.88 < (np.abs(estimates - truth) < 2.01 * errors).mean() < 0.99


def test_trimming_uses_the_att_side_only():
    rng = np.random.default_rng(8)
    x = rng.normal(size=1000)
    treated = (rng.random(1000) < expit(3 * x)).astype(float)
    p = logit_scores(treated, x)
    effect = weighted_effect(
        x, treated, x[:, None], estimand="ATT", overlap="trim", smallest_probability=0.1
    )
    assert effect.n == (p <= 0.9).sum()
    with pytest.raises(EstimationError, match="overlap='trim'"):
        weighted_effect(x, treated, x[:, None], estimand="ATT", smallest_probability=0.1)
    ato = weighted_effect(x, treated, x[:, None], estimand="ATO", weighting="overlap")
    assert ato.n == 1000
    assert ato.estimate == pytest.approx(0, abs=1e-9)  # overlap weights balance x exactly


def test_collinear_columns_change_nothing():
    y, treated, X, s, clusters = oracle.data(9)
    twice = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(400)])
    for weighting in ("inverse probability", "entropy balancing"):
        one, two = (
            weighted_effect(
                y, treated, M, estimand="ATT", weighting=weighting, weights=s, clusters=clusters
            )
            for M in (X, twice)
        )
        assert two.estimate == pytest.approx(one.estimate, rel=1e-7)
        assert two.std_error == pytest.approx(one.std_error, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimand": "LATE"}, "estimand must be"),
        ({"weighting": "kernel"}, "weighting inverse"),
        ({"estimand": "ATO"}, "only they"),
        ({"weighting": "overlap"}, "only they"),
        ({"clusters": np.zeros(400)}, "one cluster"),
        ({"overlap": "clip"}, "refuse or trim"),
        ({"weights": np.full(400, np.nan)}, "400 weights"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, message):
    y, treated, X, _, _ = oracle.data(10)
    with pytest.raises(EstimationError, match=message):
        weighted_effect(y, treated, X, **{"estimand": "ATT"} | change)


def test_balance_out_of_reach_and_separation_are_refused():
    y, treated, X, _, _ = oracle.data(10)
    apart = X + 20 * treated[:, None]
    with pytest.raises(EstimationError, match="no weights exist"):
        weighted_effect(y, treated, apart, estimand="ATT", weighting="entropy balancing")
    with pytest.raises(EstimationError, match="separate treated"):
        weighted_effect(y, treated, apart, estimand="ATT")
    with pytest.raises(EstimationError, match="unknown estimand"):
        given_weights_effect(y, treated, np.ones(400), estimand="ATX")
    with pytest.raises(EstimationError, match="negative"):
        given_weights_effect(y, treated, -np.ones(400), estimand="ATT")
