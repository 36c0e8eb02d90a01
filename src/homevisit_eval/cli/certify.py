"""The command certify: many replications, kept as they finish, and the certificate they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from homevisit_eval.cli.interruption import stop_if_interrupted, was_interrupted
from homevisit_eval.cli.progress import progress

if TYPE_CHECKING:
    from homevisit_eval.certificate import Mode, Replication
    from homevisit_eval.cli.trial_store import TrialStore
    from homevisit_eval.design import StudyDesign
    from homevisit_eval.synthetic import District

__all__ = ["Order", "certify_design"]

Schools = Literal["redrawn", "fixed", "both"]


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for.

    Attributes
    ----------
    replications
        In each mode.
    schools
        One mode, or both.
    districts
        How many are held fixed.
    variations
        Whether other designs are tried beside the study's own.
    questions
        Names of questions and timing contrasts; if none, the primary questions.
    """

    replications: int
    seed: int
    schools: Schools
    districts: int
    workers: int
    variations: bool
    questions: tuple[str, ...] = ()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes, in the order in which they are run."""
        return ("redrawn", "fixed") if self.schools == "both" else (self.schools,)


def certify_design(design_file: Path, place: Path | str, order: Order, out: Path) -> None:
    """Run what is not done yet, write the certificate, and print its verdicts.

    Parameters
    ----------
    place
        A file of district parameters, or the name of a preset.
    """
    from homevisit_eval.cli.output_folder import check_replaceable, replaced_folder
    from homevisit_eval.design import read_design

    design = read_design(design_file)
    check_replaceable(out)

    from homevisit_eval.certificate import collect_certificate
    from homevisit_eval.cli.results import write_certificate
    from homevisit_eval.cli.trial_store import certificate_key, open_trial_store
    from homevisit_eval.report import build_certificate
    from homevisit_eval.synthetic import preset, read_district

    district = preset(place) if isinstance(place, str) else read_district(place)
    key = certificate_key(
        design,
        district,
        seed=order.seed,
        districts=order.districts,
        variations=order.variations,
        questions=order.questions,
    )
    runs = _runs(design, district, order, ())  # wrong arguments show before a file is made
    store = open_trial_store(out, key)
    with _told_how_to_resume(store):
        runs = _runs(design, district, order, store.done)
        replications = _run(runs, store, order)
        stop_if_interrupted()
        with progress("Writing the certificate", total=None):
            certificate = collect_certificate(design, district, order.seed, replications)
            report = build_certificate(certificate)
            stop_if_interrupted()
            with replaced_folder(out) as fresh:
                write_certificate(report, certificate, replications, key, fresh)
    store.remove()
    typer.echo(report.summary)
    typer.echo(f"Certificate: {(out / 'certificate.html').absolute()}")


def _runs(
    design: StudyDesign, district: District, order: Order, done: Sequence[Replication]
) -> list[Iterator[Replication]]:
    from homevisit_eval.certificate import certify_iter

    return [
        certify_iter(
            design,
            district,
            replications=order.replications,
            seed=order.seed,
            mode=mode,
            districts=order.districts,
            variations=order.variations,
            done=done,
            workers=order.workers,
            questions=order.questions,
        )
        for mode in order.modes
    ]


def _run(
    runs: Sequence[Iterator[Replication]], store: TrialStore, order: Order
) -> list[Replication]:
    """Return the replications that were asked for, those done earlier and those run now."""
    asked = [
        one for one in store.done if one.mode in order.modes and one.number < order.replications
    ]
    total = order.replications * len(order.modes)
    with progress("Replications", total=total, done=len(asked), time_left=True) as step:
        for run in runs:
            for replication in _closed(run):
                store.append(replication)
                asked.append(replication)
                step("Replications")
    return asked


def _closed(run: Iterator[Replication]) -> Iterator[Replication]:
    """Yield what a run yields, and end its workers at once when it is left early."""
    try:
        yield from run
    finally:
        close: Callable[[], None] | None = getattr(run, "close", None)
        if close is not None:
            close()


@contextmanager
def _told_how_to_resume(store: TrialStore) -> Iterator[None]:
    """Say after an interruption that nothing finished is lost."""
    try:
        yield
    except BaseException as error:
        if was_interrupted() or isinstance(error, KeyboardInterrupt):
            typer.echo(
                f"Interrupted. Finished replications are kept in {store.path}; the same command "
                "goes on from there.",
                err=True,
            )
        raise
