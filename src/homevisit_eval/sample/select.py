"""From the panel to the candidates of one question: the one place that materializes rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import narwhals as nw

from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.deviations import why_exploratory
from homevisit_eval.design.measures import measured_name
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.before_year import select_before_year
from homevisit_eval.sample.during_year import select_during_year
from homevisit_eval.sample.labels import listed, school_year_text
from homevisit_eval.sample.measurable import require_years
from homevisit_eval.sample.teachers import select_teachers

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["select_candidates", "select_sample"]


def select_sample(
    panel: Panel, design: StudyDesign, question: Question | None = None
) -> AnalyticSample:
    """Return the visited and the possible comparison student-years of a question.

    Parameters
    ----------
    panel
        Built with the design's rules of measurement.
    design
        Years, grades, eligibility and covariates.
    question
        Its outcomes stand in the design; the first primary question if not given. One that is
        not among the questions of the design, or not answered as registered, is exploratory,
        whatever it says.

    Returns
    -------
    AnalyticSample
        One row for each candidate, in the order of school year, grade, school and student; of
        visits during the year one row for each candidate and day of a visit, by day. If the
        design asks for multiple imputation, covariates may be missing in it until
        `impute_baseline`.

    Raises
    ------
    DesignError
        If the panel was built with other rules of measurement, or lacks a year of the design
        or the year before it; if the design has no such outcome, or no primary question.
    SourceError
        If an extract that the question needs was not delivered, or no student is eligible,
        visited or left for comparison.

    Notes
    -----
    Every student-year of the panel in the design's years and grades stands in exactly one
    "excluded" line of the flow, or is a candidate. A covariate that is measured in some
    grade-years only (a pretest) is measured in a grade-year if at least half of its eligible
    students have it; this rule, and all others here, look at nothing after time zero, except for
    the pool ``"never_visited_that_year"`` and whether a grade takes the test of a score at all
    (`Achievement`). Time zero is the first instructional day, or the day
    of the visit.
    """
    asked = _asked(design, question)
    reason = why_exploratory(design, asked)
    if not reason:
        return select_candidates(panel, design, asked)
    sample = select_candidates(panel, design, replace(asked, role="exploratory"))
    return replace(sample, notes=(reason, *sample.notes))


def select_candidates(panel: Panel, design: StudyDesign, question: Question) -> AnalyticSample:
    """Return the sample of any question, without asking whether the design has it.

    Raises
    ------
    DesignError, SourceError
        As `select_sample`.
    """
    if question.unit == "teacher":
        return select_teachers(panel, design, question)
    design, asked = design.asked(question)
    require_years(panel, design)
    asked, notes = _as_far_as_followed(panel, design, asked)
    select = select_during_year if asked.during else select_before_year
    sample = select(panel, design, asked)
    return replace(sample, notes=(*notes, *sample.notes))


def _as_far_as_followed(
    panel: Panel, design: StudyDesign, asked: Question
) -> tuple[Question, tuple[str, ...]]:
    """Leave out outcomes of years that the extracts do not reach, and say so.

    Raises
    ------
    SourceError
        If no outcome is left.
    """
    years = panel.students.select(last=nw.col("school_year").max()).collect("pandas").to_native()
    last = int(years["last"].iloc[0])
    reach = last - min(design.school_years)
    kept = tuple(name for name in asked.outcomes if measured_name(name)[1] <= reach)
    beyond = sorted({measured_name(name)[1] for name in asked.outcomes if name not in kept})
    if not beyond:
        return asked, ()
    after = listed([str(one) for one in beyond])
    what = f"{after} year{'s' if beyond != [1] else ''} after the visit"
    if not kept:
        raise SourceError(
            f"enrollments: the extracts end with {school_year_text(last)}, so nobody of question "
            f"{asked.name!r} is followed {what}. Deliver later years, or take this question out."
        )
    note = (
        f"The extracts end with {school_year_text(last)}: no student is followed {what}, and "
        "these outcomes are left out."
    )
    return replace(asked, outcomes=kept), (note,)


def _asked(design: StudyDesign, question: Question | None) -> Question:
    if isinstance(question, Question):
        return question
    if question is not None:
        raise DesignError("question must be a Question; design.question(name) returns one.")
    primary = [question for question in design.questions if question.role == "primary"]
    if not primary:
        raise DesignError("The design has no primary question; say which question is meant.")
    return primary[0]
