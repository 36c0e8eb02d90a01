"""Outcome models that are not least squares, fitted to the rows of one effect."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import AbadieImbens, DoublyRobust, Outcome, RandomIntercept
from homevisit_eval.design.questions import Scale
from homevisit_eval.disclosure import shown_count
from homevisit_eval.effects.average_effect import AverageEffect
from homevisit_eval.effects.cross_fitted_effect import cross_fitted_effect
from homevisit_eval.effects.doubly_robust import doubly_robust_effect
from homevisit_eval.effects.matched_effect import matched_effect
from homevisit_eval.effects.mixed import fit_random_intercept as fit_mixed
from homevisit_eval.effects.model_fit import ModelFit, said_of
from homevisit_eval.effects.regression_rows import TREATMENT, RegressionRows, covariate_columns
from homevisit_eval.effects.working_models import OutcomeModel as WorkingModel
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.band.support import find_support
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["fit_doubly_robust", "fit_matched_difference", "fit_random_intercept"]

Floats = NDArray[np.float64]

COUNTED_ROWS = re.compile(r"\b(\d+) (?:of \d+ )?((?:treated |comparison )?)rows\b")

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
    notes = fit.notes
    if set_aside := everybody - len(rows.y):
        notes = (
            f"{shown_count(set_aside)} student-years are set aside: nobody of the other group "
            "shares a value of theirs, so they have no propensity score.",
            *notes,
        )
    return replace(fit, influence=influence, notes=notes)


def _with_counterparts(matched: MatchedSample, rows: RegressionRows) -> NDArray[np.bool_]:
    """Return which rows have only levels of covariates and cells that both groups have, (n,)."""
    frame = matched.sample.baseline.iloc[rows.places]
    names = [one.name for one in matched.sample.adjusted_for if one.name in frame.columns]
    cells = {f"cell {k}": codes.astype(str) for k, codes in enumerate(rows.absorb)}
    frame = frame[names].assign(**cells)
    return find_support(frame, [*names, *cells], rows.visited).inside


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
        If the matching made no pairs, or the variance cannot be judged.
    """
    sample, matches = matched.sample, matched.matches
    if not len(matches.pairs):
        raise EstimationError(
            f"{outcome.name}: method {matches.method.method!r} makes no pairs, which the matching "
            "estimator needs. Choose nearest_neighbor with max_uses = 'unlimited'."
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
