"""Words and numbers that several matching methods share, and their rules."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, PlainValidator

from homevisit_eval.design.checks import Distinct, check_fields
from homevisit_eval.design.wording import shown
from homevisit_eval.errors import DesignError

__all__ = [
    "AnyEstimand",
    "Caliper",
    "CaliperUnits",
    "Coarsening",
    "Columns",
    "CovariateCaliper",
    "Discard",
    "Distance",
    "FocalEstimand",
    "Link",
    "Order",
    "Ratio",
    "Score",
    "Ties",
    "Uses",
    "check_covariates",
    "check_reestimate",
    "check_score",
    "shown_options",
]

Caliper = float | Literal["none"]
Uses = int | Literal["unlimited"]
Ties = Literal["row", "matchit"]
Score = Literal["linear_propensity_score", "propensity_score", "column"]
Link = Literal["logit", "probit", "cloglog"]
Distance = Literal["score", "mahalanobis", "robust_mahalanobis", "scaled_euclidean"]
CaliperUnits = Literal["sd", "raw"]
Discard = Literal["none", "treated", "comparison", "both"]
Order = Literal["default", "largest", "smallest", "data", "random", "closest", "farthest"]
FocalEstimand = Literal["ATT", "ATC"]
AnyEstimand = Literal["ATT", "ATC", "ATE"]

WIDEST = 1e6  # standard deviations; a caliper beyond it means none
MOST_MATCHES = 1_000


def _is_caliper(value: object) -> Caliper:
    if value == "none":
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= WIDEST:
        return float(value)
    raise DesignError(f'must be a number above 0, or "none" for no caliper; it is {shown(value)}.')


def _is_uses(value: object) -> Uses:
    if value == "unlimited":
        return "unlimited"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise DesignError(
        f'must be a whole number from 1, or "unlimited" for no limit; it is {shown(value)}.'
    )


def _is_ratio(value: int) -> int:
    if not 1 <= value <= MOST_MATCHES:
        raise DesignError(
            f"must be a whole number from 1 to {MOST_MATCHES:,}; it is {shown(value)}."
        )
    return value


Width = Annotated[Caliper, PlainValidator(_is_caliper)]
"""A caliper as a field of a method."""

Limit = Annotated[Uses, PlainValidator(_is_uses)]
"""A number of uses as a field of a method."""

Ratio = Annotated[int, AfterValidator(_is_ratio)]
"""Matches for each unit."""

Columns = Annotated[tuple[str, ...], Distinct]
"""Names of columns."""


def shown_options(method: object) -> str:
    """Return a method as the call that makes it, without options that have their default."""
    given = [
        f"{field.name}={getattr(method, field.name)!r}"
        for field in fields(method)  # type: ignore[arg-type]
        if getattr(method, field.name) != field.default
    ]
    return f"{type(method).__name__}({', '.join(given)})"


@dataclass(frozen=True, slots=True)
class CovariateCaliper:
    """The widest difference in one covariate that a pair may have.

    Parameters
    ----------
    covariate
        A column of numbers.
    width
        Inclusive; in standard deviations (n - 1, all units that are not discarded) or in the
        column's own units.
    units
        ``"sd"`` or ``"raw"``.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    covariate: str
    width: Annotated[float, AfterValidator(_is_caliper)]
    units: CaliperUnits = "sd"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Coarsening:
    """How one covariate is coarsened: a number of equal bins, or cut points.

    Parameters
    ----------
    covariate
        A column of numbers.
    bins
        Equal-width bins between the smallest and the largest value; 0 if cut points are given,
        1 leaves the covariate out.
    cut_points
        Ascending; values from one to below the next share a bin.

    Raises
    ------
    DesignError
        If neither or both of `bins` and `cut_points` are given, or points do not ascend.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    covariate: str
    bins: int = 0
    cut_points: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.bins >= 1) == bool(self.cut_points):
            raise DesignError(
                f"Coarsening of {self.covariate}: give either bins (1 or more) or cut_points."
            )
        if any(a >= b for a, b in zip(self.cut_points, self.cut_points[1:], strict=False)):
            raise DesignError(f"Coarsening of {self.covariate}: cut_points must ascend.")


def check_score(method: object, score: str, score_column: str) -> None:
    """Raise `DesignError` unless a column is named exactly if it is the score."""
    if (score == "column") != bool(score_column):
        raise DesignError(
            f"{type(method).__name__}: score_column names the column if score is 'column', and "
            "is left empty otherwise."
        )


def check_covariates(method: object, distance: str, covariates: tuple[str, ...]) -> None:
    """Raise `DesignError` if covariates of a distance are named for a distance of scores."""
    if covariates and distance == "score":
        raise DesignError(
            f"{type(method).__name__}: distance_covariates belong to a distance in several "
            "covariates; choose distance 'mahalanobis', 'robust_mahalanobis' or "
            "'scaled_euclidean', or leave them out."
        )


def check_reestimate(method: object, *, reestimate: bool, discard: str) -> None:
    """Raise `DesignError` if the score is to be fitted again though nobody is discarded."""
    if reestimate and discard == "none":
        raise DesignError(
            f"{type(method).__name__}: reestimate fits the score again without discarded units; "
            "choose what to discard, or leave it out."
        )
