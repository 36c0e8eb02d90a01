"""Trials of two runs, compared value by value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

from homevisit_eval.certificate import Trial

__all__ = ["same_trials"]


def same_trials(first: Sequence[Trial], second: Sequence[Trial]) -> bool:
    """Return whether all values are exactly equal, NaN equal to NaN."""
    return [_values(one) for one in first] == [_values(one) for one in second]


def _values(trial: Trial) -> tuple[object, ...]:
    values = [getattr(trial, field.name) for field in fields(trial)]
    return tuple("nan" if isinstance(v, float) and math.isnan(v) else v for v in values)
