"""How a comparison group is chosen: one frozen value for each method, with its own options only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import check_fields
from homevisit_eval.design.matching_options import shown_options
from homevisit_eval.design.pair_methods import FullMatching, NearestNeighbor, OptimalPairs
from homevisit_eval.design.stratum_methods import (
    CardinalityMatching,
    CoarsenedExactMatching,
    ExactMatching,
    Subclassification,
)
from homevisit_eval.design.weighting_methods import (
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)

__all__ = [
    "CardinalityMatching",
    "CoarsenedExactMatching",
    "EntropyBalancing",
    "ExactMatching",
    "FullMatching",
    "InverseProbability",
    "MatchingMethod",
    "NearestNeighbor",
    "NoMatching",
    "OptimalPairs",
    "OverlapWeights",
    "Subclassification",
]


@dataclass(frozen=True, slots=True, repr=False)
class NoMatching:
    """Every candidate is kept with weight 1: regression alone adjusts."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    method: Literal["no_matching"] = "no_matching"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)


MatchingMethod = (
    NearestNeighbor
    | OptimalPairs
    | FullMatching
    | CoarsenedExactMatching
    | ExactMatching
    | Subclassification
    | CardinalityMatching
    | InverseProbability
    | OverlapWeights
    | EntropyBalancing
    | NoMatching
)
