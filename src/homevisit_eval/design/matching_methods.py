"""How a comparison group is chosen: one frozen value for each method, with its own options only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import between, check_fields
from homevisit_eval.design.matching_options import (
    AnyEstimand,
    CaliperUnits,
    Coarsening,
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
    shown_options,
)
from homevisit_eval.design.weighting_methods import (
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)
from homevisit_eval.errors import DesignError

__all__ = [
    "CardinalityMatching",
    "CoarsenedExactMatching",
    "ExactMatching",
    "FullMatching",
    "MatchingMethod",
    "NearestNeighbor",
    "NoMatching",
    "OptimalPairs",
    "Subclassification",
]

CONFIG = ConfigDict(extra="forbid", strict=True)


def _check_score(method: object, score: str, score_column: str) -> None:
    if (score == "column") != bool(score_column):
        raise DesignError(
            f"{type(method).__name__}: score_column names the column if score is 'column', and "
            "is left empty otherwise."
        )


def _check_covariates(method: object, distance: str, covariates: tuple[str, ...]) -> None:
    if covariates and distance == "score":
        raise DesignError(
            f"{type(method).__name__}: distance_covariates belong to a distance in several "
            "covariates; choose distance 'mahalanobis', 'robust_mahalanobis' or "
            "'scaled_euclidean', or leave them out."
        )


def _check_reestimate(method: object, *, reestimate: bool, discard: str) -> None:
    if reestimate and discard == "none":
        raise DesignError(
            f"{type(method).__name__}: reestimate fits the score again without discarded units; "
            "choose what to discard, or leave it out."
        )


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
    seed: int = 1
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
        _check_score(self, self.score, self.score_column)
        _check_covariates(self, self.distance, self.distance_covariates)
        _check_reestimate(self, reestimate=self.reestimate, discard=self.discard)
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
        _check_score(self, self.score, self.score_column)
        _check_covariates(self, self.distance, self.distance_covariates)
        _check_reestimate(self, reestimate=self.reestimate, discard=self.discard)


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
        _check_score(self, self.score, self.score_column)
        _check_covariates(self, self.distance, self.distance_covariates)
        _check_reestimate(self, reestimate=self.reestimate, discard=self.discard)
        high = self.max_ratio
        if high != "unlimited" and not (0 < high and self.min_ratio <= high):
            raise DesignError(
                "FullMatching: max_ratio must be above 0 and at least min_ratio; they are "
                f"{shown_ratio(self.min_ratio)} and {shown_ratio(high)}."
            )
        for name, ratio in (("min_ratio", self.min_ratio), ("max_ratio", high)):
            if ratio != "unlimited" and ratio and not _is_whole(ratio):
                raise DesignError(
                    f"FullMatching: {name} must be a whole number, or one over a whole number; "
                    f"it is {shown_ratio(ratio)}."
                )


def _is_whole(ratio: float) -> bool:
    number = ratio if ratio >= 1 else 1 / ratio
    return abs(number - round(number)) < 1e-9


def shown_ratio(ratio: float) -> str:
    """Return a ratio as a message shows it."""
    return f"{ratio:g}"


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
        _check_score(self, self.score, self.score_column)
        _check_reestimate(self, reestimate=self.reestimate, discard=self.discard)


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


@dataclass(frozen=True, slots=True, repr=False)
class NoMatching:
    """Every candidate is kept with weight 1: regression alone adjusts."""

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

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
