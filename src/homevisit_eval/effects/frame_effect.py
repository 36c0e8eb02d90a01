"""The effect in any matched data frame, with the standard error that fits how it was matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.regression.covariance import COVARIANCES, CovarianceType
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit, fit_least_squares
from homevisit_eval.effects.rubin import pool_estimates
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.frame import (
    check_columns,
    check_names,
    check_usable,
    is_factor,
    make_design_matrix,
    read_names,
)
from homevisit_eval.matching.matched_sample import Estimand, Matches

__all__ = ["FrameEffect", "estimate_frame_effect", "pool_frame_effects"]

Covariance = Literal[
    "default",
    "classical",
    "HC0",
    "HC1",
    "HC2",
    "HC3",
    "HC4",
    "CR0",
    "CR1",
    "CR1S",
    "CR1p",
    "CR2",
    "CR3",
]
FloatArray = NDArray[np.float64]

FEW_CLUSTERS = 20


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameEffect:
    """The estimated effect of a treatment on one column of a matched data frame.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high
        In units of the outcome.
    estimand
        The realized one.
    df, df_convention
        Degrees of freedom of the t distribution and how they were found.
    covariance, cluster
        How the standard error was found, and what it is clustered by: a column, "matched_set",
        or empty for independent rows.
    mean_treated, mean_comparison
        Weighted means of the outcome.
    n_treated, n_comparison
        Rows of positive weight with the outcome.
    effective_treated, effective_comparison
        Their effective sample sizes, (sum w)^2 / sum w^2.
    clusters, parameters
        G and K.
    coefficients : mapping of column to (estimate, standard error)
    notes
        What a reader must know.
    """

    outcome: str
    estimand: Estimand
    estimate: float
    std_error: float
    df: float
    df_convention: str
    covariance: str
    cluster: str
    confidence_level: float
    ci_low: float
    ci_high: float
    p_value: float
    mean_treated: float
    mean_comparison: float
    n_treated: int
    n_comparison: int
    effective_treated: float
    effective_comparison: float
    clusters: int
    parameters: int
    coefficients: Mapping[str, tuple[float, float]]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the estimate with its interval, estimand, sample and recipe."""
        by = f" by {self.cluster}, G = {self.clusters:,}" if self.cluster else ""
        return (
            f"FrameEffect({self.outcome}, {self.estimand}: {self.estimate:.6g} "
            f"[{self.ci_low:.6g}, {self.ci_high:.6g}], SE {self.std_error:.6g}, "
            f"p = {self.p_value:.3f};\n"
            f"  {self.n_treated:,} treated (effectively {self.effective_treated:,.0f}) and "
            f"{self.n_comparison:,} comparison rows (effectively "
            f"{self.effective_comparison:,.0f}); {self.covariance}{by}, K = {self.parameters}, "
            f"df = {self.df:.1f}, {self.df_convention})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def estimate_frame_effect(
    frame: pd.DataFrame,
    matches: Matches,
    *,
    outcome: str,
    treated: str,
    covariates: Sequence[str] = (),
    cluster: str = "default",
    covariance: Covariance = "default",
    confidence_level: float = 0.95,
) -> FrameEffect:
    """Estimate the effect on an outcome, in its units, from a data frame and its matches.

    Parameters
    ----------
    frame, matches
        The frame that `match_frame` was given, and what it returned.
    outcome
        A column of numbers. Rows without it are left out, and counted in the notes.
    treated
        The column that is 1 for treated and 0 for comparison units.
    covariates
        Columns that the regression adjusts for; none by default.
    cluster
        Groups within which errors may be dependent: a column, ``"matched_set"``, or ``""`` for
        independent rows. ``"default"``: the matched set if every row used is in one, else
        independent rows.
    covariance
        A name that `fit_least_squares` knows. ``"default"``: CR1S with clusters, HC3 without.
    confidence_level
        Of the interval, 0.5 to 0.999.

    Returns
    -------
    FrameEffect
        From weighted least squares of the outcome on treatment and covariates.

    Raises
    ------
    EstimationError
        If the labels of the frame are not those of the matches, a group has no row with the
        outcome, clusters are asked for that the matches do not have, or no standard error can
        be computed.
    MatchingError
        If a column is unknown, incomplete or not numeric.

    Notes
    -----
    After matching without replacement, in sets or pairs, outcomes of a set are alike by
    construction, so errors are clustered by set. After matching with replacement and after
    weighting rows count as independent given the weights (HC3), which takes the weights as
    known. That is usually conservative for estimated propensity weights.

    References
    ----------
    Abadie, A., & Spiess, J. (2022). Robust post-matching inference. *Journal of the American
    Statistical Association*, 117(538), 983-995.
    Austin, P. C., & Cafri, G. (2020). Variance estimation when using propensity-score matching
    with replacement with survival or time-to-event outcomes. *Statistics in Medicine*, 39(11),
    1623-1640.
    """
    if not 0.5 <= confidence_level <= 0.999:
        raise EstimationError(
            f"confidence_level must be between 0.5 and 0.999; it is {confidence_level:g}."
        )
    covariates = read_names(covariates, "covariates")
    used, group, missing = _rows(frame, matches, outcome, treated, covariates)
    part, weights = frame.loc[used], matches.weights[used].to_numpy(dtype=np.float64)
    y = part[outcome].to_numpy(dtype=np.float64)
    matrix = make_design_matrix(part, covariates)
    X = np.column_stack([matrix.columns[:, 0], group, matrix.columns[:, 1:]])
    names = (matrix.names[0], treated, *matrix.names[1:])
    by, clusters = _clusters(part, matches, used, cluster)
    kind: CovarianceType = _covariance(covariance, by)
    fit = fit_least_squares(
        y,
        X,
        weights=weights,
        clusters=clusters,
        covariance=kind,
        names=names,
        df_for=[treated],
    )
    if treated not in fit.names:
        raise EstimationError(
            f"{outcome}: the covariates determine who is treated among the matched rows, so no "
            "effect can be told apart from them. Use fewer covariates."
        )
    return _effect(fit, matches, y, weights, group, outcome=outcome, treated=treated, by=by,
                   confidence_level=confidence_level, missing=missing)  # fmt: skip


def pool_frame_effects(effects: Sequence[FrameEffect]) -> FrameEffect:
    """Return one effect from those estimated in several imputed frames, by Rubin's rules.

    Parameters
    ----------
    effects
        Of the same outcome, estimand and recipe, one for each imputed frame.

    Returns
    -------
    FrameEffect
        Estimate, standard error, degrees of freedom, interval and p value are pooled
        (`pool_estimates`); means and effective sizes are means; counts are those of the first.
        The first note tells the fraction of missing information.

    Raises
    ------
    EstimationError
        If there are fewer than two, or they are not of one kind.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, section 3.3.
    Barnard, J., & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple
    imputation. *Biometrika*, 86(4), 948-955.
    """
    kinds = {
        (
            one.outcome,
            one.estimand.target,
            one.covariance,
            one.cluster,
            one.confidence_level,
            tuple(one.coefficients),
        )
        for one in effects
    }
    if len(kinds) > 1:
        raise EstimationError(
            "Effects to be pooled must agree in outcome, estimand, covariates, covariance, "
            "cluster and confidence level. Estimate them in the same way in every imputed frame."
        )
    pooled = pool_estimates(
        [one.estimate for one in effects],
        [one.std_error for one in effects],
        [one.df for one in effects],
    )
    first = effects[0]
    half = float(stdtrit(pooled.df, 0.5 + first.confidence_level / 2)) * pooled.std_error
    note = (
        f"Pooled over {pooled.imputations} imputed frames; {pooled.missing_information:.0%} of the "
        "information is missing. Counts are those of the first frame."
    )
    return replace(
        first,
        mean_treated=float(np.mean([one.mean_treated for one in effects])),
        mean_comparison=float(np.mean([one.mean_comparison for one in effects])),
        effective_treated=float(np.mean([one.effective_treated for one in effects])),
        effective_comparison=float(np.mean([one.effective_comparison for one in effects])),
        estimate=pooled.estimate,
        std_error=pooled.std_error,
        df=pooled.df,
        df_convention="Barnard-Rubin",
        ci_low=pooled.estimate - half,
        ci_high=pooled.estimate + half,
        p_value=float(2 * stdtr(pooled.df, -abs(pooled.estimate / pooled.std_error))),
        coefficients=MappingProxyType({}),
        notes=(note, *first.notes),
    )


def _rows(
    frame: pd.DataFrame,
    matches: Matches,
    outcome: str,
    treated: str,
    covariates: Sequence[str],
) -> tuple[pd.Index, FloatArray, int]:
    """Return the labels of the rows used, their group, and how many lack the outcome."""
    if not frame.index.equals(matches.weights.index):
        raise EstimationError(
            "The row labels of the data frame are not those of the matches. Give the frame that "
            "was matched, with its rows in the same order."
        )
    check_names(covariates, "covariates", treated)
    check_columns(frame, [outcome, treated], "outcome, treated")
    check_columns(frame, covariates, "covariates")
    if is_factor(frame[outcome]):
        raise EstimationError(f"outcome: {outcome!r} holds no numbers; recode it as 0 and 1.")
    if outcome in (treated, *covariates):
        raise EstimationError(
            f"outcome: {outcome!r} is the treatment or a covariate as well. Name another column."
        )
    weighted = matches.weights > 0
    has = frame[outcome].notna()
    used = frame.index[weighted & has]
    part = frame.loc[used]
    check_usable(part, [outcome, *covariates], "outcome and covariates of the matched rows")
    if part[outcome].min() == part[outcome].max():
        raise EstimationError(
            f"{outcome}: all matched rows have the same value, so there is nothing to compare."
        )
    group = part[treated].to_numpy(dtype=np.float64)
    for value, name in ((1, "treated"), (0, "comparison")):
        if not (group == value).any():
            raise EstimationError(
                f"{outcome}: no matched {name} row has a value. Use another outcome, or look at "
                "why it is missing."
            )
    return used, group, int((weighted & ~has).sum())


def _clusters(
    part: pd.DataFrame, matches: Matches, used: pd.Index, cluster: str
) -> tuple[str, NDArray[np.int64] | None]:
    sets = matches.matched_set[used].to_numpy(dtype=np.int64)
    in_sets = bool((sets > 0).all())
    if cluster == "":
        return "", None
    if cluster == "default":
        return ("matched_set", sets) if in_sets else ("", None)
    if cluster == "matched_set":
        if not in_sets:
            raise EstimationError(
                f"cluster = 'matched_set': method {matches.method.method!r} puts rows in no set, "
                "or in several (with replacement). Leave cluster out, or name a column."
            )
        return cluster, sets
    check_columns(part, [cluster], "cluster")
    check_usable(part, [cluster], "cluster")
    return cluster, pd.factorize(part[cluster])[0].astype(np.int64)


def _covariance(asked: Covariance, by: str) -> CovarianceType:
    if asked == "default":
        return "CR1S" if by else "HC3"
    if asked not in COVARIANCES:
        raise EstimationError(
            f"covariance must be one of default, {', '.join(COVARIANCES)}; it is {asked!r}."
        )
    return asked


def _effect(
    fit: LeastSquaresFit,
    matches: Matches,
    y: FloatArray,
    weights: FloatArray,
    group: FloatArray,
    *,
    outcome: str,
    treated: str,
    by: str,
    confidence_level: float,
    missing: int,
) -> FrameEffect:
    at = fit.names.index(treated)
    low, high = fit.intervals(confidence_level)[at]
    groups = {value: group == value for value in (1, 0)}
    return FrameEffect(
        outcome=outcome,
        estimand=_estimand(matches.estimand, missing),
        estimate=float(fit.coefficients[at]),
        std_error=float(fit.std_errors[at]),
        df=float(fit.df[at]),
        df_convention=fit.df_convention,
        covariance=fit.covariance_type,
        cluster=by,
        confidence_level=confidence_level,
        ci_low=float(low),
        ci_high=float(high),
        p_value=float(fit.p_values[at]),
        mean_treated=_mean(y, weights, groups[1]),
        mean_comparison=_mean(y, weights, groups[0]),
        n_treated=int(groups[1].sum()),
        n_comparison=int(groups[0].sum()),
        effective_treated=_effective(weights[groups[1]]),
        effective_comparison=_effective(weights[groups[0]]),
        clusters=fit.G if by else 0,
        parameters=fit.K,
        coefficients=MappingProxyType(
            {
                name: (float(value), float(error))
                for name, value, error in zip(
                    fit.names, fit.coefficients, fit.std_errors, strict=True
                )
            }
        ),
        notes=(*fit.notes, *_notes(fit, by, missing)),
    )


def _estimand(estimand: Estimand, missing: int) -> Estimand:
    if not missing:
        return estimand
    words = f"{estimand.restriction} with the outcome observed".strip()
    return Estimand(estimand.target, words)


def _mean(y: FloatArray, weights: FloatArray, rows: NDArray[np.bool_]) -> float:
    return float(weights[rows] @ y[rows] / weights[rows].sum())


def _effective(weights: FloatArray) -> float:
    return float(weights.sum() ** 2 / (weights @ weights))


def _notes(fit: LeastSquaresFit, by: str, missing: int) -> list[str]:
    notes = []
    if by:
        notes.append(f"Errors are clustered by {by}: {fit.G:,} clusters.")
    else:
        notes.append("Rows count as independent given the weights, which are taken as known.")
    if by and fit.G < FEW_CLUSTERS and fit.covariance_type != "CR2":
        notes.append(
            f"With fewer than {FEW_CLUSTERS} clusters intervals are too narrow; use "
            "covariance='CR2', or cluster=''."
        )
    if missing:
        notes.append(f"{missing:,} matched rows lack the outcome and are left out.")
    return notes
