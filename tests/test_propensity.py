"""The propensity model: against R's scores, statsmodels, and what must stop it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from homevisit_eval.errors import MatchingError
from homevisit_eval.propensity import fit_propensity, linear_score

REFERENCE = Path(__file__).parent / "reference" / "matchit"
R_ROUNDING = 1e-13  # R's own scores are rounded to about 1e-15; logits reach 5
ORACLE = 1e-7  # statsmodels stops elsewhere: at a small change of its own


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, *key])))


def lalonde_columns(data: pd.DataFrame) -> np.ndarray:
    factors = [data["race"] == "hispan", data["race"] == "white"]
    numbers = [data[name] for name in ("age", "educ", "married", "nodegree", "re74", "re75")]
    return np.column_stack([np.ones(len(data)), *numbers, *factors]).astype(float)


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "lalonde_with_ps.csv")


def random_data(n: int, k: int, *key: int) -> tuple[np.ndarray, np.ndarray]:
    random = rng(n, k, *key)
    X = np.column_stack([np.ones(n), random.normal(size=(n, k))])
    eta = X @ random.normal(scale=0.5, size=k + 1)
    return X, (random.random(n) < 1 / (1 + np.exp(-eta))).astype(float)


def test_scores_equal_those_of_r(lalonde):
    fit = fit_propensity(lalonde_columns(lalonde), lalonde["treat"])
    assert np.abs(fit.probability - lalonde["ps"]).max() < R_ROUNDING
    assert np.abs(fit.linear_predictor - lalonde["linps"]).max() < R_ROUNDING
    assert fit.converged
    assert fit.dropped == ()


def test_equal_rows_have_equal_scores_to_the_bit(lalonde):
    fit = fit_propensity(lalonde_columns(lalonde), lalonde["treat"])
    assert len(np.unique(fit.probability)) == lalonde["ps"].nunique() == 573


@pytest.mark.parametrize(("n", "k"), [(200, 2), (40_000, 6)])  # one block of rows, and several
def test_coefficients_equal_those_of_statsmodels(n, k):
    import statsmodels.api as sm

    X, y = random_data(n, k)
    oracle = sm.Logit(y, X).fit(disp=0, method="newton", tol=1e-12)
    fit = fit_propensity(X, y)
    np.testing.assert_allclose(fit.coefficients, oracle.params, rtol=ORACLE)
    np.testing.assert_allclose(fit.deviance, -2 * oracle.llf, rtol=1e-10)


LINKS = ("logit", "probit", "cloglog")


def test_probit_scores_equal_those_of_r(lalonde):
    scores = pd.read_csv(REFERENCE / "s03_nn11_probit_units.csv")["distance"]
    fit = fit_propensity(lalonde_columns(lalonde), lalonde["treat"], "probit")
    assert np.abs(fit.probability - scores).max() < R_ROUNDING
    assert fit.converged
    assert len(np.unique(fit.probability)) == scores.nunique()


def statsmodels_fit(X, y, link, weights=None):
    import statsmodels.api as sm

    links = sm.families.links
    chosen = {"logit": links.Logit, "probit": links.Probit, "cloglog": links.CLogLog}[link]()
    family = sm.families.Binomial(link=chosen)
    return sm.GLM(y, X, family=family, freq_weights=weights).fit(tol=1e-13, maxiter=100)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("link", LINKS)
def test_every_link_with_and_without_weights_equals_statsmodels(link, weighted):
    X, y = random_data(3_000, 3, 21)
    weights = rng(22).gamma(2.0, size=3_000) if weighted else None
    oracle = statsmodels_fit(X, y, link, weights)
    fit = fit_propensity(X, y, link, weights)
    assert fit.converged
    np.testing.assert_allclose(fit.coefficients, oracle.params, rtol=1e-5)  # both stop early
    np.testing.assert_allclose(fit.deviance, oracle.deviance, rtol=1e-9)
    np.testing.assert_allclose(
        linear_score(fit.probability, link), fit.linear_predictor, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("link", LINKS)
def test_the_maximum_of_the_likelihood_is_reached(link):
    X, y = random_data(400, 2, 23)
    weights = rng(24).gamma(2.0, size=400)
    fit = fit_propensity(X, y, link, weights)
    for column, step in ((0, 1e-3), (1, 1e-3), (2, -1e-3), (1, -1e-3)):
        beta = fit.coefficients.copy()
        beta[column] += step
        eta = X @ beta
        p = {
            "logit": 1 / (1 + np.exp(-eta)),
            "probit": norm.cdf(eta),
            "cloglog": 1 - np.exp(-np.exp(eta)),
        }[link]
        deviance = -2 * (weights * np.where(y == 1, np.log(p), np.log(1 - p))).sum()
        assert deviance > fit.deviance


@pytest.mark.parametrize("link", LINKS)
def test_whole_weights_are_repeated_rows(link):
    X, y = random_data(300, 2, 25)
    times = rng(26).integers(0, 4, size=300)
    fit = fit_propensity(X, y, link, times)
    repeated = fit_propensity(np.repeat(X, times, axis=0), np.repeat(y, times), link)
    np.testing.assert_allclose(fit.coefficients, repeated.coefficients, rtol=1e-4)
    np.testing.assert_allclose(fit.deviance, repeated.deviance, rtol=1e-8)


def test_rows_of_weight_0_decide_nothing_and_are_scored():
    X, y = random_data(300, 2, 27)
    weights = np.ones(300)
    weights[:50] = 0
    y_other = y.copy()
    y_other[:50] = 1 - y[:50]
    fit, other = fit_propensity(X, y, weights=weights), fit_propensity(X, y_other, weights=weights)
    np.testing.assert_array_equal(fit.probability, other.probability)
    alone = fit_propensity(X[50:], y[50:])
    np.testing.assert_allclose(fit.probability[50:], alone.probability, rtol=0, atol=1e-12)
    only_there = np.column_stack([X, np.arange(300) < 50])
    assert fit_propensity(only_there, y, weights=weights).dropped == (3,)


def test_equal_weights_of_1_change_nothing():
    X, y = random_data(300, 2, 28)
    np.testing.assert_array_equal(
        fit_propensity(X, y, weights=np.ones(300)).probability, fit_propensity(X, y).probability
    )


@pytest.mark.parametrize("link", LINKS)
def test_ties_stay_ties_across_blocks_of_rows(link):
    X, y = random_data(20_001, 5, 29)
    X[:, 1:] = np.round(X[:, 1:], 0)
    fit = fit_propensity(X, y, link)
    alike = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    assert len(np.unique(alike)) < 15_000
    lowest, highest = np.full(alike.max() + 1, np.inf), np.full(alike.max() + 1, -np.inf)
    np.minimum.at(lowest, alike, fit.linear_predictor)
    np.maximum.at(highest, alike, fit.linear_predictor)
    np.testing.assert_array_equal(lowest, highest)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("group", [0, 1])
def test_every_link_flags_rows_that_run_away(link, group):
    random = rng(30)
    x, level = random.normal(size=1_000), np.arange(1_000) < 60
    y = np.where(level, group, random.random(1_000) < 0.5).astype(float)
    fit = fit_propensity(np.column_stack([np.ones(1_000), x, level]), y, link)
    np.testing.assert_array_equal(fit.diverging, level)


@pytest.mark.parametrize("link", LINKS)
def test_complete_separation_is_an_error_under_every_link(link):
    x = np.arange(20.0)
    for y in (x > 9, x < 10):
        with pytest.raises(MatchingError, match="separate treated from comparison"):
            fit_propensity(np.column_stack([np.ones(20), x]), y, link)


@pytest.mark.parametrize("link", LINKS)
def test_extreme_scores_stay_inside_0_and_1(link):
    random = rng(31)
    x = np.append(random.normal(size=500), [60.0, -60.0])
    y = np.append(random.random(500) < 1 / (1 + np.exp(-x[:500])), [1, 0]).astype(float)
    fit = fit_propensity(np.column_stack([np.ones(502), x]), y, link)
    assert ((fit.probability > 0) & (fit.probability < 1)).all()
    assert np.isfinite(fit.linear_predictor).all()


def test_linear_scores_by_hand():
    np.testing.assert_allclose(linear_score([0.25], "logit"), -np.log(3))
    np.testing.assert_allclose(linear_score([0.975], "probit"), 1.959963984540054)
    np.testing.assert_allclose(linear_score([1 - np.exp(-1)], "cloglog"), 0, atol=1e-15)
    np.testing.assert_allclose(linear_score([1e-12], "cloglog"), np.log(1e-12), rtol=1e-12)
    assert np.isnan(linear_score([np.nan])).all()
    with pytest.raises(MatchingError, match="2 of 3 are not"):
        linear_score([0.0, 0.5, 1.0])
    with pytest.raises(MatchingError, match="it must be logit, probit or cloglog"):
        linear_score([0.5], "log")


def test_units_and_offsets_of_columns_do_not_matter():
    X, y = random_data(500, 3, 3)
    moved = X.copy()
    moved[:, 1] = moved[:, 1] * 1e-6 + 2015
    moved[:, 2] = moved[:, 2] * 1e9
    np.testing.assert_allclose(
        fit_propensity(moved, y).linear_predictor, fit_propensity(X, y).linear_predictor, atol=1e-6
    )


def test_collinear_columns_are_dropped_later_ones_first():
    X, y = random_data(300, 3, 4)
    doubled = np.column_stack([X[:, :2], X[:, 1] * 3 - 2, np.full(300, 7.0), X[:, 2:]])
    fit = fit_propensity(doubled, y)
    assert fit.dropped == (2, 3)
    assert np.isnan(fit.coefficients[[2, 3]]).all()
    np.testing.assert_allclose(
        fit.linear_predictor, fit_propensity(X, y).linear_predictor, atol=1e-12
    )


def test_a_model_without_intercept():
    X, y = random_data(300, 2, 5)
    fit = fit_propensity(X[:, 1:], y)
    np.testing.assert_allclose(X[:, 1:] @ fit.coefficients, fit.linear_predictor, atol=1e-12)
    np.testing.assert_allclose(X[:, 1:].T @ (y - fit.probability), 0, atol=1e-6)


def test_scores_are_calibrated_in_the_sample():
    X, y = random_data(2_000, 4, 6)
    fit = fit_propensity(X, y)
    np.testing.assert_allclose(X.T @ (y - fit.probability), 0, atol=1e-3)
    np.testing.assert_allclose(linear_score(fit.probability), fit.linear_predictor, atol=1e-10)


def test_complete_separation_is_an_error():
    x = np.arange(20.0)
    X = np.column_stack([np.ones(20), x])
    with pytest.raises(MatchingError, match="separate treated from comparison units completely"):
        fit_propensity(X, x > 9)


def test_rows_that_run_away_to_certainty_are_flagged():
    random = rng(7)
    x, level = random.normal(size=400), np.arange(400) < 40
    y = np.where(level, 0, random.random(400) < 0.5).astype(float)
    fit = fit_propensity(np.column_stack([np.ones(400), x, level]), y)
    np.testing.assert_array_equal(fit.diverging, level)
    alone = fit_propensity(np.column_stack([np.ones(360), x[~level]]), y[~level])
    assert not alone.diverging.any()
    np.testing.assert_allclose(fit.linear_predictor[~level], alone.linear_predictor, atol=1e-3)


def test_a_strong_but_finite_model_is_not_flagged():
    x = np.linspace(-3, 3, 5_000)
    y = rng(8).random(5_000) < 1 / (1 + np.exp(-3 * x))
    fit = fit_propensity(np.column_stack([np.ones(5_000), x]), y)
    assert fit.converged
    assert not fit.diverging.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:, 0], y), "shape"),
        (lambda X, y: (X, y[:-1]), "shape"),
        (
            lambda X, y: (np.where(np.arange(50)[:, None] == 3, np.nan, X), y),
            "finite covariates",
        ),
        (lambda X, y: (X, y * 2), "0 or 1"),
        (lambda X, y: (X, np.ones(len(y))), "both groups"),
        (lambda X, y: (X[:0], y[:0]), "at least one row"),
        (lambda X, y: (X[:, :0], y), "at least one row"),
        (lambda X, y: (X, y, "log"), "it must be logit, probit or cloglog"),
        (lambda X, y: (X, y, "logit", np.ones(3)), "one weight for each"),
        (lambda X, y: (X, y, "logit", np.where(y == 1, -1, 1)), "negative"),
        (lambda X, y: (X, y, "logit", np.full(50, np.nan)), "50 of 50"),
        (lambda X, y: (X, y, "logit", y), "above 0 in both groups"),
    ],
)
def test_unusable_input_is_refused(change, message):
    with pytest.raises(MatchingError, match=message):
        fit_propensity(*change(*random_data(50, 2, 9)))


def test_the_representation_shows_no_row():
    fit = fit_propensity(*random_data(50, 2, 10))
    assert repr(fit).startswith("PropensityFit(logit, 3 columns, 0 dropped; converged after")


def test_separated_data_raise_no_numerical_warning():
    x = np.repeat([0.0, 1.0], 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MatchingError):
            fit_propensity(np.column_stack([np.ones(20), x]), x)
