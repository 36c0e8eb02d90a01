"""How a comparison group is chosen: one frozen value for each method, with its own options only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, PlainValidator

from homevisit_eval.design.checks import Distinct, check_fields
from homevisit_eval.design.wording import shown
from homevisit_eval.errors import DesignError

__all__ = ["Caliper", "MatchingMethod", "NearestNeighbor", "NoMatching", "Ties"]

Caliper = float | Literal["none"]
Ties = Literal["row", "matchit"]

WIDEST = 1e6  # standard deviations; a caliper beyond it means none


def _is_caliper(value: object) -> Caliper:
    if value == "none":
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= WIDEST:
        return float(value)
    raise DesignError(f'must be a number above 0, or "none" for no caliper; it is {shown(value)}.')


@dataclass(frozen=True, slots=True)
class NearestNeighbor:
    """Nearest neighbor 1:1 matching on the propensity score, without replacement.

    Treated units choose in order of descending score, each the nearest comparison unit that is
    still free, within its exact stratum and within the caliper.

    Parameters
    ----------
    distance
        ``"linear_propensity_score"`` (the logit of the score) or ``"propensity_score"``.
    caliper
        The widest distance allowed, in standard deviations (n - 1, all units that enter) of
        the distance; inclusive. ``"none"`` sets no limit.
    exact
        Columns whose values a treated unit and its match must share; none by default.
    ties
        ``"row"``: scores are rounded to 12 decimals and equal ones are ordered by a key made
        from the identifying columns, so the result does not depend on the order of rows.
        ``"matchit"``: the order rules of R MatchIt 4.7.2, which depend on the order of rows.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    method: Literal["nearest_neighbor"] = "nearest_neighbor"
    distance: Literal["linear_propensity_score", "propensity_score"] = "linear_propensity_score"
    caliper: Annotated[Caliper, PlainValidator(_is_caliper)] = 0.2
    exact: Annotated[tuple[str, ...], Distinct] = ()
    ties: Ties = "row"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class NoMatching:
    """Every candidate is kept with weight 1: regression alone adjusts."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    method: Literal["no_matching"] = "no_matching"

    def __post_init__(self) -> None:
        check_fields(self)


MatchingMethod = NearestNeighbor | NoMatching
