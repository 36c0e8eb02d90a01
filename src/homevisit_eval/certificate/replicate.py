"""One replication: a district is simulated, and every design estimates what is known there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from threadpoolctl import threadpool_limits

from homevisit_eval.certificate.answers import (
    Answer,
    Run,
    answers_to_contrast,
    answers_to_question,
    stage,
)
from homevisit_eval.certificate.designs import Asked, as_answered, asked_of
from homevisit_eval.certificate.plan import Plan
from homevisit_eval.certificate.prepared import open_panel, tables_to_simulate
from homevisit_eval.certificate.trial import Mode, Replication, Seconds, Trial
from homevisit_eval.design import StudyDesign
from homevisit_eval.synthetic import OUTCOMES, District, Simulation, simulate

__all__ = ["replicate", "run_designs"]


def replicate(
    design: StudyDesign,
    district: District,
    *,
    plan: Plan,
    number: int,
    variations: bool,
    questions: Sequence[str] = (),
) -> Replication:
    """Simulate one district and return what every design says of it, beside the truth.

    Parameters
    ----------
    design
        Of the study.
    district
        Parameters; the seed comes from the plan.
    plan, number
        Which district, and which drawing in it.
    variations
        Whether other designs than the study's own are tried.
    questions
        Names of questions and timing contrasts of the design; if none, its primary questions.

    Returns
    -------
    Replication
        Depends on nothing but the arguments: not on the order or number of replications, nor
        on the machine's number of cores. A method that cannot be carried out is a trial with
        a problem.

    Raises
    ------
    DesignError
        If a question of the design cannot be asked of such a district.
    """
    seed, drawing = plan.place(number)
    spent: dict[str, float] = {}
    answered = as_answered(design, asked_of(design, questions), variations=variations)
    with threadpool_limits(1):
        with stage(spent, "simulate"):
            wanted = {name for question in answered for name in question.outcomes}
            simulation = simulate(
                district,
                seed,
                tables=tables_to_simulate(district, design.measurement, answered),
                outcomes=[name for name in OUTCOMES if name in wanted],
                replication=drawing,
            )
        trials = run_designs(
            simulation,
            design,
            mode=plan.mode,
            drawing=drawing,
            variations=variations,
            spent=spent,
            questions=questions,
        )
    return Replication(plan.mode, number, seed, drawing, trials, Seconds(**spent))


def run_designs(
    simulation: Simulation,
    design: StudyDesign,
    *,
    mode: Mode,
    drawing: int,
    variations: bool,
    spent: dict[str, float],
    questions: Sequence[str] = (),
) -> tuple[Trial, ...]:
    """Return the trials of one simulated district, adding CPU seconds by stage to `spent`."""
    asked = asked_of(design, questions)
    answered = as_answered(design, asked, variations=variations)
    with ExitStack() as stack:
        with stage(spent, "panel"):
            panel = stack.enter_context(open_panel(simulation, design.measurement, answered))
        run = Run(panel, simulation, drawing, design, spent)
        return tuple(
            Trial(
                mode=mode,
                district=simulation.seed,
                replication=drawing,
                study_question=question,
                design=name,
                outcome=outcome,
                **asdict(known),
                **asdict(estimate),
            )
            for question, (name, outcome, known, estimate) in _answers(run, asked, variations)
        )


def _answers(run: Run, asked: Asked, variations: bool) -> Iterator[tuple[str, Answer]]:
    """Yield the name of each question or contrast with an answer to it."""
    for question in asked.questions:
        for answer in answers_to_question(run, question, variations=variations):
            yield question.name, answer
    for contrast in asked.contrasts:
        for answer in answers_to_contrast(run, contrast):
            yield contrast.name, answer
