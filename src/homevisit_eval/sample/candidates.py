"""What all samples share: grade bands, incomplete baselines, counts of groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from homevisit_eval.design import CompleteCases, Question, StudyDesign
from homevisit_eval.design.measures import Subgroup
from homevisit_eval.sample.bands import GradeYear, band_label, first_missing
from homevisit_eval.sample.flow import FlowStep, excluded
from homevisit_eval.sample.missing import MissingCount, count_missing
from homevisit_eval.sample.score_grades import (
    LEFT_OUT_WORDS,
    ScoreGrades,
    grade_years,
    reasons_by_scores,
)

__all__ = [
    "bands_with_candidates",
    "baseline_exclusions",
    "baseline_frame",
    "group_counts",
    "reasons_to_leave",
    "shares_missing",
    "total_counts",
    "with_bands",
    "with_subgroup",
]

NO_SUBGROUP = "no_subgroup"
CUTS: Mapping[Subgroup, tuple[tuple[float, ...], tuple[str, ...]]] = {
    "grade": ((2.5, 5.5), ("through grade 2", "grades 3 to 5", "grades 6 and above")),
    "attendance_rate_prior": (
        (0.90, 0.95),
        ("attended less than 90 %", "attended 90 to 95 %", "attended 95 % or more"),
    ),
    "school_at_risk_prior": (
        (0.40, 0.70),
        (
            "school less than 40 % at risk",
            "school 40 to 70 % at risk",
            "school 70 % at risk or more",
        ),
    ),
}
"""Where quantities are cut into subgroups: a value at a cut belongs above it. Our choice."""

WORDS: Mapping[Subgroup, tuple[str, str]] = {
    "female": ("not female", "female"),
    "english_learner_prior": ("not an English learner", "English learner"),
    "disability_prior": ("without a disability", "with a disability"),
    "at_risk_prior": ("not at risk", "at risk"),
    "economically_disadvantaged_prior": (
        "not economically disadvantaged",
        "economically disadvantaged",
    ),
    "any_incident_prior": ("no incident the year before", "incident the year before"),
}


def with_bands(
    pool: pd.DataFrame, design: StudyDesign, measured: Mapping[GradeYear, tuple[str, ...]]
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Add the grade band, and return the covariates that each band has.

    A covariate's values are dropped in bands in which it is not measured: they are of the few
    students who were tested out of grade.
    """
    keys = grade_years(pool)
    label = {key: band_label(names, design.covariates) for key, names in measured.items()}
    pool = pool.assign(grade_band=[label[key] for key in keys])
    required = {label[key]: names for key, names in measured.items()}
    for name in [covariate.name for covariate in design.covariates if covariate.where_measured]:
        bands = [band for band, names in required.items() if name in names]
        pool = pool.assign(**{name: pool[name].where(pool["grade_band"].isin(bands))})
    return pool, required


def reasons_to_leave(
    pool: pd.DataFrame,
    design: StudyDesign,
    question: Question,
    required: Mapping[str, tuple[str, ...]],
    scores: Sequence[ScoreGrades],
) -> npt.NDArray[np.object_]:
    """Return why each row leaves, or "".

    No score of the question is about its grade-year ("no_pretest", "no_outcome"), it lacks a
    covariate (its name), or its subgroup is not known ("no_subgroup").
    """
    left = np.full(len(pool), "", dtype=object)
    if isinstance(design.missing_covariates, CompleteCases):
        left = first_missing(pool, required, [covariate.name for covariate in design.covariates])
    by_scores = reasons_by_scores(pool, question, scores)
    left = np.where(by_scores != "", by_scores, left)
    if question.subgroup:
        left[(left == "") & pool["subgroup"].isna().to_numpy(dtype=bool)] = NO_SUBGROUP
    return left


def shares_missing(
    pool: pd.DataFrame,
    left: npt.NDArray[np.object_],
    design: StudyDesign,
    required: Mapping[str, tuple[str, ...]],
) -> tuple[MissingCount, ...]:
    """Return how many of each group lack each covariate of their grade band.

    Grade-years that no score of the question is about do not count.
    """
    pool = pool[~np.isin(left, list(LEFT_OUT_WORDS))]
    visited = (pool["contrast"] == "visited").to_numpy(dtype=bool)
    return count_missing(pool, visited, required, design.covariates)


def group_counts(rows: pd.DataFrame) -> dict[str, int]:
    """Return how many rows each group has."""
    return {str(group): int(n) for group, n in rows["contrast"].value_counts().items()}


def total_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts by group."""
    total: dict[str, int] = {}
    for groups in counts:
        for group, n in groups.items():
            total[group] = total.get(group, 0) + n
    return total


def bands_with_candidates(
    baseline: pd.DataFrame,
    measured: Mapping[GradeYear, tuple[str, ...]],
    design: StudyDesign,
) -> Mapping[str, tuple[str, ...]]:
    """Return the covariates of each band that has candidates, in the order of the labels."""
    names = {band_label(here, design.covariates): here for here in measured.values()}
    present = set(baseline["grade_band"])
    return MappingProxyType({band: names[band] for band in sorted(names) if band in present})


def with_subgroup(pool: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Add the column `subgroup` that a question asks for, in words; missing where unknown."""
    if not question.subgroup:
        return pool
    values = pool[question.subgroup]
    if question.subgroup in CUTS:
        cuts, words = CUTS[question.subgroup]
        place = np.searchsorted(np.array(cuts), values.to_numpy(dtype=np.float64), side="right")
    elif question.subgroup in WORDS:
        words = WORDS[question.subgroup]
        place = values.fillna(0).to_numpy(dtype=np.int64)
    else:
        words = tuple(sorted(str(one) for one in values.dropna().unique()))
        place = pd.Categorical(values.astype(object), categories=words).codes
    codes = np.where(values.notna(), np.minimum(place, len(words) - 1), -1)
    named = np.array([*words, None], dtype=object)[codes]
    return pool.assign(subgroup=pd.Categorical(named, categories=list(words)))


def baseline_exclusions(
    pool: pd.DataFrame, left: npt.NDArray[np.object_], design: StudyDesign
) -> list[FlowStep]:
    """Return the flow lines of those who leave for what is known of their baseline."""
    steps = []
    for reason, label in LEFT_OUT_WORDS.items():
        if (left == reason).any():
            steps.append(excluded(reason, label, group_counts(pool[left == reason])))
    for covariate in design.covariates:
        lacks = pool[left == covariate.name]
        if len(lacks):
            label = f"Baseline incomplete: {covariate.label}"
            steps.append(excluded(f"missing_{covariate.name}", label, group_counts(lacks)))
    unknown = pool[left == NO_SUBGROUP]
    if len(unknown):
        steps.append(excluded(NO_SUBGROUP, "Subgroup not known", group_counts(unknown)))
    return steps


def baseline_frame(
    candidates: pd.DataFrame, names: Sequence[str], first_visits: int | None
) -> pd.DataFrame:
    """Return the baseline of candidates, see `AnalyticSample`."""
    known = candidates["school_year"] - 1 >= (first_visits or 0)
    before = candidates["visited_prior"].map({1: "yes", 0: "no"}).where(known, "unknown")
    subgroup = {"subgroup": candidates["subgroup"]} if "subgroup" in candidates else {}
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
            **subgroup,
            **{
                name: candidates[name].astype("category" if name == "race_ethnicity" else "float64")
                for name in names
            },
        }
    )
    return frame.reset_index(drop=True)
