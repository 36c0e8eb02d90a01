"""The records of a greedy search: rows, persons, focal rows, their matches (arrays)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.units import Pairs, Units

__all__ = ["FOUND", "MATCH", "as_pairs", "columns_of", "focal_of", "rows_of"]

Integers = NDArray[np.int64]
Records = NDArray[Any]

UNLIMITED = np.iinfo(np.int64).max

ROW = np.dtype([("left", np.int64), ("person", np.int64), ("place", np.int64)])
"""A row: how often it may still be a match, whose it is, and where it stands (place or slot)."""

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


def focal_of(units: Units, ratio: ArrayLike) -> Records:
    """Return the focal rows, with room for as many matches as `ratio` says."""
    rows = np.flatnonzero(units.focal)
    focal = np.zeros(len(rows), dtype=FOCAL)
    focal["row"], focal["room"] = rows, ratio
    focal["start"] = np.cumsum(focal["room"]) - focal["room"]
    return focal


def rows_of(
    units: Units, max_uses: int, max_uses_per_person: int, person_uses: Integers | None
) -> tuple[Records, Records]:
    """Return all rows, and the persons whose they are (nobody if it does not matter)."""
    rows = np.zeros(len(units.focal), dtype=ROW)
    rows["left"] = max_uses or UNLIMITED
    if units.person is None:
        return rows, np.zeros(0, dtype=PERSON)
    rows["person"] = units.person
    persons = np.zeros(int(units.person.max(initial=-1)) + 1, dtype=PERSON)
    if person_uses is not None:
        if len(person_uses) < len(persons):
            raise MatchingError(
                f"person_uses has {len(person_uses):,} places; persons are numbered up to "
                f"{len(persons) - 1:,}. Give it a place for each."
            )
        persons["done"] = person_uses[: len(persons)]
    persons["left"] = max_uses_per_person - persons["done"] if max_uses_per_person else UNLIMITED
    return rows, persons


def columns_of(columns: list[NDArray[Any]], n: int, dtype: type) -> NDArray[Any]:
    """Return columns side by side, shape (n, columns)."""
    table: NDArray[Any] = np.empty((n, len(columns)), dtype=dtype)
    for number, column in enumerate(columns):
        table[:, number] = column
    return table


def as_pairs(focal: Records, matches: Records) -> Pairs:
    """Return the matches that were made, by focal row and rank."""
    made = matches["row"] >= 0
    number = np.repeat(np.arange(len(focal)), focal["room"])[made]
    rank = np.flatnonzero(made) - focal["start"][number] + 1
    match, distance = matches["row"][made], matches["distance"][made]
    return Pairs(focal["row"][number], rank, match, distance)
