"""Neyman's difference and Lin's interacted regression, against scipy, algebra and known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression.randomized_experiment import difference_of_means, fit_lin
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-9


def example(seed: int, n: int = 60):
    r = np.random.Generator(np.random.PCG64(np.random.SeedSequence([35, seed])))
    x = r.normal(size=(n, 2)) + 3
    treated = r.permutation(np.arange(n) % 3 == 0)
    y = x @ [1.0, -0.5] + treated * (0.4 + x[:, 0]) + r.normal(size=n)
    return y, treated, x, r.uniform(0.5, 2, n)


def test_the_difference_of_means_is_welchs_test():
    y, treated, *_ = example(1)
    ours = difference_of_means(y, treated)
    theirs = stats.ttest_ind(y[treated], y[~treated], equal_var=False)
    assert ours.df == pytest.approx(theirs.df, rel=RELATIVE)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=RELATIVE)
    low, high = theirs.confidence_interval(0.9)
    assert ours.interval(0.9) == pytest.approx((low, high), rel=RELATIVE)
    assert (ours.n_treated, ours.n_comparison) == (20, 40)
    regression = fit_least_squares(y, np.column_stack([np.ones(60), treated]), covariance="HC2")
    assert ours.std_error == pytest.approx(regression.std_errors[1], rel=RELATIVE)


@pytest.mark.parametrize("weighted", [False, True])
def test_lins_effect_is_the_mean_of_predicted_differences(weighted):
    y, treated, x, w = example(2)
    w = w if weighted else np.ones(60)
    ours = fit_lin(y, treated, x, weights=w, names=["age", "score"])
    X = np.column_stack([np.ones(60), x])
    root = np.sqrt(w)[:, None]
    first, second = (
        np.linalg.lstsq((root * X)[group], (root[:, 0] * y)[group], rcond=None)[0]
        for group in (treated, ~treated)
    )
    expected = np.average(X @ (first - second), weights=w)
    assert ours.coefficients[1] == pytest.approx(expected, rel=RELATIVE)
    assert ours.names[1:] == (
        "treated", "age_c", "score_c", "treated:age_c", "treated:score_c",
    )  # fmt: skip
    assert (ours.covariance_type, ours.df[1]) == ("HC2", 54.0)


def test_rows_of_weight_zero_do_not_move_the_center():
    y, treated, x, w = example(3)
    w[:20] = 0
    whole = fit_lin(np.where(w > 0, y, np.nan), treated, x, weights=w)
    part = fit_lin(y[20:], treated[20:], x[20:], weights=w[20:])
    np.testing.assert_allclose(whole.coefficients, part.coefficients, rtol=RELATIVE)


def test_the_average_effect_is_recovered():
    """The effect is 1 + x with x of mean 0 among all: 1 on average, whoever is drawn."""
    r = np.random.Generator(np.random.PCG64(np.random.SeedSequence([35, 4])))
    x = r.normal(size=400)
    x -= x.mean()
    estimates, covered = [], 0
    for _ in range(300):
        treated = r.permutation(np.arange(400) % 4 == 0)
        fit = fit_lin(2 * x + treated * (1 + x) + r.normal(size=400), treated, x[:, None])
        estimates.append(fit.coefficients[1])
        covered += fit.intervals()[1, 0] <= 1 <= fit.intervals()[1, 1]
    assert np.mean(estimates) == pytest.approx(1, abs=4 * np.std(estimates) / np.sqrt(300))
    assert 0.91 < covered / 300 < 0.99


@pytest.mark.parametrize(
    ("y", "treated", "message"),
    [
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1], r"treated has shape \(3,\)"),
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 2], "1 values of treated are neither 1 nor 0"),
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1], "1 rows are treated and 3 are not"),
        ([1.0, np.nan, 3.0, 4.0], [0, 0, 1, 1], "y has 1 missing or infinite values"),
        ([1.0, 1.0, 3.0, 3.0], [0, 0, 1, 1], "constant in the 2 treated and the 2 comparison"),
    ],
)
def test_what_cannot_be_estimated_is_said(y, treated, message):
    with pytest.raises(EstimationError, match=message):
        difference_of_means(y, treated)
