"""Optimal matching: the smallest total distance, proved (arrays).

Imports the units and their neighbors.
"""

from homevisit_eval.matching.optimal.assignment import Assignment, Lists, Rows
from homevisit_eval.matching.optimal.line_assignment import Uses, line_pairs
from homevisit_eval.matching.optimal.optimal import optimal_pairs, optimal_total
from homevisit_eval.matching.optimal.sparse_assignment import assign

__all__ = [
    "Assignment",
    "Lists",
    "Rows",
    "Uses",
    "assign",
    "line_pairs",
    "optimal_pairs",
    "optimal_total",
]
