"""What cannot be computed because an extract, or a column of it, was not delivered."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame, count_rows
from homevisit_eval.panel.teachers import visitor_columns
from homevisit_eval.sources import Sources

__all__ = ["missing_sentences"]


def missing_sentences(sources: Sources) -> tuple[str, ...]:
    """Return one sentence for each optional table or column that was not delivered."""
    tables = {
        "incidents": (
            sources.incidents,
            "disciplinary incidents and suspensions cannot be computed.",
        ),
        "assessments": (sources.assessments, "math and reading scores cannot be computed."),
        "staff": (sources.staff, "retention of teachers cannot be computed."),
        "rosters": (sources.rosters, "students cannot be grouped by teacher."),
        "surveys": (sources.surveys, "perceptions of family engagement cannot be computed."),
    }
    sentences = [
        f"{name} was not delivered: {consequence}"
        for name, (frame, consequence) in tables.items()
        if frame is None
    ]
    if _is_empty(sources.students, "household_id"):
        sentences.append(
            "students has no household_id: siblings of visited students cannot be told from "
            "other students and stay in the comparison pool."
        )
    if _is_empty(sources.characteristics, "homeless"):
        sentences.append("characteristics has no homeless: homelessness is unknown.")
    columns = visitor_columns(sources.visits)
    if all(_is_empty(sources.visits, column) for column in columns):
        sentences.append("visits names no staff: visits by teacher cannot be counted.")
    return tuple(sentences)


def _is_empty(frame: Frame, column: str) -> bool:
    """Return whether a column is missing or empty in every row."""
    if column not in frame.collect_schema().names():
        return True
    return count_rows(frame.filter(~nw.col(column).is_null()).head(1)) == 0
