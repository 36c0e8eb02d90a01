"""Table of standard errors (B14), and that no small count follows from it."""

from __future__ import annotations

import csv
import io
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

import fabricated
from effect_examples import matched_example, with_outcome
from homevisit_eval.design import DifferenceInMeans
from homevisit_eval.effects import (
    StandardErrors,
    compare_standard_errors,
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


def test_the_table_holds_no_student():
    table = tables.standard_errors([compared()])
    assert "SYN" not in everything(table)
    assert "S01" not in everything(table)
    assert {row["data"] for row in rows_of(table)} == {"Synthetic data"}


def test_an_estimate_that_b1_hides_is_hidden_beside_its_standard_errors():
    one, other = compared(), compared("math_score_std")
    few = fabricated.effect(one.outcome, question=one.question, n_visited=9)
    table = tables.standard_errors([one, other], effects=[few])
    rows = len(one.rows)
    assert table.frame["estimate"][:rows].isna().all()
    assert table.frame["estimate"][rows:].notna().all()
    assert f"{one.estimate:.10f}" not in table.to_csv_text()
