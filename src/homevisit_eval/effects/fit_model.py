"""An outcome model and the rows of one outcome -> the effect that the model finds."""

from __future__ import annotations

from typing import assert_never

from homevisit_eval.design import DifferenceInMeans, FixedEffects, Outcome, OutcomeModel
from homevisit_eval.effects.model_fit import ModelFit, fit_linear
from homevisit_eval.effects.regression_rows import RegressionRows
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["fit_model"]


def fit_model(
    matched: MatchedSample, rows: RegressionRows, outcome: Outcome, model: OutcomeModel
) -> ModelFit:
    match model:
        case FixedEffects() | DifferenceInMeans():
            return fit_linear(rows, outcome.name, model)
        case _:
            assert_never(model)
