"""Full matching: every unit in a set, at the smallest total distance (arrays).

Imports the assignment of optimal matching, the units and their neighbors.
"""

from homevisit_eval.matching.full.full import full_sets

__all__ = ["full_sets"]
