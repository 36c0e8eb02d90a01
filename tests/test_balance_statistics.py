"""Statistics of balance against closed forms and brute force; what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from homevisit_eval.balance.curves import (
    binned_ecdf,
    binned_quantiles,
    cell_edges,
    spread_dots,
)
from homevisit_eval.balance.density import (
    effective_sample_size,
    overlap_coefficient,
    weighted_density,
)
from homevisit_eval.balance.ecdf import ecdf_differences, signed_shares
from homevisit_eval.balance.moments import describe_groups
from homevisit_eval.balance.ordering import ascending_order, whole_number_range
from homevisit_eval.balance.pair_distances import mean_pair_distance, mean_set_distance
from homevisit_eval.balance.statistics import (
    balance_columns,
    column_balance,
    compared_groups,
    split_groups,
)
from homevisit_eval.effect_sizes import weighted_mean, weighted_sd
from homevisit_eval.errors import EstimationError

CLOSE = 1e-9  # sums of up to 60 numbers in another order
FEW = settings(max_examples=60, deadline=None)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values (few different ones or many), groups, weights before and after, sets."""
    n = draw(st.integers(6, 60))
    finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
    values = draw(
        st.one_of(
            hnp.arrays(np.float64, n, elements=finite),
            hnp.arrays(np.float64, n, elements=st.integers(-3, 3).map(float)),
            hnp.arrays(np.float64, n, elements=st.sampled_from([0.25, 0.5, 2.0])),
        )
    )
    treated = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    treated[:2] = (0, 1)
    after = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.5, 1.0, 2.5])))
    after[:2] = 1.0
    sets = draw(hnp.arrays(np.int64, n, elements=st.integers(-1, 4)))
    return values, treated, after, sets


def brute_ecdf(x, treated, weights) -> tuple[float, float]:
    """Return the mean and the largest gap of the distribution functions, by their definition."""
    gaps = []
    for value in np.unique(x):
        shares = [
            sum(w for v, t, w in zip(x, treated, weights, strict=True) if t == group and v <= value)
            / sum(w for t, w in zip(treated, weights, strict=True) if t == group)
            for group in (1, 0)
        ]
        gaps.append(abs(shares[0] - shares[1]))
    return float(np.mean(gaps)), float(np.max(gaps))


def brute_sets(x, treated, sets) -> float:
    distances = [
        abs(x[i] - x[j])
        for i in range(len(x))
        for j in range(len(x))
        if treated[i] == 1 and treated[j] == 0 and sets[i] == sets[j] >= 0
    ]
    return float(np.mean(distances)) if distances else math.nan


@FEW
@given(comparisons())
def test_distribution_differences_by_brute_force(drawn):
    x, treated, after, _ = drawn
    before = np.ones(len(x))
    found = ecdf_differences(x, signed_shares(treated, before, after))
    for row, weights in zip(found, (before, after), strict=True):
        np.testing.assert_allclose(row, brute_ecdf(x, treated, weights), atol=CLOSE)


def test_the_largest_difference_is_the_kolmogorov_smirnov_statistic():
    from scipy.stats import ks_2samp

    rng = np.random.Generator(np.random.PCG64(4))
    x, treated = rng.normal(size=400), rng.integers(0, 2, 400)
    ones = np.ones(400)
    found = ecdf_differences(x, signed_shares(treated, ones, ones))
    assert found[0, 1] == pytest.approx(ks_2samp(x[treated == 1], x[treated == 0]).statistic)


@FEW
@given(comparisons())
def test_means_and_spreads_are_those_of_the_effect_sizes(drawn):
    x, treated, after, _ = drawn
    moments = describe_groups(x, treated, after, binary=False)
    for group, mean, sd, n, worth in (
        (1, moments.mean_treated, moments.sd_treated, moments.n_treated, moments.ess_treated),
        (0, moments.mean_comparison, moments.sd_comparison, moments.n_comparison,
         moments.ess_comparison),
    ):  # fmt: skip
        rows = treated == group
        assert mean == pytest.approx(weighted_mean(x[rows], after[rows]), abs=CLOSE)
        assert sd == pytest.approx(weighted_sd(x[rows], after[rows]), abs=1e-6, nan_ok=True)
        assert n == (after[rows] > 0).sum()
        assert worth == pytest.approx(effective_sample_size(after[rows]))


def test_the_mean_of_a_constant_is_that_constant():
    moments = describe_groups(np.full(7, 0.1), [1, 1, 1, 0, 0, 0, 0], np.arange(1, 8) / 3,
                              binary=False)  # fmt: skip
    assert (moments.mean_treated, moments.mean_comparison) == (0.1, 0.1)
    assert (moments.sd_treated, moments.sd_comparison) == (0.0, 0.0)


@FEW
@given(comparisons())
def test_set_distances_by_brute_force(drawn):
    x, treated, _, sets = drawn
    found = mean_set_distance(x, treated == 1, sets)
    assert found == pytest.approx(brute_sets(x, treated, sets), abs=CLOSE, nan_ok=True)


def test_pair_distances_leave_out_what_is_not_measured():
    x = np.array([1.0, np.nan, 4.0, 0.0])
    assert mean_pair_distance(x, np.array([0, 1, 0]), np.array([2, 3, 3])) == 2.0
    assert math.isnan(mean_pair_distance(x, np.array([1]), np.array([2])))
    assert math.isnan(mean_set_distance(x, np.array([True, False, True, False]),
                                        np.array([0, 0, 1, 1]) * -1))  # fmt: skip


@FEW
@given(comparisons(), st.floats(0.01, 100), st.floats(-50, 50))
def test_a_positive_affine_change_of_units_changes_nothing(drawn, factor, shift):
    x, treated, after, sets = drawn
    x = np.round(x) + 0.0
    moved = x * 2.0 ** round(math.log2(factor)) + round(shift)  # exact, so that ties stay ties
    groups = compared_groups(treated, np.ones(len(x)), after, matched_set=sets)
    if set(x) <= {0.0, 1.0} or set(moved) <= {0.0, 1.0}:
        return
    first, second = column_balance(x, groups), column_balance(moved, groups)
    for name in ("smd_before", "smd_after", "ecdf_mean_before", "ecdf_mean_after",
                 "ecdf_max_before", "ecdf_max_after", "pair_distance_after"):  # fmt: skip
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6, nan_ok=True), name


@FEW
@given(comparisons(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(drawn, random):
    x, treated, after, sets = drawn
    order = np.array(random.sample(range(len(x)), len(x)))
    first = column_balance(x, compared_groups(treated, np.ones(len(x)), after, matched_set=sets))
    second = column_balance(
        x[order],
        compared_groups(treated[order], np.ones(len(x)), after[order], matched_set=sets[order]),
    )
    for name in ("ecdf_mean_after", "ecdf_max_after", "ecdf_mean_before", "smd_after"):
        ours, theirs = getattr(first, name), getattr(second, name)
        if abs(ours) < 1e6:
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6, nan_ok=True)
    assert first.before.mean_treated == pytest.approx(second.before.mean_treated, abs=CLOSE)


@FEW
@given(comparisons())
def test_a_row_that_stands_there_twice_is_a_weight_of_two(drawn):
    x, treated, after, _ = drawn
    twice = np.repeat(np.arange(len(x)), np.where(np.arange(len(x)) % 3 == 0, 2, 1))
    weights = after * np.where(np.arange(len(x)) % 3 == 0, 2, 1)
    by_weight = compared_groups(treated, weights, weights)
    by_rows = compared_groups(treated[twice], after[twice], after[twice])
    first, second = column_balance(x, by_weight), column_balance(x[twice], by_rows)
    assert first.after.mean_treated == pytest.approx(second.after.mean_treated, abs=CLOSE)
    assert first.after.difference == pytest.approx(second.after.difference, abs=CLOSE)
    assert first.ecdf_mean_after == pytest.approx(second.ecdf_mean_after, abs=CLOSE)
    assert first.ecdf_max_after == pytest.approx(second.ecdf_max_after, abs=CLOSE)


def test_one_denominator_before_and_after():
    x = np.array([1.0, 3.0, 0.0, 2.0, 7.0])
    treated, after = np.array([1, 1, 0, 0, 0]), np.array([1.0, 1, 1, 1, 0])
    groups = compared_groups(treated, np.ones(5), after)
    sds = {"treated": math.sqrt(2.0), "comparison": math.sqrt(13.0), "pooled": math.sqrt(7.5)}
    for name, sd in sds.items():
        found = column_balance(x, groups, denominator=name)
        assert found.smd_before == pytest.approx((2.0 - 3.0) / sd)
        assert found.smd_after == pytest.approx((2.0 - 1.0) / sd)
        assert found.after.variance_ratio == pytest.approx(1.0)


def test_a_binary_column_has_the_difference_of_its_shares():
    x, treated = np.array([1.0, 0, 1, 0, 0, 0]), np.array([1, 1, 0, 0, 0, 0])
    after = np.array([1.0, 1, 1, 1, 0, 0])
    found = column_balance(x, compared_groups(treated, np.ones(6), after))
    assert found.binary
    assert found.before.sd_comparison == pytest.approx(math.sqrt(0.25 * 0.75))
    assert (found.ecdf_mean_before, found.ecdf_max_before) == (0.25, 0.25)
    assert (found.ecdf_mean_after, found.ecdf_max_after) == (0.0, 0.0)
    assert found.smd_before == pytest.approx(0.25 / 0.5)


def test_missing_values_are_left_out_of_their_column_only():
    x = np.array([1.0, 3.0, np.nan, 2.0, 7.0, 4.0])
    treated, after = np.array([1, 1, 1, 0, 0, 0]), np.array([1.0, 1, 1, 1, 0, 1])
    pairs = (np.array([0, 1, 2]), np.array([3, 5, 5]))
    whole = compared_groups(treated, np.ones(6), after, pairs=pairs)
    has = np.array([0, 1, 3, 4, 5])
    found, expected = column_balance(x, whole), column_balance(x[has], *split_groups(whole, [has]))
    assert found == expected
    assert found.pair_distance_after == pytest.approx(1.0 / math.sqrt(2.0))
    assert balance_columns(np.column_stack([x, x]), whole) == (found, found)


def test_a_column_that_does_not_vary_or_has_one_group_only():
    treated, ones = np.array([1, 1, 0, 0]), np.ones(4)
    groups = compared_groups(treated, ones, ones)
    constant = column_balance(np.full(4, 2.5), groups)
    assert (constant.smd_before, constant.ecdf_max_before) == (0.0, 0.0)
    infinite = column_balance(np.array([1.0, 1.0, 2.0, 3.0]), groups)
    assert infinite.smd_after == -math.inf
    alone = column_balance(np.array([1.0, 2.0, np.nan, np.nan]), groups)
    for name in ("smd_before", "smd_after", "ecdf_mean_before", "ecdf_max_after",
                 "pair_distance_after"):  # fmt: skip
        assert math.isnan(getattr(alone, name)), name
    nowhere = column_balance(np.full(4, np.nan), groups)
    assert math.isnan(nowhere.ecdf_max_before)
    assert nowhere.before.n_treated == 0


def test_groups_that_cannot_be_compared_are_errors():
    with pytest.raises(EstimationError, match="one weight a row"):
        compared_groups([1, 0], [1.0], [1.0, 1.0])
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(EstimationError, match="finite and at least 0"):
            compared_groups([1, 0], [1.0, 1.0], [1.0, bad])


def test_pairs_and_sets_within_some_rows():
    treated = np.array([1, 0, 1, 0])
    pairs = (np.array([0, 2]), np.array([1, 3]))
    groups = compared_groups(treated, np.ones(4), np.ones(4), pairs=pairs)
    part, rest = split_groups(groups, [np.array([3, 1, 2]), np.array([0])])
    assert list(zip(part.first, part.second, strict=True)) == [(2, 0)]
    assert (len(rest.first), rest.treated.tolist()) == (0, [True])
    sets = compared_groups(treated, np.ones(4), np.ones(4), matched_set=[7, 7, 3, 3])
    (part,) = split_groups(sets, [np.array([3, 1, 2])])
    assert part.matched_set.tolist() == [0, 1, 0]
    unused = compared_groups(treated, np.ones(4), [1, 1, 1, 0], pairs=pairs)
    assert unused.first.tolist() == [0]


@pytest.mark.parametrize(
    "values",
    [
        np.array([]),
        np.array([2.0]),
        np.array([-0.0, 0.0, -1.0, 0.0, -0.0] * 100),
        np.array([1e12 + 1e-3 * (k % 97) for k in range(1000)]),
        np.array([math.copysign(5e-324 * k, k - 300) for k in range(600)]),
        np.repeat([np.finfo(float).max, -np.finfo(float).max, 1.0], 200),
        np.append(np.arange(300.0), [7.0, 250.0]),
    ],
)
def test_the_order_is_that_of_a_stable_sort(values):
    np.testing.assert_array_equal(ascending_order(values), np.argsort(values, kind="stable"))


@FEW
@given(hnp.arrays(np.float64, st.integers(250, 400),
                  elements=st.floats(allow_nan=False, allow_infinity=False)))  # fmt: skip
def test_any_numbers_are_ordered(values):
    np.testing.assert_array_equal(ascending_order(values), np.argsort(values, kind="stable"))


def test_whole_numbers_are_counted_if_they_are_few():
    assert whole_number_range(np.array([3.0, -2.0, 0.0])) == (-2, 3)
    assert whole_number_range(np.array([3.0, 0.5])) is None
    assert whole_number_range(np.array([0.0, 1e9])) is None
    assert whole_number_range(np.array([])) is None


def test_effective_sample_sizes():
    assert effective_sample_size([2.0, 2.0, 0.0]) == 2.0
    assert effective_sample_size([0.0]) == 0.0
    assert effective_sample_size([3.0, 1.0]) == pytest.approx(1.6)


def test_a_density_integrates_to_one_and_reflects():
    rng = np.random.Generator(np.random.PCG64(9))
    x, w = rng.beta(0.7, 0.7, 5_000), rng.random(5_000)
    grid = np.linspace(0, 1, 400)
    step = grid[1] - grid[0]
    inside = weighted_density(x, w, grid, reflect=True)
    trapezoid = (inside.sum() - (inside[0] + inside[-1]) / 2) * step
    assert trapezoid == pytest.approx(1.0, abs=0.01)
    assert weighted_density(x, w, grid).sum() * step < 0.97  # some lies beyond the ends
    mirrored = weighted_density(1 - x, w, grid, reflect=True)
    np.testing.assert_allclose(mirrored, inside[::-1], rtol=1e-6)
    skewed = weighted_density(x**3, w, grid, reflect=True)
    np.testing.assert_allclose(
        weighted_density(1 - x**3, w, grid, reflect=True), skewed[::-1], rtol=1e-6
    )
    assert np.isnan(weighted_density(x, np.zeros(5_000), grid)).all()


def test_a_density_is_the_sum_of_its_kernels():
    x, w = np.array([-1.0, 0.2, 2.0, 2.5]), np.array([1.0, 2.0, 1.0, 0.5])
    grid = np.linspace(-8, 10, 6_001)
    found = weighted_density(x, w, grid)
    share, n = w / w.sum(), w.sum() ** 2 / (w @ w)
    mean = share @ x
    sd = math.sqrt(share @ (x - mean) ** 2)
    best = min(
        np.abs(found - sum(s * np.exp(-0.5 * ((grid - v) / h) ** 2) for s, v in
                           zip(share, x, strict=True)) / (h * math.sqrt(2 * math.pi))).max()
        for h in np.linspace(0.1, 1.0, 91) * sd * n**-0.2
    )  # fmt: skip
    assert best < 0.01  # with Silverman's factor, .9 of the smaller spread, among these widths


def test_overlap_is_one_for_equal_and_zero_for_distant_groups():
    rng = np.random.Generator(np.random.PCG64(2))
    x, treated = rng.normal(size=20_000), np.arange(20_000) % 2
    ones = np.ones(20_000)
    assert overlap_coefficient(x, treated, ones) == pytest.approx(1.0, abs=0.03)
    apart = overlap_coefficient(x + 2 * treated, treated, ones)
    assert apart == pytest.approx(math.erfc(1 / math.sqrt(2)), abs=0.02)  # 2 Phi(-1)
    assert overlap_coefficient(x + 99 * treated, treated, ones) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(overlap_coefficient(x, np.ones(20_000), ones))
    assert math.isnan(overlap_coefficient(np.ones(4), [1, 0, 1, 0], np.ones(4)))


@FEW
@given(comparisons(), st.integers(2, 10))
def test_no_point_of_a_curve_rests_on_few_rows(drawn, least):
    x, _, after, _ = drawn
    values, middle, through = binned_ecdf(x, after, least=least)
    used = x[after > 0]
    if len(used) < least:
        assert not len(values)
        return
    assert through[-1] == pytest.approx(1.0)
    assert (np.diff(values) > 0).all()
    assert ((middle > 0) & (middle < 1)).all()
    assert len(values) <= len(used) // least
    ends = np.append((values[1:] + values[:-1]) / 2, np.inf)
    counts = np.histogram(used, np.append(-np.inf, ends))[0]
    assert counts.sum() == len(used)
    ones = np.ones(len(used))
    lone, _, steps = binned_ecdf(used, ones, least=least)
    rows = np.diff(np.append(0.0, steps)) * len(used)
    assert (rows > least - 0.5).all()
    mean = float((np.diff(np.append(0.0, steps)) * lone).sum())
    assert mean == pytest.approx(used.mean(), abs=1e-6)


@FEW
@given(comparisons(), st.integers(1, 8))
def test_quantile_means_of_a_sample_with_itself_lie_on_the_diagonal(drawn, least):
    x, _, after, _ = drawn
    first, second = binned_quantiles((x, after), (x, after), least=least)
    np.testing.assert_array_equal(first, second)
    if len(first):
        assert first.mean() == pytest.approx(float(np.average(x, weights=after)), abs=1e-6)
    shifted, _ = binned_quantiles((x + 1, after), (x, after), least=least)
    np.testing.assert_allclose(shifted, first + 1, atol=1e-9)


def test_quantile_means_by_hand():
    first, second = binned_quantiles(
        ([1.0, 2, 3, 4], np.ones(4)), ([10.0, 20.0], np.ones(2)), least=1
    )
    assert first.tolist() == [1.5, 3.5]
    assert second.tolist() == [10.0, 20.0]


@FEW
@given(comparisons(), st.integers(2, 10))
def test_every_cell_of_dots_holds_several_rows_or_none(drawn, least):
    x = drawn[0]
    edges, counts = cell_edges(x, np.linspace(-1000, 1000, 81), least=least)
    if len(x) < least:
        assert not len(counts)
        return
    assert counts.sum() == len(x)
    assert ((counts == 0) | (counts >= least)).all()
    np.testing.assert_array_equal(np.histogram(x, edges)[0], counts)
    places, heights = spread_dots(edges, counts)
    np.testing.assert_array_equal(np.histogram(places, edges)[0], counts)
    assert ((heights >= 0) & (heights < 1)).all()
    assert not np.isin(places, x).any()
