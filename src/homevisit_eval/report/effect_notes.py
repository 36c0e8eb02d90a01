"""Notes of effects as readers see them: in words, and without counts that may not be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from homevisit_eval.report.estimand_words import groups_made_alike
from homevisit_eval.report.words import cluster_words, plain_words
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["effect_notes", "with_effect_notes"]

NOTES_BETWEEN = " | "


def effect_notes(effect: Effect) -> tuple[str, ...]:
    """Return the notes of an effect in the words of the report.

    A count of few students loses the total beside it, from which another table could reveal it.
    """
    one, several = cluster_words(effect)
    notes = []
    for note in effect.notes:
        text = re.sub(r"<(\d+) of [\d,]+", r"fewer than \1", note)
        text = text.replace(" (`compare_standard_errors`)", "")
        text = text.replace(f"one cluster ({effect.cluster})", f"one {one}")
        text = text.replace(f"clusters ({effect.cluster})", several)
        if groups_made_alike(effect) != "matched":
            text = text.replace("matched visited", "visited")
        notes.append(plain_words(text))
    return tuple(notes)


def with_effect_notes(
    table: Table, effects: Sequence[Effect], said: frozenset[str] = frozenset()
) -> Table:
    """Return a table of effects with their notes below it, each after the names of its rows.

    Parameters
    ----------
    table
        One row an effect. Notes of rows whose estimate is hidden are left out.
    effects
        In the order of the rows.
    said
        Notes that stand elsewhere and are not repeated.
    """
    rows: dict[str, list[str]] = {}
    for row, effect in enumerate(effects):
        if (row, "estimate") not in table.hidden:
            for note in effect_notes(effect):
                if note not in said:
                    rows.setdefault(note, []).append(_row_name(effect, effects))
    below = [
        note if note.startswith(names[0]) else f"{'; '.join(names)}: {note}"
        for note, names in rows.items()
    ]
    return replace(table, notes=(*table.notes, *below))


def _row_name(effect: Effect, effects: Sequence[Effect]) -> str:
    """Return the outcome with what tells the row from others of the same outcome."""
    label = effect.outcome.label
    asked = {one.question for one in effects if one.outcome.label == label}
    parts = (label, effect.sensitivity, effect.question_label if len(asked) > 1 else "")
    return ", ".join(part for part in parts if part)
