"""Matching with replacement as an estimator: Abadie and Imbens (arrays)."""

from homevisit_eval.effects.replacement.abadie_imbens import (
    MatchingEffect,
    matching_effect,
)
from homevisit_eval.effects.replacement.estimated_score import (
    score_matching_effect,
)
from homevisit_eval.effects.replacement.given_matches import (
    matched_effect,
)

__all__ = [
    "MatchingEffect",
    "matched_effect",
    "matching_effect",
    "score_matching_effect",
]
