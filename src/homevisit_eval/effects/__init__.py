"""Matched samples -> estimated effects, with cluster-robust inference."""

from homevisit_eval.effects.effect import Effect
from homevisit_eval.effects.estimate import estimate_effect
from homevisit_eval.effects.least_squares import LeastSquaresFit, fit_least_squares

__all__ = ["Effect", "LeastSquaresFit", "estimate_effect", "fit_least_squares"]
