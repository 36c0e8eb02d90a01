"""Least squares against stored output of R; how it was made: reference/regression/README.md."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from homevisit_eval.effects.regression.least_squares import (
    LeastSquaresFit,
    fit_least_squares,
    fit_outcome,
)
from homevisit_eval.effects.regression.prepared_design import PreparedDesign, prepare_design
from homevisit_eval.effects.regression.randomized_experiment import difference_of_means, fit_lin
from homevisit_eval.effects.regression.several_clusterings import (
    fit_driscoll_kraay,
    fit_several_clusterings,
)
from homevisit_eval.effects.regression.wald_tests import joint_test, zero_constraints
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


FIELDS = ("estimate", "se", "df", "stat", "p", "lo", "hi")


def check(ours: LeastSquaresFit, spec: str, *fields: str, renamed: dict[str, str] | None = None):
    """Compare what is stored of every term of `spec` (only `fields`, if given)."""
    rows = golden().loc[spec].dropna(subset="estimate")
    assert len(rows) > 0
    for term, row in rows.iterrows():
        j = ours.names.index((renamed or {}).get(term, term))
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
        for field in fields or FIELDS:
            if fields or not pd.isna(row[field]):
                assert values[field] == pytest.approx(row[field], rel=RELATIVE, abs=0), (
                    spec,
                    term,
                    field,
                )


def petersen(covariance: str, by: str | None, **arguments) -> LeastSquaresFit:
    frame = data("PetersenCL").assign(**{"(Intercept)": 1.0})
    clusters = None if by is None else frame[by].to_numpy()
    X = frame[["(Intercept)", "x"]]
    y = frame["y"].to_numpy()
    return fit(y, X, clusters=clusters, covariance=covariance, **arguments)


@pytest.mark.parametrize("kind", ["classical", "HC0", "HC1", "HC2", "HC3", "HC4"])
def test_heteroskedasticity_robust_equals_sandwich_vcovhc(kind):
    theirs = "const" if kind == "classical" else kind
    check(petersen(kind, None), f"G01_petersen_vcovHC_{theirs}")


@pytest.mark.parametrize("by", ["firm", "year"])
@pytest.mark.parametrize(
    ("ours", "theirs"), [("CR1", "HC0"), ("CR1S", "HC1"), ("CR2", "HC2"), ("CR3", "HC3")]
)
def test_clustered_equals_sandwich_vcovcl(ours, theirs, by):
    """Its HC0 is our CR1 (it multiplies by G / (G - 1)); its HC2 and HC3 are not multiplied."""
    check(petersen(ours, by, df="G - 1"), f"G02_petersen_vcovCL_{theirs}_{by}")


@pytest.mark.parametrize(
    ("covariance", "meeting", "theirs"),
    [
        ("CR1", "rows", "HC0_multi0_TRUE"),
        ("CR1S", "rows", "HC1_multi0_TRUE"),
        ("CR1S", "clusters", "HC1_multi0_FALSE"),
    ],
)
def test_two_way_clusters_equal_sandwich(covariance, meeting, theirs):
    frame = data("PetersenCL").assign(**{"(Intercept)": 1.0})
    X = frame[["(Intercept)", "x"]]
    ours = fit_several_clusterings(
        prepare_design(X.to_numpy(), names=list(X)),
        frame["y"],
        [frame["firm"], frame["year"]],
        covariance=covariance,
        meeting=meeting,
    )
    check(ours, f"G03_petersen_twoway_{theirs}")


def test_driscoll_kraay_equals_sandwich_vcovpl():
    frame = data("PetersenCL").assign(**{"(Intercept)": 1.0})
    X = frame[["(Intercept)", "x"]]
    prepared = prepare_design(X.to_numpy(), names=list(X))
    check(
        fit_driscoll_kraay(prepared, frame["y"], frame["year"], lags=1),
        "G03_petersen_driscollkraay_PL",
    )


@pytest.mark.parametrize(
    ("kind", "by"),
    [*product(["CR0", "CR1", "CR1S", "CR1p"], ["firm", "year"]), ("CR2", "firm")],
)
def test_clustered_with_satterthwaite_df_equals_clubsandwich(kind, by):
    check(petersen(kind, by, df="satterthwaite"), f"G04_petersen_club_{kind}_{by}")


def achievement(covariance: str, *, weighted: bool, absorb: bool, **arguments) -> LeastSquaresFit:
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
        **arguments,
    )


@pytest.mark.parametrize("absorb", [False, True], ids=["dummies", "absorbed"])
@pytest.mark.parametrize(("df", "theirs"), [("satterthwaite", "Satt"), ("G - 1", "naivet")])
@pytest.mark.parametrize(
    ("weighting", "kind"),
    [
        *product(["ols"], ["CR0", "CR1", "CR1S", "CR2", "CR3"]),
        *product(["wls"], ["CR0", "CR1", "CR1S"]),
    ],
)
def test_every_covariance_equals_clubsandwich(weighting, kind, df, theirs, absorb):
    ours = achievement(kind, weighted=weighting == "wls", absorb=absorb, df=df)
    check(ours, f"G05_AL_{weighting}_{kind}_{theirs}")


@pytest.mark.parametrize("weighting", ["ols", "wls"])
def test_cr1s_equals_sandwich_on_the_experiment(weighting):
    ours = achievement("CR1S", weighted=weighting == "wls", absorb=True)
    check(ours, f"G05_AL_{weighting}_vcovCL_HC1")


@pytest.mark.parametrize(
    ("spec", "covariance", "weighted", "absorb"),
    [
        ("G06_AL_estimatr_wls_dummies_CR0", "CR0", True, False),
        ("G06_AL_estimatr_wls_dummies_stata", "CR1S", True, False),
        ("G06_AL_estimatr_wls_dummies_CR2", "CR2", True, False),
        # estimatr refuses weights with absorbed cells; absorbing must not change its numbers
        ("G06_AL_estimatr_wls_dummies_CR2", "CR2", True, True),
        ("G07_AL_estimatr_wls_absorb_CR0", "CR0", True, True),
        ("G07_AL_estimatr_wls_absorb_stata", "CR1S", True, True),
        ("G07_AL_estimatr_ols_absorb_CR2", "CR2", False, True),
    ],
)
def test_clustered_equals_estimatr(spec, covariance, weighted, absorb):
    check(achievement(covariance, weighted=weighted, absorb=absorb), spec)


def test_the_stored_weighted_numbers_are_missed_without_weights():
    ours = achievement("CR2", weighted=False, absorb=True)
    with pytest.raises(AssertionError):
        check(ours, "G06_AL_estimatr_wls_dummies_CR2", "estimate")


@pytest.mark.parametrize("absorb", [False, True], ids=["dummies", "absorbed"])
@pytest.mark.parametrize(
    ("test", "theirs"),
    [("chi-square", "chi-sq"), ("F", "Naive-F"), ("HTZ", "HTZ"), ("HTA", "HTA")],
)
def test_the_joint_test_of_interactions_equals_clubsandwich(test, theirs, absorb):
    frame = data("AchievementAwardsRCT").assign(constant=1.0)
    X = columns(
        frame,
        [*([] if absorb else ["constant"]), "treated", "siblings", "immigrant"],
        ["qrtl", "sex", *([] if absorb else ["cell"])],
    )
    products = [f"treated:qrtl{quarter}" for quarter in (2, 3, 4)]
    for quarter, name in zip((2, 3, 4), products, strict=True):
        X[name] = X["treated"] * X[f"qrtl_{quarter}"]
    prepared = prepare_design(
        X.to_numpy(),
        names=list(X),
        weights=frame["w"],
        absorb=[frame["cell"]] if absorb else (),
        clusters=frame["school_id"],
    )
    ours = fit_outcome(prepared, frame["Bagrut_status"])
    found = joint_test(prepared, ours, zero_constraints(ours, products), test=test)
    row = golden().loc[f"G08_AL_jointF_CR2_{theirs}"].iloc[0]
    assert found.df_numerator == row["estimate"]
    values = {"df": found.df_denominator, "stat": found.statistic, "p": found.p_value}
    for field, value in values.items():
        assert value == pytest.approx(row[field], rel=RELATIVE, abs=0), field


def star() -> pd.DataFrame:
    return data("alo_star_men").dropna(subset="GPA_year1").assign(**{"(Intercept)": 1.0})


@pytest.mark.parametrize("kind", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_a_small_experiment_equals_estimatr(kind):
    """The two offers add up to 1, so one is dropped: the last in X here, sfsp by estimatr."""
    frame = star()
    X = frame[["(Intercept)", "ssp", "gpa0", "sfsp"]].astype(float)
    ours = fit(frame["GPA_year1"].to_numpy(float), X, covariance=kind)
    assert ours.dropped == ("sfsp",)
    check(ours, f"G10_star_lmrobust_{kind}")


def test_lins_interacted_regression_equals_estimatr():
    frame = star()
    ours = fit_lin(frame["GPA_year1"], frame["ssp"], frame[["gpa0"]], names=["gpa0"])
    renamed = {"ssp": "treated", "ssp:gpa0_c": "treated:gpa0_c"}
    check(ours, "G10_star_lmlin_HC2", renamed=renamed)


def test_neymans_difference_equals_estimatr():
    frame = star()
    ours = difference_of_means(frame["GPA_year1"], frame["ssp"])
    row = golden().loc["G10_star_dim_neyman"].iloc[0]
    low, high = ours.interval()
    for value, field in (
        (ours.estimate, "estimate"), (ours.std_error, "se"), (ours.df, "df"),
        (ours.estimate / ours.std_error, "stat"), (low, "lo"), (high, "hi"),
    ):  # fmt: skip
        assert value == pytest.approx(row[field], rel=RELATIVE, abs=0), field
    # the stored p belongs to estimatr's own t, the same as ours
    assert ours.p_value == pytest.approx(row["p"], rel=RELATIVE)


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
    check(ours, "G11_lalonde_nn_wls_CL_subclass_HC1")


@pytest.mark.parametrize(("kind", "df"), [("HC0", "normal"), ("HC3", "n - K")])
def test_inverse_probability_weights_equal_sandwich(kind, df):
    frame, X = lalonde()
    weights = frame["treat"] + (1 - frame["treat"]) * frame["ps"] / (1 - frame["ps"])
    ours = fit(
        frame["re78"].to_numpy(),
        X[["constant", "treat"]],
        weights=weights.to_numpy(),
        covariance=kind,
        df=df,
    )
    check(ours, f"G11_lalonde_ipwATT_{kind}")


def api_schools() -> tuple[PreparedDesign, LeastSquaresFit]:
    """One-stage clusters with sampling weights: CR1, with G - K degrees of freedom."""
    frame = data("apiclus1").assign(**{"(Intercept)": 1.0})
    X = frame[["(Intercept)", "ell", "meals", "mobility"]].astype(float)
    prepared = prepare_design(
        X.to_numpy(), names=list(X), weights=frame["pw"], clusters=frame["dnum"]
    )
    return prepared, fit_outcome(prepared, frame["api00"], covariance="CR1", df="G - K")


def test_a_clustered_survey_equals_svyglm():
    check(api_schools()[1], "G15_svyglm_gaussian")


def test_a_wald_test_of_survey_coefficients_equals_regtermtest():
    prepared, ours = api_schools()
    found = joint_test(prepared, ours, zero_constraints(ours, ["ell", "meals"]), test="F")
    row = golden().loc["G15_svyglm_regTermTest"].iloc[0]
    values = (found.df_numerator, found.df_denominator, found.statistic, found.p_value)
    assert values == pytest.approx(tuple(row[["estimate", "df", "stat", "p"]]), rel=RELATIVE)


@pytest.mark.parametrize("kind", ["CR1", "CR2"])
def test_two_way_effects_with_states_as_clusters_equal_clubsandwich(kind):
    frame = data("MortalityMV")
    ours = fit(
        frame["mrate"].to_numpy(),
        frame[["legal", "beertaxa"]].astype(float),
        absorb=[frame["state"].to_numpy(), frame["year"].to_numpy()],
        clusters=frame["state"].to_numpy(),
        covariance=kind,
        df="satterthwaite",
    )
    check(ours, f"G19_mortality_twowayFE_ols_{kind}")


def test_benjamini_hochberg_equals_r():
    rows = golden().loc["G17_padjust_BH"]
    np.testing.assert_allclose(benjamini_hochberg(rows["estimate"]), rows["p"], rtol=1e-14)
