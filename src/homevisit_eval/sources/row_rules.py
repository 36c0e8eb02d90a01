"""Rules about several cells of one row."""

from __future__ import annotations

from homevisit_eval.sources.columns import TableSchema
from homevisit_eval.sources.engine import Check, quoted

__all__ = ["row_checks"]

SCHOOL_YEAR_DAYS = "make_date(school_year - 1, 7, 1) AND make_date(school_year, 8, 31)"
DATES = ("date", "entry_date", "exit_date")


def row_checks(schema: TableSchema) -> list[Check]:
    """Return the rules of a table that one row can break by itself.

    The predicates use the columns of the table, and ``NAME_text`` for a cell as delivered.
    """
    state = quoted("status" if schema.name == "daily_attendance" else "category")
    rules = {
        "fraction_missing": Check(
            "fraction_missing", "fraction", f"{state} = 'partial' AND fraction_text IS NULL"
        ),
        "tardy_fraction": Check(
            "tardy_fraction", "fraction", f"{state} = 'tardy' AND fraction > 0"
        ),
        "present_days": Check("present_days", "status", "status = 'present'"),
        "exit_before_entry": Check("exit_before_entry", "exit_date", "exit_date < entry_date"),
        "score_range": Check(
            "score_range",
            "scale_score",
            "instrument = 'parcc' AND scale_score NOT BETWEEN 650 AND 850",
        ),
    }
    checks = [rules[name] for name in schema.rules if name in rules]
    if "date_outside_school_year" in schema.rules:
        checks += [
            Check(
                "date_outside_school_year",
                name,
                f"{quoted(name)} NOT BETWEEN {SCHOOL_YEAR_DAYS}",
            )
            for name in DATES
            if name in schema.names
        ]
    return checks
