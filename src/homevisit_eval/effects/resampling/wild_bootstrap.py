"""Restricted wild cluster bootstrap of one coefficient (arrays)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.effects.resampling.bootstrap_draws import (
    VALUES,
    WeightType,
    check_draws,
    perturb,
    sign_vectors,
)
from homevisit_eval.effects.resampling.families_of_tests import DrawKind
from homevisit_eval.effects.resampling.inversion import (
    PValueType,
    outermost_kept,
    two_sided_p_value,
    unbounded_note,
)
from homevisit_eval.effects.resampling.scores_by_cluster import (
    ClusterScores,
    cluster_scores,
    named_column,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = [
    "BootstrapTest",
    "PValueType",
    "WeightType",
    "bootstrap_coefficient",
    "wild_bootstrap_test",
]

Floats = NDArray[np.float64]

FEW_CLUSTERS = 10
LARGE_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BootstrapTest:
    """A wild cluster bootstrap test of one coefficient.

    Attributes
    ----------
    column, null
        What is tested: that the coefficient of `column` has the value `null`.
    estimate, std_error, t
        The coefficient, its sandwich standard error (CR0), and (estimate - null) / std_error.
    p_value, p_value_type
        Two-sided.
    monte_carlo_error
        Standard error of `p_value` from drawing at random; 0 if all vectors were enumerated.
    ci_low, ci_high, confidence_level
        The outermost null values that are not rejected; infinite where none outward is.
    n, K, G
        Rows of positive weight, parameters (absorbed levels counted), clusters.
    draws, draw_kind, weight_type, seed
        Sign vectors used, and how they were found; `seed` does not matter if enumerated.
    t_draws : array of shape (draws,)
        The statistics under the null, infinite where the standard error of a draw is 0.
    notes : tuple of sentences
        What a reader must know.
    """

    column: str
    null: float
    estimate: float
    std_error: float
    t: float
    p_value: float
    p_value_type: PValueType
    monte_carlo_error: float
    ci_low: float
    ci_high: float
    confidence_level: float
    n: int
    K: int
    G: int
    draws: int
    draw_kind: DrawKind
    weight_type: WeightType
    seed: int
    t_draws: Floats
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the test with its recipe, not the draws."""
        p = f"p = {self.p_value:.4g}" if self.p_value > 0 else f"p < {1 / self.draws:.2g}"
        return (
            f"BootstrapTest({self.column} = {self.null:g}: {p}, {self.p_value_type}; "
            f"estimate {self.estimate:.6g}, t = {self.t:.4g} (CR0), "
            f"{100 * self.confidence_level:g} % interval [{self.ci_low:.6g}, {self.ci_high:.6g}];\n"
            f"  restricted wild cluster bootstrap, {self.draws:,} {self.weight_type} vectors "
            f"{self.draw_kind}; n = {self.n}, K = {self.K}, G = {self.G})"
        )


def wild_bootstrap_test(
    y: ArrayLike,
    X: ArrayLike,
    *,
    column: str,
    clusters: ArrayLike,
    seed: int,
    names: Sequence[str] | None = None,
    null: float = 0.0,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    draws: int = 9999,
    weight_type: WeightType = "rademacher",
    p_value_type: PValueType = "symmetric",
    confidence_level: float = 0.95,
) -> BootstrapTest:
    """Test one coefficient of weighted least squares by the restricted wild cluster bootstrap.

    Parameters
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
        Used as it is: without `absorb`, give an intercept column yourself.
    column
        The name of the coefficient's column.
    clusters : array of shape (n,)
        Codes of the groups within which errors may be dependent.
    seed
        Of the sign vectors.
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.
    null
        The value of the coefficient that is tested.
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. Part of the estimator; rows of weight 0 are left out.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that get one intercept for each level; they need not nest in clusters.
    draws
        Sign vectors. All are enumerated instead, and p is exact, where there are not more: up
        to 13 clusters for 9,999 draws with ``"rademacher"``, 5 with ``"webb"``.
    weight_type
        ``"rademacher"``: 1 or -1 for each cluster. ``"webb"``: six values, for fewer than 10
        clusters, where there are too few vectors of signs.
    p_value_type
        ``"symmetric"``: the share of draws with :math:`|t^*| \\ge |t|`. ``"equal_tailed"``: twice
        the smaller share of :math:`t^* \\le t` and :math:`t^* \\ge t`.
    confidence_level
        Of the interval, found by inverting the test with the same sign vectors.

    Raises
    ------
    EstimationError
        As `fit_least_squares`; if the column is unknown or collinear, if its standard error is
        0, or if an option is unknown or outside its range.

    Notes
    -----
    Residuals are those of the regression with the coefficient held at `null`; in each draw
    those of a cluster are multiplied by one number. The coefficient and its sandwich standard
    error (CR0; factors common to all draws change nothing) are found anew from sums by cluster,
    which give what a regression on all rows would, also where absorbed cells cross clusters.
    Ties are counted with a relative tolerance of 1e-8; a draw whose standard error is 0 counts
    as extreme. As a function of the null value the p value need not fall steadily on either
    side: the bounds are the outermost crossings on a grid of up to 1.3 million standard errors.

    References
    ----------
    Cameron, A. C., Gelbach, J. B., & Miller, D. L. (2008). Bootstrap-based improvements for
    inference with clustered errors. *Review of Economics and Statistics*, 90(3), 414-427.
    MacKinnon, J. G., & Webb, M. D. (2017). Wild bootstrap inference for wildly different cluster
    sizes. *Journal of Applied Econometrics*, 32(2), 233-254.
    Roodman, D., Nielsen, M. O., MacKinnon, J. G., & Webb, M. D. (2019). Fast and wild:
    Bootstrap inference in Stata using boottest. *Stata Journal*, 19(1), 4-60.
    Webb, M. D. (2023). Reworking wild bootstrap-based inference for clustered errors. *Canadian
    Journal of Economics*, 56(3), 839-858.

    Examples
    --------
    >>> test = wild_bootstrap_test(
    ...     [1.0, 2.0, 0.0, 4.0], [[1, 0], [1, 1], [1, 0], [1, 1]], column="x1",
    ...     clusters=[0, 0, 1, 1], seed=1)
    >>> test.p_value, test.draw_kind
    (0.5, 'enumerated')
    """
    prepared = prepare_design(X, weights=weights, absorb=absorb, clusters=clusters, names=names)
    treated = named_column(X, names, column)
    scores = cluster_scores(prepared, y, column=column, treated=treated)
    return bootstrap_coefficient(
        scores,
        seed=seed,
        null=null,
        draws=draws,
        weight_type=weight_type,
        p_value_type=p_value_type,
        confidence_level=confidence_level,
    )


def bootstrap_coefficient(
    scores: ClusterScores,
    *,
    seed: int,
    null: float = 0.0,
    draws: int = 9999,
    weight_type: WeightType = "rademacher",
    p_value_type: PValueType = "symmetric",
    confidence_level: float = 0.95,
) -> BootstrapTest:
    """Test one coefficient of which `cluster_scores` made the sums by cluster.

    Options are those of `wild_bootstrap_test`, which does both.

    Raises
    ------
    EstimationError
        If an option is unknown or outside its range.
    """
    check_draws(seed=seed, draws=draws, weight_type=weight_type)
    _check_test(null, p_value_type, confidence_level)
    shift = null - scores.estimate
    kind, blocks = sign_vectors(scores.G, draws, weight_type, seed)
    with one_thread():
        found = perturb([(scores, shift)], [np.arange(scores.G)], blocks)[0]
    t, t_draws = -shift / scores.std_error, found.t
    p = two_sided_p_value(t, t_draws, p_value_type, more=0)

    def p_value_at(distance: float) -> float:
        elsewhere = found.curves.at(distance)
        return two_sided_p_value(-distance / scores.std_error, elsewhere, p_value_type, more=0)

    low, high = (
        scores.estimate
        + outermost_kept(p_value_at, scale=scale, rejected_at=1.0 - confidence_level)
        for scale in (-scores.std_error, scores.std_error)
    )
    count = len(t_draws)
    return BootstrapTest(
        column=scores.column,
        null=float(null),
        estimate=scores.estimate,
        std_error=scores.std_error,
        t=t,
        p_value=p,
        p_value_type=p_value_type,
        monte_carlo_error=0.0 if kind == "enumerated" else float(np.sqrt(p * (1 - p) / count)),
        ci_low=low,
        ci_high=high,
        confidence_level=confidence_level,
        n=scores.n,
        K=scores.K,
        G=scores.G,
        draws=count,
        draw_kind=kind,
        weight_type=weight_type,
        seed=seed,
        t_draws=t_draws,
        notes=(
            *scores.notes,
            *_notes(scores, kind, weight_type, t_draws, p),
            *unbounded_note(low, high),
        ),
    )


def _check_test(null: float, p_value_type: PValueType, confidence_level: float) -> None:
    if p_value_type not in get_args(PValueType):
        raise EstimationError(
            f"wild bootstrap: p_value_type {p_value_type!r} is unknown; give one of "
            f"{', '.join(get_args(PValueType))}."
        )
    if not np.isfinite(null) or not 0.0 < confidence_level < 1.0:
        raise EstimationError(
            f"wild bootstrap: null is {null!r} and confidence_level {confidence_level!r}; give a "
            "finite number, and one between 0 and 1."
        )


def _notes(
    scores: ClusterScores, kind: DrawKind, weight_type: WeightType, t_draws: Floats, p: float
) -> Iterator[str]:
    count, G = len(t_draws), scores.G
    if kind == "enumerated":
        smallest = len(VALUES[weight_type]) / count
        yield (
            f"All {count:,} vectors of {G} clusters were enumerated: p is exact, and cannot be "
            f"below {smallest:.3g}."
        )
    elif p == 0:
        yield f"No draw was as extreme as the sample: p is below 1 / {count:,}; draw more."
    if weight_type == "rademacher" and G < FEW_CLUSTERS:
        yield (
            f"{G} clusters allow {2**G} vectors of signs only; weight_type webb has more, and "
            "fewer than 10 clusters say little in any case."
        )
    if scores.largest_share > LARGE_SHARE:
        yield (
            f"One cluster holds {100 * scores.largest_share:.0f} % of what identifies the "
            "coefficient; the bootstrap is unreliable then."
        )
    zero = int(np.isinf(t_draws).sum())
    if zero:
        yield f"{zero:,} draws have a standard error of 0; they count as extreme."
