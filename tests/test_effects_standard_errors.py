"""One estimate with all its standard errors: each as if it were computed alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from effect_examples import (
    matched_example,
    relabeled,
    reordered,
    with_baseline,
    with_outcome,
    with_replacement,
    with_weights,
)
from homevisit_eval.design import DifferenceInMeans, DoublyRobust, FixedEffects
from homevisit_eval.effects import StandardErrors, compare_standard_errors, estimate_effect
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.effects.resampling.randomization import randomization_test
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample

RELATIVE = 1e-8  # two solvers, double precision
OUTCOME = "attendance_rate"
DRAWS = 99

SCHOOL = [f"{name} by school_id" for name in ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")]
WITH_SETS = [
    "HC1", "HC3", "CR2 by student_id", "CR2 by matched_set", *SCHOOL,
    "CR1S by school_id+matched_set", "wild bootstrap by school_id, rademacher",
    "wild bootstrap by school_id, webb", "randomization within matched sets",
]  # fmt: skip


def written_out(matched: MatchedSample) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows and columns of the regression, with an indicator for each cell."""
    baseline, y = matched.sample.baseline, matched.sample.outcomes[OUTCOME]
    frame = baseline.assign(
        y=y, weight=matched.matches.weights, matched_set=matched.matches.matched_set
    )
    frame = frame[(frame["weight"] > 0) & frame["y"].notna()]
    rate = frame["attendance_rate_prior"].rename("rate")
    cells = frame["school_year"].astype(str) + frame["grade"].astype(str)
    parts = [
        frame[["visited", "female"]].astype(float),
        rate,
        (rate - 0.93).pow(2).rename("square"),
        frame["math_score_std_prior"].fillna(0.0).rename("score"),
        pd.get_dummies(frame["race_ethnicity"].astype(str), drop_first=True).astype(float),
        pd.get_dummies(cells).astype(float),
    ]
    return frame, pd.concat(parts, axis=1)


def weighted(n: int = 400, schools: int = 20) -> MatchedSample:
    matched = matched_example(n, schools=schools)
    drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, n)
    return with_weights(matched, drawn * matched.matches.weights.to_numpy())


def ways(compared: StandardErrors) -> dict[str, object]:
    return {row.recipe: row for row in compared.rows}


def test_every_way_is_there_and_in_order():
    compared = compare_standard_errors(matched_example(300), OUTCOME, draws=DRAWS)
    assert [row.recipe for row in compared.rows] == WITH_SETS
    assert compared.skipped == ()
    assert compared.clusters == 24


@pytest.mark.parametrize("recipe", ["HC1", "HC3", *SCHOOL, "CR2 by student_id",
                                    "CR2 by matched_set"])  # fmt: skip
def test_sandwiches_equal_the_array_function_with_every_column_written_out(recipe):
    matched = weighted()
    row = ways(compare_standard_errors(matched, OUTCOME, draws=DRAWS))[recipe]
    covariance, _, cluster = recipe.partition(" by ")
    frame, X = written_out(matched)
    column = {"student_id": "unit_id"}.get(cluster, cluster)
    by_hand = fit_least_squares(
        frame["y"], X.to_numpy(), names=list(X), weights=frame["weight"], covariance=covariance,
        clusters=pd.factorize(frame[column])[0] if cluster else None,
    )  # fmt: skip
    at = by_hand.names.index("visited")
    assert row.std_error == pytest.approx(by_hand.std_errors[at], rel=1e-7)
    assert row.df == pytest.approx(by_hand.df[at], rel=1e-5)
    assert row.clusters == (frame[column].nunique() if cluster else len(frame))
    low, high = by_hand.intervals(0.95)[at]
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high), rel=1e-6)
    assert row.p_value == pytest.approx(by_hand.p_values[at], rel=1e-5)
    assert (row.covariance, row.cluster) == (covariance, cluster or "none")


def test_errors_equal_statsmodels_where_it_has_them():
    matched = weighted()
    found = ways(compare_standard_errors(matched, OUTCOME, draws=DRAWS))
    frame, X = written_out(matched)
    fit = sm.WLS(frame["y"], X, weights=frame["weight"])
    schools, sets = (pd.factorize(frame[name])[0] for name in ("school_id", "matched_set"))
    for recipe, arguments in (
        ("HC1", {"cov_type": "HC1"}),
        ("HC3", {"cov_type": "HC3"}),
        ("CR1S by school_id", cluster(schools)),
        ("CR0 by school_id", cluster(schools, use_correction=False)),
        ("CR1S by school_id+matched_set", cluster(np.column_stack([schools, sets]))),
    ):
        theirs = fit.fit(**arguments)
        assert found[recipe].std_error == pytest.approx(theirs.bse["visited"], rel=RELATIVE)


def cluster(groups: np.ndarray, **more) -> dict[str, object]:
    return {"cov_type": "cluster", "cov_kwds": {"groups": groups, **more}}


def test_the_restricted_bootstrap_equals_all_its_draws():
    matched = weighted(300, schools=7)
    row = ways(compare_standard_errors(matched, OUTCOME, draws=999))[WITH_SETS[-3]]
    frame, X = written_out(matched)
    schools = pd.factorize(frame["school_id"])[0]
    root = np.sqrt(frame["weight"].to_numpy())
    y, A = frame["y"].to_numpy() * root, X.to_numpy() * root[:, None]
    at = list(X).index("visited")
    null = np.delete(A, at, axis=1)
    fitted = null @ np.linalg.lstsq(null, y, rcond=None)[0]
    inverse = np.linalg.inv(A.T @ A)

    def t(values: np.ndarray) -> float:
        b = inverse @ A.T @ values
        scores = np.array([
            A[schools == g].T @ (values - A @ b)[schools == g] for g in range(7)
        ])  # fmt: skip
        return b[at] / math.sqrt((inverse @ scores.T @ scores @ inverse)[at, at])

    seen = abs(t(y))
    draws = [
        abs(t(fitted + np.array(signs)[schools] * (y - fitted)))
        for signs in itertools.product((-1, 1), repeat=7)
    ]
    share = np.mean(np.array(draws) >= seen * (1 - 1e-9))
    assert row.p_value == pytest.approx(share, abs=1e-12)
    assert row.df_convention == "128 sign vectors enumerated"
    assert math.isnan(row.std_error)
    assert row.clusters == 7


def test_randomization_takes_the_sets_that_are_whole():
    matched = matched_example(200)
    y = matched.sample.outcomes[OUTCOME].to_numpy(copy=True)
    y[[1, 3, 4]] = np.nan
    matched = with_outcome(matched, OUTCOME, y)
    compared = compare_standard_errors(matched, OUTCOME, draws=DRAWS, seed=4)
    row = ways(compared)[WITH_SETS[-1]]
    frame, X = written_out(matched)
    whole = frame.groupby("matched_set")["visited"].transform("nunique") == 2
    assert (~whole).sum() == 3
    test = randomization_test(
        frame["y"][whole], frame["visited"][whole], sets=frame["matched_set"][whole],
        X=X.drop(columns="visited")[whole], weights=frame["weight"][whole], statistic="adjusted",
        studentize="by_set", draws=DRAWS, seed=4,
    )  # fmt: skip
    assert row.clusters == whole.sum() / 2
    assert row.p_value == pytest.approx(test.p_value, abs=1e-12)
    assert (row.ci_low, row.ci_high) == pytest.approx((test.ci_low, test.ci_high), rel=1e-5)
    assert compared.n_visited + compared.n_comparison == len(frame)


def test_the_estimate_and_its_own_error_are_those_of_the_effect():
    matched = weighted()
    for covariance in ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"):
        model = FixedEffects(covariance=covariance)
        compared = compare_standard_errors(matched, OUTCOME, model, draws=DRAWS)
        effect = estimate_effect(matched, OUTCOME, model)
        row = ways(compared)[f"{covariance} by school_id"]
        assert compared.estimate == pytest.approx(effect.estimate, rel=1e-12)
        assert (row.std_error, row.df, row.p_value) == pytest.approx(
            (effect.std_error, effect.df, effect.p_value), rel=1e-12
        )
        assert compared.n_visited == effect.n_visited
        assert compared.matched_comparison == effect.matched_comparison


def test_the_cluster_of_the_model_does_not_change_the_list():
    matched = matched_example(200)
    usual = compare_standard_errors(matched, OUTCOME, draws=DRAWS)
    for model in (
        FixedEffects(cluster="matched_set"),
        FixedEffects(cluster="school_id+matched_set", covariance="CR1"),
    ):
        other = compare_standard_errors(matched, OUTCOME, model, draws=DRAWS)
        assert [(row.recipe, row.std_error) for row in other.rows][:11] == [
            (row.recipe, row.std_error) for row in usual.rows
        ][:11]


def test_without_sets_their_ways_are_left_out():
    compared = compare_standard_errors(
        matched_example(200, matching=False), OUTCOME, DifferenceInMeans(), draws=DRAWS
    )
    assert not any("matched" in row.recipe for row in compared.rows)
    assert len(compared.rows) == 3 + len(SCHOOL) + 2


def test_after_matching_with_replacement_students_and_sets_stand_side_by_side():
    matched = with_replacement(200)
    compared = compare_standard_errors(matched, OUTCOME, DifferenceInMeans(), draws=DRAWS)
    ways = {row.cluster: row for row in compared.rows if "+" in row.cluster}
    assert list(ways) == ["school_id+matched_set", "student_id+matched_set"]
    model = DifferenceInMeans(cluster="student_id+matched_set", covariance="CR1S")
    effect = estimate_effect(matched, OUTCOME, model)
    row = ways["student_id+matched_set"]
    assert (row.std_error, row.df) == pytest.approx((effect.std_error, effect.df), rel=1e-12)
    assert compared.estimate == pytest.approx(effect.estimate, rel=1e-12)


def test_the_confidence_level_is_that_of_the_design():
    matched = matched_example(200)
    design = replace(matched.sample.design, confidence_level=0.8)
    narrow = MatchedSample(replace(matched.sample, design=design), matched.matches)
    found, wide = (compare_standard_errors(m, OUTCOME, draws=DRAWS) for m in (narrow, matched))
    for one, other in zip(found.rows, wide.rows, strict=True):
        assert one.ci_high - one.ci_low < 0.8 * (other.ci_high - other.ci_low)
    row = ways(found)["CR1 by school_id"]
    half = stats.t.ppf(0.9, 23) * row.std_error
    assert row.ci_high - row.ci_low == pytest.approx(2 * half)


def test_order_labels_and_unused_categories_do_not_matter():
    matched = matched_example(200, schools=8)
    found = compare_standard_errors(matched, OUTCOME, draws=256)
    for other in (reordered(matched), relabeled(matched)):
        again = compare_standard_errors(other, OUTCOME, draws=256)
        assert again.estimate == pytest.approx(found.estimate, rel=RELATIVE)
        for one, two in zip(found.rows, again.rows, strict=True):
            assert one.recipe == two.recipe
            assert two.std_error == pytest.approx(one.std_error, rel=1e-7, nan_ok=True)
            assert two.df == pytest.approx(one.df, rel=1e-5, nan_ok=True)
            if "webb" not in one.recipe and "randomization" not in one.recipe:  # drawn
                assert two.p_value == pytest.approx(one.p_value, rel=1e-5)
                assert two.ci_low == pytest.approx(one.ci_low, rel=1e-5)


def test_seeds_decide_the_draws_and_nothing_is_changed():
    matched = matched_example(200)
    before = matched.sample.baseline.copy()
    one, same, other = (
        compare_standard_errors(matched, OUTCOME, draws=DRAWS, seed=seed) for seed in (1, 1, 2)
    )
    assert [row.ci_low for row in one.rows] == [row.ci_low for row in same.rows]
    assert [row.ci_low for row in one.rows] != [row.ci_low for row in other.rows]
    pd.testing.assert_frame_equal(matched.sample.baseline, before)


def test_a_way_that_cannot_be_carried_out_is_a_sentence():
    matched = matched_example(160, schools=2)
    compared = compare_standard_errors(matched, OUTCOME, draws=DRAWS)
    assert all(" by " in sentence or ":" in sentence for sentence in compared.skipped)
    assert len(compared.rows) + len(compared.skipped) == len(WITH_SETS)
    for sentence in compared.skipped:
        assert f"  not computed: {sentence}" in repr(compared)
        assert OUTCOME not in sentence


def test_what_cannot_be_compared_is_refused():
    matched = matched_example(160)
    with pytest.raises(EstimationError, match=r"'doubly_robust' is not one. Give model="):
        compare_standard_errors(matched, OUTCOME, DoublyRobust())
    with pytest.raises(DesignError, match="must be one of 'attendance_rate', 'any_inc"):
        compare_standard_errors(matched, "incidents")
    with pytest.raises(EstimationError, match="all matched student-years are in one school_id"):
        compare_standard_errors(with_baseline(matched, school_id="S01"), OUTCOME)
    with pytest.raises(EstimationError, match="the same value in all"):
        compare_standard_errors(with_outcome(matched, OUTCOME, np.full(160, 0.9)), OUTCOME)
    with pytest.raises(EstimationError, match="determine who was visited"):
        compare_standard_errors(
            with_baseline(matched, female=matched.sample.baseline["visited"]), OUTCOME
        )


def test_it_shows_every_way_and_no_rows():
    compared = compare_standard_errors(matched_example(200), OUTCOME, draws=DRAWS)
    shown = repr(compared)
    assert shown.startswith(f"StandardErrors(synthetic data, {OUTCOME}: +")
    assert all(recipe in shown for recipe in WITH_SETS)
    assert "df 23.0" in shown
    assert "SYN" not in shown
    assert repr(compared.rows[0]).startswith("StandardError(HC1: std_error 0.00")
    assert "clusters" not in repr(compared.rows[0])
    assert compared._repr_html_().startswith("<pre>StandardErrors")


def test_degrees_of_freedom_tell_no_few_that_lack_the_outcome():
    matched = matched_example(200)
    y = matched.sample.outcomes[OUTCOME].to_numpy(copy=True)
    y[:3] = np.nan
    shown = repr(compare_standard_errors(with_outcome(matched, OUTCOME, y), OUTCOME, draws=DRAWS))
    lines = {line.split("SE")[0].strip(): line for line in shown.splitlines()}
    for recipe in ("HC1", "HC3", "CR2 by student_id", "CR2 by matched_set"):
        assert "df" not in lines[recipe]
    assert "df 23.0" in lines["CR1 by school_id"]
