"""Tables of a certificate that compare designs (R3), and what was expected of them (R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.report.certificate_notes import failed_notes, population_text
from homevisit_eval.report.certificate_words import (
    JUDGMENTS,
    QUESTIONS,
    by_outcome,
    coverage_of,
    expected_label,
    main_mode,
    outcome_title,
    unit_of,
    verdict_on,
)
from homevisit_eval.table import Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Mode, Performance
    from homevisit_eval.certificate.performance import Answered, Judgment

__all__ = ["certificate_designs", "certificate_expectations"]


def certificate_designs(
    certificate: Certificate, mode: Mode | None = None, name: str = "R3"
) -> Table:
    """Return the study's design beside its variations, so that one sees which choices matter.

    Parameters
    ----------
    mode, name
        As in `certificate_performance`.
    """
    mode = mode or main_mode(certificate)
    shown = by_outcome([one for one in certificate.performance if one.mode == mode])
    frame = pd.DataFrame(
        [_design_row(certificate, one, shown) for one in shown], columns=list(DESIGN_KINDS)
    )
    drops = [column for column in ("power", "failed") if not frame[column].any()]
    return Table(
        name=name,
        title="Which choices of the design matter",
        frame=frame,
        kinds=DESIGN_KINDS,
        labels=DESIGN_LABELS,
        notes=(
            "Each line differs from the study's design in what its name says. Standard errors: "
            "mean of those reported over the standard deviation of the estimates, 1 if honest. "
            "Coverage: of (c), the expected effect, with schools redrawn; of (b) with schools "
            "fixed. Power: p < .05 and the right sign. Monte Carlo errors of all figures stand "
            "in the CSV file.",
            *failed_notes(shown),
        ),
        synthetic=True,
        population=population_text(certificate, [mode]),
        unit="unit",
        digits={
            "bias": 3, "bias_se": 3, "rmse": 3, "bias_of_std_error": 0, "coverage": 1,
            "coverage_se": 1, "power": 0, "rejection": 1, "share_matched": 1,
        },
        spanners=(
            ("Bias", ("bias", "bias_se", "bias_of_std_error")),
            ("Coverage", ("coverage", "coverage_se")),
            ("Verdict", ("verdict_bias", "verdict_coverage")),
        ),
        section="outcome",
        csv_only=("name", "unit", "bias_of_naive", "se_ratio_se", "rejection", "rejection_se",
                  "power_se", "replications", *drops),
    )  # fmt: skip


DESIGN_KINDS: Mapping[str, Kind] = {
    "label": "text",
    "name": "text",
    "outcome": "text",
    "unit": "text",
    "bias": "effect",
    "bias_se": "spread",
    "bias_of_std_error": "rate",
    "bias_of_naive": "rate",
    "rmse": "spread",
    "se_ratio": "number",
    "se_ratio_se": "number",
    "coverage": "rate",
    "coverage_se": "rate",
    "rejection": "rate",
    "rejection_se": "rate",
    "power": "rate",
    "power_se": "rate",
    "share_matched": "rate",
    "largest_smd": "number",
    "verdict_bias": "text",
    "verdict_coverage": "text",
    "replications": "whole_number",
    "failed": "whole_number",
}
DESIGN_LABELS: Mapping[str, str] = {
    "label": "Design",
    "bias": "on average",
    "bias_se": "Monte Carlo SE",
    "bias_of_std_error": "of one SE",
    "rmse": "Typical error (RMSE)",
    "se_ratio": "Standard errors",
    "coverage": "of intervals",
    "coverage_se": "Monte Carlo SE",
    "power": "Power",
    "share_matched": "Visited kept",
    "largest_smd": "Worst SMD",
    "verdict_bias": "Bias",
    "verdict_coverage": "Coverage",
    "failed": "Without estimate",
}


def _design_row(
    certificate: Certificate, one: Performance, shown: Sequence[Performance]
) -> dict[str, object]:
    coverage = coverage_of(one)
    return {
        "label": one.label,
        "name": one.design,
        "outcome": outcome_title(certificate.design, one, shown),
        "unit": unit_of(certificate.design, one),
        "bias": one.bias.value,
        "bias_se": one.bias.std_error,
        "bias_of_std_error": one.bias_of_std_error.value,
        "bias_of_naive": one.bias_of_naive.value,
        "rmse": one.rmse.value,
        "se_ratio": one.se_ratio.value,
        "se_ratio_se": one.se_ratio.std_error,
        "coverage": coverage.value,
        "coverage_se": coverage.std_error,
        "rejection": one.rejection.value,
        "rejection_se": one.rejection.std_error,
        "power": one.power.value,
        "power_se": one.power.std_error,
        "share_matched": one.share_matched.value,
        "largest_smd": one.largest_smd.value,
        "verdict_bias": _judged(certificate, one, "bias"),
        "verdict_coverage": _judged(certificate, one, "coverage"),
        "replications": one.replications,
        "failed": one.failed,
    }


def certificate_expectations(certificate: Certificate, name: str = "R5") -> Table | None:
    """Return what was stated of the preset before it was run, beside what came out.

    None if nothing was stated of this kind of district.
    """
    mode = main_mode(certificate)
    shown = by_outcome([one for one in certificate.performance if one.mode == mode])
    rows = []
    for one in shown:
        for question in QUESTIONS:
            expected = certificate.expected.get(f"{one.design}: {question}")
            verdict = verdict_on(certificate, one, question)
            if expected is None or verdict is None:
                continue
            rows.append(
                {
                    "question": QUESTIONS[question],
                    "design": one.label,
                    "outcome": outcome_title(certificate.design, one, shown),
                    "expected": expected_label(expected),
                    "verdict": JUDGMENTS[verdict.verdict][1],
                    "as_expected": _as_expected(expected, verdict.verdict),
                }
            )
    if not rows:
        return None
    return Table(
        name=name,
        title="What was expected of such districts before any was made",
        frame=pd.DataFrame(rows)[
            ["design", "question", "outcome", "expected", "verdict", "as_expected"]
        ],
        kinds=dict.fromkeys(rows[0], "text"),
        labels={
            "design": "Design",
            "question": "Question",
            "expected": "Expected",
            "verdict": "Verdict",
            "as_expected": "As expected",
        },
        notes=(
            "Some kinds of districts are made to defeat a design: there an honest certificate "
            "says fail.",
        ),
        synthetic=True,
        population=population_text(certificate, [mode]),
        section="outcome",
    )


def _as_expected(expected: str, verdict: Judgment) -> str:
    if verdict == "undecided":
        return "not decided"
    passed = ("pass", "conservative")
    return "yes" if verdict == expected or {verdict, expected} <= set(passed) else "NO"


def _judged(certificate: Certificate, performance: Performance, question: Answered) -> str:
    verdict = verdict_on(certificate, performance, question)
    return JUDGMENTS[verdict.verdict][1] if verdict else ""
