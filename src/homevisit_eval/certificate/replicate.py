"""One replication: a district is simulated, and every design estimates what is known there."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from homevisit_eval.certificate.designs import compared_designs, primary_questions
from homevisit_eval.certificate.known import (
    Known,
    known_of_matched,
    known_of_sample,
    largest_differences,
    mean_of_known,
)
from homevisit_eval.certificate.plan import Plan
from homevisit_eval.certificate.prepared import open_panel, tables_to_simulate
from homevisit_eval.certificate.trial import MAIN, Mode, Replication, Seconds, Trial
from homevisit_eval.design import MatchingMethod, OutcomeModel, Question, StudyDesign, Variation
from homevisit_eval.errors import EstimationError, MatchingError, SourceError
from homevisit_eval.evaluation import estimate_pooled, match_completed, vary_sample
from homevisit_eval.matching import MatchedSample
from homevisit_eval.panel import Panel
from homevisit_eval.sample import AnalyticSample, select_sample
from homevisit_eval.synthetic import OUTCOMES, District, Simulation, simulate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["replicate", "run_designs"]

NONE = math.nan


@dataclass(frozen=True, slots=True)
class _Estimate:
    """What a design says of one outcome: fields of a trial."""

    estimate: float = NONE
    std_error: float = NONE
    df: float = NONE
    ci_low: float = NONE
    ci_high: float = NONE
    p_value: float = NONE
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Matched:
    """One way to choose the students, with what is known of each outcome there.

    Under multiple imputation one matched sample for each imputation; none if there is a problem.
    """

    matched: tuple[MatchedSample, ...]
    known: dict[str, Known]
    problem: str = ""


def replicate(
    design: StudyDesign, district: District, *, plan: Plan, number: int, variations: bool
) -> Replication:
    """Simulate one district and return what every design says of it, beside the truth.

    Parameters
    ----------
    design
        Its primary questions are asked.
    district
        Parameters; the seed comes from the plan.
    plan, number
        Which district, and which drawing in it.
    variations
        Whether other designs than the study's own are tried.

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
    with threadpool_limits(1):
        with _stage(spent, "simulate"):
            simulation = _simulate(design, district, seed, drawing)
        trials = run_designs(
            simulation, design, mode=plan.mode, drawing=drawing, variations=variations, spent=spent
        )
    return Replication(plan.mode, number, seed, drawing, trials, Seconds(**spent))


def _simulate(design: StudyDesign, district: District, seed: int, drawing: int) -> Simulation:
    asked = {name for question in primary_questions(design) for name in question.outcomes}
    return simulate(
        district,
        seed,
        tables=tables_to_simulate(district, design.measurement),
        outcomes=[name for name in OUTCOMES if name in asked],
        replication=drawing,
    )


def run_designs(
    simulation: Simulation,
    design: StudyDesign,
    *,
    mode: Mode,
    drawing: int,
    variations: bool,
    spent: dict[str, float],
) -> tuple[Trial, ...]:
    """Return the trials of one simulated district, adding CPU seconds by stage to `spent`."""
    trials: list[Trial] = []
    with ExitStack() as stack:
        with _stage(spent, "panel"):
            panel = stack.enter_context(open_panel(simulation, design.measurement))
        for question in primary_questions(design):
            run = _Run(panel, simulation.truth, design, question, spent)
            for name, outcome, known, estimate in _answers(run, variations):
                trials.append(
                    Trial(
                        mode=mode,
                        district=simulation.seed,
                        replication=drawing,
                        study_question=question.name,
                        design=name,
                        outcome=outcome,
                        **asdict(known),
                        **asdict(estimate),
                    )
                )
    return tuple(trials)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """What the designs of one question share."""

    panel: Panel
    truth: pd.DataFrame
    design: StudyDesign
    question: Question
    spent: dict[str, float]


def _answers(run: _Run, variations: bool) -> Iterator[tuple[str, str, Known, _Estimate]]:
    """Yield design, outcome, what is known and what is estimated."""
    try:
        with _stage(run.spent, "sample"):
            sample = select_sample(run.panel, run.design, run.question)
        main = _match(run, sample, None, "match", "truth")
    except SourceError as error:
        main = _Matched((), {}, _sentence(error))
        sample = None
    yield from _estimates(run, MAIN, main, None, "estimate")
    if not variations:
        return
    found = {_choice(run, None): main}
    for variation in compared_designs(run.design, run.question):
        key = _choice(run, variation)
        if sample is None:
            found[key] = main
        elif key not in found:
            found[key] = _varied(run, sample, variation)
        yield from _estimates(run, variation.name, found[key], variation.model, "variations")


def _choice(run: _Run, variation: Variation | None) -> tuple[object, ...]:
    """Return what decides who is matched with whom."""
    own = run.question.matching or run.design.matching
    if variation is None:
        return None, None, None, None, own
    return (
        variation.pool,
        variation.comparison_schools,
        variation.min_days_enrolled,
        variation.missing_covariates,
        variation.matching or own,
    )


def _varied(run: _Run, sample: AnalyticSample, variation: Variation) -> _Matched:
    try:
        with _stage(run.spent, "variations"):
            varied = vary_sample(run.panel, sample, variation)
    except SourceError as error:
        return _Matched((), {}, _sentence(error))
    return _match(run, varied, variation.matching, "variations", "variations")


def _match(
    run: _Run, sample: AnalyticSample, method: MatchingMethod | None, stage: str, looking: str
) -> _Matched:
    with _stage(run.spent, looking):
        known = {name: known_of_sample(run.truth, sample, name) for name in run.question.outcomes}
    try:
        with _stage(run.spent, stage):
            matched = match_completed(sample, method)
    except MatchingError as error:
        return _Matched((), known, _sentence(error))
    with _stage(run.spent, looking):
        differences = [largest_differences(one) for one in matched]
        known = {
            name: mean_of_known(
                [
                    known_of_matched(run.truth, one, name, before, both)
                    for one, both in zip(matched, differences, strict=True)
                ]
            )
            for name, before in known.items()
        }
    return _Matched(matched, known)


def _estimates(
    run: _Run, name: str, chosen: _Matched, model: OutcomeModel | None, stage: str
) -> Iterator[tuple[str, str, Known, _Estimate]]:
    for outcome in run.question.outcomes:
        with _stage(run.spent, stage):
            estimate = _estimate(chosen, outcome, model)
        yield name, outcome, chosen.known.get(outcome, Known()), estimate


def _estimate(chosen: _Matched, outcome: str, model: OutcomeModel | None) -> _Estimate:
    if not chosen.matched:
        return _Estimate(problem=chosen.problem)
    try:
        effect = estimate_pooled(chosen.matched, outcome, model)
    except EstimationError as error:
        return _Estimate(problem=_sentence(error))
    return _Estimate(
        effect.estimate,
        effect.std_error,
        effect.df,
        effect.ci_low,
        effect.ci_high,
        effect.p_value,
    )


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _stage(spent: dict[str, float], name: str) -> Iterator[None]:
    """Add the CPU seconds of what is done within to a stage."""
    started = time.process_time()
    try:
        yield
    finally:
        spent[name] = spent.get(name, 0.0) + time.process_time() - started
