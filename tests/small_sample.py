"""Analytic samples made by hand, for tests of matching and balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from homevisit_eval.design import (
    Covariate,
    MatchingMethod,
    NearestNeighbor,
    Outcome,
    Question,
    StudyDesign,
)
from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = ["OUTCOMES", "random_sample", "sample_of"]

OUTCOMES = (
    Outcome(
        "attendance_rate", "Attendance rate", "student behavior", "fraction", "percent", "higher",
        "attendance_rate_prior",
    ),
    Outcome(
        "any_incident", "Any incident", "student behavior", "binary", "percent", "lower",
        "any_incident_prior",
    ),
)  # fmt: skip
COVARIATES = (
    Covariate("attendance_rate_prior", "Attendance rate", squared=True),
    Covariate("female", "Girl"),
    Covariate("race_ethnicity", "Race or ethnicity"),
    Covariate("math_score_std_prior", "Mathematics score", where_measured=True),
)


def sample_of(
    baseline: pd.DataFrame,
    outcomes: pd.DataFrame,
    covariates: Mapping[str, Sequence[str]],
    *,
    matching: MatchingMethod | None = None,
    comparison_schools: str = "any",
) -> AnalyticSample:
    """Wrap frames as the sample of a question with both outcomes."""
    question = Question(
        name="summer",
        label="Visited before the year",
        role="primary",
        outcomes=tuple(outcome.name for outcome in OUTCOMES),
        comparison_schools=comparison_schools,
    )
    design = StudyDesign(
        format=3,
        title="A test",
        school_years=(2015,),
        grades=(1, 2, 3, 4),
        covariates=COVARIATES,
        outcomes=OUTCOMES,
        questions=(question,),
        matching=matching or NearestNeighbor(exact=("grade",)),
    )
    return AnalyticSample(
        baseline=baseline,
        outcomes=outcomes,
        covariates={band: tuple(names) for band, names in covariates.items()},
        question=question,
        design=design,
        flow=(),
        district="Test",
        synthetic=True,
    )


def random_sample(seed: int, n: int = 600, **options: object) -> AnalyticSample:
    """Return a sample in two bands; mathematics is measured in grades 3 and 4 only."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 77])))
    grade = rng.integers(1, 5, n)
    rate = np.round(np.clip(rng.normal(0.93, 0.05, n), 0.5, 1.0), 2)
    math = np.where(grade >= 3, np.round(rng.normal(0, 1, n), 1), np.nan)
    chance = 1 / (1 + np.exp(1.2 - 8 * (rate - 0.93) - 0.5 * np.nan_to_num(math)))
    visited = (rng.random(n) < chance).astype(int)
    baseline = pd.DataFrame(
        {
            "unit_id": [f"SYN{number:05d}" for number in range(1, n + 1)],
            "school_year": 2015,
            "index_date": pd.Timestamp("2014-08-25"),
            "visited": visited,
            "grade": grade,
            "school_id": rng.choice(["S01", "S02", "S03"], n),
            "grade_band": np.where(grade >= 3, "with pretest", "without pretest"),
            "visited_prior": "no",
            "attendance_rate_prior": rate,
            "female": rng.integers(0, 2, n),
            "race_ethnicity": pd.Categorical(rng.choice(["black", "hispanic", "white"], n)),
            "any_incident_prior": rng.integers(0, 2, n),
            "math_score_std_prior": math,
        }
    )
    outcomes = pd.DataFrame(
        {
            "attendance_rate": np.where(rng.random(n) < 0.9, rng.random(n), np.nan),
            "any_incident": rng.integers(0, 2, n).astype(float),
            "days_enrolled": 180,
        }
    )
    usual = ("attendance_rate_prior", "female", "race_ethnicity")
    covariates = {"with pretest": (*usual, "math_score_std_prior"), "without pretest": usual}
    return sample_of(baseline, outcomes, covariates, **options)
