"""The propensity model: against R's scores, statsmodels, and what must stop it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import MatchingError
from homevisit_eval.propensity import fit_logit, logit

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
    fit = fit_logit(lalonde_columns(lalonde), lalonde["treat"])
    assert np.abs(fit.probability - lalonde["ps"]).max() < R_ROUNDING
    assert np.abs(fit.linear_predictor - lalonde["linps"]).max() < R_ROUNDING
    assert fit.converged
    assert fit.dropped == ()


def test_equal_rows_have_equal_scores_to_the_bit(lalonde):
    fit = fit_logit(lalonde_columns(lalonde), lalonde["treat"])
    assert len(np.unique(fit.probability)) == lalonde["ps"].nunique() == 573


@pytest.mark.parametrize(("n", "k"), [(200, 2), (40_000, 6)])  # one block of rows, and several
def test_coefficients_equal_those_of_statsmodels(n, k):
    import statsmodels.api as sm

    X, y = random_data(n, k)
    oracle = sm.Logit(y, X).fit(disp=0, method="newton", tol=1e-12)
    fit = fit_logit(X, y)
    np.testing.assert_allclose(fit.coefficients, oracle.params, rtol=ORACLE)
    np.testing.assert_allclose(fit.deviance, -2 * oracle.llf, rtol=1e-10)


def test_units_and_offsets_of_columns_do_not_matter():
    X, y = random_data(500, 3, 3)
    moved = X.copy()
    moved[:, 1] = moved[:, 1] * 1e-6 + 2015
    moved[:, 2] = moved[:, 2] * 1e9
    np.testing.assert_allclose(
        fit_logit(moved, y).linear_predictor, fit_logit(X, y).linear_predictor, atol=1e-6
    )


def test_collinear_columns_are_dropped_later_ones_first():
    X, y = random_data(300, 3, 4)
    doubled = np.column_stack([X[:, :2], X[:, 1] * 3 - 2, np.full(300, 7.0), X[:, 2:]])
    fit = fit_logit(doubled, y)
    assert fit.dropped == (2, 3)
    assert np.isnan(fit.coefficients[[2, 3]]).all()
    np.testing.assert_allclose(fit.linear_predictor, fit_logit(X, y).linear_predictor, atol=1e-12)


def test_a_model_without_intercept():
    X, y = random_data(300, 2, 5)
    fit = fit_logit(X[:, 1:], y)
    np.testing.assert_allclose(X[:, 1:] @ fit.coefficients, fit.linear_predictor, atol=1e-12)
    np.testing.assert_allclose(X[:, 1:].T @ (y - fit.probability), 0, atol=1e-6)


def test_scores_are_calibrated_in_the_sample():
    X, y = random_data(2_000, 4, 6)
    fit = fit_logit(X, y)
    np.testing.assert_allclose(X.T @ (y - fit.probability), 0, atol=1e-3)
    np.testing.assert_allclose(logit(fit.probability), fit.linear_predictor, atol=1e-10)


def test_complete_separation_is_an_error():
    x = np.arange(20.0)
    X = np.column_stack([np.ones(20), x])
    with pytest.raises(MatchingError, match="separate treated from comparison units completely"):
        fit_logit(X, x > 9)


def test_rows_that_run_away_to_certainty_are_flagged():
    random = rng(7)
    x, level = random.normal(size=400), np.arange(400) < 40
    y = np.where(level, 0, random.random(400) < 0.5).astype(float)
    fit = fit_logit(np.column_stack([np.ones(400), x, level]), y)
    np.testing.assert_array_equal(fit.diverging, level)
    alone = fit_logit(np.column_stack([np.ones(360), x[~level]]), y[~level])
    assert not alone.diverging.any()
    np.testing.assert_allclose(fit.linear_predictor[~level], alone.linear_predictor, atol=1e-3)


def test_a_strong_but_finite_model_is_not_flagged():
    x = np.linspace(-3, 3, 5_000)
    y = rng(8).random(5_000) < 1 / (1 + np.exp(-3 * x))
    fit = fit_logit(np.column_stack([np.ones(5_000), x]), y)
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
    ],
)
def test_unusable_input_is_refused(change, message):
    with pytest.raises(MatchingError, match=message):
        fit_logit(*change(*random_data(50, 2, 9)))


def test_the_representation_shows_no_row():
    fit = fit_logit(*random_data(50, 2, 10))
    assert repr(fit).startswith("LogitFit(3 columns, 0 dropped; converged after")


def test_separated_data_raise_no_numerical_warning():
    x = np.repeat([0.0, 1.0], 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MatchingError):
            fit_logit(np.column_stack([np.ones(20), x]), x)
