"""Formulas: the columns that formulaic makes, factors that are absorbed, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from homevisit_eval.effects import fit_formula, fit_least_squares
from homevisit_eval.errors import EstimationError

FOLDER = Path(__file__).parent / "reference" / "regression"


def achievement() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "AchievementAwardsRCT.csv.gz")


CONTROLS = "C(qrtl) + C(sex) + siblings + immigrant + father_ed + mother_ed"


@pytest.mark.parametrize("absorbed", [False, True], ids=["dummies", "absorbed"])
def test_weighted_cr2_by_formula_equals_the_stored_output_of_r(absorbed):
    cell = " | cell" if absorbed else " + C(cell)"
    fit = fit_formula(
        achievement(),
        f"Bagrut_status ~ treated + {CONTROLS}{cell}",
        weights="w",
        clusters="school_id",
    )
    golden = pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"])
    row = golden.loc[("G06_AL_estimatr_wls_dummies_CR2", "treated")]
    at = fit.names.index("treated")
    assert fit.coefficients[at] == pytest.approx(row["estimate"], rel=1e-8)
    assert fit.std_errors[at] == pytest.approx(row["se"], rel=1e-8)
    assert fit.df[at] == pytest.approx(row["df"], rel=1e-8)
    assert ("Intercept" in fit.names) != absorbed


def small(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(1, 5, n),
            "visited": rng.integers(0, 2, n),
            "grade": rng.integers(1, 5, n),
            "place": rng.choice(["north", "south", "west"], n),
            "school": rng.integers(0, 30, n),
            "year": rng.integers(2014, 2017, n),
        }
    )


def test_interactions_and_functions_equal_statsmodels():
    frame = small()
    formula = "y ~ visited * C(grade) + place + np.log(x)"
    ours = fit_formula(frame, formula, clusters="school", covariance="CR1S")
    theirs = smf.ols(formula, frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["school"]}, use_t=True
    )
    names = list(ours.names)
    np.testing.assert_allclose(ours.coefficients, theirs.params[names], rtol=1e-8)
    np.testing.assert_allclose(ours.std_errors, theirs.bse[names], rtol=1e-8)


def test_a_factor_of_combinations_is_absorbed_and_several_join_by_plus():
    frame = small()
    both = fit_formula(frame, "y ~ visited + x | grade^year + place", clusters="school")
    cell = frame["grade"] * 10_000 + frame["year"]
    by_hand = fit_least_squares(
        frame["y"],
        frame[["visited", "x"]],
        absorb=[cell, pd.factorize(frame["place"])[0]],
        clusters=frame["school"],
    )
    assert both.names == ("visited", "x")
    np.testing.assert_allclose(both.coefficients, by_hand.coefficients, rtol=1e-10)
    np.testing.assert_allclose(both.std_errors, by_hand.std_errors, rtol=1e-10)
    assert both.K == by_hand.K


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ visited | grade | year", "write 'outcome ~ columns'"),
        ("visited + x", "write 'outcome ~ columns'"),
        ("~ visited", "write 'outcome ~ columns'"),
        ("y ~ visited | ", "factor after | is empty".replace("|", r"\|")),
        ("y ~ visited ++ (", "cannot be read"),
        ("y ~ visited + nothing", "nothing is no column of the data frame; it has y, x"),
        ("y ~ visited | nothing", "nothing is no column"),
        ("y ~ np.sqrt(place)", "a term cannot be computed"),
        ("place ~ visited", "outcome 'place' holds no numbers"),
        ("text ~ visited", "outcome 'text' holds no numbers"),
        ("y ~ y + visited", "outcome stands on the right"),
        ("y ~ lack + visited", r"values are missing in lack \(<10\) of 400 rows"),
    ],
)
def test_what_is_refused(formula, said):
    frame = small().assign(lack=lambda f: f["x"].where(f.index > 4), text="abc")
    with pytest.raises(EstimationError, match=said):
        fit_formula(frame, formula, clusters="school")


def test_degrees_of_freedom_are_asked_for_by_names_that_there_are():
    for wrong, said in ((["nobody"], "df_for names nobody"), ("visited", "df_for is one text")):
        with pytest.raises(EstimationError, match=said):
            fit_formula(small(), "y ~ visited", clusters="school", df_for=wrong)


def test_weights_and_clusters_are_names_of_columns():
    frame = small()
    with pytest.raises(EstimationError, match="weights 'place' holds no numbers"):
        fit_formula(frame, "y ~ visited", weights="place")
    with pytest.raises(EstimationError, match="names of its columns"):
        fit_formula(frame, "y ~ visited", clusters=frame["school"])
    with pytest.raises(EstimationError, match="pandas DataFrame"):
        fit_formula([[1, 2]], "y ~ visited")


def test_the_frame_is_unchanged_and_errors_name_the_formula():
    frame = small()
    before = frame.copy()
    fit_formula(frame, "y ~ visited | grade", weights="x", clusters="school")
    pd.testing.assert_frame_equal(frame, before)
    with pytest.raises(EstimationError, match=r"formula 'y ~ visited': .*one cluster"):
        fit_formula(frame.assign(one=1), "y ~ visited", clusters="one")
