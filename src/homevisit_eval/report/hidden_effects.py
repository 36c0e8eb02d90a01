"""Which estimates rest on few students: one rule for all tables and figures that print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homevisit_eval.disclosure import is_few, share_tells_few, total_tells_few

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["few_by_row", "few_groups"]

GROUPS = ("visited", "comparison")
NONE: frozenset[str] = frozenset()
MEANS: Mapping[str, tuple[str, ...]] = {
    "visited": ("mean_visited", "adjusted_mean_visited", "adjusted_mean_comparison"),
    "comparison": ("mean_comparison", "adjusted_mean_comparison"),
}
"""The means that stand beside each group's counts in one table or another."""


def few_groups(effect: Effect) -> frozenset[str]:
    """Return the groups whose counts or means stand for 1 to 9 students, incidents or days.

    An estimate is hidden in every table and figure if there is one, whichever means and counts
    that table prints.

    Parameters
    ----------
    effect
        A group is one of few if fewer than ten of it are there, if a yes or no outcome is that
        of fewer than ten, or of all but fewer than ten, or if fewer than ten incidents or days
        were counted for all of it.

    Returns
    -------
    frozenset of str
        Of ``"visited"`` and ``"comparison"``.
    """
    return frozenset(group for group in GROUPS if _is_of_few(effect, group))


def few_by_row(effects: Sequence[Effect]) -> list[frozenset[str]]:
    """Return for each effect its groups of few; of a sensitivity row those of the main one, too.

    It is near the main estimate of its question and outcome, and would tell it.
    """
    mains: dict[tuple[str, str], frozenset[str]] = {}
    for effect in effects:
        if not effect.sensitivity:
            mains.setdefault((effect.question, effect.outcome.name), few_groups(effect))
    return [
        few_groups(one)
        | (mains.get((one.question, one.outcome.name), NONE) if one.sensitivity else NONE)
        for one in effects
    ]


def _is_of_few(effect: Effect, group: str) -> bool:
    rows, students = getattr(effect, f"n_{group}"), getattr(effect, f"students_{group}")
    if is_few(rows) or is_few(students):
        return True
    means = [getattr(effect, name) for name in MEANS[group]]
    if effect.outcome.scale == "binary":
        return any(share_tells_few(mean, n) for mean in means for n in (rows, students))
    return effect.outcome.scale == "count" and any(total_tells_few(mean, rows) for mean in means)
