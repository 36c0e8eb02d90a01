"""The sections of a certificate's page, each from the tables and figures that it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from homevisit_eval.certificate.summarize import PUBLISHED_EFFECTS
from homevisit_eval.certificate.verdicts import (
    LARGEST_BIAS_OF_NAIVE,
    LARGEST_BIAS_OF_STD_ERROR,
    NOMINAL_COVERAGE,
)
from homevisit_eval.report.certificate_words import (
    JUDGMENTS,
    MODE_WORDS,
    QUESTION_NOUNS,
    QUESTIONS,
    bias_sentence,
    coverage_sentence,
    drawn_sentence,
    false_positive_sentence,
    main_mode,
    main_performance,
    main_verdicts,
    matched_sentence,
    modes_of,
    outcome_title,
    power_sentence,
    printed_bias,
    reason_text,
)
from homevisit_eval.report.page import (
    ReportFigure,
    figure_html,
    folded,
    paragraph,
    section,
    table_html,
)
from homevisit_eval.report.words import in_sentence
from homevisit_eval.sample.labels import listed
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Mode, Performance, Verdict
    from homevisit_eval.certificate.performance import Judgment

__all__ = [
    "asked",
    "bias_section",
    "choices_section",
    "coverage_section",
    "districts_section",
    "numbers_section",
    "power_section",
    "verdict_section",
    "verdict_summary",
]


def asked(certificate: Certificate, mode: Mode) -> str:
    """Return what was asked, for the head of the page."""
    performance = main_performance(certificate, mode)[0]
    return (
        f"The design “{certificate.design.title}” was carried out in {drawn_sentence(performance)}"
        f" (of the kind “{certificate.district.name}”), in each of which the true effect of a "
        "home visit is known. The question is whether its estimates are right on average, and "
        "whether its intervals hold the truth as often as they promise."
    )


def verdict_section(certificate: Certificate, table: Table) -> str:
    """Return the verdicts in plain words, one card an outcome, with R1 folded."""
    mode = main_mode(certificate)
    performances = main_performance(certificate, mode)
    cards = "\n".join(_card(certificate, one, performances) for one in performances)
    return section(
        "findings",
        "Verdicts",
        paragraph(_lead(certificate, mode), css="lead"),
        f'<div class="cards wide-cards">\n{cards}\n</div>',
        folded("The verdicts with their rules and numbers", table_html(table)),
    )


def verdict_summary(certificate: Certificate) -> str:
    """Return the verdicts on the study's own design as lines for a terminal."""
    performances = [
        one for mode in modes_of(certificate) for one in main_performance(certificate, mode)
    ]
    titles = {
        (one.mode, one.study_question, one.outcome): outcome_title(
            certificate.design, one, performances
        )
        for one in performances
    }
    lines = ["Synthetic data."]
    for mode in modes_of(certificate):
        for one in main_verdicts(certificate, mode):
            title = titles[one.mode, one.study_question, one.outcome]
            label = JUDGMENTS[one.verdict][1][2:]
            where = f", {MODE_WORDS[mode][0]}" if len(modes_of(certificate)) > 1 else ""
            lines.append(
                f"{title}, {one.question}{where}: {label}. {reason_text(one)}{_needed(one)}"
            )
    return "\n".join(lines).replace("−", "-")


def bias_section(drawings: Sequence[ReportFigure]) -> str:
    """Return how far off the estimates of all designs are: FR1 by outcome."""
    return section(
        "bias",
        "How far off is the estimate?",
        paragraph(
            "A mark is the average error of one design over all replications; its line is where "
            "that average could lie had other districts been drawn. The gray band is what the "
            f"verdict allows: {LARGEST_BIAS_OF_STD_ERROR:g} standard errors, and "
            f"{LARGEST_BIAS_OF_NAIVE:.0%} of the error of a plain comparison where that error "
            "exceeds one standard error. A line wholly inside the band passes. Designs that differ "
            "in their standard errors only have the same bias, and the first of them is drawn."
        ),
        _drawings(drawings),
    )


def coverage_section(drawings: Sequence[ReportFigure], every: ReportFigure) -> str:
    """Return how often the intervals hold the truth: FR2, and FR3 by outcome."""
    low, high = NOMINAL_COVERAGE
    return section(
        "coverage",
        "Do the intervals hold the truth?",
        '<div class="with-figure">',
        figure_html(every),
        "<div>",
        "<h3>How to read this figure</h3>",
        paragraph(
            "Each thin line is the interval of one replication, less the truth. The lines are "
            "ordered by how many standard errors the estimate is from the truth, the closest at "
            "the bottom. Intervals that miss the truth are orange and lie on top. If intervals are "
            "honest, orange begins at the dashed line; if it begins lower, they are too narrow."
        ),
        paragraph("Orange lines on one side only mean that the estimates lean to that side."),
        "</div>",
        "</div>",
        "<h3>Beside other designs</h3>",
        paragraph(
            f"The gray band is from {low:.1%} to {high:.1%}. A line wholly inside passes, one "
            "wholly outside fails; for any other, more replications are needed."
        ),
        _drawings(drawings),
    )


def power_section(certificate: Certificate, drawing: ReportFigure) -> str:
    """Return whether a study of this size would see the published effect, with FR3."""
    performances = main_performance(certificate, main_mode(certificate))
    sentences = [
        (one, power_sentence(certificate.design, one, PUBLISHED_EFFECTS[one.outcome]))
        for one in performances
        if one.outcome in PUBLISHED_EFFECTS
    ]
    return section(
        "power",
        "Would it see an effect?",
        '<div class="with-figure">',
        figure_html(drawing),
        "<div>",
        *(_headed(certificate, one, performances, text) for one, text in sentences),
        "<h3>How to read the figure</h3>",
        paragraph(
            "The curve says with what probability a study of this size finds (p < .05, and with "
            "the right sign) a true effect of the size below it. The errors of the replications "
            "are kept and the true effect is replaced. The gray band is the Monte Carlo interval."
        ),
        "</div>",
        "</div>",
    )


def choices_section(designs: Sequence[Table]) -> str:
    """Return R3: the study's design beside the others."""
    first, *others = designs
    return section(
        "choices",
        "Which choices of the design matter?",
        paragraph(
            "Every line was run on the same districts. Where a line differs from the first one, "
            "the choice that its name tells matters in districts like this one."
        ),
        table_html(first),
        *(folded("The same with schools fixed", table_html(table)) for table in others),
    )


def districts_section(certificate: Certificate, table: Table) -> str:
    """Return how far districts differ whose schools are fixed, with R4."""
    performances = main_performance(certificate, "fixed")
    return section(
        "districts",
        "A district that stays as it is",
        paragraph(MODE_WORDS["fixed"][1]),
        *(_headed(certificate, one, performances, coverage_sentence(one)) for one in performances),
        table_html(table),
    )


def numbers_section(performance: Sequence[Table]) -> str:
    """Return R2: every figure with its Monte Carlo error."""
    first, *others = performance
    return section(
        "numbers",
        "Every figure of the design",
        table_html(first),
        *(folded("The same with schools fixed", table_html(table)) for table in others),
    )


def _card(certificate: Certificate, performance: Performance, among: Sequence[Performance]) -> str:
    mine = [
        verdict
        for verdict in main_verdicts(certificate, performance.mode)
        if (verdict.study_question, verdict.outcome)
        == (performance.study_question, performance.outcome)
    ]
    number, unit = printed_bias(certificate.design, performance)
    items = "\n".join(_check(certificate, performance, verdict) for verdict in mine)
    title = outcome_title(certificate.design, performance, among)
    found = {verdict.verdict for verdict in mine if verdict.verdict != "statement"}
    css = " bad" if "fail" in found else " good" if found <= {"pass", "conservative"} else ""
    return (
        f'<article class="card{css}">\n<h3>{escape(title)}</h3>\n'
        f'<p class="big">{escape(number)} <small>{escape(unit)} off on average</small></p>\n'
        f'<ul class="checks">\n{items}\n</ul>\n</article>'
    )


def _check(certificate: Certificate, performance: Performance, verdict: Verdict) -> str:
    css, label = JUDGMENTS[verdict.verdict]
    if math.isnan(performance.bias.std_error):
        return _check_text(css, label, verdict, reason_text(verdict))
    match verdict.question:
        case "bias":
            text = bias_sentence(certificate.design, performance)
        case "coverage":
            text = coverage_sentence(performance)
        case "false positives":
            text = false_positive_sentence(performance)
        case "estimand drift":
            text = matched_sentence(certificate.design, performance)
    return _check_text(css, label, verdict, text + _needed(verdict))


def _check_text(css: str, label: str, verdict: Verdict, text: str) -> str:
    return (
        f'<li><p class="label {css}">{escape(label)}</p>\n'
        f"<h4>{escape(QUESTIONS[verdict.question])}</h4>\n<p>{escape(text)}</p></li>"
    )


def _needed(verdict: Verdict) -> str:
    if verdict.replications_needed is None:
        return ""
    return (
        f" About {verdict.replications_needed:,} replications would decide, if the numbers stayed "
        "as they are."
    )


def _lead(certificate: Certificate, mode: Mode) -> str:
    performances = main_performance(certificate, mode)
    titles = {
        (one.study_question, one.outcome): outcome_title(certificate.design, one, performances)
        for one in performances
    }
    judged = [one for one in main_verdicts(certificate, mode) if one.verdict != "statement"]
    named: dict[Judgment, dict[str, list[str]]] = {}
    for one in judged:
        title = in_sentence(titles[one.study_question, one.outcome])
        nouns = named.setdefault(one.verdict, {})
        nouns.setdefault(QUESTION_NOUNS[one.question], []).append(title)
    passed = sum(one.verdict in ("pass", "conservative") for one in judged)
    if passed == len(judged):
        return f"In districts like this one the design passes all {passed} checks."
    sentences = [f"In districts like this one the design passes {passed} of {len(judged)} checks."]
    if failed := named.get("fail"):
        sentences.append(f"It fails on {_nouns(failed)}.")
    if undecided := named.get("undecided"):
        sentences.append(f"Not decided with so few replications: {_nouns(undecided)}.")
    return " ".join(sentences)


def _nouns(named: Mapping[str, Sequence[str]]) -> str:
    return listed([f"{noun} ({listed(list(titles))})" for noun, titles in named.items()])


def _headed(
    certificate: Certificate,
    performance: Performance,
    among: Sequence[Performance],
    *sentences: str,
) -> str:
    title = outcome_title(certificate.design, performance, among)
    text = " ".join(sentence for sentence in sentences if sentence)
    return f"<p><strong>{escape(title)}.</strong> {escape(text)}</p>" if text else ""


def _drawings(drawings: Sequence[ReportFigure]) -> str:
    inside = "\n".join(figure_html(drawing) for drawing in drawings)
    return f'<div class="figures">\n{inside}\n</div>'
