"""One estimate with every standard error and test beside the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np

from homevisit_eval.design import DifferenceInMeans, FixedEffects, Outcome, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.questions import Role
from homevisit_eval.effects.effect import tells_no_small_count
from homevisit_eval.effects.estimate import check_rows
from homevisit_eval.effects.model_fit import ModelFit, fit_linear, fit_two_ways
from homevisit_eval.effects.regression.least_squares import CovarianceType
from homevisit_eval.effects.regression_rows import (
    TREATMENT,
    RegressionRows,
    clustered_by,
    regression_rows,
)
from homevisit_eval.effects.resampling.randomization import randomization_test
from homevisit_eval.effects.resampling.wild_bootstrap import WeightType, wild_bootstrap_test
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["StandardError", "StandardErrors", "compare_standard_errors"]

INDEPENDENT: tuple[CovarianceType, ...] = ("HC1", "HC3")
BY_SCHOOL: tuple[CovarianceType, ...] = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


@dataclass(frozen=True, slots=True, repr=False)
class StandardError:
    """One way to judge how far an estimate may be from the truth.

    Attributes
    ----------
    recipe
        For example ``"CR2 by school_id"``.
    covariance, cluster
        The name of the covariance or test, and the level at which errors may be dependent.
    clusters
        G.
    std_error, df
        NaN for tests that go without.
    df_convention
        How `df` was found, or how the test was carried out.
    ci_low, ci_high
        In units of the outcome.
    p_value
        Two-sided, of no effect.
    notes : tuple of sentences
    """

    recipe: str
    covariance: str
    cluster: str
    clusters: int
    std_error: float
    df: float
    df_convention: str
    ci_low: float
    ci_high: float
    p_value: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show the recipe and what it says, no counts."""
        error = "" if math.isnan(self.std_error) else f"std_error {self.std_error:.6g}, "
        return (
            f"StandardError({self.recipe}: {error}[{self.ci_low:+.4f}, {self.ci_high:+.4f}], "
            f"p = {self.p_value:.3f})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StandardErrors:
    """One estimate, and what each standard error and test says of it.

    Attributes
    ----------
    outcome, question, role
    estimate
        The coefficient of `visited`, in units of the outcome.
    confidence_level
    clusters
        Schools.
    n_visited, n_comparison, matched_visited, matched_comparison
        Student-years with the outcome observed, and all matched.
    rows
        One for each way.
    skipped
        Sentences about ways that could not be carried out.
    synthetic
    """

    outcome: Outcome
    question: str
    role: Role
    estimate: float
    confidence_level: float
    clusters: int
    n_visited: int
    n_comparison: int
    matched_visited: int
    matched_comparison: int
    rows: tuple[StandardError, ...]
    skipped: tuple[str, ...]
    synthetic: bool

    def tells_no_small_count(self, cluster: str) -> bool:
        """Say whether degrees of freedom and clusters of a level may be printed."""
        counts = (
            (self.n_visited, self.matched_visited),
            (self.n_comparison, self.matched_comparison),
        )
        return tells_no_small_count(cluster, counts)

    def __repr__(self) -> str:
        """Show every way on a line of its own."""
        label = "synthetic data, " if self.synthetic else ""
        lines = [f"StandardErrors({label}{self.outcome.name}: {self.estimate:+.4f})"]
        for one in self.rows:
            error = "" if math.isnan(one.std_error) else f"SE {one.std_error:.4f}"
            told = self.tells_no_small_count(one.cluster) and not math.isnan(one.df)
            free = f"df {one.df:.1f}" if told else ""
            lines.append(
                f"  {one.recipe:<44}{error:<12}{free:<10}"
                f"[{one.ci_low:+.4f}, {one.ci_high:+.4f}]  p = {one.p_value:.3f}"
            )
        return "\n".join([*lines, *(f"  not computed: {sentence}" for sentence in self.skipped)])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"


def compare_standard_errors(
    matched: MatchedSample,
    outcome: str,
    model: OutcomeModel | None = None,
    *,
    draws: int = 9999,
    seed: int = 1,
) -> StandardErrors:
    """Return one estimate with all its standard errors, intervals and p values side by side.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    outcome
        One of the question's outcomes.
    model
        `FixedEffects` or `DifferenceInMeans`; by default that of the question, else that of the
        design. Its cluster and covariance play no part.
    draws
        Of the wild cluster bootstrap and of randomization inference.
    seed
        Of the draws.

    Returns
    -------
    StandardErrors
        Independent student-years (HC1, HC3); clusters by student, by matched set and by school
        (CR0 to CR3), school and matched set together (after matching with replacement also student
        and set); the restricted wild bootstrap by school;
        randomization within matched sets. Those of matched sets only where there are any.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        As `estimate_effect`; if the model is not a linear one.

    References
    ----------
    Abadie, A., & Spiess, J. (2022). Robust post-matching inference. *Journal of the American
    Statistical Association*, 117(538), 983-995.
    Cameron, A. C., & Miller, D. L. (2015). A practitioner's guide to cluster-robust inference.
    *Journal of Human Resources*, 50(2), 317-372.
    """
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    model = model or sample.question.model or sample.design.model
    if not isinstance(model, FixedEffects | DifferenceInMeans):
        raise EstimationError(
            f"{outcome}: standard errors are compared for linear models; {model.model!r} is not "
            "one. Give model=FixedEffects()."
        )
    rows = regression_rows(matched, outcome, replace(model, cluster="school_id", covariance="CR2"))
    check_rows(rows, outcome, "school_id")
    run = _Run(matched, rows, outcome, sample.design.confidence_level, draws, seed)
    found: list[StandardError] = []
    skipped: list[str] = []
    for recipe, way in _ways(run):
        try:
            found.append(way())
        except EstimationError as error:
            skipped.append(f"{recipe}: {str(error).removeprefix(f'{outcome}: ')}")
    groups = [int((rows.visited == group).sum()) for group in (1, 0)]
    return StandardErrors(
        outcome=sample.design.outcome(outcome),
        question=sample.question.name,
        role=sample.question.role,
        estimate=fit_linear(rows, outcome, "CR0").estimate,
        confidence_level=run.confidence_level,
        clusters=int(rows.clusters.max()) + 1,
        n_visited=groups[0],
        n_comparison=groups[1],
        matched_visited=rows.matched_visited,
        matched_comparison=rows.matched_comparison,
        rows=tuple(found),
        skipped=tuple(skipped),
        synthetic=sample.synthetic,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """What all ways share."""

    matched: MatchedSample
    rows: RegressionRows
    outcome: str
    confidence_level: float
    draws: int
    seed: int


def _ways(run: _Run) -> Iterator[tuple[str, Callable[[], StandardError]]]:
    """Yield the name of every way, and what carries it out."""
    kinds: list[tuple[str, CovarianceType]] = [("none", one) for one in INDEPENDENT]
    kinds += [("student_id", "CR2")]
    sets = bool((run.matched.matches.matched_set.iloc[run.rows.places] >= 0).all())
    if sets:
        kinds += [("matched_set", "CR2")]
    kinds += [("school_id", one) for one in BY_SCHOOL]
    for cluster, covariance in kinds:
        yield _recipe(covariance, cluster), partial(_sandwich, run, cluster, covariance)
    if sets or len(run.matched.matches.pairs):
        for first in ("school_id",) if sets else ("school_id", "student_id"):
            both = f"{first}+matched_set"
            yield _recipe("CR1S", both), partial(_two_ways, run, first)
    for kind in get_args(WeightType):
        yield f"wild bootstrap, {kind}", partial(_bootstrap, run, kind)
    if sets:
        yield "randomization", partial(_randomization, run)


def _sandwich(run: _Run, cluster: str, covariance: CovarianceType) -> StandardError:
    rows = clustered_by(run.matched, run.rows, cluster)
    return _of_fit(run, fit_linear(rows, run.outcome, covariance), covariance, cluster)


def _two_ways(run: _Run, first: str) -> StandardError:
    rows = clustered_by(run.matched, run.rows, first)
    fit = fit_two_ways(run.matched, rows, run.outcome, "CR1S")
    return _of_fit(run, fit, "CR1S", f"{first}+matched_set")


def _recipe(covariance: str, cluster: str) -> str:
    return covariance if cluster == "none" else f"{covariance} by {cluster}"


def _of_fit(run: _Run, fit: ModelFit, covariance: str, cluster: str) -> StandardError:
    low, high = fit.interval(run.confidence_level)
    return StandardError(
        recipe=_recipe(covariance, cluster),
        covariance=covariance,
        cluster=cluster,
        clusters=fit.clusters,
        std_error=fit.std_error,
        df=fit.df,
        df_convention=fit.df_convention,
        ci_low=low,
        ci_high=high,
        p_value=fit.p_value,
        notes=fit.notes,
    )


def _bootstrap(run: _Run, kind: WeightType) -> StandardError:
    rows = run.rows
    test = wild_bootstrap_test(
        rows.y,
        np.column_stack([rows.X, rows.visited]),
        column=TREATMENT,
        names=[*rows.names, TREATMENT],
        weights=rows.weights,
        absorb=rows.absorb,
        clusters=rows.clusters,
        draws=run.draws,
        weight_type=kind,
        seed=run.seed,
        confidence_level=run.confidence_level,
    )
    return StandardError(
        recipe=f"wild bootstrap by school_id, {kind}",
        covariance=f"wild bootstrap, {kind}",
        cluster="school_id",
        clusters=test.G,
        std_error=math.nan,
        df=math.nan,
        df_convention=f"{test.draws:,} sign vectors {test.draw_kind}",
        ci_low=test.ci_low,
        ci_high=test.ci_high,
        p_value=test.p_value,
        notes=test.notes,
    )


def _randomization(run: _Run) -> StandardError:
    rows = run.rows
    sets = clustered_by(run.matched, rows, "matched_set").clusters
    size = np.bincount(sets)
    treated = np.bincount(sets, rows.visited)
    whole = ((treated > 0) & (treated < size))[sets]  # an outcome is missing in the others
    test = randomization_test(
        rows.y[whole],
        rows.visited[whole],
        sets=sets[whole],
        X=rows.X[whole],
        absorb=[codes[whole] for codes in rows.absorb],
        weights=rows.weights[whole],
        statistic="adjusted",
        studentize="by_set",
        draws=run.draws,
        seed=run.seed,
        confidence_level=run.confidence_level,
    )
    return StandardError(
        recipe="randomization within matched sets",
        covariance="randomization, studentized",
        cluster="matched_set",
        clusters=test.sets,
        std_error=math.nan,
        df=math.nan,
        df_convention=f"{test.draws:,} assignments {test.draw_kind}",
        ci_low=test.ci_low,
        ci_high=test.ci_high,
        p_value=test.p_value,
        notes=test.notes,
    )
