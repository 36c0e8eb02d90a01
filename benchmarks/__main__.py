"""All benchmarks in one command: ``python benchmarks``. Each runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

for name in ("stages.py", "matching.py", "estimation.py", "bootstrap.py", "mixed.py"):
    print(f"\n== {name}", flush=True)
    subprocess.run([sys.executable, str(HERE / name)], check=True)
