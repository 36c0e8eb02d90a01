"""The effect on the treated by predicting what they would have shown without treatment (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.least_squares import fit_outcome
from homevisit_eval.effects.regression.prepared_design import prepare_design, row_influence
from homevisit_eval.errors import EstimationError

__all__ = ["ImputedEffect", "imputed_effect_on_treated"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImputedEffect:
    """The average effect on the treated when effects may differ.

    Attributes
    ----------
    estimate
        In units of y; NaN if no treated unit shares a cell with a comparison unit.
    influence : array of shape (n,)
        What each row adds to the error of the estimate, in units of y; the cross product of its
        sums by cluster is the clustered variance (CR0). 0 for rows that take no part.
    """

    estimate: float
    influence: Floats

    def __repr__(self) -> str:
        """Show the estimate, no rows."""
        return f"ImputedEffect({self.estimate:.6g})"


def imputed_effect_on_treated(
    y: ArrayLike,
    X: ArrayLike,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    cells: ArrayLike | None = None,
) -> ImputedEffect:
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
    ImputedEffect

    Raises
    ------
    EstimationError
        If there are not more comparison units than parameters.

    Notes
    -----
    With b and the intercepts a_c from the comparison units, the estimate is the mean over the
    treated of y - x'b - a_c. A treated row's influence is its own such difference less the
    estimate, times its share of the weight. A comparison row of cell c has
    -s_c w_i e_i / W_c - (m_1 - sum_c s_c m_c)' d_i: s_c is the share of the treated in the cell,
    W_c and m_c weight and means of its comparison units, m_1 the means of the treated, d_i the
    row's influence on b. Each is w_i times the change of the estimate with the row's weight, so
    the treated count as drawn, and effects that differ among them add to the variance.

    References
    ----------
    Imbens, G. W., & Wooldridge, J. M. (2009). Recent developments in the econometrics of
    program evaluation. *Journal of Economic Literature*, 47(1), 5-86, section 5.3.
    """
    outcome, columns = np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    is_treated = np.asarray(treated, dtype=np.float64) == 1
    here, there = is_treated & (w > 0), ~is_treated & (w > 0)
    codes = None if cells is None else _numbered(cells)
    if not there.any():
        raise EstimationError("no comparison unit has a positive weight.")
    beta, change = _comparison_fit(outcome, columns, w, there, codes)
    left = outcome - columns @ beta
    C = 1 if codes is None else int(codes.max()) + 1
    group = np.zeros(len(outcome), dtype=np.intp) if codes is None else codes
    total = np.bincount(group[there], w[there], C)
    here &= total[group] > 0
    influence = np.zeros(len(outcome))
    if not here.any():
        return ImputedEffect(float("nan"), influence)
    level = np.zeros(C)
    share = w * here / w[here].sum()
    mean = share @ columns
    if codes is not None:
        sums = np.bincount(group[there], (w * left)[there], C)
        level = np.divide(sums, total, out=np.zeros(C), where=total > 0)
        scale = np.divide(
            np.bincount(group, share, C), total, out=np.zeros(C), where=total > 0
        )[group] * w * there  # fmt: skip
        influence -= scale * (left - level[group])
        mean = mean - scale @ columns
    difference = left - level[group]
    estimate = float(share @ difference)
    influence += share * (difference - estimate) - change @ mean
    return ImputedEffect(estimate, influence)


def _comparison_fit(
    y: Floats, X: Floats, w: Floats, there: NDArray[np.bool_], codes: Codes | None
) -> tuple[Floats, Floats]:
    """Return coefficients for every column, 0 for those that do not vary among these rows, and
    the influence of each row on them, (n, k)."""
    beta, influence = np.zeros(X.shape[1]), np.zeros(X.shape)
    if not X.shape[1]:
        return beta, influence
    prepared = prepare_design(
        X,
        weights=w * there,
        absorb=() if codes is None else [codes],
        names=[str(j) for j in range(X.shape[1])],
    )
    fit = fit_outcome(prepared, y, covariance="CR0")
    kept = [int(name) for name in fit.names]
    beta[kept] = fit.coefficients
    influence[:, kept] = row_influence(prepared, fit.residuals)
    return beta, influence


def _numbered(cells: ArrayLike) -> Codes:
    return np.asarray(np.unique(np.asarray(cells), return_inverse=True)[1], dtype=np.intp)
