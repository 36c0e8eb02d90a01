"""From the panel's staff lists to the teacher-years of a question about retention."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from homevisit_eval.design import CompleteCases, Covariate, Question, StudyDesign
from homevisit_eval.design.questions import Mode, Program
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.panel.teachers import VISITS_BY_KIND
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.bands import SMALLEST_SHARE_MEASURED
from homevisit_eval.sample.baseline import BASELINE_SOURCES, baseline_expressions
from homevisit_eval.sample.candidates import (
    baseline_exclusions,
    baseline_frame,
    group_counts,
    reasons_to_leave,
    shares_missing,
)
from homevisit_eval.sample.flow import FlowStep, excluded, flow_adds_up, remaining
from homevisit_eval.sample.labels import listed, school_years_text
from homevisit_eval.sample.measurable import require_years
from homevisit_eval.sample.windows import first_school_year_with_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = ["TEACHER_COVARIATES", "TEACHER_ROLES", "select_teachers"]

_log = logging.getLogger(__name__)

TEACHER_ROLES = ("teacher",)
"""Roles on the staff list of whom a question about teachers asks."""

TEACHER_COVARIATES = (
    Covariate("experience_years", "Years of experience", squared=True),
    Covariate("school_attendance_prior", "School: mean attendance, year before"),
    Covariate("school_incident_rate_prior", "School: share with an incident, year before"),
    Covariate("school_at_risk_prior", "School: share at risk, year before"),
)
"""What teachers are compared on, besides school level and role, which must be equal."""

BAND = "all"
EXACT = ("school_level", "role")
ORDER = ["school_year", "school_id", "unit_id"]
YEAR = ["staff_id", "school_year"]


def select_teachers(panel: Panel, design: StudyDesign, question: Question) -> AnalyticSample:
    """Return the teacher-years that visited families before the year, and those that may compare.

    Parameters
    ----------
    panel
        Built with the design's rules of measurement.
    design
        Its school years; its covariates are those of students and play no part.
    question
        Of unit ``"teacher"``: its outcomes, programs and modes.

    Returns
    -------
    AnalyticSample
        One row a teacher and school year, in the order of school year, school and teacher.
        ``visited`` is 1 for who made a completed visit of the question's programs and modes
        before the first instructional day; ``grade`` is 0 for all; ``school_level`` and ``role``
        are `exact`. Its design holds this question only and, as covariates, those of
        `TEACHER_COVARIATES` that are recorded.

    Raises
    ------
    DesignError
        If the question is not about teachers, or matching or model name what is not known of
        teachers; or as `select_sample`.
    SourceError
        If there are no staff lists, visits name no staff, no list follows those of the design's
        years, or one of the groups is empty.

    Notes
    -----
    Time zero is the first instructional day. Who visits, and who leaves, later in the year stays
    in the group of that day: a teacher who leaves in January is not a comparison teacher by
    leaving. Retention is being on the list of the same school, or of any, in the next year; a
    year without a next list leaves the sample for all.

    Who is on the lists of several schools in a year counts once, at the school where they were
    the year before, else at the first by its identifier. A covariate is used if at least half
    of the teacher-years have it; incomplete ones leave the sample.
    """
    if question.unit != "teacher":
        raise DesignError(f"question {question.name!r} is not about teachers: its unit must be so.")
    require_years(panel, design)
    lists, several = _one_school_each(_staff_lists(panel, design, question))
    pool = lists.merge(_schools(panel, design), on=["school_id", "school_year"], how="left")
    pool = pool.assign(contrast=_contrast(pool, question), grade=0, grade_band=BAND)
    reason = _exclusion(pool, question)
    _require_next_list(pool, reason, design, question)
    left_in = pool[reason == ""].sort_values(ORDER, kind="stable", ignore_index=True)
    used, unrecorded = _recorded(left_in)
    asked = _design_of_teachers(design, question, used)
    required = {BAND: tuple(one.name for one in used)}
    left = reasons_to_leave(left_in, asked, question, required, ())
    candidates = left_in[left == ""]
    steps = _flow(asked, question, pool, reason, left_in)
    flow = (
        *steps,
        *baseline_exclusions(left_in, left, asked),
        remaining("candidates", "Complete baseline: candidates", group_counts(candidates)),
    )
    assert flow_adds_up(flow), "the sample flow does not add up"
    _require_groups(design, question, candidates, flow)
    first_visits = first_school_year_with_visits(panel)
    baseline = baseline_frame(candidates, required[BAND], first_visits)
    exact = candidates[list(EXACT)].reset_index(drop=True)
    _log.info("sample %s: %s visiting teacher-years", question.name, shown_count(flow[-1].visited))
    return AnalyticSample(
        baseline=baseline.assign(**{name: exact[name] for name in EXACT}),
        outcomes=_outcomes(candidates, question),
        covariates=MappingProxyType(required),
        question=question,
        design=asked,
        flow=flow,
        district=panel.district,
        synthetic=panel.synthetic,
        notes=_notes(pool, reason, candidates, several, unrecorded),
        missing=shares_missing(left_in, left, asked, required),
        exact=EXACT,
    )


def _staff_lists(panel: Panel, design: StudyDesign, question: Question) -> pd.DataFrame:
    """Materialize the lists of the design's years, with what is known of the year before."""
    teachers = panel.teachers
    if teachers is None:
        raise SourceError(_not_delivered(panel, question, "staff was not delivered", "staff"))
    lists = _teachers_of(teachers, design)
    if lists.empty:
        raise SourceError(
            f"staff: nobody is on a list as {listed(TEACHER_ROLES, 'or')} in "
            f"{school_years_text(design.school_years)}. Check role and school_year of the lists, "
            f"or take question {question.name!r} out of the design."
        )
    if lists["visits_before_year"].isna().all():
        start, column = "visits names no staff", "staff_id_1 of visits"
        raise SourceError(_not_delivered(panel, question, start, column))
    return lists


def _teachers_of(teachers: Frame, design: StudyDesign) -> pd.DataFrame:
    """Return the teachers of the design's years, and what any list of the year before says."""
    years = set(design.school_years)
    wanted = teachers.filter(nw.col("school_year").is_in(sorted({*years, *(y - 1 for y in years)})))
    lists: pd.DataFrame = wanted.collect("pandas").to_native()
    visits = lists["visits_before_year"].fillna(0) + lists["visits_during_year"].fillna(0)
    earlier = lists[["staff_id", "school_id"]].assign(
        school_year=lists["school_year"] + 1, visited_prior=(visits > 0).astype("int64")
    )
    visited = earlier.groupby(YEAR, as_index=False)["visited_prior"].max()
    same = earlier[[*YEAR, "school_id"]].assign(there_before=1)
    asked = lists["role"].isin(TEACHER_ROLES) & lists["school_year"].isin(years)
    found = (
        lists[asked]
        .merge(visited, on=YEAR, how="left")
        .merge(same, on=[*YEAR, "school_id"], how="left")
        .fillna({"visited_prior": 0, "there_before": 0})
    )
    return found.rename(columns={"staff_id": "unit_id", "first_instructional_day": "index_date"})


def _one_school_each(lists: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return one row a teacher-year, and how many were on several lists."""
    key = ["unit_id", "school_year"]
    ordered = lists.sort_values(
        [*key, "there_before", "school_id"], ascending=[True, True, False, True], kind="stable"
    )
    several = int((ordered.groupby(key).size() > 1).sum())
    return ordered.drop_duplicates(key), several


def _schools(panel: Panel, design: StudyDesign) -> pd.DataFrame:
    """Return the school's level, and what it was like in the year before."""
    names = [one.name for one in TEACHER_COVARIATES if one.name in BASELINE_SOURCES]
    before = panel.schools.select(
        "school_id", nw.col("school_year") + 1, *baseline_expressions(names, "school")
    )
    found: pd.DataFrame = (
        panel.schools.filter(nw.col("school_year").is_in(list(design.school_years)))
        .select("school_id", "school_year", "school_level")
        .join(before, on=["school_id", "school_year"], how="left")
        .collect("pandas")
        .to_native()
    )
    return found


def _contrast(pool: pd.DataFrame, question: Question) -> pd.Series[str]:
    kinds = [VISITS_BY_KIND[p, m] for p in question.programs for m in question.modes]
    visited = pool[kinds].sum(axis=1) > 0
    other = np.where(pool["visits_before_year"] > 0, "neither", "comparison")
    return pd.Series(np.where(visited, "visited", other), index=pool.index, dtype=str)


def _exclusion(pool: pd.DataFrame, question: Question) -> pd.Series[str]:
    """Return why a teacher-year leaves before its baseline is looked at, or ""."""
    programs = [name for (p, _), name in VISITS_BY_KIND.items() if p in question.programs]
    neither = pool["contrast"] == "neither"
    reasons = [
        (pool["retained_in_district"].isna(), "no_next_list"),
        (neither & (pool[programs].sum(axis=1) > 0), "other_mode"),
        (neither, "other_program"),
    ]
    conditions, names = zip(*reasons, strict=True)
    return pd.Series(np.select(conditions, names, default=""), index=pool.index)


def _recorded(pool: pd.DataFrame) -> tuple[tuple[Covariate, ...], tuple[Covariate, ...]]:
    """Return the covariates that enough teacher-years have, and the others."""
    enough = SMALLEST_SHARE_MEASURED * len(pool)
    has = {one: 0 < enough <= int(pool[one.name].notna().sum()) for one in TEACHER_COVARIATES}
    return (
        tuple(one for one, there in has.items() if there),
        tuple(one for one, there in has.items() if not there),
    )


def _design_of_teachers(
    design: StudyDesign, question: Question, used: tuple[Covariate, ...]
) -> StudyDesign:
    """Return the design as this question uses it: about teachers, complete cases."""
    try:
        return replace(
            design,
            covariates=used,
            missing_covariates=CompleteCases(),
            matching=question.matching or design.matching,
            model=question.model or design.model,
            questions=(question,),
            sensitivity=(),
            timing_contrasts=(),
        )
    except DesignError as error:
        raise DesignError(
            f"question {question.name!r} is about teachers, of whom its matching and model may "
            f"use school_year, school_id, visited_prior, {', '.join(one.name for one in used)}. "
            f"Give it a matching and a model of its own. {error}"
        ) from None


def _flow(
    design: StudyDesign,
    question: Question,
    pool: pd.DataFrame,
    reason: pd.Series[str],
    left_in: pd.DataFrame,
) -> list[FlowStep]:
    roles, years = listed(TEACHER_ROLES, "or"), school_years_text(design.school_years)
    programs = listed(question.programs, "or")
    modes = listed([mode.replace("_", " ") for mode in question.modes], "or")
    before = "Visited before the year"

    def leave(name: str, label: str) -> FlowStep:
        return excluded(name, label, group_counts(pool[reason == name]))

    neither = []
    if set(question.modes) != set(get_args(Mode)):
        neither.append(leave("other_mode", f"{before} under {programs}, but not {modes}"))
    if set(question.programs) != set(get_args(Program)):
        neither.append(leave("other_program", f"{before}, but not under {programs}"))
    return [
        remaining("listed", f"On a staff list as {roles}: {years}", group_counts(pool)),
        leave("no_next_list", "No staff list of the next school year"),
        remaining(
            "eligible",
            "A staff list of the next school year",
            group_counts(pool[reason != "no_next_list"]),
        ),
        *neither,
        remaining("contrast", f"{before}, or possible comparison", group_counts(left_in)),
    ]


def _outcomes(candidates: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return retention, 0 or 1; teachers have no days of enrollment."""
    columns = {name: candidates[name].astype("float64") for name in question.outcomes}
    days = {"days_enrolled": np.nan}
    return pd.DataFrame(columns).assign(**days).reset_index(drop=True)


def _notes(
    pool: pd.DataFrame,
    reason: pd.Series[str],
    candidates: pd.DataFrame,
    several: int,
    unrecorded: tuple[Covariate, ...],
) -> tuple[str, ...]:
    notes = [
        "Whether a teacher visits is the teacher's and the school's choice: who visits may differ "
        "in ways that no file records. The result is exploratory.",
        "Staff lists do not say when somebody came or left: who was hired after the first day of "
        "the year is among the comparison teachers.",
    ]
    unknown = sorted(pool.loc[reason == "no_next_list", "school_year"].unique())
    if unknown:
        notes.append(
            f"Retention after {school_years_text(unknown)} is not observed: there is no staff list "
            "of the next year."
        )
    if several:
        notes.append(
            f"{shown_count(several)} teacher-years are on the lists of several schools; each "
            "counts once, at the school of the year before, else at the first by its identifier."
        )
    comparison = candidates[candidates["contrast"] == "comparison"]
    if later := int((comparison["visits_during_year"] > 0).sum()):
        notes.append(
            f"{shown_count(later)} possible comparison teacher-years made a visit later in the "
            "year; that is part of what happens without a visit before it."
        )
    if unrecorded:
        labels = listed([one.label for one in unrecorded])
        notes.append(f"Not recorded for most teachers, so not adjusted for: {labels}.")
    return tuple(notes)


def _require_next_list(
    pool: pd.DataFrame, reason: pd.Series[str], design: StudyDesign, question: Question
) -> None:
    if (reason == "no_next_list").all():
        last = max(int(year) for year in pool["school_year"])
        raise SourceError(
            f"staff: there is no list of the school year after any of "
            f"{school_years_text(design.school_years)}, so nobody is known to stay or leave. "
            f"Deliver the list of {school_years_text([last + 1])}, or take question "
            f"{question.name!r} out of the design."
        )


def _require_groups(
    design: StudyDesign, question: Question, candidates: pd.DataFrame, flow: tuple[FlowStep, ...]
) -> None:
    programs = listed(question.programs, "or")
    modes = listed([mode.replace("_", " ") for mode in question.modes], "or")
    who = {
        "visited": f"made a visit before the school year under {programs} ({modes})",
        "comparison": "made no visit before the school year",
    }
    for group, words in who.items():
        if not (candidates["contrast"] == group).any():
            raise SourceError(
                f"visits: no teacher with a complete baseline in "
                f"{school_years_text(design.school_years)} {words}, so question "
                f"{question.name!r} has no answer; of all teacher-years on the lists "
                f"{shown_count(getattr(flow[0], group))} are in that group. Check staff_id_1, "
                "staff_id_2, dates, programs and modes of the visits."
            )


def _not_delivered(panel: Panel, question: Question, start: str, what: str) -> str:
    sentences = [one for one in panel.missing if one.startswith(start)]
    return (
        f"{' '.join(sentences) or f'{start}.'} Take question {question.name!r} out of the design, "
        f"or deliver {what}."
    )
