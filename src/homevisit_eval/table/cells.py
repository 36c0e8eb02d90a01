"""How one value of a table is printed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

__all__ = [
    "NOT_AVAILABLE",
    "PERCENT",
    "PERCENT_OF_STUDENTS",
    "Kind",
    "format_value",
    "full_precision",
    "missing",
]

Kind = Literal[
    "text", "count", "share", "rate", "mean", "spread", "effect", "effect_size", "p_value",
    "number", "whole_number",
]  # fmt: skip

NOT_AVAILABLE = "–"
PERCENT = "percent"
PERCENT_OF_STUDENTS = "percent of students"
PERCENTS = (PERCENT, PERCENT_OF_STUDENTS)
MINUS = "\N{MINUS SIGN}"
DIGITS: Mapping[Kind, int] = {
    "share": 2, "rate": 2, "mean": 2, "spread": 2, "effect": 2, "effect_size": 2, "number": 2,
    "p_value": 3,
}  # fmt: skip
SMALLEST_P_SHOWN = 0.001


def format_value(value: object, kind: Kind, unit: str = "", digits: int | None = None) -> str:
    """Return one value as it is printed: for example "9.27%", "−2.95 pp", "1,234", "<.001".

    Parameters
    ----------
    value
        A number (fractions, not percents), text, or missing.
    kind
        Of the column.
    unit
        Of the row: see `Table`.
    digits
        Decimals, if they differ from those of the kind.

    Examples
    --------
    >>> format_value(0.0927, "share"), format_value(0.0935, "mean", "percent")
    ('9.27%', '9.35%')
    >>> format_value(0.0295, "effect", "percent"), format_value(0.0004, "p_value")
    ('+2.95 pp', '<.001')
    """
    if missing(value):
        return NOT_AVAILABLE
    if kind == "text" or not isinstance(value, numbers.Real):
        return str(value)
    number = float(value)
    if math.isinf(number):
        return "∞" if number > 0 else f"{MINUS}∞"
    if kind in ("count", "whole_number"):
        return f"{round(number):,}".replace("-", MINUS)
    places = DIGITS[kind] if digits is None else digits
    if kind == "p_value":
        return _p_value(number, places)
    percent = kind in ("share", "rate") or (
        unit in PERCENTS and kind in ("mean", "effect", "spread")
    )
    text = f"{number * 100 if percent else number:,.{places}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("-")
    elif kind in ("effect", "effect_size") and number > 0:
        text = f"+{text}"
    suffix = ("%" if kind in ("share", "rate", "mean") else " pp") if percent else ""
    return text.replace("-", MINUS) + suffix


def _p_value(p: float, places: int) -> str:
    if p < SMALLEST_P_SHOWN:
        return f"<{SMALLEST_P_SHOWN:.3f}".replace("0.", ".")
    text = f"{p:.{places}f}"
    return text if text.startswith("1") else text.lstrip("0")


def missing(value: object) -> bool:
    """Say whether a value is None, NA or NaN."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def full_precision(value: object) -> str:
    """Return a number as text that reads back as the same number."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, numbers.Integral):
        return str(int(value))
    return repr(float(value)) if isinstance(value, numbers.Real) else str(value)
