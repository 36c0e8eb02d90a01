"""A question answered otherwise: its stages under one variation of the design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.design import MatchingMethod, OutcomeModel, Variation
from homevisit_eval.design.deviations import variation_label
from homevisit_eval.effects import Effect, estimate_effect, pool_effects
from homevisit_eval.matching import MatchedSample, match_students
from homevisit_eval.panel import Panel
from homevisit_eval.sample import AnalyticSample, completed_samples
from homevisit_eval.sample.select import select_candidates
from homevisit_eval.sample.whole_year import select_whole_year

__all__ = ["estimate_pooled", "match_as_asked", "match_completed", "vary", "vary_sample"]


def match_as_asked(
    panel: Panel, sample: AnalyticSample, method: MatchingMethod | None = None
) -> tuple[MatchedSample, ...]:
    """Match a sample, and follow its pairs until later visits if its question asks for that.

    Raises
    ------
    MatchingError, EstimationError
        As `match_completed` and `follow_without_visits`.
    """
    matched = match_completed(sample, method)
    if sample.question.later_visits == "none":
        matched = tuple(follow_without_visits(one, panel) for one in matched)
    return matched


def match_completed(
    sample: AnalyticSample, method: MatchingMethod | None = None
) -> tuple[MatchedSample, ...]:
    """Match a sample, or under multiple imputation each of its completions.

    Raises
    ------
    MatchingError
        As `match_students`.
    """
    return tuple(match_students(one, method) for one in completed_samples(sample))


def estimate_pooled(
    matched: Sequence[MatchedSample], outcome: str, model: OutcomeModel | None = None
) -> Effect:
    """Estimate an effect in each of some matched samples and pool it; of one, just estimate it.

    Raises
    ------
    EstimationError
        As `estimate_effect`.
    """
    effects = [estimate_effect(one, outcome, model) for one in matched]
    return pool_effects(effects) if len(effects) > 1 else effects[0]


def vary(
    panel: Panel, sample: AnalyticSample, matched: Sequence[MatchedSample], variation: Variation
) -> list[Effect]:
    """Estimate the effects of a sample's question under one variation of its design.

    Parameters
    ----------
    panel, sample
        Where the question was asked.
    matched
        From `match_completed`, used again where the variation changes neither.
    variation
        What is done otherwise.
    """
    varied = vary_sample(panel, sample, variation)
    if variation.matching or varied is not sample:
        matched = match_as_asked(panel, varied, variation.matching)
    label = variation_label(sample.design, variation)
    return [
        replace(estimate_pooled(matched, name, variation.model), sensitivity=label)
        for name in varied.question.outcomes
    ]


def vary_sample(panel: Panel, sample: AnalyticSample, variation: Variation) -> AnalyticSample:
    """Return the sample of a variation: the very one given if it varies nothing of it."""
    question, design = sample.question, sample.design
    if not (
        variation.pool
        or variation.comparison_schools
        or variation.min_days_enrolled
        or variation.lag_days is not None
        or variation.later_visits
        or variation.grades_without_pretest
        or variation.missing_covariates
    ):
        return sample
    if question.during and variation.pool == "never_visited_that_year":
        return select_whole_year(sample, panel)
    question = replace(
        question,
        pool=variation.pool or question.pool,
        comparison_schools=variation.comparison_schools or question.comparison_schools,
        lag_days=question.lag_days if variation.lag_days is None else variation.lag_days,
        later_visits=variation.later_visits or question.later_visits,
    )
    days = variation.min_days_enrolled or design.eligibility.min_days_enrolled
    without_pretest = variation.grades_without_pretest or design.achievement.grades_without_pretest
    design = replace(
        design,
        achievement=replace(design.achievement, grades_without_pretest=without_pretest),
        eligibility=replace(design.eligibility, min_days_enrolled=days),
        missing_covariates=variation.missing_covariates or design.missing_covariates,
    )
    return select_candidates(panel, design, question)
