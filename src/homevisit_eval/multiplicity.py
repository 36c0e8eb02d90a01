"""Effects -> effects with p values adjusted for the number of outcomes tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects import Effect

__all__ = ["adjust_p_values", "benjamini_hochberg"]


def adjust_p_values(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects with Benjamini-Hochberg adjusted p values.

    A family is all effects of one role (primary, secondary, exploratory) in one outcome domain,
    over all questions given. Sensitivity rows belong to no family and keep NaN; so does an
    effect without a p value, which is not counted in its family.

    Parameters
    ----------
    effects
        In any order; the given values are not changed.

    Returns
    -------
    list of Effect
        In the same order.

    Notes
    -----
    Adjusting twice gives the same as once: the adjusted values are always found from
    `p_value`. They depend on which effects are given together, so give all of a study at once.

    References
    ----------
    Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate: A practical and
    powerful approach to multiple testing. *Journal of the Royal Statistical Society B*, 57(1),
    289-300.
    """
    adjusted = np.full(len(effects), np.nan)
    families: dict[tuple[str, str], list[int]] = {}
    for position, effect in enumerate(effects):
        if not effect.sensitivity:
            families.setdefault((effect.role, effect.outcome.domain), []).append(position)
    for members in families.values():
        adjusted[members] = benjamini_hochberg([effects[member].p_value for member in members])
    return [
        replace(effect, p_value_adjusted=float(value))
        for effect, value in zip(effects, adjusted, strict=True)
    ]


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p values adjusted for the false discovery rate.

    Parameters
    ----------
    p_values : array of shape (m,)
        Between 0 and 1. A missing one (NaN) stays missing and is not counted in m.

    Returns
    -------
    array of shape (m,)

    Notes
    -----
    The k-th smallest is multiplied by m / k; then each takes the smallest of its own and all
    larger ones, at most 1. Rejecting where the result is at most alpha is the rule
    :math:`p_{(k)} \\le \\alpha k / m`.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    from scipy.stats import false_discovery_control

    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = false_discovery_control(p[known], method="bh")
    return adjusted
