"""Outcome models that are not least squares, fitted to the rows of one effect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import (
    AbadieImbens,
    CountMargins,
    DoublyRobust,
    LogisticMargins,
    NearestNeighbor,
    Outcome,
    RandomIntercept,
)
from homevisit_eval.design.measures import Scale
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effects.likelihood.families import Family
from homevisit_eval.effects.likelihood.generalized_linear import fit_generalized_linear
from homevisit_eval.effects.likelihood.margins import average_effect
from homevisit_eval.effects.mixed.models import fit_random_intercept as fit_mixed
from homevisit_eval.effects.model_fit import ModelFit, said_of
from homevisit_eval.effects.regression_rows import TREATMENT, RegressionRows, covariate_columns
from homevisit_eval.effects.replacement.given_matches import matched_effect
from homevisit_eval.effects.weighting.average_effect import AverageEffect
from homevisit_eval.effects.weighting.cross_fitted import cross_fitted_effect
from homevisit_eval.effects.weighting.doubly_robust import doubly_robust_effect
from homevisit_eval.effects.weighting.working_models import OutcomeModel as WorkingModel
from homevisit_eval.effects.whose import GROUPS
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.band.support import find_support
from homevisit_eval.matching.frame import factor_levels, is_factor
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = [
    "fit_doubly_robust",
    "fit_margins",
    "fit_matched_difference",
    "fit_random_intercept",
]

Floats = NDArray[np.float64]

COUNTED_ROWS = re.compile(r"\b(\d+) (?:of \d+ )?((?:treated |comparison )?)rows\b")

CODES = {"visited": 1, "comparison": 0}
BY_SCALE: dict[Scale, WorkingModel] = {
    "binary": "logit",
    "fraction": "logit",
    "count": "poisson",
    "continuous": "linear",
}


def fit_doubly_robust(
    matched: MatchedSample, rows: RegressionRows, outcome: Outcome, model: DoublyRobust
) -> ModelFit:
    """Estimate the effect by an outcome model and a propensity model together.

    Student-years with a level of a covariate that only one group has can have no propensity score;
    they are set aside, and a note counts them.

    Raises
    ------
    EstimationError
        If the estimand is the ATO, or a model cannot be fitted.
    """
    target = matched.matches.estimand.target
    if target == "ATO":
        raise EstimationError(
            f"{outcome.name}: the doubly robust estimate is defined for the ATT, ATC and ATE, not "
            "for the overlap population. Choose another matching method or outcome model."
        )
    everybody = len(rows.y)
    with_both = _with_counterparts(matched, rows)
    rows = rows.only(with_both)
    columns = rows.with_cells()
    family = BY_SCALE[outcome.scale] if model.outcome_model == "by_scale" else model.outcome_model
    try:
        if model.folds == "none":
            effect = doubly_robust_effect(
                rows.y,
                rows.visited,
                columns,
                estimand=target,
                method="AIPW" if model.estimator == "aipw" else "IPWRA",
                outcome_model=family,
                weights=rows.weights,
                clusters=rows.clusters,
            )
        else:
            effect = cross_fitted_effect(
                rows.y,
                rows.visited,
                columns,
                estimand=target,
                seed=model.seed,
                folds=model.folds,
                groups=rows.clusters,
                outcome_model=family,
                weights=rows.weights,
                clusters=rows.clusters,
            )
    except EstimationError as error:
        raise EstimationError(said_of(outcome.name, error)) from None
    with_constant = np.column_stack([np.ones(len(rows.y)), columns])
    rank = int(np.linalg.matrix_rank(with_constant / np.abs(with_constant).max(axis=0)))
    fit = _of_average(effect, parameters=3 * rank, covariance="influence functions")
    influence = np.zeros(everybody)
    influence[with_both] = fit.influence
    aside = _set_aside(
        everybody - len(rows.y),
        "nobody of the other group shares a value of theirs, so they have no propensity score",
    )
    return replace(fit, influence=influence, notes=(*aside, *fit.notes))


def _with_counterparts(matched: MatchedSample, rows: RegressionRows) -> NDArray[np.bool_]:
    """Return which rows have only levels of covariates and cells that both groups have, (n,)."""
    frame = matched.sample.baseline.iloc[rows.places]
    names = [one.name for one in matched.sample.adjusted_for if one.name in frame.columns]
    cells = {f"cell {k}": codes.astype(str) for k, codes in enumerate(rows.absorb)}
    frame = frame[names].assign(**cells)
    return find_support(frame, [*names, *cells], rows.visited).inside


def fit_margins(
    matched: MatchedSample,
    rows: RegressionRows,
    outcome: Outcome,
    model: LogisticMargins | CountMargins,
) -> ModelFit:
    """Estimate the effect as a difference of predicted means, by g-computation.

    Student-years with a level of a covariate that predicts the outcome with certainty are set
    aside, and a note counts them; a cell of which that is true has no effect, and stays in the
    average.

    Raises
    ------
    EstimationError
        If the scale of the outcome does not suit the model, or it cannot be fitted.
    """
    family = _family(outcome, model)
    target = matched.matches.estimand.target
    highest = 1.0 if isinstance(model, LogisticMargins) else math.inf
    certain = _certain(rows.y, list(_levels(matched, rows)), highest)
    everybody, rows = len(rows.y), rows.only(~certain)
    cells = []
    if rows.absorb:
        both = np.column_stack(rows.absorb)
        cells = [np.unique(both, axis=0, return_inverse=True)[1].ravel()]
    names = [*rows.names, TREATMENT]
    designs = [
        np.column_stack([rows.X, visited])
        for visited in (rows.visited, np.ones(len(rows.y)), np.zeros(len(rows.y)))
    ]
    about = np.isin(rows.visited, [CODES[group] for group in GROUPS[target]])
    try:
        fit = fit_generalized_linear(
            rows.y,
            designs[0],
            family=family,
            weights=rows.weights,
            absorb=cells,
            clusters=rows.clusters,
            covariance=model.covariance,
            df="G - 1",
            names=names,
        )
        effect = average_effect(
            fit,
            designs[1],
            designs[2],
            over=rows.weights * about,
            perfectly_predicted="no effect",
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome.name, error)) from None
    if TREATMENT not in fit.names:
        raise EstimationError(
            f"{outcome.name}: covariates and cells determine who was visited, so no effect is "
            "identified. Absorb fewer columns, or leave out the covariate that decides who is "
            "visited."
        )
    values = {
        name: (float(value), float(error))
        for name, value, error in zip(fit.names, fit.coefficients, fit.std_errors, strict=True)
    }
    influence = np.zeros(everybody)
    influence[~certain] = effect.influence
    return ModelFit(
        estimate=effect.estimate,
        std_error=effect.std_error,
        df=effect.df,
        df_convention=fit.df_convention,
        covariance=f"{model.covariance}, delta method",
        clusters=fit.G,
        parameters=fit.K,
        coefficients=MappingProxyType({TREATMENT: values.pop(TREATMENT), **values}),
        influence=influence,
        notes=(
            f"Average marginal effect of a {family.replace('_', ' ')} regression; its coefficients "
            "are on the scale of the link.",
            *_set_aside(everybody - len(rows.y), "a level of theirs predicts the outcome with "
                        "certainty"),
            *dict.fromkeys((*fit.notes, *effect.notes)),
        ),
    )  # fmt: skip


def _family(outcome: Outcome, model: LogisticMargins | CountMargins) -> Family:
    """Return the family for an outcome of this scale."""
    match model:
        case LogisticMargins():
            suited = {"binary": model.link, "fraction": f"fractional_{model.link}"}
            other = "count_margins for a count, or fixed_effects"
        case CountMargins():
            suited = {"count": model.family}
            other = "logistic_margins for an outcome from 0 to 1, or fixed_effects"
        case _:
            assert_never(model)
    if outcome.scale not in suited:
        raise EstimationError(
            f"{outcome.name}: model {model.model!r} is for outcomes of scale "
            f"{' or '.join(map(repr, suited))}; this one is {outcome.scale!r}. Choose {other}."
        )
    return cast(Family, suited[outcome.scale])


def _levels(matched: MatchedSample, rows: RegressionRows) -> Iterator[NDArray[np.bool_]]:
    """Yield the members of each level of each categorical or two-valued covariate, (n,)."""
    frame = matched.sample.baseline.iloc[rows.places]
    for name in (one.name for one in matched.sample.adjusted_for if one.name in frame.columns):
        column = frame[name]
        if is_factor(column):
            codes, levels = factor_levels(column)
            yield from (codes == code for code in range(len(levels)))
        elif (values := column.dropna().unique()).size == 2:
            yield from ((column == value).to_numpy() for value in values)


def _certain(y: Floats, levels: list[NDArray[np.bool_]], highest: float) -> NDArray[np.bool_]:
    """Return rows with a level at which all outcomes are 0, or all are the highest, (n,)."""
    aside = np.zeros(len(y), dtype=bool)
    found = True
    while found:
        found = False
        for level in levels:
            here = level & ~aside
            if not here.any() or (here == ~aside).all():
                continue
            low, high = y[here].min(), y[here].max()
            if low == high and (low in (0.0, highest)):
                aside |= here
                found = True
    return aside


def _set_aside(count: int, why: str) -> tuple[str, ...]:
    """Return a sentence on rows that took no part; none if there are none."""
    if not count:
        return ()
    return (f"{shown_count(count)} student-years are set aside: {why}.",)


def _of_average(effect: AverageEffect, *, parameters: int, covariance: str) -> ModelFit:
    return ModelFit(
        estimate=effect.estimate,
        std_error=effect.std_error,
        df=effect.df,
        df_convention="G - 1",
        covariance=covariance,
        clusters=effect.G,
        parameters=parameters,
        coefficients=MappingProxyType({TREATMENT: (effect.estimate, effect.std_error)}),
        influence=effect.influence,
        notes=(f"{effect.recipe}.", *map(_without_small_counts, effect.notes)),
    )


def _without_small_counts(note: str) -> str:
    """Return what an array function notes of rows, without totals and counts under 10."""
    return COUNTED_ROWS.sub(lambda found: f"{shown_count(int(found[1]))} {found[2]}rows", note)


def fit_random_intercept(
    rows: RegressionRows, outcome: Outcome, model: RandomIntercept
) -> ModelFit:
    """Fit a linear mixed model with a random intercept for each cluster.

    Raises
    ------
    EstimationError
        If the effect is not identified, or the model does not converge.
    """
    try:
        fit = fit_mixed(
            rows.y,
            np.column_stack([rows.X, rows.visited]),
            rows.clusters,
            weights=rows.weights,
            absorb=rows.absorb,
            method=model.estimation,
            covariance=model.covariance,
            names=[*rows.names, TREATMENT],
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome.name, error)) from None
    if TREATMENT not in fit.names:
        raise EstimationError(
            f"{outcome.name}: covariates and cells determine who was visited, so no effect is "
            "identified. Absorb fewer columns, or leave out the covariate that decides who is "
            "visited."
        )
    at = fit.names.index(TREATMENT)
    values = {
        name: (float(value), float(error))
        for name, value, error in zip(fit.names, fit.coefficients, fit.std_errors, strict=True)
    }
    groups = np.searchsorted(fit.group_values, rows.clusters)
    sizes = np.bincount(groups)
    return ModelFit(
        estimate=float(fit.coefficients[at]),
        std_error=float(fit.std_errors[at]),
        df=float(fit.df[at]),
        df_convention=fit.df_convention,
        covariance="mixed model" if model.covariance == "model" else "CR2, mixed model",
        clusters=fit.G,
        parameters=fit.K,
        coefficients=MappingProxyType({TREATMENT: values.pop(TREATMENT), **values}),
        influence=(fit.group_influence[:, at] / sizes)[groups],
        notes=(
            f"Random intercepts by cluster: intraclass correlation "
            f"{fit.intraclass_correlation:.3f}.",
            *fit.notes,
        ),
    )


def fit_matched_difference(
    matched: MatchedSample, rows: RegressionRows, outcome: Outcome, model: AbadieImbens
) -> ModelFit:
    """Estimate the mean difference within matches, with the error of Abadie and Imbens.

    Raises
    ------
    EstimationError
        If the matching was not with replacement, or the variance cannot be judged.
    """
    sample, matches = matched.sample, matched.matches
    if not isinstance(matches.method, NearestNeighbor) or matches.method.max_uses == 1:
        raise EstimationError(
            f"{outcome.name}: the matching estimator is for matching with replacement, not for "
            f"{matches.method.method!r} that uses a student once or makes no pairs. Choose "
            "nearest_neighbor with max_uses = 'unlimited', or model fixed_effects."
        )
    values = sample.outcomes[outcome.name].to_numpy(dtype=np.float64, na_value=np.nan)
    score = None if matches.score is None else matches.score.to_numpy(dtype=np.float64)
    known = ~np.isnan(values) & (True if score is None else ~np.isnan(score))
    places = np.flatnonzero(known)
    columns = covariate_columns(matched, sample.baseline.iloc[places])
    where = np.full(len(values), -1)
    where[places] = np.arange(len(places))
    first, second = (
        where[sample.baseline.index.get_indexer(pd.Index(matches.pairs[side]))]
        for side in ("treated", "comparison")
    )
    if matches.estimand.target == "ATC":
        first, second = second, first
    both = (first >= 0) & (second >= 0)
    try:
        effect = matched_effect(
            values[places],
            sample.baseline["visited"].to_numpy(dtype=np.int64)[places],
            first[both],
            second[both],
            columns if score is None else score[places][:, None],
            bias_adjustment="regression" if model.bias_adjustment == "covariates" else "none",
            adjust_for=columns,
            neighbors=model.neighbors,
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome.name, error)) from None
    return ModelFit(
        estimate=effect.estimate,
        std_error=effect.std_error,
        df=math.inf,
        df_convention="normal",
        covariance="Abadie-Imbens",
        clusters=len(rows.y),
        parameters=columns.shape[1] + 1,
        coefficients=MappingProxyType({TREATMENT: (effect.estimate, effect.std_error)}),
        influence=None,
        notes=tuple(map(_without_small_counts, effect.notes)),
    )
