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
MANY = 3  # rows that a note names one by one


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
    shown = [one for row, one in enumerate(effects) if (row, "estimate") not in table.hidden]
    noted: dict[str, list[Effect]] = {}
    for effect in shown:
        for note in effect_notes(effect):
            if note not in said:
                noted.setdefault(_of_any_outcome(note, effect), []).append(effect)
    below = [f"{'; '.join(_row_names(rows, shown))}: {note}" for note, rows in noted.items()]
    return replace(table, notes=(*table.notes, *below))


def _of_any_outcome(note: str, effect: Effect) -> str:
    """Return a note without the outcome's name, so that outcomes that share it share a line."""
    own = f"{effect.outcome.label} is not observed for "
    return f"Not observed for {note.removeprefix(own)}" if note.startswith(own) else note


def _row_names(rows: Sequence[Effect], shown: Sequence[Effect]) -> list[str]:
    """Return what rows are called: a question, where all of its several rows are meant."""
    if len(rows) == len(shown) > MANY:
        return ["All rows"]
    names = []
    for question in dict.fromkeys(one.question for one in rows):
        own = [one for one in rows if one.question == question]
        each = [_row_name(one, shown) for one in own]
        whole = len(own) == sum(one.question == question for one in shown)
        told_apart = any(one.question_label in name for one, name in zip(own, each, strict=True))
        names += [own[0].question_label] if whole and (told_apart or len(own) > MANY) else each
    return names


def _row_name(effect: Effect, effects: Sequence[Effect]) -> str:
    """Return the outcome with what tells the row from others of the same outcome."""
    label = effect.outcome.label
    asked = {one.question for one in effects if one.outcome.label == label}
    parts = (label, effect.sensitivity, effect.question_label if len(asked) > 1 else "")
    return ", ".join(part for part in parts if part)
