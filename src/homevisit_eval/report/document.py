"""The report: one page that holds all tables and figures of an evaluation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

from homevisit_eval.errors import EstimationError
from homevisit_eval.report import figures, tables
from homevisit_eval.report.deviations import (
    departures_sentence,
    deviations_banner,
    deviations_section,
)
from homevisit_eval.report.estimand_words import MAKING, groups_made_alike
from homevisit_eval.report.findings import findings_section, summary_text
from homevisit_eval.report.further_questions import (
    FurtherPart,
    further_parts,
    further_section,
    is_headline,
)
from homevisit_eval.report.page import ReportFigure, drawn, whole_page
from homevisit_eval.report.sections import (
    AnswerParts,
    baseline_section,
    comparison_section,
    data_section,
    full_results_section,
    glossary_section,
    limitations_section,
    not_computed_box,
    provenance_section,
    students_section,
)
from homevisit_eval.report.style import STYLE
from homevisit_eval.report.wording import SYNTHETIC_BANNER
from homevisit_eval.sample.labels import grades_text, school_years_text
from homevisit_eval.table import SYNTHETIC, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.evaluation import Answer, Evaluation
    from homevisit_eval.matching import MatchedSample
    from homevisit_eval.panel import Panel

__all__ = ["Report", "build_report"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report:
    """A study's results, ready to be written.

    Attributes
    ----------
    html
        One page that needs no other file.
    tables
        Safe to publish; each name is a file name.
    figures
        Each as SVG and PNG.
    summary
        The findings on the primary outcomes, a line each, for a terminal.
    """

    html: str
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...]
    summary: str

    def __repr__(self) -> str:
        """Show which tables and figures there are."""
        return (
            f"Report({len(self.html):,} characters; "
            f"tables {', '.join(table.name for table in self.tables)}; "
            f"figures {', '.join(figure.name for figure in self.figures)})"
        )


def build_report(evaluation: Evaluation, panel: Panel | None = None) -> Report:
    """Make the page, the tables and the figures of an evaluation.

    Parameters
    ----------
    evaluation
        With at least one answered question.
    panel
        That it is from, still open: how far students can be followed, and who is visited again in
        later years, are counted in it. Without it these tables are left out.

    Returns
    -------
    Report
        The same text and bytes for the same evaluation.

    Raises
    ------
    EstimationError
        If no question has an effect.
    """
    answered = [answer for answer in evaluation.answers if answer.effects]
    if not answered:
        raise EstimationError("No question has an effect, so there is nothing to report.")
    answered.sort(key=lambda answer: answer.effects[0].role != "primary")
    headline = [answer for answer in answered if is_headline(answer.question)] or answered
    effects = [effect for answer in headline for effect in answer.effects]
    parts = [
        _parts(answer, number, {name for one in headline[:number] for name in one.balance})
        for number, answer in enumerate(headline)
    ]
    key, _ = _told_apart(effects)
    study = _study_parts(evaluation, headline, panel)
    every = (
        study.findings,
        *(table for one in parts for table in one.tables),
        *(table for one in study.further for table in one.tables),
        *(table for table in study.others if table is not None),
    )
    drawings = (
        study.impacts,
        *(figure for one in parts for figure in (one.flow_figure, one.love_plot)),
        *(figure for one in study.further for figure in one.figures),
    )
    return Report(
        html=whole_page(
            evaluation.design.title,
            STYLE,
            _header(evaluation),
            _sections(evaluation, effects, parts, study, every),
            _footer(evaluation),
        ),
        tables=every,
        figures=drawings,
        summary="\n".join(
            text
            for text in (
                summary_text(key, study.findings),
                departures_sentence(evaluation.design),
                _how_many_not_computed(evaluation),
            )
            if text
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _StudyParts:
    """The tables and figures that belong to no single question."""

    findings: Table
    impacts: ReportFigure
    secondary: Table | None
    estimates: Table
    grid: Table | None
    inference: Table | None
    decisions: Table | None
    counts: Table | None
    variables: Table
    deviations: Table
    files: Table
    further: tuple[FurtherPart, ...]

    @property
    def others(self) -> tuple[Table | None, ...]:
        return (
            self.secondary,
            self.estimates,
            self.grid,
            self.inference,
            self.decisions,
            self.counts,
            self.variables,
            self.deviations,
            self.files,
        )


def _told_apart(effects: list[Effect]) -> tuple[list[Effect], list[Effect]]:
    """Return the effects of the key findings, and those of secondary questions.

    Without a primary answer everything is among the findings.
    """
    if not any(effect.role == "primary" for effect in effects):
        return effects, []
    key = [effect for effect in effects if effect.role != "secondary"]
    return key, [effect for effect in effects if effect.role == "secondary"]


def _study_parts(
    evaluation: Evaluation, answered: Sequence[Answer], panel: Panel | None
) -> _StudyParts:
    effects = [effect for answer in answered for effect in answer.effects]
    key, secondary = _told_apart(effects)
    varied = [effect for answer in answered for effect in answer.sensitivity]
    compared = [one for answer in answered for one in answer.standard_errors]
    with_varied = [effect for answer in answered if answer.sensitivity for effect in answer.effects]
    return _StudyParts(
        findings=tables.impacts(key),
        impacts=drawn(
            "F2",
            "Differences between visited and comparison students, with intervals",
            figures.impacts(key),
            figures.impacts_alt_text(key),
            evaluation.synthetic,
        ),
        secondary=tables.impacts(secondary, "B5", "Secondary outcomes") if secondary else None,
        estimates=tables.full_estimates(effects),
        grid=tables.sensitivity_grid(with_varied, varied) if varied else None,
        inference=tables.standard_errors(compared, effects=effects) if compared else None,
        decisions=tables.decisions(evaluation),
        counts=tables.panel_counts(evaluation),
        variables=tables.variables(evaluation.design, evaluation.synthetic),
        deviations=tables.deviations(evaluation),
        files=tables.provenance(evaluation),
        further=further_parts(evaluation, panel),
    )


def _sections(
    evaluation: Evaluation,
    effects: list[Effect],
    parts: Sequence[AnswerParts],
    study: _StudyParts,
    every: Sequence[Table],
) -> list[str]:
    formulas = {effect.outcome.label: effect.formula for effect in effects}
    key, _ = _told_apart(effects)
    balances = {
        (answer.question.name, outcome): balance
        for answer in evaluation.answers
        for outcome, balance in answer.balance.items()
    }
    of_key = [balances.get((one.question, one.outcome.name)) for one in key]
    unlike = [balance is not None and bool(balance.not_equivalent) for balance in of_key]
    return [
        findings_section(key, unlike, study.findings, study.impacts),
        students_section(parts),
        comparison_section(parts),
        baseline_section(parts),
        *(further_section(one) for one in study.further),
        full_results_section(
            study.secondary,
            study.estimates,
            study.grid,
            study.inference,
            formulas,
            registered=evaluation.design.registered is not None,
        ),
        limitations_section(effects, evaluation.design),
        data_section(study.variables, study.decisions, study.counts),
        glossary_section(),
        deviations_section(study.deviations, evaluation.design),
        provenance_section(
            study.files, every, version("homevisit-eval"), evaluation.design, evaluation.synthetic
        ),
    ]


def _parts(answer: Answer, number: int, named: Collection[str]) -> AnswerParts:
    """Return the parts of an answer; `named` are outcomes whose balance has its table already."""
    matched = answer.matched
    assert matched is not None
    suffix = f"_{answer.question.name}" if number else ""
    synthetic = matched.sample.synthetic
    labels = {effect.outcome.name: effect.outcome.label for effect in answer.effects}
    again = {name: suffix if name in named else "" for name in answer.balance}
    first = next(iter(answer.balance.values()))
    return AnswerParts(
        answer=answer,
        counts=tables.sample_counts(matched, f"T2{suffix}"),
        flow=tables.sample_flow(matched, answer.effects, f"F1{suffix}"),
        flow_figure=drawn(
            f"F1{suffix}",
            "From enrolled students to observed outcomes, in student-years",
            figures.sample_flow(matched, answer.effects),
            figures.sample_flow_alt_text(matched, answer.effects),
            synthetic,
        ),
        missing=tables.missing_covariates(matched, f"A6{suffix}"),
        matching=tables.matching_specification(matched, f"A3{suffix}"),
        equivalence={
            labels.get(name, name): tables.baseline_equivalence(balance, f"A8_{name}{again[name]}")
            for name, balance in answer.balance.items()
        },
        balance=tables.balance_before_and_after(first, f"A9{suffix}"),
        love_plot=drawn(
            f"FA1{suffix}",
            f"Standardized differences before {_and_after(matched)}",
            figures.love_plot(first),
            figures.love_plot_alt_text(first),
            synthetic,
        ),
    )


def _and_after(matched: MatchedSample) -> str:
    made = groups_made_alike(matched.matches)
    return "the visit" if made == "unmatched" else f"and after {MAKING[made]}"


def _not_computed(evaluation: Evaluation) -> Sequence[str]:
    skipped = [
        f"{answer.question.label}: {sentence}"
        for answer in evaluation.answers
        for sentence in answer.skipped
    ]
    return list(dict.fromkeys([*evaluation.missing, *skipped, *evaluation.timing_skipped]))


def _how_many_not_computed(evaluation: Evaluation) -> str:
    """Return the line for a terminal that tells what the box of the page lists; "" if nothing."""
    count = len(_not_computed(evaluation))
    if not count:
        return ""
    things = "1 thing that was" if count == 1 else f"{count} things that were"
    return f"Not computed: {things} asked for; the top of the report says what and why."


def _header(evaluation: Evaluation) -> str:
    design = evaluation.design
    years, grades = school_years_text(design.school_years), grades_text(design.grades)
    where = f" · {escape(evaluation.district)}" if evaluation.district else ""
    banner = (
        f'<div class="banner" role="note"><strong>{SYNTHETIC}</strong>{escape(SYNTHETIC_BANNER)}'
        "</div>"
        if evaluation.synthetic
        else ""
    )
    return (
        f'<p class="kicker">Evaluation of home visits{where}</p>\n<h1>{escape(design.title)}</h1>\n'
        f"<p>School years {escape(years)}, {escape(grades)}. Visited students are compared with "
        f"similar students who were not visited.</p>\n{banner}"
        f"{deviations_banner(design)}{not_computed_box(_not_computed(evaluation))}"
    )


def _footer(evaluation: Evaluation) -> str:
    label = f"{SYNTHETIC}. " if evaluation.synthetic else ""
    return (
        f"<p>{label}Numbers that rest on fewer than 10 students are not shown. Every table is "
        "also a CSV file in the folder tables, every figure an SVG and a PNG file in the folder "
        "figures. Folded parts are printed if they are unfolded.</p>"
    )
