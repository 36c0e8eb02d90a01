"""Rules of enrollment: days enrolled, school at time zero, grade, limits of the year."""

from __future__ import annotations

import pytest

from panel_spec import expect, panel_from, student_years


def test_days_enrolled_are_the_instructional_days_of_the_spell():
    result = student_years(
        enrollments="""
            student_id  entry_date  exit_date
            all_year    2014-08-25  2014-09-05
            one_week    2014-08-25  2014-08-31
            one_day     2014-08-27  2014-08-27
            """
    )
    expect(
        result,
        """
        student_id  days_enrolled
        all_year    10
        one_day     1
        one_week    5
        """,
    )


def test_late_entry_lowers_the_denominator():
    result = student_years(
        enrollments="student_id entry_date\n late 2014-09-01",
        absences="student_id date\n late 2014-09-02",
    )
    expect(result, "student_id days_enrolled attendance_rate\n late 5 0.8")


def test_a_day_without_school_is_no_day_enrolled():
    result = student_years(
        calendar="""
            date        instructional
            2014-08-25  1
            2014-08-26  0
            2014-08-27  1
            """,
        enrollments="student_id exit_date\n ann 2014-08-27",
    )
    expect(result, "student_id days_enrolled\n ann 2")


def test_spell_dates_outside_the_calendar_add_no_days():
    result = student_years(
        enrollments="student_id entry_date exit_date\n early 2014-07-01 2015-06-30"
    )
    expect(result, "student_id days_enrolled school_id\n early 10 S1")


def test_a_transfer_adds_the_days_of_both_schools():
    result = student_years(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-08-28
            ann         S2         2014-09-02  2014-09-05
            """,
        absences="""
            student_id  school_id  date
            ann         S1         2014-08-25
            ann         S2         2014-09-05
            """,
    )
    expect(
        result,
        """
        student_id  school_id  schools_attended  days_enrolled  days_absent  attendance_rate
        ann         S1         2                 8              2            0.75
        """,
    )


def test_a_day_in_two_spells_counts_once_at_the_school_entered_last():
    result = student_years(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            ann         S2         2014-09-01  2014-09-02
            """,
        absences="""
            student_id  school_id  date
            ann         S1         2014-08-29
            ann         S1         2014-09-01
            ann         S2         2014-09-02
            ann         S1         2014-09-03
            """,
    )
    expect(result, "student_id days_enrolled days_absent\n ann 10 3")


def test_exit_and_entry_on_the_same_day_are_one_day():
    result = student_years(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-01
            ann         S2         2014-09-01  2014-09-05
            """
    )
    expect(result, "student_id days_enrolled schools_attended\n ann 10 2")


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
    result = student_years(
        enrollments=f"""
            student_id  school_id  entry_date exit_date
            ann         S1         {first}
            ann         S2         {second}
            """
    )
    expect(result, "student_id days_enrolled schools_attended\n ann 10 2")


def test_where_calendars_differ_a_day_of_school_at_either_counts_once():
    result = student_years(
        calendar="""
            school_id  date        instructional
            S1         2014-08-25  1
            S1         2014-08-26  1
            S2         2014-08-25  0
            S2         2014-08-26  1
            """,
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-24  2014-08-26
            ann         S2         2014-08-25  2014-08-26
            """,
    )
    expect(result, "student_id days_enrolled schools_attended\n ann 2 2")


def test_one_row_per_student_and_school_year():
    result = student_years(
        enrollments="""
            student_id  school_id  school_year  entry_date  exit_date
            ann         S1         2014         2013-08-26  2013-09-06
            ann         S1         2015         2014-08-25  2014-08-26
            ann         S1         2015         2014-09-01  2014-09-05
            bob         S2         2015         2014-08-25  2014-09-05
            """
    )
    expect(
        result,
        """
        student_id  school_year  days_enrolled  schools_attended
        ann         2014         10             1
        ann         2015         7              1
        bob         2015         10             1
        """,
    )


def test_the_school_is_that_of_the_first_instructional_day_and_apart_from_the_count_date():
    result = student_years(
        calendar="""
            school_id  date        count_date
            S1         2014-08-25  0
            S1         2014-08-26  1
            S2         2014-08-25  0
            S2         2014-08-26  1
            """,
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-08-25
            ann         S2         2014-08-26  2014-08-26
            """,
    )
    expect(result, "student_id school_id school_id_count_date\n ann S1 S2")


def test_a_student_who_enters_after_the_first_day_has_no_school_at_time_zero():
    result = student_years(enrollments="student_id entry_date\n late 2014-08-26")
    expect(
        result,
        """
        student_id  school_id  first_instructional_day  days_enrolled
        late        -          2014-08-25               9
        """,
    )


def test_each_school_has_its_own_first_day():
    result = student_years(
        calendar="""
            school_id  date
            S1         2014-08-25
            S1         2014-08-28
            S2         2014-08-27
            S2         2014-08-28
            """,
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-26  2014-08-28
            bob         S2         2014-08-26  2014-08-28
            """,
    )
    expect(
        result,
        """
        student_id  school_id  first_instructional_day  last_instructional_day
        ann         -          2014-08-25               2014-08-28
        bob         S2         2014-08-27               2014-08-28
        """,
    )


def test_the_grade_is_that_of_time_zero_else_of_the_first_spell():
    result = student_years(
        enrollments="""
            student_id  grade  entry_date  exit_date
            expected    1      2014-08-20  2014-08-22
            expected    2      2014-08-23  2014-09-05
            moved_up    1      2014-08-25  2014-08-28
            moved_up    2      2014-08-29  2014-09-05
            late        3      2014-08-26  2014-08-28
            late        4      2014-08-29  2014-09-05
            """
    )
    expect(result, "student_id grade\n expected 2\n late 3\n moved_up 1")


def test_a_student_who_never_came_keeps_a_row_without_rates():
    result = student_years(
        enrollments="""
            student_id  entry_date  exit_date
            came        2014-08-20  2014-09-05
            gone        2014-08-20  2014-08-24
            """,
        absences="student_id date\n came 2014-08-25",
    )
    expect(
        result,
        """
        student_id  days_enrolled  schools_attended  days_absent  attendance_rate  chronic_absence
        came        10             1                 1            0.9              0
        gone        0              0                 0            -                -
        """,
    )


def test_a_school_that_the_student_never_attended_does_not_lengthen_the_year():
    result = student_years(
        calendar="""
            school_id  date
            S1         2014-08-25
            S1         2014-08-26
            S2         2014-08-25
            S2         2014-08-29
            """,
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-08-26
            ann         S2         2014-08-27  2014-08-28
            """,
    )
    expect(result, "student_id schools_attended last_instructional_day\n ann 1 2014-08-26")


def test_spells_are_handed_on_as_delivered():
    with panel_from(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            ann         S2         2014-09-01  2014-09-02
            """
    ) as panel:
        expect(
            panel.to_pandas("spells"),
            """
            student_id  school_id  school_year  grade  entry_date  exit_date
            ann         S1         2015         1      2014-08-25  2014-09-05
            ann         S2         2015         1      2014-09-01  2014-09-02
            """,
        )
