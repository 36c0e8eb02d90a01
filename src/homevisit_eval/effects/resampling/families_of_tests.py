"""P values adjusted for the number of hypotheses tested (arrays)."""

from __future__ import annotations

from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError

__all__ = [
    "AdjustmentMethod",
    "DrawKind",
    "adjusted_p_values",
    "benjamini_hochberg",
    "romano_wolf",
]

AdjustmentMethod = Literal[
    "benjamini_hochberg", "benjamini_yekutieli", "holm", "hochberg", "bonferroni"
]
DrawKind = Literal["drawn", "enumerated"]
Floats = NDArray[np.float64]

TIE_RELATIVE = 1e-8  # two statistics that differ by less were the same before rounding
TIE_ABSOLUTE = 1e-10


def adjusted_p_values(
    p_values: ArrayLike, *, method: AdjustmentMethod = "benjamini_hochberg"
) -> Floats:
    """Return p values of one family adjusted for the number of hypotheses in it.

    Parameters
    ----------
    p_values : array of shape (m,)
        Between 0 and 1. A missing one (NaN) stays missing and is not counted in m.
    method
        ``"benjamini_hochberg"``: false discovery rate, for independent or positively dependent
        tests. ``"benjamini_yekutieli"``: false discovery rate under any dependence.
        ``"bonferroni"`` and ``"holm"``: familywise error rate under any dependence; Holm rejects
        all that Bonferroni rejects, and more. ``"hochberg"``: familywise error rate for
        independent or positively dependent tests.

    Returns
    -------
    array of shape (m,)
        Reject where it is at most the rate wanted.

    Raises
    ------
    EstimationError
        If a value lies outside 0..1, the array has not one dimension, or the method is unknown.

    Notes
    -----
    With the k-th smallest of m values, before capping at 1:

    ==================== ================================================================
    bonferroni           m p
    holm                 the largest of (m - j + 1) p_(j) over j <= k
    hochberg             the smallest of (m - j + 1) p_(j) over j >= k
    benjamini_hochberg   the smallest of (m / j) p_(j) over j >= k
    benjamini_yekutieli  that of Benjamini and Hochberg times 1 + 1/2 + ... + 1/m
    ==================== ================================================================

    References
    ----------
    Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate: A practical and
    powerful approach to multiple testing. *Journal of the Royal Statistical Society B*, 57(1),
    289-300.
    Benjamini, Y., & Yekutieli, D. (2001). The control of the false discovery rate in multiple
    testing under dependency. *Annals of Statistics*, 29(4), 1165-1188.
    Hochberg, Y. (1988). A sharper Bonferroni procedure for multiple tests of significance.
    *Biometrika*, 75(4), 800-802.
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. *Scandinavian
    Journal of Statistics*, 6(2), 65-70.

    Examples
    --------
    >>> adjusted_p_values([0.01, 0.04, 0.03], method="holm").round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    if method not in get_args(AdjustmentMethod):
        raise EstimationError(
            f"adjusted_p_values: method {method!r} is unknown; give one of "
            f"{', '.join(get_args(AdjustmentMethod))}."
        )
    p = _checked(p_values)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted[order] = np.minimum(_adjusted_in_order(p[order], method), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p values adjusted for the false discovery rate.

    Parameters
    ----------
    p_values : array of shape (m,)
        Between 0 and 1. A missing one (NaN) stays missing and is not counted in m.

    Returns
    -------
    array of shape (m,)

    Raises
    ------
    EstimationError
        If a value lies outside 0..1, or the array has not one dimension.

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
    return adjusted_p_values(p_values, method="benjamini_hochberg")


def romano_wolf(statistics: ArrayLike, draws: ArrayLike, *, kind: DrawKind = "drawn") -> Floats:
    """Return familywise adjusted p values of several outcomes by the Romano-Wolf stepdown.

    Parameters
    ----------
    statistics : array of shape (m,)
        Studentized statistics of the m hypotheses; their signs do not matter. A missing one
        (NaN) stays missing and belongs to no family.
    draws : array of shape (B, m)
        The same statistics in B draws in which every null hypothesis holds, all from the same
        resample within a line. A NaN counts as the most extreme value.
    kind
        ``"drawn"``: at random, so the sample itself counts as one draw more. ``"enumerated"``:
        all that are possible, the sample itself among them.

    Returns
    -------
    array of shape (m,)

    Raises
    ------
    EstimationError
        If shapes do not fit, there are no draws, or the kind is unknown.

    Notes
    -----
    With :math:`|t_1| \\ge |t_2| \\ge \\dots`, the initial value of the j-th is the share of draws
    with :math:`\\max_{k \\ge j} |t^*_k| \\ge |t_j|`, counted as (count + 1) / (B + 1) when drawn;
    each then takes the largest of its own and the values before it, so that the order of the
    statistics is kept. Ties are counted with a relative tolerance of 1e-8.

    References
    ----------
    Romano, J. P., & Wolf, M. (2005). Exact and approximate stepdown methods for multiple
    hypothesis testing. *Journal of the American Statistical Association*, 100(469), 94-108.
    Romano, J. P., & Wolf, M. (2016). Efficient computation of adjusted p-values for
    resampling-based stepdown multiple testing. *Statistics & Probability Letters*, 113, 38-40.

    Examples
    --------
    >>> romano_wolf([3.0, 1.0], [[0.5, 2.0], [1.0, 0.2], [0.1, 0.3]]).tolist()
    [0.25, 0.5]
    """
    t, star = np.abs(np.asarray(statistics, dtype=np.float64)), np.asarray(draws, dtype=np.float64)
    if t.ndim != 1 or star.ndim != 2 or star.shape[1] != len(t) or not len(star):
        raise EstimationError(
            f"romano_wolf: statistics has shape {t.shape} and draws {star.shape}; give (m,) and "
            "(B, m) with at least one draw."
        )
    if kind not in get_args(DrawKind):
        raise EstimationError(f"romano_wolf: kind {kind!r} is unknown; give drawn or enumerated.")
    adjusted = np.full(t.shape, np.nan)
    known = np.flatnonzero(~np.isnan(t))
    order = known[np.argsort(-t[known], kind="stable")]
    more = 1 if kind == "drawn" else 0
    largest = np.zeros(len(star))
    initial = np.empty(len(order))
    for position in range(len(order) - 1, -1, -1):
        column = np.abs(star[:, order[position]])
        largest = np.maximum(largest, np.where(np.isnan(column), np.inf, column))
        bound = t[order[position]] * (1.0 - TIE_RELATIVE) - TIE_ABSOLUTE
        initial[position] = (np.count_nonzero(largest >= bound) + more) / (len(star) + more)
    adjusted[order] = np.maximum.accumulate(initial)
    return adjusted


def _checked(p_values: ArrayLike) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise EstimationError(
            f"adjusted_p_values: p values have shape {p.shape}; give one family, of shape (m,)."
        )
    outside = int(((p < 0) | (p > 1)).sum())
    if outside:
        raise EstimationError(
            f"adjusted_p_values: {outside} of {len(p)} p values lie outside 0..1; give p values, "
            "NaN where there is none."
        )
    return p


def _adjusted_in_order(p: Floats, method: AdjustmentMethod) -> Floats:
    """Return adjusted values, not yet capped at 1, of ascending p values."""
    m = len(p)
    rank = np.arange(1.0, m + 1.0)
    match method:
        case "bonferroni":
            return m * p
        case "holm":
            return np.maximum.accumulate((m - rank + 1.0) * p)
        case "hochberg":
            return _smallest_from_here((m - rank + 1.0) * p)
        case "benjamini_hochberg":
            return _smallest_from_here(m * p / rank)
        case "benjamini_yekutieli":
            return _smallest_from_here(float(np.sum(1.0 / rank)) * (m * p / rank))
    assert_never(method)


def _smallest_from_here(values: Floats) -> Floats:
    return np.asarray(np.minimum.accumulate(values[::-1])[::-1], dtype=np.float64)
