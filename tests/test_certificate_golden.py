"""The certificate of the default design in small districts: the committed one, trial by trial.

Two of the committed replications are made again, one of them with all designs beside the study's
own (all eight in the slow run); performance is computed again from all committed trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate import MAIN, Replication, Trial, certify_iter
from homevisit_eval.certificate.designs import compared_designs
from homevisit_eval.certificate.plan import Plan
from homevisit_eval.certificate.prepared import tables_to_simulate
from homevisit_eval.certificate.replicate import run_designs
from homevisit_eval.certificate.summarize import summarize
from homevisit_eval.synthetic import preset, simulate
from same_trials import same_trials

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "reference" / "certificate"
DESIGN = hv.read_design(ROOT / "study.toml")
OUTCOMES = ("attendance_rate", "any_incident")
MADE_AGAIN = 8
SAME = 1e-9  # other processors round the last digits differently
NUMBERS = ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value", "truth_all",
           "truth_kept", "naive", "outcome_sd", "largest_smd_before", "largest_smd")  # fmt: skip


@pytest.fixture(scope="module")
def first() -> hv.Certificate:
    """Return the certificate of one replication, with all designs."""
    return hv.certify(DESIGN, "small", replications=1)


def committed() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "small_60_trials.csv")


def assert_committed(trials: Sequence[Trial], numbers: range) -> None:
    again = pd.DataFrame([trial_columns(trial) for trial in trials])
    golden = committed()
    golden = golden[golden["number"].isin(numbers)]
    assert len(again) == len(golden) == 2 * len(numbers)
    for name in ("district", "outcome", "design", "visited", "kept"):
        assert again[name].tolist() == golden[name].tolist(), name
    for name in NUMBERS:
        assert again[name].to_numpy() == pytest.approx(golden[name].to_numpy(), abs=SAME), name


def trial_columns(trial: Trial) -> dict[str, object]:
    return {field.name: getattr(trial, field.name) for field in fields(trial)}


def test_the_first_replication_is_the_committed_one(first: hv.Certificate) -> None:
    assert_committed([trial for trial in first.trials if trial.design == MAIN], range(1))


def test_a_later_replication_is_the_committed_one_without_those_before_it() -> None:
    """Nor does it matter that the question, which is the primary one, is named."""
    done = [Replication("redrawn", k, *Plan("redrawn", 1, 20).place(k), ()) for k in range(7)]
    (alone,) = certify_iter(
        DESIGN, "small", replications=8, variations=False, done=done,
        questions=("summer_behavior",),
    )  # fmt: skip
    assert_committed(alone.trials, range(7, 8))


@pytest.mark.slow
def test_the_first_replications_are_the_committed_ones() -> None:
    certificate = hv.certify(DESIGN, "small", replications=MADE_AGAIN, variations=False)
    assert_committed(certificate.trials, range(MADE_AGAIN))


def test_performance_is_computed_from_the_trials() -> None:
    golden = pd.read_csv(GOLDEN / "small_60_performance.csv")
    names = {"Attendance rate": "attendance_rate", "Any disciplinary incident": "any_incident"}
    golden["outcome"] = golden["outcome"].map(names)
    for performance in summarize(committed_trials()):
        rows = golden[golden["outcome"] == performance.outcome].set_index("field")
        assert len(rows) > 15
        for name, row in rows.iterrows():
            obtained = getattr(performance, str(name))
            assert obtained.value == pytest.approx(row["value"], rel=1e-9, abs=1e-12), name
            assert obtained.std_error == pytest.approx(row["std_error"], rel=1e-9), name


def test_the_committed_estimates_are_right_on_average() -> None:
    for performance in summarize(committed_trials()):
        assert performance.replications == 60
        assert abs(performance.bias.value) < 3.5 * performance.bias.std_error
        assert abs(performance.naive_bias.value) > 7 * performance.bias.std_error  # it would show
        # 60 intervals of 95 %: fewer than 51 hold the truth once in 2,500 times
        assert performance.coverage_kept.value >= 51 / 60


def committed_trials() -> list[Trial]:
    rows = committed().drop(columns=["number", "data"]).assign(problem="")
    return [Trial(**record) for record in rows.to_dict("records")]


def test_a_certificate_of_the_small_district(first: hv.Certificate) -> None:
    designs = [MAIN, *(v.name for v in compared_designs(DESIGN, DESIGN.questions[0]))]
    assert [one.design for one in first.performance if one.outcome == OUTCOMES[0]] == designs
    assert len(first.trials) == len(designs) * len(OUTCOMES)
    assert {one.failed for one in first.performance} == {0}
    main = next(one for one in first.performance if one.design == MAIN)
    assert 0.8 < main.share_matched.value < 1
    assert main.largest_smd.value < main.largest_smd_before.value
    assert abs(main.naive_bias.value) > abs(main.bias.value)
    assert first.expected["main: bias"] == "pass"
    assert first.because
    assert first.seconds.variations > 0
    assert "redrawn, attendance_rate, coverage: " in repr(first)


def test_the_naive_difference_is_the_design_without_matching_and_covariates(
    first: hv.Certificate,
) -> None:
    naive = [trial for trial in first.trials if trial.design == "unmatched_means_cr2"]
    assert len(naive) == len(OUTCOMES)
    for trial in naive:
        assert trial.estimate == pytest.approx(trial.naive, rel=1e-9)
        assert trial.truth_all == trial.truth_kept
        assert trial.largest_smd == trial.largest_smd_before


def test_no_design_sees_the_truth(first: hv.Certificate) -> None:
    small, seed = preset("small"), first.trials[0].district
    tables = tables_to_simulate(small, DESIGN.measurement)
    simulation = simulate(small, seed, tables=tables, outcomes=OUTCOMES)
    random = np.random.default_rng(1)
    poisoned = simulation.truth.copy()
    for name in poisoned.columns.difference(["student_id", "school_year"]):
        poisoned[name] = random.normal(size=len(poisoned))
    hidden = simulation.student_years.assign(
        visited_before_year=random.permutation(simulation.student_years["visited_before_year"])
    )
    misled = run_designs(
        replace(simulation, truth=poisoned, student_years=hidden), DESIGN,
        mode="redrawn", drawing=0, variations=True, spent={},
    )  # fmt: skip
    unknown = dict.fromkeys(("truth_all", "truth_kept"), math.nan)
    for one, other in zip(first.trials, misled, strict=True):
        assert one.truth_kept != other.truth_kept
        assert same_trials([replace(one, **unknown)], [replace(other, **unknown)])
