"""Whose effect an estimand is and how groups were made alike, in words for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    EntropyBalancing,
    ExactMatching,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    OverlapWeights,
    Subclassification,
)
from homevisit_eval.design.method_facts import Comparison, comparison_made
from homevisit_eval.sample.labels import listed

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.effects.whose import Target
    from homevisit_eval.matching import Matches

__all__ = [
    "MAKING",
    "WHOSE",
    "WHOSE_EFFECT",
    "groups_made_alike",
    "interacted_label",
    "makes_pairs",
    "stand_for",
    "targets_note",
]

WHOSE_EFFECT: Mapping[Target, str] = {
    "ATT": "the average effect on the visited",
    "ATC": "the average effect that a visit would have on the comparison students",
    "ATE": "the average effect on all students who could be compared",
    "ATO": "the average effect on students with a fair chance to be in either group",
}
"""An estimand in words."""

WHOSE: Mapping[Target, str] = {
    "ATT": "the visited students",
    "ATC": "the comparison students",
    "ATE": "all students",
    "ATO": "the students with a fair chance to be in either group",
}
"""Whom an estimand is about."""

MAKING: Mapping[Comparison, str] = {
    "matched": "matching",
    "weighted": "weighting",
    "unmatched": "matching",
}
"""What makes the groups alike."""


def groups_made_alike(result: Effect | Matches) -> Comparison:
    """Return how the groups behind an effect, or in matches, were made alike."""
    return comparison_made(result.method) if result.estimand.by_matching else "unmatched"


def makes_pairs(method: MatchingMethod) -> bool:
    """Return whether a matched set is one visited and one comparison student."""
    match method:
        case NearestNeighbor():
            return method.ratio == 1 and not method.max_ratio
        case OptimalPairs():
            return method.ratio == 1
        case CoarsenedExactMatching():
            return method.one_to_one
        case FullMatching() | ExactMatching() | Subclassification() | CardinalityMatching():
            return False
        case InverseProbability() | OverlapWeights() | EntropyBalancing() | NoMatching():
            return False
        case _:
            assert_never(method)


def stand_for(effects: Sequence[Effect]) -> str:
    """Return whom the visited are weighted to stand for, as a clause; empty if themselves."""
    targets = dict.fromkeys(one.estimand.target for one in effects)
    if all(target == "ATT" for target in targets):
        return ""
    return f", weighted to stand for {listed([WHOSE[target] for target in targets])}"


def targets_note(effects: Sequence[Effect]) -> str:
    """Return the estimands of some effects, each in words."""
    targets = dict.fromkeys(one.estimand.target for one in effects)
    return "; ".join(f"{target}: {WHOSE_EFFECT[target]}" for target in targets) + "."


def interacted_label(effects: Sequence[Effect]) -> dict[str, str]:
    """Return the label of the column of the interacted effect, by whose it is if all agree."""
    targets = {one.estimand.target for one in effects}
    whose = targets.pop() if len(targets) == 1 else "Average effect"
    return {"estimate_interacted": f"{whose} by interacted regression"}
