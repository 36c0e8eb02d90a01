"""How everybody is weighted instead of matched: one frozen value for each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, PlainValidator

from homevisit_eval.design.checks import between, check_fields
from homevisit_eval.design.matching_options import (
    AnyEstimand,
    Columns,
    Discard,
    Link,
    shown_options,
)
from homevisit_eval.design.wording import shown
from homevisit_eval.errors import DesignError

__all__ = ["EntropyBalancing", "InverseProbability", "OverlapWeights"]

CONFIG = ConfigDict(extra="forbid", strict=True)
Quantile = float | Literal["none"]


def _is_quantile(value: object) -> Quantile:
    if value == "none":
        return "none"
    if isinstance(value, float) and 0.5 < value < 1:
        return value
    raise DesignError(
        f'must be a number above 0.5 and below 1, or "none" to truncate nothing; it is '
        f"{shown(value)}."
    )


@dataclass(frozen=True, slots=True, repr=False)
class InverseProbability:
    """Inverse probability weights from the propensity score.

    Parameters
    ----------
    estimand
        ``"ATT"``: comparison units are weighted by their odds; ``"ATC"``: treated ones by the
        inverse of theirs; ``"ATE"``: everybody by one over the probability of the own group.
    link
        Of the propensity model: ``"logit"``, ``"probit"`` or ``"cloglog"``.
    factors
        Columns that enter the model as categories, besides the covariates.
    truncate
        Larger weights of a group are set to this quantile of its weights (the smallest weight
        at or below which at least that share lies); ``"none"`` truncates nothing.
    discard, reestimate
        As for `NearestNeighbor`, on the linear propensity score.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or two contradict each other.

    References
    ----------
    Hirano, K., Imbens, G. W., & Ridder, G. (2003). Efficient estimation of average treatment
    effects using the estimated propensity score. *Econometrica*, 71(4), 1161-1189.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["inverse_probability"] = "inverse_probability"
    estimand: AnyEstimand = "ATT"
    link: Link = "logit"
    factors: Columns = ()
    truncate: Annotated[Quantile, PlainValidator(_is_quantile)] = "none"
    discard: Discard = "none"
    reestimate: bool = False

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.reestimate and self.discard == "none":
            raise DesignError(
                "InverseProbability: reestimate fits the score again without discarded units; "
                "choose what to discard, or leave it out."
            )


@dataclass(frozen=True, slots=True, repr=False)
class OverlapWeights:
    """Overlap weights: everybody by the probability of the other group.

    The estimand is the average effect in the overlap population (ATO). With a logit the means
    of all covariates are equal after weighting.

    Parameters
    ----------
    link
        Of the propensity model: ``"logit"``, ``"probit"`` or ``"cloglog"``.
    factors
        Columns that enter the model as categories, besides the covariates.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Li, F., Morgan, K. L., & Zaslavsky, A. M. (2018). Balancing covariates via propensity score
    weighting. *Journal of the American Statistical Association*, 113(521), 390-400.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["overlap_weights"] = "overlap_weights"
    link: Link = "logit"
    factors: Columns = ()

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, repr=False)
class EntropyBalancing:
    """Entropy balancing: the weights nearest to equal ones that make means equal.

    Parameters
    ----------
    estimand
        ``"ATT"``: comparison units get the means of the treated; ``"ATC"``: the reverse;
        ``"ATE"``: both groups get those of all.
    moments
        1: means; 2: also squares; 3: also cubes of numeric covariates.
    factors
        Columns whose shares are balanced as well, besides the covariates.
    tolerance
        The largest standardized mean difference left at which the weights have converged.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Hainmueller, J. (2012). Entropy balancing for causal effects: a multivariate reweighting
    method to produce balanced samples in observational studies. *Political Analysis*, 20(1),
    25-46.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CONFIG

    method: Literal["entropy_balancing"] = "entropy_balancing"
    estimand: AnyEstimand = "ATT"
    moments: Annotated[int, between(1, 3)] = 1
    factors: Columns = ()
    tolerance: Annotated[float, between(1e-12, 0.1)] = 1e-8

    def __repr__(self) -> str:
        return shown_options(self)

    def __post_init__(self) -> None:
        check_fields(self)
