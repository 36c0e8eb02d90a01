"""Results in plain words: units, school years, and one careful sentence for an effect."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from homevisit_eval.design import Outcome, Question, StudyDesign
from homevisit_eval.design.measures import BASELINE_COLUMNS
from homevisit_eval.effects.estimate import FEW_DF
from homevisit_eval.report.estimand_words import groups_made_alike, makes_pairs
from homevisit_eval.sample.missing import INDICATOR_SUFFIX
from homevisit_eval.table import PERCENT, PERCENT_OF_STUDENTS, format_value

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = [
    "CLUSTER_WORDS",
    "Verdict",
    "adjusted_p",
    "cluster_words",
    "comparison_students",
    "impact_sentence",
    "in_sentence",
    "interval_text",
    "marked",
    "one_question",
    "outcome_unit",
    "plain_words",
    "question_words",
    "reader_words",
    "reservation",
    "verdict",
    "with_role",
]

Verdict = Literal[
    "clear, favorable", "clear, unfavorable", "no clear difference", "not to be relied on"
]

CLUSTER_WORDS: Mapping[str, tuple[str, str]] = {
    "school_id": ("school", "schools"),
    "matched_set": ("matched pair", "matched pairs"),
    "student_id": ("student", "students"),
    "school_id+matched_set": ("school and matched set", "schools and matched sets"),
    "student_id+matched_set": ("student and matched set", "students and matched sets"),
    "none": ("student-year", "student-years"),
}
"""What a cluster is called, one and several."""


class Asked(Protocol):
    """A result that knows its question."""

    @property
    def question_label(self) -> str: ...

    @property
    def role(self) -> str: ...


PROPER_NAMES = ("English",)
READER_WORDS = (
    (r"^(comparison|treated) units(.*) used up$", r"all \1 students\2 already matched"),
    (r"in the (exact )?stratum|of the stratum", "among those who share what must be equal"),
    (r"in the subclass", "of the same subclass"),
    (r"that it may be matched with", "whom they may be matched with"),
    (r"that differs in", "who differs in"),
    (r"but rows of the same one", "except the same student at another time"),
    (r"is like it: its covariates predict treatment", "is like them: their covariates predict it"),
    (r"predict the group of", "predict who was visited of"),
    (r"in the band\b", "in these grades"),
    (r"\bband '([^']*)'", r"\1"),
    (r"unit\(s\)", "student-years"),
    (r"\bunit(s?)\b", r"student\1"),
    (r"\btreated\b", "visited"),
)


RACES = ("american_indian", "pacific_islander", "two_or_more")
RAW_NAME = re.compile(
    rf"\b({'|'.join(sorted((*BASELINE_COLUMNS, *RACES), key=len, reverse=True))})\b"
)
ENDINGS = {"_prior": "year before", "_to_date": "this year to date"}


def in_sentence(label: str) -> str:
    """Return a label as it stands within a sentence; names and abbreviations keep capitals.

    >>> in_sentence("Attendance rate"), in_sentence("PARCC math score")
    ('attendance rate', 'PARCC math score')
    """
    proper = label[1:2].isupper() or label.startswith(PROPER_NAMES)
    return label if proper else label[:1].lower() + label[1:]


def question_words(question: Question) -> str:
    """Return the label of a question with its role, as it was answered."""
    return with_role(question.label, question.role)


def with_role(label: str, role: str) -> str:
    """Return the label of a question with its role.

    >>> with_role("Impact of a visit", "secondary")
    'Impact of a visit (secondary question)'
    """
    return f"{label} ({role} question)"


def one_question(effects: Sequence[Asked]) -> str:
    """Return the question of all of these with its role; "" if they are of several."""
    asked = {with_role(one.question_label, one.role) for one in effects}
    return asked.pop() if len(asked) == 1 else ""


def marked(label: str, role: str) -> str:
    """Return a label that stands without its question, with a word if that one is exploratory.

    >>> marked("Attendance rate", "primary"), marked("Attendance rate", "exploratory")
    ('Attendance rate', 'Attendance rate (exploratory)')
    """
    return f"{label} (exploratory)" if role == "exploratory" else label


def reader_words(text: str, design: StudyDesign) -> str:
    """Return what matching says of its run in words for readers, covariates by their labels."""
    for pattern, words in READER_WORDS:
        text = re.sub(pattern, words, text)
    for covariate in design.covariates:
        label = in_sentence(covariate.label)
        text = re.sub(
            rf"\b{covariate.name}{INDICATOR_SUFFIX}\b", f"whether it is missing: {label}", text
        )
        text = re.sub(rf"\b{covariate.name}\b", label, text)
    return plain_words(text)


def plain_words(text: str) -> str:
    """Return text with names of covariates and of races in words, where no label is known.

    >>> plain_words("incidents_to_date; race_ethnicity: two_or_more")
    'incidents (this year to date); race/ethnicity: two or more'
    """
    return RAW_NAME.sub(lambda found: _in_words(found[0]), text)


def _in_words(name: str) -> str:
    if name == "race_ethnicity":
        return "race/ethnicity"
    for ending, words in ENDINGS.items():
        name = re.sub(f"{ending}$", f" ({words})", name)
    return name.replace("_", " ")


def outcome_unit(outcome: Outcome) -> str:
    """Return the unit of an outcome as tables print it."""
    if outcome.scale == "binary":
        return PERCENT_OF_STUDENTS
    return PERCENT if outcome.scale == "fraction" else outcome.unit


def adjusted_p(effect: Effect) -> float:
    """Return the p value that a verdict rests on: adjusted for its family where that was done."""
    return effect.p_value if math.isnan(effect.p_value_adjusted) else effect.p_value_adjusted


def comparison_students(effect: Effect) -> str:
    """Return what the comparison group of an effect is called."""
    made = groups_made_alike(effect)
    return "comparison students" if made == "unmatched" else f"{made} comparison students"


def cluster_words(effect: Effect) -> tuple[str, str]:
    """Return what a cluster of an effect is called, one and several."""
    if effect.cluster == "matched_set" and not makes_pairs(effect.method):
        return "matched set", "matched sets"
    return CLUSTER_WORDS.get(effect.cluster, (effect.cluster, effect.cluster))


def reservation(effect: Effect) -> str:
    """Return why an effect is not to be relied on, as a clause; empty if it may be."""
    if effect.df < FEW_DF:
        return f"it rests on only {effect.df:.1f} degrees of freedom"
    one = cluster_words(effect)[0]
    groups = (("visited", effect.clusters_visited), ("comparison", effect.clusters_comparison))
    alone = [name for name, count in groups if count == 1]
    return f"all {alone[0]} students are of one {one}" if alone else ""


def verdict(effect: Effect) -> Verdict:
    """Say whether the data show a difference, and whether it is good for students.

    A difference is clear if its p value, adjusted for the other outcomes of its family, is
    below 1 less the confidence level. There is no verdict on an effect with a `reservation`.
    """
    if reservation(effect):
        return "not to be relied on"
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
    if reason := reservation(effect):
        return (
            f"{effect.outcome.label}: {visited} among visited and {comparison} among "
            f"{comparison_students(effect)} ({level} of the difference {interval_text(effect)}). "
            f"This is not to be relied on: {reason}."
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
            f"visited students ({visited}) than among {comparison_students(effect)} "
            f"({comparison}); {interval}."
        )
    if effect.outcome.scale == "count":
        return (
            f"{effect.outcome.label}: visited students had on average {size} "
            f"{'more' if more else 'fewer'} {effect.outcome.unit} ({visited}) than "
            f"{comparison_students(effect)} ({comparison}); {interval}."
        )
    return (
        f"The {subject} of visited students ({visited}) was {amount} "
        f"{'higher' if more else 'lower'} than that of {comparison_students(effect)} "
        f"({comparison}); {interval}."
    )


def _unclear_sentence(effect: Effect, visited: str, comparison: str, level: str) -> str:
    outcome = in_sentence(effect.outcome.label)
    start = (
        f"No clear difference in {outcome}: {visited} among visited and {comparison} among "
        f"{comparison_students(effect)}; the {level} runs from {interval_text(effect)}"
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
