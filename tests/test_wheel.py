"""The built wheel in an environment of its own: `demo` runs from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from commands import ROOT, WholeStudy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_the_district_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "homevisit_eval/_demo/students.csv" in names
    assert "homevisit_eval/_demo_study.toml" in names
    assert "homevisit_eval/py.typed" in names
    assert not any(name.startswith("tests/") for name in names)


def test_demo_runs_from_the_wheel_in_an_empty_folder(
    wheel: Path, whole_study: WholeStudy, tmp_path: Path
) -> None:
    """It writes what the source tree writes; loops run as Python, which is faster than compiling
    them once more for a place of their own."""
    environment = tmp_path / "environment"
    variables = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    variables.pop("PYTHONPATH", None)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    purelib = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    zipfile.ZipFile(wheel).extractall(purelib)
    # the libraries come from the environment of the tests, the package from the wheel alone
    (purelib / "libraries.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import sys; from homevisit_eval.cli import main; sys.exit(main())"
    done = subprocess.run(
        [str(python), "-c", code, "demo"],
        capture_output=True,
        text=True,
        cwd=empty,
        check=False,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in empty.iterdir()] == ["homevisit-report"]
    assert (empty / "homevisit-report" / "report.html").stat().st_size > 50_000
    manifests = [
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in (empty / "homevisit-report", whole_study.folder)
    ]
    assert manifests[0]["outputs"] == manifests[1]["outputs"]
    where = "import homevisit_eval; print(homevisit_eval.__file__)"
    place = subprocess.run(
        [str(python), "-c", where], capture_output=True, text=True, check=True, env=variables
    )
    assert str(environment) in place.stdout
