"""Mixed models: closed forms, brute force with explicit matrices, statsmodels, known truths."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import minimize

from homevisit_eval.effects.mixed import inference as mixed_inference
from homevisit_eval.effects.mixed import optimum as mixed_optimum
from homevisit_eval.effects.mixed.models import MixedFit, fit_random_intercept, fit_random_slopes
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.errors import EstimationError


def generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([31, *key])))


@dataclass(frozen=True)
class Problem:
    """Rows in the order of their groups; Z holds the random effects' columns."""

    y: NDArray
    X: NDArray
    groups: NDArray
    weights: NDArray
    Z: NDArray

    @property
    def blocks(self) -> list[NDArray]:
        return [self.Z[self.groups == g] for g in np.unique(self.groups)]


def problem(
    sizes: list[int], *, slope: bool, weights: str = "none", key: int = 1, spread: float = 0.7
) -> Problem:
    rng = generator(key)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    n, G = len(groups), len(sizes)
    x, between = rng.normal(size=n), rng.normal(size=G)[groups]
    X = np.column_stack([np.ones(n), x, between])
    z = x + 2.0
    w = {
        "none": np.ones(n),
        "different": rng.uniform(0.3, 3.0, n),
        "three": rng.choice([0.5, 1.0, 2.5], n),
    }[weights]
    effects = spread * rng.normal(size=(G, 2))
    y = X @ [3.0, 0.5, -0.4] + effects[groups, 0] + rng.normal(size=n) / np.sqrt(w)
    if slope:
        y += effects[groups, 1] * z
    Z = np.column_stack([np.ones(n), z] if slope else [np.ones(n)])
    return Problem(y, X, groups, w, Z)


SIZES = [1, 2, 3, 5, 8, 12, 12, 9, 4, 7, 6, 15]


def fitted(at: Problem, **options) -> MixedFit:
    weights = None if (at.weights == 1).all() else at.weights
    if at.Z.shape[1] == 1:
        return fit_random_intercept(at.y, at.X, at.groups, weights=weights, **options)
    slopes = at.Z[:, 1:]
    return fit_random_slopes(at.y, at.X, at.groups, slopes, weights=weights, **options)


class Dense:
    """The model with explicit n x n matrices, in the variances themselves."""

    def __init__(self, at: Problem, method: str):
        self.at, self.method = at, method
        self.q = at.Z.shape[1]
        self.lower = np.tril_indices(self.q)

    def D(self, variances: NDArray) -> NDArray:
        D = np.zeros((self.q, self.q))
        D[self.lower] = variances[:-1]
        return D + np.tril(D, -1).T

    def V(self, variances: NDArray) -> NDArray:
        """`variances`: lower triangle of the random effects' covariance, residual variance."""
        D = self.D(variances)
        return block_diag(*[Z @ D @ Z.T for Z in self.at.blocks]) + np.diag(
            variances[-1] / self.at.weights
        )

    def solve(self, V: NDArray) -> tuple[NDArray, NDArray]:
        X = self.at.X
        C = np.linalg.inv(X.T @ np.linalg.solve(V, X))
        return C @ X.T @ np.linalg.solve(V, self.at.y), C

    def deviance(self, variances: NDArray) -> float:
        V = self.V(variances)
        b, C = self.solve(V)
        e = self.at.y - self.at.X @ b
        sign, size = np.linalg.slogdet(V)
        if sign <= 0 or variances[-1] <= 0 or np.linalg.eigvalsh(self.D(variances))[0] < 0:
            return 1e10
        free = len(e) - (len(b) if self.method == "REML" else 0)
        total = size + e @ np.linalg.solve(V, e) + free * np.log(2 * np.pi)
        return total - (np.linalg.slogdet(C)[1] if self.method == "REML" else 0)

    def df(self, variances: NDArray) -> NDArray:
        """Satterthwaite, with numerical derivatives in the variances themselves."""
        m = len(variances)
        h = 2e-4 * np.maximum(np.abs(variances), 0.1)
        hessian, steps = np.empty((m, m)), np.diag(h)
        for i in range(m):
            for j in range(m):
                hessian[i, j] = sum(
                    a * b * self.deviance(variances + a * steps[i] + b * steps[j])
                    for a in (1, -1)
                    for b in (1, -1)
                ) / (4 * h[i] * h[j])
        slope = [
            (np.diag(self.solve(self.V(variances + s))[1])
             - np.diag(self.solve(self.V(variances - s))[1])) / (2 * s.max())
            for s in steps
        ]  # fmt: skip
        f = np.diag(self.solve(self.V(variances))[1])
        A = 2 * np.linalg.inv(hessian)
        return 2 * f**2 / np.einsum("ik,ij,jk->k", np.array(slope), A, np.array(slope))

    def cr2(self, variances: NDArray) -> tuple[NDArray, NDArray]:
        """Pustejovsky and Tipton, with the triangle of Cholesky and a Moore-Penrose root."""
        V, X, groups = self.V(variances), self.at.X, self.at.groups
        b, C = self.solve(V)
        W, e = np.linalg.inv(V), self.at.y - X @ b
        meat, rows = np.zeros_like(C), []
        for g in np.unique(groups):
            own = groups == g
            D = np.linalg.cholesky(V[np.ix_(own, own)]).T
            B = D @ (V[np.ix_(own, own)] - X[own] @ C @ X[own].T) @ D.T
            values, axes = np.linalg.eigh(B)
            kept = values > 1e-9 * values.max()
            A = D.T @ (axes[:, kept] / np.sqrt(values[kept])) @ axes[:, kept].T @ D
            score = X[own].T @ W[np.ix_(own, own)] @ A @ e[own]
            meat += np.outer(score, score)
            full = np.zeros((len(e), X.shape[1]))
            full[own] = A.T @ W[np.ix_(own, own)] @ X[own] @ C
            rows.append(full)
        left = V - X @ C @ X.T
        df = []
        for j in range(X.shape[1]):
            a = np.column_stack([full[:, j] for full in rows])
            P = a.T @ left @ a
            df.append(np.trace(P) ** 2 / np.sum(P**2))
        return C @ meat @ C, np.array(df)


def variances_of(fit: MixedFit) -> NDArray:
    lower = np.tril_indices(len(fit.random_names))
    return np.append(fit.random_covariance[lower], fit.residual_variance)


CASES = [
    pytest.param(method, slope, weights, id=f"{method}-{'slope' if slope else 'one'}-{weights}")
    for method in ("REML", "ML")
    for slope in (False, True)
    for weights in ("none", "different")
]


@pytest.mark.parametrize(("method", "slope", "weights"), CASES)
def test_the_dense_likelihood_has_its_maximum_there(method, slope, weights):
    at = problem(SIZES, slope=slope, weights=weights, key=2)
    ours, dense = fitted(at, method=method), Dense(at, method)
    assert not ours.singular
    found = variances_of(ours)
    assert -2 * ours.log_likelihood == pytest.approx(dense.deviance(found), rel=1e-11)
    b, C = dense.solve(dense.V(found))
    np.testing.assert_allclose(ours.coefficients, b, rtol=1e-9)
    np.testing.assert_allclose(ours.covariance, C, rtol=1e-9, atol=1e-12)
    best = minimize(
        dense.deviance,
        0.6 * found,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 3000, "maxfev": 3000},
    ).fun
    assert -2 * ours.log_likelihood <= best + 1e-8
    assert -2 * ours.log_likelihood == pytest.approx(best, abs=1e-6)
    assert ours.largest_gradient < 1e-8


@pytest.mark.parametrize(("method", "slope", "weights"), CASES)
def test_satterthwaite_df_equal_those_with_numerical_derivatives(method, slope, weights):
    """In the variances instead of the relative factor: at the maximum both are the same."""
    at = problem(SIZES, slope=slope, weights=weights, key=2)
    ours = fitted(at, method=method)
    np.testing.assert_allclose(ours.df, Dense(at, method).df(variances_of(ours)), rtol=2e-4)


@pytest.mark.parametrize("weights", ["none", "three", "different"])
@pytest.mark.parametrize("slope", [False, True], ids=["one", "slope"])
def test_cr2_equals_the_formula_with_explicit_matrices(slope, weights):
    at = problem(SIZES, slope=slope, weights=weights)
    ours = fitted(at, covariance="CR2")
    matrix, df = Dense(at, "REML").cr2(variances_of(ours))
    np.testing.assert_allclose(ours.covariance, matrix, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.df, df, rtol=1e-8)
    assert ours.df_convention == "Satterthwaite (Bell-McCaffrey)"


@pytest.mark.parametrize("weights", ["none", "three"])
def test_cr2_of_large_groups_whose_rows_are_rotated_together(weights):
    at = problem([40, 60, 35, 50, 45, 30], slope=True, weights=weights)
    ours = fitted(at, covariance="CR2")
    matrix, df = Dense(at, "REML").cr2(variances_of(ours))
    np.testing.assert_allclose(ours.covariance, matrix, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(ours.df, df, rtol=1e-8)


def test_cr2_with_a_column_that_names_one_group_takes_the_pseudo_inverse():
    at = problem(SIZES, slope=False)
    X = np.column_stack([at.X, at.groups == 5])
    at = Problem(at.y, X, at.groups, at.weights, at.Z)
    ours = fitted(at, covariance="CR2")
    matrix, df = Dense(at, "REML").cr2(variances_of(ours))
    np.testing.assert_allclose(ours.covariance[:3, :3], matrix[:3, :3], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.df[:3], df[:3], rtol=1e-8)


def test_predicted_effects_and_influence_equal_the_explicit_formulas():
    at = problem(SIZES, slope=True, weights="different")
    ours = fitted(at)
    V, D = Dense(at, "REML").V(variances_of(ours)), ours.random_covariance
    e = at.y - at.X @ ours.coefficients
    np.testing.assert_allclose(ours.residuals, e, atol=1e-10)
    weighted = np.linalg.solve(V, e)
    C = np.linalg.inv(at.X.T @ np.linalg.solve(V, at.X))
    for position, g in enumerate(np.unique(at.groups)):
        own = at.groups == g
        expected = D @ at.Z[own].T @ weighted[own]
        np.testing.assert_allclose(ours.group_effects[position], expected, atol=1e-9)
        influence = C @ at.X[own].T @ weighted[own]
        np.testing.assert_allclose(ours.group_influence[position], influence, atol=1e-9)
    np.testing.assert_allclose(ours.group_influence.sum(axis=0), 0, atol=1e-9)


def balanced(G: int, m: int, spread: float, key: int) -> tuple[NDArray, NDArray, float, float]:
    """Return y, groups and the mean squares between and within."""
    rng = generator(2, key)
    groups = np.repeat(np.arange(G), m)
    y = 100 + spread * rng.normal(size=G)[groups] + rng.normal(size=G * m)
    means = y.reshape(G, m).mean(axis=1)
    between = m * means.var(ddof=1)
    within = float(((y.reshape(G, m) - means[:, None]) ** 2).sum()) / (G * (m - 1))
    return y, groups, float(between), within


@pytest.mark.parametrize("spread", [0.6, 5.0, 1e5])
def test_balanced_groups_have_the_closed_form_of_the_analysis_of_variance(spread):
    G, m = 12, 5
    y, groups, between, within = balanced(G, m, spread, 1)
    digits = 1e-8 if spread < 100 else 1e-5  # of 1e10 the data keep six digits within groups
    ours = fit_random_intercept(y, np.ones((G * m, 1)), groups)
    assert ours.residual_variance == pytest.approx(within, rel=digits)
    assert ours.random_covariance[0, 0] == pytest.approx((between - within) / m, rel=digits)
    assert ours.std_errors[0] == pytest.approx(np.sqrt(between / (G * m)), rel=digits)
    assert ours.df[0] == pytest.approx(G - 1, rel=digits)
    share = (between - within) / (between + (m - 1) * within)
    assert ours.intraclass_correlation == pytest.approx(share, rel=digits)
    ml = fit_random_intercept(y, np.ones((G * m, 1)), groups, method="ML")
    variance = ((G - 1) / G * between - within) / m
    assert ml.random_covariance[0, 0] == pytest.approx(variance, rel=digits)
    robust = fit_random_intercept(y, np.ones((G * m, 1)), groups, covariance="CR2")
    assert robust.std_errors[0] == pytest.approx(np.sqrt(between / (G * m)), rel=digits)
    assert robust.df[0] == pytest.approx(G - 1, rel=digits)


def no_variance() -> tuple[NDArray, NDArray, NDArray]:
    """Group means as equal as can be."""
    rng = generator(3)
    groups = np.repeat(np.arange(10), 6)
    x, e = rng.normal(size=60), rng.normal(size=60)
    for g in range(10):
        e[groups == g] -= e[groups == g].mean()
        x[groups == g] -= x[groups == g].mean()
    return 2 + x + e, np.column_stack([np.ones(60), x]), groups


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_at_zero_variance_it_is_least_squares_and_says_so(method):
    y, X, groups = no_variance()
    ours = fit_random_intercept(y, X, groups, method=method)
    assert ours.singular
    assert ours.random_covariance[0, 0] == 0
    assert ours.intraclass_correlation == 0
    assert "Singular fit" in ours.notes[0]
    assert "singular" in repr(ours)
    assert not ours.group_effects.any()
    b, left = np.linalg.lstsq(X, y)[:2]
    free = 58 if method == "REML" else 60
    np.testing.assert_allclose(ours.coefficients, b, rtol=1e-12)
    expected = np.sqrt(np.diag(left[0] / free * np.linalg.inv(X.T @ X)))
    np.testing.assert_allclose(ours.std_errors, expected, rtol=1e-12)
    np.testing.assert_allclose(ours.df, free, rtol=1e-12)


def test_cr2_at_zero_variance_is_that_of_least_squares():
    y, X, groups = no_variance()
    ours = fit_random_intercept(y, X, groups, covariance="CR2")
    theirs = fit_least_squares(y, X, clusters=groups, covariance="CR2")
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(ours.df, theirs.df, rtol=1e-10)


def test_a_slope_without_variance_leaves_the_random_intercept():
    rng = generator(4)
    groups = np.repeat(np.arange(15), 8)
    x = np.tile(np.array([-3.0, -2, -1, 0, 0, 1, 2, 3]), 15)
    e = rng.normal(size=120)
    for g in range(15):  # no group's own slope differs from the common one
        own = groups == g
        e[own] -= x[own] * (x[own] @ e[own]) / (x[own] @ x[own])
    y = 1 + 0.5 * x + rng.normal(size=15)[groups] + e
    X = np.column_stack([np.ones(120), x])
    ours = fit_random_slopes(y, X, groups, x[:, None], slope_names=["x"])
    alone = fit_random_intercept(y, X, groups)
    assert ours.singular
    assert not alone.singular
    assert any("simpler random part" in note for note in ours.notes)
    assert ours.random_variances["x"] == pytest.approx(0, abs=1e-12)
    assert ours.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(ours.std_errors, alone.std_errors, rtol=1e-8)
    np.testing.assert_allclose(ours.df, alone.df, rtol=1e-8)


def two_maxima() -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(8)
    sizes = np.array([2, 2, 2, 100, 100])
    groups = np.repeat(np.arange(5), sizes)
    y = rng.normal(size=5)[groups] * rng.choice([0.1, 0.3, 1, 3])
    y += (sizes[groups] < 5) * rng.normal(size=5)[groups] * 3 + rng.normal(size=206)
    return y, groups


def test_of_two_maxima_the_higher_is_taken_and_the_reader_told():
    y, groups = two_maxima()
    ours = fit_random_intercept(y, np.ones((206, 1)), groups, method="ML")
    assert any("2 local maxima" in note for note in ours.notes)
    at = Problem(y, np.ones((206, 1)), groups, np.ones(206), np.ones((206, 1)))
    dense = Dense(at, "ML")
    for ratio in np.logspace(-4, 3, 15):
        for residual in (0.9, 1.0, 1.1):
            s = residual * ours.residual_variance
            assert dense.deviance(np.array([ratio * s, s])) >= -2 * ours.log_likelihood - 1e-9


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_statsmodels_is_met_where_it_converges_and_never_better(method):
    import statsmodels.api as sm

    for slope in (False, True):
        at = problem([12, 15, 9, 20, 14, 8, 11, 17, 10, 13], slope=slope)
        ours = fitted(at, method=method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = sm.MixedLM(at.y, at.X, at.groups, exog_re=at.Z).fit(reml=method == "REML")
        np.testing.assert_allclose(ours.coefficients, theirs.fe_params, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.random_covariance, theirs.cov_re, rtol=1e-3, atol=1e-3)
        assert ours.residual_variance == pytest.approx(theirs.scale, rel=1e-4)
        assert ours.log_likelihood >= theirs.llf - 1e-9
        assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-5)


def test_units_and_order_do_not_matter():
    at = problem(SIZES, slope=True, weights="different")
    ours = fitted(at, method="ML")
    order = generator(5).permutation(len(at.y))
    labels = np.array(list("lkjihgfedcba"))[at.groups]
    other = fit_random_slopes(
        7 + 100 * at.y[order],
        at.X[order] * [1, 1e-3, 1],
        labels[order],
        1e3 * at.Z[order, 1:] + 5e4,
        weights=10 * at.weights[order],
        method="ML",
    )
    scale = np.array([100, 1e5, 100])
    np.testing.assert_allclose(other.coefficients, ours.coefficients * scale + [7, 0, 0], rtol=1e-7)
    np.testing.assert_allclose(other.std_errors, ours.std_errors * scale, rtol=1e-7)
    np.testing.assert_allclose(other.df, ours.df, rtol=1e-6)
    assert other.residual_variance == pytest.approx(1e5 * ours.residual_variance, rel=1e-7)
    slope = other.random_covariance[1, 1]
    assert slope == pytest.approx(1e-2 * ours.random_covariance[1, 1], rel=1e-7)
    shift = len(at.y) * np.log(100)
    assert other.log_likelihood == pytest.approx(ours.log_likelihood - shift, rel=1e-10)
    np.testing.assert_allclose(
        other.group_effects[::-1, 1], ours.group_effects[:, 1] / 10, rtol=1e-6, atol=1e-9
    )


def test_rows_of_weight_zero_are_left_out():
    at = problem(SIZES, slope=False, weights="different")
    weights = np.where(np.arange(len(at.y)) % 7 == 0, 0.0, at.weights)
    y = np.where(weights == 0, np.nan, at.y)
    ours = fit_random_intercept(y, at.X, at.groups, weights=weights)
    kept = weights > 0
    other = fit_random_intercept(y[kept], at.X[kept], at.groups[kept], weights=weights[kept])
    np.testing.assert_array_equal(ours.coefficients, other.coefficients)
    assert ours.n == kept.sum()
    np.testing.assert_array_equal(np.isnan(ours.residuals), ~kept)


def test_absorbed_factors_enter_as_columns():
    at = problem([20, 15, 18, 22, 16, 19], slope=False)
    grade = generator(6).integers(3, 7, len(at.y))
    ours = fit_random_intercept(at.y, at.X, at.groups, absorb=[grade], names=["one", "x", "b"])
    dummies = (grade[:, None] == np.arange(4, 7)).astype(float)
    other = fit_random_intercept(at.y, np.hstack([at.X, dummies]), at.groups)
    assert ours.names == ("x", "b")
    assert ours.dropped == ("one",)
    assert ours.K == other.K == 6
    np.testing.assert_allclose(ours.coefficients, other.coefficients[1:3], rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors, other.std_errors[1:3], rtol=1e-9)
    np.testing.assert_allclose(ours.df, other.df[1:3], rtol=1e-8)


def test_collinear_columns_are_named_and_do_not_change_the_likelihood():
    at = problem(SIZES, slope=False)
    X = np.column_stack([at.X, 2 * at.X[:, 1] - at.X[:, 0]])
    ours = fit_random_intercept(at.y, X, at.groups, names=["one", "x", "b", "again"])
    assert ours.dropped == ("again",)
    assert "again" in ours.notes[0]
    assert ours.log_likelihood == pytest.approx(fitted(at).log_likelihood, rel=1e-12)


def test_the_result_shows_its_recipe_and_no_rows():
    at = problem(SIZES, slope=True)
    ours = fitted(at, slope_names=["x"])
    assert repr(ours) == (
        "MixedFit(3 coefficients, random (Intercept), x, REML, model, df: Satterthwaite "
        "(Giesbrecht-Burns); n = 84, K = 3, G = 12)"
    )
    assert set(ours.random_variances) == {"(Intercept)", "x"}
    low, high = ours.intervals()[1]
    assert low < ours.coefficients[1] < high
    assert ((ours.p_values >= 0) & (ours.p_values <= 1)).all()


def test_nothing_that_was_given_is_changed():
    at = problem(SIZES, slope=True, weights="different")
    copies = at.y.copy(), at.X.copy(), at.Z.copy(), at.weights.copy()
    fitted(at, covariance="CR2")
    for before, after in zip(copies, (at.y, at.X, at.Z, at.weights), strict=True):
        np.testing.assert_array_equal(before, after)


def test_known_variances_and_coefficients_are_recovered_and_covered():
    """240 districts of 24 schools: the interval of a school-level effect covers 95 %."""
    rng = generator(7)
    sizes = rng.integers(5, 40, 24)
    groups = np.repeat(np.arange(24), sizes)
    treated = (np.arange(24) % 3 == 0)[groups].astype(float)
    x = rng.normal(size=len(groups))
    X = np.column_stack([np.ones(len(groups)), treated, x])
    found, covered = [], {"model": 0, "CR2": 0}
    for _ in range(240):
        y = X @ [1.0, 0.3, 0.5] + 0.6 * rng.normal(size=24)[groups] + rng.normal(size=len(x))
        for covariance in covered:
            fit = fit_random_intercept(y, X, groups, covariance=covariance)
            low, high = fit.intervals()[1]
            covered[covariance] += int(low < 0.3 < high)
        found.append([*fit.coefficients, fit.random_covariance[0, 0], fit.residual_variance])
    errors = np.std(found, axis=0) / np.sqrt(240)
    assert (np.abs(np.mean(found, axis=0) - [1.0, 0.3, 0.5, 0.36, 1.0]) < 3.5 * errors).all()
    for share in covered.values():
        assert 0.91 <= share / 240 <= 0.985


def test_known_covariance_of_intercepts_and_slopes_is_recovered():
    rng = generator(8)
    groups = np.repeat(np.arange(40), 25)
    x = rng.normal(size=1000)
    X = np.column_stack([np.ones(1000), x])
    T = np.array([[0.8, 0.0], [0.3, 0.4]])
    found = []
    for _ in range(40):
        effects = (rng.normal(size=(40, 2)) @ T.T)[groups]
        y = X @ [1.0, 0.5] + effects[:, 0] + effects[:, 1] * x + rng.normal(size=1000)
        fit = fit_random_slopes(y, X, groups, x[:, None])
        found.append(np.append(fit.random_covariance[np.tril_indices(2)], fit.residual_variance))
    errors = np.std(found, axis=0) / np.sqrt(40)
    truth = np.append((T @ T.T)[np.tril_indices(2)], 1.0)
    assert (np.abs(np.mean(found, axis=0) - truth) < 3.5 * errors).all()


GROUPS = np.repeat(np.arange(6), 4)
Y = generator(9).normal(size=24)
ONE = np.ones((24, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": np.zeros(24)}, "all rows are in one group"),
        ({"groups": np.arange(24)}, "all 24 groups have one row"),
        ({"groups": GROUPS[:5]}, r"groups has shape \(5,\)"),
        ({"groups": np.where(GROUPS == 1, np.nan, GROUPS)}, "groups has missing codes"),
        ({"y": Y[:5]}, r"y has shape \(5,\) for 24 rows"),
        ({"y": np.where(GROUPS == 1, np.nan, Y)}, "y has 4 missing or infinite values"),
        ({"X": np.where(GROUPS == 1, np.inf, 1.0)[:, None]}, "mixed model: X has 4 missing"),
        ({"weights": np.where(GROUPS == 1, -1.0, 1.0)}, "mixed model: 4 weights are missing"),
        ({"weights": np.zeros(24)}, "no row has a positive weight"),
        ({"y": np.ones(24)}, "fit y exactly"),
        ({"y": GROUPS * 1.0}, "y does not vary within groups"),
        ({"X": (GROUPS[:, None] == np.arange(6)) * 1.0}, "determine the means of all 6 groups"),
        ({"names": ["a", "b"]}, "names has 2 entries"),
        ({"method": "reml"}, "no method 'reml'"),
        ({"covariance": "CR1"}, "no covariance 'CR1'"),
        ({"absorb": [np.arange(24) % 3], "names": ["a", "b"]}, "names has 2 entries; X has 1"),
        ({"absorb": [np.arange(24) % 3, np.arange(5)]}, r"absorb has shape \(5,\)"),
    ],
)
def test_what_cannot_be_estimated_is_refused(arguments, message):
    given = {"y": Y, "X": ONE, "groups": GROUPS} | arguments
    with pytest.raises(EstimationError, match=message):
        fit_random_intercept(given.pop("y"), given.pop("X"), given.pop("groups"), **given)


@pytest.mark.parametrize(
    ("slopes", "options", "message"),
    [
        (GROUPS[:, None] * 1.0, {}, "slope0 varies within none of the 6 groups"),
        (np.arange(24.0), {}, r"slopes has shape \(24,\)"),
        (np.empty((24, 0)), {}, r"slopes has shape \(24, 0\)"),
        (np.full((24, 1), np.nan), {}, "slopes has 24 missing"),
        (np.arange(24.0)[:, None], {"slope_names": ["a", "b"]}, "slope_names has 2 entries"),
        (np.arange(24.0)[:, None] ** [1, 2, 3], {}, "leave none of the 24 rows"),
        (np.arange(24.0)[:, None] * [1, 2], {}, "collinear"),
        (np.arange(24.0)[:, None] % 4 * [1], {"absorb": [GROUPS]}, "effects of all 6 groups"),
    ],
)
def test_slopes_that_cannot_be_estimated_are_refused(slopes, options, message):
    with pytest.raises(EstimationError, match=message):
        fit_random_slopes(Y, ONE, GROUPS, slopes, **options)


def test_too_many_absorbed_levels_are_refused():
    groups = np.repeat(np.arange(6), 200)
    y = generator(10).normal(size=1200)
    with pytest.raises(EstimationError, match="have 600 levels"):
        fit_random_intercept(y, np.ones((1200, 1)), groups, absorb=[np.arange(1200) % 600])


def test_weights_that_all_differ_in_a_huge_group_are_refused_for_cr2(monkeypatch):
    monkeypatch.setattr(mixed_inference, "LARGEST_GROUP", 10)
    at = problem([20, 20, 20, 20], slope=False, weights="different")
    with pytest.raises(EstimationError, match="20 rows has 20 different"):
        fitted(at, covariance="CR2")


@pytest.mark.parametrize("slope", [False, True])
def test_a_maximum_that_is_not_proven_is_an_error_with_what_was_tried(slope, monkeypatch):
    monkeypatch.setattr(mixed_optimum, "_is_proven", lambda point: False)
    tried = "trust-region" if slope else "33 variance ratios"
    with pytest.raises(EstimationError, match=f"no maximum.*{tried}"):
        fitted(problem(SIZES, slope=slope))


def test_matrices_that_break_down_are_an_error_in_our_words(monkeypatch):
    def broken(*_):
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    monkeypatch.setattr(mixed_optimum, "profile_at", broken)
    with pytest.raises(EstimationError, match="cannot be told apart") as caught:
        fitted(problem(SIZES, slope=True))
    assert caught.value.__cause__ is None
    assert "definite" not in str(caught.value)
