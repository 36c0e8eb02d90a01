"""Optimal pairs against dense assignment by scipy, and against R's optmatch on lalonde."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from homevisit_eval.matching.optimal import optimal_pairs, optimal_total, sparse_pairs
from homevisit_eval.matching.units import Limit, Units
from matching_problems import constraints, distances, problem, rows

REFERENCE = Path(__file__).parent / "reference" / "matchit"
PAIR, FOCAL = 1e6, 1e6  # worth of a pair, and of a focal row's first; above any sum of distances
SUMS = 1e-7  # the oracle subtracts numbers of that size


def dense_optimum(units, ratio):
    """Return focal rows matched, pairs, and total distance, by scipy on all slots."""
    dense = distances(units)[units.focal][:, ~units.focal]
    slots = np.repeat(dense, ratio, axis=0)
    first = (np.arange(len(slots)) % ratio == 0)[:, None]
    worth = np.where(np.isfinite(slots), slots - PAIR - FOCAL * first, 0.0)
    one, other = linear_sum_assignment(worth)
    made = np.isfinite(slots[one, other])
    one, other = one[made], other[made]
    return len(np.unique(one // ratio)), len(one), slots[one, other].sum()


def check_optimum(units, ratio):
    pairs = optimal_pairs(units, ratio=ratio, ties="row")
    dense = distances(units)
    np.testing.assert_array_equal(pairs.distance, dense[pairs.focal, pairs.match])
    assert np.isfinite(pairs.distance).all(), "a pair that is not allowed"
    assert len(np.unique(pairs.match)) == len(pairs.match), "used twice"
    assert (pairs.rank <= ratio).all()
    listed = list(zip(pairs.focal, pairs.rank, strict=True))
    assert listed == sorted(set(listed))
    assert all(rank == 1 or (focal, rank - 1) in listed for focal, rank in listed)
    focal, made, total = dense_optimum(units, ratio)
    assert (len(np.unique(pairs.focal)), len(pairs.focal)) == (focal, made)
    assert pairs.distance.sum() == pytest.approx(total, abs=SUMS)
    assert optimal_total(units, ratio) == pytest.approx(total, abs=SUMS)


@settings(max_examples=300, deadline=None)
@given(rows, constraints, st.integers(1, 3))
def test_pairs_are_a_dense_optimum(units, options, ratio):
    check_optimum(problem(units, **options), ratio)


@settings(max_examples=300, deadline=None)
@given(rows, constraints, st.integers(1, 3))
def test_lists_of_neighbors_that_begin_too_short_grow(units, options, ratio):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_pairs, "FIRST_NEIGHBORS", 1)
        check_optimum(problem(units, **options), ratio)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.3, np.inf]), st.integers(1, 3))
@example(7, 0.05, 2)
def test_larger_problems_without_ties(seed, width, ratio):
    rng = np.random.default_rng(seed)
    n = 200
    place = rng.normal(size=(n, 3))
    focal = rng.random(n) < 1 / (1 + np.exp(1.2 - 1.5 * place[:, 0]))
    limits = () if width == np.inf else (Limit(place[:, 0].copy(), width),)
    strata = rng.integers(0, 3, n)
    check_optimum(Units(focal, strata, score=place[:, 0].copy(), limits=limits), ratio)
    check_optimum(Units(focal, strata, coordinates=place, limits=limits), ratio)


@pytest.mark.parametrize("coordinates", [False, True])
def test_everybody_equal(coordinates):
    units = [(i % 3 == 0, 0, 4, 4, 0, i) for i in range(30)]
    check_optimum(problem(units, coordinates=coordinates), 2)


def test_with_too_few_comparison_rows_every_focal_row_comes_first():
    # The rows at 0 are nearer to the first focal row, which would take all three of them.
    score = np.array([0.0, 5.0, 0.0, 0.0, 0.0])
    focal = np.array([True, True, False, False, False])
    pairs = optimal_pairs(Units(focal, np.zeros(5, dtype=int), score=score), ratio=3, ties="row")
    assert pairs.focal.tolist() == [0, 0, 1]
    assert pairs.distance.tolist() == [0.0, 0.0, 5.0]


def test_more_pairs_come_before_shorter_ones():
    # The nearest pair would leave the other focal row outside of its caliper.
    score = np.array([0.0, -1.0, 0.1, 1.0])
    units = Units(
        np.array([True, True, False, False]),
        np.zeros(4, dtype=int),
        score=score,
        limits=(Limit(score, 1.15),),
    )
    pairs = optimal_pairs(units, ratio=1, ties="row")
    assert pairs.match.tolist() == [3, 2]


@pytest.mark.parametrize("focal", [[], [True, True], [False, False]])
def test_a_group_may_be_empty(focal):
    n = len(focal)
    units = Units(np.array(focal, dtype=bool), np.zeros(n, dtype=int), score=np.zeros(n))
    assert len(optimal_pairs(units, ratio=1, ties="row").focal) == 0
    assert optimal_total(units, 1) == 0.0


def test_a_total_that_would_take_long_is_not_computed():
    rng = np.random.default_rng(1)
    n = 20_001
    place = rng.normal(size=(n, 2))
    units = Units(rng.random(n) < 0.01, np.zeros(n, dtype=int), coordinates=place)
    assert optimal_total(units, 1) is None
    on_the_line = Units(units.focal, units.stratum, score=place[:, 0].copy())
    assert optimal_total(on_the_line, 1) is not None


def greedy_total(units):
    """Let focal rows choose in order, each the nearest free row."""
    dense = distances(units)
    total = 0.0
    for row in np.flatnonzero(units.focal):
        nearest = dense[row].argmin()
        if np.isfinite(dense[row, nearest]):
            total += dense[row, nearest]
            dense[:, nearest] = np.inf
    return total


@settings(max_examples=100, deadline=None)
@given(rows, st.booleans())
def test_no_greedy_choice_has_a_smaller_total(units, coordinates):
    whole = problem(units, coordinates=coordinates)
    assert optimal_total(whole, 1) <= greedy_total(whole) + SUMS


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "lalonde_with_ps.csv").set_index("id")


def their_total(lalonde, spec, place):
    pairs = pd.read_csv(REFERENCE / f"{spec}_pairs.csv")
    frame = pd.DataFrame(place, index=lalonde.index)
    gaps = frame.loc[pairs["focal"]].to_numpy() - frame.loc[pairs["match"]].to_numpy()
    return np.sqrt((gaps**2).sum(axis=1)).sum()


def mahalanobis_place(lalonde):
    """Return coordinates: pooled within-group covariance over n - 2, dummies over root 2."""
    dummies = pd.get_dummies(lalonde["race"]).astype(float) / np.sqrt(2)
    numbers = lalonde[["age", "educ", "married", "nodegree", "re74", "re75"]].astype(float)
    X = np.column_stack([numbers, dummies])
    treated = lalonde["treat"].to_numpy() == 1
    centered = X - np.where(treated[:, None], X[treated].mean(axis=0), X[~treated].mean(axis=0))
    inverse = np.linalg.pinv(centered.T @ centered / (len(X) - 2), hermitian=True)
    values, vectors = np.linalg.eigh(inverse)
    return X @ (vectors * np.sqrt(np.maximum(values, 0.0)))


def test_totals_are_at_most_those_of_optmatch(lalonde):
    treated = lalonde["treat"].to_numpy() == 1
    none = np.zeros(len(treated), dtype=int)
    score = lalonde["ps"].to_numpy()
    place = mahalanobis_place(lalonde)
    for spec, units in (
        ("s31_optimal_pair", Units(treated, none, score=score)),
        ("s32_optimal_pair_mah", Units(treated, none, coordinates=place)),
    ):
        pairs = optimal_pairs(units, ratio=1, ties="matchit")
        theirs = their_total(lalonde, spec, score[:, None] if units.coordinates is None else place)
        assert len(pairs.focal) == treated.sum()
        assert pairs.distance.sum() <= theirs + 1e-9, spec
        assert pairs.distance.sum() > 0.9 * theirs, "the same distance"
