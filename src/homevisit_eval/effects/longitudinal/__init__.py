"""Effects over several periods: difference-in-differences, event studies, group-time effects."""

from homevisit_eval.effects.longitudinal.aggregation import (
    AggregatedEffects,
    aggregate_effects,
    aggregated_pretrend_test,
)
from homevisit_eval.effects.longitudinal.event_study import (
    EventStudy,
    event_study_pretrend_test,
    fit_event_study,
)
from homevisit_eval.effects.longitudinal.group_time import (
    GroupTimeEffects,
    group_time_effects,
    pretrend_test,
)
from homevisit_eval.effects.longitudinal.influence import (
    InfluenceEffects,
    InfluenceTest,
    SimultaneousBand,
    influence_test,
    simultaneous_band,
)
from homevisit_eval.effects.longitudinal.interaction_weighted import (
    InteractionWeightedEffects,
    interaction_weighted_effects,
    interaction_weighted_pretrend_test,
)
from homevisit_eval.effects.longitudinal.panel_rows import first_treated_periods
from homevisit_eval.effects.longitudinal.two_way_effects import (
    DifferenceInDifferences,
    difference_in_differences,
)
from homevisit_eval.effects.longitudinal.two_way_weights import TwoWayWeights, two_way_weights

__all__ = [
    "AggregatedEffects",
    "DifferenceInDifferences",
    "EventStudy",
    "GroupTimeEffects",
    "InfluenceEffects",
    "InfluenceTest",
    "InteractionWeightedEffects",
    "SimultaneousBand",
    "TwoWayWeights",
    "aggregate_effects",
    "aggregated_pretrend_test",
    "difference_in_differences",
    "event_study_pretrend_test",
    "first_treated_periods",
    "fit_event_study",
    "group_time_effects",
    "influence_test",
    "interaction_weighted_effects",
    "interaction_weighted_pretrend_test",
    "pretrend_test",
    "simultaneous_band",
    "two_way_weights",
]
