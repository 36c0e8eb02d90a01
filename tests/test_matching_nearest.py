"""The compiled loops against plain definitions, on small cases full of ties."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from homevisit_eval.matching.nearest import (
    IN_USE,
    MATCHED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
    nearest_by_key,
    nearest_in_data_order,
)

Case = tuple[list[int], list[int], list[int], int]

rows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30
)


def scan_outward(score, treated, stratum, caliper):
    """MatchIt's rule, spelled out: all sorted positions, one step left, one step right."""
    partner = [-1] * len(score)
    for cell in set(stratum):
        members = [i for i in range(len(score)) if stratum[i] == cell]
        ordered = sorted(members, key=lambda i: score[i])  # stable
        focal = sorted((i for i in members if treated[i]), key=lambda i: -score[i])  # stable
        for i in focal:
            at = ordered.index(i)
            best, best_distance = -1, None
            for step in range(1, len(ordered)):
                for place in (at - step, at + step):
                    if not 0 <= place < len(ordered):
                        continue
                    j = ordered[place]
                    distance = abs(score[i] - score[j])
                    free = not treated[j] and partner[j] < 0 and distance <= caliper
                    if free and (best_distance is None or distance < best_distance):
                        best, best_distance = j, distance
            if best >= 0:
                partner[i], partner[best] = best, i
    return partner


def first_of_the_nearest(score, treated, stratum, caliper):
    """Our rule, spelled out: the nearest free comparison row, and of these the first."""
    partner = [-1] * len(score)
    everyone = range(len(score))
    for i in sorted((i for i in everyone if treated[i]), key=lambda i: (-score[i], i)):
        allowed = [
            (abs(score[i] - score[j]), j)
            for j in everyone
            if not treated[j]
            and partner[j] < 0
            and stratum[j] == stratum[i]
            and abs(score[i] - score[j]) <= caliper
        ]
        if allowed:
            partner[i], partner[min(allowed)[1]] = min(allowed)[1], i
    return partner


@settings(max_examples=400, deadline=None)
@given(rows, st.sampled_from([0, 1, 2, 100]))
def test_data_order_is_the_outward_scan(units, caliper):
    score, treated, stratum = map(list, zip(*units, strict=True))
    found = nearest_in_data_order(score, treated, stratum, caliper=caliper)
    assert found.partner.tolist() == scan_outward(score, treated, stratum, caliper)


@settings(max_examples=400, deadline=None)
@given(rows, st.sampled_from([0, 1, 2, None]))
def test_by_key_takes_the_first_of_the_nearest(units, caliper):
    score, treated, stratum = map(list, zip(*units, strict=True))
    found = nearest_by_key(score, treated, stratum, caliper=caliper)
    limit = 100 if caliper is None else caliper
    assert found.partner.tolist() == first_of_the_nearest(score, treated, stratum, limit)


@settings(max_examples=200, deadline=None)
@given(rows, st.sampled_from([0, 1, 100]))
def test_reasons_and_ties_are_as_defined(units, caliper):
    score, treated, stratum = map(np.array, zip(*units, strict=True))
    found = nearest_by_key(score, treated, stratum, caliper=caliper)
    for i in np.flatnonzero(treated == 1):
        there = (treated == 0) & (stratum == stratum[i])
        near = there & (np.abs(score - score[i]) <= caliper)
        if found.partner[i] >= 0:
            expected = MATCHED
        elif not there.any():
            expected = NOT_IN_STRATUM
        else:
            expected = IN_USE if near.any() else OUTSIDE_CALIPER
        assert found.reason[i] == expected
    cells = list(zip(score, stratum, strict=True))
    assert found.tied == sum(cells.count(cell) > 1 for cell in cells)


def test_the_caliper_is_inclusive():
    assert nearest_in_data_order([0.5, 0.25], [1, 0], [0, 0], caliper=0.25).partner[0] == 1
    below = np.nextafter(0.25, 0)
    assert nearest_in_data_order([0.5, 0.25], [1, 0], [0, 0], caliper=below).partner[0] == -1
    assert nearest_by_key([5, 2], [1, 0], [0, 0], caliper=3).partner[0] == 1
    assert nearest_by_key([5, 2], [1, 0], [0, 0], caliper=2).partner[0] == -1


def test_the_two_rules_differ_where_they_should():
    # Row 0 is equally far from rows 1 and 2; the treated row 3 stands between it and row 1.
    score, treated, stratum = [2, 1, 3, 2], [1, 0, 0, 1], [0, 0, 0, 0]
    assert nearest_by_key(score, treated, stratum).partner.tolist() == [1, 0, 3, 2]
    score, treated, stratum = [3, 1, 2, 2, 5], [1, 0, 1, 1, 0], [0] * 5
    assert nearest_in_data_order(score, treated, stratum).partner[0] == 4
    assert nearest_by_key(score, treated, stratum).partner[0] == 1


def test_types_and_memory_layout_do_not_matter():
    units = np.arange(12).reshape(6, 2)[:, 0] % 5
    treated = np.array([True, False] * 3)
    first = nearest_in_data_order(units.astype("float32"), treated, np.zeros(6, "int8"))
    second = nearest_in_data_order(list(map(float, units)), treated.astype(float), [0] * 6)
    np.testing.assert_array_equal(first.partner, second.partner)


def test_no_rows_and_one_group():
    assert nearest_in_data_order([], [], []).partner.tolist() == []
    assert nearest_by_key([1, 2], [1, 1], [0, 0]).reason.tolist() == [NOT_IN_STRATUM] * 2
    assert nearest_by_key([1, 2], [0, 0], [0, 0]).partner.tolist() == [-1, -1]


def test_without_a_cache_folder_it_still_compiles(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    code = (
        "from homevisit_eval.matching.nearest import nearest_by_key;"
        "assert nearest_by_key([1, 2], [1, 0], [0, 0]).partner.tolist() == [1, 0]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(blocked / "inside")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
