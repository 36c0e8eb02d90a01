"""All questions of a design, answered in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from homevisit_eval.balance import Balance, assess_balance, pool_balance
from homevisit_eval.beyond_means import Distribution, estimate_distribution
from homevisit_eval.design import DifferenceInMeans, FixedEffects, Question, StudyDesign
from homevisit_eval.design.measures import SURVEY_OUTCOMES, measured_name
from homevisit_eval.effects import (
    Effect,
    StandardErrors,
    SubgroupEffects,
    compare_standard_errors,
    estimate_subgroups,
)
from homevisit_eval.effects.response_weights import weight_for_response
from homevisit_eval.errors import EstimationError, MatchingError, SourceError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.multiplicity import adjust_p_values
from homevisit_eval.panel import Panel, PanelCount, build_panel
from homevisit_eval.sample import AnalyticSample, select_sample
from homevisit_eval.sample.labels import listed
from homevisit_eval.sources import Problem, SourceFile, Sources
from homevisit_eval.timing import TimingDifference, contrast_timing
from homevisit_eval.variations import estimate_pooled, match_as_asked, vary

__all__ = [
    "Answer",
    "Evaluation",
    "answer_question",
    "answer_questions",
    "answer_timing",
    "collect_answers",
    "evaluate",
]


FOR_RESPONSE = "Respondents weighted to stand for all who were matched"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """What the data say to one question, stage by stage.

    Attributes
    ----------
    question
        As it was asked; `sample` has the role that it is given, exploratory if it is not answered
        as registered.
    sample, matched
        None if the question was skipped. Under multiple imputation `matched` is the first
        completed sample, and effects are pooled over all of them.
    balance : mapping from outcome name to `Balance`
        Judged on the rows where that outcome is observed; the mean over imputations.
    effects
        One for each outcome of the question.
    sensitivity
        The same outcomes under the design's variations.
    standard_errors
        The primary estimates with every standard error side by side, where the model is linear
        and no covariate is imputed.
    skipped
        Sentences about what could not be computed, and why; empty if nothing.
    subgroups
        Effects in the subgroups that the question asks for, by outcome.
    distribution
        Of primary questions: more than the means of attendance and incidents.
    """

    question: Question
    sample: AnalyticSample | None
    matched: MatchedSample | None
    balance: Mapping[str, Balance]
    effects: tuple[Effect, ...]
    sensitivity: tuple[Effect, ...]
    standard_errors: tuple[StandardErrors, ...]
    skipped: tuple[str, ...]
    subgroups: tuple[SubgroupEffects, ...] = ()
    distribution: Distribution | None = None

    def __repr__(self) -> str:
        """Show the question, its effects, and what was skipped."""
        asked = self.question if self.sample is None else self.sample.question
        lines = [f"Answer({asked.name!r}, {asked.role})"]
        lines += [repr(effect) for effect in self.effects]
        lines += [f"skipped: {sentence}" for sentence in self.skipped]
        return "\n  ".join(lines)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation:
    """A study's answers, with the facts of the data that they rest on."""

    design: StudyDesign
    answers: tuple[Answer, ...]
    panel_counts: tuple[PanelCount, ...]
    missing: tuple[str, ...]
    files: tuple[SourceFile, ...]
    decisions: tuple[Problem, ...]
    district: str
    synthetic: bool
    timing: tuple[TimingDifference, ...] = ()
    timing_skipped: tuple[str, ...] = ()

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects of all questions, in the order of the design."""
        return tuple(effect for answer in self.answers for effect in answer.effects)

    def answer(self, question: str) -> Answer:
        """Return the answer to the question of that name.

        Raises
        ------
        DesignError
            If the design has no such question.
        """
        wanted = self.design.question(question)
        return next(answer for answer in self.answers if answer.question.name == wanted.name)

    def __repr__(self) -> str:
        """Show the answers."""
        label = "synthetic data, " if self.synthetic else ""
        head = f"Evaluation({label}{self.design.title!r}, {len(self.answers)} questions)"
        return "\n".join([head, *(repr(answer) for answer in self.answers)])


def evaluate(sources: Sources, design: StudyDesign) -> Evaluation:
    """Answer every question of a design from a district's extracts.

    Parameters
    ----------
    sources
        Validated extracts.
    design
        What to ask, decided before the data were read.

    Raises
    ------
    SourceError
        If no question can be answered from these extracts.
    DesignError
        If the design asks for years that the extracts do not hold.
    MatchingError, EstimationError
        If a method cannot be carried out for a question of the design.
    """
    panel = build_panel(sources, design.measurement)
    return collect_answers(panel, design, answer_questions(panel, design))


def answer_timing(
    panel: Panel, design: StudyDesign
) -> tuple[tuple[TimingDifference, ...], tuple[str, ...]]:
    """Return the timing contrasts of a design, and sentences about those that cannot be made."""
    found: list[TimingDifference] = []
    skipped: list[str] = []
    for contrast in design.timing_contrasts:
        try:
            found += contrast_timing(panel, design, contrast)
        except (SourceError, MatchingError, EstimationError) as error:
            skipped.append(f"{contrast.label}: {error}")
    return tuple(found), tuple(skipped)


def answer_questions(panel: Panel, design: StudyDesign) -> Iterator[Answer]:
    """Yield the answer to each question in turn, with unadjusted p values."""
    for question in design.questions:
        yield answer_question(panel, design, question)


def collect_answers(panel: Panel, design: StudyDesign, answers: Iterator[Answer]) -> Evaluation:
    """Put answers together and adjust p values over all of them.

    Raises
    ------
    SourceError
        If every question was skipped.
    """
    done = tuple(answers)
    if not any(answer.effects for answer in done):
        reasons = " ".join(dict.fromkeys(text for answer in done for text in answer.skipped))
        raise SourceError(f"No question of the design can be answered. {reasons}")
    timing, timing_skipped = answer_timing(panel, design)
    whole = [answer for answer in done if not answer.question.subgroup]
    adjusted = iter(adjust_p_values([effect for answer in whole for effect in answer.effects]))
    return Evaluation(
        design=design,
        answers=tuple(
            replace(answer, effects=tuple(next(adjusted) for _ in answer.effects))
            if answer in whole
            else answer
            for answer in done
        ),
        timing=timing,
        timing_skipped=timing_skipped,
        panel_counts=panel.counts,
        missing=panel.missing,
        files=panel.files,
        decisions=panel.decisions,
        district=panel.district,
        synthetic=panel.synthetic,
    )


def answer_question(panel: Panel, design: StudyDesign, question: Question) -> Answer:
    """Take one question through all stages: sample, matching, balance, effects.

    A question that the extracts cannot answer (its table was not delivered) gives an answer
    without effects, and a sentence that says why; so do secondary or exploratory questions and
    outcomes whose method cannot be carried out.

    Raises
    ------
    DesignError
        As the stages do.
    MatchingError, EstimationError
        If the method of a primary question cannot be carried out.
    """
    try:
        sample = select_sample(panel, design, question)
        matched = match_as_asked(panel, sample)
    except SourceError as error:
        return _skipped(question, error)
    except (MatchingError, EstimationError) as error:
        if question.role == "primary":
            raise
        return _skipped(question, error)
    effects: list[Effect] = []
    sensitivity: list[Effect] = []
    skipped: list[str] = []
    for name in sample.question.outcomes:
        try:
            effects.append(estimate_pooled(matched, name))
        except EstimationError as error:
            if question.role == "primary":
                raise
            skipped.append(f"{sample.design.outcome(name).label}: {error}")
    for variation in design.sensitivity:
        if not variation.varies(question):
            continue
        try:
            sensitivity += vary(panel, sample, matched, variation)
        except (SourceError, MatchingError, EstimationError) as error:
            skipped.append(f"{variation.label}: {error}")
    sensitivity += _weighted_for_response(matched, skipped)
    subgroups = _subgroups(matched[0], skipped) if question.subgroup else []
    main = question.role == "primary"
    distribution = estimate_distribution(panel, matched, skipped) if main else None
    balances = {one.outcome.name: _balance(matched, one.outcome.name) for one in effects}
    return Answer(
        question,
        sample,
        matched[0],
        MappingProxyType(balances),
        tuple(_with_balance_said(one, balances[one.outcome.name]) for one in effects),
        tuple(sensitivity),
        tuple(_standard_errors(matched, effects)) if main else (),
        tuple(skipped),
        tuple(subgroups),
        distribution,
    )


def _weighted_for_response(
    matched: Sequence[MatchedSample], skipped: list[str]
) -> Iterator[Effect]:
    """Yield effects on survey scales with respondents weighted; say what cannot be."""
    sample = matched[0].sample
    for name in sample.question.outcomes:
        if measured_name(name)[0] not in SURVEY_OUTCOMES:
            continue
        try:
            effect = estimate_pooled([weight_for_response(one, name) for one in matched], name)
            yield replace(effect, sensitivity=FOR_RESPONSE)
        except EstimationError as error:
            skipped.append(f"{sample.design.outcome(name).label}, weighted for response: {error}")


def _subgroups(matched: MatchedSample, skipped: list[str]) -> list[SubgroupEffects]:
    """Return effects in the subgroups of a question; say what cannot be estimated."""
    found = []
    for name in matched.sample.question.outcomes:
        try:
            found.append(estimate_subgroups(matched, name, "subgroup"))
        except EstimationError as error:
            skipped.append(f"{matched.sample.design.outcome(name).label}, by subgroup: {error}")
    return found


def _standard_errors(
    matched: Sequence[MatchedSample], effects: Sequence[Effect]
) -> Iterator[StandardErrors]:
    """Yield the standard errors of the estimates of linear models, side by side.

    Pooled estimates have none: each completed sample has another estimate.
    """
    for effect in effects:
        linear = isinstance(effect.model, FixedEffects | DifferenceInMeans)
        if linear and len(matched) == 1:
            yield compare_standard_errors(matched[0], effect.outcome.name)


def _skipped(question: Question, reason: Exception) -> Answer:
    nothing = MappingProxyType[str, Balance]({})
    return Answer(question, None, None, nothing, (), (), (), (str(reason),))


def _balance(matched: Sequence[MatchedSample], outcome: str) -> Balance:
    """Return the balance of a matched sample, or the mean over those of all imputations."""
    balances = [assess_balance(one, outcome) for one in matched]
    return pool_balance(balances) if len(balances) > 1 else balances[0]


def _with_balance_said(effect: Effect, balance: Balance) -> Effect:
    """Say where baseline equivalence fails, and how unlike the groups are in any imputation."""
    notes = []
    if unlike := balance.not_equivalent:
        notes.append(
            "Before the visit the groups were not alike (baseline equivalence does not hold): "
            f"{listed(unlike)}."
        )
    if balance.imputations > 1:
        sizes = np.abs(balance.everybody[["smd_after_low", "smd_after_high"]].to_numpy())
        notes.append(
            f"Balance is the mean over the {balance.imputations} imputations; in none of them is a "
            f"standardized difference above {sizes[np.isfinite(sizes)].max():.3f} after matching."
        )
    return replace(effect, notes=(*effect.notes, *notes))
