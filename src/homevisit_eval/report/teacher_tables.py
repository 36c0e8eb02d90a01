"""The table of teacher retention (B8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design.measures import TEACHER_OUTCOMES
from homevisit_eval.disclosure import (
    SMALLEST_COUNT_SHOWN,
    round_where_few_are_lost,
    suppress_small_counts,
)
from homevisit_eval.effects.effect import observed_of_matched, tells_no_small_count
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.effect_notes import with_effect_notes
from homevisit_eval.report.words import cluster_words
from homevisit_eval.table import PERCENT, Cell, HidingRule, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.matching import MatchedSample

__all__ = ["teacher_retention"]

GROUPS = ("visited", "comparison")
KINDS: Mapping[str, Kind] = {
    "outcome": "text",
    "question": "text",
    "unit": "text",
    "estimand": "text",
    "adjusted_mean_visited": "share",
    "adjusted_mean_comparison": "share",
    "estimate": "effect",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "p_value_adjusted": "p_value",
    "std_error": "spread",
    "df": "number",
    "clusters": "whole_number",
    "n_visited": "count",
    "n_comparison": "count",
    "teachers_visited": "count",
    "teachers_comparison": "count",
    "schools_visited": "whole_number",
    "schools_comparison": "whole_number",
    "formula": "text",
}
LABELS: Mapping[str, str] = {
    "outcome": "Outcome",
    "estimate": "Difference",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "p_value_adjusted": "p, adjusted",
    "df": "df",
    "clusters": "Clusters (G)",
    **{
        f"{name}_{group}": label
        for name in ("adjusted_mean", "n", "teachers", "schools")
        for group, label in zip(GROUPS, ("Visiting", "Comparison"), strict=True)
    },
}
BOTH = ("estimate", "ci_low", "ci_high", "p_value", "p_value_adjusted", "std_error", "df")
"""What rests on the teachers of both groups."""

WORDS = (("student-year", "teacher-year"), ("students", "teachers"), ("student", "teacher"))


def teacher_retention(effects: Sequence[Effect], matched: MatchedSample, name: str = "B8") -> Table:
    """Return the shares of teachers who stay, visiting and comparison, and their difference.

    Parameters
    ----------
    effects
        Of one question about teachers.
    matched
        The sample that they were estimated in.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Shares and differences are fractions. A note names the rows with fewer
        than 4 degrees of freedom, which few schools leave.

    Raises
    ------
    EstimationError
        If there is no effect to show, or the sample is not one of teachers and of the same
        question.
    """
    question = matched.sample.question
    if not effects:
        raise EstimationError("There is no effect on teachers to show; estimate at least one.")
    if question.unit != "teacher" or any(one.question != question.name for one in effects):
        raise EstimationError(
            f"table {name}: effects and matched sample must be of one question about teachers; "
            f"the sample is of question {question.name!r} (unit {question.unit!r})."
        )
    frame = pd.DataFrame([_row(one, matched) for one in effects], columns=list(KINDS))
    level = f"{effects[0].confidence_level * 100:g}%"
    safe = suppress_small_counts(
        Table(
            name=name,
            title="Teachers who stay: those who visited families, and others",
            frame=frame,
            kinds=KINDS,
            labels=LABELS,
            notes=_notes(effects, matched),
            synthetic=matched.sample.synthetic,
            unit="unit",
            digits={"df": 1},
            section="question",
            spanners=(
                ("Stay", _both_groups("adjusted_mean")),
                (f"{level} interval", ("ci_low", "ci_high")),
                ("Teacher-years", _both_groups("n")),
                ("Teachers", _both_groups("teachers")),
                ("Schools", _both_groups("schools")),
            ),
            csv_only=("unit", "estimand", "std_error", "formula"),
            groups={
                f"{count}_{group}": (f"adjusted_mean_{group}", *BOTH)
                for count in ("n", "teachers")
                for group in GROUPS
            },
            hidden=_would_tell_movers(effects),
            counted="teachers",
        )
    )
    wholes = {
        **{f"n_{group}": [getattr(one, f"matched_{group}") for one in effects] for group in GROUPS},
        **{
            f"teachers_{group}": [getattr(one, f"matched_students_{group}") for one in effects]
            for group in GROUPS
        },
    }
    noted = with_effect_notes(round_where_few_are_lost(safe, wholes), effects)
    return replace(noted, notes=tuple(map(_of_teachers, noted.notes)))


def _row(effect: Effect, matched: MatchedSample) -> dict[str, object]:
    told = tells_no_small_count(effect.cluster, observed_of_matched(effect))
    fields = ("adjusted_mean_visited", "adjusted_mean_comparison", *BOTH, *_both_groups("n"))
    return {
        "outcome": effect.outcome.label,
        "question": f"{effect.question_label} ({effect.role} question)",
        "unit": PERCENT,
        "estimand": str(effect.estimand),
        **{field: getattr(effect, field) for field in fields},
        "df": effect.df if told else None,
        "clusters": effect.clusters if told else None,
        "teachers_visited": effect.students_visited,
        "teachers_comparison": effect.students_comparison,
        **_schools(effect, matched),
        "formula": effect.formula,
    }


def _schools(effect: Effect, matched: MatchedSample) -> dict[str, int | None]:
    """Return how many schools each group, with the outcome, is from; None for a few teachers."""
    baseline = matched.sample.baseline
    observed = matched.sample.outcomes[effect.outcome.name].notna()
    used = baseline[observed & (matched.matches.weights > 0)]
    found: dict[str, int | None] = {}
    for group, code in zip(GROUPS, (1, 0), strict=True):
        rows = used[used["visited"] == code]
        few = rows["unit_id"].nunique() < SMALLEST_COUNT_SHOWN
        found[f"schools_{group}"] = None if few else int(rows["school_id"].nunique())
    return found


def _would_tell_movers(effects: Sequence[Effect]) -> dict[Cell, HidingRule]:
    """Return the shares that, less each other, tell how few went to another school."""
    at = {one.outcome.name: row for row, one in enumerate(effects)}
    if not set(TEACHER_OUTCOMES) <= set(at):
        return {}
    in_school, in_district = (effects[at[name]] for name in TEACHER_OUTCOMES)
    for kind in ("mean", "adjusted_mean"):
        for group in GROUPS:
            share = [getattr(one, f"{kind}_{group}") for one in (in_school, in_district)]
            movers = (share[1] - share[0]) * getattr(in_school, f"n_{group}")
            if 0.5 <= movers < SMALLEST_COUNT_SHOWN - 0.5:
                columns = _both_groups("adjusted_mean")
                return {
                    (at["retained_in_school"], one): "would reveal a small count" for one in columns
                }
    return {}


def _notes(effects: Sequence[Effect], matched: MatchedSample) -> tuple[str, ...]:
    kinds = [
        f"Standard errors: {one.covariance}, clustered by {cluster_words(one)[0]}; degrees of "
        f"freedom: {one.df_convention}. Whose effect: {one.estimand}."
        for one in effects
    ]
    return (
        "Stay: on the staff list of the same school, or of any school of the district, in the next "
        "school year. Visiting: made a completed visit before the first day of school. Comparison: "
        "that share less the difference, which is what the model expects of the same teachers "
        "without a visit.",
        "A teacher may count in several school years. pp: percentage points.",
        *dict.fromkeys(kinds),
        *matched.sample.notes,
    )


def _of_teachers(note: str) -> str:
    for students, teachers in WORDS:
        note = note.replace(students, teachers)
    return note


def _both_groups(name: str) -> tuple[str, str]:
    return f"{name}_visited", f"{name}_comparison"
