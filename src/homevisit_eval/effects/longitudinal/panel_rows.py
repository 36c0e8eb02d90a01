"""Rows of a panel, units by periods: checked, numbered, made wide (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError

__all__ = [
    "Gaps",
    "PanelRows",
    "WidePanel",
    "checked_panel",
    "constant_by_unit",
    "finite_column",
    "finite_columns",
    "first_treated_periods",
    "renamed_error",
    "start_periods",
    "wide_panel",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]
Gaps = Literal["refuse", "complete_units"]

Number = TypeVar("Number", np.float64, np.intp)

ROWS_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PanelRows:
    """Rows of positive weight of a panel, at most one for each unit and period.

    Attributes
    ----------
    unit, period : arrays of shape (n,)
        Numbers 0..N-1 and 0..T-1 of each row.
    units : array of shape (N,)
        The codes of the units as given, sorted.
    periods : array of shape (T,)
        The periods as given, sorted.
    weights : array of shape (n,)
        Above 0.
    used : array of bool, shape (rows given,)
        Which of the rows given these are.
    """

    unit: Codes
    period: Codes
    units: NDArray[np.generic]
    periods: Floats
    weights: Floats
    used: Flags

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"PanelRows({len(self.unit)} rows: {len(self.units)} units, {self.T} periods)"

    @property
    def N(self) -> int:
        """Units."""
        return len(self.units)

    @property
    def T(self) -> int:
        """Periods."""
        return len(self.periods)

    def only(self, function: str, values: ArrayLike, name: str) -> NDArray[np.generic]:
        """Return the values of the rows used, shape (n,); `function` and `name` for messages.

        Raises
        ------
        EstimationError
            If the shape does not fit.
        """
        given = np.asarray(values)
        if given.shape != self.used.shape:
            raise EstimationError(
                f"{function}: {name} has shape {given.shape}; give one value for each of the "
                f"{len(self.used)} rows."
            )
        return given[self.used]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WidePanel:
    """A balanced panel, one line a unit.

    Attributes
    ----------
    y : array of shape (N, T)
    X : array of shape (N, T, k)
    first_treated : array of shape (N,)
        Period of first treatment, infinite if never.
    weights : array of shape (N,)
        With mean 1.
    clusters : array of shape (N,) of 0..G-1
    units, periods
        As in `PanelRows`.
    notes : tuple of sentences
    """

    y: Floats
    X: Floats
    first_treated: Floats
    weights: Floats
    clusters: Codes
    units: NDArray[np.generic]
    periods: Floats
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show counts, no rows."""
        return f"WidePanel({len(self.units)} units x {len(self.periods)} periods)"


def checked_panel(
    function: str, unit: ArrayLike, period: ArrayLike, weights: ArrayLike | None
) -> PanelRows:
    """Return the rows of positive weight, or say what is wrong with the panel of `function`.

    Raises
    ------
    EstimationError
        If shapes differ, codes, periods or weights are unusable, a unit has two rows in one
        period, or there is one period only.
    """
    given = np.asarray(unit)
    when = _numbers(function, period, "period")
    w = np.ones(given.shape) if weights is None else _numbers(function, weights, "weights")
    if given.ndim != 1 or not given.shape == when.shape == w.shape:
        raise EstimationError(
            f"{function}: unit has shape {given.shape}, period {when.shape} and weights {w.shape}; "
            "give (n,) for each."
        )
    unusable = int((~(np.isfinite(w) & (w >= 0))).sum())
    if unusable:
        raise EstimationError(
            f"{function}: {unusable} weights are missing, infinite or negative; give weights of 0 "
            "or more."
        )
    used = w > 0
    missing = int((~np.isfinite(when[used])).sum())
    if missing:
        raise EstimationError(
            f"{function}: period is missing or infinite in {missing} rows of positive weight; "
            "leave these rows out."
        )
    units, of_unit = _numbered(function, given[used], "unit")
    periods, of_period = np.unique(when[used], return_inverse=True)
    _refuse_repeated(function, of_unit * len(periods) + of_period, np.flatnonzero(used))
    if len(periods) < 2:
        raise EstimationError(
            f"{function}: there are {len(periods)} periods with rows of positive weight; give "
            "two or more."
        )
    return PanelRows(of_unit, of_period.astype(np.intp), units, periods, w[used], used)


def wide_panel(
    function: str,
    rows: PanelRows,
    y: ArrayLike,
    first_treated: ArrayLike,
    *,
    X: ArrayLike | None,
    clusters: ArrayLike | None,
    gaps: Gaps,
) -> WidePanel:
    """Return a balanced panel with one line a unit.

    Parameters
    ----------
    function
        For messages.
    rows
    y, first_treated, clusters : arrays of shape (rows given,)
    X : array of shape (rows given, k), optional
    gaps
        What happens to units without a row in every period: ``"refuse"``: an error;
        ``"complete_units"``: they are left out and counted in the notes.

    Raises
    ------
    EstimationError
        If a value is unusable, what must be constant by unit is not, there are gaps that are not
        allowed, or there is one cluster only.
    """
    if gaps not in get_args(Gaps):
        raise EstimationError(
            f"{function}: gaps must be one of {', '.join(get_args(Gaps))}; it is {gaps!r}."
        )
    outcome = finite_column(function, rows, y, "y")
    covariates = finite_columns(function, rows, X)
    start = start_periods(function, rows, first_treated)
    weights = constant_by_unit(function, rows, rows.weights, "weights")
    homes = np.arange(rows.N, dtype=np.intp)
    if clusters is not None:
        codes = _numbered(function, rows.only(function, clusters, "clusters"), "clusters")[1]
        homes = constant_by_unit(function, rows, codes, "clusters")
    count = np.bincount(rows.unit, minlength=rows.N)
    whole, notes = _complete(function, count, rows.T, gaps)
    inside = whole[rows.unit]
    at = np.lexsort((rows.period[inside], rows.unit[inside]))
    shape = (int(whole.sum()), rows.T)
    kept = weights[whole]
    same = kept.min() == kept.max()
    codes = np.unique(homes[whole], return_inverse=True)[1].astype(np.intp)
    if codes.max() < 1:
        raise EstimationError(
            f"{function}: all units are in one cluster, so no standard error can be computed; "
            "choose a level of clustering with at least two."
        )
    return WidePanel(
        y=outcome[inside][at].reshape(shape),
        X=covariates[inside][at].reshape(*shape, covariates.shape[1]),
        first_treated=start[whole],
        weights=np.ones(len(kept)) if same else kept / kept.mean(),
        clusters=codes,
        units=rows.units[whole],
        periods=rows.periods,
        notes=notes,
    )


def first_treated_periods(unit: ArrayLike, period: ArrayLike, treated: ArrayLike) -> Floats:
    """Return the first period in which each row's unit is treated, infinite if it never is.

    Parameters
    ----------
    unit, period : arrays of shape (n,)
    treated : array of shape (n,)
        0 or 1: whether the unit is treated in the period. Once treated, it stays so.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    EstimationError
        If the panel is unusable, `treated` is not 0 or 1, or treatment switches off.

    Examples
    --------
    >>> first_treated_periods([1, 1, 2, 2], [7, 8, 7, 8], [0, 1, 0, 0]).tolist()
    [8.0, 8.0, inf, inf]
    """
    function = "first_treated_periods"
    rows = checked_panel(function, unit, period, None)
    now = finite_column(function, rows, treated, "treated")
    if not ((now == 0) | (now == 1)).all():
        raise EstimationError(f"{function}: treated must be 0 or 1.")
    when = rows.periods[rows.period]
    first = np.full(rows.N, np.inf)
    np.minimum.at(first, rows.unit, np.where(now == 1, when, np.inf))
    off = (now == 0) & (when > first[rows.unit])
    if off.any():
        raise EstimationError(
            f"{function}: treatment switches off in {len(np.unique(rows.unit[off]))} units "
            f"({int(off.sum())} rows, first at rows {_first(np.flatnonzero(off))} counted from 0). "
            "These methods are for treatment that lasts; count a unit as treated from its first "
            "treatment on, or leave these units out."
        )
    return first[rows.unit]


def start_periods(function: str, rows: PanelRows, first_treated: ArrayLike) -> Floats:
    """Return the period of first treatment of each unit, infinite if never, shape (N,).

    Raises
    ------
    EstimationError
        If values are missing or differ within a unit, or never treated is coded as 0.
    """
    values = rows.only(function, first_treated, "first_treated")
    start = _numbers(function, values, "first_treated")
    missing = int((np.isnan(start) | (start == -np.inf)).sum())
    if missing:
        raise EstimationError(
            f"{function}: first_treated is missing in {missing} rows; give the period of first "
            "treatment, and infinity for units that are never treated."
        )
    zero = int((start <= 0).sum())
    if zero and rows.periods.min() > 1:
        raise EstimationError(
            f"{function}: first_treated is 0 or below in {zero} rows, long before the first period "
            f"({rows.periods.min():g}). Some programs code units that are never treated so; here "
            "they have infinity (numpy.inf)."
        )
    return constant_by_unit(function, rows, start, "first_treated")


def constant_by_unit(
    function: str, rows: PanelRows, values: NDArray[Number], name: str
) -> NDArray[Number]:
    """Return the value of each unit, shape (N,).

    Raises
    ------
    EstimationError
        If values (n,) differ within a unit.
    """
    one = np.empty(rows.N, dtype=values.dtype)
    one[rows.unit] = values
    differs = one[rows.unit] != values
    if differs.any():
        raise EstimationError(
            f"{function}: {name} differs between the rows of "
            f"{len(np.unique(rows.unit[differs]))} units; give one value for all periods of a unit."
        )
    return one


def finite_column(function: str, rows: PanelRows, values: ArrayLike, name: str) -> Floats:
    """Return finite numbers of the rows used, shape (n,).

    Raises
    ------
    EstimationError
        If the shape does not fit, or numbers are missing or infinite.
    """
    column = _numbers(function, rows.only(function, values, name), name)
    missing = int((~np.isfinite(column)).sum())
    if missing:
        raise EstimationError(
            f"{function}: {name} has {missing} missing or infinite values in rows of positive "
            "weight; leave these rows out."
        )
    return column


def finite_columns(function: str, rows: PanelRows, X: ArrayLike | None) -> Floats:
    """Return the covariates of the rows used, shape (n, k); k = 0 if none are given.

    Raises
    ------
    EstimationError
        If the shape does not fit, or numbers are missing or infinite.
    """
    if X is None:
        return np.empty((len(rows.unit), 0))
    matrix = _numbers(function, X, "X")
    if matrix.ndim != 2 or len(matrix) != len(rows.used):
        raise EstimationError(
            f"{function}: X has shape {matrix.shape}; give ({len(rows.used)}, k), without an "
            "intercept."
        )
    matrix = matrix[rows.used]
    missing = int((~np.isfinite(matrix)).sum())
    if missing:
        raise EstimationError(
            f"{function}: X has {missing} missing or infinite values in rows of positive weight; "
            "leave these rows out or fill them first."
        )
    return matrix


def _complete(function: str, count: Codes, T: int, gaps: Gaps) -> tuple[Flags, tuple[str, ...]]:
    whole = count == T
    short = int((~whole).sum())
    if not short:
        return whole, ()
    if gaps == "refuse":
        raise EstimationError(
            f"{function}: {short} of {len(count)} units have no row in some of the {T} periods "
            f"({int((T - count).sum())} rows are missing). Give gaps='complete_units' to leave "
            "these units out, or leave out the periods with gaps."
        )
    if not whole.any():
        raise EstimationError(
            f"{function}: none of the {len(count)} units has a row in each of the {T} periods; "
            "leave out periods with gaps."
        )
    note = f"{short} of {len(count)} units are left out because they lack rows in some periods."
    return whole, (note,)


def _refuse_repeated(function: str, cell: Codes, at: Codes) -> None:
    order = np.argsort(cell, kind="stable")
    again = order[1:][cell[order][1:] == cell[order][:-1]]
    if len(again):
        raise EstimationError(
            f"{function}: {len(again)} rows repeat a unit and period; first at rows "
            f"{_first(np.sort(at[again]))} counted from 0. Keep one row for each unit and period."
        )


def _first(rows: Codes) -> str:
    return ", ".join(str(row) for row in rows[:ROWS_NAMED])


def _numbers(function: str, values: ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise EstimationError(
            f"{function}: {name} must be numbers; turn codes and missing values into numbers, or "
            "leave the rows out."
        ) from None


def _numbered(
    function: str, values: NDArray[np.generic], name: str
) -> tuple[NDArray[np.generic], Codes]:
    try:
        missing = bool((values != values).any())  # noqa: PLR0124
        found = np.unique(values, return_inverse=True)
    except (TypeError, ValueError):
        missing = True
    if missing:
        raise EstimationError(
            f"{function}: {name} has missing codes, or codes of several types, in rows of positive "
            "weight; give one code of the same type for each row."
        )
    return found[0], found[1].astype(np.intp)


def renamed_error(function: str, error: EstimationError) -> EstimationError:
    """Return what another array function says, in the name of `function`."""
    return EstimationError(f"{function}: {str(error).partition(': ')[2] or error}")
