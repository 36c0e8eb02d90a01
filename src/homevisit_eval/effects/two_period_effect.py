"""The effect on the treated between two periods, with the influence of every unit (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.working_models import (
    Regression,
    WorkingModel,
    dropped_note,
    fit_outcome,
    fit_treatment,
    standard_columns,
)
from homevisit_eval.errors import EstimationError

__all__ = ["ChangeMethod", "TwoPeriodEffect", "two_period_effect"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
ChangeMethod = Literal[
    "unconditional", "outcome regression", "inverse probability weighting", "doubly robust"
]

HIGHEST_PROBABILITY = 0.999  # of treatment, of a comparison unit: its weight is near 1,000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TwoPeriodEffect:
    """The effect on the treated, in units of the outcome.

    Attributes
    ----------
    estimate
    influence : array of shape (n,)
        What each unit adds to the error of the estimate: the sum of their squares is its
        variance.
    notes : tuple of sentences
    """

    estimate: float
    influence: Floats
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the estimate, no units."""
        return f"TwoPeriodEffect({self.estimate:.6g}, n = {len(self.influence)})"


def two_period_effect(
    function: str,
    change: Floats,
    treated: Flags,
    X: Floats,
    weights: Floats,
    *,
    method: ChangeMethod,
) -> TwoPeriodEffect:
    """Return the effect on the treated from changes of treated and comparison units.

    Parameters
    ----------
    function
        For messages.
    change : array of shape (n,)
        The outcome in the later period less that in the base period.
    treated : array of bool, shape (n,)
        Both groups occur.
    X : array of shape (n, k)
        Covariates without an intercept; k may be 0.
    weights : array of shape (n,)
        Above 0.
    method
        ``"unconditional"``: the difference of mean changes. ``"outcome regression"``: changes of
        the comparison units, by linear regression on X, are predicted for the treated
        (Heckman, Ichimura & Todd 1997). ``"inverse probability weighting"``: comparison units
        are weighted by the odds of a logit score, weights normalized (Abadie 2005).
        ``"doubly robust"``: both (Sant'Anna & Zhao 2020, their equation 2.9).

    Raises
    ------
    EstimationError
        If a model cannot be fitted, or covariates separate the groups.

    Notes
    -----
    With p the score, m the regression of changes in comparison units, w1 = w D, and w0 =
    w (1 - D) p / (1 - p), the doubly robust effect is

    .. math:: \\sum w_1 (\\Delta - m) / \\sum w_1 - \\sum w_0 (\\Delta - m) / \\sum w_0.

    Influence takes the estimation of p and m into account (their theorem 1, without the
    assumption that the models are right).

    References
    ----------
    Sant'Anna, P. H. C., & Zhao, J. (2020). Doubly robust difference-in-differences estimators.
    *Journal of Econometrics*, 219(1), 101-122.
    """
    w1, comparison = weights * treated, weights * ~treated
    columns = standard_columns(X)
    w0, score = comparison, None
    if method in ("inverse probability weighting", "doubly robust") and columns.shape[1] > 1:
        score, probability = fit_treatment(function, treated, columns, weights)
        _check_overlap(function, probability, treated)
        w0 = comparison * probability / (1.0 - probability)
    residual, outcome = change, None
    notes: tuple[str, ...] = ()
    if method in ("outcome regression", "doubly robust"):
        outcome = fit_outcome(
            function, Regression(change, columns, comparison, "linear"), "comparison"
        )
        residual = change - outcome.predict(columns)[0]
        notes = dropped_note(outcome, columns, "comparison")
    if method == "outcome regression":
        estimate = float(w1 @ residual) / float(w1.sum())
        influence = w1 * (residual - estimate) / w1.sum()
        assert outcome is not None
        influence -= outcome.carried(columns.T @ w1 / w1.sum())
        return TwoPeriodEffect(estimate, influence, notes)
    estimate, influence = _difference(residual, columns, (w1, w0), (score, outcome))
    return TwoPeriodEffect(estimate, influence, notes)


def _difference(
    residual: Floats,
    columns: Floats,
    weights: tuple[Floats, Floats],
    models: tuple[WorkingModel | None, WorkingModel | None],
) -> tuple[float, Floats]:
    """Return the difference of two weighted means and its influence through score and outcome."""
    (w1, w0), (score, outcome) = weights, models
    total1, total0 = float(w1.sum()), float(w0.sum())
    mean1, mean0 = float(w1 @ residual) / total1, float(w0 @ residual) / total0
    influence = w1 * (residual - mean1) / total1 - w0 * (residual - mean0) / total0
    if outcome is not None:
        influence += outcome.carried(columns.T @ (w0 / total0 - w1 / total1))
    if score is not None:
        influence -= score.carried(columns.T @ (w0 * (residual - mean0)) / total0)
    return mean1 - mean0, influence


def _check_overlap(function: str, probability: Floats, treated: Flags) -> None:
    certain = int((probability[~treated] > HIGHEST_PROBABILITY).sum())
    if certain:
        raise EstimationError(
            f"{function}: {certain} of {int((~treated).sum())} comparison units have a "
            f"probability of treatment above {HIGHEST_PROBABILITY}, so that they would stand for "
            "1,000 treated units each. Use fewer covariates, leave out units without a "
            "counterpart, or choose method='outcome regression'."
        )
