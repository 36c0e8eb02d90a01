"""The units of one matching problem as arrays, their distances, and what a pair must meet.

Imports no other room; every method that makes pairs imports from here.
"""

from homevisit_eval.matching.units.distance import (
    mahalanobis_coordinates,
    robust_mahalanobis_coordinates,
    scaled_euclidean_coordinates,
)
from homevisit_eval.matching.units.traits import Traits
from homevisit_eval.matching.units.units import (
    IN_USE,
    MATCHED,
    NOT_ALLOWED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
    Limit,
    Pairs,
    Units,
)

__all__ = [
    "IN_USE",
    "MATCHED",
    "NOT_ALLOWED",
    "NOT_IN_STRATUM",
    "OUTSIDE_CALIPER",
    "Limit",
    "Pairs",
    "Traits",
    "Units",
    "mahalanobis_coordinates",
    "robust_mahalanobis_coordinates",
    "scaled_euclidean_coordinates",
]
