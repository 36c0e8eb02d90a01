"""Balance of any data frame, within groups, over imputations; sizes; what may be printed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.balance import (
    Balance,
    assess_balance,
    assess_frame_balance,
    effective_sample_sizes,
    frame_distribution,
    pool_balance,
    sample_distribution,
)
from homevisit_eval.design import NearestNeighbor
from homevisit_eval.errors import DesignError, EstimationError, MatchingError
from homevisit_eval.matching import Estimand, Matches, match_students
from small_sample import random_sample

COVARIATES = ("age", "income", "city", "member")
STATISTICS = (
    "mean_treated_after", "mean_comparison_before", "sd_comparison_after", "smd_before",
    "smd_after", "variance_ratio_after", "ecdf_mean_before", "ecdf_max_after",
    "pair_distance_after", "wwc_effect_size", "n_treated", "ess_comparison",
)  # fmt: skip


def people(n: int = 240) -> pd.DataFrame:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, n])))
    treated = np.arange(n) % 3 == 0
    return pd.DataFrame(
        {
            "treat": treated.astype(int),
            "age": np.round(rng.normal(40 + 3 * treated, 8)),
            "income": np.exp(rng.normal(9 - 0.3 * treated, 1)),
            "city": rng.choice(["north", "south", "west"], n, p=[0.5, 0.3, 0.2]),
            "member": rng.integers(0, 2, n),
            "year": rng.choice([2015, 2016], n),
            "weight": rng.random(n) + 0.5,
        },
        index=[f"unit {number}" for number in range(n)],
    )


def matches_of(frame: pd.DataFrame, seed: int = 1, **changes: object) -> Matches:
    """Pair every second treated row with a random comparison row; nothing is optimized."""
    rng = np.random.Generator(np.random.PCG64(seed))
    treated = frame.index[frame["treat"] == 1][::2]
    comparison = rng.choice(frame.index[frame["treat"] == 0], len(treated), replace=False)
    weights = pd.Series(0.0, index=frame.index)
    weights[[*treated, *comparison]] = 1.0
    sets = pd.Series(-1, index=frame.index)
    sets[treated] = sets[comparison] = np.arange(len(treated))
    score = pd.Series(rng.normal(size=len(frame)) + frame["treat"], index=frame.index)
    values: dict[str, object] = {
        "method": NearestNeighbor(),
        "pairs": pd.DataFrame({"treated": treated, "rank": 1, "comparison": comparison}),
        "weights": weights,
        "matched_set": sets,
        "propensity_score": 1 / (1 + np.exp(-score)),
        "linear_propensity_score": score,
        "estimand": Estimand("ATT", "in the matched sample"),
        "propensity": (),
        "unmatched": pd.DataFrame({"row": [], "reason": []}),
        "audit": {},
    }
    return Matches(**(values | changes))  # type: ignore[arg-type]


def assess(frame: pd.DataFrame, matches: Matches | None = None, **options: object) -> Balance:
    options.setdefault("covariates", COVARIATES)
    return assess_frame_balance(
        frame,
        matches_of(frame) if matches is None else matches,
        treated="treat",
        **options,  # type: ignore[arg-type]
    )


def row(balance: Balance, covariate: str, level: str = "", **where: str) -> dict[str, object]:
    table = balance.table
    wanted = (table["covariate"] == covariate) & (table["level"] == level)
    for column in ("by", "group"):
        wanted &= table[column] == where.get(column, "")
    (found,) = table[wanted].to_dict("records")
    return found


def test_rows_are_the_score_then_covariates_and_levels():
    table = assess(people()).table
    assert list(zip(table["covariate"], table["level"], strict=True)) == [
        ("linear_propensity_score", ""), ("age", ""), ("income", ""), ("city", "north"),
        ("city", "south"), ("city", "west"), ("member", ""),
    ]  # fmt: skip
    assert (table["by"] == "").all()
    assert pd.isna(table["wwc_category"][0])


def test_the_score_is_on_the_scale_that_was_matched_on():
    frame = people()
    matches = matches_of(frame)
    probability = replace(matches, method=NearestNeighbor(score="propensity_score"))
    found = row(assess(frame, probability), "propensity_score")
    used = (frame["treat"] == 1) & (matches.weights > 0)
    assert found["mean_treated_after"] == pytest.approx(matches.propensity_score[used].mean())
    column = NearestNeighbor(score="column", score_column="age")
    given = replace(matches, method=column, score=frame["age"] * 2.0)
    assert row(assess(frame, given), "score")["mean_treated_after"] == pytest.approx(
        2 * row(assess(frame, given), "age")["mean_treated_after"]
    )
    none = replace(matches, propensity_score=None, linear_propensity_score=None)
    assert "age" in assess(frame, none).table["covariate"][0]
    assert math.isnan(assess(frame, none).overlap_after)
    assert 0 < assess(frame, matches).overlap_before < 1


def test_both_doors_give_the_same_numbers():
    matched = match_students(random_sample(31))
    ours = assess_balance(matched).table.set_index(["covariate", "level"])
    frame = assess_frame_balance(
        matched.sample.baseline,
        matched.matches,
        treated="visited",
        covariates=["attendance_rate_prior", "female", "race_ethnicity"],
    ).table.set_index(["covariate", "level"])
    columns = [
        name for name in ours if name.startswith(("mean", "sd", "smd", "ecdf", "pair", "n_"))
    ]
    pd.testing.assert_frame_equal(ours.loc[frame.index, columns], frame[columns])


@pytest.mark.parametrize("by", ["city", "year", "member"])
def test_a_group_has_the_statistics_of_its_rows_alone(by):
    frame = people()
    matches = matches_of(frame)
    balance = assess(frame, matches, by=(by,), covariates=("age", "income"))
    assert list(dict.fromkeys(balance.table["by"])) == ["", by]
    for value in frame[by].unique():
        part = frame[frame[by] == value]
        inside = matches.pairs[["treated", "comparison"]].isin(part.index).all(axis=1)
        alone = assess(
            part,
            replace(
                matches,
                pairs=matches.pairs[inside],
                weights=matches.weights[part.index],
                matched_set=matches.matched_set[part.index],
                linear_propensity_score=matches.linear_propensity_score[part.index],
            ),
            covariates=("age", "income"),
        )
        for covariate in ("linear_propensity_score", "age", "income"):
            ours = row(balance, covariate, by=by, group=str(value))
            theirs = row(alone, covariate)
            for name in STATISTICS:
                assert ours[name] == pytest.approx(theirs[name], nan_ok=True), (name, value)


def test_groups_of_the_sample_are_limited_to_the_outcome_too():
    matched = match_students(random_sample(32))
    balance = assess_balance(matched, "attendance_rate", by=("grade", "school_id"))
    whole = row(balance, "female")
    for by in ("grade", "school_id"):
        rows = balance.table[(balance.table["by"] == by) & (balance.table["covariate"] == "female")]
        for name in ("n_treated", "n_comparison", "lost_treated", "n_comparison_before"):
            assert rows[name].sum() == whole[name]
    assert balance.worst == balance.everybody["smd_after"].abs().max()
    assert len(balance.everybody) == 7
    assert list(balance.covariates["covariate"]) == list(balance.everybody["covariate"][1:])


def test_a_group_without_treated_rows_stands_there_without_differences():
    frame = people()
    frame.loc[frame["treat"] == 1, "city"] = "north"
    found = row(assess(frame, by=("city",)), "age", by="city", group="west")
    assert found["n_treated_before"] == 0
    assert math.isnan(found["smd_before"])
    assert found["wwc_category"] == "not satisfied"


def test_rows_without_a_value_of_the_grouping_column_are_a_group():
    frame = people()
    frame.loc[frame.index[:30], "city"] = None
    frame["year"] = frame["year"].astype(float)
    frame.loc[frame.index[:10], "year"] = np.nan
    table = assess(frame, by=("city", "year"), covariates=("age",)).table
    groups = table[table["by"] == "city"]["group"].unique().tolist()
    assert groups == ["north", "south", "west", "(missing)"]
    assert table[table["by"] == "year"]["group"].unique().tolist() == ["2015", "2016", "(missing)"]


def test_a_missing_covariate_leaves_rows_out_of_its_own_statistics_only():
    frame = people()
    full = assess(frame)
    frame.loc[frame.index[:60], "age"] = np.nan
    frame["city"] = frame["city"].where(frame.index != "unit 3")
    part = assess(frame)
    assert row(part, "income") == row(full, "income")
    assert row(part, "age")["n_treated_before"] == row(full, "age")["n_treated_before"] - 20
    assert row(part, "city", "north")["n_treated_before"] == 79
    expected = frame.loc[frame["treat"] == 1, "age"].mean()
    assert row(part, "age")["mean_treated_before"] == pytest.approx(expected)


def test_sampling_weights_count_before_and_are_in_the_weights_after():
    frame = people()
    matches = matches_of(frame)
    weighted = replace(
        matches, weights=matches.weights * frame["weight"], sampling_weights=frame["weight"]
    )
    found = row(assess(frame, weighted), "age")
    group = frame["treat"] == 0
    expected = np.average(frame.loc[group, "age"], weights=frame.loc[group, "weight"])
    assert found["mean_comparison_before"] == pytest.approx(expected)
    sizes = effective_sample_sizes(weighted, frame["treat"])
    w = frame.loc[group, "weight"]
    assert sizes.loc["all", "ess_comparison"] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert sizes.loc["matched", "ess_treated"] < sizes.loc["matched", "n_treated"] == 40


def test_sizes_add_up_and_fit_the_frame():
    frame = people()
    gone = pd.Series(frame.index.isin(frame.index[:0]), index=frame.index)
    unused = frame.index[(matches_of(frame).weights == 0)][:7]
    gone[unused] = True
    sizes = effective_sample_sizes(matches_of(frame, discarded=gone), frame["treat"])
    for group in ("n_treated", "n_comparison"):
        parts = sizes.loc[["matched", "unmatched", "discarded"], group]
        assert parts.sum() == sizes.loc["all", group]
    assert sizes.loc["discarded", ["n_treated", "n_comparison"]].sum() == 7
    for wrong in (frame["treat"][:-1], frame["age"]):
        with pytest.raises(EstimationError, match="0 or 1 for each of the 240 rows"):
            effective_sample_sizes(matches_of(frame), wrong)


def test_the_denominator_follows_the_estimand():
    frame = people()
    sds = frame.groupby("treat")["age"].std()
    pooled = math.sqrt((sds[0] ** 2 + sds[1] ** 2) / 2)
    for target, sd in (("ATT", sds[1]), ("ATC", sds[0]), ("ATE", pooled), ("ATO", pooled)):
        found = row(assess(frame, matches_of(frame, estimand=Estimand(target))), "age")
        gap = found["mean_treated_after"] - found["mean_comparison_after"]
        assert found["smd_after"] == pytest.approx(gap / sd)
    asked = row(assess(frame, denominator="comparison"), "age")
    assert asked["smd_before"] == pytest.approx(
        (asked["mean_treated_before"] - asked["mean_comparison_before"]) / sds[0]
    )


def test_squares_and_products_are_rows_of_their_own():
    frame = people()
    one = assess(frame, squared=("age",), covariates=("age", "member"))
    assert one.table["covariate"].tolist() == [
        "linear_propensity_score", "age", "member", "age squared"
    ]  # fmt: skip
    squares = row(one, "age squared")
    used = (frame["treat"] == 1) & (matches_of(frame).weights > 0)
    assert squares["mean_treated_after"] == pytest.approx((frame.loc[used, "age"] ** 2).mean())
    assert not squares["in_model"]
    every = assess(frame, interactions="all", covariates=("age", "member", "city"))
    names = every.table["covariate"].tolist()[6:]
    assert names == [
        "age squared", "age × member", "age × city north", "age × city south", "age × city west",
        "member × city north", "member × city south", "member × city west",
    ]  # fmt: skip
    both = row(every, "member × city north")
    expected = (frame["member"] * (frame["city"] == "north"))[frame["treat"] == 1].mean()
    assert both["mean_treated_before"] == pytest.approx(expected)
    assert both["unit"] == "percent of students"
    sample = match_students(random_sample(33))
    assert "attendance_rate_prior squared" in set(
        assess_balance(sample, squared=("attendance_rate_prior",)).table["covariate"]
    )


def test_what_cannot_be_assessed_is_said():
    frame = people()
    with pytest.raises(EstimationError, match="row labels differ"):
        assess(frame.iloc[::-1], matches_of(frame))
    with pytest.raises(MatchingError, match="no column 'agee'"):
        assess(frame, covariates=("agee",))
    with pytest.raises(MatchingError, match="no column 'grade'"):
        assess(frame, by=("grade",))
    with pytest.raises(EstimationError, match="not one text"):
        assess(frame, by="city")
    with pytest.raises(MatchingError, match="cannot be a covariate"):
        assess(frame, covariates=("treat", "age"))
    for options, word in (
        ({"denominator": "all"}, "denominator"),
        ({"interactions": "some"}, "interactions"),
        ({"squared": ("year",)}, "squared"),
    ):
        with pytest.raises(DesignError, match=word):
            assess(frame, **options)
    with pytest.raises(EstimationError, match="'age' is infinite in 2 rows"):
        assess(frame.assign(age=np.where(np.arange(240) < 2, np.inf, 1.0)))
    with pytest.raises(EstimationError, match="age holds dates"):
        assess(frame.assign(age=pd.Timestamp("2020-01-01")))
    many = people(10_200).assign(year=range(10_200))
    with pytest.raises(EstimationError, match="more than 10,000"):
        assess(many, by=("year",))
    with pytest.raises(MatchingError, match="Row labels must be unique"):
        assess(frame.set_index("year"), matches_of(frame))


def test_the_frame_is_not_changed():
    frame = people()
    before = frame.copy(deep=True)
    assess(frame, by=("city",), interactions="all")
    pd.testing.assert_frame_equal(frame, before)


def test_pooled_balance_is_the_mean_with_its_range():
    frame = people()
    balances = [assess(frame, matches_of(frame, seed)) for seed in (1, 2, 3)]
    pooled = pool_balance(balances)
    sizes = np.array([one.table["smd_after"] for one in balances])
    np.testing.assert_allclose(pooled.table["smd_after"], sizes.mean(axis=0))
    np.testing.assert_allclose(pooled.table["smd_after_low"], sizes.min(axis=0))
    np.testing.assert_allclose(pooled.table["smd_after_high"], sizes.max(axis=0))
    same = pooled.table.iloc[1:]  # all but the score, which differs between the imputations
    np.testing.assert_allclose(same["smd_before_low"], same["smd_before_high"])
    effects = np.array([one.table["wwc_effect_size"] for one in balances])
    worst = pooled.table["wwc_effect_size_worst"]
    np.testing.assert_allclose(np.abs(worst), np.abs(effects).max(axis=0))
    assert pooled.imputations == 3
    assert "mean of 3 imputations" in repr(pooled)
    for name, size, category in pooled.table[
        ["covariate", "wwc_effect_size", "wwc_category"]
    ].itertuples(index=False):
        if name != "linear_propensity_score":
            assert (category == "satisfied") == (abs(size) <= 0.05)


def test_balances_of_different_things_are_not_pooled():
    frame = people()
    with pytest.raises(EstimationError, match="holds none"):
        pool_balance([])
    with pytest.raises(EstimationError, match="number 2"):
        pool_balance([assess(frame), assess(frame, covariates=("age",))])
    with pytest.raises(EstimationError, match="number 3"):
        pool_balance([assess(frame), assess(frame), assess(frame, denominator="pooled")])


def test_the_representation_is_a_table_for_a_person():
    frame = people()
    balance = assess(frame, by=("city",))
    text = repr(balance)
    assert "ATT in the matched sample" in text
    assert "40 treated and 40 comparison units" in text
    assert f"is {balance.worst:.3f} (" in text
    assert "By city (3 groups) the largest difference" in text
    assert "visited" not in text
    assert "unit " not in text  # no row label
    assert max(map(len, text.splitlines()[4:-6])) <= 130
    html = balance._repr_html_()
    assert "<table" in html
    assert "<script" not in html


def test_weights_say_what_the_groups_are_worth():
    frame = people()
    matches = matches_of(frame)
    weights = matches.weights * np.where(frame["treat"] == 0, frame["weight"], 1.0)
    text = repr(assess(frame, replace(matches, weights=weights)))
    assert "40 treated and 40 comparison units (worth 3" in text


def test_few_are_not_shown():
    frame = people()
    matches = matches_of(frame)
    few = matches.pairs.iloc[:4]
    weights = pd.Series(0.0, index=frame.index)
    weights[[*few["treated"], *few["comparison"]]] = 1.0
    balance = assess(frame, replace(matches, weights=weights, pairs=few))
    text = repr(balance)
    assert "<10 treated and <10 comparison units" in text
    assert "No difference after matching can be shown" in text
    used = row(balance, "age")["mean_treated_after"]
    assert f"{used:.2f}" not in text
    small = frame.assign(city=["north"] * 12 + ["south"] * 228)
    sentence = repr(assess(small, matches, by=("city",)))
    assert "city north" not in sentence


def test_a_rare_level_is_hidden_in_the_representation():
    frame = people()
    frame["rare"] = 0
    used = matches_of(frame).weights > 0
    frame.loc[frame.index[used & (frame["treat"] == 1)][:3], "rare"] = 1
    balance = assess(frame, covariates=("age", "rare"))
    line = next(line for line in repr(balance).splitlines() if line.startswith("rare"))
    assert line.split()[1] == "*"
    assert "rare" not in repr(balance).split("The largest")[1].split(".")[0]


def test_distributions_hold_what_figures_draw():
    frame = people()
    frame.loc[frame.index[:5], "age"] = np.nan
    matches = matches_of(frame)
    age = frame_distribution(frame, matches, treated="treat", column="age")
    assert len(age.values) == len(age.after) == 235
    assert repr(age) == "Distribution('age': 78 treated and 157 comparison units)"
    score = frame_distribution(frame, matches, treated="treat")
    assert score.bounded
    assert score.label == "Propensity score"
    with pytest.raises(EstimationError, match="holds categories"):
        frame_distribution(frame, matches, treated="treat", column="city")
    with pytest.raises(MatchingError, match="no column"):
        frame_distribution(frame, matches, treated="treat", column="agee")
    with pytest.raises(EstimationError, match="row labels differ"):
        frame_distribution(frame.iloc[1:], matches, treated="treat")
    with pytest.raises(EstimationError, match="made no propensity score"):
        frame_distribution(frame, replace(matches, propensity_score=None), treated="treat")
    matched = match_students(random_sample(34))
    rate = sample_distribution(matched, "attendance_rate_prior")
    assert (rate.label, rate.percent, rate.synthetic) == ("Attendance rate", True, True)
    assert "visited" in repr(rate)
