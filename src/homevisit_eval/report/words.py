"""Results in plain words: units, school years, and one careful sentence for an effect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from homevisit_eval.design import Outcome
from homevisit_eval.design.questions import (
    BINARY_BASELINE_COLUMNS,
    CATEGORICAL_BASELINE_COLUMNS,
)
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = [
    "Verdict",
    "adjusted_p",
    "covariate_unit",
    "grade_text",
    "impact_sentence",
    "in_sentence",
    "interval_text",
    "listed",
    "outcome_unit",
    "verdict",
]

Verdict = Literal["clear, favorable", "clear, unfavorable", "no clear difference"]

PROPER_NAMES = ("English",)
FRACTION_BASELINE_COLUMNS = (
    "attendance_rate_prior",
    "school_attendance_prior",
    "school_incident_rate_prior",
    "school_at_risk_prior",
)


def grade_text(grade: int) -> str:
    """Return a grade as printed.

    >>> grade_text(3), grade_text(0), grade_text(-1)
    ('Grade 3', 'Kindergarten', 'Pre-kindergarten')
    """
    return {-1: "Pre-kindergarten", 0: "Kindergarten"}.get(grade, f"Grade {grade}")


def listed(words: tuple[str, ...] | list[str]) -> str:
    """Return words as a list in a sentence, with semicolons if a word has commas of its own.

    >>> listed(["a", "b", "c"]), listed(["a", "b"])
    ('a, b and c', 'a and b')
    """
    if len(words) < 2:
        return "".join(words)
    if any("," in word for word in words):
        return f"{'; '.join(words[:-1])}; and {words[-1]}"
    return f"{', '.join(words[:-1])} and {words[-1]}"


def in_sentence(label: str) -> str:
    """Return a label as it stands within a sentence; names and abbreviations keep capitals.

    >>> in_sentence("Attendance rate"), in_sentence("PARCC math score")
    ('attendance rate', 'PARCC math score')
    """
    proper = label[1:2].isupper() or label.startswith(PROPER_NAMES)
    return label if proper else label[:1].lower() + label[1:]


def outcome_unit(outcome: Outcome) -> str:
    """Return the unit of an outcome as tables print it."""
    if outcome.scale == "binary":
        return PERCENT_OF_STUDENTS
    return PERCENT if outcome.scale == "fraction" else outcome.unit


def covariate_unit(name: str) -> str:
    """Return the unit of a baseline column: a share of students, a percent, or nothing."""
    if name in BINARY_BASELINE_COLUMNS or name in CATEGORICAL_BASELINE_COLUMNS:
        return PERCENT_OF_STUDENTS
    return PERCENT if name in FRACTION_BASELINE_COLUMNS else ""


def adjusted_p(effect: Effect) -> float:
    """Return the p value that a verdict rests on: adjusted for its family where that was done."""
    return effect.p_value if math.isnan(effect.p_value_adjusted) else effect.p_value_adjusted


def verdict(effect: Effect) -> Verdict:
    """Say whether the data show a difference, and whether it is good for students.

    A difference is clear if its p value, adjusted for the other outcomes of its family, is
    below 1 less the confidence level.
    """
    if not adjusted_p(effect) < 1 - effect.confidence_level:
        return "no clear difference"
    good = (effect.estimate > 0) == (effect.outcome.beneficial == "higher")
    return "clear, favorable" if good else "clear, unfavorable"


def interval_text(effect: Effect) -> str:
    """Return the confidence interval as printed, for example "−4.10 to −1.80 percentage points"."""
    unit = outcome_unit(effect.outcome)
    low, high = (
        format_value(value, "effect", unit).removesuffix(" pp")
        for value in (effect.ci_low, effect.ci_high)
    )
    return f"{low} to {high} {_difference_unit(effect.outcome)}"


def impact_sentence(effect: Effect) -> str:
    """Return one plain sentence about an effect, with its interval.

    It compares two groups of students; it does not say that the visits alone made the difference.

    Parameters
    ----------
    effect
        With p values adjusted, if several outcomes were tested.
    """
    unit = outcome_unit(effect.outcome)
    level = f"{effect.confidence_level * 100:g}% interval"
    visited, comparison = (
        format_value(mean, "mean", unit)
        for mean in (effect.adjusted_mean_visited, effect.adjusted_mean_comparison)
    )
    if verdict(effect) == "no clear difference":
        return _unclear_sentence(effect, visited, comparison, level)
    size = format_value(abs(effect.estimate), "spread", unit).removesuffix(" pp")
    interval = f"{level} {interval_text(effect)}"
    subject = in_sentence(effect.outcome.label)
    amount = f"{size} {_difference_unit(effect.outcome)}"
    more = effect.estimate > 0
    if effect.outcome.scale == "binary":
        return (
            f"{effect.outcome.label} was {amount} {'more' if more else 'less'} common among "
            f"visited students ({visited}) than among matched comparison students "
            f"({comparison}); {interval}."
        )
    if effect.outcome.scale == "count":
        return (
            f"Visited students had on average {size} {'more' if more else 'fewer'} "
            f"{effect.outcome.unit} ({visited}) than matched comparison students ({comparison}); "
            f"{interval}."
        )
    return (
        f"The {subject} of visited students ({visited}) was {amount} "
        f"{'higher' if more else 'lower'} than that of matched comparison students "
        f"({comparison}); {interval}."
    )


def _unclear_sentence(effect: Effect, visited: str, comparison: str, level: str) -> str:
    outcome = in_sentence(effect.outcome.label)
    start = (
        f"No clear difference in {outcome}: {visited} among visited and {comparison} among matched "
        f"comparison students; the {level} runs from {interval_text(effect)}"
    )
    if effect.p_value < 1 - effect.confidence_level:
        p = format_value(effect.p_value_adjusted, "p_value")
        p = p if p.startswith("<") else f"= {p}"
        return (
            f"{start}. Alone it would count as a difference, but not once the number of outcomes "
            f"is taken into account (adjusted p {p})."
        )
    return f"{start}, so these data rule out neither an increase nor a decrease."


def _difference_unit(outcome: Outcome) -> str:
    return "percentage points" if outcome.scale in ("binary", "fraction") else outcome.unit
