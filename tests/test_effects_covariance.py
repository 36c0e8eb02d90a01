"""Covariances and degrees of freedom by name, against textbook matrices; what readers are told."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from homevisit_eval.effects.regression.least_squares import fit_least_squares, fit_outcome
from homevisit_eval.effects.regression.prepared_design import (
    cluster_influence,
    prepare_design,
    row_influence,
    with_clusters,
)
from homevisit_eval.errors import EstimationError

# Both sides are computed in double precision from designs whose condition number is below 1e3.
RELATIVE = 1e-9


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([31, *key])))


def dummies(codes: NDArray) -> NDArray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def example(seed: int, n: int = 150, G: int = 12):
    r = rng(seed)
    clusters = np.sort(r.integers(0, G, n))
    X = r.normal(size=(n, 3)) + r.normal(size=(G, 3))[clusters]
    cells = r.integers(0, 4, n)
    y = X @ [0.5, -1.0, 0.0] + r.normal(size=G)[clusters] + cells + r.normal(size=n)
    return y, X, r.uniform(0.3, 3.0, n), clusters, cells


def textbook(y, X, w, clusters, kind):
    """Return the covariance and Satterthwaite df of the last 3 columns, by n x n matrices."""
    n, k = X.shape
    M = np.linalg.inv(X.T @ (w[:, None] * X))
    H = X @ M @ X.T * w[None, :]
    left = np.eye(n) - H
    e, B = left @ y, left @ left.T
    scores, rows = [], []
    for g in np.unique(clusters):
        i = np.flatnonzero(clusters == g)
        A = np.eye(len(i))
        if kind == "CR2":
            values, vectors = np.linalg.eigh(B[np.ix_(i, i)])
            root = np.where(values > 1e-9, 1 / np.sqrt(np.where(values > 1e-9, values, 1)), 0)
            A = vectors * root @ vectors.T
        elif kind == "CR3":
            A = np.linalg.pinv(left[np.ix_(i, i)], rcond=1e-9)
        scores.append(X[i].T @ (w[i] * (A @ e[i])))
        rows.append((M @ X[i].T * w[i]) @ A @ left[i])
    S = np.array(scores)
    G = len(S)
    factor = {"CR1": G / (G - 1), "CR1S": G / (G - 1) * (n - 1) / (n - k), "CR1p": G / (G - k)}
    P = np.einsum("gjn,hjn->jgh", np.array(rows), np.array(rows))
    df = np.array([np.trace(p) ** 2 / (p**2).sum() for p in P])
    return factor.get(kind, 1.0) * (M @ S.T @ S @ M)[-3:, -3:], df[-3:]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("absorb", ["none", "cells"])
@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3"])
def test_every_clustered_covariance_equals_the_textbook(kind, absorb, weighted):
    y, X, w, clusters, cells = example(1)
    w = w if weighted else np.ones(len(y))
    factors = [cells] if absorb == "cells" else []
    full = np.hstack([*[dummies(codes) for codes in factors], X])
    covariance, df = textbook(y, full, w, clusters, kind)
    fit = fit_least_squares(
        y,
        X,
        weights=w,
        absorb=factors,
        clusters=clusters,
        covariance=kind,
        df="satterthwaite",
    )
    np.testing.assert_allclose(fit.covariance, covariance, rtol=RELATIVE, atol=1e-15)
    np.testing.assert_allclose(fit.df, df, rtol=RELATIVE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("G", [3, 12, 75])
def test_cr3_takes_the_same_value_on_every_route_and_is_the_jackknife(G, weighted):
    """Cells cross clusters: what is left out each time is a whole cluster."""
    y, X, w, _, cells = example(2)
    clusters = rng(3).permutation(np.arange(150) % G)
    w = w if weighted else np.ones(len(y))
    fit = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters, covariance="CR3")
    spread = np.zeros((3, 3))
    for g in range(G):
        rest = clusters != g
        part = fit_least_squares(
            y[rest], X[rest], weights=w[rest], absorb=[cells[rest]], covariance="HC0"
        )
        change = part.coefficients - fit.coefficients
        spread += np.outer(change, change)
    np.testing.assert_allclose(fit.covariance, spread, rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("absorb", ["none", "crossing", "nested"])
@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_large_clusters_with_columns_that_are_constant_in_them(kind, absorb, weighted):
    """Columns of one cluster depend on each other and on its cells; weights vary in some only."""
    r = rng(20)
    n, G = 400, 5
    clusters = r.integers(0, G, n)
    X = np.column_stack([clusters % 2 == 0, r.normal(size=n), clusters == 3 * r.integers(0, 2, n)])
    X = X.astype(float)
    cells = r.integers(0, 3, n)
    w = np.where(clusters < 2, 1.0, r.uniform(0.3, 3.0, n)) if weighted else np.ones(n)
    if absorb == "nested":  # the first column would be collinear with cells inside clusters
        X[:, 0] = X[:, 0] * r.integers(0, 2, n)
    y = X @ [0.5, -1.0, 0.0] + r.normal(size=G)[clusters] + r.normal(size=n)
    codes = {"none": cells * 0, "crossing": cells, "nested": clusters * 3 + cells}[absorb]
    covariance, df = textbook(y, np.hstack([dummies(codes), X]), w, clusters, kind)
    fit = fit_least_squares(y, X, weights=w, absorb=[codes], clusters=clusters, covariance=kind)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(fit.df, df, rtol=1e-8)


@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-5, 1e-7])
def test_nearly_equal_weights_lose_no_digits(spread):
    """Columns times weights nearly repeat the columns: too close for Gram matrices."""
    y, X, _, _, cells = example(21, n=300)
    clusters = np.arange(300) % 4
    w = 1.0 + spread * rng(22).uniform(size=300)
    full = np.hstack([dummies(cells), X])
    covariance, df = textbook(y, full, w, clusters, "CR2")
    fit = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-8)
    np.testing.assert_allclose(fit.df, df, rtol=1e-8)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, np.float64, bool, str])
def test_codes_may_be_of_any_type(kind):
    y, X, w, clusters, cells = example(23)
    codes = clusters % 2 if kind is bool else clusters * 20 - (128 if kind is np.int8 else 0)
    expected = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=codes)
    prepared = prepare_design(X, weights=w, absorb=[cells.astype(str)], clusters=codes.astype(kind))
    np.testing.assert_allclose(fit_outcome(prepared, y).covariance, expected.covariance)
    np.testing.assert_array_equal(prepared.cluster_values, np.unique(codes.astype(kind)))


def test_cr3_leaves_out_clusters_with_their_own_effects():
    """Cells nest in clusters: the adjustment is singular, and still the jackknife."""
    y, X, w, clusters, cells = example(4)
    nested = clusters * 10 + cells
    fit = fit_least_squares(y, X, weights=w, absorb=[nested], clusters=clusters, covariance="CR3")
    spread = np.zeros((3, 3))
    for g in range(12):
        rest = clusters != g
        part = fit_least_squares(
            y[rest], X[rest], weights=w[rest], absorb=[nested[rest]], covariance="HC0"
        )
        change = part.coefficients - fit.coefficients
        spread += np.outer(change, change)
    np.testing.assert_allclose(fit.covariance, spread, rtol=1e-7)
    assert fit.notes == ()


@pytest.mark.parametrize("kind", ["classical", "HC0", "HC1", "HC2", "HC3"])
def test_covariances_of_independent_rows_equal_statsmodels(kind):
    import statsmodels.api as sm

    y, X, w, _, cells = example(5)
    full = np.hstack([dummies(cells), X])
    theirs = sm.WLS(y, full, weights=w).fit(
        cov_type="nonrobust" if kind == "classical" else kind, use_t=True
    )
    ours = fit_least_squares(y, X, weights=w, absorb=[cells], covariance=kind)
    np.testing.assert_allclose(ours.std_errors, theirs.bse[-3:], rtol=RELATIVE)
    np.testing.assert_allclose(ours.p_values, theirs.pvalues[-3:], rtol=1e-7)


def test_hc2_in_two_groups_is_welchs_test_but_for_its_degrees_of_freedom():
    from scipy import stats

    r = rng(6)
    y, treated = r.normal(size=30), np.arange(30) < 9
    X = np.column_stack([np.ones(30), treated])
    fit = fit_least_squares(y, X, covariance="HC2", df="satterthwaite")
    welch = stats.ttest_ind(y[treated], y[~treated], equal_var=False)
    assert fit.std_errors[1] == pytest.approx(
        abs(fit.coefficients[1] / welch.statistic), rel=RELATIVE
    )
    # Welch with the variances that the working model expects, 1 in both groups
    a, b = 1 / 9, 1 / 21
    assert fit.df[1] == pytest.approx((a + b) ** 2 / (a**2 / 8 + b**2 / 20), rel=RELATIVE)


def test_degrees_of_freedom_by_name():
    y, X, w, clusters, cells = example(7)
    prepared = prepare_design(X, weights=w, absorb=[cells], clusters=clusters)
    expected = {"G - 1": 11, "G - K": 5, "n - K": 143, "normal": np.inf}
    for name, value in expected.items():
        fit = fit_outcome(prepared, y, covariance="CR1S", df=name)
        assert set(fit.df) == {value}
        assert fit.df_convention == name
    normal = fit_outcome(prepared, y, covariance="CR1S", df="normal")
    assert normal.intervals()[0, 1] == pytest.approx(
        normal.coefficients[0] + 1.959963984540054 * normal.std_errors[0], rel=1e-12
    )
    defaults = {"CR2": "Satterthwaite (Bell-McCaffrey)", "CR3": "Satterthwaite (Bell-McCaffrey)",
                "CR1p": "G - 1"}  # fmt: skip
    for kind, convention in defaults.items():
        assert fit_outcome(prepared, y, covariance=kind).df_convention == convention


class TestNestedEffects:
    """K with absorbed effects that nest in clusters: counted, or all together as the mean."""

    def counted(self, absorb, clusters, convention):
        y, X, w, *_ = example(8)
        fit = fit_least_squares(
            y,
            X,
            weights=w,
            absorb=absorb,
            clusters=clusters,
            covariance="CR1S",
            nested_effects=convention,
        )
        G, n = len(np.unique(clusters)), len(y)
        plain = fit_least_squares(
            y, X, weights=w, absorb=absorb, clusters=clusters, covariance="CR0"
        )
        factor = G / (G - 1) * (n - 1) / (n - fit.K)
        np.testing.assert_allclose(fit.covariance, factor * plain.covariance, rtol=RELATIVE)
        assert fit.nested_effects == convention
        return fit.K

    def test_one_factor(self):
        _, _, _, clusters, cells = example(8)
        nested = clusters * 10 + cells
        levels = len(np.unique(nested))
        assert self.counted([nested], clusters, "counted") == 3 + levels
        assert self.counted([nested], clusters, "not counted") == 3 + 1
        assert self.counted([cells], clusters, "not counted") == 3 + 4

    def test_clusters_and_a_crossing_factor(self):
        """As fixest and reghdfe: years count, schools do not beyond the mean."""
        _, _, _, clusters, cells = example(8)
        assert self.counted([clusters, cells], clusters, "counted") == 3 + 12 + 4 - 1
        assert self.counted([clusters, cells], clusters, "not counted") == 3 + 4

    def test_one_row_outside_its_cluster_is_seen(self):
        _, _, _, clusters, cells = example(8)
        nested = clusters * 10 + cells
        nested[0] = nested[-1]
        levels = len(np.unique(nested))
        assert self.counted([nested], clusters, "not counted") == 3 + levels

    def test_entity_effects_equal_linearmodels(self):
        import pandas as pd
        from linearmodels.panel import PanelOLS

        y, X, _, clusters, _ = example(8)
        position = pd.Series(clusters).groupby(clusters).cumcount()
        index = pd.MultiIndex.from_arrays([clusters, position])
        model = PanelOLS(pd.Series(y, index), pd.DataFrame(X, index), entity_effects=True)
        theirs = model.fit(cov_type="clustered", cluster_entity=True, count_effects=False,
                           group_debias=True)  # fmt: skip
        ours = fit_least_squares(
            y,
            X,
            absorb=[clusters],
            clusters=clusters,
            covariance="CR1",
        )
        # it multiplies by n / (n - 3) beside G / (G - 1) (n - 1) / n, and counts no effect
        n = len(y)
        expected = ours.std_errors * np.sqrt((n - 1) / (n - 3))
        np.testing.assert_allclose(theirs.std_errors, expected, rtol=1e-8)


def test_one_design_serves_many_outcomes_and_clusterings():
    y, X, w, clusters, cells = example(9)
    other = cells * 40 + np.arange(len(y)) % 40
    prepared = prepare_design(X, weights=w, absorb=[cells], clusters=clusters)
    moved = with_clusters(prepared, other)
    for outcome in (y, y**2):
        for design, codes in ((prepared, clusters), (moved, other)):
            ours = fit_outcome(design, outcome)
            direct = fit_least_squares(outcome, X, weights=w, absorb=[cells], clusters=codes)
            np.testing.assert_array_equal(ours.covariance, direct.covariance)
            np.testing.assert_array_equal(ours.df, direct.df)
            assert (ours.K, ours.G) == (direct.K, direct.G)


def test_influence_adds_up_to_the_sandwich_and_is_the_change_with_a_weight():
    y, X, w, clusters, cells = example(10)
    w[:7] = 0.0
    prepared = prepare_design(X, weights=w, absorb=[cells], clusters=clusters * 3 + 5)
    fit = fit_outcome(prepared, y, covariance="CR0")
    by_cluster = cluster_influence(prepared, fit.residuals)
    by_row = row_influence(prepared, fit.residuals)
    np.testing.assert_allclose(by_cluster.T @ by_cluster, fit.covariance, rtol=RELATIVE)
    assert (by_row[:7] == 0).all()
    for position, code in enumerate(prepared.cluster_values):
        rows = clusters * 3 + 5 == code
        np.testing.assert_allclose(by_cluster[position], by_row[rows].sum(axis=0), atol=1e-12)
    more, step = w.copy(), 1e-6
    more[40] *= 1 + step
    change = fit_least_squares(y, X, weights=more, absorb=[cells]).coefficients - fit.coefficients
    np.testing.assert_allclose(change / step, by_row[40], rtol=1e-4)


class TestWhatAReaderMustKnow:
    def test_few_clusters_recommend_the_wild_bootstrap(self):
        y, X, w, clusters, _ = example(11)
        few = fit_least_squares(y, X, weights=w, clusters=clusters % 9)
        assert "Only 9 clusters" in few.notes[0]
        assert "wild cluster bootstrap" in few.notes[0]
        assert fit_least_squares(y, X, weights=w, clusters=clusters % 10).notes == ()
        assert fit_least_squares(y[:8], X[:8]).notes == ()

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("kind", ["CR0", "CR1S", "CR2", "CR3"])
    def test_treated_in_one_cluster_only(self, kind, weighted):
        y, X, w, clusters, cells = example(12)
        treated = (clusters == 2).astype(float)
        fit = fit_least_squares(
            y,
            np.column_stack([X, treated]),
            weights=w if weighted else None,
            absorb=[cells],
            clusters=clusters,
            covariance=kind,
            names=["a", "b", "c", "treated"],
        )
        assert len(fit.notes) == 1
        assert fit.notes[0].startswith("treated: in 1 of 12 clusters a parameter is determined")
        assert ("set to 0" in fit.notes[0]) == (kind in ("CR2", "CR3"))

    def test_columns_of_single_clusters_are_counted_by_name(self):
        y, X, w, clusters, _ = example(13)
        slopes = [X[:, 0] * (clusters == g) for g in (1, 4, 7)]
        fit = fit_least_squares(
            y, np.column_stack([np.ones(len(y)), X[:, 1], *slopes]), weights=w, clusters=clusters
        )
        assert fit.notes[0].startswith("x2, x3, x4: in 1 of 12 clusters")

    @pytest.mark.parametrize("kind", ["CR1S", "CR2", "CR3"])
    def test_nothing_is_said_where_all_is_well(self, kind):
        """Absorbed cells inside clusters make adjustments singular, but nothing is lost."""
        y, X, w, clusters, cells = example(14)
        for absorb in ([clusters * 10 + cells], [clusters, cells]):
            fit = fit_least_squares(
                y, X, weights=w, absorb=absorb, clusters=clusters, covariance=kind
            )
            assert fit.notes == ()

    def test_a_covariate_constant_within_cells_is_dropped_by_name(self):
        y, X, w, clusters, cells = example(15)
        fit = fit_least_squares(
            y,
            np.column_stack([X, cells**2.0]),
            weights=w,
            absorb=[cells],
            clusters=clusters,
            names=["a", "b", "c", "of_cells"],
        )
        assert fit.dropped == ("of_cells",)
        assert fit.notes == ("Left out because they add nothing to the other columns: of_cells.",)


Y, X_SMALL = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 4.5, 7.0, 6.0]), np.arange(8.0)[:, None] ** 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"covariance": "CR5"}, "covariance must be one of classical, HC0, .*; it is 'CR5'"),
        ({"df": "G-1"}, "df must be one of default, .*; it is 'G-1'"),
        ({"nested_effects": "fixest"}, "nested_effects must be one of counted, not counted"),
        (
            {"covariance": "classical", "df": "satterthwaite", "clusters": None},
            "the classical covariance has n - K degrees of freedom",
        ),
        ({"covariance": "classical"}, "classical is for independent rows; with clusters"),
        ({"covariance": "HC1"}, "HC1 is for independent rows; with clusters choose"),
        (
            {"covariance": "CR1p", "absorb": [np.arange(8) % 3]},
            r"CR1p divides by clusters less parameters, 4 - 4",
        ),
        (
            {"covariance": "CR1", "df": "G - K", "absorb": [np.arange(8) % 3]},
            "G - K leaves 0 degrees of freedom with n = 8, K = 4, G = 4",
        ),
        ({"clusters": np.zeros(8)}, "all rows are in one cluster"),
        ({"weights": np.array([1.0] * 7 + [np.nan])}, "1 weights are missing"),
        ({"weights": np.array([1.0] * 7 + [-1])}, "1 weights are missing, infinite or negative"),
        ({"weights": np.zeros(8)}, "no row has a positive weight"),
    ],
)
def test_what_cannot_be_had_is_said(arguments, message):
    given = {"clusters": np.arange(8) // 2, **arguments}
    with pytest.raises(EstimationError, match=message):
        fit_least_squares(Y, X_SMALL, **given)


@pytest.mark.parametrize("kind", ["HC2", "HC3", "HC4"])
def test_a_row_that_determines_a_parameter_alone_has_no_such_covariance(kind):
    alone = np.column_stack([X_SMALL, np.arange(8) == 3, np.ones(8)])
    with pytest.raises(EstimationError, match="1 rows determine a parameter alone"):
        fit_least_squares(Y, alone, covariance=kind)


def test_outcomes_of_another_length_or_missing_are_refused():
    prepared = prepare_design(X_SMALL, weights=[1, 1, 1, 1, 1, 1, 1, 0])
    with pytest.raises(EstimationError, match=r"y has shape \(7,\) for 8 rows"):
        fit_outcome(prepared, Y[:7])
    with pytest.raises(EstimationError, match="y has 1 missing or infinite values"):
        fit_outcome(prepared, np.where(Y == 3, np.nan, Y))
    assert np.isfinite(fit_outcome(prepared, np.where(Y == 6, np.nan, Y)).coefficients).all()


def test_cr2_covers_where_cr0_does_not():
    """12 clusters, treated as clusters: the mean effect is 0.3 in truth."""
    covered = {"CR0": 0, "CR2": 0}
    draws = 400
    r = rng(16)
    clusters = np.repeat(np.arange(12), 8)
    treated = (clusters < 4).astype(float)
    prepared = prepare_design(np.column_stack([np.ones(96), treated]), clusters=clusters)
    for _ in range(draws):
        y = 0.3 * treated + r.normal(size=12)[clusters] + r.normal(size=96)
        for kind in covered:
            df = "normal" if kind == "CR0" else "default"
            low, high = fit_outcome(prepared, y, covariance=kind, df=df).intervals()[1]
            covered[kind] += low <= 0.3 <= high
    # 95 % of 400, give or take three standard errors of 1.1 points
    assert 0.917 < covered["CR2"] / draws < 0.983
    assert covered["CR0"] / draws < 0.91
