"""Nothing that leaves the package holds an identifier: outputs, errors, logs, representations."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import homevisit_eval as hv
from commands import DATA, DESIGN, WholeStudy, call, call_here
from homevisit_eval.effects import fit_least_squares
from short_study import short_design
from synthetic_districts import strong

IDENTIFIER = re.compile(r"SYN\d{3,}|\bT\d{4}\b|\bV\d{5}\b|\bI\d{5}\b")
SCHOOL = re.compile(r"\bS\d\d\b")


def assert_private(text: str) -> None:
    assert not IDENTIFIER.search(text)
    assert not SCHOOL.search(text), "schools are masked"


def test_the_pattern_finds_the_identifiers_of_this_district() -> None:
    first = (DATA / "students.csv").read_text(encoding="utf-8").splitlines()[1]
    assert IDENTIFIER.search(first)
    assert SCHOOL.search((DATA / "schools.csv").read_text(encoding="utf-8").splitlines()[1])


def test_everything_that_a_run_writes_and_prints(whole_study: WholeStudy) -> None:
    assert_private(whole_study.stdout + whole_study.stderr)
    written = [path for path in whole_study.folder.rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        if path.suffix != ".png":  # pixels spell anything; the SVG of the same figure is searched
            assert_private(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    hv.write_simulation(hv.simulate(strong(), 1, outcomes=()), folder)
    return folder


def test_representations_of_values_in_a_notebook(district: Path) -> None:
    design = short_design("any_incident")
    assert IDENTIFIER.search((district / "visits.csv").read_text(encoding="utf-8"))
    with hv.read_sources(district) as sources:
        panel = hv.build_panel(sources, design.measurement)
        sample = hv.select_sample(panel, design)
        matched = hv.match_students(sample)
        balance = hv.assess_balance(matched)
        effect = hv.estimate_effect(matched, "any_incident")
        for value in (sources, panel, sample, matched, matched.matches, balance, effect):
            assert_private(repr(value))
            if hasattr(value, "_repr_html_"):
                assert_private(value._repr_html_())


FAULTS = {
    "student_id that is not in students": (
        "absences.csv", lambda row: "SYN99999" + row[row.index(",") :],
    ),
    "rows with the same key (student_id)": ("students.csv", lambda row: row),
    "cell that cannot be read as its kind": (
        "incidents.csv", lambda row: row.rsplit(",", 1)[0] + ",SYN123",
    ),
    "too few fields": ("enrollments.csv", lambda row: row.split(",")[0]),
    "quotation mark out of place": ("visits.csv", lambda row: '"' + row),
}  # fmt: skip
"""What is said of a fault, the file it is put into, and the row that is made of another."""


@pytest.mark.parametrize("faults", [list(FAULTS), list(FAULTS)[:1]], ids=["all", "one"])
def test_failing_runs(faults: list[str], district: Path, tmp_path: Path) -> None:
    """With one fault the records are counted, too."""
    broken = tmp_path / "broken"
    shutil.copytree(district, broken)
    for fault in faults:
        name, spoil = FAULTS[fault]
        rows = (broken / name).read_text(encoding="utf-8").splitlines()
        rows.append(spoil(rows[1]))
        (broken / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    for done in (
        call_here("check", broken),
        call_here("run", broken, "--design", DESIGN, "--out", tmp_path / "x"),
    ):
        assert done.returncode == 3, done.stdout
        said = done.stdout + done.stderr
        assert_private(said)
        for fault in faults:
            assert FAULTS[fault][0] in said
            assert fault in said


def test_a_failing_run_as_a_process(district: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(district, broken)
    with (broken / "visits.csv").open("a", encoding="utf-8") as visits:
        visits.write('V00001,"SYN00001\n')
    done = call("run", broken, "--design", DESIGN, "--out", tmp_path / "x")
    assert done.returncode == 3, done.stdout
    assert "Traceback" not in done.stderr
    assert_private(done.stdout + done.stderr)
    assert "visits.csv" in done.stdout + done.stderr


def test_logs_and_errors_on_few_students_show_no_small_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"visited": [1] * 7 + [0] * 60, "age": random.normal(8, 1, 67)})
    with caplog.at_level("INFO", logger="homevisit_eval"):
        hv.match_frame(frame, treated="visited", covariates=["age"])
    assert "nearest_neighbor of 67 rows" in caplog.text
    assert not re.search(r"\b[1-9] (pairs|rows)", caplog.text)
    with pytest.raises(hv.EstimationError, match="too few rows") as caught:
        fit_least_squares(random.normal(size=6), random.normal(size=(6, 8)))
    assert "6" not in str(caught.value)
