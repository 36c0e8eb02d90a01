"""The candidates of a question about visits before the school year."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from homevisit_eval.design import MissingIndicator, Question, StudyDesign
from homevisit_eval.design.measures import followed_name, measured_name
from homevisit_eval.disclosure import shown_count
from homevisit_eval.panel.engine import kept
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.bands import GradeYear, measured_in
from homevisit_eval.sample.baseline import baseline_names
from homevisit_eval.sample.candidates import (
    bands_with_candidates,
    baseline_exclusions,
    baseline_frame,
    group_counts,
    reasons_to_leave,
    shares_missing,
    total_counts,
    with_bands,
    with_subgroup,
)
from homevisit_eval.sample.exclusions import contrast_rules, eligibility_rules, student_years
from homevisit_eval.sample.flow import FlowStep, excluded, flow_adds_up, remaining
from homevisit_eval.sample.labels import grades_text, school_years_text
from homevisit_eval.sample.measurable import (
    require_covariates,
    require_groups,
    require_outcomes,
    require_scores,
)
from homevisit_eval.sample.missing import fill_with_indicators, missing_notes
from homevisit_eval.sample.notes import outcome_notes, sample_notes
from homevisit_eval.sample.score_grades import (
    ScoreGrades,
    counted_for_scores,
    score_grades,
    score_notes,
    without_left_out,
)
from homevisit_eval.sample.windows import first_school_year_with_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = ["ORDER", "select_before_year"]

_log = logging.getLogger(__name__)

ORDER = ["school_year", "grade", "school_id", "unit_id"]
FLAGS = ["contrast", "attempted", "visited_later", "household_id"]


def select_before_year(panel: Panel, design: StudyDesign, asked: Question) -> AnalyticSample:
    """Return the candidates of a question about visits before the year: see `select_sample`."""
    names = baseline_names(design, asked)
    with kept(panel.connection, student_years(panel, design, asked, names), "sample") as rows:
        counts = _group_counts(rows)
        measured, scores = _measured(panel, design, asked, rows, names)
        pool, required = with_bands(_collect(rows, asked, names), design, measured)
    pool = with_subgroup(without_left_out(pool, scores), asked)
    left = reasons_to_leave(pool, design, asked, required, scores)
    candidates = pool[left == ""]
    missing = shares_missing(pool, left, design, required)
    flow = _flow(design, asked, counts, pool, left)
    assert flow_adds_up(flow), "the sample flow does not add up"
    require_groups(design, asked, candidates, flow)
    require_outcomes(panel, design, asked, candidates)
    first_visits = first_school_year_with_visits(panel)
    baseline = baseline_frame(candidates, names, first_visits)
    _log.info("sample %s: %s visited candidates", asked.name, shown_count(flow[-1].visited))
    sample = AnalyticSample(
        baseline=baseline,
        outcomes=_outcomes(candidates, design, asked),
        covariates=bands_with_candidates(baseline, measured, design),
        question=asked,
        design=design,
        flow=flow,
        district=panel.district,
        synthetic=panel.synthetic,
        notes=(
            *sample_notes(design, asked, candidates, measured, first_visits),
            *score_notes(design, scores),
            *outcome_notes(asked, candidates, scores),
            *missing_notes(design.missing_covariates, missing),
        ),
        missing=missing,
        score_grades=scores,
        exact=("subgroup",) if asked.subgroup else (),
    )
    if isinstance(design.missing_covariates, MissingIndicator):
        return fill_with_indicators(sample)
    return sample


def _group_counts(rows: Frame) -> dict[str, dict[str, int]]:
    """Count student-years by exclusion (empty for none) and group, in the engine."""
    table = rows.group_by("exclusion", "contrast").agg(nw.len().alias("n")).collect("pandas")
    counts: dict[str, dict[str, int]] = {}
    for row in table.to_native().to_dict("records"):
        counts.setdefault(row["exclusion"], {})[row["contrast"]] = int(row["n"])
    return counts


def _measured(
    panel: Panel,
    design: StudyDesign,
    question: Question,
    rows: Frame,
    names: Sequence[str],
) -> tuple[dict[GradeYear, tuple[str, ...]], tuple[ScoreGrades, ...]]:
    """Say which covariates and scores are measured where, over a grade-year's eligible students."""
    counted = dict.fromkeys((*names, *counted_for_scores(question)))
    counts = (
        rows.filter(~nw.col("exclusion").is_in([rule.name for rule in eligibility_rules(design)]))
        .group_by("school_year", "grade")
        .agg(nw.len().alias("students"), *(nw.col(name).count() for name in counted))
        .sort("school_year", "grade")
        .collect("pandas")
        .to_native()
    )
    measured = measured_in(counts, design.covariates)
    require_covariates(panel, design, counts)
    scores = score_grades(counts, design, question)
    require_scores(panel, design, counts, scores)
    return measured, scores


def _collect(rows: Frame, question: Question, names: Sequence[str]) -> pd.DataFrame:
    """Materialize the student-years that no rule excludes, sorted."""
    after = dict.fromkeys(measured_name(name)[1] for name in question.outcomes)
    later = [followed_name("days_enrolled", one) for one in after if one]
    frame: pd.DataFrame = (
        rows.filter(nw.col("exclusion") == "")
        .select(
            nw.col("student_id").alias("unit_id"),
            "school_year",
            nw.col("first_instructional_day").alias("index_date"),
            "grade",
            "school_id",
            "visited_prior",
            *FLAGS,
            *names,
            "days_enrolled",
            *later,
            *(nw.col(name).cast(nw.Float64) for name in question.outcomes),
        )
        .collect("pandas")
        .to_native()
    )
    return frame.sort_values(ORDER, kind="stable", ignore_index=True)


def _flow(
    design: StudyDesign,
    question: Question,
    counts: Mapping[str, Mapping[str, int]],
    pool: pd.DataFrame,
    left: npt.NDArray[np.object_],
) -> tuple[FlowStep, ...]:
    eligibility, contrast = eligibility_rules(design), contrast_rules(question)
    out = {rule.name for rule in eligibility}
    place = f"{grades_text(design.grades)}, {school_years_text(design.school_years)}"
    steps = [
        remaining("enrolled", f"Enrolled: {place}", total_counts(counts.values())),
        *(excluded(rule.name, rule.label, counts.get(rule.name, {})) for rule in eligibility),
        remaining(
            "eligible",
            "Eligible",
            total_counts(count for name, count in counts.items() if name not in out),
        ),
        *(excluded(rule.name, rule.label, counts.get(rule.name, {})) for rule in contrast),
        remaining(
            "contrast", "Visited before the year, or possible comparison", group_counts(pool)
        ),
    ]
    steps += baseline_exclusions(pool, left, design)
    words = {
        "complete_cases": "Complete baseline: candidates",
        "indicator": "Candidates, missing covariates filled in",
        "multiple_imputation": "Candidates, missing covariates imputed",
    }
    label = words[design.missing_covariates.rule]
    steps.append(remaining("candidates", label, group_counts(pool[left == ""])))
    return tuple(steps)


def _outcomes(candidates: pd.DataFrame, design: StudyDesign, question: Question) -> pd.DataFrame:
    """Return outcomes: a score where there is one, the others after enough enrolled days."""
    days = candidates["days_enrolled"].fillna(0)
    columns = {}
    for name in question.outcomes:
        measured = design.outcome(name).scale == "continuous"
        enrolled = candidates[followed_name("days_enrolled", measured_name(name)[1])].fillna(0)
        enough = enrolled >= design.eligibility.min_days_enrolled
        columns[name] = candidates[name] if measured else candidates[name].where(enough)
    return pd.DataFrame({**columns, "days_enrolled": days.astype("int64")}).reset_index(drop=True)
