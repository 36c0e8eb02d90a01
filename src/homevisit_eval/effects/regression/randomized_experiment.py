"""Estimators for randomized experiments: Neyman's difference, Lin's regression (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.regression.covariance import CovarianceType
from homevisit_eval.effects.regression.design_rows import checked_design, checked_labels
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_least_squares
from homevisit_eval.errors import EstimationError

__all__ = ["MeanDifference", "difference_of_means", "fit_lin"]

Floats = NDArray[np.float64]

SMALLEST_GROUP = 2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeanDifference:
    """A difference of the means of two independent groups, in units of the outcome.

    Attributes
    ----------
    estimate, std_error
        Treated less comparison.
    df
        Welch's.
    treated_mean, comparison_mean
    n_treated, n_comparison
        Rows.
    """

    estimate: float
    std_error: float
    df: float
    treated_mean: float
    comparison_mean: float
    n_treated: int
    n_comparison: int

    @property
    def p_value(self) -> float:
        """Two-sided p value of no difference."""
        return float(2.0 * stdtr(self.df, -abs(self.estimate / self.std_error)))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate with its recipe."""
        return (
            f"MeanDifference({self.estimate:.6g}, std_error {self.std_error:.6g}, Welch df "
            f"{self.df:.4g}; {self.n_treated} treated, {self.n_comparison} comparison)"
        )


def difference_of_means(y: ArrayLike, treated: ArrayLike) -> MeanDifference:
    """Return Neyman's estimate of the average effect in a randomized experiment, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        1 or 0, assigned to independent rows at random.

    Returns
    -------
    MeanDifference

    Raises
    ------
    EstimationError
        If shapes differ, values are missing, a group has fewer than two rows, or the outcome
        does not vary within groups.

    Notes
    -----
    The variance is s1^2 / n1 + s0^2 / n0, which is that of HC2.

    References
    ----------
    Neyman, J. (1923, translated 1990). On the application of probability theory to
    agricultural experiments. *Statistical Science*, 5(4), 465-472.
    Welch, B. L. (1947). The generalization of 'Student's' problem when several different
    population variances are involved. *Biometrika*, 34(1-2), 28-35.

    Examples
    --------
    >>> difference_of_means([1.0, 2.0, 4.0, 6.0], [0, 0, 1, 1]).estimate
    3.5
    """
    outcome, group = np.asarray(y, dtype=np.float64), _groups(treated, np.shape(y))
    if not np.isfinite(outcome).all():
        bad = int((~np.isfinite(outcome)).sum())
        raise EstimationError(
            f"difference of means: y has {bad} missing or infinite values; leave these rows out."
        )
    first, second = outcome[group], outcome[~group]
    parts = [float(np.var(one, ddof=1)) / len(one) for one in (first, second)]
    variance = sum(parts)
    if not variance > 0:
        raise EstimationError(
            f"difference of means: the outcome is constant in the {len(first)} treated and the "
            f"{len(second)} comparison rows, so there is no standard error."
        )
    sizes = (len(first) - 1, len(second) - 1)
    df = variance**2 / sum(part**2 / size for part, size in zip(parts, sizes, strict=True))
    return MeanDifference(
        estimate=float(first.mean() - second.mean()),
        std_error=float(np.sqrt(variance)),
        df=df,
        treated_mean=float(first.mean()),
        comparison_mean=float(second.mean()),
        n_treated=len(first),
        n_comparison=len(second),
    )


def fit_lin(
    y: ArrayLike,
    treated: ArrayLike,
    covariates: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    covariance: CovarianceType = "HC2",
    names: Sequence[str] | None = None,
) -> LeastSquaresFit:
    """Regress on treatment, centered covariates and their products: an average effect (ATE).

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        1 or 0.
    covariates : array of shape (n, k)
    weights, clusters, covariance
        As in `fit_least_squares`; with clusters choose a CR covariance.
    names : sequence of k names, optional
        Of the covariates; ``x0``, ``x1``, ... if not given.

    Returns
    -------
    LeastSquaresFit
        With the names ``"(Intercept)"``, ``"treated"`` (the effect), ``"x0_c"``, ...,
        ``"treated:x0_c"``, ...

    Raises
    ------
    EstimationError
        As `fit_least_squares`; or if `treated` is not 1 or 0, or a group has fewer than two
        rows.

    Notes
    -----
    Covariates are centered at their weighted mean over the rows of positive weight.

    References
    ----------
    Lin, W. (2013). Agnostic notes on regression adjustments to experimental data: Reexamining
    Freedman's critique. *Annals of Applied Statistics*, 7(1), 295-318.
    """
    columns, w, used = checked_design(covariates, weights)
    labels = checked_labels(names, columns.shape[1])
    group = _groups(treated, used.shape)
    centered = np.zeros((len(used), columns.shape[1]))
    centered[used] = columns - np.average(columns, axis=0, weights=w)
    X = np.column_stack([np.ones(len(used)), group, centered, centered * group[:, None]])
    return fit_least_squares(
        y,
        X,
        weights=weights,
        clusters=clusters,
        covariance=covariance,
        names=[
            "(Intercept)",
            "treated",
            *(f"{name}_c" for name in labels),
            *(f"treated:{name}_c" for name in labels),
        ],
    )


def _groups(treated: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    values = np.asarray(treated)
    if values.shape != shape or len(shape) != 1:
        raise EstimationError(
            f"randomized experiment: treated has shape {values.shape}, and there are rows of "
            f"shape {shape}; give (n,) for both."
        )
    group = values == 1
    if not (group | (values == 0)).all():
        raise EstimationError(
            f"randomized experiment: {int((~(group | (values == 0))).sum())} values of treated are "
            "neither 1 nor 0."
        )
    if min(int(group.sum()), int((~group).sum())) < SMALLEST_GROUP:
        raise EstimationError(
            f"randomized experiment: {int(group.sum())} rows are treated and "
            f"{int((~group).sum())} are not; two of each are needed."
        )
    return np.asarray(group, dtype=np.bool_)
