"""Linear mixed models: random intercepts and slopes (arrays)."""

from homevisit_eval.effects.mixed.fit import (
    MixedFit,
)
from homevisit_eval.effects.mixed.models import (
    fit_random_intercept,
    fit_random_slopes,
)

__all__ = [
    "MixedFit",
    "fit_random_intercept",
    "fit_random_slopes",
]
