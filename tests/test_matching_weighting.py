"""Weights: closed forms, exact balance, an independent optimizer, known effects recovered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.weighting import (
    EntropyBalance,
    entropy_balancing,
    entropy_balancing_weights,
    inverse_probability_weights,
    overlap_weights,
)
from homevisit_eval.propensity import fit_propensity

ROUND = 1e-12
CONVERGED = 1e-8  # the default tolerance of entropy balancing
OPTIMIZER = 1e-5  # SLSQP stops there


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([34, *key])))


def draw(n: int, k: int, *key: int) -> tuple[np.ndarray, np.ndarray]:
    random = rng(n, k, *key)
    X = random.normal(size=(n, k))
    X[:, -1] = X[:, -1] > 0.3
    eta = -0.5 + X @ random.normal(scale=0.5, size=k)
    return X, (random.random(n) < 1 / (1 + np.exp(-eta))).astype(int)


def means(X: np.ndarray, treated: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    groups = (np.average(X[treated == g], axis=0, weights=weight[treated == g]) for g in (1, 0))
    return tuple(groups)  # type: ignore[return-value]


# A 2 x 2 table: 6 treated and 2 comparison units with x = 1, 3 and 9 with x = 0

TABLE_X = np.repeat([1.0, 1.0, 0.0, 0.0], [6, 2, 3, 9])
TABLE_TREATED = np.repeat([1, 0, 1, 0], [6, 2, 3, 9])
TABLE_SCORE = np.where(TABLE_X == 1, 6 / 8, 3 / 12)


@pytest.mark.parametrize(
    ("estimand", "by_cell"),
    [
        ("ATT", [1, 6 / 2, 1, 3 / 9]),
        ("ATC", [2 / 6, 1, 9 / 3, 1]),
        ("ATE", [8 / 6, 8 / 2, 12 / 3, 12 / 9]),
    ],
)
def test_inverse_probability_weights_of_a_table(estimand, by_cell):
    weight = inverse_probability_weights(TABLE_SCORE, TABLE_TREATED, estimand=estimand)
    np.testing.assert_allclose(weight, np.repeat(by_cell, [6, 2, 3, 9]), rtol=ROUND)
    treated_mean, comparison_mean = means(TABLE_X, TABLE_TREATED, weight)
    target = {"ATT": 6 / 9, "ATC": 2 / 11, "ATE": 8 / 20}[estimand]
    np.testing.assert_allclose([treated_mean, comparison_mean], target, rtol=ROUND)


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_one_binary_covariate_has_the_same_weights_by_entropy_balancing(estimand):
    by_score = inverse_probability_weights(TABLE_SCORE, TABLE_TREATED, estimand=estimand)
    found = entropy_balancing_weights(TABLE_X[:, None], TABLE_TREATED, estimand=estimand)
    for group in (0, 1):
        mine = group == TABLE_TREATED
        np.testing.assert_allclose(
            found.weights[mine], by_score[mine] / by_score[mine].mean(), atol=1e-7
        )


def test_overlap_weights_of_a_table():
    weight = overlap_weights(TABLE_SCORE, TABLE_TREATED)
    np.testing.assert_allclose(weight, np.repeat([1 / 4, 3 / 4, 3 / 4, 1 / 4], [6, 2, 3, 9]))
    share = (8 * 3 / 16) / (8 * 3 / 16 + 12 * 3 / 16)  # units count by p (1 - p)
    np.testing.assert_allclose(means(TABLE_X, TABLE_TREATED, weight), share, rtol=ROUND)


# Inverse probability weights


def test_the_largest_weights_are_cut_at_the_quantile_of_their_group():
    p, treated = np.arange(1, 21) / 21, np.tile([1, 0], 10)
    whole = inverse_probability_weights(p, treated, estimand="ATE")
    cut = inverse_probability_weights(p, treated, estimand="ATE", truncate=0.8)
    for group in (0, 1):
        mine = treated == group
        bound = np.sort(whole[mine])[7]  # the 8th of 10 is reached by 80 %
        np.testing.assert_allclose(cut[mine], np.minimum(whole[mine], bound), rtol=0)
        assert (cut[mine] < whole[mine]).sum() == 2


def test_sampling_weights_count_as_units_in_the_quantile():
    p, treated = rng(1).uniform(0.05, 0.95, 60), np.arange(60) % 2
    times = np.where(p > 0.7, 9, np.where(p < 0.2, 5, 1))  # the long weights count for more
    cut = inverse_probability_weights(
        p, treated, estimand="ATE", truncate=0.8, sampling_weights=times
    )
    repeated = inverse_probability_weights(
        np.repeat(p, times), np.repeat(treated, times), estimand="ATE", truncate=0.8
    )
    np.testing.assert_array_equal(np.repeat(cut, times), repeated)
    alone = inverse_probability_weights(p, treated, estimand="ATT", sampling_weights=times)
    np.testing.assert_array_equal(
        alone, inverse_probability_weights(p, treated, estimand="ATT")
    )  # not multiplied in


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": [0.5, 1.0, 0.2]}, "1 of 3 are not"),
        ({"probability": [0.5, np.nan, 0.0]}, "2 of 3 are not"),
        ({"probability": [0.5, 0.5]}, "shape"),
        ({"treated": [1, 1, 1]}, "both groups"),
        ({"treated": [1, 0, 2]}, "0 or 1"),
        ({"estimand": "ATO"}, "ATT, ATC or ATE"),
        ({"truncate": 0.5}, "above 0.5 and below 1"),
        ({"truncate": 1.0}, "above 0.5 and below 1"),
        ({"truncate": 0.9, "sampling_weights": [1, 1]}, "one sampling weight"),
        ({"truncate": 0.9, "sampling_weights": [1, -1, 1]}, "one sampling weight"),
        ({"truncate": 0.9, "sampling_weights": [0, 1, 1]}, "one above 0 in each group"),
    ],
)
def test_unusable_probabilities_are_refused(change, message):
    data = {"probability": [0.5, 0.5, 0.5], "treated": [1, 0, 0], "estimand": "ATT"} | change
    with pytest.raises(MatchingError, match=message):
        inverse_probability_weights(data.pop("probability"), data.pop("treated"), **data)


# Overlap weights


@pytest.mark.parametrize("weighted", [False, True])
def test_overlap_weights_of_a_logit_make_all_means_equal(weighted):
    X, treated = draw(800, 4, 2)
    share = rng(3).gamma(2.0, size=800) if weighted else np.ones(800)
    design = np.column_stack([np.ones(800), X])
    fit = fit_propensity(design, treated, "logit", share if weighted else None)
    weight = overlap_weights(fit.probability, treated) * share
    np.testing.assert_allclose(*means(X, treated, weight), atol=1e-7)
    probit = fit_propensity(design, treated, "probit").probability
    left = np.subtract(*means(X, treated, overlap_weights(probit, treated)))
    assert np.abs(left).max() > 1e-5  # a property of the logit


# Entropy balancing


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
@pytest.mark.parametrize("weighted", [False, True])
def test_means_are_equal_afterwards_and_those_of_the_target(estimand, weighted):
    X, treated = draw(900, 5, 4)
    base = rng(5).gamma(2.0, size=900) if weighted else None
    share = np.ones(900) if base is None else base
    found = entropy_balancing_weights(X, treated, estimand=estimand, base_weights=base)
    members = {"ATT": treated == 1, "ATC": treated == 0, "ATE": treated >= 0}[estimand]
    target = np.average(X[members], axis=0, weights=share[members])
    for mean in means(X, treated, found.weights):
        np.testing.assert_allclose(mean, target, atol=2 * CONVERGED)
    spread = {
        "ATT": X[treated == 1].std(axis=0),
        "ATC": X[treated == 0].std(axis=0),
        "ATE": np.sqrt((X[treated == 1].var(axis=0) + X[treated == 0].var(axis=0)) / 2),
    }[estimand]
    left = np.abs(np.subtract(*means(X, treated, found.weights))) / spread
    assert found.largest_difference <= CONVERGED
    assert found.iterations <= 6  # Newton's method doubles the digits
    if not weighted:
        np.testing.assert_allclose(found.largest_difference, left.max(), rtol=0.05, atol=1e-13)
    assert (found.weights > 0).all()
    for group in (0, 1):
        mine = treated == group
        if estimand == "ATE" or (estimand == "ATT") == (group == 0):
            np.testing.assert_allclose(found.weights[mine].mean(), 1, rtol=ROUND)
        else:
            np.testing.assert_array_equal(found.weights[mine], share[mine])


def primal(rows: np.ndarray, base: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Minimize the entropy itself, by another algorithm."""
    base = base / base.sum()
    done = minimize(
        lambda w: (w * np.log(w / base)).sum(),
        np.full(len(rows), 1 / len(rows)),
        jac=lambda w: np.log(w / base) + 1,
        bounds=[(1e-12, 1)] * len(rows),
        constraints=[
            {"type": "eq", "fun": lambda w: w @ rows - target, "jac": lambda _: rows.T},
            {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    assert done.success
    return np.asarray(done.x)


@pytest.mark.parametrize("seed", range(6))
def test_no_other_weights_with_these_means_are_nearer_to_the_base_weights(seed):
    random = rng(6, seed)
    X = random.normal(size=(30, 2))
    treated = (np.arange(30) < 8).astype(int)
    X[treated == 1] += 0.4
    base = random.uniform(0.5, 2, size=30)
    found = entropy_balancing_weights(X, treated, estimand="ATT", base_weights=base)
    target = np.average(X[treated == 1], axis=0, weights=base[treated == 1])
    oracle = primal(X[treated == 0], base[treated == 0], target)
    np.testing.assert_allclose(found.weights[treated == 0] / 22, oracle, atol=OPTIMIZER)


def test_units_and_offsets_of_columns_do_not_matter():
    X, treated = draw(400, 3, 7)
    moved = X * [1e-6, 1e6, 1] + [2_015, -3e6, 5]
    one = entropy_balancing_weights(X, treated, estimand="ATT")
    other = entropy_balancing_weights(moved, treated, estimand="ATT")
    np.testing.assert_allclose(other.weights, one.weights, atol=1e-5)
    assert other.largest_difference <= CONVERGED


def test_collinear_and_constant_columns_do_not_matter():
    X, treated = draw(400, 3, 8)
    more = np.column_stack([X, X[:, 0] - 2 * X[:, 1] + 3, np.full(400, 4.0), X[:, 2]])
    one = entropy_balancing_weights(X, treated, estimand="ATE")
    other = entropy_balancing_weights(more, treated, estimand="ATE")
    np.testing.assert_allclose(other.weights, one.weights, atol=1e-9)


def test_columns_collinear_in_the_reweighted_group_only_are_not_forgotten():
    X, treated = draw(300, 2, 9)
    twin = np.where(treated == 1, X[:, 0] + 0.1, X[:, 0])
    with pytest.raises(MatchingError, match="outside the convex hull"):
        entropy_balancing_weights(np.column_stack([X, twin]), treated, estimand="ATT")


def test_units_of_base_weight_0_get_none():
    X, treated = draw(300, 2, 10)
    base = (np.arange(300) % 3 > 0).astype(float)
    found = entropy_balancing_weights(X, treated, estimand="ATE", base_weights=base)
    alone = entropy_balancing_weights(X[base > 0], treated[base > 0], estimand="ATE")
    assert (found.weights[base == 0] == 0).all()
    np.testing.assert_allclose(found.weights[base > 0], alone.weights, atol=1e-9)


def test_no_columns_leave_the_base_weights():
    found = entropy_balancing_weights(np.empty((4, 0)), [1, 0, 0, 1], estimand="ATT")
    assert found.weights.tolist() == [1, 1, 1, 1]
    assert found.largest_difference == 0


def test_long_tails_need_shorter_steps():
    random = rng(17)
    X = np.exp(1.5 * random.normal(size=(300, 2)))
    treated = (np.arange(300) < 40).astype(int)
    X[treated == 1] *= 1.3
    found = entropy_balancing_weights(X, treated, estimand="ATT")
    assert found.largest_difference <= CONVERGED
    assert found.iterations < 12


def test_a_target_on_the_edge_of_the_hull_is_reached_within_the_tolerance():
    X, treated = draw(400, 3, 11)
    X[treated == 1, 2] = 1.0  # all treated have it: comparison units without it lose their weight
    found = entropy_balancing_weights(X, treated, estimand="ATT")
    assert found.largest_difference <= CONVERGED
    assert found.weights[(treated == 0) & (X[:, 2] == 0)].max() < 1e-6


def test_fewer_tolerance_more_iterations():
    X, treated = draw(400, 3, 12)
    rough = entropy_balancing_weights(X, treated, estimand="ATT", tolerance=1e-2)
    exact = entropy_balancing_weights(X, treated, estimand="ATT", tolerance=1e-12)
    assert rough.iterations < exact.iterations
    assert exact.largest_difference <= 1e-12 < rough.largest_difference <= 1e-2


# Entropy balancing that cannot be done


def hull_holds(rows: np.ndarray, target: np.ndarray) -> bool:
    equations = np.vstack([rows.T, np.ones(len(rows))])
    found = linprog(np.zeros(len(rows)), A_eq=equations, b_eq=[*target, 1], bounds=(0, None))
    return bool(found.status == 0)


@given(
    st.integers(1, 3).flatmap(
        lambda k: st.lists(
            st.tuples(*[st.integers(-3, 3)] * k, st.booleans()), min_size=4, max_size=14
        )
    )
)
def test_weights_are_found_if_and_only_if_they_exist(rows):
    table = np.array(rows, dtype=float)
    X, treated = table[:, :-1], table[:, -1]
    if len(np.unique(treated)) < 2:
        return
    if hull_holds(X[treated == 0], X[treated == 1].mean(axis=0)):
        found = entropy_balancing_weights(X, treated, estimand="ATT")
        assert found.largest_difference <= CONVERGED
    else:
        with pytest.raises(MatchingError, match="no weights exist"):
            entropy_balancing_weights(X, treated, estimand="ATT")


def test_a_target_out_of_reach_says_so_and_counts_columns(monkeypatch):
    monkeypatch.setattr(entropy_balancing, "_hull_holds", None)  # the proof needs no program
    X, treated = draw(300, 4, 13)
    X[treated == 1, 0] += 20
    with pytest.raises(MatchingError) as error:
        entropy_balancing_weights(X, treated, estimand="ATT")
    assert "balance the means of 4 column(s)" in str(error.value)
    assert "in 1 of them the target mean lies outside the range" in str(error.value)
    assert "merge rare categories" in str(error.value)


def test_a_target_out_of_reach_in_combination_only():
    square = np.array([[0, 0], [1, 0], [0, 1], [0.9, 0.9]])
    with pytest.raises(MatchingError, match="only in combination"):
        entropy_balancing_weights(square, [0, 0, 0, 1], estimand="ATT")


@pytest.mark.parametrize(("shift", "message"), [(0.5, "weights exist"), (2.5, "no weights exist")])
def test_where_newton_fails_a_linear_program_decides(monkeypatch, shift, message):
    monkeypatch.setattr(entropy_balancing, "MAX_ITERATIONS", 1)
    monkeypatch.setattr(entropy_balancing, "_passes_by", lambda exponent: False)
    X, treated = draw(200, 2, 14)
    X[treated == 1, 0] += shift
    with pytest.raises(MatchingError, match=message):
        entropy_balancing_weights(X, treated, estimand="ATT", tolerance=1e-14)
    monkeypatch.setattr(entropy_balancing, "MOST_ROWS_CHECKED", 10)
    with pytest.raises(MatchingError, match=r"did not converge in 1 iterations; .* not known"):
        entropy_balancing_weights(X, treated, estimand="ATT", tolerance=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros(6)}, "shape"),
        ({"treated": [1, 0]}, "shape"),
        ({"X": np.full((6, 1), np.nan)}, "finite"),
        ({"treated": [0] * 6}, "both groups"),
        ({"treated": [0, 1, 2, 0, 1, 0]}, "0 or 1"),
        ({"estimand": "ATO"}, "ATT, ATC or ATE"),
        ({"tolerance": 0.0}, "tolerance above 0"),
        ({"base_weights": [1, 1]}, "one base weight"),
        ({"base_weights": [1, 1, 1, -1, 1, 1]}, "0 or above"),
        ({"base_weights": [1, 0, 1, 0, 1, 0]}, "base weight above 0"),
    ],
)
def test_unusable_input_is_refused(change, message):
    data = {"X": np.arange(6.0)[:, None], "treated": [1, 0, 1, 0, 1, 0], "estimand": "ATT"} | change
    with pytest.raises(MatchingError, match=message):
        entropy_balancing_weights(data.pop("X"), data.pop("treated"), **data)


def test_the_representation_shows_no_row():
    found = entropy_balancing_weights(*draw(50, 2, 15), estimand="ATT")
    assert isinstance(found, EntropyBalance)
    assert repr(found).startswith("EntropyBalance(50 weights; largest difference ")


# Known effects


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE", "ATO"])
def test_each_method_recovers_its_own_estimand(estimand):
    n = 60_000
    random = rng(16)
    X = np.column_stack([random.normal(size=n), random.normal(size=n) > 0.5]).astype(float)
    score = 1 / (1 + np.exp(0.6 - 0.9 * X[:, 0] - 0.5 * X[:, 1]))
    treated = (random.random(n) < score).astype(int)
    effect = 1 + X[:, 0] + 0.5 * X[:, 1]
    y = 2 * X[:, 0] - X[:, 1] + effect * treated + random.normal(size=n)
    fitted = fit_propensity(np.column_stack([np.ones(n), X]), treated).probability
    target = {"ATT": treated, "ATC": 1 - treated, "ATE": np.ones(n), "ATO": fitted * (1 - fitted)}
    truth = {name: float(np.average(effect, weights=share)) for name, share in target.items()}
    estimands = sorted(truth.values())
    assert min(np.diff(estimands)) > 0.1  # four different numbers
    if estimand == "ATO":
        weights = [overlap_weights(fitted, treated)]
    else:
        weights = [
            inverse_probability_weights(fitted, treated, estimand=estimand),
            entropy_balancing_weights(X, treated, estimand=estimand).weights,
        ]
    for weight in weights:
        treated_mean, comparison_mean = means(y, treated, weight)
        assert abs(treated_mean - comparison_mean - truth[estimand]) < 0.05  # SE about .015
    naive = means(y, treated, np.ones(n))
    assert abs(naive[0] - naive[1] - truth[estimand]) > 0.5
