"""Familywise p values of one coefficient in several outcomes, by one bootstrap (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    prepare_design,
)
from homevisit_eval.effects.resampling.bootstrap_draws import (
    WeightType,
    check_draws,
    perturb,
    sign_vectors,
)
from homevisit_eval.effects.resampling.families_of_tests import DrawKind, romano_wolf
from homevisit_eval.effects.resampling.inversion import two_sided_p_value
from homevisit_eval.effects.resampling.scores_by_cluster import (
    ClusterScores,
    cluster_scores,
    named_column,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["RomanoWolfTest", "romano_wolf_test", "stepdown_bootstrap"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RomanoWolfTest:
    """Wild cluster bootstrap tests of m outcomes with the same sign vectors, stepped down.

    Attributes
    ----------
    columns : tuple of m names
        The column whose coefficient is tested, for each outcome.
    nulls, estimates, std_errors, t : arrays of shape (m,)
        Values tested, coefficients, their sandwich standard errors (CR0), and statistics.
    p_values, p_values_adjusted : arrays of shape (m,)
        Two-sided and symmetric: of each outcome alone, and of the family of all.
    G
        Clusters of all outcomes together.
    draws, draw_kind, weight_type, seed
        Sign vectors used, and how they were found; `seed` does not matter if enumerated.
    notes : tuple of sentences
        What a reader must know.
    """

    columns: tuple[str, ...]
    nulls: Floats
    estimates: Floats
    std_errors: Floats
    t: Floats
    p_values: Floats
    p_values_adjusted: Floats
    G: int
    draws: int
    draw_kind: DrawKind
    weight_type: WeightType
    seed: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the recipe and the range of the adjusted p values."""
        low, high = self.p_values_adjusted.min(), self.p_values_adjusted.max()
        return (
            f"RomanoWolfTest({len(self.columns)} outcomes, adjusted p {low:.4g} to {high:.4g}; "
            f"restricted wild cluster bootstrap, {self.draws:,} {self.weight_type} vectors "
            f"{self.draw_kind}, G = {self.G})"
        )


def romano_wolf_test(
    outcomes: ArrayLike,
    X: ArrayLike,
    *,
    column: str,
    clusters: ArrayLike,
    seed: int,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    draws: int = 9999,
    weight_type: WeightType = "rademacher",
) -> RomanoWolfTest:
    """Test that one coefficient is 0 in each of several outcomes, with familywise p values.

    Parameters
    ----------
    outcomes : array of shape (n, m)
        NaN where an outcome was not observed; its rows are those observed.
    X, column, clusters, names, weights, absorb, draws, weight_type, seed
        As in `wild_bootstrap_test`, the same for all outcomes.

    Returns
    -------
    RomanoWolfTest

    Raises
    ------
    EstimationError
        As `wild_bootstrap_test`, for any outcome; or if `outcomes` is not of shape (n, m).

    Notes
    -----
    A cluster has the same sign in all outcomes of a draw, so their dependence is kept, also
    where they are observed for different rows; each outcome's null holds in each draw.

    References
    ----------
    Romano, J. P., & Wolf, M. (2005). Stepwise multiple testing as formalized data snooping.
    *Econometrica*, 73(4), 1237-1282.
    Romano, J. P., & Wolf, M. (2016). Efficient computation of adjusted p-values for
    resampling-based stepdown multiple testing. *Statistics & Probability Letters*, 113, 38-40.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    rows = len(np.asarray(X))
    if values.ndim != 2 or len(values) != rows or not values.shape[1]:
        raise EstimationError(
            f"Romano-Wolf: outcomes have shape {values.shape} for {rows} rows of X; give (n, m)."
        )
    given = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    designs: dict[bytes, PreparedDesign] = {}
    scores = []
    for y in values.T:
        observed = ~np.isnan(y)
        key = np.packbits(observed).tobytes()
        if key not in designs:
            designs[key] = prepare_design(
                X,
                weights=np.where(observed, given, 0.0),
                absorb=absorb,
                clusters=clusters,
                names=names,
            )
        treated = named_column(X, names, column)
        scores.append(cluster_scores(designs[key], y, column=column, treated=treated))
    return stepdown_bootstrap(scores, seed=seed, draws=draws, weight_type=weight_type)


def stepdown_bootstrap(
    scores: Sequence[ClusterScores],
    *,
    seed: int,
    nulls: Sequence[float] | None = None,
    draws: int = 9999,
    weight_type: WeightType = "rademacher",
) -> RomanoWolfTest:
    """Test one coefficient of each of several regressions, with familywise p values.

    The regressions may have different rows and columns; a cluster is known by its code.

    Parameters
    ----------
    scores
        One of `cluster_scores` for each regression.
    seed, draws, weight_type
        As in `wild_bootstrap_test`.
    nulls : sequence of m values, optional
        All 0 if not given.

    Returns
    -------
    RomanoWolfTest

    Raises
    ------
    EstimationError
        If there are no scores, as many nulls are not given, codes of clusters are of several
        types, or an option is not possible.
    """
    check_draws(seed=seed, draws=draws, weight_type=weight_type)
    values = np.zeros(len(scores)) if nulls is None else np.asarray(nulls, dtype=np.float64)
    if not scores or values.shape != (len(scores),) or not np.isfinite(values).all():
        raise EstimationError(
            f"Romano-Wolf: there are {len(scores)} regressions and {values.size} null values; "
            "give at least one regression and a finite null value for each."
        )
    labels = _all_clusters(scores)
    members = [np.searchsorted(labels, each.labels) for each in scores]
    kind, blocks = sign_vectors(len(labels), draws, weight_type, seed)
    estimates = np.array([each.estimate for each in scores])
    std_errors = np.array([each.std_error for each in scores])
    with one_thread():
        shifts = (values - estimates).tolist()
        found = perturb(list(zip(scores, shifts, strict=True)), members, blocks)
    t, t_draws = (estimates - values) / std_errors, np.column_stack([each.t for each in found])
    plain = [
        two_sided_p_value(float(own), column, "symmetric", more=0)
        for own, column in zip(t, t_draws.T, strict=True)
    ]
    return RomanoWolfTest(
        columns=tuple(each.column for each in scores),
        nulls=values,
        estimates=estimates,
        std_errors=std_errors,
        t=t,
        p_values=np.array(plain),
        p_values_adjusted=romano_wolf(t, t_draws, kind=kind),
        G=len(labels),
        draws=len(t_draws),
        draw_kind=kind,
        weight_type=weight_type,
        seed=seed,
        notes=tuple(dict.fromkeys(note for each in scores for note in each.notes)),
    )


def _all_clusters(scores: Sequence[ClusterScores]) -> NDArray[np.generic]:
    kinds = {"U" if each.labels.dtype.kind in "US" else "number" for each in scores}
    if len(kinds) > 1:
        raise EstimationError(
            "Romano-Wolf: codes of clusters are words in some regressions and numbers in others; "
            "give the same codes in all."
        )
    different: NDArray[np.generic] = np.unique(np.concatenate([each.labels for each in scores]))
    return different
