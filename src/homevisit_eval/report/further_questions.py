"""The sections on visits, timing, later years, subgroups, achievement, engagement, teachers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from homevisit_eval.design import Question
from homevisit_eval.design.deviations import variation_label
from homevisit_eval.design.measures import SURVEY_OUTCOMES, measured_name
from homevisit_eval.effects.learning import subject_of
from homevisit_eval.effects.response_weights import response_rates
from homevisit_eval.evaluation import FOR_RESPONSE
from homevisit_eval.panel.reliability import scale_reliability
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
from homevisit_eval.report.timing_figure import landmark_can_be_drawn
from homevisit_eval.table import Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect
    from homevisit_eval.evaluation import Answer, Evaluation
    from homevisit_eval.panel import Panel

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


def further_parts(evaluation: Evaluation, panel: Panel | None) -> tuple[FurtherPart, ...]:
    """Return the sections that the questions of a study ask for, in their order.

    Parameters
    ----------
    evaluation
    panel
        For what is counted in it; such tables are left out without it.
    """
    return (
        *_visits(evaluation, panel),
        *_timing(evaluation),
        *_distributions(evaluation),
        *_achievement(evaluation),
        *_later_years(evaluation, panel),
        *_engagement(evaluation, panel),
        *_teachers(evaluation),
        *_subgroups(evaluation),
    )


def further_section(part: FurtherPart) -> str:
    """Return a section of the page."""
    first, *others = part.tables
    body = [paragraph(sentence) for sentence in part.sentences]
    body += [figure_html(figure) for figure in part.figures]
    body.append(table_html(first))
    body += [folded(table.title, table_html(table)) for table in others]
    return section(part.name, part.heading, *body)


def _visits(evaluation: Evaluation, panel: Panel | None) -> Iterator[FurtherPart]:
    if panel is not None:
        yield FurtherPart(
            "visits",
            "The visits that were made",
            ("Which visits the files hold, whether or not a question asks about them.",),
            (tables.visits_made(panel, evaluation.design),),
        )


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
            "“earlier less later” do: both are measured over the same days, and students visited "
            "later are weighted to be like those visited earlier, as far as a note does not say "
            "otherwise.",
        ),
        (table,),
        (drawing, *_landmarks(evaluation, asked)),
    )


def _landmarks(evaluation: Evaluation, answers: Sequence[Answer]) -> Iterator[ReportFigure]:
    """Yield for each outcome of visits during the year what the way of counting days changes.

    They are numbered F3-1, F3-2 and so on.
    """
    biased = {
        variation_label(evaluation.design, one)
        for one in evaluation.design.sensitivity
        if one.pool == "never_visited_that_year"
    }
    number = count(1)
    for answer in answers:
        for effect in answer.effects if answer.question.during else ():
            own = [one for one in answer.sensitivity if one.outcome.name == effect.outcome.name]
            naive = next((one for one in own if one.sensitivity in biased), None)
            others = [one for one in own if one.sensitivity not in biased]
            if not own or not landmark_can_be_drawn(effect, others, naive=naive):
                continue
            yield drawn(
                f"F3-{next(number)}_{answer.question.name}_{effect.outcome.name}",
                f"{effect.outcome.label}: how the days are counted matters",
                figures.landmark(effect, others, naive=naive),
                figures.landmark_alt_text(effect, others, naive=naive),
                evaluation.synthetic,
            )


def _distributions(evaluation: Evaluation) -> Iterator[FurtherPart]:
    found = [one.distribution for one in evaluation.answers if one.distribution]
    bands = [one for part in found for one in part.bands]
    quantiles = [one for part in found for one in part.quantiles]
    survival = [one for part in found for one in part.survival]
    made: list[Table] = []
    if bands:
        made += [tables.attendance_bands(bands), tables.quantile_effects(quantiles)]
    if survival:
        made += [tables.time_to_event(survival), tables.hazard_ratios(survival)]
    if made:
        yield FurtherPart(
            "distributions",
            "Beyond the means",
            (
                "Where in the distribution of attendance the groups differ, and how soon the first "
                "incident comes. Quantiles are of the groups, not of single students' gains.",
            ),
            tuple(made),
            tuple(
                drawn(
                    f"F4_{number}" if number else "F4",
                    f"{one.event}: share of students by day",
                    figures.survival_curves(one),
                    figures.survival_curves_alt_text(one),
                    evaluation.synthetic,
                )
                for number, one in enumerate(survival)
            ),
        )


def _achievement(evaluation: Evaluation) -> Iterator[FurtherPart]:
    asked = [one for one in evaluation.answers if is_headline(one.question) and one.matched]
    number = 0
    for answer in asked:
        if answer.matched is None:
            continue
        measured = answer.matched.sample.outcomes.columns
        scores = [
            one
            for one in answer.effects
            if subject_of(one.outcome) and one.outcome.name in measured
        ]
        if not scores:
            continue
        number += 1
        suffix = f"_{answer.question.name}" if number > 1 else ""
        yield FurtherPart(
            f"achievement{suffix}",
            f"{answer.question.label}: by grade",
            (
                "Impacts on test scores in standard deviations of the district's students of the "
                "same grade, and as months of learning: a rough translation, for people.",
            ),
            (tables.achievement_by_grade(answer.matched, scores, name=f"B6{suffix}"),),
        )


def _engagement(evaluation: Evaluation, panel: Panel | None) -> Iterator[FurtherPart]:
    number = 0
    for answer in evaluation.answers:
        own = [one for one in answer.effects if _is_survey(one)]
        if not own or answer.matched is None or answer.question.subgroup:
            continue
        number += 1
        suffix = f"_{answer.question.name}" if number > 1 else ""
        weighted = [one for one in answer.sensitivity if one.sensitivity == FOR_RESPONSE]
        names = [one.outcome.name for one in own]
        made = [
            tables.family_engagement(
                [*own, *weighted], response_rates(answer.matched, names), name=f"B9{suffix}"
            )
        ]
        if panel is not None and number == 1:
            scales = scale_reliability(panel)
            outcomes = [one.outcome for one in own]
            synthetic = evaluation.synthetic
            made.append(tables.survey_scales(scales, outcomes, synthetic=synthetic))
        yield FurtherPart(
            f"engagement{suffix}",
            "Family engagement as students see it",
            (
                EXPLORATORY,
                "There is no survey before the visit, so whether the groups were alike in it is "
                "not assessable, and only those who answered are compared.",
            ),
            tuple(made),
        )


def _is_survey(effect: Effect) -> bool:
    return measured_name(effect.outcome.name)[0] in SURVEY_OUTCOMES


def _teachers(evaluation: Evaluation) -> Iterator[FurtherPart]:
    number = 0
    for answer in evaluation.answers:
        if answer.question.unit != "teacher" or not answer.effects or answer.matched is None:
            continue
        number += 1
        suffix = f"_{answer.question.name}" if number > 1 else ""
        yield FurtherPart(
            f"teachers{suffix}",
            answer.question.label,
            (
                EXPLORATORY,
                "Teachers who made a visit before the first day of school are compared with "
                "similar teachers who did not, and followed to the staff list of the next year.",
            ),
            (tables.teacher_retention(answer.effects, answer.matched, f"B8{suffix}"),),
        )


def _later_years(evaluation: Evaluation, panel: Panel | None) -> Iterator[FurtherPart]:
    for answer in evaluation.answers:
        matched = answer.matched
        if not answer.question.follow_up or not answer.effects or matched is None:
            continue
        suffix = "" if answer.question.name == _first_followed(evaluation) else answer.question.name
        counted = (
            ()
            if panel is None
            else (
                tables.follow_up_years(panel, matched, f"B7-1_{suffix}".rstrip("_")),
                tables.later_visits(panel, matched, f"B7-2_{suffix}".rstrip("_")),
            )
        )
        yield FurtherPart(
            f"later_years_{suffix}".rstrip("_"),
            answer.question.label,
            (
                EXPLORATORY,
                "All years rest on the same pairs. Students who left, or are in higher grades than "
                "the extracts hold, are not observed; where more of one group left, the later "
                "differences may come from that.",
            ),
            (tables.follow_up(answer.effects, matched, f"B7_{suffix}".rstrip("_")), *counted),
            (
                drawn(
                    f"F5_{suffix}".rstrip("_"),
                    "Differences in the year of the visit and later",
                    figures.follow_up(answer.effects, matched),
                    figures.follow_up_alt_text(answer.effects, matched),
                    evaluation.synthetic,
                ),
            ),
        )


def _first_followed(evaluation: Evaluation) -> str:
    return next(one.question.name for one in evaluation.answers if one.question.follow_up)


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
            (tables.subgroups(found, evaluation.design.questions),),
        )
