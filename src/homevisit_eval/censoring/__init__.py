"""A visit now against none from then on: pairs followed until the comparison student is visited."""

from __future__ import annotations

from homevisit_eval.censoring.follow import follow_without_visits

__all__ = ["follow_without_visits"]
