"""Rules of family engagement: half of the items, standardized over all respondents, one score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import SourceError
from homevisit_eval.panel.build import _engagement
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.panel.reliability import RELIABILITY_COLUMNS, scale_reliability
from panel_spec import expect, panel_from, sources_from, steps, student_years

SCHOOL, HOME = "engagement_at_school", "involvement_at_home"


def answers(text: str, year: int = 2015, scale: str = SCHOOL) -> list[str]:
    """Return rows of surveys: a line names the respondent, the student, then q1, q2, ..."""
    rows = []
    for line in text.strip().splitlines():
        who, student, *given = line.split()
        rows += [
            f"{who} {student} {year} {scale} q{number} {response}"
            for number, response in enumerate(given, start=1)
            if response != "."
        ]
    return rows


def surveys(*blocks: list[str]) -> str:
    header = "respondent_id student_id school_year scale item response"
    return "\n".join([header, *(row for block in blocks for row in block)])


@dataclass
class Scored:
    """Student-years with their scores, and the counts and gaps of this step of the panel."""

    rows: pd.DataFrame
    steps: list[tuple[int, int]]
    missing: tuple[str, ...]


def scored(**tables: str) -> Scored:
    """Return what the step of the panel makes of answers and spells written as text."""
    with sources_from(**tables) as sources:
        student_years = sources.enrollments.select("student_id", "school_year").unique()
        step = _engagement(student_years, sources)
        rows = fetch_frame(step.rows, ("student_id", "school_year"))
        return Scored(rows, steps(step.counts, "surveys"), step.missing)


THREE = "student_id\n ann\n bob\n cid"


def test_a_scale_is_the_mean_of_its_items_in_standard_deviations_of_all_respondents():
    """Means 2, 3 and 4: mean 3, standard deviation 1 (divisor n - 1)."""
    result = scored(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 1 3\n r2 bob 3 3\n r3 cid 5 3")),
    )
    expect(
        result.rows,
        f"student_id {SCHOOL} {HOME}\n ann -1 -\n bob 0 -\n cid 1 -",
    )


def test_answers_without_a_student_count_for_mean_and_sd_and_for_no_student():
    tables = {
        "enrollments": "student_id\n ann\n bob",
        "surveys": surveys(answers("r1 ann 4 4\n r2 - 3 3\n r3 - 2 2")),
    }
    found = scored(**tables)
    expect(found.rows, f"student_id {SCHOOL}\n ann 1\n bob -")
    assert found.steps == [(6, 6), (6, 6), (6, 3), (3, 3), (3, 1), (1, 1), (1, 1)]


def test_at_least_half_of_the_items_must_be_answered():
    """Of four items: two are enough, one is not; the mean is over those answered."""
    tables = {
        "enrollments": THREE,
        "surveys": surveys(answers("r1 ann 5 3 - -\n r2 bob 2 - - -\n r3 cid 2 2 2 2")),
    }
    z = round(1 / np.sqrt(2), 6)
    found = scored(**tables)
    expect(found.rows, f"student_id {SCHOOL}\n ann {z}\n bob -\n cid -{z}")
    assert found.steps[:3] == [(12, 7), (7, 6), (6, 2)]


def test_the_items_of_a_scale_are_those_asked_that_year_of_anyone():
    """Three items stand in the file of 2015: an answer to one is under half of them."""
    result = scored(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 5 . .\n r2 bob . 2 4\n r3 cid 1 1 1")),
    )
    z = round(1 / np.sqrt(2), 6)
    expect(result.rows, f"student_id {SCHOOL}\n ann -\n bob {z}\n cid -{z}")


def test_several_respondents_of_a_student_are_averaged():
    """Scores 1, 3, 5 and 3: mean 3, variance 8/3; ann has the mean of two."""
    result = scored(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 1\n r2 ann 3\n r3 bob 5\n r4 - 3")),
    )
    expect(
        result.rows,
        f"student_id {SCHOOL}\n ann {round(-1 / np.sqrt(8 / 3), 6)}\n"
        f"bob {round(2 / np.sqrt(8 / 3), 6)}\n cid -",
    )


def test_scales_and_years_are_standardized_apart():
    result = student_years(
        enrollments="""
            student_id  school_year
            ann         2014
            ann         2015
            bob         2014
            bob         2015
            """,
        surveys=surveys(
            answers("r1 ann 1 1\n r2 bob 2 2", 2014),
            answers("r1 ann 5 5\n r2 bob 1 1", 2015),
            answers("r1 ann 2 2\n r2 bob 3 3", 2015, HOME),
        ),
    )
    z = round(1 / np.sqrt(2), 6)
    expect(
        result,
        f"""
        student_id  school_year  {SCHOOL}  {HOME}
        ann         2014         -{z}      -
        ann         2015         {z}       -{z}
        bob         2014         {z}       -
        bob         2015         -{z}      {z}
        """,
    )


def test_equal_scores_or_one_respondent_cannot_be_standardized_and_are_counted():
    tables = {
        "enrollments": THREE,
        "surveys": surveys(answers("r1 ann 3\n r2 bob 3"), answers("r1 ann 4", 2015, HOME)),
    }
    found = scored(**tables)
    expect(found.rows, f"student_id {SCHOOL} {HOME}\n ann - -\n bob - -\n cid - -")
    assert found.steps == [(3, 3), (3, 3), (3, 3), (3, 0), (0, 0), (0, 0), (0, 0)]


def test_answers_of_one_respondent_about_two_students_belong_to_neither():
    rows = [f"r1 ann 2015 {SCHOOL} q1 5", f"r1 bob 2015 {SCHOOL} q2 5"]
    tables = {"enrollments": THREE, "surveys": surveys(rows, answers("r2 cid 1 1"))}
    z = round(1 / np.sqrt(2), 6)
    found = scored(**tables)
    expect(found.rows, f"student_id {SCHOOL}\n ann -\n bob -\n cid -{z}")
    assert (2, 1) in found.steps


def test_a_student_who_is_not_enrolled_that_year_counts_for_the_scale_and_is_counted():
    tables = {
        "enrollments": "student_id\n ann",
        "surveys": surveys(answers("r1 ann 5 5\n r2 gone 1 1")),
    }
    found = scored(**tables)
    expect(found.rows, f"student_id {SCHOOL}\n ann {round(1 / np.sqrt(2), 6)}")
    assert found.steps[-1] == (2, 1)


def test_what_is_missing_is_said():
    without = scored()
    expect(without.rows, f"student_id {SCHOOL} {HOME}\n ann - -")
    assert without.steps == []  # that the file was not delivered is said by the whole panel
    both = "student_id school_year\n ann 2014\n ann 2015\n bob 2015"
    [said] = scored(enrollments=both, surveys=surveys(answers("r1 ann 5 5\n r2 bob 1 1"))).missing
    assert said.startswith("surveys")
    assert "not one answer in 2013-14" in said
    assert "<10 student-years" in said
    assert "ann" not in said.replace("cannot", "")
    [said] = scored(surveys=surveys(answers("r1 - 5 5\n r2 - 1 1"))).missing
    assert said.startswith("surveys names no student")


def test_empty_answers_are_no_answers():
    found = scored(surveys=surveys(answers("r1 ann - -\n r2 - - -")))
    expect(found.rows, f"student_id {SCHOOL}\n ann -")
    assert found.steps[0] == (4, 0)
    assert any("not one answer in 2014-15" in sentence for sentence in found.missing)


# -- reliability ----------------------------------------------------------------------------

WORKED = "r1 ann 1 2\n r2 bob 2 1\n r3 cid 3 4\n r4 - 4 3\n r5 - 5 5\n r6 - 5 -"
LOADING, ITEMS, RESPONDENTS = 0.8, 4, 400
NO_ALPHA = {
    2017: "r1 ann 1\n r2 bob 3",
    2018: "r1 ann 1 2\n r2 bob 2 1",
    2019: "r1 ann 1 2",
}
EMPTY = 2020


def given_answers() -> np.ndarray:
    """Return answers cut from latent items that share a trait."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 60])))
    own = np.sqrt(1 - LOADING**2)
    latent = LOADING * draw.normal(size=(RESPONDENTS, 1)) + own * draw.normal(
        size=(RESPONDENTS, ITEMS)
    )
    return 1 + np.searchsorted((-1.5, -0.5, 0.5, 1.5), latent)


@pytest.fixture(scope="module")
def reliability() -> pd.DataFrame:
    """Return the reliability of answers of which each school year has its own."""
    shared = "\n".join(f"r{i} - {' '.join(map(str, row))}" for i, row in enumerate(given_answers()))
    blocks = {2015: WORKED, 2016: shared, **NO_ALPHA, EMPTY: "r1 ann - -\n r2 - - -"}
    with panel_from(
        enrollments=THREE,
        surveys=surveys(*(answers(text, year) for year, text in blocks.items())),
    ) as panel:
        with pytest.raises(SourceError, match="surveys was not delivered"):
            scale_reliability(replace(panel, surveys=None))
        return scale_reliability(panel).set_index("school_year", drop=False)


def test_alpha_of_a_worked_example(reliability):
    """Items 1 2 3 4 5 and 2 1 4 3 5: variances 2.5 each, of the sum 9; alpha = 2 (1 - 5/9)."""
    assert tuple(reliability.columns) == RELIABILITY_COLUMNS
    row = reliability.loc[2015]
    assert row["cronbach_alpha"] == pytest.approx(8 / 9, abs=1e-12)
    counted = [row[name] for name in ("items", "respondents", "named", "complete")]
    assert counted == [2, 6, 3, 5]
    scores = np.array([1.5, 1.5, 3.5, 3.5, 5, 5])
    assert row["mean"] == pytest.approx(scores.mean(), abs=1e-6)
    assert row["standard_deviation"] == pytest.approx(scores.std(ddof=1), abs=1e-6)


def test_alpha_of_equal_items_with_a_known_loading(reliability):
    """The alpha of the whole by its formula, and a little less than that of uncut items."""
    found = reliability.loc[2016, "cronbach_alpha"]
    covariance = np.cov(given_answers().T)
    k = ITEMS
    exact = k / (k - 1) * (1 - np.trace(covariance) / covariance.sum())
    assert found == pytest.approx(exact, abs=1e-12)
    uncut = k * LOADING**2 / (1 + (k - 1) * LOADING**2)  # cutting in five costs a little
    assert uncut - 0.08 < found < uncut


@pytest.mark.parametrize("year", NO_ALPHA)
def test_without_two_items_two_respondents_or_unequal_totals_there_is_no_alpha(reliability, year):
    assert np.isnan(reliability.loc[year, "cronbach_alpha"])


def test_a_year_of_empty_answers_has_no_scale(reliability):
    assert list(reliability.index) == [2015, 2016, *NO_ALPHA]


def test_the_order_of_the_rows_changes_nothing():
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 61])))
    rows = answers(
        "\n".join(f"r{i} s{i % 9} {i % 5 + 1} {i % 3 + 1} {i % 2 + 2}" for i in range(40))
    )
    enrolled = "\n".join(["student_id", *(f"s{i}" for i in range(9))])
    first = scored(enrollments=enrolled, surveys=surveys(rows)).rows
    shuffled = [rows[i] for i in draw.permutation(len(rows))]
    second = scored(enrollments=enrolled, surveys=surveys(shuffled)).rows
    pd.testing.assert_frame_equal(first, second, check_exact=True)
