"""Outcome models that are not one clustered regression, fitted to matched samples."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from linearmodels.iv import IV2SLS
from statsmodels.treatment.treatment_effects import TreatmentEffect

from effect_examples import (
    matched_example,
    relabeled,
    reordered,
    some_of,
    with_baseline,
    with_outcome,
    with_replacement,
    without_pretest,
)
from homevisit_eval.design import (
    AbadieImbens,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    FullMatching,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    OverlapWeights,
    RandomIntercept,
)
from homevisit_eval.effects import estimate_effect, pool_effects
from homevisit_eval.effects.fit_model import fit_model
from homevisit_eval.effects.mixed.models import fit_random_intercept
from homevisit_eval.effects.regression_rows import (
    clustered_by,
    one_row_a_match,
    regression_rows,
)
from homevisit_eval.effects.replacement.given_matches import matched_effect
from homevisit_eval.effects.weighting.cross_fitted import cross_fitted_effect
from homevisit_eval.effects.weighting.doubly_robust import doubly_robust_effect
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import Estimand, MatchedSample

RELATIVE = 1e-8  # two solvers, double precision
OPTIMIZED = 1e-4  # statsmodels stops its search for the variance components early
SCHOOL_AND_SET = FixedEffects(cluster="school_id+matched_set", covariance="CR1S")
LINEAR = DoublyRobust(outcome_model="linear")
STUDENT_AND_SET = FixedEffects(cluster="student_id+matched_set", covariance="CR1S")


def frame_of(matched: MatchedSample, outcome: str = "attendance_rate") -> pd.DataFrame:
    """Everybody with the outcome, and the covariates as numbers, made without the package."""
    baseline = matched.sample.baseline
    rate, race = baseline["attendance_rate_prior"], baseline["race_ethnicity"].astype(str)
    frame = baseline.assign(
        y=matched.sample.outcomes[outcome],
        weight=matched.matches.weights,
        matched_set=matched.matches.matched_set,
        rate=rate,
        square=(rate - rate.mean()) ** 2,
        hispanic=(race == "hispanic").astype(float),
        white=(race == "white").astype(float),
        score=baseline["math_score_std_prior"].fillna(0.0),
        band=(baseline["grade_band"] == "with pretest").astype(float),
        cell=baseline["school_year"].astype(str) + baseline["grade"].astype(str),
    )
    return frame[(frame["weight"] > 0) & frame["y"].notna()]


def columns_of(frame: pd.DataFrame, *more: str) -> pd.DataFrame:
    return frame[["rate", "square", "female", "hispanic", "white", *more]].astype(float)


def with_cells(frame: pd.DataFrame) -> pd.DataFrame:
    cells = pd.get_dummies(frame["cell"], drop_first=True).astype(float)
    return pd.concat([columns_of(frame, "score"), cells], axis=1)


def codes(values: pd.Series) -> np.ndarray:
    return pd.factorize(values)[0]


# Two ways ---------------------------------------------------------------------------------------


def test_two_ways_equal_linearmodels_and_statsmodels():
    matched = matched_example(600)
    effect = estimate_effect(matched, "attendance_rate", SCHOOL_AND_SET)
    frame = frame_of(matched)
    X = sm.add_constant(with_cells(frame)).assign(visited=frame["visited"].astype(float))
    groups = frame[["school_id", "matched_set"]].apply(codes)
    theirs = IV2SLS(frame["y"], X, None, None, weights=frame["weight"]).fit(
        cov_type="clustered", clusters=groups, debiased=True
    )
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.std_error == pytest.approx(theirs.std_errors["visited"], rel=RELATIVE)
    other = sm.WLS(frame["y"], X, weights=frame["weight"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups.to_numpy()}
    )
    assert effect.std_error == pytest.approx(other.bse["visited"], rel=RELATIVE)
    assert effect.covariance == "CR1S, two-way"
    assert effect.cluster == "school_id+matched_set"
    assert (effect.clusters, effect.df) == (24, 23)
    one_way = estimate_effect(matched, "attendance_rate", FixedEffects(covariance="CR1S"))
    assert effect.estimate == pytest.approx(one_way.estimate, rel=1e-12)
    assert effect.std_error != pytest.approx(one_way.std_error, rel=1e-3)


def pairs_by_hand(matched: MatchedSample) -> pd.DataFrame:
    """A row for each visited student and for each of his matches, loop by loop."""
    frame = frame_of(matched)
    focal, match = "treated", "comparison"
    if matched.matches.estimand.target == "ATC":
        focal, match = match, focal
    pairs = matched.matches.pairs
    ratio = pairs.groupby(focal).size()
    uses: dict[object, float] = {}
    for _, pair in pairs.iterrows():
        if pair[match] in frame.index:
            uses[pair[match]] = uses.get(pair[match], 0.0) + 1 / ratio[pair[focal]]
    rows, seen = [], set()
    for _, pair in pairs.iterrows():
        if pair[focal] in frame.index and pair[focal] not in seen:
            rows.append(frame.loc[pair[focal]].to_dict() | {"part": frame.weight[pair[focal]]})
            rows[-1]["matched_set"] = pair[focal]
        seen.add(pair[focal])
        if pair[match] in frame.index:
            part = frame.weight[pair[match]] / ratio[pair[focal]] / uses[pair[match]]
            rows.append(frame.loc[pair[match]].to_dict() | {"part": part})
            rows[-1]["matched_set"] = pair[focal]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("target", ["ATT", "ATC"])
@pytest.mark.parametrize(("ratio", "caliper"), [(1, "none"), (3, "none"), (3, 0.02)])
def test_matches_with_replacement_have_a_row_each_and_the_same_coefficient(target, ratio, caliper):
    matched = with_replacement(target=target, ratio=ratio, caliper=caliper)
    found = matched.matches.pairs.groupby("treated" if target == "ATT" else "comparison").size()
    assert (found.min() < found.max()) == (caliper != "none")
    assert matched.matches.pairs["comparison" if target == "ATT" else "treated"].duplicated().any()
    once = estimate_effect(matched, "attendance_rate")
    effect = estimate_effect(matched, "attendance_rate", STUDENT_AND_SET)
    assert effect.estimate == pytest.approx(once.estimate, rel=RELATIVE)
    assert (effect.n_visited, effect.n_comparison) == (once.n_visited, once.n_comparison)
    frame = pairs_by_hand(matched)
    assert len(frame) > once.n_visited + once.n_comparison
    X = sm.add_constant(with_cells(frame)).assign(visited=frame["visited"].astype(float))
    groups = np.column_stack([codes(frame["unit_id"]), codes(frame["matched_set"])])
    theirs = sm.WLS(frame["y"], X, weights=frame["part"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    assert effect.estimate == pytest.approx(theirs.params["visited"], rel=RELATIVE)
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
    assert effect.df == min(frame["unit_id"].nunique(), frame["matched_set"].nunique()) - 1


def test_parts_of_a_student_add_to_his_weight_and_his_set_is_his_own():
    matched = with_replacement()
    rows = regression_rows(matched, "attendance_rate", STUDENT_AND_SET)
    at, weights, sets = one_row_a_match(matched, rows)
    np.testing.assert_allclose(np.bincount(at, weights, len(rows.y)), rows.weights, rtol=1e-12)
    visited = rows.visited[at] == 1
    assert len(at[visited]) == len(set(at[visited])) == (rows.visited == 1).sum()
    assert pd.Series(sets[visited]).is_unique


def test_influence_of_two_ways_stands_at_the_student():
    matched = with_replacement()
    rows = regression_rows(matched, "attendance_rate", STUDENT_AND_SET)
    outcome = matched.sample.design.outcome("attendance_rate")
    fit = fit_model(matched, rows, outcome, STUDENT_AND_SET)
    plain = fit_model(matched, rows, outcome, FixedEffects(covariance="CR0"))
    assert fit.influence.shape == plain.influence.shape == rows.y.shape
    np.testing.assert_allclose(fit.influence, plain.influence, rtol=1e-6, atol=1e-12)
    sums = np.bincount(rows.clusters, plain.influence)
    by_school = clustered_by(matched, rows, "school_id")
    sums = np.bincount(by_school.clusters, plain.influence)
    assert plain.std_error == pytest.approx(math.sqrt(sums @ sums), rel=0.5)


def test_two_ways_need_sets_or_pairs():
    with pytest.raises(EstimationError, match=r"no matched set; method 'no_matching' makes none"):
        estimate_effect(matched_example(120, matching=False), "attendance_rate", SCHOOL_AND_SET)
    with pytest.raises(DesignError, match=r"clustered in two ways .* it is 'CR2'"):
        FixedEffects(cluster="school_id+matched_set")


def test_the_error_of_the_interacted_effect_counts_the_sets_that_are_there():
    matched = matched_example(400)  # every fourth set is absent, and outcomes are missing
    effect = estimate_effect(matched, "math_score_std", FixedEffects(cluster="matched_set"))
    close_up = with_sets(matched, lambda sets: pd.Series(codes(sets), sets.index))
    far = with_sets(matched, lambda sets: sets * 7 + 5)
    for other in (close_up, far):
        again = estimate_effect(other, "math_score_std", FixedEffects(cluster="matched_set"))
        assert again.std_error == pytest.approx(effect.std_error, rel=1e-12)
        assert again.std_error_interacted == pytest.approx(effect.std_error_interacted, rel=1e-12)


def with_sets(matched: MatchedSample, change) -> MatchedSample:
    sets = matched.matches.matched_set
    numbers = sets.where(sets < 0, change(sets.where(sets >= 0, sets.max())))
    return MatchedSample(matched.sample, replace(matched.matches, matched_set=numbers))


# Doubly robust ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["ATT", "ATC", "ATE"])
@pytest.mark.parametrize("estimator", ["aipw", "ipwra"])
def test_doubly_robust_equals_the_array_function(target, estimator):
    matched = aimed_at(matched_example(600), target)
    model = DoublyRobust(estimator=estimator, outcome_model="by_scale")
    effect = estimate_effect(matched, "any_incident", model)
    frame = frame_of(matched, "any_incident")
    by_hand = doubly_robust_effect(
        frame["y"],
        frame["visited"],
        with_cells(frame),
        estimand=target,
        method=estimator.upper(),
        outcome_model="logit",
        weights=frame["weight"],
        clusters=codes(frame["school_id"]),
    )
    assert effect.estimate == pytest.approx(by_hand.estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(by_hand.std_error, rel=RELATIVE)
    assert (effect.clusters, effect.df, effect.df_convention) == (24, 23, "G - 1")
    assert effect.parameters == 3 * 12
    assert effect.estimand.target == target
    assert math.isnan(effect.estimate_interacted)
    assert effect.notes[0].startswith(f"{estimator.upper()}, logit outcome model")


def aimed_at(matched: MatchedSample, target: str, restriction: str = "") -> MatchedSample:
    estimand = Estimand(target, restriction)
    return MatchedSample(matched.sample, replace(matched.matches, estimand=estimand))


@pytest.mark.parametrize(("target", "group"), [("ATT", 1), ("ATC", 0), ("ATE", "all")])
def test_ipwra_equals_statsmodels(target, group):
    matched = aimed_at(without_pretest(matched_example(600, matching=False)), target)
    model = DoublyRobust(estimator="ipwra", outcome_model="linear", absorb=(), cluster="student_id")
    effect = estimate_effect(matched, "attendance_rate", model)
    frame = frame_of(matched)
    X = sm.add_constant(columns_of(frame)).to_numpy()
    visited = frame["visited"].to_numpy(dtype=float)
    score = sm.Logit(visited, X).fit(disp=0, tol=1e-14, method="newton")
    theirs = TreatmentEffect(
        sm.OLS(frame["y"].to_numpy(), X), visited, results_select=score
    ).ipw_ra(effect_group=group)
    n = len(frame)
    assert effect.estimate == pytest.approx(theirs.effect[0], rel=RELATIVE)
    error = math.sqrt(n / (n - 1) * theirs.results_gmm.cov_params()[0, 0])
    assert effect.std_error == pytest.approx(error, rel=1e-6)


def test_cross_fitting_keeps_schools_whole():
    matched = matched_example(600)
    model = DoublyRobust(outcome_model="linear", folds=3, seed=5)
    effect = estimate_effect(matched, "attendance_rate", model)
    frame = frame_of(matched)
    schools = codes(frame["school_id"])
    by_hand = cross_fitted_effect(
        frame["y"], frame["visited"], with_cells(frame), estimand="ATT", seed=5, folds=3,
        groups=schools, outcome_model="linear", weights=frame["weight"], clusters=schools,
    )  # fmt: skip
    assert effect.estimate == pytest.approx(by_hand.estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(by_hand.std_error, rel=RELATIVE)
    other = estimate_effect(matched, "attendance_rate", replace(model, seed=6))
    assert other.estimate != effect.estimate


@pytest.mark.parametrize(("few", "shown"), [(4, "<10"), (24, "24")])
def test_a_level_of_one_group_only_is_set_aside_and_counted(few, shown):
    matched = matched_example(600)
    used = np.flatnonzero((matched.matches.weights > 0) & (matched.sample.baseline["visited"] == 1))
    race = matched.sample.baseline["race_ethnicity"].to_numpy(dtype=object).copy()
    race[used[:few]] = "other"
    alone = with_baseline(matched, race_ethnicity=race)
    effect = estimate_effect(alone, "attendance_rate", LINEAR)
    assert effect.notes[0].startswith(f"{shown} student-years are set aside")
    kept = np.ones(600, dtype=bool)
    kept[used[:few]] = False
    without = estimate_effect(some_of(matched, kept), "attendance_rate", LINEAR)
    assert effect.estimate == pytest.approx(without.estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(without.std_error, rel=RELATIVE)
    rows = regression_rows(alone, "attendance_rate", LINEAR)
    outcome = alone.sample.design.outcome("attendance_rate")
    fit = fit_model(alone, rows, outcome, LINEAR)
    aside = np.isin(rows.places, used[:few])
    assert aside.sum() == few
    assert (fit.influence[aside] == 0).all()
    assert np.count_nonzero(fit.influence) == len(rows.y) - few


def test_doubly_robust_is_not_for_the_overlap():
    matched = aimed_at(matched_example(200), "ATO")
    with pytest.raises(EstimationError, match=r"attendance_rate: .* not for the overlap"):
        estimate_effect(matched, "attendance_rate", LINEAR)
    assert OverlapWeights().method == "overlap_weights"


# Random intercepts ------------------------------------------------------------------------------


@pytest.mark.parametrize("estimation", ["REML", "ML"])
def test_random_intercepts_equal_statsmodels(estimation):
    matched = shifted_by_school(matched_example(600))
    effect = estimate_effect(matched, "attendance_rate", RandomIntercept(estimation=estimation))
    frame = frame_of(matched)
    X = sm.add_constant(with_cells(frame)).assign(visited=frame["visited"].astype(float))
    X["square"] *= 100  # statsmodels' search does not like unlike sizes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sm.MixedLM(frame["y"] * 10, X, codes(frame["school_id"])).fit(
            reml=estimation == "REML"
        )
    assert effect.estimate == pytest.approx(theirs.params["visited"] / 10, rel=OPTIMIZED)
    assert effect.std_error == pytest.approx(theirs.bse["visited"] / 10, rel=1e-3)
    assert effect.covariance == "mixed model"
    assert effect.clusters == 24
    assert effect.notes[0].startswith("Random intercepts by cluster: intraclass correlation 0.")


def shifted_by_school(matched: MatchedSample) -> MatchedSample:
    """Return the sample with schools that differ clearly, so that the variance is inside."""
    school = codes(matched.sample.baseline["school_id"])
    shift = np.random.Generator(np.random.PCG64(4)).normal(0, 0.03, school.max() + 1)
    values = matched.sample.outcomes["attendance_rate"].to_numpy() + shift[school]
    return with_outcome(matched, "attendance_rate", values)


@pytest.mark.parametrize("covariance", ["model", "CR2"])
def test_random_intercepts_equal_the_array_function(covariance):
    matched = shifted_by_school(matched_example(400))
    effect = estimate_effect(matched, "attendance_rate", RandomIntercept(covariance=covariance))
    frame = frame_of(matched)
    X = sm.add_constant(with_cells(frame)).assign(visited=frame["visited"].astype(float))
    by_hand = fit_random_intercept(
        frame["y"], X, codes(frame["school_id"]), weights=frame["weight"], covariance=covariance,
        names=list(map(str, X)),
    )  # fmt: skip
    at = by_hand.names.index("visited")
    assert effect.estimate == pytest.approx(by_hand.coefficients[at], rel=RELATIVE)
    assert effect.std_error == pytest.approx(by_hand.std_errors[at], rel=1e-6)
    assert effect.df == pytest.approx(by_hand.df[at], rel=1e-4)
    assert effect.parameters == by_hand.K


def test_determined_visits_are_refused_by_the_mixed_model():
    matched = matched_example(200)
    decided = with_baseline(matched, female=matched.sample.baseline["visited"])
    with pytest.raises(EstimationError, match=r"attendance_rate: covariates and cells determine"):
        estimate_effect(decided, "attendance_rate", RandomIntercept())


# Abadie and Imbens ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["ATT", "ATC"])
@pytest.mark.parametrize("adjustment", ["none", "covariates"])
def test_the_matching_estimator_equals_brute_force(target, adjustment):
    matched = with_replacement(160, target=target)
    model = AbadieImbens(bias_adjustment=adjustment)
    effect = estimate_effect(matched, "attendance_rate", model)
    estimate, error = imbens_by_hand(matched, target, adjusted=adjustment == "covariates")
    assert effect.estimate == pytest.approx(estimate, rel=1e-7)
    assert effect.std_error == pytest.approx(error, rel=1e-7)
    assert (effect.df, effect.df_convention) == (math.inf, "normal")
    assert effect.covariance == "Abadie-Imbens"


def imbens_by_hand(matched: MatchedSample, target: str, *, adjusted: bool) -> tuple[float, float]:
    """Abadie & Imbens (2006, 2011), row by row: everybody with the outcome takes part."""
    baseline = matched.sample.baseline
    y = matched.sample.outcomes["attendance_rate"]
    score = matched.matches.score
    known = y.notna() & score.notna()
    everybody = frame_of(
        MatchedSample(
            matched.sample, replace(matched.matches, weights=matched.matches.weights * 0 + 1)
        )
    ).loc[known[known].index]
    X = sm.add_constant(columns_of(everybody, "score", "band")).astype(float)
    looking, group = ("treated", 1) if target == "ATT" else ("comparison", 0)
    found = "comparison" if target == "ATT" else "treated"
    matches: dict[object, list[object]] = {}
    for one, other in zip(
        matched.matches.pairs[looking], matched.matches.pairs[found], strict=True
    ):
        if known[one] and known[other]:
            matches.setdefault(one, []).append(other)
    uses, squares = pd.Series(0.0, X.index), pd.Series(0.0, X.index)
    for others in matches.values():
        uses[others] += 1 / len(others)
        squares[others] += 1 / len(others) ** 2
    expected = pd.Series(0.0, X.index)
    if adjusted:
        some = uses[uses > 0].index
        expected = X @ sm.WLS(y[some], X.loc[some], weights=uses[some]).fit().params
    sign = 1 if target == "ATT" else -1
    differences = pd.Series(
        {
            one: sign * np.mean([y[one] - expected[one] - y[k] + expected[k] for k in others])
            for one, others in matches.items()
        }
    )
    estimate = differences.mean()
    total = ((differences - estimate) ** 2).sum()
    for k in uses[uses > 0].index:
        own = X.index[(baseline.loc[X.index, "visited"] == 1 - group) & (X.index != k)]
        distance = (score[own] - score[k]).abs()
        near = y[own[distance <= distance.min()]]
        variance = len(near) / (len(near) + 1) * (y[k] - near.mean()) ** 2
        total += (uses[k] ** 2 - squares[k]) * variance
    return estimate, math.sqrt(total) / len(differences)


def test_the_matching_estimator_equals_the_array_function():
    matched = with_replacement(300)
    sample, matches = matched.sample, matched.matches
    effect = estimate_effect(matched, "attendance_rate", AbadieImbens(neighbors=3))
    y = sample.outcomes["attendance_rate"]
    known = y.notna().to_numpy()
    labels = list(sample.baseline.index[known])
    everybody = MatchedSample(sample, replace(matches, weights=matches.weights * 0 + 1))
    pairs = matches.pairs[
        matches.pairs["treated"].isin(labels) & matches.pairs["comparison"].isin(labels)
    ]
    by_hand = matched_effect(
        y[known],
        sample.baseline["visited"][known],
        [labels.index(one) for one in pairs["treated"]],
        [labels.index(one) for one in pairs["comparison"]],
        matches.score[known].to_numpy()[:, None],
        adjust_for=columns_of(frame_of(everybody), "score", "band"),
        neighbors=3,
    )
    assert effect.estimate == pytest.approx(by_hand.estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(by_hand.std_error, rel=RELATIVE)


def test_notes_of_the_matching_estimator_tell_no_small_count():
    matched = with_replacement(300, ratio=1)
    pairs = matched.matches.pairs
    y = matched.sample.outcomes["attendance_rate"].fillna(0.9).to_numpy(copy=True)
    lonely = pairs["comparison"].value_counts()
    lonely = lonely[lonely == 1].index[:3]
    y[matched.sample.baseline.index.get_indexer(lonely)] = np.nan
    effect = estimate_effect(
        with_outcome(matched, "attendance_rate", y), "attendance_rate", AbadieImbens()
    )
    assert any("<10 treated rows have no match" in note for note in effect.notes)
    assert not any(" 3 " in f" {note}" for note in effect.notes)


@pytest.mark.parametrize(
    "method", [NearestNeighbor(), OptimalPairs(), FullMatching(), NoMatching()], ids=repr
)
def test_the_matching_estimator_is_for_matching_with_replacement(method):
    matched = matched_example(120)
    other = MatchedSample(matched.sample, replace(matched.matches, method=method))
    with pytest.raises(EstimationError, match=rf"with replacement, not for '{method.method}'"):
        estimate_effect(other, "attendance_rate", AbadieImbens())


# All --------------------------------------------------------------------------------------------


def suited(model, n: int, seed: int = 1) -> MatchedSample:
    """Return a sample whose matching the model is for."""
    if isinstance(model, AbadieImbens):
        return with_replacement(n, seed=seed)
    return matched_example(n, seed=seed)


MODELS = [
    SCHOOL_AND_SET, STUDENT_AND_SET, FixedEffects(cluster="matched_set"), DifferenceInMeans(),
    DoublyRobust(outcome_model="linear"), DoublyRobust(estimator="ipwra", outcome_model="linear"),
    RandomIntercept(),
    RandomIntercept(covariance="CR2"), AbadieImbens(),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_order_labels_and_unused_categories_do_not_matter(model):
    matched = suited(model, 300)
    before = matched.sample.baseline.copy(), matched.sample.outcomes.copy()
    effect = estimate_effect(matched, "math_score_std", model)
    for other in (reordered(matched), relabeled(matched)):
        again = estimate_effect(other, "math_score_std", model)
        assert again.estimate == pytest.approx(effect.estimate, rel=1e-7)
        assert again.std_error == pytest.approx(effect.std_error, rel=1e-6)
        assert again.df == pytest.approx(effect.df, rel=1e-4)
        assert (again.clusters, again.parameters) == (effect.clusters, effect.parameters)
    pd.testing.assert_frame_equal(matched.sample.baseline, before[0])
    pd.testing.assert_frame_equal(matched.sample.outcomes, before[1])


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_effects_of_completed_samples_are_pooled(model):
    effects = [
        estimate_effect(suited(model, 300, seed), "attendance_rate", model) for seed in (1, 2, 3)
    ]
    pooled = pool_effects(effects)
    values = np.array([effect.estimate for effect in effects])
    errors = np.array([effect.std_error for effect in effects])
    assert pooled.estimate == pytest.approx(values.mean())
    total = (errors**2).mean() + (1 + 1 / 3) * values.var(ddof=1)
    assert pooled.std_error == pytest.approx(math.sqrt(total))
    assert pooled.coefficients["visited"] == pytest.approx((pooled.estimate, pooled.std_error))
    assert math.isnan(pooled.std_error_interacted) != isinstance(model, FixedEffects)


@pytest.mark.parametrize("model", [DoublyRobust(), RandomIntercept()], ids=repr)
def test_influence_adds_up_by_school_to_the_error(model):
    matched = shifted_by_school(matched_example(400))
    rows = regression_rows(matched, "attendance_rate", model)
    fit = fit_model(matched, rows, matched.sample.design.outcome("attendance_rate"), model)
    sums = np.bincount(rows.clusters, fit.influence)
    G = len(sums)
    error = math.sqrt(G / (G - 1) * float(sums @ sums))
    exact = isinstance(model, DoublyRobust)
    assert fit.std_error == pytest.approx(error, rel=1e-9 if exact else 0.5)


def test_one_school_is_refused():
    matched = with_baseline(matched_example(200), school_id="S01")
    for model in (FixedEffects(), DoublyRobust(), RandomIntercept()):
        with pytest.raises(EstimationError, match=r"all matched student-years are in one school"):
            estimate_effect(matched, "attendance_rate", model)


def test_results_show_no_rows():
    for model in MODELS:
        effect = estimate_effect(suited(model, 200), "attendance_rate", model)
        assert "SYN" not in repr(effect)
        assert "S0" not in repr(effect)
    rows = regression_rows(matched_example(200), "attendance_rate", FixedEffects())
    assert repr(rows).startswith("RegressionRows(150 rows: ")


def test_clusters_by_student_tell_no_few_that_lack_the_outcome():
    matched = matched_example(400)
    y = matched.sample.outcomes["attendance_rate"].to_numpy(copy=True)
    y[:3] = np.nan
    few = with_outcome(matched, "attendance_rate", y)
    for cluster in ("student_id", "matched_set"):
        model = FixedEffects(cluster=cluster, covariance="CR1")
        assert " G = " not in repr(estimate_effect(few, "attendance_rate", model))
        assert "df" not in repr(estimate_effect(few, "attendance_rate", model))
        assert " G = " in repr(estimate_effect(matched, "attendance_rate", model))
    assert " G = 24, K = " in repr(estimate_effect(few, "attendance_rate"))


def test_a_known_effect_is_within_four_errors_by_every_model():
    for model in MODELS:
        effect = estimate_effect(suited(model, 1200), "attendance_rate", model)
        assert abs(effect.estimate - 0.02) < 4 * effect.std_error
        assert 0.0005 < effect.std_error < 0.01


def test_statsmodels_formula_agrees_on_plain_means():
    matched = matched_example(300)
    effect = estimate_effect(matched, "attendance_rate", DifferenceInMeans(covariance="CR0"))
    frame = frame_of(matched)
    theirs = smf.ols("y ~ visited", frame).fit(
        cov_type="cluster",
        cov_kwds={"groups": codes(frame["school_id"]), "use_correction": False},
    )
    assert effect.std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)
