"""What was not recorded at all is missing: a year without records, a school without absences."""

from __future__ import annotations

import pytest

from panel_spec import expect, panel_from, student_years

TWO_YEARS = "student_id school_year\n ann 2014\n ann 2015\n bob 2014\n bob 2015"


def test_a_year_without_an_absence_record_has_no_attendance():
    with panel_from(enrollments=TWO_YEARS, absences="student_id date\n ann 2014-08-26") as panel:
        expect(
            panel.to_pandas(),
            """
            student_id  school_year  days_enrolled  days_absent  attendance_rate  chronic_absence
            ann         2014         10             -            -                -
            ann         2015         10             1            0.9              0
            bob         2014         10             -            -                -
            bob         2015         10             0            1                0
            """,
        )
        expect(
            panel.to_pandas().query("school_year == 2014"),
            """
            days_excused days_unexcused days_unexcused_full days_tardy on_time_attendance_rate
            -            -              -                   -          -
            -            -              -                   -          -
            """,
        )
        expect(
            panel.to_pandas("schools").query("school_id == 'S1'"),
            "school_year mean_attendance\n 2014 -\n 2015 0.95",
        )
        [said] = [text for text in panel.missing if text.startswith("absences")]
    assert said.startswith(
        "absences: not one record in 2013-14, when <10 schools had <10 student-years: attendance "
        "of that year is missing, not perfect. Deliver the absences of that year"
    )


def test_a_record_on_a_day_without_school_is_no_record_of_the_year():
    result = student_years(absences="student_id date\n ann 2014-08-30")
    expect(result, "student_id days_enrolled attendance_rate\n ann 10 -")


def test_a_year_without_an_incident_record_has_no_discipline():
    with panel_from(enrollments=TWO_YEARS, incidents="student_id date\n ann 2014-08-26") as panel:
        expect(
            panel.to_pandas(),
            """
            student_id school_year incidents any_incident any_serious_incident any_suspension
            ann        2014        -         -            -                    -
            ann        2015        1         1            0                    0
            bob        2014        -         -            -                    -
            bob        2015        0         0            0                    0
            """,
        )
        expect(
            panel.to_pandas("students").query("student_id == 'bob'"),
            "school_year days_suspended\n 2014 -\n 2015 0",
        )
        expect(
            panel.to_pandas("schools").query("school_id == 'S1'"),
            "school_year incident_rate\n 2014 -\n 2015 0.5",
        )
        [said] = [text for text in panel.missing if text.startswith("incidents")]
    assert "not one record in 2013-14" in said
    assert "missing, not without incident" in said


def test_a_record_of_a_victim_is_a_record_of_the_year():
    result = student_years(incidents="student_id date role\n ann 2014-08-26 victim")
    expect(result, "student_id incidents\n ann 0")


@pytest.mark.parametrize(("students", "rate"), [(99, "1"), (100, "-")])
def test_a_large_school_without_an_absence_record_has_no_attendance(students, rate):
    """At S2, ten days for each of its students: 1,000 student-days are too many without one."""
    many = "\n".join(f"many{number:03} S2 2014-08-25 2014-09-05" for number in range(students - 1))
    with panel_from(
        enrollments=f"""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            moved       S1         2014-08-25  2014-08-29
            moved       S2         2014-09-01  2014-09-05
            came        S2         2014-08-25  2014-08-29
            {many}
            """,
        absences="student_id date\n ann 2014-08-26\n moved 2014-08-26",
    ) as panel:
        frame = panel.to_pandas()
        said = [text for text in panel.missing if text.startswith("absences")]
        expect(
            frame[~frame.student_id.str.startswith("many")],
            f"""
            student_id  days_absent                     attendance_rate
            ann         1                               0.9
            came        {"0" if rate == "1" else "-"}   {rate}
            moved       {"1" if rate == "1" else "-"}   {"0.9" if rate == "1" else "-"}
            """,
        )
        expect(
            panel.to_pandas("schools").query("school_year == 2015"),
            f"school_id mean_attendance\n S1 0.9\n S2 {rate}",
        )
    if rate == "1":
        assert said == []
    else:
        [sentence] = said
        assert "not one record in 2014-15 of <10 schools" in sentence
        assert "for the 101 student-years enrolled there" in sentence
        assert "S2" not in sentence
