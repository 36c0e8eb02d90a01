"""Several clusterings, against the definition and statsmodels; dependence between periods."""

from __future__ import annotations

import numpy as np
import pytest

from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.effects.regression.several_clusterings import (
    fit_driscoll_kraay,
    fit_several_clusterings,
)
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-9


def example(seed: int, n: int = 300):
    r = np.random.Generator(np.random.PCG64(np.random.SeedSequence([33, seed])))
    schools, sets, years = r.integers(0, 12, n), r.integers(0, 60, n), r.integers(0, 5, n)
    X = np.column_stack([np.ones(n), r.normal(size=n) + 0.3 * schools, r.normal(size=n)])
    y = X @ [1.0, 0.5, 0.0] + r.normal(size=12)[schools] + r.normal(size=60)[sets]
    return y + r.normal(size=n), X, r.uniform(0.3, 3, n), schools, sets, years


def test_two_ways_are_a_sum_of_three_single_ones():
    y, X, w, schools, sets, years = example(1)
    prepared = prepare_design(X[:, 1:], weights=w, absorb=[years], clusters=schools)
    ours = fit_several_clusterings(prepared, y, [schools, sets], covariance="CR1S")
    parts = [
        fit_least_squares(
            y, X[:, 1:], weights=w, absorb=[years], clusters=codes, covariance="CR1S"
        ).covariance
        for codes in (schools, sets, schools * 100 + sets)
    ]
    np.testing.assert_allclose(ours.covariance, parts[0] + parts[1] - parts[2], rtol=RELATIVE)
    assert set(ours.df) == {11.0}
    assert (ours.G, ours.cluster_counts, ours.K) == (12, (12, 60), 7)
    assert repr(ours) == (
        "LeastSquaresFit(2 coefficients, CR1S, df: min(G) - 1; n = 300, K = 7, G = 12 x 60)"
    )


def test_two_ways_equal_statsmodels():
    import statsmodels.api as sm

    y, X, w, schools, sets, _ = example(2)
    ours = fit_several_clusterings(prepare_design(X, weights=w), y, [schools, sets])
    groups = np.column_stack([schools, sets])
    theirs = sm.WLS(y, X, weights=w).fit(cov_type="cluster", cov_kwds={"groups": groups})
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=RELATIVE)


def test_factors_degrees_of_freedom_and_meeting_rows():
    y, X, _, schools, sets, _ = example(3)
    prepared = prepare_design(X)
    plain = fit_several_clusterings(prepared, y, [schools, sets], covariance="CR0", df="n - K")
    smallest = fit_several_clusterings(
        prepared, y, [schools, sets], covariance="CR1", factor="smallest", df="normal"
    )
    np.testing.assert_allclose(smallest.covariance, 12 / 11 * plain.covariance, rtol=RELATIVE)
    assert set(plain.df) == {297.0}
    assert set(smallest.df) == {np.inf}
    by_row = fit_several_clusterings(prepared, y, [schools, sets], covariance="CR0", meeting="rows")
    single = [
        fit_least_squares(y, X, clusters=codes, covariance="CR0").covariance
        for codes in (schools, sets)
    ]
    rows = fit_least_squares(y, X, covariance="HC0").covariance
    np.testing.assert_allclose(by_row.covariance, sum(single) - rows, rtol=RELATIVE)


def test_three_ways():
    y, X, _, schools, sets, years = example(4)
    ours = fit_several_clusterings(
        prepare_design(X), y, [schools, sets, years], covariance="CR0", df="n - K"
    )
    codes = {"s": schools, "m": sets * 100, "y": years * 10_000}
    expected = np.zeros((3, 3))
    for chosen in ("s", "m", "y", "sm", "sy", "my", "smy"):
        part = fit_least_squares(
            y, X, clusters=sum(codes[one] for one in chosen), covariance="CR0"
        ).covariance
        expected += part if len(chosen) % 2 else -part
    values, vectors = np.linalg.eigh(expected)
    expected = vectors * np.maximum(values, 0) @ vectors.T
    np.testing.assert_allclose(ours.covariance, expected, rtol=1e-8, atol=1e-14)
    assert "Only 5 clusters" in ours.notes[0]


def test_a_negative_eigenvalue_is_set_to_zero_and_said():
    """Residuals that cancel within both clusterings: what is subtracted is all there is."""
    side = np.repeat([0, 1, 2, 3], 4), np.tile([0, 1, 2, 3], 4)
    y = np.where((side[0] + side[1]) % 2, 1.0, -1.0)
    X = np.ones((16, 1))
    fit = fit_several_clusterings(prepare_design(X), y, side, covariance="CR0")
    assert fit.covariance == 0
    assert "1 negative eigenvalues of 1, which are set to 0" in fit.notes[-1]
    clean = fit_several_clusterings(prepare_design(example(5)[1]), example(5)[0], example(5)[3:5])
    assert clean.notes == ()


def test_treated_in_one_cluster_only_is_said():
    y, X, _, schools, sets, _ = example(10)
    X[:, 2] = schools == 3
    fit = fit_several_clusterings(prepare_design(X), y, [schools, sets])
    assert fit.notes[0].startswith("x2: in 1 of 12 clusters a parameter is determined")


def test_nested_effects_count_by_clustering():
    y, X, _, schools, sets, _ = example(6)
    prepared = prepare_design(X[:, 1:], absorb=[schools])
    counts = {
        convention: fit_several_clusterings(
            prepared, y, [schools, sets], nested_effects=convention
        ).K
        for convention in ("counted", "not counted")
    }
    assert counts == {"counted": 2 + 12, "not counted": 2 + 1}


def test_driscoll_kraay_without_lags_is_clustering_by_period():
    y, X, w, *_, years = example(7)
    prepared = prepare_design(X, weights=w)
    ours = fit_driscoll_kraay(prepared, y, years, lags=0)
    by_year = fit_least_squares(y, X, weights=w, clusters=years, covariance="CR0")
    np.testing.assert_allclose(ours.covariance, by_year.covariance * 300 / 297, rtol=RELATIVE)
    assert fit_driscoll_kraay(prepared, y, years, lags=2).std_errors[1] != ours.std_errors[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusterings": [np.zeros(300)]}, "1 is given; give two or more"),
        ({"clusterings": [np.arange(300), np.zeros(300)]}, "all rows are in one cluster"),
        ({"covariance": "CR2"}, "covariance must be one of CR0, CR1, CR1S, CR1p; it is 'CR2'"),
        ({"df": "cgm"}, "df must be one of min"),
        ({"factor": "min"}, "factor must be one of by term, smallest"),
        ({"meeting": "row"}, "meeting must be one of clusters, rows"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message):
    y, X, _, schools, sets, _ = example(8)
    given = {"clusterings": [schools, sets], **arguments}
    with pytest.raises(EstimationError, match=message):
        fit_several_clusterings(prepare_design(X), y, given.pop("clusterings"), **given)


def test_lags_beyond_the_periods_are_refused():
    y, X, *_, years = example(9)
    with pytest.raises(EstimationError, match="lags must be 0 to 4; it is 5"):
        fit_driscoll_kraay(prepare_design(X), y, years, lags=5)
