"""Which columns of a data frame a method reads, besides the covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import pandas as pd

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
from homevisit_eval.design.method_facts import keeps_columns_exact
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.frame.checks import (
    check_columns,
    check_numbers,
    check_usable,
    check_varies,
)

__all__ = [
    "check_method_columns",
    "exact_within",
    "method_columns",
    "uses_covariates",
    "uses_score",
]


def uses_score(method: NearestNeighbor | OptimalPairs | FullMatching) -> bool:
    """Say whether a method uses a score: as distance, caliper, support, order or for its ratio."""
    by_score = isinstance(method, NearestNeighbor) and (
        method.order in ("largest", "smallest") or method.max_ratio > 0
    )
    return (
        method.distance == "score"
        or method.caliper != "none"
        or method.discard != "none"
        or by_score
    )


def exact_within(method: MatchingMethod, columns: Sequence[str]) -> MatchingMethod | None:
    """Return a method that compares within equal values of some columns; None if it cannot."""
    match method:
        case (
            NearestNeighbor()
            | OptimalPairs()
            | FullMatching()
            | CoarsenedExactMatching()
            | ExactMatching()
            | CardinalityMatching()
        ):
            if not keeps_columns_exact(method):
                return None
            return replace(method, exact=tuple(dict.fromkeys((*method.exact, *columns))))
        case Subclassification() | InverseProbability() | OverlapWeights():
            return None
        case EntropyBalancing() | NoMatching():
            return None
        case _:
            assert_never(method)


def _roles(method: MatchingMethod) -> dict[str, tuple[str, ...]]:
    """Return the columns that a method names, by the option that names them."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return {
                "exact": method.exact,
                "anti_exact": method.anti_exact,
                "distance_covariates": method.distance_covariates,
                "covariate_calipers": tuple(one.covariate for one in method.covariate_calipers),
                "score_column": (method.score_column,) if method.score_column else (),
            }
        case CoarsenedExactMatching():
            return {
                "exact": method.exact,
                "coarsening": tuple(one.covariate for one in method.coarsening),
            }
        case ExactMatching() | CardinalityMatching():
            return {"exact": method.exact}
        case Subclassification():
            return {"score_column": (method.score_column,) if method.score_column else ()}
        case InverseProbability() | OverlapWeights() | EntropyBalancing():
            return {"factors": method.factors}
        case NoMatching():
            return {}
        case _:
            assert_never(method)


def method_columns(method: MatchingMethod) -> list[str]:
    """Return all columns that a method names."""
    return [name for names in _roles(method).values() for name in names]


def uses_covariates(method: MatchingMethod) -> bool:
    """Say whether a method cannot do without covariates, unless propensity scores are given."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            if method.distance != "score" and not method.distance_covariates:
                return True
            return method.score != "column" and uses_score(method)
        case Subclassification():
            return method.score != "column"
        case ExactMatching():
            return not method.exact
        case NoMatching():
            return False
        case (
            CoarsenedExactMatching()
            | CardinalityMatching()
            | InverseProbability()
            | OverlapWeights()
            | EntropyBalancing()
        ):
            return True
        case _:
            assert_never(method)


def check_method_columns(frame: pd.DataFrame, method: MatchingMethod) -> None:
    """Raise `MatchingError` if a column that the method names is unknown, incomplete or unfit."""
    for role, names in _roles(method).items():
        check_columns(frame, names, role)
        categories = role in ("exact", "anti_exact", "factors")
        check_usable(frame, names, "exact columns" if role == "exact" else role, dates=categories)
        if role in ("covariate_calipers", "score_column"):
            check_numbers(frame, names, role)
        if role in ("distance_covariates", "score_column"):
            check_varies(frame, names, role)
    if isinstance(method, NearestNeighbor | OptimalPairs | FullMatching) and method.anti_exact:
        both = [name for name in method.anti_exact if name in method.exact]
        if both:
            raise MatchingError(
                f"anti_exact: {', '.join(both)} stands in exact as well, so no pair could be made. "
                "Keep it in one of them."
            )
