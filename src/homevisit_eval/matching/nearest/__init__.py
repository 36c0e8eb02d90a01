"""Nearest neighbor matching: each takes the nearest that is left (arrays).

Imports only the units.
"""

from homevisit_eval.matching.nearest.nearest import nearest_pairs, variable_ratio
from homevisit_eval.matching.nearest.reasons import lost_reasons

__all__ = ["lost_reasons", "nearest_pairs", "variable_ratio"]
