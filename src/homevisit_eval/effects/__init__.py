"""Matched samples -> estimated effects, with cluster-robust inference."""

from homevisit_eval.effects.effect import Effect
from homevisit_eval.effects.estimate import estimate_effect
from homevisit_eval.effects.least_squares import LeastSquaresFit, fit_least_squares
from homevisit_eval.effects.pooling import pool_effects
from homevisit_eval.effects.rubin import PooledEstimate, pool_estimates

__all__ = [
    "Effect",
    "LeastSquaresFit",
    "PooledEstimate",
    "estimate_effect",
    "fit_least_squares",
    "pool_effects",
    "pool_estimates",
]
