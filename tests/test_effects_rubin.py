"""Rubin's rules against numbers worked out by hand, and what must hold for any numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.rubin import pool_estimates
from homevisit_eval.errors import EstimationError


def test_numbers_worked_out_by_hand():
    """Three imputations: W = .25, B = .04, so T = .25 + 4/3 x .04 = .30333.

    L = .053333 / .303333 = .175824; a = 2 / L^2 = 64.6953;
    b = 21/23 x 20 x (1 - L) = 15.0502; df = a b / (a + b) = 12.2098.
    r = .053333 / .25 = .213333; missing = (r + 2 / 15.2098) / 1.213333 = .284199.
    """
    pooled = pool_estimates([1.0, 1.4, 1.2], [0.5, 0.5, 0.5], [20, 20, 20])
    assert pooled.estimate == pytest.approx(1.2)
    assert pooled.within == pytest.approx(0.25)
    assert pooled.between == pytest.approx(0.04)
    assert pooled.std_error == pytest.approx(math.sqrt(0.25 + 4 / 3 * 0.04))
    assert pooled.df == pytest.approx(12.2098, abs=5e-5)
    assert pooled.missing_information == pytest.approx(0.284199, abs=5e-7)
    assert pooled.imputations == 3


def test_with_infinite_complete_df_they_are_rubins_of_1987():
    """nu = (m - 1) (1 + W / ((1 + 1/m) B))^2, here 2 (1 + .25 / .053333)^2."""
    pooled = pool_estimates([1.0, 1.4, 1.2], [0.5, 0.5, 0.5], [math.inf] * 3)
    assert pooled.df == pytest.approx(2 * (1 + 0.25 / (4 / 3 * 0.04)) ** 2)


def test_equal_estimates_lose_only_the_factor_of_the_df_rule():
    pooled = pool_estimates([0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [20, 20, 20])
    assert (pooled.estimate, pooled.std_error) == (pytest.approx(0.1), pytest.approx(0.2))
    assert pooled.between == 0
    assert pooled.missing_information == 0
    assert pooled.df == pytest.approx(21 / 23 * 20)


numbers = st.lists(
    st.tuples(st.floats(-5, 5), st.floats(0.01, 5), st.floats(1, 500)), min_size=2, max_size=12
)


@given(numbers, st.floats(0.01, 100), st.floats(-10, 10))
def test_the_error_grows_df_shrink_and_units_do_not_matter(rows, scale, shift):
    estimates, errors, df = np.array(rows).T
    pooled = pool_estimates(estimates, errors, df)
    assert pooled.std_error**2 >= pooled.within * (1 - 1e-12)
    assert 0 < pooled.df <= df.mean() * (1 + 1e-12)
    assert 0 <= pooled.missing_information < 1 + 1e-12
    other = pool_estimates(shift + scale * estimates, scale * errors, df)
    assert other.std_error == pytest.approx(scale * pooled.std_error, rel=1e-6)
    assert other.df == pytest.approx(pooled.df, rel=1e-5)
    backwards = pool_estimates(estimates[::-1], errors[::-1], df[::-1])
    assert backwards.estimate == pytest.approx(pooled.estimate, abs=1e-12)


@pytest.mark.parametrize(
    ("estimates", "errors", "df"),
    [
        ([1.0], [1.0], [5.0]),
        ([], [], []),
        ([1.0, 2.0], [1.0], [5.0, 5.0]),
        ([[1.0, 2.0]], [[1.0, 1.0]], [[5.0, 5.0]]),
        ([1.0, math.nan], [1.0, 1.0], [5.0, 5.0]),
        ([1.0, 2.0], [1.0, 0.0], [5.0, 5.0]),
        ([1.0, 2.0], [1.0, 1.0], [5.0, math.nan]),
        ([1.0, math.inf], [1.0, 1.0], [5.0, 5.0]),
    ],
)
def test_what_cannot_be_pooled_is_refused(estimates, errors, df):
    with pytest.raises(EstimationError, match="pooling needs"):
        pool_estimates(estimates, errors, df)


FOLDER = Path(__file__).parent / "reference" / "regression"


def completed_fits() -> tuple[np.ndarray, np.ndarray, int]:
    """Return estimates and standard errors of chl ~ age + bmi in 20 imputations, and n - K."""
    frame = pd.read_csv(FOLDER / "nhanes_imputed20.csv.gz")
    estimates, errors = [], []
    for _, rows in frame.groupby(".imp"):
        X = np.column_stack([np.ones(len(rows)), rows[["age", "bmi"]]])
        y = rows["chl"].to_numpy(float)
        b, left = np.linalg.lstsq(X, y)[:2]
        free = len(y) - 3
        estimates.append(b)
        errors.append(np.sqrt(np.diag(left[0] / free * np.linalg.inv(X.T @ X))))
    return np.array(estimates), np.array(errors), free


@pytest.mark.parametrize(("j", "term"), [(0, "(Intercept)"), (1, "age"), (2, "bmi")])
def test_pooled_regressions_equal_mice(j, term):
    """Every number that mice prints, at 1e-10 relative; p from the t distribution."""
    row = pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"]).loc["G16_mice_pool", term]
    theirs = {key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", row["note"])}
    estimates, errors, free = completed_fits()
    pooled = pool_estimates(estimates[:, j], errors[:, j], np.full(20, free))
    half = stdtrit(pooled.df, 0.975) * pooled.std_error
    t = pooled.estimate / pooled.std_error
    ours = {
        "estimate": pooled.estimate,
        "se": pooled.std_error,
        "df": pooled.df,
        "stat": t,
        "p": 2 * stdtr(pooled.df, -abs(t)),
        "lo": pooled.estimate - half,
        "hi": pooled.estimate + half,
        "ubar": pooled.within,
        "b": pooled.between,
        "t": pooled.std_error**2,
        "riv": pooled.relative_increase,
        "lambda": pooled.missing_share,
        "fmi": pooled.missing_information,
    }
    assert theirs.keys() == {"ubar", "b", "t", "riv", "lambda", "fmi"}
    for field, value in ours.items():
        assert value == pytest.approx(theirs.get(field, row.get(field)), rel=1e-10), field
