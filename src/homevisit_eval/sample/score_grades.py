"""Where each test score has a pretest and is taken, and which grades the design leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from homevisit_eval.design import Achievement, Question, StudyDesign
from homevisit_eval.design.measures import TEST_SCORES, followed_name, measured_name
from homevisit_eval.sample.bands import SMALLEST_SHARE_MEASURED, GradeYear
from homevisit_eval.sample.labels import grade_years_text

__all__ = [
    "LEFT_OUT_WORDS",
    "SMALLEST_SHARE_TESTED",
    "ScoreGrades",
    "counted_for_scores",
    "grade_years",
    "is_score",
    "reasons_by_scores",
    "score_grades",
    "score_notes",
    "without_left_out",
]

SMALLEST_SHARE_TESTED = 0.1
"""A grade-year takes a test if at least this share of those who are enrolled has a score.

Our rule. A few are tested out of grade where the grade takes no test.
"""

ROUNDING = 1e-9

Reason = Literal["no_pretest", "no_outcome"]

LEFT_OUT_WORDS: dict[Reason, str] = {
    "no_pretest": "No pretest in this grade and year",
    "no_outcome": "Not tested in this grade and year",
}


@dataclass(frozen=True, slots=True)
class ScoreGrades:
    """The grade-years of one test score, as pairs (school year, grade) of the visit's year.

    Parameters
    ----------
    outcome
        A test score, in the year of the visit or later.
    without_pretest
        Less than half of the eligible students have its baseline. None if it names no baseline.
    without_outcome
        Less than a tenth of the eligible students who are enrolled in its year have it.
    rule
        Of the design.
    """

    outcome: str
    without_pretest: frozenset[GradeYear]
    without_outcome: frozenset[GradeYear]
    rule: Achievement

    @property
    def left_out(self) -> dict[GradeYear, Reason]:
        """The grade-years that the impact on this score is not about, and why."""
        left: dict[GradeYear, Reason] = {}
        if self.rule.grades_without_outcome == "leave_out":
            left |= dict.fromkeys(self.without_outcome, "no_outcome")
        if self.rule.grades_without_pretest == "leave_out":
            left |= dict.fromkeys(self.without_pretest, "no_pretest")
        return left


def is_score(outcome: str) -> bool:
    """Say whether an outcome is a test score, of any year."""
    return measured_name(outcome)[0] in TEST_SCORES


def _scores(question: Question) -> list[str]:
    return [name for name in question.outcomes if is_score(name)]


def _days(outcome: str) -> str:
    return followed_name("days_enrolled", measured_name(outcome)[1])


def counted_for_scores(question: Question) -> tuple[str, ...]:
    """Return the columns of student-years, besides baselines, that `score_grades` wants counted."""
    names = [column for name in _scores(question) for column in (name, _days(name))]
    return tuple(dict.fromkeys(names))


def score_grades(
    counts: pd.DataFrame, design: StudyDesign, question: Question
) -> tuple[ScoreGrades, ...]:
    """Return where each test score of a question has a pretest and is taken.

    Parameters
    ----------
    counts : DataFrame, one row a grade-year
        ``school_year``, ``grade``, ``students`` (eligible ones), and in how many of them each
        baseline and each column of `counted_for_scores` is not missing.
    design, question
        What is asked.
    """
    found = []
    for name in _scores(question):
        baseline = design.outcome(name).baseline
        known = counts[baseline] if baseline in counts else counts["students"]
        found.append(
            ScoreGrades(
                outcome=name,
                without_pretest=_below(counts, known, "students", SMALLEST_SHARE_MEASURED),
                without_outcome=_below(counts, counts[name], _days(name), SMALLEST_SHARE_TESTED),
                rule=design.achievement,
            )
        )
    return tuple(found)


def _below(
    counts: pd.DataFrame, known: pd.Series[int], among: str, share: float
) -> frozenset[GradeYear]:
    """Return the grade-years in which fewer than a share of the students counted have a value."""
    students = counts[among].to_numpy()
    enough = (known.to_numpy() >= share * students - ROUNDING) & (students > 0)
    return frozenset(grade_years(counts[~enough]))


def grade_years(rows: pd.DataFrame) -> list[GradeYear]:
    """Return the grade-year of each row."""
    return list(zip(rows["school_year"].tolist(), rows["grade"].tolist(), strict=True))


def reasons_by_scores(
    pool: pd.DataFrame, question: Question, scores: Sequence[ScoreGrades]
) -> npt.NDArray[np.object_]:
    """Return why each row leaves because no outcome of its question is about it; "" if one is.

    Where one score lacks a pretest and the other the test, the pretest is the reason.
    """
    reasons = np.full(len(pool), "", dtype=object)
    if len(scores) < len(question.outcomes):
        return reasons
    left = [one.left_out for one in scores]
    everywhere = set.intersection(*(set(one) for one in left))
    why: dict[GradeYear, Reason] = {
        key: "no_pretest" if "no_pretest" in [one[key] for one in left] else "no_outcome"
        for key in everywhere
    }
    reasons[:] = [why.get(key, "") for key in grade_years(pool)]
    return reasons


def without_left_out(rows: pd.DataFrame, scores: Sequence[ScoreGrades]) -> pd.DataFrame:
    """Return rows whose scores are missing in grade-years that the impact is not about."""
    keys = grade_years(rows)
    columns = {
        one.outcome: rows[one.outcome].mask(np.array([key in left for key in keys], dtype=bool))
        for one in scores
        if (left := one.left_out)
    }
    return rows.assign(**columns)


def score_notes(design: StudyDesign, scores: Sequence[ScoreGrades]) -> tuple[str, ...]:
    """Return which grades and years the rules leave out or keep, a sentence for each score."""
    return tuple(
        f"{design.outcome(one.outcome).label}: {'; '.join(parts)}."
        for one in scores
        if (parts := list(_parts(one, design)))
    )


def _parts(one: ScoreGrades, design: StudyDesign) -> Iterator[str]:
    left = one.left_out
    for reason, why in (("no_pretest", "no pretest"), ("no_outcome", "not tested")):
        if keys := [key for key, found in left.items() if found == reason]:
            yield f"{grade_years_text(keys)} left out, {why}"
    if kept := one.without_pretest - set(left):
        yield f"{grade_years_text(kept)} kept without a pretest, on the other covariates"
    if kept := one.without_outcome - set(left):
        yield f"{grade_years_text(kept)} kept in the sample, not tested"
    if design.outcome(one.outcome).baseline is None:
        yield "the design names no pretest, so that no grade is left out for the lack of one"
