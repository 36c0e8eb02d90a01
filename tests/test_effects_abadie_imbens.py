"""Matching with replacement: stored output of R, brute force, closed forms, spread over draws."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit

from homevisit_eval.effects.replacement import neighbor_links
from homevisit_eval.effects.replacement.abadie_imbens import matching_effect
from homevisit_eval.effects.replacement.estimated_score import score_matching_effect
from homevisit_eval.effects.replacement.given_matches import matched_effect
from homevisit_eval.errors import EstimationError

FOLDER = Path(__file__).parent / "reference" / "regression"
RELATIVE = 1e-8


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_the_matching_estimator_equals_r(estimand, adjusted):
    """Its variance is by default the homoskedastic one, for the population."""
    frame = pd.read_csv(FOLDER / "lalonde_matchit.csv.gz")
    rows = pd.read_csv(FOLDER / "golden.csv").set_index("spec")
    row = rows.loc[f"G12_lalonde_Match_{estimand}_M1_bias{str(adjusted).upper()}"]
    ours = matching_effect(
        frame["re78"],
        frame["treat"],
        frame[["age", "educ", "married", "nodegree", "re74", "re75"]],
        estimand=estimand,
        metric="inverse variance",
        bias_adjustment="regression" if adjusted else "none",
        variance="homoskedastic",
    )
    assert ours.estimate == pytest.approx(row["estimate"], rel=RELATIVE)
    assert ours.std_error == pytest.approx(row["se"], rel=RELATIVE)
    assert ours.estimate / ours.std_error == pytest.approx(row["stat"], rel=RELATIVE)
    assert ours.p_value == pytest.approx(row["p"], rel=RELATIVE)
    of_pairs = float(row["note"].split("se.standard=")[1])
    assert ours.std_error_of_pairs == pytest.approx(of_pairs, rel=RELATIVE)
    assert ours.df == np.inf


def students(seed: int, n: int = 120, places: int = 0):
    """Rounded covariates give ties within and between points."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ [[1, 0.5, 0], [0, 1, 0.3], [0, 0, 2]]
    treated = (rng.random(n) < expit(0.5 * X[:, 0])).astype(float)
    X = np.round(X, places)
    y = X @ [1.0, -0.5, 0.2] + treated * (1 + 0.3 * X[:, 0]) + rng.normal(size=n)
    return y, treated, X


def nearest(distances, candidates, needed):
    """Return the nearest candidates, at least as many as needed and all tied with the last."""
    reach = np.sort(distances[candidates])[needed - 1]
    return candidates[distances[candidates] <= reach + 1e-9]


def by_hand(
    y,
    treated,
    X,
    *,
    estimand,
    matches=1,
    metric="Mahalanobis",
    bias_adjustment="none",
    variance="heteroskedastic",
    neighbors=1,
    inference_for="population",
):
    """The same with loops over rows and all distances, formulas as in the papers."""
    n, treated = len(y), treated == 1
    A = (
        np.linalg.inv(np.atleast_2d(np.cov(X.T)))
        if metric == "Mahalanobis"
        else np.diag(1 / X.var(0, ddof=1))
    )
    gap = X[:, None] - X[None]
    distances = np.sqrt(np.einsum("ijk,kl,ijl->ij", gap, A, gap).clip(0))
    focal = {"ATT": treated, "ATC": ~treated, "ATE": np.ones(n, bool)}[estimand]
    sets = {
        i: nearest(distances[i], np.flatnonzero(treated != treated[i]), matches)
        for i in np.flatnonzero(focal)
    }
    K, squares = np.zeros(n), np.zeros(n)
    for found in sets.values():
        K[found] += 1 / len(found)
        squares[found] += 1 / len(found) ** 2
    predicted = {True: np.zeros(n), False: np.zeros(n)}
    if bias_adjustment == "regression":
        for arm in {not treated[i] for i in sets}:
            fit = sm.WLS(
                y[(treated == arm) & (K > 0)],
                sm.add_constant(X[(treated == arm) & (K > 0)]),
                weights=K[(treated == arm) & (K > 0)],
            ).fit()
            predicted[arm] = fit.predict(sm.add_constant(X))
    pairs = {
        i: (1 if treated[i] else -1)
        * (y[i] - y[found] - predicted[not treated[i]][i] + predicted[not treated[i]][found])
        for i, found in sets.items()
    }
    tau = np.mean([d.mean() for d in pairs.values()])
    N = len(pairs)
    if variance == "homoskedastic":
        s2 = np.full(n, sum(((d - tau) ** 2).mean() for d in pairs.values()) / (2 * N))
    else:
        s2 = np.empty(n)
        for i in range(n):
            own = np.flatnonzero((treated == treated[i]) & (np.arange(n) != i))
            close = nearest(distances[i], own, neighbors)
            s2[i] = len(close) / (len(close) + 1) * (y[i] - y[close].mean()) ** 2
    around = sum((d.mean() - tau) ** 2 for d in pairs.values())
    if inference_for == "sample":
        total = ((focal + K) ** 2 * s2).sum()
    elif estimand == "ATE":
        total = around + ((K**2 + 2 * K - squares) * s2).sum()
    else:
        total = around + ((~focal) * (K**2 - squares) * s2).sum()
    return tau, np.sqrt(total) / N, sets


OPTIONS = list(
    product(
        ["ATT", "ATC", "ATE"],
        [1, 3],
        ["Mahalanobis", "inverse variance"],
        ["none", "regression"],
        [("heteroskedastic", 1), ("heteroskedastic", 3), ("homoskedastic", 1)],
        ["population", "sample"],
    )
)


@pytest.mark.parametrize("place", range(0, len(OPTIONS), 12))
def test_every_option_equals_brute_force(place):
    for options in OPTIONS[place : place + 12]:
        estimand, matches, metric, adjustment, (variance, neighbors), target = options
        arguments = {
            "estimand": estimand,
            "matches": matches,
            "metric": metric,
            "bias_adjustment": adjustment,
            "variance": variance,
            "neighbors": neighbors,
            "inference_for": target,
        }
        y, treated, X = students(place, n=70)
        tau, error, sets = by_hand(y, treated, X, **arguments)
        ours = matching_effect(y, treated, X, **arguments)
        assert ours.estimate == pytest.approx(tau, rel=1e-10), options
        assert ours.std_error == pytest.approx(error, rel=1e-10), options
        focal = np.concatenate([np.full(len(found), i) for i, found in sets.items()])
        match = np.concatenate(list(sets.values()))
        del arguments["estimand"], arguments["matches"]
        again = matched_effect(y, treated, focal, match, X, **arguments)
        assert again.estimand == estimand
        assert again.estimate == pytest.approx(tau, rel=1e-10), options
        assert again.std_error == pytest.approx(error, rel=1e-10), options
        assert again.std_error_of_pairs == pytest.approx(ours.std_error_of_pairs, rel=1e-10)
        assert (again.n_focal, again.n_matches) == (ours.n_focal, ours.n_matches)


def test_ties_are_there_and_matter():
    y, treated, X = students(1)
    sets = by_hand(y, treated, X, estimand="ATT")[2]
    assert max(len(found) for found in sets.values()) > 3
    ours = matching_effect(y, treated, X, estimand="ATT", bias_adjustment="none")
    first = [found[0] for found in sets.values()]
    broken = matched_effect(
        y, treated, list(sets), first, X, bias_adjustment="none"
    )  # fmt: skip
    assert broken.estimate != pytest.approx(ours.estimate, rel=1e-3)


def test_units_order_and_blocks_do_not_matter(monkeypatch):
    y, treated, X = students(2)
    plain = matching_effect(y, treated, X, estimand="ATE", matches=2)
    order = np.random.default_rng(0).permutation(len(y))
    moved = X[order] * [100.0, 0.01, 3.0] + [5.0, 1e4, 0.0]
    other = matching_effect(y[order], treated[order], moved, estimand="ATE", matches=2)
    assert other.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert other.std_error == pytest.approx(plain.std_error, rel=1e-9)
    monkeypatch.setattr(neighbor_links, "BLOCK", 7)
    blocked = matching_effect(y, treated, X, estimand="ATE", matches=2)
    assert (blocked.estimate, blocked.std_error) == (plain.estimate, plain.std_error)


def test_mahalanobis_distances_do_not_depend_on_how_columns_are_combined():
    y, treated, X = students(3, places=4)
    one = matching_effect(y, treated, X, estimand="ATT")
    mixed = X @ [[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [3.0, 0.0, 1.0]]
    two = matching_effect(y, treated, mixed, estimand="ATT")
    three = matching_effect(
        y, treated, np.column_stack([X, X.sum(axis=1), np.ones(len(y))]), estimand="ATT"
    )
    for other in (two, three):
        assert other.estimate == pytest.approx(one.estimate, rel=1e-9)
        assert other.std_error == pytest.approx(one.std_error, rel=1e-9)


def test_the_att_of_flipped_groups_is_minus_the_atc():
    y, treated, X = students(4)
    first = matching_effect(y, treated, X, estimand="ATT")
    other = matching_effect(y, 1 - treated, X, estimand="ATC")
    assert first.estimate == pytest.approx(-other.estimate, rel=1e-12)
    assert first.std_error == pytest.approx(other.std_error, rel=1e-12)


def test_a_tiny_case_by_hand():
    """Treated at 0 and 1; comparison at 0, 0 and 1 with y 1, 3 and 2: differences 3 and 5."""
    effect = matching_effect(
        [5.0, 7.0, 1.0, 3.0, 2.0],
        [1, 1, 0, 0, 0],
        [[0.0], [1.0], [0.0], [0.0], [1.0]],
        estimand="ATT",
        bias_adjustment="none",
    )
    assert effect.estimate == 4.0
    # K = 1/2, 1/2, 1; K' = 1/4, 1/4, 1; sigma^2 of the tied pair is (1 - 3)^2 / 2 = 2;
    # K^2 - K' = 0 for all, so the variance is that of the differences: (1 + 1) / 4
    assert effect.std_error == pytest.approx(np.sqrt(0.5), rel=1e-14)
    assert (effect.n_focal, effect.n_matches, effect.most_uses) == (2, 3, 1.0)


def test_one_comparison_row_for_all_counts_its_uses():
    """Four treated, one near comparison row: K = 4, K' = 4, N = 4, sigma^2 = (2 - 8)^2 / 2."""
    y = np.array([5.0, 6.0, 7.0, 8.0, 2.0, 8.0])
    X = np.array([[0.0], [0.1], [0.2], [0.3], [0.1], [9.0]])
    effect = matching_effect(y, [1, 1, 1, 1, 0, 0], X, estimand="ATT", bias_adjustment="none")
    differences = y[:4] - 2
    total = ((differences - differences.mean()) ** 2).sum() + (16 - 4) * 18
    assert effect.estimate == pytest.approx(differences.mean(), rel=1e-14)
    assert effect.std_error == pytest.approx(np.sqrt(total) / 4, rel=1e-14)
    assert effect.most_uses == 4.0


def test_a_linear_outcome_is_recovered_exactly_by_bias_adjustment():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 2))
    treated = (rng.random(200) < expit(X[:, 0])).astype(float)
    y = 2 + X @ [3.0, -1.0] + 1.5 * treated
    adjusted = matching_effect(y, treated, X, estimand="ATE")
    assert adjusted.estimate == pytest.approx(1.5, rel=1e-10)
    plain = matching_effect(y, treated, X, estimand="ATE", bias_adjustment="none")
    assert abs(plain.estimate - 1.5) > 0.01
    by_one = matching_effect(y, treated, X, estimand="ATE", adjust_for=X[:, :1])
    assert by_one.estimate != pytest.approx(1.5, rel=1e-3)


def test_pairs_without_replacement_have_the_paired_variance():
    rng = np.random.default_rng(6)
    y = rng.normal(size=40)
    treated = np.repeat([1, 0], 20)
    X = rng.normal(size=(40, 1))
    effect = matched_effect(y, treated, np.arange(20), np.arange(20, 40), X, bias_adjustment="none")
    differences = y[:20] - y[20:]
    assert effect.estimate == pytest.approx(differences.mean(), rel=1e-12)
    assert effect.std_error == pytest.approx(differences.std() / np.sqrt(20), rel=1e-12)


def test_unequal_shares_and_unmatched_rows():
    y = np.array([5.0, 7.0, 1.0, 3.0, 2.0, 9.0])
    treated = np.array([1, 1, 0, 0, 0, 1])
    X = np.arange(6.0)[:, None]
    effect = matched_effect(
        y,
        treated,
        np.array([0, 0, 1]),
        np.array([2, 3, 4]),
        X,
        shares=[0.25, 0.75, 1.0],
        bias_adjustment="none",
        variance="homoskedastic",
    )
    assert effect.estimate == pytest.approx(((5 - 2.5) + (7 - 2)) / 2, rel=1e-14)
    assert any("1 treated rows have no match" in note for note in effect.notes)


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_errors_have_the_size_of_the_spread_over_draws(estimand):
    """Effects 1 + x with E[x] = 0; among the treated E[x] by integration. The bias of matching
    is adjusted for; rows used repeatedly make the pairs' own error too small for the ATE."""
    grid = np.linspace(-1, 1, 20_001)
    truth = 1 + (np.average(grid, weights=expit(grid)) if estimand == "ATT" else 0.0)
    results = []
    for seed in range(150):
        rng = np.random.default_rng([7, seed])
        X = rng.uniform(-1, 1, (300, 2))
        treated = rng.random(300) < expit(X[:, 0])
        noise = (0.5 + (X[:, 1] > 0)) * rng.normal(size=300)
        y = X[:, 0] + X[:, 1] ** 2 + treated * (1 + X[:, 0]) + noise
        effect = matching_effect(y, treated, X, estimand=estimand, neighbors=2)
        results.append((effect.estimate, effect.std_error, effect.std_error_of_pairs))
    estimates, errors, of_pairs = np.array(results).T
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - truth) < 4 * spread / np.sqrt(150)
    assert 0.85 < errors.mean() / spread < 1.15
    assert 0.89 < (np.abs(estimates - truth) < 1.96 * errors).mean() < 0.99
    assert of_pairs.mean() / spread < 0.9


def score_by_hand(y, treated, X, estimand, L):
    """The variance of Abadie and Imbens (2016) with loops over rows."""
    n, W = len(y), treated == 1
    A = sm.add_constant(X)
    p = sm.Logit(treated, A).fit(disp=0, tol=1e-14, method="newton").predict()
    f = p * (1 - p)
    information = (A * f[:, None]).T @ A / n
    tau, known, _ = by_hand(y, treated, p[:, None], estimand=estimand, metric="inverse variance")
    if estimand == "ATC":
        W, p, tau = ~W, 1 - p, -tau
    inverse = np.linalg.inv(np.cov(X.T))
    c, d = np.zeros(A.shape[1]), np.zeros(A.shape[1])
    for i in range(n):
        means, covariances = {}, {}
        for arm in (True, False):
            near = nearest(np.abs(p - p[i]) / p.std(), np.flatnonzero(arm == W), L)
            means[arm] = y[near].mean()
            centered = (A[near] - A[near].mean(axis=0)) * (y[near] - means[arm])[:, None]
            covariances[arm] = centered.sum(axis=0) / (len(near) - 1)
        if estimand == "ATE":
            c += f[i] * (covariances[True] / p[i] + covariances[False] / (1 - p[i]))
            continue
        c += f[i] * A[i] * (means[True] - means[False] - tau)
        c += f[i] * (covariances[True] + p[i] / (1 - p[i]) * covariances[False])
        gap = X - X[i]
        distance = np.sqrt(np.einsum("ij,jk,ik->i", gap, inverse, gap))
        other = nearest(distance, np.flatnonzero(W[i] != W), 1)
        d += f[i] * A[i] * ((1 if W[i] else -1) * (y[i] - y[other].mean()) - tau)
    size = n if estimand == "ATE" else W.sum()
    c, d = c / size, d / size
    change = d @ np.linalg.solve(information, d) - c @ np.linalg.solve(information, c)
    return known, np.sqrt(known**2 + change / n)


@pytest.mark.parametrize("L", [2, 4])
@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_the_estimated_score_is_counted_as_in_the_formula(estimand, L):
    y, treated, X = students(8, n=150, places=1)
    ours = score_matching_effect(y, treated, X, estimand=estimand, covariance_neighbors=L)
    known, adjusted = score_by_hand(y, treated, X, estimand, L)
    assert ours.std_error_known_score == pytest.approx(known, rel=1e-8)
    assert ours.std_error == pytest.approx(adjusted, rel=1e-8)
    assert "adjusted for the estimated score" in repr(ours)


def score_draw(seed: int, kind: str):
    rng = np.random.default_rng([9, seed])
    X = rng.uniform(-1, 1, (500, 2))
    if kind == "same effect":  # outcome moves with what the score does not tell
        treated = rng.random(500) < expit(X @ [1.0, 0.5])
        return treated + 3 * (X[:, 0] - X[:, 1]) + rng.normal(size=500), treated, X
    treated = rng.random(500) < expit(X @ [0.5, 0.5] - 0.8)
    beside = 4 * (X[:, 0] - X[:, 1])
    return np.where(treated, beside, -beside) + 0.5 * rng.normal(size=500), treated, X


@pytest.mark.parametrize(
    ("kind", "estimand", "low", "high"),
    [
        ("same effect", "ATE", 1.3, 2.0),  # a score taken as known: far too large
        pytest.param("same effect", "ATT", 1.15, 1.7, marks=pytest.mark.slow),
        ("opposite slopes", "ATT", 0.6, 0.9),  # and too small
    ],
)
def test_errors_for_an_estimated_score_have_the_size_of_the_spread(kind, estimand, low, high):
    results = []
    for seed in range(120):
        effect = score_matching_effect(*score_draw(seed, kind), estimand=estimand)
        results.append((effect.estimate, effect.std_error, effect.std_error_known_score))
    estimates, errors, known = np.array(results).T
    spread = estimates.std(ddof=1)
    assert 0.85 < errors.mean() / spread < 1.15
    assert low < known.mean() / spread < high


def test_pairs_by_score_get_the_same_adjustment():
    y, treated, X = students(10, n=150, places=1)
    p = sm.Logit(treated, sm.add_constant(X)).fit(disp=0, tol=1e-14, method="newton").predict()
    for estimand in ("ATT", "ATC", "ATE"):
        sets = by_hand(y, treated, p[:, None], estimand=estimand)[2]
        ours = score_matching_effect(y, treated, X, estimand=estimand)
        again = matched_effect(
            y,
            treated,
            np.concatenate([np.full(len(found), i) for i, found in sets.items()]),
            np.concatenate(list(sets.values())),
            p[:, None],
            bias_adjustment="none",
            score_columns=X,
        )
        assert again.estimate == pytest.approx(ours.estimate, rel=1e-10)
        assert again.std_error == pytest.approx(ours.std_error, rel=1e-8)
        assert again.std_error_known_score == pytest.approx(ours.std_error_known_score, rel=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimand": "ATO"}, "unknown option 'ATO'"),
        ({"metric": "euclidean"}, "Mahalanobis"),
        ({"bias_adjustment": "ridge"}, "none or regression"),
        ({"variance": "HC2"}, "heteroskedastic or homoskedastic"),
        ({"inference_for": "everyone"}, "population or sample"),
        ({"matches": 0}, "0 nearest rows"),
        ({"matches": 500}, "500 nearest rows are asked for, and a group has"),
        ({"neighbors": 0}, "at least 1"),
        ({"neighbors": 500}, "fewer than there are"),
        ({"adjust_for": np.full((120, 1), np.nan)}, "adjust_for has 120"),
    ],
)
def test_what_cannot_be_matched_is_refused(change, message):
    y, treated, X = students(11)
    with pytest.raises(EstimationError, match=message):
        matching_effect(y, treated, X, **{"estimand": "ATT"} | change)


def test_too_few_matches_for_the_adjustment_are_refused():
    y, treated, X = students(11, places=4)
    few = np.r_[np.flatnonzero(treated == 1), np.flatnonzero(treated == 0)[:3]]
    with pytest.raises(EstimationError, match="too few for a bias adjustment by 3 columns"):
        matching_effect(y[few], treated[few], X[few], estimand="ATT")


def test_a_column_that_the_matches_lack_is_named():
    y, treated, X = students(12)
    only = np.column_stack([X, treated * (np.arange(120) % 3 == 0)])
    effect = matching_effect(y, treated, X, estimand="ATT", adjust_for=only)
    assert any("columns 3 add nothing" in note for note in effect.notes)
    assert effect.estimate == pytest.approx(
        matching_effect(y, treated, X, estimand="ATT").estimate, rel=1e-10
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"focal": [0.5], "match": [1]}, "whole numbers"),
        ({"focal": [0, 1], "match": [1]}, "at least one pair"),
        ({"focal": np.zeros(0, int), "match": np.zeros(0, int)}, "at least one pair"),
        ({"focal": [0], "match": [99]}, "1 of 1 positions"),
        ({"focal": [0], "match": [-1]}, "give 0 to 9"),
        ({"focal": [0], "match": [0]}, "1 of 1 pairs are of one group"),
        ({"shares": [0.5]}, "do not add to 1 in 1 focal rows"),
        ({"shares": [-1.0]}, "above 0"),
        ({"shares": [1.0, 2.0]}, "one number above 0 for each of 1 pairs"),
        ({"metric": "euclidean"}, "Mahalanobis"),
        ({"bias_adjustment": "regression"}, "1 comparison rows are used as matches"),
        ({"score_columns": np.zeros((10, 1)), "inference_for": "sample"}, "for the population"),
        ({"score_columns": np.arange(10.0)[:, None]}, "separate treated"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(change, message):
    treated = np.repeat([1, 0], 5)
    arguments = {"focal": [0], "match": [9], "bias_adjustment": "none"} | change
    with pytest.raises(EstimationError, match=message):
        matched_effect(np.arange(10.0), treated, X=np.arange(10.0)[:, None], **arguments)


def test_the_score_needs_neighbors_and_overlap():
    y, treated, X = students(13)
    with pytest.raises(EstimationError, match="2 or more"):
        score_matching_effect(y, treated, X, estimand="ATT", covariance_neighbors=1)
    with pytest.raises(EstimationError, match="separate treated"):
        score_matching_effect(y, treated, np.column_stack([X, treated]), estimand="ATT")
    with pytest.raises(EstimationError, match="unknown option"):
        score_matching_effect(y, treated, X, estimand="ATO")


def test_an_adjusted_variance_below_zero_is_refused_not_returned():
    rng = np.random.default_rng(14)
    refused = 0
    for _ in range(200):
        X = rng.normal(size=(14, 3))
        treated = (rng.permutation(14) < 7).astype(float)
        y = 50 * X[:, 1]
        try:
            effect = score_matching_effect(y, treated, X, estimand="ATE")
        except EstimationError as error:
            refused += "not positive" in str(error)
        else:
            assert effect.std_error > 0
    assert refused > 0


def test_constant_covariates_match_everyone():
    y, treated, _ = students(15)
    for metric in ("Mahalanobis", "inverse variance"):
        effect = matching_effect(
            y, treated, np.ones((120, 2)), estimand="ATT", metric=metric, bias_adjustment="none"
        )
        difference = y[treated == 1].mean() - y[treated == 0].mean()
        assert effect.estimate == pytest.approx(difference, rel=1e-12)
        low, high = effect.interval()
        assert low < effect.estimate < high
        assert "array" not in repr(effect)
