"""Tables of baseline balance: equivalence (A8), before and after (A9), and by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from homevisit_eval.balance.characteristics import SCORES
from homevisit_eval.balance.published import published_balance
from homevisit_eval.disclosure import suppress_small_counts
from homevisit_eval.effect_sizes import ADJUSTABLE_UP_TO, SATISFIED_UP_TO
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.words import marked
from homevisit_eval.table import Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.balance import Balance

__all__ = ["balance_before_and_after", "balance_by_group", "baseline_equivalence"]

EQUIVALENCE_COLUMNS: Mapping[str, str] = {
    "characteristic": "Before the visit",
    "unit": "Unit",
    "mean_treated_after": "Treated",
    "mean_comparison_after": "Comparison",
    "sd_treated_after": "Treated",
    "sd_comparison_after": "Comparison",
    "wwc_effect_size": "Difference, effect size",
    "wwc_category": "Baseline equivalence",
    "adjusted_for": "In the model",
    "n_treated": "Treated",
    "n_comparison": "Comparison",
}

BALANCE_COLUMNS: Mapping[str, str] = {
    "characteristic": "Before the visit",
    "unit": "Unit",
    "mean_treated_before": "Treated",
    "mean_comparison_before": "Comparison",
    "smd_before": "before",
    "smd_after": "after",
    "variance_ratio_before": "before",
    "variance_ratio_after": "after",
    "n_treated_before": "Treated",
    "n_comparison_before": "Comparison",
    "n_treated": "Treated",
    "n_comparison": "Comparison",
}

WWC_NOTE = (
    "Categories of the What Works Clearinghouse: a difference of at most 0.05 standard deviations "
    "is satisfied; up to 0.25 it is satisfied only if the model adjusts for the characteristic "
    "itself; above 0.25, or without that adjustment, it is not satisfied."
)


def baseline_equivalence(balance: Balance, name: str = "A8") -> Table:
    """Return the baseline of the two groups, on the students whose outcome is observed.

    Parameters
    ----------
    balance
        Of a matched sample and an outcome.
    name
        The number of the table in a report.
    """
    return published_balance(
        balance.everybody,
        EQUIVALENCE_COLUMNS,
        balance.words,
        name=name,
        title="Baseline equivalence",
        population=_population(balance),
        synthetic=balance.synthetic,
        notes=(WWC_NOTE,),
        spanners=(
            ("Mean", ("mean_treated_after", "mean_comparison_after")),
            ("Standard deviation", ("sd_treated_after", "sd_comparison_after")),
            (_units(balance), ("n_treated", "n_comparison")),
        ),
    )


def balance_before_and_after(balance: Balance, name: str = "A9") -> Table:
    """Return standardized mean differences and variance ratios before and after matching.

    Parameters
    ----------
    balance
        Of a matched sample, or of any data frame.
    name
        The number of the table in a report.
    """
    units = _units(balance)
    return published_balance(
        balance.everybody,
        BALANCE_COLUMNS,
        balance.words,
        name=name,
        title="Balance before and after matching",
        population=_population(balance),
        synthetic=balance.synthetic,
        notes=("Before and after have the same denominator, so they can be compared.",),
        spanners=(
            ("Mean before matching", ("mean_treated_before", "mean_comparison_before")),
            ("Standardized difference", ("smd_before", "smd_after")),
            ("Variance ratio", ("variance_ratio_before", "variance_ratio_after")),
            (f"{units} before", ("n_treated_before", "n_comparison_before")),
            (f"{units} compared", ("n_treated", "n_comparison")),
        ),
    )


GROUP_COLUMNS: Mapping[str, tuple[Kind, str]] = {
    "group": ("text", "Group"),
    "grouping": ("text", "Grouping"),
    "n_treated": ("count", "Treated"),
    "n_comparison": ("count", "Comparison"),
    "largest_before": ("number", "before"),
    "largest_after": ("number", "after"),
    "characteristic": ("text", "Largest after matching: of"),
    "above_satisfied": ("whole_number", f"over {SATISFIED_UP_TO}"),
    "above_adjustable": ("whole_number", f"over {ADJUSTABLE_UP_TO}"),
    "characteristics": ("whole_number", "of"),
}
RESTING_ON_GROUP = (
    "largest_before", "largest_after", "characteristic", "above_satisfied", "above_adjustable",
    "characteristics",
)  # fmt: skip
EVERYBODY = "Everybody"


def balance_by_group(balance: Balance, name: str = "A9_by_group") -> Table:
    """Return the largest standardized differences within groups: grades, years, schools.

    Parameters
    ----------
    balance
        Assessed with `by`. Its `table` holds every statistic of every group.
    name
        The number of the table in a report.

    Raises
    ------
    EstimationError
        If it was assessed without `by`.
    """
    table = balance.table[~balance.table["covariate"].isin(SCORES)]
    if "by" not in table or not (table["by"] != "").any():
        raise EstimationError(
            'this balance has no groups; assess it with by=("grade",) or other columns.'
        )
    lines = [
        _group_line(str(by), str(group), rows)
        for (by, group), rows in table.groupby(["by", "group"], sort=False)
    ]
    words = balance.words
    frame = pd.DataFrame(lines)[list(GROUP_COLUMNS)]
    parts = frame.groupby("grouping", sort=False).groups
    return suppress_small_counts(
        Table(
            name=name,
            title="Balance within groups",
            frame=frame,
            kinds={column: kind for column, (kind, _) in GROUP_COLUMNS.items()},
            labels={column: label for column, (_, label) in GROUP_COLUMNS.items()}
            | {"n_treated": words.treated.capitalize()},
            notes=(
                "Standardized differences within a group have the standard deviation of that "
                "group before matching; in absolute value. Infinite where all treated of a group "
                "had one value and the comparison group had others.",
            ),
            synthetic=balance.synthetic,
            population=_population(balance),
            section="grouping",
            digits={"largest_before": 3, "largest_after": 3},
            spanners=(
                (_units(balance), ("n_treated", "n_comparison")),
                ("Largest standardized difference", ("largest_before", "largest_after")),
                ("Characteristics", ("above_satisfied", "above_adjustable", "characteristics")),
            ),
            groups={"n_treated": RESTING_ON_GROUP, "n_comparison": RESTING_ON_GROUP},
            sums=tuple(
                Sum(tuple((int(row), column) for row in rows), (0, column))
                for grouping, rows in parts.items()
                if grouping != EVERYBODY
                for column in ("n_treated", "n_comparison")
            ),
            kept=frozenset((0, column) for column in ("n_treated", "n_comparison")),
        )
    )


def _group_line(by: str, group: str, rows: pd.DataFrame) -> dict[str, object]:
    before, after = (rows[f"smd_{when}"].abs().to_numpy() for when in ("before", "after"))
    level = rows["level"].astype(str).to_numpy()
    at = int(np.nan_to_num(after, nan=-1.0).argmax())
    label = f"{rows['label'].iloc[at]}: {level[at]}" if level[at] else rows["label"].iloc[at]
    return {
        "grouping": by.replace("_", " ").capitalize() if by else EVERYBODY,
        "group": group if by else EVERYBODY,
        "n_treated": int(rows["n_treated"].max()),
        "n_comparison": int(rows["n_comparison"].max()),
        "largest_before": np.nan if np.isnan(before).all() else np.nanmax(before),
        "largest_after": np.nan if np.isnan(after).all() else np.nanmax(after),
        "characteristic": None if np.isnan(after).all() else label,
        "above_satisfied": int((after > SATISFIED_UP_TO).sum()),
        "above_adjustable": int((after > ADJUSTABLE_UP_TO).sum()),
        "characteristics": int((~np.isnan(after)).sum()),
    }


def _units(balance: Balance) -> str:
    return balance.words.units.capitalize()


def _population(balance: Balance) -> str:
    if not balance.question:
        return "All units that are compared"
    if balance.outcome is None:
        return "All students who are compared"
    observed = marked(balance.outcome.label, balance.role)
    return f"Students who are compared and whose outcome is observed: {observed}"
