"""Both rules for grades without a pretest recover their own truth, which is not the same.

In these districts a visit helps the more in mathematics the higher the grade (-.15, .15 and .45
standard deviations in grades 3, 4 and 5), and third graders have no pretest in two years of three:
the rule that keeps them asks for another effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

import homevisit_eval as hv
from commands import DESIGN
from homevisit_eval.certificate.known import naive_difference
from homevisit_eval.certificate.prepared import prepared_panel
from homevisit_eval.design.achievement import GradeRule
from homevisit_eval.synthetic import preset, simulate

pytestmark = pytest.mark.simulation

OUTCOME = "math_score_std"
RULES: tuple[GradeRule, ...] = ("leave_out", "keep")
LARGEST_Z = 3.5  # of a mean error over its standard error: 1 in 2,000 by chance


@dataclass(frozen=True)
class Recovered:
    """One district under one rule."""

    estimate: float
    std_error: float
    covered: bool
    truth: float
    naive: float

    @property
    def error(self) -> float:
        return self.estimate - self.truth


def recovered(seed: int) -> Mapping[str, Recovered]:
    """Return what each rule makes of one district, beside the truth on those whom it keeps."""
    study = hv.read_design(DESIGN)
    question = replace(study.question("summer_achievement"), outcomes=(OUTCOME,))
    study = replace(study, questions=(question,), sensitivity=(), timing_contrasts=())
    small = preset("small")
    steep = replace(small, effects=replace(small.effects, math_grade=0.3))
    tables = ("schools", "calendar", "visits")
    simulation = simulate(steep, seed, tables=tables, outcomes=(OUTCOME,))
    found = {}
    with prepared_panel(simulation, study.measurement) as panel:
        for rule in RULES:
            design = replace(study, achievement=hv.Achievement(grades_without_pretest=rule))
            sample = hv.select_sample(panel, design, question)
            matched = hv.match_students(sample)
            effect = hv.estimate_effect(matched, OUTCOME)
            truth = hv.true_effect(simulation.truth, OUTCOME, matched)
            found[rule] = Recovered(
                effect.estimate,
                effect.std_error,
                effect.ci_low <= truth <= effect.ci_high,
                truth,
                naive_difference(sample, OUTCOME),
            )
    return found


def means(many: Iterable[Mapping[str, Recovered]], rule: str, name: str) -> float:
    return float(np.mean([getattr(one[rule], name) for one in many]))


def test_each_rule_recovers_its_truth_in_a_district():
    one = recovered(1)
    for rule in RULES:
        assert abs(one[rule].error) < LARGEST_Z * one[rule].std_error
    assert one["leave_out"].truth > one["keep"].truth + 0.03


@pytest.mark.slow
def test_each_rule_recovers_its_truth_over_many_districts():
    many = [recovered(seed) for seed in range(201, 225)]
    for rule in RULES:
        errors = np.array([one[rule].error for one in many])
        noise = errors.std(ddof=1) / np.sqrt(len(errors))
        assert abs(errors.mean()) < LARGEST_Z * noise
        assert means(many, rule, "naive") - means(many, rule, "truth") < -5 * noise
        assert means(many, rule, "covered") >= 0.75  # fewer than 18 of 24: 1 in 7,000 if it is .95
    apart = np.array([one["leave_out"].error - one["keep"].error for one in many])
    assert abs(apart.mean()) < LARGEST_Z * apart.std(ddof=1) / np.sqrt(len(apart))
    assert means(many, "leave_out", "truth") > means(many, "keep", "truth") + 0.03
