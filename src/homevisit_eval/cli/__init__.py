"""The shell: arguments, progress, exit status, and writing files."""

from homevisit_eval.cli.commands import main

__all__ = ["main"]
