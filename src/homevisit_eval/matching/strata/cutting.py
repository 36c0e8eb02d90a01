"""The range of a number cut into bins, or that of a score into subclasses (arrays)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError

__all__ = ["coarsen", "subclasses"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Estimand = Literal["ATT", "ATC", "ATE"]
Rule = Literal["sturges", "scott", "freedman_diaconis"]

MOST_BINS = 1_000_000  # a rule that asks for more meets far outliers, and bins single values
BLOCK_ROWS = 16_384  # rows handled at once: the temporary arrays stay in the cache
SIGNIFICANT_DIGITS = 5  # of values in the Freedman-Diaconis rule, as in R's nclass.FD


def coarsen(
    values: ArrayLike,
    *,
    rule: Rule = "sturges",
    bins: int = 0,
    cut_points: Sequence[float] = (),
) -> Integers:
    """Return the bin of each value, numbered from 0 upward.

    Parameters
    ----------
    values : array of shape (n,)
        Finite numbers.
    rule
        How many bins of equal width there are between the smallest and the largest value:
        ``"sturges"``, ``"scott"`` or ``"freedman_diaconis"``.
    bins
        The number of bins, instead of a rule; 0 leaves it to the rule.
    cut_points
        Ascending; bins between given points, instead of a rule or a number. The first and the
        last bin have no outer bound.

    Returns
    -------
    array of int, shape (n,)
        A value on a cut point belongs to the upper bin; the largest value belongs to the last
        bin. Values that are all equal are in bin 0.

    Raises
    ------
    MatchingError
        If a value is not finite, an option is not possible, or the rule asks for more than a
        million bins.

    Notes
    -----
    With n values, standard deviation s and interquartile range q the rules are those of R's
    ``nclass.Sturges``, ``nclass.scott`` and ``nclass.FD``: ceiling(log2(n) + 1) bins; bins of
    width 3.5 s n^(-1/3); bins of width 2 q n^(-1/3), values rounded to 5 significant digits,
    where a range of more extreme quantiles, up to 1/512 and 511/512, takes the place of q if q
    is 0, and Scott's width if that is 0 too.

    References
    ----------
    Iacus, S. M., King, G., & Porro, G. (2012). Causal inference without balance checking:
    coarsened exact matching. *Political Analysis*, 20(1), 1-24.
    Sturges, H. A. (1926). The choice of a class interval. *Journal of the American Statistical
    Association*, 21(153), 65-66.
    Scott, D. W. (1979). On optimal and data-based histograms. *Biometrika*, 66(3), 605-610.
    Freedman, D., & Diaconis, P. (1981). On the histogram as a density estimator: L2 theory.
    *Zeitschrift für Wahrscheinlichkeitstheorie und verwandte Gebiete*, 57, 453-476.

    Examples
    --------
    >>> coarsen([0.0, 1.0, 2.0, 3.0, 6.0], bins=3).tolist()
    [0, 0, 1, 1, 2]
    """
    x = np.ascontiguousarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise MatchingError(f"coarsen needs values of shape (n,); the shape is {x.shape}.")
    if not len(x):
        return np.zeros(0, dtype=np.int64)
    low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # a missing number is its own minimum
        raise MatchingError(
            f"coarsen needs finite numbers; {int((~np.isfinite(x)).sum()):,} of {len(x):,} are "
            "missing or infinite. Leave out or fill these rows first."
        )
    if bins < 0 or (bins and len(cut_points)):
        raise MatchingError("coarsen takes either bins, 1 or more, or cut_points.")
    if len(cut_points):
        points = np.asarray(cut_points, dtype=np.float64)
        if not (np.isfinite(points).all() and (np.diff(points) > 0).all()):
            raise MatchingError("coarsen needs cut_points that are finite and ascend.")
        return np.searchsorted(points, x, side="right").astype(np.int64)
    if low == high:
        return np.zeros(len(x), dtype=np.int64)
    return _equal_bins(x, low, high, bins or _number_of_bins(x, high - low, rule))


def _equal_bins(x: FloatArray, low: float, high: float, bins: int) -> Integers:
    """Return the last j with low + j * step <= x: as a search among cut points, but faster."""
    step = (high - low) / bins
    if not (np.isfinite(step) and low + step > low and high - step < high and bins <= MOST_BINS):
        raise MatchingError(
            f"coarsen: at most {MOST_BINS:,} bins of equal width can be made, of numbers that are "
            f"not too large or too close for them; {bins:,} are asked for. Give cut_points or "
            "fewer bins, or cut off the outliers."
        )
    code = np.empty(len(x), dtype=np.int64)
    inverse = 1.0 / step
    for start in range(0, len(x), BLOCK_ROWS):
        part = x[start : start + BLOCK_ROWS]
        j = part - low
        j *= inverse
        np.floor(j, out=j)
        cut = j * step
        cut += low
        j -= part < cut  # rounding may have put a value one bin off
        np.add(j, 1.0, out=cut)
        cut *= step
        cut += low
        j += part >= cut
        np.minimum(j, bins - 1, out=j)
        code[start : start + BLOCK_ROWS] = j
    return code


def _number_of_bins(x: FloatArray, spread: float, rule: str) -> int:
    """Return the number of bins that a rule makes of values that are not all equal."""
    if rule == "sturges":
        return math.ceil(math.log2(len(x)) + 1)
    if rule not in ("scott", "freedman_diaconis"):
        raise MatchingError(
            f"coarsen: unknown rule {rule!r}; it must be sturges, scott or freedman_diaconis."
        )
    width = 0.0 if rule == "scott" else _quantile_range(x)
    width = width if width > 0 else 3.5 * float(np.std(x, ddof=1))
    number: float = spread / width * len(x) ** (1 / 3) if width > 0 else math.inf
    if not number <= MOST_BINS:
        raise MatchingError(
            f"coarsen: the rule {rule} asks for more than {MOST_BINS:,} bins, because some values "
            "lie very far from the others. Give bins or cut_points, or cut off the outliers."
        )
    return max(1, math.ceil(number))


def _quantile_range(x: FloatArray) -> float:
    """Return twice the interquartile range, or what stands for it where that is 0."""
    magnitude = np.floor(np.log10(np.abs(x), where=x != 0, out=np.zeros(len(x))))
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - magnitude)
    usable = np.isfinite(scale) & (scale > 0)
    rounded = np.where(usable, np.rint(x * scale) / scale, x)
    ordered = np.sort(rounded)
    for parts in (4, 8, 16, 32, 64, 128, 256, 512):
        between = _quantile(ordered, parts - 1, parts) - _quantile(ordered, 1, parts)
        if between > 0:
            return between / (1 - 2 / parts)
    return 0.0


def _quantile(ordered: FloatArray, numerator: int, denominator: int) -> float:
    """Return a quantile of sorted values by linear interpolation (R's type 7)."""
    below, rest = divmod((len(ordered) - 1) * numerator, denominator)
    low = float(ordered[below])
    if not rest or ordered[below + 1] == low:
        return low
    share = rest / denominator
    return (1 - share) * low + share * float(ordered[below + 1])


def subclasses(
    score: ArrayLike,
    treated: ArrayLike,
    *,
    number: int,
    estimand: Estimand,
    min_units: int,
) -> Integers:
    """Divide rows at quantiles of the score; return each row's subclass, from 0 upward.

    Parameters
    ----------
    score : array of shape (n,)
        The propensity score, or its linear form; finite.
    treated : array of shape (n,)
        0 or 1; both occur.
    number
        Subclasses, 2 or more.
    estimand
        Whose quantiles: ``"ATT"``: of the treated; ``"ATC"``: of comparison units; ``"ATE"``:
        of all.
    min_units
        Units of each group that each subclass has at least. With 0 none are moved, and rows of
        a subclass that lacks one group get -1.

    Returns
    -------
    array of int, shape (n,)

    Raises
    ------
    MatchingError
        If a group has fewer than `number` times `min_units` units, or the input is unusable.

    Notes
    -----
    Quantiles are those of R's type 7; a score equal to one belongs to the upper subclass. Units
    move within their group only, and a group's order by score is kept (of equal scores the
    order of rows). Subclasses that are short of a group are filled one after the other, the
    lowest first. Each is filled from the nearest subclass, counted in subclasses, that has
    units to spare; subclasses between pass units on. Of two equally near ones gives the one on
    whose side the next unit lies closer to the short subclass's bound, then the lower one.

    References
    ----------
    Rosenbaum, P. R., & Rubin, D. B. (1984). Reducing bias in observational studies using
    subclassification on the propensity score. *Journal of the American Statistical
    Association*, 79(387), 516-524.
    """
    group, values = np.asarray(treated), np.ascontiguousarray(score, dtype=np.float64)
    if group.ndim != 1 or values.shape != group.shape or not np.isfinite(values).all():
        raise MatchingError("subclasses needs finite scores, one for each row of treated.")
    focal, comparison = group == 1, group == 0
    members = {"ATT": focal, "ATC": comparison, "ATE": focal | comparison}
    if estimand not in members or not members["ATE"].all():
        raise MatchingError(
            "subclasses needs treated to be 0 or 1, and an estimand of ATT, ATC or ATE; it is "
            f"{estimand!r}."
        )
    smallest = min(int(focal.sum()), int(comparison.sum()))
    if number < 2 or min_units < 0 or smallest < max(1, number * min_units):
        raise MatchingError(
            f"{number} subclasses with at least {min_units} unit(s) of each group cannot be made: "
            f"the smaller group has {smallest:,} units. Ask for 2 or more subclasses that it can "
            "fill."
        )
    ordered = np.sort(values[members[estimand]])
    cuts = np.array([_quantile(ordered, j, number) for j in range(1, number)])
    code = np.searchsorted(cuts, values, side="right").astype(np.int64)
    lonely = np.zeros(number, dtype=bool)
    for rows in (np.flatnonzero(focal), np.flatnonzero(comparison)):
        if min_units:
            code[rows] = _filled(values[rows], code[rows], cuts, min_units)
        lonely |= np.bincount(code[rows], minlength=number) == 0
    return np.where(lonely[code], -1, code)


def _filled(score: FloatArray, code: Integers, cuts: FloatArray, least: int) -> Integers:
    """Move units of one group between subclasses until each has enough (see `subclasses`)."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    counts = np.bincount(code, minlength=len(cuts) + 1)
    while (counts < least).any():
        short = int(np.argmax(counts < least))
        spare = np.flatnonzero(counts > least)
        steps = np.abs(spare - short)
        nearest = spare[steps == steps.min()]
        giver, moved = int(nearest[0]), 1
        if len(nearest) == 2:
            start = int(counts[:short].sum())
            below = cuts[short - 1] - ordered[start - 1]
            above = ordered[start + counts[short]] - cuts[short]
            giver = int(nearest[1]) if above < below else giver
        else:
            moved = int(min(counts[giver] - least, least - counts[short]))
        counts[giver] -= moved
        counts[short] += moved
    filled = np.empty(len(code), dtype=np.int64)
    filled[order] = np.repeat(np.arange(len(counts)), counts)
    return filled
