"""Time to a first event: survival curves, their differences, and the hazard ratio (arrays)."""

from homevisit_eval.effects.survival_curves.cox import (
    CoxFit,
    LogRankTest,
    fit_cox,
    log_rank_test,
)
from homevisit_eval.effects.survival_curves.differences import (
    SurvivalDifferences,
    compare_survival,
)
from homevisit_eval.effects.survival_curves.kaplan_meier import (
    SurvivalCurve,
    kaplan_meier,
)

__all__ = [
    "CoxFit",
    "LogRankTest",
    "SurvivalCurve",
    "SurvivalDifferences",
    "compare_survival",
    "fit_cox",
    "kaplan_meier",
    "log_rank_test",
]
