"""Restricted wild cluster bootstrap: stored numbers, brute force by regressions, known truths."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import homevisit_eval.effects.resampling.bootstrap_draws as draws_module
import homevisit_eval.effects.resampling.scores_by_cluster as scores_module
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.effects.resampling.bootstrap_draws import VALUES, sign_vectors
from homevisit_eval.effects.resampling.families_of_tests import romano_wolf
from homevisit_eval.effects.resampling.romano_wolf import romano_wolf_test, stepdown_bootstrap
from homevisit_eval.effects.resampling.scores_by_cluster import cluster_scores
from homevisit_eval.effects.resampling.wild_bootstrap import (
    BootstrapTest,
    bootstrap_coefficient,
    wild_bootstrap_test,
)
from homevisit_eval.errors import EstimationError

FOLDER = Path(__file__).parent / "reference" / "regression"
RELATIVE = 1e-8  # against stored numbers of 15 digits
SAME = 1e-9  # two ways to one number in double precision, condition numbers below 1e3


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([31, *key])))


def dummies(codes: NDArray) -> NDArray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


@pytest.mark.parametrize("null", ["0", "0.95", "1.1"])
def test_all_sign_vectors_of_ten_years_equal_the_stored_numbers(null):
    golden = pd.read_csv(FOLDER / "golden.csv").set_index(["spec", "term"])
    row = golden.loc[(f"G18_petersen_WCR_fullenum_null{null}", "x")]
    frame = pd.read_csv(FOLDER / "PetersenCL.csv.gz")
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    test = wild_bootstrap_test(
        frame["y"], X, column="x1", clusters=frame["year"], null=float(null), seed=1
    )
    assert test.estimate == pytest.approx(row["estimate"], rel=RELATIVE)
    assert test.t == pytest.approx(row["stat"], rel=RELATIVE)
    assert test.p_value == row["p"]
    assert (test.draws, test.draw_kind, test.monte_carlo_error) == (1024, "enumerated", 0.0)


class Example:
    """A small regression with weights; cells inside clusters, across them, or of both kinds."""

    def __init__(self, seed: int, cells: str, *, weighted: bool = True, G: int = 6, n: int = 150):
        r = rng(seed)
        self.clusters = np.concatenate([np.arange(G), r.integers(0, G, n - G)])
        treated = (r.normal(size=n) + r.normal(size=G)[self.clusters] > 0).astype(float)
        self.X = np.column_stack(
            [treated, r.normal(size=(n, 2)) + r.normal(size=G)[self.clusters, None]]
        )
        across = r.integers(0, 5, n)
        inside = self.clusters * 2 + r.integers(0, 2, n)
        self.weights = r.uniform(0.2, 3.0, n) if weighted else None
        self.absorb = {
            "none": [],
            "inside": [inside],
            "across": [across],
            "some across": [np.where(across == 0, 100 + inside, across * 0 + self.clusters // 2)],
            "two factors": [inside, across],
        }[cells]
        self.y = (
            self.X @ [0.3, 0.5, -0.2] + r.normal(size=G)[self.clusters] + r.normal(size=n) * 1.5
        )
        if cells == "none":
            self.X = np.column_stack([self.X, np.ones(n)])

    def test(self, **options) -> BootstrapTest:
        given = {"column": "x0", "clusters": self.clusters, "seed": 5, **options}
        return wild_bootstrap_test(
            self.y, self.X, weights=self.weights, absorb=self.absorb, **given
        )

    def brute_force(self, null: float, vectors: NDArray) -> tuple[float, NDArray]:
        """Return t, and t of a regression with all dummies for every sign vector."""
        full = np.column_stack([self.X, *[dummies(codes) for codes in self.absorb]])
        w = np.ones(len(self.y)) if self.weights is None else self.weights
        codes = np.unique(self.clusters, return_inverse=True)[1]

        def t(y: NDArray) -> float:
            M = np.linalg.pinv(full.T @ (w[:, None] * full))
            beta = M @ full.T @ (w * y)
            rows = (w * (y - full @ beta))[:, None] * full @ M[0]
            scores = np.bincount(codes, rows)
            return (beta[0] - null) / np.sqrt(scores @ scores)

        rest, root = full[:, 1:], np.sqrt(w)
        target = self.y - null * full[:, 0]
        coefficients = np.linalg.lstsq(rest * root[:, None], target * root, rcond=None)[0]
        fitted = rest @ coefficients + null * full[:, 0]
        residuals = self.y - fitted
        return t(self.y), np.array([t(fitted + residuals * v[codes]) for v in vectors])


CELLS = ["none", "inside", "across", "some across", "two factors"]
SIGNS = np.array(list(product([1.0, -1.0], repeat=6)))


@pytest.mark.parametrize("weighted", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("cells", CELLS)
def test_every_sign_vector_equals_a_regression_with_dummies(cells, weighted):
    example = Example(1, cells, weighted=weighted)
    test = example.test(null=0.2)
    t, t_draws = example.brute_force(0.2, SIGNS)
    assert test.t == pytest.approx(t, rel=SAME)
    np.testing.assert_allclose(np.sort(test.t_draws), np.sort(t_draws), rtol=SAME, atol=1e-9)
    assert test.p_value == np.mean(np.abs(t_draws) >= abs(t) * (1 - 1e-9))
    assert 2 / 64 <= test.p_value < 1


def test_cells_that_cross_clusters_need_their_own_terms(monkeypatch):
    """The shortcut for nested cells gives other statistics, so the tests above can fail."""
    example = Example(1, "across")
    right = example.test(null=0.2)
    real = scores_module._cell_sums

    def without(design, *values):
        return tuple(np.empty((design.G, 0)) for _ in real(design, *values))

    monkeypatch.setattr(scores_module, "_cell_sums", without)
    wrong = example.test(null=0.2)
    assert wrong.t == right.t
    assert np.max(np.abs(np.sort(wrong.t_draws) - np.sort(right.t_draws))) > 0.01


@pytest.mark.parametrize("cells", ["inside", "some across"])
def test_sparse_sums_and_products_without_a_square_matrix_change_nothing(cells, monkeypatch):
    example = Example(2, cells)
    expected = example.test(null=0.2)
    monkeypatch.setattr(scores_module, "DENSE_SUMS", 0)
    np.testing.assert_allclose(example.test(null=0.2).t_draws, expected.t_draws, rtol=SAME)
    monkeypatch.setattr(scores_module, "FULL_CLUSTERS", 0)
    sparse = example.test(null=0.2)
    np.testing.assert_allclose(sparse.t_draws, expected.t_draws, rtol=SAME)
    monkeypatch.undo()
    monkeypatch.setattr(scores_module, "FULL_CLUSTERS", 0)
    monkeypatch.setattr(draws_module, "SIGNS_AT_ONCE", 60)
    blocks = example.test(null=0.2)
    np.testing.assert_allclose(blocks.t_draws, expected.t_draws, rtol=SAME)
    assert blocks.p_value == sparse.p_value == expected.p_value


@pytest.mark.parametrize("cells", ["inside", "across"])
def test_webb_weights_of_few_clusters_are_enumerated_and_equal_regressions(cells):
    example = Example(3, cells, G=3, n=60)
    test = example.test(weight_type="webb")
    assert (test.draws, test.draw_kind) == (216, "enumerated")
    vectors = np.array(list(product(VALUES["webb"], repeat=3)))
    t, t_draws = example.brute_force(0.0, vectors)
    assert test.p_value == np.mean(np.abs(t_draws) >= abs(t) * (1 - 1e-9))
    assert any("below 0.0278" in note for note in test.notes)


def test_webb_weights_have_mean_zero_and_variance_one():
    for values in VALUES.values():
        assert values.mean() == pytest.approx(0.0, abs=1e-15)
        assert (values**2).mean() == pytest.approx(1.0)


@pytest.mark.parametrize("weight_type", ["rademacher", "webb"])
def test_drawn_vectors_equal_regressions_and_depend_on_the_seed(weight_type):
    example = Example(4, "across", G=12)
    test = example.test(draws=199, weight_type=weight_type)
    assert (test.draws, test.draw_kind) == (199, "drawn")
    kind, blocks = sign_vectors(12, 199, weight_type, 5)
    vectors = np.vstack(list(blocks))
    assert kind == "drawn"
    assert set(np.unique(vectors)) <= set(VALUES[weight_type])
    t, t_draws = example.brute_force(0.0, vectors)
    np.testing.assert_allclose(test.t_draws, t_draws, rtol=SAME, atol=1e-9)
    p = np.mean(np.abs(t_draws) >= abs(t))
    assert test.p_value == p
    assert test.monte_carlo_error == pytest.approx(np.sqrt(p * (1 - p) / 199))
    again = example.test(draws=199, weight_type=weight_type)
    np.testing.assert_array_equal(again.t_draws, test.t_draws)
    other = example.test(draws=199, weight_type=weight_type, seed=6)
    assert (other.t_draws != test.t_draws).any()


def test_equal_tailed_p_is_twice_the_smaller_tail():
    example = Example(5, "across")
    test = example.test(null=-0.3, p_value_type="equal_tailed")
    t, t_draws = example.brute_force(-0.3, SIGNS)
    tails = np.mean(t_draws <= t + 1e-9), np.mean(t_draws >= t - 1e-9)
    assert test.p_value == min(1.0, 2 * min(tails))
    assert test.p_value == example.test(null=-0.3).p_value  # signs come in mirrored pairs
    drawn = Example(5, "across", G=14).test(draws=199, p_value_type="equal_tailed", null=-0.3)
    tails = np.mean(drawn.t_draws <= drawn.t), np.mean(drawn.t_draws >= drawn.t)
    assert drawn.p_value == 2 * min(tails)
    assert drawn.p_value != np.mean(np.abs(drawn.t_draws) >= abs(drawn.t))


@pytest.mark.parametrize("p_value_type", ["symmetric", "equal_tailed"])
@pytest.mark.parametrize("cells", ["inside", "across"])
def test_the_interval_holds_the_null_values_that_are_not_rejected(cells, p_value_type):
    example = Example(6, cells, G=11)
    options = {"p_value_type": p_value_type, "confidence_level": 0.9, "draws": 4000}
    test = example.test(**options)
    assert test.ci_low < test.estimate < test.ci_high
    for bound, outward in ((test.ci_low, -1.0), (test.ci_high, 1.0)):
        nearby = 1e-6 * test.std_error * outward
        assert example.test(null=bound - nearby, **options).p_value > 0.1
        assert example.test(null=bound + nearby, **options).p_value <= 0.1
        for steps in (0.2, 1.0, 5.0, 40.0):
            assert (
                example.test(null=bound + outward * steps * test.std_error, **options).p_value
                <= 0.1
            )
    for null in np.linspace(test.ci_low, test.ci_high, 12)[1:-1]:
        assert example.test(null=null, **options).p_value > 0.1


def test_the_interval_does_not_depend_on_the_null_value_tested():
    example = Example(6, "across", G=11)
    first, second = example.test(draws=999), example.test(draws=999, null=3.0)
    assert (first.ci_low, first.ci_high) == (second.ci_low, second.ci_high)
    assert first.p_value != second.p_value


def test_with_many_clusters_it_is_the_cluster_robust_t_test():
    r = rng(7)
    clusters = np.repeat(np.arange(400), 5)
    X = np.column_stack([r.normal(size=2000), np.ones(2000)])
    y = 0.06 * X[:, 0] + r.normal(size=400)[clusters] + r.normal(size=2000)
    test = wild_bootstrap_test(y, X, column="x0", clusters=clusters, seed=1)
    fit = fit_least_squares(y, X, clusters=clusters, covariance="CR1")
    # 9,999 draws have a Monte Carlo error below .005; the two differ by O(1/G) besides
    assert test.p_value == pytest.approx(fit.p_values[0], abs=0.02)
    np.testing.assert_allclose((test.ci_low, test.ci_high), fit.intervals()[0], atol=0.006)
    assert test.std_error == pytest.approx(
        fit_least_squares(y, X, clusters=clusters, covariance="CR0").std_errors[0], rel=SAME
    )


def test_units_order_labels_and_rows_without_weight_change_nothing():
    example = Example(8, "across")
    expected = example.test(null=0.1)
    order = rng(8, 1).permutation(len(example.y))
    names = np.array(["north", "east", "south", "west", "up", "down"])
    extra = 7
    y = np.concatenate([1000 * (5 + example.y[order]), np.full(extra, np.nan)])
    test = wild_bootstrap_test(
        y,
        np.vstack([example.X[order] * [2.0, 3.0, 1.0], np.zeros((extra, 3))]),
        column="x0",
        clusters=np.concatenate([names[example.clusters[order]], np.full(extra, "unused")]),
        weights=np.concatenate([10 * example.weights[order], np.zeros(extra)]),
        absorb=[np.concatenate([example.absorb[0][order], np.full(extra, 0)])],
        null=0.1 * 500,
        seed=77,
    )
    assert test.p_value == expected.p_value
    assert test.n == expected.n == 150
    assert test.G == expected.G == 6
    for field in ("estimate", "std_error", "ci_low", "ci_high"):
        assert getattr(test, field) == pytest.approx(500 * getattr(expected, field), rel=1e-7)


def test_the_null_at_the_estimate_is_never_rejected():
    example = Example(9, "across")
    estimate = example.test().estimate
    assert example.test(null=estimate).p_value == 1.0
    assert example.test(null=estimate, p_value_type="equal_tailed").p_value == 1.0


def cluster_treatment(treated: int, G: int, seed: int, effect: float = 0.0):
    r = rng(100, seed)
    clusters = np.repeat(np.arange(G), 8)
    X = np.column_stack([(clusters < treated).astype(float), np.ones(len(clusters))])
    y = effect * X[:, 0] + r.normal(size=G)[clusters] + r.normal(size=len(clusters))
    return y, X, clusters


@pytest.mark.parametrize(("treated", "warned"), [(1, True), (2, True), (3, False), (11, True)])
def test_few_treated_or_few_comparison_clusters_are_told(treated, warned):
    y, X, clusters = cluster_treatment(treated, 12, 1)
    test = wild_bootstrap_test(y, X, column="x0", clusters=clusters, seed=1)
    notes = [note for note in test.notes if "far too seldom" in note]
    assert bool(notes) == warned
    if warned:
        words = "the lower" if treated == 11 else "the higher"
        assert f"{min(treated, 12 - treated)} of 12" in notes[0]
        assert words in notes[0]


def test_with_one_treated_cluster_it_does_not_reject_at_all():
    """Under the null; a tenth of the samples should be rejected."""
    for seed in range(60):
        y, X, clusters = cluster_treatment(1, 12, 2000 + seed)
        test = wild_bootstrap_test(y, X, column="x0", clusters=clusters, seed=1)
        assert test.p_value > 0.1
    assert any("One cluster holds 92 %" in note for note in test.notes)


def test_five_clusters_cannot_give_a_small_p_and_the_result_says_so():
    r = rng(11)
    clusters = np.repeat(np.arange(5), 20)
    x = r.normal(size=100)
    test = wild_bootstrap_test(
        50 * x + r.normal(size=100),
        np.column_stack([x, np.ones(100)]),
        column="x0",
        clusters=clusters,
        seed=1,
    )
    assert test.p_value == 2 / 32
    assert (test.ci_low, test.ci_high) == (-np.inf, np.inf)
    text = " ".join(test.notes)
    assert "below 0.0625" in text
    assert "webb" in text
    assert "no bound" in text


def test_a_drawn_p_of_zero_is_shown_as_a_bound():
    r = rng(12)
    clusters = np.repeat(np.arange(30), 10)
    x = r.normal(size=300)
    test = wild_bootstrap_test(
        5 * x + r.normal(size=300), np.column_stack([x, np.ones(300)]), column="x0",
        clusters=clusters, seed=1, draws=999,
    )  # fmt: skip
    assert test.p_value == 0
    assert "p < 0.001" in repr(test)
    assert any("below 1 / 999" in note for note in test.notes)


def test_it_rejects_a_true_null_as_often_as_it_should_where_cr1_rejects_too_often():
    """Treatment by cluster, 4 of 10 treated: the truth is 0."""
    rejected = {"bootstrap": 0, "CR0": 0}
    simulations = 300
    for seed in range(simulations):
        y, X, clusters = cluster_treatment(4, 10, 1000 + seed)
        test = wild_bootstrap_test(y, X, column="x0", clusters=clusters, seed=1)
        rejected["bootstrap"] += test.p_value <= 0.1
        rejected["CR0"] += abs(test.t) > 1.645
    # 300 samples: a rate of .10 is seen between .055 and .15 with probability above .99
    assert 0.055 < rejected["bootstrap"] / simulations < 0.15
    assert rejected["CR0"] / simulations > 0.15


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight_type": "mammen"}, "rademacher, webb"),
        ({"p_value_type": "one_sided"}, "symmetric, equal_tailed"),
        ({"draws": 10}, "99 or more"),
        ({"draws": 999.0}, "99 or more"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"null": np.nan}, "finite"),
        ({"confidence_level": 95}, "between 0 and 1"),
        ({"column": "visited"}, "no column 'visited'; the columns are x0, x1, x2"),
    ],
)
def test_options_that_are_not_possible_are_refused(options, words):
    with pytest.raises(EstimationError, match=words):
        Example(1, "across").test(**options)


def test_data_that_cannot_be_tested_are_refused():
    example = Example(1, "across")
    with pytest.raises(EstimationError, match="one cluster"):
        example.test(clusters=np.zeros(150))
    example.absorb = [example.clusters]
    example.X[:, 0] = example.clusters
    with pytest.raises(EstimationError, match="'x0' is a linear combination"):
        example.test()
    y, X, clusters = cluster_treatment(1, 2, 1)
    with pytest.raises(EstimationError, match="standard error of the coefficient is 0"):
        wild_bootstrap_test(y, X, column="x0", clusters=clusters, seed=1)
    y, X, clusters = cluster_treatment(4, 10, 1)
    with pytest.raises(EstimationError, match="standard error of the coefficient is 0"):
        wild_bootstrap_test(X @ [1.0, 2.0], X, column="x0", clusters=clusters, seed=1)


def test_a_column_that_is_dropped_is_named():
    example = Example(1, "none")
    example.X = np.column_stack([example.X, 2 * example.X[:, 1]])
    test = example.test()
    assert any("x4" in note for note in test.notes)


def test_the_result_shows_its_recipe_and_no_draws():
    text = repr(Example(1, "across").test(null=0.2))
    assert "64 rademacher vectors enumerated" in text
    assert "x0 = 0.2" in text
    assert "n = 150, K = 8, G = 6" in text
    assert "array" not in text


# Several outcomes at once


def several_outcomes(seed: int, G: int = 8, missing: bool = True):
    example = Example(seed, "across", G=G)
    r = rng(seed, 2)
    shocks = r.normal(size=G)[example.clusters]
    outcomes = np.column_stack(
        [example.y, example.y + r.normal(size=150), shocks + r.normal(size=150)]
    )
    if missing:
        outcomes[r.integers(0, 150, 20), 1] = np.nan
        outcomes[example.clusters == 0, 2] = np.nan
    return example, outcomes


def test_stepdown_of_three_outcomes_equals_regressions_with_the_same_signs():
    """The third outcome lacks one cluster, the second some rows."""
    example, outcomes = several_outcomes(20)
    ours = romano_wolf_test(
        outcomes,
        example.X,
        column="x0",
        clusters=example.clusters,
        weights=example.weights,
        absorb=example.absorb,
        seed=3,
    )
    assert (ours.draws, ours.draw_kind, ours.G) == (256, "enumerated", 8)
    signs = np.vstack(list(sign_vectors(8, 256, "rademacher", 3)[1]))
    t, t_draws = np.empty(3), np.empty((256, 3))
    for k in range(3):
        one, rows = Example(20, "across", G=8), ~np.isnan(outcomes[:, k])
        one.y, one.X, one.weights = outcomes[rows, k], one.X[rows], one.weights[rows]
        one.absorb, one.clusters = [one.absorb[0][rows]], one.clusters[rows]
        t[k], t_draws[:, k] = one.brute_force(0.0, signs[:, np.unique(one.clusters)])
    np.testing.assert_allclose(ours.t, t, rtol=SAME)
    size = np.abs(t_draws) * (1 + 1e-9)
    np.testing.assert_allclose(ours.p_values, (size >= np.abs(t)).mean(axis=0))
    np.testing.assert_allclose(ours.p_values_adjusted, romano_wolf(t, t_draws, kind="enumerated"))
    order = np.argsort(-np.abs(t))
    expected, largest_yet = np.empty(3), 0.0
    for position, k in enumerate(order):
        rest = order[position:]
        largest_yet = max(largest_yet, (size[:, rest].max(axis=1) >= abs(t[k])).mean())
        expected[k] = largest_yet
    np.testing.assert_allclose(ours.p_values_adjusted, expected)
    assert (ours.p_values_adjusted >= ours.p_values).all()
    assert "3 outcomes" in repr(ours)


def test_stepdown_of_one_outcome_is_its_bootstrap_test():
    example = Example(21, "across", G=16)
    one = example.test(draws=999)
    family = romano_wolf_test(
        example.y[:, None],
        example.X,
        column="x0",
        clusters=example.clusters,
        weights=example.weights,
        absorb=example.absorb,
        draws=999,
        seed=5,
    )
    assert family.p_values[0] == one.p_value
    assert family.p_values_adjusted[0] == pytest.approx((999 * one.p_value + 1) / 1000)
    assert family.t[0] == one.t


def test_regressions_of_different_columns_share_their_clusters_signs():
    example, outcomes = several_outcomes(22, G=16, missing=False)
    words = np.array([f"school {code:02d}" for code in example.clusters])
    one = prepare_design(example.X, absorb=example.absorb, clusters=words)
    other = prepare_design(example.X[:, :2], clusters=words, names=["visited", "score"])
    scores = [
        cluster_scores(one, outcomes[:, 0], column="x0"),
        cluster_scores(other, outcomes[:, 0], column="visited"),
        cluster_scores(one, outcomes[:, 0], column="x0"),
    ]
    ours = stepdown_bootstrap(scores, seed=1, nulls=[0.1, 0.0, 0.1], draws=999)
    assert ours.columns == ("x0", "visited", "x0")
    assert ours.p_values_adjusted[0] == ours.p_values_adjusted[2]
    assert ours.p_values[0] == bootstrap_coefficient(scores[0], null=0.1, seed=1, draws=999).p_value
    with pytest.raises(EstimationError, match="3 regressions and 1 null"):
        stepdown_bootstrap(scores, seed=1, nulls=[0.0])
    numbers = prepare_design(example.X, clusters=example.clusters)
    mixed = [scores[0], cluster_scores(numbers, example.y, column="x0")]
    with pytest.raises(EstimationError, match="words in some"):
        stepdown_bootstrap(mixed, seed=1)
    with pytest.raises(EstimationError, match="0 regressions"):
        stepdown_bootstrap([], seed=1)


def test_outcomes_must_be_columns():
    example = Example(1, "none")
    with pytest.raises(EstimationError, match="give \\(n, m\\)"):
        romano_wolf_test(example.y, example.X, column="x0", clusters=example.clusters, seed=1)


def test_the_familywise_error_rate_of_four_true_nulls_is_kept():
    """10 clusters, treatment by cluster, outcomes that share the cluster's shock."""
    simulations, false, plain = 200, 0, 0
    for seed in range(simulations):
        r = rng(23, seed)
        y, X, clusters = cluster_treatment(5, 10, 5000 + seed)
        outcomes = y[:, None] + r.normal(size=(len(y), 4)) + r.normal(size=(10, 4))[clusters]
        test = romano_wolf_test(outcomes, X, column="x0", clusters=clusters, seed=1)
        false += test.p_values_adjusted.min() <= 0.1
        plain += test.p_values.min() <= 0.1
    # 200 samples: a rate of .10 is seen between .04 and .17 with probability above .99
    assert 0.04 < false / simulations < 0.17
    assert plain / simulations > 0.18
