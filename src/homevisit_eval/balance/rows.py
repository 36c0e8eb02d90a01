"""Columns -> the rows of a balance table, for everybody and within groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.balance.characteristics import SCORES, Characteristic
from homevisit_eval.balance.moments import GroupMoments
from homevisit_eval.balance.statistics import (
    ColumnBalance,
    ComparedGroups,
    Denominator,
    PairScale,
    column_balance,
    split_groups,
)
from homevisit_eval.effect_sizes import baseline_category, cox_index, hedges_g
from homevisit_eval.errors import EstimationError

__all__ = ["Grouping", "Judgment", "balance_rows", "group_rows"]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_GROUPS = 10_000
NO_VALUE = "(missing)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Grouping:
    """A column and the positions of the rows of each of its values."""

    name: str
    values: tuple[str, ...]
    rows: tuple[Integers, ...]

    def __repr__(self) -> str:
        """Show the column and the number of groups, no rows."""
        return f"Grouping({self.name!r}, {len(self.values)} groups)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Judgment:
    """What decides on baseline equivalence besides the statistics.

    Attributes
    ----------
    cells : array of int, shape (n,), optional
        The number of each row's absorbed cell; None if the model absorbs none.
    lost : array of bool, shape (n,), optional
        Matched rows without the outcome; None if there are none.
    """

    cells: Integers | None
    lost: Flags | None

    def __repr__(self) -> str:
        """Show nothing of the rows."""
        return f"Judgment({'cells' if self.cells is not None else 'no cells'})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Part:
    """Everybody, or the rows of one group."""

    by: str
    group: str
    rows: Integers | None
    groups: ComparedGroups
    judgment: Judgment

    def of(self, values: FloatArray) -> FloatArray:
        return values if self.rows is None else values[self.rows]


def group_rows(column: pd.Series, name: str) -> Grouping:
    """Return the positions of the rows of each value of a column, in the order of values.

    Raises
    ------
    EstimationError
        If there are more than 10,000 values.
    """
    codes, values = pd.factorize(column, sort=True, use_na_sentinel=True)
    if len(values) > MOST_GROUPS:
        raise EstimationError(
            f"by: column {name!r} has {len(values):,} values, more than {MOST_GROUPS:,}. Give one "
            "with fewer, for example bins of it."
        )
    labels = [_text(value) for value in values]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(labels), codes)
        labels.append(NO_VALUE)
    order = np.argsort(codes, kind="stable").astype(np.int64)
    bounds = np.searchsorted(codes[order], np.arange(len(labels) + 1))
    rows = tuple(order[a:b] for a, b in pairwise(bounds))
    return Grouping(name, tuple(labels), rows)


def balance_rows(
    characteristics: Iterable[Characteristic],
    groups: ComparedGroups,
    *,
    groupings: Sequence[Grouping],
    denominator: Denominator,
    pair_scale: PairScale,
    judgment: Judgment,
) -> pd.DataFrame:
    """Return the table of a `Balance`: characteristics of everybody, then of each group.

    One characteristic at a time is in memory.
    """
    parts = [_Part("", "", None, groups, judgment)]
    for grouping in groupings:
        within = split_groups(groups, grouping.rows)
        parts += [
            _Part(grouping.name, value, rows, inside, _judgment_of(judgment, rows))
            for value, rows, inside in zip(grouping.values, grouping.rows, within, strict=True)
        ]
    found: list[list[dict[str, object]]] = [[] for _ in parts]
    for one in characteristics:
        for part, lines in zip(parts, found, strict=True):
            values = np.ascontiguousarray(part.of(one.values))
            statistics = column_balance(
                values, part.groups, denominator=denominator, pair_scale=pair_scale
            )
            lines.append(_row(one, values, statistics, part))
    return pd.DataFrame([line for lines in found for line in lines])


def _row(
    item: Characteristic, values: FloatArray, found: ColumnBalance, part: _Part
) -> dict[str, object]:
    absorbed = _constant_within(part.judgment.cells, values, part.groups.after)
    row: dict[str, object] = {
        "by": part.by,
        "group": part.group,
        "covariate": item.covariate,
        "label": item.label,
        "level": item.category,
        "unit": item.unit,
        "in_model": item.in_model,
        "absorbed": absorbed,
    }
    for when, moments, gaps in (
        ("before", found.before, (found.smd_before, found.ecdf_mean_before, found.ecdf_max_before)),
        ("after", found.after, (found.smd_after, found.ecdf_mean_after, found.ecdf_max_after)),
    ):
        row |= {
            f"mean_treated_{when}": moments.mean_treated,
            f"mean_comparison_{when}": moments.mean_comparison,
            f"sd_treated_{when}": moments.sd_treated,
            f"sd_comparison_{when}": moments.sd_comparison,
            f"smd_{when}": gaps[0],
            f"variance_ratio_{when}": math.nan if found.binary else moments.variance_ratio,
            f"ecdf_mean_{when}": gaps[1],
            f"ecdf_max_{when}": gaps[2],
        }
    size, kind = _wwc_effect_size(found.after, binary=found.binary)
    lost = _lost(part, values)
    return row | {
        "pair_distance_after": found.pair_distance_after,
        "wwc_effect_size": size,
        "wwc_effect_size_kind": kind,
        "wwc_category": (
            None if item.covariate in SCORES
            else baseline_category(size, adjusted_for=item.in_model or absorbed)
        ),
        "n_treated_before": found.before.n_treated,
        "n_comparison_before": found.before.n_comparison,
        "n_treated": found.after.n_treated,
        "n_comparison": found.after.n_comparison,
        "ess_treated": found.after.ess_treated,
        "ess_comparison": found.after.ess_comparison,
        "lost_treated": lost[0],
        "lost_comparison": lost[1],
    }  # fmt: skip


def _judgment_of(judgment: Judgment, rows: Integers) -> Judgment:
    cells = None if judgment.cells is None else judgment.cells[rows]
    return Judgment(cells, None if judgment.lost is None else judgment.lost[rows])


def _lost(part: _Part, values: FloatArray) -> tuple[int, int]:
    """Return how many matched treated and comparison rows lack the outcome."""
    if part.judgment.lost is None:
        return 0, 0
    lost = part.judgment.lost & ~np.isnan(values)
    treated = int((lost & part.groups.treated).sum())
    return treated, int(lost.sum()) - treated


def _constant_within(cells: Integers | None, x: FloatArray, weights: FloatArray) -> bool:
    """Say whether the rows in use have one value within each cell."""
    if cells is None:
        return False
    used = (weights > 0) & ~np.isnan(x)
    inside, values = cells[used], x[used]
    first = np.full(int(cells.max(initial=0)) + 1, np.nan)
    first[inside] = values  # any value of the cell
    return bool(len(values) and (first[inside] == values).all())


def _wwc_effect_size(moments: GroupMoments, *, binary: bool) -> tuple[float, str]:
    shares = (moments.mean_treated, moments.mean_comparison)
    counts = (moments.n_treated, moments.n_comparison)
    if binary and all(0 < share < 1 for share in shares):
        return cox_index(*shares, *counts), "Cox index"
    spreads = (moments.sd_treated, moments.sd_comparison)
    return hedges_g(moments.difference, *spreads, *counts), "Hedges' g"


def _text(value: object) -> str:
    """Return a value of a grouping column as text; a whole number without its point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
