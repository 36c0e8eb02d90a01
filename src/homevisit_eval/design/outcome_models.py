"""How an effect is estimated: one frozen value for each outcome model, its own options only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict

from homevisit_eval.design.checks import Distinct, check_fields

__all__ = ["Cluster", "Covariance", "DifferenceInMeans", "FixedEffects", "OutcomeModel"]

Covariance = Literal["CR1", "CR2"]
Cluster = Literal["school_id", "matched_set", "student_id"]


@dataclass(frozen=True, slots=True)
class FixedEffects:
    """Weighted least squares of the outcome on `visited` and the baseline covariates.

    Parameters
    ----------
    absorb
        Columns whose *interaction* is absorbed: one intercept for each cell.
    cluster
        The level at which errors may be dependent.
    covariance
        ``"CR2"``: Bell-McCaffrey, with Satterthwaite degrees of freedom. ``"CR1"``: the
        sandwich times G / (G - 1) * (N - 1) / (N - K), with G - 1 degrees of freedom.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["fixed_effects"] = "fixed_effects"
    absorb: Annotated[tuple[str, ...], Distinct] = ("school_year", "grade")
    cluster: Cluster = "school_id"
    covariance: Covariance = "CR2"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class DifferenceInMeans:
    """Difference of weighted means, without covariates.

    Parameters
    ----------
    cluster, covariance
        As for `FixedEffects`.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    model: Literal["difference_in_means"] = "difference_in_means"
    cluster: Cluster = "school_id"
    covariance: Covariance = "CR2"

    def __post_init__(self) -> None:
        check_fields(self)


OutcomeModel = FixedEffects | DifferenceInMeans
