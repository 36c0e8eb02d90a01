"""Links between a linear predictor and a probability, with the limits that R's have (arrays)."""

from __future__ import annotations

from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from homevisit_eval.errors import MatchingError

__all__ = ["Link", "check_link", "linear_score", "mean_and_slope"]

FloatArray = NDArray[np.float64]
Link = Literal["logit", "probit", "cloglog"]

EPSILON = float(np.finfo(np.float64).eps)
LARGEST_LOGIT = 30.0  # beyond it R sets the odds to 1 / eps or eps
LARGEST_PROBIT = float(-ndtri(EPSILON))  # about 8.13
LARGEST_CLOGLOG = 700.0  # the slope's exponentials stay finite
NO_DENSITY = 40.0  # the normal density there is 0
SQRT_2PI = float(np.sqrt(2.0 * np.pi))


def check_link(link: str) -> None:
    """Refuse a link that is not one of those offered.

    Raises
    ------
    MatchingError
        If it is none of them.
    """
    if link not in get_args(Link):
        raise MatchingError(f"unknown link {link!r}; it must be logit, probit or cloglog.")


def linear_score(probability: ArrayLike, link: Link = "logit") -> FloatArray:
    """Return the linear predictor of probabilities, in the units of the link.

    Parameters
    ----------
    probability : array of any shape
        Values between 0 and 1, exclusive; NaN stays NaN.
    link
        ``"logit"`` (log odds), ``"probit"`` (standard deviations of a normal), or ``"cloglog"``,
        the complementary log-log: log(-log(1 - p)), a log hazard.

    Raises
    ------
    MatchingError
        If the link is unknown, or a value is 0, 1 or beyond.

    References
    ----------
    McCullagh, P., & Nelder, J. A. (1989). *Generalized Linear Models* (2nd ed.), section 4.3.

    Examples
    --------
    >>> linear_score([0.5]).tolist()
    [0.0]
    """
    check_link(link)
    p = np.asarray(probability, dtype=np.float64)
    outside = int(((p <= 0) | (p >= 1)).sum())
    if outside:
        raise MatchingError(
            f"linear_score needs probabilities between 0 and 1, exclusive; {outside:,} of "
            f"{p.size:,} are not. Leave these units out, or use a model with fewer covariates."
        )
    match link:
        case "logit":
            return np.asarray(np.log(p) - np.log1p(-p))
        case "probit":
            return np.asarray(ndtri(p), dtype=np.float64)
        case "cloglog":
            return np.asarray(np.log(-np.log1p(-p)))
        case _:
            assert_never(link)


def mean_and_slope(eta: FloatArray, link: Link) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the probability, one minus it, and its derivative; all three above 0.

    Parameters
    ----------
    eta : array of shape (n,)
        The linear predictor.
    link
        One of those offered.

    Notes
    -----
    Limits are those of R's ``binomial()``: log odds beyond 30 have odds of 1/eps; a probit is
    held within the normal quantiles of eps, its density at eps or more; a complementary log-log
    has means from eps to 1 - eps, and a slope of eps or more.
    """
    match link:
        case "logit":
            return _logit(eta)
        case "probit":
            held = np.clip(eta, -LARGEST_PROBIT, LARGEST_PROBIT)
            density = np.exp(-0.5 * np.clip(eta, -NO_DENSITY, NO_DENSITY) ** 2) / SQRT_2PI
            return ndtr(held), ndtr(-held), np.maximum(density, EPSILON)
        case "cloglog":
            held = np.minimum(eta, LARGEST_CLOGLOG)
            hazard = np.exp(held)
            mean = np.clip(-np.expm1(-hazard), EPSILON, 1.0 - EPSILON)
            rest = np.clip(np.exp(-hazard), EPSILON, 1.0 - EPSILON)
            return mean, rest, np.maximum(hazard * np.exp(-hazard), EPSILON)
        case _:
            assert_never(link)


def _logit(eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    odds = np.exp(np.clip(eta, -LARGEST_LOGIT, LARGEST_LOGIT))
    extreme = np.abs(eta) > LARGEST_LOGIT
    if extreme.any():
        odds = np.where(extreme, np.where(eta > 0, 1.0 / EPSILON, EPSILON), odds)
    rest = 1.0 / (1.0 + odds)
    mean = odds / (1.0 + odds)
    slope = odds / (1.0 + odds) ** 2
    if extreme.any():
        slope[extreme] = EPSILON
    return mean, rest, slope
