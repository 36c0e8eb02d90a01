"""The way from all enrolled students to the analytic sample, with a count for each exclusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from homevisit_eval.disclosure import shown_count

__all__ = [
    "FlowStep",
    "GroupCounts",
    "excluded",
    "flow_adds_up",
    "recounted",
    "remaining",
]

GroupCounts: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One line of the sample flow.

    Parameters
    ----------
    kind
        ``"remaining"``: student-years left at this point. ``"excluded"``: student-years that
        leave between two such points. ``"recounted"``: the same, counted in another unit.
    name
        A short code, for example ``"eligible"``.
    label
        As printed.
    visited, comparison, neither
        Student-years that were visited in the window, that could be comparisons, and that are
        neither (visited only under a program or mode that the question leaves out).
    """

    kind: Literal["remaining", "excluded", "recounted"]
    name: str
    label: str
    visited: int
    comparison: int
    neither: int = 0

    @property
    def total(self) -> int:
        """Student-years of all groups."""
        return self.visited + self.comparison + self.neither

    def __repr__(self) -> str:
        """Show the name of the step; counts under 10 as "<10"."""
        counts = ", ".join(
            f"{group}={shown_count(getattr(self, group))}"
            for group in ("visited", "comparison", "neither")
        )
        return f"FlowStep({self.kind} {self.name!r}, {counts})"


def remaining(name: str, label: str, counts: GroupCounts) -> FlowStep:
    """Return the line of those who are left; groups that `counts` does not name have none."""
    return _step("remaining", name, label, counts)


def excluded(name: str, label: str, counts: GroupCounts) -> FlowStep:
    """Return the line of those who leave; groups that `counts` does not name have none."""
    return _step("excluded", name, label, counts)


def recounted(name: str, label: str, counts: GroupCounts) -> FlowStep:
    """Return the line of those who are left, counted in another unit from here on."""
    return _step("recounted", name, label, counts)


def _step(
    kind: Literal["remaining", "excluded", "recounted"], name: str, label: str, counts: GroupCounts
) -> FlowStep:
    return FlowStep(
        kind,
        name,
        label,
        counts.get("visited", 0),
        counts.get("comparison", 0),
        counts.get("neither", 0),
    )


def flow_adds_up(flow: Sequence[FlowStep]) -> bool:
    """Say whether each "remaining" line is the one before it less the exclusions between."""
    left: tuple[int, int, int] | None = None
    for step in flow:
        counts = (step.visited, step.comparison, step.neither)
        if step.kind == "recounted":
            left = counts
        elif step.kind == "remaining":
            if left is not None and counts != left:
                return False
            left = counts
        elif left is not None:
            left = (left[0] - counts[0], left[1] - counts[1], left[2] - counts[2])
    return True
