"""What one replication shows: one trial for each design and outcome, plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["MAIN", "MODES", "Mode", "Replication", "Seconds", "Trial"]

Mode = Literal["redrawn", "fixed"]
MODES: tuple[Mode, ...] = ("redrawn", "fixed")

MAIN = "main"
"""The name, among the designs of a certificate, of the study's own design."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one design said about one outcome in one replication, beside the truth.

    Attributes
    ----------
    mode
        ``"redrawn"``: a district of its own. ``"fixed"``: one of few districts, whose visits
        and outcomes were drawn anew.
    district
        Seed of the district.
    replication
        Which drawing of visits and outcomes in that district; 0 in mode redrawn.
    study_question, outcome
        Names in the study's design.
    design
        ``"main"``, or the name of a variation.
    estimate, std_error, df, ci_low, ci_high, p_value
        As in `Effect`, in units of the outcome.
    truth_all
        (a) The effect on all visited candidates (eligible, with a complete baseline) whose
        outcome is observed.
    truth_kept
        (b) The effect on those of them that the design kept, with its weights.
    truth_total
        Under spillover, the effect on the kept against no program at all; NaN elsewhere.
    comparison_gain
        Under spillover, what others' visits gave the kept comparison students, by which the
        estimate falls short of the total effect; NaN elsewhere.
    naive
        Difference of the candidates' means, visited minus comparison.
    outcome_sd
        Pooled standard deviation of the outcome within the two groups of candidates.
    visited, kept
        Visited students who are eligible and have the outcome; those of them kept.
    largest_smd_before, largest_smd
        The largest absolute standardized mean difference of a covariate before matching, and
        after it with the design's weights.
    problem
        Empty, or why there is no estimate; the numbers of the estimate are NaN then.
    """

    mode: Mode
    district: int
    replication: int
    study_question: str
    design: str
    outcome: str
    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    truth_all: float
    truth_kept: float
    truth_total: float
    comparison_gain: float
    naive: float
    outcome_sd: float
    visited: int
    kept: int
    largest_smd_before: float
    largest_smd: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Seconds:
    """CPU seconds of one replication, stage by stage."""

    simulate: float = 0.0
    panel: float = 0.0
    sample: float = 0.0
    match: float = 0.0
    estimate: float = 0.0
    truth: float = 0.0
    variations: float = 0.0

    @property
    def total(self) -> float:
        """All stages together."""
        parts = (self.simulate, self.panel, self.sample, self.match, self.estimate, self.truth)
        return sum(parts) + self.variations


@dataclass(frozen=True, slots=True)
class Replication:
    """All trials of one replication.

    Attributes
    ----------
    mode, district, replication
        As in `Trial`.
    number
        Its place in the certificate, from 0 on.
    trials
        Designs in their order, the main one first, and in each the outcomes.
    seconds
        What it cost; two replications are equal whatever they cost.
    """

    mode: Mode
    number: int
    district: int
    replication: int
    trials: tuple[Trial, ...]
    seconds: Seconds = field(default=Seconds(), compare=False)
