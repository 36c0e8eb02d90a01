"""Optimal assignment on lists of near neighbors that grow where needed: compiled (arrays).

The compiled functions of this file call compiled functions of this file only; `assign` is
their gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.compilation import compiled
from homevisit_eval.matching.optimal.assignment import Assignment, Lists, Rows

__all__ = ["assign"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]

FORESIGHT = 2.0  # lists are widened until they reach so many times farther than needed
CHUNK = 8  # neighbors looked at before the search goes on elsewhere
HEAP_SIZE, TREE_ROWS, SEEN_COLUMNS, SHORT_ROWS, END_COLUMN, END_ROW, STOPPED = range(7)


class _Search(NamedTuple):
    """The state of one search for the shortest augmenting path."""

    heap: Integers
    place: Integers  # in the heap; -1 never there, -2 settled
    key: FloatArray  # of columns, then of rows whose list is to be continued
    reach: FloatArray
    at: Integers
    by_row: Integers
    tree: Integers
    seen: Integers
    short: Integers
    tally: Integers
    best: FloatArray


def assign(
    lists: Lists,
    widen: Callable[[Lists, Flags], Lists],
    rows: Rows,
    todo: Integers,
    state: Assignment,
    *,
    slots: int = 1,
    widest: float = 0.0,
) -> Assignment:
    """Add rows to an optimal assignment: as many as possible, then at the smallest total cost.

    Parameters
    ----------
    lists
        Where the search begins.
    widen
        Returns lists in which those marked are longer; asked for those that are too short to
        prove that a path is the shortest.
    rows
    todo : array of int
        The rows to add, none of which has a column.
    state
        The optimal assignment before; not changed.
    slots
        Columns of a unit: they have the numbers ``unit * slots`` to ``unit * slots + slots - 1``.
    widest
        No column has a larger dual.

    Notes
    -----
    Rows come in one after the other, each by the shortest augmenting path under reduced costs
    (Jonker and Volgenant 1987; successive shortest paths). Lists are followed only as far as a
    path through an unlisted neighbor could still be shorter: such a neighbor costs at least the
    list's radius, and no column's dual exceeds `widest`. If that cannot be ruled out the row
    is put off until the lists in question have been widened; so the result is optimal among all
    allowed pairs, listed or not.

    A row with an infinite price that reaches no free column has found rows that share too few
    columns; one of these must go without, the one that leaves the smallest total. Columns of
    such a set stay closed: a price of infinity is added to and taken from the duals of the set,
    and only what is finite is kept.

    References
    ----------
    Jonker, R., & Volgenant, A. (1987). A shortest augmenting path algorithm for dense and
    sparse linear assignment problems. *Computing*, 38(4), 325-340.
    """
    state = state.copied()
    search = _new_search(len(rows.unit), len(state.col_dual))
    todo = np.ascontiguousarray(todo, dtype=np.int64)
    while len(todo):
        short = np.zeros(len(lists.radius), dtype=np.bool_)
        put_off = _add_rows(lists, rows, state, search, todo, short, slots, float(widest))
        todo = todo[put_off]
        if len(todo):
            lists = widen(lists, short)
    return state


def _new_search(rows: int, columns: int) -> _Search:
    return _Search(
        heap=np.zeros(rows + columns, dtype=np.int64),
        place=np.full(rows + columns, -1, dtype=np.int64),
        key=np.full(rows + columns, np.inf),
        reach=np.zeros(rows),
        at=np.zeros(rows, dtype=np.int64),
        by_row=np.full(columns, -1, dtype=np.int64),
        tree=np.zeros(rows + 1, dtype=np.int64),
        seen=np.zeros(columns, dtype=np.int64),
        short=np.zeros(rows + 1, dtype=np.int64),
        tally=np.zeros(7, dtype=np.int64),
        best=np.zeros(1),
    )


@compiled
def _push(s: _Search, item: int, key: float) -> None:
    """Put an item into the heap, or move it up."""
    at = s.place[item]
    if at < 0:
        at = s.tally[HEAP_SIZE]
        s.tally[HEAP_SIZE] += 1
    while at > 0:
        above = (at - 1) // 2
        if s.key[s.heap[above]] <= key:
            break
        s.heap[at] = s.heap[above]
        s.place[s.heap[at]] = at
        at = above
    s.heap[at] = item
    s.place[item] = at
    s.key[item] = key


@compiled
def _pop(s: _Search) -> int:
    """Take the item with the smallest key off the heap."""
    top: int = s.heap[0]
    s.place[top] = -2
    s.tally[HEAP_SIZE] -= 1
    size = s.tally[HEAP_SIZE]
    if size > 0:
        item = s.heap[size]
        key = s.key[item]
        at = 0
        while True:
            below = 2 * at + 1
            if below >= size:
                break
            if below + 1 < size and s.key[s.heap[below + 1]] < s.key[s.heap[below]]:
                below += 1
            if s.key[s.heap[below]] >= key:
                break
            s.heap[at] = s.heap[below]
            s.place[s.heap[at]] = at
            at = below
        s.heap[at] = item
        s.place[item] = at
    return top


@compiled
def _label(a: Assignment, s: _Search, column: int, row: int, distance: float) -> None:
    """Note that a column can be reached by a row at a distance."""
    if s.key[column] == np.inf:
        s.seen[s.tally[SEEN_COLUMNS]] = column
        s.tally[SEEN_COLUMNS] += 1
    s.by_row[column] = row
    if a.row_of_col[column] < 0:
        s.key[column] = distance
        s.best[0] = distance
        s.tally[END_COLUMN], s.tally[END_ROW] = column, -1
    else:
        _push(s, column, distance)


@compiled
def _scan(  # noqa: PLR0917
    lists: Lists, rows: Rows, a: Assignment, s: _Search, row: int, slots: int, widest: float
) -> None:
    """Look at the next neighbors of a row in the tree."""
    unit = rows.unit[row]
    base = s.reach[row] - a.row_dual[row]
    edge, stop = s.at[row], lists.start[unit + 1]
    pause = min(stop, edge + CHUNK)
    while edge < pause:
        through = base + lists.cost[edge]
        if through - widest >= s.best[0]:
            return
        for column in range(lists.member[edge] * slots, (lists.member[edge] + 1) * slots):
            if a.closed[column] == 0 and s.place[column] != -2:
                distance = through - a.col_dual[column]
                if distance < s.best[0] and distance < s.key[column]:
                    _label(a, s, column, row, distance)
        edge += 1
    s.at[row] = edge
    bound = base + (lists.cost[edge] if edge < stop else lists.radius[unit]) - widest
    if bound < s.best[0]:
        item = len(a.row_of_col) + row
        s.place[item] = -1
        _push(s, item, bound)


@compiled
def _enter(  # noqa: PLR0917
    lists: Lists,
    rows: Rows,
    a: Assignment,
    s: _Search,
    row: int,
    short: Flags,
    slots: int,
    widest: float,
) -> None:
    """Take a row, whose distance is known, into the tree; stop at a list known to be short."""
    if short[rows.unit[row]]:
        s.tally[STOPPED] = 1
        return
    s.tree[s.tally[TREE_ROWS]] = row
    s.tally[TREE_ROWS] += 1
    s.at[row] = lists.start[rows.unit[row]]
    leaving = s.reach[row] - a.row_dual[row] + rows.price[row]
    if leaving < s.best[0]:
        s.best[0] = leaving
        s.tally[END_COLUMN], s.tally[END_ROW] = -1, row
    _scan(lists, rows, a, s, row, slots, widest)


@compiled
def _find_path(  # noqa: PLR0917
    lists: Lists,
    rows: Rows,
    a: Assignment,
    s: _Search,
    source: int,
    short: Flags,
    slots: int,
    widest: float,
) -> None:
    """Search from a row for the shortest path to a free column or to a row that leaves."""
    columns = len(a.row_of_col)
    s.tally[:] = 0
    s.tally[END_COLUMN], s.tally[END_ROW] = -1, -1
    s.best[0] = np.inf
    s.reach[source] = 0.0
    a.row_dual[source] = 0.0
    _enter(lists, rows, a, s, source, short, slots, widest)
    while s.tally[HEAP_SIZE] > 0 and s.key[s.heap[0]] < s.best[0]:
        item = _pop(s)
        if item < columns:
            row = a.row_of_col[item]
            s.reach[row] = s.key[item]
            _enter(lists, rows, a, s, row, short, slots, widest)
            if s.tally[STOPPED] == 1:
                return
        else:
            row = item - columns
            if s.at[row] < lists.start[rows.unit[row] + 1]:
                _scan(lists, rows, a, s, row, slots, widest)
            else:
                s.short[s.tally[SHORT_ROWS]] = row
                s.tally[SHORT_ROWS] += 1


@compiled
def _find_leaver(lists: Lists, rows: Rows, a: Assignment, s: _Search, slots: int) -> int:
    """Search on through closed columns for the row that leaves at the smallest total cost.

    All columns in the tree so far are settled, and all lists of its rows are complete.
    """
    opened: int = s.tally[TREE_ROWS]
    done = 0
    while True:
        while done < s.tally[TREE_ROWS]:
            row = s.tree[done]
            base = s.reach[row] - a.row_dual[row]
            if rows.gives_way[row] and base < s.best[0]:
                s.best[0] = base
                s.tally[END_ROW] = row
            for edge in range(lists.start[rows.unit[row]], lists.start[rows.unit[row] + 1]):
                for column in range(lists.member[edge] * slots, (lists.member[edge] + 1) * slots):
                    if a.closed[column] == 1 and s.place[column] != -2:
                        distance = base + lists.cost[edge] - a.col_dual[column]
                        if distance < s.key[column]:
                            _label(a, s, column, row, distance)
            done += 1
        if s.tally[HEAP_SIZE] == 0 or s.key[s.heap[0]] >= s.best[0]:
            return opened
        column = _pop(s)
        row = a.row_of_col[column]
        s.reach[row] = s.key[column]
        s.tree[s.tally[TREE_ROWS]] = row
        s.tally[TREE_ROWS] += 1


@compiled
def _update(a: Assignment, s: _Search, source: int, opened: int) -> None:
    """Move the duals, and the columns along the path; `opened` rows of the tree close."""
    best = s.best[0]
    for k in range(s.tally[TREE_ROWS]):
        row = s.tree[k]
        if row == source or k < opened or s.reach[row] < best:
            a.row_dual[row] += best - s.reach[row]
            column = a.col_of_row[row]
            if column >= 0:
                a.col_dual[column] -= best - s.reach[row]
                if k < opened:
                    a.closed[column] = 1
    column = s.tally[END_COLUMN]
    if column < 0:
        row = s.tally[END_ROW]
        if row == source:
            return
        column = a.col_of_row[row]
        a.col_of_row[row] = -1
    while True:
        row = s.by_row[column]
        before = a.col_of_row[row]
        a.col_of_row[row] = column
        a.row_of_col[column] = row
        if row == source:
            return
        column = before


@compiled
def _forget(a: Assignment, s: _Search) -> None:
    """Make the search ready for the next row."""
    columns = len(a.row_of_col)
    for k in range(s.tally[SEEN_COLUMNS]):
        s.key[s.seen[k]] = np.inf
        s.place[s.seen[k]] = -1
    for k in range(s.tally[TREE_ROWS]):
        s.key[columns + s.tree[k]] = np.inf
        s.place[columns + s.tree[k]] = -1


@compiled
def _add_rows(  # noqa: PLR0917
    lists: Lists,
    rows: Rows,
    a: Assignment,
    s: _Search,
    todo: Integers,
    short: Flags,
    slots: int,
    widest: float,
) -> Flags:
    """Add rows; mark those put off, and the lists that were too short for them."""
    put_off = np.zeros(len(todo), dtype=np.bool_)
    for k in range(len(todo)):
        source = todo[k]
        _find_path(lists, rows, a, s, source, short, slots, widest)
        put_off[k] = s.tally[STOPPED] == 1
        if put_off[k]:
            _forget(a, s)
            continue
        for i in range(s.tally[SHORT_ROWS]):
            row = s.short[i]
            unit = rows.unit[row]
            if s.reach[row] - a.row_dual[row] + lists.radius[unit] - widest < s.best[0]:
                put_off[k] = True
        if put_off[k]:
            for i in range(s.tally[TREE_ROWS]):
                row = s.tree[i]
                unit = rows.unit[row]
                needed = s.best[0] - s.reach[row] + a.row_dual[row] + widest
                short[unit] |= lists.radius[unit] < FORESIGHT * needed
        else:
            opened = 0
            if s.best[0] == np.inf:
                opened = _find_leaver(lists, rows, a, s, slots)
            _update(a, s, source, opened)
        _forget(a, s)
    return put_off
