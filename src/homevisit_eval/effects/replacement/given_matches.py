"""The effect and Abadie-Imbens standard error of matches that were made elsewhere (arrays)."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from homevisit_eval.effects.replacement.abadie_imbens import (
    Adjustment,
    MatchedRows,
    MatchingEffect,
    Target,
    Variance,
    adjustments,
    check_options,
    effect_of_links,
    neighbor_variances,
)
from homevisit_eval.effects.replacement.estimated_score import estimate_score, with_estimated_score
from homevisit_eval.effects.replacement.neighbor_links import Links, Metric, metric_coordinates
from homevisit_eval.effects.weighting.average_effect import (
    EffectRows,
    checked_columns,
    checked_rows,
)
from homevisit_eval.errors import EstimationError

__all__ = ["matched_effect"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

FUNCTION = "matched_effect"


def matched_effect(
    y: ArrayLike,
    treated: ArrayLike,
    focal: ArrayLike,
    match: ArrayLike,
    X: ArrayLike,
    *,
    shares: ArrayLike | None = None,
    metric: Metric = "Mahalanobis",
    bias_adjustment: Adjustment = "regression",
    adjust_for: ArrayLike | None = None,
    variance: Variance = "heteroskedastic",
    neighbors: int = 1,
    inference_for: Target = "population",
    score_columns: ArrayLike | None = None,
    covariance_neighbors: int = 2,
) -> MatchingEffect:
    """Return the effect in rows that have matches, from their pairs, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
        Of all rows that took part in matching, used or not.
    treated : array of shape (n,)
        0 or 1; both occur.
    focal, match : arrays of int, shape (m,)
        Pairs by position, 0..n-1: a row that has matches, and one of its matches in the other
        group. If all focal rows are treated the estimand is the ATT, if none is the ATC, else
        the ATE.
    X : array of shape (n, k)
        What was matched on: covariates, or the score as one column. A row's residual variance
        comes from its nearest rows by X in its own group.
    shares : array of shape (m,), optional
        The weight of a match in its focal row's mean; they add to 1 for each. Equal if not given.
    metric
        For nearest rows by X: ``"Mahalanobis"`` or ``"inverse variance"``.
    bias_adjustment, adjust_for, variance, neighbors, inference_for
        As in `matching_effect`; `adjust_for` is X if not given.
    score_columns : array of shape (n, p), optional
        Columns of the logit score that was matched on, without an intercept. If given, the
        standard error takes the score's estimation into account (Abadie & Imbens 2016).
    covariance_neighbors
        As in `score_matching_effect`; with `score_columns` only.

    Returns
    -------
    MatchingEffect

    Raises
    ------
    EstimationError
        If the input is unusable, a pair is not of two groups, shares do not add to 1, or groups
        have too few rows.

    Notes
    -----
    Formulas are those of `matching_effect`; its estimate is returned if these pairs are its own.
    The theory is for matching with replacement; without it, matched pairs are the special case
    in which no row is used twice.

    References
    ----------
    Abadie, A., & Imbens, G. W. (2006). Large sample properties of matching estimators for average
    treatment effects. *Econometrica*, 74(1), 235-267.
    Abadie, A., & Imbens, G. W. (2016). Matching on the estimated propensity score.
    *Econometrica*, 84(2), 781-807.

    Examples
    --------
    >>> effect = matched_effect([5, 7, 1, 2], [1, 1, 0, 0], [0, 1], [2, 3], [[0], [1], [0], [1]],
    ...                         bias_adjustment="none")
    >>> effect.estimate, effect.estimand
    (4.5, 'ATT')
    """
    check_options(
        FUNCTION,
        (metric, get_args(Metric)),
        (bias_adjustment, get_args(Adjustment)),
        (variance, get_args(Variance)),
        (inference_for, get_args(Target)),
    )
    rows = checked_rows(FUNCTION, y, treated, None, None)
    matrix = checked_columns(FUNCTION, X, rows.used)
    columns = matrix
    if adjust_for is not None:
        columns = checked_columns(FUNCTION, adjust_for, rows.used, "adjust_for")
    problem = MatchedRows(rows.y, rows.treated, _links(rows, focal, match, shares))
    arms = [bool(rows.treated[links.rows[0]]) for links in problem.links]
    estimand = "ATE" if len(arms) == 2 else "ATT" if arms[0] else "ATC"
    predicted, notes = adjustments(FUNCTION, problem, columns, bias_adjustment)
    spread = None
    if variance == "heteroskedastic":
        placed = metric_coordinates(matrix, metric)
        spread = neighbor_variances(FUNCTION, problem, placed, neighbors)
    effect = effect_of_links(
        problem,
        predicted,
        spread,
        inference_for=inference_for,
        estimand=estimand,
        recipe=f"given matches, bias adjustment: {bias_adjustment}, {variance} Abadie-Imbens "
        f"variance for the {inference_for}",
        notes=(*notes, *_left_out(rows, problem)),
    )
    if score_columns is None:
        return effect
    if inference_for == "sample":
        raise EstimationError(
            f"{FUNCTION}: the estimation of the score matters for the population; leave "
            "score_columns out, or choose inference_for='population'."
        )
    given = checked_columns(FUNCTION, score_columns, rows.used, "score_columns")
    score = estimate_score(FUNCTION, rows, given)
    return with_estimated_score(FUNCTION, effect, rows, score, covariance_neighbors)


def _links(
    rows: EffectRows, focal: ArrayLike, match: ArrayLike, shares: ArrayLike | None
) -> tuple[Links, ...]:
    """Return the links of treated and of comparison focal rows, those that there are."""
    first, second = _positions(focal, len(rows.y)), _positions(match, len(rows.y))
    if first.shape != second.shape or not len(first):
        raise EstimationError(
            f"{FUNCTION}: focal has shape {first.shape} and match {second.shape}; give (m,) for "
            "both, at least one pair."
        )
    alike = int((rows.treated[first] == rows.treated[second]).sum())
    if alike:
        raise EstimationError(
            f"{FUNCTION}: {alike} of {len(first)} pairs are of one group; a match comes from the "
            "other group."
        )
    share = _shares(first, shares, len(rows.y))
    links = []
    for arm in (True, False):
        here = rows.treated[first] == arm
        if not here.any():
            continue
        own, point = np.unique(first[here], return_inverse=True)
        pool, pool_point = np.unique(second[here], return_inverse=True)
        table = sparse.csr_array(
            sparse.coo_array((share[here], (point, pool_point)), shape=(len(own), len(pool)))
        )
        links.append(Links(table, own, np.arange(len(own)), pool, np.arange(len(pool))))
    return tuple(links)


def _positions(given: ArrayLike, n: int) -> Codes:
    values = np.asarray(given)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise EstimationError(f"{FUNCTION}: focal and match must be whole numbers, shape (m,).")
    outside = int(((values < 0) | (values >= n)).sum())
    if outside:
        raise EstimationError(
            f"{FUNCTION}: {outside} of {len(values)} positions in focal or match are not rows; "
            f"give 0 to {n - 1}."
        )
    return values.astype(np.intp)


def _shares(focal: Codes, shares: ArrayLike | None, n: int) -> Floats:
    if shares is None:
        return np.asarray(1.0 / np.bincount(focal, minlength=n)[focal])
    share = np.asarray(shares, dtype=np.float64)
    if share.shape != focal.shape or not np.isfinite(share).all() or (share <= 0).any():
        raise EstimationError(
            f"{FUNCTION}: shares must be one number above 0 for each of {len(focal)} pairs."
        )
    wrong = int((np.abs(np.bincount(focal, share, n)[np.unique(focal)] - 1.0) > 1e-9).sum())
    if wrong:
        raise EstimationError(
            f"{FUNCTION}: shares do not add to 1 in {wrong} focal rows; divide them by their sum."
        )
    return share


def _left_out(rows: EffectRows, problem: MatchedRows) -> tuple[str, ...]:
    """Return sentences on rows of a focal group without matches."""
    notes = []
    for links in problem.links:
        arm = bool(rows.treated[links.rows[0]])
        missing = int((rows.treated == arm).sum()) - len(links.rows)
        if missing:
            notes.append(
                f"{missing} {'treated' if arm else 'comparison'} rows have no match: the estimand "
                "is about those that have one."
            )
    return tuple(notes)
