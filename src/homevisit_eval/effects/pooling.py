"""Effects of several completed samples -> one effect, by Rubin's rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.special import stdtr, stdtrit

from homevisit_eval.disclosure import shown_count
from homevisit_eval.effect_sizes import improvement_index
from homevisit_eval.effects.effect import Effect
from homevisit_eval.effects.estimate import notes_on_df, notes_on_estimate
from homevisit_eval.effects.rubin import PooledEstimate, pool_estimates
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Estimand

__all__ = ["pool_effects"]

MEANS = (
    "adjusted_mean_visited",
    "adjusted_mean_comparison",
    "mean_visited",
    "mean_comparison",
    "effect_size",
    "estimate_interacted",
)
SAME: Mapping[str, Callable[[Effect], object]] = {
    "outcome": lambda effect: effect.outcome,
    "question": lambda effect: effect.question,
    "model": lambda effect: effect.model,
    "sensitivity": lambda effect: effect.sensitivity,
    "confidence level": lambda effect: effect.confidence_level,
    "estimand": lambda effect: effect.estimand.target,
    "matching method": lambda effect: effect.method,
}


def pool_effects(effects: Sequence[Effect]) -> Effect:
    """Return one effect from those estimated in several completed samples.

    Parameters
    ----------
    effects
        Of the same question, outcome and model, one for each imputation.

    Returns
    -------
    Effect
        Estimate, standard error, degrees of freedom, interval and p value by Rubin's rules
        (`pool_estimates`), coefficients likewise where every model has them. Means and effect
        sizes are means over the imputations, standard deviations roots of mean variances. Counts
        are those of the first imputation, so that they agree with its sample flow; a note says
        how far others are from them. The first note tells the fraction of missing information.

    Raises
    ------
    EstimationError
        If there are fewer than two effects, or they are not of the same thing.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, section 3.3.
    Barnard, J., & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple
    imputation. *Biometrika*, 86(4), 948-955.
    """
    _check(effects)
    first = effects[0]
    pooled = pool_estimates(*np.array([(one.estimate, one.std_error, one.df) for one in effects]).T)
    t = pooled.estimate / pooled.std_error
    half = pooled.std_error * float(stdtrit(pooled.df, (1 + first.confidence_level) / 2))
    means = {name: float(np.mean([getattr(one, name) for one in effects])) for name in MEANS}
    size = means["effect_size"]
    return replace(
        first,
        **means,  # type: ignore[arg-type]
        estimand=_estimand(effects),
        estimate=pooled.estimate,
        std_error=pooled.std_error,
        df=pooled.df,
        df_convention=f"Barnard-Rubin, of {first.df_convention}",
        ci_low=pooled.estimate - half,
        ci_high=pooled.estimate + half,
        t=t,
        p_value=2 * float(stdtr(pooled.df, -abs(t))),
        p_value_adjusted=math.nan,
        sd_visited=_root_mean_square([one.sd_visited for one in effects]),
        sd_comparison=_root_mean_square([one.sd_comparison for one in effects]),
        std_error_interacted=_pooled_error(effects),
        improvement_index=improvement_index(
            size if first.outcome.beneficial == "higher" else -size
        ),
        coefficients=_coefficients(effects),
        notes=_notes(effects, pooled, means),
    )


def _check(effects: Sequence[Effect]) -> None:
    if len(effects) < 2:
        raise EstimationError(
            f"pooling needs the effects of at least two completed samples; there are "
            f"{len(effects)}. Estimate the same effect in each of them."
        )
    unlike = [
        name for name, part in SAME.items() if any(part(one) != part(effects[0]) for one in effects)
    ]
    if unlike:
        raise EstimationError(
            f"pooling needs effects of the same thing; they differ in {', '.join(unlike)}. Give "
            "those of one outcome and one model, one for each imputation."
        )


def _estimand(effects: Sequence[Effect]) -> Estimand:
    """Return the estimand with a restriction, if that of any imputation has one."""
    return max((one.estimand for one in effects), key=lambda estimand: len(estimand.restriction))


def _pooled_error(effects: Sequence[Effect]) -> float:
    """Return the pooled standard error of the interacted effect; NaN if one has none."""
    values = [(one.estimate_interacted, one.std_error_interacted, math.inf) for one in effects]
    if not all(math.isfinite(error) and error > 0 for _, error, _ in values):
        return math.nan
    return pool_estimates(*np.array(values).T).std_error


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def _coefficients(effects: Sequence[Effect]) -> Mapping[str, tuple[float, float]]:
    """Return pooled coefficients of the terms that every model has and can tell the error of."""
    pooled = {}
    for name in effects[0].coefficients:
        found = [one.coefficients[name] for one in effects if name in one.coefficients]
        values, errors = np.array(found).T
        if len(found) == len(effects) and np.isfinite(errors).all() and (errors > 0).all():
            one = pool_estimates(values, errors, np.full(len(found), math.inf))
            pooled[name] = (one.estimate, one.std_error)
    return MappingProxyType(pooled)


def _notes(
    effects: Sequence[Effect], pooled: PooledEstimate, means: Mapping[str, float]
) -> tuple[str, ...]:
    """Return what the pooled effect rests on, then the notes of the first with its own numbers."""
    first = effects[0]
    size, interacted = means["effect_size"], means["estimate_interacted"]
    replaced = {
        *notes_on_df(first.df),
        *notes_on_estimate(
            first.outcome,
            first.effect_size,
            first.estimate,
            first.std_error,
            first.estimate_interacted,
            target=first.estimand.target,
        ),
    }
    return (
        *_imputation_notes(effects, pooled),
        *(note for note in first.notes if note not in replaced),
        *notes_on_df(pooled.df),
        *notes_on_estimate(
            first.outcome,
            size,
            pooled.estimate,
            pooled.std_error,
            interacted,
            target=first.estimand.target,
        ),
    )


def _imputation_notes(effects: Sequence[Effect], pooled: PooledEstimate) -> list[str]:
    percent = 100 * pooled.missing_information
    notes = [
        f"Pooled over {pooled.imputations} imputations of missing covariates by Rubin's rules. The "
        f"fraction of missing information is {percent:.0f} %; that other values give other pairs "
        "is a part of it."
    ]
    if pooled.imputations < percent:
        notes.append(
            f"{pooled.imputations} imputations are few for {percent:.0f} %: another seed would "
            "give noticeably other numbers. Use at least as many imputations as percent."
        )
    visited, comparison = (
        max(_spread(effects, f"matched_{group}"), _spread(effects, f"n_{group}"))
        for group in ("visited", "comparison")
    )
    if visited or comparison:
        notes.append(
            "Counts are those of the first imputation; from one to another they differ by up to "
            f"{shown_count(visited)} visited and {shown_count(comparison)} comparison "
            "student-years."
        )
    return notes


def _spread(effects: Sequence[Effect], count: str) -> int:
    counts = [int(getattr(one, count)) for one in effects]
    return max(counts) - min(counts)
