"""Methods that compare within strata: exact, coarsened exact, subclasses; and balanced samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import between, check_fields
from homevisit_eval.design.matching_options import (
    AnyEstimand,
    Coarsening,
    Columns,
    Discard,
    Link,
    Score,
    Ties,
    check_reestimate,
    check_score,
    shown_options,
)

__all__ = [
    "CardinalityMatching",
    "CoarsenedExactMatching",
    "ExactMatching",
    "Subclassification",
]

CONFIG = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, repr=False)
class CoarsenedExactMatching:
    """Coarsened exact matching: exact on binned covariates, strata weighted.

    Parameters
    ----------
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``: how the strata are weighted.
    rule
        Bins of numeric covariates not named in `coarsening`: ``"sturges"``, ``"scott"`` or
        ``"freedman_diaconis"``, of equal width.
    coarsening
        Bins or cut points of single covariates.
    exact
        Columns that are not coarsened, besides those that hold categories.
    one_to_one
        Pairs are made within strata, by Mahalanobis distance; other units are left out.
    ties
        As for `NearestNeighbor`; it matters for pairs only.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Iacus, S. M., King, G., & Porro, G. (2012). Causal inference without balance checking:
    coarsened exact matching. *Political Analysis*, 20(1), 1-24.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["coarsened_exact"] = "coarsened_exact"
    estimand: AnyEstimand = "ATT"
    rule: Literal["sturges", "scott", "freedman_diaconis"] = "sturges"
    coarsening: tuple[Coarsening, ...] = ()
    exact: Columns = ()
    one_to_one: bool = False
    ties: Ties = "row"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, repr=False)
class ExactMatching:
    """Exact matching: strata of equal values, weighted.

    Parameters
    ----------
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``: how the strata are weighted.
    exact
        The columns; all covariates if empty.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["exact"] = "exact"
    estimand: AnyEstimand = "ATT"
    exact: Columns = ()

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, repr=False)
class Subclassification:
    """Subclassification: groups of like score, weighted.

    Parameters
    ----------
    estimand
        ``"ATT"``: quantiles of the treated; ``"ATC"``: of the comparison units; ``"ATE"``: of
        all.
    subclasses
        How many, 2 to 1,000.
    score, link, score_column, discard, reestimate
        As for `NearestNeighbor`.
    min_units
        Of each group in a subclass: units of the nearest scores move in until it is reached.
        With 0 subclasses that have one group only are left out.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or two contradict each other.

    References
    ----------
    Rosenbaum, P. R., & Rubin, D. B. (1984). Reducing bias in observational studies using
    subclassification on the propensity score. *Journal of the American Statistical
    Association*, 79(387), 516-524.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["subclassification"] = "subclassification"
    estimand: AnyEstimand = "ATT"
    subclasses: Annotated[int, between(2, 1_000)] = 6
    score: Score = "linear_propensity_score"
    link: Link = "logit"
    score_column: str = ""
    min_units: Annotated[int, between(0, 1_000)] = 1
    discard: Discard = "none"
    reestimate: bool = False
    ties: Ties = "row"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
        check_score(self, self.score, self.score_column)
        check_reestimate(self, reestimate=self.reestimate, discard=self.discard)


@dataclass(frozen=True, slots=True, repr=False)
class CardinalityMatching:
    """Cardinality matching: the largest sample whose means are balanced.

    Parameters
    ----------
    estimand
        Whose means both groups must have, within `tolerance`: those of the treated (``"ATT"``),
        the comparison units (``"ATC"``) or all (``"ATE"``), if `ratio` is 0. All focal units
        are kept then (profile matching). With `ratio` above 0 the means of the two chosen
        groups are compared with each other.
    ratio
        Comparison units for each treated one; 0 leaves the ratio free.
    tolerance
        The largest standardized mean difference of any covariate, in standard deviations.
    exact
        Columns within whose strata numbers must be equal (times `ratio`), so that pairs could
        be made there.
    time_limit
        Seconds for the solver (HiGHS); if it ends, the best solution found is used and the
        audit says how far from the optimum it may be.
    relative_gap
        The solver stops when its solution is within this share of the largest possible size.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Zubizarreta, J. R., Paredes, R. D., & Rosenbaum, P. R. (2014). Matching for balance, pairing
    for heterogeneity in an observational study of the effectiveness of for-profit and
    not-for-profit high schools in Chile. *Annals of Applied Statistics*, 8(1), 204-231.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["cardinality"] = "cardinality"
    estimand: AnyEstimand = "ATT"
    ratio: Annotated[int, between(0, 100)] = 1
    tolerance: Annotated[float, between(0, 1)] = 0.05
    exact: Columns = ()
    time_limit: Annotated[float, between(1, 86_400)] = 60.0
    relative_gap: Annotated[float, between(0, 1)] = 0.0

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
