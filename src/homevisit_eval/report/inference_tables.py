"""Tables of inference: standard errors side by side (B14), effects in subgroups (B4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.disclosure import round_where_few_are_lost, suppress_small_counts
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.words import CLUSTER_WORDS, outcome_unit
from homevisit_eval.table import Cell, HidingRule, Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import (
        StandardError,
        StandardErrors,
        SubgroupEffect,
        SubgroupEffects,
    )

__all__ = ["standard_errors", "subgroups"]

KINDS: Mapping[str, Kind] = {
    "outcome": "text",
    "way": "text",
    "subgroup": "text",
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
    "estimate_alone": "effect",
    "std_error_alone": "spread",
    "notes": "text",
}
LABELS: Mapping[str, str] = {
    "way": "Standard error or test",
    "subgroup": "Subgroup",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "clusters": "Clusters (G)",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
    "estimate_alone": "Difference",
    "std_error_alone": "Standard error",
}
NUMBERS = (
    "estimate", "std_error", "ci_low", "ci_high", "p_value", "df", "estimate_alone",
    "std_error_alone",
)  # fmt: skip
NOTES_BETWEEN = " | "
COUNTING_ROWS = ("HC1", "HC3", "CR1S")
"""Covariances whose size or degrees of freedom hold the number of rows: beside the others, at full
precision, they tell it exactly."""
FEW_ROWS = re.compile(r"\b[1-9] rows\b")


def standard_errors(compared: Sequence[StandardErrors], name: str = "B14") -> Table:
    """Return one estimate of each outcome with all its standard errors and tests.

    Parameters
    ----------
    compared
        From `compare_standard_errors`.
    name
        The number of the table in a report.

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
            "outcome": [one.outcome.label for one, _ in lines],
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
        f"{one.outcome.label}, not computed: {FEW_ROWS.sub('fewer than 10 rows', sentence)}"
        for one in compared
        for sentence in one.skipped
    )
    wholes = {
        "n_visited": [one.matched_visited for one, _ in lines],
        "n_comparison": [one.matched_comparison for one, _ in lines],
    }
    return _safe(
        frame,
        wholes,
        name=name,
        title="Would another standard error say the same?",
        section="outcome",
        level=compared[0].confidence_level,
        csv_only=("unit", "df_convention", "covariance", "cluster", "n_visited", "n_comparison",
                  "notes"),
        notes=(
            "The estimate is the same in all rows; what differs is which student-years count as "
            "independent of each other. Clusters and degrees of freedom are shown where they count "
            "schools. Tests have no standard error; their intervals hold what "
            "they do not reject. Which one to use: documentation, page Which standard error.",
            *skipped,
        ),
        synthetic=any(one.synthetic for one in compared),
        spanners=(),
        hidden=_would_tell_rows(lines),
    )  # fmt: skip


def subgroups(effects: Sequence[SubgroupEffects], name: str = "B4") -> Table:
    """Return effects by subgroup, with the test of their difference in the notes.

    Parameters
    ----------
    effects
        From `estimate_subgroups`.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not effects:
        raise EstimationError("There is no subgroup to show; estimate some.")
    lines = [(one, row) for one in effects for row in one.subgroups]
    frame = pd.DataFrame(
        {
            "subgroup": [row.subgroup for _, row in lines],
            "outcome": [f"{one.outcome.label}, by {one.by}" for one, _ in lines],
            "unit": [outcome_unit(one.outcome) for one, _ in lines],
            **{
                column: [_of_subgroup(one, row, column) for one, row in lines]
                for column in (
                    "estimate", "std_error", "ci_low", "ci_high", "p_value", "df",
                    "estimate_alone", "std_error_alone", "n_visited", "n_comparison",
                )
            },
            "notes": [row.refused for _, row in lines],
        }
    )  # fmt: skip
    tests = [_test_sentence(one) for one in effects]
    refused = [
        f"{one.outcome.label}, {one.by} {row.subgroup}: {row.refused}."
        for one, row in lines
        if row.refused
    ]
    return _safe(
        frame,
        {
            f"n_{group}": [getattr(row, f"matched_{group}") for _, row in lines]
            for group in ("visited", "comparison")
        },
        sums=tuple(
            Sum(tuple((row, f"n_{group}") for row in rows))
            for rows in _rows_of(effects)
            for group in ("visited", "comparison")
        ),
        name=name,
        title="Effects in subgroups",
        section="outcome",
        level=effects[0].confidence_level,
        csv_only=("unit", "notes"),
        notes=(
            *tests,
            *refused,
            "p values are not adjusted for the number of subgroups. A difference between subgroups "
            "is not the effect of belonging to them.",
        ),
        synthetic=any(one.synthetic for one in effects),
        spanners=(
            ("Fitted alone", ("estimate_alone", "std_error_alone")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
    )


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


def _of_subgroup(one: SubgroupEffects, row: SubgroupEffect, column: str) -> float | None:
    """Return a number of a subgroup; None for degrees of freedom that would tell a count."""
    if column == "df" and not one.tells_no_small_count:
        return None
    value: float = getattr(row, column)  # counts stay whole numbers
    return value


def _rows_of(effects: Sequence[SubgroupEffects]) -> list[range]:
    """Return the row positions of each block of subgroups."""
    ends = list(accumulate(len(one.subgroups) for one in effects))
    return [range(end - len(one.subgroups), end) for one, end in zip(effects, ends, strict=True)]


def _way(covariance: str, cluster: str) -> str:
    """Return the name of a standard error or test, in words for readers."""
    if covariance.startswith("wild bootstrap"):
        return f"{covariance[0].upper()}{covariance[1:]} weights, by school"
    if covariance.startswith("randomization"):
        return "Randomization within matched sets, studentized"
    return f"{covariance}, by {CLUSTER_WORDS[cluster][0].replace('pair', 'set')}"


def _test_sentence(effects: SubgroupEffects) -> str:
    start = f"{effects.outcome.label}, by {effects.by}"
    test = effects.test
    if test is None:
        return f"{start}: {' '.join(effects.notes)}"
    of = f" and {test.df_denominator:.1f}" if effects.tells_no_small_count else ""
    return (
        f"{start}: test of equal effects F = {test.statistic:.2f} on {test.df_numerator}{of} df, "
        f"p = {test.p_value:.3f} ({test.test}, {effects.covariance})."
    )


def _safe(
    frame: pd.DataFrame,
    wholes: Mapping[str, Sequence[int]],
    *,
    name: str,
    title: str,
    section: str,
    level: float,
    csv_only: tuple[str, ...],
    notes: tuple[str, ...],
    synthetic: bool,
    spanners: tuple[tuple[str, tuple[str, ...]], ...],
    sums: tuple[Sum, ...] = (),
    hidden: Mapping[Cell, HidingRule] | None = None,
) -> Table:
    resting = tuple(column for column in NUMBERS if column in frame)
    table = Table(
        name=name,
        title=title,
        frame=frame,
        kinds={str(column): KINDS[str(column)] for column in frame},
        labels={str(column): LABELS[str(column)] for column in frame if column in LABELS},
        notes=notes,
        synthetic=synthetic,
        unit="unit",
        digits={"df": 1},
        section=section,
        csv_only=csv_only,
        spanners=((f"{100 * level:g}% interval", ("ci_low", "ci_high")), *spanners),
        groups={"n_visited": resting, "n_comparison": resting},
        sums=sums,
        hidden=hidden or {},
    )
    return round_where_few_are_lost(suppress_small_counts(table), wholes)
