"""What a data frame must be like to be matched, and its columns as numbers and categories.

It stands below all other rooms of matching and imports none of them.
"""

from homevisit_eval.matching.frame.checks import (
    check_columns,
    check_index,
    check_method,
    check_names,
    check_usable,
    check_varies,
    is_category,
    is_factor,
    read_name,
    read_names,
    read_sampling_weights,
    read_scores,
    read_treatment,
)
from homevisit_eval.matching.frame.design_matrix import (
    INTERCEPT,
    DesignMatrix,
    factor_levels,
    make_design_matrix,
)
from homevisit_eval.matching.frame.method_columns import (
    check_method_columns,
    exact_within,
    method_columns,
    uses_covariates,
    uses_score,
)
from homevisit_eval.matching.frame.row_order import key_rank
from homevisit_eval.matching.frame.row_view import Columns, RowView

__all__ = [
    "INTERCEPT",
    "Columns",
    "DesignMatrix",
    "RowView",
    "check_columns",
    "check_index",
    "check_method",
    "check_method_columns",
    "check_names",
    "check_usable",
    "check_varies",
    "exact_within",
    "factor_levels",
    "is_category",
    "is_factor",
    "key_rank",
    "make_design_matrix",
    "method_columns",
    "read_name",
    "read_names",
    "read_sampling_weights",
    "read_scores",
    "read_treatment",
    "uses_covariates",
    "uses_score",
]
