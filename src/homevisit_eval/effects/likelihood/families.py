"""Families of outcomes: what a row adds to the likelihood of a generalized linear model (arrays).

All are concave in the linear predictor (given the dispersion), so a maximum is the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_ndtr, ndtr, ndtri

from homevisit_eval.errors import EstimationError

__all__ = [
    "FAMILIES",
    "FRACTIONAL",
    "Family",
    "MeanTerms",
    "RowTerms",
    "check_outcomes",
    "is_bounded",
    "is_canonical",
    "is_certain",
    "mean_terms",
    "row_terms",
    "starting_predictor",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Family = Literal[
    "logit",
    "probit",
    "cloglog",
    "fractional_logit",
    "fractional_probit",
    "poisson",
    "negative_binomial",
]
FAMILIES: tuple[Family, ...] = get_args(Family)
Curve: TypeAlias = Literal["logit", "probit", "cloglog", "log"]

BINARY: tuple[Family, ...] = ("logit", "probit", "cloglog")
FRACTIONAL: tuple[Family, ...] = ("fractional_logit", "fractional_probit")
CURVES: dict[Family, Curve] = {
    "logit": "logit",
    "probit": "probit",
    "cloglog": "cloglog",
    "fractional_logit": "logit",
    "fractional_probit": "probit",
    "poisson": "log",
    "negative_binomial": "log",
}

LOG_ROOT_2PI = float(0.5 * np.log(2.0 * np.pi))
LARGEST_LOG_HAZARD = 6.5  # exp(-exp(6.5)) is 1e-289: a hazard beyond it is certain
SMALL_HAZARD = 1e-4  # below it the curvature is taken from its series
CERTAIN_BELOW = 1e-6  # distance of a mean from an outcome at the limit of its range


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowTerms:
    """What rows of weight 1 add, each an array of shape (n,).

    Attributes
    ----------
    objective
        The (quasi) log likelihood, but for a constant.
    score
        Its derivative by the linear predictor.
    observed, expected
        Minus its second derivative by the linear predictor, and the expectation of that where
        the model of the mean is right. They are equal for canonical links.
    """

    objective: Floats
    score: Floats
    observed: Floats
    expected: Floats

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"RowTerms({len(self.score)} rows)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeanTerms:
    """The mean at a linear predictor, with its first and second derivative, (n,) each."""

    mean: Floats
    slope: Floats
    curvature: Floats

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"MeanTerms({len(self.mean)} rows)"


def is_bounded(family: Family) -> bool:
    """Return whether means lie between 0 and 1."""
    return CURVES[family] != "log"


def is_canonical(family: Family) -> bool:
    """Return whether observed and expected information are the same."""
    return family in ("logit", "fractional_logit", "poisson")


def check_outcomes(y: Floats, family: Family) -> None:
    """Refuse outcomes (n,) that the family cannot have, or that have no finite fit.

    Raises
    ------
    EstimationError
        With their number.
    """
    if family not in FAMILIES:
        raise EstimationError(
            f"generalized linear model: family must be one of {', '.join(FAMILIES)}; it is "
            f"{family!r}."
        )
    if family in BINARY:
        wrong, range_of = ~((y == 0) | (y == 1)), "0 or 1"
        advice = "correct them, or choose a fractional or a linear model"
    elif family in FRACTIONAL:
        wrong, range_of = ~((y >= 0) & (y <= 1)), "in [0, 1]"
        advice = "correct them, divide by their largest possible value, or choose a linear model"
    elif family == "poisson":
        wrong, range_of = ~(y >= 0), "0 or more"
        advice = "correct them, or choose a linear model"
    else:
        wrong, range_of = ~((y >= 0) & (y == np.floor(y))), "whole numbers of 0 or more"
        advice = "correct them, or choose poisson, which takes any number of 0 or more"
    count = int(wrong.sum())
    if count:
        raise EstimationError(
            f"generalized linear model: {count} of {len(y)} outcomes are not {range_of}, as "
            f"{family} needs; {advice}."
        )
    if (y == 0).all() or (is_bounded(family) and (y == 1).all()):
        raise EstimationError(
            f"generalized linear model: all {len(y)} outcomes are the same and at the limit of "
            f"their range, so {family} has no finite fit; report the mean without a model."
        )


def starting_predictor(y: Floats, weights: Floats, family: Family) -> Floats:
    """Return linear predictors near the outcomes, shape (n,), to start from.

    Parameters
    ----------
    y, weights : arrays of shape (n,)
        Weights have a mean of about 1.
    family
    """
    if not is_bounded(family):
        return np.asarray(np.log(y + 0.1), dtype=np.float64)
    mean = (weights * y + 0.5) / (weights + 1.0)
    match CURVES[family]:
        case "logit":
            return np.asarray(np.log(mean) - np.log1p(-mean))
        case "probit":
            return np.asarray(ndtri(mean), dtype=np.float64)
        case _:
            return np.asarray(np.log(-np.log1p(-mean)))


def row_terms(eta: Floats, y: Floats, family: Family, dispersion: float = 0.0) -> RowTerms:
    """Return what rows of weight 1 add to objective, score and information.

    Parameters
    ----------
    eta : array of shape (n,)
        Linear predictor.
    y : array of shape (n,)
    family
    dispersion
        Of the negative binomial: variance mean + dispersion * mean^2.

    Notes
    -----
    Objectives are y log(mean) + (1 - y) log(1 - mean) for binary outcomes and fractions (for
    fractions a quasi likelihood, right for the mean whatever the distribution), y log(mean) -
    mean for Poisson, and y log(mean) - (y + 1/a) log(1 + a mean) for the negative binomial of
    dispersion a.

    References
    ----------
    McCullagh, P., & Nelder, J. A. (1989). *Generalized Linear Models* (2nd ed.).
    Papke, L. E., & Wooldridge, J. M. (1996). Econometric methods for fractional response
    variables. *Journal of Applied Econometrics*, 11(6), 619-632.
    """
    match CURVES[family]:
        case "logit":
            return _logit_terms(eta, y)
        case "probit":
            return _probit_terms(eta, y)
        case "cloglog":
            return _cloglog_terms(eta, y)
        case "log":
            return _count_terms(eta, y, dispersion if family == "negative_binomial" else 0.0)
        case _ as unknown:
            assert_never(unknown)


def mean_terms(eta: Floats, family: Family) -> MeanTerms:
    """Return means at linear predictors (n,), with their derivatives."""
    match CURVES[family]:
        case "logit":
            mean, rest = expit(eta), expit(-eta)
            slope = mean * rest
            return MeanTerms(mean, slope, slope * (rest - mean))
        case "probit":
            slope = np.exp(-0.5 * eta * eta - LOG_ROOT_2PI)
            return MeanTerms(ndtr(eta), slope, -eta * slope)
        case "cloglog":
            hazard = np.exp(np.minimum(eta, LARGEST_LOG_HAZARD))
            slope = hazard * np.exp(-hazard)
            return MeanTerms(-np.expm1(-hazard), slope, slope * (1.0 - hazard))
        case "log":
            with np.errstate(over="ignore"):
                mean = np.exp(eta)
            return MeanTerms(mean, mean, mean)
        case _ as unknown:
            assert_never(unknown)


def is_certain(eta: Floats, y: Floats, family: Family) -> Flags:
    """Return which outcomes stand at the limit of their range with means (all but) there, (n,)."""
    terms = mean_terms(eta, family)
    certain = (y == 0) & (terms.mean < CERTAIN_BELOW)
    if is_bounded(family):
        certain |= (y == 1) & (1.0 - terms.mean < CERTAIN_BELOW)
    return np.asarray(certain)


def _logit_terms(eta: Floats, y: Floats) -> RowTerms:
    small = np.exp(-np.abs(eta))  # of the less likely outcome, against the other
    mean = np.where(eta >= 0, 1.0, small) / (1.0 + small)
    objective = y * eta - np.maximum(eta, 0.0) - np.log1p(small)
    information = small / (1.0 + small) ** 2
    return RowTerms(objective, y - mean, information, information)


def _probit_terms(eta: Floats, y: Floats) -> RowTerms:
    log_mean, log_rest = log_ndtr(eta), log_ndtr(-eta)
    log_density = -0.5 * eta * eta - LOG_ROOT_2PI
    above, below = np.exp(log_density - log_mean), np.exp(log_density - log_rest)
    observed = y * above * (above + eta) + (1.0 - y) * below * (below - eta)
    return RowTerms(
        y * log_mean + (1.0 - y) * log_rest,
        y * above - (1.0 - y) * below,
        np.maximum(observed, 0.0),
        above * below,
    )


def _cloglog_terms(eta: Floats, y: Floats) -> RowTerms:
    hazard = np.exp(np.minimum(eta, LARGEST_LOG_HAZARD))
    grown = np.expm1(hazard)
    ratio = hazard / np.maximum(grown, np.finfo(float).tiny)
    lost = -np.expm1(-hazard)
    excess = np.where(
        hazard < SMALL_HAZARD,
        hazard * (0.5 + hazard / 12.0),
        hazard / np.maximum(lost, np.finfo(float).tiny) - 1.0,
    )
    return RowTerms(
        y * np.log(np.maximum(lost, np.finfo(float).tiny)) - (1.0 - y) * hazard,
        y * ratio - (1.0 - y) * hazard,
        y * ratio * excess + (1.0 - y) * hazard,
        hazard * ratio,
    )


def _count_terms(eta: Floats, y: Floats, dispersion: float) -> RowTerms:
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.exp(eta)
        if dispersion == 0:
            return RowTerms(y * eta - mean, y - mean, mean, mean)
        spread = 1.0 + dispersion * mean
        expected = mean / spread
        objective = y * eta - (y + 1.0 / dispersion) * np.log1p(dispersion * mean)
        observed = expected * (1.0 + dispersion * y) / spread
        return RowTerms(objective, (y - mean) / spread, observed, expected)
