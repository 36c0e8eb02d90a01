"""The panel as a whole: nothing lost or doubled, pure, quiet about students, honest about gaps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

import duckdb
import narwhals as nw
import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from homevisit_eval.errors import SourceError
from homevisit_eval.panel import STUDENT_COLUMNS, Panel, build_panel
from homevisit_eval.sources import Sources
from panel_spec import complete, expect, panel_from, sources_from, sources_of, steps

SOME = {
    "enrollments": """
        student_id  school_id  school_year
        ann         S1         2014
        ann         S2         2015
        bob         S1         2015
        """,
    "absences": "student_id date fraction\n ann 2013-08-26 0.5\n bob 2014-08-26 0.5",
    "incidents": "student_id date\n ann 2013-08-27",
    "assessments": "student_id scale_score\n ann 700\n bob 720",
    "visits": "student_id date\n bob 2014-08-01",
    "staff": "staff_id\n one",
    "surveys": """
        respondent_id  student_id  school_year  scale                 item  response
        r1             ann         2015         engagement_at_school  q1    5
        r2             bob         2015         engagement_at_school  q1    -
        """,
}
SOURCES = (
    "enrollments",
    "students",
    "characteristics",
    "absences",
    "incidents",
    "assessments",
    "surveys",
    "visits",
)
TABLES = ("students", "schools", "teachers", "history", "visits", "spells")


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with sources_from(**SOME) as sources:
        yield sources


@pytest.fixture(scope="module")
def panel(sources: Sources) -> Panel:
    return build_panel(sources)


def test_the_columns_are_those_of_the_list(panel):
    assert tuple(panel.students.collect_schema().names()) == STUDENT_COLUMNS
    assert tuple(panel.to_pandas().columns) == STUDENT_COLUMNS


def test_building_twice_gives_the_same_and_leaves_the_raw_tables_as_they_were(sources, panel):
    connection = sources.connection
    count = "SELECT count(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
    tables = connection.execute(count).fetchall()
    second = build_panel(sources)
    assert connection.execute(count).fetchall() == tables
    assert connection.table("absences").fetchall()[0][0] == "ann"
    assert panel.counts == second.counts
    for name in TABLES:
        pd.testing.assert_frame_equal(
            panel.to_pandas(name), second.to_pandas(name), check_exact=True
        )


def test_a_second_panel_by_other_rules_leaves_the_first_as_it_was(sources, panel):
    before = panel.to_pandas()
    second = build_panel(sources, Measurement(partial_day="absent_if_over"))
    pd.testing.assert_frame_equal(panel.to_pandas(), before)
    assert list(second.to_pandas().days_absent) != list(before.days_absent)
    assert second.measurement != panel.measurement


def test_every_student_year_is_there_once_and_the_counts_say_so(panel):
    assert len(panel.to_pandas()) == 3
    found = {source: steps(panel.counts, source) for source in SOURCES}
    assert found == {
        "enrollments": [(3, 3), (3, 3)],
        "students": [(2, 2)],
        "characteristics": [(0, 0)],
        "absences": [(2, 2), (2, 2), (2, 2)],
        "incidents": [(1, 1), (1, 1), (1, 1)],
        "assessments": [(2, 2), (2, 2), (2, 2), (2, 2)],
        "surveys": [(2, 1), (1, 1), (1, 1), (1, 0), (0, 0), (0, 0), (0, 0)],
        "visits": [(1, 1), (1, 1)],
    }
    assert len(panel.counts) == sum(map(len, found.values()))


def test_steps_of_a_source_follow_each_other(panel):
    for source in ("absences", "incidents", "assessments", "surveys", "visits"):
        steps = [c for c in panel.counts if c.source == source]
        assert steps
        for step, following in itertools.pairwise(steps):
            assert step.rows_used == following.rows_in


def test_a_year_without_a_record_is_said(panel):
    said = [sentence.split(" in ")[:2] for sentence in panel.missing if "not one" in sentence]
    assert [(what, year[:7]) for what, year in said] == [
        ("incidents: not one record", "2014-15"),
        ("surveys: not one answer", "2013-14"),
    ]


def test_a_doubled_key_is_an_error_that_names_no_student():
    with duckdb.connect() as connection:
        sources = sources_of(complete(SOME), connection)
        twice = replace(sources, students=nw.concat([sources.students, sources.students]))
        with pytest.raises(SourceError, match="3 student-years") as caught:
            build_panel(twice)
    assert "ann" not in str(caught.value)


def test_what_was_not_delivered_is_said():
    with panel_from() as panel:
        said = " ".join(panel.missing)
        for name in ("incidents", "assessments", "staff", "rosters", "surveys"):
            assert f"{name} was not delivered" in said
        assert "household_id" in said
        assert "homeless" in said
        expect(
            panel.to_pandas(),
            """
            incidents  any_incident  any_serious_incident  any_suspension  days_suspended
            -          -             -                     -               -
            """,
        )
        scored = ("math_score_std", "reading_score_std")
        answered = ("engagement_at_school", "involvement_at_home")
        assert panel.to_pandas()[[*scored, *answered]].isna().all(axis=None)
        assert panel.surveys is None
        with pytest.raises(SourceError, match="staff was not delivered"):
            panel.to_pandas("teachers")


def test_the_representation_shows_counts_and_columns_and_no_rows(panel):
    for text in (repr(panel), panel._repr_html_()):
        assert not re.search(r"\b(ann|bob|I1|V1|S1|S2)\b", text)
        assert "synthetic" in text
        assert "days_enrolled" in text
    assert "<10" in repr(panel)
    assert " 3 " not in repr(panel)
