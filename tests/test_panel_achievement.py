"""Rules of achievement: standardized over all tested students, one score each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from homevisit_eval.panel.build import _achievement
from homevisit_eval.panel.engine import fetch_frame
from panel_spec import expect, sources_from, steps, student_years


def scored(**tables: str) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """Return what the step of the panel makes of tests and spells written as text, and counts."""
    with sources_from(**tables) as sources:
        enrolled = sources.enrollments.select("student_id", "school_year").unique()
        step = _achievement(enrolled, sources)
        rows = fetch_frame(step.rows, ("student_id", "school_year"))
        return rows, steps(step.counts, "assessments")


def test_scores_are_standardized_over_all_tested_students_not_over_the_enrolled():
    """Mean 720 and standard deviation 10 (divisor n - 1) of 710, 720 and 730."""
    result, _ = scored(
        enrollments="student_id\n ann",
        assessments="student_id scale_score\n ann 730\n left 720\n charter 710",
    )
    expect(result, "student_id math_score_std reading_score_std\n ann 1 -")


def test_the_cell_is_instrument_subject_grade_and_year():
    result = student_years(
        enrollments="""
            student_id  school_year
            ann         2014
            ann         2015
            bob         2015
            cid         2015
            dee         2015
            """,
        assessments="""
            student_id  school_year  instrument  subject  grade  scale_score
            ann         2014         dc_cas      math     3      50
            old         2014         dc_cas      math     3      52
            ann         2015         parcc       math     4      700
            bob         2015         parcc       math     4      750
            cid         2015         parcc       math     5      100
            dee         2015         parcc       math     5      101
            ann         2015         parcc       reading  4      3
            dee         2015         parcc       reading  4      1
            """,
    )
    z = round(1 / np.sqrt(2), 6)
    expect(
        result,
        f"""
        student_id  school_year  math_score_std  reading_score_std
        ann         2014         -{z}            -
        ann         2015         -{z}            {z}
        bob         2015         {z}             -
        cid         2015         -{z}            -
        dee         2015         {z}             -{z}
        """,
    )


def test_the_mean_is_zero_and_the_standard_deviation_one_over_the_tested():
    scores = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, 1]))).normal(
        740, 30, 40
    )
    rows = [f"s{number:02} {score:.3f}" for number, score in enumerate(scores)]
    result, _ = scored(
        enrollments="\n".join(["student_id", *(row.split()[0] for row in rows)]),
        assessments="\n".join(["student_id scale_score", *rows]),
    )
    expected = (np.round(scores, 3) - np.round(scores, 3).mean()) / np.round(scores, 3).std(ddof=1)
    np.testing.assert_allclose(result.math_score_std, expected, rtol=0, atol=1e-12)


def test_a_cell_with_one_student_or_equal_scores_has_no_standardized_score_and_is_counted():
    tables = {
        "enrollments": "student_id\n ann\n bob\n cid",
        "assessments": """
            student_id  grade  scale_score
            ann         4      700
            bob         5      700
            cid         5      700
            """,
    }
    result, counts = scored(**tables)
    expect(result, "student_id math_score_std\n ann -\n bob -\n cid -")
    assert counts == [(3, 3), (3, 0), (0, 0), (0, 0)]


def test_of_two_tests_in_one_subject_the_one_that_most_students_took_counts():
    tables = {
        "enrollments": "student_id\n ann\n bob\n cid",
        "assessments": """
            student_id  instrument  scale_score
            ann         other       1
            bob         other       3
            ann         dc_cas      30
            bob         dc_cas      20
            cid         dc_cas      10
            """,
    }
    result, counts = scored(**tables)
    expect(result, "student_id math_score_std\n ann 1\n bob 0\n cid -1")
    assert counts == [(5, 5), (5, 5), (5, 3), (3, 3)]


def test_an_empty_score_is_no_test_taken():
    result, _ = scored(
        enrollments="student_id\n ann\n bob\n cid",
        assessments="student_id scale_score\n ann 1\n bob 3\n cid -",
    )
    z = round(1 / np.sqrt(2), 6)
    expect(result, f"student_id math_score_std\n ann -{z}\n bob {z}\n cid -")


def test_without_an_assessment_file_scores_are_missing():
    """That it was not delivered is said by the whole panel."""
    result, counts = scored()
    expect(result, "student_id math_score_std reading_score_std\n ann - -")
    assert counts == []
