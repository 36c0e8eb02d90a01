"""Effects by weighting, with the estimation of the weights taken into account (arrays)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.weighting.average_effect import (
    AverageEffect,
    EffectRows,
    Target,
    checked_columns,
    checked_rows,
    clustered_effect,
)
from homevisit_eval.effects.weighting.overlap import Overlap, score_rows, weights_by_score
from homevisit_eval.effects.weighting.working_models import independent, standard_columns
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.matching.weighting import entropy_balancing_weights

__all__ = ["Weighting", "given_weights_effect", "weighted_effect"]

Floats = NDArray[np.float64]
Weighting = Literal["inverse probability", "overlap", "entropy balancing"]
BalancedTarget = Literal["ATT", "ATC", "ATE"]

FUNCTION = "weighted_effect"
GIVEN = "given_weights_effect"


def weighted_effect(
    y: ArrayLike,
    treated: ArrayLike,
    X: ArrayLike,
    *,
    estimand: Target,
    weighting: Weighting = "inverse probability",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    overlap: Overlap = "refuse",
    smallest_probability: float = 0.001,
) -> AverageEffect:
    """Return the difference of weighted means, weights estimated from X, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    X : array of shape (n, k)
        Columns of the propensity score (a logit), or those that are balanced; no intercept.
    estimand
        ``"ATT"``, ``"ATC"``, ``"ATE"``; with overlap weights ``"ATO"``, the average effect in the
        overlap population, where rows count by p (1 - p).
    weighting
        ``"inverse probability"``, ``"overlap"`` or ``"entropy balancing"``, as in
        `homevisit_eval.matching.weighting`.
    weights : array of shape (n,), optional
        Sampling weights, 0 or above; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; each row its own if not given.
    overlap, smallest_probability
        With inverse probability weights: what happens where a row's own group is less probable
        than this bound (of those that the estimand divides by). ``"refuse"``: an error.
        ``"trim"``: rows of both groups with such scores are left out and the score fitted again.
        Probabilities below .05 are counted in the notes.

    Returns
    -------
    AverageEffect

    Raises
    ------
    EstimationError
        If the input is unusable, groups do not overlap, no weights balance the columns, or the
        score cannot be fitted.

    Notes
    -----
    Each mean solves :math:`\\sum s w (y - \\mu) = 0` over its group (weights are normalized). Its
    equations are stacked with those of the weights. With the score, influence gains the term of
    the derivative of w by the logit's coefficients (Lunceford & Davidian 2004). Ignoring it
    makes standard errors too large for the ATE, if the score is right; for the ATT too large or
    too small. With entropy balancing w = exp(l'(x - t)), t the target's means: the influence of a
    reweighted mean is

    .. math:: w (y - \\mu - b'(x - t)) / \\sum w + b' \\phi_t,

    b the slopes of the regression of y on x with weights w in the group, phi_t the influence of
    t: as if the outcome had been adjusted by regression (Zhao & Percival 2017). The variance is
    G / (G - 1) times the sum of squared cluster sums of influence; degrees of freedom are G - 1.

    References
    ----------
    Lunceford, J. K., & Davidian, M. (2004). Stratification and weighting via the propensity score
    in estimation of causal treatment effects: a comparative study. *Statistics in Medicine*,
    23(19), 2937-2960.
    Li, F., Morgan, K. L., & Zaslavsky, A. M. (2018). Balancing covariates via propensity score
    weighting. *Journal of the American Statistical Association*, 113(521), 390-400.
    Zhao, Q., & Percival, D. (2017). Entropy balancing is doubly robust. *Journal of Causal
    Inference*, 5(1), 20160010.

    Examples
    --------
    >>> y, visited, x = [1, 2, 3, 5, 4, 6], [0, 0, 0, 1, 1, 1], [[0], [1], [0], [1], [0], [1]]
    >>> round(weighted_effect(y, visited, x, estimand="ATT").estimate, 6)
    3.0
    """
    _check_options(estimand, weighting)
    rows = checked_rows(FUNCTION, y, treated, weights, clusters)
    matrix = checked_columns(FUNCTION, X, rows.used)
    if weighting == "entropy balancing" and estimand != "ATO":
        return _balanced_effect(rows, matrix, estimand)
    scored = score_rows(
        FUNCTION,
        rows,
        standard_columns(matrix),
        estimand=estimand,
        overlap=overlap,
        smallest_probability=smallest_probability,
    )
    rows, means, influences = scored.rows, [], []
    for arm in (True, False):
        member = rows.weights * (rows.treated == arm)
        w, slope = weights_by_score(scored.probability, estimand=estimand, arm=arm)
        mean, phi, total = _weighted_mean(rows.y, member * w)
        through_score = scored.columns.T @ (member * slope * (rows.y - mean))
        means.append(mean)
        influences.append(phi + scored.model.carried(through_score) / total)
    return clustered_effect(
        rows,
        (means[0], means[1]),
        (influences[0], influences[1]),
        estimand=estimand,
        recipe=f"{weighting} weights, estimated logit score taken into account",
        notes=scored.notes,
    )


def given_weights_effect(
    y: ArrayLike,
    treated: ArrayLike,
    weights: ArrayLike,
    *,
    estimand: Target,
    clusters: ArrayLike | None = None,
) -> AverageEffect:
    """Return the difference of weighted means, the weights taken as known, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    weights : array of shape (n,)
        Sampling weights times those of a known score or of matching; 0 or above.
    estimand
        What the weights target; for the result's words only.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; each row its own if not given.

    Returns
    -------
    AverageEffect

    Raises
    ------
    EstimationError
        If the input is unusable, or there are fewer than two clusters.

    Notes
    -----
    The estimate and the sandwich are those of the weighted regression of y on treatment, the
    latter times G / (G - 1). If the weights were estimated, `weighted_effect` says how much that
    changes the standard error.
    """
    if estimand not in get_args(Target):
        raise EstimationError(f"{GIVEN}: unknown estimand {estimand!r}; it must be ATT, ATC, ATE "
                              "or ATO.")  # fmt: skip
    rows = checked_rows(GIVEN, y, treated, weights, clusters)
    (first, phi, _), (second, psi, _) = (
        _weighted_mean(rows.y, rows.weights * members) for members in (rows.treated, ~rows.treated)
    )
    return clustered_effect(
        rows, (first, second), (phi, psi), estimand=estimand, recipe="weights taken as known"
    )


def _balanced_effect(rows: EffectRows, matrix: Floats, estimand: BalancedTarget) -> AverageEffect:
    aim = {"ATT": rows.treated, "ATC": ~rows.treated}.get(estimand, np.ones(len(rows.y), bool))
    try:
        balance = entropy_balancing_weights(
            matrix, rows.treated, estimand=estimand, base_weights=rows.weights
        )
    except MatchingError as error:
        raise EstimationError(f"{FUNCTION}: {error}") from None
    columns = standard_columns(matrix)[:, 1:]
    share = rows.weights * aim / (rows.weights @ aim)
    distance = columns - share @ columns  # x - t
    of_target = share[:, None] * distance  # influence of t
    means, influences = [], []
    for arm in (True, False):
        w = balance.weights * (rows.treated == arm)
        mean, phi, total = _weighted_mean(rows.y, w)
        if estimand != ("ATT" if arm else "ATC"):
            slopes = _slopes(rows.y - mean, distance, w)
            phi = w * (rows.y - mean - distance @ slopes) / total + of_target @ slopes
        means.append(mean)
        influences.append(phi)
    return clustered_effect(
        rows,
        (means[0], means[1]),
        (influences[0], influences[1]),
        estimand=estimand,
        recipe="entropy balancing weights, their estimation taken into account",
    )


def _weighted_mean(y: Floats, w: Floats) -> tuple[float, Floats, float]:
    """Return the mean, the influence of rows on it with w known, and the sum of w."""
    total = float(w.sum())
    mean = float(w @ y) / total
    return mean, w * (y - mean) / total, total


def _slopes(y: Floats, distance: Floats, w: Floats) -> Floats:
    """Return the slopes of a regression with weights w, 0 for columns that others determine.

    Weighted means of `distance` are 0, so no intercept is needed.
    """
    root = np.sqrt(w[w > 0])
    A = distance[w > 0] * root[:, None]
    kept = independent(A)
    slopes = np.zeros(A.shape[1])
    slopes[kept] = np.linalg.lstsq(A[:, kept], y[w > 0] * root, rcond=None)[0]
    return slopes


def _check_options(estimand: str, weighting: str) -> None:
    if estimand not in get_args(Target) or weighting not in get_args(Weighting):
        raise EstimationError(
            f"{FUNCTION}: estimand must be ATT, ATC, ATE or ATO, and weighting inverse "
            f"probability, overlap or entropy balancing; they are {estimand!r} and {weighting!r}."
        )
    if (weighting == "overlap") != (estimand == "ATO"):
        raise EstimationError(
            f"{FUNCTION}: overlap weights are about the overlap population (ATO), and only they; "
            f"weighting is {weighting!r} and estimand {estimand!r}."
        )
