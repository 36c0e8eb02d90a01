"""An outcome model and the rows of one outcome -> the effect that the model finds."""

from __future__ import annotations

from typing import assert_never, cast

from homevisit_eval.design import (
    AbadieImbens,
    CountMargins,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    LogisticMargins,
    Outcome,
    OutcomeModel,
    RandomIntercept,
)
from homevisit_eval.effects.model_fit import ModelFit, fit_linear, fit_two_ways
from homevisit_eval.effects.other_models import (
    fit_doubly_robust,
    fit_margins,
    fit_matched_difference,
    fit_random_intercept,
)
from homevisit_eval.effects.regression.several_clusterings import SeveralCovariance
from homevisit_eval.effects.regression_rows import RegressionRows
from homevisit_eval.matching.matched_sample import MatchedSample
from homevisit_eval.threads import one_thread

__all__ = ["fit_model"]


def fit_model(
    matched: MatchedSample, rows: RegressionRows, outcome: Outcome, model: OutcomeModel
) -> ModelFit:
    """Return the effect of a visit on an outcome, as the model finds it in these rows.

    Parameters
    ----------
    matched
        The sample that the rows are from; its estimand says whose effect is estimated.
    rows
        From `regression_rows` for the same outcome and model.
    outcome, model

    Raises
    ------
    EstimationError
        If the model cannot be fitted, or does not suit the outcome or the estimand.
    """
    with one_thread():
        return _fit(matched, rows, outcome, model)


def _fit(
    matched: MatchedSample, rows: RegressionRows, outcome: Outcome, model: OutcomeModel
) -> ModelFit:
    match model:
        case FixedEffects() | DifferenceInMeans():
            if "+" in model.cluster:
                covariance = cast(SeveralCovariance, model.covariance)  # the design checks it
                return fit_two_ways(matched, rows, outcome.name, covariance)
            return fit_linear(rows, outcome.name, model.covariance)
        case LogisticMargins() | CountMargins():
            return fit_margins(matched, rows, outcome, model)
        case DoublyRobust():
            return fit_doubly_robust(matched, rows, outcome, model)
        case RandomIntercept():
            return fit_random_intercept(rows, outcome, model)
        case AbadieImbens():
            return fit_matched_difference(matched, rows, outcome, model)
        case _:
            assert_never(model)
