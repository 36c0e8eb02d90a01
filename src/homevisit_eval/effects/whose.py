"""Whose effect an estimand is: the groups it is about, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping

from homevisit_eval.design.method_facts import Target

__all__ = ["EFFECT_ON", "GROUPS", "Target"]

GROUPS: Mapping[Target, tuple[str, ...]] = {
    "ATT": ("visited",),
    "ATC": ("comparison",),
    "ATE": ("visited", "comparison"),
    "ATO": ("visited", "comparison"),
}
"""The groups whose students an estimand is about."""

EFFECT_ON: Mapping[Target, str] = {
    "ATT": "effect on the visited",
    "ATC": "effect on the comparison students",
    "ATE": "effect on all students",
    "ATO": "effect on the overlap of both groups",
}
"""An average effect, named by whose it is."""
