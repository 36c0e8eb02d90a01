"""An analytic sample with missing covariates -> several samples in which they were drawn."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import MultipleImputation
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import SourceError
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.baseline import BASELINE_SOURCES
from homevisit_eval.sample.imputation import IncompleteColumn, complete_columns
from homevisit_eval.sample.missing import lacking

__all__ = ["completed_samples", "impute_baseline"]

KEY = ["unit_id", "school_year", "index_date"]
CELLS = ["school_year", "grade", "visited_prior"]
SCHOOL = ["school_id", "school_year"]
DEFAULT_RULE = MultipleImputation()

logger = logging.getLogger(__name__)


def completed_samples(sample: AnalyticSample) -> tuple[AnalyticSample, ...]:
    """Return the samples that a sample's design asks to match: itself, or those imputed.

    A sample that lacks nothing is its own completion under every rule.
    """
    rule = sample.design.missing_covariates
    if not isinstance(rule, MultipleImputation) or not _incomplete(sample):
        return (sample,)
    return impute_baseline(sample, rule)


def impute_baseline(
    sample: AnalyticSample, rule: MultipleImputation = DEFAULT_RULE
) -> tuple[AnalyticSample, ...]:
    """Return completed samples: every covariate that its grade has and a student lacks is drawn.

    Parameters
    ----------
    sample
        Candidates; covariates may be missing.
    rule
        How many samples, from which seed, in how many rounds.

    Returns
    -------
    tuple of AnalyticSample
        Equal but for what was drawn, and for `imputation`, which counts from 1.

    Raises
    ------
    SourceError
        If nobody of a grade band has a covariate that others there lack.

    Notes
    -----
    Each grade band is completed by itself, by chained equations (`complete_columns`), from its
    covariates with the squares that the design names, whether the student was visited, school
    year, grade and the visit of the year before. A covariate of the school is drawn once for a
    school and year, and not at all where another student of it has it. The order of the rows
    does not matter.

    **Outcomes are not used**: who is compared is decided before they are read. This has a price.
    Given the other covariates, a drawn value says nothing about the outcome, so where it was
    drawn the estimate is not adjusted for what that covariate alone explains: a part of its
    confounding remains, in proportion to how much is missing, in the direction of the estimate
    without that covariate. Methods that draw from the outcome too avoid this (Leyrat and others
    2019); with such samples at hand, match each and use `pool_effects`.

    References
    ----------
    Leyrat, C., Seaman, S. R., White, I. R., Douglas, I., Smeeth, L., Kim, J., ... &
    Williamson, E. J. (2019). Propensity score analysis with partially observed covariates: How
    should multiple imputation be used? *Statistical Methods in Medical Research*, 28(1), 3-19.
    Nguyen, T. Q., & Stuart, E. A. (2024). Multiple imputation for propensity score analysis with
    covariates missing at random: some clarity on "within" and "across" methods. *American
    Journal of Epidemiology*, 193(10), 1470-1476.
    van Buuren, S., & Groothuis-Oudshoorn, K. (2011). mice: Multivariate imputation by chained
    equations in R. *Journal of Statistical Software*, 45(3), 1-67.
    """
    tables = _tables(sample)
    completed = []
    for number in range(1, rule.imputations + 1):
        baseline = sample.baseline.copy()
        for table in tables:
            drawn = complete_columns(
                table.columns,
                table.background,
                seed=rule.seed,
                imputation=number,
                iterations=rule.iterations,
            )
            for name, values in zip(table.names, drawn, strict=True):
                baseline[name] = _filled(baseline[name], table, name, values)
        completed.append(replace(sample, baseline=baseline, imputation=number))
    logger.info("imputed the baseline %d times", rule.imputations)
    return tuple(completed)


def _incomplete(sample: AnalyticSample) -> bool:
    names = {name for covariates in sample.covariates.values() for name in covariates}
    return any(lacking(sample.baseline, sample.covariates, name)[1].any() for name in names)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Table:
    """One grade band as arrays; `rows` are positions in the baseline, in the order of keys."""

    rows: NDArray[np.intp]
    names: tuple[str, ...]
    columns: tuple[IncompleteColumn, ...]
    levels: Mapping[str, pd.Index]
    background: NDArray[np.float64]


def _tables(sample: AnalyticSample) -> list[_Table]:
    """Return the bands in which something is missing."""
    order = np.lexsort([sample.baseline[name].to_numpy() for name in reversed(KEY)])
    band_of = sample.baseline["grade_band"].astype(str).to_numpy()[order]
    squared = {one.name for one in sample.design.covariates if one.squared}
    tables = []
    for band, names in sorted(sample.covariates.items()):
        rows = order[band_of == band]
        part = sample.baseline.iloc[rows]
        if not part[list(names)].isna().any(axis=None):
            continue
        _check_known(part, names, band)
        levels = {name: _levels(part[name]) for name in names if _holds_categories(part[name])}
        columns = tuple(
            IncompleteColumn(
                values=_numbers(part[name], levels.get(name)),
                kind="category" if name in levels else "number",
                squared=name in squared,
                groups=_schools(part, name),
                stream=crc32(f"{band}/{name}".encode()),
            )
            for name in names
        )
        tables.append(_Table(rows, tuple(names), columns, levels, _background(part)))
    return tables


def _check_known(part: pd.DataFrame, names: Sequence[str], band: str) -> None:
    unknown = [name for name in names if part[name].isna().all()]
    if unknown:
        raise SourceError(
            f"{', '.join(unknown)}: known of none of {shown_count(len(part))} candidates of band "
            f"{band!r}, so nothing can be imputed there. Leave the covariate out of the design, or "
            "declare it where_measured."
        )


def _background(part: pd.DataFrame) -> NDArray[np.float64]:
    """Return whether visited, then 0/1 columns of school year, grade and earlier visits."""
    cells = [pd.get_dummies(part[name].astype(str)).iloc[:, 1:] for name in CELLS]
    return np.column_stack([part["visited"], *cells]).astype(np.float64)


def _holds_categories(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column.dtype)


def _levels(column: pd.Series) -> pd.Index:
    categories: pd.Index = column.astype("category").cat.categories
    return categories


def _numbers(column: pd.Series, levels: pd.Index | None) -> NDArray[np.float64]:
    """Return numbers, or codes of categories; NaN where missing."""
    if levels is None:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    codes = levels.get_indexer(pd.Index(column)).astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _schools(part: pd.DataFrame, name: str) -> NDArray[np.int64] | None:
    """Return the number of each row's school and year, if the column is theirs."""
    source = BASELINE_SOURCES.get(name)
    if source is None or source.row != "school":
        return None
    groups = part.groupby(SCHOOL, sort=True, observed=True)
    if (groups[name].max() > groups[name].min()).any():
        return None
    return np.asarray(groups.ngroup(), dtype=np.int64)


def _filled(column: pd.Series, table: _Table, name: str, drawn: NDArray[np.float64]) -> pd.Series:
    """Return a column of the baseline with what was drawn where a row of the band lacks it."""
    lacks = column.isna().to_numpy()[table.rows]
    if not lacks.any():
        return column
    levels = table.levels.get(name)
    if levels is None:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan).copy()
        values[table.rows[lacks]] = drawn[lacks]
        return pd.Series(values, index=column.index)
    words = column.to_numpy(dtype=object).copy()
    words[table.rows[lacks]] = levels.to_numpy(dtype=object)[drawn[lacks].astype(np.int64)]
    return pd.Series(words, index=column.index, dtype=column.dtype)
