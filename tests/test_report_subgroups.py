"""Table of subgroups (B4), and that no small count follows from it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from effect_examples import matched_example, with_baseline, with_outcome, with_weights
from homevisit_eval.design import FixedEffects, Question
from homevisit_eval.effects import SubgroupEffects, estimate_effect, estimate_subgroups
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.report import tables
from homevisit_eval.table import Table

OUTCOME = "attendance_rate"
NUMBERS = (
    "estimate", "std_error", "ci_low", "ci_high", "p_value", "df", "estimate_alone",
    "std_error_alone",
)  # fmt: skip


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv_text())))


def subgroup_rows(table: Table) -> list[dict[str, str]]:
    return [row for row in rows_of(table) if not row["subgroup"].startswith("All the same?")]


def everything(table: Table) -> str:
    return "\n".join([table.text(), table.html(), table.to_csv_text(), *table.all_notes])


@cache
def by(column: str, few: int = 0) -> SubgroupEffects:
    matched = matched_example()
    words = np.where(matched.sample.baseline["female"] == 1, "female", "not female").astype(object)
    if few:
        used = (matched.matches.weights > 0).to_numpy()
        own = used & (matched.sample.baseline["visited"] == 1).to_numpy()
        words[np.flatnonzero(own)[:few]] = "other"
    return estimate_subgroups(with_baseline(matched, subgroup=words), "attendance_rate", column)


SEX = Question("summer", "By sex", "exploratory", ("attendance_rate",), subgroup="female")


def test_each_column_has_its_rows_and_its_joint_test():
    results = [by("subgroup"), by("grade")]
    shown = tables.subgroups(results, [SEX])
    assert shown.name == "B4"
    headings = [heading for heading, _ in shown.sections()]
    assert headings == [
        "Attendance rate, by sex (primary question)",
        "Attendance rate, by grade band (primary question)",
    ]
    assert shown.frame["subgroup"].tolist() == [
        "female", "not female", "All the same? (joint test)",
        "2", "3", "4", "All the same? (joint test)",
    ]  # fmt: skip
    for row, one in ((2, results[0]), (6, results[1])):
        assert shown.frame["p_value"].iloc[row] == pytest.approx(one.test.p_value)
        assert shown.frame["test"].iloc[row].startswith(f"F = {one.test.statistic:.2f} on ")
        assert shown.cell(row, "estimate") == shown.cell(row, "n_visited") == "–"
    assert shown.frame["estimate"].iloc[1] == pytest.approx(results[0].subgroups[1].estimate)
    assert "Of 2 joint tests about 0.1 would have p below .05" in " ".join(shown.notes)
    assert {row["data"] for row in rows_of(shown)} == {"Synthetic data"}


def test_exploratory_results_are_labeled():
    shown = tables.subgroups([replace(by("subgroup"), role="exploratory")])
    assert shown.title == "Effects in subgroups (exploratory)"
    assert shown.frame["block"].iloc[0] == "Attendance rate, by summer (exploratory question)"


def test_few_without_the_outcome_do_not_follow_from_other_subgroups():
    matched = matched_example()
    y = matched.sample.outcomes["attendance_rate"].to_numpy(copy=True)
    used = (matched.matches.weights > 0).to_numpy()
    female = (matched.sample.baseline["female"] == 1).to_numpy()
    visited = (matched.sample.baseline["visited"] == 1).to_numpy()
    y[np.flatnonzero(used & visited & female)[:3]] = np.nan
    y[np.flatnonzero(used & visited & ~female)[:40]] = np.nan
    found = estimate_subgroups(
        with_outcome(matched, "attendance_rate", y), "attendance_rate", "female"
    )
    shown = tables.subgroups([found])
    assert not any(int(row["n_visited"]) % 10 for row in rows_of(shown)[:2])


def test_a_table_needs_something_to_show():
    with pytest.raises(EstimationError, match="There is no subgroup to show"):
        tables.subgroups([])


def with_few(visited: int, comparison: int = 40) -> MatchedSample:
    """Return a sample with a race of so many student-years."""
    matched = matched_example(400)
    baseline = matched.sample.baseline
    race = baseline["race_ethnicity"].to_numpy(dtype=object).copy()
    used = matched.matches.weights.to_numpy() > 0
    for group, count in ((1, visited), (0, comparison)):
        race[np.flatnonzero(used & (baseline["visited"] == group))[:count]] = "other"
    return with_baseline(matched, race_ethnicity=race)


def by_race(matched: MatchedSample, **options: str) -> SubgroupEffects:
    return estimate_subgroups(matched, OUTCOME, "race_ethnicity", FixedEffects(**options))


def test_each_subgroup_is_a_row_with_its_numbers():
    effects = by_race(matched_example(400))
    table = tables.subgroups([effects])
    for row, one in enumerate(effects.subgroups):
        frame = table.frame.iloc[row]
        assert frame["subgroup"] == one.subgroup
        for column in NUMBERS:
            assert frame[column] == pytest.approx(getattr(one, column))
        assert (frame["n_visited"], frame["n_comparison"]) == (one.n_visited, one.n_comparison)
    assert not table.hidden
    test = rows_of(table)[len(effects.subgroups)]
    assert test["test"].endswith(f" and {effects.test.df_denominator:.1f} df")
    assert float(test["p_value"]) == pytest.approx(effects.test.p_value)
    assert "Joint tests: HTZ, CR2." in table.notes
    assert [name for name, _ in table.spanners] == ["95% interval", "Student-years"]


@pytest.mark.parametrize("few", [1, 5, 9])
def test_a_small_subgroup_is_hidden_and_so_is_another_that_would_tell_it(few):
    effects = by_race(with_few(few))
    table = tables.subgroups([effects])
    shown = {row["subgroup"]: row for row in subgroup_rows(table)}
    assert shown["other"]["n_visited"] == "<10"
    assert shown["other"]["estimate"] in ("*", "")
    others = [name for name in shown if name != "other"]
    assert [shown[name]["n_visited"] for name in others].count("*") == 1
    told = next(name for name in others if shown[name]["n_visited"] == "*")
    assert shown[told]["estimate"] == "*"
    whole = estimate_effect(with_few(few), OUTCOME).n_visited
    known = sum(int(shown[name]["n_visited"]) for name in others if name != told)
    assert whole - known >= 10 + few
    assert "refused: fewer than 10 visited student-years" in " ".join(table.notes)
    assert f">{few}<" not in table.html()


def test_a_subgroup_without_a_match_is_named():
    matched = matched_example(400)
    baseline = matched.sample.baseline
    race = baseline["race_ethnicity"].to_numpy(dtype=object).copy()
    alone = (matched.matches.weights == 0).to_numpy()
    race[np.flatnonzero(alone & (baseline["visited"] == 0).to_numpy())[:9]] = "only comparison"
    words = "No match, and so no estimate"
    assert words not in " ".join(tables.subgroups([by_race(matched)]).notes)
    assert words not in str(by_race(with_baseline(matched, race_ethnicity=race)).notes)
    used = np.flatnonzero(~alone & (baseline["visited"] == 1).to_numpy())[:9]
    race[used] = "without a match"
    weights = matched.matches.weights.to_numpy(copy=True)
    weights[used] = 0.0
    lost = with_weights(with_baseline(matched, race_ethnicity=race), weights)
    notes = " ".join(tables.subgroups([by_race(lost)]).notes)
    assert f"{words}: without a match." in notes


def test_a_subgroup_of_ten_is_shown():
    table = tables.subgroups([by_race(with_few(10))])
    assert not table.hidden
    assert "10" in {row["n_visited"] for row in rows_of(table)}


@pytest.mark.parametrize("cluster", ["student_id", "matched_set"])
def test_degrees_of_freedom_of_students_do_not_tell_the_small_subgroup(cluster):
    effects = by_race(with_few(9), cluster=cluster, covariance="CR1")
    df = effects.test.df_denominator
    assert df == next(one.df for one in effects.subgroups if not one.refused)
    table = tables.subgroups([effects])
    assert all(row["df"] in ("", "*") for row in rows_of(table))
    assert f"{df:.1f}" not in everything(table)
    assert rows_of(table)[-1]["test"].startswith("F = ")
    many = by_race(matched_example(400), cluster=cluster, covariance="CR1")
    shown = tables.subgroups([many])
    assert f"{many.test.df_denominator:.1f}" in everything(shown)


def test_blocks_of_several_outcomes_are_protected_apart():
    small, large = by_race(with_few(6)), by_race(matched_example(400))
    table = tables.subgroups([large, small])
    hidden = {row for row, _ in table.hidden}
    assert hidden
    assert min(hidden) >= len(large.subgroups)


def test_a_subgroup_that_stands_alone_says_so():
    few = matched_example(300)
    female = few.sample.baseline["female"].to_numpy() * 0
    female[:8] = 1
    effects = estimate_subgroups(with_baseline(few, female=female), OUTCOME, "female")
    table = tables.subgroups([effects])
    assert (
        "Attendance rate, by sex (primary question): Only one subgroup has an estimate, so there "
        "is nothing to compare." in table.notes
    )
    assert {row["n_visited"] for row in subgroup_rows(table)} <= {"<10", "*"}


def test_the_table_holds_no_student():
    table = tables.subgroups([by_race(with_few(9))])
    assert "SYN" not in everything(table)
    assert "S01" not in everything(table)
    assert {row["data"] for row in rows_of(table)} == {"Synthetic data"}
