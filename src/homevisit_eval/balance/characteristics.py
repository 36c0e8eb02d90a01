"""What is balanced: covariates, levels of factors, squares, products and the score, as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.balance.moments import is_binary
from homevisit_eval.design import (
    FixedEffects,
    FullMatching,
    MatchingMethod,
    NearestNeighbor,
    OptimalPairs,
    Outcome,
    OutcomeModel,
    Subclassification,
)
from homevisit_eval.design.measures import BINARY_BASELINE_COLUMNS, CATEGORICAL_BASELINE_COLUMNS
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.frame import factor_levels, is_factor
from homevisit_eval.matching.matched_sample import MatchedSample, Matches
from homevisit_eval.sample.missing import INDICATOR_SUFFIX
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS

__all__ = [
    "PROPENSITY",
    "SCORES",
    "Characteristic",
    "Interactions",
    "covariate_unit",
    "frame_characteristics",
    "sample_characteristics",
    "score_characteristic",
    "with_squares_and_products",
]

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

Interactions = Literal["none", "all"]

PROPENSITY = "linear_propensity_score"
SCORES = (PROPENSITY, "propensity_score", "score")
"""What the row of the score may be called: it is no covariate and belongs to no category."""

SCORE_LABELS = {
    PROPENSITY: "Linear propensity score",
    "propensity_score": "Propensity score",
    "score": "Score",
}
FRACTION_BASELINE_COLUMNS = (
    "attendance_rate_prior",
    "school_attendance_prior",
    "school_incident_rate_prior",
    "school_at_risk_prior",
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Characteristic:
    """A column of numbers to be balanced.

    Attributes
    ----------
    covariate, category
        The column it is made from, and the level if that is a factor.
    label
        As printed.
    unit
        Of its mean: "percent of students", "percent", or nothing.
    in_model
        Whether the outcome model has the covariate.
    values : array of shape (n,)
        NaN where it is not measured.
    """

    covariate: str
    label: str
    category: str
    unit: str
    in_model: bool
    values: FloatArray

    def __repr__(self) -> str:
        """Show the name, no rows."""
        return f"Characteristic({self.covariate!r}, {self.category!r})"

    @property
    def name(self) -> str:
        """The covariate with its level."""
        return f"{self.covariate} {self.category}".strip()

    @property
    def full_label(self) -> str:
        """The label with its level."""
        return f"{self.label}: {self.category}" if self.category else self.label


def covariate_unit(name: str) -> str:
    """Return the unit of a covariate: a share of students, a percent, or nothing."""
    if name in BINARY_BASELINE_COLUMNS or name in CATEGORICAL_BASELINE_COLUMNS:
        return PERCENT_OF_STUDENTS
    if name.endswith(INDICATOR_SUFFIX):
        return PERCENT_OF_STUDENTS
    return PERCENT if name in FRACTION_BASELINE_COLUMNS else ""


def score_characteristic(matches: Matches) -> Characteristic | None:
    """Return the score on the scale on which it was matched on; None if there is none."""
    name = _score_name(matches.method)
    if name == "score":
        scores = matches.score
    else:
        linear = name == PROPENSITY
        scores = matches.linear_propensity_score if linear else matches.propensity_score
    if scores is None or scores.isna().all():
        return None
    values = scores.to_numpy(dtype=np.float64)
    return Characteristic(name, SCORE_LABELS[name], "", "", False, values)


def sample_characteristics(
    matched: MatchedSample, outcome: Outcome | None, model: OutcomeModel
) -> list[Characteristic]:
    """Return the covariates of a matched sample, and the outcome's own baseline if it is none.

    A covariate is measured in the grade bands whose models have it.
    """
    sample = matched.sample
    bands = sample.baseline["grade_band"].astype(str).to_numpy()
    labels = {covariate.name: covariate.label for covariate in sample.adjusted_for}
    names = {name for covariates in sample.covariates.values() for name in covariates}
    ordered = [name for name in labels if name in names] + sorted(names - set(labels))
    found: list[Characteristic] = []
    for name in ordered:
        measured = np.isin(bands, [b for b, has in sample.covariates.items() if name in has])
        in_model = isinstance(model, FixedEffects) and name in labels
        label = labels.get(name, name)
        found += _columns(sample.baseline[name], name, label, in_model=in_model, measured=measured)
    own = outcome.baseline if outcome is not None else None
    if outcome is not None and own and own not in names and own in sample.baseline.columns:
        label = labels.get(own, f"{outcome.label}, year before")
        found += _columns(sample.baseline[own], own, label, in_model=False)
    return [replace(one, unit=covariate_unit(one.covariate)) for one in found]


def frame_characteristics(
    frame: pd.DataFrame, covariates: Sequence[str]
) -> Iterator[Characteristic]:
    """Yield the columns of a data frame that are balanced, factors by level."""
    for name in covariates:
        yield from _columns(frame[name], name, name.replace("_", " "), in_model=True)


def with_squares_and_products(
    characteristics: Iterable[Characteristic],
    *,
    squared: Sequence[str] = (),
    interactions: Interactions = "none",
) -> Iterator[Characteristic]:
    """Yield characteristics, then squares, then products of every two.

    Parameters
    ----------
    characteristics
        Covariates and levels.
    squared
        Covariates whose square is added.
    interactions
        ``"all"``: squares of all covariates that are not 0/1, and products of every two columns
        that are not levels of one factor.
    """
    if interactions == "none" and not squared:
        yield from characteristics
        return
    kept = list(characteristics)
    yield from kept
    for one in kept:
        wanted = one.covariate in squared or interactions == "all"
        if wanted and not _is_zero_one(one.values):
            yield Characteristic(
                f"{one.covariate} squared", f"{one.label}, squared", "", "", False, one.values**2
            )
    if interactions == "none":
        return
    for first, second in combinations(kept, 2):
        if first.covariate != second.covariate:
            both = PERCENT_OF_STUDENTS
            unit = both if first.unit == second.unit == both else ""
            yield Characteristic(
                f"{first.name} × {second.name}",
                f"{first.full_label} × {second.full_label}",
                "",
                unit,
                False,
                first.values * second.values,
            )


def _score_name(method: MatchingMethod) -> str:
    match method:
        case NearestNeighbor() | OptimalPairs() | FullMatching() | Subclassification():
            return "score" if method.score == "column" else method.score
        case _:
            return PROPENSITY


def _columns(
    column: pd.Series, name: str, label: str, *, in_model: bool, measured: Flags | None = None
) -> Iterator[Characteristic]:
    """Yield a number as it is, a factor as one 0/1 column for each level."""
    if is_factor(column):
        codes, levels = factor_levels(column)
        has = codes >= 0 if measured is None else measured & (codes >= 0)
        for code, category in enumerate(levels):
            values = (codes == code).astype(np.float64)
            values[~has] = np.nan
            yield Characteristic(name, label, category, PERCENT_OF_STUDENTS, in_model, values)
        return
    values = _numbers(column)
    if measured is not None:
        values = np.where(measured, values, np.nan)
    if infinite := int(np.isinf(values).sum()):
        raise EstimationError(
            f"balance: column {name!r} is infinite in {infinite:,} rows. Correct these values, or "
            "leave the rows out before matching."
        )
    unit = PERCENT_OF_STUDENTS if _is_zero_one(values) else ""
    yield Characteristic(name, label, "", unit, in_model, values)


def _numbers(column: pd.Series) -> FloatArray:
    """Return a column as floats, without a copy where it is one."""
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_zero_one(values: FloatArray) -> bool:
    has = ~np.isnan(values)
    return is_binary(np.ascontiguousarray(values if has.all() else values[has]))
