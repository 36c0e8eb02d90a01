"""Generalized linear models and margins against stored output of R (reference/regression)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.effects.likelihood.generalized_linear import (
    GeneralizedLinearFit,
    fit_generalized_linear,
)
from homevisit_eval.effects.likelihood.margins import average_effect, average_slope

FOLDER = Path(__file__).parent / "reference" / "regression"

RELATIVE = 1e-8
STOPPED_EARLY = 2e-8  # p values of z = 2.8 show 8 times the difference of the z that R's stop left
R_STOPS = 1e-10  # relative change of the deviance; inferred: 1e-8 ends a step too early
RETRACED = 1e-12  # against R's own iterations, retraced to its stop


@cache
def golden() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"])


@cache
def data(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv.gz")


def design(frame: pd.DataFrame, numbers: list[str], factors: list[str]) -> pd.DataFrame:
    parts = [pd.Series(1.0, frame.index, name="(Intercept)"), frame[numbers].astype(float)]
    parts += [
        pd.get_dummies(frame[one], prefix=one, prefix_sep="", drop_first=True).astype(float)
        for one in factors
    ]
    return pd.concat(parts, axis=1)


def achievement() -> tuple[NDArray, pd.DataFrame, NDArray, NDArray]:
    frame = data("AchievementAwardsRCT")
    numbers = ["treated", "siblings", "immigrant", "father_ed", "mother_ed"]
    X = design(frame, numbers, ["qrtl", "sex"])
    return (
        frame["Bagrut_status"].to_numpy(float),
        X,
        frame["w"].to_numpy(),
        frame["school_id"].to_numpy(),
    )


def logit(covariance: str) -> GeneralizedLinearFit:
    y, X, w, schools = achievement()
    return fit_generalized_linear(
        y,
        X.to_numpy(),
        family="logit",
        weights=w,
        clusters=schools,
        covariance=covariance,
        names=list(X),
    )


def check(row: pd.Series, estimate: float, std_error: float, p_value: float) -> None:
    assert estimate == pytest.approx(row["estimate"], rel=RELATIVE)
    assert std_error == pytest.approx(row["se"], rel=RELATIVE)
    assert estimate / std_error == pytest.approx(row["stat"], rel=RELATIVE)
    assert p_value == pytest.approx(row["p"], rel=STOPPED_EARLY)


KINDS = pytest.mark.parametrize(("ours", "theirs"), [("CR1", "CLHC0"), ("CR1S", "CLHC1")])


@KINDS
def test_weighted_clustered_logit_equals_glm_and_vcovcl(ours, theirs):
    """vcovCL's HC0 is our CR1 (cadjust: times G / (G - 1)), its HC1 our CR1S."""
    fit = logit(ours)
    for term, row in golden().loc[f"G09_AL_binomial_coef_{theirs}"].iterrows():
        j = fit.names.index(term)
        assert np.isinf(fit.df[j])
        check(row, fit.coefficients[j], fit.std_errors[j], fit.p_values[j])


@KINDS
@pytest.mark.parametrize("average", ["ATE", "ATT", "ATE_w"])
def test_average_effects_equal_g_computation_by_hand(ours, theirs, average):
    y, X, w, _ = achievement()
    over = {"ATE": np.ones(len(y)), "ATT": X["treated"].to_numpy(), "ATE_w": w}[average]
    effect = average_effect(
        logit(ours),
        X.assign(treated=1.0).to_numpy(),
        X.assign(treated=0.0).to_numpy(),
        over=over,
    )
    row = golden().loc[(f"G09_AL_binomial_AME_{average}_{theirs}", "treated")]
    check(row, effect.estimate, effect.std_error, effect.p_value)


@KINDS
def test_average_slope_equals_dydx(ours, theirs):
    _, X, _, _ = achievement()
    slope = average_slope(logit(ours), X.to_numpy(), (X.columns == "siblings").astype(float))
    row = golden().loc[(f"G09_AL_binomial_dydx_{theirs}", "siblings")]
    check(row, slope.estimate, slope.std_error, slope.p_value)


def r_iterations(y: NDArray, X: NDArray, w: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Fisher scoring from R's start to its stop: coefficients, predictor, and the weights of the
    last step."""
    mean = (w * y + 0.5) / (w + 1.0)
    eta = np.log(mean / (1.0 - mean))
    deviance = np.inf
    while True:
        mean = expit(eta)
        working = w * mean * (1.0 - mean)
        target = eta + (y - mean) / (mean * (1.0 - mean))
        root = np.sqrt(working)
        beta = np.linalg.lstsq(X * root[:, None], root * target, rcond=None)[0]
        eta, before = X @ beta, deviance
        deviance = -2.0 * w @ np.where(y == 1, np.log(expit(eta)), np.log(expit(-eta)))
        if abs(deviance - before) / (abs(deviance) + 0.1) < R_STOPS:
            return beta, eta, working


def test_what_is_left_of_a_difference_is_the_stop_of_r():
    """The 1e-9 between our standard errors and the rows: sandwich takes bread and scores with the
    working weights of glm's last step, which are those of the coefficients before it. Retraced
    so, the rows are met to their last digits; ours have the weights at the optimum."""
    y, X, w, schools = achievement()
    A = X.to_numpy()
    beta, eta, working = r_iterations(y, A, w)
    mean = expit(eta)
    scores = A * (working * (y - mean) / (mean * (1.0 - mean)))[:, None]
    sums = np.array([scores[schools == g].sum(axis=0) for g in np.unique(schools)])
    bread = np.linalg.inv(A.T @ (A * working[:, None]))
    G = len(sums)
    errors = np.sqrt(np.diag(bread @ sums.T @ sums @ bread) * G / (G - 1))
    for term, row in golden().loc["G09_AL_binomial_coef_CLHC0"].iterrows():
        j = X.columns.get_loc(term)
        assert beta[j] == pytest.approx(row["estimate"], rel=RETRACED)
        assert errors[j] == pytest.approx(row["se"], rel=RETRACED)
    at_optimum = logit("CR1").std_errors
    assert at_optimum == pytest.approx(errors, rel=RELATIVE)
    assert (at_optimum != errors).all()


@pytest.mark.parametrize(("theirs", "ours"), [("HC0", "HC0"), ("CL", "CR1")])
def test_poisson_equals_glm_and_sandwich(theirs, ours):
    frame = data("quine")
    X = design(frame, [], ["Eth", "Sex", "Age", "Lrn"])
    fit = fit_generalized_linear(
        frame["Days"].to_numpy(float),
        X.to_numpy(),
        family="poisson",
        clusters=frame["cl"].to_numpy() if theirs == "CL" else None,
        covariance=ours,
        names=list(X),
    )
    rows = golden().loc[f"G13_quine_poisson_{theirs}"]
    assert list(rows.index) == list(fit.names)
    for j, (_, row) in enumerate(rows.iterrows()):
        check(row, fit.coefficients[j], fit.std_errors[j], fit.p_values[j])


def test_negative_binomial_equals_the_published_fit_of_mass():
    """Venables & Ripley (2002), section 7.4, glm.nb(Days ~ .) on the quine data: theta 1.275,
    standard errors given theta; as printed there."""
    frame = data("quine")
    X = design(frame, [], ["Eth", "Sex", "Age", "Lrn"])
    fit = fit_generalized_linear(
        frame["Days"].to_numpy(float),
        X.to_numpy(),
        family="negative_binomial",
        covariance="model",
        names=list(X),
    )
    assert 1.0 / fit.dispersion == pytest.approx(1.275, abs=5e-4)
    assert fit.coefficients[fit.names.index("EthN")] == pytest.approx(-0.56937, abs=5e-6)
    assert fit.std_errors[fit.names.index("EthN")] == pytest.approx(0.15333, abs=5e-6)
