"""Table of impacts by when the visit was (T3), with the contrast of earlier and later visits."""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from homevisit_eval.design.measures import measured_name
from homevisit_eval.disclosure import round_where_few_are_lost, suppress_small_counts
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.effect_notes import effect_notes
from homevisit_eval.report.hidden_effects import few_groups
from homevisit_eval.report.words import marked, outcome_unit
from homevisit_eval.table import Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.design import Outcome, Question
    from homevisit_eval.design.questions import Window
    from homevisit_eval.effects import Effect
    from homevisit_eval.timing import TimingDifference

__all__ = ["EARLIER_LESS_LATER", "WINDOWS", "day_words", "impact_by_timing", "window_words"]

WINDOWS: Mapping[Window, str] = {
    "before_year": "Before the school year",
    "fall": "Fall",
    "spring": "Spring",
    "during_year": "During the school year",
    "any_time": "Before or during the school year",
    "first_ever": "First visit ever",
}
"""When a visit falls, in words, in the order of the table."""

EARLIER_LESS_LATER = "Earlier less later"

KINDS: Mapping[str, Kind] = {
    "window": "text",
    "outcome": "text",
    "row": "text",
    "question": "text",
    "role": "text",
    "unit": "text",
    "against": "text",
    "adjusted_mean_visited": "mean",
    "adjusted_mean_comparison": "mean",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "p_value_adjusted": "p_value",
    "effect_size": "effect_size",
    "n_visited": "count",
    "n_comparison": "count",
    "confidence_level": "number",
}
LABELS: Mapping[str, str] = {
    "window": "When visited",
    "against": "Compared with students",
    "adjusted_mean_visited": "Visited",
    "adjusted_mean_comparison": "Comparison",
    "estimate": "Difference",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "p_value_adjusted": "p, adjusted",
    "effect_size": "Effect size",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
}
OWN = ("adjusted_mean_visited",)
RESTING = (
    "adjusted_mean_visited", "adjusted_mean_comparison", "estimate", "std_error", "ci_low",
    "ci_high", "p_value", "p_value_adjusted", "effect_size",
)  # fmt: skip
MIXED = (
    "Differences of single windows are not to be subtracted from each other: they mix when the "
    "visit was, over how many days it could work, and which students were visited. "
)
WITH_CONTRAST = (
    f"Only the rows “{EARLIER_LESS_LATER}” answer whether earlier visits do more: both effects are "
    "measured over the same days, from the day named on to the end of the year; both are against "
    "no visit that year; and the later-visited are weighted to be like the earlier-visited."
)
WITHOUT_CONTRAST = (
    "Without a contrast over the same days this table does not say whether earlier visits do more."
)
READING = (
    "Visited: mean of the visited students. Comparison: that mean less the difference. p of "
    "contrasts and of their two parts is not adjusted for the number of outcomes. Notes of the "
    "single windows stand below table B1."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line: an effect of a window, a part of a contrast, or a contrast."""

    row: str
    window: str
    against: str
    outcome: Outcome
    question: str
    role: str
    effect: Effect | None = None
    contrast: TimingDifference | None = None


def impact_by_timing(
    effects: Sequence[Effect],
    contrasts: Sequence[TimingDifference],
    questions: Sequence[Question],
    name: str = "T3",
) -> Table:
    """Return the impact of visits in each window, and earlier less later, outcome by outcome.

    Parameters
    ----------
    effects
        With adjusted p values. Sensitivity rows, teachers and outcomes of later years are left
        out.
    contrasts
        From `contrast_timing`.
    questions
        Those of the effects: they know when the visits fall.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Means and effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is nothing to show, or an effect belongs to none of the questions.
    """
    lines = timing_lines(effects, contrasts, questions)
    level = _confidence_level(lines[0])
    table = Table(
        name=name,
        title="Impact by when the visit was",
        frame=pd.DataFrame([_cells(line) for line in lines]).astype(
            {"n_visited": "Int64", "n_comparison": "Int64"}
        ),
        kinds=KINDS,
        labels=LABELS,
        notes=(
            MIXED + (WITH_CONTRAST if contrasts else WITHOUT_CONTRAST),
            READING,
        ),
        synthetic=any(effect.synthetic for effect in effects)
        or any(one.synthetic for one in contrasts),
        unit="unit",
        section="outcome",
        csv_only=("row", "question", "role", "unit", "std_error", "confidence_level"),
        spanners=(
            ("Adjusted mean", ("adjusted_mean_visited", "adjusted_mean_comparison")),
            (f"{100 * level:g}% interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
        groups={
            "n_visited": RESTING,
            "n_comparison": tuple(name for name in RESTING if name not in OWN),
        },
        hidden={
            (row, column): "would reveal a small count"
            for row, line in enumerate(lines)
            for group in (few_groups(line.effect) if line.effect else ())
            for column in RESTING
            if group == "visited" or column not in OWN
        },
    )
    safe = suppress_small_counts(_with_differences_hidden(suppress_small_counts(table), lines))
    safe = replace(safe, notes=(*safe.notes, *_contrast_notes(lines, safe)))
    wholes = {
        f"n_{group}": [
            getattr(line.effect, f"matched_{group}") if line.effect else 0 for line in lines
        ]
        for group in ("visited", "comparison")
    }
    return round_where_few_are_lost(safe, wholes)


def timing_lines(
    effects: Sequence[Effect],
    contrasts: Sequence[TimingDifference],
    questions: Sequence[Question],
) -> list[Line]:
    """Return the lines of T3 in their order: by outcome, windows first, then contrasts.

    Raises
    ------
    EstimationError
        As `impact_by_timing`.
    """
    asked = {question.name: question for question in questions}
    if unknown := sorted({effect.question for effect in effects} - set(asked)):
        raise EstimationError(
            f"impact by timing: the effects are of questions {', '.join(unknown)}, which are not "
            "given; add them to questions."
        )
    shown = [
        effect
        for effect in effects
        if not effect.sensitivity
        and asked[effect.question].unit == "student"
        and not measured_name(effect.outcome.name)[1]
    ]
    if not shown and not contrasts:
        raise EstimationError(
            "impact by timing: there is no effect on students in the year of the visit, and no "
            "timing contrast; estimate one."
        )
    found = [*(one.outcome for one in shown), *(one.outcome for one in contrasts)]
    outcomes = {outcome.name: outcome for outcome in found}
    lines: list[Line] = []
    for outcome in outcomes.values():
        own = [one for one in shown if one.outcome.name == outcome.name]
        own.sort(key=lambda one: list(WINDOWS).index(asked[one.question].window))
        windows = [asked[one.question].window for one in own]
        for effect, window in zip(own, windows, strict=True):
            lines.append(_window_line(effect, asked[effect.question], windows.count(window) > 1))
        for contrast in contrasts:
            if contrast.outcome.name == outcome.name:
                several = len({one.contrast.name for one in contrasts}) > 1
                lines += _contrast_lines(contrast, asked, named=several)
    return lines


def window_words(question: Question) -> tuple[str, str]:
    """Return when the visits of a question fall, and with whom visited students are compared."""
    if question.pool == "never_visited_that_year":
        against = "never visited that year (chosen on the future)"
    elif question.against_one:
        against = "visited once before the year"
    elif question.later_visits == "none":
        against = "without any later visit that year"
    else:
        against = "not yet visited" if question.during else "not visited before the year"
    return WINDOWS[question.window], against


def day_words(month_day: str) -> str:
    """Return a month and day in words.

    >>> day_words("02-01")
    'February 1'
    """
    month, day = month_day.split("-")
    return f"{calendar.month_name[int(month)]} {int(day)}"


def _window_line(effect: Effect, question: Question, ambiguous: bool) -> Line:
    window, against = window_words(question)
    if ambiguous:
        window = f"{window}: {question.label}"
    words = marked(window, effect.role)
    return Line("window", words, against, effect.outcome, question.label, effect.role, effect)


def _contrast_lines(
    found: TimingDifference, asked: Mapping[str, Question], *, named: bool
) -> list[Line]:
    """Return the two effects over the same days, and their difference."""
    contrast = found.contrast
    days = f"from {day_words(contrast.landmark)} on"
    role = found.difference.first.role
    parts = [
        Line(
            row,
            marked(f"{_name(question, asked)}, {days}{like}", role),
            "without any visit that year",
            found.outcome,
            contrast.label,
            role,
            effect,
        )
        for row, question, effect, like in (
            ("earlier", contrast.earlier, found.earlier, ""),
            ("later", contrast.later, found.later, ", weighted to be like the earlier"),
        )
    ]
    words = marked(
        f"{EARLIER_LESS_LATER}, {days}" + (f" ({contrast.label})" if named else ""), role
    )
    return [
        *parts,
        Line("difference", words, "", found.outcome, contrast.label, role, contrast=found),
    ]


def _name(question: str, asked: Mapping[str, Question]) -> str:
    return WINDOWS[asked[question].window] if question in asked else question


def _cells(line: Line) -> dict[str, Any]:
    """Return the values of one line; a contrast has no means, counts or effect size of its own."""
    found = line.effect if line.effect is not None else _difference(line)
    texts = {
        "window": line.window,
        "outcome": line.outcome.label,
        "row": line.row,
        "question": line.question,
        "role": line.role,
        "unit": outcome_unit(line.outcome),
        "against": line.against,
    }
    numbers = {
        column: getattr(found, column, None if column.startswith("n_") else math.nan)
        for column in KINDS
        if column not in texts
    }
    return texts | numbers


def _difference(line: Line) -> Any:
    assert line.contrast is not None
    return line.contrast.difference


def _confidence_level(line: Line) -> float:
    found = line.effect if line.effect is not None else _difference(line)
    return float(found.confidence_level)


def _with_differences_hidden(table: Table, lines: Sequence[Line]) -> Table:
    """Hide a difference if one of the two effects before it is hidden: it would tell that one."""
    hidden = dict(table.hidden)
    for row, line in enumerate(lines):
        parts = (row - 2, row - 1)
        if line.contrast and any((part, "estimate") in table.hidden for part in parts):
            for column in RESTING:
                hidden.setdefault((row, column), "rests on a small count")
    return replace(table, hidden=hidden)


def _contrast_notes(lines: Sequence[Line], table: Table) -> tuple[str, ...]:
    """Return what is said of contrasts and of their two effects, once each, after their names.

    Notes of hidden rows are left out, for they may hold its numbers.
    """
    said: dict[tuple[str, str, str], list[str]] = {}
    outcomes: dict[str, list[str]] = {}
    for row, line in enumerate(lines):
        if line.row == "window":
            continue
        label, outcome = line.question, line.outcome.label
        if line.contrast:
            outcomes.setdefault(label, []).append(outcome)
        if (row, "estimate") not in table.hidden:
            notes = line.contrast.notes if line.contrast else _notes_of_part(line)
            part = "" if line.contrast else f", {line.row} visits"
            for note in dict.fromkeys(notes):
                said.setdefault((label, part, note), []).append(outcome)
    return tuple(
        f"{label}{part}: {note}"
        if of == outcomes[label] or note.startswith(of[0])
        else f"{label}{part}, {'; '.join(of)}: {note}"
        for (label, part, note), of in said.items()
    )


def _notes_of_part(line: Line) -> tuple[str, ...]:
    assert line.effect is not None
    return effect_notes(line.effect)
