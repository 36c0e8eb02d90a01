"""Which rows an average is over, and the average of predictions there (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.likelihood.families import mean_terms
from homevisit_eval.effects.likelihood.generalized_covariance import Gradient
from homevisit_eval.effects.likelihood.generalized_linear import GeneralizedLinearFit
from homevisit_eval.effects.likelihood.generalized_rows import WHERE
from homevisit_eval.effects.likelihood.predictor_columns import BLOCK_ROWS
from homevisit_eval.errors import EstimationError

__all__ = [
    "AveragedRows",
    "Averaging",
    "DesignMean",
    "PerfectlyPredicted",
    "averaged_rows",
    "mean_of_design",
    "same_as_fitted",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]
Averaging = Literal["fixed", "sampled"]
PerfectlyPredicted = Literal["left out", "no effect"]

SAME = 1e-9  # difference of two linear predictors that is rounding


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AveragedRows:
    """The m rows that an average is over.

    Attributes
    ----------
    at : array of shape (m,)
        Their places among the rows given; fitted rows.
    weights : array of shape (m,)
        Sum to 1, together with `settled_weights`.
    settled_at, settled_weights, settled_outcomes : arrays of shape (s,)
        The same of rows that are predicted perfectly, and what they are predicted to be.
    levels : array of shape (m,), or None
    everywhere
        Whether these are all rows given.
    averaging
    notes : tuple of sentences
    n_given
        Rows given to the fit.
    """

    at: Codes
    weights: Floats
    settled_at: Codes
    settled_weights: Floats
    settled_outcomes: Floats
    levels: Codes | None
    everywhere: bool
    averaging: Averaging
    notes: tuple[str, ...]
    n_given: int

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"AveragedRows({self.count} of {self.n_given} rows)"

    @property
    def count(self) -> int:
        """Rows averaged over."""
        return len(self.at) + len(self.settled_at)

    def predictor(self, fit: GeneralizedLinearFit, design: Floats) -> Floats:
        """Return linear predictors of a design (m, k of columns kept), shape (m,)."""
        eta = np.asarray(design @ fit.fitted.beta, dtype=np.float64)
        if self.levels is not None:
            eta += fit.fitted.effects[self.levels]
        return eta

    def by_level(self, fit: GeneralizedLinearFit, values: Floats) -> Floats:
        """Return sums of values (m,) by absorbed level, shape (L,)."""
        if self.levels is None:
            return np.zeros(0)
        return np.bincount(self.levels, values, fit.fitted.columns.L).astype(np.float64)

    def own_influence(
        self, values: Floats, settled_values: Floats | float, average: float
    ) -> Floats:
        """Return what the sampling of each row adds to the error of an average of values (m,),
        shape (rows given,)."""
        own = np.zeros(self.n_given)
        own[self.at] = self.weights * (values - average)
        own[self.settled_at] = self.settled_weights * (settled_values - average)
        return own


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DesignMean:
    """The average of the means of a design, its gradient, and the means (m,)."""

    mean: float
    gradient: Gradient
    values: Floats

    def __repr__(self) -> str:
        """Show the average, no rows."""
        return f"DesignMean({self.mean:.6g})"

    def influence(self, fit: GeneralizedLinearFit, rows: AveragedRows) -> Floats:
        """Return what each row adds to the error of the average, shape (rows given,)."""
        found = fit.fitted.influence(self.gradient)
        if rows.averaging == "sampled":
            found += rows.own_influence(self.values, rows.settled_outcomes, self.mean)
        return found


def averaged_rows(
    fit: GeneralizedLinearFit,
    over: ArrayLike | None,
    averaging: Averaging,
    perfectly_predicted: PerfectlyPredicted,
) -> AveragedRows:
    """Return the rows that an average is over, their weights with sum 1.

    Raises
    ------
    EstimationError
        If options are unknown, or `over` is unusable.
    """
    _check_options(averaging, perfectly_predicted)
    used, settled = fit.fitted.rows.used, fit.fitted.rows.settled
    perfect = ~np.isnan(settled)
    weights = (used | perfect).astype(np.float64) if over is None else _checked(over, len(used))
    outside = int(((weights > 0) & ~used & ~perfect).sum())
    if outside:
        raise EstimationError(
            f"{WHERE}: over is above 0 in {outside} rows that the model was not fitted to (their "
            "weight is 0); set it to 0 there."
        )
    notes: tuple[str, ...] = ()
    involved = int((perfect & (weights > 0)).sum())
    if involved and perfectly_predicted == "left out":
        notes = (
            f"The average leaves out {involved} rows of absorbed levels that are predicted "
            "perfectly: it is about the others.",
        )
        weights = np.where(perfect, 0.0, weights)
    elif involved:
        notes = (
            f"{involved} rows of absorbed levels that are predicted perfectly are in the average, "
            "with no effect.",
        )
    total = float(weights.sum())
    at = np.flatnonzero((weights > 0) & used)
    if not len(at):
        raise EstimationError(
            f"{WHERE}: over is 0 in all rows that the model was fitted to; give a weight above 0 "
            "to some."
        )
    settled_at = np.flatnonzero((weights > 0) & perfect)
    levels = fit.fitted.columns.levels
    if levels is not None:
        levels = levels[(weights > 0)[used]]
    return AveragedRows(
        at=at,
        weights=weights[at] / total,
        settled_at=settled_at,
        settled_weights=weights[settled_at] / total,
        settled_outcomes=settled[settled_at],
        levels=levels,
        everywhere=len(at) == len(used),
        averaging=averaging,
        notes=notes,
        n_given=len(used),
    )


def mean_of_design(fit: GeneralizedLinearFit, rows: AveragedRows, design: Floats) -> DesignMean:
    """Return the average of the means of a design (m, k), in blocks of rows.

    Raises
    ------
    EstimationError
        If means are infinite.
    """
    eta = rows.predictor(fit, design)
    values, pulled = np.empty(len(eta)), np.empty(len(eta))
    by_beta = np.zeros(design.shape[1])
    for first in range(0, len(eta), BLOCK_ROWS):
        block = slice(first, first + BLOCK_ROWS)
        terms = mean_terms(eta[block], fit.family)
        values[block], pulled[block] = terms.mean, rows.weights[block] * terms.slope
        with np.errstate(invalid="ignore", over="ignore"):  # refused below
            by_beta += pulled[block] @ design[block]
    mean = float(rows.weights @ values + rows.settled_weights @ rows.settled_outcomes)
    if not (np.isfinite(mean) and np.isfinite(by_beta).all()):
        raise EstimationError(
            f"{WHERE}: the design predicts infinite means; check that its columns have the values "
            "that the fit's columns have."
        )
    return DesignMean(mean, (by_beta, rows.by_level(fit, pulled)), values)


def same_as_fitted(fit: GeneralizedLinearFit, rows: AveragedRows, design: Floats) -> Flags:
    """Return the rows (m,) whose linear predictor in a design is that of the fit."""
    eta = fit.fitted.eta
    if len(rows.at) < len(eta):
        eta = eta[(np.cumsum(fit.fitted.rows.used) - 1)[rows.at]]
    here = rows.predictor(fit, design)
    return np.asarray(np.abs(here - eta) <= SAME * (1.0 + np.abs(eta)))


def _checked(over: ArrayLike, n: int) -> Floats:
    try:
        weights = np.asarray(over, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(f"{WHERE}: over must be numbers or a mask.") from None
    if weights.shape != (n,):
        raise EstimationError(
            f"{WHERE}: over has shape {weights.shape}; give one value for each of the {n} rows "
            "given to the fit."
        )
    unusable = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if unusable:
        raise EstimationError(
            f"{WHERE}: {unusable} values of over are missing, infinite or negative; give 0 or more."
        )
    return weights


def _check_options(averaging: str, perfectly_predicted: str) -> None:
    for option, value, known in (
        ("averaging", averaging, get_args(Averaging)),
        ("perfectly_predicted", perfectly_predicted, get_args(PerfectlyPredicted)),
    ):
        if value not in known:
            raise EstimationError(
                f"{WHERE}: {option} must be one of {', '.join(known)}; it is {value!r}."
            )
