"""Distances in covariates against their formulas, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.units import (
    mahalanobis_coordinates,
    robust_mahalanobis_coordinates,
    scaled_euclidean_coordinates,
)

ALL = (
    mahalanobis_coordinates,
    robust_mahalanobis_coordinates,
    scaled_euclidean_coordinates,
)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def data(n=60, p=4, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 10 * rng.random(p)
    return X, (rng.random(n) < 0.4).astype(float)


def within(X, treated, weights=None):
    """The covariance of X less group means, by numpy's weighted averages."""
    weights = np.ones(len(X)) if weights is None else weights / weights.mean()
    rest = X.astype(float)
    for group in np.unique(treated):
        rows = treated == group
        rest[rows] -= np.average(X[rows], axis=0, weights=weights[rows])
    return rest.T @ (rest * weights[:, None]) / (len(X) - 1)


def distances(coordinates):
    return cdist(coordinates, coordinates)


def by_formula(X, inverse):
    difference = X[:, None, :] - X[None, :, :]
    return np.sqrt(np.maximum(np.einsum("ijk,kl,ijl->ij", difference, inverse, difference), 0))


@pytest.mark.parametrize("weighted", [False, True])
def test_mahalanobis_is_its_formula(weighted):
    X, treated = data()
    weights = np.random.default_rng(2).uniform(0.5, 2, len(X)) if weighted else None
    inverse = np.linalg.inv(within(X, treated, weights))
    found = distances(mahalanobis_coordinates(X, treated, weights))
    np.testing.assert_allclose(found, by_formula(X, inverse), **CLOSE)


def test_with_all_levels_of_a_factor_it_is_that_of_the_pseudo_inverse():
    X, treated = data()
    level = np.random.default_rng(3).integers(0, 3, len(X))
    full = np.column_stack([X, (level[:, None] == np.arange(3)) / np.sqrt(2)])
    coordinates = mahalanobis_coordinates(full, treated)
    assert coordinates.shape[1] == full.shape[1] - 1
    inverse = np.linalg.pinv(within(full, treated), hermitian=True)
    np.testing.assert_allclose(distances(coordinates), by_formula(full, inverse), **CLOSE)
    one_left_out = distances(mahalanobis_coordinates(full[:, :-1], treated))
    np.testing.assert_allclose(distances(coordinates), one_left_out, **CLOSE)


@pytest.mark.parametrize("weighted", [False, True])
def test_robust_mahalanobis_is_rosenbaums(weighted):
    X, treated = data()
    X[:, 1] = X[:, 1].round()
    X[0, 0] = 1e9  # an outlier changes nothing but its rank
    weights = np.random.default_rng(2).uniform(0.5, 2, len(X)) if weighted else None
    ranks = np.apply_along_axis(rankdata, 0, X)
    covariance = within(ranks, np.zeros(len(X)), weights)
    untied = np.arange(1, len(X) + 1).std(ddof=1)
    ratio = untied / np.sqrt(np.diag(covariance))
    inverse = np.linalg.inv(covariance * np.outer(ratio, ratio))
    found = distances(robust_mahalanobis_coordinates(X, treated, weights))
    np.testing.assert_allclose(found, by_formula(ranks, inverse), **CLOSE)


def test_scaled_euclidean_divides_by_the_pooled_deviation():
    X, treated = data()
    expected = distances(X / np.sqrt(np.diag(within(X, treated))))
    np.testing.assert_allclose(
        distances(scaled_euclidean_coordinates(X, treated)), expected, **CLOSE
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ALL))
def test_units_of_measurement_do_not_matter(seed, coordinates):
    X, treated = data(seed=seed)
    rng = np.random.default_rng(seed)
    changed = X * rng.uniform(0.01, 100, X.shape[1]) + rng.normal(size=X.shape[1])
    first, second = distances(coordinates(X, treated)), distances(coordinates(changed, treated))
    np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-6)


def test_mahalanobis_does_not_change_under_linear_maps():
    X, treated = data()
    mixed = X @ np.random.default_rng(4).normal(size=(X.shape[1], X.shape[1]))
    first = distances(mahalanobis_coordinates(X, treated))
    second = distances(mahalanobis_coordinates(mixed, treated))
    np.testing.assert_allclose(first, second, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("coordinates", ALL)
def test_rows_with_equal_covariates_have_equal_coordinates(coordinates):
    # To the last digit, wherever they stand: whether distances are tied depends on it.
    X, treated = data(n=20_011, p=5)
    X[1::2] = X[:-1:2]
    found = coordinates(X, treated)
    np.testing.assert_array_equal(found[1::2], found[:-1:2])


@pytest.mark.parametrize("coordinates", ALL)
def test_weights_count_rows_as_often(coordinates):
    X, treated = data()
    times = np.random.default_rng(5).integers(1, 4, len(X))
    if coordinates is robust_mahalanobis_coordinates:
        return  # ranks are those of the rows that there are
    weighted = distances(coordinates(X, treated, times))
    repeated = distances(coordinates(np.repeat(X, times, axis=0), np.repeat(treated, times)))
    first = np.cumsum(times) - times
    scale = np.sqrt((times.sum() - 1) / times.sum() * len(X) / (len(X) - 1))  # divisors n - 1
    np.testing.assert_allclose(weighted, repeated[np.ix_(first, first)] / scale, **CLOSE)


@pytest.mark.parametrize("coordinates", ALL)
def test_what_does_not_vary_does_not_count(coordinates):
    X, treated = data()
    constant = np.full((len(X), 1), 3.7)
    expected = distances(coordinates(X, treated))
    found = distances(coordinates(np.column_stack([X, constant]), treated))
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert not coordinates(constant, treated).any()
    if coordinates is not robust_mahalanobis_coordinates:  # that of all rows varies
        apart = np.column_stack([X, treated * 1000])
        np.testing.assert_allclose(distances(coordinates(apart, treated)), expected, **CLOSE)


@pytest.mark.parametrize("coordinates", ALL)
def test_tiny_problems(coordinates):
    assert coordinates(np.zeros((0, 2)), np.zeros(0)).shape[0] == 0
    assert coordinates(np.ones((1, 2)), [1]).shape[0] == 1
    assert np.isfinite(coordinates([[1.0], [2.0]], [1, 0])).all()
    assert coordinates(np.zeros((5, 0)), np.zeros(5)).shape[0] == 5


@pytest.mark.parametrize("coordinates", ALL)
def test_the_input_is_not_changed(coordinates):
    X, treated = data()
    for layout in (np.ascontiguousarray(X), np.asfortranarray(X)):
        before = layout.copy()
        coordinates(layout, treated)
        np.testing.assert_array_equal(layout, before)


@pytest.mark.parametrize("coordinates", ALL)
@pytest.mark.parametrize(
    ("X", "treated", "weights", "words"),
    [
        (np.ones(3), np.ones(3), None, "shape"),
        (np.ones((3, 1)), np.ones(2), None, "shape"),
        (np.ones((3, 1)), np.ones(3), np.ones(2), "shape"),
        (np.array([[1.0], [np.inf], [np.nan]]), np.ones(3), None, "2 of 3 rows"),
        (np.ones((3, 1)), np.ones(3), np.array([1.0, -1, 1]), "weights"),
        (np.ones((3, 1)), np.ones(3), np.zeros(3), "weights"),
    ],
)
def test_what_cannot_be_measured_is_an_error(coordinates, X, treated, weights, words):
    with pytest.raises(MatchingError, match=words):
        coordinates(X, treated, weights)
