"""What a matching method gives to the stages after it: matched sets, exact columns, weights."""

from __future__ import annotations

from typing import Literal, assert_never

from homevisit_eval.design.matching_methods import (
    CardinalityMatching,
    CoarsenedExactMatching,
    ExactMatching,
    FullMatching,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Subclassification,
)
from homevisit_eval.design.weighting_methods import (
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)

__all__ = [
    "Comparison",
    "Target",
    "comparison_made",
    "keeps_columns_exact",
    "makes_matched_sets",
    "target_of",
]

Comparison = Literal["matched", "weighted", "unmatched"]
Target = Literal["ATT", "ATC", "ATE", "ATO"]


def makes_matched_sets(method: MatchingMethod) -> bool:
    """Return whether every row that a method uses is in one matched set, stratum or subclass."""
    match method:
        case NearestNeighbor():
            return method.max_uses == 1
        case OptimalPairs() | FullMatching():
            return True
        case CoarsenedExactMatching() | ExactMatching() | Subclassification():
            return True
        case CardinalityMatching() | InverseProbability() | OverlapWeights():
            return False
        case EntropyBalancing() | NoMatching():
            return False
        case _:
            assert_never(method)


def keeps_columns_exact(method: MatchingMethod) -> bool:
    """Return whether a method can compare only rows that share the values of named columns."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return True
        case CoarsenedExactMatching() | ExactMatching():
            return True
        case CardinalityMatching():
            return method.ratio > 0
        case Subclassification() | InverseProbability() | OverlapWeights():
            return False
        case EntropyBalancing() | NoMatching():
            return False
        case _:
            assert_never(method)


def comparison_made(method: MatchingMethod) -> Comparison:
    """Return how a method makes the groups alike: by who is in them, by weights, or not at all."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return "matched"
        case CoarsenedExactMatching() | ExactMatching() | Subclassification():
            return "matched"
        case CardinalityMatching():
            return "matched"
        case InverseProbability() | OverlapWeights() | EntropyBalancing():
            return "weighted"
        case NoMatching():
            return "unmatched"
        case _:
            assert_never(method)


def target_of(method: MatchingMethod) -> Target:
    """Return whose average effect a method is for."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return method.estimand
        case CoarsenedExactMatching() | ExactMatching() | Subclassification():
            return method.estimand
        case CardinalityMatching() | InverseProbability() | EntropyBalancing():
            return method.estimand
        case OverlapWeights():
            return "ATO"
        case NoMatching():
            return "ATT"
        case _:
            assert_never(method)
