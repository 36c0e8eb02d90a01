"""Table of one estimate with all its standard errors and tests, side by side (B14)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.disclosure import round_where_few_are_lost, suppress_small_counts
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.hidden_effects import few_groups
from homevisit_eval.report.words import CLUSTER_WORDS, marked, outcome_unit, plain_words
from homevisit_eval.table import Cell, HidingRule, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect, StandardError, StandardErrors

__all__ = ["standard_errors"]

KINDS: Mapping[str, Kind] = {
    "outcome": "text",
    "way": "text",
    "unit": "text",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "df": "number",
    "clusters": "whole_number",
    "df_convention": "text",
    "covariance": "text",
    "cluster": "text",
    "n_visited": "count",
    "n_comparison": "count",
    "notes": "text",
}
LABELS: Mapping[str, str] = {
    "way": "Standard error or test",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "clusters": "Clusters (G)",
}
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "df")
NOTES_BETWEEN = " | "
COUNTING_ROWS = ("HC1", "HC3", "CR1S")
"""Covariances whose size or degrees of freedom hold the number of rows: beside the others, at full
precision, they tell it exactly."""
FEW_ROWS = re.compile(r"\b[1-9] rows\b")


def standard_errors(
    compared: Sequence[StandardErrors], name: str = "B14", effects: Sequence[Effect] = ()
) -> Table:
    """Return one estimate of each outcome with all its standard errors and tests.

    Parameters
    ----------
    compared
        From `compare_standard_errors`.
    name
        The number of the table in a report.
    effects
        The main estimates of the same outcomes: what table B1 hides of them is hidden here too.

    Returns
    -------
    Table
        Safe to publish. Effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not compared:
        raise EstimationError("There is no estimate to show; compare the standard errors of one.")
    lines = [(one, row) for one in compared for row in one.rows]
    frame = pd.DataFrame(
        {
            "way": [_way(row.covariance, row.cluster) for _, row in lines],
            "outcome": [marked(one.outcome.label, one.role) for one, _ in lines],
            "unit": [outcome_unit(one.outcome) for one, _ in lines],
            "estimate": [one.estimate for one, _ in lines],
            "std_error": [row.std_error for _, row in lines],
            "ci_low": [row.ci_low for _, row in lines],
            "ci_high": [row.ci_high for _, row in lines],
            "p_value": [row.p_value for _, row in lines],
            "df": [row.df if _counts_schools(one, row) else None for one, row in lines],
            "clusters": [row.clusters if _counts_schools(one, row) else None for one, row in lines],
            "df_convention": [
                row.df_convention if _counts_schools(one, row) else "" for one, row in lines
            ],
            "covariance": [row.covariance for _, row in lines],
            "cluster": [row.cluster for _, row in lines],
            "n_visited": [one.n_visited for one, _ in lines],
            "n_comparison": [one.n_comparison for one, _ in lines],
            "notes": [
                NOTES_BETWEEN.join(row.notes) if _counts_schools(one, row) else ""
                for one, row in lines
            ],
        }
    )
    skipped = dict.fromkeys(
        f"{one.outcome.label}, not computed: "
        f"{plain_words(FEW_ROWS.sub('fewer than 10 rows', sentence))}"
        for one in compared
        for sentence in one.skipped
    )
    wholes = {
        "n_visited": [one.matched_visited for one, _ in lines],
        "n_comparison": [one.matched_comparison for one, _ in lines],
    }
    level = compared[0].confidence_level
    table = Table(
        name=name,
        title="Would another standard error say the same?",
        frame=frame,
        kinds=KINDS,
        labels=LABELS,
        notes=(
            "The estimate is the same in all rows; what differs is which student-years count as "
            "independent of each other. Clusters and degrees of freedom are shown where they count "
            "schools. Tests have no standard error; their intervals hold what "
            "they do not reject. Which one to use: documentation, page Which standard error.",
            *skipped,
        ),
        synthetic=any(one.synthetic for one in compared),
        unit="unit",
        digits={"df": 1},
        section="outcome",
        csv_only=("unit", "df_convention", "covariance", "cluster", "n_visited", "n_comparison",
                  "notes"),
        spanners=((f"{100 * level:g}% interval", ("ci_low", "ci_high")),),
        groups={"n_visited": NUMBERS, "n_comparison": NUMBERS},
        hidden=_would_tell_rows(lines) | _hidden_elsewhere(lines, effects),
    )  # fmt: skip
    return round_where_few_are_lost(suppress_small_counts(table), wholes)


def _counts_schools(one: StandardErrors, row: StandardError) -> bool:
    """Say whether G counts schools: that of students and sets would tell who is lost."""
    return row.cluster.startswith("school_id") and row.clusters == one.clusters


def _would_tell_rows(
    lines: Sequence[tuple[StandardErrors, StandardError]],
) -> dict[Cell, HidingRule]:
    """Return the cells that tell how many rows there are, where few are hidden or lost."""
    hidden: dict[Cell, HidingRule] = {}
    for position, (one, row) in enumerate(lines):
        if row.covariance in COUNTING_ROWS and not one.tells_no_small_count("rows"):
            for column in ("std_error", "ci_low", "ci_high", "p_value", "df"):
                hidden[position, column] = "would reveal a small count"
    return hidden


def _hidden_elsewhere(
    lines: Sequence[tuple[StandardErrors, StandardError]], effects: Sequence[Effect]
) -> dict[Cell, HidingRule]:
    """Return the cells of rows whose estimate rests on few students, by the rule of table B1."""
    few = {(one.question, one.outcome.name) for one in effects if few_groups(one)}
    return {
        (position, column): "would reveal a small count"
        for position, (one, _) in enumerate(lines)
        if (one.question, one.outcome.name) in few
        for column in (*NUMBERS, "notes")
    }


def _way(covariance: str, cluster: str) -> str:
    """Return the name of a standard error or test, in words for readers."""
    if covariance.startswith("wild bootstrap"):
        return f"{covariance[0].upper()}{covariance[1:]} weights, by school"
    if covariance.startswith("randomization"):
        return "Randomization within matched sets, studentized"
    return f"{covariance}, by {CLUSTER_WORDS[cluster][0].replace('pair', 'set')}"
