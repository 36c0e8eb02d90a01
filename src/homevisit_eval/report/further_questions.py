"""The sections on timing, later years, subgroups, achievement, engagement and teachers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homevisit_eval.design import Question
from homevisit_eval.report import figures, tables
from homevisit_eval.report.page import (
    ReportFigure,
    drawn,
    figure_html,
    folded,
    paragraph,
    section,
    table_html,
)
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.evaluation import Answer, Evaluation

__all__ = ["FurtherPart", "further_parts", "further_section", "is_headline"]

EXPLORATORY = (
    "These questions are exploratory unless a table says otherwise: they can suggest, not confirm."
)


@dataclass(frozen=True, slots=True, eq=False)
class FurtherPart:
    """One section: its name in the page, heading, sentences, tables and figures."""

    name: str
    heading: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...] = ()


def is_headline(question: Question) -> bool:
    """Return whether a question has its own flow, balance and line among the key findings.

    Subgroups and later years look again at students who are described elsewhere; teachers have a
    table of their own.
    """
    return question.unit == "student" and not question.subgroup and not question.follow_up


def further_parts(evaluation: Evaluation) -> tuple[FurtherPart, ...]:
    """Return the sections that the questions of a study ask for, in their order."""
    makers: tuple[Callable[[Evaluation], Iterator[FurtherPart]], ...] = (_timing, _subgroups)
    return tuple(part for make in makers for part in make(evaluation))


def further_section(part: FurtherPart) -> str:
    """Return a section of the page."""
    first, *others = part.tables
    body = [paragraph(sentence) for sentence in part.sentences]
    body += [figure_html(figure) for figure in part.figures]
    body.append(table_html(first))
    body += [folded(table.title, table_html(table)) for table in others]
    return section(part.name, part.heading, *body)


def _timing(evaluation: Evaluation) -> Iterator[FurtherPart]:
    asked = [one for one in evaluation.answers if one.effects and is_headline(one.question)]
    if not any(one.question.during for one in asked) and not evaluation.timing:
        return
    effects = [effect for one in asked for effect in one.effects]
    questions = [one.question for one in asked]
    known = {name for one in evaluation.design.timing_contrasts for name in one.outcomes}
    windows = {name for one in asked if one.question.during for name in one.question.outcomes}
    shown = [effect for effect in effects if effect.outcome.name in known | windows]
    table = tables.impact_by_timing(shown, evaluation.timing, questions)
    drawing = drawn(
        "F3",
        "Differences between visited and comparison students, by when the visit was",
        figures.impact_by_timing(shown, evaluation.timing, questions),
        figures.impact_by_timing_alt_text(shown, evaluation.timing, questions),
        evaluation.synthetic,
    )
    yield FurtherPart(
        "timing",
        "Earlier and later visits",
        (
            "Each window's visits are compared with students who could have been visited on the "
            "same day and were not. The windows differ in how long a visit could work and in who "
            "was visited, so their differences do not say whether earlier visits do more. The rows "
            "“earlier less later” do: both are measured over the same days, for alike students.",
        ),
        (table,),
        (drawing, *(figure for one in asked for figure in _landmarks(evaluation, one))),
    )


def _landmarks(evaluation: Evaluation, answer: Answer) -> Iterator[ReportFigure]:
    """Yield for each outcome of visits during the year what the way of counting days changes."""
    if not answer.question.during:
        return
    biased = {
        one.label for one in evaluation.design.sensitivity if one.pool == "never_visited_that_year"
    }
    for effect in answer.effects:
        own = [one for one in answer.sensitivity if one.outcome.name == effect.outcome.name]
        if not own:
            continue
        naive = next((one for one in own if one.sensitivity in biased), None)
        others = [one for one in own if one.sensitivity not in biased]
        yield drawn(
            f"F3_{answer.question.name}_{effect.outcome.name}",
            f"{effect.outcome.label}: how the days are counted matters",
            figures.landmark(effect, others, naive=naive),
            figures.landmark_alt_text(effect, others, naive=naive),
            evaluation.synthetic,
        )


def _subgroups(evaluation: Evaluation) -> Iterator[FurtherPart]:
    found = [one for answer in evaluation.answers for one in answer.subgroups]
    if found:
        yield FurtherPart(
            "subgroups",
            "Are impacts greater for some students?",
            (
                EXPLORATORY,
                "Matching is exact on the subgroup. The test asks whether all subgroups have the "
                "same impact; a clear impact in one and none in another is no evidence that they "
                "differ.",
            ),
            (tables.subgroups(found),),
        )
