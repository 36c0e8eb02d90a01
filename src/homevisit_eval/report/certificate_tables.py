"""Tables of a certificate: verdicts (R1), performance (R2), fixed districts (R4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.certificate import MAIN
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.certificate_notes import failed_notes, population_text
from homevisit_eval.report.certificate_words import (
    JUDGMENTS,
    MODE_WORDS,
    QUESTIONS,
    main_mode,
    main_performance,
    main_verdicts,
    modes_of,
    outcome_title,
    reason_text,
    unit_of,
)
from homevisit_eval.table import PERCENT, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Estimated, Mode, Performance, Spread

__all__ = [
    "certificate_districts",
    "certificate_performance",
    "certificate_verdicts",
]

OF_OUTCOME = "unit of the outcome"

MEASURES: Mapping[str, tuple[str, Kind, str, int]] = {
    "truth_all": ("(a) True effect on all visited candidates", "effect", OF_OUTCOME, 3),
    "truth_kept": ("(b) True effect on the visited students kept", "effect", OF_OUTCOME, 3),
    "drift": ("Drift: (b) less (a)", "effect", OF_OUTCOME, 3),
    "truth_total": ("True effect against no program at all", "effect", OF_OUTCOME, 3),
    "comparison_gain": ("Gain of comparison students from others' visits", "effect", OF_OUTCOME, 3),
    "naive_bias": ("Error of the plain comparison (naive bias)", "effect", OF_OUTCOME, 3),
    "bias": ("Error of the design on average (bias)", "effect", OF_OUTCOME, 3),
    "bias_sd_units": ("Bias in standard deviations of the outcome", "effect_size", "", 4),
    "bias_of_std_error": ("Bias as a share of the standard error", "mean", PERCENT, 1),
    "bias_of_naive": ("Bias as a share of the naive bias", "mean", PERCENT, 1),
    "rmse": ("Typical error of one study (RMSE)", "spread", OF_OUTCOME, 3),
    "mean_std_error": ("Standard error that the design reports", "spread", OF_OUTCOME, 3),
    "empirical_std_error": ("Standard deviation of its estimates", "spread", OF_OUTCOME, 3),
    "se_ratio": ("Reported standard error / standard deviation", "number", "", 3),
    "coverage_expected": ("Intervals that hold (c), the expected effect", "mean", PERCENT, 1),
    "coverage_kept": ("Intervals that hold (b)", "mean", PERCENT, 1),
    "coverage_all": ("Intervals that hold (a)", "mean", PERCENT, 1),
    "rejection": ("Replications with p < .05", "mean", PERCENT, 1),
    "power": ("Power: p < .05 and the right sign", "mean", PERCENT, 1),
    "power_published": ("Power if the effect were the published one", "mean", PERCENT, 1),
    "share_matched": ("Visited students kept", "mean", PERCENT, 1),
    "largest_smd_before": ("Worst covariate difference before matching (SD)", "number", "", 3),
    "largest_smd": ("Worst covariate difference after matching (SD)", "number", "", 3),
}
"""Of each figure of a performance: its label, how it is printed, its unit, its decimals."""

NOT_EVERYWHERE = ("truth_total", "comparison_gain", "power", "power_published")
"""Figures that some districts or outcomes do not have."""

NOTES = (
    "Monte Carlo error: how much the number could differ had other replications been drawn; the "
    "interval is its 95% interval. (c), the expected effect, is the mean of (a) over "
    "replications. pp: percentage points.",
    "Bias is against (b), the truth on the students that the design kept: a design that leaves "
    "out students makes no claim about (a).",
)


def certificate_verdicts(certificate: Certificate, name: str = "R1") -> Table:
    """Return the verdicts on the study's own design, each with the numbers behind it."""
    modes = modes_of(certificate)
    performances = [one for one in certificate.performance if one.design == MAIN]
    by_place = {(one.mode, one.study_question, one.outcome): one for one in performances}
    rows = []
    for one in (verdict for mode in modes for verdict in main_verdicts(certificate, mode)):
        performance = by_place[one.mode, one.study_question, one.outcome]
        rows.append(
            {
                "outcome": _titled(certificate, performance, performances),
                "mode": one.mode,
                "question": QUESTIONS[one.question],
                "verdict": JUDGMENTS[one.verdict][1],
                "replications": performance.replications,
                "replications_needed": one.replications_needed,
                "reason": reason_text(one),
            }
        )
    columns: Mapping[str, Kind] = {
        "outcome": "text",
        "mode": "text",
        "question": "text",
        "verdict": "text",
        "replications": "whole_number",
        "replications_needed": "whole_number",
        "reason": "text",
    }
    frame = pd.DataFrame(rows, columns=list(columns)).astype({"replications_needed": "Int64"})
    return Table(
        name=name,
        title="Verdicts on the design",
        frame=frame[["question", *(column for column in columns if column != "question")]],
        kinds=columns,
        labels={
            "question": "Question",
            "verdict": "Verdict",
            "replications_needed": "Replications that would decide",
        },
        notes=(
            "The rules were stated before any result was seen; table R2 has the numbers. "
            "Undecided: the Monte Carlo interval lies neither inside nor outside the limits.",
        ),
        synthetic=True,
        population=population_text(certificate, modes),
        section="outcome",
        detail="reason",
        csv_only=(
            "mode",
            "replications",
            *([] if frame["replications_needed"].notna().any() else ["replications_needed"]),
        ),
    )


def certificate_performance(
    certificate: Certificate, mode: Mode | None = None, name: str = "R2"
) -> Table:
    """Return every figure of the study's own design with its Monte Carlo error.

    Parameters
    ----------
    mode
        Schools redrawn or fixed; redrawn where it was run if not given.
    name
        The number of the table.
    """
    mode = mode or main_mode(certificate)
    performances = main_performance(certificate, mode)
    rows, formats = [], []
    for one in performances:
        title = outcome_title(certificate.design, one, performances)
        for measure, (label, kind, unit, digits) in MEASURES.items():
            estimated: Estimated = getattr(one, measure)
            if math.isnan(estimated.value) and measure in NOT_EVERYWHERE:
                continue
            rows.append(
                {
                    "measure": label,
                    "outcome": title,
                    "field": measure,
                    "unit": unit_of(certificate.design, one) if unit == OF_OUTCOME else unit,
                    "value": estimated.value,
                    "std_error": estimated.std_error,
                    "ci_low": estimated.ci_low,
                    "ci_high": estimated.ci_high,
                }
            )
            formats.append((kind, digits))
    return Table(
        name=name,
        title="How the design performs",
        frame=pd.DataFrame(rows),
        kinds={
            "measure": "text",
            "outcome": "text",
            "field": "text",
            "unit": "text",
            "value": "number",
            "std_error": "spread",
            "ci_low": "number",
            "ci_high": "number",
        },
        labels={
            "measure": "Figure",
            "value": "Value",
            "std_error": "Monte Carlo SE",
            "ci_low": "from",
            "ci_high": "to",
        },
        notes=(*NOTES, *failed_notes(performances)),
        synthetic=True,
        population=population_text(certificate, [mode]),
        unit="unit",
        row_formats=tuple(formats),
        spanners=(("Monte Carlo 95% interval", ("ci_low", "ci_high")),),
        section="outcome",
        csv_only=("field", "unit"),
    )


def certificate_districts(certificate: Certificate, name: str = "R4") -> Table:
    """Return how bias and coverage differ between districts that are held fixed.

    Raises
    ------
    EstimationError
        If mode fixed was not run.
    """
    performances = main_performance(certificate, "fixed")
    rows: list[dict[str, object]] = []
    formats: list[tuple[Kind, int]] = []
    for one in performances:
        lines: tuple[tuple[str, Spread | None, Kind, str, int], ...] = (
            ("Bias", one.bias_spread, "effect", unit_of(certificate.design, one), 3),
            ("Coverage of (b)", one.coverage_spread, "mean", PERCENT, 1),
        )
        for label, spread, kind, unit, digits in lines:
            if spread is None:
                continue
            rows.append(
                {
                    "measure": label,
                    "outcome": outcome_title(certificate.design, one, performances),
                    "unit": unit,
                    **{column: getattr(spread, column) for column in SPREAD_LABELS},
                }
            )
            formats.append((kind, digits))
    if not rows:
        raise EstimationError(
            "No district was held fixed, so there is no spread to show; certify in mode fixed."
        )
    return Table(
        name=name,
        title="How far districts differ when schools are fixed",
        frame=pd.DataFrame(rows),
        kinds={
            "measure": "text",
            "outcome": "text",
            "unit": "text",
            **{
                column: "spread" if column.startswith("sd") else "number"
                for column in SPREAD_LABELS
            },
        },
        labels={"measure": "Figure", **SPREAD_LABELS},
        notes=(
            "Each district has a bias and a coverage of its own; a line shows how these are "
            "spread. By chance: the standard deviation that few replications a district would "
            "give alone if all districts were alike.",
        ),
        synthetic=True,
        population=population_text(certificate, ["fixed"]),
        unit="unit",
        row_formats=tuple(formats),
        spanners=(
            ("Districts", ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")),
            ("Standard deviation", ("sd", "sd_by_chance")),
        ),
        section="outcome",
        csv_only=("unit",),
    )


SPREAD_LABELS: Mapping[str, str] = {
    "minimum": "lowest",
    "lower_quartile": "lower quartile",
    "median": "median",
    "upper_quartile": "upper quartile",
    "maximum": "highest",
    "sd": "of districts",
    "sd_by_chance": "by chance",
}


def _titled(
    certificate: Certificate, performance: Performance, among: Sequence[Performance]
) -> str:
    title = outcome_title(certificate.design, performance, among)
    several = len({one.mode for one in among}) > 1
    return f"{title}, {MODE_WORDS[performance.mode][0]}" if several else title
