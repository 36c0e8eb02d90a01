"""The commands: exit status, what is printed where, and what is left on disk.

Refusals need no process of their own: `call_here` runs what the process runs.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest

import homevisit_eval as hv
from commands import COMMAND, DATA, DESIGN, WholeStudy, call, call_here
from homevisit_eval.cli.commands import Preset, report_differences
from homevisit_eval.cli.comparison import read_tables
from homevisit_eval.cli.results import write_report
from homevisit_eval.design import design_text
from homevisit_eval.evaluation import answer_questions, collect_answers
from homevisit_eval.synthetic import PRESETS
from short_study import short_design
from synthetic_districts import strong


@pytest.fixture(scope="module")
def result(whole_study: WholeStudy) -> Path:
    return whole_study.folder


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district") / "data"
    hv.write_simulation(hv.simulate(strong(), 1, outcomes=()), folder)
    return folder


@pytest.fixture(scope="module")
def design_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("short") / "study.toml"
    path.write_text(design_text(short_design("attendance_rate")), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Short:
    """What the functions return for the short study, and what of it goes into a folder."""

    effect: hv.Effect
    report: hv.Report
    folder: Path


@pytest.fixture(scope="module")
def short(design_file: Path, district: Path, tmp_path_factory: pytest.TempPathFactory) -> Short:
    design = hv.read_design(design_file)
    folder = tmp_path_factory.mktemp("written") / "result"
    folder.mkdir()
    with hv.read_sources(district) as sources:
        panel = hv.build_panel(sources, design.measurement)
        evaluation = collect_answers(panel, design, answer_questions(panel, design))
        report = hv.build_report(evaluation, panel)
        write_report(report, design, sources, folder)
    (effect,) = evaluation.effects
    return Short(effect, report, folder)


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


def test_a_run_replaces_an_unchanged_result_by_equal_bytes_and_names_the_number_that_differs(
    design_file: Path, district: Path, short: Short, tmp_path: Path
) -> None:
    """Of one question; `.ci/run` compares the numbers of two runs of the whole study."""
    old, out = (Path(shutil.copytree(short.folder, tmp_path / name)) for name in ("old", "out"))
    change_first_estimate(old / "tables" / "T1.csv")
    before = (out / "manifest.json").stat().st_mtime_ns
    done = call("run", district, "--design", design_file, "--out", out, "--compare", old)
    assert done.returncode == 5, done.stderr
    assert done.stderr == ""
    assert str(out / "report.html") in done.stdout
    assert "1 place differs" in done.stdout
    assert "T1, line 2 (Attendance rate), column estimate" in done.stdout
    assert (out / "manifest.json").stat().st_mtime_ns != before
    assert {path.name for path in tmp_path.iterdir()} == {"old", "out"}
    first, second = (
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in (short.folder, out)
    )
    assert first["outputs"] == second["outputs"]


def change_first_estimate(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    column = rows[0].index("estimate")
    rows[1][column] = repr(float(rows[1][column]) + 1e-6)
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows(rows)


def test_equal_numbers_are_said_to_be_equal_and_no_failure(
    short: Short, capsys: pytest.CaptureFixture[str]
) -> None:
    report_differences(read_tables(short.folder), read_tables(short.folder))
    assert "no number differs" in capsys.readouterr().out


def test_page_csv_and_values_hold_the_same_numbers(short: Short) -> None:
    page = (short.folder / "report.html").read_text(encoding="utf-8")
    with (short.folder / "tables" / "T1.csv").open(encoding="utf-8", newline="") as lines:
        (row,) = csv.DictReader(lines)
    for name in (
        "estimate", "ci_low", "ci_high", "adjusted_mean_visited", "adjusted_mean_comparison",
        "p_value",
    ):  # fmt: skip
        value = getattr(short.effect, name)
        assert float(row[name]) == value
        assert f'data-value="{value!r}"' in page


def test_compare_with_a_folder_that_is_no_result(tmp_path: Path) -> None:
    done = call_here(
        "run", DATA, "--design", DESIGN, "--out", tmp_path / "x", "--compare", tmp_path
    )
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
    done = call_here("simulate", "--out", tmp_path / "file" / "district")
    assert done.returncode == 6
    assert str(tmp_path / "file") in done.stderr
    assert "a file stands where a folder is needed" in done.stderr
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def refused(tmp_path: Path, out: Path, cwd: Path | None = None) -> str:
    """Run a study into `out`, check that nothing there was touched, and return what was said."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = call_here("run", DATA, "--design", DESIGN, "--out", out, cwd=cwd)
    assert done.returncode == 6
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    return done.stderr


def test_a_folder_with_the_manifest_of_another_program_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "webapp").mkdir()
    (tmp_path / "webapp" / "manifest.json").write_text('{"name": "app"}', encoding="utf-8")
    assert "is not replaced" in refused(tmp_path, tmp_path / "webapp")


def test_files_that_somebody_added_or_changed_in_a_result_are_never_lost(
    short: Short, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(short.folder, out)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert "1 files are not of an earlier run" in refused(tmp_path, out)
    (out / "notes.txt").unlink()
    with (out / "study.toml").open("a", encoding="utf-8") as design:
        design.write("# my thoughts\n")
    assert "1 were changed since" in refused(tmp_path, out)


def test_the_current_folder_is_not_replaced(short: Short, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(short.folder, out)
    assert "current folder" in refused(tmp_path, Path("."), cwd=out)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_said_with_the_path(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = call_here("simulate", "--out", locked / "district")
    assert done.returncode == 6
    assert str(locked) in done.stderr


def test_wrong_arguments_exit_2() -> None:
    done = call("run", DATA, "--desing", DESIGN, "--out", "x")
    assert done.returncode == 2
    assert "--desing" in done.stderr
    assert "Traceback" not in done.stderr
    assert call_here("evaluate").returncode == 2


def test_a_missing_data_folder_exits_3(tmp_path: Path) -> None:
    done = call_here("run", tmp_path / "nowhere", "--design", DESIGN, "--out", tmp_path / "x")
    assert done.returncode == 3
    assert "nowhere" in done.stderr


def test_a_misspelled_design_exits_3_with_the_nearest_spelling(tmp_path: Path) -> None:
    wrong = tmp_path / "study.toml"
    text = DESIGN.read_text(encoding="utf-8").replace("school_years", "school_year", 1)
    wrong.write_text(text, encoding="utf-8")
    done = call("run", DATA, "--design", wrong, "--out", tmp_path / "x")
    assert done.returncode == 3
    assert "school_years" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_lists_problems_and_exits_3(district: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(district, broken)
    lines = (broken / "students.csv").read_text(encoding="utf-8").splitlines()
    lines.append(lines[1])
    (broken / "students.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = call_here("check", broken)
    assert done.returncode == 3
    assert "students.csv" in done.stdout
    assert lines[1].split(",")[0] not in done.stdout + done.stderr
    assert call_here("check", district).returncode == 0


def test_init_writes_a_design_that_reads_back(tmp_path: Path) -> None:
    done = call_here("init", tmp_path / "project")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "project" / "study.toml"
    assert written.read_text(encoding="utf-8") == DESIGN.read_text(encoding="utf-8")
    assert "scale_score" in (tmp_path / "project" / "data-dictionary.md").read_text("utf-8")
    assert call_here("init", tmp_path / "project").returncode == 6


def test_simulate_refuses_an_unknown_preset(tmp_path: Path) -> None:
    done = call_here("simulate", "--preset", "huge", "--out", tmp_path / "d")
    assert done.returncode == 2
    assert "small" in done.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.skipif(os.name == "nt", reason="interrupting a process differs on Windows")
@pytest.mark.parametrize(
    "stage",
    ["", pytest.param("panel built", marks=pytest.mark.slow), "sample summer_"],
    ids=["started", "panel built", "answering"],
)
def test_an_interrupted_run_exits_130_and_leaves_nothing(
    stage: str, design_file: Path, district: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "run", str(district), "--design", str(design_file), "--verbose",
         "--out", str(tmp_path / "x")],
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
        done = call_here(command, "--help")
        assert done.returncode == 0
        assert "--help" in done.stdout
