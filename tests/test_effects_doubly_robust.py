"""Doubly robust effects: statsmodels, brute-force stacked equations, recovery, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit
from statsmodels.treatment.treatment_effects import TreatmentEffect

import stacked_equations as oracle
from homevisit_eval.effects.weighting.cross_fitted import (
    augmented_effect,
    cross_fitted_effect,
)
from homevisit_eval.effects.weighting.doubly_robust import doubly_robust_effect
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-8
BY_DIFFERENCES = 1e-6  # the oracle's derivatives are numerical


def students(seed: int, n: int = 800):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))  # statsmodels expects a score with six coefficients
    treated = (rng.random(n) < expit(X @ [0.5, -0.3, 0.2, 0, 0.1])).astype(float)
    y = X @ [1, 2, 0, 1, 0.5] + treated * (1 + X[:, 0]) + rng.normal(size=n)
    return y, treated, X


def statsmodels_effect(y, treated, X) -> TreatmentEffect:
    A = sm.add_constant(X)
    score = sm.Logit(treated, A).fit(disp=0, tol=1e-14, method="newton")
    return TreatmentEffect(sm.OLS(y, A), treated, results_select=score)


def gmm_error(results) -> float:
    """Return the standard error of the first parameter, with n / (n - 1) as ours."""
    n = results.teff.nobs
    return float(np.sqrt(n / (n - 1) * results.results_gmm.cov_params()[0, 0]))


@pytest.mark.parametrize(("estimand", "group"), [("ATE", "all"), ("ATT", 1), ("ATC", 0)])
def test_ipwra_equals_statsmodels(estimand, group):
    rows = students(1)
    ours = doubly_robust_effect(*rows, estimand=estimand, method="IPWRA")
    theirs = statsmodels_effect(*rows)
    numbers = theirs.ipw_ra(effect_group=group, return_results=False)
    assert ours.estimate == pytest.approx(numbers[0], rel=RELATIVE)
    assert ours.mean_comparison == pytest.approx(numbers[1], rel=RELATIVE)
    assert ours.std_error == pytest.approx(
        gmm_error(theirs.ipw_ra(effect_group=group)), rel=RELATIVE
    )


def test_aipw_equals_statsmodels():
    rows = students(2)
    ours = doubly_robust_effect(*rows, estimand="ATE")
    theirs = statsmodels_effect(*rows)
    assert ours.estimate == pytest.approx(theirs.aipw(return_results=False)[0], rel=RELATIVE)
    assert ours.std_error == pytest.approx(gmm_error(theirs.aipw()), rel=RELATIVE)
    assert ours.df == 799
    assert (ours.n, ours.G) == (800, 800)


def stacked(y, treated, X, s, clusters, *, estimand, method, family):
    """Score, two outcome models, two means: every equation at once."""
    A = np.column_stack([np.ones(len(y)), X])
    k = A.shape[1]
    h = oracle.share_of_target(treated, estimand)

    def equations(theta):
        g, b1, b0, m1, m0 = theta[:k], theta[k : 2 * k], theta[2 * k : 3 * k], *theta[3 * k :]
        p = expit(A @ g)
        w = oracle.score_weights(p, treated, estimand)
        parts = [(s * (treated - p))[:, None] * A]
        means = []
        for member, b, m in ((treated, b1, m1), (1 - treated, b0, m0)):
            predicted = oracle.link(A @ b, family)
            rest = member * (y - predicted)
            parts.append((s * (w if method == "IPWRA" else 1.0) * rest)[:, None] * A)
            extra = w * rest if method == "AIPW" else 0.0
            means.append(s * (h * (predicted - m) + extra))
        return np.column_stack([*parts, *means])

    start = np.zeros(3 * k + 2)
    theta, covariance = oracle.solve(equations, start, clusters)
    contrast = np.array([1.0, -1.0])
    return theta[-2:], float(np.sqrt(contrast @ covariance[-2:, -2:] @ contrast))


@pytest.mark.parametrize("family", ["linear", "logit", "poisson"])
@pytest.mark.parametrize("method", ["AIPW", "IPWRA"])
@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_weighted_and_clustered_effects_equal_brute_force(estimand, method, family):
    y, treated, X, s, clusters = oracle.data(3, family=family)
    ours = doubly_robust_effect(
        y,
        treated,
        X,
        estimand=estimand,
        method=method,
        outcome_model=family,
        weights=s,
        clusters=clusters,
    )
    means, error = stacked(
        y, treated, X, s, clusters, estimand=estimand, method=method, family=family
    )
    np.testing.assert_allclose([ours.mean_treated, ours.mean_comparison], means, rtol=RELATIVE)
    assert ours.std_error == pytest.approx(error, rel=BY_DIFFERENCES)
    assert (ours.G, ours.df) == (40, 39)


def test_influence_adds_up_to_nothing_and_gives_the_standard_error():
    y, treated, X, s, clusters = oracle.data(4)
    s[:7] = 0.0
    y[:7] = np.nan
    ours = doubly_robust_effect(y, treated, X, estimand="ATE", weights=s, clusters=clusters)
    assert ours.influence.shape == y.shape
    assert (ours.influence[:7] == 0).all()
    assert abs(ours.influence.sum()) < 1e-12
    sums = np.bincount(clusters, ours.influence)
    assert ours.std_error == pytest.approx(np.sqrt(40 / 39 * (sums @ sums)), rel=1e-12)
    without = doubly_robust_effect(
        y[7:], treated[7:], X[7:], estimand="ATE", weights=s[7:], clusters=clusters[7:]
    )
    assert without.estimate == pytest.approx(ours.estimate, rel=1e-13)
    assert without.std_error == pytest.approx(ours.std_error, rel=1e-12)


def test_units_and_repeated_columns_do_not_matter():
    y, treated, X, s, clusters = oracle.data(5)
    plain = doubly_robust_effect(y, treated, X, estimand="ATE", weights=s, clusters=clusters)
    strange = np.column_stack([1e6 + 1e3 * X[:, 0], X[:, 1:], X[:, 0] - X[:, 1], np.ones(len(y))])
    other = doubly_robust_effect(
        y, treated, strange, estimand="ATE", weights=7 * s, clusters=clusters
    )
    assert other.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert other.std_error == pytest.approx(plain.std_error, rel=1e-9)


def test_the_att_of_flipped_groups_is_minus_the_atc():
    y, treated, X, s, _ = oracle.data(6)
    for method in ("AIPW", "IPWRA"):
        first = doubly_robust_effect(y, treated, X, estimand="ATT", method=method, weights=s)
        other = doubly_robust_effect(y, 1 - treated, X, estimand="ATC", method=method, weights=s)
        assert first.estimate == pytest.approx(-other.estimate, rel=1e-9)
        assert first.std_error == pytest.approx(other.std_error, rel=1e-9)


def misspecified(rng, n=1500):
    """Linear in x and z by both models; effect 1 for all; `bad` is a poor stand-in for x."""
    x, z = rng.normal(size=n), rng.normal(size=n)
    treated = (rng.random(n) < expit(0.8 * x + 0.3 * z)).astype(float)
    y = 2 * x + z + treated + rng.normal(size=n)
    return y, treated, np.column_stack([x, z]), np.column_stack([np.abs(x), z])


@pytest.mark.parametrize(
    ("method", "estimand"),
    [
        ("AIPW", "ATT"),
        ("IPWRA", "ATE"),
        pytest.param("AIPW", "ATE", marks=pytest.mark.slow),
        pytest.param("IPWRA", "ATT", marks=pytest.mark.slow),
    ],
)
def test_one_right_model_is_enough_and_the_standard_error_holds(method, estimand):
    draws = 60
    results = {"outcome wrong": [], "score wrong": [], "both wrong": []}
    for seed in range(draws):
        y, treated, good, bad = misspecified(np.random.default_rng([11, seed]))
        for name, outcome, score in (
            ("outcome wrong", bad, good),
            ("score wrong", good, bad),
            ("both wrong", bad, bad),
        ):
            effect = doubly_robust_effect(
                y, treated, outcome, estimand=estimand, method=method, propensity_columns=score
            )
            results[name].append((effect.estimate, effect.std_error))
    for name in ("outcome wrong", "score wrong"):
        estimates, errors = np.array(results[name]).T
        assert abs(estimates.mean() - 1) < 4 * estimates.std() / np.sqrt(draws), name
        assert 0.7 < errors.mean() / estimates.std(ddof=1) < 1.4, name
        inside = np.abs(estimates - 1) < 1.96 * errors
        assert inside.mean() > 0.83, name
    assert np.mean([estimate for estimate, _ in results["both wrong"]]) > 1.5


def test_near_certain_rows_are_counted_refused_or_trimmed():
    rng = np.random.default_rng(8)
    x = rng.normal(size=1000)
    treated = (rng.random(1000) < expit(3 * x)).astype(float)
    y = x + treated + rng.normal(size=1000)
    X = x[:, None]
    loose = doubly_robust_effect(y, treated, X, estimand="ATE", smallest_probability=1e-6)
    assert any("below 0.05" in note for note in loose.notes)
    with pytest.raises(EstimationError, match=r"of 1000 rows have a probability .* below 0\.02"):
        doubly_robust_effect(y, treated, X, estimand="ATE", smallest_probability=0.02)
    trimmed = doubly_robust_effect(
        y, treated, X, estimand="ATE", smallest_probability=0.1, overlap="trim"
    )
    p = sm.Logit(treated, sm.add_constant(x)).fit(disp=0, tol=1e-12).predict()
    kept = (p >= 0.1) & (p <= 0.9)
    alone = doubly_robust_effect(
        y[kept], treated[kept], X[kept], estimand="ATE", smallest_probability=1e-6
    )
    assert trimmed.n == kept.sum() < 1000
    assert trimmed.estimate == pytest.approx(alone.estimate, rel=1e-10)
    assert trimmed.std_error == pytest.approx(alone.std_error, rel=1e-10)
    assert any(note.startswith(f"Trimmed: {1000 - kept.sum()} rows") for note in trimmed.notes)
    assert (trimmed.influence[~kept] == 0).all()


def test_the_att_does_not_mind_small_scores():
    rng = np.random.default_rng(9)
    x = rng.normal(size=3000)
    treated = (rng.random(3000) < expit(-3.5 + 2 * x)).astype(float)
    effect = doubly_robust_effect(
        x + treated, treated, x[:, None], estimand="ATT", smallest_probability=0.05
    )
    assert effect.estimate == pytest.approx(1, rel=1e-9)
    assert effect.std_error < 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimand": "LATE"}, "estimand must be"),
        ({"method": "TMLE"}, "method AIPW or IPWRA"),
        ({"outcome_model": "probit"}, "unknown outcome model"),
        ({"outcome_model": "logit"}, "not between 0 and 1"),
        ({"outcome_model": "poisson"}, "not of 0 or more"),
        ({"overlap": "winsorize"}, "refuse or trim"),
        ({"smallest_probability": 0.5}, "smallest_probability"),
        ({"weights": np.full(400, -1.0)}, "400 weights are missing, infinite or negative"),
        ({"weights": np.zeros(400)}, "0 of 0 rows"),
        ({"weights": np.ones(3)}, "shape"),
        ({"clusters": np.zeros(400)}, "one cluster"),
        ({"clusters": np.r_[np.nan, np.zeros(399)]}, "missing codes"),
        ({"clusters": np.zeros(3)}, "clusters has shape"),
        ({"propensity_columns": np.full((400, 1), np.nan)}, "propensity_columns has 400 missing"),
        ({"propensity_columns": np.zeros(400)}, "propensity_columns has shape"),
        ({"propensity_columns": [["a"]] * 400}, "must be numbers"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, message):
    y, treated, X, _, _ = oracle.data(7)
    with pytest.raises(EstimationError, match=message):
        doubly_robust_effect(y, treated, X, **{"estimand": "ATE"} | change)


def test_bad_rows_are_refused():
    y, treated, X, _, _ = oracle.data(7)
    for wrong, message in (
        ((np.where(y > 1, np.nan, y), treated, X), "y has"),
        ((y, treated + 1, X), "0 or 1"),
        ((y, np.ones(400), X), "400 of 400 rows"),
        ((y[:10], treated, X), "shape"),
        ((y, treated, np.where(X > 2, np.inf, X)), "X has"),
        ((["a"] * 400, treated, X), "must be numbers"),
    ):
        with pytest.raises(EstimationError, match=message):
            doubly_robust_effect(*wrong, estimand="ATE")


def test_separation_is_refused_in_both_models():
    y, treated, X, _, _ = oracle.data(7)
    with pytest.raises(EstimationError, match="separate treated from comparison"):
        doubly_robust_effect(y, treated, np.column_stack([X, treated]), estimand="ATE")
    partly = treated * (np.arange(400) % 7 == 0)
    with pytest.raises(EstimationError, match="rows with certainty"):
        doubly_robust_effect(y, treated, np.column_stack([X, partly]), estimand="ATE")
    binary = (X[:, 0] > 0).astype(float)
    with pytest.raises(EstimationError, match="did not converge in 30"):
        doubly_robust_effect(binary, treated, X, estimand="ATE", outcome_model="logit")
    counts = np.where(X[:, 0] > 0, 3.0, 0.0)
    with pytest.raises(EstimationError, match="did not converge in 30"):
        doubly_robust_effect(
            counts, treated, (X[:, :1] > 0).astype(float), estimand="ATE", outcome_model="poisson"
        )
    with pytest.raises(EstimationError, match="are the same"):
        doubly_robust_effect(0 * y, treated, X, estimand="ATE", outcome_model="logit")


def test_more_columns_than_rows_of_a_group_are_refused():
    rng = np.random.default_rng(10)
    X = rng.normal(size=(60, 6))
    treated = np.r_[np.ones(6), np.zeros(54)]
    with pytest.raises(EstimationError, match="6 treated rows are too few"):
        doubly_robust_effect(
            rng.normal(size=60), treated, X, estimand="ATE", propensity_columns=X[:, :1]
        )


def test_a_column_that_one_group_lacks_is_named():
    y, treated, X, _, _ = oracle.data(7)
    only = (1 - treated) * (np.arange(400) % 5 == 0)
    effect = doubly_robust_effect(
        y, treated, np.column_stack([X, only]), estimand="ATE", propensity_columns=X
    )
    assert any("treated rows: columns 3 of X" in note for note in effect.notes)


def test_few_clusters_and_groups_in_one_cluster_are_noted():
    y, treated, X, _, _ = oracle.data(7)
    effect = doubly_robust_effect(
        y, treated, X, estimand="ATE", clusters=np.where(treated == 1, "a", "b")
    )
    assert any("only 2 clusters" in note for note in effect.notes)
    assert any("All treated rows are in one cluster" in note for note in effect.notes)


def test_a_result_prints_its_recipe_and_no_rows():
    y, treated, X, _, _ = oracle.data(7)
    effect = doubly_robust_effect(y, treated, X, estimand="ATE")
    assert "AIPW, linear outcome model" in repr(effect)
    assert "array" not in repr(effect)
    low, high = effect.interval()
    assert low < effect.estimate < high
    assert 0 <= effect.p_value <= 1


def test_cross_fitting_predicts_every_fold_from_the_others():
    """The folds are read off the results: rows of one cluster share one, and it was left out."""
    y, treated, X, s, clusters = oracle.data(12)
    ours = cross_fitted_effect(
        y, treated, X, estimand="ATE", seed=3, folds=4, weights=s, clusters=clusters
    )
    fold = folds_of(treated, clusters, folds=4, seed=3)
    A = np.column_stack([np.ones(400), X])
    p, m1, m0 = np.empty((3, 400))
    for number in range(4):
        here = fold == number
        score = sm.GLM(
            treated[~here], A[~here], family=sm.families.Binomial(), var_weights=s[~here]
        ).fit(tol=1e-14)
        p[here] = score.predict(A[here])
        for m, arm in ((m1, 1), (m0, 0)):
            rows = ~here & (treated == arm)
            m[here] = sm.WLS(y[rows], A[rows], weights=s[rows]).fit().predict(A[here])
    psi = m1 - m0 + treated * (y - m1) / p - (1 - treated) * (y - m0) / (1 - p)
    estimate = np.average(psi, weights=s)
    sums = np.bincount(clusters, s * (psi - estimate)) / s.sum()
    assert ours.estimate == pytest.approx(estimate, rel=1e-9)
    assert ours.std_error == pytest.approx(np.sqrt(40 / 39 * sums @ sums), rel=1e-9)
    by_hand = augmented_effect(
        y,
        treated,
        estimand="ATE",
        probability=p,
        predicted_treated=m1,
        predicted_comparison=m0,
        weights=s,
        clusters=clusters,
    )
    assert by_hand.estimate == pytest.approx(ours.estimate, rel=1e-9)
    assert by_hand.std_error == pytest.approx(ours.std_error, rel=1e-9)


def folds_of(treated, units, *, folds, seed):
    """The documented draw: shuffled units, those of one kind dealt out together."""
    values = np.unique(units)
    has = [np.isin(values, units[treated == arm]) for arm in (0, 1)]
    kind = np.where(has[0] & has[1], 1, np.where(has[1], 2, 0))
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 53])))
    shuffled = random.permutation(len(values))
    order = [u for wanted in (0, 1, 2) for u in shuffled if kind[u] == wanted]
    fold = {values[u]: place % folds for place, u in enumerate(order)}
    return np.array([fold[unit] for unit in units])


def test_the_att_needs_the_comparison_mean_only_and_equals_its_formula():
    y, treated, X, s, clusters = oracle.data(13)
    p, m0 = expit(0.5 * X[:, 0]), X @ [0.4, 0.2, 0.0]
    ours = augmented_effect(
        y,
        treated,
        estimand="ATT",
        probability=p,
        predicted_comparison=m0,
        weights=s,
        clusters=clusters,
    )
    weight = treated - (1 - treated) * p / (1 - p)
    estimate = (s * weight * (y - m0)).sum() / (s * treated).sum()
    sums = np.bincount(clusters, s * (weight * (y - m0) - treated * estimate))
    error = np.sqrt(40 / 39 * sums @ sums) / (s * treated).sum()
    assert ours.estimate == pytest.approx(estimate, rel=1e-12)
    assert ours.std_error == pytest.approx(error, rel=1e-12)
    flipped = augmented_effect(
        y,
        1 - treated,
        estimand="ATC",
        probability=1 - p,
        predicted_treated=m0,
        weights=s,
        clusters=clusters,
    )
    assert flipped.estimate == pytest.approx(-estimate, rel=1e-12)
    assert flipped.std_error == pytest.approx(error, rel=1e-12)


def test_a_student_stays_in_one_fold_and_the_seed_decides():
    y, treated, X, _, _ = oracle.data(14)
    student = np.repeat(np.arange(100), 4)
    arguments = {"estimand": "ATT", "clusters": np.arange(400) % 20, "groups": student}
    first = cross_fitted_effect(y, treated, X, seed=1, **arguments)
    again = cross_fitted_effect(y, treated, X, seed=1, **arguments)
    other = cross_fitted_effect(y, treated, X, seed=2, **arguments)
    assert first.estimate == again.estimate
    assert first.estimate != other.estimate
    order = np.random.default_rng(0).permutation(400)
    moved = cross_fitted_effect(
        y[order],
        treated[order],
        X[order],
        estimand="ATT",
        seed=1,
        clusters=arguments["clusters"][order],
        groups=student[order],
    )
    assert moved.estimate == pytest.approx(first.estimate, rel=1e-11)
    assert "cross-fitted in 5 folds (seed 1)" in repr(first)


def test_cross_fitting_recovers_the_effect_and_its_spread():
    results = []
    for seed in range(60):
        y, treated, good, _ = misspecified(np.random.default_rng([15, seed]), n=600)
        effect = cross_fitted_effect(y, treated, good, estimand="ATE", seed=1)
        results.append((effect.estimate, effect.std_error))
    estimates, errors = np.array(results).T
    assert abs(estimates.mean() - 1) < 4 * estimates.std() / np.sqrt(60)
    assert 0.7 < errors.mean() / estimates.std(ddof=1) < 1.4


def test_cross_fitting_trims_by_the_score_out_of_fold():
    rng = np.random.default_rng(16)
    x = rng.normal(size=800)
    treated = (rng.random(800) < expit(3 * x)).astype(float)
    arguments = {"estimand": "ATE", "seed": 1, "smallest_probability": 0.1}
    with pytest.raises(EstimationError, match="overlap='trim'"):
        cross_fitted_effect(x, treated, x[:, None], **arguments)
    effect = cross_fitted_effect(x, treated, x[:, None], overlap="trim", **arguments)
    assert effect.n < 800
    assert any(note.startswith("Trimmed") for note in effect.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds must be 2 or more"),
        ({"seed": -1}, "seed 0 or above"),
        ({"clusters": np.arange(400) % 3}, "at least 5 units"),
        ({"groups": np.arange(3)}, "groups has shape"),
        ({"estimand": "ATO"}, "ATT, ATC or ATE"),
        ({"overlap": "clip"}, "refuse or trim"),
    ],
)
def test_cross_fitting_refuses_what_it_cannot_do(change, message):
    y, treated, X, _, _ = oracle.data(17)
    with pytest.raises(EstimationError, match=message):
        cross_fitted_effect(y, treated, X, **{"estimand": "ATE", "seed": 1} | change)


def test_given_predictions_are_checked():
    y, treated, _, _, _ = oracle.data(18)
    half = np.full(400, 0.5)
    for change, message in (
        ({}, "needs predicted_comparison"),
        ({"predicted_comparison": half[:5]}, "predicted_comparison has shape"),
        ({"predicted_comparison": half * np.nan}, "400 missing"),
        ({"predicted_comparison": half, "probability": half * 2}, "400 of 400 probabilities"),
    ):
        with pytest.raises(EstimationError, match=message):
            augmented_effect(y, treated, **{"estimand": "ATT", "probability": half} | change)
