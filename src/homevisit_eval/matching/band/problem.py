"""The rows of a band -> the arrays that a matching method reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import FullMatching, NearestNeighbor, OptimalPairs
from homevisit_eval.matching.band.rows import BandRows
from homevisit_eval.matching.band.scores import BandScores
from homevisit_eval.matching.frame import Columns, factor_levels, is_category
from homevisit_eval.matching.units import (
    Limit,
    Pairs,
    Units,
    mahalanobis_coordinates,
    robust_mahalanobis_coordinates,
    scaled_euclidean_coordinates,
)

__all__ = ["PairMethod", "Problem", "dummy_columns", "make_problem", "strata_of"]

PairMethod = NearestNeighbor | OptimalPairs | FullMatching

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)

DECIMALS = 1e12  # under ties="row" scores are rounded to 12 decimals
LARGEST_WHOLE = 2.0**52  # whole numbers up to it, and their differences, are exact


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Problem:
    """What is matched: the usable rows of a band as arrays.

    Attributes
    ----------
    rows : array of int, shape (m,)
        Positions in the band of the rows that are not left out.
    units
        Of these rows, on the method's scales, unrounded.
    score_width
        The caliper in units of the score; None without one.
    per_unit
        Whole units for each unit of the score under ``ties="row"``.
    """

    rows: Integers
    units: Units
    score_width: float | None
    per_unit: float

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"Problem({self.units!r})"

    def under(self, ties: Literal["row", "matchit"], order: Integers) -> Units:
        """Return the units in an order of rows, with scores in whole numbers under "row"."""
        units = self.units
        as_they_stand = bool((order[1:] > order[:-1]).all())  # then no array is copied

        def placed(values: NDArray[Scalar]) -> NDArray[Scalar]:
            return values if as_they_stand else values[order]

        score = None if units.score is None else placed(units.score)
        if score is not None and ties == "row":
            score = _whole(score, self.per_unit)
        limits = []
        for limit in units.limits:
            if limit.values is units.score and score is not None:
                whole = float(np.rint(limit.width * self.per_unit))
                limits.append(Limit(score, whole if ties == "row" else limit.width))
            else:
                limits.append(Limit(placed(limit.values), limit.width))
        return Units(
            focal=placed(units.focal),
            stratum=placed(units.stratum),
            score=score,
            coordinates=None if units.coordinates is None else placed(units.coordinates),
            limits=tuple(limits),
            apart=None if units.apart is None else placed(units.apart),
            person=None if units.person is None else placed(units.person),
        )

    def in_score_units(self, pairs: Pairs, ties: Literal["row", "matchit"]) -> Pairs:
        """Return pairs with distances on the scale of the score, not in whole numbers."""
        if ties != "row" or self.units.coordinates is not None:
            return pairs
        return replace(pairs, distance=pairs.distance / self.per_unit)


def _whole(score: FloatArray, per_unit: float) -> FloatArray:
    return np.rint(score * per_unit)


def make_problem(
    rows: BandRows, scores: BandScores | None, method: PairMethod, *, persons_count: bool
) -> Problem:
    """Return the arrays of a pair method: strata, score or coordinates, calipers, constraints.

    Parameters
    ----------
    rows, scores
        Of a band; no scores if the method needs none.
    method
        With its calipers, exact and anti-exact columns.
    persons_count
        Whether a person's uses are limited; if not, persons are left out where no person has
        rows of both groups in one stratum.
    """
    everybody = np.arange(len(rows))
    usable = everybody if scores is None else np.flatnonzero(scores.outside == "")
    part = rows.frame.take(usable)
    treated = rows.treated[usable]
    focal = treated == (0 if method.estimand == "ATC" else 1)
    stratum = strata_of(part, method.exact)
    score = None if scores is None else np.ascontiguousarray(scores.score[usable])
    width, limits = None, []
    if score is not None and method.caliper != "none":
        spread = 1.0 if method.caliper_units == "raw" else _spread(score)
        width = float(method.caliper * spread)
        limits.append(Limit(score, width))
    for caliper in method.covariate_calipers:
        values = part[caliper.covariate].to_numpy(dtype=np.float64)
        spread = 1.0 if caliper.units == "raw" else _spread(values)
        limits.append(Limit(values, caliper.width * spread))
    units = Units(
        focal=focal,
        stratum=stratum,
        score=score,
        coordinates=_coordinates(rows, usable, method),
        limits=tuple(limits),
        apart=_codes(part, method.anti_exact),
        person=_persons(rows, usable, stratum, focal, always=persons_count),
    )
    largest = 1.0 if score is None or not score.size else float(np.abs(score).max())
    return Problem(usable, units, width, _per_unit(largest))


def _spread(values: FloatArray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _per_unit(largest: float) -> float:
    """Return 1e12, or less for scores so large that whole numbers would not be exact."""
    if largest * DECIMALS <= LARGEST_WHOLE:
        return DECIMALS
    return float(10.0 ** np.floor(np.log10(LARGEST_WHOLE / largest)))


def strata_of(frame: Columns, columns: Sequence[str]) -> Integers:
    """Return a number for each row, equal where all `columns` are equal, from 0."""
    stratum = np.zeros(len(frame), dtype=np.int64)
    for name in columns:
        codes, values = pd.factorize(frame[name])
        stratum = pd.factorize(stratum * len(values) + codes)[0].astype(np.int64)
    return stratum


def _codes(frame: Columns, columns: Sequence[str]) -> Integers | None:
    if not columns:
        return None
    codes = [pd.factorize(frame[name])[0].astype(np.int64) for name in columns]
    return np.ascontiguousarray(np.column_stack(codes))


def _persons(
    rows: BandRows, usable: Integers, stratum: Integers, focal: NDArray[np.bool_], *, always: bool
) -> Integers | None:
    if rows.person is None:
        return None
    person = rows.person[usable]
    if always:
        return person
    cells = stratum * (int(person.max(initial=0)) + 1) + person
    both = np.intersect1d(np.unique(cells[focal]), np.unique(cells[~focal]), assume_unique=True)
    return person if both.size else None


def _coordinates(rows: BandRows, usable: Integers, method: PairMethod) -> FloatArray | None:
    if method.distance == "score":
        return None
    columns = dummy_columns(rows.frame.take(usable), method.distance_covariates or rows.covariates)
    treated = rows.treated[usable]
    weights = None if rows.sampling_weights is None else rows.sampling_weights[usable]
    make = {
        "mahalanobis": mahalanobis_coordinates,
        "robust_mahalanobis": robust_mahalanobis_coordinates,
        "scaled_euclidean": scaled_euclidean_coordinates,
    }[method.distance]
    return np.ascontiguousarray(make(columns, treated, weights))


def dummy_columns(frame: Columns, covariates: Sequence[str]) -> FloatArray:
    """Return covariates as columns, shape (n, p); a factor as one column a level, over sqrt(2).

    Two units of different levels are then 1 apart, as by a 0/1 covariate.
    """
    types = frame.dtypes
    factors = {name: factor_levels(frame[name]) for name in covariates if is_category(types[name])}
    count = sum(len(factors[name][1]) if name in factors else 1 for name in covariates)
    columns, number = np.empty((count, len(frame))), 0
    for name in covariates:
        if name not in factors:
            columns[number] = frame[name].to_numpy(dtype=np.float64)
            number += 1
            continue
        codes, levels = factors[name]
        for code in range(len(levels)):
            np.divide(codes == code, np.sqrt(2.0), out=columns[number])
            number += 1
    return columns.T
