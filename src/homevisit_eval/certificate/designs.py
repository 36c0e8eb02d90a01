"""Which designs a certificate compares: the study's own, its variations, and a grid of methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import assert_never

from homevisit_eval.certificate.trial import MAIN
from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    DifferenceInMeans,
    EntropyBalancing,
    ExactMatching,
    FixedEffects,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    OutcomeModel,
    OverlapWeights,
    Question,
    StudyDesign,
    Subclassification,
    TimingContrast,
    Variation,
)
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.measures import LONGEST_FOLLOW_UP
from homevisit_eval.design.method_facts import makes_matched_sets
from homevisit_eval.design.study import followed_outcome
from homevisit_eval.errors import DesignError

__all__ = [
    "MAIN_LABEL",
    "Asked",
    "as_answered",
    "asked_of",
    "compared_designs",
    "design_labels",
    "primary_questions",
]

MAIN_LABEL = "The design of the study"


def compared_designs(design: StudyDesign, question: Question) -> tuple[Variation, ...]:
    """Return what a question is also answered by, besides the design's own methods.

    Returns
    -------
    tuple of Variation
        The design's sensitivity rows of this question, but those with a lag, since what a visit
        changes from some later day on is not known. Then, for primary questions about visits
        before the year, every combination of matching (the design's, without its caliper, none),
        model (regression, difference in means) and covariance (CR2 and CR1S by school, CR2 by
        matched set where the method makes sets) that is not among them or the design's own.
    """
    rows = tuple(one for one in design.sensitivity if one.varies(question) and not one.lag_days)
    if question.role != "primary" or question.during or question.unit == "teacher":
        return rows
    own = _methods(design, question)
    taken = [own, *(_settings(variation, own) for variation in rows)]
    names = {variation.name for variation in rows}
    grid = []
    for variation in _grid(design, question):
        settings = _settings(variation, own)
        if settings not in taken and variation.name not in names:
            grid.append(variation)
            taken.append(settings)
    return (*rows, *grid)


def design_labels(design: StudyDesign, asked: Iterable[str] = ()) -> dict[str, str]:
    """Return the printed labels of all designs and outcomes by name.

    Parameters
    ----------
    asked
        Names of questions, as for `asked_of`.
    """
    labels = {MAIN: MAIN_LABEL}
    for question in asked_of(design, tuple(asked)).questions:
        labels |= {one.name: one.label for one in compared_designs(design, question)}
    for outcome in design.outcomes:
        followed = (followed_outcome(outcome, k) for k in range(LONGEST_FOLLOW_UP + 1))
        labels |= {one.name: one.label for one in followed}
    return labels


@dataclass(frozen=True, slots=True)
class Asked:
    """What a certificate asks of a design.

    Attributes
    ----------
    questions, contrasts
        In the order in which they were named.
    """

    questions: tuple[Question, ...]
    contrasts: tuple[TimingContrast, ...]

    @property
    def names(self) -> set[str]:
        """Names of all of them."""
        return {one.name for one in self.questions} | {one.name for one in self.contrasts}


def asked_of(design: StudyDesign, names: Sequence[str] = ()) -> Asked:
    """Return the questions and timing contrasts of those names; if none, the primary questions.

    Raises
    ------
    DesignError
        If the design has none of that name, or no name is given and no question is primary.
    """
    if not names:
        if not (primary := primary_questions(design)):
            raise DesignError("The design has no primary question; a certificate needs one.")
        return Asked(primary, ())
    questions = {one.name: one for one in design.questions}
    contrasts = {one.name: one for one in design.timing_contrasts if one.name not in questions}
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        allowed("question", name, [*questions, *contrasts])
    return Asked(
        tuple(questions[name] for name in wanted if name in questions),
        tuple(contrasts[name] for name in wanted if name in contrasts),
    )


def as_answered(design: StudyDesign, asked: Asked, *, variations: bool) -> tuple[Question, ...]:
    """Return the questions as they are answered, also under variations and in contrasts."""
    sides = [
        replace(design.question(name), outcomes=contrast.outcomes, later_visits="none", follow_up=0)
        for contrast in asked.contrasts
        for name in (contrast.earlier, contrast.later)
    ]
    varied = [
        replace(question, later_visits=variation.later_visits)
        for question in asked.questions
        for variation in (compared_designs(design, question) if variations else ())
        if variation.later_visits
    ]
    return (*asked.questions, *varied, *sides)


def primary_questions(design: StudyDesign) -> tuple[Question, ...]:
    """Return the questions that a certificate asks if none are named."""
    return tuple(question for question in design.questions if question.role == "primary")


def _methods(design: StudyDesign, question: Question) -> tuple[MatchingMethod, OutcomeModel]:
    return question.matching or design.matching, question.model or design.model


def _settings(
    variation: Variation, own: tuple[MatchingMethod, OutcomeModel]
) -> tuple[MatchingMethod, OutcomeModel] | None:
    """Return a variation's methods; None if it varies the sample or the estimand too."""
    sample = (variation.pool, variation.comparison_schools, variation.min_days_enrolled)
    rules = (variation.grades_without_pretest, variation.missing_covariates)
    if any((*sample, variation.later_visits, *rules)):
        return None
    return variation.matching or own[0], variation.model or own[1]


def _grid(design: StudyDesign, question: Question) -> list[Variation]:
    own, model = _methods(design, question)
    absorb = model.absorb if isinstance(model, FixedEffects) else FixedEffects().absorb
    models: dict[str, tuple[str, OutcomeModel]] = {
        "regression_cr2": ("regression, CR2", FixedEffects(absorb=absorb)),
        "regression_cr1": ("regression, CR1S", FixedEffects(absorb=absorb, covariance="CR1S")),
        "regression_pairs": (
            "regression, CR2 by pair",
            FixedEffects(absorb=absorb, cluster="matched_set"),
        ),
        "means_cr2": ("difference in means, CR2", DifferenceInMeans()),
        "means_cr1": ("difference in means, CR1S", DifferenceInMeans(covariance="CR1S")),
        "means_pairs": (
            "difference in means, CR2 by pair",
            DifferenceInMeans(cluster="matched_set"),
        ),
    }
    return [
        Variation(
            name=f"{first}_{second}",
            label=f"{where}; {how}",
            matching=None if method == own else method,
            model=outcome_model,
        )
        for (first, where, method), (second, (how, outcome_model)) in product(
            _matchings(own), models.items()
        )
        if makes_matched_sets(method) or outcome_model.cluster != "matched_set"
    ]


def _matchings(own: MatchingMethod) -> list[tuple[str, str, MatchingMethod]]:
    """Return name, label and method of what is compared."""
    none = ("unmatched", "No matching", NoMatching())
    as_study = ("matched", "Matched as the study", own)
    match own:
        case NoMatching():
            return [none]
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            if own.caliper == "none":
                return [as_study, none]
            free = replace(own, caliper="none")
            return [as_study, ("no_caliper", "Matched without a caliper", free), none]
        case CoarsenedExactMatching() | ExactMatching() | Subclassification():
            return [as_study, none]
        case CardinalityMatching():
            return [as_study, none]
        case InverseProbability() | OverlapWeights() | EntropyBalancing():
            return [("weighted", "Weighted as the study", own), none]
        case _:
            assert_never(own)
