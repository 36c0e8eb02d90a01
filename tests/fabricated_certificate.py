"""A fabricated certificate: numbers drawn from normal distributions, no district simulated."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy import special, stats

from homevisit_eval.certificate import (
    MAIN,
    Certificate,
    Mode,
    Replication,
    Trial,
    collect_certificate,
)
from homevisit_eval.certificate.designs import compared_designs
from homevisit_eval.design import StudyDesign, read_design

__all__ = ["DESIGN", "certificate", "replications"]

DESIGN: StudyDesign = read_design(Path(__file__).resolve().parent.parent / "study.toml")
DF = 14.0
CRITICAL = float(stats.t.ppf(0.975, DF))

TRUTHS = {"attendance_rate": 0.0035, "any_incident": -0.0295}
ERRORS = {"attendance_rate": 0.0021, "any_incident": 0.0086}
NAIVE = {"attendance_rate": -0.011, "any_incident": 0.052}
BIASES = {MAIN: 0.05, "never_visited": 0.9, "no_matching": -0.4}
"""Of a design, in standard errors; 0.1 elsewhere."""
NARROW = {"cluster_matched_set": 0.7}
"""What the standard errors of a design are multiplied by; 1 elsewhere."""


def certificate(
    count: int = 200,
    *,
    modes: tuple[Mode, ...] = ("redrawn",),
    preset: str = "small",
    null: bool = False,
) -> Certificate:
    """Return a certificate of fabricated replications, as many in each mode."""
    made = [one for mode in modes for one in replications(count, mode=mode, null=null)]
    return collect_certificate(DESIGN, preset, 1, made)


def replications(
    count: int,
    *,
    mode: Mode = "redrawn",
    districts: int = 20,
    seed: int = 1,
    null: bool = False,
) -> tuple[Replication, ...]:
    """Return replications of the study's main question and its variations."""
    question = next(one for one in DESIGN.questions if one.role == "primary")
    outcomes = [name for name in question.outcomes if name in TRUTHS]
    designs = [MAIN, *(one.name for one in compared_designs(DESIGN, question))]
    random = np.random.default_rng([seed, mode == "fixed"])
    of_district = random.normal(size=districts)
    made = []
    for number in range(count):
        fixed = mode == "fixed"
        district = 101 + (number % districts if fixed else number)
        repeat = number // districts + 1 if fixed else 0
        shift = of_district[number % districts] if fixed else 0.0
        shared = random.normal()
        trials = tuple(
            _trial(
                (mode, district, repeat, question.name, design, outcome),
                0.85 * shared + 0.53 * random.normal() + BIASES.get(design, 0.1) + 0.6 * shift,
                NARROW.get(design, 1.0) * math.exp(0.15 * random.normal()),
                random.normal(),
                null,
            )
            for design in designs
            for outcome in outcomes
        )
        made.append(Replication(mode, number, district, repeat, trials))
    return tuple(made)


def _trial(
    names: tuple[Mode, int, int, str, str, str],
    error: float,
    width: float,
    wobble: float,
    null: bool,
) -> Trial:
    mode, district, replication, question, design, outcome = names
    unit = ERRORS[outcome]
    truth = 0.0 if null else TRUTHS[outcome] + 0.05 * unit * wobble
    kept_truth = 0.0 if null else truth + 0.02 * unit
    estimate, std_error = kept_truth + error * unit, unit * width
    half = CRITICAL * std_error
    return Trial(
        mode=mode,
        district=district,
        replication=replication,
        study_question=question,
        design=design,
        outcome=outcome,
        estimate=estimate,
        std_error=std_error,
        df=DF,
        ci_low=estimate - half,
        ci_high=estimate + half,
        p_value=float(2 * special.stdtr(DF, -abs(estimate / std_error))),
        truth_all=truth,
        truth_kept=kept_truth,
        truth_total=math.nan,
        comparison_gain=math.nan,
        naive=truth + NAIVE[outcome] + 0.3 * unit * wobble,
        outcome_sd=10 * unit,
        visited=320,
        kept=305 + round(4 * wobble),
        largest_smd_before=0.42 + 0.03 * wobble,
        largest_smd=0.08 + 0.01 * wobble,
    )
