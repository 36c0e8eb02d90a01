"""Baseline columns: what is known of a student before the school year of the visit starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import narwhals as nw

from homevisit_eval.design import BASELINE_COLUMNS, Question, StudyDesign
from homevisit_eval.design.measures import (
    SURVEY_OUTCOMES,
    TEACHER_BASELINE_COLUMNS,
    TEACHER_OUTCOMES,
    TEST_SCORES,
    TO_DATE_COLUMNS,
)

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = [
    "BASELINE_SOURCES",
    "BaselineSource",
    "baseline_expressions",
    "baseline_names",
    "extract_of",
    "join_baseline",
]

Row = Literal["prior", "current", "school"]


@dataclass(frozen=True, slots=True)
class BaselineSource:
    """Where one baseline column comes from.

    Parameters
    ----------
    row
        ``"prior"``: the student's row of the previous school year. ``"current"``: the row of
        the outcome year (facts that no visit changes). ``"school"``: the previous school
        year's row of the school at time zero.
    column
        The panel's column.
    """

    row: Row
    column: str


def _source(name: str) -> BaselineSource:
    sources = {
        "female": BaselineSource("current", "sex"),
        "race_ethnicity": BaselineSource("current", "race_ethnicity"),
        "age_for_grade": BaselineSource("current", "age_for_grade"),
        "mobile_prior": BaselineSource("prior", "schools_attended"),
        "school_attendance_prior": BaselineSource("school", "mean_attendance"),
        "school_incident_rate_prior": BaselineSource("school", "incident_rate"),
        "school_at_risk_prior": BaselineSource("school", "at_risk_share"),
    }
    return sources.get(name) or BaselineSource("prior", name.removesuffix("_prior"))


BASELINE_SOURCES = {
    name: _source(name)
    for name in BASELINE_COLUMNS
    if name not in (*TO_DATE_COLUMNS, *TEACHER_BASELINE_COLUMNS)
}
"""Every baseline column of a student-year that a design may name, but the history to date.

``mobile_prior`` is 1 if the student attended more than one school in the previous year;
``female`` is 1 for female and 0 for every other recorded sex.
"""

EXTRACTS = {
    "absences": (
        "attendance_rate",
        "on_time_attendance_rate",
        "chronic_absence",
        "chronic_truancy",
        "days_absent",
        "days_excused",
        "days_unexcused",
        "days_unexcused_full",
        "days_tardy",
        "mean_attendance",
    ),
    "incidents": (
        "incidents",
        "any_incident",
        "any_serious_incident",
        "any_suspension",
        "days_suspended",
        "incident_rate",
    ),
    "assessments": TEST_SCORES,
    "surveys": SURVEY_OUTCOMES,
    "staff": TEACHER_OUTCOMES,
    "characteristics": (
        "english_learner",
        "disability",
        "at_risk",
        "homeless",
        "economically_disadvantaged",
        "at_risk_share",
    ),
    "students": ("sex", "race_ethnicity", "age_for_grade"),
    "enrollments": ("schools_attended",),
}
"""The raw extract that each measure of the panel is made from."""


def extract_of(column: str) -> str:
    """Return the raw extract that a measure of the panel is made from."""
    return next(table for table, columns in EXTRACTS.items() if column in columns)


def baseline_names(design: StudyDesign, question: Question) -> tuple[str, ...]:
    """Return the baseline columns that a question needs of the year before and of the person.

    Those are covariates, outcomes' baselines, and what makes the subgroups.
    """
    names = [covariate.name for covariate in design.covariates]
    names += [one for name in question.outcomes if (one := design.outcome(name).baseline)]
    if question.subgroup and question.subgroup != "grade":
        names.append(question.subgroup)
    return tuple(name for name in dict.fromkeys(names) if name in BASELINE_SOURCES)


def join_baseline(rows: Frame, panel: Panel, names: Sequence[str]) -> Frame:
    """Add the baseline columns of the year before to student-years.

    Parameters
    ----------
    rows
        Student-years with ``student_id``, ``school_year``, ``school_id``.
    panel
        Where the previous year's rows are found.
    names
        Keys of `BASELINE_SOURCES`.

    Returns
    -------
    Frame
        As many rows as before, with the columns of `names` that come from the previous year,
        ``enrolled_prior`` (1, or missing) and ``days_enrolled_prior``.
    """
    prior = panel.students.select(
        "student_id",
        nw.col("school_year") + 1,
        nw.lit(1).alias("enrolled_prior"),
        nw.col("days_enrolled").alias("days_enrolled_prior"),
        *baseline_expressions(names, "prior"),
    )
    schools = panel.schools.select(
        "school_id", nw.col("school_year") + 1, *baseline_expressions(names, "school")
    )
    return rows.join(prior, on=["student_id", "school_year"], how="left").join(
        schools, on=["school_id", "school_year"], how="left"
    )


def baseline_expressions(names: Iterable[str], row: Row) -> list[nw.Expr]:
    """Return those baseline columns that are made from the given row; numbers as floats."""
    return [_expression(name) for name in names if BASELINE_SOURCES[name].row == row]


def _expression(name: str) -> nw.Expr:
    value = nw.col(BASELINE_SOURCES[name].column)
    if name == "race_ethnicity":
        return value
    if name == "female":
        value = value == "female"
    if name == "mobile_prior":
        value = value > 1
    return value.cast(nw.Float64).alias(name)
