"""One estimate from those of several completed samples (arrays)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from homevisit_eval.errors import EstimationError

__all__ = ["PooledEstimate", "pool_estimates"]


@dataclass(frozen=True, slots=True)
class PooledEstimate:
    """What several completed samples say together.

    Attributes
    ----------
    estimate, std_error
        The mean of the estimates, and the root of the total variance.
    df
        Degrees of freedom of its t distribution.
    within, between
        The mean of the squared standard errors, and the variance of the estimates.
    missing_information
        The share of the information on the estimate that is missing, 0 to 1.
    imputations
        How many estimates were pooled.
    """

    estimate: float
    std_error: float
    df: float
    within: float
    between: float
    missing_information: float
    imputations: int

    @property
    def relative_increase(self) -> float:
        """What missing values add to the variance, relative to `within` (mice's `riv`)."""
        return (1 + 1 / self.imputations) * self.between / self.within

    @property
    def missing_share(self) -> float:
        """The share of the total variance that is due to missing values (mice's `lambda`)."""
        return self.relative_increase / (1 + self.relative_increase)


def pool_estimates(estimates: ArrayLike, std_errors: ArrayLike, df: ArrayLike) -> PooledEstimate:
    """Return the pooled estimate with its standard error and degrees of freedom.

    Parameters
    ----------
    estimates, std_errors : arrays of shape (m,)
        Of m completed samples, in the same units.
    df : array of shape (m,)
        Degrees of freedom that each would have if nothing had been missing; may be infinite.

    Raises
    ------
    EstimationError
        If there are fewer than two estimates, shapes differ, or a number is not finite.

    Notes
    -----
    With the mean W of squared standard errors and the variance B of the estimates, the total
    variance is T = W + (1 + 1/m) B. With L = (1 + 1/m) B / T and d the mean of `df`, the
    degrees of freedom are those of Barnard and Rubin, 1 / (1/a + 1/b) with a = (m - 1) / L^2 and
    b = (d + 1) / (d + 3) d (1 - L): never more than d. If all estimates are equal they are
    (d + 1) / (d + 3) d. With r = (1 + 1/m) B / W the missing information is
    (r + 2 / (df + 3)) / (r + 1), and 0 if all estimates are equal.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, section 3.3.
    Barnard, J., & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple
    imputation. *Biometrika*, 86(4), 948-955.
    """
    values, errors, free = (
        np.asarray(numbers, dtype=np.float64) for numbers in (estimates, std_errors, df)
    )
    m = values.size
    if values.ndim != 1 or not values.shape == errors.shape == free.shape or m < 2:
        raise EstimationError(
            "pooling needs the estimates of at least two completed samples, each with a standard "
            f"error and degrees of freedom; shapes are {values.shape}, {errors.shape} and "
            f"{free.shape}."
        )
    if not (np.isfinite(values).all() and np.isfinite(errors).all() and (errors > 0).all()
            and (free > 0).all()):  # fmt: skip
        raise EstimationError(
            "pooling needs finite estimates with standard errors and degrees of freedom above 0; "
            "look at the estimates of the completed samples one by one."
        )
    within, between = float((errors**2).mean()), float(values.var(ddof=1))
    if values.min() == values.max():
        between = 0.0  # and not what rounding leaves of it
    added = (1 + 1 / m) * between
    pooled_df = _degrees_of_freedom(within, added, float(free.mean()), m)
    ratio = added / within
    share = (ratio + 2 / (pooled_df + 3)) / (ratio + 1) if between else 0.0
    return PooledEstimate(
        estimate=float(values.mean()),
        std_error=math.sqrt(within + added),
        df=pooled_df,
        within=within,
        between=between,
        missing_information=share,
        imputations=m,
    )


def _degrees_of_freedom(within: float, added: float, complete: float, m: int) -> float:
    """Return those of Barnard and Rubin, from the two parts of the total variance."""
    inverse = (added / (within + added)) ** 2 / (m - 1)
    if math.isfinite(complete):
        inverse += (complete + 3) / (complete + 1) / complete * (within + added) / within
    return 1 / inverse if inverse else math.inf
