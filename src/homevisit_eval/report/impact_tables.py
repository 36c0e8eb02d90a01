"""Tables of effects: key findings (T1), full estimates (B1), sensitivity (B10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from homevisit_eval.disclosure import round_where_few_are_lost, suppress_small_counts
from homevisit_eval.effects.effect import observed_of_matched, tells_no_small_count
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.effect_notes import NOTES_BETWEEN, effect_notes, with_effect_notes
from homevisit_eval.report.estimand_words import interacted_label, stand_for, targets_note
from homevisit_eval.report.hidden_effects import few_by_row
from homevisit_eval.report.words import (
    cluster_words,
    comparison_students,
    impact_sentence,
    outcome_unit,
    verdict,
    with_role,
)
from homevisit_eval.table import Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["full_estimates", "impacts", "sensitivity_grid"]

KINDS: Mapping[str, Kind] = {
    "question": "text",
    "outcome": "text",
    "variation": "text",
    "unit": "text",
    "role": "text",
    "domain": "text",
    "estimand": "text",
    "adjusted_mean_visited": "mean",
    "adjusted_mean_comparison": "mean",
    "mean_visited": "mean",
    "mean_comparison": "mean",
    "sd_visited": "spread",
    "sd_comparison": "spread",
    "estimate": "effect",
    "estimate_interacted": "effect",
    "std_error_interacted": "spread",
    "std_error": "spread",
    "df": "number",
    "t": "number",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "p_value_adjusted": "p_value",
    "effect_size": "effect_size",
    "effect_size_kind": "text",
    "improvement_index": "effect_size",
    "n_visited": "count",
    "n_comparison": "count",
    "students_visited": "count",
    "students_comparison": "count",
    "clusters": "whole_number",
    "clusters_visited": "whole_number",
    "clusters_comparison": "whole_number",
    "parameters": "whole_number",
    "confidence_level": "number",
    "verdict": "text",
    "covariance": "text",
    "cluster": "text",
    "df_convention": "text",
    "formula": "text",
    "sentence": "text",
    "notes": "text",
}

LABELS: Mapping[str, str] = {
    "outcome": "Outcome",
    "variation": "Analysis",
    "estimand": "Whose effect",
    "adjusted_mean_visited": "Visited",
    "adjusted_mean_comparison": "Comparison",
    "mean_visited": "Visited",
    "mean_comparison": "Comparison",
    "sd_visited": "Visited",
    "sd_comparison": "Comparison",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "p_value_adjusted": "p, adjusted",
    "effect_size": "Effect size",
    "effect_size_kind": "Kind of effect size",
    "improvement_index": "Improvement index",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
    "students_visited": "Visited",
    "students_comparison": "Comparison",
    "clusters": "all (G)",
    "clusters_visited": "with visited",
    "clusters_comparison": "with comparison",
    "parameters": "K",
    "t": "t",
    "df": "df",
}

RESTING = (
    "adjusted_mean_visited", "adjusted_mean_comparison", "mean_visited", "mean_comparison",
    "sd_visited", "sd_comparison", "estimate", "estimate_interacted", "std_error_interacted",
    "std_error", "df", "t",
    "ci_low", "ci_high", "p_value", "p_value_adjusted", "effect_size", "improvement_index",
    "verdict", "sentence", "notes",
)  # fmt: skip

OWN = ("adjusted_mean_visited", "mean_visited", "sd_visited", "mean_comparison", "sd_comparison")
"""What rests on one group only, that of its name."""

TELLING = ("clusters", "clusters_visited", "clusters_comparison", "df")
"""What tells the number of student-years where clusters are students, sets or rows."""

KEY_COLUMNS = (
    "outcome", "question", "unit", "estimand", "adjusted_mean_visited",
    "adjusted_mean_comparison", "estimate", "ci_low", "ci_high", "p_value", "p_value_adjusted",
    "effect_size", "n_visited", "n_comparison", "students_visited", "students_comparison",
    "confidence_level", "verdict", "sentence", "notes",
)  # fmt: skip

FULL_COLUMNS = (
    "outcome", "question", "unit", "role", "domain", "estimand", "estimate", "std_error", "df",
    "t", "ci_low", "ci_high", "p_value", "p_value_adjusted", "estimate_interacted",
    "std_error_interacted", "mean_visited", "mean_comparison", "sd_visited", "sd_comparison",
    "effect_size", "effect_size_kind", "improvement_index", "n_visited", "n_comparison",
    "students_visited", "students_comparison", "clusters", "clusters_visited",
    "clusters_comparison", "parameters", "confidence_level", "covariance", "cluster",
    "df_convention", "formula", "notes",
)  # fmt: skip

GRID_COLUMNS = (
    "variation", "outcome", "question", "unit", "estimand", "estimate", "ci_low", "ci_high",
    "p_value", "estimate_interacted", "effect_size", "n_visited", "n_comparison", "clusters", "df",
    "confidence_level", "covariance", "cluster", "df_convention", "formula", "notes",
)  # fmt: skip

MAIN_ANALYSIS = "Main analysis"


def impacts(effects: Sequence[Effect], name: str = "T1", title: str = "") -> Table:
    """Return the key findings: one row and one sentence an outcome.

    Parameters
    ----------
    effects
        With adjusted p values.
    name
        The number of the table in a report.
    title
        If empty, whom it compares.

    Returns
    -------
    Table
        Safe to publish. Means and effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is no effect to show.
    """
    level = _level(effects)
    return _effect_table(
        effects,
        KEY_COLUMNS,
        name=name,
        title=title or _title(effects),
        section="question",
        detail="sentence",
        csv_only=(
            "unit",
            "estimand",
            "students_visited",
            "students_comparison",
            "confidence_level",
            "verdict",
            "notes",
        ),
        spanners=(
            ("Adjusted mean", ("adjusted_mean_visited", "adjusted_mean_comparison")),
            (f"{level} interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
        notes=(
            f"Visited: mean of the visited students{stand_for(effects)}. Comparison: that mean "
            "less the difference, which is what the model expects of the same students without a "
            "visit.",
            "pp: percentage points. Effect size: standard deviations (Hedges' g; Cox index for "
            "outcomes that are yes or no). p, adjusted: Benjamini-Hochberg over the outcomes of "
            "one domain and role.",
            *_distinct_notes(effects),
        ),
    )


def full_estimates(effects: Sequence[Effect], name: str = "B1") -> Table:
    """Return every number of every effect, with the conventions behind the standard errors.

    Raises
    ------
    EstimationError
        If there is no effect to show.
    """
    level = _level(effects)
    return _effect_table(
        effects,
        FULL_COLUMNS,
        name=name,
        title="Full impact estimates",
        section="question",
        labels=interacted_label(effects),
        csv_only=(
            "unit",
            "role",
            "domain",
            "estimand",
            "confidence_level",
            "std_error_interacted",
            "covariance",
            "cluster",
            "df_convention",
            "formula",
            "notes",
        ),
        spanners=(
            (f"{level} interval", ("ci_low", "ci_high")),
            ("Unadjusted mean", ("mean_visited", "mean_comparison")),
            ("Standard deviation", ("sd_visited", "sd_comparison")),
            ("Student-years", ("n_visited", "n_comparison")),
            ("Distinct students", ("students_visited", "students_comparison")),
            ("Clusters", ("clusters", "clusters_visited", "clusters_comparison")),
        ),
        notes=(
            *_convention_notes(effects),
            "Clusters and degrees of freedom that would tell a count of few students are left out. "
            "K counts the fitted parameters, absorbed cells included. Improvement index: change "
            "in percentile rank of the average comparison student; positive is favorable. The "
            "sign of the effect size is that of the difference.",
        ),
    )


def sensitivity_grid(
    effects: Sequence[Effect], sensitivity: Sequence[Effect], name: str = "B10"
) -> Table:
    """Return each outcome's main estimate beside those of the design's variations.

    Parameters
    ----------
    effects
        The main estimates.
    sensitivity
        Estimates of the same outcomes with a `sensitivity` label; their p values are unadjusted.
    name
        The number of the table in a report.

    Raises
    ------
    EstimationError
        If there is no effect to show.
    """
    level = _level(effects)
    rows = [
        row
        for main in effects
        for row in (main, *(one for one in sensitivity if _same_outcome(main, one)))
    ]
    return _effect_table(
        rows,
        GRID_COLUMNS,
        name=name,
        title="Does another reasonable analysis say the same?",
        section="question",
        csv_only=(
            "unit",
            "confidence_level",
            "covariance",
            "cluster",
            "df_convention",
            "formula",
            "notes",
        ),
        spanners=(
            (f"{level} interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
        notes=(
            "Sensitivity rows belong to no family of adjusted p values; p is unadjusted in "
            "every row.",
            targets_note(rows),
            "Where the main analysis is hidden, its other rows are, for they are near it. Notes of "
            "the main analysis stand below table B1; those of other rows follow where they differ.",
        ),
        labels={"clusters": "Clusters (G)", **interacted_label(rows)},
        said=frozenset(note for main in effects for note in effect_notes(main)),
    )


def _title(effects: Sequence[Effect]) -> str:
    called = {comparison_students(effect) for effect in effects}
    return f"Visited students and {called.pop() if len(called) == 1 else 'comparison students'}"


def _same_outcome(main: Effect, other: Effect) -> bool:
    return (main.question, main.outcome.name) == (other.question, other.outcome.name)


def _effect_table(
    effects: Sequence[Effect],
    columns: Sequence[str],
    *,
    name: str,
    title: str,
    section: str,
    csv_only: tuple[str, ...],
    spanners: tuple[tuple[str, tuple[str, ...]], ...],
    notes: tuple[str, ...],
    detail: str = "",
    labels: Mapping[str, str] | None = None,
    said: frozenset[str] = frozenset(),
) -> Table:
    frame = pd.DataFrame(
        {column: [_value(effect, column) for effect in effects] for column in columns}
    )
    resting = tuple(column for column in RESTING if column in columns)
    counts = [column for column in columns if KINDS[column] == "count"]
    safe = suppress_small_counts(
        Table(
            name=name,
            title=title,
            frame=frame,
            hidden={
                (row, column): "would reveal a small count"
                for row, groups in enumerate(few_by_row(effects))
                for group in groups
                for column in resting
                if _rests_on(column, f"n_{group}")
            },
            kinds={column: KINDS[column] for column in columns},
            labels={**{key: LABELS[key] for key in columns if key in LABELS}, **(labels or {})},
            notes=notes,
            synthetic=any(effect.synthetic for effect in effects),
            unit="unit",
            digits={column: 1 for column in ("df", "improvement_index") if column in columns},
            spanners=spanners,
            section=section,
            detail=detail,
            csv_only=csv_only,
            groups={
                count: tuple(column for column in resting if _rests_on(column, count))
                for count in counts
            },
        )
    )
    wholes = {
        column: [getattr(effect, f"matched_{column.removeprefix('n_')}") for effect in effects]
        for column in counts
    }
    safe = round_where_few_are_lost(safe, wholes)
    return with_effect_notes(safe, effects, said)


def _rests_on(column: str, count: str) -> bool:
    """Say whether a column rests on the students of a count: those of its own group, or all."""
    return column not in OWN or column.rpartition("_")[2] == count.rpartition("_")[2]


def _value(effect: Effect, column: str) -> Any:
    """Return what stands in a column: a field of the effect, or words made from it."""
    made: Mapping[str, Callable[[Effect], str]] = {
        "outcome": lambda one: one.outcome.label,
        "question": lambda one: with_role(one.question_label, one.role),
        "variation": lambda one: one.sensitivity or MAIN_ANALYSIS,
        "unit": lambda one: outcome_unit(one.outcome),
        "domain": lambda one: one.outcome.domain,
        "estimand": lambda one: str(one.estimand),
        "verdict": verdict,
        "sentence": impact_sentence,
        "notes": lambda one: NOTES_BETWEEN.join(effect_notes(one)),
    }
    if column in TELLING and not tells_no_small_count(effect.cluster, observed_of_matched(effect)):
        return None
    return made[column](effect) if column in made else getattr(effect, column)


def _level(effects: Sequence[Effect]) -> str:
    if not effects:
        raise EstimationError("There is no effect to show; estimate at least one.")
    return f"{effects[0].confidence_level * 100:g}%"


def _distinct_notes(effects: Sequence[Effect]) -> tuple[str, ...]:
    if all(
        (one.n_visited, one.n_comparison) == (one.students_visited, one.students_comparison)
        for one in effects
    ):
        return ("Every student counts once.",)
    return ("A student may count in several school years; table T2 has distinct students.",)


def _convention_notes(effects: Sequence[Effect]) -> tuple[str, ...]:
    notes = []
    for effect in effects:
        cluster = cluster_words(effect)[0]
        notes.append(
            f"Standard errors: {effect.covariance}, clustered by {cluster}; degrees of freedom: "
            f"{effect.df_convention}. Whose effect: {effect.estimand}."
        )
    return tuple(dict.fromkeys(notes))
