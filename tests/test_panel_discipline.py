"""Rules of discipline: who takes part, what is serious, suspensions."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from homevisit_eval.panel import build_panel
from homevisit_eval.sources import Sources
from panel_spec import expect_students, panel_from, sources_from, steps

ENROLLMENTS = """
    student_id    school_id  school_year  entry_date  exit_date
    no_record     S1         2015         2014-08-25  2014-09-05
    actor         S1         2015         2014-08-25  2014-09-05
    victim        S1         2015         2014-08-25  2014-09-05
    witness       S1         2015         2014-08-25  2014-09-05
    weapon        S1         2015         2014-08-25  2014-09-05
    fighting      S1         2015         2014-08-25  2014-09-05
    neither       S1         2015         2014-08-25  2014-09-05
    outside       S1         2015         2014-08-25  2014-09-05
    within        S1         2015         2014-08-25  2014-09-05
    four_actions  S1         2015         2014-08-25  2014-09-05
    moved         S1         2015         2014-08-25  2014-08-29
    moved         S2         2015         2014-09-01  2014-09-05
    weekend       S1         2015         2014-08-25  2014-09-05
    twice         S1         2015         2014-08-25  2014-09-05
    twice         S2         2015         2014-09-01  2014-09-05
    two_years     S1         2014         2013-08-26  2013-09-06
    two_years     S1         2015         2014-08-25  2014-09-05
    """
INCIDENTS = """
    student_id    school_id  date        role         behavior    action                    days
    actor         S1         2014-08-26  perpetrator  disruption  none                      -
    victim        S1         2014-08-26  victim       disruption  none                      -
    witness       S1         2014-08-26  witness      disruption  none                      -
    weapon        S1         2014-08-26  perpetrator  weapon      none                      -
    fighting      S1         2014-08-26  perpetrator  fighting    none                      -
    neither       S1         2014-08-26  perpetrator  disruption  other                     -
    outside       S1         2014-08-26  perpetrator  disruption  out_of_school_suspension  2
    within        S1         2014-08-26  perpetrator  disruption  in_school_suspension      1
    four_actions  S1         2014-08-26  perpetrator  disruption  out_of_school_suspension  3
    four_actions  S1         2014-08-27  perpetrator  disruption  in_school_suspension      0.5
    four_actions  S1         2014-08-28  perpetrator  disruption  out_of_school_suspension  -
    four_actions  S1         2014-08-29  perpetrator  disruption  other                     4
    moved         S2         2014-08-27  perpetrator  disruption  none                      -
    moved         S2         2014-09-02  perpetrator  disruption  none                      -
    moved         -          2014-09-03  perpetrator  disruption  none                      -
    weekend       S1         2014-08-30  perpetrator  disruption  none                      -
    twice         S1         2014-09-02  perpetrator  disruption  none                      -
    two_years     S1         2013-08-27  perpetrator  disruption  none                      -
    two_years     S1         2013-08-28  perpetrator  disruption  none                      -
    two_years     S1         2014-08-25  perpetrator  disruption  none                      -
    """


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with sources_from(enrollments=ENROLLMENTS, incidents=INCIDENTS) as sources:
        yield sources


@pytest.fixture(scope="module")
def result(sources: Sources) -> pd.DataFrame:
    return build_panel(sources).to_pandas()


@pytest.fixture(scope="module")
def by_other_rules(sources: Sources) -> pd.DataFrame:
    rules = Measurement(incident_roles=("perpetrator", "witness"), serious_behaviors=("fighting",))
    return build_panel(sources, rules).to_pandas()


def test_a_student_without_records_has_zero_incidents(result):
    expect_students(
        result,
        """
        student_id  incidents  any_incident  any_serious_incident  any_suspension  days_suspended
        actor       1          1             0                     0               0
        no_record   0          0             0                     0               0
        """,
    )


def test_victims_and_witnesses_do_not_count(result):
    expect_students(
        result, "student_id incidents any_incident\n actor 1 1\n victim 0 0\n witness 0 0"
    )


def test_the_roles_that_count_are_a_parameter(by_other_rules):
    expect_students(by_other_rules, "student_id incidents\n actor 1\n victim 0\n witness 1")


def test_an_incident_is_serious_by_behavior_or_out_of_school_suspension(result):
    expect_students(
        result,
        """
        student_id  any_incident  any_serious_incident  any_suspension  days_suspended
        neither     1             0                     0               0
        outside     1             1                     1               2
        weapon      1             1                     0               0
        within      1             0                     1               1
        """,
    )


def test_the_list_of_serious_behaviors_is_a_parameter(by_other_rules):
    expect_students(by_other_rules, "student_id any_serious_incident\n fighting 1\n weapon 0")


def test_days_suspended_add_up_and_only_suspensions_have_any(result):
    expect_students(result, "student_id incidents days_suspended\n four_actions 4 3.5")


def test_an_incident_at_another_school_belongs_to_the_year_of_the_students_enrollment(result):
    expect_students(result, "student_id incidents\n moved 3")


def test_an_incident_on_a_weekend_within_the_spell_counts(result):
    expect_students(result, "student_id incidents\n weekend 1")


def test_an_incident_in_overlapping_spells_counts_once(result):
    expect_students(result, "student_id incidents\n twice 1")


def test_incidents_fall_into_the_year_of_their_date(result):
    expect_students(
        result, "student_id school_year incidents\n two_years 2014 2\n two_years 2015 1"
    )


def test_incidents_outside_every_spell_or_before_the_first_day_are_left_out_and_counted():
    """The spells of S2 start early, and so may its incidents: they may precede a visit."""
    with panel_from(
        enrollments="""
            student_id  school_id  entry_date  exit_date
            ann         S1         2014-08-18  2014-09-05
            bob         S2         2014-08-18  2014-09-05
            cid         S1         2014-08-25  2014-08-29
            """,
        calendar="""
            school_id  date
            S1         2014-08-25
            S1         2014-09-05
            S2         2014-08-27
            S2         2014-09-05
            """,
        incidents="""
            student_id  date        role
            ann         2014-08-22  perpetrator
            ann         2014-08-25  perpetrator
            bob         2014-08-25  perpetrator
            bob         2014-08-26  perpetrator
            bob         2014-08-27  perpetrator
            cid         2014-08-24  perpetrator
            cid         2014-08-26  perpetrator
            cid         2014-09-01  perpetrator
            cid         2014-08-26  victim
            """,
    ) as panel:
        expect_students(panel.to_pandas(), "student_id incidents\n ann 1\n bob 1\n cid 1")
        expect_students(
            panel.to_pandas("history"),
            "student_id date\n ann 2014-08-25\n bob 2014-08-27\n cid 2014-08-26",
        )
        assert steps(panel.counts, "incidents") == [(9, 8), (8, 6), (6, 3)]
