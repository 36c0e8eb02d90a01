"""Many replications, on many cores, and what they say together."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from functools import partial

from homevisit_eval.certificate.certificate import Certificate
from homevisit_eval.certificate.designs import Asked, as_answered, asked_of, design_labels
from homevisit_eval.certificate.expected import expectation_of, expected_verdicts
from homevisit_eval.certificate.performance import Verdict
from homevisit_eval.certificate.plan import Plan
from homevisit_eval.certificate.question_truth import require_known
from homevisit_eval.certificate.replicate import replicate
from homevisit_eval.certificate.summarize import summarize
from homevisit_eval.certificate.trial import MODES, Mode, Replication, Seconds
from homevisit_eval.certificate.verdicts import judge
from homevisit_eval.design import StudyDesign
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import District, preset

__all__ = ["certify", "certify_iter", "collect_certificate"]

logger = logging.getLogger(__name__)


def certify(
    design: StudyDesign,
    district: District | str,
    *,
    replications: int = 500,
    seed: int = 1,
    mode: Mode = "redrawn",
    districts: int = 20,
    variations: bool = True,
    workers: int = 1,
    questions: Sequence[str] = (),
) -> Certificate:
    """Say whether a design recovers the truth in synthetic districts of a kind.

    Parameters
    ----------
    design
        Of the study.
    district
        Parameters, or the name of a preset.
    replications, seed, mode, districts, variations, workers, questions
        As for `certify_iter`.

    Returns
    -------
    Certificate
        Performance with Monte Carlo errors, and verdicts. To put both modes into one, or to
        keep replications for later, use `certify_iter` and `collect_certificate`.

    Raises
    ------
    DesignError
        As `certify_iter`.
    """
    done = certify_iter(
        design,
        district,
        replications=replications,
        seed=seed,
        mode=mode,
        districts=districts,
        variations=variations,
        workers=workers,
        questions=questions,
    )
    return collect_certificate(design, district, seed, list(done))


def certify_iter(
    design: StudyDesign,
    district: District | str,
    *,
    replications: int,
    seed: int = 1,
    mode: Mode = "redrawn",
    districts: int = 20,
    variations: bool = True,
    done: Collection[Replication] = (),
    workers: int = 1,
    questions: Sequence[str] = (),
) -> Iterator[Replication]:
    """Yield the replications of a certificate in their order, as they finish.

    Parameters
    ----------
    design
        Of the study; what is registered plays no part.
    district
        Parameters, or the name of a preset.
    replications
        How many, those in `done` among them.
    seed
        All districts are spawned from it. More replications of one seed begin with the same.
    mode
        ``"redrawn"``: each replication draws a district of its own: schools, students, visits
        and outcomes. ``"fixed"``: schools, students and all that lies before the first outcome
        year stay as they are in each of `districts` districts; visits and outcomes from then
        on are drawn anew.
    districts
        At least 20; only read in mode fixed.
    variations
        Whether the design's sensitivity rows are tried besides it, and for primary questions a
        grid of methods.
    done
        Replications of an earlier run, which are not run again and not yielded; those of the
        other mode are passed over.
    workers
        Processes. Each uses one thread, and the results are the same for any number.
    questions
        Names of questions and timing contrasts of the design that are asked; if none are named,
        its primary questions.

    Raises
    ------
    DesignError
        If the design has no such question, asks what such districts do not know (no primary
        question, other years or grades, an effect without a truth: see `require_known`), an
        argument is out of its range, or `done` is of another certificate.
    """
    design = replace(design, registered=None)
    parameters = preset(district) if isinstance(district, str) else district
    if replications < 1 or workers < 1:
        raise DesignError("replications and workers must be 1 or greater.")
    asked = asked_of(design, questions)
    _require_truth(design, parameters)
    plan = Plan(mode, seed, districts)
    for question in as_answered(design, asked, variations=variations):
        require_known(question, drawn_anew=mode == "fixed")
    earlier = {one.number for one in done if one.mode == mode}
    for one in done:
        if one.mode == mode and plan.place(one.number) != (one.district, one.replication):
            raise DesignError(
                "done holds a replication of another certificate: its district is not the one "
                "that this seed and number of districts give."
            )
        if one.mode == mode and one.trials and not _answers(one, asked):
            raise DesignError(
                "done holds a replication of another certificate: other questions were asked."
            )
    numbers = [number for number in range(replications) if number not in earlier]
    run = partial(
        replicate, design, parameters, plan=plan, variations=variations, questions=tuple(questions)
    )
    return _run(run, numbers, workers)


def _answers(replication: Replication, asked: Asked) -> bool:
    """Return whether a replication answers exactly what is asked."""
    found = {trial.study_question for trial in replication.trials}
    return found == asked.names


def _run(
    run: Callable[..., Replication], numbers: list[int], workers: int
) -> Iterator[Replication]:
    logger.info("%d replications on %d workers", len(numbers), workers)
    if workers == 1 or len(numbers) < 2:
        for number in numbers:
            yield run(number=number)
        return
    import joblib

    tasks = (joblib.delayed(run)(number=number) for number in numbers)
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator", batch_size=1)
    results = parallel(tasks)
    try:
        for result in results:  # noqa: UP028 - `yield from` would close it outside the finally
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of work left undone: the caller wanted no more
            results.close()


def collect_certificate(
    design: StudyDesign, district: District | str, seed: int, replications: Iterable[Replication]
) -> Certificate:
    """Put replications of one or both modes together into a certificate.

    Parameters
    ----------
    design, district, seed
        As given to `certify_iter`.
    replications
        In any order.

    Raises
    ------
    DesignError
        If there are none.
    """
    ordered = sorted(replications, key=lambda one: (MODES.index(one.mode), one.number))
    if not ordered:
        raise DesignError("a certificate needs at least one replication.")
    parameters = preset(district) if isinstance(district, str) else district
    trials = tuple(trial for one in ordered for trial in one.trials)
    names = tuple(dict.fromkeys(trial.study_question for trial in trials))
    performance = summarize(
        trials, labels=design_labels(design, names), confidence_level=design.confidence_level
    )
    contrasts = {one.name for one in asked_of(design, names).contrasts}
    # what a preset was stated to show is about the primary question of the default design
    stated = expectation_of(parameters) if _only_primary(design, names) else None
    costs = zip(*(astuple(one.seconds) for one in ordered), strict=True)
    return Certificate(
        design=replace(design, registered=None),
        district=parameters,
        seed=seed,
        trials=trials,
        performance=performance,
        verdicts=tuple(one for one in judge(performance) if not _drifts_nowhere(one, contrasts)),
        expected=expected_verdicts(parameters) if stated else {},
        because=stated.because if stated else "",
        seconds=Seconds(*(sum(cost) / len(ordered) for cost in costs)),
    )


def _drifts_nowhere(verdict: Verdict, contrasts: Collection[str]) -> bool:
    """Return whether a verdict is on the drift of a contrast, of which one truth is known."""
    return verdict.question == "estimand drift" and verdict.study_question in contrasts


def _only_primary(design: StudyDesign, names: Sequence[str]) -> bool:
    """Return whether all questions of these names are primary."""
    asked = asked_of(design, names)
    return not asked.contrasts and all(one.role == "primary" for one in asked.questions)


def _require_truth(design: StudyDesign, district: District) -> None:
    """Check that the districts know the effects in the years and grades of the design."""
    for what, asked, known in (
        ("school_years", design.school_years, district.truth_years),
        ("grades", design.grades, district.truth_grades),
    ):
        if unknown := sorted(set(asked) - set(known)):
            raise DesignError(
                f"{what}: districts like {district.name!r} know no effects in "
                f"{', '.join(map(str, unknown))}; they know them in "
                f"{', '.join(map(str, known))}."
            )
