"""What stands above and below every table of a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from homevisit_eval.report.certificate_words import drawn_sentence, main_performance

if TYPE_CHECKING:
    from homevisit_eval.certificate import Certificate, Mode, Performance

__all__ = ["failed_notes", "population_text"]


def population_text(certificate: Certificate, modes: Sequence[Mode]) -> str:
    """Return what the numbers were found in."""
    parts = [drawn_sentence(main_performance(certificate, mode)[0]) for mode in modes]
    kind = f"Kind of district: {certificate.district.name}; seed {certificate.seed}."
    return f"{'; '.join(parts)}. {kind}"


def failed_notes(performances: Sequence[Performance]) -> tuple[str, ...]:
    """Return a note on replications without an estimate, if there are any."""
    failed = sum(one.failed for one in performances)
    if not failed:
        return ()
    return (
        "Where the method could not be carried out in a replication, there is no estimate, and "
        f"the replication enters no figure: {failed:,} times over these lines.",
    )
