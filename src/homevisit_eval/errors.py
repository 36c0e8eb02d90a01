"""What a user can act on: every error that the package raises on purpose.

Messages say where, what and how many, the first places, and what to do. They never hold a
student's identifier or a value of a record.
"""

from __future__ import annotations

__all__ = [
    "DesignError",
    "EstimationError",
    "HomeVisitEvalError",
    "MatchingError",
    "OutputError",
    "SourceError",
]


class HomeVisitEvalError(Exception):
    """The parent of all errors of this package: catch it to catch them all."""


class SourceError(HomeVisitEvalError):
    """A raw extract cannot be read, or does not satisfy the data dictionary."""


class DesignError(HomeVisitEvalError, ValueError):
    """A study design, or an option of a method, is not possible."""


class MatchingError(HomeVisitEvalError):
    """A matching method cannot be carried out on these data."""


class EstimationError(HomeVisitEvalError):
    """An effect or its standard error cannot be computed on these data."""


class OutputError(HomeVisitEvalError):
    """Results cannot be written; the message names the path."""
