"""Which columns of a data frame a method reads, besides the covariates."""

from __future__ import annotations

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
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.frame_checks import (
    check_columns,
    check_numbers,
    check_usable,
    check_varies,
)

__all__ = [
    "check_method_columns",
    "exact_columns",
    "method_columns",
    "uses_covariates",
    "with_exact",
]


def exact_columns(method: MatchingMethod) -> tuple[str, ...] | None:
    """Return the columns that a method keeps exact; None if it keeps none by construction."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return method.exact
        case CoarsenedExactMatching() | ExactMatching():
            return method.exact
        case CardinalityMatching():
            return method.exact if method.ratio else None
        case Subclassification() | InverseProbability() | OverlapWeights():
            return None
        case EntropyBalancing() | NoMatching():
            return None
        case _:
            assert_never(method)


def with_exact(method: MatchingMethod, exact: tuple[str, ...]) -> MatchingMethod:
    """Return a method that keeps `exact` columns exact; it must be able to."""
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching():
            return replace(method, exact=exact)
        case CoarsenedExactMatching() | ExactMatching() | CardinalityMatching():
            return replace(method, exact=exact)
        case Subclassification() | InverseProbability() | OverlapWeights():
            return method
        case EntropyBalancing() | NoMatching():
            return method
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
            by_model = method.score != "column"
            return by_model and (method.distance == "score" or method.caliper != "none")
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
