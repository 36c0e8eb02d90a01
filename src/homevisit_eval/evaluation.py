"""All questions of a design, answered in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from homevisit_eval.balance import Balance, assess_balance
from homevisit_eval.design import Question, StudyDesign, Variation
from homevisit_eval.effects import Effect, estimate_effect
from homevisit_eval.errors import EstimationError, MatchingError, SourceError
from homevisit_eval.matching import MatchedSample, match_students
from homevisit_eval.multiplicity import adjust_p_values
from homevisit_eval.panel import Panel, PanelCount, build_panel
from homevisit_eval.sample import AnalyticSample, select_sample
from homevisit_eval.sources import Problem, SourceFile, Sources

__all__ = [
    "Answer",
    "Evaluation",
    "answer_question",
    "answer_questions",
    "collect_answers",
    "evaluate",
    "vary",
    "vary_sample",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """What the data say to one question, stage by stage.

    Attributes
    ----------
    sample, matched
        None if the question was skipped.
    balance : mapping from outcome name to `Balance`
        Judged on the rows where that outcome is observed.
    effects
        One for each outcome of the question.
    sensitivity
        The same outcomes under the design's variations; primary questions only.
    skipped
        Sentences about what could not be computed, and why; empty if nothing.
    """

    question: Question
    sample: AnalyticSample | None
    matched: MatchedSample | None
    balance: Mapping[str, Balance]
    effects: tuple[Effect, ...]
    sensitivity: tuple[Effect, ...]
    skipped: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the question, its effects, and what was skipped."""
        lines = [f"Answer({self.question.name!r}, {self.question.role})"]
        lines += [repr(effect) for effect in self.effects]
        lines += [f"skipped: {sentence}" for sentence in self.skipped]
        return "\n  ".join(lines)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation:
    """A study's answers, with the facts of the data that they rest on."""

    design: StudyDesign
    answers: tuple[Answer, ...]
    panel_counts: tuple[PanelCount, ...]
    missing: tuple[str, ...]
    files: tuple[SourceFile, ...]
    decisions: tuple[Problem, ...]
    district: str
    synthetic: bool

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects of all questions, in the order of the design."""
        return tuple(effect for answer in self.answers for effect in answer.effects)

    def answer(self, question: str) -> Answer:
        """Return the answer to the question of that name.

        Raises
        ------
        DesignError
            If the design has no such question.
        """
        wanted = self.design.question(question)
        return next(answer for answer in self.answers if answer.question.name == wanted.name)

    def __repr__(self) -> str:
        """Show the answers."""
        label = "synthetic data, " if self.synthetic else ""
        head = f"Evaluation({label}{self.design.title!r}, {len(self.answers)} questions)"
        return "\n".join([head, *(repr(answer) for answer in self.answers)])


def evaluate(sources: Sources, design: StudyDesign) -> Evaluation:
    """Answer every question of a design from a district's extracts.

    Parameters
    ----------
    sources
        Validated extracts.
    design
        What to ask, decided before the data were read.

    Raises
    ------
    SourceError
        If no question can be answered from these extracts.
    DesignError
        If the design asks for years that the extracts do not hold.
    MatchingError, EstimationError
        If a method cannot be carried out for a question of the design.
    """
    panel = build_panel(sources, design.measurement)
    return collect_answers(panel, design, answer_questions(panel, design))


def answer_questions(panel: Panel, design: StudyDesign) -> Iterator[Answer]:
    """Yield the answer to each question in turn, with unadjusted p values."""
    for question in design.questions:
        yield answer_question(panel, design, question)


def collect_answers(panel: Panel, design: StudyDesign, answers: Iterator[Answer]) -> Evaluation:
    """Put answers together and adjust p values over all of them.

    Raises
    ------
    SourceError
        If every question was skipped.
    """
    done = tuple(answers)
    if not any(answer.effects for answer in done):
        reasons = " ".join(dict.fromkeys(text for answer in done for text in answer.skipped))
        raise SourceError(f"No question of the design can be answered. {reasons}")
    adjusted = iter(adjust_p_values([effect for answer in done for effect in answer.effects]))
    return Evaluation(
        design=design,
        answers=tuple(
            replace(answer, effects=tuple(next(adjusted) for _ in answer.effects))
            for answer in done
        ),
        panel_counts=panel.counts,
        missing=panel.missing,
        files=panel.files,
        decisions=panel.decisions,
        district=panel.district,
        synthetic=panel.synthetic,
    )


def answer_question(panel: Panel, design: StudyDesign, question: Question) -> Answer:
    """Take one question through all stages: sample, matching, balance, effects.

    A question that the extracts cannot answer (its table was not delivered) gives an answer
    without effects, and a sentence that says why; so do secondary or exploratory questions and
    outcomes whose method cannot be carried out.

    Raises
    ------
    DesignError
        As the stages do.
    MatchingError, EstimationError
        If the method of a primary question cannot be carried out.
    """
    try:
        sample = select_sample(panel, design, question)
        matched = match_students(sample)
    except SourceError as error:
        return _skipped(question, error)
    except MatchingError as error:
        if question.role == "primary":
            raise
        return _skipped(question, error)
    effects: list[Effect] = []
    sensitivity: list[Effect] = []
    skipped: list[str] = []
    for name in question.outcomes:
        try:
            effects.append(estimate_effect(matched, name))
        except EstimationError as error:
            if question.role == "primary":
                raise
            skipped.append(f"{design.outcome(name).label}: {error}")
    if question.role == "primary":
        for variation in design.sensitivity:
            try:
                sensitivity += vary(panel, matched, variation)
            except (SourceError, MatchingError, EstimationError) as error:
                skipped.append(f"{variation.label}: {error}")
    return Answer(
        question,
        sample,
        matched,
        MappingProxyType(
            {one.outcome.name: assess_balance(matched, one.outcome.name) for one in effects}
        ),
        tuple(effects),
        tuple(sensitivity),
        tuple(skipped),
    )


def _skipped(question: Question, reason: Exception) -> Answer:
    return Answer(question, None, None, MappingProxyType({}), (), (), (str(reason),))


def vary(panel: Panel, matched: MatchedSample, variation: Variation) -> list[Effect]:
    """Estimate the effects of a matched sample's question under one variation of its design."""
    sample = vary_sample(panel, matched.sample, variation)
    if variation.matching or sample is not matched.sample:
        matched = match_students(sample, variation.matching)
    return [
        replace(estimate_effect(matched, name, variation.model), sensitivity=variation.label)
        for name in sample.question.outcomes
    ]


def vary_sample(panel: Panel, sample: AnalyticSample, variation: Variation) -> AnalyticSample:
    """Return the sample of a variation: the very one given if it varies nothing of it."""
    question, design = sample.question, sample.design
    if not (variation.pool or variation.comparison_schools or variation.min_days_enrolled):
        return sample
    question = replace(
        question,
        pool=variation.pool or question.pool,
        comparison_schools=variation.comparison_schools or question.comparison_schools,
    )
    days = variation.min_days_enrolled or design.eligibility.min_days_enrolled
    design = replace(design, eligibility=replace(design.eligibility, min_days_enrolled=days))
    return select_sample(panel, design, question)
