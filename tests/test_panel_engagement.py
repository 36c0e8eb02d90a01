"""Rules of family engagement: half of the items, standardized over all respondents, one score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import SourceError
from homevisit_eval.panel import Panel
from homevisit_eval.panel.reliability import RELIABILITY_COLUMNS, scale_reliability
from panel_spec import expect, panel_from, student_years

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


def steps(panel: Panel) -> list[tuple[int, int]]:
    return [(c.rows_in, c.rows_used) for c in panel.counts if c.source == "surveys"]


THREE = "student_id\n ann\n bob\n cid"


def test_a_scale_is_the_mean_of_its_items_in_standard_deviations_of_all_respondents():
    """Means 2, 3 and 4: mean 3, standard deviation 1 (divisor n - 1)."""
    result = student_years(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 1 3\n r2 bob 3 3\n r3 cid 5 3")),
    )
    expect(
        result,
        f"student_id {SCHOOL} {HOME}\n ann -1 -\n bob 0 -\n cid 1 -",
    )


def test_answers_without_a_student_count_for_mean_and_sd_and_for_no_student():
    tables = {
        "enrollments": "student_id\n ann\n bob",
        "surveys": surveys(answers("r1 ann 4 4\n r2 - 3 3\n r3 - 2 2")),
    }
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL}\n ann 1\n bob -")
        assert steps(panel) == [(6, 6), (6, 6), (6, 3), (3, 3), (3, 1), (1, 1), (1, 1)]


def test_at_least_half_of_the_items_must_be_answered():
    """Of four items: two are enough, one is not; the mean is over those answered."""
    tables = {
        "enrollments": THREE,
        "surveys": surveys(answers("r1 ann 5 3 - -\n r2 bob 2 - - -\n r3 cid 2 2 2 2")),
    }
    z = round(1 / np.sqrt(2), 6)
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL}\n ann {z}\n bob -\n cid -{z}")
        assert steps(panel)[:3] == [(12, 7), (7, 6), (6, 2)]


def test_the_items_of_a_scale_are_those_asked_that_year_of_anyone():
    """Three items stand in the file of 2015: an answer to one is under half of them."""
    result = student_years(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 5 . .\n r2 bob . 2 4\n r3 cid 1 1 1")),
    )
    z = round(1 / np.sqrt(2), 6)
    expect(result, f"student_id {SCHOOL}\n ann -\n bob {z}\n cid -{z}")


def test_several_respondents_of_a_student_are_averaged():
    """Scores 1, 3, 5 and 3: mean 3, variance 8/3; ann has the mean of two."""
    result = student_years(
        enrollments=THREE,
        surveys=surveys(answers("r1 ann 1\n r2 ann 3\n r3 bob 5\n r4 - 3")),
    )
    expect(
        result,
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
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL} {HOME}\n ann - -\n bob - -\n cid - -")
        assert steps(panel) == [(3, 3), (3, 3), (3, 3), (3, 0), (0, 0), (0, 0), (0, 0)]


def test_answers_of_one_respondent_about_two_students_belong_to_neither():
    rows = [f"r1 ann 2015 {SCHOOL} q1 5", f"r1 bob 2015 {SCHOOL} q2 5"]
    tables = {"enrollments": THREE, "surveys": surveys(rows, answers("r2 cid 1 1"))}
    z = round(1 / np.sqrt(2), 6)
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL}\n ann -\n bob -\n cid -{z}")
        assert (2, 1) in steps(panel)


def test_a_student_who_is_not_enrolled_that_year_counts_for_the_scale_and_is_counted():
    tables = {
        "enrollments": "student_id\n ann",
        "surveys": surveys(answers("r1 ann 5 5\n r2 gone 1 1")),
    }
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL}\n ann {round(1 / np.sqrt(2), 6)}")
        assert steps(panel)[-1] == (2, 1)


def test_what_is_missing_is_said():
    with panel_from() as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL} {HOME}\n ann - -")
        assert any(sentence.startswith("surveys was not") for sentence in panel.missing)
        with pytest.raises(SourceError, match="surveys was not delivered"):
            scale_reliability(panel)
    both = "student_id school_year\n ann 2014\n ann 2015\n bob 2015"
    tables = {"enrollments": both, "surveys": surveys(answers("r1 ann 5 5\n r2 bob 1 1"))}
    with panel_from(**tables) as panel:
        said = [sentence for sentence in panel.missing if sentence.startswith("surveys")]
        assert len(said) == 1
        assert "not one answer in 2013-14" in said[0]
        assert "<10 student-years" in said[0]
        assert "ann" not in said[0].replace("cannot", "")
    tables = {"surveys": surveys(answers("r1 - 5 5\n r2 - 1 1"))}
    with panel_from(**tables) as panel:
        assert any(sentence.startswith("surveys names no student") for sentence in panel.missing)


def test_empty_answers_are_no_answers():
    tables = {"surveys": surveys(answers("r1 ann - -\n r2 - - -"))}
    with panel_from(**tables) as panel:
        expect(panel.to_pandas(), f"student_id {SCHOOL}\n ann -")
        assert steps(panel)[0] == (4, 0)
        assert any("not one answer in 2014-15" in sentence for sentence in panel.missing)
        table = scale_reliability(panel)
    assert len(table) == 0


# -- reliability ----------------------------------------------------------------------------


def test_alpha_of_a_worked_example():
    """Items 1 2 3 4 5 and 2 1 4 3 5: variances 2.5 each, of the sum 9; alpha = 2 (1 - 5/9)."""
    text = "r1 ann 1 2\n r2 bob 2 1\n r3 cid 3 4\n r4 - 4 3\n r5 - 5 5\n r6 - 5 -"
    with panel_from(enrollments=THREE, surveys=surveys(answers(text))) as panel:
        table = scale_reliability(panel)
    assert tuple(table.columns) == RELIABILITY_COLUMNS
    (row,) = table.to_dict("records")
    assert row["cronbach_alpha"] == pytest.approx(8 / 9, abs=1e-12)
    counted = [row[name] for name in ("items", "respondents", "named", "complete")]
    assert counted == [2, 6, 3, 5]
    scores = np.array([1.5, 1.5, 3.5, 3.5, 5, 5])
    assert row["mean"] == pytest.approx(scores.mean(), abs=1e-6)
    assert row["standard_deviation"] == pytest.approx(scores.std(ddof=1), abs=1e-6)


def test_alpha_of_equal_items_with_a_known_loading():
    """Answers cut from latent items that share a trait; the alpha of the whole by its formula."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 60])))
    loading, k, n = 0.8, 4, 400
    latent = loading * draw.normal(size=(n, 1)) + np.sqrt(1 - loading**2) * draw.normal(size=(n, k))
    given = 1 + np.searchsorted((-1.5, -0.5, 0.5, 1.5), latent)
    text = "\n".join(f"r{i} - {' '.join(map(str, row))}" for i, row in enumerate(given))
    with panel_from(surveys=surveys(answers(text))) as panel:
        (found,) = scale_reliability(panel)["cronbach_alpha"]
    covariance = np.cov(given.T)
    exact = k / (k - 1) * (1 - np.trace(covariance) / covariance.sum())
    assert found == pytest.approx(exact, abs=1e-12)
    uncut = k * loading**2 / (1 + (k - 1) * loading**2)  # cutting in five costs a little
    assert uncut - 0.08 < found < uncut


@pytest.mark.parametrize("text", ["r1 ann 1\n r2 bob 3", "r1 ann 1 2\n r2 bob 2 1", "r1 ann 1 2"])
def test_without_two_items_two_respondents_or_unequal_totals_there_is_no_alpha(text):
    with panel_from(enrollments=THREE, surveys=surveys(answers(text))) as panel:
        table = scale_reliability(panel)
    assert np.isnan(table["cronbach_alpha"]).all()


def test_the_order_of_the_rows_changes_nothing():
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, 61])))
    rows = answers(
        "\n".join(f"r{i} s{i % 9} {i % 5 + 1} {i % 3 + 1} {i % 2 + 2}" for i in range(40))
    )
    enrolled = "\n".join(["student_id", *(f"s{i}" for i in range(9))])
    first = student_years(enrollments=enrolled, surveys=surveys(rows))
    shuffled = [rows[i] for i in draw.permutation(len(rows))]
    second = student_years(enrollments=enrolled, surveys=surveys(shuffled))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
