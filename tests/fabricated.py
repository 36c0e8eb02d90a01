"""A fabricated study: results made by hand, so that tests of the report need no estimation."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from homevisit_eval.balance import Balance
from homevisit_eval.design import (
    Covariate,
    FixedEffects,
    NearestNeighbor,
    Outcome,
    Question,
    StudyDesign,
)
from homevisit_eval.effects.effect import Effect
from homevisit_eval.matching.matched_sample import (
    NO_MATCHING,
    Estimand,
    MatchedSample,
    Matches,
    PropensityModel,
)
from homevisit_eval.report.page import ReportFigure
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.flow import FlowStep

INCIDENT = Outcome(
    "any_incident", "Any disciplinary incident", "student behavior", "binary", "percent",
    "lower", "any_incident_prior",
)  # fmt: skip
ATTENDANCE = Outcome(
    "attendance_rate", "Attendance rate", "student behavior", "fraction", "percent", "higher",
    "attendance_rate_prior",
)  # fmt: skip
INCIDENTS = Outcome(
    "incidents", "Number of incidents", "student behavior", "count", "incidents", "lower",
    "incidents_prior",
)  # fmt: skip
MATH = Outcome(
    "math_score_std", "Mathematics score", "mathematics", "continuous", "standard deviations",
    "higher", "math_score_std_prior",
)  # fmt: skip
COVARIATES = (
    Covariate("attendance_rate_prior", "Attendance rate", squared=True),
    Covariate("any_incident_prior", "Any incident"),
    Covariate("female", "Girl"),
    Covariate("race_ethnicity", "Race or ethnicity"),
    Covariate("math_score_std_prior", "Mathematics score", where_measured=True),
)
QUESTION = Question(
    "summer", "Visited before the school year", "primary",
    ("any_incident", "attendance_rate", "incidents", "math_score_std"),
)  # fmt: skip
DESIGN = StudyDesign(
    format=3,
    title="Home visits in a fabricated district",
    school_years=(2015, 2016),
    grades=(1, 2),
    covariates=COVARIATES,
    outcomes=(INCIDENT, ATTENDANCE, INCIDENTS, MATH),
    questions=(QUESTION,),
)
METHOD_ESTIMAND = Estimand("ATT", "in the matched sample")
UNMATCHED = Estimand("ATT", NO_MATCHING)
METHOD = NearestNeighbor(exact=("school_year", "grade"))


def effect(outcome: Outcome = INCIDENT, **changes: Any) -> Effect:
    """Return an effect with round numbers: 9.27 % of visited, 12.22 % of comparison students."""
    values: dict[str, Any] = {
        "outcome": outcome,
        "question": "summer",
        "question_label": QUESTION.label,
        "role": "primary",
        "sensitivity": "",
        "estimand": METHOD_ESTIMAND,
        "method": METHOD,
        "model": FixedEffects(),
        "estimate": -0.0295,
        "std_error": 0.006,
        "df": 21.4,
        "df_convention": "Satterthwaite",
        "covariance": "CR2",
        "cluster": "school_id",
        "confidence_level": 0.95,
        "ci_low": -0.0420,
        "ci_high": -0.0170,
        "t": -4.9,
        "p_value": 0.0004,
        "p_value_adjusted": 0.0012,
        "adjusted_mean_visited": 0.0927,
        "adjusted_mean_comparison": 0.1222,
        "mean_visited": 0.0927,
        "mean_comparison": 0.1254,
        "sd_visited": 0.29,
        "sd_comparison": 0.3311,
        "effect_size": -0.187,
        "effect_size_kind": "Cox index",
        "improvement_index": 7.42,
        "estimate_interacted": -0.0299,
        "std_error_interacted": 0.0125,
        "n_visited": 1998,
        "n_comparison": 1998,
        "students_visited": 1490,
        "students_comparison": 1702,
        "matched_visited": 1998,
        "matched_comparison": 1998,
        "matched_students_visited": 1490,
        "matched_students_comparison": 1702,
        "clusters": 43,
        "clusters_visited": 31,
        "clusters_comparison": 43,
        "parameters": 28,
        "coefficients": {"visited": (-0.0295, 0.006)},
        "formula": "any_incident ~ visited + covariates | school_year x grade",
        "notes": (),
        "synthetic": True,
    }
    return Effect(**{**values, **changes})


def effects() -> list[Effect]:
    """Return a clear good, a clear bad, and two unclear effects, in three units."""
    return [
        effect(),
        effect(
            ATTENDANCE, estimate=0.0035, std_error=0.0011, ci_low=0.0012, ci_high=0.0058, t=3.2,
            p_value=0.004, p_value_adjusted=0.006, adjusted_mean_visited=0.9528,
            adjusted_mean_comparison=0.9493, mean_visited=0.9528, mean_comparison=0.949,
            sd_visited=0.045, sd_comparison=0.051, effect_size=0.073,
            effect_size_kind="Hedges' g", improvement_index=2.9,
        ),
        effect(
            INCIDENTS, estimate=-0.02, std_error=0.03, ci_low=-0.082, ci_high=0.042, t=-0.67,
            p_value=0.51, p_value_adjusted=0.51, adjusted_mean_visited=0.21,
            adjusted_mean_comparison=0.23, mean_visited=0.21, mean_comparison=0.24,
            sd_visited=0.8, sd_comparison=0.9, effect_size=-0.023,
            effect_size_kind="Hedges' g", improvement_index=0.9,
        ),
        effect(
            MATH, estimate=0.11, std_error=0.05, ci_low=0.004, ci_high=0.216, t=2.2,
            p_value=0.042, p_value_adjusted=0.08, adjusted_mean_visited=0.03,
            adjusted_mean_comparison=-0.08, mean_visited=0.03, mean_comparison=-0.09,
            sd_visited=0.98, sd_comparison=1.01, effect_size=0.11,
            effect_size_kind="Hedges' g", improvement_index=4.4, n_visited=640,
            n_comparison=632, students_visited=600, students_comparison=610,
        ),
    ]  # fmt: skip


def matched_sample(per_cell: int = 500, synthetic: bool = True, lost: int = 12) -> MatchedSample:
    """Return a matched sample of two years and two grades, `per_cell` pairs in each.

    Twice as many comparison candidates as pairs; `lost` visited students found no match.
    """
    rows = [
        (f"u{number}", year, grade, visited)
        for number, (year, grade, visited, _) in enumerate(
            (year, grade, visited, copy)
            for year in (2015, 2016)
            for grade in (1, 2)
            for visited in (1, 0, 0)
            for copy in range(per_cell)
        )
    ]
    rows += [(f"x{number}", 2015, 1, 1) for number in range(lost)]
    baseline = pd.DataFrame(rows, columns=["unit_id", "school_year", "grade", "visited"])
    first = baseline.groupby(["school_year", "grade", "visited"]).cumcount() < per_cell
    weights = first.astype(float)
    unmatched = baseline.index[~first & (baseline["visited"] == 1)]
    sample = AnalyticSample(
        baseline=baseline,
        outcomes=pd.DataFrame({"days_enrolled": 178 - 4 * baseline["visited"]}),
        covariates={
            "Grades 1 to 2": ("attendance_rate_prior", "any_incident_prior", "female"),
            "Grades 3 to 5": (
                "attendance_rate_prior", "any_incident_prior", "female", "math_score_std_prior"
            ),
        },
        question=QUESTION,
        design=DESIGN,
        flow=flow(4 * per_cell + lost, 8 * per_cell),
        district="Fabricated district",
        synthetic=synthetic,
        notes=("17 attempted visits were not completed; their students stay in the pool.",),
    )  # fmt: skip
    reasons = ["no comparison unit within the caliper"] * len(unmatched)
    matches = Matches(
        method=METHOD,
        pairs=pd.DataFrame(columns=["treated", "rank", "comparison"]),
        weights=weights,
        matched_set=pd.Series(-1, index=baseline.index),
        propensity_score=None,
        linear_propensity_score=None,
        estimand=METHOD_ESTIMAND,
        propensity=(
            PropensityModel("Grades 1 to 2", ("(Intercept)", "female"), {}, True, 0.1234),
            PropensityModel("Grades 3 to 5", ("(Intercept)", "female"), {}, True, 0.2),
        ),
        unmatched=pd.DataFrame({"row": unmatched, "reason": reasons}),
        audit={
            "order_rule": "highest score first",
            "treated_off_support": 0,
            "comparison_off_support": 22,
            "exact_strata": 4,
            "exact_strata_without_match": 0,
            "tied_scores": 3,
            "pairs_under_other_tie_rule": 14,
            "mean_distance": 0.01234,
            "largest_distance": 0.1,
            "notes": "band 'Grades 1 to 2': race_ethnicity white has no treated unit: 22 "
            "comparison unit(s) left out of the propensity model",
        },
    )
    return MatchedSample(sample, matches)


def flow(visited: int, comparison: int) -> tuple[FlowStep, ...]:
    """Return a flow that ends with these candidates; one exclusion is of few students."""
    return (
        FlowStep("remaining", "enrolled", "Enrolled in these grades and years", visited + 175,
                 comparison + 3400, 60),
        FlowStep("excluded", "not_at_start", "not enrolled on the first instructional day", 4,
                 900, 10),
        FlowStep("excluded", "no_baseline_year", "not enrolled in the year before", 150, 2400, 30),
        FlowStep("excluded", "other_program", "visited before the year under another program only",
                 0, 0, 20),
        FlowStep("remaining", "eligible", "Eligible", visited + 21, comparison + 100, 0),
        FlowStep("excluded", "baseline", "baseline incomplete: attendance rate", 21, 100, 0),
        FlowStep("remaining", "candidates", "Baseline complete", visited, comparison, 0),
    )  # fmt: skip


LINES = (
    # covariate, label, level, mean visited, comparison after, before, sd, wwc
    ("attendance_rate_prior", "Attendance rate", "", 0.94, 0.941, 0.95, 0.05, -0.02),
    ("any_incident_prior", "Any incident", "", 0.12, 0.11, 0.08, 0.32, 0.055),
    ("female", "Girl", "", 0.49, 0.49, 0.5, 0.5, 0.0),
    ("race_ethnicity", "Race or ethnicity", "black", 0.7, 0.68, 0.5, 0.46, 0.056),
    ("race_ethnicity", "Race or ethnicity", "white", 0.296, 0.315, 0.49, 0.46, -0.06),
    ("race_ethnicity", "Race or ethnicity", "pacific_islander", 0.004, 0.005, 0.01, 0.06, -0.13),
    ("math_score_std_prior", "Mathematics score", "", -0.2, -0.1, 0.2, 1.0, -0.3),
)


def balance(n: int = 1000, outcome: Outcome | None = INCIDENT) -> Balance:
    """Return a balance in which few students (0.4 % of `n`) are of one group."""
    rows = [
        {
            "covariate": name,
            "label": label,
            "level": level,
            "mean_treated_before": visited,
            "mean_comparison_before": before,
            "sd_treated_before": sd,
            "sd_comparison_before": sd,
            "smd_before": (visited - before) / sd,
            "variance_ratio_before": 1.2,
            "mean_treated_after": visited,
            "mean_comparison_after": after,
            "sd_treated_after": sd,
            "sd_comparison_after": sd,
            "smd_after": (visited - after) / sd,
            "variance_ratio_after": 1.01,
            "wwc_effect_size": wwc,
            "wwc_category": (
                "satisfied" if abs(wwc) <= 0.05
                else "adjustment required" if abs(wwc) <= 0.25 else "not satisfied"
            ),
            "n_treated_before": n + 12,
            "n_comparison_before": 2 * n,
            "n_treated": n,
            "n_comparison": n,
            "lost_treated": 0,
            "lost_comparison": 0,
            "in_model": True,
            "absorbed": False,
        }
        for name, label, level, visited, after, before, sd, wwc in LINES
    ]  # fmt: skip
    return Balance(pd.DataFrame(rows), outcome, "summer", METHOD_ESTIMAND, True)


def evaluation(**changes: Any) -> Any:
    """Return an evaluation with one answered question and the facts of its data."""
    matched = matched_sample()
    found = effects()
    varied = [
        effect(one.outcome, sensitivity="Same school only", estimate=one.estimate * 0.9,
               ci_low=one.ci_low, ci_high=one.ci_high, p_value_adjusted=math.nan)
        for one in found
    ]  # fmt: skip
    answer = SimpleNamespace(
        question=QUESTION,
        sample=matched.sample,
        matched=matched,
        balance={one.outcome.name: balance(outcome=one.outcome) for one in found},
        effects=tuple(found),
        sensitivity=tuple(varied),
        standard_errors=(),
        skipped=("No other district was delivered.",),
        subgroups=(),
        distribution=None,
    )
    values = {
        "design": DESIGN,
        "answers": (answer,),
        "panel_counts": (
            SimpleNamespace(source="absences", rows_in=12000, rows_used=11900, note="Counted."),
        ),
        "missing": ("surveys was not delivered: no engagement scale can be computed.",),
        "files": (
            SimpleNamespace(name="students.csv", sha256="ab" * 32, rows=4000,
                            encoding="utf-8", delimiter=","),
        ),
        "decisions": (
            SimpleNamespace(file="absences.csv", rule="absence outside enrollment",
                            severity="decision", column="date", count=31, lines=(2, 5, 9),
                            advice="These rows were left out."),
        ),
        "district": "Fabricated district",
        "synthetic": True,
        "effects": tuple(found),
        "timing": (),
        "timing_skipped": (),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def leave_out_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report have figures with titles and text alternatives, but with nothing drawn."""

    def blank(name: str, title: str, _: object, alt: str, synthetic: bool) -> ReportFigure:
        return ReportFigure(name, title, "<svg></svg>", b"", alt, synthetic)

    monkeypatch.setattr("homevisit_eval.report.document.drawn", blank)
    for name in ("impacts", "sample_flow", "love_plot"):
        monkeypatch.setattr(f"homevisit_eval.report.figures.{name}", lambda *_: None)
