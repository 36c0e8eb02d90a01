"""Weighted least squares with absorbed factors and cluster-robust standard errors (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.covariance import (
    bias_reduced_covariance,
    jackknife_covariance,
    sandwich_covariance,
)
from homevisit_eval.effects.prepared_design import PreparedDesign, one_thread, prepare_design
from homevisit_eval.errors import EstimationError

__all__ = ["CovarianceType", "LeastSquaresFit", "fit_least_squares", "fit_outcome"]

CovarianceType = Literal["CR0", "CR1", "CR2", "HC3"]
Floats = NDArray[np.float64]

DF_CONVENTIONS = {
    "CR0": "G - 1",
    "CR1": "G - 1",
    "CR2": "Satterthwaite (Bell-McCaffrey)",
    "HC3": "n - K",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LeastSquaresFit:
    """Weighted least squares coefficients with their cluster-robust covariance.

    Attributes
    ----------
    coefficients : array of shape (p,)
        In the order of `names`: the columns of X that are kept.
    covariance : array of shape (p, p)
    std_errors : array of shape (p,)
        Square roots of the diagonal of `covariance`.
    df : array of shape (p,)
        Degrees of freedom of the t distribution of each coefficient; NaN where `df_for` did
        not name the column.
    names : tuple of p names
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed factors and earlier columns.
    residuals : array of shape (rows given,)
        In units of y, not multiplied by weights; NaN where the weight is 0.
    n
        Rows of positive weight.
    K
        Parameters: the rank of X together with the absorbed factors, all their levels counted.
    G
        Clusters.
    covariance_type, df_convention
        How `covariance` and `df` were found.
    notes : tuple of sentences
        What a reader must know.
    """

    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    df: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    residuals: Floats
    n: int
    K: int
    G: int
    covariance_type: CovarianceType
    df_convention: str
    notes: tuple[str, ...]

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of zero coefficients, shape (p,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.coefficients / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals, shape (p, 2): lower and upper bounds."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.coefficients - half, self.coefficients + half])

    def __repr__(self) -> str:
        """Show the recipe, not the residuals."""
        return (
            f"LeastSquaresFit({len(self.names)} coefficients, {self.covariance_type}, "
            f"df: {self.df_convention}; n = {self.n}, K = {self.K}, G = {self.G})"
        )


def fit_least_squares(
    y: ArrayLike,
    X: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    clusters: ArrayLike | None = None,
    covariance: CovarianceType = "CR2",
    names: Sequence[str] | None = None,
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress y on X by weighted least squares, with cluster-robust standard errors.

    Parameters
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
        Used as it is: without `absorb`, give an intercept column yourself.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Their scale does not matter. They are taken as part of
        the estimator (matching or sampling weights), not as inverse variances. Rows of weight
        0 are left out.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that get one intercept for each level. The factor with most levels is
        swept out by weighted demeaning, which is exact; the others enter as columns.
    clusters : array of shape (n,), optional
        Codes of the groups within which errors may be dependent; each row its own if not
        given, which makes CR1 the covariance known as HC1 and CR2 that known as HC2.
    covariance
        ``"CR0"``: the sandwich. ``"CR1"``: times G / (G - 1) * (n - 1) / (n - K), all absorbed
        levels counted in K (the convention of Stata's `areg` and `regress`; clubSandwich calls
        it CR1S). ``"CR2"``: the bias-reduced linearization of Bell and McCaffrey with the
        absorbed factors and weights in full, for independent errors of one variance as
        working model (clubSandwich's for `lm`, and estimatr's). ``"HC3"``: for independent
        rows, each residual over one less its leverage (sandwich's, also with weights).
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.
    df_for : sequence of names, optional
        Columns whose Satterthwaite degrees of freedom are wanted (CR2 only); all if not given.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, no row has a
        positive weight, there are fewer than two clusters, all columns of X are collinear,
        there are not more rows than parameters, or ``"HC3"`` is asked for with clusters or
        where a row determines a parameter alone.

    Notes
    -----
    A column is dropped, and named in `dropped`, when less than 1e-8 of its (weighted) length
    is left after projection on the absorbed factors and the columns before it.

    References
    ----------
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. *Journal of Econometrics*, 29(3), 305-325.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.

    Examples
    --------
    >>> fit = fit_least_squares([1.0, 2.0, 4.0, 5.0], [[1, 0], [1, 0], [1, 1], [1, 1]])
    >>> fit.coefficients.round(6).tolist()
    [1.5, 3.0]
    """
    prepared = prepare_design(X, weights=weights, absorb=absorb, clusters=clusters, names=names)
    return fit_outcome(prepared, y, covariance=covariance, df_for=df_for)


def fit_outcome(
    prepared: PreparedDesign,
    y: ArrayLike,
    *,
    covariance: CovarianceType = "CR2",
    df_for: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress one outcome on a prepared design, with cluster-robust standard errors.

    Parameters
    ----------
    prepared
        From `prepare_design`, which one call of many outcomes shares.
    y : array of shape (rows given,)
    covariance, df_for
        As in `fit_least_squares`.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    EstimationError
        If y has another shape or is missing in a row of positive weight, or the covariance
        cannot be had.
    """
    if covariance == "HC3" and prepared.clustered:
        raise EstimationError(
            "least squares: HC3 is for independent rows; with clusters choose CR1 or CR2."
        )
    design, n, K, G = prepared.design, prepared.n, prepared.K, prepared.G
    with one_thread():
        swept = prepared.sweep(_checked_outcome(y, prepared.used)) * design.root_weights
        effects = design.Q.T @ swept
        residuals = (swept - design.Q @ effects) / design.root_weights
        df = np.full(len(prepared.names), np.nan if covariance == "CR2" else G - 1.0)
        if covariance == "CR2":
            wanted = [j for j, x in enumerate(prepared.names) if df_for is None or x in df_for]
            matrix, df[wanted] = bias_reduced_covariance(
                design, residuals, prepared.inverse, wanted
            )
        elif covariance == "HC3":
            matrix = jackknife_covariance(design, residuals, prepared.inverse)
            df[:] = n - K
        else:
            factor = G / (G - 1) * (n - 1) / (n - K) if covariance == "CR1" else 1.0
            matrix = factor * sandwich_covariance(design, residuals, prepared.inverse)
    everywhere = np.full(prepared.used.shape, np.nan)
    everywhere[prepared.used] = residuals
    return LeastSquaresFit(
        coefficients=prepared.inverse @ effects,
        covariance=matrix,
        std_errors=np.sqrt(np.maximum(np.diag(matrix), 0.0)),
        df=df,
        names=prepared.names,
        dropped=prepared.dropped,
        residuals=everywhere,
        n=n,
        K=K,
        G=G,
        covariance_type=covariance,
        df_convention=DF_CONVENTIONS[covariance],
        notes=_notes(prepared.dropped),
    )


def _checked_outcome(y: ArrayLike, used: NDArray[np.bool_]) -> Floats:
    outcome = np.asarray(y, dtype=np.float64)
    if outcome.shape != used.shape:
        raise EstimationError(
            f"least squares: y has shape {outcome.shape} for {len(used)} rows of X; give one "
            "value for each."
        )
    if not used.all():
        outcome = outcome[used]
    bad = int(len(outcome) - np.isfinite(outcome).sum())
    if bad:
        raise EstimationError(
            f"least squares: y has {bad} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    return outcome


def _notes(dropped: Sequence[str]) -> tuple[str, ...]:
    if not dropped:
        return ()
    return (f"Left out because they add nothing to the other columns: {', '.join(dropped)}.",)
