"""P values of resampled statistics, and intervals by inverting the test (arrays)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.resampling.families_of_tests import TIE_ABSOLUTE, TIE_RELATIVE

__all__ = [
    "PValueType",
    "StatisticCurves",
    "outermost_kept",
    "studentized",
    "two_sided_p_value",
    "unbounded_note",
]

PValueType = Literal["symmetric", "equal_tailed"]
Floats = NDArray[np.float64]

ZERO_VARIANCE = 1e-13  # share of the parts from which a variance is found by subtraction
STEPS = np.concatenate([np.arange(1, 41) / 4.0, 10.0 * 2.0 ** np.arange(1, 18)])
HALVINGS = 50


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StatisticCurves:
    """Statistics of many draws as functions of the null value, arrays of shape (draws,).

    Attributes
    ----------
    n0, n1
        With the null value `estimate` + d, the numerator is n0 - d n1.
    d00, d01, d11
        Its squared standard error is d00 - 2 d d01 + d^2 d11.
    """

    n0: Floats
    n1: Floats
    d00: Floats
    d01: Floats
    d11: Floats

    def __repr__(self) -> str:
        """Show the number of draws."""
        return f"StatisticCurves({len(self.n0):,} draws)"

    def at(self, shift: float) -> Floats:
        """Return the statistics at one d, infinite where the standard error is 0."""
        positive = self.d00 + shift * shift * self.d11
        variance = positive - 2.0 * shift * self.d01
        return studentized(self.n0 - shift * self.n1, variance, ZERO_VARIANCE * positive)


def studentized(numerator: Floats, variance: Floats, rounding: Floats) -> Floats:
    """Return numerators over roots of variances; infinite where these are within rounding."""
    zero = variance <= rounding
    t = numerator / np.sqrt(np.where(zero, 1.0, variance))
    return np.where(zero, np.copysign(np.inf, numerator), t)


def two_sided_p_value(t: float, t_draws: Floats, p_value_type: PValueType, *, more: int) -> float:
    """Return the share of draws that are as extreme as t.

    Parameters
    ----------
    t, t_draws
        An infinite draw counts as extreme on either side.
    p_value_type
    more
        1 to count the sample itself among the draws, else 0.
    """
    slack = TIE_RELATIVE * abs(t) + TIE_ABSOLUTE
    total = len(t_draws) + more
    if p_value_type == "symmetric":
        return float(np.count_nonzero(np.abs(t_draws) >= abs(t) - slack) + more) / total
    endless = np.isinf(t_draws)
    above = int(np.count_nonzero((t_draws >= t - slack) | endless))
    below = int(np.count_nonzero((t_draws <= t + slack) | endless))
    return min(1.0, 2.0 * (min(above, below) + more) / total)


def outermost_kept(
    p_value_at: Callable[[float], float], *, scale: float, rejected_at: float
) -> float:
    """Return the outermost null value in one direction that is not rejected, or infinity.

    Parameters
    ----------
    p_value_at
        The p value of null values, by their distance from the estimate.
    scale
        The size of a step, such as the standard error; negative for the lower bound.
    rejected_at
        The p value at which a null value is rejected.

    Returns
    -------
    float
        As a distance from the estimate.
    """

    def kept(steps: float) -> bool:
        return p_value_at(steps * scale) > rejected_at + 1e-12

    last = next((i for i in range(len(STEPS) - 1, -1, -1) if kept(float(STEPS[i]))), -1)
    if last == len(STEPS) - 1:
        return float(np.copysign(np.inf, scale))
    inside, outside = (float(STEPS[last]) if last >= 0 else 0.0), float(STEPS[last + 1])
    for _ in range(HALVINGS):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return inside * scale


def unbounded_note(ci_low: float, ci_high: float) -> tuple[str, ...]:
    """Return a note if an interval is not bounded."""
    if np.isfinite([ci_low, ci_high]).all():
        return ()
    return (
        "The interval has no bound on at least one side: no null value there, however far, is "
        "rejected.",
    )
