"""Tables of standard errors (B14) and of subgroups (B4), and that no small count follows."""

from __future__ import annotations

import csv
import io
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

from effect_examples import matched_example, with_baseline, with_outcome
from homevisit_eval.design import DifferenceInMeans, FixedEffects
from homevisit_eval.effects import (
    StandardErrors,
    SubgroupEffects,
    compare_standard_errors,
    estimate_effect,
    estimate_subgroups,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.report import tables
from homevisit_eval.table import Table

OUTCOME = "attendance_rate"
DRAWS = 99
NUMBERS = ("std_error", "ci_low", "ci_high", "p_value", "df")


@cache
def compared(outcome: str = OUTCOME) -> StandardErrors:
    return compare_standard_errors(matched_example(400), outcome, draws=DRAWS)


def lacking(matched: MatchedSample, visited: int, comparison: int = 0) -> MatchedSample:
    """Return the sample with the outcome of so many matched students of each group missing."""
    y = matched.sample.outcomes[OUTCOME].to_numpy(copy=True)
    used = matched.matches.weights.to_numpy() > 0
    for group, count in ((1, visited), (0, comparison)):
        own = np.flatnonzero(used & (matched.sample.baseline["visited"] == group))
        y[own[:count] if group else own[len(own) - count :]] = np.nan
    return with_outcome(matched, OUTCOME, y)


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv_text())))


def everything(table: Table) -> str:
    return "\n".join([table.text(), table.html(), table.to_csv_text(), *table.all_notes])


# Standard errors --------------------------------------------------------------------------------


def test_each_way_is_a_row_with_its_numbers():
    one = compared()
    table = tables.standard_errors([one, compared("math_score_std")])
    assert table.name == "B14"
    assert len(table.frame) == 2 * len(one.rows) == 28
    for row, way in enumerate(one.rows):
        frame = table.frame.iloc[row]
        assert frame["estimate"] == one.estimate
        for column in ("std_error", "ci_low", "ci_high", "p_value"):
            assert frame[column] == pytest.approx(getattr(way, column), nan_ok=True)
        assert (frame["n_visited"], frame["n_comparison"]) == (150, 150)
    assert table.columns == (
        "way", "estimate", "std_error", "ci_low", "ci_high", "p_value", "df", "clusters",
    )  # fmt: skip
    assert "Synthetic data" in table.html()
    assert table.spanners[0][0] == "95% interval"


def test_ways_have_words():
    shown = tables.standard_errors([compared()]).frame["way"].tolist()
    assert shown[2:5] == ["CR2, by student", "CR2, by matched set", "CR0, by school"]
    assert shown[10] == "CR1S, by school and matched set"
    assert shown[11:] == [
        "Wild bootstrap, rademacher weights, by school",
        "Wild bootstrap, webb weights, by school",
        "Randomization within matched sets, studentized",
    ]
    assert shown[0].startswith("HC1, by ")


def test_clusters_and_df_are_shown_where_they_count_schools():
    frame = tables.standard_errors([compared()]).frame
    for way, clusters, df in zip(frame["way"], frame["clusters"], frame["df"], strict=True):
        schools = "school" in way
        assert pd.notna(clusters) == schools
        assert pd.notna(df) == (schools and "bootstrap" not in way)
    assert set(frame["clusters"].dropna()) == {24}
    assert not any(re.search(r"\d", text) for text in frame["df_convention"][:4])
    assert frame["df_convention"].iloc[-1] == ""


def test_nothing_tells_how_few_lack_the_outcome():
    few = compare_standard_errors(lacking(matched_example(400), 3, 14), OUTCOME, draws=DRAWS)
    assert (few.n_visited, few.n_comparison) == (147, 136)
    table = tables.standard_errors([few])
    assert set(table.frame["n_visited"]) == {140}
    assert set(table.frame["n_comparison"]) == {136}
    for count in ("283", "147", "282", "270"):  # N, visited, N - 1, N - K
        assert not re.search(rf"(?<![\d.]){count}(?!\d)", everything(table))
    # HC1 and CR1S hold the number of rows: beside CR0 and CR1 they would tell it to the last digit
    cells = {row["way"]: row for row in rows_of(table)}
    hidden = ("HC1", "HC3", "CR1S, by school", "CR1S, by school and matched set")
    for way in hidden:
        name = next(known for known in cells if known == way or known.startswith(f"{way}, by "))
        assert [cells[name][column] for column in ("std_error", "p_value")] == ["*", "*"]
    for way in ("CR0, by school", "CR1, by school", "CR2, by school", "CR3, by school"):
        assert float(cells[way]["std_error"]) > 0
    assert rows_told_by(cells) is None


def rows_told_by(cells: dict[str, dict[str, str]]) -> float | None:
    """Return N as a reader finds it from ratios of standard errors; None if he cannot."""
    errors = {way: row["std_error"] for way, row in cells.items()}
    names = [f"{name}, by school" for name in ("CR0", "CR1", "CR1p", "CR1S")]
    if any(errors.get(name) in ("*", "", None) for name in names):
        return None
    plain, one, per, stata = (float(errors[name]) ** 2 for name in names)
    K = 24 * (1 - plain / per)
    ratio = stata / one
    return (K * ratio - 1) / (ratio - 1)


def test_where_nobody_lacks_the_outcome_all_ways_are_shown():
    table = tables.standard_errors([compared()])
    assert not table.hidden
    cells = {row["way"]: row for row in rows_of(table)}
    assert rows_told_by(cells) == pytest.approx(300)  # the attack above works where it may


def test_enumerated_assignments_do_not_tell_the_number_of_pairs():
    matched = matched_example(26, schools=5)  # 10 pairs: 2 ** 10 assignments
    few = compare_standard_errors(matched, OUTCOME, DifferenceInMeans(), draws=9999)
    assert any("enumerated" in row.df_convention for row in few.rows if row.cluster != "school_id")
    table = tables.standard_errors([few])
    assert "1,024" not in everything(table)


def test_few_students_are_hidden_with_all_that_rests_on_them():
    matched = matched_example(20, schools=4)  # 8 pairs
    few = compare_standard_errors(matched, OUTCOME, DifferenceInMeans(), draws=999)
    table = tables.standard_errors([few])
    for row in rows_of(table):
        assert row["n_visited"] == row["n_comparison"] == "<10"
        assert all(row[column] in ("*", "") for column in (*NUMBERS, "estimate"))
    assert "256" not in everything(table)


def test_what_was_not_computed_is_below_the_table_once():
    one = compare_standard_errors(matched_example(160, schools=2), OUTCOME, draws=DRAWS)
    assert one.skipped
    table = tables.standard_errors([one, one])
    for sentence in one.skipped:
        said = [note for note in table.notes if note.endswith(sentence)]
        assert said == [f"Attendance rate, not computed: {sentence}"]


def test_tables_need_something_to_show():
    with pytest.raises(EstimationError, match="There is no estimate to show"):
        tables.standard_errors([])
    with pytest.raises(EstimationError, match="There is no subgroup to show"):
        tables.subgroups([])


# Subgroups --------------------------------------------------------------------------------------


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


def test_each_subgroup_is_a_row_and_the_test_is_a_note():
    effects = by_race(matched_example(400))
    table = tables.subgroups([effects])
    assert table.name == "B4"
    for row, one in enumerate(effects.subgroups):
        frame = table.frame.iloc[row]
        assert frame["subgroup"] == one.subgroup
        for column in ("estimate", *NUMBERS, "estimate_alone", "std_error_alone"):
            assert frame[column] == pytest.approx(getattr(one, column))
        assert (frame["n_visited"], frame["n_comparison"]) == (one.n_visited, one.n_comparison)
    assert not table.hidden
    assert table.notes[0].startswith(
        "Attendance rate, by race_ethnicity: test of equal effects F = "
    )
    assert (
        f"{effects.test.df_denominator:.1f} df, p = {effects.test.p_value:.3f} (HTZ, CR2)"
        in (table.notes[0])
    )
    assert [name for name, _ in table.spanners] == [
        "95% interval", "Fitted alone", "Student-years",
    ]  # fmt: skip


@pytest.mark.parametrize("few", [1, 5, 9])
def test_a_small_subgroup_is_hidden_and_so_is_another_that_would_tell_it(few):
    effects = by_race(with_few(few))
    table = tables.subgroups([effects])
    shown = {row["subgroup"]: row for row in rows_of(table)}
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
    assert "test of equal effects F = " in table.notes[0]
    many = by_race(matched_example(400), cluster=cluster, covariance="CR1")
    shown = tables.subgroups([many])
    assert f"{many.test.df_denominator:.1f}" in everything(shown)


def test_few_that_lack_the_outcome_do_not_follow_from_subgroups():
    matched = lacking(matched_example(400), 3)
    effects = by_race(matched)
    lost = {one.subgroup: one.matched_visited - one.n_visited for one in effects.subgroups}
    assert sum(lost.values()) == 3
    table = tables.subgroups([effects])
    for row in rows_of(table):
        one = next(one for one in effects.subgroups if one.subgroup == row["subgroup"])
        if lost[row["subgroup"]]:
            assert int(row["n_visited"]) % 10 == 0
        else:
            assert int(row["n_visited"]) == one.n_visited
    assert any("rounded down to a ten" in note for note in table.notes)


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
    assert table.notes[0] == (
        "Attendance rate, by female: Only one subgroup has an estimate, so there is nothing to "
        "compare."
    )
    assert {row["n_visited"] for row in rows_of(table)} <= {"<10", "*"}


def test_tables_hold_no_student():
    both = (tables.standard_errors([compared()]), tables.subgroups([by_race(with_few(9))]))
    for table in both:
        assert "SYN" not in everything(table)
        assert "S01" not in everything(table)
        assert {row["data"] for row in rows_of(table)} == {"Synthetic data"}
