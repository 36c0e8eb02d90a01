"""What a reader of a number made from a sample must know: sentences, with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.measures import TO_DATE_COLUMNS
from homevisit_eval.disclosure import shown_count
from homevisit_eval.sample.bands import GradeYear
from homevisit_eval.sample.labels import grade_years_text, listed, school_year_text
from homevisit_eval.sample.score_grades import ScoreGrades

__all__ = ["TWICE_AGAINST_ONCE", "during_notes", "outcome_notes", "sample_notes"]

TWICE_AGAINST_ONCE = (
    "Visited here means visited twice or more before the year; comparison students were visited "
    "once before it."
)


def sample_notes(
    design: StudyDesign,
    question: Question,
    rows: pd.DataFrame,
    measured: Mapping[GradeYear, tuple[str, ...]],
    first_visits: int | None,
) -> tuple[str, ...]:
    """Return the notes of a sample.

    Parameters
    ----------
    design, question
        What was asked.
    rows : DataFrame, one row a candidate
        With its visit flags, household and outcomes.
    measured
        Grade-years with eligible students, and the covariates measured there.
    first_visits
        From `windows.first_school_year_with_visits`.
    """
    return (
        *_pool_notes(question, rows[rows["contrast"] == "comparison"]),
        *_household_note(rows),
        *_prior_visit_note(design, first_visits),
        *_partial_day_notes(design, rows),
        *_measured_notes(design, measured),
    )


def during_notes(
    design: StudyDesign,
    question: Question,
    rows: pd.DataFrame,
    measured: Mapping[GradeYear, tuple[str, ...]],
    first_visits: int | None,
) -> tuple[str, ...]:
    """Return the notes of a sample of visits during the year; parameters as of `sample_notes`."""
    lag = question.lag_days
    clock = (
        "the next day of instruction" if not lag else f"{lag} days of instruction after the next"
    )
    notes = [
        "Each visited student is compared with students who were enrolled and not yet visited on "
        f"the day of the visit. Outcomes count from {clock} to the end of the year for both.",
        "Effects of later visits have less of the year to work in: effects of different windows "
        "mix timing, exposure and who was visited. Only a timing contrast compares timing.",
    ]
    if question.later_visits == "natural_course":
        notes.append(
            "The comparison is of a visit now with none yet: comparison students are followed to "
            "the end of the year whether or not they are visited later."
        )
    if not any(one.name in TO_DATE_COLUMNS for one in design.covariates):
        notes.append(
            "No covariate measures the school year before the visit, though a visit may follow an "
            "absence or an incident: name covariates that end in _to_date."
        )
    return (
        *notes,
        *_household_note(rows),
        *_prior_visit_note(design, first_visits),
        *_partial_day_notes(design, rows),
        *_measured_notes(design, measured),
    )


def _pool_notes(question: Question, comparison: pd.DataFrame) -> list[str]:
    attempted = int((comparison["attempted"] == 1).sum())
    later = int((comparison["visited_later"] == 1).sum())
    without = "after one visit" if question.against_one else "without a visit"
    notes = [TWICE_AGAINST_ONCE] if question.against_one else []
    if question.pool == "never_visited_that_year":
        notes.append(
            "Comparison students were chosen by what happened later (never visited that year): "
            "this biases the comparison, and is shown beside the main row only to say how much."
        )
    if question.comparison_schools == "outside_program":
        notes.append(
            "Comparison students are only from schools that did not take part in "
            f"{listed(question.programs, 'or')} that year."
        )
    if question.dose != "any":
        notes.append(
            "How often a family was visited before the year is its own and the school's choice: "
            "who was visited more often may differ in ways that no file records."
        )
    if attempted:
        notes.append(
            f"{shown_count(attempted)} possible comparison student-years had a visit before the "
            "year that was attempted and not completed; they stay in the pool."
        )
    if later:
        notes.append(
            f"{shown_count(later)} possible comparison student-years were visited later in the "
            f"year; that is part of what happens {without} before it."
        )
    return notes


def _household_note(rows: pd.DataFrame) -> list[str]:
    if rows["household_id"].notna().any():
        return []
    return ["Households are not known: a sibling of a visited student may be a comparison student."]


def _prior_visit_note(design: StudyDesign, first_visits: int | None) -> list[str]:
    unknown = [
        year
        for year in sorted(design.school_years)
        if first_visits is not None and year - 1 < first_visits
    ]
    if not unknown or first_visits is None:
        return []
    years = ", ".join(school_year_text(year - 1) for year in unknown)
    return [
        f"All visits of a school year are recorded from {school_year_text(first_visits)} on: "
        f"whether a student was visited in the baseline year {years} is unknown."
    ]


def _partial_day_notes(design: StudyDesign, rows: pd.DataFrame) -> list[str]:
    """Name the outcome years whose rule for partial days is not that of the year before."""
    usual = design.measurement.partial_day
    rules = dict(design.measurement.partial_day_by_year)
    return [
        f"Attendance of {school_year_text(year)} and of the year before are measured by "
        "different rules for partial days."
        for year in sorted({int(year) for year in rows["school_year"]})
        if rules.get(year, usual) != rules.get(year - 1, usual)
    ]


def _measured_notes(
    design: StudyDesign, measured: Mapping[GradeYear, tuple[str, ...]]
) -> list[str]:
    notes = []
    for covariate in design.covariates:
        if covariate.where_measured:
            here = [key for key, names in measured.items() if covariate.name in names]
            where = f"in {grade_years_text(here)}" if here else "in no grade and year"
            notes.append(
                f"{covariate.label}: measured {where}; it is a covariate there only, and not "
                "missing elsewhere."
            )
    wanted = [(year, grade) for year in design.school_years for grade in design.grades]
    empty = [key for key in wanted if key not in measured]
    if empty:
        notes.append(
            f"No student is eligible in {grade_years_text(empty)}; the extracts must reach one "
            "year before the study and one grade below it."
        )
    return notes


def outcome_notes(
    question: Question, rows: pd.DataFrame, scores: Sequence[ScoreGrades]
) -> list[str]:
    """Name the grades and years in which an outcome is observed for nobody, but was not left out.

    Parameters
    ----------
    question
        What was asked.
    rows : DataFrame, one row a candidate
        With its outcomes.
    scores
        Which grades and years were left out of a test score.
    """
    notes = []
    left_out = {one.outcome: one.left_out for one in scores}
    observed = rows.groupby(["school_year", "grade"])[list(question.outcomes)].count()
    for name in question.outcomes:
        empty = [(int(year), int(grade)) for year, grade in observed.index[observed[name] == 0]]
        if none := [key for key in empty if key not in left_out.get(name, {})]:
            notes.append(f"The outcome {name} is observed for nobody in {grade_years_text(none)}.")
    return notes
