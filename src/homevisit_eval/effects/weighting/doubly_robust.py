"""Doubly robust effects: right if the outcome model or the score is (arrays)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.weighting.average_effect import (
    AverageEffect,
    checked_columns,
    checked_rows,
    clustered_effect,
)
from homevisit_eval.effects.weighting.overlap import (
    Overlap,
    ScoredRows,
    score_rows,
    weights_by_score,
)
from homevisit_eval.effects.weighting.working_models import (
    OutcomeModel,
    Regression,
    dropped_note,
    fit_outcome,
    standard_columns,
)
from homevisit_eval.errors import EstimationError

__all__ = ["DoublyRobustMethod", "doubly_robust_effect"]

Floats = NDArray[np.float64]
DoublyRobustMethod = Literal["AIPW", "IPWRA"]
Estimand = Literal["ATT", "ATC", "ATE"]

FUNCTION = "doubly_robust_effect"


def doubly_robust_effect(
    y: ArrayLike,
    treated: ArrayLike,
    X: ArrayLike,
    *,
    estimand: Estimand,
    method: DoublyRobustMethod = "AIPW",
    outcome_model: OutcomeModel = "linear",
    propensity_columns: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    overlap: Overlap = "refuse",
    smallest_probability: float = 0.001,
) -> AverageEffect:
    """Return the average effect that is right if one of two models is, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    X : array of shape (n, k)
        Columns of the outcome model, without an intercept. It is fitted to each group apart.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.
    method
        ``"AIPW"``: predictions plus weighted residuals (Robins, Rotnitzky & Zhao 1994).
        ``"IPWRA"``: predictions of an outcome model that is itself fitted with the inverse
        probability weights (Wooldridge 2007); it keeps means within the range of the model.
    outcome_model
        ``"linear"``, ``"logit"`` (y from 0 to 1, fractions too) or ``"poisson"`` (y of 0 or more).
    propensity_columns : array of shape (n, m), optional
        Columns of the propensity score (a logit), without an intercept; X if not given.
    weights : array of shape (n,), optional
        Sampling weights, 0 or above; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; each row its own if not given.
    overlap, smallest_probability
        What happens where a row's own group is less probable than this bound (of those that the
        estimand divides by): ``"refuse"``: an error. ``"trim"``: rows of both groups with such
        scores are left out, and all models fitted to the others. Probabilities below .05 are
        counted in the notes.

    Returns
    -------
    AverageEffect
        The standard error takes the estimation of all models into account.

    Raises
    ------
    EstimationError
        If the input is unusable, groups do not overlap, or a model cannot be fitted.

    Notes
    -----
    With h = 1 (ATE), D (ATT) or 1 - D (ATC), weights w_a(p) = h's share over the probability of
    group a, and sampling weights s, the mean of group a under AIPW is

    .. math:: \\sum s [h m_a(x) + 1(D = a) w_a(p) (y - m_a(x))] / \\sum s h,

    and under IPWRA :math:`\\sum s h m_a(x) / \\sum s h` with m_a fitted by weights s w_a(p). All
    links are canonical, as double robustness of IPWRA asks. The equations of score, outcome
    models and means are stacked (M-estimation), so that the standard error is right also when
    one of the models is wrong. It is the root of G / (G - 1) times the sum of squared cluster
    sums of influence, with G - 1 degrees of freedom.

    References
    ----------
    Robins, J. M., Rotnitzky, A., & Zhao, L. P. (1994). Estimation of regression coefficients
    when some regressors are not always observed. *Journal of the American Statistical
    Association*, 89(427), 846-866.
    Wooldridge, J. M. (2007). Inverse probability weighted estimation for general missing data
    problems. *Journal of Econometrics*, 141(2), 1281-1301.
    Stefanski, L. A., & Boos, D. D. (2002). The calculus of M-estimation. *The American
    Statistician*, 56(1), 29-38.

    Examples
    --------
    >>> y, visited, x = [1, 2, 3, 5, 4, 6], [0, 0, 0, 1, 1, 1], [[0], [1], [0], [1], [0], [1]]
    >>> round(doubly_robust_effect(y, visited, x, estimand="ATT").estimate, 6)
    3.0
    """
    if estimand not in get_args(Estimand) or method not in get_args(DoublyRobustMethod):
        raise EstimationError(
            f"{FUNCTION}: estimand must be ATT, ATC or ATE and method AIPW or IPWRA; they are "
            f"{estimand!r} and {method!r}."
        )
    rows = checked_rows(FUNCTION, y, treated, weights, clusters)
    columns = standard_columns(checked_columns(FUNCTION, X, rows.used))
    of_score = columns
    if propensity_columns is not None:
        of_score = standard_columns(
            checked_columns(FUNCTION, propensity_columns, rows.used, "propensity_columns")
        )
    scored = score_rows(
        FUNCTION,
        rows,
        of_score,
        estimand=estimand,
        overlap=overlap,
        smallest_probability=smallest_probability,
    )
    columns = columns[scored.kept]
    arms = [
        _mean(scored, columns, arm=arm, estimand=estimand, method=method, family=outcome_model)
        for arm in (True, False)
    ]
    return clustered_effect(
        scored.rows,
        (arms[0][0], arms[1][0]),
        (arms[0][1], arms[1][1]),
        estimand=estimand,
        recipe=f"{method}, {outcome_model} outcome model and logit score, stacked equations",
        notes=(*scored.notes, *arms[0][2], *arms[1][2]),
    )


def _mean(
    scored: ScoredRows,
    columns: Floats,
    *,
    arm: bool,
    estimand: Estimand,
    method: DoublyRobustMethod,
    family: OutcomeModel,
) -> tuple[float, Floats, tuple[str, ...]]:
    """Return the mean of the target population in one arm, its influence by row, and notes."""
    rows, s = scored.rows, scored.rows.weights
    member = rows.treated == arm
    everybody = np.ones(len(s), dtype=bool)
    share = s * {"ATE": everybody, "ATT": rows.treated, "ATC": ~rows.treated}[estimand]
    total = float(share.sum())
    if estimand == ("ATT" if arm else "ATC"):  # the arm is the target: no model is needed
        mean = float(share @ rows.y) / total
        return mean, share * (rows.y - mean) / total, ()
    group = "treated" if arm else "comparison"
    w, slope_of_w = weights_by_score(scored.probability, estimand=estimand, arm=arm)
    own, moved = s * member * w, s * member * slope_of_w
    fitted_with = own if method == "IPWRA" else s * member
    model = fit_outcome(FUNCTION, Regression(rows.y, columns, fitted_with, family), group)
    predicted, slope = model.predict(columns)
    residual = rows.y - predicted
    if method == "AIPW":
        mean = float(share @ predicted + own @ residual) / total
        phi = share * (predicted - mean) + own * residual
        phi += model.carried(columns.T @ ((share - own) * slope))
        phi += scored.model.carried(scored.columns.T @ (moved * residual))
    else:
        mean = float(share @ predicted) / total
        through_score = columns.T @ ((moved * residual)[:, None] * scored.columns)
        carried = scored.model.scores @ scored.model.inverse @ through_score.T
        phi = share * (predicted - mean)
        phi += model.carried(columns.T @ (share * slope), model.scores + carried)
    if not np.isfinite(mean):
        raise EstimationError(
            f"{FUNCTION}: the {family} model fitted to {group} rows predicts infinite means for "
            "others; choose a linear one, or trim rows without a counterpart."
        )
    return mean, phi / total, dropped_note(model, columns, group)
