"""Distributions as curves and dots of which each rests on several rows (arrays).

A drawing of single rows tells their values. Here every point is a mean over at least `least` rows
of its group, and every dot of a jitter plot stands somewhere in a cell that holds as many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["binned_ecdf", "binned_quantiles", "cell_edges", "spread_dots"]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]

SEED = 20_140_825  # of the places of dots, which stand for no row: the same in every run
MOST_POINTS = 200


def binned_ecdf(
    x: ArrayLike, weights: ArrayLike, *, least: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a weighted empirical distribution function by points of several rows.

    Parameters
    ----------
    x, weights : arrays of shape (n,)
        Finite numbers; weights at least 0, rows of weight 0 are not used.
    least
        Rows that each point rests on, at least.

    Returns
    -------
    values, middle, through : arrays of shape (k,)
        The mean of each run of neighboring values, and the share of the weight up to its
        middle and its end; empty if there are fewer than `least` rows. Rows with one value stay
        together.
    """
    values, w, starts = _runs(x, weights, least)
    if not len(starts):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    totals = np.add.reduceat(w, starts)
    mass, first = totals / w.sum(), values[starts]
    run = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    means = first + np.add.reduceat(w * (values - first[run]), starts) / totals
    through = np.cumsum(mass)
    return means, through - mass / 2, through


def binned_quantiles(
    first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike], *, least: int
) -> tuple[FloatArray, FloatArray]:
    """Return means of two samples between equal quantiles, for a quantile-quantile plot.

    Parameters
    ----------
    first, second : pairs of arrays of shape (n,) and (m,)
        Values and weights; rows of weight 0 are not used.
    least
        Rows of each sample that each point rests on, at least.

    Returns
    -------
    of_first, of_second : arrays of shape (k,)
        For k equal shares of the weight, the mean of the quantile function of each sample over
        that share; empty if a sample has fewer than `least` rows.
    """
    samples = [_sorted(*one) for one in (first, second)]
    fewest = min(len(values) for values, _ in samples)
    number = min(fewest // least, MOST_POINTS)
    while number > 0 and any(_fewest_rows(w, number) < least for _, w in samples):
        number -= 1
    if number == 0:
        return np.zeros(0), np.zeros(0)
    bounds = np.linspace(0.0, 1.0, number + 1)
    of_first, of_second = (_quantile_means(values, w, bounds) for values, w in samples)
    return of_first, of_second


def cell_edges(x: ArrayLike, edges: ArrayLike, *, least: int) -> tuple[FloatArray, Integers]:
    """Return the edges of cells, neighbors merged until each holds several rows or none.

    Parameters
    ----------
    x : array of shape (n,)
        Between the first and the last edge.
    edges : array of shape (k + 1,)
        Ascending; they do not depend on single rows.
    least
        Rows that each cell holds, at least, if it holds any.

    Returns
    -------
    edges, counts : arrays of shape (m + 1,) and (m,)
        Empty cells stay as they are between others; fewer than `least` rows in all give no cell.
    """
    grid = np.asarray(edges, dtype=np.float64)
    counts = np.histogram(np.asarray(x, dtype=np.float64), grid)[0]
    if counts.sum() < least:
        return grid[:0], np.zeros(0, dtype=np.int64)
    kept, numbers, running = [float(grid[0])], [], 0
    for cell, count in enumerate(counts):
        running += int(count)
        if running >= least or running == 0:
            kept.append(float(grid[cell + 1]))
            numbers.append(running)
            running = 0
    if running:  # what is left at the end joins the last cell that holds rows
        while numbers[-1] == 0:
            kept.pop()
            numbers.pop()
        kept[-1] = float(grid[-1])
        numbers[-1] += running
    return np.array(kept), np.array(numbers, dtype=np.int64)


def spread_dots(
    edges: FloatArray, counts: Integers, *, stream: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Return dots at random places in cells: where a dot lies in its cell says nothing of a row.

    Parameters
    ----------
    edges, counts
        From `cell_edges`.
    stream
        Tells apart the places of several lines of dots.

    Returns
    -------
    x, y : arrays of shape (sum of counts,)
        ``y`` between 0 and 1. The places are the same in every run.
    """
    if not len(counts):
        return np.zeros(0), np.zeros(0)
    cell = np.repeat(np.arange(len(counts)), counts)
    seed = np.random.SeedSequence([SEED, stream])
    draws = np.random.Generator(np.random.PCG64(seed)).random((2, len(cell)))
    return edges[cell] + draws[0] * np.diff(edges)[cell], draws[1]


def _sorted(x: ArrayLike, weights: ArrayLike) -> tuple[FloatArray, FloatArray]:
    values, w = np.asarray(x, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    values, w = values[w > 0], w[w > 0]
    order = np.argsort(values, kind="stable")
    return values[order], w[order]


def _runs(
    x: ArrayLike, weights: ArrayLike, least: int
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return sorted values and weights, and where runs of at least `least` rows start."""
    values, w = _sorted(x, weights)
    n = len(values)
    if n < least:
        return values, w, np.zeros(0, dtype=np.intp)
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1
    step = max(least, n // MOST_POINTS)
    starts, last = [0], 0
    for end in ends[:-1]:
        if end - last >= step and n - end >= least:
            starts.append(int(end))
            last = int(end)
    return values, w, np.array(starts, dtype=np.intp)


def _fewest_rows(weights: FloatArray, number: int) -> int:
    """Return the rows of the smallest of `number` equal shares of the weight."""
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    share = np.minimum((middle * number).astype(np.int64), number - 1)
    return int(np.bincount(share, minlength=number).min())


def _quantile_means(values: FloatArray, weights: FloatArray, bounds: FloatArray) -> FloatArray:
    """Return the mean of the quantile function between bounds, by its integral."""
    reached = np.append(0.0, np.cumsum(weights) / weights.sum())
    integral = np.append(0.0, np.cumsum(weights * values) / weights.sum())
    return np.asarray(np.diff(np.interp(bounds, reached, integral)) / np.diff(bounds))
