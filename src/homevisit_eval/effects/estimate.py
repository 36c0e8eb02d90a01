"""Matched samples -> estimated effects."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design import (
    CardinalityMatching,
    DoublyRobust,
    FixedEffects,
    MissingIndicator,
    Outcome,
    OutcomeModel,
)
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.method_facts import comparison_made
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effect_sizes import (
    cox_index,
    hedges_g,
    improvement_index,
    weighted_mean,
    weighted_sd,
)
from homevisit_eval.effects.effect import Effect
from homevisit_eval.effects.fit_model import fit_model
from homevisit_eval.effects.model_fit import ModelFit
from homevisit_eval.effects.regression.imputation import imputed_effect_on_treated
from homevisit_eval.effects.regression_rows import RegressionRows, regression_rows
from homevisit_eval.effects.whose import EFFECT_ON, GROUPS, Target
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import (
    NO_MATCHING,
    WEIGHTED_FOR_RESPONSE,
    Estimand,
    MatchedSample,
)
from homevisit_eval.sample.missing import NOT_ACCEPTED
from homevisit_eval.sample.notes import TWICE_AGAINST_ONCE

__all__ = [
    "check_rows",
    "estimate_effect",
    "notes_on_df",
    "notes_on_estimate",
    "observed_estimand",
]

FEW_DF = 4.0
FEW_CLUSTERS = 10
NOTABLE_DIFFERENCE = 0.5  # standard errors between the coefficient and the interacted ATT

logger = logging.getLogger(__name__)


def estimate_effect(
    matched: MatchedSample, outcome: str, model: OutcomeModel | None = None
) -> Effect:
    """Estimate the effect of a visit on one outcome, in units of the outcome.

    Student-years with a positive matching weight and the outcome observed enter, with that
    weight.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    outcome
        One of the question's outcomes.
    model
        By default that of the question, else that of the design. `FixedEffects` regresses the
        outcome on `visited` and the baseline covariates, with one intercept for each cell of
        its `absorb` columns; `DifferenceInMeans` on `visited` alone.

    Returns
    -------
    Effect
        With `p_value_adjusted` NaN until `adjust_p_values`.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        If nobody of a group has the outcome observed, the outcome does not vary, `visited` is
        determined by covariates and cells, all rows are in one cluster, or there are not more
        rows than parameters.

    Notes
    -----
    The adjusted mean of the visited is their weighted mean; that of the comparison group is the
    same less the estimate. The effect size is Hedges' g with the pooled *unadjusted* standard
    deviation; for a binary outcome the Cox index of the two adjusted means, if they lie
    between 0 and 1. Both have the sign of the difference; the improvement index is turned
    around for an outcome that had better be lower, so that positive is favorable.

    The estimand is that of the matches: the weights make both groups stand for those whom it is
    about. The coefficient is their average effect if effects do not differ by covariate, or every
    cell has the same share of visited. So that effect is found a second time by interacted
    regression (`estimate_interacted`), and a note says when the two are more than half a standard
    error apart.

    If student-years whom the estimand is about lack the outcome, it says that it is about those
    with the outcome observed.

    References
    ----------
    What Works Clearinghouse (2022). *Procedures and Standards Handbook, Version 5.0*,
    appendix E. Institute of Education Sciences.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.
    """
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    model = model or sample.question.model or sample.design.model
    rows = regression_rows(matched, outcome, model)
    check_rows(rows, outcome, model.cluster)
    measured = sample.design.outcome(outcome)
    fit = fit_model(matched, rows, measured, model)
    effect = _effect(matched, measured, model, rows, fit)
    logger.info("%s: %d clusters, K = %d", outcome, fit.clusters, fit.parameters)
    return effect


def check_rows(rows: RegressionRows, outcome: str, cluster: str) -> None:
    """Refuse rows that no model can be fitted to.

    Raises
    ------
    EstimationError
        If the outcome does not vary, or all rows are in one cluster.
    """
    if rows.y.min() == rows.y.max():
        raise EstimationError(
            f"{outcome}: it has the same value in all {len(rows.y)} matched student-years, so "
            "there is no effect to estimate. Leave this outcome out of the question."
        )
    if len(np.unique(rows.clusters)) < 2:
        raise EstimationError(
            f"{outcome}: all matched student-years are in one {cluster}, so no standard "
            "error can be computed. Choose another cluster level in the model."
        )


def _effect(
    matched: MatchedSample,
    outcome: Outcome,
    model: OutcomeModel,
    rows: RegressionRows,
    fit: ModelFit,
) -> Effect:
    sample, question = matched.sample, matched.sample.question
    level = sample.design.confidence_level
    estimate, std_error = fit.estimate, fit.std_error
    low, high = fit.interval(level)
    groups = [rows.visited == 1, rows.visited == 0]
    means = [weighted_mean(rows.y[group], rows.weights[group]) for group in groups]
    sds = [weighted_sd(rows.y[group], rows.weights[group]) for group in groups]
    counts = [int(group.sum()) for group in groups]
    size, kind = _effect_size(outcome, estimate, means[0], sds, counts)
    interacted, interacted_error = _interacted(rows, model, matched.matches.estimand.target)
    students = [len(np.unique(rows.students[group])) for group in groups]
    clusters = [len(np.unique(rows.clusters[group])) for group in groups]
    return Effect(
        outcome=outcome,
        question=question.name,
        question_label=question.label,
        role=question.role,
        sensitivity="",
        estimand=_of_two_models(observed_estimand(matched, counts), model),
        method=matched.matches.method,
        model=model,
        estimate=estimate,
        std_error=std_error,
        df=fit.df,
        df_convention=fit.df_convention,
        covariance=fit.covariance,
        cluster=model.cluster,
        confidence_level=level,
        ci_low=low,
        ci_high=high,
        t=estimate / std_error,
        p_value=fit.p_value,
        p_value_adjusted=math.nan,
        adjusted_mean_visited=means[0],
        adjusted_mean_comparison=means[0] - estimate,
        mean_visited=means[0],
        mean_comparison=means[1],
        sd_visited=sds[0],
        sd_comparison=sds[1],
        effect_size=size,
        effect_size_kind=kind,
        improvement_index=improvement_index(size if outcome.beneficial == "higher" else -size),
        estimate_interacted=interacted,
        std_error_interacted=interacted_error,
        n_visited=counts[0],
        n_comparison=counts[1],
        students_visited=students[0],
        students_comparison=students[1],
        matched_visited=rows.matched_visited,
        matched_comparison=rows.matched_comparison,
        matched_students_visited=rows.matched_students_visited,
        matched_students_comparison=rows.matched_students_comparison,
        clusters=fit.clusters,
        clusters_visited=clusters[0],
        clusters_comparison=clusters[1],
        parameters=fit.parameters,
        coefficients=fit.coefficients,
        formula=rows.formula,
        notes=(
            *fit.notes,
            *_sample_notes(matched, outcome, counts),
            *_inference_notes(model, fit, clusters),
            *notes_on_estimate(
                outcome,
                size,
                estimate,
                std_error,
                interacted,
                target=matched.matches.estimand.target,
            ),
        ),
        synthetic=sample.synthetic,
    )


def observed_estimand(matched: MatchedSample, observed: Sequence[int]) -> Estimand:
    """Return the estimand of the matches, restricted to the outcome observed where some lack it."""
    estimand = matched.matches.estimand
    seen = dict(zip(("visited", "comparison"), observed, strict=True))
    used = {"visited": matched.n_visited, "comparison": matched.n_comparison}
    whole = all(seen[group] == used[group] for group in GROUPS[estimand.target])
    if whole or WEIGHTED_FOR_RESPONSE in estimand.restriction:
        return estimand
    between = "" if estimand.by_matching else ","
    words = f"{estimand.restriction}{between} with the outcome observed".strip()
    return replace(estimand, restriction=words)


def _of_two_models(estimand: Estimand, model: OutcomeModel) -> Estimand:
    """Return the estimand: two models together need neither matching nor constant effects."""
    if isinstance(model, DoublyRobust) and not estimand.by_matching:
        words = estimand.restriction.removeprefix(NO_MATCHING).removeprefix(", ")
        return replace(estimand, restriction=words)
    return estimand


def _interacted(rows: RegressionRows, model: OutcomeModel, target: Target) -> tuple[float, float]:
    """Return the effect of the estimand with all interactions, and its clustered standard error;
    NaN if they cannot be computed.

    For the ATE and the ATO that is the mean of the effects on both groups, each weighted to the
    target, by their total weights.
    """
    if not isinstance(model, FixedEffects):
        return math.nan, math.nan
    cells: NDArray[np.int64] | None = None
    if rows.absorb:
        cells = np.unique(np.column_stack(rows.absorb), axis=0, return_inverse=True)[1].ravel()
    estimate, influence = 0.0, np.zeros(len(rows.y))
    whole = sum(rows.weights[_of(rows, group)].sum() for group in GROUPS[target])
    for group in GROUPS[target]:
        members, sign = _of(rows, group), 1.0 if group == "visited" else -1.0
        share = sign * rows.weights[members].sum() / whole
        try:
            effect = imputed_effect_on_treated(
                rows.y, rows.X, members, weights=rows.weights, cells=cells
            )
        except EstimationError:
            return math.nan, math.nan
        estimate += share * effect.estimate
        influence += share * effect.influence
    G = len(np.unique(rows.clusters))  # numbers of matched sets have gaps
    sums = np.bincount(rows.clusters, influence)
    return float(estimate), math.sqrt(G / (G - 1) * float(sums @ sums))


def _of(rows: RegressionRows, group: str) -> NDArray[np.bool_]:
    return np.asarray(rows.visited == (1 if group == "visited" else 0), dtype=np.bool_)


def _effect_size(
    outcome: Outcome, estimate: float, mean_visited: float, sds: list[float], counts: list[int]
) -> tuple[float, str]:
    match outcome.scale:
        case "binary":
            return cox_index(mean_visited, mean_visited - estimate, *counts), "Cox index"
        case "continuous" | "fraction" | "count":
            return hedges_g(estimate, *sds, *counts), "Hedges' g"
        case _:
            assert_never(outcome.scale)


def _sample_notes(matched: MatchedSample, outcome: Outcome, counts: list[int]) -> list[str]:
    notes = [*matched.sample.followed]
    sample = matched.sample
    if sample.question.against_one:
        notes.append(TWICE_AGAINST_ONCE)
    if isinstance(sample.design.missing_covariates, MissingIndicator) and any(
        one.total for one in sample.missing
    ):
        notes.append(NOT_ACCEPTED)
    whole = {"visited": sample.n_visited, "comparison": sample.n_comparison}
    kept = {"visited": matched.n_visited, "comparison": matched.n_comparison}
    for group in GROUPS[matched.matches.estimand.target]:
        if left_out := whole[group] - kept[group]:
            who = f"{_share(left_out, whole[group])} {group} student-years"
            notes.append(_left_out(matched, who))
    lost = matched.n_visited - counts[0], matched.n_comparison - counts[1]
    if any(lost):
        notes.append(
            f"{outcome.label} is not observed for {_share(lost[0], matched.n_visited)} "
            f"matched visited and {_share(lost[1], matched.n_comparison)} "
            "comparison student-years, which are left out."
        )
    return notes


def _left_out(matched: MatchedSample, who: str) -> str:
    """Say why some of those whom the estimand is about are not used."""
    method = matched.matches.method
    if isinstance(method, CardinalityMatching):
        return f"The largest balanced sample is without {who}, which are left out."
    match comparison_made(method):
        case "matched":
            return f"No match was found for {who}, which are left out."
        case "weighted":
            return f"No weight could be given to {who}, which are left out."
        case "unmatched":
            return f"Not used: {who}."
        case made:
            assert_never(made)


def _inference_notes(model: OutcomeModel, fit: ModelFit, clusters: list[int]) -> list[str]:
    notes = notes_on_df(fit.df)
    if fit.clusters < FEW_CLUSTERS:
        notes.append(
            f"Only {fit.clusters} clusters ({model.cluster}): standard errors rest on few "
            "independent groups. The wild cluster bootstrap holds better with so few "
            "(`compare_standard_errors`)."
        )
    for words, count in zip(("visited", "comparison"), clusters, strict=True):
        if count == 1:
            notes.append(
                f"All {words} student-years are in one cluster ({model.cluster}): its own "
                "influence on the outcome cannot be told from the effect."
            )
    return notes


def notes_on_df(df: float) -> list[str]:
    """Return a sentence if there are too few degrees of freedom to rely on."""
    if df >= FEW_DF:
        return []
    return [
        f"Only {df:.1f} degrees of freedom (under {FEW_DF:g}): interval and p value are not "
        "to be relied on."
    ]


def notes_on_estimate(
    outcome: Outcome,
    effect_size: float,
    estimate: float,
    std_error: float,
    interacted: float,
    *,
    target: Target,
) -> list[str]:
    """Return what is missing of an estimate, and whether effects seem to differ."""
    notes = []
    if math.isnan(effect_size):
        notes.append(
            "No effect size: an adjusted mean lies outside 0 to 1."
            if outcome.scale == "binary"
            else "No effect size: a group is too small for a standard deviation."
        )
    if abs(interacted - estimate) > NOTABLE_DIFFERENCE * std_error:
        notes.append(
            f"The {EFFECT_ON[target]} by interacted regression is {interacted:+.4g}, more than "
            f"half a standard error from the coefficient ({estimate:+.4g}): the effect seems to "
            "differ by covariate or cell."
        )
    return notes


def _share(part: int, whole: int) -> str:
    percent = f" ({100 * part / whole:.1f} %)" if part >= 10 else ""
    return f"{shown_count(part)} of {shown_count(whole)}{percent}"
