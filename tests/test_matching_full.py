"""Optimal full matching against a dense linear program, and against R's optmatch on lalonde."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.full import bounded_cover, full_sets
from homevisit_eval.matching.full.feasibility import least_left_out
from homevisit_eval.matching.units import Limit, Traits, Units
from matching_problems import constraints, distances, problem, rows

REFERENCE = Path(__file__).parent / "reference" / "matchit"
UNBOUNDED = (0.0, np.inf)
BOUNDS = st.sampled_from(
    [UNBOUNDED, (0.0, 2.0), (1 / 2, np.inf), (1 / 3, 3.0), (1.0, np.inf), (2.0, 4.0),
     (1 / 4, 1 / 2), (0.0, 1.0), (1.0, 1.0)]
)  # fmt: skip
SUMS = 1e-7


def degrees(low, high):
    """Return the least and largest number of pairs of a treated and of a comparison row."""
    return (
        (max(1, low), max(1, high)),
        (max(1, 1 / high), max(1, np.inf if low == 0 else 1 / low)),
    )


def dense_optimum(units, low, high):
    """Return the smallest total, None if there is none, by a linear program over all pairs."""
    dense = distances(units)
    one, other = np.nonzero(np.isfinite(dense))
    if not len(one):
        return 0.0
    rules, limits = [], []
    for ends, (least, most) in zip((one, other), degrees(low, high), strict=True):
        for row in np.unique(ends):
            rules += [-1.0 * (ends == row), 1.0 * (ends == row)]
            limits += [-least, min(most, len(one))]
    found = linprog(dense[one, other], A_ub=np.array(rules), b_ub=limits, bounds=(0, 1))
    return found.fun if found.status == 0 else None


def check_sets(units, sets, low, high):
    """Check that every set is an allowed star within its bounds; return the total."""
    dense = distances(units)
    total = 0.0
    for number in range(sets.matched_set.max() + 1):
        members = np.flatnonzero(sets.matched_set == number)
        treated, others = members[units.focal[members]], members[~units.focal[members]]
        assert min(len(treated), len(others)) == 1, "not a star"
        within = dense[np.ix_(treated, others)]
        assert np.isfinite(within).all(), "a pair that is not allowed"
        (least, most), (others_least, others_most) = degrees(low, high)
        if len(treated) == 1:
            assert least <= len(others) <= most
        if len(others) == 1:
            assert others_least <= len(treated) <= others_most
        total += within.sum()
    allowed = np.isfinite(dense)
    eligible = allowed.any(axis=1) | allowed.any(axis=0)
    np.testing.assert_array_equal(sets.matched_set >= 0, eligible)
    used = sets.matched_set[sets.matched_set >= 0]
    first = [np.flatnonzero(used == number)[0] for number in range(used.max(initial=-1) + 1)]
    assert first == sorted(first), "sets are numbered by their first row"
    return total


def check_optimum(units, low, high):
    optimum = dense_optimum(units, low, high)
    if optimum is None:
        with pytest.raises(MatchingError, match=r"_ratio = \S+ leaves no place in a set for \d"):
            full_sets(units, min_ratio=low, max_ratio=high)
        return
    sets = full_sets(units, min_ratio=low, max_ratio=high)
    total = check_sets(units, sets, low, high)
    assert sets.total_distance == pytest.approx(total, abs=SUMS)
    assert total == pytest.approx(optimum, abs=SUMS)


@settings(max_examples=200, deadline=None)
@given(rows, constraints)
def test_unbounded_sets_are_a_dense_optimum(units, options):
    check_optimum(problem(units, **options), *UNBOUNDED)


@settings(max_examples=200, deadline=None)
@given(rows, constraints, BOUNDS)
def test_bounded_sets_are_a_dense_optimum(units, options, bounds):
    check_optimum(problem(units, **options), *bounds)


@settings(max_examples=150, deadline=None)
@given(rows, constraints, BOUNDS)
def test_pairs_that_prices_call_for_are_added(units, options, bounds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_cover, "FIRST_NEIGHBORS", 1)
        patch.setattr(bounded_cover, "MOST_NEW", 1)
        check_optimum(problem(units, **options), *bounds)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, np.inf]), BOUNDS)
@example(7, 1.0, (1 / 3, 3.0))
@example(8, np.inf, (1 / 3, 3.0))
def test_larger_problems_without_ties_from_the_fewest_pairs(seed, width, bounds):
    rng = np.random.default_rng(seed)
    n = 40
    place = rng.normal(size=(n, 2))
    focal = rng.random(n) < 0.3
    limits = () if width == np.inf else (Limit(place[:, 0].copy(), width),)
    one = np.zeros(n, dtype=int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_cover, "FIRST_NEIGHBORS", 1)
        patch.setattr(bounded_cover, "MOST_NEW", 1)
        check_optimum(Units(focal, one, score=place[:, 0].copy(), limits=limits), *bounds)
        check_optimum(Units(focal, one, coordinates=place, limits=limits), *bounds)


def nearest_cover_total(units):
    """Let every row take its nearest allowed partner, each pair once."""
    dense = distances(units)
    pairs = set()
    for row in range(len(dense)):
        costs = dense[row] if units.focal[row] else dense[:, row]
        if np.isfinite(costs).any():
            nearest = int(costs.argmin())
            pairs.add((row, nearest) if units.focal[row] else (nearest, row))
    return sum(dense[pair] for pair in pairs)


@settings(max_examples=100, deadline=None)
@given(rows, constraints)
def test_no_greedy_cover_has_a_smaller_total(units, options):
    whole = problem(units, **options)
    sets = full_sets(whole, min_ratio=0.0, max_ratio=np.inf)
    assert sets.total_distance <= nearest_cover_total(whole) + SUMS


@pytest.mark.parametrize("calipers", [(), (4.0,)])
def test_the_error_counts_those_without_a_place(calipers):
    units = problem([(i == 0, 0, i % 3, 0, 0, i) for i in range(6)], calipers=calipers)
    with pytest.raises(MatchingError, match=r"max_ratio = 2 .* 3 comparison units"):
        full_sets(units, min_ratio=0.0, max_ratio=2.0)
    units = problem([(i != 0, 0, i % 3, 0, 0, i) for i in range(6)], calipers=calipers)
    with pytest.raises(MatchingError, match=r"min_ratio = 0\.3333 .* 2 treated units"):
        full_sets(units, min_ratio=1 / 3, max_ratio=np.inf)


@pytest.mark.parametrize("focal", [[], [True], [False, False]])
def test_a_group_may_be_empty(focal):
    n = len(focal)
    units = Units(np.array(focal, dtype=bool), np.zeros(n, dtype=int), score=np.zeros(n))
    sets = full_sets(units, min_ratio=0.0, max_ratio=np.inf)
    assert (sets.matched_set == -1).all()
    assert sets.total_distance == 0.0


def test_the_total_is_at_most_that_of_optmatch():
    theirs = pd.read_csv(REFERENCE / "s34_full_att_units.csv")
    treated = theirs["treat"].to_numpy() == 1
    score = theirs["distance"].to_numpy()
    gaps = np.abs(score[treated][:, None] - score[~treated][None])
    same = (
        theirs["subclass"].to_numpy()[treated][:, None] == theirs["subclass"].to_numpy()[~treated]
    )
    units = Units(treated, np.zeros(len(treated), dtype=int), score=score)
    sets = full_sets(units, min_ratio=0.0, max_ratio=np.inf)
    total = check_sets(units, sets, *UNBOUNDED)
    assert total == pytest.approx(sets.total_distance)
    assert total <= gaps[same].sum() + 1e-12
    in_the_plane = Units(treated, units.stratum, coordinates=score[:, None])
    again = full_sets(in_the_plane, min_ratio=0.0, max_ratio=np.inf)
    assert again.total_distance == pytest.approx(total)


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, 3), (2, 1)])
def test_units_without_a_place_are_counted_as_by_a_largest_matching(least, most):
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, least, most])))
    short = 0
    for _ in range(200):
        n = int(rng.integers(4, 30))
        score, focal = rng.integers(0, 12, n).astype(float), rng.random(n) < 0.4
        width, stratum = float(rng.integers(0, 4)), rng.integers(0, 2, n)
        units = Units(focal, stratum, score, limits=(Limit(score, width),))
        seekers, members = np.flatnonzero(~focal), np.flatnonzero(focal)
        near = np.abs(score[seekers][:, None] - score[members]) <= width
        near &= stratum[seekers][:, None] == stratum[members]
        copies = np.repeat(np.repeat(near, least, axis=0), most, axis=1)
        placed = maximum_bipartite_matching(csr_array(copies), perm_type="column") >= 0
        lacking = copies.shape[0] - int(placed.sum())
        found = least_left_out(Traits.of(units), seekers, members, least=least, most=most)
        assert found == -(-lacking // least)
        short += lacking > 0
    assert short > 20


def test_bounds_that_a_caliper_cannot_meet_are_refused_before_a_program_is_solved():
    rng = np.random.Generator(np.random.PCG64(11))
    score, focal = rng.normal(size=20_000), rng.random(20_000) < 0.1
    units = Units(focal, np.zeros(20_000, dtype=np.int64), score, limits=(Limit(score, 0.2),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_cover, "linprog", None)
        with pytest.raises(MatchingError, match=r"max_ratio = 5 leaves no place .* for \d+ comp"):
            full_sets(units, min_ratio=0.5, max_ratio=5.0)
