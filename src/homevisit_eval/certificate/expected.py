"""What the study's default design is expected to show in each preset, stated beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["expected_verdicts"]

HOLDS = {"main: bias": "pass", "main: coverage": "pass"}

EXPECTED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "small": HOLDS,
        "dcps": HOLDS,
        "state": HOLDS,
        "messy": HOLDS,
        "heterogeneous": HOLDS,
        "null": {**HOLDS, "main: false positives": "pass"},
        "targeted": HOLDS,
        "hidden_confounding": {"main: bias": "fail"},
        "spillover": {"main: bias": "fail"},
        "school_confounding": {
            "main: bias": "fail",
            "outside_program: bias": "fail",
            "same_school: bias": "pass",
        },
        "teacher_selection": {
            "same_school: bias": "fail",
            "outside_program: bias": "pass",
        },
    }
)


def expected_verdicts(preset: str) -> Mapping[str, str]:
    """Return for a preset ``"design: question"`` and the verdict expected; else nothing."""
    return EXPECTED.get(preset, MappingProxyType({}))
