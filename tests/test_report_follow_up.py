"""Tables and the figure of later years: counted by hand, and no few students given away."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fabricated import ATTENDANCE, INCIDENT, effect, matched_sample
from homevisit_eval.design import Eligibility
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.panel import Panel
from homevisit_eval.report.drawing import to_svg
from homevisit_eval.report.follow_up_figure import follow_up as figure_of_years
from homevisit_eval.report.follow_up_figure import follow_up_alt_text
from homevisit_eval.report.follow_up_tables import could_be_followed, follow_up
from homevisit_eval.report.followed_students import follow_up_years, later_visits
from homevisit_eval.table import Table
from tiny_panel import student_year, tiny_panel, visit

LATER = {
    after: replace(
        ATTENDANCE,
        name=f"attendance_rate_after_{after}",
        label=f"{ATTENDANCE.label}, {after} year{'s' if after > 1 else ''} later",
    )
    for after in (1, 2, 3)
}


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv_text())))


def with_outcomes(matched: MatchedSample, missing: Mapping[str, Any]) -> MatchedSample:
    """Return the sample with outcomes that are there except for these masks."""
    frame = matched.sample.outcomes.copy()
    for name in ("attendance_rate", *(one.name for one in LATER.values())):
        values = np.full(len(frame), 0.95)
        values[np.asarray(missing.get(name, np.zeros(len(frame), dtype=bool)))] = np.nan
        frame[name] = values
    return MatchedSample(replace(matched.sample, outcomes=frame), matched.matches)


def leaving(matched: MatchedSample, visited: int, comparison: int, year: int = 2015) -> Any:
    """Return a mask of so many matched student-years of one school year by group."""
    rows = matched.sample.baseline
    used = (matched.matches.weights.to_numpy() > 0) & (rows["school_year"] == year).to_numpy()
    mask = np.zeros(len(rows), dtype=bool)
    for group, count in ((1, visited), (0, comparison)):
        mask[np.flatnonzero(used & (rows["visited"] == group).to_numpy())[:count]] = True
    return mask


def study(visited: int = 60, comparison: int = 40) -> MatchedSample:
    """Return 2,000 pairs; so many are gone a year later, and the second cohort two years later."""
    matched = matched_sample()
    second = (matched.sample.baseline["school_year"] == 2016).to_numpy()
    return with_outcomes(
        matched,
        {
            "attendance_rate_after_1": leaving(matched, visited, comparison),
            "attendance_rate_after_2": second | leaving(matched, 100, 100),
            "attendance_rate_after_3": np.ones(len(second), dtype=bool),
        },
    )


def counts(matched: MatchedSample, name: str) -> dict[str, int]:
    seen = matched.sample.outcomes[name].notna() & (matched.matches.weights > 0)
    return {
        f"n_{group}": int((seen & (matched.sample.baseline["visited"] == code)).sum())
        for group, code in (("visited", 1), ("comparison", 0))
    }


def effects_of(matched: MatchedSample, years: tuple[int, ...] = (2, 0, 1)) -> list[Any]:
    """Return effects with the counts of the sample, not in order."""
    of_all = {"matched_visited": 2000, "matched_comparison": 2000}
    found = []
    for after in years:
        outcome = LATER[after] if after else ATTENDANCE
        found.append(
            effect(
                outcome, estimate=0.004 - 0.001 * after, ci_low=0.001 - 0.001 * after,
                ci_high=0.007 - 0.001 * after, adjusted_mean_visited=0.95,
                adjusted_mean_comparison=0.946, **counts(matched, outcome.name), **of_all,
            )
        )  # fmt: skip
    return found


# B7 ---------------------------------------------------------------------------------------------


def test_years_stand_in_order_with_attrition_of_those_who_could_be_followed():
    matched = study()
    shown = follow_up(effects_of(matched), matched)
    assert shown.name == "B7"
    assert shown.frame["when"].tolist() == ["Year of the visit", "1 year later", "2 years later"]
    assert set(shown.frame["outcome"]) == {"Attendance rate"}
    one = [shown.cell(1, name) for name in shown.columns if name.startswith("attrition")]
    assert one == ["3.00%", "2.00%", "1.00%"]  # 60 and 40 of 2,000
    assert [shown.cell(1, name) for name in ("n_visited", "n_comparison")] == ["1,940", "1,960"]
    # two years later only the first cohort: 100 of 1,000 in each group
    assert [shown.cell(2, f"attrition_{name}") for name in ("visited", "difference")] == [
        "10.00%", "0.00%",
    ]  # fmt: skip
    assert shown.cell(2, "estimate") == "+0.20 pp"
    assert [shown.cell(0, f"attrition_{name}") for name in ("visited", "difference")] == [
        "0.00%", "0.00%",
    ]  # fmt: skip
    assert {row["data"] for row in rows_of(shown)} == {"Synthetic data"}


@pytest.mark.parametrize(
    ("later_visits", "words"),
    [("natural_course", "take their natural course"), ("none", "no visit through the year of")],
)
def test_the_notes_say_what_becomes_of_later_visits(later_visits, words):
    matched = study()
    outcomes = ("attendance_rate", "attendance_rate_after_1", "attendance_rate_after_2")
    question = replace(matched.sample.question, outcomes=outcomes, later_visits=later_visits)
    asked = MatchedSample(replace(matched.sample, question=question), matched.matches)
    assert [words in note for note in follow_up(effects_of(asked), asked).notes].count(True) == 1


@pytest.mark.parametrize(("visited", "comparison"), [(3, 40), (40, 3), (9, 1)])
def test_few_who_left_do_not_follow_from_counts_or_attrition(visited, comparison):
    matched = study(visited, comparison)
    shown = follow_up(effects_of(matched), matched)
    row = rows_of(shown)[1]
    for group, count in (("visited", visited), ("comparison", comparison)):
        if count < 10:
            assert row[f"attrition_{group}"] == "*"
            assert int(row[f"n_{group}"]) == 1990
        else:
            assert float(row[f"attrition_{group}"]) == pytest.approx(count / 2000)
            assert int(row[f"n_{group}"]) == 2000 - count
    assert row["attrition_difference"] == "*"
    assert row["estimate"] != "*"


def test_few_observed_are_hidden_with_all_that_rests_on_them():
    matched = with_outcomes(
        matched_sample(2), {"attendance_rate_after_1": np.zeros(36, dtype=bool)}
    )
    of = [effect(LATER[1], n_visited=8, n_comparison=8, matched_visited=8, matched_comparison=8)]
    row = rows_of(follow_up(of, matched))[0]
    assert row["n_visited"] == "<10"
    assert row["estimate"] == row["attrition_visited"] == "*"


def test_who_could_be_followed_is_in_a_measured_cell_and_a_followed_grade():
    matched = study()
    rows = matched.sample.baseline
    used = matched.matches.weights.to_numpy() > 0
    first = (rows["school_year"] == 2015).to_numpy()
    assert (could_be_followed("attendance_rate_after_2", matched) == (used & first)).all()
    assert not could_be_followed("attendance_rate_after_3", matched).any()
    few = np.ones(len(rows), dtype=bool)  # one in fifty of grade 1 was tested out of grade
    grade_one = np.flatnonzero(used & (rows["grade"] == 1).to_numpy())
    few[grade_one[::50]] = False
    few[(rows["grade"] == 2).to_numpy()] = False
    tested = with_outcomes(matched, {"attendance_rate": few})
    could = could_be_followed("attendance_rate", tested)
    assert set(rows["grade"][could]) == {2}
    low = replace(matched.sample.design, eligibility=Eligibility(highest_grade_followed=2))
    short = MatchedSample(replace(matched.sample, design=low), matched.matches)
    could = could_be_followed("attendance_rate_after_1", short)
    assert set(rows["grade"][could]) == {1}


def test_few_seen_outside_measured_grades_do_not_follow_from_attrition():
    matched = study()
    few = np.zeros(len(matched.sample.baseline), dtype=bool)
    grade_one = (matched.sample.baseline["grade"] == 1).to_numpy()
    few[grade_one] = True
    used = matched.matches.weights.to_numpy() > 0
    few[np.flatnonzero(used & grade_one)[:3]] = False
    tested = with_outcomes(matched, {"attendance_rate": few})
    row = rows_of(follow_up(effects_of(tested, (0,)), tested))[0]
    assert row["attrition_visited"] == "*"


def test_effects_must_be_of_the_sample():
    matched = study()
    with pytest.raises(EstimationError, match="no effect to show"):
        follow_up([], matched)
    with pytest.raises(EstimationError, match="follow-up: other is not of the sample"):
        follow_up([effect(ATTENDANCE, question="other")], matched)
    with pytest.raises(EstimationError, match="any_incident is not of the sample"):
        follow_up([effect(INCIDENT)], matched)


# How far the extracts reach -----------------------------------------------------------------------


def world(gone: int = 30, per_cell: int = 100) -> tuple[Panel, MatchedSample]:
    """Return matched pairs of 2015 and 2016, and a panel through 2017 that `gone` visited left."""
    matched = matched_sample(per_cell, lost=0)
    used = matched.sample.baseline[matched.matches.weights > 0]
    baseline = matched.sample.baseline.assign(
        index_date=pd.to_datetime(
            matched.sample.baseline["school_year"].map({2015: "2014-08-25", 2016: "2015-08-25"})
        )
    )
    rows = []
    for _, one in used.iterrows():
        number = int((used.loc[: one.name, "visited"] == one["visited"]).sum())
        stays = not (one["visited"] and one["school_year"] == 2015 and number <= gone)
        for year in range(one["school_year"], 2018):
            if year == one["school_year"] or stays:
                grade = one["grade"] + year - one["school_year"]
                rows.append(student_year(one["unit_id"], year, grade))
    first = used[(used["school_year"] == 2015) & (used["visited"] == 0)]["unit_id"].tolist()
    visits = [
        visit(first[0], date(2014, 8, 25)),  # on the first day: later in the year
        *(visit(name, date(2015, 7, 1)) for name in first[:60]),  # one year later
        *(visit(name, date(2016, 10, 1)) for name in first[:80]),  # two years later, 20 first
        visit(first[100], date(2014, 7, 1)),  # before time zero: counts for nothing
        visit(first[101], date(2015, 7, 1), completed=0),
    ]
    return tiny_panel(rows, visits), MatchedSample(
        replace(matched.sample, baseline=baseline), matched.matches
    )


def test_each_cohort_and_year_says_whether_the_extracts_reach_it():
    shown = follow_up_years(*world())
    assert shown.frame["reached"].tolist() == ["yes", "yes", "yes", "no", "yes", "yes", "no", "no"]
    assert shown.frame["when"].iloc[2] == "2 years later (2016-17)"
    assert [heading for heading, _ in shown.sections()] == [
        "Visits of 2014-15", "Visits of 2015-16",
    ]  # fmt: skip
    assert [shown.cell(row, "n_visited") for row in range(8)] == [
        "200", "170", "170", "–", "200", "200", "–", "–",
    ]  # fmt: skip
    assert [shown.cell(row, "n_comparison") for row in (0, 1, 2, 3)] == ["200", "200", "200", "–"]
    assert shown.name == "B7-1"


def test_few_who_left_a_cohort_do_not_follow_from_it_or_from_the_sum():
    shown = follow_up_years(*world(gone=4))
    assert shown.frame["n_visited"].iloc[1] == 190
    assert shown.frame["n_visited"].iloc[5] == 200
    uneven = follow_up_years(*world(gone=4, per_cell=52))
    # 104 a cohort: the sum less the whole cohort would tell the other one
    assert uneven.frame["n_visited"].iloc[1] == 90
    assert uneven.frame["n_visited"].iloc[5] == 100
    assert uneven.frame["n_visited"].iloc[4] == 104
    assert any("rounded down to a ten" in note for note in uneven.notes)


def test_few_days_and_high_grades_are_not_followed():
    panel, matched = world(gone=0)
    design = replace(matched.sample.design, eligibility=Eligibility(highest_grade_followed=2))
    short = MatchedSample(replace(matched.sample, design=design), matched.matches)
    assert follow_up_years(panel, short).frame["n_visited"].iloc[1] == 100  # grade 1, then 2
    many = replace(matched.sample.design, eligibility=Eligibility(min_days_enrolled=181))
    none = MatchedSample(replace(matched.sample, design=many), matched.matches)
    assert set(follow_up_years(panel, none).frame["reached"]) == {"no"}


# Later visits -------------------------------------------------------------------------------------


def test_later_visits_are_counted_from_time_zero_on():
    shown = later_visits(*world())
    assert shown.frame["n_comparison"].tolist() == [400, 400, 200, 0]
    shares = shown.frame["share_comparison"].tolist()
    assert shown.cell(0, "share_comparison") == "*"  # one student, on the first day
    assert shares[1] == pytest.approx(60 / 400)
    assert shares[2] == pytest.approx(80 / 200)
    assert shown.frame["share_first"].iloc[2] == pytest.approx(20 / 200)
    assert shown.frame["share_visited"].tolist()[:3] == [0, 0, 0]
    assert shown.cell(3, "share_comparison") == "–"


def test_few_who_were_visited_before_do_not_follow_from_first_visits():
    # a year later 60 are visited, one of them for the second time
    shown = later_visits(*world())
    assert shown.cell(1, "share_first") == "*"
    assert shown.cell(1, "share_comparison") == "15.00%"


# The figure ---------------------------------------------------------------------------------------


def with_baseline(matched: MatchedSample) -> MatchedSample:
    rate = 0.93 + 0.001 * matched.sample.baseline["visited"]
    baseline = matched.sample.baseline.assign(attendance_rate_prior=rate)
    return MatchedSample(replace(matched.sample, baseline=baseline), matched.matches)


def test_the_figure_has_the_year_before_and_each_year_after():
    matched = with_baseline(study())
    svg = to_svg(figure_of_years(effects_of(matched), matched))
    assert svg == to_svg(figure_of_years(effects_of(matched), matched))
    for words in (
        "Synthetic data", "Attendance rate", "School years after that of the visit",
        "Difference, percentage points", "Year before the visit: difference left after matching",
    ):  # fmt: skip
        assert words in svg
    text = follow_up_alt_text(effects_of(matched), matched)
    assert "Year before the visit +0.10; Year of the visit +0.40 [+0.10, +0.70]" in text
    assert "2 years later +0.20 [−0.10, +0.50]." in text


def test_without_a_baseline_there_is_no_year_before():
    matched = study()
    assert "Year before the visit:" not in to_svg(figure_of_years(effects_of(matched), matched))
    assert "Year before the visit +" not in follow_up_alt_text(effects_of(matched), matched)


def test_years_of_few_students_are_not_drawn():
    matched = study()
    few = replace(effects_of(matched, (1,))[0], n_visited=9)
    text = follow_up_alt_text([*effects_of(matched, (0,)), few], matched)
    assert "1 year later" not in text
    with pytest.raises(EstimationError, match="every year rests on too few"):
        figure_of_years([few], matched)


def test_axes_of_the_caller_take_one_outcome():
    matched = study()
    axes = Figure().subplots()
    assert figure_of_years(effects_of(matched), matched, ax=axes) is axes.figure
    frame = matched.sample.outcomes.assign(any_incident=0.1)
    both = MatchedSample(replace(matched.sample, outcomes=frame), matched.matches)
    with pytest.raises(DesignError, match="ax can show one outcome; there are 2"):
        figure_of_years([*effects_of(both), effect(INCIDENT)], both, ax=Figure().subplots())
