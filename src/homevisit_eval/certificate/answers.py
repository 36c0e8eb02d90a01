"""What every design says of one question in one district, beside what is known there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from homevisit_eval.certificate.designs import compared_designs
from homevisit_eval.certificate.known import (
    NONE,
    Known,
    known_of_matched,
    known_of_part,
    known_of_sample,
    largest_differences,
    mean_of_known,
    naive_difference,
)
from homevisit_eval.certificate.question_truth import question_truth
from homevisit_eval.certificate.timing_truth import known_of_pairs, timing_truth
from homevisit_eval.certificate.trial import MAIN
from homevisit_eval.design import (
    MatchingMethod,
    OutcomeModel,
    Question,
    StudyDesign,
    TimingContrast,
    Variation,
)
from homevisit_eval.effects import Effect, EffectDifference, SubgroupEffect, estimate_subgroups
from homevisit_eval.errors import EstimationError, MatchingError, SourceError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.panel import Panel
from homevisit_eval.sample import AnalyticSample, select_sample
from homevisit_eval.sample.whole_year import select_whole_year
from homevisit_eval.synthetic import Simulation
from homevisit_eval.timing import contrast_pairs, timing_pairs
from homevisit_eval.variations import estimate_pooled, match_as_asked, vary_sample

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answer", "Estimate", "Run", "answers_to_contrast", "answers_to_question", "stage"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a design says of one outcome: fields of a trial."""

    estimate: float = NONE
    std_error: float = NONE
    df: float = NONE
    ci_low: float = NONE
    ci_high: float = NONE
    p_value: float = NONE
    problem: str = ""


Answer: TypeAlias = tuple[str, str, Known, Estimate]
"""Name of the design, name of the outcome, what is known and what is estimated."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Run:
    """What all answers in one district share.

    Attributes
    ----------
    panel, simulation, drawing
        Of the district; `drawing` is the replication that it was simulated with.
    design
        Of the study.
    spent
        CPU seconds by stage, to which answers add.
    """

    panel: Panel
    simulation: Simulation
    drawing: int
    design: StudyDesign
    spent: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Asked:
    """One question, its truth, and what its answers are compared with naively.

    `naive` is None where the plain difference is that of each sample itself.
    """

    run: Run
    question: Question
    truth: pd.DataFrame
    naive: dict[str, float] | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Matched:
    """One way to choose the students, with what is known of each outcome there.

    Under multiple imputation one matched sample for each imputation; none if there is a problem.
    """

    matched: tuple[MatchedSample, ...]
    known: dict[str, Known]
    problem: str = ""


def answers_to_question(run: Run, question: Question, *, variations: bool) -> Iterator[Answer]:
    """Yield what the study's design, and if asked its variations, say of each outcome.

    Where a question asks for subgroups, the effect in each is an answer of its own, beside the
    true effect there.

    Raises
    ------
    DesignError
        If the truth of the question is not known in such districts.
    """
    with stage(run.spent, "truth"):
        truth = question_truth(run.simulation, question, drawing=run.drawing)
    asked = _Asked(run, question, truth, None)
    sample: AnalyticSample | None = None
    try:
        with stage(run.spent, "sample"):
            sample = select_sample(run.panel, run.design, question)
        asked = replace(asked, question=sample.question, naive=_naive(run, sample))
        main = _match(asked, sample, None, "match", "truth")
    except SourceError as error:
        main = _Matched((), {}, _sentence(error))
    yield from _estimates(asked, MAIN, main, None, "estimate")
    yield from _of_subgroups(asked, main)
    if not variations:
        return
    found = {_choice(asked, None): main}
    for variation in compared_designs(run.design, question):
        key = _choice(asked, variation)
        if sample is None:
            found[key] = main
        elif key not in found:
            found[key] = _varied(asked, sample, variation)
        yield from _estimates(asked, variation.name, found[key], variation.model, "variations")


def answers_to_contrast(run: Run, contrast: TimingContrast) -> Iterator[Answer]:
    """Yield by how much earlier visits are found to change each outcome more than later ones.

    Raises
    ------
    DesignError
        If the truth of an outcome is not known in such districts.
    """
    with stage(run.spent, "truth"):
        truth = timing_truth(run.simulation, contrast, drawing=run.drawing)
    try:
        with stage(run.spent, "match"):
            pairs = timing_pairs(run.panel, run.design, contrast)
        with stage(run.spent, "estimate"):
            found = contrast_pairs(pairs, run.design, contrast)
    except (SourceError, MatchingError, EstimationError) as error:
        for name in contrast.outcomes:
            yield MAIN, name, Known(), Estimate(problem=_sentence(error))
        return
    for one in found:
        with stage(run.spent, "truth"):
            known = known_of_pairs(truth, pairs, one.outcome.name)
        yield MAIN, one.outcome.name, known, _estimate_of(one.difference)


def _naive(run: Run, sample: AnalyticSample) -> dict[str, float] | None:
    """Return plain differences of whole years for a question about visits during the year."""
    if not sample.question.during:
        return None
    with stage(run.spent, "truth"):
        try:
            whole = select_whole_year(sample, run.panel)
        except SourceError:
            return dict.fromkeys(sample.question.outcomes, NONE)
        return {name: naive_difference(whole, name) for name in sample.question.outcomes}


def _choice(asked: _Asked, variation: Variation | None) -> tuple[object, ...]:
    """Return what decides who is matched with whom, and how long they are followed."""
    own = asked.question.matching or asked.run.design.matching
    if variation is None:
        return None, None, None, None, None, None, own
    return (
        variation.pool,
        variation.comparison_schools,
        variation.min_days_enrolled,
        variation.later_visits,
        variation.grades_without_pretest,
        variation.missing_covariates,
        variation.matching or own,
    )


def _varied(asked: _Asked, sample: AnalyticSample, variation: Variation) -> _Matched:
    run = asked.run
    if variation.later_visits:
        question = replace(asked.question, later_visits=variation.later_visits)
        with stage(run.spent, "variations"):
            truth = question_truth(run.simulation, question, drawing=run.drawing)
        asked = replace(asked, question=question, truth=truth)
    try:
        with stage(run.spent, "variations"):
            varied = vary_sample(run.panel, sample, variation)
    except SourceError as error:
        return _Matched((), {}, _sentence(error))
    return _match(asked, varied, variation.matching, "variations", "variations")


def _match(
    asked: _Asked,
    sample: AnalyticSample,
    method: MatchingMethod | None,
    doing: str,
    looking: str,
) -> _Matched:
    spent, truth = asked.run.spent, asked.truth
    with stage(spent, looking):
        known = {name: known_of_sample(truth, sample, name) for name in asked.question.outcomes}
        for name, naive in (asked.naive or {}).items():
            known[name] = replace(known[name], naive=naive)
    try:
        with stage(spent, doing):
            matched = match_as_asked(asked.run.panel, sample, method)
    except (MatchingError, EstimationError) as error:
        return _Matched((), known, _sentence(error))
    with stage(spent, looking):
        differences = [largest_differences(one) for one in matched]
        known = {
            name: mean_of_known(
                [
                    known_of_matched(truth, one, name, before, both)
                    for one, both in zip(matched, differences, strict=True)
                ]
            )
            for name, before in known.items()
        }
    return _Matched(matched, known)


def _estimates(
    asked: _Asked, name: str, chosen: _Matched, model: OutcomeModel | None, doing: str
) -> Iterator[Answer]:
    for outcome in asked.question.outcomes:
        with stage(asked.run.spent, doing):
            estimate = _estimate(chosen, outcome, model)
        yield name, outcome, chosen.known.get(outcome, Known()), estimate


def _of_subgroups(asked: _Asked, chosen: _Matched) -> Iterator[Answer]:
    """Yield the effects in the subgroups of a question; none of a sample that is imputed."""
    if not asked.question.subgroup or len(chosen.matched) != 1:
        return
    (matched,) = chosen.matched
    belongs = matched.sample.baseline["subgroup"].astype(str).to_numpy()
    for outcome in asked.question.outcomes:
        try:
            with stage(asked.run.spent, "estimate"):
                found = estimate_subgroups(matched, outcome, "subgroup").subgroups
        except EstimationError:
            continue  # no subgroup has an effect: the answer for all of them says why
        for one in found:
            with stage(asked.run.spent, "truth"):
                known = known_of_part(asked.truth, matched, outcome, belongs == one.subgroup)
            problem = Estimate(problem=f"EstimationError: {one.refused}")
            yield (
                f"subgroup: {one.subgroup}",
                outcome,
                known,
                (problem if one.refused else _estimate_of(one)),
            )


def _estimate(chosen: _Matched, outcome: str, model: OutcomeModel | None) -> Estimate:
    if not chosen.matched:
        return Estimate(problem=chosen.problem)
    try:
        return _estimate_of(estimate_pooled(chosen.matched, outcome, model))
    except EstimationError as error:
        return Estimate(problem=_sentence(error))


def _estimate_of(found: Effect | EffectDifference | SubgroupEffect) -> Estimate:
    return Estimate(
        found.estimate, found.std_error, found.df, found.ci_low, found.ci_high, found.p_value
    )


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def stage(spent: dict[str, float], name: str) -> Iterator[None]:
    """Add the CPU seconds of what is done within to a stage."""
    started = time.process_time()
    try:
        yield
    finally:
        spent[name] = spent.get(name, 0.0) + time.process_time() - started
