"""Rows of units and periods -> a checked panel of units with first treatments (arrays)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.average_effect import unit_codes
from homevisit_eval.errors import EstimationError

__all__ = ["Incomplete", "StaggeredPanel", "first_treatment", "staggered_panel"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
Incomplete = Literal["refuse", "drop", "keep"]

SHOWN_ROWS = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StaggeredPanel:
    """N units in T periods.

    Attributes
    ----------
    y : array of shape (N, T)
        NaN where a unit is not observed.
    rows : array of shape (N, T)
        Where the unit and period stand in the rows given; -1 where they do not.
    periods : array of shape (T,)
        Increasing whole numbers.
    first_treated : array of shape (N,)
        The first period of treatment; infinite if there is none.
    weights : array of shape (N,)
        Above 0, with mean 1; all exactly 1 if they are constant.
    clusters : array of shape (N,) of 0..G-1
    unit_values : array of shape (N,)
        The codes of the units as they were given.
    notes : tuple of sentences
        Who was left out.
    """

    y: Floats
    rows: Codes
    periods: NDArray[np.int64]
    first_treated: Floats
    weights: Floats
    clusters: Codes
    unit_values: NDArray[np.generic]
    notes: tuple[str, ...]

    @property
    def G(self) -> int:
        """Clusters."""
        return int(self.clusters.max()) + 1

    def __repr__(self) -> str:
        """Show the sizes, no rows."""
        never = int(np.isinf(self.first_treated).sum())
        return (
            f"StaggeredPanel({len(self.y)} units, {never} never treated; "
            f"{len(self.periods)} periods; G = {self.G})"
        )

    def long(self) -> tuple[Codes, Codes]:
        """Return the unit and the period, as numbers from 0, of every observed row."""
        unit, period = np.nonzero(self.rows >= 0)
        return unit, period

    def only(self, kept: Flags, *notes: str) -> StaggeredPanel:
        """Return some of the units, `kept` of shape (N,), clusters numbered anew.

        Raises
        ------
        EstimationError
            If no unit is left.
        """
        if kept.all():
            return self
        if not kept.any():
            raise EstimationError(f"panel: no unit is left. {' '.join((*self.notes, *notes))}")
        return replace(
            self,
            y=self.y[kept],
            rows=self.rows[kept],
            first_treated=self.first_treated[kept],
            weights=_scaled(self.weights[kept]),
            clusters=np.unique(self.clusters[kept], return_inverse=True)[1].astype(np.intp),
            unit_values=self.unit_values[kept],
            notes=(*self.notes, *notes),
        )


def first_treatment(
    function: str, units: ArrayLike, periods: ArrayLike, treated: ArrayLike
) -> Floats:
    """Return the first period in which the unit of each row is treated, infinite if none.

    Parameters
    ----------
    function
        For messages.
    units, periods : arrays of shape (n,)
    treated : array of shape (n,)
        0 or 1: whether the unit is treated in that period.

    Raises
    ------
    EstimationError
        If `treated` is not 0 or 1, or treatment switches off.
    """
    status, when = _numbers(function, treated, "treated"), _numbers(function, periods, "periods")
    everybody = np.ones(len(status), dtype=bool)
    codes = unit_codes(function, units, everybody, "units")
    _same_length(function, codes, periods=when, treated=status)
    other = int((~((status == 0) | (status == 1))).sum())
    if other:
        raise EstimationError(
            f"{function}: treated is not 0 or 1 in {other} of {len(status)} rows; give 1 in the "
            "periods in which a unit is treated."
        )
    first = np.full(int(codes.max()) + 1, np.inf)
    np.minimum.at(first, codes[status == 1], when[status == 1])
    off = (status == 0) & (when > first[codes])
    if off.any():
        raise EstimationError(
            f"{function}: treatment switches off in {len(np.unique(codes[off]))} of {len(first)} "
            f"units; {_places(np.flatnonzero(off))}. These estimators take treatment as lasting: "
            "define it as having ever been treated, or leave these units out."
        )
    return np.asarray(first[codes], dtype=np.float64)


def staggered_panel(
    function: str,
    y: ArrayLike,
    units: ArrayLike,
    periods: ArrayLike,
    first_treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    incomplete: Incomplete = "refuse",
    anticipation: int = 0,
) -> StaggeredPanel:
    """Check rows of units and periods and lay them out by unit.

    Parameters
    ----------
    function
        For messages.
    y : array of shape (n,)
    units : array of shape (n,)
        Codes.
    periods : array of shape (n,)
        Whole numbers, as school years.
    first_treated : array of shape (n,)
        First period of treatment of the row's unit; infinite if it is never treated.
    weights : array of shape (n,), optional
        Sampling or matching weights, 0 or above, one for each unit. Units of weight 0 take no
        part.
    clusters : array of shape (n,), optional
        One code for each unit; each unit its own cluster if not given.
    incomplete
        Units that are not observed in every period: ``"refuse"``: an error. ``"drop"``: they are
        left out, and counted. ``"keep"``.
    anticipation
        Periods before the first treatment in which outcomes may already react. Units without a
        period before that are left out, and counted.

    Raises
    ------
    EstimationError
        If arrays do not fit, rows repeat a unit and period, a unit has several first periods,
        weights or clusters, or (``"refuse"``) a unit is missing in a period.
    """
    if incomplete not in get_args(Incomplete):
        raise EstimationError(
            f"{function}: incomplete must be one of {', '.join(get_args(Incomplete))}; it is "
            f"{incomplete!r}."
        )
    if anticipation < 0 or anticipation != int(anticipation):
        raise EstimationError(f"{function}: anticipation must be a whole number of 0 or more.")
    outcome, when = _numbers(function, y, "y"), _numbers(function, periods, "periods")
    start = _numbers(function, first_treated, "first_treated")
    w = np.ones(len(outcome)) if weights is None else _numbers(function, weights, "weights")
    _same_length(function, outcome, periods=when, first_treated=start, weights=w)
    used = _checked_values(function, outcome, when, start, w)
    codes = unit_codes(function, units, used, "units")
    groups = codes if clusters is None else unit_codes(function, clusters, used, "clusters")
    rows = np.flatnonzero(used)
    moments, column = np.unique(when[used], return_inverse=True)
    _check_unique(function, codes, column, rows)
    for values, name in (
        (start[used], "first_treated"),
        (w[used], "weights"),
        (groups, "clusters"),
    ):
        _check_constant(function, codes, values, name)
    N, T = int(codes.max()) + 1, len(moments)
    place = np.full((N, T), -1, dtype=np.intp)
    place[codes, column] = rows
    wide = np.where(place >= 0, outcome[place], np.nan)
    one = place.max(axis=1)  # any row of the unit
    by_unit = np.empty(N, dtype=np.intp)
    by_unit[codes] = groups
    laid_out = StaggeredPanel(
        y=wide,
        rows=place,
        periods=moments.astype(np.int64),
        first_treated=start[one],
        weights=_scaled(w[one]),
        clusters=by_unit,
        unit_values=np.asarray(units)[one],
        notes=(),
    )
    laid_out = _without_early(function, laid_out, anticipation)
    return _complete(function, laid_out, incomplete)


def _without_early(function: str, panel: StaggeredPanel, anticipation: int) -> StaggeredPanel:
    """Leave out units that have no period before treatment, or before they anticipate it."""
    if len(panel.periods) < 2:
        raise EstimationError(
            f"{function}: there is {len(panel.periods)} period; give at least two."
        )
    early = panel.first_treated - anticipation <= panel.periods[0]
    count = int(early.sum())
    if count == len(early):
        raise EstimationError(
            f"{function}: all {count} units are treated from the first period on; add earlier "
            "periods, and units that are treated later or never."
        )
    words = "treated" if anticipation == 0 else f"treated, or within {anticipation} of treatment,"
    return panel.only(
        ~early,
        f"{count} units are {words} from the first period on, so nothing is known of them "
        "without treatment: left out.",
    )


def _complete(function: str, panel: StaggeredPanel, incomplete: Incomplete) -> StaggeredPanel:
    gaps = panel.rows < 0
    partly = np.asarray(gaps.any(axis=1), dtype=bool)
    count = int(partly.sum())
    if not count:
        return panel
    if incomplete == "refuse":
        raise EstimationError(
            f"{function}: {count} of {len(partly)} units are not observed in every period "
            f"({int(gaps.sum())} of {gaps.size} rows are missing). Choose incomplete='drop' to "
            "leave these units out, or incomplete='keep' to use the periods that they have."
        )
    if incomplete == "keep":
        note = f"{count} of {len(partly)} units are not observed in every period."
        return replace(panel, notes=(*panel.notes, note))
    if count == len(partly):
        raise EstimationError(
            f"{function}: none of {count} units is observed in every period; choose "
            "incomplete='keep', or fewer periods."
        )
    return panel.only(
        ~partly, f"{count} of {len(partly)} units are not observed in every period: left out."
    )


def _checked_values(
    function: str, y: Floats, periods: Floats, first_treated: Floats, weights: Floats
) -> Flags:
    """Return which rows have a positive weight, if values are as they must be."""
    bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if bad:
        raise EstimationError(
            f"{function}: {bad} weights are missing, infinite or negative; give weights of 0 or "
            "more."
        )
    used = weights > 0
    if not used.any():
        raise EstimationError(f"{function}: no row has a positive weight.")
    missing = int((~np.isfinite(y[used])).sum())
    if missing:
        raise EstimationError(
            f"{function}: y has {missing} missing or infinite values in rows of positive weight; "
            "leave these rows out, and say by incomplete what to do with their units."
        )
    when, start = periods[used], first_treated[used]
    known = start[np.isfinite(start)]
    if not np.isfinite(when).all() or (when % 1 != 0).any() or (known % 1 != 0).any():
        raise EstimationError(
            f"{function}: periods and first_treated must be whole numbers, such as school years."
        )
    undated = int((np.isnan(start) | np.isneginf(start)).sum())
    if undated:
        raise EstimationError(
            f"{function}: first_treated is missing in {undated} rows; give numpy.inf for units "
            "that are never treated."
        )
    zero = int((known == 0).sum())
    if zero and when.min() > 1:
        raise EstimationError(
            f"{function}: first_treated is 0 in {zero} rows; give numpy.inf for units that are "
            "never treated, and the first period for those treated from the start."
        )
    return np.asarray(used)


def _check_unique(function: str, units: Codes, periods: Codes, rows: Codes) -> None:
    key = units * (int(periods.max()) + 1) + periods
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(key[order][1:] == key[order][:-1]) + 1
    if len(again):
        raise EstimationError(
            f"{function}: {len(again)} rows repeat a unit and period; "
            f"{_places(np.sort(rows[order[again]]))}. Keep one row for each unit and period."
        )


def _check_constant(function: str, units: Codes, values: NDArray[np.generic], name: str) -> None:
    one = np.empty(int(units.max()) + 1, dtype=values.dtype)
    one[units] = values
    several = len(np.unique(units[one[units] != values]))
    if several:
        advice = {
            "first_treated": "Give each unit the first period in which it is treated.",
            "weights": "Give each unit one weight, as matching does.",
            "clusters": "Give each unit one, as the school at the baseline.",
        }[name]
        raise EstimationError(
            f"{function}: {name} has more than one value in {several} of {len(one)} units. {advice}"
        )


def _numbers(function: str, values: ArrayLike, name: str) -> Floats:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(f"{function}: {name} must be numbers.") from None
    if numbers.ndim != 1 or not len(numbers):
        raise EstimationError(f"{function}: {name} has shape {numbers.shape}; give (n,), n > 0.")
    return numbers


def _same_length(function: str, first: NDArray[np.generic], **others: Floats) -> None:
    for name, values in others.items():
        if values.shape != first.shape:
            raise EstimationError(
                f"{function}: {name} has shape {values.shape} for {len(first)} rows; give one "
                "value for each."
            )


def _scaled(weights: Floats) -> Floats:
    same = weights.min() == weights.max()
    return np.ones(len(weights)) if same else weights / weights.mean()


def _places(rows: Iterable[int]) -> str:
    """Return the first of the rows in words, counted from 1."""
    numbers = [int(row) + 1 for row in rows]
    shown = ", ".join(str(number) for number in numbers[:SHOWN_ROWS])
    return f"first at row{'s' if len(numbers) > 1 else ''} {shown} (counted from 1)"
