"""An average effect with the influence of every row, and its clustered standard error (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.errors import EstimationError

__all__ = [
    "AverageEffect",
    "EffectRows",
    "Target",
    "check_groups",
    "checked_columns",
    "checked_rows",
    "clustered_effect",
    "unit_codes",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
Target = Literal["ATT", "ATC", "ATE", "ATO"]

FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AverageEffect:
    """The average effect in a target population, in units of y.

    Attributes
    ----------
    estimate, std_error
        In units of y.
    df
        Degrees of freedom of its t distribution: G - 1.
    mean_treated, mean_comparison
        The two means of the target population whose difference is the estimate: with treatment
        and without.
    estimand
        ``"ATT"``, ``"ATC"``, ``"ATE"``, or ``"ATO"`` (the overlap population).
    recipe
        How it was found, in words.
    n, n_treated
        Rows that took part, and the treated ones among them.
    G
        Clusters; rows if none were given.
    influence : array of shape (rows given,)
        What each row adds to the estimate's error: their sum over rows has the variance
        std_error^2 but for the factor G / (G - 1). 0 for rows that took no part.
    notes : tuple of sentences
        What a reader must know.
    """

    estimate: float
    std_error: float
    df: float
    mean_treated: float
    mean_comparison: float
    estimand: str
    recipe: str
    n: int
    n_treated: int
    G: int
    influence: Floats
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """Two-sided p value of no effect; NaN if estimate and standard error are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(np.float64(self.estimate) / self.std_error)
        return float(2.0 * stdtr(self.df, -t))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval, in units of y."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate and the recipe, no rows."""
        return (
            f"AverageEffect({self.estimand} {self.estimate:.6g}, std_error {self.std_error:.6g}, "
            f"df {self.df:g}; {self.recipe}; n = {self.n}, G = {self.G})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectRows:
    """The rows of positive weight that an effect is estimated from.

    Attributes
    ----------
    y : array of shape (n,)
    treated : array of bool, shape (n,)
    weights : array of shape (n,)
        Sampling weights above 0, with mean 1.
    clusters : array of shape (n,) of 0..G-1
    used : array of bool, shape (rows given,)
        Which of the rows given these are.
    """

    y: Floats
    treated: Flags
    weights: Floats
    clusters: Codes
    used: Flags

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"EffectRows({len(self.y)} of {len(self.used)} rows)"

    def only(self, kept: Flags) -> EffectRows:
        """Return some of the rows, clusters numbered anew; `kept` has shape (n,)."""
        used = self.used.copy()
        used[used] = kept
        clusters = np.unique(self.clusters[kept], return_inverse=True)[1].astype(np.intp)
        return EffectRows(
            self.y[kept], self.treated[kept], self.weights[kept], clusters, used
        )  # fmt: skip


def checked_rows(
    function: str,
    y: ArrayLike,
    treated: ArrayLike,
    weights: ArrayLike | None,
    clusters: ArrayLike | None,
) -> EffectRows:
    """Return the rows of positive weight, or say what is wrong with the input of `function`.

    Raises
    ------
    EstimationError
        If shapes differ, a number is missing or infinite, a weight is negative, one of the
        groups is empty, or there are fewer than two clusters.
    """
    try:
        outcome = np.asarray(y, dtype=np.float64)
        group = np.asarray(treated, dtype=np.float64)
        w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(
            f"{function}: y, treated and weights must be numbers; turn categories and missing "
            "values into numbers, or leave the rows out."
        ) from None
    if outcome.ndim != 1 or not outcome.shape == group.shape == w.shape:
        raise EstimationError(
            f"{function}: y has shape {outcome.shape}, treated {group.shape} and weights "
            f"{w.shape}; give (n,) for each."
        )
    unusable = int((~(np.isfinite(w) & (w >= 0))).sum())
    if unusable:
        raise EstimationError(
            f"{function}: {unusable} weights are missing, infinite or negative; give weights of 0 "
            "or more."
        )
    used = w > 0
    missing = int((~np.isfinite(outcome[used])).sum())
    if missing:
        raise EstimationError(
            f"{function}: y has {missing} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    chosen = group[used]
    if not ((chosen == 0) | (chosen == 1)).all():
        raise EstimationError(f"{function}: treated must be 0 or 1.")
    codes = np.arange(int(used.sum()), dtype=np.intp)
    if clusters is not None:
        codes = unit_codes(function, clusters, used, "clusters")
    rows = EffectRows(outcome[used], chosen == 1, w[used], codes, used)
    check_groups(function, rows)
    same = rows.weights.min() == rows.weights.max()
    scaled = np.ones(len(rows.y)) if same else rows.weights / rows.weights.mean()
    return EffectRows(rows.y, rows.treated, scaled, codes, used)


def check_groups(function: str, rows: EffectRows) -> None:
    """Refuse rows without both groups, or in fewer than two clusters.

    Raises
    ------
    EstimationError
        If it is so.
    """
    n, n_treated = len(rows.treated), int(rows.treated.sum())
    if not 0 < n_treated < n:
        raise EstimationError(
            f"{function}: {n_treated} of {n} rows of positive weight are treated; give rows of "
            "both groups."
        )
    if rows.clusters.max() < 1:
        raise EstimationError(
            f"{function}: all rows are in one cluster, so no standard error can be computed; "
            "choose a level of clustering with at least two."
        )


def checked_columns(function: str, X: ArrayLike, used: Flags, name: str = "X") -> Floats:
    """Return the columns X (rows given, k) in the rows used, finite, shape (n, k).

    Raises
    ------
    EstimationError
        If the shape does not fit, or a value is missing or infinite.
    """
    try:
        matrix = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(
            f"{function}: {name} must be numbers; turn categories into columns of 0 and 1."
        ) from None
    if matrix.ndim != 2 or len(matrix) != len(used):
        raise EstimationError(
            f"{function}: {name} has shape {matrix.shape}; give ({len(used)}, k), without an "
            "intercept."
        )
    matrix = matrix[used]
    missing = int((~np.isfinite(matrix)).sum())
    if missing:
        raise EstimationError(
            f"{function}: {name} has {missing} missing or infinite values in rows of positive "
            "weight; leave these rows out or fill them first."
        )
    return matrix


def clustered_effect(
    rows: EffectRows,
    means: tuple[float, float],
    influences: tuple[Floats, Floats],
    *,
    estimand: str,
    recipe: str,
    notes: tuple[str, ...] = (),
) -> AverageEffect:
    """Return the difference of two means, its standard error from sums of influence by cluster.

    Parameters
    ----------
    rows
    means
        With treatment and without, in units of y.
    influences : two arrays of shape (n,)
        What each row adds to the error of each mean.
    estimand, recipe, notes
        For the result.

    Notes
    -----
    With phi the difference of the influences, the variance is G / (G - 1) times the sum over
    clusters of the squared sums of phi; degrees of freedom are G - 1.
    """
    phi = influences[0] - influences[1]
    G = int(rows.clusters.max()) + 1
    sums = np.bincount(rows.clusters, phi, G)
    everywhere = np.zeros(len(rows.used))
    everywhere[rows.used] = phi
    return AverageEffect(
        estimate=means[0] - means[1],
        std_error=float(np.sqrt(G / (G - 1) * (sums @ sums))),
        df=G - 1.0,
        mean_treated=means[0],
        mean_comparison=means[1],
        estimand=estimand,
        recipe=recipe,
        n=len(rows.y),
        n_treated=int(rows.treated.sum()),
        G=G,
        influence=everywhere,
        notes=(*notes, *_cluster_notes(rows, G)),
    )


def _cluster_notes(rows: EffectRows, G: int) -> tuple[str, ...]:
    notes = []
    if G < FEW_CLUSTERS:
        notes.append(
            f"There are only {G} clusters: the standard error may be too small; see the wild "
            "cluster bootstrap of a regression beside it."
        )
    for members, name in ((rows.treated, "treated"), (~rows.treated, "comparison")):
        if len(rows.y) > G and len(np.unique(rows.clusters[members])) == 1:
            notes.append(
                f"All {name} rows are in one cluster: the standard error says nothing about "
                "differences between clusters."
            )
    return tuple(notes)


def unit_codes(function: str, values: ArrayLike, used: Flags, name: str) -> Codes:
    """Return numbers from 0 for the values of the rows used, in their sorted order.

    Raises
    ------
    EstimationError
        If the shape does not fit, or values are missing or of several types.
    """
    given = np.asarray(values)
    if given.shape != used.shape:
        raise EstimationError(
            f"{function}: {name} has shape {given.shape}; give one code for each of the "
            f"{len(used)} rows."
        )
    given = given[used]
    try:
        missing = bool((given != given).any())  # noqa: PLR0124
        found = np.unique(given, return_inverse=True)[1]
    except (TypeError, ValueError):
        missing = True
    if missing:
        raise EstimationError(
            f"{function}: {name} has missing codes, or codes of several types; give one code of "
            "the same type for each row."
        )
    return np.asarray(found, dtype=np.intp)
