"""Tables of baseline balance: equivalence (A8), before and after (A9), and by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from homevisit_eval.balance.published import published_balance

if TYPE_CHECKING:
    from homevisit_eval.balance import Balance
    from homevisit_eval.table import Table

__all__ = ["balance_before_and_after", "baseline_equivalence"]

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


def _units(balance: Balance) -> str:
    return balance.words.units.capitalize()


def _population(balance: Balance) -> str:
    if not balance.question:
        return "All units that are compared"
    if balance.outcome is None:
        return "All students who are compared"
    return f"Students who are compared and whose outcome is observed: {balance.outcome.label}"
