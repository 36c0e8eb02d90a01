"""Lists of near units that may be a pair, found in k-d trees (arrays).

Imports only the units; optimal and full matching search here.
"""

from homevisit_eval.matching.neighbors.forest import Forest, plant
from homevisit_eval.matching.neighbors.search import Neighbors, nearest_neighbors, neighbors_within

__all__ = ["Forest", "Neighbors", "nearest_neighbors", "neighbors_within", "plant"]
