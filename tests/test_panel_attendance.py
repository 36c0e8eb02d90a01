"""Rules of attendance: what counts as absent, partial days, chronic absence, truancy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import narwhals as nw
import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from homevisit_eval.panel import Panel, build_panel
from homevisit_eval.panel.attendance import (
    absence_days,
    absences_on_school_days,
    attendance_sums,
)
from homevisit_eval.panel.counts import count_absences
from homevisit_eval.panel.engine import Frame, fetch_frame
from homevisit_eval.sources import Sources
from panel_spec import expect, expect_students, sources_from, steps, student_years

ENROLLMENTS = """
    student_id     school_year  exit_date
    no_record      2015         2014-09-05
    one_day        2015         2014-09-05
    each_category  2015         2014-09-05
    wrong_days     2015         2014-09-02
    late           2015         2014-09-05
    late_and_away  2015         2014-09-05
    twice_whole    2015         2014-09-05
    twice_partly   2015         2014-09-05
    parts          2015         2014-09-05
    halves         2015         2014-09-05
    two_years      2014         2013-09-06
    two_years      2015         2014-09-05
    """
ABSENCES = """
    student_id     school_id  date        category   fraction
    one_day        S1         2014-08-25  excused    1
    each_category  S1         2014-08-25  excused    1
    each_category  S1         2014-08-26  unexcused  1
    each_category  S1         2014-08-27  unexcused  0.5
    each_category  S1         2014-08-28  partial    0.25
    each_category  S1         2014-08-29  tardy      0
    wrong_days     S1         2014-08-25  excused    1
    wrong_days     S1         2014-08-30  excused    1
    wrong_days     S1         2014-09-03  excused    1
    wrong_days     S2         2014-08-27  excused    1
    late           S1         2014-08-25  tardy      0
    late           S1         2014-08-26  tardy      0.3
    late           S1         2014-08-27  excused    1
    late_and_away  S1         2014-08-25  tardy      0
    late_and_away  S1         2014-08-25  partial    0.5
    twice_whole    S1         2014-08-25  excused    1
    twice_whole    S1         2014-08-25  unexcused  1
    twice_partly   S1         2014-08-25  excused    0.25
    twice_partly   S1         2014-08-25  partial    0.5
    parts          S1         2014-08-25  partial    0.20
    parts          S1         2014-08-26  partial    0.21
    parts          S1         2014-08-27  unexcused  0.5
    parts          S1         2014-08-28  excused    0.1
    parts          S1         2014-08-28  partial    0.1
    halves         S1         2014-08-25  unexcused  0.5
    halves         S1         2014-08-26  unexcused  0.5
    halves         S1         2014-08-27  unexcused  0.5
    halves         S1         2014-08-28  unexcused  0.5
    halves         S1         2014-08-29  unexcused  0.5
    halves         S1         2014-09-01  unexcused  0.5
    halves         S1         2014-09-02  unexcused  0.5
    halves         S1         2014-09-03  unexcused  0.5
    halves         S1         2014-09-04  unexcused  0.5
    halves         S1         2014-09-05  unexcused  0.5
    two_years      S1         2013-08-26  partial    0.5
    two_years      S1         2014-08-25  partial    0.5
    """


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with sources_from(enrollments=ENROLLMENTS, absences=ABSENCES) as sources:
        yield sources


@pytest.fixture(scope="module")
def panel(sources: Sources) -> Panel:
    return build_panel(sources)


@pytest.fixture(scope="module")
def measured(panel: Panel) -> pd.DataFrame:
    return panel.to_pandas()


@pytest.fixture(scope="module")
def by_80_20(sources: Sources) -> pd.DataFrame:
    return build_panel(sources, Measurement(partial_day="absent_if_over")).to_pandas()


def days_of(
    student: str, sources: Sources, panel: Panel, rule: Measurement
) -> tuple[Frame, Frame, Frame]:
    """Return a student's records, those on days of school, and the days missed by a rule."""
    numbers = panel.school_days.with_columns(instructional=nw.lit(1))
    records = sources.absences.filter(nw.col("student_id") == student)
    dated = absences_on_school_days(records, numbers)
    return records, dated, absence_days(dated, panel.stretches, rule)


def sums_of(student: str, sources: Sources, panel: Panel, rule: Measurement) -> pd.DataFrame:
    *_, days = days_of(student, sources, panel, rule)
    return fetch_frame(attendance_sums(days), ("student_id", "school_year"))


def test_a_student_without_records_was_present_every_day(measured):
    expect_students(
        measured,
        """
        student_id  days_enrolled  days_absent  attendance_rate  chronic_absence  chronic_truancy
        no_record   10             0            1                0                0
        one_day     10             1            0.9              0                0
        """,
    )


def test_days_are_counted_by_category(measured):
    expect_students(
        measured,
        """
        student_id     days_absent  days_excused  days_unexcused  days_unexcused_full  days_tardy
        each_category  2.75         1             1.5             1                    1
        """,
    )


def test_an_absence_on_a_day_without_school_or_outside_enrollment_does_not_count(
    measured, sources, panel
):
    expect_students(measured, "student_id days_enrolled days_absent\n wrong_days 7 1")
    counts = count_absences(*days_of("wrong_days", sources, panel, Measurement()))
    assert steps(counts, "absences") == [(4, 3), (3, 1), (1, 1)]


def test_a_tardy_is_not_an_absence_but_is_not_on_time(measured):
    expect_students(
        measured,
        """
        student_id  days_absent  days_tardy  attendance_rate  on_time_attendance_rate
        late        1            2           0.9              0.7
        """,
    )


def test_a_day_late_and_missed_in_part_is_one_day_not_on_time(measured):
    expect_students(
        measured, "student_id attendance_rate on_time_attendance_rate\n late_and_away 0.95 0.9"
    )


def test_records_of_one_day_add_up_to_at_most_one_day(measured, sources, panel):
    expect_students(
        measured,
        """
        student_id    days_absent  days_excused  days_unexcused  days_unexcused_full
        twice_partly  0.75         0.25          0               0
        twice_whole   1            0.5           0.5             0
        """,
    )
    counts = count_absences(*days_of("twice_whole", sources, panel, Measurement()))
    assert steps(counts, "absences") == [(2, 2), (2, 2), (2, 1)]


def test_by_default_a_partial_day_counts_as_the_fraction_missed(measured):
    expect_students(
        measured,
        "student_id days_absent days_unexcused days_unexcused_full\n parts 1.11 0.5 0",
    )


def test_under_the_80_20_rule_a_day_counts_whole_if_more_than_a_fifth_was_missed(by_80_20):
    expect_students(
        by_80_20, "student_id days_absent days_unexcused days_unexcused_full\n parts 2 1 1"
    )


def test_under_the_80_20_rule_a_long_unexcused_part_is_a_full_day(measured, by_80_20):
    expect_students(measured, "student_id days_unexcused chronic_truancy\n halves 5 0")
    expect_students(by_80_20, "student_id days_unexcused chronic_truancy\n halves 10 1")


def test_the_threshold_of_the_80_20_rule_is_a_parameter(sources, panel):
    rule = Measurement(partial_day="absent_if_over", partial_day_threshold=0.5)
    expect(sums_of("parts", sources, panel, rule), "student_id days_absent\n parts 0")


@pytest.mark.parametrize(
    "rule",
    [
        Measurement(partial_day_by_year=((2015, "absent_if_over"),)),
        Measurement(partial_day="absent_if_over", partial_day_by_year=((2014, "fraction"),)),
    ],
)
def test_the_rule_for_partial_days_may_change_from_year_to_year(rule, sources, panel):
    result = sums_of("two_years", sources, panel, rule)
    expect(result, "school_year days_absent\n 2014 0.5\n 2015 1")


# -- a year of 180 days ---------------------------------------------------------------------

HUNDRED_EIGHTY_DAYS = [
    day for day in (date(2014, 8, 25) + timedelta(days=d) for d in range(252)) if day.weekday() < 5
]
MISSED = {
    "less": (17, "1", "excused"),
    "tenth": (18, "1", "excused"),
    "more": (19, "1", "excused"),
    "tenths": (180, "0.1", "partial"),
    "three_tenths": (60, "0.3", "partial"),
    "fifteen_hundredths": (120, "0.15", "partial"),
    "truant_nine": (9, "1", "unexcused"),
    "truant_ten": (10, "1", "unexcused"),
    "truant_twenty_halves": (20, "0.5", "unexcused"),
    "truant_excused": (10, "1", "excused"),
}
"""Of each student the first days of which a part was missed, that part, and its category."""


def long_year(most: int) -> dict[str, str]:
    """Return a year of 180 days with the students of `MISSED`, and some enrolled for less.

    Of 1 to `most` days enrolled the latter miss a tenth, in whole days and tenths of days.
    """
    assert len(HUNDRED_EIGHTY_DAYS) == 180
    enrollments, absences = ["student_id exit_date"], ["student_id date category fraction"]
    for student, (days, fraction, category) in MISSED.items():
        enrollments.append(f"{student} {HUNDRED_EIGHTY_DAYS[-1]}")
        absences += [f"{student} {d} {category} {fraction}" for d in HUNDRED_EIGHTY_DAYS[:days]]
    for enrolled in range(1, most + 1):
        enrollments.append(f"for_{enrolled} {HUNDRED_EIGHTY_DAYS[enrolled - 1]}")
        whole, tenths = divmod(enrolled, 10)
        parts = [*("excused 1" for _ in range(whole)), *("partial 0.1" for _ in range(tenths))]
        dated = zip(HUNDRED_EIGHTY_DAYS, parts, strict=False)
        absences += [f"for_{enrolled} {day} {part}" for day, part in list(dated)[:enrolled]]
    return {
        "calendar": "\n".join(["date", *map(str, HUNDRED_EIGHTY_DAYS)]),
        "enrollments": "\n".join(enrollments),
        "absences": "\n".join(absences),
    }


OTHER_RULES = Measurement(chronic_absence_inclusive=True, chronic_truancy_days=9)


@pytest.fixture(scope="module")
def long() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the long year by the default rules and by others."""
    with sources_from(**long_year(60)) as sources:
        return build_panel(sources).to_pandas(), build_panel(sources, OTHER_RULES).to_pandas()


def chronic_of_some_days(frame: pd.DataFrame) -> list[float]:
    return list(frame[frame.student_id.str.startswith("for_")].chronic_absence)


def test_exactly_ten_percent_is_chronic_only_if_the_rule_is_inclusive(long):
    default, inclusive = long
    expect_students(
        default, "student_id days_absent chronic_absence\n less 17 0\n more 19 1\n tenth 18 0"
    )
    expect_students(
        inclusive, "student_id days_absent chronic_absence\n less 17 0\n more 19 1\n tenth 18 1"
    )


def test_ten_percent_made_of_fractions_is_exactly_ten_percent(long):
    students = ("tenths", "three_tenths", "fifteen_hundredths")
    for days, fraction, _ in (MISSED[student] for student in students):
        assert sum([float(fraction)] * days) != 18, "a case in which plain addition is not exact"
    default, inclusive = (frame[frame.student_id.isin(students)] for frame in long)
    assert list(default.days_absent) == [18, 18, 18]
    assert list(default.chronic_absence) == [0, 0, 0]
    assert list(inclusive.chronic_absence) == [1, 1, 1]


def test_a_tenth_of_1_to_60_days_is_exactly_a_tenth(long):
    """0.1 x 3, for one, is not 0.3 in binary."""
    default, inclusive = long
    assert chronic_of_some_days(default) == [0] * 60
    assert chronic_of_some_days(inclusive) == [1] * 60


@pytest.mark.slow
def test_a_tenth_of_1_to_180_days_is_exactly_a_tenth():
    year = long_year(180)
    assert chronic_of_some_days(student_years(**year)) == [0] * 180
    assert chronic_of_some_days(student_years(OTHER_RULES, **year)) == [1] * 180


def test_a_chronic_truant_has_ten_unexcused_full_days(long):
    default, nine_days = long
    expect_students(
        default,
        """
        student_id            days_unexcused  chronic_truancy
        truant_excused        0               0
        truant_nine           9               0
        truant_ten            10              1
        truant_twenty_halves  10              0
        """,
    )
    truants = nine_days[nine_days.student_id.str.startswith("truant")]
    assert list(truants.chronic_truancy) == [0, 1, 1, 0]
