"""Which values a parameter of a synthetic district may have, for use in annotations."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator

from homevisit_eval.design.checks import between
from homevisit_eval.errors import DesignError

__all__ = ["NotNegative", "Positive", "Share", "at_least", "values"]


def at_least(low: float, *, above: bool = False) -> AfterValidator:
    """Return the rule that a value is `low` or more, or with `above` more than `low`."""

    def rule(value: float) -> float:
        if not math.isfinite(value):
            raise DesignError(f"must be a finite number; it is {value}.")
        if not (value > low if above else value >= low):
            words = f"above {low:g}" if above else f"at least {low:g}"
            raise DesignError(f"must be {words}; it is {value:g}.")
        return value

    return AfterValidator(rule)


def values(count: int) -> AfterValidator:
    """Return the rule that a list holds `count` values."""

    def rule(given: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(given) != count:
            raise DesignError(f"must hold {count} values; it holds {len(given)}.")
        return given

    return AfterValidator(rule)


Share = Annotated[float, between(0, 1)]
"""A share or a probability."""

NotNegative = Annotated[float, at_least(0)]
"""An SD, a weight or a mean."""

Positive = Annotated[float, at_least(0, above=True)]
"""A shape or a ratio."""
