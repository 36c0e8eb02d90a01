"""The sections of the report after the findings, each from the tables and figures it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from homevisit_eval.design import design_checksum
from homevisit_eval.disclosure import hidden_cells
from homevisit_eval.effect_sizes import ADJUSTABLE_UP_TO, SATISFIED_UP_TO
from homevisit_eval.report.estimand_words import MAKING, WHOSE, groups_made_alike
from homevisit_eval.report.method_words import read_aloud
from homevisit_eval.report.page import (
    ReportFigure,
    figure_html,
    folded,
    paragraph,
    section,
    table_html,
)
from homevisit_eval.report.wording import GLOSSARY, limitations, of_sample
from homevisit_eval.report.words import in_sentence, question_words
from homevisit_eval.sample.labels import WINDOW_WORDS, listed
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.design import StudyDesign
    from homevisit_eval.design.method_facts import Comparison
    from homevisit_eval.effects import Effect
    from homevisit_eval.evaluation import Answer

__all__ = [
    "AnswerParts",
    "baseline_section",
    "comparison_section",
    "data_section",
    "full_results_section",
    "glossary_section",
    "limitations_section",
    "not_computed_box",
    "provenance_section",
    "students_section",
]


@dataclass(frozen=True, slots=True, eq=False)
class AnswerParts:
    """The tables and figures of one answered question; the mappings are by outcome label."""

    answer: Answer
    counts: Table
    flow: Table
    flow_figure: ReportFigure
    missing: Table | None
    matching: Table
    equivalence: Mapping[str, Table]
    balance: Table
    love_plot: ReportFigure

    @property
    def label(self) -> str:
        """The question and the role in which it was answered."""
        assert self.answer.sample is not None
        return question_words(self.answer.sample.question)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of the question, in their order in the report."""
        every = (
            self.counts,
            self.flow,
            self.missing,
            self.matching,
            *self.equivalence.values(),
            self.balance,
        )
        return tuple(table for table in every if table is not None)


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
        _missing(first),
    ]
    body += [
        folded(
            other.label,
            paragraph(_flow_sentence(other)),
            figure_html(other.flow_figure),
            table_html(other.flow),
            table_html(other.counts),
            _missing(other),
        )
        for other in others
    ]
    return section("students", "Who was studied", *body)


def _missing(parts: AnswerParts) -> str:
    if parts.missing is None:
        return ""
    return folded("Missing covariates, before and after", table_html(parts.missing))


def comparison_section(parts: Sequence[AnswerParts]) -> str:
    """Return how the comparison group was made, in words, with A3 folded."""
    first, *others = parts
    matched = first.answer.matched
    assert matched is not None
    target = matched.matches.estimand.target
    whom = (
        f"{WHOSE[target]} who were matched"
        if groups_made_alike(matched.matches) == "matched"
        else of_sample(matched.sample.design, target)
    )
    return section(
        "comparison",
        "How the comparison group was made",
        paragraph(read_aloud(matched.matches.method)),
        paragraph(
            "Then a regression compares the outcomes of the two groups and adjusts for what "
            f"differences in their baseline remain. The result describes {whom}."
        ),
        folded("Specification in full", table_html(first.matching)),
        *(folded(f"Specification: {other.label}", table_html(other.matching)) for other in others),
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
            f"Each line is something that was known before the visit. {_marks(first)} The gray "
            f"band is a difference of at most {SATISFIED_UP_TO:.2f} standard deviations; the "
            f"dashed lines are at {ADJUSTABLE_UP_TO:.2f}."
        ),
        "</div>",
        "</div>",
        *_equivalence_tables(first),
    ]
    for other in others:
        body.append(
            folded(
                other.label,
                *(paragraph(text) for text in _equivalence_sentences(other)),
                figure_html(other.love_plot),
                *_equivalence_tables(other),
            )
        )
    return section("baseline", "Were the groups alike before the visit?", *body)


def _marks(parts: AnswerParts) -> str:
    made = _made_alike(parts)
    if made == "unmatched":
        return "Nobody was matched, so the open and the filled mark stand at the same place."
    return (
        "The open mark is the difference between all candidates, the filled mark the difference "
        f"after {MAKING[made]}."
    )


def _made_alike(parts: AnswerParts) -> Comparison:
    matched = parts.answer.matched
    return "matched" if matched is None else groups_made_alike(matched.matches)


def full_results_section(
    secondary: Table | None,
    estimates: Table,
    grid: Table | None,
    inference: Table | None,
    formulas: Mapping[str, str],
    *,
    registered: bool,
) -> str:
    """Return B5 if there is one, B1, the models behind it, and B10 and B14 if they were made.

    `registered` says whether the design names one that was registered before the data were read.
    """
    models = "\n".join(
        f'<dt>{escape(label)}</dt><dd class="mono">{escape(formula)}</dd>'
        for label, formula in formulas.items()
    )
    body = []
    if secondary is not None:
        asked = (
            "Secondary questions were asked beforehand, too, but are not what the study is judged "
            "by"
            if registered
            else "Secondary questions are not what the study is judged by"
        )
        body = [
            paragraph(
                f"{asked}. The more outcomes a family has, the more likely that one of them "
                "differs by chance: read the adjusted p."
            ),
            table_html(secondary),
        ]
    body += [
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
                "Each line differs from the main analysis in what its name says. Findings that "
                "hold only under one choice deserve doubt."
            ),
            table_html(grid),
        ]
    if inference is not None:
        body += [
            "<h3>Other standard errors</h3>",
            paragraph(
                "The same estimates, with other answers to the question which students count as "
                "independent of each other. Few schools make every one of them uncertain; the "
                "main analysis uses CR2 by school unless the design says otherwise."
            ),
            folded("Every standard error side by side", table_html(inference)),
        ]
    return section("results", "Full results", *body)


def limitations_section(effects: Sequence[Effect], design: StudyDesign) -> str:
    """Return how far the results go."""
    items = "\n".join(
        f"<li><strong>{escape(head)}</strong> {escape(text)}</li>"
        for head, text in limitations(effects, design)
    )
    return section("limits", "How far these results go", f"<ul>\n{items}\n</ul>")


def not_computed_box(sentences: Sequence[str]) -> str:
    """Return what was missing or skipped, as a box for the top of the page; empty if nothing."""
    if not sentences:
        return ""
    items = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return (
        '<div class="banner missing" role="note"><strong>What could not be computed</strong>\n'
        f"<ul>\n{items}\n</ul></div>"
    )


def data_section(variables: Table, decisions: Table | None, counts: Table | None) -> str:
    """Return the definitions of variables (A1), what was decided and counted."""
    return section(
        "data",
        "About the data",
        folded("Outcomes and baseline covariates", table_html(variables)),
        folded("Decisions about the files, counted", table_html(decisions)) if decisions else "",
        folded("From records to student-years", table_html(counts)) if counts else "",
    )


def glossary_section() -> str:
    """Return the words of the report, explained."""
    terms = "\n".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in GLOSSARY)
    return section("glossary", "How to read this report", f'<dl class="terms">\n{terms}\n</dl>')


def provenance_section(
    files: Table,
    tables: Sequence[Table],
    version: str,
    design: StudyDesign,
    synthetic: bool,
) -> str:
    """Return what the numbers were made from: version, design, files, what was hidden."""
    hidden = len(hidden_cells(tables))
    log = (
        f"{hidden:,} cells of these tables are hidden, because they rest on fewer than 10 "
        "students or would give such a number away. Sums across several tables were not searched."
        if hidden
        else "No cell of these tables had to be hidden."
    )
    made = f"Made by homevisit_eval {version} from version {design.version} of the design, SHA-256 "
    seed = "The seed of the synthetic district stands there too." if synthetic else ""
    return section(
        "provenance",
        "Where the numbers come from",
        f'<p>{escape(made)}<span class="mono">{design_checksum(design)}</span>. The file '
        "manifest.json beside this page has the versions of all libraries and the checksums of all "
        "files. "
        f"{seed}</p>",
        paragraph(log),
        folded("Files that were read", table_html(files)),
    )


def _flow_sentence(parts: AnswerParts) -> str:
    flow = parts.flow
    lines = {
        flow.cell(row, "name"): (flow.cell(row, "visited"), flow.cell(row, "comparison"))
        for row in range(len(flow.frame))
    }
    enrolled, candidates = lines["enrolled"], lines["candidates"]
    when = WINDOW_WORDS[parts.answer.question.window]
    text = (
        f"Of {enrolled[0]} student-years with a home visit {when} and {enrolled[1]} without one, "
        f"{candidates[0]} and {candidates[1]} could be compared."
    )
    if matched := lines.get("matched"):
        making = MAKING[_made_alike(parts)].capitalize()
        text += f" {making} kept {matched[0]} visited and {matched[1]} comparison student-years."
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
    rows = table.frame[table.frame["wwc_category"].notna()]
    fine, some, bad = (
        rows.loc[rows["wwc_category"] == kind, "characteristic"].tolist()
        for kind in ("satisfied", "adjustment required", "not satisfied")
    )
    text = (
        f"on {len(fine)} of the {len(rows)} characteristics shown the groups differed by at most "
        f"{SATISFIED_UP_TO:.2f} standard deviations, on {len(some)} by up to "
        f"{ADJUSTABLE_UP_TO:.2f} (baseline equivalence holds with the model's adjustment), "
    )
    if not bad:
        return f"{text}and on none does it fail."
    names = listed([in_sentence(name) for name in bad])
    return (
        f"{text}and on {len(bad)} it does not hold, because they differed by more or the model "
        f"does not adjust for the characteristic: {names}."
    )


def _equivalence_tables(parts: AnswerParts) -> list[str]:
    return [
        *(
            folded(f"Baseline equivalence: {label}", table_html(table))
            for label, table in parts.equivalence.items()
        ),
        folded(f"Balance before and after {MAKING[_made_alike(parts)]}", table_html(parts.balance)),
    ]
