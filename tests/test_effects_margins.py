"""Averages after generalized linear models: statsmodels, closed forms, brute force, recovery."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, ndtr

from homevisit_eval.effects.likelihood.families import FAMILIES
from homevisit_eval.effects.likelihood.generalized_linear import (
    GeneralizedLinearFit,
    fit_generalized_linear,
)
from homevisit_eval.effects.likelihood.margins import (
    average_effect,
    average_prediction,
    average_slope,
)
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-8
BY_DIFFERENCES = 1e-6  # gradients by central differences


def students(family: str = "logit", seed: int = 1, n: int = 500):
    """Outcomes with an effect that differs by x: X is constant, treated, x, treated * x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    clusters = rng.integers(0, 20, n)
    treated = (rng.random(n) < expit(0.5 * x)).astype(float)
    eta = -0.4 + 0.5 * treated + 0.3 * x + 0.4 * treated * x + 0.3 * rng.normal(size=20)[clusters]
    if family == "poisson":
        y = rng.poisson(np.exp(eta)).astype(float)
    elif family == "negative_binomial":
        y = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n)).astype(float)
    elif family.startswith("fractional"):
        y = rng.binomial(4, expit(eta)) / 4.0
    else:
        y = (rng.random(n) < expit(eta)).astype(float)
    return y, treated, x, rng.uniform(0.3, 2.0, n), clusters


def design(treated, x) -> np.ndarray:
    treated = np.broadcast_to(treated, x.shape).astype(float)
    return np.column_stack([np.ones(len(x)), treated, x, treated * x])


def both(x) -> tuple[np.ndarray, np.ndarray]:
    return design(1.0, x), design(0.0, x)


def fitted(family: str = "logit", **arguments):
    y, treated, x, w, clusters = students(family)
    fit = fit_generalized_linear(
        y, design(treated, x), family=family, weights=w, clusters=clusters, **arguments
    )
    return fit, treated, x, w


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("measure", ["difference", "risk_ratio", "odds_ratio"])
def test_delta_method_by_differences(family, measure):
    fit, treated, x, _ = fitted(family)
    if measure == "odds_ratio" and family in ("poisson", "negative_binomial"):
        with pytest.raises(EstimationError, match="choose 'risk_ratio'"):
            average_effect(fit, *both(x), measure=measure)
        return
    mean = _mean_of(family)

    def value(beta):
        first, second = (np.average(mean(X @ beta), weights=treated) for X in both(x))
        if measure == "odds_ratio":
            first, second = first / (1 - first), second / (1 - second)
        return first - second if measure == "difference" else np.log(first / second)

    gradient = _gradient(value, fit.coefficients)
    ours = average_effect(fit, *both(x), over=treated, measure=measure)
    estimate = value(fit.coefficients)
    error = np.sqrt(gradient @ fit.covariance @ gradient)
    low, high = ours.interval()
    if measure != "difference":
        assert np.log([low, high]) == pytest.approx(
            [estimate - 1.959964 * error, estimate + 1.959964 * error], rel=1e-5
        )
        assert ours.std_error == pytest.approx(np.exp(estimate) * error, rel=BY_DIFFERENCES)
        estimate = np.exp(estimate)
    assert ours.estimate == pytest.approx(estimate, rel=RELATIVE)
    assert ours.scale_std_error == pytest.approx(error, rel=BY_DIFFERENCES)
    sums = np.bincount(students(family)[4], ours.influence)
    factor = 20 / 19 * 499 / 496
    assert ours.scale_std_error == pytest.approx(np.sqrt(factor * sums @ sums), rel=RELATIVE)


def _mean_of(family: str):
    if "logit" in family:
        return expit
    if "probit" in family:
        return ndtr
    if family == "cloglog":
        return lambda eta: 1.0 - np.exp(-np.exp(eta))
    return np.exp


def _gradient(value, at: np.ndarray) -> np.ndarray:
    h = 1e-6
    return np.array([(value(at + d) - value(at - d)) / (2 * h) for d in h * np.eye(len(at))])


@pytest.mark.parametrize(
    ("family", "link"), [("logit", None), ("probit", sm.families.links.Probit())]
)
def test_average_slope_equals_get_margeff(family, link):
    y, treated, x, _, _ = students(family)
    X = np.column_stack([np.ones(len(x)), treated, x])
    ours = fit_generalized_linear(y, X, family=family, covariance="model", information="observed")
    model = sm.Logit(y, X) if link is None else sm.Probit(y, X)
    theirs = model.fit(disp=0, tol=1e-14, method="newton").get_margeff()
    slope = average_slope(ours, X, [0.0, 0.0, 1.0])
    assert slope.estimate == pytest.approx(theirs.margeff[1], rel=RELATIVE)
    assert slope.std_error == pytest.approx(theirs.margeff_se[1], rel=RELATIVE)
    assert np.isnan(slope.mean_treated)
    effect = average_effect(ours, *(np.column_stack([X[:, 0], X[:, 0] * d, x]) for d in (1, 0)))
    dummies = model.fit(disp=0, tol=1e-14, method="newton").get_margeff(dummy=True)
    assert effect.estimate == pytest.approx(dummies.margeff[0], rel=RELATIVE)
    assert effect.std_error == pytest.approx(dummies.margeff_se[0], rel=RELATIVE)


def test_average_slope_equals_get_margeff_of_counts():
    y, treated, x, _, _ = students("poisson")
    X = np.column_stack([np.ones(len(x)), treated, x])
    ours = fit_generalized_linear(y, X, family="poisson", covariance="model")
    theirs = sm.Poisson(y, X).fit(disp=0, tol=1e-14, method="newton").get_margeff()
    slope = average_slope(ours, X, [0.0, 0.0, 1.0])
    assert slope.estimate == pytest.approx(theirs.margeff[1], rel=RELATIVE)
    assert slope.std_error == pytest.approx(theirs.margeff_se[1], rel=RELATIVE)


@pytest.mark.parametrize("family", FAMILIES)
def test_slope_with_products_by_differences(family):
    fit, treated, x, w = fitted(family)
    X = design(treated, x)
    slopes = np.column_stack([0 * x, 0 * x, np.ones(len(x)), treated])
    ours = average_slope(fit, X, slopes, over=w)
    mean, h = _mean_of(family), 1e-5

    def value(beta):
        change = mean(design(treated, x + h) @ beta) - mean(design(treated, x - h) @ beta)
        return np.average(change / (2 * h), weights=w)

    gradient = np.array(
        [
            (value(fit.coefficients + d) - value(fit.coefficients - d)) / 2e-3
            for d in 1e-3 * np.eye(4)
        ]
    )
    assert ours.estimate == pytest.approx(value(fit.coefficients), rel=1e-6)
    error = np.sqrt(gradient @ fit.covariance @ gradient)
    assert ours.std_error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("family", ["logit", "probit", "poisson", "fractional_logit"])
def test_without_covariates_the_effect_is_the_difference_of_means(family):
    y, treated, x, w, clusters = students(family)
    X = np.column_stack([np.ones(len(x)), treated])
    fit = fit_generalized_linear(y, X, family=family, weights=w, clusters=clusters)
    effect = average_effect(fit, [[1, 1]] * len(x), [[1, 0]] * len(x))
    linear = fit_least_squares(y, X, weights=w, clusters=clusters, covariance="CR1S")
    assert effect.estimate == pytest.approx(linear.coefficients[1], rel=RELATIVE)
    assert effect.std_error == pytest.approx(linear.std_errors[1], rel=RELATIVE)
    means = [np.average(y[treated == d], weights=w[treated == d]) for d in (1, 0)]
    assert effect.means == pytest.approx(means, rel=RELATIVE)
    assert effect.mean_std_errors[1] == pytest.approx(linear.std_errors[0], rel=RELATIVE)
    low, high = effect.mean_intervals()[1]
    assert (low + high) / 2 == pytest.approx(means[1], rel=RELATIVE)
    ratio = average_effect(fit, [[1, 1]] * len(x), [[1, 0]] * len(x), measure="risk_ratio")
    assert ratio.estimate == pytest.approx(means[0] / means[1], rel=RELATIVE)
    if family == "poisson":
        assert ratio.estimate == pytest.approx(np.exp(fit.coefficients[1]), rel=RELATIVE)
        assert ratio.scale_std_error == pytest.approx(fit.std_errors[1], rel=RELATIVE)
    if family == "logit":
        odds = average_effect(fit, [[1, 1]] * len(x), [[1, 0]] * len(x), measure="odds_ratio")
        assert odds.estimate == pytest.approx(np.exp(fit.coefficients[1]), rel=RELATIVE)
        assert odds.p_value == pytest.approx(fit.p_values[1], rel=1e-7)


@pytest.mark.parametrize("quantity", ["difference", "slope"])
def test_sampled_rows_add_their_variation(quantity):
    """Against stacked equations: those of the coefficients, and that of the average."""
    y, treated, x, w, clusters = students()
    X, (X1, X0) = design(treated, x), both(x)
    fit = fit_generalized_linear(
        y, X, family="logit", weights=w, clusters=clusters, covariance="CR0"
    )

    def of_rows(beta):
        if quantity == "difference":
            return expit(X1 @ beta) - expit(X0 @ beta)
        return expit(X @ beta) * expit(-X @ beta) * beta[2]

    def sums(theta):
        rest = (w * (y - expit(X @ theta[:4])))[:, None] * X
        rows = np.column_stack([rest, treated * (of_rows(theta[:4]) - theta[4])])
        return np.array([np.bincount(clusters, column) for column in rows.T]).T

    def estimate(averaging):
        if quantity == "difference":
            return average_effect(fit, X1, X0, over=treated, averaging=averaging)
        return average_slope(fit, X, [0, 0, 1.0, 0], over=treated, averaging=averaging)

    ours = estimate("sampled")
    theta = np.append(fit.coefficients, np.average(of_rows(fit.coefficients), weights=treated))
    slope = np.column_stack(
        [
            (sums(theta + d).sum(axis=0) - sums(theta - d).sum(axis=0)) / 2e-6
            for d in 1e-6 * np.eye(5)
        ]
    )
    inverse = np.linalg.inv(slope)
    error = np.sqrt((inverse @ sums(theta).T @ sums(theta) @ inverse.T)[4, 4])
    assert ours.std_error == pytest.approx(error, rel=BY_DIFFERENCES)
    fixed = estimate("fixed")
    assert abs(ours.std_error / fixed.std_error - 1) > 10 * BY_DIFFERENCES
    assert ours.estimate == fixed.estimate


@pytest.mark.parametrize("covariance", ["CR1S", "CR2"])
def test_absorbed_levels_give_the_averages_of_indicators(covariance):
    y, treated, x, w, clusters = students()
    levels = np.random.default_rng(2).integers(0, 5, len(y))
    indicators = (levels[:, None] == np.arange(5)).astype(float)
    arguments = {
        "family": "logit",
        "weights": w,
        "clusters": clusters,
        "covariance": covariance,
        "df": "satterthwaite" if covariance == "CR2" else "G - 1",
    }
    ours = fit_generalized_linear(y, design(treated, x)[:, 1:], absorb=[levels], **arguments)
    plain = fit_generalized_linear(
        y, np.column_stack([indicators, design(treated, x)[:, 1:]]), **arguments
    )
    X1, X0 = (X[:, 1:] for X in both(x))
    first = average_effect(ours, X1, X0, over=treated)
    second = average_effect(
        plain, np.column_stack([indicators, X1]), np.column_stack([indicators, X0]), over=treated
    )
    assert first.estimate == pytest.approx(second.estimate, rel=RELATIVE)
    assert first.std_error == pytest.approx(second.std_error, rel=RELATIVE)
    assert first.mean_std_errors == pytest.approx(second.mean_std_errors, rel=RELATIVE)
    assert first.df == pytest.approx(second.df, rel=1e-7)
    assert first.influence == pytest.approx(second.influence, rel=1e-6, abs=1e-12)
    assert first.df <= 19


def settled_world():
    y, treated, x, w, clusters = students()
    levels = np.random.default_rng(3).integers(0, 5, len(y))
    y[levels == 3] = 0.0
    y[levels == 1] = 1.0
    clusters[(levels == 1) & (clusters == 4)] = 77  # a cluster of such rows only
    X = design(treated, x)[:, 1:]
    fit = fit_generalized_linear(
        y, X, family="logit", weights=w, clusters=clusters, absorb=[levels]
    )
    return fit, treated, x, levels


def test_rows_predicted_perfectly_are_left_out_or_have_no_effect():
    fit, treated, x, levels = settled_world()
    X1, X0 = (X[:, 1:] for X in both(x))
    perfect = (levels == 3) | (levels == 1)
    assert fit.n == int((~perfect).sum())
    assert fit.G == 20
    out = average_effect(fit, X1, X0, over=treated)
    counted = average_effect(fit, X1, X0, over=treated, perfectly_predicted="no effect")
    share = treated[~perfect].sum() / treated.sum()
    assert counted.estimate == pytest.approx(share * out.estimate, rel=RELATIVE)
    assert counted.std_error == pytest.approx(share * out.std_error, rel=RELATIVE)
    expected = share * out.mean_comparison + treated[levels == 1].sum() / treated.sum()
    assert counted.mean_comparison == pytest.approx(expected, rel=RELATIVE)
    assert counted.n - out.n == int(treated[perfect].sum())
    assert any("leaves out" in note for note in out.notes)
    assert any("with no effect" in note for note in counted.notes)
    assert (out.influence[perfect] == 0).all()
    sampled = average_effect(
        fit, X1, X0, over=treated, perfectly_predicted="no effect", averaging="sampled"
    )
    own = sampled.influence[perfect & (treated == 1)]
    assert own == pytest.approx(np.full(len(own), -counted.estimate / treated.sum()), rel=RELATIVE)


def test_adjusted_means_are_those_of_the_effect():
    fit, treated, x, _ = fitted()
    effect = average_effect(fit, *both(x), over=treated)
    mean = average_prediction(fit, both(x)[0], over=treated)
    assert mean.estimate == effect.mean_treated
    assert mean.std_error == pytest.approx(effect.mean_std_errors[0], rel=RELATIVE)
    assert mean.interval() == pytest.approx(tuple(effect.mean_intervals()[0]), rel=RELATIVE)


def test_observed_designs_give_back_the_mean_of_the_outcome():
    """The scores of a logit with an intercept sum to 0."""
    y, treated, x, w, _ = students()
    fit, *_ = fitted()
    mean = average_prediction(fit, design(treated, x), over=w)
    assert mean.estimate == pytest.approx(np.average(y, weights=w), rel=RELATIVE)


def test_att_atc_and_ate_are_averages_of_each_other():
    fit, treated, x, _ = fitted()
    att = average_effect(fit, *both(x), over=treated == 1)
    atc = average_effect(fit, *both(x), over=treated == 0)
    ate = average_effect(fit, *both(x))
    share = treated.mean()
    assert ate.estimate == pytest.approx(share * att.estimate + (1 - share) * atc.estimate)
    assert (ate.n, att.n) == (500, int(treated.sum()))
    joined = share * att.influence + (1 - share) * atc.influence
    assert ate.influence == pytest.approx(joined, rel=1e-6, abs=1e-14)


def test_rows_of_weight_0_and_dropped_columns_may_hold_anything():
    y, treated, x, w, clusters = students()
    X = np.column_stack([design(treated, x), 2 * x])
    plain, *_ = fitted()
    bigger = fit_generalized_linear(
        np.append(y, np.nan),
        np.vstack([X, np.full((1, 5), np.nan)]),
        family="logit",
        weights=np.append(w, 0.0),
        clusters=np.append(clusters, 0),
    )
    X1, X0 = (
        np.vstack([np.column_stack([one, np.full(500, 9.0)]), np.full((1, 5), np.nan)])
        for one in both(x)
    )
    first = average_effect(plain, *both(x))
    second = average_effect(bigger, X1, X0)
    assert second.estimate == pytest.approx(first.estimate, rel=RELATIVE)
    assert second.std_error == pytest.approx(first.std_error, rel=RELATIVE)
    assert len(second.influence) == 501
    assert second.influence[-1] == 0.0


def test_differences_of_two_effects_by_influence():
    """Effects in two halves of the clusters are independent: influences say so."""
    y, treated, x, w, clusters = students()
    X, effects = design(treated, x), []
    for half in (0, 1):
        fit = fit_generalized_linear(
            y,
            X,
            family="logit",
            weights=w * (clusters % 2 == half),
            clusters=clusters,
            covariance="CR0",
        )
        effects.append(average_effect(fit, *both(x), over=treated * (clusters % 2 == half)))
    sums = np.bincount(clusters, effects[0].influence - effects[1].influence)
    separate = effects[0].std_error ** 2 + effects[1].std_error ** 2
    assert sums @ sums == pytest.approx(separate, rel=RELATIVE)


def test_the_att_of_a_logit_world_is_recovered_and_covered():
    """Potential outcomes are known; the treated differ from the others, and in their effect."""
    errors, covered, naive = [], [], []
    for seed in range(120):
        y, treated, x, truth, clusters = _world(seed)
        X = design(treated, x)
        fit = fit_generalized_linear(
            y, X, family="logit", clusters=clusters, covariance="CR1S", df="G - 1"
        )
        effect = average_effect(fit, *both(x), over=treated)
        low, high = effect.interval()
        errors.append(effect.estimate - truth)
        covered.append(low < truth < high)
        naive.append(y[treated == 1].mean() - y[treated == 0].mean() - truth)
    error = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 3 * error
    assert abs(np.mean(naive)) > 10 * error
    assert 0.89 < np.mean(covered) < 0.995  # three standard errors of 120 intervals about 95 %


def _world(seed: int):
    rng = np.random.default_rng(5000 + seed)
    clusters = np.repeat(np.arange(50), 16)
    x = rng.normal(size=800) + 0.3 * rng.normal(size=50)[clusters]
    treated = (rng.random(800) < expit(0.8 * x)).astype(float)
    with_it, without = (expit(X @ [-0.5, 0.6, 0.7, -0.3]) for X in both(x))
    y = (rng.random(800) < np.where(treated == 1, with_it, without)).astype(float)
    return y, treated, x, np.average(with_it - without, weights=treated), clusters


def test_all_the_treated_in_one_cluster_is_noted():
    y, _, x, w, clusters = students()
    treated = (clusters == 7).astype(float)
    X = np.column_stack([np.ones(500), treated, x])
    fit = fit_generalized_linear(y, X, family="logit", weights=w, clusters=clusters)
    effect = average_effect(fit, *(np.column_stack([X[:, 0], X[:, 0] * d, x]) for d in (1, 0)))
    assert any("All treated rows averaged over are in one cluster" in note for note in effect.notes)
    ordinary, _, x, _ = fitted()
    assert not any("one cluster" in note for note in average_effect(ordinary, *both(x)).notes)


def test_results_show_the_recipe():
    fit, treated, x, _ = fitted(df="G - 1")
    effect = average_effect(fit, *both(x), over=treated)
    assert repr(effect).startswith("MarginalEffect(difference 0.")
    assert f"logit, CR1S, df: G - 1, rows fixed; n = {int(treated.sum())}, G = 20)" in repr(effect)
    assert effect.df == 19


def bad_fit() -> tuple[GeneralizedLinearFit, np.ndarray, np.ndarray]:
    fit, _, x, _ = fitted()
    return fit, *both(x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X_treated": np.ones((500, 3))}, "X_treated has shape"),
        ({"X_comparison": np.ones((7, 4))}, "X_comparison has shape"),
        ({"X_treated": np.full((500, 4), np.nan)}, "X_treated has 2000 missing"),
        ({"X_treated": [["a"] * 4] * 500}, "X_treated must be numbers"),
        ({"over": np.zeros(500)}, "over is 0 in all rows"),
        ({"over": -np.ones(500)}, "500 values of over are missing, infinite or negative"),
        ({"over": np.ones(3)}, "over has shape"),
        ({"over": ["a"] * 500}, "over must be numbers"),
        ({"measure": "ratio"}, "measure must be one of"),
        ({"averaging": "random"}, "averaging must be one of"),
        ({"perfectly_predicted": "in"}, "perfectly_predicted must be one of"),
    ],
)
def test_unusable_input_is_refused(change, words):
    fit, X1, X0 = bad_fit()
    arguments = {"X_treated": X1, "X_comparison": X0, **change}
    with pytest.raises(EstimationError, match=words):
        average_effect(fit, arguments.pop("X_treated"), arguments.pop("X_comparison"), **arguments)


@pytest.mark.parametrize("covariance", ["CR2", "CR3"])
def test_sampled_averages_need_a_covariance_of_influences(covariance):
    fit, _, x, _ = fitted(covariance=covariance)
    with pytest.raises(EstimationError, match="averaging 'sampled' is worked out from sums"):
        average_effect(fit, *both(x), averaging="sampled")


def test_rows_that_were_not_fitted_are_not_averaged_over():
    y, treated, x, w, clusters = students()
    w[:13] = 0.0
    fit = fit_generalized_linear(
        y, design(treated, x), family="logit", weights=w, clusters=clusters
    )
    with pytest.raises(EstimationError, match="over is above 0 in 13 rows"):
        average_effect(fit, *both(x), over=np.ones(500))
    assert average_effect(fit, *both(x)).n == 487


def test_infinite_means_are_refused():
    fit, _, x, _ = fitted("poisson")
    X1, X0 = both(x)
    with pytest.raises(EstimationError, match="predicts infinite means"):
        average_effect(fit, X1 * 1e5, X0)


def test_slopes_need_one_row_or_all():
    fit, treated, x, _ = fitted()
    with pytest.raises(EstimationError, match="X_slopes has shape"):
        average_slope(fit, design(treated, x), [1.0, 0.0])
