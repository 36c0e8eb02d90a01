"""Small analytic samples with known effects, matched by hand, and the effects estimated on them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from homevisit_eval.design import (
    Covariate,
    NearestNeighbor,
    NoMatching,
    Outcome,
    OutcomeModel,
    Question,
    StudyDesign,
)
from homevisit_eval.effects import Effect, estimate_effect
from homevisit_eval.matching import Estimand, MatchedSample, Matches, match_students
from homevisit_eval.sample import AnalyticSample

__all__ = ["EFFECTS", "OUTCOMES", "matched_example", "one_effect", "with_replacement"]

OUTCOMES = (
    Outcome(
        "attendance_rate",
        "Attendance rate",
        "student behavior",
        "fraction",
        "percent",
        "higher",
        "attendance_rate_prior",
    ),
    Outcome(
        "any_incident",
        "Any disciplinary incident",
        "student behavior",
        "binary",
        "percent",
        "lower",
        "any_incident_prior",
    ),
    Outcome(
        "math_score_std",
        "Mathematics score",
        "achievement",
        "continuous",
        "standard deviations",
        "higher",
        "math_score_std_prior",
    ),
)
EFFECTS = {"attendance_rate": 0.02, "any_incident": -0.10, "math_score_std": 0.15}


def design(model: OutcomeModel | None = None) -> StudyDesign:
    question = Question(
        name="summer",
        label="A visit before the school year",
        role="primary",
        outcomes=tuple(outcome.name for outcome in OUTCOMES),
        model=model,
    )
    return StudyDesign(
        format=3,
        title="A test",
        school_years=(2014, 2015),
        grades=(2, 3, 4),
        covariates=(
            Covariate("attendance_rate_prior", "Prior attendance", squared=True),
            Covariate("female", "Female"),
            Covariate("race_ethnicity", "Race/ethnicity"),
            Covariate("math_score_std_prior", "Prior mathematics score", where_measured=True),
        ),
        outcomes=OUTCOMES,
        questions=(question,),
    )


def baseline_example(n: int, schools: int, generator: np.random.Generator) -> pd.DataFrame:
    """Pairs of a visited and a comparison student of one year and grade, n student-years."""
    pair = np.arange(n) // 2
    grade = generator.integers(2, 5, n // 2)[pair]
    rate = np.clip(generator.normal(0.93, 0.04, n), 0.5, 1.0)
    return pd.DataFrame(
        {
            "unit_id": [f"SYN{number:05d}" for number in range(1, n + 1)],
            "school_year": generator.integers(2014, 2016, n // 2)[pair],
            "index_date": pd.Timestamp("2013-08-26"),
            "visited": (np.arange(n) + 1) % 2,
            "grade": grade,
            "school_id": [f"S{code:02d}" for code in generator.integers(1, schools + 1, n)],
            "grade_band": np.where(grade > 2, "with pretest", "without pretest"),
            "visited_prior": "no",
            "attendance_rate_prior": rate,
            "female": generator.integers(0, 2, n),
            "race_ethnicity": generator.choice(["black", "hispanic", "white"], n),
            "math_score_std_prior": np.where(grade > 2, generator.normal(size=n), np.nan),
        }
    )


def outcomes_example(baseline: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Outcomes with the known `EFFECTS`, a shift for each school, and effects of covariates."""
    n = len(baseline)
    school = baseline["school_id"].str[1:].astype(int).to_numpy()
    shift = generator.normal(size=school.max() + 1)[school]
    visited = baseline["visited"].to_numpy()
    rate = baseline["attendance_rate_prior"].to_numpy()
    score = baseline["math_score_std_prior"].to_numpy()
    return pd.DataFrame(
        {
            "attendance_rate": 0.02 * visited
            + rate
            - 0.02 * baseline["grade"]
            + 0.005 * shift
            + generator.normal(0, 0.02, n),
            "any_incident": (
                generator.random(n) < 0.35 - 0.10 * visited + 2 * (0.93 - rate) + 0.02 * shift
            ).astype(float),
            "math_score_std": 0.15 * visited
            + 0.7 * score
            + 0.1 * shift
            + generator.normal(0, 0.5, n),
            "days_enrolled": 180.0,
        }
    )


def matched_example(
    n: int = 1200,
    *,
    schools: int = 24,
    seed: int = 1,
    matching: bool = True,
    model: OutcomeModel | None = None,
) -> MatchedSample:
    """Return a matched sample whose every fourth pair has found no match."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 7])))
    baseline = baseline_example(n, schools, generator)
    sample = AnalyticSample(
        baseline=baseline,
        outcomes=outcomes_example(baseline, generator),
        covariates={
            "with pretest": (
                "attendance_rate_prior",
                "female",
                "race_ethnicity",
                "math_score_std_prior",
            ),
            "without pretest": ("attendance_rate_prior", "female", "race_ethnicity"),
        },
        question=design(model).questions[0],
        design=design(model),
        flow=(),
        district="Test",
        synthetic=True,
    )
    return MatchedSample(sample, matches_example(baseline, matching=matching))


def matches_example(baseline: pd.DataFrame, *, matching: bool) -> Matches:
    pair = np.arange(len(baseline)) // 2
    sets = np.where(pair % 4 == 3, -1, pair) if matching else np.full(len(pair), -1)
    weights = (sets >= 0).astype(float) if matching else np.ones(len(pair))
    visited = baseline["visited"] == 1
    return Matches(
        method=NearestNeighbor() if matching else NoMatching(),
        pairs=pd.DataFrame(
            {
                "treated": baseline.index[visited & (sets >= 0)],
                "rank": 1,
                "comparison": baseline.index[~visited & (sets >= 0)],
            }
        ),
        weights=pd.Series(weights, index=baseline.index),
        matched_set=pd.Series(sets, index=baseline.index),
        propensity_score=None,
        linear_propensity_score=None,
        estimand=Estimand("ATT", "in the matched sample" if matching else ""),
        propensity=(),
        unmatched=pd.DataFrame({"row": baseline.index[visited & (sets < 0)], "reason": "caliper"}),
        audit={},
    )


def with_outcome(matched: MatchedSample, name: str, values: np.ndarray) -> MatchedSample:
    """Return a copy of the matched sample with other values of one outcome."""
    outcomes = matched.sample.outcomes.assign(**{name: values})
    return MatchedSample(replace(matched.sample, outcomes=outcomes), matched.matches)


def with_baseline(matched: MatchedSample, **columns: object) -> MatchedSample:
    """Return a copy of the matched sample with other baseline columns."""
    baseline = matched.sample.baseline.assign(**columns)
    return MatchedSample(replace(matched.sample, baseline=baseline), matched.matches)


def with_weights(matched: MatchedSample, weights: np.ndarray) -> MatchedSample:
    """Return a copy of the matched sample with other matching weights."""
    index = matched.sample.baseline.index
    matches = replace(matched.matches, weights=pd.Series(weights, index=index))
    return MatchedSample(matched.sample, matches)


@cache
def one_effect() -> Effect:
    """Return one estimated effect."""
    return estimate_effect(matched_example(), "attendance_rate")


def with_replacement(
    n: int = 400,
    *,
    target: str = "ATT",
    ratio: int = 2,
    caliper: float | str = "none",
    schools: int = 12,
    seed: int = 1,
) -> MatchedSample:
    """Return a sample matched with replacement; some outcomes of either group are missing."""
    sample = matched_example(n, schools=schools, seed=seed).sample
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 8])))
    rate = sample.outcomes["attendance_rate"].where(generator.random(n) > 0.1)
    sample = replace(sample, outcomes=sample.outcomes.assign(attendance_rate=rate))
    method = NearestNeighbor(
        max_uses="unlimited", ratio=ratio, exact=("grade",), estimand=target, caliper=caliper
    )
    return match_students(sample, method)


def without_pretest(matched: MatchedSample) -> MatchedSample:
    """Return a copy whose covariates are those that every grade has."""
    usual = ("attendance_rate_prior", "female", "race_ethnicity")
    covariates = dict.fromkeys(("with pretest", "without pretest"), usual)
    return MatchedSample(replace(matched.sample, covariates=covariates), matched.matches)


def reordered(matched: MatchedSample, seed: int = 1) -> MatchedSample:
    """Return the same matched sample with its rows, and its pairs, in another order."""
    sample, matches = matched.sample, matched.matches
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 9])))
    order = generator.permutation(len(sample.baseline))
    pairs = matches.pairs.iloc[generator.permutation(len(matches.pairs))]
    return MatchedSample(
        replace(sample, baseline=sample.baseline.iloc[order], outcomes=sample.outcomes.iloc[order]),
        replace(
            matches,
            pairs=pairs.reset_index(drop=True),
            weights=matches.weights.iloc[order],
            matched_set=matches.matched_set.iloc[order],
            propensity_score=_in(order, matches.propensity_score),
            linear_propensity_score=_in(order, matches.linear_propensity_score),
            score=_in(order, matches.score),
        ),
    )


def _in(order: np.ndarray, scores: pd.Series | None) -> pd.Series | None:
    return None if scores is None else scores.iloc[order]


def relabeled(matched: MatchedSample) -> MatchedSample:
    """Return the same matched sample with other names of schools, and categories not in use."""
    baseline = matched.sample.baseline
    names = sorted(baseline["school_id"].unique())
    schools = baseline["school_id"].map({name: f"Z{k:03d}" for k, name in enumerate(names[::-1])})
    races = sorted(baseline["race_ethnicity"].unique())
    return with_baseline(
        matched,
        school_id=pd.Categorical(schools, categories=["A", *sorted(set(schools)), "ZZ"]),
        race_ethnicity=pd.Categorical(
            baseline["race_ethnicity"], categories=["nobody", *races, "nobody either"]
        ),
    )


def some_of(matched: MatchedSample, kept: np.ndarray) -> MatchedSample:
    """Return a copy in which the others have no weight and are in no set; `kept` is (n,)."""
    matches = matched.matches
    rows = matches.weights.index[kept]
    pairs = matches.pairs
    inside = pairs["treated"].isin(rows) & pairs["comparison"].isin(rows)
    return MatchedSample(
        matched.sample,
        replace(
            matches,
            weights=matches.weights.where(kept, 0.0),
            matched_set=matches.matched_set.where(kept, -1),
            pairs=pairs[inside].reset_index(drop=True),
        ),
    )
