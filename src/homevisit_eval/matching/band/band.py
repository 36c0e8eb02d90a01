"""One band of units that share covariates, matched or weighted by the method asked for."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

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
from homevisit_eval.matching.band.result import BandResult, no_reason
from homevisit_eval.matching.band.rows import BandRows

__all__ = ["match_band"]

Integers = NDArray[np.int64]


def match_band(
    rows: BandRows, method: MatchingMethod, person_uses: Integers | None = None
) -> BandResult:
    """Match or weight the rows of a band.

    Parameters
    ----------
    rows
        In the order that breaks ties.
    method
        Any.
    person_uses : array of int, optional
        How often each person was a match in earlier bands; this band's uses are added to it.
    """
    match method:
        case NearestNeighbor():
            from homevisit_eval.matching.band.pairs import match_nearest

            return match_nearest(rows, method, person_uses)
        case OptimalPairs():
            from homevisit_eval.matching.band.pairs import match_optimal

            return match_optimal(rows, method)
        case FullMatching():
            from homevisit_eval.matching.band.pairs import match_fully

            return match_fully(rows, method)
        case CoarsenedExactMatching() | ExactMatching() | Subclassification():
            from homevisit_eval.matching.band.strata import stratify

            return stratify(rows, method)
        case CardinalityMatching() | InverseProbability() | OverlapWeights() | EntropyBalancing():
            from homevisit_eval.matching.band.weights import weigh

            return weigh(rows, method)
        case NoMatching():
            return BandResult(no_reason(rows), weights=np.ones(len(rows)))
        case _:
            assert_never(method)
