"""The certificate of the default design is the committed one, trial by trial.

The first replications are made again; performance is computed again from all committed trials.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate import Trial
from homevisit_eval.certificate.summarize import summarize

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "reference" / "certificate"
MADE_AGAIN = 8
SAME = 1e-9  # other processors round the last digits differently
NUMBERS = ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value", "truth_all",
           "truth_kept", "naive", "outcome_sd", "largest_smd_before", "largest_smd")  # fmt: skip


def committed() -> pd.DataFrame:
    return pd.read_csv(GOLDEN / "small_60_trials.csv")


def test_the_first_replications_are_the_committed_ones() -> None:
    design = hv.read_design(ROOT / "study.toml")
    certificate = hv.certify(design, "small", replications=MADE_AGAIN, variations=False)
    again = pd.DataFrame([trial_columns(trial) for trial in certificate.trials])
    golden = committed().head(len(again))
    assert len(again) == 2 * MADE_AGAIN
    for name in ("district", "outcome", "design", "visited", "kept"):
        assert again[name].tolist() == golden[name].tolist(), name
    for name in NUMBERS:
        assert again[name].to_numpy() == pytest.approx(golden[name].to_numpy(), abs=SAME), name


def trial_columns(trial: Trial) -> dict[str, object]:
    return {field.name: getattr(trial, field.name) for field in fields(trial)}


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


def committed_trials() -> list[Trial]:
    rows = committed().drop(columns=["number", "data"]).assign(problem="")
    return [Trial(**record) for record in rows.to_dict("records")]
