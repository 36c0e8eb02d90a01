"""Methods that match unit with unit: nearest neighbors, optimal pairs, full matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import between, check_fields
from homevisit_eval.design.matching_options import (
    AnyEstimand,
    CaliperUnits,
    Columns,
    CovariateCaliper,
    Discard,
    Distance,
    FocalEstimand,
    Limit,
    Link,
    Order,
    Ratio,
    Score,
    Ties,
    Width,
    check_covariates,
    check_reestimate,
    check_score,
    shown_options,
)
from homevisit_eval.errors import DesignError

__all__ = [
    "FullMatching",
    "NearestNeighbor",
    "OptimalPairs",
]

CONFIG = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, repr=False)
class NearestNeighbor:
    """Nearest neighbor matching: 1:1, k:1 or variable ratio; without or with replacement.

    Focal units (the treated for the ATT, the comparison units for the ATC) choose one after the
    other, each the nearest unit of the other group that may still be used, within its exact
    stratum and all calipers. With k:1 matching they choose in rounds: everybody's first match,
    then everybody's second.

    Parameters
    ----------
    estimand
        ``"ATT"`` or ``"ATC"``.
    score
        ``"linear_propensity_score"`` (the linear predictor of the model; the logit of given
        scores), ``"propensity_score"``, or ``"column"``: any numeric column.
    link
        Of the propensity model: ``"logit"``, ``"probit"`` or ``"cloglog"``.
    score_column
        The column, if `score` is ``"column"``.
    distance
        Between two units: of their ``"score"``, or in several covariates ``"mahalanobis"``,
        ``"robust_mahalanobis"`` (of ranks) or ``"scaled_euclidean"``. A distance in covariates
        with a caliper, a discard rule or an order by score uses the score for these; without
        any of them no score is made.
    distance_covariates
        For a distance in covariates; all covariates if empty.
    ratio
        Matches for each focal unit; their mean if the ratio varies.
    min_ratio, max_ratio
        Both above 0: the ratio varies between them, more matches where the score is low
        (Ming and Rosenbaum 2000). Both 0: it does not.
    max_uses
        How often a unit may be a match: 1 is without replacement, ``"unlimited"`` with
        replacement, a number between is a limit.
    max_uses_per_unit_id
        How often all rows of one unit (a student across years) may be matches together.
    order
        ``"largest"`` or ``"smallest"`` score first, ``"data"`` (rows, or keys under
        ``ties="row"``), ``"random"``, ``"closest"`` or ``"farthest"`` pair first. The
        ``"default"`` is largest for the ATT, smallest for the ATC, data without a score.
    seed
        Of the random order.
    caliper
        The widest distance in the score, inclusive. ``"none"`` sets no limit.
    caliper_units
        ``"sd"``: standard deviations (n - 1, all units that are not discarded) of the score;
        ``"raw"``: its units.
    covariate_calipers
        The widest difference in single covariates.
    exact
        Columns whose values a pair must share.
    anti_exact
        Columns in each of which a pair must differ.
    discard
        Units of which group are discarded if their score lies outside the range of the other.
    reestimate
        Fit the score again without discarded units.
    ties
        ``"row"``: scores are rounded to 12 decimals and equal ones are ordered by a key made
        from the identifying columns, so the result does not depend on the order of rows.
        ``"matchit"``: the order rules of R MatchIt 4.7.2, which depend on the order of rows.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or two contradict each other.

    References
    ----------
    Rosenbaum, P. R., & Rubin, D. B. (1985). Constructing a control group using multivariate
    matched sampling methods that incorporate the propensity score. *The American
    Statistician*, 39(1), 33-38.
    Ming, K., & Rosenbaum, P. R. (2000). Substantial gains in bias reduction from matching with
    a variable number of controls. *Biometrics*, 56(1), 118-124.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["nearest_neighbor"] = "nearest_neighbor"
    estimand: FocalEstimand = "ATT"
    score: Score = "linear_propensity_score"
    link: Link = "logit"
    score_column: str = ""
    distance: Distance = "score"
    distance_covariates: Columns = ()
    ratio: Ratio = 1
    min_ratio: int = 0
    max_ratio: int = 0
    max_uses: Limit = 1
    max_uses_per_unit_id: Limit = "unlimited"
    order: Order = "default"
    seed: Annotated[int, between(0, 2**53)] = 1
    caliper: Width = 0.2
    caliper_units: CaliperUnits = "sd"
    covariate_calipers: tuple[CovariateCaliper, ...] = ()
    exact: Columns = ()
    anti_exact: Columns = ()
    discard: Discard = "none"
    reestimate: bool = False
    ties: Ties = "row"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
        check_score(self, self.score, self.score_column)
        check_covariates(self, self.distance, self.distance_covariates)
        check_reestimate(self, reestimate=self.reestimate, discard=self.discard)
        varies = self.min_ratio != 0 or self.max_ratio != 0
        if varies and not 1 <= self.min_ratio <= self.ratio <= self.max_ratio:
            raise DesignError(
                "NearestNeighbor: a variable ratio needs 1 <= min_ratio <= ratio <= max_ratio; "
                f"they are {self.min_ratio}, {self.ratio} and {self.max_ratio}."
            )
        if varies and self.max_uses != 1:
            raise DesignError(
                "NearestNeighbor: a variable ratio goes with max_uses = 1, without replacement."
            )


@dataclass(frozen=True, slots=True, repr=False)
class OptimalPairs:
    """Optimal pair or k:1 matching without replacement: the smallest total distance possible.

    As many focal units as possible are matched; among all such choices the sum of distances is
    the smallest. With ties the pairs are one of several optimal choices.

    Parameters
    ----------
    estimand, score, link, score_column, distance, distance_covariates, ratio
        As for `NearestNeighbor`.
    caliper, caliper_units, covariate_calipers, exact, anti_exact, discard, reestimate, ties
        As for `NearestNeighbor`.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or two contradict each other.

    References
    ----------
    Rosenbaum, P. R. (1989). Optimal matching for observational studies. *Journal of the
    American Statistical Association*, 84(408), 1024-1032.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["optimal_pairs"] = "optimal_pairs"
    estimand: FocalEstimand = "ATT"
    score: Score = "linear_propensity_score"
    link: Link = "logit"
    score_column: str = ""
    distance: Distance = "score"
    distance_covariates: Columns = ()
    ratio: Ratio = 1
    caliper: Width = "none"
    caliper_units: CaliperUnits = "sd"
    covariate_calipers: tuple[CovariateCaliper, ...] = ()
    exact: Columns = ()
    anti_exact: Columns = ()
    discard: Discard = "none"
    reestimate: bool = False
    ties: Ties = "row"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
        check_score(self, self.score, self.score_column)
        check_covariates(self, self.distance, self.distance_covariates)
        check_reestimate(self, reestimate=self.reestimate, discard=self.discard)


@dataclass(frozen=True, slots=True, repr=False)
class FullMatching:
    """Optimal full matching: everybody is in a set of one unit with one or more of the other.

    Parameters
    ----------
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``: how the sets are weighted.
    min_ratio, max_ratio
        Comparison units for each treated one in a set, at least and at most; 1/3 means up to
        three treated share one. ``0`` and ``"unlimited"`` set no bound.
    score, link, score_column, distance, distance_covariates
        As for `NearestNeighbor`.
    caliper, caliper_units, covariate_calipers, exact, anti_exact, discard, reestimate, ties
        As for `NearestNeighbor`. Units that nobody may be matched with are left out.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or two contradict each other.

    References
    ----------
    Rosenbaum, P. R. (1991). A characterization of optimal designs for observational studies.
    *Journal of the Royal Statistical Society, Series B*, 53(3), 597-610.
    Hansen, B. B. (2004). Full matching in an observational study of coaching for the SAT.
    *Journal of the American Statistical Association*, 99(467), 609-618.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["full_matching"] = "full_matching"
    estimand: AnyEstimand = "ATT"
    score: Score = "linear_propensity_score"
    link: Link = "logit"
    score_column: str = ""
    distance: Distance = "score"
    distance_covariates: Columns = ()
    min_ratio: Annotated[float, between(0, 1_000)] = 0.0
    max_ratio: Annotated[float, between(0, 1_000)] | Literal["unlimited"] = "unlimited"
    caliper: Width = "none"
    caliper_units: CaliperUnits = "sd"
    covariate_calipers: tuple[CovariateCaliper, ...] = ()
    exact: Columns = ()
    anti_exact: Columns = ()
    discard: Discard = "none"
    reestimate: bool = False
    ties: Ties = "row"

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
        check_score(self, self.score, self.score_column)
        check_covariates(self, self.distance, self.distance_covariates)
        check_reestimate(self, reestimate=self.reestimate, discard=self.discard)
        high = self.max_ratio
        if high != "unlimited" and not (high > 0 and self.min_ratio <= high):
            raise DesignError(
                "FullMatching: max_ratio must be above 0 and at least min_ratio; they are "
                f"{_shown_ratio(self.min_ratio)} and {_shown_ratio(high)}."
            )
        for name, ratio in (("min_ratio", self.min_ratio), ("max_ratio", high)):
            if ratio != "unlimited" and ratio and not _is_whole(ratio):
                raise DesignError(
                    f"FullMatching: {name} must be a whole number, or one over a whole number; "
                    f"it is {_shown_ratio(ratio)}."
                )


def _is_whole(ratio: float) -> bool:
    number = ratio if ratio >= 1 else 1 / ratio
    return abs(number - round(number)) < 1e-9


def _shown_ratio(ratio: float) -> str:
    """Return a ratio as a message shows it."""
    return f"{ratio:g}"
