"""Arrays given to a generalized linear model -> checked rows that can be fitted (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.likelihood.families import Family, check_outcomes, is_bounded
from homevisit_eval.effects.weighting.average_effect import unit_codes
from homevisit_eval.errors import EstimationError

__all__ = ["WHERE", "GeneralizedRows", "checked_matrix", "generalized_rows"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

WHERE = "generalized linear model"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GeneralizedRows:
    """The n rows that a model is fitted to.

    Attributes
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
    weights : array of shape (n,)
        Above 0, as they were given.
    levels : array of shape (n,) of 0..L-1, or None
        The level of the absorbed factor.
    clusters : array of shape (n,) of 0..G-1
    all_clusters : array of shape (rows given,)
        The same for all rows of positive weight, those only of rows that are predicted perfectly
        from G on; -1 elsewhere.
    clustered
        Whether clusters were given.
    used : array of bool, shape (rows given,)
        Which rows these are.
    settled : array of shape (rows given,)
        Outcome of the rows of positive weight that the absorbed factor predicts perfectly; NaN
        elsewhere.
    labels : tuple of k names
    notes : tuple of sentences
    """

    y: Floats
    X: Floats
    weights: Floats
    levels: Codes | None
    clusters: Codes
    all_clusters: Codes
    clustered: bool
    used: Flags
    settled: Floats
    labels: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"GeneralizedRows({len(self.y)} of {len(self.used)} rows)"


def generalized_rows(
    y: ArrayLike,
    X: ArrayLike,
    *,
    family: Family,
    weights: ArrayLike | None,
    absorb: Sequence[ArrayLike],
    clusters: ArrayLike | None,
    names: Sequence[str] | None,
) -> GeneralizedRows:
    """Check what a model is to be fitted to, and leave out rows that are predicted perfectly.

    Raises
    ------
    EstimationError
        See `fit_generalized_linear`.
    """
    matrix = _numbers(X, "X")
    if matrix.ndim != 2 or not matrix.size:
        raise EstimationError(
            f"{WHERE}: X has shape {matrix.shape}; give (n, k), neither of them 0."
        )
    outcome, w = _numbers(y, "y"), np.ones(len(matrix))
    if weights is not None:
        w = _numbers(weights, "weights")
    if not outcome.shape == w.shape == matrix.shape[:1]:
        raise EstimationError(
            f"{WHERE}: y has shape {outcome.shape} and weights {w.shape} for {len(matrix)} rows of "
            "X; give one value for each."
        )
    positive = _positive(w)
    _refuse_missing(outcome[positive], "y")
    _refuse_missing(matrix if positive.all() else matrix[positive], "X")
    check_outcomes(outcome[positive], family)
    levels = _factor(absorb, positive)
    groups = np.arange(int(positive.sum()), dtype=np.intp)
    if clusters is not None:
        groups = unit_codes(WHERE, clusters, positive, "clusters")
    inside, notes = _not_settled(outcome[positive], levels, family)
    used = positive.copy()
    used[positive] = inside
    settled = np.full(len(used), np.nan)
    settled[positive & ~used] = outcome[positive & ~used]
    all_clusters = np.full(len(used), -1, dtype=np.intp)
    all_clusters[positive] = groups if inside.all() else _fitted_first(groups, inside)
    _check_clusters(all_clusters[used])
    if levels is not None and not inside.all():
        levels = np.unique(levels[inside], return_inverse=True)[1].astype(np.intp)
    return GeneralizedRows(
        y=outcome[used],
        X=matrix if used.all() else matrix[used],
        weights=w[used],
        levels=levels,
        clusters=all_clusters[used],
        all_clusters=all_clusters,
        clustered=clusters is not None,
        used=used,
        settled=settled,
        labels=_labels(names, matrix.shape[1]),
        notes=notes,
    )


def checked_matrix(X: ArrayLike, name: str, shape: tuple[int, int]) -> Floats:
    """Return the numbers of X, which must be of a shape.

    Raises
    ------
    EstimationError
        If they are not, or are not numbers.
    """
    matrix = _numbers(X, name)
    if matrix.shape != shape:
        raise EstimationError(
            f"{WHERE}: {name} has shape {matrix.shape}; give {shape}, the rows and columns that "
            "the model was fitted to."
        )
    return matrix


def _numbers(values: ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(
            f"{WHERE}: {name} must be numbers; turn categories into columns of 0 and 1, and leave "
            "out rows without a value."
        ) from None


def _positive(w: Floats) -> Flags:
    unusable = int((~(np.isfinite(w) & (w >= 0))).sum())
    if unusable:
        raise EstimationError(
            f"{WHERE}: {unusable} weights are missing, infinite or negative; give weights of 0 or "
            "more."
        )
    if not (w > 0).any():
        raise EstimationError(f"{WHERE}: no row has a positive weight; give rows that have.")
    return np.asarray(w > 0)


def _refuse_missing(values: Floats, name: str) -> None:
    missing = int(values.size - np.isfinite(values).sum())
    if missing:
        raise EstimationError(
            f"{WHERE}: {name} has {missing} missing or infinite values in rows of positive weight; "
            "leave these rows out or fill them first."
        )


def _factor(absorb: Sequence[ArrayLike], positive: Flags) -> Codes | None:
    if len(absorb) == 0:
        return None
    if len(absorb) > 1:
        raise EstimationError(
            f"{WHERE}: absorb has {len(absorb)} factors; give one (their combinations, for "
            "example), and indicators of the levels of the others as columns of X."
        )
    return unit_codes(WHERE, absorb[0], positive, "the factor of absorb")


def _labels(names: Sequence[str] | None, k: int) -> tuple[str, ...]:
    labels = tuple(names) if names is not None else tuple(f"x{j}" for j in range(k))
    if len(labels) != k or len(set(labels)) != k:
        raise EstimationError(
            f"{WHERE}: names has {len(labels)} entries, {len(set(labels))} of them different; X "
            f"has {k} columns. Give one name for each, none twice."
        )
    return labels


def _not_settled(y: Floats, levels: Codes | None, family: Family) -> tuple[Flags, tuple[str, ...]]:
    """Return which rows are in levels whose outcomes are not all at one limit of their range."""
    if levels is None:
        return np.ones(len(y), dtype=bool), ()
    size = np.bincount(levels)
    edges = (0.0, 1.0) if is_bounded(family) else (0.0,)
    settled = np.zeros(len(size), dtype=bool)
    for edge in edges:
        settled |= np.bincount(levels, y == edge, len(size)) == size
    inside = ~settled[levels]
    if inside.all():
        return inside, ()
    outcomes = "all 0 or all 1" if len(edges) == 2 else "all 0"
    if not inside.any():
        raise EstimationError(
            f"{WHERE}: in all {len(size)} absorbed levels the outcomes are {outcomes}, so nothing "
            "is left to fit; absorb fewer levels, or choose a linear model."
        )
    return inside, (
        f"{int((~inside).sum())} rows in {int(settled.sum())} of {len(size)} absorbed levels have "
        f"outcomes that are {outcomes} in their level: they are predicted perfectly and left out "
        "of the fit.",
    )


def _fitted_first(groups: Codes, inside: Flags) -> Codes:
    """Number the clusters anew, those with fitted rows before the others."""
    fitted = np.bincount(groups[inside], minlength=int(groups.max()) + 1) > 0
    number = np.empty(len(fitted), dtype=np.intp)
    number[np.argsort(~fitted, kind="stable")] = np.arange(len(fitted))
    return number[groups]


def _check_clusters(clusters: Codes) -> None:
    if clusters.max() < 1:
        raise EstimationError(
            f"{WHERE}: all rows are in one cluster, so no standard error can be computed; choose a "
            "level of clustering with at least two."
        )
