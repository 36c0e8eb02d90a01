"""Least squares against stored output of R; how it was made: reference/regression/README.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from homevisit_eval.effects.least_squares import LeastSquaresFit, fit_least_squares
from homevisit_eval.multiplicity import benjamini_hochberg

FOLDER = Path(__file__).parent / "reference" / "regression"

RELATIVE = 1e-8


@cache
def golden() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"])


@cache
def data(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv.gz")


def columns(frame: pd.DataFrame, numbers: list[str], factors: list[str]) -> pd.DataFrame:
    parts = [frame[numbers].astype(float)]
    parts += [
        pd.get_dummies(frame[factor], prefix=factor, drop_first=True).astype(float)
        for factor in factors
    ]
    return pd.concat(parts, axis=1)


def fit(y: NDArray, X: pd.DataFrame, **arguments) -> LeastSquaresFit:
    return fit_least_squares(y, X.to_numpy(), names=list(X.columns), **arguments)


def check(ours: LeastSquaresFit, spec: str, *fields: str) -> None:
    """Compare the fields of every term stored for `spec`."""
    rows = golden().loc[spec].dropna(subset="estimate")
    assert len(rows) > 0
    for term, row in rows.iterrows():
        j = ours.names.index(term)
        low, high = ours.intervals()[j]
        values = {
            "estimate": ours.coefficients[j],
            "se": ours.std_errors[j],
            "df": ours.df[j],
            "stat": ours.coefficients[j] / ours.std_errors[j],
            "p": ours.p_values[j],
            "lo": low,
            "hi": high,
        }
        for field in fields:
            assert values[field] == pytest.approx(row[field], rel=RELATIVE), (spec, term, field)


def petersen(covariance: str, by: str | None) -> LeastSquaresFit:
    frame = data("PetersenCL").assign(**{"(Intercept)": 1.0})
    clusters = None if by is None else frame[by].to_numpy()
    return fit(
        frame["y"].to_numpy(), frame[["(Intercept)", "x"]], clusters=clusters, covariance=covariance
    )


@pytest.mark.parametrize(
    ("ours", "theirs"), [("CR0", "HC0"), ("CR1S", "HC1"), ("CR2", "HC2"), ("HC3", "HC3")]
)
def test_heteroskedasticity_robust_equals_sandwich_vcovhc(ours, theirs):
    check(petersen(ours, None), f"G01_petersen_vcovHC_{theirs}", "estimate", "se", "stat")


@pytest.mark.parametrize("by", ["firm", "year"])
def test_cr1_equals_sandwich_vcovcl(by):
    check(
        petersen("CR1S", by), f"G02_petersen_vcovCL_HC1_{by}", "estimate", "se", "df", "stat", "p"
    )


@pytest.mark.parametrize("by", ["firm", "year"])
@pytest.mark.parametrize(("ours", "theirs"), [("CR0", "CR0"), ("CR1S", "CR1S")])
def test_sandwich_equals_clubsandwich(ours, theirs, by):
    """Standard errors only: clubSandwich pairs them with Satterthwaite df, we with G - 1."""
    check(petersen(ours, by), f"G04_petersen_club_{theirs}_{by}", "estimate", "se", "stat")


def test_cr2_and_satterthwaite_with_500_clusters_equal_clubsandwich():
    ours = petersen("CR2", "firm")
    check(ours, "G04_petersen_club_CR2_firm", "estimate", "se", "df", "stat", "p")


def achievement(covariance: str, *, weighted: bool, absorb: bool) -> LeastSquaresFit:
    frame = data("AchievementAwardsRCT").assign(constant=1.0)
    numbers = ["treated", "siblings", "immigrant", "father_ed", "mother_ed"]
    factors = ["qrtl", "sex", *([] if absorb else ["cell"])]
    return fit(
        frame["Bagrut_status"].to_numpy(float),
        columns(frame, numbers if absorb else ["constant", *numbers], factors),
        weights=frame["w"].to_numpy() if weighted else None,
        absorb=[frame["cell"].to_numpy()] if absorb else (),
        clusters=frame["school_id"].to_numpy(),
        covariance=covariance,
    )


@pytest.mark.parametrize("absorb", [False, True], ids=["dummies", "absorbed"])
def test_cr2_equals_clubsandwich_and_estimatr(absorb):
    ours = achievement("CR2", weighted=False, absorb=absorb)
    check(ours, "G05_AL_ols_CR2_Satt", "estimate", "se", "df", "stat", "p")
    check(ours, "G07_AL_estimatr_ols_absorb_CR2", "estimate", "se", "df", "stat", "p", "lo", "hi")


@pytest.mark.parametrize("absorb", [False, True], ids=["dummies", "absorbed"])
def test_weighted_cr2_equals_estimatr_with_dummies(absorb):
    """estimatr refuses weights with absorbed cells; absorbing must not change its numbers."""
    ours = achievement("CR2", weighted=True, absorb=absorb)
    check(ours, "G06_AL_estimatr_wls_dummies_CR2", "estimate", "se", "df", "stat", "p", "lo", "hi")


@pytest.mark.parametrize("absorb", [False, True], ids=["dummies", "absorbed"])
@pytest.mark.parametrize("weighted", [False, True], ids=["ols", "wls"])
@pytest.mark.parametrize(("ours", "theirs"), [("CR0", "CR0"), ("CR1S", "CR1S")])
def test_sandwich_with_weights_equals_clubsandwich(ours, theirs, weighted, absorb):
    """The naive t of clubSandwich has G - 1 degrees of freedom, as ours."""
    spec = f"G05_AL_{'wls' if weighted else 'ols'}_{theirs}_naivet"
    check(
        achievement(ours, weighted=weighted, absorb=absorb),
        spec,
        "estimate",
        "se",
        "df",
        "stat",
        "p",
    )


@pytest.mark.parametrize(
    ("spec", "covariance", "absorb"),
    [
        ("G06_AL_estimatr_wls_dummies_CR0", "CR0", False),
        ("G06_AL_estimatr_wls_dummies_stata", "CR1S", False),
        ("G07_AL_estimatr_wls_absorb_CR0", "CR0", True),
        ("G07_AL_estimatr_wls_absorb_stata", "CR1S", True),
    ],
)
def test_weighted_sandwich_equals_estimatr(spec, covariance, absorb):
    ours = achievement(covariance, weighted=True, absorb=absorb)
    check(ours, spec, "estimate", "se", "df", "stat", "p", "lo", "hi")


def test_the_stored_weighted_numbers_are_missed_without_weights():
    ours = achievement("CR2", weighted=False, absorb=True)
    with pytest.raises(AssertionError):
        check(ours, "G06_AL_estimatr_wls_dummies_CR2", "estimate")


def test_a_small_experiment_equals_estimatr():
    """The two offers add up to 1, so one is dropped: the last in X here, sfsp by estimatr."""
    frame = data("alo_star_men").dropna(subset="GPA_year1").assign(**{"(Intercept)": 1.0})
    X = frame[["(Intercept)", "ssp", "gpa0", "sfsp"]].astype(float)
    for ours, theirs in (("CR0", "HC0"), ("CR1S", "HC1"), ("CR2", "HC2"), ("HC3", "HC3")):
        result = fit(frame["GPA_year1"].to_numpy(float), X, covariance=ours)
        assert result.dropped == ("sfsp",)
        check(result, f"G10_star_lmrobust_{theirs}", "estimate", "se", "stat")


def lalonde() -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = data("lalonde_matchit").assign(constant=1.0)
    numbers = ["constant", "treat", "age", "educ", "married", "nodegree", "re74", "re75"]
    return frame, columns(frame, numbers, ["race"])


def test_matched_sample_clustered_by_matched_set_equals_sandwich():
    frame, X = lalonde()
    ours = fit(
        frame["re78"].to_numpy(),
        X,
        weights=frame["mw"].to_numpy(float),
        clusters=frame["sub"].fillna(-1).to_numpy(),
        covariance="CR1S",
    )
    assert ours.n == 370
    check(ours, "G11_lalonde_nn_wls_CL_subclass_HC1", "estimate", "se", "df", "stat", "p")


def test_inverse_probability_weights_equal_sandwich():
    frame, X = lalonde()
    weights = frame["treat"] + (1 - frame["treat"]) * frame["ps"] / (1 - frame["ps"])
    ours = fit(
        frame["re78"].to_numpy(),
        X[["constant", "treat"]],
        weights=weights.to_numpy(),
        covariance="CR0",
    )
    check(ours, "G11_lalonde_ipwATT_HC0", "estimate", "se", "stat")
    leverage = fit(
        frame["re78"].to_numpy(),
        X[["constant", "treat"]],
        weights=weights.to_numpy(),
        covariance="HC3",
    )
    check(leverage, "G11_lalonde_ipwATT_HC3", "estimate", "se", "df", "stat", "p")


def test_two_way_effects_with_states_as_clusters_equal_clubsandwich():
    frame = data("MortalityMV")
    ours = fit(
        frame["mrate"].to_numpy(),
        frame[["legal", "beertaxa"]].astype(float),
        absorb=[frame["state"].to_numpy(), frame["year"].to_numpy()],
        clusters=frame["state"].to_numpy(),
    )
    check(
        ours,
        "G19_mortality_twowayFE_ols_CR2",
        "estimate",
        "se",
        "df",
        "stat",
        "p",
    )


def test_benjamini_hochberg_equals_r():
    rows = golden().loc["G17_padjust_BH"]
    np.testing.assert_allclose(benjamini_hochberg(rows["estimate"]), rows["p"], rtol=1e-14)
