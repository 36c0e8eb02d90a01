"""Rules of discipline: who takes part, what is serious, suspensions."""

from __future__ import annotations

from homevisit_eval.design import Measurement
from panel_spec import expect, panel_from, student_years


def test_a_student_without_records_has_zero_incidents():
    expect(
        student_years(
            enrollments="student_id\n ann\n bob", incidents="student_id date\n bob 2014-08-26"
        ),
        """
        student_id  incidents  any_incident  any_serious_incident  any_suspension  days_suspended
        ann         0          0             0                     0               0
        bob         1          1             0                     0               0
        """,
    )


def test_without_an_incident_file_incidents_are_missing_not_zero():
    expect(
        student_years(),
        """
        student_id  incidents  any_incident  any_serious_incident  any_suspension  days_suspended
        ann         -          -             -                     -               -
        """,
    )


ROLES = {
    "enrollments": "student_id\n actor\n victim\n witness",
    "incidents": """
        student_id  date        role
        actor       2014-08-26  perpetrator
        victim      2014-08-26  victim
        witness     2014-08-26  witness
        """,
}


def test_victims_and_witnesses_do_not_count():
    expect(
        student_years(**ROLES),
        "student_id incidents any_incident\n actor 1 1\n victim 0 0\n witness 0 0",
    )


def test_the_roles_that_count_are_a_parameter():
    rule = Measurement(incident_roles=("perpetrator", "witness"))
    expect(student_years(rule, **ROLES), "student_id incidents\n actor 1\n victim 0\n witness 1")


def test_an_incident_is_serious_by_behavior_or_out_of_school_suspension():
    result = student_years(
        enrollments="student_id\n behavior\n neither\n outside\n within",
        incidents="""
            student_id  date        behavior    action                    days
            behavior    2014-08-26  weapon      none                      -
            neither     2014-08-26  disruption  other                     -
            outside     2014-08-26  disruption  out_of_school_suspension  2
            within      2014-08-26  disruption  in_school_suspension      1
            """,
    )
    expect(
        result,
        """
        student_id  any_incident  any_serious_incident  any_suspension  days_suspended
        behavior    1             1                     0               0
        neither     1             0                     0               0
        outside     1             1                     1               2
        within      1             0                     1               1
        """,
    )


def test_the_list_of_serious_behaviors_is_a_parameter():
    rule = Measurement(serious_behaviors=("fighting",))
    result = student_years(
        rule,
        enrollments="student_id\n ann\n bob",
        incidents="student_id date behavior\n ann 2014-08-26 fighting\n bob 2014-08-26 weapon",
    )
    expect(result, "student_id any_serious_incident\n ann 1\n bob 0")


def test_days_suspended_add_up_and_only_suspensions_have_any():
    result = student_years(
        incidents="""
            student_id  date        action                    days
            ann         2014-08-26  out_of_school_suspension  3
            ann         2014-08-27  in_school_suspension      0.5
            ann         2014-08-28  out_of_school_suspension  -
            ann         2014-08-29  other                     4
            """
    )
    expect(result, "student_id incidents days_suspended\n ann 4 3.5")


def test_an_incident_at_another_school_belongs_to_the_year_of_the_students_enrollment():
    result = student_years(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-08-29
            ann         S2         2014-09-01  2014-09-05
            """,
        incidents="""
            student_id  school_id  date
            ann         S2         2014-08-27
            ann         S2         2014-09-02
            ann         -          2014-09-03
            """,
    )
    expect(result, "student_id incidents\n ann 3")


def test_an_incident_outside_every_spell_of_the_student_is_counted_as_unused():
    tables = {
        "enrollments": "student_id exit_date\n ann 2014-08-29",
        "incidents": """
            student_id  date        role
            ann         2014-08-24  perpetrator
            ann         2014-08-26  perpetrator
            ann         2014-09-01  perpetrator
            ann         2014-08-26  victim
            """,
    }
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), "student_id incidents\n ann 1")
        steps = [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "incidents"]
    assert steps == [(4, 3), (3, 1), (1, 1)]


def test_an_incident_before_the_first_day_is_left_out_and_counted():
    """The spells of S2 start early, and so may its incidents: they may precede a visit."""
    tables = {
        "enrollments": """
            student_id  school_id  entry_date
            ann         S1         2014-08-18
            bob         S2         2014-08-18
            """,
        "calendar": """
            school_id  date
            S1         2014-08-25
            S1         2014-09-05
            S2         2014-08-27
            S2         2014-09-05
            """,
        "incidents": """
            student_id  date
            ann         2014-08-22
            ann         2014-08-25
            bob         2014-08-25
            bob         2014-08-26
            bob         2014-08-27
            """,
    }
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), "student_id incidents\n ann 1\n bob 1")
        expect(panel.to_pandas("history"), "student_id date\n ann 2014-08-25\n bob 2014-08-27")
        steps = [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "incidents"]
    assert steps == [(5, 5), (5, 5), (5, 2)]


def test_an_incident_on_a_weekend_within_the_spell_counts():
    expect(
        student_years(incidents="student_id date\n ann 2014-08-30"), "student_id incidents\n ann 1"
    )


def test_an_incident_in_overlapping_spells_counts_once():
    result = student_years(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-25  2014-09-05
            ann         S2         2014-09-01  2014-09-05
            """,
        incidents="student_id date\n ann 2014-09-02",
    )
    expect(result, "student_id incidents\n ann 1")


def test_incidents_fall_into_the_year_of_their_date():
    result = student_years(
        enrollments="student_id school_year\n ann 2014\n ann 2015",
        incidents="student_id date\n ann 2013-08-27\n ann 2013-08-28\n ann 2014-08-25",
    )
    expect(result, "school_year incidents\n 2014 2\n 2015 1")
