"""Smooth densities of two groups and how much they overlap (arrays)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["effective_sample_size", "overlap_coefficient", "weighted_density"]

FloatArray = NDArray[np.float64]

GRID = 1024
TAIL = 3.0  # bandwidths beyond the data where a density is as good as 0
SILVERMAN = 0.9
IQR_OF_NORMAL = 1.34


def effective_sample_size(weights: ArrayLike) -> float:
    """Return :math:`(\\sum w)^2 / \\sum w^2`: how many equally weighted rows are as precise.

    Parameters
    ----------
    weights : array of shape (n,)
        At least 0.

    Returns
    -------
    float
        0 if no weight is positive.

    References
    ----------
    Kish, L. (1965). *Survey Sampling*. Wiley.

    Examples
    --------
    >>> effective_sample_size([1, 1, 0]), effective_sample_size([3, 1])
    (2.0, 1.6)
    """
    w = np.asarray(weights, dtype=np.float64)
    total = float(w.sum())
    return total**2 / float(w @ w) if total > 0 else 0.0


def weighted_density(
    x: ArrayLike, weights: ArrayLike, points: ArrayLike, *, reflect: bool = False
) -> FloatArray:
    """Return a Gaussian kernel density of `x` at evenly spaced points.

    Parameters
    ----------
    x, weights : arrays of shape (n,)
        Finite numbers between the first and the last point; weights at least 0.
    points : array of shape (m,)
        Ascending, evenly spaced.
    reflect
        Whether `x` cannot lie beyond the first and the last point, as a probability beyond 0
        and 1: what the kernel puts there is folded back.

    Returns
    -------
    array of shape (m,)
        NaN without a positive weight.

    Notes
    -----
    Each row is shared between its two neighboring points (linear binning), so the time is
    linear in n. The bandwidth is Silverman's rule of thumb, :math:`.9 \\min(s, IQR / 1.34)
    n^{-1/5}`, with the effective sample size for n, and at least half the distance of points.

    References
    ----------
    Silverman, B. W. (1986). *Density Estimation for Statistics and Data Analysis*. Chapman and
    Hall.
    """
    grid = np.asarray(points, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if not w.sum() > 0:
        return np.full(len(grid), np.nan)
    masses = _binned(np.asarray(x, dtype=np.float64), w, grid)
    step = float(grid[1] - grid[0])
    width = max(_bandwidth(masses, grid, effective_sample_size(w)), step / 2)
    return _smoothed(masses, step, width, reflect=reflect)


def overlap_coefficient(x: ArrayLike, treated: ArrayLike, weights: ArrayLike) -> float:
    """Return the area that the densities of two groups share, between 0 and 1.

    Parameters
    ----------
    x, treated : arrays of shape (n,)
        A score that may take any value, such as the linear propensity score; 0 or 1.
    weights : array of shape (n,)
        At least 0.

    Returns
    -------
    float
        NaN if a group has no weight, or `x` does not vary.

    Notes
    -----
    :math:`\\int \\min(f_1, f_0)`, with the densities of `weighted_density`. It depends a little
    on their bandwidths: densities of samples never agree entirely.

    References
    ----------
    Inman, H. F., & Bradley, E. L. (1989). The overlapping coefficient as a measure of agreement
    between probability distributions. *Communications in Statistics - Theory and Methods*,
    18(10), 3851-3874.
    """
    w = np.asarray(weights, dtype=np.float64)
    used = w > 0
    values, group, w = (
        np.asarray(x, dtype=np.float64)[used],
        np.asarray(treated)[used] == 1,
        w[used],
    )
    if group.all() or not group.any() or values.min() == values.max():
        return math.nan
    room = TAIL * SILVERMAN * float(np.std(values))
    grid = np.linspace(values.min() - room, values.max() + room, GRID)
    first, second = (weighted_density(values[g], w[g], grid) for g in (group, ~group))
    return float(np.minimum(first, second).sum() * (grid[1] - grid[0]))


def _binned(x: FloatArray, weights: FloatArray, grid: FloatArray) -> FloatArray:
    """Return the share of the weight at each point of the grid."""
    place = np.clip((x - grid[0]) / (grid[1] - grid[0]), 0, len(grid) - 1)
    left = np.minimum(place.astype(np.int64), len(grid) - 2)
    part = place - left
    masses = np.bincount(left, weights * (1 - part), len(grid))
    masses += np.bincount(left + 1, weights * part, len(grid))
    return np.asarray(masses / weights.sum())


def _bandwidth(masses: FloatArray, grid: FloatArray, n: float) -> float:
    mean = float(masses @ grid)
    sd = math.sqrt(max(float(masses @ (grid - mean) ** 2), 0.0))
    low, high = np.interp((0.25, 0.75), np.cumsum(masses), grid)
    spread = min(sd, float(high - low) / IQR_OF_NORMAL) or sd
    return float(SILVERMAN * spread * n**-0.2)


def _smoothed(masses: FloatArray, step: float, width: float, *, reflect: bool) -> FloatArray:
    m = len(masses)
    offsets = np.arange(1 - m, m) * (step / width)
    kernel = np.exp(-0.5 * offsets**2) / (width * math.sqrt(2 * math.pi))
    spread = np.convolve(masses, kernel)  # from -(m - 1) to 2 (m - 1) steps
    density = spread[m - 1 : 2 * m - 1].copy()
    if reflect:
        density[1:] += spread[m - 2 :: -1]
        density[:-1] += spread[: 2 * m - 2 : -1]
    return np.asarray(density)
