"""The shell: arguments, progress, exit status, and writing files."""

import os

for library in ("OPENBLAS", "MKL"):  # before numpy is loaded: see `homevisit_eval.threads`
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from homevisit_eval.cli.commands import main  # noqa: E402

__all__ = ["main"]
