"""What a certificate says, in words that need no training in statistics."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homevisit_eval.certificate import MAIN, MODES, Estimated, Mode
from homevisit_eval.design.measures import measured_name
from homevisit_eval.report.words import in_sentence, outcome_unit
from homevisit_eval.table import PERCENT, format_value
from homevisit_eval.table.cells import MINUS

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Performance, Verdict
    from homevisit_eval.certificate.performance import Answered, Judgment
    from homevisit_eval.design import StudyDesign

__all__ = [
    "JUDGMENTS",
    "MODE_WORDS",
    "QUESTIONS",
    "QUESTION_NOUNS",
    "bias_sentence",
    "by_outcome",
    "coverage_of",
    "coverage_sentence",
    "drawn_sentence",
    "expected_label",
    "false_positive_sentence",
    "main_mode",
    "main_performance",
    "main_verdicts",
    "matched_sentence",
    "modes_of",
    "outcome_title",
    "power_sentence",
    "printed_bias",
    "reason_text",
    "unit_of",
    "verdict_on",
]

JUDGMENTS: Mapping[Judgment, tuple[str, str]] = {
    "pass": ("good", "●\N{NO-BREAK SPACE}Pass"),
    "conservative": ("good", "●\N{NO-BREAK SPACE}Pass, cautious"),
    "undecided": ("", "○\N{NO-BREAK SPACE}Undecided"),
    "fail": ("bad", "◆\N{NO-BREAK SPACE}Fail"),
    "statement": ("", "–\N{NO-BREAK SPACE}For information"),
}
"""The style of a verdict on the page, and its label: a mark of its own, never color alone."""

QUESTIONS: Mapping[Answered, str] = {
    "bias": "Is the estimate right on average?",
    "coverage": "Do the intervals hold the truth as often as they promise?",
    "false positives": "Does it stay silent where visits do nothing?",
    "estimand drift": "Whom does the estimate describe?",
}

QUESTION_NOUNS: Mapping[Answered, str] = {
    "bias": "the average error",
    "coverage": "the coverage of the intervals",
    "false positives": "false alarms",
    "estimand drift": "whom it describes",
}

MODE_WORDS: Mapping[Mode, tuple[str, str]] = {
    "redrawn": (
        "schools redrawn",
        "Every replication is a district of its own: schools, students, visits and outcomes are "
        "all drawn anew. This is the question of a study that wants to speak of districts like "
        "this one.",
    ),
    "fixed": (
        "schools fixed",
        "A few districts are made once; in each, only the visits and the outcomes are drawn anew, "
        "many times, while its schools, students and everything before stay. This is the "
        "question of a district that wants to know about itself. One district's number is an "
        "accident of its schools, so only the spread over districts is shown.",
    ),
}


def modes_of(certificate: Certificate) -> list[Mode]:
    """Return the modes that were run, schools redrawn first."""
    run = {one.mode for one in certificate.performance}
    return [mode for mode in MODES if mode in run]


def main_mode(certificate: Certificate) -> Mode:
    """Return the mode that the main tables and figures show: schools redrawn where it was run."""
    return modes_of(certificate)[0]


def main_performance(certificate: Certificate, mode: Mode) -> list[Performance]:
    """Return how the study's own design did in a mode, one for each outcome."""
    return [one for one in certificate.performance if one.mode == mode and one.design == MAIN]


def main_verdicts(certificate: Certificate, mode: Mode) -> list[Verdict]:
    """Return the verdicts on the study's own design in a mode."""
    order = list(QUESTIONS)
    found = [one for one in certificate.verdicts if one.mode == mode and one.design == MAIN]
    places = list(dict.fromkeys((one.study_question, one.outcome) for one in found))
    return sorted(
        found,
        key=lambda one: (
            places.index((one.study_question, one.outcome)), order.index(one.question)
        ),
    )  # fmt: skip


def reason_text(verdict: Verdict) -> str:
    """Return the reason of a verdict as the page prints numbers."""
    return re.sub(r"(?<!\w)-(?=\d)", MINUS, verdict.reason).replace(" %", "%")


def verdict_on(
    certificate: Certificate, performance: Performance, question: Answered
) -> Verdict | None:
    """Return the verdict on one question about one design and outcome, if there is one."""
    place = (performance.mode, performance.study_question, performance.design, performance.outcome)
    for one in certificate.verdicts:
        found = (one.mode, one.study_question, one.design, one.outcome)
        if found == place and one.question == question:
            return one
    return None


def unit_of(design: StudyDesign, performance: Performance) -> str:
    """Return the unit of a performance's outcome as tables print it."""
    return outcome_unit(design.outcome(measured_name(performance.outcome)[0]))


def expected_label(stated: str) -> str:
    """Return the label of a verdict that a preset stated beforehand."""
    return next((label for key, (_, label) in JUDGMENTS.items() if key == stated), stated)


def by_outcome(performances: Sequence[Performance]) -> list[Performance]:
    """Return performances in the order of outcomes, designs in their order within each."""
    outcomes = list(dict.fromkeys((one.study_question, one.outcome) for one in performances))
    return sorted(performances, key=lambda one: outcomes.index((one.study_question, one.outcome)))


def coverage_of(performance: Performance) -> Estimated:
    """Return the coverage that the verdict judges: of (c) with schools redrawn, else of (b)."""
    redrawn = performance.mode == "redrawn"
    return performance.coverage_expected if redrawn else performance.coverage_kept


def outcome_title(design: StudyDesign, performance: Performance, among: Sequence[object]) -> str:
    """Return what an outcome is called: its label, and its question where there are several.

    Parameters
    ----------
    among
        The performances that are shown together.
    """
    questions = {getattr(one, "study_question", "") for one in among}
    if len(questions) < 2:
        return performance.outcome_label
    named = {one.name: one.label for one in design.timing_contrasts}
    named |= {one.name: one.label for one in design.questions}
    return f"{performance.outcome_label} ({in_sentence(named[performance.study_question])})"


def drawn_sentence(performance: Performance) -> str:
    """Return how many replications there were, and of what."""
    count = f"{performance.replications:,}"
    if performance.mode == "redrawn":
        return f"{count} synthetic districts, each drawn anew"
    return f"{count} replications in {performance.districts} synthetic districts held fixed"


def printed_bias(design: StudyDesign, performance: Performance) -> tuple[str, str]:
    """Return the bias as a number and its unit."""
    number, _, unit = _difference(performance.bias.value, unit_of(design, performance)).partition(
        " "
    )
    return number, unit


def bias_sentence(design: StudyDesign, performance: Performance) -> str:
    """Return how far off the estimate is on average, beside the error of a naive comparison."""
    unit = unit_of(design, performance)
    bias = performance.bias
    sentence = (
        "In districts like this one, the design's estimate is off by "
        f"{_difference(bias.value, unit)} on average "
        f"(Monte Carlo 95% interval {_interval(bias, unit)})"
    )
    parts = []
    if math.isfinite(performance.bias_of_std_error.value):
        share = abs(performance.bias_of_std_error.value)
        parts.append(f"{_percent(share)} of the standard error that a study of this size reports")
    if math.isfinite(performance.bias_of_naive.value):
        share = abs(performance.bias_of_naive.value)
        naive = _difference(performance.naive_bias.value, unit)
        parts.append(
            f"{_percent(share)} of what a plain comparison of visited with other students gets "
            f"wrong ({naive})"
        )
    return f"{sentence}. That is {' and '.join(parts)}." if parts else f"{sentence}."


def coverage_sentence(performance: Performance) -> str:
    """Return how often the interval held the truth."""
    level = f"{performance.confidence_level * 100:g}%"
    redrawn = performance.mode == "redrawn"
    coverage = coverage_of(performance)
    truth = "the expected effect" if redrawn else "the true effect on the students kept"
    return (
        f"Its {level} intervals held {truth} in {_percent(coverage.value, 1)} of replications "
        f"(Monte Carlo 95% interval {_percent(coverage.ci_low, 1)} to "
        f"{_percent(coverage.ci_high, 1)})."
    )


def false_positive_sentence(performance: Performance) -> str:
    """Return how often the design found an effect where there is none."""
    rejection = performance.rejection
    return (
        "Visits do nothing in this district; the design still called a difference clear "
        f"(p < .05) in {_percent(rejection.value, 1)} of replications (Monte Carlo 95% interval "
        f"{_percent(rejection.ci_low, 1)} to {_percent(rejection.ci_high, 1)}; 5% is what p < .05 "
        "promises)."
    )


def power_sentence(design: StudyDesign, performance: Performance, published: float) -> str:
    """Return how likely a study of this size would find the published effect."""
    power = performance.power_published
    if not math.isfinite(power.value):
        return ""
    effect = _difference(published, unit_of(design, performance), 2)
    return (
        f"If a visit changed this by the published {effect}, a study of this size would find it "
        f"(p < .05) with a probability of {_percent(power.value)}."
    )


def matched_sentence(design: StudyDesign, performance: Performance) -> str:
    """Return how many visited students the estimate rests on, and how those differ."""
    drift = _difference(performance.drift.value, unit_of(design, performance))
    return (
        f"It kept {_percent(performance.share_matched.value, 1)} of the visited candidates. "
        f"The true effect on those differs from that on all of them by {drift}."
    )


def _difference(value: float, unit: str, digits: int = 3) -> str:
    text = format_value(value, "effect", unit, digits)
    return (
        text.replace(" pp", " percentage points") if text.endswith(" pp") else f"{text} {unit}"
    ).rstrip()


def _interval(estimated: Estimated, unit: str) -> str:
    low, high = (
        format_value(value, "effect", unit, 3).removesuffix(" pp")
        for value in (estimated.ci_low, estimated.ci_high)
    )
    return f"{low} to {high}"


def _percent(share: float, digits: int = 0) -> str:
    return format_value(share, "mean", PERCENT, digits)
