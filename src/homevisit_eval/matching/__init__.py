"""Who is compared with whom: matching methods, and what they return."""

from homevisit_eval.matching.cross_fitting import cross_fitted_scores
from homevisit_eval.matching.match import match_frame, match_students
from homevisit_eval.matching.matched_sample import (
    Estimand,
    MatchedSample,
    Matches,
    PropensityModel,
)

__all__ = [
    "Estimand",
    "MatchedSample",
    "Matches",
    "PropensityModel",
    "cross_fitted_scores",
    "match_frame",
    "match_students",
]
