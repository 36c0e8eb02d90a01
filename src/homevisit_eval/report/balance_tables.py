"""Tables of baseline balance: equivalence of the analytic sample (A8), before and after (A9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.disclosure import round_where_few_are_lost, suppress_small_counts
from homevisit_eval.report.words import covariate_unit
from homevisit_eval.table import Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.balance import Balance

__all__ = ["balance_before_and_after", "baseline_equivalence"]

EQUIVALENCE_COLUMNS: Mapping[str, tuple[Kind, str]] = {
    "characteristic": ("text", "Before the visit"),
    "unit": ("text", "Unit"),
    "mean_visited_after": ("mean", "Visited"),
    "mean_comparison_after": ("mean", "Comparison"),
    "sd_visited_after": ("spread", "Visited"),
    "sd_comparison_after": ("spread", "Comparison"),
    "wwc_effect_size": ("effect_size", "Difference, effect size"),
    "wwc_category": ("text", "Baseline equivalence"),
    "adjusted_for": ("text", "In the model"),
    "n_visited": ("count", "Visited"),
    "n_comparison": ("count", "Comparison"),
}

BALANCE_COLUMNS: Mapping[str, tuple[Kind, str]] = {
    "characteristic": ("text", "Before the visit"),
    "unit": ("text", "Unit"),
    "mean_visited_before": ("mean", "Visited"),
    "mean_comparison_before": ("mean", "Comparison"),
    "smd_before": ("effect_size", "before"),
    "smd_after": ("effect_size", "after"),
    "variance_ratio_before": ("number", "before"),
    "variance_ratio_after": ("number", "after"),
    "n_visited_before": ("count", "Visited"),
    "n_comparison_before": ("count", "Comparison"),
    "n_visited": ("count", "Visited"),
    "n_comparison": ("count", "Comparison"),
}

WWC_NOTE = (
    "Categories of the What Works Clearinghouse: a difference of at most 0.05 standard deviations "
    "is satisfied; up to 0.25 it is satisfied only if the model adjusts for the characteristic "
    "itself; above 0.25, or without that adjustment, it is not satisfied."
)

RESTING: Mapping[str, tuple[str, ...]] = {
    "n_visited_before": (
        "mean_visited_before", "smd_before", "smd_after", "variance_ratio_before",
        "variance_ratio_after",
    ),
    "n_comparison_before": ("mean_comparison_before", "smd_before", "variance_ratio_before"),
    "n_visited": (
        "mean_visited_after", "sd_visited_after", "wwc_effect_size", "wwc_category", "smd_after",
        "variance_ratio_after",
    ),
    "n_comparison": (
        "mean_comparison_after", "sd_comparison_after", "wwc_effect_size", "wwc_category",
        "smd_after", "variance_ratio_after",
    ),
}  # fmt: skip


def baseline_equivalence(balance: Balance, name: str = "A8") -> Table:
    """Return the baseline of the two groups, on the students whose outcome is observed.

    Parameters
    ----------
    balance
        Of a matched sample and an outcome.
    name
        The number of the table in a report.
    """
    return _table(
        balance, EQUIVALENCE_COLUMNS,
        name=name,
        title="Baseline equivalence",
        spanners=(
            ("Mean", ("mean_visited_after", "mean_comparison_after")),
            ("Standard deviation", ("sd_visited_after", "sd_comparison_after")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
        notes=(WWC_NOTE,),
    )  # fmt: skip


def balance_before_and_after(balance: Balance, name: str = "A9") -> Table:
    """Return standardized mean differences and variance ratios before and after matching."""
    return _table(
        balance, BALANCE_COLUMNS,
        name=name,
        title="Balance before and after matching",
        spanners=(
            ("Mean before matching", ("mean_visited_before", "mean_comparison_before")),
            ("Standardized difference", ("smd_before", "smd_after")),
            ("Variance ratio", ("variance_ratio_before", "variance_ratio_after")),
            ("Student-years before", ("n_visited_before", "n_comparison_before")),
            ("Student-years compared", ("n_visited", "n_comparison")),
        ),
        notes=("Before and after have the same denominator, so they can be compared.",),
    )  # fmt: skip


def _characteristics(balance: Balance) -> pd.DataFrame:
    frame = balance.table.reset_index(drop=True).copy()
    levels = frame["level"].fillna("").astype(str)
    frame["characteristic"] = [
        f"{label}: {level.replace('_', ' ')}" if level else str(label)
        for label, level in zip(frame["label"], levels, strict=True)
    ]
    frame["unit"] = [covariate_unit(str(name)) for name in frame["covariate"]]
    frame["adjusted_for"] = [
        "yes" if in_model else "by the cells" if absorbed else "no"
        for in_model, absorbed in zip(frame["in_model"], frame["absorbed"], strict=True)
    ]
    return frame


def _safe(balance: Balance) -> Table:
    """Return all columns of both tables, so that what one hides the other does not give away."""
    columns = {**EQUIVALENCE_COLUMNS, **BALANCE_COLUMNS}
    frame = _characteristics(balance)
    table = suppress_small_counts(
        Table(
            name="A8 and A9",
            title="",
            frame=frame[list(columns)],
            kinds={column: kind for column, (kind, _) in columns.items()},
            unit="unit",
            groups=RESTING,
            sums=_level_sums(balance, tuple(name for name in columns if name.startswith("mean_"))),
        )
    )
    wholes = {
        f"n_{group}": (frame[f"n_{group}"] + frame[f"lost_{group}"]).astype(int).tolist()
        for group in ("visited", "comparison")
    }
    return round_where_few_are_lost(table, wholes)


def _level_sums(balance: Balance, columns: tuple[str, ...]) -> tuple[Sum, ...]:
    """Shares of the levels of one covariate make 1, which the reader knows."""
    levels = balance.table.reset_index(drop=True)
    levels = levels[levels["level"].fillna("").astype(str) != ""]
    return tuple(
        Sum(tuple((int(row), column) for row in rows))
        for rows in levels.groupby("covariate", observed=True).groups.values()
        for column in columns
    )


def _table(
    balance: Balance,
    columns: Mapping[str, tuple[Kind, str]],
    *,
    name: str,
    title: str,
    spanners: tuple[tuple[str, tuple[str, ...]], ...],
    notes: tuple[str, ...],
) -> Table:
    safe = _safe(balance)
    return replace(
        safe,
        name=name,
        title=title,
        frame=safe.frame[list(columns)],
        kinds={column: kind for column, (kind, _) in columns.items()},
        labels={column: label for column, (_, label) in columns.items()},
        notes=(*notes, *safe.notes),
        synthetic=balance.synthetic,
        population=_population(balance),
        digits=dict.fromkeys(
            [c for c in ("wwc_effect_size", "smd_before", "smd_after") if c in columns], 3
        ),
        spanners=spanners,
        csv_only=("unit",),
        groups={
            count: tuple(column for column in resting if column in columns)
            for count, resting in RESTING.items()
            if count in columns
        },
        sums=(),
        hidden={cell: rule for cell, rule in safe.hidden.items() if cell[1] in columns},
    )


def _population(balance: Balance) -> str:
    if balance.outcome is None:
        return "All students who are compared"
    return f"Students who are compared and whose outcome is observed: {balance.outcome.label}"
