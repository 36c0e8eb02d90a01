"""The commands as processes, and what a run of the whole study left."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["COMMAND", "DATA", "DESIGN", "ROOT", "WholeStudy", "call"]

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name(
    "homevisit-eval.exe" if os.name == "nt" else "homevisit-eval"
)
DATA = ROOT / "data" / "synthetic"
DESIGN = ROOT / "study.toml"


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
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )
