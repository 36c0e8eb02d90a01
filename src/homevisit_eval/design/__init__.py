"""The design of a study: frozen values that are decided before the data are read."""

from homevisit_eval.design.achievement import Achievement
from homevisit_eval.design.design_file import design_checksum, design_text, read_design
from homevisit_eval.design.deviations import Deviation, compare_designs
from homevisit_eval.design.matching_methods import (
    CardinalityMatching,
    CoarsenedExactMatching,
    ExactMatching,
    FullMatching,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Subclassification,
)
from homevisit_eval.design.matching_options import Coarsening, CovariateCaliper
from homevisit_eval.design.measures import BASELINE_COLUMNS, OUTCOME_COLUMNS
from homevisit_eval.design.missing_covariates import (
    CompleteCases,
    MissingCovariates,
    MissingIndicator,
    MultipleImputation,
)
from homevisit_eval.design.outcome_models import (
    AbadieImbens,
    CountMargins,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    LogisticMargins,
    OutcomeModel,
    RandomIntercept,
)
from homevisit_eval.design.questions import Covariate, Outcome, Question, TimingContrast, Variation
from homevisit_eval.design.study import Eligibility, Measurement, RiskSets, StudyDesign
from homevisit_eval.design.weighting_methods import (
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)

__all__ = [
    "BASELINE_COLUMNS",
    "OUTCOME_COLUMNS",
    "AbadieImbens",
    "Achievement",
    "CardinalityMatching",
    "CoarsenedExactMatching",
    "Coarsening",
    "CompleteCases",
    "CountMargins",
    "Covariate",
    "CovariateCaliper",
    "Deviation",
    "DifferenceInMeans",
    "DoublyRobust",
    "Eligibility",
    "EntropyBalancing",
    "ExactMatching",
    "FixedEffects",
    "FullMatching",
    "InverseProbability",
    "LogisticMargins",
    "MatchingMethod",
    "Measurement",
    "MissingCovariates",
    "MissingIndicator",
    "MultipleImputation",
    "NearestNeighbor",
    "NoMatching",
    "OptimalPairs",
    "Outcome",
    "OutcomeModel",
    "OverlapWeights",
    "Question",
    "RandomIntercept",
    "RiskSets",
    "StudyDesign",
    "Subclassification",
    "TimingContrast",
    "Variation",
    "compare_designs",
    "design_checksum",
    "design_text",
    "read_design",
]
