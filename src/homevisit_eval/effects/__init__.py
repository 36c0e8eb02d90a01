"""Matched samples -> estimated effects, and inference for arrays of any origin.

`estimate_effect` and what stands beside it are the stage. The rooms hold functions of arrays:
regression < weighting < likelihood, mixed, replacement, resampling < longitudinal; each imports
only from those before it.
"""

from homevisit_eval.effects.compare import (
    EffectDifference,
    compare_effects,
)
from homevisit_eval.effects.distribution import BandEffects, estimate_bands
from homevisit_eval.effects.effect import (
    Effect,
)
from homevisit_eval.effects.estimate import (
    estimate_effect,
)
from homevisit_eval.effects.formula import fit_formula
from homevisit_eval.effects.frame_effect import (
    FrameEffect,
    estimate_frame_effect,
    pool_frame_effects,
)
from homevisit_eval.effects.learning import LearningGains, MonthsOfLearning, months_of_learning
from homevisit_eval.effects.likelihood import (
    GeneralizedLinearFit,
    MarginalEffect,
    average_effect,
    average_prediction,
    average_slope,
    fit_generalized_linear,
)
from homevisit_eval.effects.mixed import (
    MixedFit,
    fit_random_intercept,
    fit_random_slopes,
)
from homevisit_eval.effects.pooling import (
    pool_effects,
)
from homevisit_eval.effects.quantile_effects import QuantileEffects, estimate_quantile_effects
from homevisit_eval.effects.regression import (
    ImputedEffect,
    JointTest,
    LeastSquaresFit,
    LinearCombination,
    MeanDifference,
    PreparedDesign,
    cluster_influence,
    difference_of_means,
    fit_driscoll_kraay,
    fit_least_squares,
    fit_lin,
    fit_outcome,
    fit_several_clusterings,
    imputed_effect_on_treated,
    joint_test,
    linear_combination,
    prepare_design,
    row_influence,
    with_clusters,
    zero_constraints,
)
from homevisit_eval.effects.replacement import (
    MatchingEffect,
    matched_effect,
    matching_effect,
    score_matching_effect,
)
from homevisit_eval.effects.resampling import (
    BootstrapTest,
    ClusterScores,
    RandomizationTest,
    RomanoWolfTest,
    adjusted_p_values,
    bootstrap_coefficient,
    cluster_scores,
    randomization_test,
    romano_wolf_test,
    stepdown_bootstrap,
    wild_bootstrap_test,
)
from homevisit_eval.effects.response_weights import response_rates, weight_for_response
from homevisit_eval.effects.rubin import (
    PooledEstimate,
    pool_estimates,
)
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
from homevisit_eval.effects.survival import SurvivalEffects, estimate_survival
from homevisit_eval.effects.weighting import (
    AverageEffect,
    augmented_effect,
    cross_fitted_effect,
    doubly_robust_effect,
    given_weights_effect,
    weighted_effect,
)

__all__ = [
    "AverageEffect",
    "BandEffects",
    "BootstrapTest",
    "ClusterScores",
    "Effect",
    "EffectDifference",
    "FrameEffect",
    "GeneralizedLinearFit",
    "ImputedEffect",
    "JointTest",
    "LearningGains",
    "LeastSquaresFit",
    "LinearCombination",
    "MarginalEffect",
    "MatchingEffect",
    "MeanDifference",
    "MixedFit",
    "MonthsOfLearning",
    "PooledEstimate",
    "PreparedDesign",
    "QuantileEffects",
    "RandomizationTest",
    "RomanoWolfTest",
    "StandardError",
    "StandardErrors",
    "SubgroupEffect",
    "SubgroupEffects",
    "SurvivalEffects",
    "adjusted_p_values",
    "augmented_effect",
    "average_effect",
    "average_prediction",
    "average_slope",
    "bootstrap_coefficient",
    "cluster_influence",
    "cluster_scores",
    "compare_effects",
    "compare_standard_errors",
    "cross_fitted_effect",
    "difference_of_means",
    "doubly_robust_effect",
    "estimate_bands",
    "estimate_effect",
    "estimate_frame_effect",
    "estimate_quantile_effects",
    "estimate_subgroups",
    "estimate_survival",
    "fit_driscoll_kraay",
    "fit_formula",
    "fit_generalized_linear",
    "fit_least_squares",
    "fit_lin",
    "fit_outcome",
    "fit_random_intercept",
    "fit_random_slopes",
    "fit_several_clusterings",
    "given_weights_effect",
    "imputed_effect_on_treated",
    "joint_test",
    "linear_combination",
    "matched_effect",
    "matching_effect",
    "months_of_learning",
    "pool_effects",
    "pool_estimates",
    "pool_frame_effects",
    "prepare_design",
    "randomization_test",
    "response_rates",
    "romano_wolf_test",
    "row_influence",
    "score_matching_effect",
    "stepdown_bootstrap",
    "weight_for_response",
    "weighted_effect",
    "wild_bootstrap_test",
    "with_clusters",
    "zero_constraints",
]
