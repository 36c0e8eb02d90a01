"""A fitted linear mixed model (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.mixed.likelihood import LikelihoodMethod

__all__ = ["RANDOM_INTERCEPT", "MixedCovariance", "MixedFit"]

Floats = NDArray[np.float64]
MixedCovariance = Literal["model", "CR2"]

RANDOM_INTERCEPT = "(Intercept)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixedFit:
    """Coefficients of a linear mixed model with their covariance, and its variances.

    Attributes
    ----------
    coefficients : array of shape (p,)
        The fixed effects, in units of y over units of the columns `names`.
    covariance : array of shape (p, p)
    std_errors : array of shape (p,)
        Square roots of the diagonal of `covariance`.
    df : array of shape (p,)
        Degrees of freedom of the t distribution of each coefficient.
    names : tuple of p names
        The columns of X that are kept.
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed factors and earlier columns.
    residual_variance
        In squared units of y, of a row of weight 1.
    random_covariance : array of shape (q, q)
        Covariance of the random effects of a group.
    random_names : tuple of q names
        ``"(Intercept)"``, and the slopes.
    intraclass_correlation
        The random intercept's share of its sum with `residual_variance`, 0 to 1: for rows of
        weight 1, and where slopes are zero.
    log_likelihood
        At the maximum; the restricted one for REML, which depends on the units of X too.
    method
        ``"REML"`` or ``"ML"``.
    singular
        Whether the random effects' covariance is singular: a variance of zero, or a
        correlation of 1 or -1.
    largest_gradient
        The largest derivative of the deviance at the maximum, in units of the relative factor.
    group_values : array of shape (G,)
        Codes of the groups as given, sorted.
    group_effects : array of shape (G, q)
        Predicted random effects (best linear unbiased predictions).
    group_influence : array of shape (G, p)
        Influence of each group on the coefficients; its cross product is the sandwich (CR0).
    residuals : array of shape (rows given,)
        y - Xb in units of y, group effects left in; NaN where the weight is 0.
    n
        Rows of positive weight.
    K
        Fixed parameters, absorbed levels counted.
    G
        Groups.
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
    residual_variance: float
    random_covariance: Floats
    random_names: tuple[str, ...]
    intraclass_correlation: float
    log_likelihood: float
    method: LikelihoodMethod
    singular: bool
    largest_gradient: float
    group_values: NDArray[np.generic]
    group_effects: Floats
    group_influence: Floats
    residuals: Floats
    n: int
    K: int
    G: int
    covariance_type: MixedCovariance
    df_convention: str
    notes: tuple[str, ...]

    @property
    def random_variances(self) -> dict[str, float]:
        """Variances of the random effects of a group, by name."""
        variances = np.diag(self.random_covariance).tolist()
        return dict(zip(self.random_names, variances, strict=True))

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
        singular = ", singular" if self.singular else ""
        return (
            f"MixedFit({len(self.names)} coefficients, random {', '.join(self.random_names)}, "
            f"{self.method}{singular}, {self.covariance_type}, df: {self.df_convention}; "
            f"n = {self.n}, K = {self.K}, G = {self.G})"
        )
