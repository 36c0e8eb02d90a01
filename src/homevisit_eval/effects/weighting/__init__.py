"""Effects by weights and by two models together, with influence functions (arrays)."""

from homevisit_eval.effects.weighting.average_effect import (
    AverageEffect,
)
from homevisit_eval.effects.weighting.cross_fitted import (
    augmented_effect,
    cross_fitted_effect,
)
from homevisit_eval.effects.weighting.doubly_robust import (
    doubly_robust_effect,
)
from homevisit_eval.effects.weighting.weighted_inference import (
    given_weights_effect,
    weighted_effect,
)

__all__ = [
    "AverageEffect",
    "augmented_effect",
    "cross_fitted_effect",
    "doubly_robust_effect",
    "given_weights_effect",
    "weighted_effect",
]
