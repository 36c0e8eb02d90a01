"""Cardinality matching: the largest sample whose means are balanced (arrays).

Identical rows of one group and stratum are one whole number: how many of them are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.cardinality.integer_program import (
    Program,
    Selection,
    largest_selection,
)

__all__ = ["CardinalityChoice", "largest_balanced"]

Target = Literal["ATT", "ATC", "ATE"]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CardinalityChoice:
    """The rows chosen, and what is known about larger choices.

    Attributes
    ----------
    chosen : array of bool, shape (n,)
    size
        Rows chosen, of both groups.
    upper_bound
        No balanced sample has more rows.
    gap
        The share of `upper_bound` that `size` falls short of it.
    optimal
        Whether no balanced sample is larger: the two are equal.
    """

    chosen: Flags
    size: int
    upper_bound: int
    gap: float
    optimal: bool

    def __repr__(self) -> str:
        """Show the size and the gap, no rows."""
        known = "the largest" if self.optimal else f"within {self.gap:.1%} of the largest"
        return f"CardinalityChoice({self.size} rows, {known})"


@dataclass(frozen=True, slots=True)
class _Limits:
    """What was asked for, and how long the search may take."""

    tolerance: float
    seconds: float
    relative_gap: float
    covariates: int


def largest_balanced(
    X: ArrayLike,
    treated: ArrayLike,
    stratum: ArrayLike,
    *,
    estimand: Target = "ATT",
    ratio: int = 1,
    tolerance: float = 0.05,
    time_limit: float = 60.0,
    relative_gap: float = 0.0,
) -> CardinalityChoice:
    """Choose the largest sample whose group means differ by at most `tolerance` SDs.

    Parameters
    ----------
    X : array of shape (n, p)
        Covariates; finite. The mean of each column is balanced.
    treated : array of shape (n,)
        0 or 1.
    stratum : array of int, shape (n,)
        Within each, the numbers of chosen treated and comparison rows are in the `ratio`; all 0
        for no strata.
    estimand
        Whose standard deviations are meant, before matching: those of the treated (``"ATT"``),
        of the comparison rows (``"ATC"``), or the root of the mean of the two variances
        (``"ATE"``).
    ratio
        Comparison rows for each treated row: the means of the chosen groups are balanced with
        each other. 0: all focal rows are kept (the treated for the ATT, the comparison rows for
        the ATC) and the largest part of the other group is found whose means are balanced with
        theirs; for the ATE each group gets the largest part balanced with the means of all
        (profile matching).
    tolerance
        Standard deviations, 0 or more; the same for all columns.
    time_limit
        Seconds. What is found by then depends on the machine.
    relative_gap
        Stop within this share of the largest possible size (with `ratio` 0, of the group that is
        chosen from).

    Returns
    -------
    CardinalityChoice

    Raises
    ------
    MatchingError
        If no sample is balanced, none was found in time, a group is empty, a covariate is
        missing or infinite, or there are several strata without a ratio.

    Notes
    -----
    With :math:`x_i` in {0, 1}, :math:`m = \\sum_{treated} x_i`, ratio r and standard deviation
    :math:`s_k`,

    .. math:: \\max m \\quad\\text{with}\\quad \\sum_{comparison} x_i = r m, \\quad
              \\Bigl|\\sum_{comparison} x_i X_{ik} - r \\sum_{treated} x_i X_{ik}\\Bigr|
              \\le r\\, m\\, \\text{tolerance}\\, s_k.

    The standard deviation of a 0/1 column is :math:`\\sqrt{p (1 - p)}`, of others that with
    denominator n - 1. Where it is 0 the means must be equal. Of identical rows those first in
    order are chosen, and of several largest samples the one that HiGHS finds. Its solutions may
    pass the tolerance by 1e-6 standard deviations.

    References
    ----------
    Zubizarreta, J. R., Paredes, R. D., & Rosenbaum, P. R. (2014). Matching for balance, pairing
    for heterogeneity in an observational study of the effectiveness of for-profit and
    not-for-profit high schools in Chile. *Annals of Applied Statistics*, 8(1), 204-231.
    Cohn, E. R., & Zubizarreta, J. R. (2022). Profile matching for the generalization and
    personalization of causal inferences. *Epidemiology*, 33(5), 678-688.
    """
    columns, group, cell = _checked(X, treated, stratum, ratio)
    spread = _spread(columns, group, estimand)
    limits = _Limits(tolerance, time_limit, relative_gap, columns.shape[1])
    if ratio > 0:
        return _with_ratio(columns, group, cell, spread, ratio=ratio, limits=limits)
    return _profile(columns, group, spread, estimand=estimand, limits=limits)


def _with_ratio(
    X: Floats, group: Flags, cell: Integers, spread: Floats, *, ratio: int, limits: _Limits
) -> CardinalityChoice:
    """Choose rows of both groups, `ratio` comparison rows for each treated one."""
    strata = int(cell.max()) + 1
    treated_in, others_in = (np.bincount(cell[rows], minlength=strata) for rows in (group, ~group))
    usable = np.flatnonzero(((treated_in > 0) & (others_in >= ratio))[cell])
    if not len(usable):
        raise MatchingError(
            "cardinality matching: no stratum of the exact columns has a treated unit and "
            f"{ratio} comparison for it. Use fewer exact columns, or a lower ratio."
        )
    kinds, kind, most = _kinds(np.column_stack([group, cell, X - X.mean(axis=0)])[usable])
    is_treated = kinds[:, 0] == 1
    within = np.unique(kinds[:, 1], return_inverse=True)[1].ravel()
    sign = np.where(is_treated, -1.0, 1.0 / ratio)
    size = is_treated.astype(np.float64)
    means = _mean_rows(kinds[:, 2:].T * sign, size, spread, limits.tolerance)
    rooms, room = _rooms(within, is_treated, most, ratio)
    program = Program(
        size=size,
        most=most,
        equal=_by_stratum(within, np.rint(sign * ratio)),
        at_most=sparse.vstack([means, rooms], format="csc"),
        bound=np.concatenate([np.zeros(means.shape[0]), room]),
    )
    found = _found(program, limits, f"sample with {ratio} comparison for each treated unit")
    chosen = np.zeros(len(X), dtype=bool)
    chosen[usable] = _first_rows(kind, found.x)
    return _choice(chosen, (1 + ratio) * found.size, (1 + ratio) * found.bound)


def _profile(
    X: Floats, group: Flags, spread: Floats, *, estimand: Target, limits: _Limits
) -> CardinalityChoice:
    """Keep the focal rows, and choose of each other group those that resemble the target."""
    all_rows = np.ones(len(X), dtype=bool)
    target = {"ATT": group, "ATC": ~group, "ATE": all_rows}[estimand]
    chosen = np.zeros(len(X), dtype=bool) if estimand == "ATE" else target.copy()
    others = {"comparison": ~group, "treated": group}
    sought = {name: rows for name, rows in others.items() if not (rows & chosen).any()}
    limits = replace(limits, seconds=limits.seconds / len(sought))
    size = bound = int(chosen.sum())
    for name, rows in sought.items():
        kinds, kind, most = _kinds(X[rows] - X[target].mean(axis=0))
        size_of_one = np.ones(len(most))
        means = _mean_rows(kinds.T, size_of_one, spread, limits.tolerance)
        program = Program(
            size=size_of_one,
            most=most,
            equal=sparse.csc_array((0, len(most))),
            at_most=means,
            bound=np.zeros(means.shape[0]),
        )
        found = _found(program, limits, f"part of the {name} units")
        chosen[rows] = _first_rows(kind, found.x)
        size, bound = size + found.size, bound + found.bound
    return _choice(chosen, size, bound)


def _choice(chosen: Flags, size: int, bound: int) -> CardinalityChoice:
    return CardinalityChoice(chosen, size, bound, (bound - size) / bound, size == bound)


def _kinds(rows: Floats) -> tuple[Floats, Integers, Floats]:
    """Return the distinct rows, which of them each row is, and how many there are of each."""
    kinds, kind, most = np.unique(rows + 0.0, axis=0, return_inverse=True, return_counts=True)
    return kinds, kind.ravel().astype(np.int64), most.astype(np.float64)


def _first_rows(kind: Integers, number: Integers) -> Flags:
    """Choose of each kind its number of rows, the first in order."""
    order = np.argsort(kind, kind="stable")
    begins = np.cumsum(np.bincount(kind, minlength=len(number))) - np.bincount(kind)
    rank = np.empty(len(kind), dtype=np.int64)
    rank[order] = np.arange(len(kind)) - begins[kind[order]]
    return np.asarray(rank < number[kind])


def _by_stratum(within: Integers, values: Floats) -> sparse.csc_array:
    """Return one row a stratum (s, n), with the values of its columns and 0 elsewhere."""
    n = len(within)
    entries = (values, (within, np.arange(n)))
    return sparse.csc_array(sparse.coo_array(entries, shape=(int(within.max()) + 1, n)))


def _rooms(
    within: Integers, is_treated: Flags, most: Floats, ratio: int
) -> tuple[sparse.csc_array, Floats]:
    """Return the rows, and what they are at most, of strata in which whole numbers bind.

    A stratum with 5 comparison rows has room for 1 treated row at a ratio of 3, not for 5/3.
    """
    treated_in, others_in = (
        np.bincount(within[rows], most[rows]) for rows in (is_treated, ~is_treated)
    )
    room = np.floor(others_in / ratio)
    tight = np.flatnonzero((room < treated_in) & (room * ratio < others_in))
    return _by_stratum(within, is_treated.astype(np.float64)).tocsr()[tight], room[tight]


def _mean_rows(
    differences: Floats, size: Floats, spread: Floats, tolerance: float
) -> sparse.csc_array:
    """Return the rows (2 p, n) that are at most 0 where all means are balanced.

    `differences` (p, n) is what a row adds to the sum that is to be near 0, per unit of `size`.
    """
    largest = np.abs(differences).max(axis=1, initial=0.0)
    scale = np.where(spread > 0, spread, np.where(largest > 0, largest, 1.0))
    allowed = np.where(spread > 0, tolerance, 0.0)[:, None] * size[None, :]
    scaled = differences / scale[:, None]
    return sparse.csc_array(np.vstack([scaled - allowed, -scaled - allowed]))


def _spread(X: Floats, group: Flags, estimand: Target) -> Floats:
    """Return the standard deviation of each column, 0 where it does not vary."""
    wanted = {"ATT": (group,), "ATC": (~group,), "ATE": (group, ~group)}[estimand]
    return np.asarray(np.sqrt(np.mean([_variances(X[rows]) for rows in wanted], axis=0)))


def _variances(X: Floats) -> Floats:
    shares = X.mean(axis=0)
    if len(X) < 2:
        return np.zeros(X.shape[1])
    usual = np.where((X[0] == X).all(axis=0), 0.0, X.var(axis=0, ddof=1))
    return np.where(np.isin(X, (0.0, 1.0)).all(axis=0), shares * (1.0 - shares), usual)


def _found(program: Program, limits: _Limits, what: str) -> Selection:
    """Return the largest selection; `what` says in a message what it stands for."""
    selection = largest_selection(program, seconds=limits.seconds, relative_gap=limits.relative_gap)
    if selection.size > 0:
        return selection
    balanced = (
        f"{what} has all means of {limits.covariates} columns within {limits.tolerance:g} "
        "standard deviations"
    )
    advice = "widen tolerance, or use fewer covariates or exact columns."
    if selection.bound == 0:
        raise MatchingError(f"cardinality matching: no {balanced}. {advice.capitalize()}")
    raise MatchingError(
        f"cardinality matching: within {limits.seconds:g} seconds the solver did not find out "
        f"whether a {balanced}. Raise time_limit, {advice}"
    )


def _checked(
    X: ArrayLike, treated: ArrayLike, stratum: ArrayLike, ratio: int
) -> tuple[Floats, Flags, Integers]:
    columns = np.ascontiguousarray(X, dtype=np.float64)
    group = np.asarray(treated)
    cell = np.unique(np.asarray(stratum), return_inverse=True)[1].ravel().astype(np.int64)
    if columns.ndim != 2 or group.shape != (len(columns),) or cell.shape != group.shape:
        raise MatchingError(
            f"cardinality matching: X has shape {columns.shape}, treated {group.shape} and "
            f"stratum {cell.shape}; give (n, p), (n,) and (n,)."
        )
    if bad := int(columns.size - np.isfinite(columns).sum()):
        raise MatchingError(
            f"cardinality matching: {bad:,} values of covariates are missing or infinite. Fill "
            "or leave out these rows."
        )
    flags = group.astype(np.float64) == 1
    for name, count in (("treated", flags.sum()), ("comparison", (~flags).sum())):
        if not count:
            raise MatchingError(
                f"cardinality matching: there is no {name} unit. Check how the rows were selected."
            )
    if ratio == 0 and cell.any():
        raise MatchingError(
            "cardinality matching: within exact columns the numbers of both groups are equal "
            "(times ratio), so ratio must be 1 or more. With ratio = 0 name them as covariates."
        )
    return columns, flags, cell
