"""What a run of matching says of itself, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from homevisit_eval.disclosure import shown_count, shown_of, suppress_small_counts
from homevisit_eval.matching import Matches
from homevisit_eval.matching.matched_sample import shown_reasons
from homevisit_eval.table import Table, format_value

__all__ = ["audit_rows", "match_audit"]

COUNTS = {
    "rows": "Rows",
    "treated": "Treated units",
    "comparison": "Comparison units",
    "treated_used": "Treated units used",
    "comparison_used": "Comparison units used",
    "discarded": "Discarded: outside the common support",
    "treated_off_support": "Treated units without a score",
    "comparison_off_support": "Comparison units without a score",
    "tied_scores": "Units that share their score or covariates with another",
    "pairs_under_other_tie_rule": "Units whose matches the other rule for ties would change",
    "with_fewer_matches": "Units with fewer matches than asked for",
    "chosen": "Units in the largest balanced sample",
}
WHOLE = {
    "exact_strata": "Exact strata",
    "exact_strata_without_match": "Exact strata with nobody to be matched with",
    "exact_strata_with_both_groups": "Strata with both groups",
    "subclasses": "Subclasses",
    "iterations": "Iterations",
}
NUMBERS = {
    "mean_distance": "Mean distance of pairs",
    "largest_distance": "Largest distance of pairs",
    "total_distance": "Total distance",
    "optimal_total_distance": "Smallest total distance possible",
    "largest_difference_left": "Largest standardized difference left",
    "solver_gap": "Share by which a larger sample might exist",
}
TEXTS = {
    "order_rule": "Order of matching",
    "estimand": "Estimand",
    "consequence": "What that means",
    "notes": "Notes on the score",
    "inputs_checksum": "SHA-256 of the inputs",
    "scores_checksum": "SHA-256 of the scores",
}
LABELS = {**COUNTS, **WHOLE, **NUMBERS, **TEXTS}


def match_audit(matches: Matches, *, synthetic: bool = False, name: str = "Audit") -> Table:
    """Return the audit of a run: its order rule, ties, distances, and who was lost and why.

    Parameters
    ----------
    matches
        What `match_frame` returned, or the `matches` of a `MatchedSample`.
    synthetic
        Whether the data are; it is then said under the table.
    name
        The number of the table in a report.
    """
    rows = audit_rows(matches.audit)
    reasons = shown_reasons(matches.unmatched)
    rows += [(f"Not used: {reason}", count) for reason, count in reasons.items()]
    return suppress_small_counts(
        Table(
            name=name,
            title="Audit of the matching",
            frame=pd.DataFrame(rows, columns=["item", "finding"]),
            kinds={"item": "text", "finding": "text"},
            labels={"item": "Item", "finding": "Finding"},
            synthetic=synthetic,
        )
    )


def audit_rows(audit: Mapping[str, int | float | str]) -> list[tuple[str, str]]:
    """Return the facts of an audit as label and text, in a fixed order."""
    return [
        (label, _shown(name, audit))
        for name, label in LABELS.items()
        if name in audit and audit[name] != ""
    ]


def _shown(name: str, audit: Mapping[str, int | float | str]) -> str:
    value = audit[name]
    if name in ("treated_used", "comparison_used"):
        whole = int(audit[name.removesuffix("_used")])
        shown = shown_of(int(value), whole)
        return shown_count(shown) if shown == value else f"at least {shown_count(shown)}"
    if name in COUNTS:
        return shown_count(int(value))
    if name in WHOLE:
        return f"{int(value):,}"
    if name in NUMBERS:
        return format_value(float(value), "number", digits=6)
    return str(value)
