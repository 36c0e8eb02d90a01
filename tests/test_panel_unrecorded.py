"""What was not recorded at all is missing: a year without records, a school without absences."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from homevisit_eval.panel import Panel
from panel_spec import expect, expect_students, panel_from, student_years, two_weeks

SCHOOLS = ("S1", "S2", "S3")


@pytest.fixture(scope="module")
def half_recorded() -> Iterator[Panel]:
    """Return a panel of two years of which the first has neither absences nor incidents."""
    with panel_from(
        enrollments="student_id school_year\n ann 2014\n ann 2015\n bob 2014\n bob 2015",
        absences="student_id date\n ann 2014-08-26",
        incidents="student_id date\n ann 2014-08-26",
    ) as panel:
        yield panel


def said_of(panel: Panel, source: str) -> str:
    """Return the one sentence about what is missing of a source."""
    [said] = [text for text in panel.missing if text.startswith(source)]
    return said


def test_a_year_without_an_absence_record_has_no_attendance(half_recorded):
    expect(
        half_recorded.to_pandas(),
        """
        student_id  school_year  days_enrolled  days_absent  attendance_rate  chronic_absence
        ann         2014         10             -            -                -
        ann         2015         10             1            0.9              0
        bob         2014         10             -            -                -
        bob         2015         10             0            1                0
        """,
    )
    expect(
        half_recorded.to_pandas().query("school_year == 2014"),
        """
        days_excused days_unexcused days_unexcused_full days_tardy on_time_attendance_rate
        -            -              -                   -          -
        -            -              -                   -          -
        """,
    )
    expect(
        half_recorded.to_pandas("schools").query("school_id == 'S1'"),
        "school_year mean_attendance\n 2014 -\n 2015 0.95",
    )
    assert said_of(half_recorded, "absences").startswith(
        "absences: not one record in 2013-14, when <10 schools had <10 student-years: attendance "
        "of that year is missing, not perfect. Deliver the absences of that year"
    )


def test_a_year_without_an_incident_record_has_no_discipline(half_recorded):
    expect(
        half_recorded.to_pandas(),
        """
        student_id school_year incidents any_incident any_serious_incident any_suspension
        ann        2014        -         -            -                    -
        ann        2015        1         1            0                    0
        bob        2014        -         -            -                    -
        bob        2015        0         0            0                    0
        """,
    )
    expect(
        half_recorded.to_pandas("students").query("student_id == 'bob'"),
        "school_year days_suspended\n 2014 -\n 2015 0",
    )
    expect(
        half_recorded.to_pandas("schools").query("school_id == 'S1'"),
        "school_year incident_rate\n 2014 -\n 2015 0.5",
    )
    said = said_of(half_recorded, "incidents")
    assert "not one record in 2013-14" in said
    assert "missing, not without incident" in said


def test_a_record_of_a_victim_is_one_of_the_year_and_one_on_a_day_without_school_is_not():
    result = student_years(
        incidents="student_id date role\n ann 2014-08-26 victim",
        absences="student_id date\n ann 2014-08-30",
    )
    expect(result, "student_id incidents days_enrolled attendance_rate\n ann 0 10 -")


def test_a_large_school_without_an_absence_record_has_no_attendance():
    """Ten days for each of 99 students at S2, of 100 at S3: 1,000 student-days are too many.

    Two students of each were there for half of the time.
    """
    many = "\n".join(
        f"many_{school}_{number:03} {school} 2014-08-25 2014-09-05"
        for school, others in (("S2", 98), ("S3", 99))
        for number in range(others)
    )
    with panel_from(
        calendar="\n".join(
            [
                "school_id date",
                *(
                    f"{row['school_id']} {row['date']}"
                    for s in SCHOOLS
                    for row in two_weeks(s, 2015)
                ),
            ]
        ),
        enrollments=f"""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            moved_s2    S1         2014-08-25  2014-08-29
            moved_s2    S2         2014-09-01  2014-09-05
            came_s2     S2         2014-08-25  2014-08-29
            moved_s3    S1         2014-08-25  2014-08-29
            moved_s3    S3         2014-09-01  2014-09-05
            came_s3     S3         2014-08-25  2014-08-29
            {many}
            """,
        absences="student_id date\n ann 2014-08-26\n moved_s2 2014-08-26\n moved_s3 2014-08-26",
    ) as panel:
        expect_students(
            panel.to_pandas(),
            """
            student_id  days_absent  attendance_rate
            ann         1            0.9
            came_s2     0            1
            came_s3     -            -
            moved_s2    1            0.9
            moved_s3    -            -
            """,
        )
        expect(
            panel.to_pandas("schools"),
            "school_id mean_attendance\n S1 0.9\n S2 1\n S3 -",
        )
        sentence = said_of(panel, "absences")
    assert "not one record in 2014-15 of <10 schools" in sentence
    assert "for the 101 student-years enrolled there" in sentence
    assert "S2" not in sentence
    assert "S3" not in sentence
