"""Tests by redrawing: the wild cluster bootstrap, randomization, families of tests (arrays)."""

from homevisit_eval.effects.resampling.families_of_tests import (
    adjusted_p_values,
)
from homevisit_eval.effects.resampling.randomization import (
    RandomizationTest,
    randomization_test,
)
from homevisit_eval.effects.resampling.romano_wolf import (
    RomanoWolfTest,
    romano_wolf_test,
    stepdown_bootstrap,
)
from homevisit_eval.effects.resampling.scores_by_cluster import (
    ClusterScores,
    cluster_scores,
)
from homevisit_eval.effects.resampling.wild_bootstrap import (
    BootstrapTest,
    bootstrap_coefficient,
    wild_bootstrap_test,
)

__all__ = [
    "BootstrapTest",
    "ClusterScores",
    "RandomizationTest",
    "RomanoWolfTest",
    "adjusted_p_values",
    "bootstrap_coefficient",
    "cluster_scores",
    "randomization_test",
    "romano_wolf_test",
    "stepdown_bootstrap",
    "wild_bootstrap_test",
]
