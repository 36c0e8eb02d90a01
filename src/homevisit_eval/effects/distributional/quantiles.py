"""Quantiles of weighted samples, and their difference between two groups (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError

__all__ = ["QuantileDifferences", "quantile_differences", "weighted_quantiles"]

Floats = NDArray[np.float64]

FEWEST_DRAWS = 99
ROUNDING = 1e-12
"""Of the total weight: sums of weights that reach a share up to it have reached it."""
BOOTSTRAP_KEY = 41
MOST_LOST = 0.05


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QuantileDifferences:
    """Quantiles of two weighted groups and their differences, in units of y.

    Attributes
    ----------
    quantiles : array of shape (q,)
        Between 0 and 1.
    treated, comparison, estimates : arrays of shape (q,)
        Quantiles of the groups, and those of the treated less those of the others.
    std_errors : array of shape (q,)
        Standard deviations over the draws.
    intervals : array of shape (q, 2)
        Percentiles of the draws.
    share_at_value : array of shape (q,)
        The larger of the two groups' shares of weight that have exactly the value of the quantile.
    draws_used, draws, seed
        Draws in which both groups had a cluster, of how many.
    G
        Clusters.
    notes : tuple of sentences
    """

    quantiles: Floats
    treated: Floats
    comparison: Floats
    estimates: Floats
    std_errors: Floats
    intervals: Floats
    share_at_value: Floats
    draws_used: int
    draws: int
    seed: int
    G: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the quantiles and the recipe."""
        return (
            f"QuantileDifferences({len(self.quantiles)} quantiles; cluster bootstrap, "
            f"{self.draws_used:,} draws, G = {self.G})"
        )


def weighted_quantiles(
    values: ArrayLike, quantiles: ArrayLike, weights: ArrayLike | None = None
) -> Floats:
    """Return quantiles of a weighted sample, shape (q,), in units of the values.

    Parameters
    ----------
    values : array of shape (n,)
    quantiles : array of shape (q,)
        Between 0 and 1.
    weights : array of shape (n,), optional
        At least 0, not all 0; equal if not given.

    Raises
    ------
    EstimationError
        If shapes do not fit, numbers are missing, or a weight or quantile is out of range.

    Notes
    -----
    The smallest value at which the weighted distribution function reaches q,

    .. math:: \\inf \\{ y : \\sum_i w_i 1(y_i \\le y) \\ge q \\sum_i w_i \\},

    which minimizes Firpo's weighted check function. Always a value of the sample; without weights
    `numpy.quantile` with method ``"inverted_cdf"`` (type 1 of Hyndman & Fan).

    References
    ----------
    Firpo, S. (2007). Efficient semiparametric estimation of quantile treatment effects.
    *Econometrica*, 75(1), 259-276.
    Hyndman, R. J., & Fan, Y. (1996). Sample quantiles in statistical packages. *American
    Statistician*, 50(4), 361-365.

    Examples
    --------
    >>> weighted_quantiles([3.0, 1.0, 2.0], [0.5, 0.9], weights=[1, 3, 1]).tolist()
    [1.0, 3.0]
    """
    y = np.asarray(values, dtype=np.float64)
    w = np.ones(y.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    asked = _checked_quantiles(quantiles)
    _check_rows(y, w)
    order = np.argsort(y, kind="stable")
    return _of_sorted(y[order], w[order], asked)


def quantile_differences(
    y: ArrayLike,
    treated: ArrayLike,
    *,
    clusters: ArrayLike,
    seed: int,
    quantiles: Sequence[float] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9),
    weights: ArrayLike | None = None,
    draws: int = 999,
    confidence_level: float = 0.95,
) -> QuantileDifferences:
    """Return the difference between two groups' quantiles of y, with a cluster bootstrap.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        1 or true for treated rows.
    clusters : array of shape (n,)
        Codes of the groups that are redrawn whole.
    seed
        Of the draws.
    quantiles : sequence of q numbers
        Between 0 and 1.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. They stay as they are in the draws.
    draws
        99 or more.
    confidence_level
        Of the intervals, for each quantile alone.

    Raises
    ------
    EstimationError
        If a group has rows in fewer than two clusters, more than 5 % of draws are without one of
        the groups, or an argument is out of range.

    Notes
    -----
    See `weighted_quantiles` for the definition. In a draw G clusters are taken with replacement
    and each row's weight is multiplied by the number of times its cluster was taken. Intervals are
    percentiles of the draws (Efron & Tibshirani, chapter 13): they lie in the range of
    differences that can occur and keep to it under any monotone change of scale. A draw
    without one of the groups is left out and counted.

    References
    ----------
    Cameron, A. C., & Miller, D. L. (2015). A practitioner's guide to cluster-robust inference.
    *Journal of Human Resources*, 50(2), 317-372.
    Efron, B., & Tibshirani, R. J. (1993). *An Introduction to the Bootstrap*. Chapman & Hall.
    Firpo, S. (2007). Efficient semiparametric estimation of quantile treatment effects.
    *Econometrica*, 75(1), 259-276.
    """
    values = np.asarray(y, dtype=np.float64)
    w = np.ones(values.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    asked = _checked_quantiles(quantiles)
    _check_rows(values, w)
    _check_draws(draws, seed, confidence_level)
    group = np.asarray(treated) == 1
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    if group.shape != values.shape or codes.shape != values.shape:
        raise EstimationError(
            f"quantiles: treated has shape {group.shape} and clusters {codes.shape} for "
            f"{len(values)} values; give one of each for every value."
        )
    kept = np.flatnonzero(w > 0)
    kept = kept[np.argsort(values[kept], kind="stable")]
    codes = np.unique(codes[kept], return_inverse=True)[1].ravel()
    G = int(codes.max()) + 1
    sides = [_Side(values[kept][own], w[kept][own], codes[own])
             for own in (group[kept], ~group[kept])]  # fmt: skip
    for side, words in zip(sides, ("treated", "comparison"), strict=True):
        _check_clusters(side, words)
    found = [_of_sorted(side.y, side.w, asked) for side in sides]
    drawn = _draw(sides, asked, G, draws=draws, seed=seed)
    tail = 100 * (1 - confidence_level) / 2
    shares = [_share_at(side, one) for side, one in zip(sides, found, strict=True)]
    notes = [] if len(drawn) == draws else [
        f"{draws - len(drawn):,} of {draws:,} draws were without one of the groups and are "
        "left out."
    ]  # fmt: skip
    return QuantileDifferences(
        quantiles=asked,
        treated=found[0],
        comparison=found[1],
        estimates=found[0] - found[1],
        std_errors=drawn.std(axis=0, ddof=1),
        intervals=np.percentile(drawn, [tail, 100 - tail], axis=0).T,
        share_at_value=np.maximum(*shares),
        draws_used=len(drawn),
        draws=draws,
        seed=seed,
        G=G,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Side:
    """One group's values in ascending order, with weights above 0 and cluster codes, (n,) each."""

    y: Floats
    w: Floats
    codes: NDArray[np.intp]


def _of_sorted(y: Floats, w: Floats, quantiles: Floats) -> Floats:
    reached = np.cumsum(w)
    at = np.searchsorted(reached, (quantiles - ROUNDING) * reached[-1], side="left")
    return np.asarray(y[at])  # never a row of weight 0: it does not reach more than the one before


def _draw(sides: Sequence[_Side], quantiles: Floats, G: int, *, draws: int, seed: int) -> Floats:
    """Return the differences of the quantiles in each usable draw, (draws used, q)."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, BOOTSTRAP_KEY])))
    present = [np.bincount(side.codes, minlength=G) > 0 for side in sides]
    rows = []
    for _ in range(draws):
        times = np.bincount(rng.integers(0, G, G), minlength=G)
        if not all((times[here] > 0).any() for here in present):
            continue
        one, other = (_of_sorted(side.y, side.w * times[side.codes], quantiles) for side in sides)
        rows.append(one - other)
    if len(rows) < (1 - MOST_LOST) * draws:
        raise EstimationError(
            f"quantiles: {draws - len(rows):,} of {draws:,} draws are without one of the groups, "
            "because it is in very few clusters. Choose a finer cluster level."
        )
    return np.array(rows)


def _share_at(side: _Side, found: Floats) -> Floats:
    low = np.searchsorted(side.y, found, side="left")
    high = np.searchsorted(side.y, found, side="right")
    reached = np.concatenate([[0.0], np.cumsum(side.w)])
    return np.asarray((reached[high] - reached[low]) / reached[-1])


def _checked_quantiles(quantiles: ArrayLike) -> Floats:
    asked = np.asarray(quantiles, dtype=np.float64)
    if asked.ndim != 1 or not len(asked) or not ((asked > 0) & (asked < 1)).all():
        raise EstimationError("quantiles: give one or more numbers between 0 and 1.")
    return asked


def _check_rows(y: Floats, w: Floats) -> None:
    if y.ndim != 1 or w.shape != y.shape or not len(y):
        raise EstimationError(
            f"quantiles: values have shape {y.shape} and weights {w.shape}; give (n,) both, n "
            "above 0."
        )
    bad = int((~np.isfinite(y) & (w != 0)).sum() + (~np.isfinite(w)).sum())
    if bad or (w < 0).any() or not w.sum() > 0:
        raise EstimationError(
            f"quantiles: {bad} values or weights are missing or infinite, or weights are below 0 "
            "or all 0; leave such rows out."
        )


def _check_draws(draws: int, seed: int, confidence_level: float) -> None:
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise EstimationError("quantiles: seed is no whole number of 0 or more; give one.")
    if not (isinstance(draws, int | np.integer) and draws >= FEWEST_DRAWS):
        raise EstimationError(
            f"quantiles: draws is {draws!r}; give a whole number of {FEWEST_DRAWS} or more."
        )
    if not 0.0 < confidence_level < 1.0:
        raise EstimationError(
            f"quantiles: confidence_level is {confidence_level!r}; give one between 0 and 1."
        )


def _check_clusters(side: _Side, words: str) -> None:
    if not len(side.y):
        raise EstimationError(f"quantiles: there is no {words} row with a positive weight.")
    if len(np.unique(side.codes)) < 2:
        raise EstimationError(
            f"quantiles: all {words} rows are in one cluster, so that redrawing clusters says "
            "nothing of their variation. Choose a finer cluster level."
        )
