"""Covariates -> propensity scores: a binary model fitted as R's `glm` fits it (arrays)."""

from homevisit_eval.propensity.fit import PropensityFit, fit_propensity
from homevisit_eval.propensity.links import Link, linear_score

__all__ = ["Link", "PropensityFit", "fit_propensity", "linear_score"]
