"""The panel as a whole: nothing lost or doubled, pure, quiet about students, honest about gaps."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import duckdb
import narwhals as nw
import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from homevisit_eval.errors import SourceError
from homevisit_eval.panel import STUDENT_COLUMNS, build_panel
from panel_spec import complete, panel_from, sources_of

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
}
TABLES = ("students", "schools", "teachers", "history", "visits", "spells")


def test_the_columns_are_those_of_the_list():
    with panel_from(**SOME) as panel:
        assert tuple(panel.students.collect_schema().names()) == STUDENT_COLUMNS
        assert tuple(panel.to_pandas().columns) == STUDENT_COLUMNS


def test_building_twice_gives_the_same():
    with duckdb.connect() as connection:
        sources = sources_of(complete(SOME), connection)
        first, second = build_panel(sources), build_panel(sources)
        assert first.counts == second.counts
        for name in TABLES:
            pd.testing.assert_frame_equal(
                first.to_pandas(name), second.to_pandas(name), check_exact=True
            )


def test_a_second_panel_by_other_rules_leaves_the_first_as_it_was():
    with duckdb.connect() as connection:
        sources = sources_of(complete(SOME), connection)
        first = build_panel(sources)
        before = first.to_pandas()
        second = build_panel(sources, Measurement(partial_day="absent_if_over"))
        pd.testing.assert_frame_equal(first.to_pandas(), before)
        assert list(second.to_pandas().days_absent) != list(before.days_absent)
        assert second.measurement != first.measurement


def test_the_raw_tables_are_left_as_they_were():
    with duckdb.connect() as connection:
        sources = sources_of(complete(SOME), connection)
        count = "SELECT count(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        tables = connection.execute(count).fetchall()
        build_panel(sources)
        assert connection.execute(count).fetchall() == tables
        assert connection.table("absences").fetchall()[0][0] == "ann"


def test_every_student_year_is_there_once_and_the_counts_say_so():
    with panel_from(**SOME) as panel:
        assert len(panel.to_pandas()) == 3
        steps = {(c.source, c.rows_in, c.rows_used) for c in panel.counts}
    assert ("enrollments", 3, 3) in steps
    assert ("visits", 1, 1) in steps


def test_steps_of_a_source_follow_each_other():
    with panel_from(**SOME) as panel:
        for source in ("absences", "incidents", "assessments", "visits"):
            steps = [c for c in panel.counts if c.source == source]
            assert steps
            for step, following in itertools.pairwise(steps):
                assert step.rows_used == following.rows_in


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
        with pytest.raises(SourceError, match="staff was not delivered"):
            panel.to_pandas("teachers")


def test_the_representation_shows_counts_and_columns_and_no_rows():
    with panel_from(**SOME) as panel:
        for text in (repr(panel), panel._repr_html_()):
            assert not re.search(r"\b(ann|bob|I1|V1|S1|S2)\b", text)
            assert "synthetic" in text
            assert "days_enrolled" in text
        assert "<10" in repr(panel)
        assert " 3 " not in repr(panel)
