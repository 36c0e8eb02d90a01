"""Weighted least squares with absorbed factors, against textbook matrices and other programs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.typing import NDArray

import homevisit_eval.effects.regression.leverage_adjustment as adjustment_module
import homevisit_eval.effects.regression.satterthwaite as satterthwaite_module
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression.projected_design import ProjectedDesign
from homevisit_eval.errors import EstimationError

# Both sides are computed in double precision from designs whose condition number is below 1e3.
RELATIVE = 1e-9


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([20, *key])))


def dummies(codes: NDArray) -> NDArray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def independent_columns(X: NDArray) -> NDArray:
    keep: list[int] = []
    for j in range(X.shape[1]):
        if np.linalg.matrix_rank(X[:, [*keep, j]]) == len(keep) + 1:
            keep.append(j)
    return X[:, keep]


def textbook_cr2(y, X, w, clusters, q):
    """Return coefficients, CR2 covariance and df of the last q columns, by n x n matrices."""
    n = len(y)
    M = np.linalg.inv(X.T @ (w[:, None] * X))
    beta = M @ X.T @ (w * y)
    residual_maker = np.eye(n) - X @ M @ X.T * w[None, :]
    e, B = residual_maker @ y, residual_maker @ residual_maker.T
    scores, rows = [], []
    for g in np.unique(clusters):
        i = np.flatnonzero(clusters == g)
        values, vectors = np.linalg.eigh(B[np.ix_(i, i)])
        inverse_root = np.where(values > 1e-9, 1 / np.sqrt(np.where(values > 1e-9, values, 1)), 0)
        A = vectors * inverse_root @ vectors.T
        scores.append(X[i].T @ (w[i] * (A @ e[i])))
        rows.append((M @ X[i].T * w[i]) @ A @ residual_maker[i])
    S = np.array(scores)
    P = np.einsum("gjn,hjn->jgh", np.array(rows), np.array(rows))
    df = np.array([np.trace(p) ** 2 / (p**2).sum() for p in P])
    return beta[-q:], (M @ S.T @ S @ M)[-q:, -q:], df[-q:]


def example(seed: int, n: int = 160, G: int = 9):
    r = rng(seed)
    clusters = np.sort(r.integers(0, G, n))
    X = r.normal(size=(n, 3)) + r.normal(size=(G, 3))[clusters]
    cells = r.integers(0, 4, n)
    y = X @ [0.5, -1.0, 0.0] + r.normal(size=G)[clusters] + cells + r.normal(size=n)
    return y, X, r.uniform(0.3, 3.0, n), clusters, cells


def absorbed(kind: str, clusters: NDArray, cells: NDArray) -> list[NDArray]:
    nested = clusters * 10 + cells
    return {
        "none": [],
        "crossing cells": [cells],
        "cells nested in clusters": [nested],
        "clusters themselves": [clusters],
        "two factors": [cells, clusters],
        "three factors": [np.arange(len(cells)) // 20, cells, clusters],
        "one cell per three rows": [np.arange(len(cells)) // 3],
    }[kind]


KINDS = [
    "none",
    "crossing cells",
    "cells nested in clusters",
    "clusters themselves",
    "two factors",
    "three factors",
    "one cell per three rows",
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_cr2_with_absorbed_factors_equals_explicit_dummies(kind, weighted):
    y, X, w, clusters, cells = example(1)
    w = w if weighted else np.ones(len(y))
    factors = absorbed(kind, clusters, cells)
    full = independent_columns(np.hstack([*[dummies(codes) for codes in factors], X]))
    beta, covariance, df = textbook_cr2(y, full, w, clusters, 3)
    fit = fit_least_squares(y, X, weights=w, absorb=factors, clusters=clusters)
    assert full.shape[1] == fit.K
    np.testing.assert_allclose(fit.coefficients, beta, rtol=RELATIVE)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=RELATIVE, atol=1e-14)
    np.testing.assert_allclose(fit.df, df, rtol=RELATIVE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("G", "kind"), [(80, "crossing cells"), (3, "crossing cells"), (80, "none")]
)
def test_cr2_takes_the_same_value_on_every_route(G, kind, weighted):
    """Many clusters of two (stacked, low-rank df) and three large ones (low-rank root)."""
    y, X, w, _, cells = example(2, n=160, G=20)
    clusters = rng(3).permutation(np.arange(160) % G)
    w = w if weighted else np.ones(len(y))
    factors = absorbed(kind, clusters, cells)
    full = np.hstack([*[dummies(codes) for codes in factors], X])
    _, covariance, df = textbook_cr2(y, full, w, clusters, 3)
    fit = fit_least_squares(y, X, weights=w, absorb=factors, clusters=clusters)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=RELATIVE, atol=1e-14)
    np.testing.assert_allclose(fit.df, df, rtol=RELATIVE)


@pytest.mark.parametrize("kind", ["crossing cells", "cells nested in clusters", "two factors"])
def test_sparse_sums_and_small_blocks_change_nothing(kind, monkeypatch):
    """What is used for many cells, and for more clusters than are worked on at once."""
    y, X, w, clusters, cells = example(20)
    arguments = {"weights": w, "absorb": absorbed(kind, clusters, cells), "clusters": clusters}
    whole = fit_least_squares(y, X, **arguments)
    monkeypatch.setattr(satterthwaite_module, "DENSE_VALUES", 0)
    monkeypatch.setattr(satterthwaite_module, "LINE_VALUES", 20)
    monkeypatch.setattr(adjustment_module, "STACK_VALUES", 20)
    blocks = fit_least_squares(y, X, **arguments)
    np.testing.assert_allclose(blocks.covariance, whole.covariance, rtol=RELATIVE, atol=1e-15)
    np.testing.assert_allclose(blocks.df, whole.df, rtol=RELATIVE)


@pytest.mark.parametrize("weighted", [False, True])
def test_cr2_with_a_treatment_in_a_single_cluster_uses_the_generalized_inverse(weighted):
    y, X, w, clusters, cells = example(4)
    w = w if weighted else np.ones(len(y))
    treated = (clusters == 2).astype(float)
    full = np.column_stack([dummies(cells), X, treated])
    _, covariance, df = textbook_cr2(y, full, w, clusters, 4)
    fit = fit_least_squares(
        y, np.column_stack([X, treated]), weights=w, absorb=[cells], clusters=clusters
    )
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(fit.df, df, rtol=1e-7)


def test_cr1s_equals_statsmodels_with_explicit_dummies():
    import statsmodels.api as sm

    y, X, w, clusters, cells = example(5)
    full = np.hstack([X, dummies(cells)])
    theirs = sm.WLS(y, full, weights=w).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    fit = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters, covariance="CR1S")
    np.testing.assert_allclose(fit.coefficients, theirs.params[:3], rtol=RELATIVE)
    np.testing.assert_allclose(fit.std_errors, theirs.bse[:3], rtol=RELATIVE)
    np.testing.assert_allclose(fit.residuals, y - theirs.fittedvalues, atol=1e-11)
    assert fit.K == 7
    assert fit.G == 9
    assert set(fit.df) == {8.0}


@pytest.mark.parametrize("factors", [1, 2])
def test_coefficients_equal_linearmodels_absorbing_least_squares(factors):
    import pandas as pd
    from linearmodels.iv import AbsorbingLS

    y, X, w, clusters, cells = example(6)
    codes = [cells, clusters][:factors]
    theirs = AbsorbingLS(
        y,
        X,
        absorb=pd.DataFrame({str(i): pd.Categorical(c) for i, c in enumerate(codes)}),
        weights=w,
    ).fit()
    fit = fit_least_squares(y, X, weights=w, absorb=codes, clusters=clusters)
    # linearmodels sweeps several factors by an iterative solver
    np.testing.assert_allclose(fit.coefficients, theirs.params.to_numpy(), rtol=1e-8)


def test_without_clusters_each_row_is_its_own():
    import statsmodels.api as sm

    y, X, _, _, _ = example(7)
    X = np.column_stack([np.ones(len(y)), X])
    for covariance, theirs in (("CR1S", "HC1"), ("CR2", "HC2"), ("CR0", "HC0")):
        fit = fit_least_squares(y, X, covariance=covariance)
        expected = sm.OLS(y, X).fit(cov_type=theirs).bse
        np.testing.assert_allclose(fit.std_errors, expected, rtol=RELATIVE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["none", "crossing cells", "two factors"])
def test_hc3_divides_residuals_by_one_less_the_leverage(kind, weighted):
    """Written out: M sum of (w e / (1 - h))^2 x x' M, with h = w x'Mx and M = (X'WX)^(-1)."""
    y, X, w, clusters, cells = example(21)
    w = w if weighted else np.ones(len(y))
    factors = absorbed(kind, clusters, cells)
    full = independent_columns(np.hstack([*[dummies(codes) for codes in factors], X]))
    M = np.linalg.inv(full.T @ (w[:, None] * full))
    residuals = y - full @ M @ full.T @ (w * y)
    leverage = w * np.einsum("ij,jk,ik->i", full, M, full)
    scores = full * (w * residuals / (1 - leverage))[:, None]
    expected = (M @ scores.T @ scores @ M)[-3:, -3:]
    fit = fit_least_squares(y, X, weights=w, absorb=factors, covariance="HC3")
    np.testing.assert_allclose(fit.covariance, expected, rtol=RELATIVE, atol=1e-15)
    assert set(fit.df) == {len(y) - full.shape[1]}
    assert fit.df_convention == "n - K"


def test_with_weights_hc0_and_hc3_are_those_of_statsmodels_and_cr2_is_not_its_hc2():
    """HC0 and HC3 need no working model. CR2 is unbiased where errors have one variance; HC2 of
    statsmodels takes weights for inverse variances, with which both agree if all are 1."""
    import statsmodels.api as sm

    y, X, w, _, _ = example(22)
    X = np.column_stack([np.ones(len(y)), X])
    theirs = {
        kind: sm.WLS(y, X, weights=w).fit(cov_type=kind).bse for kind in ("HC0", "HC2", "HC3")
    }
    for ours, kind in (("CR0", "HC0"), ("HC3", "HC3")):
        fit = fit_least_squares(y, X, weights=w, covariance=ours)
        np.testing.assert_allclose(fit.std_errors, theirs[kind], rtol=RELATIVE)
    reduced = fit_least_squares(y, X, weights=w, covariance="CR2")
    assert (np.abs(reduced.std_errors / theirs["HC2"] - 1) > 1e-4).any()


def test_hc3_is_for_independent_rows_that_do_not_determine_a_parameter():
    y, X, _, clusters, _ = example(23)
    with pytest.raises(EstimationError, match="HC3 is for independent rows; with clusters choose"):
        fit_least_squares(y, X, clusters=clusters, covariance="HC3")
    alone = np.column_stack([X, np.arange(len(y)) == 3])
    with pytest.raises(EstimationError, match="1 rows determine a parameter alone"):
        fit_least_squares(y, alone, covariance="HC3")


def test_weights_matter_and_their_scale_does_not():
    y, X, w, clusters, cells = example(8)
    arguments = {"absorb": [cells], "clusters": clusters}
    weighted = fit_least_squares(y, X, weights=w, **arguments)
    scaled = fit_least_squares(y, X, weights=w * 1000, **arguments)
    ignored = fit_least_squares(y, X, **arguments)
    np.testing.assert_allclose(scaled.coefficients, weighted.coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(scaled.std_errors, weighted.std_errors, rtol=RELATIVE)
    np.testing.assert_allclose(scaled.df, weighted.df, rtol=RELATIVE)
    assert (np.abs(ignored.coefficients - weighted.coefficients) > 1e-3).any()
    assert (np.abs(ignored.std_errors / weighted.std_errors - 1) > 1e-3).any()


def test_rows_of_weight_zero_are_left_out_even_if_they_hold_missing_values():
    y, X, w, clusters, cells = example(9)
    w[::4], y_missing = 0.0, y.copy()
    y_missing[::4] = np.nan
    used = w > 0
    whole = fit_least_squares(y_missing, X, weights=w, absorb=[cells], clusters=clusters)
    part = fit_least_squares(
        y[used], X[used], weights=w[used], absorb=[cells[used]], clusters=clusters[used]
    )
    assert whole.n == part.n == used.sum()
    np.testing.assert_array_equal(whole.coefficients, part.coefficients)
    np.testing.assert_array_equal(whole.covariance, part.covariance)
    assert np.isnan(whole.residuals[~used]).all()
    np.testing.assert_array_equal(whole.residuals[used], part.residuals)


def test_the_order_of_rows_does_not_matter():
    y, X, w, clusters, cells = example(10)
    order = rng(11).permutation(len(y))
    one = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters)
    other = fit_least_squares(
        y[order], X[order], weights=w[order], absorb=[cells[order]], clusters=clusters[order]
    )
    np.testing.assert_allclose(other.coefficients, one.coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=RELATIVE, atol=1e-15)
    np.testing.assert_allclose(other.df, one.df, rtol=RELATIVE)


def test_codes_may_be_text():
    y, X, w, clusters, cells = example(12)
    text = np.array([f"school {c}" for c in clusters], dtype=object)
    one = fit_least_squares(y, X, weights=w, absorb=[cells.astype(str)], clusters=text)
    other = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=RELATIVE, atol=1e-15)


def test_collinear_columns_are_dropped_and_named():
    y, X, w, clusters, cells = example(13)
    with_repeats = np.column_stack([X[:, 0], 2 * X[:, 0] + 1, cells, X[:, 1], X[:, 2]])
    fit = fit_least_squares(
        y,
        with_repeats,
        weights=w,
        absorb=[cells],
        clusters=clusters,
        names=["a", "a_again", "cell_number", "b", "c"],
    )
    clean = fit_least_squares(y, X, weights=w, absorb=[cells], clusters=clusters)
    assert fit.names == ("a", "b", "c")
    assert fit.dropped == ("a_again", "cell_number")
    assert "a_again, cell_number" in fit.notes[0]
    assert fit.K == clean.K
    np.testing.assert_allclose(fit.coefficients, clean.coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(fit.covariance, clean.covariance, rtol=RELATIVE, atol=1e-15)


def test_degrees_of_freedom_only_where_asked():
    y, X, w, clusters, cells = example(14)
    arguments = {"weights": w, "absorb": [cells], "clusters": clusters, "names": ["a", "b", "c"]}
    every, one = (
        fit_least_squares(y, X, **arguments),
        fit_least_squares(y, X, **arguments, df_for=["b"]),
    )
    assert np.isnan(one.df[[0, 2]]).all()
    assert one.df[1] == pytest.approx(every.df[1], rel=RELATIVE)
    np.testing.assert_array_equal(one.covariance, every.covariance)


def test_p_values_and_intervals_use_the_degrees_of_freedom():
    from scipy import stats

    y, X, w, clusters, _ = example(15)
    fit = fit_least_squares(y, X, weights=w, clusters=clusters)
    t = fit.coefficients / fit.std_errors
    np.testing.assert_allclose(fit.p_values, 2 * stats.t.sf(np.abs(t), fit.df), rtol=1e-10)
    half = stats.t.ppf(0.95, fit.df) * fit.std_errors
    np.testing.assert_allclose(fit.intervals(0.90)[:, 1], fit.coefficients + half, rtol=1e-10)


def test_result_is_frozen_and_shows_no_rows():
    y, X, _, clusters, _ = example(16)
    fit = fit_least_squares(y, X, clusters=clusters)
    with pytest.raises(FrozenInstanceError):
        fit.n = 1
    assert repr(fit) == (
        "LeastSquaresFit(3 coefficients, CR2, df: Satterthwaite (Bell-McCaffrey); "
        "n = 160, K = 3, G = 9)"
    )


def test_a_balanced_design_has_the_textbook_degrees_of_freedom():
    """Cluster means of equal clusters: CR2 is the variance of means, with G - 1 df."""
    G, m = 8, 5
    clusters = np.repeat(np.arange(G), m)
    y = rng(17).normal(size=G * m) + rng(18).normal(size=G)[clusters]
    fit = fit_least_squares(y, np.ones((G * m, 1)), clusters=clusters)
    means = y.reshape(G, m).mean(axis=1)
    assert fit.std_errors[0] == pytest.approx(means.std(ddof=1) / np.sqrt(G), rel=RELATIVE)
    assert fit.df[0] == pytest.approx(G - 1, rel=RELATIVE)


def test_the_design_is_described_by_its_blocks():
    """Z'W^2Z from blocks equals the explicit matrix."""
    r = rng(19)
    w, cells = r.uniform(0.5, 2, 30), np.arange(30) % 4
    q, _ = np.linalg.qr(r.normal(size=(30, 2)))
    design = ProjectedDesign(Q=q, weights=w, cells=cells, clusters=cells)
    Z = np.column_stack([q / np.sqrt(w)[:, None], dummies(cells) / np.sqrt(design.cell_weights)])
    explicit = Z.T @ (w[:, None] ** 2 * Z)
    dense, across, diagonal = design.middle
    np.testing.assert_allclose(dense, explicit[:2, :2], rtol=RELATIVE)
    np.testing.assert_allclose(across, explicit[2:, :2], rtol=RELATIVE)
    np.testing.assert_allclose(np.diag(diagonal), explicit[2:, 2:], atol=1e-14)


Y, COLUMN = np.arange(6.0), np.arange(6.0)[:, None] ** 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": COLUMN[:5]}, r"6 rows of X|y has shape \(6,\) for 5 rows|clusters has shape"),
        ({"X": COLUMN[:, 0]}, r"X has shape \(6,\)"),
        ({"weights": np.ones(3)}, r"weights \(3,\)"),
        ({"weights": -np.ones(6)}, "6 weights are missing, infinite or negative"),
        ({"weights": np.zeros(6)}, "no row has a positive weight"),
        ({"X": np.where(COLUMN == 4, np.nan, COLUMN)}, "1 missing or infinite values"),
        ({"clusters": np.zeros(6)}, "all rows are in one cluster"),
        ({"clusters": np.array([1, np.nan, 2, 2, 1, 1])}, "clusters has missing codes"),
        ({"clusters": np.array(["a", None, 2, 2, 1, 1], dtype=object)}, "missing codes"),
        ({"absorb": [np.array([0, 0, 1, 2, 3, 4])]}, "too few rows to determine 6"),
        ({"X": np.vander(Y, 6)}, "too few rows to determine"),
        ({"X": np.ones((6, 1)), "absorb": [np.arange(6) // 3]}, "no column of X varies"),
        ({"names": ["a", "b"]}, "names has 2 entries"),
        ({"absorb": [np.arange(5)]}, "a factor of absorb has shape"),
    ],
)
def test_what_cannot_be_estimated_is_said(arguments, message):
    given = {"y": Y, "X": COLUMN, "clusters": np.arange(6) // 2, **arguments}
    with pytest.raises(EstimationError, match=message):
        fit_least_squares(given.pop("y"), given.pop("X"), **given)
