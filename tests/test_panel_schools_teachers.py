"""Schools and their means, teachers and their retention, and who a student is."""

from __future__ import annotations

import pandas as pd
import pytest

from homevisit_eval.panel import Panel
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.panel.enrollment import district_years, school_years
from homevisit_eval.panel.not_delivered import missing_sentences
from homevisit_eval.panel.teachers import VISITS_BY_KIND, teacher_frame
from panel_spec import expect, expect_students, panel_from, read_rows, sources_from

KINDS = tuple(VISITS_BY_KIND.values())

# -- schools and persons --------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Return schools and student-years; S3 has Sundays and Saturdays in its calendar."""
    with panel_from(
        schools="""
            school_id  school_year  fep  fec  early_childhood
            S1         2014         1    0    0
            S1         2015         1    0    0
            S2         2015         0    0    1
            S3         2015         0    1    0
            """,
        calendar="""
            school_id  school_year  date        instructional
            S1         2014         2013-08-26  1
            S1         2014         2013-09-06  1
            S1         2015         2014-08-25  1
            S1         2015         2014-08-26  1
            S1         2015         2014-08-27  1
            S1         2015         2014-08-28  1
            S1         2015         2014-08-29  1
            S1         2015         2014-09-01  1
            S1         2015         2014-09-02  1
            S1         2015         2014-09-03  1
            S1         2015         2014-09-04  1
            S1         2015         2014-09-05  1
            S2         2015         2014-08-25  1
            S2         2015         2014-09-01  1
            S2         2015         2014-09-02  1
            S2         2015         2014-09-03  1
            S2         2015         2014-09-04  1
            S2         2015         2014-09-05  1
            S3         2015         2014-08-24  0
            S3         2015         2014-08-25  1
            S3         2015         2014-09-05  1
            S3         2015         2014-09-06  0
            """,
        students="""
            student_id  birth_date  sex     race_ethnicity  household_id
            ann         2008-03-31  x       white           H1
            bob         2008-01-01  female  black           -
            late        2008-01-01  female  black           -
            """,
        enrollments="""
            student_id  school_id  school_year  grade  entry_date  exit_date
            ann         S1         2014         0      2013-08-26  2013-09-06
            ann         S1         2015         1      2014-08-25  2014-09-05
            bob         S1         2015         1      2014-08-25  2014-08-29
            bob         S2         2015         1      2014-09-01  2014-09-05
            late        S1         2015         1      2014-08-26  2014-09-05
            """,
        absences="""
            student_id  school_id  date
            ann         S1         2014-08-25
            bob         S2         2014-09-01
            bob         S2         2014-09-02
            late        S1         2014-08-26
            """,
        incidents="student_id date\n bob 2014-09-02\n bob 2014-09-03\n late 2014-09-03",
        characteristics="""
            student_id  school_year  at_risk  english_learner  disability  homeless
            ann         2014         0        0                1           -
            ann         2015         1        1                0           1
            bob         2015         0        0                0           0
            """,
    ) as panel:
        return {name: panel.to_pandas(name) for name in ("schools", "students")}


def test_school_means_are_over_the_students_of_time_zero(tables):
    """A mean of nobody, at S2 and S3, is missing and not a number of its own."""
    schools = tables["schools"]
    expect(
        schools[schools.school_year == 2015],
        """
        school_id  fep  fec  early_childhood  mean_attendance  incident_rate  at_risk_share
        S1         1    0    0                0.85             0.5            0.5
        S2         0    0    1                -                -              -
        S3         0    1    0                -                -              -
        """,
    )


def test_a_school_year_has_its_first_and_last_instructional_day(tables):
    expect(
        tables["schools"],
        """
        school_id  school_year  first_instructional_day  last_instructional_day
        S1         2014         2013-08-26               2013-09-06
        S1         2015         2014-08-25               2014-09-05
        S2         2015         2014-08-25               2014-09-05
        S3         2015         2014-08-25               2014-09-05
        """,
    )


def test_status_flags_are_those_of_the_year_and_missing_where_there_is_no_row(tables):
    expect(
        tables["students"],
        """
        student_id  school_year  at_risk  english_learner  disability  homeless
        ann         2014         0        0                1           -
        ann         2015         1        1                0           1
        bob         2015         0        0                0           0
        late        2015         -        -                -           -
        """,
    )


def test_age_is_in_years_on_30_september_and_compared_with_the_grade(tables):
    """A first-grader born 2008-03-31 is 6.5 on 2014-09-30: 2,374 days / 365.25."""
    expect_students(
        tables["students"],
        """
        student_id  school_year  age       age_for_grade  sex  race_ethnicity  household_id
        ann         2014         5.500342  0.000342       x    white           H1
        ann         2015         6.499658  -0.000342      x    white           H1
        """,
    )


# -- teachers -------------------------------------------------------------------------------

STAFF = """
    staff_id       school_id  school_year
    moves          S1         2014
    moves          S2         2015
    stays          S1         2014
    stays          S1         2015
    leaves         S1         2014
    new            S1         2015
    done           S1         2015
    second         S1         2015
    spring         S1         2015
    tried          S1         2015
    started        S1         2015
    early          S1         2015
    each_kind      S1         2015
    with_another   S1         2015
    during_before  S1         2015
    during_first   S1         2015
    during_last    S1         2015
    during_after   S1         2015
    """
VISITS = """
    student_id  date        completed  program  mode       staff_id_1     staff_id_2
    ann         2014-08-01  1          FEP      in_person  done           second
    ann         2014-08-24  1          FEP      in_person  done           -
    ann         2014-08-02  1          FEP      in_person  second         second
    ann         2013-09-06  1          FEP      in_person  spring         -
    ann         2014-08-01  0          FEP      in_person  tried          -
    ann         2014-08-25  1          FEP      in_person  started        -
    ann         2013-09-07  1          FEP      in_person  early          -
    ann         2014-08-01  1          FEP      in_person  each_kind      with_another
    ann         2014-08-02  1          FEC      virtual    each_kind      -
    ann         2014-08-03  1          FEC      in_person  each_kind      -
    ann         2014-08-04  1          EC       in_person  with_another   with_another
    ann         2014-08-24  1          FEP      in_person  during_before  -
    ann         2014-08-25  1          FEP      in_person  during_first   -
    ann         2014-09-05  1          FEP      in_person  during_last    -
    ann         2014-09-04  0          FEP      in_person  during_last    -
    ann         2014-09-06  1          FEP      in_person  during_after   -
    """


@pytest.fixture(scope="module")
def teachers() -> pd.DataFrame:
    with panel_from(staff=STAFF, visits=VISITS) as panel:
        return of_teachers(panel)


def of_teachers(panel: Panel) -> pd.DataFrame:
    frame = panel.to_pandas("teachers")
    return frame.rename(columns={name: name.removeprefix("visits_before_year_") for name in KINDS})


def expect_teachers(frame: pd.DataFrame, text: str) -> None:
    """Assert that the rows of the staff named are the text."""
    named = {row["staff_id"] for row in read_rows(text)}
    expect(frame[frame.staff_id.isin(named)], text)


def test_retention_is_being_on_the_list_of_the_school_or_district_next_year(teachers):
    expect_teachers(
        teachers,
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


def test_visits_before_the_year_are_completed_and_in_the_summer(teachers):
    expect_teachers(
        teachers,
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


def test_visits_before_the_year_are_counted_by_program_and_mode(teachers) -> None:
    expect_teachers(
        teachers,
        """
        staff_id      visits_before_year  fep_in_person  fec_in_person  fec_virtual  ec_in_person
        each_kind     3                   1              1              1            0
        with_another  2                   1              0              0            1
        """,
    )
    assert teachers[["fep_virtual", "ec_virtual"]].to_numpy().sum() == 0


def test_visits_during_the_year_are_from_its_first_day_to_its_last(teachers) -> None:
    expect_teachers(
        teachers,
        """
        staff_id       visits_before_year  visits_during_year  first_instructional_day
        during_after   0                   0                   2014-08-25
        during_before  1                   0                   2014-08-25
        during_first   0                   1                   2014-08-25
        during_last    0                   1                   2014-08-25
        """,
    )


def test_visits_that_name_nobody_are_not_zero_visits():
    with sources_from(staff="staff_id\n one", visits="student_id date\n ann 2014-08-01") as sources:
        years = school_years(sources.calendar)
        frame = teacher_frame(sources.staff, sources.visits, years, district_years(years))
        expect(fetch_frame(frame, ("staff_id",)), "staff_id visits_before_year\n one -")
        sentences = missing_sentences(sources)
    assert any(sentence.startswith("visits names no staff") for sentence in sentences)
