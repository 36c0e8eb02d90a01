"""Scores fitted to rows, weights by score for a target, and where the groups overlap (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.weighting.average_effect import EffectRows, Target, check_groups
from homevisit_eval.effects.weighting.working_models import WorkingModel, fit_treatment
from homevisit_eval.errors import EstimationError

__all__ = [
    "Overlap",
    "ScoredRows",
    "check_bound",
    "check_overlap",
    "inside_bound",
    "score_rows",
    "trimmed_note",
    "weights_by_score",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Overlap = Literal["refuse", "trim"]

NEAR = 0.05  # a row's probability of its own group below which a note counts it
AFTER_TRIMMING = 0.1  # share of the bound that scores fitted again must reach


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScoredRows:
    """Rows with their estimated propensity scores.

    Attributes
    ----------
    rows
    columns : array of shape (n, k)
        Of the score, standard.
    model, probability
        The fitted logit, and the scores, shape (n,).
    kept : array of bool, shape (rows before trimming,)
    notes
    """

    rows: EffectRows
    columns: Floats
    model: WorkingModel
    probability: Floats
    kept: Flags
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"ScoredRows({len(self.rows.y)} of {len(self.kept)} rows)"


def score_rows(
    function: str,
    rows: EffectRows,
    columns: Floats,
    *,
    estimand: Target,
    overlap: Overlap,
    smallest_probability: float,
) -> ScoredRows:
    """Fit the score by logit, and refuse or trim rows whose own group is too improbable.

    Parameters
    ----------
    function
        For messages.
    rows
    columns : array of shape (n, k)
        Standard columns of the score.
    estimand
        Only probabilities that it divides by matter: with the ATT those of comparison rows.
    overlap
        ``"refuse"``: an error if a weight would be above 1 over the bound; ``"trim"``: rows of
        both groups with scores beyond the bound are left out and the score is fitted again.
    smallest_probability
        The bound, above 0 and below .5.

    Raises
    ------
    EstimationError
        If rows are refused, none of a group are left, or the score cannot be fitted.

    References
    ----------
    Crump, R. K., Hotz, V. J., Imbens, G. W., & Mitnik, O. A. (2009). Dealing with limited overlap
    in estimation of average treatment effects. *Biometrika*, 96(1), 187-199.
    """
    check_bound(function, overlap, smallest_probability)
    kept = np.ones(len(rows.y), dtype=bool)
    notes: tuple[str, ...] = ()
    model, probability = fit_treatment(function, rows.treated, columns, rows.weights)
    bound = smallest_probability
    if overlap == "trim":
        kept = inside_bound(probability, estimand, bound)
        if not kept.all():
            rows, columns = rows.only(kept), columns[kept]
            check_groups(function, rows)
            model, probability = fit_treatment(function, rows.treated, columns, rows.weights)
            notes = trimmed_note(kept, bound, "the models were fitted to the others")
            bound *= AFTER_TRIMMING
    notes += check_overlap(function, probability, rows.treated, estimand=estimand, bound=bound)
    return ScoredRows(rows, columns, model, probability, kept, notes)


def check_bound(function: str, overlap: str, smallest_probability: float) -> None:
    """Refuse options that are not offered.

    Raises
    ------
    EstimationError
        If there is one.
    """
    if overlap not in get_args(Overlap) or not 0 < smallest_probability < 0.5:
        raise EstimationError(
            f"{function}: overlap must be refuse or trim, and smallest_probability above 0 and "
            f"below 0.5; they are {overlap!r} and {smallest_probability!r}."
        )


def inside_bound(probability: Floats, estimand: Target, bound: float) -> Flags:
    """Return which rows, of either group, have scores that trimming keeps, shape (n,)."""
    low, high = _sides(estimand)
    return ~((low & (probability < bound)) | (high & (probability > 1 - bound)))


def trimmed_note(kept: Flags, bound: float, then: str) -> tuple[str, ...]:
    """Return the sentence on trimmed rows, none if there are none."""
    if kept.all():
        return ()
    return (
        f"Trimmed: {int((~kept).sum())} rows with scores beyond {bound:g} of 0 or 1 were left "
        f"out, {then}; the estimand is about these.",
    )


def check_overlap(
    function: str, probability: Floats, treated: Flags, *, estimand: Target, bound: float
) -> tuple[str, ...]:
    """Refuse rows whose own group is less probable than the bound; return notes on small ones.

    Raises
    ------
    EstimationError
        If there are such rows.
    """
    low, high = _sides(estimand)
    own = np.ones(len(probability))
    if low:
        own[treated] = probability[treated]
    if high:
        own[~treated] = 1.0 - probability[~treated]
    extreme = int((own < bound).sum())
    if extreme:
        raise EstimationError(
            f"{function}: {extreme} of {len(own)} rows have a probability of their own group below "
            f"{bound:g}, so that single rows would decide the estimate. Leave them out by "
            "overlap='trim', use the overlap population (ATO), or use fewer covariates."
        )
    near = int((own < NEAR).sum())
    if not near:
        return ()
    return (
        f"{near} of {len(own)} rows have a probability of their own group below {NEAR:g}: the "
        "estimate leans on few rows.",
    )


def weights_by_score(probability: Floats, *, estimand: Target, arm: bool) -> tuple[Floats, Floats]:
    """Return the weights of an arm's rows, and their derivatives by the log odds of the score.

    Parameters
    ----------
    probability : array of shape (n,)
        The propensity score p.
    estimand
        ATE: 1/p and 1/(1 - p); ATT: 1 and p/(1 - p); ATC: (1 - p)/p and 1; ATO: 1 - p and p.
    arm
        True for the treated rows.
    """
    p, rest = probability, 1.0 - probability
    match estimand:
        case "ATE":
            return (1.0 / p, -rest / p) if arm else (1.0 / rest, p / rest)
        case "ATT":
            return (np.ones(len(p)), np.zeros(len(p))) if arm else (p / rest, p / rest)
        case "ATC":
            return (rest / p, -rest / p) if arm else (np.ones(len(p)), np.zeros(len(p)))
        case "ATO":
            return (rest, -p * rest) if arm else (p, p * rest)
        case _:
            assert_never(estimand)


def _sides(estimand: Target) -> tuple[bool, bool]:
    """Say whether scores near 0, and near 1, lead to large weights."""
    return estimand in ("ATE", "ATC"), estimand in ("ATE", "ATT")
