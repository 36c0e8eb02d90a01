"""How alike the groups were before treatment, before and after matching."""

from homevisit_eval.balance.assess import assess_balance, assess_frame_balance
from homevisit_eval.balance.balance import Balance
from homevisit_eval.balance.characteristics import PROPENSITY, SCORES
from homevisit_eval.balance.distribution import (
    Distribution,
    frame_distribution,
    sample_distribution,
)
from homevisit_eval.balance.moments import GroupMoments, describe_groups
from homevisit_eval.balance.pool import pool_balance
from homevisit_eval.balance.sizes import effective_sample_sizes

__all__ = [
    "PROPENSITY",
    "SCORES",
    "Balance",
    "Distribution",
    "GroupMoments",
    "assess_balance",
    "assess_frame_balance",
    "describe_groups",
    "effective_sample_sizes",
    "frame_distribution",
    "pool_balance",
    "sample_distribution",
]
