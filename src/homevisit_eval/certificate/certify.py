"""Many replications, on many cores, and what they say together."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import astuple

from homevisit_eval.certificate.certificate import Certificate
from homevisit_eval.certificate.designs import design_labels, primary_questions
from homevisit_eval.certificate.expected import expectation_of, expected_verdicts
from homevisit_eval.certificate.plan import Plan
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
) -> Certificate:
    """Say whether a design recovers the truth in synthetic districts of a kind.

    Parameters
    ----------
    design
        Its primary questions are asked.
    district
        Parameters, or the name of a preset.
    replications, seed, mode, districts, variations, workers
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
) -> Iterator[Replication]:
    """Yield the replications of a certificate in their order, as they finish.

    Parameters
    ----------
    design
        Its primary questions are asked.
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
        Whether the design's sensitivity rows and a grid of methods are tried besides it.
    done
        Replications of an earlier run, which are not run again and not yielded; those of the
        other mode are passed over.
    workers
        Processes. Each uses one thread, and the results are the same for any number.

    Raises
    ------
    DesignError
        If the design asks what such districts do not know (no primary question, other years
        or grades), an argument is out of its range, or `done` is of another certificate.
    """
    parameters = preset(district) if isinstance(district, str) else district
    if replications < 1 or workers < 1:
        raise DesignError("replications and workers must be 1 or greater.")
    _require_truth(design, parameters)
    plan = Plan(mode, seed, districts)
    earlier = {one.number for one in done if one.mode == mode}
    for one in done:
        if one.mode == mode and plan.place(one.number) != (one.district, one.replication):
            raise DesignError(
                "done holds a replication of another certificate: its district is not the one "
                "that this seed and number of districts give."
            )
    numbers = [number for number in range(replications) if number not in earlier]
    return _run(design, parameters, plan, numbers, variations=variations, workers=workers)


def _run(
    design: StudyDesign,
    district: District,
    plan: Plan,
    numbers: list[int],
    *,
    variations: bool,
    workers: int,
) -> Iterator[Replication]:
    logger.info("%d replications on %d workers", len(numbers), workers)
    if workers == 1 or len(numbers) < 2:
        for number in numbers:
            yield replicate(design, district, plan=plan, number=number, variations=variations)
        return
    import joblib

    tasks = (
        joblib.delayed(replicate)(design, district, plan=plan, number=number, variations=variations)
        for number in numbers
    )
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
    performance = summarize(
        trials, labels=design_labels(design), confidence_level=design.confidence_level
    )
    costs = zip(*(astuple(one.seconds) for one in ordered), strict=True)
    return Certificate(
        design=design,
        district=parameters,
        seed=seed,
        trials=trials,
        performance=performance,
        verdicts=judge(performance),
        expected=expected_verdicts(parameters),
        because=stated.because if (stated := expectation_of(parameters)) else "",
        seconds=Seconds(*(sum(cost) / len(ordered) for cost in costs)),
    )


def _require_truth(design: StudyDesign, district: District) -> None:
    """Check that the districts know the effects in the years and grades of the design."""
    if not primary_questions(design):
        raise DesignError("The design has no primary question; a certificate needs one.")
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
