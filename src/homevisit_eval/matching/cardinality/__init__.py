"""Cardinality matching: the largest sample that is balanced (arrays).

Imports no other room.
"""

from homevisit_eval.matching.cardinality.cardinality import largest_balanced

__all__ = ["largest_balanced"]
