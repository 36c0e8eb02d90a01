"""Progress on a terminal, and nothing to a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from homevisit_eval.cli.interruption import stop_if_interrupted

__all__ = ["progress"]


@contextmanager
def progress(first: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar while work goes on; yield a function that ends a step and names the next.

    Parameters
    ----------
    first
        What is done first.
    total
        The number of steps; None if it is not known.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: stop_if_interrupted()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(first, total=total)

        def step(description: str) -> None:
            stop_if_interrupted()
            bar.update(task, advance=1, description=description)

        yield step
