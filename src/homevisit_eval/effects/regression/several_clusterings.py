"""Errors dependent within several clusterings, or within and between periods (arrays)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.covariance import CovarianceType, small_sample_factor
from homevisit_eval.effects.regression.degrees_of_freedom import (
    NestedEffects,
    count_parameters,
    counted_df,
)
from homevisit_eval.effects.regression.least_squares import (
    Conventions,
    LeastSquaresFit,
    alone_notes,
    design_notes,
    estimate,
    fitted,
)
from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    with_clusters,
)
from homevisit_eval.effects.regression.projected_design import sum_by_cluster
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["fit_driscoll_kraay", "fit_several_clusterings"]

SeveralCovariance = Literal["CR0", "CR1", "CR1S", "CR1p"]
SeveralDf = Literal["min(G) - 1", "n - K", "normal"]
FactorType = Literal["by term", "smallest"]
MeetingType = Literal["clusters", "rows"]
Floats = NDArray[np.float64]

NEGATIVE = 1e-12  # share of the largest eigenvalue below which a negative one is rounding


def fit_several_clusterings(
    prepared: PreparedDesign,
    y: ArrayLike,
    clusterings: Sequence[ArrayLike],
    *,
    covariance: SeveralCovariance = "CR1S",
    factor: FactorType = "by term",
    meeting: MeetingType = "clusters",
    df: SeveralDf = "min(G) - 1",
    nested_effects: NestedEffects = "counted",
) -> LeastSquaresFit:
    """Regress an outcome on a design, with standard errors clustered in several ways.

    Parameters
    ----------
    prepared
        From `prepare_design`; its own clusters do not matter.
    y : array of shape (rows given,)
    clusterings : sequence of two or more arrays of shape (rows given,)
        Codes; errors of rows that share any of them may be dependent.
    covariance
        ``"CR0"``, or each term times a factor as in `robust_covariance`.
    factor
        From the clusters of each term (``"by term"``, Cameron, Gelbach and Miller) or of the
        clustering with fewest for all terms (``"smallest"``).
    meeting
        The term that is subtracted for rows which share all codes sums by these
        ``"clusters"``; with ``"rows"`` it takes every row as its own, without a factor (Ma).
    df
        Of the t distribution; min(G) is the clusters of the clustering with fewest.
    nested_effects
        As in `fit_least_squares`: whether levels of absorbed factors that nest in one of the
        clusterings count in K.

    Returns
    -------
    LeastSquaresFit
        Its `cluster_counts` are those of the clusterings.

    Raises
    ------
    EstimationError
        If there are fewer than two clusterings, one has a single cluster, a convention is
        unknown, or y does not fit.

    Notes
    -----
    V is the sum over all sets of clusterings of the covariance by the groups that agree in all
    of the set, plus for sets of odd size and minus for even. If it is not positive
    semidefinite, negative eigenvalues are set to 0, which the notes tell.

    References
    ----------
    Cameron, A. C., Gelbach, J. B., & Miller, D. L. (2011). Robust inference with multiway
    clustering. *Journal of Business & Economic Statistics*, 29(2), 238-249.
    Ma, M. S. (2014). Are we really doing what we think we are doing? A note on finite-sample
    estimates of two-way cluster-robust standard errors. SSRN working paper.
    """
    _check_options(covariance, factor, meeting, df)
    if len(clusterings) < 2:
        raise EstimationError(
            f"several clusterings: {len(clusterings)} is given; give two or more, or use "
            "fit_outcome."
        )
    with one_thread():
        ways = [with_clusters(prepared, codes) for codes in clusterings]
        counts = tuple(way.G for way in ways)
        K = min(count_parameters(way, nested_effects) for way in ways)
        coefficients, residuals = estimate(prepared, y)
        matrix = np.zeros((len(coefficients), len(coefficients)))
        for sign, term, last in _terms(ways):
            by_row = last and meeting == "rows"
            G = min(counts) if factor == "smallest" else term.G
            kind: CovarianceType = "CR0" if by_row else covariance
            scale = small_sample_factor(kind, n=prepared.n, K=K, G=G)
            scores = _scores(_by_row(prepared) if by_row else term, residuals)
            matrix += sign * scale * (scores.T @ scores)
        matrix, fixed = _positive(matrix)
        fewest = ways[int(np.argmin(counts))]
        alone = alone_notes(fewest, range(len(coefficients)), None)
    return fitted(
        prepared,
        coefficients,
        residuals,
        matrix,
        Conventions(covariance, df, nested_effects, K, min(counts), counts),
        df=np.full(len(coefficients), _df(df, prepared.n, K, min(counts))),
        notes=(*design_notes(fewest), *alone, *fixed),
    )


def fit_driscoll_kraay(
    prepared: PreparedDesign, y: ArrayLike, periods: ArrayLike, *, lags: int
) -> LeastSquaresFit:
    """Regress an outcome on a design; errors dependent within periods and between near ones.

    Parameters
    ----------
    prepared
    y : array of shape (rows given,)
    periods : array of shape (rows given,)
        Equally spaced periods, as numbers; all between the first and last should occur.
    lags
        Periods, 0 or more, over which errors may be dependent. Newey and West: the fourth root
        of their number, rounded down.

    Returns
    -------
    LeastSquaresFit
        Times n / (n - K), with n - K degrees of freedom; G is the number of periods.

    Raises
    ------
    EstimationError
        If lags are negative or not fewer than the periods, there is one period, or y does not
        fit.

    Notes
    -----
    With the scores S_t summed by period, the middle is S'S plus, for each lag l, (1 - l / (lags
    + 1)) times the sum of S_t S_(t-l)' and its transpose.

    References
    ----------
    Driscoll, J. C., & Kraay, A. C. (1998). Consistent covariance matrix estimation with
    spatially dependent panel data. *Review of Economics and Statistics*, 80(4), 549-560.
    """
    by_period = with_clusters(prepared, periods)
    n, K, G = by_period.n, by_period.K, by_period.G
    if not 0 <= lags < G:
        raise EstimationError(f"Driscoll-Kraay: lags must be 0 to {G - 1}; it is {lags}.")
    with one_thread():
        coefficients, residuals = estimate(by_period, y)
        scores = _scores(by_period, residuals)
    matrix = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        matrix += (1.0 - lag / (lags + 1.0)) * (product + product.T)
    matrix *= n / (n - K)
    return fitted(
        prepared,
        coefficients,
        residuals,
        matrix,
        Conventions(f"Driscoll-Kraay, {lags} lags", "n - K", "counted", K, G),
        df=np.full(len(coefficients), float(n - K)),
        notes=design_notes(by_period),
    )


def _terms(ways: Sequence[PreparedDesign]) -> Iterator[tuple[float, PreparedDesign, bool]]:
    """Yield sign, design clustered by the groups of a set of clusterings, whether it is all."""
    for size in range(1, len(ways) + 1):
        for chosen in combinations(ways, size):
            term = chosen[0]
            for other in chosen[1:]:
                codes = term.design.clusters * other.G + other.design.clusters
                everywhere = np.zeros(len(term.used), dtype=np.intp)
                everywhere[term.used] = codes
                term = with_clusters(term, everywhere)
            yield (1.0 if size % 2 else -1.0), term, size == len(ways)


def _by_row(prepared: PreparedDesign) -> PreparedDesign:
    return with_clusters(prepared, np.arange(len(prepared.used)))


def _scores(prepared: PreparedDesign, residuals: Floats) -> Floats:
    design = prepared.design
    scores = sum_by_cluster(design, design.root_weights * residuals) @ prepared.inverse.T
    return np.asarray(scores, dtype=np.float64)


def _positive(matrix: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the matrix with negative eigenvalues set to 0, and the note that says so."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    negative = eigenvalues < -NEGATIVE * max(float(eigenvalues.max()), 0.0)
    if not negative.any():
        return matrix, ()
    fixed = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
    return fixed, (
        f"The covariance had {int(negative.sum())} negative eigenvalues of {len(eigenvalues)}, "
        "which are set to 0 (Cameron, Gelbach & Miller, 2011).",
    )


def _df(df: SeveralDf, n: int, K: int, G: int) -> float:
    return counted_df("G - 1" if df == "min(G) - 1" else df, n, K, G)


def _check_options(covariance: str, factor: str, meeting: str, df: str) -> None:
    for name, value, known in (
        ("covariance", covariance, get_args(SeveralCovariance)),
        ("factor", factor, get_args(FactorType)),
        ("meeting", meeting, get_args(MeetingType)),
        ("df", df, get_args(SeveralDf)),
    ):
        if value not in known:
            raise EstimationError(
                f"several clusterings: {name} must be one of {', '.join(known)}; it is {value!r}."
            )
