"""The commands, as processes and in this one, and what a run of the whole study left."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

__all__ = ["COMMAND", "DATA", "DESIGN", "ROOT", "WholeStudy", "call", "call_here"]

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name(
    "homevisit-eval.exe" if os.name == "nt" else "homevisit-eval"
)
DATA = ROOT / "data" / "synthetic"
DESIGN = ROOT / "study.toml"
PLAIN = {"NO_COLOR": "1", "COLUMNS": "200"}


@dataclass(frozen=True, slots=True)
class WholeStudy:
    """The folder that ``demo --verbose`` wrote, and what it printed. Nobody may change it."""

    folder: Path
    stdout: str
    stderr: str


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        check=False,
        env={**os.environ, **PLAIN},
    )


def call_here(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this process, which saves starting another."""
    from homevisit_eval.cli import main

    words = [str(COMMAND), *map(str, arguments)]
    out, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, PLAIN),
        patch.object(sys, "argv", words),
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(errors),
    ):
        status = main()
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())
