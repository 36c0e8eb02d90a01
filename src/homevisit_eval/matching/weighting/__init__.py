"""Weights instead of matches: inverse probability, overlap, entropy balancing (arrays).

Imports no other room.
"""

from homevisit_eval.matching.weighting.entropy_balancing import (
    EntropyBalance,
    entropy_balancing_weights,
)
from homevisit_eval.matching.weighting.inverse_probability import (
    inverse_probability_weights,
    overlap_weights,
)

__all__ = [
    "EntropyBalance",
    "entropy_balancing_weights",
    "inverse_probability_weights",
    "overlap_weights",
]
