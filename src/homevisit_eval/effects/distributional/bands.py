"""An outcome cut into bands, and one linear probability model for each (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.least_squares import CovarianceType, fit_outcome
from homevisit_eval.effects.regression.prepared_design import PreparedDesign
from homevisit_eval.errors import EstimationError

__all__ = ["BandFits", "band_codes", "fit_bands"]

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""A value this close below a cut point is on it: 1 - 18 / 180 is a little off .9."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandFits:
    """The coefficient of one column on the probability of each of m bands.

    Attributes
    ----------
    estimates, std_errors, df, p_values : arrays of shape (m,)
        Probabilities; the estimates of all bands add up to 0. Errors, df and p of a band with
        nobody, or with everybody, in it are NaN, its estimate is 0.
    intervals : array of shape (m, 2)
    covariance_type, df_convention
    K, G
        Parameters and clusters.
    notes : tuple of sentences
    """

    estimates: Floats
    std_errors: Floats
    df: Floats
    p_values: Floats
    intervals: Floats
    covariance_type: str
    df_convention: str
    K: int
    G: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the number of bands and the recipe."""
        return f"BandFits({len(self.estimates)} bands, {self.covariance_type}, G = {self.G})"


def band_codes(values: ArrayLike, cut_points: Sequence[float]) -> NDArray[np.intp]:
    """Return the number of the band of each value, shape (n,): 0 below the first cut point.

    Parameters
    ----------
    values : array of shape (n,)
        Finite numbers.
    cut_points : sequence of m - 1 numbers
        Increasing. A value on a cut point belongs to the band above it; one that is less than
        a billionth below counts as on it.

    Raises
    ------
    EstimationError
        If there is no cut point, they do not increase, or a value is missing.

    Examples
    --------
    >>> band_codes([0.79, 1 - 18 / 180, 0.95, 1.0], [0.8, 0.9, 0.95]).tolist()
    [0, 2, 3, 3]
    """
    cuts = np.asarray(cut_points, dtype=np.float64)
    if cuts.ndim != 1 or not len(cuts) or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise EstimationError("bands: cut_points must be one or more numbers that increase.")
    numbers = np.asarray(values, dtype=np.float64)
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise EstimationError(f"bands: {bad} values are missing or infinite; leave them out.")
    slack = ROUNDING * np.maximum(1.0, np.abs(cuts))
    return np.searchsorted(cuts - slack, numbers, side="right")


def fit_bands(
    prepared: PreparedDesign,
    codes: NDArray[np.intp],
    *,
    m: int,
    column: str,
    covariance: CovarianceType = "CR2",
    confidence_level: float = 0.95,
) -> BandFits:
    """Regress the indicator of each band on one design by least squares.

    Parameters
    ----------
    prepared
        From `prepare_design`.
    codes : array of shape (rows given,) of 0..m-1
        The band of each row, from `band_codes`.
    m
        Bands.
    column
        The column of the design whose coefficients are wanted.
    covariance, confidence_level
        As in `fit_outcome`.

    Raises
    ------
    EstimationError
        If the column was dropped from the design, or as `fit_outcome`.

    Notes
    -----
    For band j the model is :math:`1\\{y_i \\in B_j\\} = x_i' \\beta_j + \\varepsilon_{ij}`. The
    indicators of a row add up to 1, and least squares is linear in the outcome, so that the
    coefficients add up to 0 over the bands (to 1 for the constant).

    References
    ----------
    Chernozhukov, V., Fernandez-Val, I., & Melly, B. (2013). Inference on counterfactual
    distributions. *Econometrica*, 81(6), 2205-2268.
    """
    if column not in prepared.names:
        raise EstimationError(f"bands: the design has no column {column!r}; name one that it has.")
    at = prepared.names.index(column)
    numbers = np.full((m, 6), np.nan)
    numbers[:, 0] = 0.0
    used = codes[prepared.used]
    fit = None
    for band in range(m):
        inside = int((used == band).sum())
        if inside in (0, len(used)):
            continue
        fit = fit_outcome(
            prepared,
            (codes == band).astype(np.float64),
            covariance=covariance,
            df_for=[column],
        )
        low, high = fit.intervals(confidence_level)[at]
        numbers[band] = (
            fit.coefficients[at], fit.std_errors[at], fit.df[at], fit.p_values[at], low, high,
        )  # fmt: skip
    if fit is None:
        raise EstimationError(
            "bands: all rows are in one band, so nothing can be compared. Choose cut points "
            "between the smallest and the largest value."
        )
    return BandFits(
        estimates=numbers[:, 0],
        std_errors=numbers[:, 1],
        df=numbers[:, 2],
        p_values=numbers[:, 3],
        intervals=numbers[:, 4:],
        covariance_type=fit.covariance_type,
        df_convention=fit.df_convention,
        K=fit.K,
        G=fit.G,
        notes=fit.notes,
    )
