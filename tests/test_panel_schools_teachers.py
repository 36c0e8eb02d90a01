"""Schools and their means, teachers and their retention, and who a student is."""

from __future__ import annotations

from homevisit_eval.panel.teachers import VISITS_BY_KIND
from panel_spec import expect, panel_from, student_years

KINDS = tuple(VISITS_BY_KIND.values())


def test_school_means_are_over_the_students_of_time_zero():
    with panel_from(
        schools="school_id school_year fep fec early_childhood\n S1 2015 1 0 0\n S2 2015 0 0 1",
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            bob         S1         2014-08-25  2014-08-29
            bob         S2         2014-09-01  2014-09-05
            late        S1         2014-08-26  2014-09-05
            """,
        absences="""
            student_id  school_id  date
            ann         S1         2014-08-25
            bob         S2         2014-09-01
            bob         S2         2014-09-02
            late        S1         2014-08-26
            """,
        incidents="student_id date\n bob 2014-09-02\n bob 2014-09-03\n late 2014-09-03",
        characteristics="student_id at_risk\n ann 1\n bob 0\n late 1",
    ) as panel:
        expect(
            panel.to_pandas("schools"),
            """
            school_id  fep  fec  early_childhood  mean_attendance  incident_rate  at_risk_share
            S1         1    0    0                0.85             0.5            0.5
            S2         0    0    1                -                -              -
            """,
        )


def test_a_school_year_has_its_first_and_last_instructional_day():
    with panel_from(
        calendar="""
            date        instructional
            2014-08-24  0
            2014-08-25  1
            2014-09-05  1
            2014-09-06  0
            """
    ) as panel:
        expect(
            panel.to_pandas("schools"),
            """
            school_id  school_year  first_instructional_day  last_instructional_day
            S1         2015         2014-08-25               2014-09-05
            """,
        )


STAFF = """
    staff_id  school_id  school_year
    moves     S1         2014
    moves     S2         2015
    stays     S1         2014
    stays     S1         2015
    leaves    S1         2014
    new       S1         2015
    """


def test_retention_is_being_on_the_list_of_the_school_or_district_next_year():
    with panel_from(staff=STAFF) as panel:
        expect(
            panel.to_pandas("teachers"),
            """
            staff_id  school_year  school_id  retained_in_school  retained_in_district
            leaves    2014         S1         0                   0
            moves     2014         S1         0                   1
            moves     2015         S2         -                   -
            new       2015         S1         -                   -
            stays     2014         S1         1                   1
            stays     2015         S1         -                   -
            """,
        )


def test_visits_before_the_year_are_completed_and_in_the_summer():
    with panel_from(
        staff="staff_id\n done\n second\n spring\n tried\n started\n early",
        visits="""
            student_id  date        completed  staff_id_1  staff_id_2
            ann         2014-08-01  1          done        second
            ann         2014-08-24  1          done        -
            ann         2014-08-02  1          second      second
            ann         2013-09-06  1          spring      -
            ann         2014-08-01  0          tried       -
            ann         2014-08-25  1          started     -
            ann         2013-09-07  1          early       -
            """,
    ) as panel:
        expect(
            panel.to_pandas("teachers"),
            """
            staff_id  visits_before_year
            done      2
            early     1
            second    2
            spring    0
            started   0
            tried     0
            """,
        )


def test_visits_before_the_year_are_counted_by_program_and_mode() -> None:
    with panel_from(
        staff="staff_id\n both\n early",
        visits="""
            student_id  date        program  mode       staff_id_1  staff_id_2
            ann         2014-08-01  FEP      in_person  both        early
            ann         2014-08-02  FEC      virtual    both        -
            ann         2014-08-03  FEC      in_person  both        -
            ann         2014-08-04  EC       in_person  early       early
            """,
    ) as panel:
        rows = panel.to_pandas("teachers").rename(
            columns={name: name.removeprefix("visits_before_year_") for name in KINDS}
        )
    expect(
        rows,
        """
        staff_id  visits_before_year  fep_in_person  fec_in_person  fec_virtual  ec_in_person
        both      3                   1              1              1            0
        early     2                   1              0              0            1
        """,
    )
    assert rows[["fep_virtual", "ec_virtual"]].to_numpy().sum() == 0


def test_visits_during_the_year_are_from_its_first_day_to_its_last() -> None:
    with panel_from(
        staff="staff_id school_year\n before 2015\n first 2015\n last 2015\n after 2015",
        visits="""
            student_id  date        completed  staff_id_1
            ann         2014-08-24  1          before
            ann         2014-08-25  1          first
            ann         2014-09-05  1          last
            ann         2014-09-04  0          last
            ann         2014-09-06  1          after
            """,
    ) as panel:
        expect(
            panel.to_pandas("teachers"),
            """
            staff_id  visits_before_year  visits_during_year  first_instructional_day
            after     0                   0                   2014-08-25
            before    1                   0                   2014-08-25
            first     0                   1                   2014-08-25
            last      0                   1                   2014-08-25
            """,
        )


def test_visits_that_name_nobody_are_not_zero_visits():
    with panel_from(staff="staff_id\n one", visits="student_id date\n ann 2014-08-01") as panel:
        expect(panel.to_pandas("teachers"), "staff_id visits_before_year\n one -")
        assert any(sentence.startswith("visits names no staff") for sentence in panel.missing)


def test_status_flags_are_those_of_the_year_and_missing_where_there_is_no_row():
    result = student_years(
        enrollments="""
            student_id  school_year
            ann         2014
            ann         2015
            bob         2015
            """,
        characteristics="""
            student_id  school_year  at_risk  english_learner  disability  homeless
            ann         2014         1        0                1           -
            ann         2015         0        1                0           1
            """,
    )
    expect(
        result,
        """
        student_id  school_year  at_risk  english_learner  disability  homeless
        ann         2014         1        0                1           -
        ann         2015         0        1                0           1
        bob         2015         -        -                -           -
        """,
    )


def test_age_is_in_years_on_30_september_and_compared_with_the_grade():
    """A first-grader born 2008-03-31 is 6.5 on 2014-09-30: 2,374 days / 365.25."""
    result = student_years(
        students="""
            student_id  birth_date  sex  race_ethnicity  household_id
            ann         2008-03-31  x    white           H1
            """,
        enrollments="student_id school_year grade\n ann 2015 1\n ann 2014 0",
    )
    expect(
        result,
        """
        school_year  age       age_for_grade  sex  race_ethnicity  household_id
        2014         5.500342  0.000342       x    white           H1
        2015         6.499658  -0.000342      x    white           H1
        """,
    )


def test_a_school_mean_of_nobody_is_missing_and_not_a_number_of_its_own() -> None:
    with panel_from(enrollments="student_id school_id\n ann S1") as panel:
        rows = panel.schools.select("school_id", "incident_rate").to_native().fetchall()
    assert rows
    assert {rate for (_, rate) in rows} == {None}
