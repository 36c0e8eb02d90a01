"""Matching estimators with replacement and their Abadie-Imbens standard errors (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from homevisit_eval.effects.replacement.neighbor_links import (
    Links,
    Metric,
    metric_coordinates,
    nearest_links,
)
from homevisit_eval.effects.weighting.average_effect import checked_columns, checked_rows
from homevisit_eval.effects.weighting.working_models import independent, standard_columns
from homevisit_eval.errors import EstimationError

__all__ = [
    "MatchedRows",
    "MatchingEffect",
    "adjustments",
    "check_options",
    "effect_of_links",
    "matching_effect",
    "neighbor_variances",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Estimand = Literal["ATT", "ATC", "ATE"]
Adjustment = Literal["none", "regression"]
Variance = Literal["heteroskedastic", "homoskedastic"]
Target = Literal["population", "sample"]

FUNCTION = "matching_effect"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchingEffect:
    """The average effect by matching with replacement, in units of y.

    Attributes
    ----------
    estimate, std_error
        In units of y; the standard error is that of Abadie and Imbens.
    std_error_of_pairs
        That of a mean of independent differences, which ignores that rows are used repeatedly.
    std_error_known_score
        The standard error if the score that was matched on had been known; `std_error` itself
        where no score was estimated.
    df
        Infinite: the reference distribution is normal.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.
    recipe
        How it was found, in words.
    n, n_treated
        Rows given, and the treated ones among them.
    n_focal, n_matches
        Rows whose missing outcome was filled in, and different rows that it was filled in from.
    most_uses
        The largest sum of shares with which one row was used.
    G
        Independent units: rows.
    notes : tuple of sentences
        What a reader must know.
    """

    estimate: float
    std_error: float
    std_error_of_pairs: float
    std_error_known_score: float
    df: float
    estimand: str
    recipe: str
    n: int
    n_treated: int
    n_focal: int
    n_matches: int
    most_uses: float
    G: int
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """Two-sided p value of no effect; NaN if estimate and standard error are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(2.0 * ndtr(-np.abs(np.float64(self.estimate) / self.std_error)))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval, in units of y."""
        half = float(ndtri(0.5 + confidence_level / 2.0)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate and the recipe, no rows."""
        return (
            f"MatchingEffect({self.estimand} {self.estimate:.6g}, std_error {self.std_error:.6g}, "
            f"normal; {self.recipe}; n = {self.n}, focal rows {self.n_focal})"
        )


def matching_effect(
    y: ArrayLike,
    treated: ArrayLike,
    X: ArrayLike,
    *,
    estimand: Estimand,
    matches: int = 1,
    metric: Metric = "Mahalanobis",
    bias_adjustment: Adjustment = "regression",
    adjust_for: ArrayLike | None = None,
    variance: Variance = "heteroskedastic",
    neighbors: int = 1,
    inference_for: Target = "population",
) -> MatchingEffect:
    """Return the effect by nearest neighbors with replacement, ties kept, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    X : array of shape (n, k)
        Covariates that are matched on.
    estimand
        ``"ATT"``: comparison rows are found for the treated; ``"ATC"``: the reverse; ``"ATE"``:
        both.
    matches
        Nearest rows of the other group for each; all rows tied with the last are used too, with
        equal shares.
    metric
        ``"Mahalanobis"``, or ``"inverse variance"``: differences in standard deviations.
    bias_adjustment
        ``"regression"``: matched outcomes are moved to the row's own covariates, by the slopes of
        a linear regression in the rows used, weighted by their use. ``"none"``.
    adjust_for : array of shape (n, m), optional
        Columns of that regression; X if not given.
    variance
        ``"heteroskedastic"``: a row's residual variance from its nearest rows in its own group;
        ``"homoskedastic"``: one for all, from the matched differences.
    neighbors
        How many nearest rows of the own group, ties kept (heteroskedastic only).
    inference_for
        ``"population"``: rows are a sample; ``"sample"``: covariates and treatment are fixed, and
        the estimand is the average effect at these covariates.

    Returns
    -------
    MatchingEffect

    Raises
    ------
    EstimationError
        If the input is unusable, or a group has fewer rows than are asked for.

    Notes
    -----
    With D_i the difference of row i and its matches in the direction of treatment, f = 1 for the N
    rows that look for matches, K the sum and K' the sum of squares of the shares with which a
    row is used, the variance is

    .. math:: N^{-2} [\\sum f (D - \\tau)^2 + \\sum ((f + K)^2 - f - K') \\sigma^2]

    for the population, and :math:`N^{-2} \\sum (f + K)^2 \\sigma^2` for the sample. With J nearest
    rows of the own group (others than itself), sigma^2 is J / (J + 1) times the squared distance
    of y to their mean; homoskedastic, half the mean squared D of pairs less tau. Differences are
    adjusted ones if `bias_adjustment` is. The bootstrap does not hold here (Abadie & Imbens 2008).
    Rows are taken as independent: for clusters use matching weights in a regression.

    References
    ----------
    Abadie, A., & Imbens, G. W. (2006). Large sample properties of matching estimators for average
    treatment effects. *Econometrica*, 74(1), 235-267.
    Abadie, A., & Imbens, G. W. (2011). Bias-corrected matching estimators for average treatment
    effects. *Journal of Business & Economic Statistics*, 29(1), 1-11.
    Abadie, A., Drukker, D., Herr, J. L., & Imbens, G. W. (2004). Implementing matching estimators
    for average treatment effects in Stata. *The Stata Journal*, 4(3), 290-311.

    Examples
    --------
    >>> effect = matching_effect(
    ...     [5, 7, 1, 2, 9], [1, 1, 0, 0, 0], [[0], [1], [0], [1], [9]],
    ...     estimand="ATT", bias_adjustment="none")
    >>> effect.estimate
    4.5
    """
    check_options(
        FUNCTION,
        (estimand, get_args(Estimand)),
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
    placed = metric_coordinates(matrix, metric)
    arms = {"ATT": (True,), "ATC": (False,), "ATE": (True, False)}[estimand]
    links = [
        nearest_links(
            FUNCTION,
            placed,
            np.flatnonzero(rows.treated == arm),
            np.flatnonzero(rows.treated != arm),
            matches,
        )
        for arm in arms
    ]
    problem = MatchedRows(rows.y, rows.treated, tuple(links))
    moved, notes = adjustments(FUNCTION, problem, columns, bias_adjustment)
    spread = None
    if variance == "heteroskedastic":
        spread = neighbor_variances(FUNCTION, problem, placed, neighbors)
    return effect_of_links(
        problem,
        moved,
        spread,
        inference_for=inference_for,
        estimand=estimand,
        recipe=f"{matches} nearest by {metric} with ties, bias adjustment: {bias_adjustment}, "
        f"{variance} Abadie-Imbens variance for the {inference_for}",
        notes=notes,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchedRows:
    """Outcomes, groups and who stands for whom; one `Links` for each group that is matched."""

    y: Floats
    treated: Flags
    links: tuple[Links, ...]

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"MatchedRows({len(self.y)} rows)"


def adjustments(
    function: str, problem: MatchedRows, columns: Floats, how: Adjustment
) -> tuple[list[Floats], tuple[str, ...]]:
    """Return, for each `Links`, the predicted outcomes of its pool's group for all rows, (n,).

    Zeros without adjustment. Rows of the pool are weighted by their use.

    Raises
    ------
    EstimationError
        If fewer rows are used than the regression has columns.
    """
    n = len(problem.y)
    if how == "none":
        return [np.zeros(n) for _ in problem.links], ()
    design = standard_columns(columns)
    overall = independent(design)
    predicted, notes = [], []
    for links in problem.links:
        weight = links.uses(n)[0]
        rows = np.flatnonzero(weight)
        root = np.sqrt(weight[rows])
        A = design[rows] * root[:, None]
        kept = independent(A)
        group = "treated" if problem.treated[rows[0]] else "comparison"
        if len(rows) <= kept.sum():
            raise EstimationError(
                f"{function}: {len(rows)} {group} rows are used as matches, too few for a bias "
                f"adjustment by {design.shape[1] - 1} columns. Adjust for fewer columns, or not."
            )
        slopes = np.linalg.lstsq(A[:, kept], problem.y[rows] * root, rcond=None)[0]
        predicted.append(design[:, kept] @ slopes)
        places = ", ".join(str(j - 1) for j in np.flatnonzero(overall & ~kept))
        if places:
            notes.append(
                f"Bias adjustment: columns {places} add nothing to the others among the "
                f"{group} rows used, and were left out."
            )
    return predicted, tuple(notes)


def neighbor_variances(
    function: str, problem: MatchedRows, coordinates: Floats, neighbors: int
) -> Floats:
    """Return each row's residual variance from its nearest rows in its own group, shape (n,)."""
    spread = np.empty(len(problem.y))
    for members in (problem.treated, ~problem.treated):
        rows = np.flatnonzero(members)
        if neighbors < 1 or len(rows) <= neighbors:
            raise EstimationError(
                f"{function}: the variance asks for {neighbors} other nearest rows of a row's own "
                f"group, and one group has {len(rows)} rows. Ask for at least 1 and fewer than "
                "there are, or for the homoskedastic variance."
            )
        own = nearest_links(function, coordinates, rows, rows, neighbors + 1)
        size = own.counts()
        centered = problem.y - problem.y[rows].mean()
        others = (own.means(centered) * size - centered[rows]) / (size - 1.0)
        spread[rows] = (size - 1.0) / size * (centered[rows] - others) ** 2
    return spread


def effect_of_links(
    problem: MatchedRows,
    predicted: Sequence[Floats],
    spread: Floats | None,
    *,
    inference_for: Target,
    estimand: str,
    recipe: str,
    notes: tuple[str, ...],
) -> MatchingEffect:
    """Return the effect and its variance from links, predictions and residual variances.

    Without residual variances `spread` (n,), one for all is taken from the matched differences.
    """
    n = len(problem.y)
    focal, uses, squares = np.zeros(n), np.zeros(n), np.zeros(n)
    difference, plain = np.zeros(n), np.zeros(n)
    within, plain_within = np.zeros(n), np.zeros(n)
    for links, means in zip(problem.links, predicted, strict=True):
        sign = 1.0 if problem.treated[links.rows[0]] else -1.0
        rest = problem.y - means
        difference[links.rows] = sign * (rest[links.rows] - links.means(rest))
        plain[links.rows] = sign * (problem.y[links.rows] - links.means(problem.y))
        within[links.rows], plain_within[links.rows] = links.spreads(rest), links.spreads(problem.y)
        focal[links.rows] = 1.0
        used = links.uses(n)
        uses += used[0]
        squares += used[1]
    N = focal.sum()
    estimate, unadjusted = float(focal @ difference / N), float(focal @ plain / N)
    around = focal * (difference - estimate) ** 2
    if spread is None:
        spread = np.full(n, float((around + within).sum() / (2.0 * N)))
    if inference_for == "population":
        total = around.sum() + ((focal + uses) ** 2 - focal - squares) @ spread
    else:
        total = (focal + uses) ** 2 @ spread
    of_pairs = (focal * (plain - unadjusted) ** 2 + plain_within).sum()
    return MatchingEffect(
        estimate=estimate,
        std_error=float(np.sqrt(total) / N),
        std_error_known_score=float(np.sqrt(total) / N),
        std_error_of_pairs=float(np.sqrt(of_pairs) / N),
        df=np.inf,
        estimand=estimand,
        recipe=recipe,
        n=n,
        n_treated=int(problem.treated.sum()),
        n_focal=int(N),
        n_matches=int((uses > 0).sum()),
        most_uses=float(uses.max()),
        G=n,
        notes=notes,
    )


def check_options(function: str, *options: tuple[str, tuple[str, ...]]) -> None:
    """Refuse options, each given with those allowed, that are none of them.

    Raises
    ------
    EstimationError
        If there is one.
    """
    for option, allowed in options:
        if option not in allowed:
            raise EstimationError(
                f"{function}: unknown option {option!r}; it must be {' or '.join(allowed)}."
            )
