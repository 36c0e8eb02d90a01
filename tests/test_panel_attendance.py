"""Rules of attendance: what counts as absent, partial days, chronic absence, truancy."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from homevisit_eval.design import Measurement
from panel_spec import expect, panel_from, student_years

HUNDRED_EIGHTY_DAYS = [
    day for day in (date(2014, 8, 25) + timedelta(days=d) for d in range(252)) if day.weekday() < 5
]


def long_year(**missed: tuple[int, str, str]) -> dict[str, str]:
    """Return a year of 180 days of which each student misses (a part of) the first few.

    Each student is given days, the fraction of each that was missed, and a category.
    """
    assert len(HUNDRED_EIGHTY_DAYS) == 180
    enrollments, absences = ["student_id exit_date"], ["student_id date category fraction"]
    for student, (days, fraction, category) in missed.items():
        enrollments.append(f"{student} {HUNDRED_EIGHTY_DAYS[-1]}")
        absences += [f"{student} {d} {category} {fraction}" for d in HUNDRED_EIGHTY_DAYS[:days]]
    return {
        "calendar": "\n".join(["date", *map(str, HUNDRED_EIGHTY_DAYS)]),
        "enrollments": "\n".join(enrollments),
        "absences": "\n".join(absences),
    }


def test_a_student_without_records_was_present_every_day():
    result = student_years(
        enrollments="student_id\n ann\n bob", absences="student_id date\n bob 2014-08-25"
    )
    expect(
        result,
        """
        student_id  days_enrolled  days_absent  attendance_rate  chronic_absence  chronic_truancy
        ann         10             0            1                0                0
        bob         10             1            0.9              0                0
        """,
    )


def test_days_are_counted_by_category():
    result = student_years(
        absences="""
            student_id  date        category   fraction
            ann         2014-08-25  excused    1
            ann         2014-08-26  unexcused  1
            ann         2014-08-27  unexcused  0.5
            ann         2014-08-28  partial    0.25
            ann         2014-08-29  tardy      0
            """
    )
    expect(
        result,
        """
        student_id  days_absent  days_excused  days_unexcused  days_unexcused_full  days_tardy
        ann         2.75         1             1.5             1                    1
        """,
    )


def test_an_absence_on_a_day_without_school_or_outside_enrollment_does_not_count():
    tables = {
        "enrollments": "student_id exit_date\n ann 2014-09-02",
        "absences": """
            student_id  school_id  date
            ann         S1         2014-08-25
            ann         S1         2014-08-30
            ann         S1         2014-09-03
            ann         S2         2014-08-27
            """,
    }
    expect(student_years(**tables), "student_id days_enrolled days_absent\n ann 7 1")
    with panel_from(**tables) as panel:
        steps = [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "absences"]
    assert steps == [(4, 3), (3, 1), (1, 1)]


def test_a_tardy_is_not_an_absence_but_is_not_on_time():
    result = student_years(
        absences="""
            student_id  date        category  fraction
            ann         2014-08-25  tardy     0
            ann         2014-08-26  tardy     0.3
            ann         2014-08-27  excused   1
            """
    )
    expect(
        result,
        """
        student_id  days_absent  days_tardy  attendance_rate  on_time_attendance_rate
        ann         1            2           0.9              0.7
        """,
    )


def test_a_day_late_and_missed_in_part_is_one_day_not_on_time():
    result = student_years(
        absences="""
            student_id  date        category  fraction
            ann         2014-08-25  tardy     0
            ann         2014-08-25  partial   0.5
            """
    )
    expect(result, "student_id attendance_rate on_time_attendance_rate\n ann 0.95 0.9")


def test_records_of_one_day_add_up_to_at_most_one_day():
    result = student_years(
        absences="""
            student_id  date        category   fraction
            ann         2014-08-25  excused    1
            ann         2014-08-25  unexcused  1
            bob         2014-08-25  excused    0.25
            bob         2014-08-25  partial    0.5
            """,
        enrollments="student_id\n ann\n bob",
    )
    expect(
        result,
        """
        student_id  days_absent  days_excused  days_unexcused  days_unexcused_full
        ann         1            0.5           0.5             0
        bob         0.75         0.25          0               0
        """,
    )


PARTIAL_DAYS = """
    student_id  date        category   fraction
    ann         2014-08-25  partial    0.20
    ann         2014-08-26  partial    0.21
    ann         2014-08-27  unexcused  0.5
    ann         2014-08-28  excused    0.1
    ann         2014-08-28  partial    0.1
    """


def test_by_default_a_partial_day_counts_as_the_fraction_missed():
    expect(
        student_years(absences=PARTIAL_DAYS),
        "student_id days_absent days_unexcused days_unexcused_full\n ann 1.11 0.5 0",
    )


def test_under_the_80_20_rule_a_day_counts_whole_if_more_than_a_fifth_was_missed():
    rule = Measurement(partial_day="absent_if_over")
    expect(
        student_years(rule, absences=PARTIAL_DAYS),
        "student_id days_absent days_unexcused days_unexcused_full\n ann 2 1 1",
    )


def test_the_threshold_of_the_80_20_rule_is_a_parameter():
    rule = Measurement(partial_day="absent_if_over", partial_day_threshold=0.5)
    expect(student_years(rule, absences=PARTIAL_DAYS), "student_id days_absent\n ann 0")


@pytest.mark.parametrize(
    "rule",
    [
        Measurement(partial_day_by_year=((2015, "absent_if_over"),)),
        Measurement(partial_day="absent_if_over", partial_day_by_year=((2014, "fraction"),)),
    ],
)
def test_the_rule_for_partial_days_may_change_from_year_to_year(rule):
    result = student_years(
        rule,
        enrollments="student_id school_year\n ann 2014\n ann 2015",
        absences="""
            student_id  date        category  fraction
            ann         2013-08-26  partial   0.5
            ann         2014-08-25  partial   0.5
            """,
    )
    expect(result, "school_year days_absent\n 2014 0.5\n 2015 1")


def test_exactly_ten_percent_is_chronic_only_if_the_rule_is_inclusive():
    year = long_year(
        less=(17, "1", "excused"), tenth=(18, "1", "excused"), more=(19, "1", "excused")
    )
    expect(
        student_years(**year),
        "student_id days_absent chronic_absence\n less 17 0\n more 19 1\n tenth 18 0",
    )
    expect(
        student_years(Measurement(chronic_absence_inclusive=True), **year),
        "student_id days_absent chronic_absence\n less 17 0\n more 19 1\n tenth 18 1",
    )


def test_ten_percent_made_of_fractions_is_exactly_ten_percent():
    fractions = {"ann": ("0.1", 180), "bob": ("0.3", 60), "cid": ("0.15", 120)}
    for fraction, days in fractions.values():
        assert sum([float(fraction)] * days) != 18, "a case in which plain addition is not exact"
    year = long_year(
        **{name: (days, fraction, "partial") for name, (fraction, days) in fractions.items()}
    )
    result = student_years(**year)
    assert list(result.days_absent) == [18, 18, 18]
    assert list(result.chronic_absence) == [0, 0, 0]
    inclusive = student_years(Measurement(chronic_absence_inclusive=True), **year)
    assert list(inclusive.chronic_absence) == [1, 1, 1]


@pytest.mark.parametrize("most", [60, pytest.param(180, marks=pytest.mark.slow)])
def test_a_tenth_of_any_number_of_days_is_exactly_a_tenth(most):
    """0.1 x 3, for one, is not 0.3 in binary: a tenth is missed of 1 to 60 (180) days enrolled."""
    calendar = "\n".join(["date", *map(str, HUNDRED_EIGHTY_DAYS)])
    enrollments, absences = ["student_id exit_date"], ["student_id date category fraction"]
    for enrolled in range(1, most + 1):
        enrollments.append(f"s{enrolled} {HUNDRED_EIGHTY_DAYS[enrolled - 1]}")
        whole, tenths = divmod(enrolled, 10)
        days = [*("excused 1" for _ in range(whole)), *("partial 0.1" for _ in range(tenths))]
        dated = zip(HUNDRED_EIGHTY_DAYS, days, strict=False)
        absences += [f"s{enrolled} {day} {record}" for day, record in list(dated)[:enrolled]]
    text = {
        "calendar": calendar,
        "enrollments": "\n".join(enrollments),
        "absences": "\n".join(absences),
    }
    assert student_years(Measurement(), **text).chronic_absence.sum() == 0
    inclusive = Measurement(chronic_absence_inclusive=True)
    assert student_years(inclusive, **text).chronic_absence.sum() == most


def test_a_chronic_truant_has_ten_unexcused_full_days():
    year = long_year(
        nine=(9, "1", "unexcused"),
        ten=(10, "1", "unexcused"),
        twenty_halves=(20, "0.5", "unexcused"),
        excused=(10, "1", "excused"),
    )
    expect(
        student_years(**year),
        """
        student_id     days_unexcused  chronic_truancy
        excused        0               0
        nine           9               0
        ten            10              1
        twenty_halves  10              0
        """,
    )
    nine_days = Measurement(chronic_truancy_days=9)
    assert list(student_years(nine_days, **year).chronic_truancy) == [0, 1, 1, 0]


def test_under_the_80_20_rule_a_long_unexcused_part_is_a_full_day():
    rule = Measurement(partial_day="absent_if_over")
    year = long_year(ann=(10, "0.5", "unexcused"))
    expect(student_years(rule, **year), "student_id days_unexcused chronic_truancy\n ann 10 1")
