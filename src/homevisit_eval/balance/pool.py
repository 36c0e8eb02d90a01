"""Balance in several imputed data sets -> their mean and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from homevisit_eval.balance.balance import Balance
from homevisit_eval.balance.characteristics import SCORES
from homevisit_eval.effect_sizes import baseline_category
from homevisit_eval.errors import EstimationError

__all__ = ["pool_balance"]

KEYS = ["by", "group", "covariate", "level"]
COUNTS = (
    "n_treated_before", "n_comparison_before", "n_treated", "n_comparison", "lost_treated",
    "lost_comparison",
)  # fmt: skip
FLAGS = ("in_model", "absorbed")


def pool_balance(balances: Sequence[Balance]) -> Balance:
    """Return the mean and the range of balance over imputed data sets.

    Parameters
    ----------
    balances
        Of the same covariates, one for each imputation.

    Returns
    -------
    Balance
        Every statistic is the mean over the imputations. ``smd_before_low``,
        ``smd_before_high``, ``smd_after_low`` and ``smd_after_high`` hold the smallest and the
        largest standardized difference, ``wwc_effect_size_worst`` the largest effect size in
        absolute value. The category is that of the mean effect size; counts are the smallest.

    Raises
    ------
    EstimationError
        If there is no balance, or they compare different things.

    References
    ----------
    Leyrat, C., et al. (2019). Propensity score analysis with partially observed covariates: how
    should multiple imputation be used? *Statistical Methods in Medical Research*, 28(1), 3-19.
    """
    if not balances:
        raise EstimationError("balances holds none; give the balance of each imputed data set.")
    first = balances[0]
    tables = [one.table.reset_index(drop=True) for one in balances]
    for number, (one, table) in enumerate(zip(balances, tables, strict=True), start=1):
        same = (one.question, one.outcome, one.denominator) == (
            first.question, first.outcome, first.denominator
        )  # fmt: skip
        if not same or not table[KEYS].equals(tables[0][KEYS]):
            raise EstimationError(
                f"balances: number {number} compares other rows, covariates or outcomes than the "
                "first. Assess each imputed data set with the same arguments, and with the same "
                "levels of factors."
            )
    pooled = _pooled(tables)
    overlaps = np.array([[one.overlap_before, one.overlap_after] for one in balances])
    return replace(
        first,
        table=pooled,
        overlap_before=float(overlaps[:, 0].mean()),
        overlap_after=float(overlaps[:, 1].mean()),
        imputations=len(balances),
    )


def _pooled(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    pooled = tables[0].copy()
    for column in pooled.columns:
        values = pooled[column]
        if column in COUNTS:
            pooled[column] = np.min([table[column] for table in tables], axis=0)
        elif column in FLAGS:
            pooled[column] = np.all([table[column] for table in tables], axis=0)
        elif pd.api.types.is_float_dtype(values.dtype):
            pooled[column] = np.mean([table[column] for table in tables], axis=0)
    for column in ("smd_before", "smd_after"):
        sizes = np.array([table[column] for table in tables])
        pooled[f"{column}_low"], pooled[f"{column}_high"] = sizes.min(axis=0), sizes.max(axis=0)
    sizes = np.array([table["wwc_effect_size"] for table in tables])
    worst = np.abs(np.where(np.isnan(sizes), np.inf, sizes)).argmax(axis=0)
    pooled["wwc_effect_size_worst"] = sizes[worst, np.arange(sizes.shape[1])]
    pooled["wwc_category"] = [
        None if name in SCORES else baseline_category(size, adjusted_for=in_model or absorbed)
        for name, size, in_model, absorbed in zip(
            pooled["covariate"], pooled["wwc_effect_size"], pooled["in_model"], pooled["absorbed"],
            strict=True,
        )
    ]  # fmt: skip
    return pooled
