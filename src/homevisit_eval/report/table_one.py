"""Baseline characteristics of the groups in one table ("Table 1")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from homevisit_eval.balance.characteristics import SCORES
from homevisit_eval.balance.published import ALL_COLUMNS, safe_balance
from homevisit_eval.disclosure import shown_count
from homevisit_eval.table import (
    PERCENT_OF_STUDENTS,
    Cell,
    HidingRule,
    Kind,
    Table,
    format_value,
)
from homevisit_eval.table.cells import missing

if TYPE_CHECKING:
    from homevisit_eval.balance import Balance

__all__ = ["table_one"]

GROUPS: Mapping[str, tuple[str, str, str]] = {
    "treated": ("mean_treated_after", "sd_treated_after", "n_treated"),
    "comparison": ("mean_comparison_after", "sd_comparison_after", "n_comparison"),
    "comparison_before": (
        "mean_comparison_before", "sd_comparison_before", "n_comparison_before",
    ),
}  # fmt: skip
NUMBERS = tuple(dict.fromkeys(column for columns in GROUPS.values() for column in columns))
DIFFERENCES = ("smd_before", "smd_after")


def table_one(balance: Balance, name: str = "Table-1") -> Table:
    """Return baseline characteristics of the treated, their comparisons, and all comparisons.

    Parameters
    ----------
    balance
        Of a matched sample, or of any data frame.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        For each characteristic the mean (standard deviation), or the number (percent) of those
        who have it: of the treated and the comparison units that are compared, with their
        weights, and of all comparison units before matching; standardized differences before
        and after. Numbers of the cells stand in columns of the CSV. Small counts are hidden as
        in the other tables of balance.
    """
    safe = safe_balance(balance.everybody)
    kept = [
        row
        for row, covariate in enumerate(balance.everybody["covariate"])
        if covariate not in SCORES
    ]
    source = safe.frame.iloc[kept].reset_index(drop=True)
    hidden = {
        (kept.index(row), column): rule
        for (row, column), rule in safe.hidden.items()
        if row in kept
    }
    frame = pd.DataFrame({"characteristic": source["characteristic"]})
    cells: dict[Cell, HidingRule] = {}
    for group, (mean, sd, count) in GROUPS.items():
        frame[group] = [_cell(line, mean, sd, count) for line in source.to_dict("records")]
        cells |= {(row, group): rule for (row, column), rule in hidden.items() if column == mean}
    frame = pd.concat([frame, source[[*DIFFERENCES, "unit", *NUMBERS]]], axis=1)
    cells |= {cell: rule for cell, rule in hidden.items() if cell[1] in frame.columns}
    kinds: dict[str, Kind] = dict.fromkeys(["characteristic", *GROUPS], "text")
    kinds |= {column: ALL_COLUMNS[column] for column in (*DIFFERENCES, "unit", *NUMBERS)}
    return Table(
        name=name,
        title="Baseline characteristics",
        frame=frame,
        kinds=kinds,
        labels={
            "characteristic": "Before the visit" if balance.question else "Before treatment",
            "smd_before": "before",
            "smd_after": "after",
            **_headings(balance, source),
        },
        notes=_notes(balance, safe),
        synthetic=balance.synthetic,
        population=f"{balance.estimand}",
        unit="unit",
        digits=dict.fromkeys(DIFFERENCES, 3),
        spanners=(
            ("Compared", ("treated", "comparison")),
            ("Before matching", ("comparison_before",)),
            ("Standardized difference", DIFFERENCES),
        ),
        csv_only=("unit", *NUMBERS),
        hidden=cells,
        threshold=safe.threshold,
    )


def _cell(line: Mapping[Any, Any], mean: str, sd: str, count: str) -> str | None:
    """Return "mean (SD)" or "number (percent)"; None if it is hidden or does not exist."""
    value, spread, number, unit = line[mean], line[sd], line[count], str(line["unit"])
    if missing(value):
        return None
    if unit == PERCENT_OF_STUDENTS:
        percent = format_value(value, "mean", unit, 1)
        have = "" if missing(number) else f"{round(value * number):,} "
        return f"{have}({percent})"
    inside = format_value(spread, "spread", unit).removesuffix(" pp")
    return f"{format_value(value, 'mean', unit)} ({inside})"


def _headings(balance: Balance, source: pd.DataFrame) -> dict[str, str]:
    words = balance.words
    names = {
        "treated": words.treated.capitalize(),
        "comparison": words.comparison.capitalize(),
        "comparison_before": f"All {words.comparison}",
    }
    return {
        group: f"{name} (n = {_most(source[GROUPS[group][2]])})" for group, name in names.items()
    }


def _most(counts: pd.Series) -> str:
    """Return the largest count that is shown; all are hidden if the group itself is small."""
    shown = counts.dropna()
    return shown_count(int(shown.max())) if len(shown) else "<10"


def _notes(balance: Balance, safe: Table) -> tuple[str, ...]:
    words = balance.words
    notes = [
        "Mean (standard deviation), or number (percent) of those who have the characteristic. "
        f"n: {words.units}; fewer where a characteristic is not measured for all.",
        "Standardized differences before and after matching have one denominator, the standard "
        f"deviation of {_whose(balance)} before matching.",
    ]
    if _weighted(balance):
        notes.append(
            "Means, standard deviations and percents of the compared are weighted; a number is "
            "the weighted percent of their n."
        )
    return (*notes, *safe.notes)


def _whose(balance: Balance) -> str:
    words = balance.words
    names = {"treated": f"the {words.treated}", "comparison": f"the {words.comparison} group"}
    return names.get(balance.denominator, "both groups (pooled)")


def _weighted(balance: Balance) -> bool:
    table = balance.everybody
    if "ess_treated" not in table:
        return False
    return any(
        bool((table[f"ess_{group}"] < table[f"n_{group}"] * (1 - 1e-9)).any())
        for group in ("treated", "comparison")
    )
