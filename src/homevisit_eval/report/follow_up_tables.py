"""Table of impacts in the year of the visit and the years after it, with attrition (B7)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design.measures import measured_name
from homevisit_eval.design.questions import LaterVisits
from homevisit_eval.disclosure import is_few, round_where_few_are_lost, suppress_small_counts
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.effect_notes import with_effect_notes
from homevisit_eval.report.hidden_effects import few_groups
from homevisit_eval.report.words import outcome_unit, question_words
from homevisit_eval.sample.score_grades import SMALLEST_SHARE_TESTED
from homevisit_eval.table import Cell, HidingRule, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.matching import MatchedSample

__all__ = [
    "attrition_to_hide",
    "could_be_followed",
    "follow_up",
    "follow_up_order",
    "lost_by_group",
    "years_after_words",
]

GROUPS = ("visited", "comparison")

LATER_VISITS: Mapping[LaterVisits, str] = {
    "natural_course": "Later visits of both groups take their natural course and are part of the "
    "difference; the table of later visits counts them.",
    "none": "Against no visit through the year of the row: both members of a pair are followed "
    "until the comparison student is visited, and days are weighted by the inverse probability of "
    "that. Further visits of the visited are part of the difference.",
}

RESTING = (
    "adjusted_mean_visited", "adjusted_mean_comparison", "estimate", "ci_low", "ci_high",
    "p_value", "p_value_adjusted", "effect_size",
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    "when": "text",
    "outcome": "text",
    "question": "text",
    "unit": "text",
    **dict.fromkeys(("adjusted_mean_visited", "adjusted_mean_comparison"), "mean"),
    **dict.fromkeys(("estimate", "ci_low", "ci_high"), "effect"),
    **dict.fromkeys(("p_value", "p_value_adjusted"), "p_value"),
    "effect_size": "effect_size",
    "n_visited": "count",
    "n_comparison": "count",
    "attrition_visited": "rate",
    "attrition_comparison": "rate",
    "attrition_difference": "rate",
}
LABELS: Mapping[str, str] = {
    "when": "When measured",
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
    "attrition_visited": "Visited",
    "attrition_comparison": "Comparison",
    "attrition_difference": "Visited less comparison",
}


def years_after_words(years_after: int) -> str:
    """Return how long after the visit's school year something is, in words.

    >>> years_after_words(0), years_after_words(1), years_after_words(3)
    ('Year of the visit', '1 year later', '3 years later')
    """
    if not years_after:
        return "Year of the visit"
    return "1 year later" if years_after == 1 else f"{years_after} years later"


def follow_up(effects: Sequence[Effect], matched: MatchedSample, name: str = "B7") -> Table:
    """Return impacts in the year of the visit and the years after it, with attrition by group.

    Parameters
    ----------
    effects
        Of one question; outcomes of later years end in ``_after_1`` to ``_after_3``.
    matched
        The same pairs for every year; its outcomes say who is observed.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Means and effects are fractions where the unit is a percent.

    Raises
    ------
    EstimationError
        If there is no effect to show, or one is of another question.

    Notes
    -----
    Attrition is the share without the outcome of those who could be followed
    (`could_be_followed`). Differential attrition is that of the visited less that of the comparison
    students, in percentage points, as the What Works Clearinghouse counts it.
    """
    lines = follow_up_order(effects, matched)
    lost = [lost_by_group(effect.outcome.name, matched) for effect in lines]
    frame = pd.DataFrame(
        [
            {column: _cell(effect, column, counts) for column in KINDS}
            for effect, counts in zip(lines, lost, strict=True)
        ]
    ).astype({"n_visited": "int64", "n_comparison": "int64"})
    hidden: dict[Cell, HidingRule] = {}
    for row, counts in enumerate(lost):
        for column in attrition_to_hide(counts):
            hidden[row, column] = "would reveal a small count"
        for group in few_groups(lines[row]):
            for column in RESTING if group == "visited" else RESTING[1:]:
                hidden[row, column] = "would reveal a small count"
    table = Table(
        name=name,
        title="Impact in the year of the visit and in later years",
        frame=frame,
        kinds=KINDS,
        labels=LABELS,
        notes=(
            "The same matched students in every row, as far as the extracts reach and the design "
            "follows grades. Attrition: share of those who could be followed without this outcome. "
            "Where it differs much, who stayed may differ between the groups.",
            LATER_VISITS[matched.sample.question.later_visits],
        ),
        synthetic=matched.sample.synthetic,
        population=question_words(matched.sample.question),
        unit="unit",
        section="outcome",
        csv_only=("question", "unit"),
        spanners=(
            ("Adjusted mean", ("adjusted_mean_visited", "adjusted_mean_comparison")),
            (f"{100 * lines[0].confidence_level:g}% interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
            ("Attrition", tuple(column for column in KINDS if column.startswith("attrition"))),
        ),
        groups={
            "n_visited": (*RESTING, "attrition_visited", "attrition_difference"),
            "n_comparison": (*RESTING[1:], "attrition_comparison", "attrition_difference"),
        },
        hidden=hidden,
    )
    wholes = {f"n_{group}": [counts[group][1] for counts in lost] for group in GROUPS}
    safe = round_where_few_are_lost(suppress_small_counts(table), wholes)
    return with_effect_notes(safe, lines)


def could_be_followed(outcome: str, matched: MatchedSample) -> NDArray[np.bool_]:
    """Say which rows of the sample could have an outcome: shape (n,).

    They are matched, of a school year and grade in which at least a tenth of the matched have it,
    and by then in no grade above the highest that is followed, if promoted every year.
    """
    baseline = matched.sample.baseline
    used = matched.matches.weights.to_numpy() > 0
    observed = matched.sample.outcomes[outcome].notna()
    rows = baseline.loc[used, ["school_year", "grade"]].assign(
        observed=observed.to_numpy(dtype=np.float64)[used]
    )
    share = rows.groupby(["school_year", "grade"], observed=True)["observed"].transform("mean")
    measured = np.zeros(len(used), dtype=bool)
    measured[used] = share.to_numpy() >= SMALLEST_SHARE_TESTED
    after = measured_name(outcome)[1]
    highest = matched.sample.design.eligibility.highest_grade_followed
    then = baseline["grade"].to_numpy() + after
    return np.asarray(used & measured & ((then <= highest) | (after == 0)))


def follow_up_order(effects: Sequence[Effect], matched: MatchedSample) -> list[Effect]:
    """Return the effects of a matched sample by outcome, in the order of their years.

    Raises
    ------
    EstimationError
        As `follow_up`.
    """
    if not effects:
        raise EstimationError("follow-up: there is no effect to show; estimate at least one.")
    question = matched.sample.question
    others = {effect.question for effect in effects} - {question.name}
    unknown = {effect.outcome.name for effect in effects} - set(matched.sample.outcomes)
    if others or unknown:
        wrong = ", ".join(sorted(others | unknown))
        raise EstimationError(
            f"follow-up: {wrong} is not of the sample of question {question.name!r}; give the "
            "effects and the matched sample of one question."
        )
    measures = list(dict.fromkeys(measured_name(one.outcome.name)[0] for one in effects))
    return sorted(
        effects,
        key=lambda one: (
            measures.index(measured_name(one.outcome.name)[0]),
            measured_name(one.outcome.name)[1],
        ),
    )


def lost_by_group(outcome: str, matched: MatchedSample) -> dict[str, tuple[int, int, int]]:
    """Return by group: observed of those who could be followed, these, and observed others."""
    could = could_be_followed(outcome, matched)
    used = matched.matches.weights.to_numpy() > 0
    seen = used & matched.sample.outcomes[outcome].notna().to_numpy()
    visited = matched.sample.baseline["visited"].to_numpy()
    counts = {}
    for group in GROUPS:
        own = visited == int(group == "visited")
        parts = (seen & could & own, could & own, seen & ~could & own)
        counts[group] = tuple(int(part.sum()) for part in parts)
    return counts  # type: ignore[return-value]


def attrition_to_hide(counts: Mapping[str, tuple[int, int, int]]) -> list[str]:
    """Return the columns of attrition from which a count of few would follow."""
    hide = [
        f"attrition_{group}"
        for group, (seen, could, others) in counts.items()
        if is_few(could - seen) or is_few(others)
    ]
    return [*hide, "attrition_difference"] if hide else []


def _cell(effect: Effect, column: str, counts: Mapping[str, tuple[int, int, int]]) -> Any:
    """Return what stands in a column of the follow-up."""
    after = measured_name(effect.outcome.name)[1]
    attrition = {
        group: 1 - seen / could if could else math.nan for group, (seen, could, _) in counts.items()
    }
    made = {
        "when": years_after_words(after),
        "outcome": effect.outcome.label.removesuffix(f", {years_after_words(after)}"),
        "question": effect.question_label,
        "unit": outcome_unit(effect.outcome),
        "attrition_visited": attrition["visited"],
        "attrition_comparison": attrition["comparison"],
        "attrition_difference": attrition["visited"] - attrition["comparison"],
    }
    return made[column] if column in made else getattr(effect, column)
