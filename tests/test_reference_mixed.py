"""Mixed models against stored output of lme4, lmerTest and clubSandwich (reference/regression).

lme4 stops short of the maximum, where a step would change the log likelihood by less than its last
digit. So there are two comparisons: at lme4's own variance ratio, to the last digits that are
stored; and at our maximum, to the distance between the two, which is stated and measured here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from homevisit_eval.effects.mixed.design import MixedDesign, mixed_design
from homevisit_eval.effects.mixed.likelihood import ProfilePoint, group_sums, profile_at
from homevisit_eval.effects.mixed.models import MixedFit, _inference, fit_random_intercept

FOLDER = Path(__file__).parent / "reference" / "regression"

LAST_DIGITS = 1e-12  # the same variance ratio: estimates, standard errors
NUMERICAL_HESSIAN = 1e-9  # the same variance ratio: lmerTest differentiates numerically
SHORT_OF_THE_MAXIMUM = {  # estimate, se, df, variances: where lme4 stopped, relative; measured
    "REML": (1e-9, 3e-9, 1.5e-8, 1e-8),
    "ML": (3e-8, 1e-7, 5e-7, 3e-7),
    "weighted": (2e-8, 1e-7, 4e-7, None),
}


@cache
def golden(spec: str) -> pd.DataFrame:
    rows = pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"])
    return rows.loc[f"G14_hsb_lmer_{spec}"]


@cache
def problem(spec: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, list[str]]:
    frame = pd.read_csv(FOLDER / "MathAchieve.csv.gz")
    X = pd.DataFrame({"(Intercept)": 1.0, "SES": frame["SES"], "SexMale": frame["Sex"] == "Male"})
    weights = frame["w"].to_numpy() if spec == "weighted" else None
    if spec != "weighted":  # the weighted rows have no term for minority
        X["MinorityYes"] = frame["Minority"] == "Yes"
    y, schools = frame["MathAch"].to_numpy(), frame["School"].to_numpy()
    return y, X.to_numpy(float), schools, weights, list(X)


def method(spec: str) -> str:
    return "ML" if spec == "ML" else "REML"


@cache
def fit(spec: str, covariance: str = "model") -> MixedFit:
    y, X, schools, weights, names = problem(spec)
    return fit_random_intercept(
        y, X, schools, weights=weights, names=names, method=method(spec), covariance=covariance
    )


@cache
def prepared(spec: str) -> tuple[MixedDesign, object]:
    y, X, schools, weights, names = problem(spec)
    design = mixed_design(
        y, X, schools, weights=weights, absorb=(), names=names, method=method(spec)
    )
    columns = np.column_stack([design.Q, design.outcome])
    Z = design.root_weights[:, None]
    return design, group_sums(columns, Z, design.groups, design.G, design.method)


def numbers(spec: str, ratio: float, covariance: str = "model"):
    """Return the point, coefficients, standard errors and df at a variance ratio."""
    design, sums = prepared(spec)
    point = profile_at(sums, np.array([[np.sqrt(ratio * design.mean_weight)]]))
    residuals = (design.outcome - design.Q @ point.coefficients) / design.root_weights
    matrix, df = _inference(design, np.ones((design.n, 1)), point, residuals, covariance)
    estimates = design.contrasts @ (design.least_squares + point.coefficients) * design.scale
    return point, estimates, np.sqrt(np.diag(matrix)), df


@cache
def their_ratio(spec: str) -> float:
    """lme4's variance ratio: stored, or that which gives the intercept's standard error."""
    rows = golden(spec)
    if "var_school" in rows.index:
        return rows["estimate"]["var_school"] / rows["estimate"]["var_resid"]
    ours = fit(spec)
    ratio = ours.random_covariance[0, 0] / ours.residual_variance

    def miss(at: float) -> float:
        return numbers(spec, at)[2][0] - rows["se"]["(Intercept)"]

    return brentq(miss, 0.999 * ratio, 1.001 * ratio, xtol=1e-16, rtol=1e-15)


@pytest.mark.parametrize("spec", ["REML", "ML", "weighted"])
def test_at_the_variance_ratio_of_lme4_all_rows_are_equal_to_the_last_digits(spec):
    """For the weighted rows the ratio is found from one standard error; the rest must follow."""
    tolerance = 1e-10 if spec == "weighted" else LAST_DIGITS
    rows = golden(spec)
    _, estimates, std_errors, df = numbers(spec, their_ratio(spec))
    for j, term in enumerate(fit(spec).names):
        assert estimates[j] == pytest.approx(rows["estimate"][term], rel=tolerance), term
        assert std_errors[j] == pytest.approx(rows["se"][term], rel=tolerance), term
        assert estimates[j] / std_errors[j] == pytest.approx(rows["stat"][term], rel=tolerance)
        assert df[j] == pytest.approx(rows["df"][term], rel=NUMERICAL_HESSIAN), term


@pytest.mark.parametrize("spec", ["REML", "ML"])
def test_at_the_variance_ratio_of_lme4_the_residual_variance_is_equal(spec):
    design, _ = prepared(spec)
    point = numbers(spec, their_ratio(spec))[0]
    theirs = golden(spec)["estimate"]["var_resid"]
    assert point.variance * design.scale**2 == pytest.approx(theirs, rel=LAST_DIGITS)


@pytest.mark.parametrize("spec", ["REML", "ML"])
def test_log_likelihoods_are_equal(spec):
    theirs = golden(spec)["estimate"]["logLik"]
    assert fit(spec).log_likelihood == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize("spec", ["REML", "ML", "weighted"])
def test_our_maximum_is_one_and_that_of_lme4_is_short_of_it(spec):
    """The gain, found from derivatives, is some 1e-12: below the last digit of the likelihood."""
    ours, rows = fit(spec), golden(spec)
    there: ProfilePoint = numbers(spec, their_ratio(spec))[0]
    gradient, curvature = float(there.gradient()[0]), float(there.hessian()[0, 0])
    assert ours.largest_gradient < 1e-10 < abs(gradient)
    assert curvature > 0
    assert gradient**2 / (2 * curvature) < 1e-9
    estimate, std_error, df, variances = SHORT_OF_THE_MAXIMUM[spec]
    for j, term in enumerate(ours.names):
        assert ours.coefficients[j] == pytest.approx(rows["estimate"][term], rel=estimate), term
        assert ours.std_errors[j] == pytest.approx(rows["se"][term], rel=std_error), term
        assert ours.df[j] == pytest.approx(rows["df"][term], rel=df), term
        # p values of 1e-159 repeat an error of t and df a thousandfold
        assert np.log(ours.p_values[j]) == pytest.approx(np.log(rows["p"][term]), rel=1e-6)
    if variances:
        school = ours.random_variances["(Intercept)"]
        assert school == pytest.approx(rows["estimate"]["var_school"], rel=variances)
        residual = rows["estimate"]["var_resid"]
        assert ours.residual_variance == pytest.approx(residual, rel=1e-8)


def test_cr2_of_the_mixed_model_equals_clubsandwich():
    """Within 1e-8 at our maximum already; at lme4's variance ratio to the last digits."""
    ours, rows = fit("REML", "CR2"), golden("REML_clubCR2")
    _, _, std_errors, df = numbers("REML", their_ratio("REML"), "CR2")
    for j, term in enumerate(ours.names):
        assert ours.std_errors[j] == pytest.approx(rows["se"][term], rel=1e-9)
        assert ours.df[j] == pytest.approx(rows["df"][term], rel=1e-9)
        t = ours.coefficients[j] / ours.std_errors[j]
        assert t == pytest.approx(rows["stat"][term], rel=1e-9)
        assert ours.p_values[j] == pytest.approx(rows["p"][term], rel=1e-6)
        assert std_errors[j] == pytest.approx(rows["se"][term], rel=1e-11)
        assert df[j] == pytest.approx(rows["df"][term], rel=1e-11)


def test_the_stored_numbers_are_missed_by_the_other_method():
    row = golden("ML").loc["(Intercept)"]
    assert fit("REML").std_errors[0] != pytest.approx(row["se"], rel=1e-3)
