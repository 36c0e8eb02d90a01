"""Rows of a balance table -> a `Table` that is safe to publish.

All tables of balance hide the same cells: what one of them hides no other gives away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from homevisit_eval.balance.characteristics import covariate_unit
from homevisit_eval.design.measures import COUNT_BASELINE_COLUMNS
from homevisit_eval.disclosure import (
    round_where_few_are_lost,
    suppress_small_counts,
    total_tells_few,
)
from homevisit_eval.table import Cell, HidingRule, Kind, Sum, Table

__all__ = ["ALL_COLUMNS", "RESTING", "SHOWN", "GroupWords", "published_balance", "safe_balance"]


@dataclass(frozen=True, slots=True)
class GroupWords:
    """What the two groups and their units are called, within a sentence."""

    treated: str
    comparison: str
    units: str


ALL_COLUMNS: Mapping[str, Kind] = {
    "characteristic": "text",
    "unit": "text",
    "mean_treated_before": "mean",
    "mean_comparison_before": "mean",
    "mean_treated_after": "mean",
    "mean_comparison_after": "mean",
    "sd_treated_before": "spread",
    "sd_comparison_before": "spread",
    "sd_treated_after": "spread",
    "sd_comparison_after": "spread",
    "smd_before": "effect_size",
    "smd_after": "effect_size",
    "variance_ratio_before": "number",
    "variance_ratio_after": "number",
    "ecdf_mean_before": "number",
    "ecdf_mean_after": "number",
    "ecdf_max_before": "number",
    "ecdf_max_after": "number",
    "pair_distance_after": "number",
    "wwc_effect_size": "effect_size",
    "wwc_category": "text",
    "adjusted_for": "text",
    "smd_before_low": "effect_size",
    "smd_before_high": "effect_size",
    "smd_after_low": "effect_size",
    "smd_after_high": "effect_size",
    "n_treated_before": "count",
    "n_comparison_before": "count",
    "n_treated": "count",
    "n_comparison": "count",
}
"""Every column that a published table may show."""

_BEFORE = (
    "smd_before", "smd_before_low", "smd_before_high", "variance_ratio_before",
    "ecdf_mean_before", "ecdf_max_before",
)  # fmt: skip
_AFTER = (
    "smd_after", "smd_after_low", "smd_after_high", "variance_ratio_after", "ecdf_mean_after",
    "ecdf_max_after", "pair_distance_after", "wwc_effect_size", "wwc_category",
)  # fmt: skip
RESTING: Mapping[str, tuple[str, ...]] = {
    "n_treated_before": (
        "mean_treated_before", "sd_treated_before", *_BEFORE, "smd_after", "smd_after_low",
        "smd_after_high", "pair_distance_after",
    ),
    "n_comparison_before": ("mean_comparison_before", "sd_comparison_before", *_BEFORE),
    "n_treated": ("mean_treated_after", "sd_treated_after", *_AFTER),
    "n_comparison": ("mean_comparison_after", "sd_comparison_after", *_AFTER),
}  # fmt: skip
"""For each count the columns whose numbers rest on those students."""

SHOWN: Mapping[str, str] = {
    "characteristic": "Characteristic",
    "unit": "Unit",
    "mean_treated_after": "treated",
    "mean_comparison_after": "comparison",
    "smd_before": "before",
    "smd_after": "after",
    "variance_ratio_after": "Variance ratio",
    "ecdf_max_after": "KS",
    "n_treated": "treated",
    "n_comparison": "comparison",
}
"""The columns of a `Balance` as it is printed, with their headings."""

SPANNERS = (
    ("Mean,", ("mean_treated_after", "mean_comparison_after")),
    ("SMD", ("smd_before", "smd_after")),
    ("n,", ("n_treated", "n_comparison")),
)
THREE_DIGITS = (
    "wwc_effect_size", "smd_before", "smd_after", "smd_before_low", "smd_before_high",
    "smd_after_low", "smd_after_high", "ecdf_mean_before", "ecdf_mean_after", "ecdf_max_before",
    "ecdf_max_after", "pair_distance_after",
)  # fmt: skip


def published_balance(
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    words: GroupWords,
    *,
    name: str = "Balance",
    title: str = "",
    population: str = "",
    synthetic: bool = False,
    notes: Sequence[str] = (),
    spanners: Sequence[tuple[str, tuple[str, ...]]] = SPANNERS,
    csv_only: Sequence[str] = ("unit",),
) -> Table:
    """Return some columns of a balance table, small counts and what rests on them hidden.

    Parameters
    ----------
    rows
        Of everybody in `Balance.table`.
    columns
        Which, with their headings.
    words
        What the treated are called: their columns are named after it.
    name, title, population, synthetic, notes, spanners, csv_only
        Of the `Table`.
    """
    safe = safe_balance(rows)
    shown = [column for column in columns if column in safe.frame.columns]
    missing = [column for column in columns if column not in safe.frame.columns]
    table = replace(
        safe,
        name=name,
        title=title,
        frame=safe.frame[shown],
        kinds={column: ALL_COLUMNS[column] for column in shown},
        labels={c: _worded(columns[c], words) for c in shown},
        notes=(*notes, *safe.notes),
        synthetic=synthetic,
        population=population,
        digits={column: 3 for column in THREE_DIGITS if column in shown},
        spanners=tuple(
            (label, tuple(c for c in over if c not in missing))
            for label, over in spanners
            if set(over) - set(missing) <= set(shown)
        ),
        csv_only=tuple(column for column in csv_only if column in shown),
        groups={
            count: tuple(column for column in resting if column in shown)
            for count, resting in RESTING.items()
            if count in shown
        },
        sums=(),
        hidden={cell: rule for cell, rule in safe.hidden.items() if cell[1] in shown},
    )
    return _named_after(table, words)


def safe_balance(rows: pd.DataFrame) -> Table:
    """Return all columns, so that every table and figure hides the same cells.

    Parameters
    ----------
    rows
        Of everybody in `Balance.table`.
    """
    frame = _described(rows)
    columns = [column for column in ALL_COLUMNS if column in frame.columns]
    means = tuple(column for column in columns if column.startswith("mean_"))
    table = suppress_small_counts(
        Table(
            name="Balance",
            title="",
            frame=frame[columns],
            kinds={column: ALL_COLUMNS[column] for column in columns},
            unit="unit",
            groups={
                count: tuple(column for column in resting if column in columns)
                for count, resting in RESTING.items()
            },
            sums=_level_sums(frame, means),
            hidden=_few_counted(frame, columns),
        )
    )
    wholes = {
        f"n_{group}": (frame[f"n_{group}"] + frame[f"lost_{group}"]).astype(int).tolist()
        for group in ("treated", "comparison")
    }
    return round_where_few_are_lost(table, wholes)


def _described(rows: pd.DataFrame) -> pd.DataFrame:
    frame = rows.reset_index(drop=True).copy()
    levels = frame["level"].fillna("").astype(str)
    frame["characteristic"] = [
        f"{label}: {level.replace('_', ' ')}" if level else str(label)
        for label, level in zip(frame["label"], levels, strict=True)
    ]
    if "unit" not in frame:
        frame["unit"] = [covariate_unit(str(name)) for name in frame["covariate"]]
    frame["adjusted_for"] = [
        "yes" if in_model else "by the cells" if absorbed else "no"
        for in_model, absorbed in zip(frame["in_model"], frame["absorbed"], strict=True)
    ]
    return frame


def _few_counted(frame: pd.DataFrame, columns: Sequence[str]) -> dict[Cell, HidingRule]:
    """Return the cells of counts of incidents and days that tell of fewer than ten in a group."""
    return {
        (row, column): "would reveal a small count"
        for row, covariate in enumerate(frame["covariate"])
        if str(covariate).removesuffix(" squared") in COUNT_BASELINE_COLUMNS
        for count, resting in RESTING.items()
        if total_tells_few(frame[resting[0]].iloc[row], frame[count].iloc[row])
        for column in resting
        if column in columns
    }


def _level_sums(frame: pd.DataFrame, columns: tuple[str, ...]) -> tuple[Sum, ...]:
    """Shares of the levels of one covariate make 1, which the reader knows."""
    levels = frame[frame["level"].fillna("").astype(str) != ""]
    return tuple(
        Sum(tuple((int(row), column) for row in rows))
        for rows in levels.groupby("covariate", observed=True).groups.values()
        for column in columns
    )


def _named_after(table: Table, words: GroupWords) -> Table:
    """Name columns after what the treated are called: ``mean_visited_after``."""

    def renamed(column: str) -> str:
        return column.replace("treated", words.treated)

    return replace(
        table,
        frame=table.frame.rename(columns=renamed),
        kinds={renamed(column): kind for column, kind in table.kinds.items()},
        labels={renamed(column): label for column, label in table.labels.items()},
        digits={renamed(column): digits for column, digits in table.digits.items()},
        spanners=tuple(
            (label, tuple(renamed(column) for column in over)) for label, over in table.spanners
        ),
        groups={
            renamed(count): tuple(renamed(column) for column in resting)
            for count, resting in table.groups.items()
        },
        hidden={(row, renamed(column)): rule for (row, column), rule in table.hidden.items()},
    )


def _worded(label: str, words: GroupWords) -> str:
    named = {"treated": words.treated, "comparison": words.comparison}
    named |= {key.capitalize(): word.capitalize() for key, word in named.items()}
    return named.get(label, label)
