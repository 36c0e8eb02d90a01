"""Rules of enrollment: days enrolled, school at time zero, grade, limits of the year."""

from __future__ import annotations

import pandas as pd
import pytest

from homevisit_eval.panel.build import _enrollment
from homevisit_eval.panel.engine import fetch_frame
from panel_spec import WEEKS, expect_students, panel_from, sources_from, two_weeks

SPELLS = """
    student_id     school_id  school_year  grade  entry_date  exit_date
    all_year       S1         2015         1      2014-08-25  2014-09-05
    one_week       S1         2015         1      2014-08-25  2014-08-31
    one_day        S1         2015         1      2014-08-27  2014-08-27
    late           S1         2015         1      2014-09-01  2014-09-05
    second_day     S1         2015         1      2014-08-26  2014-09-05
    beyond         S1         2015         1      2014-07-01  2015-06-30
    transfer       S1         2015         1      2014-08-25  2014-08-28
    transfer       S2         2015         1      2014-09-02  2014-09-05
    within         S1         2015         1      2014-08-25  2014-09-05
    within         S2         2015         1      2014-09-01  2014-09-02
    same_day       S1         2015         1      2014-08-25  2014-09-01
    same_day       S2         2015         1      2014-09-01  2014-09-05
    several_years  S1         2014         1      2013-08-26  2013-09-06
    several_years  S1         2015         1      2014-08-25  2014-08-26
    several_years  S1         2015         1      2014-09-01  2014-09-05
    grade_before   S1         2015         1      2014-08-20  2014-08-22
    grade_before   S1         2015         2      2014-08-23  2014-09-05
    grade_moved    S1         2015         1      2014-08-25  2014-08-28
    grade_moved    S1         2015         2      2014-08-29  2014-09-05
    grade_late     S1         2015         3      2014-08-26  2014-08-28
    grade_late     S1         2015         4      2014-08-29  2014-09-05
    came           S1         2015         1      2014-08-20  2014-09-05
    gone           S1         2015         1      2014-08-20  2014-08-24
    day_off        GAP        2015         1      2014-08-25  2014-08-27
    unequal        EARLY      2015         1      2014-08-24  2014-08-26
    unequal        AFTER      2015         1      2014-08-25  2014-08-26
    counted        COUNT1     2015         1      2014-08-25  2014-08-25
    counted        COUNT2     2015         1      2014-08-26  2014-08-26
    missed_first   FIRST1     2015         1      2014-08-26  2014-08-28
    had_first      FIRST2     2015         1      2014-08-26  2014-08-28
    never_there    LAST1      2015         1      2014-08-25  2014-08-26
    never_there    LAST2      2015         1      2014-08-27  2014-08-28
    """
SCHOOL_DAYS = """
    GAP     2014-08-25  1  0
    GAP     2014-08-26  0  0
    GAP     2014-08-27  1  0
    EARLY   2014-08-25  1  0
    EARLY   2014-08-26  1  0
    AFTER   2014-08-25  0  0
    AFTER   2014-08-26  1  0
    COUNT1  2014-08-25  1  0
    COUNT1  2014-08-26  1  1
    COUNT2  2014-08-25  1  0
    COUNT2  2014-08-26  1  1
    FIRST1  2014-08-25  1  0
    FIRST1  2014-08-28  1  0
    FIRST2  2014-08-27  1  0
    FIRST2  2014-08-28  1  0
    LAST1   2014-08-25  1  0
    LAST1   2014-08-26  1  0
    LAST2   2014-08-25  1  0
    LAST2   2014-08-29  1  0
    """
"""Schools with a calendar of their own: whether a day is instructional, and the count date."""

ABSENCES = """
    student_id  school_id  date
    came        S1         2014-08-25
    late        S1         2014-09-02
    transfer    S1         2014-08-25
    transfer    S2         2014-09-05
    within      S1         2014-08-29
    within      S1         2014-09-01
    within      S2         2014-09-02
    within      S1         2014-09-03
    """


def calendar() -> str:
    """Return the default calendar of S1 and S2, and those of `SCHOOL_DAYS`."""
    usual = [row for school in ("S1", "S2") for year in WEEKS for row in two_weeks(school, year)]
    lines = [f"{row['school_id']} {row['school_year']} {row['date']} 1 0" for row in usual]
    for line in SCHOOL_DAYS.strip().splitlines():
        school, *cells = line.split()
        lines.append(f"{school} 2015 {' '.join(cells)}")
    return "\n".join(["school_id school_year date instructional count_date", *lines])


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Return student-years and spells of students of whom each has what one rule is about."""
    with panel_from(calendar=calendar(), enrollments=SPELLS, absences=ABSENCES) as panel:
        return {name: panel.to_pandas(name) for name in ("students", "spells")}


@pytest.fixture(scope="module")
def result(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return tables["students"]


def test_days_enrolled_are_the_instructional_days_of_the_spell(result):
    expect_students(
        result,
        """
        student_id  days_enrolled
        all_year    10
        one_day     1
        one_week    5
        """,
    )


def test_late_entry_lowers_the_denominator(result):
    expect_students(result, "student_id days_enrolled attendance_rate\n late 5 0.8")


def test_a_day_without_school_is_no_day_enrolled(result):
    expect_students(result, "student_id days_enrolled\n day_off 2")


def test_spell_dates_outside_the_calendar_add_no_days(result):
    expect_students(result, "student_id days_enrolled school_id\n beyond 10 S1")


def test_a_transfer_adds_the_days_of_both_schools(result):
    expect_students(
        result,
        """
        student_id  school_id  schools_attended  days_enrolled  days_absent  attendance_rate
        transfer    S1         2                 8              2            0.75
        """,
    )


def test_a_day_in_two_spells_counts_once_at_the_school_entered_last(result):
    expect_students(result, "student_id days_enrolled days_absent\n within 10 3")


def test_exit_and_entry_on_the_same_day_are_one_day(result):
    expect_students(result, "student_id days_enrolled schools_attended\n same_day 10 2")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2014-08-25 2014-08-30", "2014-08-27 2014-09-05"),
        ("2014-08-25 2014-09-05", "2014-09-01 2014-09-05"),
        ("2014-08-25 2014-09-06", "2014-08-30 2014-09-06"),
        ("2014-08-20 2014-08-31", "2014-08-31 2014-09-10"),
    ],
)
def test_spells_may_begin_and_end_on_days_without_school(first, second):
    """Alone: the date of another student's spell would be one more that is numbered."""
    with sources_from(
        enrollments=f"""
            student_id  school_id  entry_date exit_date
            ann         S1         {first}
            ann         S2         {second}
            """
    ) as sources:
        enrolled = fetch_frame(_enrollment(sources).enrolled, ("school_id",))
    assert list(enrolled.school_id) == ["S1", "S2"]
    assert enrolled.days_enrolled.sum() == 10


def test_where_calendars_differ_a_day_of_school_at_either_counts_once(result):
    expect_students(result, "student_id days_enrolled schools_attended\n unequal 2 2")


def test_one_row_per_student_and_school_year(result):
    expect_students(
        result,
        """
        student_id     school_year  days_enrolled  schools_attended
        all_year       2015         10             1
        several_years  2014         10             1
        several_years  2015         7              1
        """,
    )


def test_the_school_is_that_of_the_first_instructional_day_and_apart_from_the_count_date(result):
    expect_students(result, "student_id school_id school_id_count_date\n counted COUNT1 COUNT2")


def test_a_student_who_enters_after_the_first_day_has_no_school_at_time_zero(result):
    expect_students(
        result,
        """
        student_id  school_id  first_instructional_day  days_enrolled
        second_day  -          2014-08-25               9
        """,
    )


def test_each_school_has_its_own_first_day(result):
    expect_students(
        result,
        """
        student_id    school_id  first_instructional_day  last_instructional_day
        had_first     FIRST2     2014-08-27               2014-08-28
        missed_first  -          2014-08-25               2014-08-28
        """,
    )


def test_the_grade_is_that_of_time_zero_else_of_the_first_spell(result):
    expect_students(result, "student_id grade\n grade_before 2\n grade_late 3\n grade_moved 1")


def test_a_student_who_never_came_keeps_a_row_without_rates(result):
    expect_students(
        result,
        """
        student_id  days_enrolled  schools_attended  days_absent  attendance_rate  chronic_absence
        came        10             1                 1            0.9              0
        gone        0              0                 0            -                -
        """,
    )


def test_a_school_that_the_student_never_attended_does_not_lengthen_the_year(result):
    expect_students(
        result, "student_id schools_attended last_instructional_day\n never_there 1 2014-08-26"
    )


def test_spells_are_handed_on_as_delivered(tables):
    expect_students(
        tables["spells"],
        """
        student_id  school_id  school_year  grade  entry_date  exit_date
        within      S1         2015         1      2014-08-25  2014-09-05
        within      S2         2015         1      2014-09-01  2014-09-02
        """,
    )
