"""Robust covariances of weighted least squares, by the names of the literature (arrays).

Letters are those of `projected_design`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.regression.leverage_adjustment import adjust_rows
from homevisit_eval.effects.regression.projected_design import ProjectedDesign, sum_by_cluster
from homevisit_eval.errors import EstimationError

__all__ = [
    "COVARIANCES",
    "CovarianceType",
    "RobustCovariance",
    "check_covariance",
    "robust_covariance",
    "small_sample_factor",
]

CovarianceType = Literal[
    "classical",
    "HC0",
    "HC1",
    "HC2",
    "HC3",
    "HC4",
    "CR0",
    "CR1",
    "CR1S",
    "CR1p",
    "CR2",
    "CR3",
]
COVARIANCES: tuple[CovarianceType, ...] = get_args(CovarianceType)
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

ZERO_BELOW = 1e-10  # 1 - leverage; rounding leaves about 1e-14
LARGEST_POWER = 4.0  # of HC4


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RobustCovariance:
    """The covariance of q coefficients, and what it is made of.

    Attributes
    ----------
    matrix : array of shape (q, q)
    scores : array of shape (G, q)
        By cluster (by row for HC), the influence on each coefficient, as adjusted; `matrix` is
        their cross product times the small-sample factor.
    contrasts : array of shape (n, r)
        The weight of each row's error in each of the coefficients wanted, as adjusted.
    lost : array of shape (r,)
        The clusters in which the adjustment is singular where it matters, by coefficient.
    """

    matrix: Floats
    scores: Floats
    contrasts: Floats
    lost: Codes

    def __repr__(self) -> str:
        """Show the size, not the rows."""
        return f"RobustCovariance({len(self.matrix)} coefficients, {len(self.scores)} clusters)"


def robust_covariance(
    design: ProjectedDesign,
    residuals: Floats,
    inverse: Floats,
    *,
    covariance: CovarianceType,
    K: int,
    wanted: Sequence[int] = (),
) -> RobustCovariance:
    """Return a robust covariance of the coefficients, in products of their units.

    Parameters
    ----------
    design
    residuals : array of shape (n,)
        In units of y.
    inverse : array of shape (q, p)
        Rows of the inverse triangle that turns Q'W^(1/2) y into coefficients.
    covariance
        ``"classical"`` for independent rows whose variances are as one over their weights.
        ``"HC..."`` for independent rows: the sandwich (``"HC0"``), times n / (n - K)
        (``"HC1"``), or with squared residuals over 1 - h (``"HC2"``), (1 - h)^2 (``"HC3"``) or
        (1 - h)^min(4, n h / K) (``"HC4"``), h being the leverage of the weighted regression.
        ``"CR..."`` for clusters: the sandwich (``"CR0"``), times G / (G - 1) (``"CR1"``),
        G (n - 1) / ((G - 1) (n - K)) (``"CR1S"``) or G / (G - K) (``"CR1p"``), or with
        residuals adjusted for the leverage of their cluster (``"CR2"``, ``"CR3"``).
    K
        Parameters, as they are to be counted.
    wanted
        Positions among the q coefficients whose contrasts are returned.

    Returns
    -------
    RobustCovariance

    Raises
    ------
    EstimationError
        If a row has leverage 1 (HC2, HC3, HC4), there are not more clusters than parameters
        (CR1p), contrasts are asked for without a sandwich (classical), or leverage that large
        crossed factors hide.

    References
    ----------
    MacKinnon, J. G., & White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. *Journal of Econometrics*, 29(3), 305-325.
    Cribari-Neto, F. (2004). Asymptotic inference under heteroskedasticity of unknown form.
    *Computational Statistics & Data Analysis*, 45(2), 215-233.
    Liang, K.-Y., & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
    models. *Biometrika*, 73(1), 13-22.
    Bell, R. M., & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. *Survey Methodology*, 28(2), 169-181.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.
    """
    check_covariance(covariance)
    if wanted or covariance in ("HC2", "HC3", "HC4", "CR2", "CR3"):
        _check_leverage(design, covariance)
    combinations = inverse[list(wanted)]
    lost = np.zeros(len(combinations), dtype=np.intp)
    contrasts = np.empty((len(residuals), 0))
    if covariance in ("CR2", "CR3"):
        kind: Literal["CR2", "CR3"] = "CR2" if covariance == "CR2" else "CR3"
        adjusted = adjust_rows(design, residuals, combinations, kind)
        residuals, contrasts, lost = adjusted.residuals, adjusted.contrasts, adjusted.lost
    else:
        scale = _row_scale(design, covariance, K)
        residuals = residuals if scale is None else residuals * scale
        if wanted:
            contrasts = design.Q @ combinations.T * design.root_weights[:, None]
            contrasts = contrasts if scale is None else contrasts * scale[:, None]
    weighted = design.root_weights * residuals
    if covariance.startswith("CR"):
        scores = sum_by_cluster(design, weighted) @ inverse.T
    else:
        scores = (design.Q * weighted[:, None]) @ inverse.T
    factor = small_sample_factor(covariance, n=len(residuals), K=K, G=design.G)
    matrix = factor * (scores.T @ scores)
    if covariance == "classical":
        matrix = float(weighted @ weighted) / (len(residuals) - K) * (inverse @ inverse.T)
    return RobustCovariance(matrix=matrix, scores=scores, contrasts=contrasts, lost=lost)


def small_sample_factor(covariance: CovarianceType, *, n: int, K: int, G: int) -> float:
    """Return what the cross product of scores is multiplied by: 1 for HC0, CR0, CR2 and so on.

    Raises
    ------
    EstimationError
        For CR1p, if there are not more clusters than parameters.
    """
    if covariance == "HC1":
        return n / (n - K)
    if covariance == "CR1":
        return G / (G - 1)
    if covariance == "CR1S":
        return G / (G - 1) * (n - 1) / (n - K)
    if covariance == "CR1p":
        if G <= K:
            raise EstimationError(
                f"least squares: CR1p divides by clusters less parameters, {G} - {K}; use CR1S "
                "or CR2, or fewer columns."
            )
        return G / (G - K)
    return 1.0


def check_covariance(covariance: str) -> None:
    """Raise an `EstimationError` for a covariance that is unknown."""
    if covariance not in COVARIANCES:
        raise EstimationError(
            f"least squares: covariance must be one of {', '.join(COVARIANCES)}; it is "
            f"{covariance!r}."
        )


def _check_leverage(design: ProjectedDesign, covariance: str) -> None:
    if covariance == "classical":
        raise EstimationError(
            "least squares: the classical covariance has n - K degrees of freedom, not "
            "Satterthwaite's; use df 'n - K', or HC2."
        )
    if design.crossed:
        raise EstimationError(
            f"least squares: {covariance} with Satterthwaite degrees of freedom or leverage is "
            f"not available where {1 + len(design.crossed)} large absorbed factors cross. Use "
            "CR1S with df 'G - 1', or absorb their combinations as one factor."
        )


def _row_scale(design: ProjectedDesign, covariance: CovarianceType, K: int) -> Floats | None:
    """Return what residuals are multiplied by, (n,), or None for 1."""
    if covariance not in ("HC2", "HC3", "HC4"):
        return None
    leverage = np.einsum("ij,ij->i", design.Q, design.Q)
    if design.cells is not None:
        leverage = leverage + design.weights / design.cell_weights[design.cells]
    alone = int((1.0 - leverage < ZERO_BELOW).sum())
    if alone:
        raise EstimationError(
            f"{covariance}: {alone} rows determine a parameter alone (leverage 1), so their "
            "residuals say nothing. Use fewer columns or cells, or CR2."
        )
    power: Floats | float = 0.5 if covariance == "HC2" else 1.0
    if covariance == "HC4":
        power = np.minimum(LARGEST_POWER, len(leverage) * leverage / K) / 2.0
    return np.asarray((1.0 - leverage) ** -power, dtype=np.float64)
