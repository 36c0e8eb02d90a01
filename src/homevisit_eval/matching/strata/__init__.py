"""Strata of like units, and the weights of matched sets (arrays).

Imports only the units.
"""

from homevisit_eval.matching.strata.cutting import coarsen, subclasses
from homevisit_eval.matching.strata.sets import (
    combine_codes,
    common_strata,
    pair_weights,
    set_weights,
)

__all__ = ["coarsen", "combine_codes", "common_strata", "pair_weights", "set_weights", "subclasses"]
