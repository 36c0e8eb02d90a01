"""The commands as processes: exit status, what is printed where, and what is left on disk."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest

from commands import COMMAND, DATA, DESIGN, WholeStudy, call
from homevisit_eval.cli.commands import Preset
from homevisit_eval.design import design_text, read_design
from homevisit_eval.synthetic import PRESETS


@pytest.fixture(scope="module")
def result(whole_study: WholeStudy) -> Path:
    return whole_study.folder


@pytest.fixture(scope="module")
def short_design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study's design with its first question only, answered in one way."""
    design = read_design(DESIGN)
    path = tmp_path_factory.mktemp("short") / "study.toml"
    short = replace(design, questions=design.questions[:1], sensitivity=(), timing_contrasts=())
    path.write_text(design_text(short), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def short_result(short_design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "result"
    done = call("run", DATA, "--design", short_design, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert str(out / "report.html") in done.stdout
    return out


def test_the_demonstration_says_each_stage_where_it_is_asked_to(whole_study: WholeStudy) -> None:
    assert "panel built in" in whole_study.stderr
    assert str(whole_study.folder / "report.html") in whole_study.stdout


def test_run_writes_report_tables_figures_and_manifest(result: Path) -> None:
    tables = {path.stem for path in (result / "tables").glob("*.csv")}
    assert {"T1", "T2", "F1", "A3", "A8", "B1", "B10"} <= {name.split("_")[0] for name in tables}
    for figure in ("F1", "F2", "FA1"):
        assert list((result / "figures").glob(f"{figure}*.svg"))
        assert list((result / "figures").glob(f"{figure}*.png"))
    manifest = json.loads((result / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["synthetic"] is True
    assert manifest["seed"] == 1
    assert manifest["design"]["checksum"]
    assert len(manifest["inputs"]) >= 10
    assert "report.html" in manifest["outputs"]


def test_a_second_run_gives_the_same_numbers_and_bytes(
    short_design: Path, short_result: Path, tmp_path: Path
) -> None:
    """Of one question; `.ci/run` compares the numbers of two runs of the whole study."""
    again = tmp_path / "again"
    done = call("run", DATA, "--design", short_design, "--out", again, "--compare", short_result)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert str(again / "report.html") in done.stdout
    assert "no number differs" in done.stdout
    manifests = [
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in (short_result, again)
    ]
    assert manifests[0]["outputs"] == manifests[1]["outputs"]


def test_compare_names_the_number_that_differs(
    short_design: Path, short_result: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(short_result, old)
    path = old / "tables" / "T1.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    column = rows[0].index("estimate")
    rows[1][column] = repr(float(rows[1][column]) + 1e-6)
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows(rows)
    done = call("run", DATA, "--design", short_design, "--out", tmp_path / "new", "--compare", old)
    assert done.returncode == 5
    assert "1 place differs" in done.stdout
    assert "T1, line 2 (Attendance rate), column estimate" in done.stdout


def test_compare_with_a_folder_that_is_no_result(tmp_path: Path) -> None:
    done = call("run", DATA, "--design", DESIGN, "--out", tmp_path / "x", "--compare", tmp_path)
    assert done.returncode == 6
    assert "nothing to compare with" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("years of work", encoding="utf-8")
    done = call("run", DATA, "--design", DESIGN, "--out", precious)
    assert done.returncode == 6
    assert "is not replaced" in done.stderr
    assert [path.name for path in precious.iterdir()] == ["chapter.txt"]


def test_a_file_where_a_folder_is_needed_is_said_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    done = call("simulate", "--out", tmp_path / "file" / "district")
    assert done.returncode == 6
    assert str(tmp_path / "file") in done.stderr
    assert "a file stands where a folder is needed" in done.stderr
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def refused(tmp_path: Path, out: Path, cwd: Path | None = None) -> str:
    """Run a study into `out`, check that nothing there was touched, and return what was said."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = call("run", DATA, "--design", DESIGN, "--out", out, cwd=cwd)
    assert done.returncode == 6
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    return done.stderr


def test_a_folder_with_the_manifest_of_another_program_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "webapp").mkdir()
    (tmp_path / "webapp" / "manifest.json").write_text('{"name": "app"}', encoding="utf-8")
    assert "is not replaced" in refused(tmp_path, tmp_path / "webapp")


def test_files_that_somebody_added_or_changed_in_a_result_are_never_lost(
    result: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(result, out)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert "1 files are not of an earlier run" in refused(tmp_path, out)
    (out / "notes.txt").unlink()
    with (out / "study.toml").open("a", encoding="utf-8") as design:
        design.write("# my thoughts\n")
    assert "1 were changed since" in refused(tmp_path, out)


def test_the_current_folder_is_not_replaced(result: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(result, out)
    assert "current folder" in refused(tmp_path, Path("."), cwd=out)


def test_an_unchanged_result_is_replaced(
    short_design: Path, short_result: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(short_result, out)
    before = (out / "manifest.json").stat().st_mtime_ns
    done = call("run", DATA, "--design", short_design, "--out", out, "--compare", out)
    assert done.returncode == 0, done.stderr
    assert (out / "manifest.json").stat().st_mtime_ns != before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_said_with_the_path(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = call("simulate", "--out", locked / "district")
    assert done.returncode == 6
    assert str(locked) in done.stderr


def test_wrong_arguments_exit_2() -> None:
    done = call("run", DATA, "--desing", DESIGN, "--out", "x")
    assert done.returncode == 2
    assert "--desing" in done.stderr
    assert "Traceback" not in done.stderr
    assert call("evaluate").returncode == 2


def test_a_missing_data_folder_exits_3(tmp_path: Path) -> None:
    done = call("run", tmp_path / "nowhere", "--design", DESIGN, "--out", tmp_path / "x")
    assert done.returncode == 3
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelled_design_exits_3_with_the_nearest_spelling(tmp_path: Path) -> None:
    wrong = tmp_path / "study.toml"
    text = DESIGN.read_text(encoding="utf-8").replace("school_years", "school_year", 1)
    wrong.write_text(text, encoding="utf-8")
    done = call("run", DATA, "--design", wrong, "--out", tmp_path / "x")
    assert done.returncode == 3
    assert "school_years" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_lists_problems_and_exits_3(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(DATA, broken)
    lines = (broken / "students.csv").read_text(encoding="utf-8").splitlines()
    lines.append(lines[1])
    (broken / "students.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = call("check", broken)
    assert done.returncode == 3
    assert "students.csv" in done.stdout
    assert lines[1].split(",")[0] not in done.stdout + done.stderr
    assert call("check", DATA).returncode == 0


def test_init_writes_a_design_that_reads_back(tmp_path: Path) -> None:
    done = call("init", tmp_path / "project")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "project" / "study.toml"
    assert written.read_text(encoding="utf-8") == DESIGN.read_text(encoding="utf-8")
    assert "scale_score" in (tmp_path / "project" / "data-dictionary.md").read_text("utf-8")
    assert call("init", tmp_path / "project").returncode == 6


def test_simulate_refuses_an_unknown_preset(tmp_path: Path) -> None:
    done = call("simulate", "--preset", "huge", "--out", tmp_path / "d")
    assert done.returncode == 2
    assert "small" in done.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.skipif(os.name == "nt", reason="interrupting a process differs on Windows")
@pytest.mark.parametrize(
    "stage", ["", "panel built", "sample summer_"], ids=["started", "panel built", "answering"]
)
def test_an_interrupted_run_exits_130_and_leaves_nothing(stage: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "run", str(DATA), "--design", str(DESIGN), "--out", str(tmp_path / "x"),
         "--verbose"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    if stage:
        assert process.stderr is not None
        assert any(line.startswith(stage) for line in process.stderr)
    else:
        time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_version() -> None:
    done = call("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == version("homevisit-eval")


def test_the_presets_of_the_command_are_those_of_the_generator() -> None:
    assert get_args(Preset) == tuple(PRESETS)


def test_every_command_has_help() -> None:
    for command in ("init", "simulate", "check", "run", "demo"):
        done = call(command, "--help")
        assert done.returncode == 0
        assert "--help" in done.stdout
