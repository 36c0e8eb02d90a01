"""Counts that add up to one that is shown elsewhere, rounded so that none follows from the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, is_few, shown_of
from homevisit_eval.table import Table

__all__ = ["tens_where_few_are_lost"]

TENS_NOTE = (
    "Counts that add up are all rounded down to a ten where in any of them fewer than ten of the "
    "matched students lack the outcome; there the count shown is that of the matched less nine, "
    "rounded down to a ten."
)


def tens_where_few_are_lost(
    table: Table, wholes: Mapping[str, Sequence[int]], blocks: Sequence[Sequence[int]]
) -> Table:
    """Round the counts of a block of rows down to tens if in any row few of the whole are lost.

    Rounding that row alone would not do: another table has the sum of the block, from which it
    would follow.

    Parameters
    ----------
    table
        After `suppress_small_counts`.
    wholes
        For each count column: of how many each row's count is what remains.
    blocks
        Row positions whose counts add up.
    """
    frame, rounded = table.frame.copy(), False
    for column, of in wholes.items():
        counts = [None if pd.isna(one) else int(one) for one in frame[column]]
        for block in blocks:
            shown = {row: count for row in block if (count := counts[row]) is not None}
            if any(is_few(of[row] - count) for row, count in shown.items()):
                rounded = True
                for row, count in shown.items():
                    tens = shown_of(count, of[row]) // SMALLEST_COUNT_SHOWN
                    counts[row] = tens * SMALLEST_COUNT_SHOWN
        frame[column] = pd.array(counts, dtype="Int64")
    notes = (*table.notes, TENS_NOTE) if rounded else table.notes
    return replace(table, frame=frame, notes=notes)
