"""Cardinality matching against every subset of small cases, and balance from scratch."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import homevisit_eval.matching.cardinality.integer_program as integer_program
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.cardinality import largest_balanced

LALONDE = Path(__file__).parent / "reference" / "matchit" / "lalonde_with_ps.csv"

SURE = 1e-12  # rounding of a mean of at most ten small numbers
SOLVER = 2e-6  # SDs; what the solver's tolerance may add


def spreads(X: NDArray, treated: NDArray, estimand: str) -> NDArray:
    """Return each column's standard deviation, written out."""

    def one(x: NDArray) -> float:
        if set(x) <= {0, 1}:
            return float(np.sqrt(x.mean() * (1 - x.mean())))
        return float(np.std(x, ddof=1)) if len(x) > 1 else 0.0

    sds = {group: np.array([one(column[treated == group]) for column in X.T]) for group in (0, 1)}
    pooled = np.sqrt((sds[0] ** 2 + sds[1] ** 2) / 2)
    return {"ATT": sds[1], "ATC": sds[0], "ATE": pooled}[estimand]


def is_balanced(gap: NDArray, sd: NDArray, tolerance: float, slack: float) -> NDArray:
    return (np.abs(gap) <= tolerance * sd + slack).all(axis=-1)


def largest_by_trying(X, treated, stratum, estimand, ratio, tolerance, slack) -> int:
    """Return the size of the largest balanced sample among all subsets; 0 without one."""
    n = len(X)
    sets = np.array(list(product([False, True], repeat=n)))
    first, second = sets & (treated == 1), sets & (treated == 0)
    m1, m0 = first.sum(1), second.sum(1)
    with np.errstate(invalid="ignore"):
        mean1, mean0 = first @ X / m1[:, None], second @ X / m0[:, None]
    sd = spreads(X, treated, estimand)
    if ratio:
        fine = (m1 > 0) & is_balanced(mean1 - mean0, sd, tolerance, slack)
        for s in np.unique(stratum):
            fine &= ratio * (first & (stratum == s)).sum(1) == (second & (stratum == s)).sum(1)
    else:
        target = {"ATT": X[treated == 1], "ATC": X[treated == 0], "ATE": X}[estimand].mean(0)
        fine = np.ones(len(sets), dtype=bool)
        for focal, mean, m, group in (("ATT", mean1, m1, 1), ("ATC", mean0, m0, 0)):
            if focal == estimand:
                fine &= m == (treated == group).sum()
            else:
                fine &= (m > 0) & is_balanced(mean - target, sd, tolerance, slack)
    return int((m1 + m0)[fine].max(initial=0))


@st.composite
def small_cases(draw):
    n, p = draw(st.integers(2, 9)), draw(st.integers(1, 3))
    treated = np.array(
        draw(
            st.permutations(
                [0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))]
            )
        )
    )
    columns = [
        draw(st.lists(st.integers(0, draw(st.sampled_from([1, 2, 6]))), min_size=n, max_size=n))
        for _ in range(p)
    ]
    ratio = draw(st.integers(0, 3))
    strata = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    return {
        "X": np.array(columns, dtype=float).T,
        "treated": treated,
        "stratum": np.array(draw(strata)) if ratio and draw(st.booleans()) else np.zeros(n, int),
        "estimand": draw(st.sampled_from(["ATT", "ATC", "ATE"])),
        "ratio": ratio,
        "tolerance": draw(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0])),
    }


@pytest.mark.parametrize("freed", [(500, 5_000), (1, 3)], ids=["whole program", "in steps"])
@settings(max_examples=150)
@given(case=small_cases())
def test_no_subset_is_larger_and_balanced(freed, case):
    fewest, most = (largest_by_trying(*case.values(), slack) for slack in (SURE, 6 * SOLVER))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integer_program, "FREED", freed)
        if most == 0:
            with pytest.raises(MatchingError, match="cardinality matching: no "):
                largest_balanced(**case)
            return
        choice = largest_balanced(**case)
    assert fewest <= choice.size == choice.chosen.sum() <= most
    assert (choice.optimal, choice.gap, choice.upper_bound) == (True, 0.0, choice.size)
    check_choice(choice.chosen, **case)


def check_choice(chosen, X, treated, stratum, estimand, ratio, tolerance):
    """Recompute what the chosen rows must fulfil."""
    first, second = chosen & (treated == 1), chosen & (treated == 0)
    sd = spreads(X, treated, estimand)
    scale = np.where(sd > 0, sd, np.ptp(X, axis=0))
    if ratio:
        for s in np.unique(stratum):
            assert ratio * (first & (stratum == s)).sum() == (second & (stratum == s)).sum()
        gaps = [X[first].mean(0) - X[second].mean(0)]
    else:
        target = {"ATT": X[treated == 1], "ATC": X[treated == 0], "ATE": X}[estimand].mean(0)
        gaps = [X[first].mean(0) - target, X[second].mean(0) - target]
    for gap in gaps:
        assert (np.abs(gap) <= tolerance * sd + SOLVER * scale).all()


def lalonde(*, factors: bool = True) -> tuple[NDArray, NDArray, pd.DataFrame]:
    """Return the seven covariates of s01 as nine columns, who is treated, and the frame."""
    frame = pd.read_csv(LALONDE)
    numbers = frame[["age", "educ", "married", "nodegree", "re74", "re75"]]
    X = pd.concat([numbers, pd.get_dummies(frame["race"])], axis=1) if factors else numbers
    return X.to_numpy(dtype=float), frame["treat"].to_numpy(), frame


@pytest.mark.parametrize(
    ("tolerance", "ratio", "treated"),
    [(0.01, 1, 116), (0.05, 1, 118), (0.1, 1, 120), (0.05, 2, 73), (0.05, 3, 59)],
)
def test_lalonde_with_a_ratio(tolerance, ratio, treated):
    X, group, _ = lalonde()
    options = {"estimand": "ATT", "ratio": ratio, "tolerance": tolerance}
    choice = largest_balanced(X, group, np.zeros(len(X)), **options)
    assert choice.optimal
    assert choice.size == (1 + ratio) * treated
    assert (choice.chosen & (group == 1)).sum() == treated
    check_choice(choice.chosen, X, group, np.zeros(len(X)), **options)


def test_lalonde_within_strata():
    X, group, frame = lalonde(factors=False)
    stratum = pd.factorize(frame["race"] + frame["married"].astype(str))[0]
    options = {"estimand": "ATE", "ratio": 1, "tolerance": 0.02}
    choice = largest_balanced(X, group, stratum, **options)
    assert choice.optimal
    check_choice(choice.chosen, X, group, stratum, **options)
    assert choice.size < largest_balanced(X, group, 0 * stratum, **options).size


def test_lalonde_keeps_all_treated_for_a_profile():
    X, group, _ = lalonde()
    options = {"estimand": "ATT", "ratio": 0, "tolerance": 0.1}
    choice = largest_balanced(X, group, np.zeros(len(X)), **options)
    assert choice.chosen[group == 1].all()
    assert (choice.size, choice.optimal) == (185 + 106, True)
    check_choice(choice.chosen, X, group, np.zeros(len(X)), **options)


def test_the_result_is_the_same_every_time_and_shows_no_rows():
    X, group, _ = lalonde()
    first, again = (largest_balanced(X, group, np.zeros(len(X))) for _ in range(2))
    assert (first.chosen == again.chosen).all()
    assert repr(first) == "CardinalityChoice(236 rows, the largest)"


def test_of_identical_rows_the_first_are_chosen():
    X = np.array([0, 1, 0, 1, 0, 0, 1, 0, 1.0])[:, None]
    group = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0])
    choice = largest_balanced(X, group, np.zeros(9), tolerance=0.0)
    assert np.flatnonzero(choice.chosen).tolist() == [0, 1, 2, 4, 5, 6]


def test_many_identical_rows_make_a_small_program():
    r = np.random.Generator(np.random.PCG64(np.random.SeedSequence([41])))
    X = r.integers(0, 3, (20_000, 3)).astype(float)
    group = (r.random(20_000) < 0.05 + 0.1 * X[:, 0]).astype(int)
    options = {"estimand": "ATT", "ratio": 2, "tolerance": 0.01}
    choice = largest_balanced(X, group, np.zeros(20_000), **options)
    assert choice.optimal
    check_choice(choice.chosen, X, group, np.zeros(20_000), **options)


def test_without_covariates_as_many_as_the_ratio_allows():
    group = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    choice = largest_balanced(np.empty((8, 0)), group, np.zeros(8), ratio=2)
    assert np.flatnonzero(choice.chosen).tolist() == [0, 1, 3, 4, 5, 6]


def test_a_column_that_does_not_vary_among_the_treated_must_be_equal():
    X = np.array([1, 1, 1, 1, 0, 0.0])[:, None]
    group = np.array([1, 1, 0, 0, 0, 0])
    for ratio, size in ((1, 4), (2, 3), (0, 4)):
        choice = largest_balanced(X, group, np.zeros(6), ratio=ratio, tolerance=1.0)
        assert not choice.chosen[4:].any()
        assert choice.size == size


def test_whose_standard_deviation_is_meant():
    X = np.array([0, 4, 1, 2, 3, 8.0])[:, None]  # SDs 2.8 and 3.1; pooled between
    group = np.array([1, 1, 0, 0, 0, 0])
    gap = abs(2 - X[2:].mean())
    for estimand, sd in (("ATT", np.sqrt(8)), ("ATC", X[2:].std(ddof=1))):
        tight, wide = 0.999 * gap / sd, 1.001 * gap / sd
        sizes = [
            largest_balanced(X, group, np.zeros(6), estimand=estimand, ratio=2, tolerance=t).size
            for t in (tight, wide)
        ]
        assert sizes[0] < sizes[1] == 6


def hurried(solve, largest: int):
    """Return a solver that finds at most `largest` treated rows when its time is over."""

    def milp(c, *, constraints, **arguments):
        worse = [constraints, integer_program.LinearConstraint(-c[None], 0, largest)]
        result = solve(c, constraints=worse, **arguments)
        result.status, result.mip_dual_bound = 1, -119.9
        return result

    return milp


def test_the_gap_is_told_when_the_solver_stops_early(monkeypatch):
    monkeypatch.setattr(integer_program, "FREED", ())
    monkeypatch.setattr(integer_program, "milp", hurried(integer_program.milp, 117))
    X, group, _ = lalonde()
    choice = largest_balanced(X, group, np.zeros(len(X)))
    assert (choice.size, choice.optimal) == (2 * 117, False)
    assert choice.upper_bound == 2 * 118  # the relaxation's bound is better than the solver's
    assert choice.gap == pytest.approx(1 / 118)
    assert repr(choice) == "CardinalityChoice(234 rows, within 0.8% of the largest)"


def test_a_relative_gap_stops_the_search(monkeypatch):
    """The first program finds two less than possible; the second is not needed if that will do."""
    calls = []
    patched = hurried(integer_program.milp, 115)
    monkeypatch.setattr(integer_program, "FREED", (579,))  # of 580
    monkeypatch.setattr(
        integer_program, "milp", lambda *a, **k: calls.append(1) or patched(*a, **k)
    )
    X, group, _ = lalonde()
    choice = largest_balanced(X, group, np.zeros(len(X)), relative_gap=0.05)
    assert (0 < choice.gap <= 0.05, len(calls)) == (True, 1)
    largest_balanced(X, group, np.zeros(len(X)), relative_gap=0.001)
    assert len(calls) == 3


def test_whole_numbers_bind_in_small_strata(monkeypatch):
    """Two times 5 comparison rows have room for 2 treated rows at a ratio of 3, not for 10 / 3.

    The relaxation knows it, so that the first program, in which one variable is held, is enough.
    """
    calls = []
    solve = integer_program.milp
    monkeypatch.setattr(integer_program, "FREED", (13,))
    monkeypatch.setattr(integer_program, "milp", lambda *a, **k: calls.append(1) or solve(*a, **k))
    group = np.tile([1, 1, 0, 0, 0, 0, 0], 2)
    X = np.arange(14.0)[:, None]
    choice = largest_balanced(X, group, np.arange(14) // 7, ratio=3, tolerance=1.0)
    assert (choice.size, choice.upper_bound, len(calls)) == (8, 8, 1)


def test_no_solution_in_time_is_no_proof(monkeypatch):
    X, group, _ = lalonde()
    solve = integer_program.linprog

    def late(*arguments, **options):
        return solve(*arguments, **{**options, "options": {"time_limit": 0.0}})

    monkeypatch.setattr(integer_program, "linprog", late)
    with pytest.raises(MatchingError, match="within 5 seconds the solver did not find out whether"):
        largest_balanced(X, group, np.zeros(len(X)), time_limit=5)


SQUARE = np.arange(6.0)[:, None] ** 2
HALF = np.array([1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": SQUARE[:5]}, r"X has shape \(5, 1\), treated \(6,\)"),
        ({"X": np.where(SQUARE == 4, np.nan, SQUARE)}, "1 values of covariates are missing"),
        ({"treated": np.zeros(6)}, "there is no treated unit"),
        ({"treated": np.ones(6)}, "there is no comparison unit"),
        ({"stratum": HALF}, "no stratum of the exact columns has a treated unit and 1 comparison"),
        ({"stratum": HALF, "ratio": 0}, "ratio must be 1 or more"),
        ({"ratio": 4}, "no stratum of the exact columns has a treated unit and 4 comparison"),
        ({}, "no sample with 1 comparison for each treated unit has all means of 1 columns within"),
        ({"ratio": 0}, "no part of the comparison units has all means of 1 columns within 0.05"),
        ({"ratio": 0, "estimand": "ATC"}, "no part of the treated units has"),
    ],
)
def test_what_cannot_be_chosen_is_said(arguments, message):
    given = {"X": SQUARE, "treated": HALF, "stratum": np.zeros(6), **arguments}
    with pytest.raises(MatchingError, match=message):
        largest_balanced(given.pop("X"), given.pop("treated"), given.pop("stratum"), **given)
