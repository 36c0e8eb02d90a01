"""Expressions that several rules of measurement share."""

from __future__ import annotations

import narwhals as nw

__all__ = ["RESOLUTION", "exact_sum", "is_last", "years_between", "zero_one"]

RESOLUTION = 10**9
"""Fractions of a day, and rates, are added in billionths."""


def zero_one(condition: nw.Expr) -> nw.Expr:
    """Return a condition as the integer 1 or 0, missing where the condition is missing."""
    return condition.cast(nw.Int64)


def exact_sum(value: nw.Expr) -> nw.Expr:
    """Return the sum of `value` after rounding each to a billionth: the same in any row order.

    A sum of floating point numbers depends on the order of its terms, which an engine with
    several threads does not promise; and .1 + .2 is not .3. Sums of integers have neither fault.
    """
    return (value * RESOLUTION).round(0).cast(nw.Int64).sum().cast(nw.Int64) / RESOLUTION


def is_last(within: tuple[str, ...], order: tuple[str, ...]) -> nw.Expr:
    """Return whether a row is the last of its group in the given order.

    Exactly one row of each group is the last, also where rows are equal.
    """
    return nw.col(order[0]).cum_count(reverse=True).over(*within, order_by=order) == 1


def years_between(earlier: nw.Expr, later: nw.Expr) -> nw.Expr:
    """Return the time between two dates in years of 365.25 days."""
    minutes = (later.cast(nw.Datetime) - earlier.cast(nw.Datetime)).dt.total_minutes()
    return minutes / (365.25 * 24 * 60)
