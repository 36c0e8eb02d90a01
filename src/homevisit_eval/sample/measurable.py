"""Whether the extracts hold what a question needs: errors that say what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.measures import COUNTED_BY_DAY, measured_name
from homevisit_eval.design.school_years import school_year_text
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample.baseline import BASELINE_SOURCES, extract_of
from homevisit_eval.sample.flow import FlowStep
from homevisit_eval.sample.labels import WINDOW_WORDS, grades_text, listed, school_years_text
from homevisit_eval.sample.score_grades import ScoreGrades

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = [
    "require_covariates",
    "require_groups",
    "require_outcomes",
    "require_scores",
    "require_years",
]


def require_years(panel: Panel, design: StudyDesign) -> None:
    """Check that the panel has the design's years, the years before them, and its rules.

    Raises
    ------
    DesignError
        If it has not.
    """
    if panel.measurement != design.measurement:
        raise DesignError(
            "measurement: the panel was built with other rules of measurement than the design "
            "has. Build it with build_panel(sources, design.measurement)."
        )
    table = panel.students.select("school_year").unique().collect("pandas").to_native()
    there = {int(year) for year in table["school_year"]}
    have = school_years_text(there) if there else "none"
    lacking = sorted(set(design.school_years) - there)
    if lacking:
        raise DesignError(
            f"school_years: the extracts have no enrollments in {school_years_text(lacking)}; "
            f"they have {have}. Take these years out of the design, or add them to the extracts."
        )
    before = sorted({year - 1 for year in design.school_years} - there)
    if before:
        raise DesignError(
            f"school_years: the baseline year {school_years_text(before)} is not in the extracts; "
            f"they have {have}. Start the design one year later, or add the year before its first "
            "to the extracts (all tables, and one grade below the study)."
        )


def require_covariates(
    panel: Panel,
    design: StudyDesign,
    counts: pd.DataFrame,
) -> None:
    """Check that every covariate that all grades need is measured for somebody.

    Parameters
    ----------
    panel, design
        Whose covariates.
    counts : DataFrame, one row a grade-year
        ``students`` (eligible) and in how many of them each covariate is not missing.

    Raises
    ------
    SourceError
        If nobody is eligible, or a covariate is not measured.
    """
    if counts.empty:
        raise SourceError(
            f"enrollments: no student of {_place(design)} is eligible: enrolled on the first "
            "instructional day and in the year before. Check student identifiers across years, "
            "entry dates, and that the extracts reach one grade below the study."
        )
    everywhere = [
        one.name for one in design.covariates if not one.where_measured and one.name in counts
    ]
    if nowhere := [name for name in everywhere if not int(counts[name].sum())]:
        raise SourceError(_unmeasured(panel, design, nowhere))


def require_scores(
    panel: Panel, design: StudyDesign, counts: pd.DataFrame, scores: Sequence[ScoreGrades]
) -> None:
    """Check that the rules for grades without a pretest or a test leave a grade to each score.

    Parameters
    ----------
    panel, design
        What is asked of which data.
    counts
        As for `require_covariates`.
    scores
        From `score_grades`.

    Raises
    ------
    SourceError
        If they leave none.
    """
    everywhere = {
        (int(year), int(grade))
        for year, grade in zip(counts["school_year"], counts["grade"], strict=True)
    }
    for one in scores:
        if everywhere - set(one.left_out):
            continue
        outcome = design.outcome(one.outcome)
        pretest = outcome.baseline or ""
        years = list(design.school_years)
        lacks = (
            f"takes the test of {one.outcome} (a score for at least a tenth of its students)",
            f"has the pretest {pretest} (known of at least half of its students)",
            f"has both the pretest {pretest} and the test of {one.outcome}",
        )
        if everywhere <= one.without_outcome:
            what, advice = lacks[0], f"take the outcome {one.outcome} out of the question"
        else:
            none = everywhere <= one.without_pretest
            what, years = lacks[1 if none else 2], [year - 1 for year in years] if none else years
            advice = 'set grades_without_pretest = "keep" in [achievement]'
        reason = _reason(panel, measured_name(one.outcome)[0], years)
        raise SourceError(
            f"{reason + ' ' if reason else ''}assessments: {outcome.label}: no grade and year of "
            f"{_place(design)} {what}, so that no impact can be estimated. Deliver assessments of "
            f"the study's years and the year before, or {advice}."
        )


def require_outcomes(
    panel: Panel, design: StudyDesign, question: Question, candidates: pd.DataFrame
) -> None:
    """Check that every outcome of a question is measured for somebody.

    Parameters
    ----------
    panel, design, question
        What is asked of which data.
    candidates
        The outcomes, and ``days_enrolled``: the days that those of the year itself count over.

    Raises
    ------
    SourceError
        If an outcome is missing for all candidates.
    """
    for name in question.outcomes:
        if candidates[name].notna().any():
            continue
        if _too_few_days(design, name, candidates):
            raise SourceError(_lag_in_words(design, question, name))
        measure, after = measured_name(name)
        table = extract_of(measure)
        years = [year + after for year in design.school_years]
        raise SourceError(
            f"{_reason(panel, measure, years) or _recorded_for_none(table, name)} "
            f"Take the outcome {name} out of question {question.name!r}, or deliver {table}."
        )


def require_groups(
    design: StudyDesign, question: Question, candidates: pd.DataFrame, flow: Sequence[FlowStep]
) -> None:
    """Check that there are visited and comparison student-years.

    Raises
    ------
    SourceError
        If one of the groups is empty.
    """
    for group in ("visited", "comparison"):
        if (candidates["contrast"] == group).any():
            continue
        first = getattr(flow[0], group)
        programs = listed(question.programs, "or")
        modes = listed([mode.replace("_", " ") for mode in question.modes], "or")
        when = WINDOW_WORDS[question.window]
        often = {"any": "", "one": "exactly once "}.get(question.dose, "twice or more ")
        who = {
            "visited": f"was visited {often}{when} under {programs} ({modes})",
            "comparison": "may be a comparison student",
        }[group]
        raise SourceError(
            f"visits: no candidate of question {question.name!r} in {_place(design)} {who}; "
            f"of all enrolled student-years there {shown_count(first)} are in that group. Check "
            f"dates, programs and modes of the visits,{_season(design, question)} the years and "
            "grades of the design, and the sample flow of a wider question."
        )


def _season(design: StudyDesign, question: Question) -> str:
    """Return the option that says which visits are of the fall and which of the spring, or ""."""
    if question.window not in ("fall", "spring"):
        return ""
    return f" spring_starts of [risk_sets] ({design.risk_sets.spring_starts}),"


def _unmeasured(panel: Panel, design: StudyDesign, names: Sequence[str]) -> str:
    years = [year - 1 for year in design.school_years]
    columns = {name: BASELINE_SOURCES[name].column for name in names}
    reasons = dict.fromkeys(
        _reason(panel, column, years)
        or f"{extract_of(column)}: the covariate {name} is missing for every eligible student of "
        f"{_place(design)}."
        for name, column in columns.items()
    )
    tables = dict.fromkeys(extract_of(column) for column in columns.values())
    what = "covariate" if len(names) == 1 else "covariates"
    return (
        f"{' '.join(reasons)} Take the {what} {listed(list(names))} out of the design, or "
        f"deliver {listed(list(tables))} with the year before the study."
    )


def _too_few_days(design: StudyDesign, name: str, candidates: pd.DataFrame) -> bool:
    """Say whether an outcome is counted over days of which no candidate has enough."""
    if name not in COUNTED_BY_DAY:
        return False
    return bool((candidates["days_enrolled"] < design.eligibility.min_days_enrolled).all())


def _lag_in_words(design: StudyDesign, question: Question, name: str) -> str:
    least, lag = design.eligibility.min_days_enrolled, question.lag_days
    options = [*([f"lag_days = {lag}"] if lag else []), f"min_days_enrolled = {least}"]
    after = f" from the first day that counts, {lag} school days after the visit, on" if lag else ""
    return (
        f"{', '.join(options)}: no candidate of question {question.name!r} has {least} or more "
        f"enrolled days{after}, so that the outcome {name} is missing for all. Lower "
        f"{'lag_days or ' if lag else ''}min_days_enrolled, or ask about earlier visits."
    )


def _recorded_for_none(table: str, name: str) -> str:
    return f"{table}: the outcome {name} is recorded for no candidate of the question."


def _reason(panel: Panel, column: str, school_years: Iterable[int]) -> str:
    """Return the panel's sentences on why it has no such measure in these years; may be empty."""
    table = extract_of(column)
    starts = (
        f"{table} was not delivered",
        f"{table} has no {column}:",
        *(f"{table}: not one record in {school_year_text(year)}" for year in school_years),
    )
    return " ".join(sentence for sentence in panel.missing if sentence.startswith(starts))


def _place(design: StudyDesign) -> str:
    return f"{grades_text(design.grades)}, {school_years_text(design.school_years)}"
