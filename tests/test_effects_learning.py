"""Months of learning, missing scores by group, and the tables of achievement and subgroups."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import statsmodels.api as sm

from effect_examples import (
    matched_example,
    with_baseline,
    with_outcome,
    with_replacement,
    with_weights,
)
from fabricated import ATTENDANCE, MATH, effect
from homevisit_eval.effects import Effect, estimate_effect, estimate_subgroups
from homevisit_eval.effects.learning import (
    HILL_ET_AL_2008,
    LearningGains,
    grades_with_scores,
    months_of_learning,
    subject_of,
)
from homevisit_eval.effects.missing_scores import compare_missing
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.report.achievement_tables import achievement_by_grade
from homevisit_eval.table import Table

SCORE = "math_score_std"
GAINS = LearningGains("Gains of a test", {("math", 3): 0.9, ("math", 4): 0.45, ("math", 5): 0.5})


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv_text())))


def of_math(**changes) -> Effect:
    values = {"estimate": 0.09, "ci_low": -0.09, "ci_high": 0.27}
    return effect(MATH, **{**values, **changes})


# Months -----------------------------------------------------------------------------------------


def test_one_grade_is_the_effect_over_the_yearly_gain():
    found = months_of_learning(of_math(), {3: 1.0}, GAINS)
    assert found.months == pytest.approx(0.9)  # .09 / .9 of 9 months
    assert (found.ci_low, found.ci_high) == pytest.approx((-0.9, 2.7))
    assert found.gain == pytest.approx(0.9)
    assert found.source == "Gains of a test"
    assert any("rough translation" in note for note in found.notes)


def test_grades_are_weighted_by_who_was_visited():
    found = months_of_learning(of_math(), {3: 30, 4: 10}, GAINS)
    each = [0.09 / 0.9 * 9] * 30 + [0.09 / 0.45 * 9] * 10
    assert found.months == pytest.approx(np.mean(each))
    assert found.grades == (3, 4)
    assert months_of_learning(of_math(), {4: 1}, replace(GAINS, months=10.0)).months == (
        pytest.approx(2.0)
    )


def test_the_published_gains_give_what_the_study_was_told_as():
    """.11 to .12 SD in mathematics: about 2 months in the grades with .52 and .56, 2.5 with .41."""
    for grade, months in ((4, 2.0), (5, 1.85), (6, 2.5)):
        found = months_of_learning(of_math(estimate=0.115), {grade: 1.0})
        assert found.months == pytest.approx(months, abs=0.03)
        assert "not compared with the printed table" in " ".join(found.notes)
    assert HILL_ET_AL_2008.gains["reading", 6] == 0.32
    assert {grade for _, grade in HILL_ET_AL_2008.gains} == set(range(1, 9))


def test_gains_fall_from_grade_to_grade_as_a_typing_error_would_not():
    for subject in ("math", "reading"):
        gains = [HILL_ET_AL_2008.gains[subject, grade] for grade in range(1, 8)]
        smooth = np.diff(gains) < 0.05
        assert smooth.all()


@pytest.mark.parametrize(
    ("outcome", "grades", "words"),
    [
        (ATTENDANCE, {3: 1.0}, "only test scores in standard deviations"),
        (MATH, {}, "weights of grades must be above 0"),
        (MATH, {3: -1.0}, "weights of grades must be above 0"),
        (MATH, {2: 0.5, 3: 0.5, 9: 0.1}, "no yearly gain in math for grade 2, 9"),
    ],
)
def test_what_has_no_months_is_refused(outcome, grades, words):
    with pytest.raises(EstimationError, match=words):
        months_of_learning(effect(outcome), grades, GAINS)


@pytest.mark.parametrize(
    ("gains", "months"), [({}, 9.0), ({("math", 3): 0.0}, 9.0), ({("math", 3): 0.5}, 0.0)]
)
def test_gains_are_above_zero(gains, months):
    with pytest.raises(DesignError, match="not above 0"):
        LearningGains("nowhere", gains, months)


def test_gains_do_not_change_with_the_mapping_they_were_made_of():
    mutable = {("math", 3): 0.5}
    gains = LearningGains("here", mutable)
    mutable["math", 3] = 5.0
    assert gains.gains["math", 3] == 0.5
    assert repr(gains) == "LearningGains('here': 1 gains, 9 months)"


def test_scores_of_later_years_are_of_later_grades():
    later = replace(MATH, name="math_score_std_after_2")
    assert subject_of(later) == "math"
    assert subject_of(ATTENDANCE) is None
    matched = matched_example(400)
    outcomes = matched.sample.outcomes.assign(math_score_std_after_2=1.0)
    followed = MatchedSample(replace(matched.sample, outcomes=outcomes), matched.matches)
    assert set(grades_with_scores(followed, later.name)) == {4, 5, 6}


def test_weights_of_grades_are_those_of_visited_students_with_a_score():
    matched = matched_example(400)
    rows = matched.sample.baseline
    own = (matched.matches.weights > 0) & (rows["visited"] == 1) & (rows["grade"] > 2)
    expected = rows["grade"][own].value_counts(normalize=True)
    found = grades_with_scores(matched, SCORE)
    assert found == pytest.approx({3: expected[3], 4: expected[4]})
    none = with_outcome(matched, SCORE, np.full(len(rows), np.nan))
    with pytest.raises(EstimationError, match="no matched visited student has this outcome"):
        grades_with_scores(none, SCORE)


# Missing scores ---------------------------------------------------------------------------------


def lacking(matched: MatchedSample, visited: int, comparison: int) -> MatchedSample:
    """Return the sample with so many scores of tested grades missing in each group."""
    y = matched.sample.outcomes[SCORE].to_numpy(copy=True)
    used = (matched.matches.weights.to_numpy() > 0) & ~np.isnan(y)
    for group, count in ((1, visited), (0, comparison)):
        own = np.flatnonzero(used & (matched.sample.baseline["visited"] == group).to_numpy())
        y[own[:count]] = np.nan
    return with_outcome(matched, SCORE, y)


def in_tested_grades(matched: MatchedSample) -> np.ndarray:
    return (matched.sample.baseline["grade"] > 2).to_numpy()


def test_shares_are_compared_as_statsmodels_does_up_to_small_samples():
    matched = lacking(matched_example(), 60, 30)
    found = compare_missing(matched, SCORE, in_tested_grades(matched))
    rows = matched.sample.baseline
    here = in_tested_grades(matched) & (matched.matches.weights > 0).to_numpy()
    lacks = matched.sample.outcomes[SCORE].isna().to_numpy(dtype=float)[here]
    visited = rows["visited"].to_numpy()[here]
    assert found.share_visited == pytest.approx(60 / (visited == 1).sum())
    assert found.difference == pytest.approx(
        lacks[visited == 1].mean() - lacks[visited == 0].mean()
    )
    codes = np.unique(rows["school_id"].to_numpy()[here], return_inverse=True)[1]
    fit = sm.OLS(lacks, sm.add_constant(visited)).fit(
        cov_type="cluster", cov_kwds={"groups": codes}
    )
    assert found.difference == pytest.approx(fit.params[1])
    assert found.std_error == pytest.approx(fit.bse[1], rel=0.03)  # CR1S against CR2
    assert 0 < found.df < 24
    assert found.ci_low < found.difference < found.ci_high
    assert (found.missing_visited, found.missing_comparison) == (60, 30)
    assert "missing +0." in repr(found)
    assert "60" not in repr(found)


def test_shares_are_weighted_by_the_matching_weights():
    matched = lacking(with_replacement(600), 20, 10)
    found = compare_missing(matched, SCORE, in_tested_grades(matched))
    weights = matched.matches.weights.to_numpy()
    here = in_tested_grades(matched) & (weights > 0)
    own = here & (matched.sample.baseline["visited"] == 0).to_numpy()
    lacks = matched.sample.outcomes[SCORE].isna().to_numpy(dtype=float)
    assert found.share_comparison == pytest.approx(np.average(lacks[own], weights=weights[own]))
    assert len(set(weights[own])) > 1


def test_nothing_missing_is_no_difference_without_error():
    matched = matched_example(400)
    found = compare_missing(matched, SCORE, in_tested_grades(matched))
    assert (found.difference, found.std_error, found.ci_low, found.ci_high) == (0, 0, 0, 0)


def test_an_empty_group_is_refused():
    matched = matched_example(400)
    one = (matched.sample.baseline["visited"] == 1).to_numpy()
    with pytest.raises(EstimationError, match="no matched comparison student-year"):
        compare_missing(matched, SCORE, one)


def test_one_school_has_no_interval():
    matched = lacking(matched_example(400), 20, 10)
    one = with_baseline(matched, school_id="S01")
    with pytest.raises(EstimationError, match="cluster"):
        compare_missing(one, SCORE, in_tested_grades(one))


def test_the_interval_covers_a_difference_that_is_known():
    """Scores are lost with chance .2 among the visited and .1 among the others."""
    covered = 0
    for seed in range(1, 41):
        matched = matched_example(seed=seed)
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 31])))
        y = matched.sample.outcomes[SCORE].to_numpy(copy=True)
        visited = matched.sample.baseline["visited"].to_numpy()
        y[random.random(len(y)) < 0.1 + 0.1 * visited] = np.nan
        found = compare_missing(with_outcome(matched, SCORE, y), SCORE, in_tested_grades(matched))
        covered += found.ci_low <= 0.1 <= found.ci_high
    assert 34 <= covered <= 40  # 95 % of 40 is 38; fewer than 34 have a chance of .003


# B6 ---------------------------------------------------------------------------------------------


@cache
def estimated(visited: int = 60, comparison: int = 30) -> tuple[MatchedSample, Effect]:
    matched = lacking(matched_example(), visited, comparison)
    return matched, estimate_effect(matched, SCORE)


def test_each_tested_grade_has_a_row_below_the_effect_of_all():
    matched, main = estimated()
    shown = achievement_by_grade(matched, [main], GAINS)
    assert shown.name == "B6"
    assert shown.frame["grade"].tolist() == ["All grades", "Grade 3", "Grade 4"]
    grades = estimate_subgroups(matched, SCORE, "grade").subgroups
    for row, one in ((1, grades[1]), (2, grades[2])):
        assert shown.frame["estimate"].iloc[row] == pytest.approx(one.estimate)
        gain = GAINS.gains["math", int(one.subgroup)]
        assert shown.frame["months"].iloc[row] == pytest.approx(9 * one.estimate / gain)
        assert shown.frame["months_low"].iloc[row] == pytest.approx(9 * one.ci_low / gain)
    months = months_of_learning(main, grades_with_scores(matched, SCORE), GAINS)
    assert shown.frame["months"].iloc[0] == pytest.approx(months.months)
    assert shown.frame["estimate"].iloc[0] == main.estimate
    assert shown.frame["n_visited"].iloc[0] == main.n_visited
    assert shown.frame["n_visited"].iloc[1:].sum() == main.n_visited
    missing = compare_missing(matched, SCORE, in_tested_grades(matched))
    assert shown.frame["missing_difference"].iloc[0] == pytest.approx(missing.difference)
    assert shown.cell(1, "missing_visited") == "–"
    notes = " ".join(shown.notes)
    for words in (
        "grade 2: not tested", "test of equal effects in all grades F =", "Source: Gains of a test",
        "rough translation", "without a score in the outcome year",
    ):  # fmt: skip
        assert words in notes
    assert {row["data"] for row in rows_of(shown)} == {"Synthetic data"}


def test_the_caution_of_the_default_gains_is_printed():
    matched, main = estimated()
    assert "compare them with it before months are published" in " ".join(
        achievement_by_grade(matched, [main]).notes
    )


def test_grades_without_a_gain_have_no_months():
    matched, main = estimated()
    shown = achievement_by_grade(matched, [main], LearningGains("one", {("math", 4): 0.5}))
    assert shown.frame["months"].isna().tolist() == [True, True, False]


def test_few_missing_scores_do_not_follow():
    matched, main = estimated(4, 30)
    shown = achievement_by_grade(matched, [main], GAINS)
    row = rows_of(shown)[0]
    for column in ("missing_visited", "missing_comparison", "missing_difference", "missing_low"):
        assert row[column] == "*"
    # all four are of one grade: the other grade's count would tell how many, less the sum
    assert all(int(line["n_visited"]) % 10 == 0 for line in rows_of(shown)[1:])
    assert int(row["n_visited"]) % 10 == 0


def test_few_tested_out_of_grade_do_not_follow_from_the_sum():
    matched, _ = estimated()
    y = matched.sample.outcomes[SCORE].to_numpy(copy=True)
    rows = matched.sample.baseline
    used = (matched.matches.weights > 0).to_numpy()
    for group in (1, 0):
        own = used & (rows["grade"] == 2).to_numpy() & (rows["visited"] == group).to_numpy()
        y[np.flatnonzero(own)[:3]] = 0.2
    some = with_outcome(matched, SCORE, y)
    some = with_baseline(some, math_score_std_prior=rows[f"{SCORE}_prior"].fillna(0.0))
    main = estimate_effect(some, SCORE)
    shown = achievement_by_grade(some, [main], GAINS)
    assert shown.frame["grade"].tolist() == ["All grades", "Grade 3", "Grade 4"]
    assert not (shown.frame["n_visited"].iloc[1:] % 10).any()
    assert rows_of(shown)[0]["missing_visited"] == "*"


def test_a_sample_of_one_grade_has_no_rows_of_grades():
    matched = estimated()[0]
    one = with_weights(
        matched,
        matched.matches.weights.where(matched.sample.baseline["grade"] == 3, 0.0).to_numpy(),
    )
    shown = achievement_by_grade(one, [estimate_effect(one, SCORE)], GAINS)
    assert shown.frame["grade"].tolist() == ["All grades"]
    assert "No effects by grade" in " ".join(shown.notes)
    with pytest.raises(EstimationError, match="no effect on a test score"):
        achievement_by_grade(one, [effect(ATTENDANCE)])
