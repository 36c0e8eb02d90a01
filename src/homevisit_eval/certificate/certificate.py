"""The certificate: the value that `certify` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from homevisit_eval.certificate.performance import Performance, Verdict
from homevisit_eval.certificate.trial import MAIN, Seconds, Trial
from homevisit_eval.design import StudyDesign
from homevisit_eval.synthetic import District

__all__ = ["Certificate"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Certificate:
    """What a study's design recovers in districts whose truth is known.

    Attributes
    ----------
    design
        The study's design, variations included.
    district
        Parameters of the synthetic districts.
    seed
        All districts are spawned from it.
    trials
        One for each replication, design and outcome, in their order.
    performance
        One for each mode, design and outcome, the main design first.
    verdicts
        By the rules of `judge`.
    expected : mapping of design and question, for example ``"main: bias"``, to verdict
        What the preset was stated to show, before it was run; empty for other districts.
    because
        Why that was expected, one sentence.
    seconds
        Mean CPU seconds a replication.
    """

    design: StudyDesign
    district: District
    seed: int
    trials: tuple[Trial, ...]
    performance: tuple[Performance, ...]
    verdicts: tuple[Verdict, ...]
    expected: Mapping[str, str]
    because: str
    seconds: Seconds

    def __repr__(self) -> str:
        """Show the verdicts on the main design, with their reasons."""
        head = (
            f"Certificate({self.design.title!r} in synthetic districts like "
            f"{self.district.name!r}, seed {self.seed})"
        )
        lines = [
            f"  {one.mode}, {one.outcome}, {one.question}: {one.verdict}. {one.reason}"
            for one in self.verdicts
            if one.design == MAIN
        ]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"
