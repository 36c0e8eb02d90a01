"""Strata and the weights of matched sets: R MatchIt 4.7.2, closed forms, brute force."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.strata import (
    coarsen,
    combine_codes,
    common_strata,
    pair_weights,
    set_weights,
    subclasses,
)
from homevisit_eval.matching.units import Pairs

REFERENCE = Path(__file__).parent / "reference" / "matchit"
DIGITS = 1e-12  # sums of at most 429 weights in another order
NUMBERS = ("age", "educ", "married", "nodegree", "re74", "re75")
ROUND = 1e-9


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([24, *key])))


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "lalonde_with_ps.csv")


def units_of(spec: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"{spec}_units.csv", dtype={"subclass": "Int64"})


def pairs_of(spec: str, ids: pd.Series) -> Pairs:
    table = pd.read_csv(REFERENCE / f"{spec}_pairs.csv").dropna(subset="match")
    position = pd.Series(range(len(ids)), index=ids)
    focal, match = position[table["focal"]], position[table["match"]]
    return Pairs(
        focal=focal.to_numpy(),
        rank=table["k"].to_numpy(),
        match=match.to_numpy(),
        distance=np.zeros(len(table)),
    )


# Reference output: R MatchIt 4.7.2


def test_coarsened_exact_matching_is_that_of_matchit(lalonde):
    units = units_of("s24_cem")
    race = lalonde["race"].astype("category").cat.codes.to_numpy()
    codes = [coarsen(lalonde[name]) for name in NUMBERS]
    stratum = common_strata(combine_codes([race, *codes]), lalonde["treat"])
    np.testing.assert_array_equal(stratum, units["subclass"].fillna(0).astype(int) - 1)
    weight = set_weights(stratum, lalonde["treat"], estimand="ATT")
    np.testing.assert_allclose(weight, units["weights"], rtol=0, atol=DIGITS)


def test_exact_matching_is_that_of_matchit(lalonde):
    units = units_of("s27_exact")
    race = lalonde["race"].astype("category").cat.codes.to_numpy()
    cells = combine_codes([race, lalonde["married"], lalonde["nodegree"]])
    stratum = common_strata(cells, lalonde["treat"])
    np.testing.assert_array_equal(stratum, units["subclass"].fillna(0).astype(int) - 1)
    weight = set_weights(stratum, lalonde["treat"], estimand="ATT")
    np.testing.assert_allclose(weight, units["weights"], rtol=0, atol=DIGITS)


@pytest.mark.parametrize("column", ["ps", "rounded"])  # as fitted, and in whole 1e-12ths
def test_subclassification_is_that_of_matchit(lalonde, column):
    units = units_of("s22_subclass_att")
    score = lalonde["ps"] if column == "ps" else (lalonde["ps"] * 1e12).round()
    found = subclasses(score, lalonde["treat"], number=6, estimand="ATT", min_units=1)
    np.testing.assert_array_equal(found, units["subclass"] - 1)
    weight = set_weights(found, lalonde["treat"], estimand="ATT")
    np.testing.assert_allclose(weight, units["weights"], rtol=0, atol=DIGITS)


def test_weights_of_full_matching_sets_are_those_of_matchit():
    units = units_of("s34_full_att")
    weight = set_weights(units["subclass"] - 1, units["treat"], estimand="ATT")
    np.testing.assert_allclose(weight, units["weights"], rtol=0, atol=DIGITS)


@pytest.mark.parametrize(
    "spec",
    ["s04_nn21", "s05_nn31_replace", "s06_nn11_replace", "s08_nn11_exact", "s14_nn_varratio"],
)
def test_weights_of_pairs_are_those_of_matchit(spec):
    units = units_of(spec)
    pairs = pairs_of(spec, units["id"])
    weight = pair_weights(pairs, len(units), units["treat"] == 1)
    np.testing.assert_allclose(weight, units["weights"], rtol=0, atol=DIGITS)


# Bins


def by_search(x: np.ndarray, bins: int) -> np.ndarray:
    cuts = np.linspace(x.min(), x.max(), bins + 1)
    return np.clip(np.searchsorted(cuts, x, side="right") - 1, 0, bins - 1)


@given(
    st.lists(st.integers(-60, 60), min_size=2, max_size=40),
    st.integers(1, 30),
    st.sampled_from([1.0, 0.1, 1 / 3, 1e-7, 1e9]),
    st.sampled_from([0.0, 2015.0, -0.7]),
)
def test_bins_of_equal_width_are_those_of_a_search_among_cut_points(numbers, bins, scale, offset):
    x = np.array(numbers) * scale + offset
    if x.min() < x.max():
        np.testing.assert_array_equal(coarsen(x, bins=bins), by_search(x, bins))


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.7), (-1 / 3, 2.9), (2015.1, 2016.3)])
def test_values_at_and_next_to_cut_points_are_in_the_right_bin(low, high):
    for bins in range(1, 40):
        cuts = np.linspace(low, high, bins + 1)
        next_to = np.nextafter(cuts[1:], -np.inf), np.nextafter(cuts[:-1], np.inf)
        x = np.concatenate([cuts, *next_to])
        np.testing.assert_array_equal(coarsen(x, bins=bins), by_search(x, bins))


def test_bins_over_several_blocks_of_rows():
    x = np.concatenate([rng(1).normal(size=50_000), np.linspace(-3, 3, 7)])
    np.testing.assert_array_equal(coarsen(x, bins=12), by_search(x, 12))


def test_a_value_on_a_cut_point_belongs_to_the_upper_bin():
    assert coarsen([0, 1, 2, 3, 4], bins=2).tolist() == [0, 0, 1, 1, 1]
    assert coarsen([1, 2, 3, 9, -5], cut_points=(2, 3)).tolist() == [0, 1, 2, 2, 0]


@pytest.mark.parametrize("n", [2, 8, 9, 614])
def test_sturges(n):
    assert len(set(coarsen(np.arange(n)).tolist())) == min(n, math.ceil(math.log2(n) + 1))


@pytest.mark.parametrize("n", [10, 100, 1_000, 10_000, 100_000])
def test_scott_and_freedman_diaconis_follow_their_formulas(n):
    x = np.round(rng(2, n).normal(50, 10, size=n), 2)  # 4 digits: nothing is rounded away
    scott = math.ceil(np.ptp(x) / (3.5 * x.std(ddof=1) * n ** (-1 / 3)))
    np.testing.assert_array_equal(coarsen(x, rule="scott"), by_search(x, scott))
    freedman = len(np.histogram_bin_edges(x, bins="fd")) - 1
    np.testing.assert_array_equal(coarsen(x, rule="freedman_diaconis"), by_search(x, freedman))


def test_freedman_diaconis_rounds_to_five_digits():
    x = 100_000 + np.arange(101) / 100  # all 1.0000e5 or 1.0000e5: Scott's width steps in
    np.testing.assert_array_equal(coarsen(x, rule="freedman_diaconis"), coarsen(x, rule="scott"))


@pytest.mark.parametrize(("others", "parts"), [(20, 8), (10, 16)])
def test_freedman_diaconis_where_half_the_values_are_equal(others, parts):
    x = np.concatenate([np.zeros(100 - others), np.arange(1, others + 1)])
    low, high = np.quantile(x, [1 / parts, 1 - 1 / parts])
    width = (high - low) / (1 - 2 / parts)
    expected = math.ceil(np.ptp(x) / width * 100 ** (1 / 3))
    np.testing.assert_array_equal(coarsen(x, rule="freedman_diaconis"), by_search(x, expected))


def test_freedman_diaconis_where_almost_all_values_are_equal():
    x = np.zeros(2_000)
    x[0] = 1.0
    np.testing.assert_array_equal(coarsen(x, rule="freedman_diaconis"), coarsen(x, rule="scott"))


@pytest.mark.parametrize("rule", ["sturges", "scott", "freedman_diaconis"])
def test_equal_values_share_one_bin(rule):
    assert coarsen(np.full(5, 7.5), rule=rule).tolist() == [0] * 5
    assert coarsen(np.empty(0), rule=rule).tolist() == []


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, np.nan, 3.0], {}, "1 of 3 are missing or infinite"),
        ([1.0, np.inf, -np.inf], {}, "2 of 3 are missing or infinite"),
        ([[1.0, 2.0]], {}, "shape"),
        ([1.0, 2.0], {"bins": -1}, "bins, 1 or more, or cut_points"),
        ([1.0, 2.0], {"bins": 2, "cut_points": (1.5,)}, "bins, 1 or more, or cut_points"),
        ([1.0, 2.0], {"cut_points": (2.0, 1.0)}, "ascend"),
        ([1.0, 2.0], {"cut_points": (np.nan,)}, "finite"),
        ([1.0, 2.0], {"rule": "rice"}, "it must be sturges, scott or freedman_diaconis"),
        ([1.0, 2.0], {"bins": 1_000_001}, "at most 1,000,000 bins"),
        ([1.0, 1.0 + 1e-15], {"bins": 50}, "too close"),
        ([-1.7e308, 1.7e308], {}, "too large"),
    ],
)
def test_numbers_that_cannot_be_coarsened_are_refused(values, options, message):
    with np.errstate(over="ignore"), pytest.raises(MatchingError, match=message):
        coarsen(values, **options)


def test_an_outlier_that_makes_bins_meaningless_is_refused():
    x = np.append(np.arange(1_000.0), 1e12)
    with pytest.raises(MatchingError, match="very far from the others"):
        coarsen(x, rule="freedman_diaconis")


# Strata


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(-2, 3) | st.integers(-(2**62), 2**62), min_size=n, max_size=n),
            min_size=1,
            max_size=8,
        )
    )
)
def test_rows_share_a_stratum_if_they_share_all_codes(columns: Sequence[Sequence[int]]):
    rows = list(zip(*columns, strict=True))
    number = {row: place for place, row in enumerate(sorted(set(rows)))}
    assert combine_codes(columns).tolist() == [number[row] for row in rows]


def test_more_combinations_than_a_computer_word_can_number():
    codes = [rng(3, j).integers(0, 1_000, 5_000) for j in range(12)]
    again = np.concatenate([np.arange(5_000), np.arange(5_000)])
    stratum = combine_codes([code[again] for code in codes])
    np.testing.assert_array_equal(stratum[:5_000], stratum[5_000:])
    order = np.lexsort(codes[::-1])
    assert stratum[order].tolist() == list(range(5_000))


def test_codes_of_different_length_are_refused():
    for codes in ([], [[1, 2], [1]], [[[1]]]):
        with pytest.raises(MatchingError, match="combine_codes needs"):
            combine_codes(codes)


def test_strata_with_one_group_are_left_out_and_others_numbered_as_they_come():
    stratum = [5, 0, 5, 2, 0, 2, -1, -1, 7]
    treated = [1, 1, 0, 0, 1, 1, 1, 0, 0]
    assert common_strata(stratum, treated).tolist() == [0, -1, 0, 1, -1, 1, -1, -1, -1]


def test_no_stratum_may_be_common():
    assert common_strata([0, 0, 1], [1, 1, 0]).tolist() == [-1, -1, -1]
    assert set_weights([-1, -1], [1, 0], estimand="ATT").tolist() == [0, 0]
    assert common_strata([], []).tolist() == []


# Subclasses


def quantile_type_7(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share))


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_subclasses_are_cut_at_quantiles_of_the_estimands_group(estimand):
    score, treated = rng(4).normal(size=500), rng(5).integers(0, 2, 500)
    group = {"ATT": treated == 1, "ATC": treated == 0, "ATE": treated >= 0}[estimand]
    cuts = [quantile_type_7(score[group], j / 5) for j in range(1, 5)]
    expected = [sum(cut <= one for cut in cuts) for one in score]
    found = subclasses(score, treated, number=5, estimand=estimand, min_units=1)
    assert found.tolist() == expected


def test_a_quantile_that_is_a_score_belongs_to_the_upper_subclass():
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.3, 0.29999])  # five treated: quartiles are scores
    treated = [1, 1, 1, 1, 1, 0, 0]
    found = subclasses(score, treated, number=4, estimand="ATT", min_units=0)
    assert found.tolist() == [-1, 1, 2, -1, -1, 2, 1]


def test_short_subclasses_take_the_nearest_units_of_the_next():
    #         treated quartiles at 2, 4, 6; comparison units 5 + 1 + 0 + 2
    treated = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1] + [0] * 8)
    score = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0.1, 0.2, 0.3, 0.4, 1.9, 2.5, 6.5, 7.5])
    none = subclasses(score, treated, number=4, estimand="ATT", min_units=0)
    assert none[9:].tolist() == [0, 0, 0, 0, 0, 1, 3, 3]
    assert (none[(score >= 4) & (score < 6)] == -1).all()
    one = subclasses(score, treated, number=4, estimand="ATT", min_units=1)
    assert one[9:].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]  # 6.5 moves down: 1 has none to spare
    two = subclasses(score, treated, number=4, estimand="ATT", min_units=2)
    assert two[9:].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # 2.5 passed on, 1.9 after it
    assert two[:9].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]  # treated stay


def test_of_two_equally_near_subclasses_the_closer_unit_moves():
    treated = np.array([1] * 7 + [0] * 4)
    near_above = np.array([0, 1, 2, 3, 4, 5, 6, 0.5, 1.0, 4.2, 5.0])  # bounds 2 and 4
    found = subclasses(near_above, treated, number=3, estimand="ATT", min_units=1)
    assert found[7:].tolist() == [0, 0, 1, 2]
    near_below = np.array([0, 1, 2, 3, 4, 5, 6, 0.5, 1.9, 4.2, 5.0])
    found = subclasses(near_below, treated, number=3, estimand="ATT", min_units=1)
    assert found[7:].tolist() == [0, 1, 2, 2]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=8, max_size=60),
    st.integers(2, 5),
    st.integers(1, 2),
    st.sampled_from(["ATT", "ATC", "ATE"]),
)
def test_subclasses_have_enough_units_and_keep_the_order_of_scores(rows, number, least, estimand):
    score, treated = np.array(rows, dtype=float).T
    group_sizes = Counter(treated.tolist())
    if min(group_sizes[0], group_sizes[1]) < number * least:
        with pytest.raises(MatchingError, match="cannot be made"):
            subclasses(score, treated, number=number, estimand=estimand, min_units=least)
        return
    found = subclasses(score, treated, number=number, estimand=estimand, min_units=least)
    untouched = subclasses(score, treated, number=number, estimand=estimand, min_units=0)
    for one in (0, 1):
        mine = treated == one
        assert (np.bincount(found[mine], minlength=number) >= least).all()
        order = np.argsort(score[mine], kind="stable")
        assert (np.diff(found[mine][order]) >= 0).all()
    counts = [np.bincount(untouched[(treated == g) & (untouched >= 0)]) for g in (0, 1)]
    enough = all(len(one) == number and (one >= least).all() for one in counts)
    if enough:
        np.testing.assert_array_equal(found, untouched)


def test_subclasses_do_not_depend_on_the_order_of_rows():
    random = rng(6)
    score, treated = random.normal(size=80), (np.arange(80) < 30).astype(int)
    score[treated == 1] += 1.5
    found = subclasses(score, treated, number=6, estimand="ATT", min_units=3)
    order = random.permutation(80)
    moved = subclasses(score[order], treated[order], number=6, estimand="ATT", min_units=3)
    np.testing.assert_array_equal(moved, found[order])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 1}, "Ask for 2 or more"),
        ({"min_units": 4}, "the smaller group has 10 units"),
        ({"min_units": -1}, "cannot be made"),
        ({"estimand": "ATO"}, "'ATO'"),
        ({"score": np.full(20, np.nan)}, "finite scores"),
        ({"score": np.zeros(19)}, "one for each row"),
        ({"treated": np.arange(20)}, "0 or 1"),
        ({"treated": np.ones(20)}, "the smaller group has 0 units"),
    ],
)
def test_subclasses_that_cannot_be_made_are_refused(change, message):
    data = {"score": np.arange(20.0), "treated": np.arange(20) % 2}
    data |= {"number": 3, "estimand": "ATT", "min_units": 1} | change
    score, treated = data.pop("score"), data.pop("treated")
    with pytest.raises(MatchingError, match=message):
        subclasses(score, treated, **data)


# Weights of sets


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 1)), min_size=1, max_size=40),
    st.sampled_from(["ATT", "ATC", "ATE"]),
)
def test_sets_have_one_share_in_both_groups(rows, estimand):
    sets, treated = np.array(rows).T
    weight = set_weights(sets, treated, estimand=estimand)
    shares = {}
    for one in (0, 1):
        mine = weight * (treated == one)
        if mine.any():
            assert math.isclose(mine[mine > 0].mean(), 1, rel_tol=ROUND)
            shares[one] = np.bincount(sets[sets >= 0], mine[sets >= 0], minlength=5) / mine.sum()
    common = {s for s in range(5) if {(s, 0), (s, 1)} <= set(rows)}
    np.testing.assert_array_equal(weight > 0, np.isin(sets, list(common)))
    if common:
        np.testing.assert_allclose(shares[0], shares[1], atol=ROUND)
        members = {"ATT": treated == 1, "ATC": treated == 0, "ATE": treated >= 0}[estimand]
        counts = np.bincount(sets[members & (weight > 0)], minlength=5)
        np.testing.assert_allclose(shares[0], counts / counts.sum(), atol=ROUND)


def test_weights_of_two_sets_by_hand():
    sets, treated = [0, 0, 0, 1, 1, 1, -1], [1, 0, 0, 1, 1, 0, 1]
    att = set_weights(sets, treated, estimand="ATT")
    np.testing.assert_allclose(att, [1, 0.5, 0.5, 1, 1, 2, 0])
    atc = set_weights(sets, treated, estimand="ATC")
    np.testing.assert_allclose(atc, [2, 1, 1, 0.5, 0.5, 1, 0])
    ate = set_weights(sets, treated, estimand="ATE")
    np.testing.assert_allclose(ate, [1.5, 0.75, 0.75, 0.75, 0.75, 1.5, 0])


def test_weights_of_pairs_by_hand():
    # rows 0 to 2 choose: 0 has 3 and 4, 1 has 3 only, 2 none; scaled by 3 units / total 2
    pairs = Pairs(np.array([0, 0, 1]), np.array([1, 2, 1]), np.array([3, 4, 3]), np.zeros(3))
    focal = np.array([True, True, True, False, False, False])
    np.testing.assert_allclose(pair_weights(pairs, 6, focal), [1, 1, 0, 1.5, 0.5, 0])


def test_no_pairs_no_weights():
    nothing = np.empty(0, dtype=np.int64)
    pairs = Pairs(nothing, nothing, nothing, np.empty(0))
    assert pair_weights(pairs, 2, [True, False]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: set_weights([0, 0], [1, 0, 0], estimand="ATT"), "shape"),
        (lambda: set_weights([0, 0], [1, 2], estimand="ATT"), "0 or 1"),
        (lambda: set_weights([0, 0], [1, 0], estimand="ATO"), "ATT, ATC or ATE"),
        (lambda: common_strata([0, 0], [1, 0, 0]), "shape"),
        (
            lambda: pair_weights(
                Pairs(np.array([0]), np.array([1]), np.array([1]), np.zeros(1)), 2, [True, True]
            ),
            "a focal row and another row",
        ),
    ],
)
def test_unusable_sets_are_refused(call, message):
    with pytest.raises(MatchingError, match=message):
        call()
