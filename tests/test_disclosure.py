"""What must not leave: small counts, what rests on them, and what gives them away."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homevisit_eval.disclosure import (
    hidden_cells,
    round_where_few_are_lost,
    shown_count,
    shown_of,
    suppress_small_counts,
)
from homevisit_eval.errors import DesignError
from homevisit_eval.table import PERCENT_OF_STUDENTS, Sum, Table


def counts_table(counts: list[int], **changes: object) -> Table:
    """Return one column of counts, the last of which is the total of the others."""
    last = len(counts) - 1
    values: dict[str, object] = {
        "name": "T",
        "title": "t",
        "frame": pd.DataFrame({"row": [f"r{i}" for i in range(len(counts))], "n": counts}),
        "kinds": {"row": "text", "n": "count"},
        "sums": (Sum(tuple((row, "n") for row in range(last)), (last, "n")),),
    }
    return Table(**{**values, **changes})


def printed(table: Table, column: str = "n") -> list[str]:
    return [table.cell(row, column) for row in range(len(table.frame))]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1, "<10"), (9, "<10"), (10, "10"), (12345, "12,345")]
)
def test_a_count_alone(count: int, text: str) -> None:
    assert shown_count(count) == text
    assert printed(suppress_small_counts(counts_table([count], sums=())))[0] == text


def test_numbers_that_rest_on_few_students_are_hidden_and_others_are_not() -> None:
    frame = pd.DataFrame(
        {"row": ["a", "b"], "n": [9, 10], "schools": [3, 3], "mean": [0.5, 0.6], "p": [0.1, 0.2]}
    )
    table = suppress_small_counts(
        Table(
            "T", "t", frame,
            {"row": "text", "n": "count", "schools": "whole_number", "mean": "mean",
             "p": "p_value"},
            groups={"n": ("mean", "p")},
        )
    )  # fmt: skip
    assert table.to_csv_text() == "row,n,schools,mean,p\na,<10,3,*,*\nb,10,3,0.6,0.2\n"
    assert table.frame["n"].isna().tolist() == [True, False]
    assert [cell.rule for cell in hidden_cells([table])] == [
        "rests on a small count", "small count", "rests on a small count"
    ]  # fmt: skip


def test_a_single_hidden_part_takes_the_next_smallest_with_it() -> None:
    table = suppress_small_counts(counts_table([5, 40, 12, 57]))
    assert printed(table) == ["<10", "40", "*", "57"]


def test_a_zero_does_not_protect_and_is_taken_last() -> None:
    assert printed(suppress_small_counts(counts_table([5, 0, 40, 45]))) == ["<10", "0", "*", "45"]


def test_hidden_parts_that_make_a_small_sum_need_a_third() -> None:
    table = suppress_small_counts(counts_table([3, 4, 40, 47]))
    assert printed(table) == ["<10", "<10", "*", "47"]


def test_a_total_is_hidden_when_nothing_else_can_be() -> None:
    table = suppress_small_counts(counts_table([5, 40, 45], kept=frozenset({(1, "n")})))
    assert printed(table) == ["<10", "40", "*"]


def test_a_hidden_total_is_not_left_to_be_added_up() -> None:
    table = counts_table([30, 40, 70])
    hidden = suppress_small_counts(
        Table(
            "T", "t", table.frame, table.kinds, sums=table.sums,
            hidden={(2, "n"): "would reveal a small count"},
        )
    )  # fmt: skip
    assert printed(hidden) == ["*", "40", "*"]


def test_a_share_that_gives_a_small_count_away_is_hidden() -> None:
    frame = pd.DataFrame(
        {
            "row": ["4 students", "all but 4", "12 students", "a mean"],
            "unit": [*[PERCENT_OF_STUDENTS] * 3, "percent"],
            "n": [1000] * 4,
            "mean": [0.004, 0.996, 0.012, 0.004],
        }
    )
    table = suppress_small_counts(
        Table(
            "T", "t", frame, {"row": "text", "unit": "text", "n": "count", "mean": "mean"},
            unit="unit", groups={"n": ("mean",)},
        )
    )  # fmt: skip
    assert printed(table, "mean") == ["*", "*", "1.20%", "0.40%"]
    assert printed(table) == ["1,000"] * 4


def test_of_shares_that_make_one_a_hidden_one_takes_another_with_it() -> None:
    frame = pd.DataFrame({"row": list("abc"), "n": [1000] * 3, "share": [0.004, 0.3, 0.696]})
    table = suppress_small_counts(
        Table(
            "T", "t", frame, {"row": "text", "n": "count", "share": "share"},
            groups={"n": ("share",)}, sums=(Sum(tuple((row, "share") for row in range(3))),),
        )
    )  # fmt: skip
    assert printed(table, "share") == ["*", "*", "69.60%"]


def test_twice_is_as_once_and_a_stricter_rule_hides_more() -> None:
    once = suppress_small_counts(counts_table([5, 40, 12, 57]))
    twice = suppress_small_counts(once)
    assert twice.to_csv_text() == once.to_csv_text()
    assert printed(suppress_small_counts(counts_table([15, 40, 55]), 20)) == ["<20", "*", "55"]


def test_the_threshold_must_be_possible() -> None:
    with pytest.raises(DesignError, match="threshold must be"):
        suppress_small_counts(counts_table([5]), 0)


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=4))
def test_no_hidden_cell_follows_from_a_row_or_a_column(cells: list[list[int]]) -> None:
    rows = [[*row, sum(row)] for row in cells]
    rows.append([sum(column) for column in zip(*rows, strict=True)])
    columns = ["a", "b", "c", "total"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.insert(0, "row", [str(i) for i in range(len(rows))])
    last = len(rows) - 1
    sums = [Sum(tuple((i, c) for c in "abc"), (i, "total")) for i in range(len(rows))]
    sums += [Sum(tuple((i, c) for i in range(last)), (last, c)) for c in columns]
    table = suppress_small_counts(
        Table("T", "t", frame, {"row": "text", **dict.fromkeys(columns, "count")}, sums=tuple(sums))
    )
    small = {(i, c) for i in range(len(rows)) for c in columns if 0 < frame[c].iloc[i] < 10}
    assert small <= set(table.hidden)
    for one in sums:
        members = [*one.parts, one.total]
        hidden = [cell for cell in members if cell in table.hidden]
        assert len(hidden) != 1
    for row, column in table.hidden:
        assert pd.isna(table.frame[column].iloc[row])


def test_a_rate_is_tested_by_its_numerator_and_not_as_a_share_of_it() -> None:
    frame = pd.DataFrame({"row": ["a", "b"], "n": [40, 4], "share": [0.05, 0.05]})
    kinds = {"row": "text", "n": "count", "share": "rate"}
    table = suppress_small_counts(Table("T", "t", frame, kinds, groups={"n": ("share",)}))
    assert printed(table, "share") == ["5.00%", "*"]


@given(st.integers(10, 3000), st.integers(1, 9))
def test_a_rounded_count_depends_on_the_whole_alone(whole: int, lost: int) -> None:
    count = whole - lost
    if count >= 10:
        assert shown_of(count, whole) % 10 == 0
        assert 10 <= shown_of(count, whole) <= count
        assert shown_of(count, whole) == shown_of(max(whole - 1, 10), whole)


def test_counts_are_rounded_where_few_of_the_whole_are_lacking() -> None:
    table = suppress_small_counts(counts_table([496, 480, 498, 7], sums=()))
    rounded = round_where_few_are_lost(table, {"n": [498, 498, 498, 9]})
    assert printed(rounded) == ["480", "480", "498", "<10"]
    assert "rounded down" in rounded.notes[-1]
    assert "rounded" not in " ".join(round_where_few_are_lost(table, {"n": [600] * 4}).notes)
