"""Which designs a certificate compares: the study's own, its variations, and a grid of methods."""

from __future__ import annotations

from dataclasses import replace
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
    Variation,
)
from homevisit_eval.design.method_facts import makes_matched_sets

__all__ = ["MAIN_LABEL", "compared_designs", "design_labels", "primary_questions"]

MAIN_LABEL = "The design of the study"


def compared_designs(design: StudyDesign, question: Question) -> tuple[Variation, ...]:
    """Return what a question is also answered by, besides the design's own methods.

    Returns
    -------
    tuple of Variation
        The design's sensitivity rows, then every combination of matching (the design's,
        without its caliper, none), model (regression, difference in means) and covariance (CR2
        and CR1S by school, CR2 by matched set where the method makes sets) that is not among
        them or the design's own.
    """
    own = _methods(design, question)
    taken = [own, *(_settings(variation, own) for variation in design.sensitivity)]
    names = {variation.name for variation in design.sensitivity}
    grid = []
    for variation in _grid(design, question):
        settings = _settings(variation, own)
        if settings not in taken and variation.name not in names:
            grid.append(variation)
            taken.append(settings)
    return (*design.sensitivity, *grid)


def design_labels(design: StudyDesign) -> dict[str, str]:
    """Return the printed labels of all designs and outcomes by name."""
    labels = {MAIN: MAIN_LABEL}
    for question in primary_questions(design):
        labels |= {one.name: one.label for one in compared_designs(design, question)}
    return labels | {outcome.name: outcome.label for outcome in design.outcomes}


def primary_questions(design: StudyDesign) -> tuple[Question, ...]:
    """Return the questions that a certificate asks."""
    return tuple(question for question in design.questions if question.role == "primary")


def _methods(design: StudyDesign, question: Question) -> tuple[MatchingMethod, OutcomeModel]:
    return question.matching or design.matching, question.model or design.model


def _settings(
    variation: Variation, own: tuple[MatchingMethod, OutcomeModel]
) -> tuple[MatchingMethod, OutcomeModel] | None:
    """Return a variation's methods; None if it varies the sample too."""
    if variation.pool or variation.comparison_schools or variation.min_days_enrolled:
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
