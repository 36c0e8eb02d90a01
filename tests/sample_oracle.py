"""The rules of the sample once more, row by row and without an engine, to compare with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from homevisit_eval.design import Outcome, Question, StudyDesign
from homevisit_eval.panel import Panel

__all__ = ["Expected", "expected_sample"]

Key = tuple[str, int]
PROGRAM_COLUMNS = {"FEP": "fep", "FEC": "fec", "EC": "early_childhood"}

SCHOOL_COLUMNS = {
    "school_attendance_prior": "mean_attendance",
    "school_incident_rate_prior": "incident_rate",
    "school_at_risk_prior": "at_risk_share",
}


@dataclass(frozen=True)
class Expected:
    """Why each student-year leaves, in which group, and what the candidates' rows hold."""

    reasons: Counter[tuple[str, str]]
    baseline: dict[Key, dict[str, Any]]
    outcomes: dict[Key, dict[str, Any]]

    @property
    def answerable(self) -> bool:
        """Whether both groups have candidates, and every outcome is observed for somebody."""
        both = len({row["visited"] for row in self.baseline.values()}) == 2
        names = {name for row in self.outcomes.values() for name in row}
        return both and all(
            any(row[name] is not None for row in self.outcomes.values()) for name in names
        )


def _known(value: Any) -> bool:
    return value is not None and value is not pd.NaT and value == value  # NaN is not itself


class _Panel:
    """The panel's tables as dictionaries."""

    def __init__(self, panel: Panel) -> None:
        self.rows: dict[Key, dict[str, Any]] = {
            (row["student_id"], row["school_year"]): row
            for row in panel.to_pandas("students").to_dict("records")
        }
        self.schools = {
            (row["school_id"], row["school_year"]): row
            for row in panel.schools.collect("pandas").to_native().to_dict("records")
        }
        self.visits: dict[Key, list[dict[str, Any]]] = {}
        for row in panel.visits.collect("pandas").to_native().to_dict("records"):
            self.visits.setdefault((row["student_id"], row["school_year"]), []).append(row)

    def before(self, key: Key, completed: int = 1) -> list[dict[str, Any]]:
        first = self.rows[key]["first_instructional_day"]
        found = self.visits.get(key, [])
        return [v for v in found if v["completed"] == completed and v["date"] < first]

    def group(self, key: Key, question: Question) -> str:
        before = self.before(key)
        if any(v["program"] in question.programs and v["mode"] in question.modes for v in before):
            return "visited"
        return "neither" if before else "comparison"


_read = lru_cache(maxsize=1)(_Panel)
"""Questions to one panel read its tables once."""


def expected_sample(panel: Panel, design: StudyDesign, question: Question) -> Expected:
    """Return what `select_sample` must find."""
    data = _read(panel)
    keys = [
        key
        for key, row in data.rows.items()
        if key[1] in design.school_years and row["grade"] in design.grades
    ]
    reasons = {key: _ineligible(data, key, design) for key in keys}
    eligible = [key for key in keys if not reasons[key]]
    measured = _measured(data, eligible, design)
    scores = {
        name: _left_out(data, eligible, design, name)
        for name in question.outcomes
        if name.endswith("_score_std")
    }
    homes = {
        (row["household_id"], key[1])
        for key, row in data.rows.items()
        if _known(row["household_id"]) and data.before(key)
    }
    first = _first_whole_year(data)
    asked = [design.outcome(name) for name in question.outcomes]
    expected = Expected(Counter(), {}, {})
    for key in keys:
        reason = (
            reasons[key]
            or _out_of_contrast(data, key, question, homes)
            or _not_scored(data, key, question, scores)
            or _incomplete(data, key, design, measured)
        )
        expected.reasons[reason, data.group(key, question)] += 1
        if not reason:
            here = measured[key[1], data.rows[key]["grade"]]
            expected.baseline[key] = _baseline(data, key, design, question, asked, here, first)
            expected.outcomes[key] = _outcomes(data, key, design, asked, scores)
    return expected


def _first_whole_year(data: _Panel) -> int | None:
    dates = [v["date"] for visits in data.visits.values() for v in visits]
    starts: dict[int, Any] = {}
    for (_, year), row in data.rows.items():
        day = row["first_instructional_day"]
        starts[year] = min(day, starts.get(year, day))
    if not dates:
        return None
    return min((year for year, day in starts.items() if min(dates) < day), default=max(starts) + 1)


def _ineligible(data: _Panel, key: Key, design: StudyDesign) -> str:
    student, year = key
    if not _known(data.rows[key]["school_id"]):
        return "not_at_time_zero"
    prior = data.rows.get((student, year - 1))
    if prior is None:
        return "not_in_baseline_year"
    if prior["days_enrolled"] < design.eligibility.min_days_enrolled_prior:
        return "few_days_in_baseline_year"
    return ""


def _out_of_contrast(
    data: _Panel, key: Key, question: Question, homes: set[tuple[str, int]]
) -> str:
    row, group = data.rows[key], data.group(key, question)
    if group == "neither":
        named = any(v["program"] in question.programs for v in data.before(key))
        return "other_mode" if named else "other_program"
    if group == "visited":
        return ""
    if question.pool == "never_visited_that_year" and any(
        v["completed"] for v in data.visits.get(key, [])
    ):
        return "visited_later"
    if (row["household_id"], key[1]) in homes:
        return "sibling"
    place = data.schools[row["school_id"], key[1]]
    takes_part = any(place[PROGRAM_COLUMNS[program]] for program in question.programs)
    if question.comparison_schools == "outside_program" and takes_part:
        return "program_school"
    return ""


def _value(data: _Panel, key: Key, name: str) -> Any:
    student, year = key
    row = data.rows[key]
    if name == "female":
        value = float(row["sex"] == "female") if _known(row["sex"]) else None
    elif name in ("race_ethnicity", "age_for_grade"):
        value = row[name]
    elif name in SCHOOL_COLUMNS:
        value = data.schools.get((row["school_id"], year - 1), {}).get(SCHOOL_COLUMNS[name])
    elif name == "mobile_prior":
        value = float(data.rows[student, year - 1]["schools_attended"] > 1)
    else:
        value = data.rows[student, year - 1][name.removesuffix("_prior")]
    return value if _known(value) else None


def _measured(
    data: _Panel, eligible: list[Key], design: StudyDesign
) -> dict[tuple[int, int], set[str]]:
    groups: dict[tuple[int, int], list[Key]] = {}
    for key in eligible:
        groups.setdefault((key[1], data.rows[key]["grade"]), []).append(key)
    return {
        group: {
            covariate.name
            for covariate in design.covariates
            if not covariate.where_measured
            or 2 * sum(_value(data, key, covariate.name) is not None for key in members)
            >= len(members)
        }
        for group, members in groups.items()
    }


def _left_out(
    data: _Panel, eligible: list[Key], design: StudyDesign, name: str
) -> dict[tuple[int, int], str]:
    """Return the grade-years that a score is not about, and why."""
    groups: dict[tuple[int, int], list[Key]] = {}
    for key in eligible:
        groups.setdefault((key[1], data.rows[key]["grade"]), []).append(key)
    left = {}
    for group, keys in groups.items():
        before = sum(_value(data, key, f"{name}_prior") is not None for key in keys)
        after = sum(_known(data.rows[key][name]) for key in keys)
        if design.achievement.grades_without_outcome == "leave_out" and 10 * after < len(keys):
            left[group] = "no_outcome"
        if design.achievement.grades_without_pretest == "leave_out" and 2 * before < len(keys):
            left[group] = "no_pretest"
    return left


def _not_scored(
    data: _Panel, key: Key, question: Question, scores: dict[str, dict[tuple[int, int], str]]
) -> str:
    group = (key[1], data.rows[key]["grade"])
    if set(question.outcomes) - set(scores) or not all(group in one for one in scores.values()):
        return ""
    why = {one[group] for one in scores.values()}
    return "no_pretest" if "no_pretest" in why else "no_outcome"


def _incomplete(
    data: _Panel,
    key: Key,
    design: StudyDesign,
    measured: dict[tuple[int, int], set[str]],
) -> str:
    here = measured[key[1], data.rows[key]["grade"]]
    for covariate in design.covariates:
        if covariate.name in here and _value(data, key, covariate.name) is None:
            return f"missing_{covariate.name}"
    return ""


def _baseline(
    data: _Panel,
    key: Key,
    design: StudyDesign,
    question: Question,
    asked: list[Outcome],
    here: set[str],
    first: int | None,
) -> dict[str, Any]:
    student, year = key
    row = data.rows[key]
    prior_visits = data.visits.get((student, year - 1), [])
    before = "yes" if any(v["completed"] for v in prior_visits) else "no"
    absent = {covariate.name for covariate in design.covariates} - here
    names = [covariate.name for covariate in design.covariates]
    names += [outcome.baseline for outcome in asked]
    return {
        "index_date": row["first_instructional_day"],
        "visited": int(data.group(key, question) == "visited"),
        "grade": row["grade"],
        "school_id": row["school_id"],
        "visited_prior": "unknown" if first is None or year - 1 < first else before,
        **{name: None if name in absent else _value(data, key, name) for name in names},
    }


def _outcomes(
    data: _Panel,
    key: Key,
    design: StudyDesign,
    asked: list[Outcome],
    scores: dict[str, dict[tuple[int, int], str]],
) -> dict[str, Any]:
    row = data.rows[key]
    values = {"days_enrolled": row["days_enrolled"]}
    for outcome in asked:
        name = outcome.name
        needed = 0 if outcome.scale == "continuous" else design.eligibility.min_days_enrolled
        enough = row["days_enrolled"] >= needed and _known(row[name])
        scored = (key[1], row["grade"]) not in scores.get(name, {})
        values[name] = row[name] if enough and scored else None
    return values
