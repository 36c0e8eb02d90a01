"""What counts as another number, cell by cell."""

from __future__ import annotations

from homevisit_eval.cli.comparison import compare_tables

TABLE = [["outcome", "estimate"], ["attendance_rate", "0.0032"], ["any_incident", "<10"]]


def changed(row: int, column: int, value: str) -> list[list[str]]:
    rows = [list(cells) for cells in TABLE]
    rows[row][column] = value
    return rows


def test_equal_tables_do_not_differ() -> None:
    assert compare_tables({"T1": TABLE}, {"T1": TABLE}) == []


def test_the_last_digits_of_a_number_may_differ() -> None:
    assert compare_tables({"T1": TABLE}, {"T1": changed(1, 1, "0.0032000000000001")}) == []


def test_any_larger_difference_is_named_with_its_place() -> None:
    (difference,) = compare_tables({"T1": TABLE}, {"T1": changed(1, 1, "0.0032001")})
    assert str(difference) == ("T1, line 2 (attendance_rate), column estimate: 0.0032 -> 0.0032001")


def test_a_count_that_is_hidden_now_is_a_difference() -> None:
    (difference,) = compare_tables({"T1": changed(2, 1, "12")}, {"T1": TABLE})
    assert (difference.old, difference.new) == ("12", "<10")


def test_tables_lines_and_columns_that_come_or_go() -> None:
    (gone,) = compare_tables({"T1": TABLE, "T2": TABLE}, {"T1": TABLE})
    assert str(gone) == "T2, whole table: present -> absent"
    (shorter,) = compare_tables({"T1": TABLE}, {"T1": TABLE[:2]})
    assert shorter.place == "shape"
    (renamed,) = compare_tables({"T1": TABLE}, {"T1": changed(0, 1, "difference")})
    assert renamed.place == "shape"


def test_a_ragged_or_empty_table_is_a_difference_and_no_crash() -> None:
    (ragged,) = compare_tables({"T1": TABLE}, {"T1": [*TABLE[:2], ["any_incident"]]})
    assert ragged.place == "shape"
    (empty,) = compare_tables({"T1": []}, {"T1": TABLE})
    assert empty.place == "shape"


def test_tables_about_the_files_themselves_do_not_count() -> None:
    assert compare_tables({"C8": TABLE}, {"C8": changed(1, 1, "another checksum")}) == []


def test_key_findings_come_first() -> None:
    other = changed(1, 1, "1")
    found = compare_tables({"A3": TABLE, "T1": TABLE}, {"A3": other, "T1": other})
    assert [difference.table for difference in found] == ["T1", "A3"]
