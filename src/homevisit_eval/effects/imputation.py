"""The effect on the treated by predicting what they would have shown without treatment (arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.least_squares import fit_least_squares
from homevisit_eval.errors import EstimationError

__all__ = ["imputed_effect_on_treated"]


def imputed_effect_on_treated(
    y: ArrayLike,
    X: ArrayLike,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    cells: ArrayLike | None = None,
) -> float:
    """Return the average effect on the treated when effects may differ, in units of y.

    The regression is fitted to the comparison units alone; the effect is the weighted mean of
    the treated units' outcomes less their predictions. This equals the coefficient of
    treatment in the regression with treatment interacted with every column of X and every
    cell, centered at the treated.

    Parameters
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
        Covariates, without treatment. Without `cells`, give an intercept column yourself.
    treated : array of shape (n,)
        1 (or true) for treated, 0 for comparison.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given.
    cells : array of shape (n,) of int, optional
        Codes of cells with an intercept each. Treated units of cells without comparison units
        have no prediction and are left out.

    Returns
    -------
    float
        NaN if no treated unit shares a cell with a comparison unit.

    Raises
    ------
    EstimationError
        If there are not more comparison units than parameters.

    References
    ----------
    Imbens, G. W., & Wooldridge, J. M. (2009). Recent developments in the econometrics of
    program evaluation. *Journal of Economic Literature*, 47(1), 5-86, section 5.3.
    """
    outcome, columns = np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    is_treated = np.asarray(treated, dtype=np.float64) == 1
    here, there = is_treated & (w > 0), ~is_treated & (w > 0)
    codes = np.zeros(len(outcome), dtype=np.intp) if cells is None else _numbered(cells)
    residual = outcome.copy()
    if columns.shape[1]:
        residual -= columns @ _comparison_coefficients(
            outcome[there],
            columns[there],
            w[there],
            None if cells is None else codes[there],
        )
    C = int(codes.max()) + 1
    total = np.bincount(codes[there], w[there], C)
    if cells is None:
        level = np.zeros(C)
    else:
        sums = np.bincount(codes[there], w[there] * residual[there], C)
        level = np.divide(sums, total, out=np.full(C, np.nan), where=total > 0)
    here &= total[codes] > 0
    if not here.any():
        return float("nan")
    return float(w[here] @ (residual[here] - level[codes[here]]) / w[here].sum())


def _comparison_coefficients(
    y: NDArray[np.float64],
    X: NDArray[np.float64],
    w: NDArray[np.float64],
    codes: NDArray[np.intp] | None,
) -> NDArray[np.float64]:
    """Return coefficients for every column, 0 for those that do not vary among these rows."""
    beta = np.zeros(X.shape[1])
    if len(y) == 0:
        raise EstimationError("no comparison unit has a positive weight.")
    names = [str(j) for j in range(X.shape[1])]
    fit = fit_least_squares(
        y,
        X,
        weights=w,
        absorb=() if codes is None else [codes],
        covariance="CR0",
        names=names,
    )
    beta[[int(name) for name in fit.names]] = fit.coefficients
    return beta


def _numbered(cells: ArrayLike) -> NDArray[np.intp]:
    return np.asarray(np.unique(np.asarray(cells), return_inverse=True)[1], dtype=np.intp)
