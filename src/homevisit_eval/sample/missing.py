"""Covariates that a candidate's grade has and the candidate lacks: counts, and stand-ins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import (
    CompleteCases,
    Covariate,
    MissingCovariates,
    MissingIndicator,
    MultipleImputation,
)
from homevisit_eval.disclosure import shown_count
from homevisit_eval.sample.labels import listed

if TYPE_CHECKING:
    from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = [
    "INDICATOR_SUFFIX",
    "MISSING_LEVEL",
    "NOT_ACCEPTED",
    "MissingCount",
    "count_missing",
    "fill_with_indicators",
    "lacking",
    "missing_notes",
]

MISSING_LEVEL = "missing"
INDICATOR_SUFFIX = "_missing"
NOT_ACCEPTED = (
    "Missing covariates were replaced by a constant, with an indicator of where: the What Works "
    "Clearinghouse does not accept this in a quasi-experimental design."
)


@dataclass(frozen=True, slots=True)
class MissingCount:
    """How many student-years lack one covariate that their grade and year has.

    Attributes
    ----------
    name, label
        Of the covariate.
    visited, comparison
        Student-years that lack it, before any rule was applied.
    of_visited, of_comparison
        Student-years of grades and years that have it.
    """

    name: str
    label: str
    visited: int
    comparison: int
    of_visited: int
    of_comparison: int

    @property
    def total(self) -> int:
        """Student-years of both groups that lack it."""
        return self.visited + self.comparison

    def __repr__(self) -> str:
        """Show counts under 10 as "<10"."""
        return (
            f"MissingCount({self.name!r}, visited={shown_count(self.visited)}, "
            f"comparison={shown_count(self.comparison)})"
        )


def lacking(
    rows: pd.DataFrame, bands: Mapping[str, Sequence[str]], name: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are of a grade band that has a covariate, and which of them lack it.

    Parameters
    ----------
    rows
        ``grade_band`` and the covariate.
    bands
        For each grade band, the covariates that are measured there.
    name
        The covariate.
    """
    has = [band for band, names in bands.items() if name in names]
    measured = rows["grade_band"].isin(has).to_numpy(dtype=bool)
    return measured, measured & rows[name].isna().to_numpy(dtype=bool)


def count_missing(
    rows: pd.DataFrame,
    visited: NDArray[np.bool_],
    bands: Mapping[str, Sequence[str]],
    covariates: Sequence[Covariate],
) -> tuple[MissingCount, ...]:
    """Return for each covariate that somebody has how many lack it, in the order given."""
    counts = []
    for covariate in covariates:
        measured, lacks = lacking(rows, bands, covariate.name)
        groups = [(int((part & visited).sum()), int((part & ~visited).sum()))
                  for part in (lacks, measured)]  # fmt: skip
        if measured.any():
            counts.append(MissingCount(covariate.name, covariate.label, *groups[0], *groups[1]))
    return tuple(counts)


def missing_notes(rule: MissingCovariates, missing: Sequence[MissingCount]) -> tuple[str, ...]:
    """Return what a reader must know of missing covariates; nothing if none is missing.

    Counts are given by group only: with a total, a small count of one group could be found.
    """
    lacks = [one for one in missing if one.total]
    if not lacks or isinstance(rule, CompleteCases):
        return ()  # the flow of students counts those who left
    of = listed(
        [
            f"{one.label} ({shown_count(one.visited)} visited, {shown_count(one.comparison)} "
            "comparison student-years)"
            for one in lacks
        ]
    )
    match rule:
        case MissingIndicator():
            return (
                NOT_ACCEPTED,
                "A number was set to its mean over the candidates that have it, a category to a "
                f"level of its own: {of}.",
            )
        case MultipleImputation():
            return (
                f"Missing covariates were drawn {rule.imputations} times, from the other "
                "covariates and from who was visited, not from any outcome; each completed sample "
                "was matched and estimated by itself and the estimates were pooled. Balance is the "
                "mean over them; counts and the specification of matching are those of the first.",
                f"Drawn were: {of}.",
            )
        case _:
            assert_never(rule)


def fill_with_indicators(sample: AnalyticSample) -> AnalyticSample:
    """Return the sample with stand-ins for missing covariates, and covariates that say where.

    A number is set to its mean over the candidates that have it, a category to the level
    ``"missing"``. For each number ``<name>_missing`` is 1 where it was missing and 0 elsewhere,
    a covariate of the grade bands where that varies; numbers that are missing in the very same
    rows share one.
    """
    baseline, bands = sample.baseline.copy(), sample.covariates
    patterns: dict[bytes, list[Covariate]] = {}
    for covariate in sample.design.covariates:
        name = covariate.name
        if name not in baseline.columns:
            continue
        _, lacks = lacking(baseline, bands, name)
        if not lacks.any():
            continue
        column = baseline[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            baseline[name] = column.where(~lacks, column.mean())
            patterns.setdefault(lacks.tobytes(), []).append(covariate)
        else:
            baseline[name] = _with_level(column.astype("category")).where(~lacks, MISSING_LEVEL)
    flags = {
        f"{together[0].name}{INDICATOR_SUFFIX}": np.frombuffer(pattern, dtype=bool)
        for pattern, together in patterns.items()
    }
    band_of = baseline["grade_band"].astype(str).to_numpy()
    varying = {
        band: tuple(name for name, lacks in flags.items() if lacks[band_of == band].any())
        for band in bands
    }
    return replace(
        sample,
        baseline=baseline.assign(**{name: lacks.astype(float) for name, lacks in flags.items()}),
        covariates=MappingProxyType(
            {band: (*names, *varying[band]) for band, names in bands.items()}
        ),
        indicators=tuple(
            Covariate(name, f"Missing: {listed([one.label for one in together])}")
            for name, together in zip(flags, patterns.values(), strict=True)
        ),
    )


def _with_level(column: pd.Series) -> pd.Series:
    if MISSING_LEVEL in column.cat.categories:
        return column
    return column.cat.add_categories(MISSING_LEVEL)
