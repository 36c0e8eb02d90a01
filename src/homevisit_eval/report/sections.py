"""The sections of the report after the findings, each from the tables and figures it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from homevisit_eval.disclosure import hidden_cells
from homevisit_eval.report.method_tables import read_aloud
from homevisit_eval.report.page import (
    ReportFigure,
    figure_html,
    folded,
    paragraph,
    section,
    table_html,
)
from homevisit_eval.report.wording import GLOSSARY, LIMITATIONS
from homevisit_eval.report.words import in_sentence, listed
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.evaluation import Answer

__all__ = [
    "AnswerParts",
    "baseline_section",
    "comparison_section",
    "data_section",
    "full_results_section",
    "glossary_section",
    "limitations_section",
    "provenance_section",
    "students_section",
]

PROPENSITY_LABEL = "Linear propensity score"


@dataclass(frozen=True, slots=True, eq=False)
class AnswerParts:
    """The tables and figures of one answered question; the mappings are by outcome label."""

    answer: Answer
    counts: Table
    flow: Table
    flow_figure: ReportFigure
    matching: Table
    equivalence: Mapping[str, Table]
    balance: Table
    love_plot: ReportFigure

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of the question, in their order in the report."""
        return (self.counts, self.flow, self.matching, *self.equivalence.values(), self.balance)


def students_section(parts: Sequence[AnswerParts]) -> str:
    """Return who was studied: the flow of students, and T2."""
    first, *others = parts
    body = [
        paragraph(_flow_sentence(first)),
        '<div class="with-figure">',
        figure_html(first.flow_figure),
        "<div>",
        table_html(first.counts),
        "</div>",
        "</div>",
        folded("The same flow as a table, with attrition", table_html(first.flow)),
    ]
    body += [
        folded(
            other.answer.question.label,
            paragraph(_flow_sentence(other)),
            figure_html(other.flow_figure),
            table_html(other.flow),
            table_html(other.counts),
        )
        for other in others
    ]
    return section("students", "Who was studied", *body)


def comparison_section(parts: Sequence[AnswerParts]) -> str:
    """Return how the comparison group was made, in words, with A3 folded."""
    first, *others = parts
    matched = first.answer.matched
    assert matched is not None
    return section(
        "comparison",
        "How the comparison group was made",
        paragraph(read_aloud(matched.matches.method)),
        paragraph(
            "Then a regression compares the outcomes of the two groups and adjusts for what "
            "differences in their baseline remain. The result describes the visited students who "
            "were matched."
        ),
        folded("Specification in full", table_html(first.matching)),
        *(
            folded(f"Specification: {other.answer.question.label}", table_html(other.matching))
            for other in others
        ),
    )


def baseline_section(parts: Sequence[AnswerParts]) -> str:
    """Return how alike the groups were before the visit: verdict, FA1, and A8 by outcome."""
    first, *others = parts
    body = [
        *(paragraph(text) for text in _equivalence_sentences(first)),
        '<div class="with-figure">',
        figure_html(first.love_plot),
        "<div>",
        "<h3>How to read the figure</h3>",
        paragraph(
            "Each line is something that was known before the visit. The open mark is the "
            "difference between all candidates, the filled mark the difference after matching. "
            "The gray band is a difference of at most 0.05 standard deviations; the dashed lines "
            "are at 0.25."
        ),
        "</div>",
        "</div>",
        *_equivalence_tables(first),
    ]
    for other in others:
        body.append(
            folded(
                other.answer.question.label,
                *(paragraph(text) for text in _equivalence_sentences(other)),
                figure_html(other.love_plot),
                *_equivalence_tables(other),
            )
        )
    return section("baseline", "Were the groups alike before the visit?", *body)


def full_results_section(estimates: Table, grid: Table | None, formulas: Mapping[str, str]) -> str:
    """Return B1, the models behind it, and B10 if other analyses were made."""
    models = "\n".join(
        f'<dt>{escape(label)}</dt><dd class="mono">{escape(formula)}</dd>'
        for label, formula in formulas.items()
    )
    body = [
        paragraph(
            "Every number behind the findings, with the conventions of the standard errors: K "
            "parameters, G clusters, df degrees of freedom."
        ),
        table_html(estimates),
        folded("Model formulas", f'<dl class="terms">{models}</dl>'),
    ]
    if grid is not None:
        body += [
            "<h3>Other reasonable analyses</h3>",
            paragraph(
                "Each line changes one choice of the main analysis. Findings that hold only under "
                "one choice deserve doubt."
            ),
            table_html(grid),
        ]
    return section("results", "Full results", *body)


def limitations_section() -> str:
    """Return how far the results go."""
    items = "\n".join(
        f"<li><strong>{escape(head)}</strong> {escape(text)}</li>" for head, text in LIMITATIONS
    )
    return section("limits", "How far these results go", f"<ul>\n{items}\n</ul>")


def data_section(
    variables: Table, decisions: Table | None, counts: Table | None, sentences: Sequence[str]
) -> str:
    """Return what was missing, skipped and decided, and the definitions of variables (A1)."""
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return section(
        "data",
        "About the data",
        f"<h3>What could not be computed</h3>\n<ul>\n{items}\n</ul>"
        if items
        else paragraph("Every file that this study asks for was delivered."),
        folded("Outcomes and baseline covariates", table_html(variables)),
        folded("Decisions about the files, counted", table_html(decisions)) if decisions else "",
        folded("From records to student-years", table_html(counts)) if counts else "",
    )


def glossary_section() -> str:
    """Return the words of the report, explained."""
    terms = "\n".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in GLOSSARY)
    return section("glossary", "How to read this report", f'<dl class="terms">\n{terms}\n</dl>')


def provenance_section(
    files: Table, tables: Sequence[Table], version: str, checksum: str, synthetic: bool
) -> str:
    """Return what the numbers were made from: version, design, files, what was hidden."""
    hidden = len(hidden_cells(tables))
    log = (
        f"{hidden:,} cells of these tables are hidden, because they rest on fewer than 10 "
        "students or would give such a number away. Sums across several tables were not searched."
        if hidden
        else "No cell of these tables had to be hidden."
    )
    made = f"Made by homevisit_eval {version} from a design with SHA-256 "
    seed = "The seed of the synthetic district stands there too." if synthetic else ""
    return section(
        "provenance",
        "Where the numbers come from",
        f'<p>{escape(made)}<span class="mono">{escape(checksum)}</span>. The file manifest.json '
        f"beside this page has the versions of all libraries and the checksums of all files. "
        f"{seed}</p>",
        paragraph(log),
        folded("Files that were read", table_html(files)),
    )


def _flow_sentence(parts: AnswerParts) -> str:
    flow = parts.flow
    kept = [row for row in range(len(flow.frame)) if flow.frame["line"].iloc[row] == "remaining"]
    start, end = kept[0], kept[-1]
    enrolled, candidates, matched = (
        (flow.cell(row, "visited"), flow.cell(row, "comparison"))
        for row in (start, kept[-2] if len(kept) > 1 else end, end)
    )
    text = (
        f"Of {enrolled[0]} student-years with a home visit before the school year and "
        f"{enrolled[1]} without one, {candidates[0]} and {candidates[1]} could be compared."
    )
    if flow.frame["label"].iloc[end] == "Matched":
        text += f" Matching kept {matched[0]} visited and {matched[1]} comparison student-years."
    return text


def _equivalence_sentences(parts: AnswerParts) -> list[str]:
    """Return the verdicts; outcomes with the same verdict share one sentence."""
    outcomes: dict[str, list[str]] = {}
    for label, table in parts.equivalence.items():
        outcomes.setdefault(_equivalence_verdict(table), []).append(in_sentence(label))
    return [
        f"For the outcome{'s' if len(labels) > 1 else ''} {listed(labels)}: {text}"
        for text, labels in outcomes.items()
    ]


def _equivalence_verdict(table: Table) -> str:
    rows = table.frame[table.frame["characteristic"] != PROPENSITY_LABEL]
    fine, some, bad = (
        rows.loc[rows["wwc_category"] == kind, "characteristic"].tolist()
        for kind in ("satisfied", "adjustment required", "not satisfied")
    )
    text = (
        f"on {len(fine)} of {len(rows)} characteristics the matched groups differed by at most "
        f"0.05 standard deviations, on {len(some)} by up to 0.25 (baseline equivalence holds with "
        "the model's adjustment), "
    )
    if not bad:
        return f"{text}and on none by more."
    names = listed([in_sentence(name) for name in bad])
    return f"{text}and on {len(bad)} by more, so that it does not hold there: {names}."


def _equivalence_tables(parts: AnswerParts) -> list[str]:
    return [
        *(
            folded(f"Baseline equivalence: {label}", table_html(table))
            for label, table in parts.equivalence.items()
        ),
        folded("Balance before and after matching", table_html(parts.balance)),
    ]
