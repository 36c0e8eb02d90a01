"""Effects in subgroups, and the test that they are the same."""

from __future__ import annotations

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
    some_of,
    with_baseline,
    with_outcome,
    with_weights,
)
from homevisit_eval.design import DifferenceInMeans, DoublyRobust, FixedEffects
from homevisit_eval.effects import SubgroupEffects, estimate_effect, estimate_subgroups
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample

RELATIVE = 1e-8  # two solvers, double precision
OUTCOME = "attendance_rate"
CR1S = FixedEffects(covariance="CR1S")
MEANS = DifferenceInMeans()


def weighted(n: int = 600) -> MatchedSample:
    matched = matched_example(n)
    drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, n)
    return with_weights(matched, drawn * matched.matches.weights.to_numpy())


def interaction(matched: MatchedSample, by: str, *, cells: bool = True):
    """Return the regression with a visit of each subgroup, all columns written out."""
    baseline, y = matched.sample.baseline, matched.sample.outcomes[OUTCOME]
    frame = baseline.assign(y=y, weight=matched.matches.weights)
    frame = frame[(frame["weight"] > 0) & frame["y"].notna()]
    own = pd.get_dummies(frame[by]).astype(float)
    visits = own.mul(frame["visited"], axis=0).add_prefix("visited ")
    rate = frame["attendance_rate_prior"].rename("rate")
    races = pd.get_dummies(frame["race_ethnicity"].astype(str), drop_first=True).astype(float)
    year_grade = frame["school_year"].astype(str) + frame["grade"].astype(str)
    parts = [visits, sm.add_constant(own.iloc[:, 1:])]
    if cells:
        parts += [
            (rate - 0.93).pow(2).rename("square"),
            rate,
            frame["math_score_std_prior"].fillna(0.0).rename("score"),
            *([] if by == "female" else [frame["female"].astype(float)]),
            *([] if by == "race_ethnicity" else [races]),
            pd.get_dummies(year_grade, drop_first=True).astype(float),
        ]
    X = pd.concat(parts, axis=1)
    fit = sm.WLS(frame["y"], X, weights=frame["weight"]).fit(
        cov_type="cluster",
        cov_kwds={"groups": pd.factorize(frame["school_id"])[0], "use_t": True},
    )
    return frame, fit, list(visits)


def values(found: SubgroupEffects, field: str) -> list[float]:
    return [getattr(one, field) for one in found.subgroups]


@pytest.mark.parametrize("by", ["female", "race_ethnicity"])
@pytest.mark.parametrize("model", [CR1S, DifferenceInMeans(covariance="CR1S")], ids=["all", "none"])
def test_effects_and_test_equal_an_interaction_regression_in_statsmodels(by, model):
    matched = weighted()
    found = estimate_subgroups(matched, OUTCOME, by, model)
    frame, theirs, visits = interaction(matched, by, cells=isinstance(model, FixedEffects))
    assert values(found, "estimate") == pytest.approx(list(theirs.params[visits]), rel=RELATIVE)
    assert values(found, "std_error") == pytest.approx(list(theirs.bse[visits]), rel=1e-7)
    assert values(found, "p_value") == pytest.approx(list(theirs.pvalues[visits]), rel=1e-5)
    intervals = theirs.conf_int().loc[visits].to_numpy()
    assert values(found, "ci_low") == pytest.approx(list(intervals[:, 0]), rel=1e-6)
    assert values(found, "ci_high") == pytest.approx(list(intervals[:, 1]), rel=1e-6)
    assert values(found, "df") == [23] * len(visits)
    test = theirs.f_test(" , ".join(f"{name} = {visits[0]}" for name in visits[1:])) if (
        by == "race_ethnicity"
    ) else theirs.f_test(np.array([(theirs.params.index == visits[1]).astype(float)
                                   - (theirs.params.index == visits[0])]))  # fmt: skip
    assert found.test.statistic == pytest.approx(float(test.fvalue), rel=1e-6)
    assert found.test.p_value == pytest.approx(float(test.pvalue), rel=1e-5)
    assert (found.test.df_numerator, found.test.df_denominator) == (len(visits) - 1, 23)
    assert found.test.test == "F"
    groups = frame.groupby([by, "visited"]).size()
    assert values(found, "n_visited") == [groups[key, 1] for key in sorted(frame[by].unique())]
    assert values(found, "n_comparison") == [groups[key, 0] for key in sorted(frame[by].unique())]


def test_fitted_alone_is_the_effect_in_the_subgroup():
    matched = matched_example(600)
    found = estimate_subgroups(matched, OUTCOME, "female")
    for one, value in zip(found.subgroups, (0, 1), strict=True):
        part = some_of(matched, (matched.sample.baseline["female"] == value).to_numpy())
        alone = estimate_effect(part, OUTCOME)
        assert one.estimate_alone == pytest.approx(alone.estimate, rel=1e-7)
        assert one.std_error_alone == pytest.approx(alone.std_error, rel=1e-6)
        assert (one.n_visited, one.n_comparison) == (alone.n_visited, alone.n_comparison)
        assert one.clusters == alone.clusters
        assert (one.matched_visited, one.matched_comparison) == (
            alone.matched_visited, alone.matched_comparison,
        )  # fmt: skip


def test_without_covariates_both_fits_are_the_same():
    found = estimate_subgroups(weighted(), OUTCOME, "race_ethnicity", DifferenceInMeans())
    assert values(found, "estimate") == pytest.approx(values(found, "estimate_alone"), rel=1e-9)


def test_two_subgroups_have_a_t_test_squared():
    found = estimate_subgroups(matched_example(600), OUTCOME, "female")
    assert (found.test.test, found.covariance) == ("HTZ", "CR2")
    p = 2 * stats.t.sf(math.sqrt(found.test.statistic), found.test.df_denominator)
    assert found.test.p_value == pytest.approx(p)


def test_known_effects_that_differ_are_found():
    matched = matched_example(1200)
    baseline = matched.sample.baseline
    more = 0.04 * (baseline["visited"] * baseline["female"]).to_numpy()
    y = matched.sample.outcomes[OUTCOME].to_numpy() + more
    found = estimate_subgroups(with_outcome(matched, OUTCOME, y), OUTCOME, "female")
    for one, truth in zip(found.subgroups, (0.02, 0.06), strict=True):
        assert abs(one.estimate - truth) < 4 * one.std_error < 0.02
    assert found.test.p_value < 1e-6


def test_equal_effects_are_rejected_about_five_times_in_a_hundred():
    draws = 60
    rejected = sum(
        estimate_subgroups(matched_example(240, seed=seed), OUTCOME, "race_ethnicity", MEANS)
        .test.p_value < 0.05
        for seed in range(draws)
    )  # fmt: skip
    # binomial(60, .05): 3 expected, more than 9 in one of a thousand; a null effect is not asked
    # for: the effect of a visit is the same .02 in all
    assert 1 <= rejected <= 9


def test_a_subgroup_of_nine_is_refused_and_takes_no_part():
    matched = with_few(9)
    found = estimate_subgroups(matched, OUTCOME, "race_ethnicity")
    one = found.subgroups[2]
    assert one.subgroup == "other"
    assert one.refused == "refused: fewer than 10 visited student-years"
    assert (one.n_visited, one.n_comparison) == (9, 10)
    for field in ("estimate", "std_error", "df", "ci_low", "p_value", "estimate_alone"):
        assert math.isnan(getattr(one, field))
    kept = (matched.sample.baseline["race_ethnicity"] != "other").to_numpy()
    without = estimate_subgroups(some_of(matched, kept), OUTCOME, "race_ethnicity")
    rest = [other for other in found.subgroups if not other.refused]
    assert [other.subgroup for other in rest] == ["black", "hispanic", "white"]
    for ours, theirs in zip(rest, without.subgroups, strict=True):
        assert ours.estimate == pytest.approx(theirs.estimate, rel=RELATIVE)
        assert ours.std_error == pytest.approx(theirs.std_error, rel=1e-7)
    assert found.test.p_value == pytest.approx(without.test.p_value, rel=1e-6)
    assert found.test.df_numerator == 2
    ten = estimate_subgroups(with_few(10), OUTCOME, "race_ethnicity").subgroups[2]
    assert ten.refused == ""
    assert ten.n_visited == 10


def with_few(visited: int) -> MatchedSample:
    """Return a sample with a race of so many visited and ten comparison student-years."""
    matched = matched_example(400)
    baseline = matched.sample.baseline
    race = baseline["race_ethnicity"].to_numpy(dtype=object).copy()
    used = matched.matches.weights.to_numpy() > 0
    for group, count in ((1, visited), (0, 10)):
        race[np.flatnonzero(used & (baseline["visited"] == group))[:count]] = "other"
    return with_baseline(matched, race_ethnicity=race)


def test_no_small_count_and_no_row_is_shown():
    for found in (
        estimate_subgroups(with_few(9), OUTCOME, "race_ethnicity"),
        estimate_subgroups(with_few(9), OUTCOME, "race_ethnicity", CR1S),
    ):
        for shown in (repr(found), *map(repr, found.subgroups), found._repr_html_()):
            assert "9," not in shown.replace("refused", "").split("[")[0]
            assert "n_visited" not in shown
            assert "SYN" not in shown
        assert "other                   refused: fewer than 10 visited" in repr(found)
        assert "df = " in repr(found)
    for cluster in ("student_id", "matched_set"):
        model = FixedEffects(cluster=cluster, covariance="CR1")
        found = estimate_subgroups(with_few(9), OUTCOME, "race_ethnicity", model)
        assert "df = " not in repr(found)
        assert f"{found.test.df_denominator:.1f}" not in repr(found)
        many = estimate_subgroups(matched_example(400), OUTCOME, "race_ethnicity", model)
        assert "df = " in repr(many)


def test_the_estimand_says_that_some_visited_lack_the_outcome():
    matched = matched_example(400)
    found = estimate_subgroups(matched, "math_score_std", "female")
    assert found.estimand == estimate_effect(matched, "math_score_std").estimand
    assert str(found.estimand) == "ATT in the matched sample with the outcome observed"


def test_a_subgroup_in_one_school_or_without_variation_is_refused():
    matched = matched_example(400)
    race = matched.sample.baseline["race_ethnicity"]
    schools = matched.sample.baseline["school_id"].mask(race == "black", "S01")
    found = estimate_subgroups(with_baseline(matched, school_id=schools), OUTCOME, "race_ethnicity")
    assert found.subgroups[0].refused == (
        "refused: all student-years are in one cluster (school_id)"
    )
    y = matched.sample.outcomes[OUTCOME].mask(race == "white", 0.9).to_numpy()
    found = estimate_subgroups(with_outcome(matched, OUTCOME, y), OUTCOME, "race_ethnicity")
    assert found.subgroups[2].refused == "refused: the outcome is the same for all"
    assert found.test.df_numerator == 1


def test_one_subgroup_that_is_left_cannot_be_tested():
    matched = matched_example(300)
    few = matched.sample.baseline["female"].to_numpy() * 0
    few[:8] = 1
    found = estimate_subgroups(with_baseline(matched, female=few), OUTCOME, "female")
    assert found.test is None
    assert found.notes == ("Only one subgroup has an estimate, so there is nothing to compare.",)
    assert "all the same" not in repr(found)
    kept = some_of(matched, few == 0)
    assert found.subgroups[0].estimate == pytest.approx(
        estimate_effect(with_baseline(kept, female=few), OUTCOME).estimate, rel=RELATIVE
    )


def test_subgroups_of_cells_are_estimated():
    matched = matched_example(600)
    found = estimate_subgroups(matched, OUTCOME, "grade")
    assert [one.subgroup for one in found.subgroups] == ["2", "3", "4"]
    assert all(abs(one.estimate - 0.02) < 4 * one.std_error for one in found.subgroups)


def test_order_of_categories_and_names_of_values():
    matched = matched_example(400)
    race = matched.sample.baseline["race_ethnicity"]
    order = ["white", "nobody", "black", "hispanic"]
    ordered = with_baseline(matched, race_ethnicity=pd.Categorical(race, categories=order))
    found = estimate_subgroups(ordered, OUTCOME, "race_ethnicity")
    assert [one.subgroup for one in found.subgroups] == ["white", "black", "hispanic"]
    plain = {
        one.subgroup: one
        for one in estimate_subgroups(matched, OUTCOME, "race_ethnicity").subgroups
    }
    for one in found.subgroups:
        assert one.estimate == pytest.approx(plain[one.subgroup].estimate, rel=RELATIVE)
        assert one.matched_visited == plain[one.subgroup].matched_visited
    floats = with_baseline(matched, female=matched.sample.baseline["female"].astype(float))
    assert values(estimate_subgroups(floats, OUTCOME, "female"), "subgroup") == ["0", "1"]
    yes = with_baseline(matched, female=matched.sample.baseline["female"] == 1)
    assert values(estimate_subgroups(yes, OUTCOME, "female"), "subgroup") == ["False", "True"]


def test_order_labels_and_unused_categories_do_not_matter():
    matched = matched_example(400)
    before = matched.sample.baseline.copy()
    found = estimate_subgroups(matched, OUTCOME, "race_ethnicity")
    for other in (reordered(matched), relabeled(matched)):
        again = estimate_subgroups(other, OUTCOME, "race_ethnicity")
        for field in ("estimate", "std_error", "std_error_alone", "n_visited", "clusters"):
            assert values(again, field) == pytest.approx(values(found, field), rel=1e-7)
        assert again.test.p_value == pytest.approx(found.test.p_value, rel=1e-6)
    pd.testing.assert_frame_equal(matched.sample.baseline, before)


def test_unmatched_values_make_no_subgroup():
    matched = matched_example(400)
    race = matched.sample.baseline["race_ethnicity"].to_numpy(dtype=object).copy()
    race[matched.matches.weights.to_numpy() == 0] = "elsewhere"
    found = estimate_subgroups(with_baseline(matched, race_ethnicity=race), OUTCOME,
                               "race_ethnicity")  # fmt: skip
    assert values(found, "subgroup") == ["black", "hispanic", "white"]


@pytest.mark.parametrize(
    ("by", "model", "message"),
    [
        ("nothing", None, r"by: 'nothing' is no column of the sample's baseline; choose one of"),
        ("attendance_rate_prior", None, r"different values; subgroups need 2 to 12"),
        ("school_id", None, r"24 different values; subgroups need 2 to 12"),
        ("visited_prior", None, r"1 different values; subgroups need 2 to 12"),
        ("math_score_std_prior", None, r"is missing for \d\d+ matched student-years"),
        ("female", DoublyRobust(), r"linear model with one clustering. Give model=FixedEffects"),
        (
            "female",
            FixedEffects(cluster="school_id+matched_set", covariance="CR1"),
            r"linear model with one clustering",
        ),
    ],
)
def test_columns_and_models_that_do_not_do_are_refused(by, model, message):
    with pytest.raises(EstimationError, match=message):
        estimate_subgroups(matched_example(300), OUTCOME, by, model)


def test_few_missing_values_are_not_counted_out():
    matched = matched_example(200)
    race = matched.sample.baseline["race_ethnicity"].mask(np.arange(200) < 3)
    with pytest.raises(EstimationError, match=r"is missing for <10 matched student-years"):
        estimate_subgroups(with_baseline(matched, race_ethnicity=race), OUTCOME, "race_ethnicity",
                           DifferenceInMeans())  # fmt: skip


def test_an_unknown_outcome_and_no_large_subgroup_are_refused():
    with pytest.raises(DesignError, match="must be one of 'attendance_rate'"):
        estimate_subgroups(matched_example(200), "incidents", "female")
    with pytest.raises(EstimationError, match=r"no subgroup has 10 visited and 10 comparison"):
        estimate_subgroups(matched_example(40), OUTCOME, "female", DifferenceInMeans())
    matched = matched_example(400)
    baseline = matched.sample.baseline
    race = baseline["race_ethnicity"].where(baseline["female"] == 0, "girl")
    decided = with_baseline(
        matched, race_ethnicity=race, grade=baseline["grade"].where(
            baseline["female"] == 0, 20 + baseline["visited"]
        ),
    )  # fmt: skip
    bands = with_baseline(decided, grade_band="with pretest", math_score_std_prior=0.5)
    with pytest.raises(EstimationError, match=r"determine who was visited among 'girl'"):
        estimate_subgroups(bands, OUTCOME, "race_ethnicity")


def test_the_level_of_the_interval_is_that_of_the_design():
    matched = matched_example(300)
    design = replace(matched.sample.design, confidence_level=0.8)
    other = MatchedSample(replace(matched.sample, design=design), matched.matches)
    one = estimate_subgroups(other, OUTCOME, "female").subgroups[0]
    half = stats.t.ppf(0.9, one.df) * one.std_error
    assert one.ci_high - one.ci_low == pytest.approx(2 * half)
