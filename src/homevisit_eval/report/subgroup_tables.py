"""Table of effects in the subgroups of several questions, with the test of each (B4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd

from homevisit_eval.disclosure import suppress_small_counts
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.rounded_blocks import tens_where_few_are_lost
from homevisit_eval.report.words import outcome_unit, plain_words
from homevisit_eval.table import Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.design import Question
    from homevisit_eval.design.measures import Subgroup
    from homevisit_eval.effects import SubgroupEffect, SubgroupEffects

__all__ = ["BY_WORDS", "subgroups"]

BY_WORDS: Mapping[Subgroup, str] = {
    "grade": "grade band",
    "female": "sex",
    "race_ethnicity": "race/ethnicity",
    "english_learner_prior": "English learner status",
    "disability_prior": "disability",
    "at_risk_prior": "at-risk status",
    "economically_disadvantaged_prior": "economic disadvantage",
    "attendance_rate_prior": "attendance the year before",
    "any_incident_prior": "incidents the year before",
    "school_at_risk_prior": "the school's share at risk",
}
"""What subgroups differ in, in words."""

SAME_EFFECT = "All the same? (joint test)"
GROUPS = ("visited", "comparison")
SUBGROUP_COLUMN = "subgroup"
"""What the sample of a question with a subgroup calls it."""

NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value")
ALONE = ("estimate_alone", "std_error_alone")
RESTING = (*NUMBERS, "df", *ALONE)
KINDS: Mapping[str, Kind] = {
    "subgroup": "text",
    "block": "text",
    "question": "text",
    "role": "text",
    "unit": "text",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "df": "number",
    "estimate_alone": "effect",
    "std_error_alone": "spread",
    "test": "text",
    "n_visited": "count",
    "n_comparison": "count",
    "notes": "text",
}
LABELS: Mapping[str, str] = {
    "subgroup": "Subgroup",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "test": "Test",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
}


def subgroups(
    results: Sequence[SubgroupEffects], questions: Sequence[Question] = (), name: str = "B4"
) -> Table:
    """Return effects by subgroup for all columns asked about, each with its joint test.

    Parameters
    ----------
    results
        From `estimate_subgroups`, of one question or several.
    questions
        Those of the results, whose `subgroup` says what the column ``"subgroup"`` of their samples
        is; without them it is called by the question's name.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not results:
        raise EstimationError("There is no subgroup to show; estimate some.")
    asked = {question.name: question for question in questions}
    rows: list[dict[str, Any]] = []
    wholes: dict[str, list[int]] = {f"n_{group}": [] for group in GROUPS}
    for one in results:
        block = _block_words(one, asked)
        for row in one.subgroups:
            rows.append(_subgroup_cells(one, row, block))
        rows.append(_test_cells(one, block))
        for group in GROUPS:
            wholes[f"n_{group}"] += [getattr(row, f"matched_{group}") for row in one.subgroups]
            wholes[f"n_{group}"].append(0)
    ends = list(accumulate(len(one.subgroups) + 1 for one in results))
    blocks = [range(a, b - 1) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    table = Table(
        name=name,
        title=_title(results),
        frame=pd.DataFrame(rows).astype({f"n_{group}": "Int64" for group in GROUPS}),
        kinds=KINDS,
        labels=LABELS,
        notes=(*_notes(results), *_refused(results, asked)),
        synthetic=any(one.synthetic for one in results),
        unit="unit",
        section="block",
        csv_only=("question", "role", "unit", "std_error", "df", *ALONE, "notes"),
        digits={"df": 1},
        spanners=(
            (f"{100 * results[0].confidence_level:g}% interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
        ),
        groups={"n_visited": RESTING, "n_comparison": RESTING},
        sums=tuple(
            Sum(tuple((row, f"n_{group}") for row in block)) for block in blocks for group in GROUPS
        ),
    )
    return tens_where_few_are_lost(suppress_small_counts(table), wholes, blocks)


def _title(results: Sequence[SubgroupEffects]) -> str:
    exploratory = all(one.role == "exploratory" for one in results)
    return f"Effects in subgroups{' (exploratory)' if exploratory else ''}"


def _block_words(one: SubgroupEffects, asked: Mapping[str, Question]) -> str:
    """Return the heading of one block: outcome, what subgroups differ in, and the role."""
    question = asked.get(one.question)
    subgroup = question.subgroup if question and one.by == SUBGROUP_COLUMN else None
    own = one.question if one.by == SUBGROUP_COLUMN else one.by
    known = {str(column): words for column, words in BY_WORDS.items()}
    by = BY_WORDS[subgroup] if subgroup else known.get(own, own)
    return f"{one.outcome.label}, by {by} ({one.role} question)"


def _subgroup_cells(one: SubgroupEffects, row: SubgroupEffect, block: str) -> dict[str, Any]:
    return {
        "subgroup": plain_words(row.subgroup),
        **_shared_cells(one, block),
        **{column: getattr(row, column) for column in NUMBERS},
        "df": row.df if one.tells_no_small_count else math.nan,
        **{column: getattr(row, column) for column in ALONE},
        "test": "",
        "n_visited": row.n_visited,
        "n_comparison": row.n_comparison,
        "notes": row.refused,
    }


def _test_cells(one: SubgroupEffects, block: str) -> dict[str, Any]:
    """Return the row of the joint test; degrees of freedom that would tell a count are left out."""
    test = one.test
    of = f" and {test.df_denominator:.1f}" if test and one.tells_no_small_count else ""
    return {
        "subgroup": SAME_EFFECT,
        **_shared_cells(one, block),
        **dict.fromkeys(RESTING, math.nan),
        "p_value": test.p_value if test else math.nan,
        "test": f"F = {test.statistic:.2f} on {test.df_numerator}{of} df" if test else "",
        "n_visited": None,
        "n_comparison": None,
        "notes": " ".join(one.notes),
    }


def _shared_cells(one: SubgroupEffects, block: str) -> dict[str, str]:
    unit = outcome_unit(one.outcome)
    return {"block": block, "question": one.question, "role": one.role, "unit": unit}


def _notes(results: Sequence[SubgroupEffects]) -> tuple[str, ...]:
    tests = sum(one.test is not None for one in results)
    chance = (
        f" Of {tests} joint tests about {tests * 0.05:.1f} would have p below .05 by chance if "
        "effects were the same everywhere."
        if tests > 1
        else ""
    )
    ways = dict.fromkeys(f"{one.test.test}, {one.covariance}" for one in results if one.test)
    return (
        "Whether effects differ is told by the joint test, not by which subgroups have a p below "
        f".05. p values are not adjusted for the number of subgroups or tests.{chance}",
        "A difference between subgroups is not the effect of belonging to them.",
        *((f"Joint tests: {'; '.join(ways)}.",) if ways else ()),
    )


def _refused(results: Sequence[SubgroupEffects], asked: Mapping[str, Question]) -> tuple[str, ...]:
    """Return why subgroups have no estimate and columns no test, and what else their notes say."""
    sentences = [
        f"{_block_words(one, asked)}, {plain_words(row.subgroup)}: {row.refused}."
        for one in results
        for row in one.subgroups
        if row.refused
    ]
    sentences += [
        f"{_block_words(one, asked)}: {plain_words(note)}" for one in results for note in one.notes
    ]
    return tuple(dict.fromkeys(sentences))
