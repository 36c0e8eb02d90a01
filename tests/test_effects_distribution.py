"""Effects on a distribution: shares by band, and quantiles with a cluster bootstrap."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from effect_examples import matched_example, relabeled, reordered, with_outcome, with_weights
from homevisit_eval.design import DifferenceInMeans, DoublyRobust, FixedEffects
from homevisit_eval.effects import estimate_effect
from homevisit_eval.effects.distribution import CUT_POINTS, estimate_bands
from homevisit_eval.effects.distributional import (
    band_codes,
    fit_bands,
    quantile_differences,
    weighted_quantiles,
)
from homevisit_eval.effects.quantile_effects import QUANTILES, estimate_quantile_effects
from homevisit_eval.effects.regression import prepare_design
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample

OUTCOME = "attendance_rate"
CUTS = (0.8, 0.9, 0.95)
MEANS = DifferenceInMeans()
TWO_WAYS = FixedEffects(cluster="school_id+matched_set", covariance="CR1S")
EXACT = 1e-10  # two ways to one closed form, double precision


def weighted(n: int = 600) -> MatchedSample:
    matched = matched_example(n)
    drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, n)
    return with_weights(matched, drawn * matched.matches.weights.to_numpy())


def used_rows(matched: MatchedSample) -> pd.DataFrame:
    frame = matched.sample.baseline.assign(
        y=matched.sample.outcomes[OUTCOME], weight=matched.matches.weights
    )
    return frame[(frame["weight"] > 0) & frame["y"].notna()]


# Bands ------------------------------------------------------------------------------------------


def test_a_value_on_a_cut_point_belongs_above_it_whatever_the_rounding():
    rates = [1 - absent / 180 for absent in (37, 36, 19, 18, 9, 0)]
    assert band_codes(rates, CUTS).tolist() == [0, 1, 1, 2, 3, 3]
    assert rates[3] == 0.9 or rates[3] < 0.9  # which of the two is up to the machine
    days = [k / 10 for k in range(10)]
    assert band_codes(np.cumsum([0.1] * 10), [0.3, 1.0]).tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 2]
    assert band_codes(days, [0.3]).tolist() == [0] * 3 + [1] * 7


@given(st.integers(1, 200), st.integers(0, 200))
def test_exactly_ten_percent_absent_is_never_below_ninety(tenths, more):
    enrolled = 10 * tenths
    assert band_codes([1 - tenths / enrolled], [0.9]).tolist() == [1]
    assert band_codes([1 - (tenths + 0.1) / enrolled], [0.9]).tolist() == [0]
    assert band_codes([more], [more]).tolist() == [1]


@pytest.mark.parametrize("cuts", [(), (0.9, 0.8), (0.9, 0.9), (np.nan,)])
def test_cut_points_must_increase(cuts):
    with pytest.raises(EstimationError, match="cut_points must be"):
        band_codes([0.5], cuts)


@pytest.mark.parametrize("model", [FixedEffects(covariance="CR1S"), MEANS], ids=["all", "none"])
def test_each_band_is_the_effect_on_its_indicator(model):
    matched = weighted()
    found = estimate_bands(matched, OUTCOME, CUTS, model)
    y = matched.sample.outcomes[OUTCOME].to_numpy()
    edges = [-np.inf, *CUTS, np.inf]
    assert len(found.bands) == 4
    for band, low, high in zip(found.bands, edges[:-1], edges[1:], strict=True):
        inside = np.where(np.isnan(y), np.nan, (y >= low) & (y < high))
        alone = estimate_effect(with_outcome(matched, OUTCOME, inside), OUTCOME, model)
        for name in ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value"):
            assert getattr(band, name) == pytest.approx(getattr(alone, name), rel=1e-8)
        assert (band.low, band.high) == (low, high)
        assert band.share_visited == pytest.approx(alone.mean_visited, rel=EXACT)
        assert band.share_comparison == pytest.approx(alone.mean_comparison, rel=EXACT)


def test_without_covariates_it_is_the_difference_of_shares_in_statsmodels():
    matched = weighted()
    found = estimate_bands(matched, OUTCOME, CUTS, DifferenceInMeans(covariance="CR1S"))
    rows = used_rows(matched)
    for band in found.bands:
        inside = ((rows["y"] >= band.low) & (rows["y"] < band.high)).astype(float)
        theirs = sm.WLS(inside, sm.add_constant(rows[["visited"]]), weights=rows["weight"]).fit(
            cov_type="cluster",
            cov_kwds={"groups": pd.factorize(rows["school_id"])[0], "use_t": True},
        )
        assert band.estimate == pytest.approx(theirs.params["visited"], rel=1e-8)
        assert band.estimate == pytest.approx(band.share_visited - band.share_comparison, rel=1e-8)
        assert band.std_error == pytest.approx(theirs.bse["visited"], rel=1e-7)
        here = inside == 1
        assert band.n_visited == (rows["visited"][here] == 1).sum()
        assert band.n_comparison == (rows["visited"][here] == 0).sum()


def test_effects_add_up_to_nothing_and_shares_to_one():
    found = estimate_bands(weighted(), OUTCOME)
    assert len(found.bands) == len(CUT_POINTS[OUTCOME]) + 1
    assert abs(sum(one.estimate for one in found.bands)) < 1e-12
    for group in ("visited", "comparison"):
        shares = [getattr(one, f"share_{group}") for one in found.bands]
        assert sum(shares) == pytest.approx(1, rel=EXACT)
        counts = [getattr(one, f"n_{group}") for one in found.bands]
        assert sum(counts) == getattr(found, f"n_{group}")


def test_a_known_shift_out_of_the_lowest_band_is_found():
    matched = matched_example(2000)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 2])))
    visited = matched.sample.baseline["visited"].to_numpy()
    low = rng.random(2000) < np.where(visited == 1, 0.1, 0.2)
    y = np.where(low, 0.7, rng.choice([0.92, 0.99], 2000))
    found = estimate_bands(with_outcome(matched, OUTCOME, y), OUTCOME)
    truth = (-0.1, 0.0, 0.05, 0.0, 0.05)
    for one, effect in zip(found.bands, truth, strict=True):
        if effect:
            assert abs(one.estimate - effect) < 3.5 * one.std_error < 0.12
        else:  # nobody is there
            assert one.estimate == 0
            assert np.isnan([one.std_error, one.ci_low, one.p_value]).all()


def test_intervals_of_bands_cover_a_known_effect():
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 3])))
    covered, draws = np.zeros(3), 200
    for _ in range(draws):
        school, visited = np.repeat(np.arange(30), 8), np.tile([0, 1], 120)
        y = rng.normal(0.3 * visited + rng.normal(0, 0.3, 30)[school])
        X = np.column_stack([np.ones(240), visited])
        fits = fit_bands(
            prepare_design(X, clusters=school), band_codes(y, [-0.5, 0.5]), m=3, column="x1"
        )
        cdf = stats.norm.cdf
        at = cdf(np.subtract.outer([-0.5, 0.5], [0.3, 0.0]) / np.sqrt(1.09))
        below = at[:, 0] - at[:, 1]
        truth = np.array([below[0], below[1] - below[0], -below[1]])
        covered += (fits.intervals[:, 0] <= truth) & (truth <= fits.intervals[:, 1])
    assert ((covered >= 180) & (covered < 200)).all(), covered  # binomial(200, .95)


def test_bands_do_not_depend_on_the_order_of_rows_or_names_of_schools():
    matched = weighted()
    one, two, three = (
        estimate_bands(m, OUTCOME) for m in (matched, reordered(matched), relabeled(matched))
    )
    for a, b, c in zip(one.bands, two.bands, three.bands, strict=True):
        assert a.estimate == pytest.approx(b.estimate, abs=1e-12)
        assert a.std_error == pytest.approx(c.std_error, rel=1e-8)
        assert b.n_visited == c.n_visited


@pytest.mark.parametrize(
    ("outcome", "options", "words"),
    [
        ("any_incident", {}, "it has two values only"),
        ("math_score_std", {}, "no usual cut points"),
        (OUTCOME, {"model": DoublyRobust()}, "linear model with one clustering"),
        (OUTCOME, {"model": TWO_WAYS}, "one clustering"),
        (OUTCOME, {"cut_points": (5.0, 6.0)}, "all rows are in one band"),
        (OUTCOME, {"cut_points": (0.9, 0.8)}, "must be one or more numbers that increase"),
    ],
)
def test_bands_that_are_refused(outcome, options, words):
    with pytest.raises(EstimationError, match=words):
        estimate_bands(matched_example(200), outcome, **options)


def test_an_outcome_of_another_question_is_refused():
    with pytest.raises(DesignError, match="outcome"):
        estimate_bands(matched_example(200), "incidents")
    with pytest.raises(DesignError, match="outcome"):
        estimate_quantile_effects(matched_example(200), "incidents", seed=1)


def test_bands_print_no_counts():
    text = repr(estimate_bands(matched_example(400), OUTCOME))
    assert text.startswith("BandEffects(synthetic data, attendance_rate, ATT in the matched")
    assert "0.9 to below 0.95: " in text
    assert not re.search(r"(?<![\d.])150(?!\d)", text)


# Quantiles --------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40), st.floats(0.001, 0.999))
def test_without_weights_it_is_numpys_inverted_distribution_function(values, q):
    theirs = np.quantile(np.array(values, float), q, method="inverted_cdf")
    assert weighted_quantiles(values, [q])[0] == theirs


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=30),
    st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9]),
)
def test_whole_weights_count_as_rows_and_the_definition_holds(pairs, q):
    values, weights = np.array(pairs, dtype=float).T
    if not weights.sum():
        return
    found = weighted_quantiles(values, [q], weights)[0]
    repeated = np.repeat(values, weights.astype(int))
    assert found == weighted_quantiles(repeated, [q])[0]
    reach = [weights[values <= v].sum() for v in values]
    whole = weights.sum()
    assert found == min(
        v for v, r in zip(values, reach, strict=True) if r >= q * whole - 1e-9 and r > 0
    )


def test_a_quantile_minimizes_the_check_function():
    rng = np.random.Generator(np.random.PCG64(4))
    values, weights = rng.normal(size=101), rng.uniform(0.1, 2, 101)
    for q in QUANTILES:
        losses = [
            (weights * (values - at) * (q - (values < at))).sum() for at in values
        ]  # every minimum of the piecewise linear loss has a value of the sample
        assert weighted_quantiles(values, [q], weights)[0] == values[np.argmin(losses)]


def test_sums_of_weights_that_reach_a_share_but_for_rounding_reach_it():
    assert weighted_quantiles(np.arange(10), [0.1, 0.3, 0.7], np.full(10, 0.1)).tolist() == [
        0,
        2,
        6,
    ]


def test_the_bootstrap_is_the_one_described():
    rng = np.random.Generator(np.random.PCG64(6))
    y, treated, school = rng.normal(size=200), np.tile([0, 1], 100), rng.integers(0, 12, 200)
    weights = rng.uniform(0.2, 2, 200)
    found = quantile_differences(
        y, treated, clusters=school, seed=9, quantiles=[0.25, 0.5], weights=weights, draws=99
    )
    draws = np.random.Generator(np.random.PCG64(np.random.SeedSequence([9, 41])))
    by_hand = []
    for _ in range(99):
        rows = np.concatenate([np.flatnonzero(school == g) for g in draws.integers(0, 12, 12)])
        one, other = (
            weighted_quantiles(y[own], [0.25, 0.5], weights[own])
            for own in (rows[treated[rows] == 1], rows[treated[rows] == 0])
        )
        by_hand.append(one - other)
    np.testing.assert_allclose(found.std_errors, np.std(by_hand, axis=0, ddof=1), rtol=EXACT)
    np.testing.assert_allclose(
        found.intervals, np.percentile(by_hand, [2.5, 97.5], axis=0).T, rtol=EXACT
    )
    assert (found.draws_used, found.G) == (99, 12)


def test_a_shift_of_location_is_the_effect_at_every_quantile():
    matched = matched_example(3000, schools=60)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 4])))
    visited = matched.sample.baseline["visited"].to_numpy()
    y = rng.normal(size=3000) + 0.5 * visited
    found = estimate_quantile_effects(
        with_outcome(matched, "math_score_std", y), "math_score_std", seed=1, draws=299
    )
    for one in found.quantiles:
        assert abs(one.estimate - 0.5) < 3.5 * one.std_error < 0.6
        assert one.ci_low < one.estimate < one.ci_high
        assert one.estimate == pytest.approx(one.visited - one.comparison)


def test_effects_in_one_tail_are_found_there_only():
    matched = matched_example(3000, schools=60)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 5])))
    y = rng.normal(size=3000)
    visited = matched.sample.baseline["visited"].to_numpy()
    y = np.where((visited == 1) & (y < -1), -1 + (y + 1) / 2, y)  # the low tail moves half way up
    found = estimate_quantile_effects(
        with_outcome(matched, "math_score_std", y), "math_score_std", (0.05, 0.5, 0.75), seed=1,
        draws=299,
    )  # fmt: skip
    low, middle, high = found.quantiles
    truth = (1.6449 - 1) / 2
    assert abs(low.estimate - truth) < 3.5 * low.std_error
    assert low.ci_low > 0
    for one in (middle, high):
        assert one.ci_low < 0 < one.ci_high


def test_percentile_intervals_cover_a_known_shift():
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 6])))
    covered, draws = np.zeros(3), 150
    for number in range(draws):
        school, treated = np.repeat(np.arange(40), 12), np.tile([0, 1], 240)
        y = rng.normal(size=480) + 0.5 * treated + rng.normal(0, 0.5, 40)[school]
        found = quantile_differences(
            y, treated, clusters=school, seed=number, quantiles=[0.1, 0.5, 0.9], draws=199
        )
        covered += (found.intervals[:, 0] <= 0.5) & (found.intervals[:, 1] >= 0.5)
    # binomial(150, .95): 142.5 expected, below 132 or 150 in less than 1 of a hundred
    assert ((covered >= 132) & (covered <= 150)).all(), covered


def test_the_stage_is_the_array_function_on_matched_rows():
    matched = weighted()
    found = estimate_quantile_effects(matched, OUTCOME, seed=3, draws=99)
    rows = used_rows(matched)
    theirs = quantile_differences(
        rows["y"], rows["visited"], clusters=pd.factorize(rows["school_id"])[0], seed=3,
        weights=rows["weight"], draws=99,
    )  # fmt: skip
    assert [one.quantile for one in found.quantiles] == list(QUANTILES)
    assert [one.estimate for one in found.quantiles] == pytest.approx(list(theirs.estimates))
    assert found.clusters == 24
    assert found.n_visited == found.n_comparison == 225
    again = estimate_quantile_effects(matched, OUTCOME, seed=3, draws=99)
    assert [one.ci_low for one in again.quantiles] == [one.ci_low for one in found.quantiles]
    other = estimate_quantile_effects(matched, OUTCOME, seed=4, draws=99)
    assert [one.ci_low for one in other.quantiles] != [one.ci_low for one in found.quantiles]


def test_the_clusters_are_those_of_the_model_and_no_covariate_is_needed():
    matched = matched_example(400)
    broken = replace(matched.sample, baseline=matched.sample.baseline.drop(columns="female"))
    for model, count in ((FixedEffects(cluster="matched_set"), 150), (TWO_WAYS, 24)):
        found = estimate_quantile_effects(
            MatchedSample(broken, matched.matches), OUTCOME, seed=1, draws=99, model=model
        )
        assert (found.cluster, found.clusters) == (model.cluster.partition("+")[0], count)


def test_students_at_one_value_and_few_clusters_are_told():
    matched = matched_example(400, schools=6)
    y = np.minimum(1.0, matched.sample.outcomes[OUTCOME].to_numpy() + 0.08)
    found = estimate_quantile_effects(
        with_outcome(matched, OUTCOME, y), OUTCOME, (0.5, 0.95), seed=1, draws=99
    )
    text = " ".join(found.notes)
    assert "have exactly the value of the quantile at" in text
    assert found.quantiles[1].estimate == 0
    assert text.count("fewer than 10 clusters") == 2
    assert found.notes[0].startswith("Effects on quantiles of the distribution, not quantiles of")
    whole = estimate_quantile_effects(matched_example(400), OUTCOME, seed=1, draws=99)
    assert len(whole.notes) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantiles": (0.0, 0.5)}, "numbers between 0 and 1"),
        ({"quantiles": ()}, "numbers between 0 and 1"),
        ({"draws": 10}, "99 or more"),
        ({"seed": -1}, "seed is no whole number"),
    ],
)
def test_quantiles_that_are_refused(options, words):
    with pytest.raises(EstimationError, match=words):
        estimate_quantile_effects(matched_example(200), OUTCOME, **{"seed": 1, **options})


def test_groups_in_one_cluster_are_refused():
    matched = matched_example(200)
    baseline = matched.sample.baseline
    schools = np.where(baseline["visited"] == 1, "S01", baseline["school_id"])
    alone = replace(matched.sample, baseline=baseline.assign(school_id=schools))
    with pytest.raises(EstimationError, match=f"{OUTCOME}: all treated rows are in one cluster"):
        estimate_quantile_effects(MatchedSample(alone, matched.matches), OUTCOME, seed=1)
    with pytest.raises(EstimationError, match="two values only"):
        estimate_quantile_effects(matched, "any_incident", seed=1)


def test_too_many_draws_without_a_group_are_refused():
    y, treated = np.arange(60.0), np.repeat([1, 0], [4, 56])
    clusters = np.repeat(np.arange(30), 2)
    with pytest.raises(EstimationError, match="draws are without one of the groups"):
        quantile_differences(y, treated, clusters=clusters, seed=1)


def test_quantiles_print_no_counts():
    text = repr(estimate_quantile_effects(matched_example(400), OUTCOME, seed=1, draws=99))
    assert text.startswith("QuantileEffects(synthetic data, attendance_rate, ATT in the matched")
    assert not re.search(r"(?<![\d.])150(?!\d)", text)
