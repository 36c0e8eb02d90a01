"""Dated facts: which, on which instructional day, how much."""

from __future__ import annotations

import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from panel_spec import expect, expect_students, panel_from


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Return facts and student-years of the default calendar."""
    with panel_from(
        enrollments="student_id\n ann\n shared\n weekend",
        absences="""
            student_id  date        category   fraction
            ann         2014-08-25  excused    1
            ann         2014-08-26  unexcused  0.5
            ann         2014-08-27  partial    0.25
            ann         2014-09-01  tardy      0
            shared      2014-08-25  excused    1
            shared      2014-08-25  unexcused  0.5
            shared      2014-08-27  partial    0.25
            """,
        incidents="""
            student_id  date        action                    days
            ann         2014-09-02  none                      -
            ann         2014-09-03  out_of_school_suspension  3
            ann         2014-09-03  in_school_suspension      1
            weekend     2014-08-30  none                      -
            """,
    ) as panel:
        return {name: panel.to_pandas(name) for name in ("history", "students")}


def test_every_kind_of_fact_has_its_date_its_day_and_its_amount(tables):
    expect_students(
        tables["history"],
        """
        student_id  school_year  date        instructional_day  kind              amount
        ann         2015         2014-08-25  1                  excused           1
        ann         2015         2014-08-26  2                  unexcused         0.5
        ann         2015         2014-08-27  3                  partial           0.25
        ann         2015         2014-09-01  6                  tardy             1
        ann         2015         2014-09-02  7                  incident          1
        ann         2015         2014-09-03  8                  incident          2
        ann         2015         2014-09-03  8                  serious_incident  1
        ann         2015         2014-09-03  8                  suspension        4
        """,
    )


def test_the_day_is_that_of_the_students_school_and_zero_before_its_first():
    with panel_from(
        calendar="""
            school_id  date        instructional
            S1         2014-08-25  1
            S1         2014-08-26  1
            S1         2014-08-27  1
            S2         2014-08-25  0
            S2         2014-08-26  0
            S2         2014-08-27  1
            """,
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-20  2014-08-27
            bob         S1         2014-08-20  2014-08-25
            bob         S2         2014-08-26  2014-08-27
            """,
        incidents="""
            student_id  school_id  date
            ann         S2         2014-08-26
            bob         S1         2014-08-26
            bob         S2         2014-08-27
            """,
    ) as panel:
        expect(
            panel.to_pandas("history"),
            """
            student_id  date        instructional_day  kind
            ann         2014-08-26  2                  incident
            bob         2014-08-26  0                  incident
            bob         2014-08-27  1                  incident
            """,
        )


def test_a_fact_on_a_weekend_bears_the_number_of_the_day_before(tables):
    expect_students(tables["history"], "student_id instructional_day kind\n weekend 5 incident")


def test_what_does_not_count_as_absent_is_no_fact():
    with panel_from(
        Measurement(partial_day="absent_if_over"),
        absences="""
            student_id  date        category  fraction
            ann         2014-08-25  partial   0.1
            ann         2014-08-26  partial   0.3
            ann         2014-08-30  excused   1
            """,
    ) as panel:
        expect(panel.to_pandas("history"), "date kind amount\n 2014-08-26 partial 1")


def test_facts_add_up_to_the_student_year(tables):
    history, years = (tables[name].query("student_id == 'shared'") for name in tables)
    assert len(history) == 3
    assert round(history.amount.sum(), 9) == years.days_absent.item() == 1.25
