"""Matching on an estimated propensity score: how its estimation changes the variance (arrays)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.replacement.abadie_imbens import (
    MatchedRows,
    MatchingEffect,
    check_options,
    effect_of_links,
    neighbor_variances,
)
from homevisit_eval.effects.replacement.neighbor_links import metric_coordinates, nearest_links
from homevisit_eval.effects.weighting.average_effect import (
    EffectRows,
    checked_columns,
    checked_rows,
)
from homevisit_eval.effects.weighting.overlap import check_overlap
from homevisit_eval.effects.weighting.working_models import (
    WorkingModel,
    fit_treatment,
    standard_columns,
)
from homevisit_eval.errors import EstimationError

__all__ = ["EstimatedScore", "estimate_score", "score_matching_effect", "with_estimated_score"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimand = Literal["ATT", "ATC", "ATE"]

FUNCTION = "score_matching_effect"


def score_matching_effect(
    y: ArrayLike,
    treated: ArrayLike,
    X: ArrayLike,
    *,
    estimand: Estimand,
    matches: int = 1,
    neighbors: int = 1,
    covariance_neighbors: int = 2,
) -> MatchingEffect:
    """Return the effect by matching on a logit score, its estimation counted, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    X : array of shape (n, k)
        Columns of the propensity score, without an intercept.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.
    matches
        Nearest rows of the other group by probability, with replacement, ties kept.
    neighbors
        Other rows of the own group, nearest by probability, for a row's residual variance.
    covariance_neighbors
        Rows of each group, nearest by probability, for the covariance of X and y; 2 or more.

    Returns
    -------
    MatchingEffect
        `std_error_known_score` is the standard error that ignores the estimation of the score.

    Raises
    ------
    EstimationError
        If the input is unusable, the score cannot be fitted, a group has fewer rows than are
        asked for, or the adjusted variance is not positive.

    Notes
    -----
    With scores p, density f = p (1 - p), the logit's information I per row, and X with intercept,
    the variance V of matching on a known score becomes (N times both)

    .. math:: N V - c' I^{-1} c \\quad (ATE), \\qquad
              N V - c_1' I^{-1} c_1 + d' I^{-1} d \\quad (ATT),

    .. math:: c = E[f (cov(X, y_1 | p) / p + cov(X, y_0 | p) / (1 - p))],

    .. math:: c_1 = E[f X (m_1(p) - m_0(p) - \\tau)
              + f (cov(X, y_1 | p) + p / (1 - p) cov(X, y_0 | p))] / E[p],

    d = E[f X (m_1(X) - m_0(X) - tau)] / E[p]. Means and covariances given p come from the nearest
    rows of each group by score, the differences in d from the nearest row of the other group by
    X (Mahalanobis). So for the ATE the estimation of the score never adds variance; for the ATT
    it may.

    References
    ----------
    Abadie, A., & Imbens, G. W. (2016). Matching on the estimated propensity score.
    *Econometrica*, 84(2), 781-807.
    """
    check_options(FUNCTION, (estimand, get_args(Estimand)))
    rows = checked_rows(FUNCTION, y, treated, None, None)
    score = estimate_score(FUNCTION, rows, checked_columns(FUNCTION, X, rows.used))
    arms = {"ATT": (True,), "ATC": (False,), "ATE": (True, False)}[estimand]
    links = tuple(
        nearest_links(
            FUNCTION,
            score.placed,
            np.flatnonzero(rows.treated == arm),
            np.flatnonzero(rows.treated != arm),
            matches,
        )
        for arm in arms
    )
    problem = MatchedRows(rows.y, rows.treated, links)
    effect = effect_of_links(
        problem,
        [np.zeros(len(rows.y)) for _ in links],
        neighbor_variances(FUNCTION, problem, score.placed, neighbors),
        inference_for="population",
        estimand=estimand,
        recipe=f"{matches} nearest by logit score with ties, Abadie-Imbens variance for the "
        "population",
        notes=check_overlap(FUNCTION, score.probability, rows.treated, estimand=estimand, bound=0),
    )
    return with_estimated_score(FUNCTION, effect, rows, score, covariance_neighbors)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EstimatedScore:
    """A fitted propensity score.

    Attributes
    ----------
    columns : array of shape (n, 1 + k)
        Standard columns of the logit.
    model
    probability : array of shape (n,)
    placed : array of shape (n, 1)
        Probabilities in standard deviations.
    """

    columns: Floats
    model: WorkingModel
    probability: Floats
    placed: Floats

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"EstimatedScore({self.columns.shape[1]} columns, {len(self.probability)} rows)"


def estimate_score(function: str, rows: EffectRows, X: Floats) -> EstimatedScore:
    """Fit the propensity score of the rows by logit.

    Raises
    ------
    EstimationError
        If covariates separate the groups, or the fit does not converge.
    """
    columns = standard_columns(X)
    model, probability = fit_treatment(function, rows.treated, columns, rows.weights)
    placed = metric_coordinates(probability[:, None], "inverse variance")
    return EstimatedScore(columns, model, probability, placed)


def with_estimated_score(
    function: str,
    effect: MatchingEffect,
    rows: EffectRows,
    score: EstimatedScore,
    neighbors: int,
) -> MatchingEffect:
    """Return the effect with the standard error for a score that was estimated.

    Parameters
    ----------
    function
        For messages.
    effect
        By matching on the score, with the variance for a known one.
    rows, score
    neighbors
        Rows of each group, nearest by score, for covariances; 2 or more.

    Raises
    ------
    EstimationError
        If neighbors are too few or too many, or the adjusted variance is not positive.
    """
    if neighbors < 2:
        raise EstimationError(f"{function}: covariance_neighbors must be 2 or more.")
    y, treated, p, tau = rows.y - rows.y.mean(), rows.treated, score.probability, effect.estimate
    if effect.estimand == "ATC":  # the ATT of the other group
        treated, p, tau = ~treated, 1.0 - p, -tau
    slope = p * (1.0 - p)
    first, second = (
        _local(function, y, score, np.flatnonzero(members), neighbors)
        for members in (treated, ~treated)
    )
    n, inverse = len(y), score.model.inverse
    if effect.estimand == "ATE":
        c = (slope / p) @ first[1] + (slope / (1.0 - p)) @ second[1]
        change = -float(c @ inverse @ c) / n**2
    else:
        given_score = slope * (first[0] - second[0] - tau)
        c = given_score @ score.columns + slope @ first[1] + (slope * p / (1.0 - p)) @ second[1]
        d = (slope * (_by_covariates(function, y, treated, score) - tau)) @ score.columns
        change = float(d @ inverse @ d - c @ inverse @ c) / float(treated.sum()) ** 2
    total = effect.std_error_known_score**2 + change
    if total <= 0:
        raise EstimationError(
            f"{function}: the variance adjusted for the estimated score is not positive, which "
            "happens in few rows. Use more covariance_neighbors, or weighting instead."
        )
    return replace(
        effect,
        std_error=float(np.sqrt(total)),
        recipe=f"{effect.recipe}, adjusted for the estimated score",
    )


def _local(
    function: str, y: Floats, score: EstimatedScore, pool: NDArray[np.intp], neighbors: int
) -> tuple[Floats, Floats]:
    """Return means of y, (n,), and covariances with the columns, (n, k), given the score."""
    links = nearest_links(function, score.placed, np.arange(len(y)), pool, neighbors)
    size, mean = links.counts(), links.means(y)
    covariance = np.empty(score.columns.shape)
    for j, column in enumerate(score.columns.T):
        covariance[:, j] = links.means(column * y) - links.means(column) * mean
    return mean, covariance * (size / (size - 1.0))[:, None]


def _by_covariates(function: str, y: Floats, treated: Flags, score: EstimatedScore) -> Floats:
    """Return differences in the direction of treatment to the nearest row by covariates, (n,)."""
    placed = metric_coordinates(score.columns[:, 1:], "Mahalanobis")
    difference = np.empty(len(y))
    for members, sign in ((treated, 1.0), (~treated, -1.0)):
        here, there = np.flatnonzero(members), np.flatnonzero(~members)
        links = nearest_links(function, placed, here, there, 1)
        difference[here] = sign * (y[here] - links.means(y))
    return difference
