"""Effects under every estimand and method: whose they are, and what is said of those left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from effect_examples import matched_example, with_outcome, with_weights
from homevisit_eval.design import (
    CardinalityMatching,
    EntropyBalancing,
    FixedEffects,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OverlapWeights,
)
from homevisit_eval.effects import estimate_effect
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import Estimand, MatchedSample
from homevisit_eval.matching.matched_sample import NO_MATCHING

RELATIVE = 1e-9  # two solvers, double precision
PLAIN = FixedEffects(absorb=(), covariance="CR1S")


def under(
    matched: MatchedSample, target: str, method: MatchingMethod, *, sets: bool = True
) -> MatchedSample:
    """Return a matched sample as if made by another method, for another estimand."""
    matches = replace(matched.matches, estimand=Estimand(target), method=method)
    if not sets:
        matches = replace(matches, matched_set=pd.Series(-1, index=matches.weights.index))
    return MatchedSample(matched.sample, matches)


def unequal(**options: object) -> MatchedSample:
    """Return a matched sample with unequal weights."""
    matched = matched_example(**options)
    drawn = np.random.Generator(np.random.PCG64(8)).uniform(0.3, 2, len(matched.matches.weights))
    return with_weights(matched, drawn * matched.matches.weights.to_numpy())


def interacted(matched: MatchedSample, about: list[int]) -> float:
    """Return the coefficient of treatment, interacted with covariates centered at a population."""
    frame = matched.sample.baseline
    w = matched.matches.weights.to_numpy()
    rate = frame["attendance_rate_prior"].to_numpy()
    race = pd.get_dummies(frame["race_ethnicity"], drop_first=True).to_numpy(dtype=float)
    score, band = frame["math_score_std_prior"], frame["grade_band"] == "with pretest"
    X = np.column_stack(
        [rate, rate**2, frame["female"], race, score.fillna(0.0), band.to_numpy(dtype=float)]
    )
    treated = frame["visited"].to_numpy()
    used, population = w > 0, (w > 0) & np.isin(treated, about)
    X = X - np.average(X[population], weights=w[population], axis=0)
    columns = np.column_stack([treated, np.ones(len(w)), X, X * treated[:, None]])
    y = matched.sample.outcomes["attendance_rate"].to_numpy()
    return float(sm.WLS(y[used], columns[used], weights=w[used]).fit().params[0])


@pytest.mark.parametrize(
    ("target", "about"), [("ATT", [1]), ("ATC", [0]), ("ATE", [0, 1]), ("ATO", [0, 1])]
)
def test_the_interacted_effect_is_that_of_the_estimand(target, about):
    matched = under(unequal(), target, FullMatching())
    effect = estimate_effect(matched, "attendance_rate", PLAIN)
    assert effect.estimate_interacted == pytest.approx(interacted(matched, about), rel=RELATIVE)
    assert str(effect.estimand) == target
    assert effect.method == FullMatching()


def test_the_interacted_effects_of_the_targets_differ():
    found = {
        target: estimate_effect(
            under(unequal(), target, FullMatching()), "attendance_rate", PLAIN
        ).estimate_interacted
        for target in ("ATT", "ATC", "ATE")
    }
    assert abs(found["ATT"] - found["ATC"]) > 1e-5
    assert min(found["ATT"], found["ATC"]) < found["ATE"] < max(found["ATT"], found["ATC"])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ATT", "The effect on the visited by interacted regression is"),
        ("ATC", "The effect on the comparison students by interacted regression is"),
        ("ATE", "The effect on all students by interacted regression is"),
        ("ATO", "The effect on the overlap of both groups by interacted regression is"),
    ],
)
def test_a_difference_to_the_interacted_effect_names_whose_it_is(target, words):
    matched = under(matched_example(), target, OverlapWeights())
    baseline = matched.sample.baseline
    strong = matched.sample.outcomes["attendance_rate"].to_numpy(copy=True)
    rate = baseline["attendance_rate_prior"].to_numpy()
    strong += 5 * baseline["visited"] * (rate - 0.9) + 4 * (1 - baseline["visited"]) * rate**2
    weights = np.where(baseline["visited"] == 1, 1.0, 10 * np.clip(rate - 0.85, 0.001, None))
    matched = with_weights(with_outcome(matched, "attendance_rate", strong), weights)
    notes = estimate_effect(matched, "attendance_rate", PLAIN).notes
    assert any(note.startswith(words) for note in notes), notes


@pytest.mark.parametrize(
    ("target", "method", "expected"),
    [
        ("ATT", NearestNeighbor(), ["No match was found for 150 of 600 (25.0 %) visited"]),
        (
            "ATC",
            NearestNeighbor(estimand="ATC"),
            ["No match was found for 150 of 600 (25.0 %) com"],
        ),
        (
            "ATE",
            InverseProbability(estimand="ATE"),
            [
                "No weight could be given to 150 of 600 (25.0 %) visited student-years, which",
                "No weight could be given to 150 of 600 (25.0 %) comparison student-years, which",
            ],
        ),
        (
            "ATT",
            CardinalityMatching(),
            ["The largest balanced sample is without 150 of 600 (25.0 %) visited"],
        ),
    ],
)
def test_those_left_out_are_those_whom_the_estimand_is_about(target, method, expected):
    notes = estimate_effect(under(matched_example(), target, method), "attendance_rate").notes
    said = [note for note in notes if "left out" in note]
    assert len(said) == len(expected)
    for note, start in zip(said, expected, strict=True):
        assert note.startswith(start)


@pytest.mark.parametrize("missing_in", [1, 0])
@pytest.mark.parametrize("target", ["ATT", "ATC", "ATE", "ATO"])
def test_the_estimand_is_restricted_where_those_it_is_about_lack_the_outcome(target, missing_in):
    matched = under(matched_example(), target, OverlapWeights())
    values = matched.sample.outcomes["attendance_rate"].to_numpy(copy=True)
    group = matched.sample.baseline["visited"].to_numpy() == missing_in
    values[np.flatnonzero(group)[:20]] = np.nan
    effect = estimate_effect(with_outcome(matched, "attendance_rate", values), "attendance_rate")
    about = {"ATT": [1], "ATC": [0]}.get(target, [0, 1])
    words = " with the outcome observed" if missing_in in about else ""
    assert str(effect.estimand) == f"{target}{words}"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (NearestNeighbor(max_uses="unlimited"), "with max_uses = 'unlimited' may use one in sev"),
        (NearestNeighbor(max_uses=3), "'nearest_neighbor' with max_uses = 3 may use one in sev"),
        (CardinalityMatching(), "method 'cardinality' makes none"),
        (InverseProbability(), "method 'inverse_probability' makes none"),
        (OverlapWeights(), "method 'overlap_weights' makes none"),
        (EntropyBalancing(), "method 'entropy_balancing' makes none"),
        (NoMatching(), "method 'no_matching' makes none"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_errors_cannot_be_clustered_by_sets_that_are_not_made(method, words):
    matched = under(matched_example(), "ATT", method, sets=False)
    with pytest.raises(EstimationError, match="900 student-years are in no matched set") as caught:
        estimate_effect(matched, "attendance_rate", FixedEffects(cluster="matched_set"))
    assert words in str(caught.value)
    assert "Choose cluster school_id, or a method that makes sets" in str(caught.value)


def test_without_matching_nobody_is_left_out():
    matched = matched_example(matching=False)
    matches = replace(matched.matches, estimand=Estimand("ATT", NO_MATCHING))
    effect = estimate_effect(MatchedSample(matched.sample, matches), "attendance_rate")
    assert effect.notes == ()
    assert effect.method == NoMatching()
