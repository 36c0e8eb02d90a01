"""Joint tests and linear combinations, against simulation, reparametrization and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import homevisit_eval.effects.regression.satterthwaite as satterthwaite_module
from homevisit_eval.effects.regression.least_squares import fit_outcome
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.effects.regression.several_clusterings import fit_several_clusterings
from homevisit_eval.effects.regression.wald_tests import (
    joint_test,
    linear_combination,
    zero_constraints,
)
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-9
NAMES = ["a", "b", "c"]


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([34, *key])))


def example(seed: int, n: int = 160, G: int = 12, absorb: str = "cells"):
    r = rng(seed)
    clusters, cells = r.permutation(np.arange(n) % G), r.integers(0, 4, n)
    X = r.normal(size=(n, 3)) + r.normal(size=(G, 3))[clusters]
    y = X @ [0.5, -0.2, 0.0] + r.normal(size=G)[clusters] + r.normal(size=n)
    factors = {"cells": [cells], "nested": [clusters * 4 + cells], "none": []}[absorb]
    prepared = prepare_design(
        X, weights=r.uniform(0.3, 3, n), absorb=factors, clusters=clusters, names=NAMES
    )
    return prepared, y


@pytest.mark.parametrize("absorb", ["cells", "nested", "none"])
@pytest.mark.parametrize("kind", ["CR0", "CR1S", "CR2", "CR3"])
def test_one_constraint_is_the_t_test_of_its_coefficient(kind, absorb):
    prepared, y = example(1, absorb=absorb)
    fit = fit_outcome(prepared, y, covariance=kind, df="satterthwaite")
    for test in ("HTZ", "HTA"):
        found = joint_test(prepared, fit, zero_constraints(fit, ["b"]), test=test)
        assert found.statistic == pytest.approx(
            (fit.coefficients[1] / fit.std_errors[1]) ** 2, rel=RELATIVE
        )
        assert found.df_denominator == pytest.approx(fit.df[1], rel=RELATIVE)
        assert found.p_value == pytest.approx(fit.p_values[1], rel=RELATIVE)
    combined = linear_combination(prepared, fit, [0, 1, 0])
    assert combined.df == pytest.approx(fit.df[1], rel=RELATIVE)
    assert combined.p_value == pytest.approx(fit.p_values[1], rel=RELATIVE)
    assert combined.interval(0.9) == pytest.approx(tuple(fit.intervals(0.9)[1]), rel=RELATIVE)


def simulated_wishart_df(prepared, draws: int) -> tuple[float, float]:
    """Return Zhang's df of b and c, from drawn covariances of independent errors, and its error."""
    r = rng(2)
    entries = []
    for _ in range(draws):
        fit = fit_outcome(prepared, r.normal(size=prepared.n), df="G - 1")
        entries.append(fit.covariance[1:, 1:])
    values, vectors = np.linalg.eigh(np.mean(entries, axis=0))
    root = vectors / np.sqrt(values) @ vectors.T
    scaled = root @ np.array(entries) @ root
    halves = [2 * 3 / part.var(axis=0).sum() for part in (scaled, scaled[::2], scaled[1::2])]
    return halves[0], abs(halves[1] - halves[2]) / 2


def exact_moments(prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return means and covariances of the entries of the covariance of b and c, from the fits.

    Each entry is a quadratic form y'Ay of the outcome. Fits of unit outcomes, and of sums of two,
    give A; with independent standard normal outcomes the entries have the mean tr A, and two of
    them the covariance 2 tr AB.
    """
    unit = np.eye(prepared.n)

    def entries(y):
        return fit_outcome(prepared, y, df="G - 1").covariance[1:, 1:]

    A = np.zeros((2, 2, prepared.n, prepared.n))
    for i in range(prepared.n):
        A[:, :, i, i] = entries(unit[i])
    for i in range(prepared.n):
        for j in range(i):
            both = entries(unit[i] + unit[j])
            A[:, :, i, j] = A[:, :, j, i] = (both - A[:, :, i, i] - A[:, :, j, j]) / 2
    return np.einsum("abii", A), 2 * np.einsum("abij,cdji->abcd", A, A)


def test_df_are_those_of_the_exact_moments_of_the_covariance():
    prepared, y = example(3, n=30, G=8)
    fit = fit_outcome(prepared, y)
    means, covariances = exact_moments(prepared)
    values, vectors = np.linalg.eigh(means)
    root = vectors / np.sqrt(values) @ vectors.T
    scaled = np.einsum("ai,bj,ck,dl,ijkl->abcd", root, root, root, root, covariances)
    same = np.eye(2)
    omega = np.einsum("ac,bd->abcd", same, same) + np.einsum("ad,bc->abcd", same, same)
    expected = {
        "HTZ": 2 * 3 / np.einsum("abab", scaled),
        "HTA": (omega * scaled).sum() / (scaled**2).sum(),
    }
    for test, eta in expected.items():
        found = joint_test(prepared, fit, zero_constraints(fit, ["b", "c"]), test=test)
        assert found.df_denominator + 1 == pytest.approx(eta, rel=RELATIVE)


@pytest.mark.slow
def test_zhangs_df_are_those_of_drawn_covariances():
    prepared, y = example(3, n=60, G=8)
    fit = fit_outcome(prepared, y)
    found = joint_test(prepared, fit, zero_constraints(fit, ["b", "c"]))
    simulated, error = simulated_wishart_df(prepared, 1500)
    assert found.df_denominator + 1 == pytest.approx(simulated, abs=max(4 * error, 0.35))


@pytest.mark.parametrize("test", ["HTZ", "HTA", "F", "chi-square"])
def test_how_constraints_are_written_does_not_matter(test):
    prepared, y = example(4)
    fit = fit_outcome(prepared, y)
    C = zero_constraints(fit, ["a", "c"])
    other = np.array([[2.0, 1.0], [-0.3, 5.0]]) @ C
    one = joint_test(prepared, fit, C, values=[0.5, 0.0], test=test)
    two = joint_test(prepared, fit, other, values=[1.0, -0.15], test=test)
    for field in ("statistic", "df_denominator", "p_value", "quadratic_form"):
        assert getattr(one, field) == pytest.approx(getattr(two, field), rel=1e-8)


def test_the_wald_statistic_is_compared_as_named():
    prepared, y = example(5)
    C = np.eye(3)[:2]
    fit = fit_outcome(prepared, y)
    Q = fit.coefficients[:2] @ np.linalg.solve(fit.covariance[:2, :2], fit.coefficients[:2])
    chi, naive = (joint_test(prepared, fit, C, test=test) for test in ("chi-square", "F"))
    assert chi.p_value == pytest.approx(stats.chi2.sf(Q, 2), rel=RELATIVE)
    assert naive.p_value == pytest.approx(stats.f.sf(Q / 2, 2, 11), rel=RELATIVE)
    zhang = joint_test(prepared, fit, C)
    assert chi.p_value < naive.p_value < zhang.p_value
    by_rows = fit_outcome(prepared, y, covariance="CR1S", df="n - K")
    assert joint_test(prepared, by_rows, C, test="F").df_denominator == 160 - 7
    assert repr(zhang).startswith("JointTest(HTZ: F = ")


def test_many_clusters_take_the_other_route_to_the_same_values(monkeypatch):
    """By rank with 80 clusters; the same in full lines, and with sparse sums of cells."""
    prepared, y = example(6, G=80)
    fit = fit_outcome(prepared, y)
    C = zero_constraints(fit, ["a", "b"])
    by_rank = [joint_test(prepared, fit, C, test=test) for test in ("HTZ", "HTA")]
    monkeypatch.setattr(satterthwaite_module, "DENSE_CELLS", 0)
    monkeypatch.setattr(satterthwaite_module, "LINE_VALUES", 1000)
    by_lines = [joint_test(prepared, fit, C, test=test) for test in ("HTZ", "HTA")]
    for one, other in zip(by_rank, by_lines, strict=True):
        assert one.df_denominator == pytest.approx(other.df_denominator, rel=RELATIVE)


def test_an_effect_in_a_subgroup_is_that_of_a_design_without_interaction_terms():
    """treated + treated:girl by combination; the same column where groups have their own."""
    r = rng(7)
    n, clusters = 200, np.arange(200) % 14
    treated, girl = (clusters < 7).astype(float), r.integers(0, 2, n).astype(float)
    y = treated * girl + r.normal(size=14)[clusters] + r.normal(size=n)
    ones = np.ones(n)
    interacted = prepare_design(
        np.column_stack([ones, girl, treated, treated * girl]), clusters=clusters
    )
    separate = prepare_design(
        np.column_stack([ones, girl, treated * (1 - girl), treated * girl]), clusters=clusters
    )
    found = linear_combination(interacted, fit_outcome(interacted, y), [0, 0, 1, 1])
    direct = fit_outcome(separate, y)
    assert found.estimate == pytest.approx(direct.coefficients[3], rel=RELATIVE)
    assert found.std_error == pytest.approx(direct.std_errors[3], rel=RELATIVE)
    assert found.df == pytest.approx(direct.df[3], rel=RELATIVE)


def test_several_clusterings_have_the_plain_tests():
    prepared, y = example(8)
    sets = np.arange(160) // 4
    fit = fit_several_clusterings(prepared, y, [prepared.design.clusters, sets])
    C = zero_constraints(fit, ["a", "b"])
    assert joint_test(prepared, fit, C, test="F").df_denominator == 11
    with pytest.raises(EstimationError, match="not for CR1S in 2 ways; use test='F'"):
        joint_test(prepared, fit, C)
    assert linear_combination(prepared, fit, [1, -1, 0]).df == 11


def test_zhangs_test_rejects_at_its_size_where_chi_square_does_not():
    """Two effects of 9 clusters that are 0 in truth, tested at 5 %."""
    r = rng(9)
    clusters = np.repeat(np.arange(9), 6)
    X = np.column_stack([np.ones(54), clusters < 4, clusters % 3 == 0]).astype(float)
    prepared = prepare_design(X, clusters=clusters)
    C, rejected, draws, zhang = np.eye(3)[1:], {"HTZ": 0, "chi-square": 0}, 300, None
    for draw in range(draws):
        fit = fit_outcome(prepared, r.normal(size=9)[clusters] + r.normal(size=54), df="G - 1")
        found = joint_test(prepared, fit, C, test="chi-square")
        rejected["chi-square"] += found.p_value < 0.05
        # its degrees of freedom are those of the design, the same in all draws
        df = zhang.df_denominator if zhang else np.nan
        p_value = stats.f.sf(df / (df + 1) / 2 * found.quadratic_form, 2, df)
        if draw % 60 == 0:
            zhang = joint_test(prepared, fit, C)
            assert draw == 0 or zhang.p_value == pytest.approx(p_value, rel=RELATIVE)
            p_value = zhang.p_value
        rejected["HTZ"] += p_value < 0.05
    assert rejected["HTZ"] / draws < 0.08
    assert rejected["chi-square"] / draws > 0.15


@pytest.mark.parametrize(
    ("constraints", "arguments", "message"),
    [
        (np.eye(2), {}, r"constraints have shape \(2, 2\) for 3 coefficients"),
        (np.zeros((0, 3)), {}, r"constraints have shape \(0, 3\)"),
        (np.ones((2, 3)), {}, "of 2 constraints 1 follow from the others"),
        (np.eye(3)[:2], {"values": [1.0]}, r"values has shape \(1,\) for 2 constraints"),
        (np.eye(3)[:2], {"test": "HTB"}, "test must be one of HTZ, HTA, F, chi-square"),
    ],
)
def test_what_cannot_be_tested_is_said(constraints, arguments, message):
    prepared, y = example(10)
    fit = fit_outcome(prepared, y)
    with pytest.raises(EstimationError, match=message):
        joint_test(prepared, fit, constraints, **arguments)


def test_too_few_clusters_are_refused():
    prepared, y = example(11, G=2)
    fit = fit_outcome(prepared, y)
    with pytest.raises(EstimationError, match="there are not more clusters than combinations"):
        joint_test(prepared, fit, np.eye(3))
    with pytest.raises(EstimationError, match=r"d, e not among the columns of the fit"):
        zero_constraints(fit, ["a", "d", "e"])
