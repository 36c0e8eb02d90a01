"""The command certify: results, resuming, refusals, what is printed and left on disk.

The districts have two schools, so that a replication takes less than a second.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

import fabricated_certificate
from commands import COMMAND, DESIGN, call_here
from homevisit_eval.certificate import Replication
from homevisit_eval.cli.trial_store import certificate_key, open_trial_store
from homevisit_eval.design import design_text
from homevisit_eval.errors import OutputError
from homevisit_eval.synthetic import preset
from homevisit_eval.synthetic.district_file import district_text
from short_study import short_design
from synthetic_districts import strong

IDENTIFIER = re.compile(r"SYN\d{3,}|\bT\d{4}\b|\bV\d{5}\b|\bI\d{5}\b|\bS\d\d\b")
COUNT = 3


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Return the arguments that ask for a short study in small districts."""
    folder = tmp_path_factory.mktemp("order")
    design, district = folder / "study.toml", folder / "district.toml"
    text = design_text(short_design("attendance_rate", "any_incident"))
    design.write_text(text, encoding="utf-8")
    district.write_text(district_text(strong()), encoding="utf-8")
    return ("certify", "--design", design, "--parameters", district, "--no-grid")


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, order: tuple[object, ...]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("certify") / "result"
    return out, call_here(*order, "--replications", COUNT, "--workers", 1, "--out", out)


def outputs(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"  # it says how long things took
    }


def test_a_certificate_is_written_with_all_its_parts(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, process = done
    assert process.returncode == 0, process.stderr
    assert {"certificate.html", "district.toml", "study.toml", "trials.csv"} <= set(outputs(out))
    assert {"tables/R1.csv", "tables/R2.csv", "figures/FR2.svg", "figures/FR4.png"} <= set(
        outputs(out)
    )
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["synthetic"] is True
    assert manifest["seconds"]["simulate"] > 0
    assert set(manifest["outputs"]) == set(outputs(out))
    with (out / "trials.csv").open(encoding="utf-8", newline="") as lines:
        trials = list(csv.DictReader(lines))
    assert len(trials) == COUNT * 2
    errors = [
        float(row["estimate"]) - float(row["truth_kept"])
        for row in trials
        if row["outcome"] == "any_incident"
    ]
    with (out / "tables" / "R2.csv").open(encoding="utf-8", newline="") as lines:
        figures = {(row["outcome"], row["field"]): row for row in csv.DictReader(lines)}
    bias = float(figures["Any disciplinary incident", "bias"]["value"])
    assert bias == pytest.approx(sum(errors) / COUNT, rel=1e-12)
    assert repr(bias) in (out / "certificate.html").read_text(encoding="utf-8")


def test_a_pipe_gets_nothing_but_results(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, process = done
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert lines[0] == "Synthetic data."
    assert lines[-1] == f"Certificate: {out / 'certificate.html'}"
    assert all(line.startswith(("Attendance rate", "Any disciplinary")) for line in lines[1:-1])


def test_nothing_is_left_beside_the_result(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, _ = done
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_no_output_holds_an_identifier(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, process = done
    assert not IDENTIFIER.search(process.stdout)
    for name, content in outputs(out).items():
        if not name.endswith(".png"):
            assert not IDENTIFIER.search(content.decode("utf-8")), name


@pytest.mark.skipif(os.name == "nt", reason="signals of another system")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_run_goes_on_and_ends_like_an_uninterrupted_one(
    workers: int,
    done: tuple[Path, subprocess.CompletedProcess[str]],
    order: tuple[object, ...],
    tmp_path: Path,
) -> None:
    """In processes of its own, too; `test_certificate` stops these without a signal."""
    out = tmp_path / "out"
    arguments = (*order, "--replications", COUNT, "--out", out)
    process = subprocess.Popen(
        [str(COMMAND), *map(str, arguments), "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = tmp_path / "out.unfinished.jsonl"
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        if store.exists() and store.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert printed == ""
    assert f"kept in {store}" in said
    assert len(said.splitlines()) == 1
    assert not out.exists()
    before = store.read_text(encoding="utf-8").splitlines()
    assert 2 <= len(before) < COUNT + 1
    with store.open("a", encoding="utf-8") as lines:
        lines.write('{"mode": "redrawn", "number": 3, "tri')  # cut off by a lost power supply
    resumed = call_here(*arguments, "--workers", 1)  # any number gives the same
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.replace(str(out), "") == done[1].stdout.replace(str(done[0]), "")
    assert outputs(out) == outputs(done[0])
    assert not store.exists()


def test_more_replications_begin_with_those_of_the_finished_certificate(
    done: tuple[Path, subprocess.CompletedProcess[str]], order: tuple[object, ...], tmp_path: Path
) -> None:
    out = tmp_path / "more"
    shutil.copytree(done[0], out)
    more = call_here(*order, "--replications", COUNT + 1, "--workers", 1, "--out", out)
    assert more.returncode == 0, more.stderr
    first, second = (
        (folder / "trials.csv").read_text(encoding="utf-8").splitlines()
        for folder in (done[0], out)
    )
    assert second[: len(first)] == first
    assert len(second) == len(first) + 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--preset", "large"), 2, "'small'"),
        (("--replications", 0), 2, "--replications"),
        (("--schools", "fixed", "--districts", 5), 2, "--districts"),
        (("--workers", 0), 2, "--workers"),
        (("--design", "missing.toml"), 3, "missing.toml"),
        (("--parameters", "missing.toml"), 3, "missing.toml"),
        (("--parameters", "missing.toml", "--preset", "small"), 2, "give one of the two"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[object, ...], status: int, words: str, tmp_path: Path
) -> None:
    process = call_here("certify", "--design", DESIGN, "--out", tmp_path / "out", *arguments)
    assert process.returncode == status, process.stderr
    assert words in process.stderr
    assert process.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    process = call_here("certify", "--design", DESIGN, "--out", tmp_path / "thesis")
    assert process.returncode == 6
    assert "is not replaced" in process.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter.txt"]


# The store of finished replications


@pytest.fixture
def key() -> dict[str, object]:
    return certificate_key(
        fabricated_certificate.DESIGN, preset("small"), seed=1, districts=20, variations=True
    )


def made(count: int) -> tuple[Replication, ...]:
    first, *others = fabricated_certificate.replications(count)
    failed = replace(first.trials[0], estimate=math.nan, df=math.inf, problem="no, 'quoted'\nline")
    return (replace(first, trials=(failed, *first.trials[1:])), *others)


def test_what_is_stored_comes_back_as_it_was(tmp_path: Path, key: dict[str, object]) -> None:
    store = open_trial_store(tmp_path / "out", key)
    assert store.done == ()
    for replication in made(3):
        store.append(replication)
    again = open_trial_store(tmp_path / "out", key).done
    assert repr(again) == repr(made(3)), "repr, since NaN is unequal to itself"
    store.append(made(2)[1])
    assert len(open_trial_store(tmp_path / "out", key).done) == 3, "none counts twice"
    store.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_last_line_that_was_cut_off_is_dropped(
    kept: int, tmp_path: Path, key: dict[str, object]
) -> None:
    store = open_trial_store(tmp_path / "out", key)
    for replication in made(3):
        store.append(replication)
    whole = store.path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    store.path.write_bytes(whole[:last] + whole[last:][:kept])
    resumed = open_trial_store(tmp_path / "out", key)
    assert repr(resumed.done) == repr(made(3)[:2])
    resumed.append(made(3)[2])
    assert store.path.read_bytes() == whole


@pytest.mark.parametrize("part", ["design", "district", "seed", "code", "variations"])
def test_trials_of_another_certificate_are_refused_and_kept(
    part: str, tmp_path: Path, key: dict[str, object]
) -> None:
    store = open_trial_store(tmp_path / "out", key)
    store.append(made(1)[0])
    before = store.path.read_bytes()
    with pytest.raises(OutputError, match="1 finished replications of another certificate"):
        open_trial_store(tmp_path / "out", {**key, part: "other"})
    assert store.path.read_bytes() == before


def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, key: dict[str, object]) -> None:
    other = tmp_path / "out.unfinished.jsonl"
    other.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(OutputError, match="not a file of finished trials"):
        open_trial_store(tmp_path / "out", key)
    assert other.read_text(encoding="utf-8") == "my notes\n"


def test_the_key_tells_designs_districts_and_seeds_apart(key: dict[str, object]) -> None:
    design, district = fabricated_certificate.DESIGN, preset("small")
    others = [
        certificate_key(
            replace(design, title="Other"), district, seed=1, districts=20, variations=True
        ),
        certificate_key(
            design, replace(district, survey_share=0.5), seed=1, districts=20, variations=True
        ),
        certificate_key(design, district, seed=2, districts=20, variations=True),
        certificate_key(design, district, seed=1, districts=21, variations=True),
        certificate_key(design, district, seed=1, districts=20, variations=False),
    ]
    assert all(other != key for other in others)
