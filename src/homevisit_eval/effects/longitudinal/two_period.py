"""The effect on a group of a change between two periods, four ways (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.weighting.working_models import (
    Regression,
    WorkingModel,
    dropped_note,
    fit_outcome,
    fit_treatment,
)
from homevisit_eval.errors import EstimationError

__all__ = ["Changes", "Estimation", "Score", "change_effect", "group_score"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimation = Literal["unconditional", "outcome_regression", "inverse_probability", "doubly_robust"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Changes:
    """Changes of the outcome between two periods, in a treated and a comparison group.

    Attributes
    ----------
    change : array of shape (n,)
    treated : array of bool, shape (n,)
    columns : array of shape (n, k)
        An intercept first.
    weights : array of shape (n,)
        Above 0.
    """

    change: Floats
    treated: Flags
    columns: Floats
    weights: Floats

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"Changes({int(self.treated.sum())} treated of {len(self.treated)} units)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Score:
    """The logit of group membership, with the odds of each unit.

    Attributes
    ----------
    model
    odds : array of shape (n,)
        Probability of the treated group over that of the comparison group; 0 for comparison
        units that are trimmed.
    trimmed
        How many are.
    """

    model: WorkingModel
    odds: Floats
    trimmed: int

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"Score({len(self.odds)} units, {self.trimmed} trimmed)"


def group_score(
    function: str,
    treated: Flags,
    columns: Floats,
    weights: Floats,
    *,
    overlap: Literal["refuse", "trim"],
    highest_probability: float,
) -> Score:
    """Fit the probability of the treated group by logit.

    Raises
    ------
    EstimationError
        If it cannot be fitted, or comparison units have a higher probability than allowed.
    """
    model, probability = fit_treatment(function, treated, columns, weights)
    high = ~treated & (probability > highest_probability)
    count = int(high.sum())
    if count and overlap == "refuse":
        raise EstimationError(
            f"{function}: {count} of {int((~treated).sum())} comparison units have a probability "
            f"of the treated group above {highest_probability:g}, so they would count many times. "
            "Use fewer covariates, or overlap='trim' to leave them out."
        )
    with np.errstate(over="ignore", divide="ignore"):
        odds = np.exp(columns @ model.coefficients)
    odds = np.where(high | treated, 0.0, odds)
    return Score(model, odds, count)


def change_effect(
    function: str, rows: Changes, estimation: Estimation, score: Score | None
) -> tuple[float, Floats, tuple[str, ...]]:
    """Return the effect on the treated group, the influence of each unit (n,), and notes.

    Parameters
    ----------
    function
        For messages.
    rows
    estimation
    score
        For ``"inverse_probability"`` and ``"doubly_robust"``.

    Raises
    ------
    EstimationError
        If a model cannot be fitted.

    Notes
    -----
    With D the treated group, s weights, m(x) the comparison group's regression of the change
    (0 if there is none), and r(x) the odds of D (1 if there is none), the effect is

    .. math:: \\frac{\\sum s D (\\Delta y - m)}{\\sum s D}
              - \\frac{\\sum s (1 - D) r (\\Delta y - m)}{\\sum s (1 - D) r},

    where without r the second term is left out when there is an m, as it is 0. Influence takes
    the estimation of m and r into account.
    """
    D, s, columns = rows.treated, rows.weights, rows.columns
    left: Floats = rows.change
    notes: tuple[str, ...] = ()
    model = None
    if estimation in ("outcome_regression", "doubly_robust"):
        model = fit_outcome(
            function, Regression(rows.change, columns, s * ~D, "linear"), "comparison"
        )
        left = rows.change - model.predict(columns)[0]
        notes = dropped_note(model, columns, "comparison")
    own = s * D / (s @ D)
    mean = float(own @ left)
    phi = own * (left - mean)
    gradient = -columns.T @ own  # of the effect by the coefficients of m
    effect = mean
    if estimation != "outcome_regression":
        other = s * ~D if score is None else s * score.odds
        other = other / other.sum()
        moved = float(other @ left)
        effect -= moved
        rest = other * (left - moved)
        phi = phi - rest
        gradient = gradient + columns.T @ other
        if score is not None:
            phi = phi - score.model.carried(columns.T @ rest)
    if model is not None:
        phi = phi + model.carried(gradient)
    return effect, phi, notes
