"""From the panel to the candidates of one question: the one place that materializes rows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from homevisit_eval.design import CompleteCases, MissingIndicator, Question, StudyDesign
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import DesignError
from homevisit_eval.panel.engine import kept
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.bands import GradeYear, band_label, first_missing, measured_in
from homevisit_eval.sample.baseline import baseline_names
from homevisit_eval.sample.exclusions import contrast_rules, eligibility_rules, student_years
from homevisit_eval.sample.flow import FlowStep, excluded, flow_adds_up, remaining
from homevisit_eval.sample.labels import grades_text, school_years_text
from homevisit_eval.sample.measurable import (
    require_covariates,
    require_groups,
    require_outcomes,
    require_years,
)
from homevisit_eval.sample.missing import (
    MissingCount,
    count_missing,
    fill_with_indicators,
    missing_notes,
)
from homevisit_eval.sample.notes import sample_notes
from homevisit_eval.sample.windows import first_school_year_with_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = ["select_sample"]

_log = logging.getLogger(__name__)

ORDER = ["school_year", "grade", "school_id", "unit_id"]
FLAGS = ["contrast", "attempted", "visited_later", "household_id"]


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
        Its outcomes stand in the design; the first primary question if not given.

    Returns
    -------
    AnalyticSample
        One row for each candidate, in the order of school year, grade, school and student. If
        the design asks for multiple imputation, covariates may be missing in it until
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
    students have it; this rule, and all others here, look at nothing after the first
    instructional day, except for the pool ``"never_visited_that_year"``.
    """
    asked = _asked(design, question)
    names = baseline_names(design, asked)
    require_years(panel, design)
    with kept(panel.connection, student_years(panel, design, asked, names), "sample") as rows:
        counts = _group_counts(rows)
        measured = _measured(panel, design, asked, rows, names)
        pool, required = _with_bands(_collect(rows, asked, names), design, measured)
    left = _reasons_to_leave(pool, design, asked, measured, required)
    candidates = pool[left == ""]
    missing = _missing(pool[left != "no_pretest"], design, required)
    flow = _flow(design, asked, counts, pool, left)
    assert flow_adds_up(flow), "the sample flow does not add up"
    require_groups(design, asked, candidates, flow)
    require_outcomes(panel, design, asked, candidates)
    first_visits = first_school_year_with_visits(panel)
    baseline = _baseline(candidates, names, first_visits)
    _log.info("sample %s: %s visited candidates", asked.name, shown_count(flow[-1].visited))
    sample = AnalyticSample(
        baseline=baseline,
        outcomes=_outcomes(candidates, design, asked),
        covariates=_bands(baseline, measured, design),
        question=asked,
        design=design,
        flow=flow,
        district=panel.district,
        synthetic=panel.synthetic,
        notes=(
            *sample_notes(design, asked, candidates, measured, first_visits),
            *missing_notes(design.missing_covariates, missing),
        ),
        missing=missing,
    )
    if isinstance(design.missing_covariates, MissingIndicator):
        return fill_with_indicators(sample)
    return sample


def _asked(design: StudyDesign, question: Question | None) -> Question:
    if isinstance(question, Question):
        return question
    if question is not None:
        raise DesignError("question must be a Question; design.question(name) returns one.")
    primary = [question for question in design.questions if question.role == "primary"]
    if not primary:
        raise DesignError("The design has no primary question; say which question is meant.")
    return primary[0]


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
) -> dict[GradeYear, tuple[str, ...]]:
    """Say which covariates are measured in which grade-year, over its eligible students."""
    counts = (
        rows.filter(~nw.col("exclusion").is_in([rule.name for rule in eligibility_rules(design)]))
        .group_by("school_year", "grade")
        .agg(nw.len().alias("students"), *(nw.col(name).count() for name in names))
        .sort("school_year", "grade")
        .collect("pandas")
        .to_native()
    )
    measured = measured_in(counts, design.covariates)
    require_covariates(panel, design, question, counts, measured)
    return measured


def _collect(rows: Frame, question: Question, names: Sequence[str]) -> pd.DataFrame:
    """Materialize the student-years that no rule excludes, sorted."""
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
            *(nw.col(name).cast(nw.Float64) for name in question.outcomes),
        )
        .collect("pandas")
        .to_native()
    )
    return frame.sort_values(ORDER, kind="stable", ignore_index=True)


def _with_bands(
    pool: pd.DataFrame, design: StudyDesign, measured: Mapping[GradeYear, tuple[str, ...]]
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Add the grade band, and return the covariates that each band has.

    A covariate's values are dropped in bands in which it is not measured: they are of the few
    students who were tested out of grade.
    """
    keys = _grade_years(pool)
    label = {key: band_label(names, design.covariates) for key, names in measured.items()}
    pool = pool.assign(grade_band=[label[key] for key in keys])
    required = {label[key]: names for key, names in measured.items()}
    for name in [covariate.name for covariate in design.covariates if covariate.where_measured]:
        bands = [band for band, names in required.items() if name in names]
        pool = pool.assign(**{name: pool[name].where(pool["grade_band"].isin(bands))})
    return pool, required


def _reasons_to_leave(
    pool: pd.DataFrame,
    design: StudyDesign,
    question: Question,
    measured: Mapping[GradeYear, tuple[str, ...]],
    required: Mapping[str, tuple[str, ...]],
) -> npt.NDArray[np.object_]:
    """Return why each row leaves: "no_pretest", a covariate that it lacks, or ""."""
    left = np.full(len(pool), "", dtype=object)
    if isinstance(design.missing_covariates, CompleteCases):
        left = first_missing(pool, required, [covariate.name for covariate in design.covariates])
    pretests = set(_pretests(design, question))
    lacks = [not pretests <= set(measured[key]) for key in _grade_years(pool)]
    left[np.array(lacks, dtype=bool)] = "no_pretest"
    return left


def _grade_years(pool: pd.DataFrame) -> list[GradeYear]:
    return list(zip(pool["school_year"].tolist(), pool["grade"].tolist(), strict=True))


def _missing(
    pool: pd.DataFrame, design: StudyDesign, required: Mapping[str, tuple[str, ...]]
) -> tuple[MissingCount, ...]:
    visited = (pool["contrast"] == "visited").to_numpy(dtype=bool)
    return count_missing(pool, visited, required, design.covariates)


def _pretests(design: StudyDesign, question: Question) -> list[str]:
    """Return the baselines of the question's outcomes that only some grade-years have."""
    baselines = [design.outcome(name).baseline for name in question.outcomes]
    return [c.name for c in design.covariates if c.where_measured and c.name in baselines]


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
        remaining("enrolled", f"Enrolled: {place}", _total(counts.values())),
        *(excluded(rule.name, rule.label, counts.get(rule.name, {})) for rule in eligibility),
        remaining(
            "eligible",
            "Eligible",
            _total(count for name, count in counts.items() if name not in out),
        ),
        *(excluded(rule.name, rule.label, counts.get(rule.name, {})) for rule in contrast),
        remaining("contrast", "Visited before the year, or possible comparison", _groups(pool)),
    ]
    if _pretests(design, question):
        label = "No pretest in this grade and year"
        steps.append(excluded("no_pretest", label, _groups(pool[left == "no_pretest"])))
    for covariate in design.covariates:
        lacks = pool[left == covariate.name]
        if len(lacks):
            label = f"Baseline incomplete: {covariate.label}"
            steps.append(excluded(f"missing_{covariate.name}", label, _groups(lacks)))
    words = {
        "complete_cases": "Complete baseline: candidates",
        "indicator": "Candidates, missing covariates filled in",
        "multiple_imputation": "Candidates, missing covariates imputed",
    }
    label = words[design.missing_covariates.rule]
    steps.append(remaining("candidates", label, _groups(pool[left == ""])))
    return tuple(steps)


def _groups(rows: pd.DataFrame) -> dict[str, int]:
    return {str(group): int(n) for group, n in rows["contrast"].value_counts().items()}


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for groups in counts:
        for group, n in groups.items():
            total[group] = total.get(group, 0) + n
    return total


def _baseline(
    candidates: pd.DataFrame, names: Sequence[str], first_visits: int | None
) -> pd.DataFrame:
    known = candidates["school_year"] - 1 >= (first_visits or 0)
    before = candidates["visited_prior"].map({1: "yes", 0: "no"}).where(known, "unknown")
    frame = pd.DataFrame(
        {
            "unit_id": candidates["unit_id"],
            "school_year": candidates["school_year"].astype("int64"),
            "index_date": candidates["index_date"].astype("datetime64[s]"),
            "visited": (candidates["contrast"] == "visited").astype("int8"),
            "grade": candidates["grade"].astype("int64"),
            "school_id": candidates["school_id"],
            "grade_band": candidates["grade_band"],
            "visited_prior": before,
            **{
                name: candidates[name].astype("category" if name == "race_ethnicity" else "float64")
                for name in names
            },
        }
    )
    return frame.reset_index(drop=True)


def _outcomes(candidates: pd.DataFrame, design: StudyDesign, question: Question) -> pd.DataFrame:
    """Return outcomes: a score where there is one, the others after enough enrolled days."""
    days = candidates["days_enrolled"].fillna(0)
    columns = {}
    for name in question.outcomes:
        score = design.outcome(name).scale == "continuous"
        enough = days >= design.eligibility.min_days_enrolled
        columns[name] = candidates[name] if score else candidates[name].where(enough)
    return pd.DataFrame({**columns, "days_enrolled": days.astype("int64")}).reset_index(drop=True)


def _bands(
    baseline: pd.DataFrame,
    measured: Mapping[GradeYear, tuple[str, ...]],
    design: StudyDesign,
) -> Mapping[str, tuple[str, ...]]:
    """Return the covariates of each band that has candidates, in the order of the labels."""
    names = {band_label(here, design.covariates): here for here in measured.values()}
    present = set(baseline["grade_band"])
    return MappingProxyType({band: names[band] for band in sorted(names) if band in present})
