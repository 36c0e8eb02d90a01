"""The true value of an estimand, from frames and from samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import NearestNeighbor
from homevisit_eval.errors import EstimationError, SourceError
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample, Matches
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.truth import read_truth, true_effect
from small_sample import sample_of

COMMITTED = Path(__file__).resolve().parent.parent / "data" / "synthetic"


@pytest.fixture
def truth() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "student_id": ["SYN1", "SYN1", "SYN2", "SYN3"],
            "school_year": [2015, 2016, 2015, 2015],
            "visited_before_year": [1, 0, 1, 0],
            "attendance_rate_m1": [0.96, 0.97, 0.93, 0.95],
            "attendance_rate_m0": [0.95, 0.95, 0.90, 0.91],
            "math_score_std_m1": [np.nan, 0.3, 0.2, 0.1],
            "math_score_std_m0": [np.nan, 0.2, 0.1, 0.0],
        }
    )


def rows(*keys: tuple[str, int]) -> pd.DataFrame:
    return pd.DataFrame(keys, columns=["unit_id", "school_year"])


def test_the_mean_of_expected_differences_over_the_rows_asked_for(truth: pd.DataFrame) -> None:
    asked = rows(("SYN2", 2015), ("SYN1", 2015))
    assert true_effect(truth, "attendance_rate", asked) == pytest.approx((0.03 + 0.01) / 2)


def test_weights_count_and_rows_may_repeat(truth: pd.DataFrame) -> None:
    asked = rows(("SYN2", 2015), ("SYN1", 2015), ("SYN1", 2015))
    effect = true_effect(truth, "attendance_rate", asked, weights=[2, 1, 1])
    assert effect == pytest.approx((2 * 0.03 + 0.01 + 0.01) / 4)


def test_the_key_is_student_and_year(truth: pd.DataFrame) -> None:
    assert true_effect(truth, "attendance_rate", rows(("SYN1", 2016))) == pytest.approx(0.02)


def test_rows_outside_the_truth_are_an_error_that_names_no_student(truth: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="1 of 2 student-years") as caught:
        true_effect(truth, "attendance_rate", rows(("SYN2", 2015), ("SYN2", 2016)))
    assert "SYN" not in str(caught.value)


def test_a_grade_without_a_test_has_no_effect_on_scores(truth: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="math_score_std"):
        true_effect(truth, "math_score_std", rows(("SYN1", 2015), ("SYN2", 2015)))


@pytest.fixture
def sample() -> AnalyticSample:
    baseline = pd.DataFrame(
        {
            "unit_id": ["SYN1", "SYN2", "SYN3", "SYN1"],
            "school_year": [2015, 2015, 2015, 2016],
            "visited": [1, 1, 0, 1],
            "grade": 3,
            "school_id": "S1",
            "grade_band": "all",
            "visited_prior": "no",
        }
    )
    outcomes = pd.DataFrame(
        {
            "attendance_rate": [0.9, 0.9, 0.9, 0.9],
            "any_incident": [0.0, 1.0, 0.0, 0.0],
            "math_score_std": [np.nan, 0.1, 0.2, 0.4],
            "days_enrolled": 180.0,
        }
    )
    return sample_of(baseline, outcomes, {"all": ()})


def matched(sample: AnalyticSample, weights: list[float]) -> MatchedSample:
    none = pd.DataFrame({"treated": [], "rank": [], "comparison": []})
    matches = Matches(
        method=NearestNeighbor(),
        pairs=none,
        weights=pd.Series(weights),
        matched_set=pd.Series(0, index=range(4)),
        propensity_score=None,
        linear_propensity_score=None,
        estimand=Estimand("ATT"),
        propensity=(),
        unmatched=none,
        audit={},
    )
    return MatchedSample(sample, matches)


def test_a_sample_gives_the_effect_on_all_its_visited_students(
    truth: pd.DataFrame, sample: AnalyticSample
) -> None:
    expected = (0.01 + 0.03 + 0.02) / 3
    assert true_effect(truth, "attendance_rate", sample) == pytest.approx(expected)


def test_only_visited_students_whose_outcome_is_observed_count(
    truth: pd.DataFrame, sample: AnalyticSample
) -> None:
    assert true_effect(truth, "math_score_std", sample) == pytest.approx((0.1 + 0.1) / 2)


def test_a_matched_sample_gives_the_effect_on_the_visited_it_kept(
    truth: pd.DataFrame, sample: AnalyticSample
) -> None:
    kept = matched(sample, [0.0, 2.0, 1.0, 1.0])
    expected = (2 * 0.03 + 0.02) / 3
    assert true_effect(truth, "attendance_rate", kept) == pytest.approx(expected)
    with pytest.raises(EstimationError, match="give none"):
        true_effect(truth, "attendance_rate", kept, weights=[1.0])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("ATT", (2 * 0.03 + 0.02) / 3),
        ("ATC", 0.04),
        ("ATE", (0.03 + 0.04 + 0.02) / 3),
        ("ATO", (0.03 * 0.25 + 0.04 * 0.16 + 0.02 * 0.09) / 0.5),
    ],
)
def test_a_matched_sample_gives_the_effect_on_those_its_estimand_is_about(
    truth: pd.DataFrame, sample: AnalyticSample, target: str, expected: float
) -> None:
    kept = matched(sample, [0.0, 2.0, 1.0, 1.0])
    matches = replace(
        kept.matches,
        estimand=Estimand(target),
        propensity_score=pd.Series([np.nan, 0.5, 0.8, 0.1]),
    )
    effect = true_effect(truth, "attendance_rate", MatchedSample(sample, matches))
    assert effect == pytest.approx(expected)


def test_sampling_weights_say_how_much_each_student_year_counts(
    truth: pd.DataFrame, sample: AnalyticSample
) -> None:
    kept = matched(sample, [0.0, 6.0, 1.0, 2.0])
    matches = replace(
        kept.matches, estimand=Estimand("ATE"), sampling_weights=pd.Series([9.0, 3.0, 1.0, 2.0])
    )
    effect = true_effect(truth, "attendance_rate", MatchedSample(sample, matches))
    assert effect == pytest.approx((3 * 0.03 + 0.04 + 2 * 0.02) / 6)


def test_overlap_without_scores_is_refused(truth: pd.DataFrame, sample: AnalyticSample) -> None:
    kept = matched(sample, [1.0] * 4)
    matches = replace(kept.matches, estimand=Estimand("ATO"))
    with pytest.raises(EstimationError, match="known by propensity scores"):
        true_effect(truth, "attendance_rate", MatchedSample(sample, matches))


def test_weights_must_fit(truth: pd.DataFrame) -> None:
    asked = rows(("SYN2", 2015))
    for wrong in ([1, 1], [-1], [0]):
        with pytest.raises(EstimationError, match="weights"):
            true_effect(truth, "attendance_rate", asked, weights=wrong)
    with pytest.raises(EstimationError, match="at least one"):
        true_effect(truth, "attendance_rate", asked.iloc[:0])


def test_an_unknown_outcome_lists_the_known_ones(truth: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="attendance_rate, math_score_std"):
        true_effect(truth, "happiness", rows(("SYN2", 2015)))


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="synthetic"):
        read_truth(tmp_path)


def test_the_committed_truth_is_read() -> None:
    truth = read_truth(COMMITTED)
    visited = truth[truth["visited_before_year"] == 1]
    effect = true_effect(truth, "any_incident", visited)
    assert effect == pytest.approx((visited["any_incident_m1"] - visited["any_incident_m0"]).mean())
    assert -0.05 < effect < -0.015
