"""The built wheel in an environment of its own, run from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that has the package from the wheel alone, and an empty folder."""

    python: Path
    variables: Mapping[str, str]
    folder: Path

    def run(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            env=dict(self.variables),
        )


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Loops run as Python: faster than compiling them once more for a place of their own."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    variables = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    variables.pop("PYTHONPATH", None)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    empty = tmp_path_factory.mktemp("empty")
    place = Installed(python, variables, empty)
    purelib = Path(
        place.run("import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip()
    )
    zipfile.ZipFile(wheel).extractall(purelib)
    # the libraries come from the environment of the tests, the package from the wheel alone
    (purelib / "libraries.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    return place


def test_the_wheel_finds_its_own_district_and_design(installed: Installed) -> None:
    code = (
        "from homevisit_eval.cli.demonstration import demo_folder, demo_design; "
        "import homevisit_eval as hv; print(hv.__file__); "
        "print(hv.check_sources(demo_folder()).ok, hv.read_design(demo_design()).title)"
    )
    done = installed.run(code)
    assert done.returncode == 0, done.stderr
    where, said = done.stdout.splitlines()
    assert str(installed.python.parent.parent) in where
    assert said == "True Impacts of home visits on students"


@pytest.mark.slow
def test_demo_runs_from_the_wheel_in_an_empty_folder(
    installed: Installed, whole_study: WholeStudy
) -> None:
    """It writes the bytes that the installed package writes."""
    code = "import sys; from homevisit_eval.cli import main; sys.exit(main())"
    done = installed.run(code, "demo")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in installed.folder.iterdir()] == ["homevisit-report"]
    result = installed.folder / "homevisit-report"
    assert (result / "report.html").stat().st_size > 50_000
    manifests = [
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in (result, whole_study.folder)
    ]
    assert manifests[0]["outputs"] == manifests[1]["outputs"]
