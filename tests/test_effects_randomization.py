"""Randomization inference: brute force over assignments, scipy, closed forms, known truths."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import homevisit_eval.effects.resampling.randomization as randomization_module
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.resampling.randomization import RandomizationTest, randomization_test
from homevisit_eval.errors import EstimationError

SAME = 1e-9  # two ways to one number in double precision


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([41, *key])))


def dummies(codes: NDArray) -> NDArray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def regression(y, X, *, weights=None, groups=None) -> tuple[float, float]:
    """Return the first coefficient and its standard error, clustered and uncorrected (CR0)."""
    w = np.ones(len(y)) if weights is None else weights
    inverse = np.linalg.inv((X * w[:, None]).T @ X)
    beta = inverse @ (X.T @ (w * y))
    scores = X * (w * (y - X @ beta))[:, None]
    if groups is not None:
        scores = dummies(groups).T @ scores
    return beta[0], np.sqrt((inverse @ scores.T @ scores @ inverse)[0, 0])


def assignments(treated: NDArray, sets: NDArray) -> NDArray:
    """Return all assignments that keep the number treated in every set."""
    choices = []
    for s in np.unique(sets):
        rows = np.flatnonzero(sets == s)
        choices.append([list(c) for c in combinations(rows, int(treated[rows].sum()))])
    found = np.zeros((np.prod([len(c) for c in choices]), len(treated)))
    for line, chosen in zip(found, product(*choices), strict=True):
        line[list(chain.from_iterable(chosen))] = 1.0
    return found


class Example:
    """Sets of different shapes; weights as of matching, 1 for the treated of 1:k sets."""

    SHAPES = ((1, 1), (1, 2), (2, 1), (1, 3), (2, 2))
    STRATA = ((2, 3), (3, 2), (2, 2))

    def __init__(self, seed: int, shapes=SHAPES, *, equal: bool = False):
        r = rng(seed)
        rows = [(s, role) for s, (m, k) in enumerate(shapes) for role in [1.0] * m + [0.0] * k]
        rows = [rows[i] for i in r.permutation(len(rows))]
        self.sets = np.array([row[0] for row in rows])
        self.treated = np.array([row[1] for row in rows])
        self.a, self.b = np.ones(len(shapes)), np.array([m / k for m, k in shapes])
        if equal:
            self.a = self.b = r.uniform(0.5, 2, len(shapes))
        self.weights = self.role_weights(self.treated)
        self.sampling = r.uniform(0.5, 2.0, len(rows))
        self.X = r.normal(size=(len(rows), 2))
        self.cells = r.integers(0, 2, len(rows))
        self.y = r.normal(size=len(rows)) + self.sets * 0.4 + self.X @ [1.0, 0.5] + self.treated

    def role_weights(self, z: NDArray) -> NDArray:
        return np.where(z == 1, self.a[self.sets], self.b[self.sets])

    def test(self, **options) -> RandomizationTest:
        given = {"sets": self.sets, "weights": self.weights, "seed": 1, **options}
        return randomization_test(self.y, self.treated, **given)

    def compare(self, expected, null: float, **options) -> RandomizationTest:
        """Compare with a function of treatment and outcome without treatment, for all of them."""
        test = self.test(null=null, draws=20_000, **options)
        y0 = self.y - null * self.treated
        t = expected(self.treated, y0)
        all_t = np.array([expected(z, y0) for z in assignments(self.treated, self.sets)])
        assert test.draw_kind == "enumerated"
        assert test.draws == len(all_t)
        assert test.t == pytest.approx(t, rel=SAME)
        np.testing.assert_allclose(np.sort(test.t_draws), np.sort(all_t), rtol=1e-8, atol=1e-9)
        assert test.p_value == np.mean(np.abs(all_t) >= abs(t) - 1e-9)
        return test


def difference(example: Example, sampling: NDArray):
    def statistic(z, y):
        w = example.role_weights(z) * sampling
        return np.average(y[z == 1], weights=w[z == 1]) - np.average(y[z == 0], weights=w[z == 0])

    return statistic


@pytest.mark.parametrize("sampling", [False, True], ids=["plain", "sampling weights"])
def test_the_difference_equals_all_assignments_with_weights_that_trade_places(sampling):
    example = Example(1)
    weights = example.sampling if sampling else np.ones(len(example.y))
    test = example.compare(
        difference(example, weights), 0.3, sampling_weights=weights if sampling else None
    )
    assert test.draws == 2 * 3 * 3 * 4 * 6
    assert test.sets == 5
    if not sampling:
        fit = fit_least_squares(
            example.y,
            np.column_stack([example.treated, np.ones(len(example.y))]),
            weights=example.weights,
        )
        assert test.estimate == pytest.approx(fit.coefficients[0], rel=SAME)


def test_the_difference_over_the_error_by_set_equals_clustered_regressions():
    example = Example(2)

    def statistic(z, y):
        X = np.column_stack([z, np.ones(len(z))])
        w = example.role_weights(z)
        estimate, error = regression(y, X, weights=w, groups=example.sets)
        return estimate / error

    example.compare(statistic, 0.3, studentize="by_set")
    z, y0 = example.treated, example.y - 0.3 * example.treated
    fit = fit_least_squares(
        y0,
        np.column_stack([z, np.ones(len(z))]),
        weights=example.role_weights(z),
        clusters=example.sets,
        covariance="CR0",
    )
    assert statistic(z, y0) == pytest.approx(fit.coefficients[0] / fit.std_errors[0], rel=SAME)


def test_the_difference_over_the_error_by_row_is_the_stratified_one_of_neyman():
    example = Example(3, Example.STRATA)
    share = np.bincount(example.sets[example.treated == 1]) / example.treated.sum()

    def statistic(z, y):
        value, variance = 0.0, 0.0
        for s in range(3):
            t, c = y[(example.sets == s) & (z == 1)], y[(example.sets == s) & (z == 0)]
            value += share[s] * (t.mean() - c.mean())
            variance += share[s] ** 2 * (t.var(ddof=1) / len(t) + c.var(ddof=1) / len(c))
        return value / np.sqrt(variance)

    example.compare(statistic, -0.2, studentize="by_row")


@pytest.mark.parametrize("studentize", ["none", "by_set"])
def test_adjusted_takes_residuals_of_a_regression_without_treatment(studentize):
    example = Example(4)
    share = np.bincount(example.sets, example.treated) / np.bincount(example.sets)
    fixed = (share * example.a + (1 - share) * example.b)[example.sets]
    full = np.column_stack([example.X, dummies(example.cells)])
    plain = difference(example, np.ones(len(example.y)))

    def statistic(z, y):
        root = np.sqrt(fixed)
        beta = np.linalg.lstsq(full * root[:, None], y * root, rcond=None)[0]
        left = y - full @ beta
        if studentize == "none":
            return plain(z, left)
        X, w = np.column_stack([z, np.ones(len(z))]), example.role_weights(z)
        estimate, error = regression(left, X, weights=w, groups=example.sets)
        return estimate / error

    example.compare(
        statistic,
        0.3,
        statistic="adjusted",
        X=example.X,
        absorb=[example.cells],
        studentize=studentize,
    )


@pytest.mark.parametrize("studentize", ["none", "by_row", "by_set"])
@pytest.mark.parametrize("absorb", [False, True], ids=["intercept", "cells"])
def test_the_coefficient_equals_a_regression_for_every_assignment(absorb, studentize):
    example = Example(5, equal=True)
    cells = dummies(example.cells) if absorb else np.ones((len(example.y), 1))
    w = example.weights * example.sampling
    groups = None if studentize == "by_row" else example.sets

    def statistic(z, y):
        X = np.column_stack([z, example.X, cells])
        estimate, error = regression(y, X, weights=w, groups=groups)
        return estimate / (1.0 if studentize == "none" else error)

    test = example.compare(
        statistic,
        0.3,
        statistic="coefficient",
        X=example.X,
        absorb=[example.cells] if absorb else (),
        sampling_weights=example.sampling,
        studentize=studentize,
    )
    assert test.estimate == pytest.approx(
        fit_least_squares(
            example.y, np.column_stack([example.treated, example.X, cells]), weights=w
        ).coefficients[0],
        rel=SAME,
    )


@pytest.mark.parametrize("studentize", ["none", "by_cluster"])
def test_whole_clusters_trade_their_treatment_within_strata(studentize):
    r = rng(6)
    clusters = np.concatenate([np.arange(9), r.integers(0, 9, 40)])
    strata = np.array(["north", "south"])[(clusters > 4).astype(int)]
    school = np.array([1, 0, 0, 1, 0, 1, 0, 0, 1.0])
    y = r.normal(size=49) + r.normal(size=9)[clusters]
    test = randomization_test(
        y,
        school[clusters],
        sets=strata,
        clusters=clusters,
        assigned_by="cluster",
        studentize=studentize,
        seed=1,
    )

    def statistic(z):
        X = np.column_stack([z[clusters], np.ones(49)])
        estimate, error = regression(y, X, groups=clusters)
        return estimate / (1.0 if studentize == "none" else error)

    all_t = [statistic(z) for z in assignments(school, (np.arange(9) > 4).astype(int))]
    assert (test.draws, test.draw_kind, test.units, test.sets) == (60, "enumerated", 9, 2)
    np.testing.assert_allclose(np.sort(test.t_draws), np.sort(all_t), rtol=1e-8)
    assert test.p_value == np.mean(np.abs(all_t) >= abs(statistic(school)) - 1e-9)


@pytest.mark.parametrize("p_value_type", ["symmetric", "equal_tailed"])
def test_pairs_equal_scipy(p_value_type):
    r = rng(7)
    first, second = r.normal(0.6, 1.0, 11), r.normal(size=11)
    test = randomization_test(
        np.concatenate([first, second]),
        np.repeat([1, 0], 11),
        sets=np.tile(np.arange(11), 2),
        p_value_type=p_value_type,
        seed=1,
    )
    theirs = stats.permutation_test(
        (first, second),
        lambda a, b: np.mean(a) - np.mean(b),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert test.p_value == pytest.approx(theirs.pvalue, rel=SAME)
    assert test.draws == 2048


def test_without_sets_it_equals_scipys_permutation_of_two_samples():
    r = rng(8)
    first, second = r.exponential(1.5, 5), r.exponential(1.0, 8)
    test = randomization_test(
        np.concatenate([first, second]),
        np.repeat([1, 0], [5, 8]),
        seed=1,
        p_value_type="equal_tailed",
    )
    theirs = stats.permutation_test(
        (first, second), lambda a, b: np.mean(a) - np.mean(b), n_resamples=np.inf
    )
    assert test.p_value == pytest.approx(theirs.pvalue, rel=SAME)
    assert (test.draws, test.sets) == (1287, 1)


def test_binary_pairs_are_the_exact_mcnemar_test():
    """Of 12 pairs with different outcomes 10 favor the treated: a binomial sign test."""
    y = np.concatenate([[1, 0]] * 10 + [[0, 1]] * 2 + [[1, 1]] * 1)
    test = randomization_test(
        y, np.tile([1, 0], 13), sets=np.repeat(np.arange(13), 2), draws=8192, seed=1
    )
    assert test.draw_kind == "enumerated"
    assert test.p_value == pytest.approx(stats.binomtest(10, 12).pvalue, rel=1e-12)


def test_ranks_of_pair_differences_give_wilcoxons_test():
    r = rng(9)
    gain = r.normal(0.4, 1.0, 12)
    signed = np.sign(gain) * stats.rankdata(np.abs(gain))
    y = np.column_stack([signed, np.zeros(12)]).ravel()
    test = randomization_test(y, np.tile([1, 0], 12), sets=np.repeat(np.arange(12), 2), seed=1)
    assert test.p_value == pytest.approx(stats.wilcoxon(gain, method="exact").pvalue, rel=1e-12)


def test_drawn_assignments_keep_the_sets_and_count_the_sample():
    shapes = ((1, 1), (1, 4), (3, 1), (2, 5), (4, 4)) * 3
    example = Example(10, shapes)
    test = example.test(draws=999, studentize="by_set")
    assert (test.draw_kind, test.draws) == ("drawn", 999)
    count = round(test.p_value * 1000)
    assert test.p_value == pytest.approx(count / 1000)
    assert count == 1 + (np.abs(test.t_draws) >= abs(test.t)).sum()
    assert test.monte_carlo_error == pytest.approx(np.sqrt(test.p_value * (1 - test.p_value) / 999))
    again = example.test(draws=999, studentize="by_set")
    np.testing.assert_array_equal(again.t_draws, test.t_draws)
    other = example.test(draws=999, studentize="by_set", seed=2)
    assert (other.t_draws != test.t_draws).any()


def test_every_assignment_is_drawn_equally_often(monkeypatch):
    """864 assignments of the example, with different statistics: chi-square of 40,000 draws."""
    example = Example(11)
    exact = np.sort(example.test().t_draws)
    monkeypatch.setattr(
        "homevisit_eval.effects.resampling.assignments.count_assignments", lambda *_: 10**9
    )
    monkeypatch.setattr(randomization_module, "VALUES_AT_ONCE", 3_000)
    drawn = example.test(draws=40_000)
    assert drawn.draw_kind == "drawn"
    places = np.searchsorted((exact[1:] + exact[:-1]) / 2, drawn.t_draws)
    assert stats.chisquare(np.bincount(places, minlength=len(exact))).pvalue > 0.001


OPTIONS = [
    {},
    {"studentize": "by_set"},
    {"statistic": "adjusted"},
    {"statistic": "coefficient", "studentize": "by_set"},
    {"p_value_type": "equal_tailed"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_interval_holds_the_constant_effects_that_are_not_rejected(options):
    example = Example(12, ((1, 1), (1, 2), (2, 1)) * 5, equal=True)
    if options.get("statistic"):
        options = {**options, "X": example.X}
    options = {"draws": 1999, "confidence_level": 0.9, **options}
    test = example.test(**options)
    assert test.ci_low < test.estimate < test.ci_high
    width = test.ci_high - test.ci_low
    for bound, outward in ((test.ci_low, -1), (test.ci_high, 1)):
        assert example.test(null=bound - 1e-6 * width * outward, **options).p_value > 0.1
        assert example.test(null=bound + 1e-6 * width * outward, **options).p_value <= 0.1
        assert example.test(null=bound + width * outward, **options).p_value <= 0.1


def test_the_interval_of_pairs_is_that_of_walsh_averages():
    """Ranks aside: for pairs the bounds are averages of some differences, here by counting."""
    r = rng(13)
    gain = r.normal(0.5, 1.0, 8)
    y = np.column_stack([gain, np.zeros(8)]).ravel()
    test = randomization_test(y, np.tile([1, 0], 8), sets=np.repeat(np.arange(8), 2), seed=1)
    signs = np.array(list(product([1.0, -1.0], repeat=8)))

    def p(effect):
        left = gain - effect
        return np.mean(np.abs(signs @ left) >= abs(left.sum()) - 1e-9)

    averages = [gain[list(c)].mean() for k in range(1, 9) for c in combinations(range(8), k)]
    kept = [a for a in averages if p(a) > 0.05]
    # ties are counted with a tolerance of 1e-8 standard errors
    assert min(kept) == pytest.approx(test.ci_low, rel=1e-6)
    assert max(kept) == pytest.approx(test.ci_high, rel=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_constant_effect_moves_the_estimate_and_nothing_else(options):
    example = Example(14, ((1, 1), (1, 2), (2, 1)) * 4, equal=True)
    if options.get("statistic"):
        options = {**options, "X": example.X}
    before = example.test(draws=499, **options)
    example.y = example.y + 5.0 * example.treated
    after = example.test(draws=499, null=5.0, **options)
    assert after.p_value == before.p_value
    assert after.t == pytest.approx(before.t, rel=1e-7)
    for field in ("estimate", "ci_low", "ci_high"):
        assert getattr(after, field) == pytest.approx(getattr(before, field) + 5.0, rel=1e-8)


def test_order_scale_of_weights_and_rows_without_weight_change_nothing():
    example = Example(15)
    expected = example.test(studentize="by_set")
    order = rng(15, 1).permutation(len(example.y))
    test = randomization_test(
        np.append(example.y[order], np.nan),
        np.append(example.treated[order], np.nan),
        sets=np.append(np.array(list("abcde"))[example.sets[order]], "unmatched"),
        weights=np.append(7 * example.weights[order], 0.0),
        studentize="by_set",
        seed=9,
    )
    assert (test.n, test.n_treated) == (expected.n, expected.n_treated)
    assert test.p_value == expected.p_value
    assert test.t == pytest.approx(expected.t, rel=SAME)
    assert test.ci_low == pytest.approx(expected.ci_low, rel=1e-8)


def test_sets_take_what_differs_between_them_out_of_the_test():
    r = rng(16)
    school = np.repeat(np.arange(40) * 3.0, 2)
    treated = np.tile([1, 0], 40)
    y = school + 1.0 * treated + r.normal(size=80)
    matched = randomization_test(y, treated, sets=np.repeat(np.arange(40), 2), seed=1, draws=999)
    ignored = randomization_test(y, treated, seed=1, draws=999)
    assert matched.p_value < 0.01
    assert ignored.p_value > 0.5
    assert matched.ci_low < 1.0 < matched.ci_high


def test_studentizing_keeps_the_rate_where_effects_vary_and_the_plain_test_does_not(monkeypatch):
    """The average effect is 0; the few treated vary more: Wu and Ding's case."""
    # only the p values are asked for: the bounds of the interval would take most of the time
    monkeypatch.setattr(randomization_module, "outermost_kept", lambda *_, **__: 0.0)
    simulations = 250
    rejected = {"none": 0, "by_row": 0}
    for seed in range(simulations):
        r = rng(17, seed)
        y = np.concatenate([r.normal(0, 3.0, 15), r.normal(0, 1.0, 45)])
        for how in rejected:
            test = randomization_test(
                y, np.repeat([1, 0], [15, 45]), studentize=how, draws=99, seed=1
            )
            rejected[how] += test.p_value <= 0.1
    # 250 samples: a rate of .10 is seen below .16 with probability above .998
    assert rejected["by_row"] / simulations < 0.16
    assert rejected["none"] / simulations > 0.2


def test_the_sharp_null_is_rejected_as_often_as_it_should():
    simulations, rejected, covered = 300, 0, 0
    for seed in range(simulations):
        r = rng(18, seed)
        treated = np.concatenate([r.permutation([1, 0, 0]) for _ in range(12)])
        y = np.repeat(r.normal(size=12), 3) + 0.7 * treated + r.exponential(size=36)
        sets = np.repeat(np.arange(12), 3)
        test = randomization_test(
            y, treated, sets=sets, null=0.7, draws=99, seed=seed, confidence_level=0.9
        )
        rejected += test.p_value <= 0.1
        covered += test.ci_low <= 0.7 <= test.ci_high
    # 300 samples: a rate of .10 is seen between .055 and .15 with probability above .99
    assert 0.055 < rejected / simulations < 0.15
    assert covered == simulations - rejected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"statistic": "median"}, "difference, adjusted, coefficient"),
        ({"studentize": "yes"}, "none, by_row, by_set, by_cluster"),
        ({"assigned_by": "school"}, "row, cluster"),
        ({"p_value_type": "upper"}, "symmetric, equal_tailed"),
        ({"draws": 9}, "99 or more"),
        ({"seed": -1}, "seed"),
        ({"null": np.inf}, "finite"),
        ({"confidence_level": 95}, "between 0 and 1"),
        ({"studentize": "by_row"}, "two rows of both groups"),
        ({"studentize": "by_set", "sets": None, "weights": None}, "two sets"),
        ({"studentize": "by_cluster"}, "needs clusters"),
        ({"assigned_by": "cluster"}, "no clusters are given"),
        ({"X": np.ones((16, 1))}, "takes no covariates"),
        ({"statistic": "coefficient"}, "use adjusted"),
        ({"statistic": "adjusted", "X": np.ones(3)}, "give \\(n, k\\)"),
        ({"weights": np.full(16, -1.0)}, "16 weights are missing, infinite or negative"),
        ({"weights": np.zeros(16)}, "no row has a positive weight"),
        ({"weights": np.arange(1.0, 17.0)}, "weights differ among"),
        ({"sampling_weights": np.full(16, np.nan)}, "16 sampling_weights"),
        ({"sets": np.arange(16)}, "16 of 16 sets hold one group only"),
        ({"sets": np.full(16, np.nan)}, "sets has missing codes"),
        ({"sets": np.zeros(5)}, "sets has shape"),
    ],
    ids=str,
)
def test_what_is_not_possible_is_refused(options, words):
    example = Example(1)
    assert len(example.y) == 16
    with pytest.raises(EstimationError, match=words):
        example.test(**options)


def test_arrays_that_do_not_fit_are_refused():
    example = Example(1)
    with pytest.raises(EstimationError, match="treated must be 0 and 1"):
        randomization_test(example.y, example.treated + 1, seed=1)
    with pytest.raises(EstimationError, match="both occur"):
        randomization_test(example.y, np.ones(len(example.y)), seed=1)
    with pytest.raises(EstimationError, match="y has 1 missing"):
        randomization_test(np.append(example.y[1:], np.nan), example.treated, seed=1)
    with pytest.raises(EstimationError, match="treated has shape"):
        randomization_test(example.y, example.treated[1:], seed=1)
    with pytest.raises(EstimationError, match="does not vary"):
        randomization_test(example.treated * 2.0, example.treated, seed=1)
    clusters = np.arange(len(example.y)) // 4
    with pytest.raises(EstimationError, match="treatment varies within"):
        randomization_test(
            example.y, example.treated, clusters=clusters, assigned_by="cluster", seed=1
        )
    with pytest.raises(EstimationError, match="use by_cluster"):
        randomization_test(
            example.y,
            (clusters % 2),
            clusters=clusters,
            assigned_by="cluster",
            studentize="by_row",
            seed=1,
        )
    with pytest.raises(EstimationError, match="linear combination"):
        example.test(statistic="adjusted", X=example.treated[:, None])


def test_the_result_shows_its_recipe_and_says_what_limits_p():
    test = Example(1).test(studentize="by_set")
    text = repr(test)
    assert "difference studentized by_set" in text
    assert "432 assignments enumerated by row within 5 sets" in text
    assert "array" not in text
    assert any("1 / 432" in note for note in test.notes)
    assert any("5 sets only" in note for note in test.notes)
