"""Matched samples -> estimated effects, with cluster-robust inference."""

from homevisit_eval.effects.compare import EffectDifference, compare_effects
from homevisit_eval.effects.effect import Effect
from homevisit_eval.effects.estimate import estimate_effect
from homevisit_eval.effects.frame_effect import (
    FrameEffect,
    estimate_frame_effect,
    pool_frame_effects,
)
from homevisit_eval.effects.least_squares import LeastSquaresFit, fit_least_squares
from homevisit_eval.effects.pooling import pool_effects
from homevisit_eval.effects.rubin import PooledEstimate, pool_estimates
from homevisit_eval.effects.standard_errors import (
    StandardError,
    StandardErrors,
    compare_standard_errors,
)
from homevisit_eval.effects.subgroups import (
    SubgroupEffect,
    SubgroupEffects,
    estimate_subgroups,
)

__all__ = [
    "Effect",
    "EffectDifference",
    "FrameEffect",
    "LeastSquaresFit",
    "PooledEstimate",
    "StandardError",
    "StandardErrors",
    "SubgroupEffect",
    "SubgroupEffects",
    "compare_effects",
    "compare_standard_errors",
    "estimate_effect",
    "estimate_frame_effect",
    "estimate_subgroups",
    "fit_least_squares",
    "pool_effects",
    "pool_estimates",
    "pool_frame_effects",
]
