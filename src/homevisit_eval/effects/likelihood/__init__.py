"""Binary outcomes, fractions and counts by maximum likelihood; average margins (arrays)."""

from homevisit_eval.effects.likelihood.generalized_linear import (
    GeneralizedLinearFit,
    fit_generalized_linear,
)
from homevisit_eval.effects.likelihood.marginal_effect import (
    MarginalEffect,
)
from homevisit_eval.effects.likelihood.margins import (
    average_effect,
    average_prediction,
    average_slope,
)

__all__ = [
    "GeneralizedLinearFit",
    "MarginalEffect",
    "average_effect",
    "average_prediction",
    "average_slope",
    "fit_generalized_linear",
]
