"""Strata of like units, and the weights of matched sets (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError

if TYPE_CHECKING:
    from homevisit_eval.matching.units import Pairs

__all__ = [
    "combine_codes",
    "common_strata",
    "pair_weights",
    "set_weights",
]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Estimand = Literal["ATT", "ATC", "ATE"]

LARGEST_KEY = 2**62
SPARE_TABLE = 4  # a table of all keys may be this many times longer than the rows


def combine_codes(codes: Sequence[ArrayLike]) -> Integers:
    """Return stratum numbers: rows share one if they share every code.

    Parameters
    ----------
    codes : sequence of int arrays of shape (n,)
        At least one; any whole numbers.

    Returns
    -------
    array of int, shape (n,)
        From 0, in the order of the codes, first column first; every number occurs.

    Raises
    ------
    MatchingError
        If there is no array, or shapes differ.
    """
    columns = [np.ascontiguousarray(code, dtype=np.int64) for code in codes]
    if not columns or any(c.ndim != 1 or c.shape != columns[0].shape for c in columns):
        raise MatchingError("combine_codes needs at least one array of codes, all of shape (n,).")
    n = len(columns[0])
    key, size = np.zeros(n, dtype=np.int64), 1
    if not n:
        return key
    for column in columns:
        part, radix = _from_zero(column)
        if radix > LARGEST_KEY // (n * size):  # no room left for the rows beside the keys
            key, size = _without_gaps(key, size)
        key *= radix
        key += part
        size *= radix
    return _without_gaps(key, size)[0]


def _from_zero(column: Integers) -> tuple[Integers, int]:
    """Return codes from 0 without gaps in their order, and how many there are."""
    low, high = int(column.min()), int(column.max())
    if high - low >= LARGEST_KEY:
        values, inverse = np.unique(column, return_inverse=True)
        return inverse.astype(np.int64), len(values)
    return _without_gaps(column - low if low else column, high - low + 1)


def _without_gaps(key: Integers, size: int) -> tuple[Integers, int]:
    """Renumber keys, which lie from 0 to below `size`, by their order."""
    n = len(key)
    if size <= SPARE_TABLE * n:
        present = np.zeros(size, dtype=bool)
        present[key] = True
        if present.all():
            return key, size
        number = np.cumsum(present) - 1
        return number[key], int(number[-1]) + 1
    if size > LARGEST_KEY // n:
        values, inverse = np.unique(key, return_inverse=True)
        return inverse.astype(np.int64), len(values)
    packed = key * n + np.arange(n)  # numbers sort much faster than positions do
    packed.sort()
    ordered, row = np.divmod(packed, n)
    rank = np.cumsum(np.diff(ordered, prepend=ordered[:1]) > 0)
    result = np.empty(n, dtype=np.int64)
    result[row] = rank
    return result, int(rank[-1]) + 1


def common_strata(stratum: ArrayLike, treated: ArrayLike) -> Integers:
    """Return the strata that hold both groups, numbered from 0; -1 for rows of other strata.

    Parameters
    ----------
    stratum : array of int, shape (n,)
        Numbers from 0; rows with a negative one belong to no stratum.
    treated : array of shape (n,)
        0 or 1.

    Returns
    -------
    array of int, shape (n,)
        Numbered in the order in which the rows first show them.

    Raises
    ------
    MatchingError
        If shapes differ, or treated holds something else.
    """
    cell, group = _checked_sets(stratum, treated, "common_strata")
    table, inside = _group_counts(cell, group)
    usable = (table[0] > 0) & (table[1] > 0)
    kept = np.zeros(len(cell), dtype=bool)
    kept[inside] = usable[cell[inside]]
    rows = np.flatnonzero(kept)
    first = np.full(table.shape[1], len(cell))
    first[cell[rows[::-1]]] = rows[::-1]  # of a stratum's rows the first is written last
    number = np.empty(table.shape[1], dtype=np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(table.shape[1])
    result = np.full(len(cell), -1, dtype=np.int64)
    result[rows] = number[cell[rows]]
    return result


def set_weights(matched_set: ArrayLike, treated: ArrayLike, *, estimand: Estimand) -> FloatArray:
    """Return weights that give each matched set the same share in both groups.

    Parameters
    ----------
    matched_set : array of int, shape (n,)
        Numbers from 0; rows with a negative one are not matched.
    treated : array of shape (n,)
        0 or 1.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.

    Returns
    -------
    array of shape (n,)
        Their mean is 1 over the rows of a group that are in use. Rows that are not matched,
        and those of sets that lack one group, have 0.

    Raises
    ------
    MatchingError
        If shapes differ, or an option or a value of treated is not one of those allowed.

    Notes
    -----
    In a set of n1 treated and n0 comparison units: for the ATT 1 and n1/n0, for the ATC n0/n1
    and 1, for the ATE (n1 + n0)/n1 and (n1 + n0)/n0; then each group is scaled to mean 1.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21.
    """
    cell, group = _checked_sets(matched_set, treated, "set_weights")
    if estimand not in ("ATT", "ATC", "ATE"):
        raise MatchingError(_unknown("set_weights", estimand))
    table, inside = _group_counts(cell, group)
    usable = (table[0] > 0) & (table[1] > 0)
    comparison, focal = table.astype(np.float64)
    target = {"ATT": focal, "ATC": comparison, "ATE": comparison + focal}[estimand]
    share = np.where(usable, target / np.maximum(table, 1), 0.0)
    weight = np.zeros(len(cell))
    weight[inside] = share[group[inside], cell[inside]]
    for one in (0, 1):
        _scale_to_mean_one(weight, group == one)
    return weight


def pair_weights(pairs: Pairs, n: int, focal: ArrayLike) -> FloatArray:
    """Return the weights of pairs, with or without replacement, k:1 or variable.

    Parameters
    ----------
    pairs
        Positions in the rows.
    n
        The number of rows.
    focal : array of bool, shape (n,)
        Those who looked for matches.

    Returns
    -------
    array of shape (n,)
        1 for focal rows with a match; others get 1/k for each time that they are one of k
        matches of a focal row, scaled to mean 1 over those in use; 0 for rows not in use.

    Raises
    ------
    MatchingError
        If shapes differ, or a pair does not join a focal row and another one.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21.
    """
    chooses = np.asarray(focal, dtype=bool)
    if chooses.shape != (n,) or not (chooses[pairs.focal].all() and not chooses[pairs.match].any()):
        raise MatchingError("pair_weights needs pairs that join a focal row and another row.")
    matches = np.bincount(pairs.focal, minlength=n)
    shares = 1.0 / matches[pairs.focal]
    weight = np.asarray(np.bincount(pairs.match, weights=shares, minlength=n), dtype=np.float64)
    _scale_to_mean_one(weight, ~chooses)
    weight[matches > 0] = 1.0
    return weight


def _scale_to_mean_one(weight: FloatArray, members: NDArray[np.bool_]) -> None:
    """Scale the positive weights of some rows, in place, to a mean of 1."""
    used = members & (weight > 0)
    total = float(weight[used].sum())
    if total > 0:
        weight[used] *= int(used.sum()) / total


def _group_counts(cell: Integers, group: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return counts of both groups, shape (2, strata), and the rows that have a stratum."""
    inside = cell >= 0
    strata = int(cell.max(initial=-1)) + 1
    place = group[inside] * strata + cell[inside]
    return np.bincount(place, minlength=2 * strata).reshape(2, strata), inside


def _checked_sets(
    stratum: ArrayLike, treated: ArrayLike, function: str
) -> tuple[Integers, Integers]:
    cell = np.ascontiguousarray(stratum, dtype=np.int64)
    group = _checked_groups(treated, function)
    if cell.shape != group.shape:
        raise MatchingError(
            f"{function} needs two arrays of shape (n,); they are {cell.shape} and {group.shape}."
        )
    return cell, group


def _checked_groups(treated: ArrayLike, function: str) -> Integers:
    group = np.asarray(treated)
    if group.ndim != 1 or not ((group == 0) | (group == 1)).all():
        raise MatchingError(f"{function} needs treated to be 0 or 1, of shape (n,).")
    return np.ascontiguousarray(group, dtype=np.int64)


def _unknown(function: str, estimand: str) -> str:
    return f"{function}: unknown estimand {estimand!r}; it must be ATT, ATC or ATE."
