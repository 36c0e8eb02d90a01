"""Conventions by name: which degrees of freedom, and what counts as a parameter (arrays)."""

from __future__ import annotations

from typing import Literal, get_args

from homevisit_eval.effects.regression.prepared_design import PreparedDesign
from homevisit_eval.errors import EstimationError

__all__ = [
    "CONVENTIONS",
    "DfType",
    "NestedEffects",
    "count_parameters",
    "counted_df",
    "df_type",
]

DfType = Literal["default", "satterthwaite", "G - 1", "G - K", "n - K", "normal"]
NestedEffects = Literal["counted", "not counted"]

CONVENTIONS: dict[str, str] = {
    "satterthwaite": "Satterthwaite (Bell-McCaffrey)",
    "G - 1": "G - 1",
    "G - K": "G - K",
    "n - K": "n - K",
    "normal": "normal",
}
DEFAULTS: dict[str, DfType] = {"CR2": "satterthwaite", "CR3": "satterthwaite"}


def df_type(df: DfType, covariance: str) -> DfType:
    """Return the convention that is meant, with the default of the covariance spelled out.

    Raises
    ------
    EstimationError
        If it is unknown.
    """
    known = get_args(DfType)
    if df not in known:
        raise EstimationError(f"least squares: df must be one of {', '.join(known)}; it is {df!r}.")
    if df != "default":
        return df
    return DEFAULTS.get(covariance, "G - 1" if covariance.startswith("CR") else "n - K")


def counted_df(df: DfType, n: int, K: int, G: int) -> float:
    """Return the degrees of freedom, NaN for Satterthwaite's, which differ by coefficient.

    Raises
    ------
    EstimationError
        If there are none.
    """
    values = {"G - 1": G - 1, "G - K": G - K, "n - K": n - K, "normal": float("inf")}
    value = float(values.get(df, float("nan")))
    if value <= 0:
        raise EstimationError(
            f"least squares: {df} leaves {value:.0f} degrees of freedom with n = {n}, K = {K}, "
            f"G = {G}; use 'satterthwaite' or 'G - 1', or fewer columns."
        )
    return value


def count_parameters(prepared: PreparedDesign, nested_effects: NestedEffects) -> int:
    """Return K: the rank of the design with its absorbed factors.

    Parameters
    ----------
    prepared
    nested_effects
        With ``"not counted"`` the levels of absorbed factors that nest in clusters count as
        one parameter together, the mean.

    Raises
    ------
    EstimationError
        If the convention is unknown.
    """
    known = get_args(NestedEffects)
    if nested_effects not in known:
        raise EstimationError(
            f"least squares: nested_effects must be one of {', '.join(known)}; it is "
            f"{nested_effects!r}."
        )
    if nested_effects == "counted" or prepared.nested_rank == 0:
        return prepared.K
    return prepared.K - prepared.nested_rank + 1
