"""The ascending order of a column, in a third of the time of an argsort (arrays).

The compiled functions of this file call compiled functions of this file only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.compilation import compiled

__all__ = ["ascending_order", "whole_number_range"]

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALL = 256  # rows up to which numpy's own sort is as fast
MOVES_A_ROW = 1  # more moves than this, and numpy sorts the positions
MOST_VALUES = 1 << 16


def ascending_order(x: ArrayLike) -> Integers:
    """Return the positions of `x` in ascending order of its values; equal ones by position.

    Parameters
    ----------
    x : array of shape (n,)
        Finite numbers.

    Notes
    -----
    The leading bits of each number, in an order-preserving code, are packed with its position
    into one 64-bit integer; sorting integers is several times faster than sorting positions.
    Numbers that agree in these bits (32 bits of the mantissa at a million rows) stand next to
    each other and are put in order by insertion. Where that takes many moves, as for numbers
    that differ little from each other and much from 0, the positions are sorted directly.

    Examples
    --------
    >>> ascending_order([2.0, -1.0, 2.0, 0.5]).tolist()
    [1, 3, 0, 2]
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    if len(values) > SMALL:
        bits = int(len(values) - 1).bit_length()
        packed = np.sort(_packed(values, bits))
        order = np.asarray(_unpacked(packed, bits))
        if _insert(values, order, packed, bits, MOVES_A_ROW * len(values)):
            return order
    return np.argsort(values, kind="stable").astype(np.int64, copy=False)


def whole_number_range(x: FloatArray) -> tuple[int, int] | None:
    """Return the smallest and the largest of whole numbers that are few enough to be counted.

    Parameters
    ----------
    x : array of shape (n,)
        Finite numbers, contiguous.

    Returns
    -------
    tuple of int, or None
        None if a number is not whole, if there are none, or if the range is wider than the
        number of rows (and 65,536) would pay for.
    """
    least, most = _whole_numbers(x)
    widest = min(64 + 2 * len(x), MOST_VALUES)
    return (int(least), int(most)) if 0 <= most - least < widest else None


@compiled
def _packed(x: FloatArray, bits: int) -> Integers:
    """Return integers in the order of `x` whose last `bits` are the position."""
    n = len(x)
    out = (x + 0.0).view(np.int64)  # -0.0 becomes 0.0
    room = ~((np.int64(1) << bits) - np.int64(1))
    for i in range(n):
        code = out[i]
        if code < 0:
            code ^= np.int64(0x7FFFFFFFFFFFFFFF)
        out[i] = (code & room) | np.int64(i)
    return out


@compiled
def _unpacked(packed: Integers, bits: int) -> Integers:
    """Return the positions."""
    out = np.empty(len(packed), dtype=np.int64)
    mask = (np.int64(1) << bits) - np.int64(1)
    for i in range(len(packed)):
        out[i] = packed[i] & mask
    return out


@compiled
def _insert(x: FloatArray, order: Integers, packed: Integers, bits: int, most: int) -> bool:
    """Put positions with equal leading bits in order; False if it takes over `most` moves."""
    moves = 0
    for k in range(1, len(order)):
        if (packed[k] >> bits) != (packed[k - 1] >> bits):
            continue
        here = order[k]
        value = x[here]
        place = k
        while (
            place > 0
            and (packed[place - 1] >> bits) == (packed[k] >> bits)
            and x[order[place - 1]] > value
        ):
            order[place] = order[place - 1]
            place -= 1
            moves += 1
            if moves > most:
                return False
        order[place] = here
    return True


@compiled
def _whole_numbers(x: FloatArray) -> tuple[float, float]:
    """Return the smallest and the largest value; (1, -1) if one is not a whole number."""
    if len(x) == 0:
        return 1.0, -1.0
    least = most = x[0]
    for value in x:
        if value != np.floor(value):
            return 1.0, -1.0
        least = min(least, value)
        most = max(most, value)
    return least, most
