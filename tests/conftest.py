"""What all tests share: which files go first, and the one whole study that several look at."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from pathlib import Path

for _library in ("OPENBLAS", "MKL", "OMP"):  # read once, when numpy is loaded
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
"""Workers that each ask for every core wait for each other: a third of the time was waiting."""

import pytest  # noqa: E402

from commands import COMMAND, WholeStudy  # noqa: E402

LONG_FIRST = (
    "test_cli", "test_certificate", "test_certificate_questions", "test_report_certificate",
    "test_recovery_during", "test_recovery", "test_certificate_golden", "test_evaluation",
    "test_evaluation_questions", "test_evaluation_missing", "test_synthetic_truth",
    "test_synthetic_defects", "test_cli_certify", "test_effects_mixed",
    "test_report_document", "test_sample_day_measures", "test_matching_cardinality",
)  # fmt: skip
"""Files that take longest: at the end of a run no worker should wait for one of them."""

gc.set_threshold(50_000)  # thousands of tests are collected: looking through them is for nothing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory) -> WholeStudy:
    """Run the study of the demonstration once, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole_study"
    done = folder / "exit_status"
    try:
        folder.mkdir()
    except FileExistsError:  # another worker is at it
        until = time.monotonic() + 600
        while not done.exists() and time.monotonic() < until:
            time.sleep(0.2)
    else:
        _run_study(folder, done)
    assert done.read_text(encoding="utf-8") == "0", (folder / "stderr").read_text(encoding="utf-8")
    return WholeStudy(
        folder / "result",
        (folder / "stdout").read_text(encoding="utf-8"),
        (folder / "stderr").read_text(encoding="utf-8"),
    )


def _run_study(folder: Path, done: Path) -> None:
    with (
        (folder / "stdout").open("w", encoding="utf-8") as out,
        (folder / "stderr").open("w", encoding="utf-8") as errors,
    ):
        command = [str(COMMAND), "demo", "--verbose", "--out", str(folder / "result")]
        process = subprocess.run(command, stdout=out, stderr=errors, check=False)
    partial = done.with_suffix(".partial")
    partial.write_text(str(process.returncode), encoding="utf-8")
    partial.rename(done)
