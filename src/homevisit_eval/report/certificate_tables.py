"""Tables of a certificate: R1 verdicts, R2 performance, R3 designs, R4 districts, R5 expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.certificate import MAIN
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.certificate_words import (
    JUDGMENTS,
    MODE_WORDS,
    QUESTIONS,
    by_outcome,
    drawn_sentence,
    expected_label,
    main_mode,
    main_performance,
    main_verdicts,
    modes_of,
    outcome_title,
    reason_text,
    unit_of,
    verdict_on,
)
from homevisit_eval.table import PERCENT, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Estimated, Mode, Performance
    from homevisit_eval.certificate.performance import Answered, Judgment

__all__ = [
    "certificate_designs",
    "certificate_districts",
    "certificate_expectations",
    "certificate_performance",
    "certificate_verdicts",
]

OF_OUTCOME = "unit of the outcome"

MEASURES: Mapping[str, tuple[str, Kind, str, int]] = {
    "truth_all": ("(a) True effect on all eligible visited students", "effect", OF_OUTCOME, 3),
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
        population=_population(certificate, modes),
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
            if math.isnan(estimated.value):
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
        notes=(*NOTES, *_failed_notes(performances)),
        synthetic=True,
        population=_population(certificate, [mode]),
        unit="unit",
        row_formats=tuple(formats),
        spanners=(("Monte Carlo 95% interval", ("ci_low", "ci_high")),),
        section="outcome",
        csv_only=("field", "unit"),
    )


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
            *_failed_notes(shown),
        ),
        synthetic=True,
        population=_population(certificate, [mode]),
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
    coverage = one.coverage_expected if one.mode == "redrawn" else one.coverage_kept
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
        for label, spread, kind, unit, digits in (
            ("Bias", one.bias_spread, "effect", unit_of(certificate.design, one), 3),
            ("Coverage of (b)", one.coverage_spread, "mean", PERCENT, 1),
        ):
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
        population=_population(certificate, ["fixed"]),
        unit="unit",
        row_formats=tuple(formats),
        spanners=(
            ("Districts", ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")),
            ("Standard deviation", ("sd", "sd_by_chance")),
        ),
        section="outcome",
        csv_only=("unit",),
    )


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
        population=_population(certificate, [mode]),
        section="outcome",
    )


def _as_expected(expected: str, verdict: Judgment) -> str:
    if verdict == "undecided":
        return "not decided"
    passed = ("pass", "conservative")
    return "yes" if verdict == expected or {verdict, expected} <= set(passed) else "NO"


SPREAD_LABELS: Mapping[str, str] = {
    "minimum": "lowest",
    "lower_quartile": "lower quartile",
    "median": "median",
    "upper_quartile": "upper quartile",
    "maximum": "highest",
    "sd": "of districts",
    "sd_by_chance": "by chance",
}


def _judged(certificate: Certificate, performance: Performance, question: Answered) -> str:
    verdict = verdict_on(certificate, performance, question)
    return JUDGMENTS[verdict.verdict][1] if verdict else ""


def _titled(
    certificate: Certificate, performance: Performance, among: Sequence[Performance]
) -> str:
    title = outcome_title(certificate.design, performance, among)
    several = len({one.mode for one in among}) > 1
    return f"{title}, {MODE_WORDS[performance.mode][0]}" if several else title


def _population(certificate: Certificate, modes: Sequence[Mode]) -> str:
    parts = [drawn_sentence(main_performance(certificate, mode)[0]) for mode in modes]
    return f"{'; '.join(parts)}. Preset {certificate.district.name}, seed {certificate.seed}."


def _failed_notes(performances: Sequence[Performance]) -> tuple[str, ...]:
    failed = sum(one.failed for one in performances)
    if not failed:
        return ()
    return (
        "Where the method could not be carried out in a replication, there is no estimate, and "
        f"the replication enters no figure: {failed:,} times over these lines.",
    )
