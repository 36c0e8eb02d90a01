"""`match_frame`: invariants on any data, what it says of a run, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from homevisit_eval.design import NearestNeighbor, NoMatching
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching import Matches, match_frame
from homevisit_eval.matching.frame import key_rank

DECIMALS = 1e-12  # scores are rounded to 12 decimals under ties="row"
RULES = ("row", "matchit")


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([11, *key])))


def people(n: int, *key: int) -> pd.DataFrame:
    """Return units with few distinct covariate values, hence many equal scores."""
    random = rng(n, *key)
    age = random.integers(5, 9, n)
    race = random.choice(["a", "b", "c"], n)
    chance = 1 / (1 + np.exp(3.5 - 0.3 * age - (race == "b")))
    frame = pd.DataFrame(
        {
            "visited": (random.random(n) < chance).astype(int),
            "age": age,
            "race": race,
            "girl": random.integers(0, 2, n),
            "grade": random.integers(1, 4, n),
        }
    )
    frame.index = pd.Index([f"u{number}" for number in random.permutation(n)])
    return frame


def match(frame: pd.DataFrame, **options: object) -> Matches:
    columns = {"treated": "visited", "covariates": ["age", "race", "girl"]}
    return match_frame(frame, **{**columns, **options})


@pytest.mark.parametrize("ties", RULES)
@pytest.mark.parametrize("caliper", ["none", 0.05, 0.5])
@pytest.mark.parametrize("exact", [(), ("grade",), ("grade", "girl")])
@pytest.mark.parametrize("distance", ["linear_propensity_score", "propensity_score"])
def test_every_pair_keeps_every_rule(ties, caliper, exact, distance):
    frame = people(300, 1)
    method = NearestNeighbor(score=distance, caliper=caliper, exact=exact, ties=ties)
    matches = match(frame, method=method)
    pairs, sets, weights = matches.pairs, matches.matched_set, matches.weights
    treated, comparison = frame.loc[pairs["treated"]], frame.loc[pairs["comparison"]]
    assert (treated["visited"] == 1).all()
    assert (comparison["visited"] == 0).all()
    assert pairs["treated"].is_unique
    assert pairs["comparison"].is_unique
    for column in exact:
        assert treated[column].tolist() == comparison[column].tolist()
    linear = distance == "linear_propensity_score"
    score = matches.linear_propensity_score if linear else matches.propensity_score
    apart = np.abs(score[pairs["treated"]].to_numpy() - score[pairs["comparison"]].to_numpy())
    assert matches.audit["mean_distance"] == pytest.approx(apart.mean())
    if caliper != "none":
        (model,) = matches.propensity
        assert model.caliper_width == pytest.approx(caliper * score.std(ddof=1))
        assert (apart <= model.caliper_width + DECIMALS).all()
    used = [*pairs["treated"], *pairs["comparison"]]
    assert set(weights.index[weights > 0]) == set(used) == set(sets.index[sets > 0])
    assert weights.sum() == 2 * len(pairs)
    assert sets[pairs["treated"]].tolist() == sets[pairs["comparison"]].tolist()
    assert sets[sets > 0].value_counts().eq(2).all()
    lost = set(frame.index[frame["visited"] == 1]) - set(pairs["treated"])
    assert set(matches.unmatched["row"]) == lost
    assert (matches.unmatched["reason"] != "").all()
    assert str(matches.estimand) == ("ATT in the matched sample" if lost else "ATT")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([40, 120]), st.sampled_from(["none", 0.1]))
def test_row_order_does_not_matter(seed, n, caliper):
    frame = people(n, seed, 2)
    method = NearestNeighbor(caliper=caliper, exact=("grade",))
    try:
        first = match(frame, method=method)
    except MatchingError:  # a small frame in which nobody finds a match
        reject()
    shuffled = frame.iloc[rng(seed, 3).permutation(n)]
    second = match(shuffled, method=method)
    pd.testing.assert_frame_equal(first.pairs, second.pairs)
    pd.testing.assert_frame_equal(first.unmatched, second.unmatched)
    for name in ("weights", "matched_set", "linear_propensity_score"):
        expected, found = getattr(first, name), getattr(second, name)
        pd.testing.assert_series_equal(expected, found[expected.index], check_exact=True)
    assert first.audit["tied_scores"] == second.audit["tied_scores"]


def test_the_order_of_rows_matters_under_the_other_rule_and_the_audit_says_how_much():
    frame = people(200, 4)
    ours = match(frame)
    theirs = match(frame, method=NearestNeighbor(ties="matchit"))
    merged = ours.pairs.merge(theirs.pairs, on="treated", how="outer", suffixes=("", "_other"))
    pair = merged[["comparison", "comparison_other"]].astype(object).where(merged.notna(), "")
    changed = int((pair["comparison"] != pair["comparison_other"]).sum())
    assert changed > 0
    assert ours.audit["pairs_under_other_tie_rule"] == changed
    assert theirs.audit["pairs_under_other_tie_rule"] == changed
    assert ours.audit["tied_scores"] > 0
    assert "whatever the order of rows" in str(ours.audit["order_rule"])


def test_ties_are_broken_by_the_key_columns():
    frame = people(120, 5).assign(number=np.arange(120))
    by_key = match(frame, key=["number"])
    other_labels = match(frame.reset_index(drop=True), key=["number"])
    assert frame.loc[by_key.pairs["comparison"], "number"].tolist() == (
        other_labels.pairs["comparison"].tolist()
    )
    with pytest.raises(MatchingError, match=r"key: \d+ rows repeat the values of grade"):
        match(frame, key=["grade"])


def test_the_key_order_does_not_depend_on_column_types():
    frame = pd.DataFrame({"unit": ["a", "b", "c", "d"], "year": [1, 2, 1, 2]})
    frame["day"] = pd.to_datetime(["2014-08-25", "2014-08-26", "2014-08-27", "2014-08-28"])
    typed = frame.astype({"unit": "category", "year": "int8", "day": "datetime64[s]"})
    objects = frame.astype({"unit": object})
    expected = key_rank(frame, ("unit", "year", "day")).tolist()
    assert sorted(expected) == [0, 1, 2, 3]
    assert key_rank(typed, ("unit", "year", "day")).tolist() == expected
    assert key_rank(objects, ("unit", "year", "day")).tolist() == expected


def test_equal_hashes_are_ordered_by_the_key_itself(monkeypatch):
    frame = pd.DataFrame({"unit": ["b", "a", "c"], "year": [1, 1, 1]})
    monkeypatch.setattr(
        pd.util,
        "hash_pandas_object",
        lambda columns, **_: pd.Series(np.zeros(len(columns), dtype=np.uint64)),
    )
    assert key_rank(frame, ("year", "unit")).tolist() == [1, 0, 2]


def test_matching_reads_its_columns_only_and_changes_nothing():
    frame = people(100, 6)
    before = frame.copy(deep=True)
    first = match(frame)
    pd.testing.assert_frame_equal(frame, before)
    second = match(frame.assign(outcome=np.nan, grade=99))
    pd.testing.assert_frame_equal(first.pairs, second.pairs)


def test_names_of_the_model_are_readable():
    frame = people(200, 7)
    (model,) = match(frame, squared=["age"]).propensity
    assert model.names == ("intercept", "age", "age squared", "race: b", "race: c", "girl")
    assert set(model.coefficients) == set(model.names)
    assert model.converged


def test_the_square_is_of_the_centered_value():
    frame = people(200, 7)
    (model,) = match(frame, covariates=["age"], squared=["age"]).propensity
    by_hand = frame.assign(square=(frame["age"] - frame["age"].mean()) ** 2)
    (expected,) = match(by_hand, covariates=["age", "square"]).propensity
    assert model.coefficients["age squared"] == pytest.approx(expected.coefficients["square"])


def test_dropped_columns_are_named():
    frame = people(200, 8).assign(twice=lambda x: 2 * x["age"] + 1)
    matches = match(frame, covariates=["age", "twice", "girl"])
    assert np.isnan(matches.propensity[0].coefficients["twice"])
    assert matches.audit["notes"] == "dropped as combinations of other covariates: twice"
    pd.testing.assert_frame_equal(matches.pairs, match(frame, covariates=["age", "girl"]).pairs)


def test_levels_that_one_group_lacks_are_left_out_and_counted():
    frame = people(300, 9)
    first = frame.index[frame["visited"] == 0][:12]
    frame.loc[first, "race"] = "no one visited"
    alone = frame.index[frame["visited"] == 1][:2]
    frame.loc[alone, "race"] = "visited only"
    matches = match(frame, method=NearestNeighbor(caliper="none"))
    assert (matches.weights[first] == 0).all()
    assert matches.linear_propensity_score[[*first, *alone]].isna().all()
    lost = matches.unmatched.set_index("row")["reason"]
    assert (lost[alone] == "no comparison unit has the same race").all()
    assert matches.audit["comparison_off_support"] == 12
    assert matches.audit["treated_off_support"] == 2
    notes = str(matches.audit["notes"])
    assert "race no one visited has no treated unit: 12 comparison unit(s)" in notes
    assert "race visited only has no comparison unit: <10 treated unit(s)" in notes
    rest = match(frame.drop([*first, *alone]), method=NearestNeighbor(caliper="none"))
    assert set(map(tuple, rest.pairs.to_numpy())) == set(map(tuple, matches.pairs.to_numpy()))


def test_rows_whose_group_is_certain_in_combination_are_left_out_and_counted():
    frame = people(400, 10)
    group, age = rng(10).integers(0, 3, 400), frame["age"].to_numpy()
    frame["x"] = group.astype(float)
    frame["y"] = np.where(age > 6, 1.0, 0.0)
    corner = (frame["x"] == 2) & (frame["y"] == 1)
    frame["corner"] = frame["x"] * frame["y"]
    frame.loc[corner, "visited"] = 0
    frame.loc[frame["corner"] == 1, "corner"] = 0.0
    frame.loc[frame.index[0], "corner"] = 1.0  # three values, so no level is set aside
    frame.loc[frame.index[0], "visited"] = 0
    matches = match(frame, covariates=["girl", "corner"], method=NearestNeighbor(caliper="none"))
    assert matches.linear_propensity_score[frame.index[corner]].isna().all()
    assert "predict the group of 0 treated and" in str(matches.audit["notes"])
    assert matches.linear_propensity_score.abs().max() < 5


@pytest.mark.parametrize(
    ("exact", "caliper", "reason"),
    [
        ((), "none", "comparison units used up"),
        (("grade",), "none", "comparison units of the stratum used up"),
        ((), 3.0, "comparison units within the caliper used up"),
    ],
)
def test_reasons_name_the_binding_constraint(exact, caliper, reason):
    frame = pd.DataFrame(
        {"visited": [1, 1, 1, 0, 0], "x": [1.0, 2, 3, 2, 1], "grade": [1, 1, 1, 1, 1]}
    )
    method = NearestNeighbor(exact=exact, caliper=caliper)
    matches = match(frame, covariates=["x"], method=method)
    assert matches.unmatched["reason"].tolist() == [reason]


def test_a_stratum_without_comparison_units_has_its_own_reason():
    frame = pd.DataFrame({"visited": [1, 1, 0, 0], "x": [1.0, 3, 2, 1.5], "grade": [1, 2, 1, 1]})
    by_grade = NearestNeighbor(exact=("grade",), caliper="none")
    matches = match(frame, covariates=["x"], method=by_grade)
    spread = pd.DataFrame({"visited": [1, 1, 0, 0], "x": [1.0, 9, 0, 1.1]})
    far = match(spread, covariates=["x"], method=NearestNeighbor(caliper=0.3))
    assert matches.unmatched["reason"].tolist() == ["no comparison unit in the exact stratum"]
    assert matches.audit["exact_strata"] == 2
    assert matches.audit["exact_strata_without_match"] == 1
    assert far.unmatched["reason"].tolist() == ["no comparison unit within the caliper"]


def test_no_matching_keeps_everybody_with_weight_one():
    frame = people(50, 11)
    matches = match(frame, method=NoMatching())
    assert (matches.weights == 1).all()
    assert (matches.matched_set == -1).all()
    assert str(matches.estimand) == ("ATT only if effects do not vary: regression without matching")
    assert len(matches.pairs) == len(matches.unmatched) == 0
    assert list(matches.pairs.columns) == ["treated", "rank", "comparison"]


@pytest.mark.parametrize("dtype", ["bool", "float64", "Int64", "boolean"])
def test_treatment_may_be_of_any_numeric_type(dtype):
    frame = people(80, 12)
    expected = match(frame).pairs
    pd.testing.assert_frame_equal(match(frame.astype({"visited": dtype})).pairs, expected)


def test_representations_show_no_row():
    frame = people(100, 13)
    text = repr(match(frame))
    assert not any(label in text for label in frame.index)
    assert text.startswith("Matches(ATT")


CHANGES = {
    "repeated labels": (
        lambda f: f.set_axis(["same"] * len(f)),
        {},
        r"Row labels must be unique.*59 rows repeat",
    ),
    "no rows": (lambda f: f.iloc[:0], {}, "no rows"),
    "unknown covariate": (
        lambda f: f,
        {"covariates": ["age", "rase"]},
        r"no column 'rase' \(did you mean 'race'\?\)",
    ),
    "unknown treatment": (lambda f: f, {"treated": "treat"}, "treated: the data frame has no"),
    "unknown key": (lambda f: f, {"key": ["id"]}, "key: the data frame has no column 'id'"),
    "unknown exact": (
        lambda f: f,
        {"method": NearestNeighbor(exact=("year",))},
        "exact: the data frame has no",
    ),
    "covariate twice": (lambda f: f, {"covariates": ["age", "age"]}, "age stands there twice"),
    "two columns of a name": (
        lambda f: pd.concat([f, f[["age"]]], axis=1),
        {},
        "more than one column 'age'",
    ),
    "no covariate": (lambda f: f, {"covariates": []}, "name at least one"),
    "missing": (
        lambda f: f.assign(age=f["age"].where(f["age"] > 5), race=f["race"].where(f["girl"] == 1)),
        {},
        r"covariates must be complete.*age: \d+ rows are without a value, first at row .*race: ",
    ),
    "missing in exact": (
        lambda f: f.assign(grade=f["grade"].where(f["grade"] > 1)),
        {"method": NearestNeighbor(exact=("grade",))},
        "exact columns must be complete",
    ),
    "infinite": (
        lambda f: f.assign(age=np.where(np.arange(len(f)) == 1, np.inf, f["age"])),
        {},
        r"age: 1 row is infinite, first at row 2 \(counted from 1\)",
    ),
    "date": (lambda f: f.assign(age=pd.Timestamp("2014-01-01")), {}, "dates or times"),
    "constant": (lambda f: f.assign(age=7), {}, "age has the same value in all 60 rows"),
    "treatment is text": (
        lambda f: f.assign(visited=f["visited"].map({0: "no", 1: "yes"})),
        {},
        "must hold 0 and 1",
    ),
    "treatment of three": (
        lambda f: f.assign(visited=np.arange(len(f)) % 3),
        {},
        "20 rows are otherwise",
    ),
    "treatment missing": (
        lambda f: f.assign(visited=f["visited"].where(f["girl"] == 1)),
        {},
        "0 and 1 only",
    ),
    "nobody treated": (lambda f: f.assign(visited=0), {}, "no treated unit"),
    "everybody treated": (lambda f: f.assign(visited=1), {}, "no comparison unit"),
    "square of a stranger": (lambda f: f, {"squared": ["grade"]}, "not among the covariates"),
    "square of a factor": (lambda f: f, {"squared": ["race"]}, "race holds categories"),
    "scores of another length": (lambda f: f, {"propensity_score": [0.5]}, "one number a row"),
    "scores of 0 and 1": (
        lambda f: f,
        {"propensity_score": np.arange(60) / 59},
        "2 rows are outside or missing",
    ),
    "scores missing": (
        lambda f: f,
        {"propensity_score": np.full(60, np.nan)},
        "60 rows are outside or missing",
    ),
    "scores of other rows": (
        lambda f: f,
        {"propensity_score": pd.Series(np.full(60, 0.5))},
        "row labels differ",
    ),
    "separation by one": (
        lambda f: f.assign(age=f["visited"] * 10 + np.arange(len(f)) / 100),
        {"covariates": ["girl", "age"]},
        r"separate .*<?\d+ treated and .* completely \(age alone tells them apart\)",
    ),
    "separation together": (
        lambda f: f.assign(a=np.arange(60) % 31, b=f["visited"] + 60 - np.arange(60) % 31),
        {"covariates": ["a", "b"]},
        r"completely \(2 columns of covariates together",
    ),
    "nobody within the caliper": (
        lambda f: f.assign(age=rng(1).normal(size=60)),
        {"covariates": ["age"], "method": NearestNeighbor(caliper=1e-9)},
        "treated units found a match: no comparison unit within the caliper",
    ),
    "nobody on support": (
        lambda f: f.assign(race=np.where(f["visited"] == 1, "a", "b")),
        {},
        "found a match: no comparison unit has the same race",
    ),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_what_cannot_be_matched_is_refused_with_reasons(fault):
    change, options, message = CHANGES[fault]
    frame = people(60, 14).sort_values("girl", kind="stable")
    with pytest.raises(MatchingError, match=message) as caught:
        match(change(frame), **options)
    text = str(caught.value)
    assert not any(f" {label}" in text for label in frame.index)
    assert text.endswith(".")


def test_results_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    frame = people(60, 15)
    expected = match(frame).pairs
    monkeypatch.chdir(tmp_path)
    pd.testing.assert_frame_equal(match(frame).pairs, expected)
    assert list(Path().iterdir()) == []


def test_natural_slips_get_a_sentence() -> None:
    frame = pd.DataFrame({"treat": [1, 0, 0, 1], "age": [30, 31, 50, 44]})
    with pytest.raises(MatchingError, match="method must be a value such as"):
        match_frame(frame, treated="treat", covariates=["age"], method="nearest_neighbor")
    with pytest.raises(MatchingError, match="list of column names"):
        match_frame(frame, treated="treat", covariates="age")
    with pytest.raises(MatchingError, match="cannot be a covariate"):
        match_frame(frame, treated="treat", covariates=["age", "treat"])
    with pytest.raises(MatchingError, match="pandas DataFrame"):
        match_frame({"treat": [1, 0]}, treated="treat", covariates=["age"])


def test_missing_covariates_are_counted_and_the_three_ways_out_are_named():
    frame = pd.DataFrame({"treat": [1, 0, 0, 1], "age": [30, None, 31, None], "x": [1, 2, None, 3]})
    with pytest.raises(MatchingError) as caught:
        match_frame(frame, treated="treat", covariates=["age", "x"])
    said = str(caught.value)
    assert "age: 2 rows are without a value, first at row 2, 4 (counted from 1)" in said
    assert "x: 1 row is without a value, first at row 3" in said
    assert "3 of 4 rows lack something" in said
    for way in ("leave them out", "0/1 column of where", "pool_frame_effects"):
        assert way in said


def test_an_infinite_value_is_to_be_corrected_not_imputed():
    frame = pd.DataFrame({"treat": [1, 0], "age": [30, np.inf]})
    with pytest.raises(MatchingError, match=r"age: 1 row is infinite.* Correct these values"):
        match_frame(frame, treated="treat", covariates=["age"])
