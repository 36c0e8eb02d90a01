"""Absorbed factors of any number and size, against explicit indicators and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import homevisit_eval.effects.regression.absorption as absorption_module
import homevisit_eval.effects.regression.crossed_factors as crossed_module
from homevisit_eval.effects.regression.crossed_factors import crossed_factors, joint_rank
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression.orthonormal import make_orthonormal
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.errors import EstimationError

# Iterative sweeping leaves 1e-12 of the length; the rest is double precision.
RELATIVE = 1e-9


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([32, *key])))


def numbered(codes: NDArray) -> NDArray:
    return np.unique(codes, return_inverse=True)[1]


def dummies(codes: NDArray) -> NDArray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def example(seed: int, n: int = 400, levels: tuple[int, ...] = (40, 30)):
    r = rng(seed)
    factors = [numbered(r.integers(0, count, n)) for count in levels]
    X = r.normal(size=(n, 3)) + 0.1 * factors[0][:, None]
    y = X @ [0.5, -1.0, 0.0] + sum(np.sin(codes) for codes in factors) + r.normal(size=n)
    clusters = factors[0] % 13
    return y, X, r.uniform(0.3, 3.0, n), clusters, factors


def same(ours, theirs) -> None:
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=RELATIVE, atol=1e-15)
    np.testing.assert_allclose(ours.residuals, theirs.residuals, atol=1e-10)
    assert (ours.K, ours.names, ours.dropped) == (theirs.K, theirs.names, theirs.dropped)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("levels", [(40, 30), (60, 20, 15), (120, 110)])
def test_large_crossed_factors_equal_columns(levels, weighted, monkeypatch):
    """What is swept out by conjugate gradients where columns of indicators would be too many."""
    y, X, w, clusters, factors = example(1, levels=levels)
    arguments = {
        "weights": w if weighted else None,
        "absorb": factors,
        "clusters": clusters,
        "covariance": "CR1S",
    }
    columns = fit_least_squares(y, X, **arguments)
    monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", 0)
    swept = fit_least_squares(y, X, **arguments)
    assert len(prepare_design(X, absorb=factors).design.crossed) == len(levels) - 1
    same(swept, columns)


def test_crossed_factors_equal_linearmodels():
    import pandas as pd
    from linearmodels.iv import AbsorbingLS

    y, X, w, _, factors = example(2, n=3000, levels=(500, 400))
    frame = pd.DataFrame({str(i): pd.Categorical(codes) for i, codes in enumerate(factors)})
    theirs = AbsorbingLS(y, X, absorb=frame, weights=w).fit()
    ours = fit_least_squares(y, X, weights=w, absorb=factors, covariance="HC1")
    # linearmodels solves to about 1e-8
    np.testing.assert_allclose(ours.coefficients, theirs.params.to_numpy(), rtol=1e-7)


@pytest.mark.parametrize("m", [300, pytest.param(600, marks=pytest.mark.slow)])
def test_a_long_chain_is_swept_out(m):
    """Each level shares one row with the next: the hardest case for alternating means."""
    first = np.concatenate([np.arange(m), np.arange(m)])
    second = np.concatenate([np.arange(m), (np.arange(m) + 1) % m])
    values = rng(3).normal(size=2 * m)
    swept = crossed_factors([first, second], np.ones(2 * m)).sweep(values)
    full = np.hstack([dummies(first), dummies(second)])
    expected = values - full @ np.linalg.lstsq(full, values, rcond=None)[0]
    np.testing.assert_allclose(swept, expected, atol=1e-9)
    assert joint_rank([first, second]) == (2 * m - 1, True)


def test_what_does_not_converge_is_an_error_and_no_number(monkeypatch):
    y, X, _, _, factors = example(4)
    monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", 0)
    monkeypatch.setattr(crossed_module, "STEPS", 3)
    with pytest.raises(EstimationError, match="2 crossed factors did not converge in 3 steps"):
        fit_least_squares(y, X, absorb=factors, covariance="CR0")
    monkeypatch.setattr(crossed_module, "STEPS", 10_000)
    monkeypatch.setattr(crossed_module, "CONVERGED", 0.0)
    with pytest.raises(EstimationError, match=r"after 6 corrections .* still changes"):
        fit_least_squares(y, X, absorb=factors, covariance="CR0")


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_leverage_that_cannot_be_had_is_refused(kind, monkeypatch):
    y, X, _, clusters, factors = example(5)
    monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", 0)
    arguments = {"absorb": factors, "clusters": clusters}
    with pytest.raises(EstimationError, match=r"2 large absorbed factors cross\. Use CR1S"):
        fit_least_squares(y, X, **arguments, covariance=kind)
    with pytest.raises(EstimationError, match="CR1S with Satterthwaite degrees of freedom"):
        fit_least_squares(y, X, **arguments, covariance="CR1S", df="satterthwaite")
    with pytest.raises(EstimationError, match="HC3 with"):
        fit_least_squares(y, X, absorb=factors, covariance="HC3")


def test_who_needs_the_cells_of_crossed_factors_is_refused(monkeypatch):
    """As the wild bootstrap does: its sums by cell and cluster would lack the other factors."""
    _, X, _, clusters, factors = example(16)
    monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", 0)
    design = prepare_design(X, absorb=factors, clusters=clusters).design
    for wanted in ("D", "cell_weights"):
        with pytest.raises(EstimationError, match="2 large absorbed factors cross, which leaves"):
            getattr(design, wanted)


class TestNesting:
    def test_a_factor_inside_another_changes_nothing(self):
        y, X, w, clusters, factors = example(6)
        finer = numbered(factors[0] * 50 + factors[1])
        arguments = {"weights": w, "clusters": clusters}
        whole = fit_least_squares(y, X, absorb=[*factors, finer, factors[0]], **arguments)
        alone = fit_least_squares(y, X, absorb=[finer], **arguments)
        same(whole, alone)
        np.testing.assert_array_equal(whole.df, alone.df)
        prepared = prepare_design(X, absorb=[*factors, finer])
        assert prepared.absorption.columns == ()
        assert prepared.design.p == 3

    def test_one_row_elsewhere_is_another_factor(self):
        _, X, _, _, factors = example(7)
        finer = numbered(factors[0] * 50 + factors[1])
        coarser = factors[0].copy()
        coarser[0] = (coarser[0] + 1) % 40
        rows = (finer == finer[0]).sum()
        extra = 0 if rows == 1 else 1
        K = prepare_design(X, absorb=[finer, coarser]).K
        assert extra <= K - prepare_design(X, absorb=[finer]).K

    def test_the_order_of_factors_does_not_matter(self):
        y, X, w, clusters, factors = example(8, levels=(40, 30, 5))
        arguments = {"weights": w, "clusters": clusters}
        one = fit_least_squares(y, X, absorb=factors, **arguments)
        other = fit_least_squares(y, X, absorb=factors[::-1], **arguments)
        same(one, other)


class TestRank:
    def islands(self):
        """Two factors in three groups of levels that never meet."""
        r = rng(9)
        island = np.repeat([0, 1, 2], 100)
        return [numbered(island * 10 + r.integers(0, 10, 300)) for _ in range(2)]

    def test_of_two_factors_counts_components(self):
        first, second = self.islands()
        full = np.hstack([dummies(first), dummies(second)])
        assert joint_rank([first, second]) == (np.linalg.matrix_rank(full), True)
        assert np.linalg.matrix_rank(full) == 30 + 30 - 3

    def test_of_three_factors(self, monkeypatch):
        factors = [*self.islands(), rng(10).integers(0, 8, 300)]
        full = np.hstack([dummies(codes) for codes in factors])
        assert joint_rank(factors) == (np.linalg.matrix_rank(full), True)
        monkeypatch.setattr(crossed_module, "EXACT_RANK", 0)
        bound, exact = joint_rank(factors)
        assert not exact
        assert bound >= np.linalg.matrix_rank(full)

    def test_an_upper_bound_is_said(self, monkeypatch):
        y, X, _, _, factors = example(11, levels=(40, 30, 20))
        monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", 0)
        monkeypatch.setattr(crossed_module, "EXACT_RANK", 0)
        fit = fit_least_squares(y, X, absorb=factors, covariance="HC1")
        assert "K is an upper bound: the 3 large absorbed factors" in fit.notes[0]
        assert fit.K == 3 + 40 + 30 + 20 - 2

    @pytest.mark.parametrize("limit", [0, 300])
    def test_k_of_a_design_in_islands(self, limit, monkeypatch):
        monkeypatch.setattr(absorption_module, "COLUMN_LEVELS", limit)
        factors = self.islands()
        X = rng(12).normal(size=(300, 2))
        assert prepare_design(X, absorb=factors).K == 2 + 57


class TestOrthonormal:
    @pytest.mark.parametrize("spread", [0.0, 1e-2, 1e-6, 1e-12])
    def test_columns_are_orthonormal_however_collinear(self, spread):
        matrix = rng(13).normal(size=(500, 6)) * [1, 1e8, 1, 1e-8, 1, 1]
        matrix[:, 5] = matrix[:, 0] + spread * matrix[:, 5] if spread else matrix[:, 5]
        Q, R = make_orthonormal(np.asfortranarray(matrix))
        np.testing.assert_allclose(Q.T @ Q, np.eye(6), atol=1e-13)
        np.testing.assert_allclose((Q @ R) / np.abs(matrix).max(axis=0), matrix /
                                   np.abs(matrix).max(axis=0), atol=1e-13)  # fmt: skip
        assert np.allclose(np.tril(R, -1), 0)

    def test_a_column_of_zeros_is_no_basis(self):
        matrix = np.column_stack([np.zeros(50), rng(14).normal(size=50)])
        _, R = make_orthonormal(np.asfortranarray(matrix))
        assert R[0, 0] == 0

    def test_nearly_collinear_columns_are_fitted_like_by_reflections(self):
        """The second column repeats the first to 1e-5: too close for the Gram matrix alone."""
        r = rng(15)
        first = r.normal(size=2000)
        X = np.column_stack([np.ones(2000), first, first + 1e-5 * r.normal(size=2000)])
        y = X @ [1.0, 2.0, 3.0] + 1e-3 * r.normal(size=2000)
        fit = fit_least_squares(y, X, covariance="HC0")
        expected = np.linalg.lstsq(X, y, rcond=None)[0]
        np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-8)
