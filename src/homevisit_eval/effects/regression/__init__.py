"""Weighted least squares with absorbed factors, and covariances of its coefficients (arrays)."""

from homevisit_eval.effects.regression.imputation import (
    ImputedEffect,
    imputed_effect_on_treated,
)
from homevisit_eval.effects.regression.least_squares import (
    LeastSquaresFit,
    fit_least_squares,
    fit_outcome,
)
from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    cluster_influence,
    prepare_design,
    row_influence,
    with_clusters,
)
from homevisit_eval.effects.regression.randomized_experiment import (
    MeanDifference,
    difference_of_means,
    fit_lin,
)
from homevisit_eval.effects.regression.several_clusterings import (
    fit_driscoll_kraay,
    fit_several_clusterings,
)
from homevisit_eval.effects.regression.wald_tests import (
    JointTest,
    LinearCombination,
    joint_test,
    linear_combination,
    zero_constraints,
)

__all__ = [
    "ImputedEffect",
    "JointTest",
    "LeastSquaresFit",
    "LinearCombination",
    "MeanDifference",
    "PreparedDesign",
    "cluster_influence",
    "difference_of_means",
    "fit_driscoll_kraay",
    "fit_least_squares",
    "fit_lin",
    "fit_outcome",
    "fit_several_clusterings",
    "imputed_effect_on_treated",
    "joint_test",
    "linear_combination",
    "prepare_design",
    "row_influence",
    "with_clusters",
    "zero_constraints",
]
