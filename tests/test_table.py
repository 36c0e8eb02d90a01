"""A table keeps numbers until it is printed, and prints the same ones everywhere."""

from __future__ import annotations

import csv
import io
import math
import re

import pandas as pd
import pytest

from homevisit_eval.errors import DesignError
from homevisit_eval.table import Kind, Table, format_value


def small_table(**changes: object) -> Table:
    values: dict[str, object] = {
        "name": "T9_extra",
        "title": "Visits & <outcomes>",
        "frame": pd.DataFrame(
            {
                "outcome": ["Attendance", "=Scores"],
                "unit": ["percent", "standard deviations"],
                "visited": [0.9528, -0.2],
                "difference": [0.1 + 0.2, math.nan],
                "n": [1998, 12],
            }
        ),
        "kinds": {
            "outcome": "text",
            "unit": "text",
            "visited": "mean",
            "difference": "effect",
            "n": "count",
        },
        "labels": {"outcome": "Outcome", "visited": "Visited", "n": "Student-years"},
        "notes": ("A note with <angle brackets>.",),
        "synthetic": True,
        "unit": "unit",
        "csv_only": ("unit",),
        "spanners": (("Numbers", ("visited", "difference")),),
    }
    return Table(**{**values, **changes})


@pytest.mark.parametrize(
    ("value", "kind", "unit", "printed"),
    [
        (0.0927, "share", "", "9.27%"),
        (0.9528, "mean", "percent", "95.28%"),
        (0.0927, "mean", "percent of students", "9.27%"),
        (0.5, "mean", "incidents", "0.50"),
        (-0.0295, "effect", "percent", "−2.95 pp"),
        (0.0035, "effect", "percent", "+0.35 pp"),
        (-0.00001, "effect", "percent", "0.00 pp"),
        (-0.187, "effect_size", "percent", "−0.19"),
        (0.29, "spread", "percent", "29.00 pp"),
        (1234, "count", "", "1,234"),
        (0, "count", "", "0"),
        (43, "whole_number", "", "43"),
        (0.00099, "p_value", "", "<.001"),
        (0.0344, "p_value", "", ".034"),
        (0.9999, "p_value", "", "1.000"),
        (21.44, "number", "", "21.44"),
        (math.nan, "number", "", "–"),
        (None, "text", "", "–"),
        (math.inf, "number", "", "∞"),
        ("words", "text", "", "words"),
    ],
)
def test_one_value_as_it_is_printed(value: object, kind: Kind, unit: str, printed: str) -> None:
    assert format_value(value, kind, unit) == printed


def test_text_is_aligned_and_plain() -> None:
    assert small_table(notes=("A note.",)).text().splitlines() == [
        "T9  Visits & <outcomes> [Synthetic data]",
        "----------------------------------------------",
        "Outcome     Numbers     Numbers  Student-years",
        "            Visited  difference",
        "----------------------------------------------",
        "Attendance   95.28%   +30.00 pp          1,998",
        "=Scores       -0.20           –             12",
        "----------------------------------------------",
        "A note.",
    ]


def test_html_is_escaped_labeled_and_needs_nothing_else() -> None:
    html = small_table().html()
    assert "Visits &amp; &lt;outcomes&gt;" in html
    assert "&lt;angle brackets&gt;" in html
    assert "Synthetic data" in html.split("</caption>")[0]
    assert '<th scope="row">Attendance</th>' in html
    assert '<th scope="colgroup" colspan="2">Numbers</th>' in html
    assert html.count('<th scope="col"') == 4
    assert not re.search(r"<script|<link|src=|href=|url\(|http", html)
    assert "unit" not in html, "columns for the CSV only stay off the page"


def test_html_holds_the_numbers_at_full_precision() -> None:
    values = re.findall(r'data-value="([^"]+)"', small_table().html())
    assert [float(value) for value in values] == [0.9528, 0.1 + 0.2, 1998, -0.2, 12]


def test_csv_reads_back_as_the_same_numbers() -> None:
    text = small_table().to_csv_text()
    assert "\r" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert float(rows[0]["difference"]) == 0.1 + 0.2
    assert rows[1]["difference"] == ""
    assert rows[0]["n"] == "1998"
    assert {row["data"] for row in rows} == {"Synthetic data"}
    assert "data" not in small_table(synthetic=False).to_csv_text().splitlines()[0].split(",")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_csv_text_is_never_a_formula(text: str) -> None:
    table = Table("T", "t", pd.DataFrame({"a": [text]}), {"a": "text"})
    _, row = csv.reader(io.StringIO(table.to_csv_text(), newline=""))
    assert row[0].startswith("'")
    assert row[0].endswith(text.strip())


def test_a_negative_number_is_no_formula() -> None:
    table = Table("T", "t", pd.DataFrame({"a": ["x"], "b": [-0.5]}), {"a": "text", "b": "number"})
    assert table.to_csv_text() == "a,b\nx,-0.5\n"


def test_hidden_cells_look_the_same_in_every_format() -> None:
    frame = pd.DataFrame({"a": ["x"], "n": [None], "m": [math.nan]})
    table = Table(
        "T", "t", frame, {"a": "text", "n": "count", "m": "mean"}, threshold=10,
        hidden={(0, "n"): "small count", (0, "m"): "rests on a small count"},
    )  # fmt: skip
    assert table.to_csv_text() == "a,n,m\nx,<10,*\n"
    assert re.findall(r'<td class="hv-num">(.*?)</td>', table.html()) == ["&lt;10", "*"]
    assert "<10: from 1 to 9 students; not shown." in table.text()
    assert "data-value" not in table.html()


def test_sections_and_details_stand_where_they_belong() -> None:
    frame = pd.DataFrame(
        {"a": ["x", "y", "z"], "part": ["One", "One", "Two"], "more": ["", None, "Said of z."]}
    )
    table = Table(
        "T", "t", frame, dict.fromkeys(frame.columns, "text"), section="part", detail="more"
    )
    lines = [line.strip() for line in table.text().splitlines()]
    assert lines[4:9] == ["One", "x", "y", "Two", "z"]
    assert lines[9] == "Said of z."
    assert table.html().count('class="hv-section"') == 2
    assert table.html().count('class="hv-detail"') == 1


def test_a_table_does_not_change_with_the_frame_it_was_made_from() -> None:
    frame = pd.DataFrame({"a": ["x"], "n": [20]}, index=[7])
    table = Table("T", "t", frame, {"a": "text", "n": "count"})
    frame.loc[7, "n"] = 99
    assert table.cell(0, "n") == "20"


def test_representation_shows_no_rows() -> None:
    assert "Attendance" not in repr(small_table())
    assert "2 rows" in repr(small_table())
    assert small_table()._repr_html_().startswith("<style>")


def test_what_is_declared_must_be_there() -> None:
    with pytest.raises(DesignError, match="missing_one is declared"):
        small_table(csv_only=("missing_one",))
    with pytest.raises(DesignError, match="n has no kind"):
        small_table(kinds={"outcome": "text", "unit": "text", "visited": "mean",
                           "difference": "effect"})  # fmt: skip
