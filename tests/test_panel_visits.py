"""Rules of visits: to which school year each belongs."""

from __future__ import annotations

import pytest

from panel_spec import expect, panel_from

TWO_YEARS = "student_id school_year\n ann 2014\n ann 2015"


def year_of(visit_date: str, enrollments: str = TWO_YEARS, **tables: str) -> int:
    """Return the school year to which a visit of that date belongs."""
    visits = f"student_id date\n ann {visit_date}"
    with panel_from(enrollments=enrollments, visits=visits, **tables) as panel:
        return int(panel.to_pandas("visits").school_year[0])


@pytest.mark.parametrize(
    ("visit_date", "school_year", "why"),
    [
        ("2013-09-06", 2014, "on the last instructional day of 2013-14"),
        ("2013-09-07", 2015, "the day after it: the summer belongs to the coming year"),
        ("2014-08-24", 2015, "the day before the first instructional day"),
        ("2014-08-25", 2015, "on the first instructional day"),
        ("2014-09-05", 2015, "on the last instructional day of 2014-15"),
        ("2014-09-06", 2016, "after it: the year to come, of which the extract knows nothing"),
        ("2013-08-01", 2014, "the summer before the first year"),
        ("2012-09-06", 2013, "a year before the last day of the first year: the year before it"),
    ],
)
def test_a_visit_belongs_to_the_year_that_ends_next(visit_date, school_year, why):
    assert year_of(visit_date) == school_year, why


UNEQUAL_YEARS = """
    school_id  school_year  date
    S1         2014         2013-08-26
    S1         2014         2013-09-06
    S2         2014         2013-08-26
    S2         2014         2013-09-20
    S1         2015         2014-08-25
    S1         2015         2014-09-05
    """


def test_the_year_ends_when_the_students_own_school_does():
    mine = "student_id school_id school_year\n ann S1 2014\n ann S1 2015"
    other = "student_id school_id school_year\n ann S2 2014\n ann S1 2015"
    assert year_of("2013-09-10", mine, calendar=UNEQUAL_YEARS) == 2015
    assert year_of("2013-09-10", other, calendar=UNEQUAL_YEARS) == 2014


def test_without_an_enrollment_in_the_previous_year_the_districts_last_day_counts():
    only_now = "student_id school_year\n ann 2015"
    assert year_of("2013-09-10", only_now, calendar=UNEQUAL_YEARS) == 2014
    assert year_of("2013-09-21", only_now, calendar=UNEQUAL_YEARS) == 2015


def test_all_visits_are_kept_and_uncompleted_ones_are_marked():
    with panel_from(
        visits="""
            student_id  date        completed  program  mode
            ann         2014-08-01  0          FEP      in_person
            ann         2014-08-08  1          EC       virtual
            """
    ) as panel:
        expect(
            panel.to_pandas("visits"),
            """
            student_id  visit_id  date        school_year  program  mode       completed
            ann         V1        2014-08-01  2015         FEP      in_person  0
            ann         V2        2014-08-08  2015         EC       virtual    1
            """,
        )
        steps = [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "visits"]
    assert steps == [(2, 1), (1, 1)]


def test_a_visit_to_a_student_who_is_not_enrolled_that_year_is_kept_and_counted():
    with panel_from(visits="student_id date\n ann 2013-08-01\n ann 2014-08-01") as panel:
        assert list(panel.to_pandas("visits").school_year) == [2014, 2015]
        steps = [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "visits"]
    assert steps == [(2, 2), (2, 1)]
