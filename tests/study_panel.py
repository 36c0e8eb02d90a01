"""The panel of the demonstration, for tests of several files that only look at it."""

from __future__ import annotations

from functools import cache

from commands import DATA, DESIGN
from homevisit_eval import Panel, build_panel, read_design, read_sources

__all__ = ["study_panel"]


@cache
def study_panel() -> Panel:
    """Read the files once in a process, and keep the panel open to its end."""
    return build_panel(read_sources(DATA), read_design(DESIGN).measurement)
