"""Rules of visits: to which school year each belongs."""

from __future__ import annotations

import pandas as pd
import pytest

from panel_spec import expect, panel_from, steps

CASES = [
    ("2013-09-06", 2014, "on the last instructional day of 2013-14"),
    ("2013-09-07", 2015, "the day after it: the summer belongs to the coming year"),
    ("2014-08-24", 2015, "the day before the first instructional day"),
    ("2014-08-25", 2015, "on the first instructional day"),
    ("2014-09-05", 2015, "on the last instructional day of 2014-15"),
    ("2014-09-06", 2016, "after it: the year to come, of which the extract knows nothing"),
    ("2013-08-01", 2014, "the summer before the first year"),
    ("2012-09-06", 2013, "a year before the last day of the first year: the year before it"),
]


def year_of(visits: pd.DataFrame, student: str, visit_date: str) -> int:
    """Return the school year to which a student's visit of that date belongs."""
    [year] = visits.school_year[(visits.student_id == student) & (visits.date == visit_date)]
    return int(year)


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    dates = "\n".join(f"ann {visit_date}" for visit_date, *_ in CASES)
    with panel_from(
        enrollments="student_id school_year\n ann 2014\n ann 2015",
        visits=f"student_id date\n {dates}",
    ) as panel:
        return panel.to_pandas("visits")


@pytest.mark.parametrize(("visit_date", "school_year", "why"), CASES)
def test_a_visit_belongs_to_the_year_that_ends_next(visits, visit_date, school_year, why):
    assert year_of(visits, "ann", visit_date) == school_year, why


@pytest.fixture(scope="module")
def of_unequal_years() -> pd.DataFrame:
    """Return visits of a district in which the year 2013-14 ends later at S2 than at S1."""
    with panel_from(
        calendar="""
            school_id  school_year  date
            S1         2014         2013-08-26
            S1         2014         2013-09-06
            S2         2014         2013-08-26
            S2         2014         2013-09-20
            S1         2015         2014-08-25
            S1         2015         2014-09-05
            """,
        enrollments="""
            student_id  school_id  school_year
            of_s1       S1         2014
            of_s1       S1         2015
            of_s2       S2         2014
            of_s2       S1         2015
            only_now    S1         2015
            """,
        visits="""
            student_id  date
            of_s1       2013-09-10
            of_s2       2013-09-10
            only_now    2013-09-10
            only_now    2013-09-21
            """,
    ) as panel:
        return panel.to_pandas("visits")


def test_the_year_ends_when_the_students_own_school_does(of_unequal_years):
    assert year_of(of_unequal_years, "of_s1", "2013-09-10") == 2015
    assert year_of(of_unequal_years, "of_s2", "2013-09-10") == 2014


def test_without_an_enrollment_in_the_previous_year_the_districts_last_day_counts(of_unequal_years):
    assert year_of(of_unequal_years, "only_now", "2013-09-10") == 2014
    assert year_of(of_unequal_years, "only_now", "2013-09-21") == 2015


def test_all_visits_are_kept_and_those_uncompleted_or_of_a_year_not_enrolled_are_counted():
    with panel_from(
        visits="""
            student_id  date        completed  program  mode
            ann         2013-08-01  1          FEP      in_person
            ann         2014-08-01  0          FEP      in_person
            ann         2014-08-08  1          EC       virtual
            """
    ) as panel:
        expect(
            panel.to_pandas("visits"),
            """
            student_id  visit_id  date        school_year  program  mode       completed
            ann         V1        2013-08-01  2014         FEP      in_person  1
            ann         V2        2014-08-01  2015         FEP      in_person  0
            ann         V3        2014-08-08  2015         EC       virtual    1
            """,
        )
        assert steps(panel.counts, "visits") == [(3, 2), (2, 1)]
