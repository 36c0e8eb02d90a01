"""Generalized linear models: statsmodels, indicators, brute force, known truths, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special
from scipy.special import expit, ndtr
from scipy.stats import nbinom
from statsmodels.discrete.discrete_model import NegativeBinomial

from homevisit_eval.effects.likelihood.families import FAMILIES, mean_terms, row_terms
from homevisit_eval.effects.likelihood.generalized_linear import (
    GeneralizedLinearFit,
    fit_generalized_linear,
)
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.errors import EstimationError

RELATIVE = 1e-8
ORACLE_STOPS = 1e-5  # statsmodels' optimizer of the negative binomial ends at gradients of 1e-6
BY_DIFFERENCES = 1e-6  # derivatives by differences

SM_FAMILIES = {
    "logit": sm.families.Binomial(),
    "probit": sm.families.Binomial(sm.families.links.Probit()),
    "cloglog": sm.families.Binomial(sm.families.links.CLogLog()),
    "fractional_logit": sm.families.Binomial(),
    "fractional_probit": sm.families.Binomial(sm.families.links.Probit()),
    "poisson": sm.families.Poisson(),
}


def outcomes(rng: np.random.Generator, eta: np.ndarray, family: str) -> np.ndarray:
    n = len(eta)
    if family == "poisson":
        return rng.poisson(np.exp(eta)).astype(float)
    if family == "negative_binomial":
        return rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n)).astype(float)
    if family.startswith("fractional"):
        return rng.binomial(5, expit(eta)) / 5.0  # 0 and 1 occur
    return (rng.random(n) < expit(eta)).astype(float)


def problem(family: str, seed: int = 1, n: int = 600):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.random(n) < 0.4, rng.normal(size=(n, 2)), rng.random(n)])
    clusters = rng.integers(0, 25, n)
    eta = X @ [-0.3, 0.4, 0.3, -0.2, 0.1] + 0.3 * rng.normal(size=25)[clusters]
    return outcomes(rng, eta, family), X, rng.uniform(0.2, 3.0, n), clusters


def close(ours: GeneralizedLinearFit, params: np.ndarray, bse: np.ndarray, rel: float = RELATIVE):
    assert ours.coefficients == pytest.approx(np.asarray(params), rel=rel)
    assert ours.std_errors == pytest.approx(np.asarray(bse), rel=rel)


def statsmodels_glm(family: str, y, X, w):
    model = sm.GLM(y, X, family=SM_FAMILIES[family], freq_weights=w)
    return model.fit(tol=1e-14, maxiter=100)


@pytest.mark.parametrize("family", list(SM_FAMILIES))
def test_weighted_coefficients_and_clusters_equal_statsmodels(family):
    """Bread and scores are its own."""
    y, X, w, clusters = problem(family)
    ours = fit_generalized_linear(
        y, X, family=family, weights=w, clusters=clusters, covariance="CR0"
    )
    model = sm.GLM(y, X, family=SM_FAMILIES[family], var_weights=w)
    theirs = model.fit(tol=1e-14, tol_criterion="params", maxiter=200)
    bread = np.linalg.inv(model.hessian(theirs.params, scale=1.0, observed=False))
    scores = model.score_obs(theirs.params, scale=1.0)
    sums = np.array([scores[clusters == g].sum(axis=0) for g in range(25)])
    close(ours, theirs.params, np.sqrt(np.diag(bread @ sums.T @ sums @ bread)))
    assert (ours.n, ours.K, ours.G) == (600, 5, 25)


@pytest.mark.parametrize("family", ["logit", "fractional_logit", "poisson"])
def test_clustered_errors_equal_statsmodels_without_weights(family):
    """It refuses to vouch for them with weights. Its correction is that of CR1S."""
    y, X, _, clusters = problem(family)
    ours = fit_generalized_linear(y, X, family=family, clusters=clusters)
    theirs = sm.GLM(y, X, family=SM_FAMILIES[family]).fit(
        tol=1e-14, maxiter=100, cov_type="cluster", cov_kwds={"groups": clusters}
    )
    close(ours, theirs.params, theirs.bse)


@pytest.mark.parametrize("family", ["logit", "probit", "cloglog", "poisson"])
def test_model_covariance_equals_statsmodels(family):
    y, X, w, _ = problem(family, seed=2)
    ours = fit_generalized_linear(y, X, family=family, weights=w, covariance="model")
    theirs = statsmodels_glm(family, y, X, w)
    close(ours, theirs.params, theirs.bse)
    assert ours.p_values == pytest.approx(np.asarray(theirs.pvalues), rel=1e-7)
    assert ours.intervals() == pytest.approx(np.asarray(theirs.conf_int()), rel=1e-7)


def test_observed_information_equals_the_discrete_probit():
    y, X, _, _ = problem("probit", seed=3)
    theirs = sm.Probit(y, X).fit(disp=0, tol=1e-14, method="newton")
    ours = fit_generalized_linear(y, X, family="probit", covariance="model", information="observed")
    close(ours, theirs.params, theirs.bse)
    expected = fit_generalized_linear(y, X, family="probit", covariance="model")
    assert (ours.std_errors != expected.std_errors).any()
    robust = fit_generalized_linear(y, X, family="probit", covariance="HC0", information="observed")
    close(robust, theirs.params, sm.Probit(y, X).fit(disp=0, tol=1e-14, cov_type="HC0").bse)


def test_negative_binomial_equals_statsmodels():
    y, X, _, _ = problem("negative_binomial", seed=4, n=1500)
    ours = fit_generalized_linear(y, X, family="negative_binomial", covariance="model")
    joint = NegativeBinomial(y, X).fit(disp=0, maxiter=500, gtol=1e-9)
    assert ours.coefficients == pytest.approx(np.asarray(joint.params)[:-1], rel=ORACLE_STOPS)
    assert ours.dispersion == pytest.approx(joint.params[-1], rel=ORACLE_STOPS)
    given = sm.GLM(y, X, family=sm.families.NegativeBinomial(alpha=ours.dispersion))
    close(ours, given.fit(tol=1e-14).params, given.fit(tol=1e-14).bse)
    assert any("take it as given" in note for note in ours.notes)


def test_the_dispersion_is_at_the_top_of_the_likelihood():
    y, X, w, _ = problem("negative_binomial", seed=5)
    ours = fit_generalized_linear(y, X, family="negative_binomial", weights=w)
    mean, a = np.exp(X @ ours.coefficients), ours.dispersion

    def likelihood(dispersion: float) -> float:
        size = 1.0 / dispersion
        return float(w @ nbinom.logpmf(y, size, size / (size + mean)))

    assert likelihood(a) > max(likelihood(a * 1.001), likelihood(a / 1.001))
    slope = (likelihood(a * (1 + 1e-5)) - likelihood(a * (1 - 1e-5))) / 2e-5
    assert abs(slope) < 1e-5 * abs(likelihood(a))


def test_counts_without_extra_variance_are_poisson():
    rng = np.random.default_rng(6)
    X = np.column_stack([np.ones(400), rng.normal(size=400)])
    y = rng.binomial(6, expit(X @ [0.0, 0.2])).astype(float)  # less variance than Poisson
    ours = fit_generalized_linear(y, X, family="negative_binomial")
    poisson = fit_generalized_linear(y, X, family="poisson")
    assert ours.dispersion == 0.0
    close(ours, poisson.coefficients, poisson.std_errors)
    assert any("vary no more than Poisson" in note for note in ours.notes)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_and_information_are_derivatives(family):
    eta = np.linspace(-5.0, 3.0, 41)
    y = np.tile([0.0, 1.0], 21)[:41]
    h, a = 1e-5, 0.7
    here = row_terms(eta, y, family, a)
    up, down = row_terms(eta + h, y, family, a), row_terms(eta - h, y, family, a)
    slope = (up.objective - down.objective) / (2 * h)
    assert here.score == pytest.approx(slope, rel=BY_DIFFERENCES, abs=1e-8)
    bend = -(up.score - down.score) / (2 * h)
    assert here.observed == pytest.approx(bend, rel=BY_DIFFERENCES, abs=1e-8)
    above, below, at = (mean_terms(eta + d, family) for d in (h, -h, 0.0))
    assert at.slope == pytest.approx((above.mean - below.mean) / (2 * h), rel=1e-6, abs=1e-9)
    assert at.curvature == pytest.approx((above.slope - below.slope) / (2 * h), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("family", "covariance"),
    [
        (family, covariance)
        for family in FAMILIES
        for covariance in ("HC0", "CR1S", "model", "CR2")
        if covariance != "model" or not family.startswith("fractional")  # refused, tested below
    ],
)
def test_absorbed_levels_equal_indicators(family, covariance):
    y, X, w, clusters = problem(family, seed=7)
    levels = np.random.default_rng(8).integers(0, 6, len(y))
    arguments = {
        "family": family,
        "weights": w,
        "covariance": covariance,
        "clusters": clusters if covariance.startswith("CR") else None,
    }
    ours = fit_generalized_linear(y, X, absorb=[levels], **arguments)
    indicators = (levels[:, None] == np.arange(6)).astype(float)
    explicit = fit_generalized_linear(y, np.column_stack([indicators, X[:, 1:]]), **arguments)
    assert ours.dropped == ("x0",)
    assert ours.names == ("x1", "x2", "x3", "x4")
    close(ours, explicit.coefficients[6:], explicit.std_errors[6:])
    assert ours.covariance == pytest.approx(explicit.covariance[6:, 6:], rel=1e-7, abs=1e-14)
    assert ours.fitted.effects == pytest.approx(explicit.coefficients[:6], rel=1e-7)
    assert ours.K == explicit.K == 10
    assert ours.dispersion == pytest.approx(explicit.dispersion, rel=RELATIVE)


@pytest.mark.parametrize(
    ("covariance", "factor"),
    [
        ("CR0", 1.0),
        ("CR1", 25 / 24),
        ("CR1S", 25 / 24 * 599 / 595),
        ("CR1p", 25 / 20),
    ],
)
def test_clustered_covariances_by_name(covariance, factor):
    y, X, w, clusters = problem("logit", seed=9)
    ours = fit_generalized_linear(
        y, X, family="logit", weights=w, clusters=clusters, covariance=covariance
    )
    mean = expit(X @ ours.coefficients)
    bread = np.linalg.inv(X.T @ (X * (w * mean * (1 - mean))[:, None]))
    sums = np.array([((w * (y - mean))[clusters == g]) @ X[clusters == g] for g in range(25)])
    meat = sums.T @ sums
    assert ours.covariance == pytest.approx(factor * bread @ meat @ bread, rel=RELATIVE)


def test_independent_rows_are_clusters_of_one():
    y, X, w, _ = problem("probit", seed=10)
    alone = fit_generalized_linear(y, X, family="probit", weights=w, covariance="HC1")
    counted = fit_generalized_linear(
        y, X, family="probit", weights=w, clusters=np.arange(600), covariance="CR1S"
    )
    close(alone, counted.coefficients, counted.std_errors)
    plain = fit_generalized_linear(y, X, family="probit", weights=w, covariance="HC0")
    assert alone.covariance == pytest.approx(plain.covariance * 600 / 595, rel=RELATIVE)


@pytest.mark.parametrize("weighted", [True, False])
def test_cr2_by_brute_force(weighted):
    """Bell & McCaffrey on the working regression, its variance that of the family."""
    y, X, w, clusters = problem("logit", seed=11, n=200)
    w = w / w.mean() if weighted else np.ones(200)
    ours = fit_generalized_linear(
        y, X, family="logit", weights=w, clusters=clusters, covariance="CR2"
    )
    mean = expit(X @ ours.coefficients)
    root = np.sqrt(mean * (1 - mean))  # slope over standard deviation
    A, e = X * root[:, None], (y - mean) / root
    bread = np.linalg.inv(A.T @ (A * w[:, None]))
    left = np.eye(200) - A @ bread @ (A * w[:, None]).T
    middle, meat = left @ left.T, np.zeros((5, 5))
    for g in range(25):
        rows = np.flatnonzero(clusters == g)
        values, V = np.linalg.eigh(middle[np.ix_(rows, rows)])
        adjusted = V @ (V.T @ e[rows] / np.sqrt(values))
        score = (w[rows, None] * A[rows]).T @ adjusted
        meat += np.outer(score, score)
    assert ours.covariance == pytest.approx(bread @ meat @ bread, rel=RELATIVE)


def test_cr3_equals_mancl_and_derouen():
    y, X, _, clusters = problem("poisson", seed=12, n=200)
    ours = fit_generalized_linear(
        y, X, family="poisson", clusters=clusters, covariance="CR3", df="satterthwaite"
    )
    theirs = sm.GEE(y, X, groups=clusters, family=sm.families.Poisson()).fit(
        cov_type="bias_reduced", ctol=1e-12, scale=1.0
    )
    close(ours, theirs.params, theirs.bse, rel=1e-7)
    assert (ours.df > 3).all()
    assert (ours.df < 25).all()


def test_cr2_of_a_nearly_linear_model_has_its_degrees_of_freedom():
    """Where all means are nearly 1/2 the working regression is least squares."""
    rng = np.random.default_rng(13)
    X = np.column_stack([np.ones(240), np.repeat(np.arange(12) < 3, 20).astype(float)])
    clusters = np.repeat(np.arange(12), 20)
    y = 0.5 + 1e-6 * rng.uniform(-1, 1, 240)
    ours = fit_generalized_linear(
        y,
        X,
        family="fractional_logit",
        clusters=clusters,
        covariance="CR2",
        df="satterthwaite",
    )
    theirs = fit_least_squares(y, X, clusters=clusters, covariance="CR2")
    assert ours.df == pytest.approx(theirs.df, rel=1e-5)
    assert ours.std_errors == pytest.approx(4.0 * theirs.std_errors, rel=1e-5)


def test_scale_of_weights_order_of_rows_and_weights_of_0_do_not_matter():
    y, X, w, clusters = problem("logit", seed=14)
    plain = fit_generalized_linear(y, X, family="logit", weights=w, clusters=clusters)
    order = np.random.default_rng(15).permutation(600)
    other = fit_generalized_linear(
        np.append(y[order], [np.nan]),
        np.vstack([X[order], np.full((1, 5), np.nan)]),
        family="logit",
        weights=np.append(37.0 * w[order], 0.0),
        clusters=np.append(clusters[order], 999),
    )
    close(plain, other.coefficients, other.std_errors)
    assert (other.n, other.G) == (600, 25)


def test_many_rows_start_from_some_of_them():
    y, X, w, clusters = problem("poisson", seed=16, n=60_000)
    ours = fit_generalized_linear(y, X, family="poisson", weights=w, clusters=clusters)
    gradient = X.T @ (w * (y - np.exp(X @ ours.coefficients)))
    assert np.abs(gradient).max() < 1e-8 * np.abs(X.T @ (w * y)).max()
    assert ours.iterations <= 4


def test_columns_of_any_location_and_size():
    y, X, _, _ = problem("logit", seed=17)
    plain = fit_generalized_linear(y, X, family="logit")
    Z = X * [1, 1, 1e6, 1e-6, 1] + [0, 0, 5e7, 0, 2015.0]
    other = fit_generalized_linear(y, Z, family="logit")
    assert other.coefficients[1:] * [1, 1e6, 1e-6, 1] == pytest.approx(
        plain.coefficients[1:], rel=1e-7
    )
    assert other.std_errors[1:] * [1, 1e6, 1e-6, 1] == pytest.approx(plain.std_errors[1:], rel=1e-7)


def test_collinear_columns_are_dropped_by_name():
    y, X, _, _ = problem("poisson", seed=18)
    doubled = np.column_stack([X, X[:, 2] - 2 * X[:, 3], np.full(600, 3.0)])
    ours = fit_generalized_linear(y, doubled, family="poisson", names=list("abcdefg"))
    plain = fit_generalized_linear(y, X, family="poisson", names=list("abcde"))
    assert ours.dropped == ("f", "g")
    assert ours.names == plain.names
    close(ours, plain.coefficients, plain.std_errors)
    assert any("f, g" in note for note in ours.notes)


@pytest.mark.parametrize(
    ("family", "outcomes_are"), [("logit", "all 0 or all 1"), ("poisson", "all 0")]
)
def test_levels_without_variation_are_left_out_and_counted(family, outcomes_are):
    y, X, w, clusters = problem(family, seed=19)
    levels = np.random.default_rng(20).integers(0, 6, 600)
    y[levels == 2] = 0.0
    y[levels == 4] = 1.0
    gone = levels == 2
    if family == "logit":
        gone |= levels == 4
    arguments = {"family": family, "absorb": [levels], "weights": w, "clusters": clusters}
    ours = fit_generalized_linear(y, X, **arguments)
    arguments = {
        name: [value[0][~gone]] if name == "absorb" else value if name == "family" else value[~gone]
        for name, value in arguments.items()
    }
    fewer = fit_generalized_linear(y[~gone], X[~gone], **arguments)
    close(ours, fewer.coefficients, fewer.std_errors)
    assert ours.n == int((~gone).sum())
    assert f"{int(gone.sum())} rows in {2 if family == 'logit' else 1} of 6" in ours.notes[0]
    assert outcomes_are in ours.notes[0]


def test_coverage_of_clustered_intervals_in_a_logit_world():
    covered = []
    for seed in range(150):
        rng = np.random.default_rng(1000 + seed)
        clusters = np.repeat(np.arange(40), 15)
        X = np.column_stack([np.ones(600), (clusters < 20), rng.normal(size=600)]).astype(float)
        # outcomes are those of a probit with random intercepts: its marginal mean is a probit
        own = rng.normal(size=40)[clusters]
        y = (X @ [-0.2, 0.3, 0.5] + 0.5 * own + rng.normal(size=600) > 0).astype(float)
        fit = fit_generalized_linear(
            y, X, family="probit", clusters=clusters, covariance="CR2", df="satterthwaite"
        )
        low, high = fit.intervals()[1]
        covered.append(low < 0.3 / np.sqrt(1.25) < high)
    assert 0.90 < np.mean(covered) < 0.99  # three standard errors of 150 intervals about 95 %


def test_result_shows_the_recipe_and_few_clusters():
    y, X, _, clusters = problem("logit", seed=21)
    fit = fit_generalized_linear(y, X, family="logit", clusters=clusters % 5, df="G - 1")
    assert repr(fit) == (
        "GeneralizedLinearFit(logit, 5 coefficients, CR1S, df: G - 1; n = 600, K = 5, G = 5)"
    )
    assert (fit.df == 4).all()
    assert any("Only 5 clusters" in note for note in fit.notes)


def small(family: str = "logit"):
    y, X, _, _ = problem(family, seed=22, n=120)
    return y, X


@pytest.mark.parametrize("family", ["logit", "probit", "cloglog", "fractional_logit"])
@pytest.mark.parametrize("side", [0.0, 1.0])
def test_quasi_complete_separation_is_refused_with_the_column(family, side):
    y, X = small()
    X[:, 1] = 0.0
    X[:9, 1] = 1.0
    y[:9] = side
    with pytest.raises(EstimationError, match=r"visited separate the outcomes: 9 of 120 rows"):
        fit_generalized_linear(y, X, family=family, names=["c", "visited", "a", "b", "d"])


@pytest.mark.parametrize("family", ["logit", "probit", "cloglog"])
def test_complete_separation_is_refused(family):
    _, X = small()
    y = (X[:, 2] + X[:, 3] > 0.3).astype(float)
    with pytest.raises(EstimationError, match=r"a, b together separate .* 120 of 120 rows"):
        fit_generalized_linear(y, X[:, [0, 2, 3]], family=family, names=["c", "a", "b"])


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_zero_counts_wherever_a_column_is_1_are_refused(family):
    y, X = small(family)
    X[:, 1] = 0.0
    X[:11, 1] = 1.0
    y[:11] = 0.0
    with pytest.raises(EstimationError, match=r"x1 separate the outcomes: 11 of 120 rows"):
        fit_generalized_linear(y, X, family=family)


def test_separation_by_the_level_without_an_indicator_is_refused():
    y, X = small()
    groups = np.arange(120) % 3
    y[groups == 0] = 0.0
    X = np.column_stack([np.ones(120), groups == 1, groups == 2, X[:, 2]]).astype(float)
    with pytest.raises(EstimationError, match=r"x1, x2 together separate the outcomes: 40 of 120"):
        fit_generalized_linear(y, X, family="logit")


def test_separation_within_absorbed_levels_is_refused():
    y, X = small()
    levels = np.arange(120) % 4
    X[:, 1] = (levels == 1) & (np.arange(120) > 60)
    y[X[:, 1] == 1] = 1.0
    y[(levels == 1) & (X[:, 1] == 0)][:2] = 0.0
    with pytest.raises(EstimationError, match="x1 separate the outcomes"):
        fit_generalized_linear(y, X, family="logit", absorb=[levels])


def test_separation_is_found_among_many_rows_with_small_weights():
    y, X, w, _ = problem("logit", seed=23, n=50_000)
    X[:, 1] = 0.0
    X[:40, 1] = 1.0
    y[:40] = 1.0
    w[:40] = 1e-6
    with pytest.raises(EstimationError, match="x1 separate the outcomes: 40 of"):
        fit_generalized_linear(y, X, family="logit", weights=w)


def test_nearly_separated_outcomes_still_have_a_fit():
    """One row against 200 that a column predicts otherwise: large, but finite."""
    x = np.repeat([0.0, 1.0], 200)
    y = x.copy()
    y[0], y[-1] = 1.0, 0.0
    fit = fit_generalized_linear(y, np.column_stack([np.ones(400), x]), family="logit")
    assert fit.coefficients == pytest.approx([-np.log(199), 2 * np.log(199)], rel=RELATIVE)


def test_rare_outcomes_and_tiny_weights_still_have_a_fit():
    y, X, w, _ = problem("logit", seed=24, n=4000)
    w[X[:, 1] == 1] *= 1e-9
    fit = fit_generalized_linear(y, X, family="logit", weights=w)
    gradient = (w * (y - expit(X @ fit.coefficients))) @ X
    assert abs(gradient[1]) < 1e-9 * (w[X[:, 1] == 1].sum())


@pytest.mark.parametrize(
    ("family", "bad", "words"),
    [
        ("logit", 0.5, "2 of 120 outcomes are not 0 or 1"),
        ("fractional_logit", 1.2, r"2 of 120 outcomes are not in \[0, 1\]"),
        ("fractional_probit", -0.1, r"2 of 120 outcomes are not in \[0, 1\]"),
        ("poisson", -1.0, "2 of 120 outcomes are not 0 or more"),
        ("negative_binomial", 1.5, "2 of 120 outcomes are not whole numbers"),
    ],
)
def test_outcomes_out_of_range_are_counted(family, bad, words):
    y, X = small()
    y[[3, 7]] = bad
    with pytest.raises(EstimationError, match=words):
        fit_generalized_linear(y, X, family=family)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"family": "gamma"}, "family must be one of"),
        ({"covariance": "CR9"}, "covariance must be one of"),
        ({"df": "G"}, "df must be one of"),
        ({"information": "both"}, "information must be one of"),
        ({"y": np.zeros(120)}, "are the same and at the limit"),
        ({"y": np.ones(120)}, "are the same and at the limit"),
        ({"y": np.append(np.zeros(118), [1.0, np.nan])}, "y has 1 missing"),
        ({"y": np.zeros(7)}, "y has shape"),
        ({"y": ["a"] * 120}, "y must be numbers"),
        ({"weights": np.append(np.ones(119), -1.0)}, "1 weights are missing, infinite or negative"),
        ({"weights": np.append(np.ones(119), np.nan)}, "1 weights are missing"),
        ({"weights": np.zeros(120)}, "no row has a positive weight"),
        ({"clusters": np.zeros(120)}, "all rows are in one cluster"),
        ({"clusters": np.append(np.zeros(119), np.nan)}, "clusters has missing codes"),
        ({"names": ["a"] * 5}, "names has 5 entries"),
        ({"absorb": [np.zeros(120), np.zeros(120)]}, "absorb has 2 factors"),
        ({"absorb": [np.arange(120)]}, "in all 120 absorbed levels the outcomes are all 0 or"),
        ({"covariance": "HC1", "clusters": np.arange(120) % 9}, "HC1 is for independent rows"),
        ({"df": "satterthwaite"}, "belongs to CR2 and CR3"),
        (
            {"covariance": "CR2", "clusters": np.arange(120) % 9, "information": "observed"},
            "expected information",
        ),
        ({"family": "fractional_logit", "covariance": "model"}, "no covariance 'model'"),
        ({"covariance": "CR1p", "clusters": np.arange(120) % 4}, "CR1p"),
        ({"X": np.ones(120)}, "X has shape"),
        ({"X": np.full((120, 2), np.inf)}, "X has 240 missing or infinite"),
        ({"X": np.zeros((120, 1))}, "no column of X varies"),
        ({"X": np.random.default_rng(1).normal(size=(120, 130))}, "too few to determine"),
    ],
)
def test_unusable_input_is_refused(change, words):
    y, X = small()
    arguments = {"y": y, "X": X, "family": "logit", **change}
    with pytest.raises(EstimationError, match=words):
        fit_generalized_linear(arguments.pop("y"), arguments.pop("X"), **arguments)


def test_a_fit_that_does_not_converge_is_refused(monkeypatch):
    from homevisit_eval.effects.likelihood import generalized_linear, likelihood_maximum

    y, X = small()
    monkeypatch.setattr(likelihood_maximum, "MAX_ITERATIONS", 1)
    monkeypatch.setattr(generalized_linear, "MAX_ITERATIONS", 1)
    with pytest.raises(EstimationError, match=r"did not converge: 1 of at most 1 Newton steps"):
        fit_generalized_linear(y, X, family="logit")


def test_counts_with_a_dispersion_without_end_are_refused():
    y = np.zeros(30_000)
    y[7] = 5000.0
    with pytest.raises(EstimationError, match="no finite maximum"):
        fit_generalized_linear(y, np.ones((30_000, 1)), family="negative_binomial")


def test_errors_hold_no_value_of_a_record():
    y, X = small()
    y[5] = 0.123456
    with pytest.raises(EstimationError) as caught:
        fit_generalized_linear(y, X, family="logit")
    assert "0.123" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_probit_and_logit_agree_on_means_without_covariates():
    y = np.array([0, 0, 0, 1.0] * 10)
    X = np.ones((40, 1))
    logit = fit_generalized_linear(y, X, family="logit")
    probit = fit_generalized_linear(y, X, family="probit")
    assert logit.coefficients == pytest.approx([np.log(1 / 3)], rel=RELATIVE)
    assert ndtr(probit.coefficients) == pytest.approx([0.25], rel=RELATIVE)


def test_the_negative_binomial_stands_at_the_top_of_its_likelihood():
    """An outside optimizer stops 3e-5 away; the likelihood itself, by differences, decides."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(800), rng.normal(size=(800, 2))])
    y = rng.poisson(np.exp(X @ [0.3, 0.4, -0.2]) * rng.gamma(2, 0.5, 800)).astype(float)
    fit = fit_generalized_linear(y, X, family="negative_binomial")

    def log_likelihood(values):
        mean, size = np.exp(X @ values[:3]), 1 / values[3]
        chosen = special.gammaln(y + size) - special.gammaln(size) - special.gammaln(y + 1)
        return (
            chosen + size * np.log(size / (size + mean)) + y * np.log(mean / (size + mean))
        ).sum()

    top, step = np.array([*fit.coefficients, fit.dispersion]), 1e-5
    for e in np.eye(4):
        slope = log_likelihood(top + step * e) - log_likelihood(top - step * e)
        assert abs(slope) / (2 * step) < 1e-5
