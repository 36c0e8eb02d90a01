"""Table B8: what it shows, and what it must not tell."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import pytest

from homevisit_eval.design import FixedEffects, NearestNeighbor
from homevisit_eval.effects import Effect, estimate_effect
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import MatchedSample, match_students
from homevisit_eval.report.teacher_tables import teacher_retention
from homevisit_eval.sample import select_sample
from homevisit_eval.sample.teachers import select_teachers
from teacher_panels import QUESTION, teacher_design, teacher_panel
from tiny_panel import enrolled, first_day, tiny_design, tiny_panel, visit

OUTCOMES = QUESTION.outcomes
PER_GROUP = 80
EVERYBODY = replace(QUESTION, matching=NearestNeighbor(exact=("school_year",), caliper="none"))
"""Without a caliper all are matched, so that counts are those of the text below."""


@cache
def matched(movers: int, leavers: int = 12) -> MatchedSample:
    """Return pairs of teachers in which, of the visiting, some go to S2 and some leave.

    Of the comparison teachers 20 leave and 12 go to the other school.
    """
    random = np.random.default_rng(11)
    staff = ["staff_id school_id school_year experience_years"]
    visits = ["student_id date staff_id_1"]
    for group, moving, leaving in (("v", movers, leavers), ("c", 12, 20)):
        for number in range(PER_GROUP):
            name, school = f"{group}{number}", number % 2 + 1
            years = int(random.integers(0, 20))
            staff.append(f"{name} S{school} 2015 {years}")
            if number < moving:
                staff.append(f"{name} S{3 - school} 2016 {years + 1}")
            elif number < PER_GROUP - leaving:
                staff.append(f"{name} S{school} 2016 {years + 1}")
            if group == "v":
                visits.append(f"ann 2014-08-01 {name}")
    panel = teacher_panel("\n".join(staff), "\n".join(visits))
    return match_students(select_teachers(panel, teacher_design(EVERYBODY), EVERYBODY))


def effects(
    of: MatchedSample, cluster: Literal["matched_set", "school_id"] = "matched_set"
) -> list[Effect]:
    model = FixedEffects(cluster=cluster)
    return [estimate_effect(of, outcome, model) for outcome in OUTCOMES]


def test_it_shows_shares_difference_and_counts_of_teachers_and_schools() -> None:
    sample = matched(movers=15)
    estimated = effects(sample)
    table = teacher_retention(estimated, sample)
    n = PER_GROUP
    assert (table.name, table.threshold, table.synthetic) == ("B8", 10, True)
    for row, effect in enumerate(estimated):
        assert table.frame["estimate"].iloc[row] == effect.estimate
        assert table.frame["adjusted_mean_visited"].iloc[row] == pytest.approx(effect.mean_visited)
        for column in ("n_visited", "teachers_visited", "n_comparison", "teachers_comparison"):
            assert table.frame[column].iloc[row] == n
        assert table.frame["schools_visited"].iloc[row] == 2
        assert table.frame["clusters"].iloc[row] == effect.clusters == PER_GROUP
        assert table.frame["df"].iloc[row] == effect.df
    assert not table.hidden
    text = table.text()
    assert "Teachers who visit (exploratory question)" in text
    assert "Synthetic data" in text
    assert "The result is exploratory." in text
    assert "student" not in text.replace("fewer than 10 students", "")


def test_few_degrees_of_freedom_are_flagged() -> None:
    sample = matched(movers=15)
    few, many = effects(sample, cluster="school_id"), effects(sample)
    assert all(one.df < 4 and one.clusters == 2 for one in few)
    assert all(one.df > 4 for one in many)
    text = teacher_retention(few, sample).text()
    assert {"Clusters (G)", "df"} <= set(re.split(r"  +", text))
    assert f"Only {few[0].df:.1f} degrees of freedom (under 4)" in text
    assert "degrees of freedom (under 4)" not in teacher_retention(many, sample).text()


def test_few_who_change_school_cannot_be_found_by_subtraction() -> None:
    sample = matched(movers=5)
    table = teacher_retention(effects(sample), sample)
    in_school = {(0, f"adjusted_mean_{group}") for group in ("visited", "comparison")}
    assert set(table.hidden) == in_school
    assert table.frame.loc[0, "estimate"] == effects(sample)[0].estimate
    assert table.frame.loc[1, "adjusted_mean_visited"] > 0


def test_few_who_leave_are_hidden_with_what_rests_on_them() -> None:
    sample = matched(movers=15, leavers=4)
    table = teacher_retention(effects(sample), sample)
    district = {column for row, column in table.hidden if row == 1}
    assert {"adjusted_mean_visited", "estimate", "ci_low", "p_value", "std_error"} <= district
    assert not {"n_visited", "schools_visited"} & district


def test_schools_of_a_few_teachers_are_not_counted() -> None:
    sample = matched(movers=15)
    few = sample.matches.weights.copy()
    for code in (1, 0):
        members = few.index[(sample.sample.baseline["visited"] == code) & (few > 0)]
        few[members[9:]] = 0.0
    fewer = replace(sample, matches=replace(sample.matches, weights=few))
    table = teacher_retention(effects(sample), fewer)
    assert table.frame[["schools_visited", "schools_comparison"]].isna().all(axis=None)


def test_a_share_is_shown_only_with_no_other_way_to_the_count() -> None:
    """The CSV holds full precision: hidden cells hold no number there either."""
    sample = matched(movers=5)
    line = teacher_retention(effects(sample), sample).to_csv_text().splitlines()[1]
    assert line.split(",")[4:6] == ["*", "*"]


def test_it_is_for_teachers_only() -> None:
    sample = matched(movers=15)
    with pytest.raises(EstimationError, match="no effect on teachers to show"):
        teacher_retention([], sample)
    rows = [*enrolled("A"), *enrolled("B", attendance_rate=0.9)]
    students = select_sample(
        tiny_panel(rows, [visit("A", first_day(2015).replace(day=2))]), tiny_design()
    )
    other = MatchedSample(students, sample.matches)
    with pytest.raises(EstimationError, match=r"one question about teachers; .*unit 'student'"):
        teacher_retention(effects(sample), other)
