"""The design of a study: frozen values that are decided before the data are read."""

from homevisit_eval.design.design_file import design_checksum, design_text, read_design
from homevisit_eval.design.matching_methods import MatchingMethod, NearestNeighbor, NoMatching
from homevisit_eval.design.outcome_models import DifferenceInMeans, FixedEffects, OutcomeModel
from homevisit_eval.design.questions import (
    BASELINE_COLUMNS,
    OUTCOME_COLUMNS,
    Covariate,
    Outcome,
    Question,
    Variation,
)
from homevisit_eval.design.study import Eligibility, Measurement, StudyDesign

__all__ = [
    "BASELINE_COLUMNS",
    "OUTCOME_COLUMNS",
    "Covariate",
    "DifferenceInMeans",
    "Eligibility",
    "FixedEffects",
    "MatchingMethod",
    "Measurement",
    "NearestNeighbor",
    "NoMatching",
    "Outcome",
    "OutcomeModel",
    "Question",
    "StudyDesign",
    "Variation",
    "design_checksum",
    "design_text",
    "read_design",
]
