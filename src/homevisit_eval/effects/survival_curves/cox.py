"""The hazard ratio of two groups by a Cox model, and the log-rank test (arrays)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from homevisit_eval.effects.survival_curves.follow_up import FollowUp, check_level, follow_up
from homevisit_eval.effects.survival_curves.tied_times import (
    TiedTimes,
    Ties,
    partial_likelihood,
    score_residuals,
    tied_times,
)
from homevisit_eval.errors import EstimationError

__all__ = ["CoxCovariance", "CoxFit", "LogRankTest", "fit_cox", "log_rank_test"]

CoxCovariance = Literal["CR1", "CR0", "model"]
Floats = NDArray[np.float64]

MOST_STEPS = 50
SMALL_STEP = 1e-9
"""Newton's steps about square: after one this small the next would be lost in rounding."""
LIKELIHOOD_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CoxFit:
    """The log hazard ratio of the treated, by the partial likelihood.

    Attributes
    ----------
    log_hazard_ratio, std_error
        Natural logarithm.
    model_std_error
        From the information alone, as if weights were counts of independent rows.
    df
        G - 1 with clusters, else infinite.
    log_likelihood
    covariance, ties
    G, strata
        Clusters (rows if none were given), and strata.
    events_treated, events_comparison
        Rows with their event.
    confidence_level
    """

    log_hazard_ratio: float
    std_error: float
    model_std_error: float
    df: float
    log_likelihood: float
    covariance: CoxCovariance
    ties: Ties
    G: int
    strata: int
    events_treated: int
    events_comparison: int
    confidence_level: float

    @property
    def hazard_ratio(self) -> float:
        """The hazard of the treated relative to that of the comparison group."""
        return math.exp(self.log_hazard_ratio)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the hazard ratio, symmetric in its logarithm."""
        half = float(stdtrit(self.df, (1 + self.confidence_level) / 2)) * self.std_error
        return math.exp(self.log_hazard_ratio - half), math.exp(self.log_hazard_ratio + half)

    @property
    def p_value(self) -> float:
        """Two-sided p value of a hazard ratio of 1."""
        return float(2.0 * stdtr(self.df, -abs(self.log_hazard_ratio / self.std_error)))

    def __repr__(self) -> str:
        """Show the hazard ratio and the recipe, no counts."""
        low, high = self.interval
        return (
            f"CoxFit(hazard ratio {self.hazard_ratio:.4g} [{low:.4g}, {high:.4g}], "
            f"{self.covariance}, ties by {self.ties})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogRankTest:
    """A test that two groups have the same hazard at all times.

    Attributes
    ----------
    observed_less_expected
        Weighted events of the treated, less those expected if hazards were the same.
    variance
    statistic
        The square of the first by the second.
    df_denominator
        G - 1 with clusters (F test with one numerator df); infinite without (chi squared).
    p_value
    covariance
        ``"CR1"`` by cluster, or ``"hypergeometric"``.
    """

    observed_less_expected: float
    variance: float
    statistic: float
    df_denominator: float
    p_value: float
    covariance: str

    def __repr__(self) -> str:
        """Show the test, no counts."""
        return (
            f"LogRankTest(statistic {self.statistic:.4g}, p = {self.p_value:.4g}, "
            f"{self.covariance})"
        )


def fit_cox(
    times: ArrayLike,
    events: ArrayLike,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ties: Ties = "efron",
    covariance: CoxCovariance = "CR1",
    confidence_level: float = 0.95,
) -> CoxFit:
    """Estimate the hazard ratio of treated to comparison rows by a weighted Cox model.

    Parameters
    ----------
    times, events, weights, clusters : arrays of shape (n,)
        As in `kaplan_meier`.
    treated : array of shape (n,)
        1 or true for treated rows.
    strata : array of shape (n,), optional
        Codes of groups with hazards of their own, such as matched sets.
    ties
        ``"efron"`` or ``"breslow"``.
    covariance
        ``"CR0"``: Lin and Wei's sandwich, score residuals summed by cluster (by row without
        clusters), as R's `coxph(cluster=)`. ``"CR1"``: times G / (G - 1). ``"model"``: the
        inverse information.
    confidence_level
        Of the interval.

    Raises
    ------
    EstimationError
        If an argument is out of range, the group of a row is not known, all rows are in one
        cluster, or events tell of one group only so that no finite ratio is the most likely.

    Notes
    -----
    With :math:`r_i = w_i e^{\\beta z_i}` the slope of Efron's weighted log partial likelihood is

    .. math:: U(\\beta) = \\sum_t \\sum_{i \\in D_t} w_i \\left(z_i - \\frac{1}{d_t}
              \\sum_{k=0}^{d_t - 1} \\bar z_{tk} \\right), \\quad
              \\bar z_{tk} = \\frac{\\sum_{R_t} r_i z_i - \\frac{k}{d_t} \\sum_{D_t} r_i z_i}
                               {\\sum_{R_t} r_i - \\frac{k}{d_t} \\sum_{D_t} r_i}

    over times with events :math:`D_t` among those at risk :math:`R_t`, within strata. Newton's
    steps are halved until the likelihood rises. A row's score residual is its weight times the
    derivative of U by that weight. Without strata the ratio is that of the two weighted groups
    (marginal), within matched sets that of students of one set (conditional); in general they
    differ. If hazards are not proportional, the ratio is an average that depends on censoring.

    References
    ----------
    Austin, P. C. (2014). The use of propensity score methods with survival or time-to-event
    outcomes: Reporting measures of effect similar to those used in randomized experiments.
    *Statistics in Medicine*, 33(7), 1242-1258.
    Binder, D. A. (1992). Fitting Cox's proportional hazards models from survey data.
    *Biometrika*, 79(1), 139-147.
    Efron, B. (1977). The efficiency of Cox's likelihood function for censored data. *Journal of
    the American Statistical Association*, 72(359), 557-565.
    Lin, D. Y., & Wei, L. J. (1989). The robust inference for the Cox proportional hazards model.
    *Journal of the American Statistical Association*, 84(408), 1074-1078.
    """
    check_level(confidence_level)
    _check_options(ties, covariance)
    rows, z, codes = _checked(
        times, events, treated, weights=weights, strata=strata, clusters=clusters
    )
    tied = tied_times(rows.times, rows.events, z, weights=rows.weights, strata=codes, ties=ties)
    _check_finite(tied)
    coefficient, likelihood, information = _maximum(tied)
    G = rows.G
    variance = 1.0 / information
    if covariance != "model":
        _check_clusters(G)
        sums = np.bincount(rows.clusters, score_residuals(tied, coefficient))
        variance = float(sums @ sums) / information**2
        variance *= G / (G - 1) if covariance == "CR1" else 1.0
    return CoxFit(
        log_hazard_ratio=coefficient,
        std_error=math.sqrt(variance),
        model_std_error=math.sqrt(1.0 / information),
        df=G - 1.0 if rows.clustered and covariance != "model" else math.inf,
        log_likelihood=likelihood,
        covariance=covariance,
        ties=ties,
        G=G,
        strata=int(codes.max()) + 1,
        events_treated=int(rows.events[z == 1].sum()),
        events_comparison=int(rows.events[z == 0].sum()),
        confidence_level=confidence_level,
    )


def log_rank_test(
    times: ArrayLike,
    events: ArrayLike,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> LogRankTest:
    """Test that treated and comparison rows have the same hazard, with weights and clusters.

    Parameters
    ----------
    times, events, weights, clusters : arrays of shape (n,)
        As in `kaplan_meier`.
    treated : array of shape (n,)
        1 or true for treated rows.
    strata : array of shape (n,), optional
        Codes of groups with hazards of their own.

    Raises
    ------
    EstimationError
        If an argument is out of range, all rows are in one cluster, rows have unequal weights but
        no clusters, or no event tells the groups apart.

    Notes
    -----
    The statistic is the slope of the Cox partial likelihood (Breslow's) at a ratio of 1: weighted
    events of the treated less those expected. With clusters its variance is G times that of the
    clusters' sums of score residuals about their mean, so that the statistic is the square of a
    one-sample t of the sums; without, the hypergeometric one of Mantel, which weights would make
    wrong. (Squares not taken about the mean would grow with the difference that is tested.)

    References
    ----------
    Mantel, N. (1966). Evaluation of survival data and two new rank order statistics arising in
    its consideration. *Cancer Chemotherapy Reports*, 50(3), 163-170.
    Lin, D. Y., & Wei, L. J. (1989). The robust inference for the Cox proportional hazards model.
    *Journal of the American Statistical Association*, 84(408), 1074-1078.
    """
    rows, z, codes = _checked(
        times, events, treated, weights=weights, strata=strata, clusters=clusters
    )
    tied = tied_times(
        rows.times, rows.events, z, weights=rows.weights, strata=codes, ties="breslow"
    )
    slope = partial_likelihood(tied, 0.0)[1]
    if rows.clustered:
        G = rows.G
        _check_clusters(G)
        sums = np.bincount(rows.clusters, score_residuals(tied, 0.0))
        variance, df = G * float(sums.var(ddof=1)), G - 1.0
    else:
        if rows.weights.min() != rows.weights.max():
            raise EstimationError(
                "log-rank: rows have unequal weights, for which the usual variance does not "
                "hold. Give clusters."
            )
        variance, df = _hypergeometric(tied) * rows.weights[0] ** 2, math.inf
    if not variance > 0:
        raise EstimationError(
            "log-rank: no event happened while rows of both groups were at risk, so nothing can "
            "be compared."
        )
    statistic = slope**2 / variance
    p = fdtrc(1, df, statistic) if rows.clustered else chdtrc(1, statistic)
    return LogRankTest(
        observed_less_expected=slope,
        variance=variance,
        statistic=statistic,
        df_denominator=df,
        p_value=float(p),
        covariance="CR1" if rows.clustered else "hypergeometric",
    )


def _checked(
    times: ArrayLike,
    events: ArrayLike,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None,
    strata: ArrayLike | None,
    clusters: ArrayLike | None,
) -> tuple[FollowUp, Floats, NDArray[np.intp]]:
    """Return checked rows, their group as 0.0 or 1.0, and the code of their stratum."""
    rows = follow_up(times, events, weights, clusters)
    z = np.asarray(treated, dtype=np.float64)
    blocks = np.zeros(z.shape) if strata is None else np.asarray(strata)
    if not z.shape == blocks.shape == rows.kept.shape:
        raise EstimationError(
            f"survival: treated has shape {z.shape} and strata {blocks.shape} for "
            f"{len(rows.kept)} rows; give one of each for every row."
        )
    z = z[rows.kept]
    other = int((~np.isin(z, (0.0, 1.0))).sum())
    if other or z.min() == z.max():
        raise EstimationError(
            f"survival: treated is neither 0 nor 1 in {other} rows, or the same in all; give rows "
            "of both groups."
        )
    return rows, z, np.unique(blocks[rows.kept], return_inverse=True)[1].ravel()


def _check_options(ties: str, covariance: str) -> None:
    for name, value, known in (
        ("ties", ties, get_args(Ties)),
        ("covariance", covariance, get_args(CoxCovariance)),
    ):
        if value not in known:
            raise EstimationError(
                f"Cox model: {name} {value!r} is unknown; give one of {', '.join(known)}."
            )


def _check_clusters(G: int) -> None:
    if G < 2:
        raise EstimationError(
            "survival: all rows are in one cluster, so there is no standard error. Choose a finer "
            "cluster level."
        )


def _counts_at_events(tied: TiedTimes) -> tuple[Floats, Floats, Floats, Floats]:
    """Return rows at risk, treated among them, events, and treated among these, by group (m,)."""
    found = []
    for values in (np.ones(len(tied.z)), tied.z):
        running = np.concatenate([[0.0], np.cumsum(values)])
        found.append(running[tied.last_row + 1] - running[tied.stratum_start])
        found.append(np.bincount(tied.group, values * tied.events, tied.m))
    return found[0], found[2], found[1], found[3]


def _check_finite(tied: TiedTimes) -> None:
    """Refuse data for which the likelihood rises without end."""
    at_risk, treated, events, of_treated = _counts_at_events(tied)
    telling = (treated > 0) & (treated < at_risk)
    seen = [bool((count[telling] > 0).any()) for count in (of_treated, events - of_treated)]
    if not all(seen):
        who = "neither group" if not any(seen) else "one group only"
        raise EstimationError(
            f"Cox model: while rows of both groups were at risk, events happened in {who}, so "
            "there is no finite hazard ratio. Compare cumulative incidence instead."
        )


def _hypergeometric(tied: TiedTimes) -> float:
    """Return the variance of the treated events given the margins at each time, summed."""
    at_risk, treated, events, _ = _counts_at_events(tied)
    several = at_risk > 1
    n, n1, d = at_risk[several], treated[several], events[several]
    return float((d * (n1 / n) * (1 - n1 / n) * (n - d) / (n - 1)).sum())


def _maximum(tied: TiedTimes) -> tuple[float, float, float]:
    """Return the coefficient of the largest likelihood, the likelihood and its information."""
    at = 0.0
    value, slope, information = partial_likelihood(tied, at)
    for _ in range(MOST_STEPS):
        step = slope / information
        higher = partial_likelihood(tied, at + step)
        if abs(step) <= SMALL_STEP * max(1.0, abs(at)):
            return at + step, higher[0], higher[2]
        while higher[0] < value - abs(value) * LIKELIHOOD_ROUNDING and abs(step) > SMALL_STEP:
            step /= 2
            higher = partial_likelihood(tied, at + step)
        at, (value, slope, information) = at + step, higher
    raise EstimationError(
        f"Cox model: no maximum of the likelihood was found in {MOST_STEPS} steps. Compare "
        "cumulative incidence instead."
    )
