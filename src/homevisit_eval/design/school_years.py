"""School years in words."""

from __future__ import annotations

__all__ = ["school_year_text"]


def school_year_text(school_year: int) -> str:
    """Return a school year, named by its spring, as printed.

    >>> school_year_text(2015), school_year_text(2000)
    ('2014-15', '1999-00')
    """
    return f"{school_year - 1}-{school_year % 100:02d}"
