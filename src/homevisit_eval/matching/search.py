"""The arrays of a greedy search: rows, persons, focal rows, their matches, and what was found."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOCAL", "FOUND", "MATCH", "PERSON", "ROW", "Market", "Records"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Records = NDArray[Any]
"""An array of records; a field is read as array[number]["field"]."""

ROW = np.dtype([("left", np.int64), ("person", np.int64), ("place", np.int64)])
"""A row: how often it may still be a match, whose it is, and where it stands in the space."""

PERSON = np.dtype([("left", np.int64), ("done", np.int64)])
"""A person: how often its rows may still be matches, and how often they have been."""

FOCAL = np.dtype(
    [
        ("row", np.int64),
        ("start", np.int64),  # where its matches stand, how many have room, how many it has
        ("room", np.int64),
        ("have", np.int64),
        ("here", np.int64),  # its place among all rows
        ("lowest", np.int64),  # first and last place of its stratum; of a tree, the root
        ("highest", np.int64),
        ("low", np.int64),  # outermost places of itself and its matches
        ("high", np.int64),
    ]
)
"""A focal row."""

MATCH = np.dtype([("row", np.int64), ("distance", np.float64)])
"""A match; row -1 where there is none."""

FOUND = np.dtype([("row", np.int64), ("distance", np.float64), ("key", np.int64)])
"""What a search found; `key` decides between equal distances."""


class Market(NamedTuple):
    """Who looks for whom, what a pair must meet, and the pairs made; n rows, f of them focal.

    Attributes
    ----------
    rows : array of ROW, shape (n,)
    persons : array of PERSON, shape (persons,)
        Empty if it does not matter whose a row is.
    focal : array of FOCAL, shape (f,)
    matches : array of MATCH
        Those of each focal row side by side.
    limits, widths : arrays of shape (n, q) and (q,)
        Calipers, inclusive; that of the score is not among them on a line.
    apart : array of int, shape (n, a)
        Codes that must differ.
    found : array of FOUND, shape (most matches of a row,)
        Of the last search, nearest first.
    by_row : bool
        Ties go to the lower row; else by MatchIt's rules.
    """

    rows: Records
    persons: Records
    focal: Records
    matches: Records
    limits: FloatArray
    widths: FloatArray
    apart: Integers
    found: Records
    by_row: bool
