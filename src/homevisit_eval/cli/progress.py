"""Progress on a terminal, and nothing to a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from homevisit_eval.cli.interruption import stop_if_interrupted

__all__ = ["progress"]


@contextmanager
def progress(
    first: str, total: int | None, *, done: int = 0, time_left: bool = False
) -> Iterator[Callable[[str], None]]:
    """Show a bar while work goes on; yield a function that ends a step and names the next.

    Parameters
    ----------
    first
        What is done first.
    total
        The number of steps; None if it is not known.
    done
        How many of them were done before.
    time_left
        Whether the steps are alike, so that their count and the time left can be told.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: stop_if_interrupted()
        return
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
    if time_left:
        columns += [MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left:")]
        columns += [TimeRemainingColumn(elapsed_when_finished=False)]
    else:
        columns += [TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, speed_estimate_period=600) as bar:
        task = bar.add_task(first, total=total, completed=done)

        def step(description: str) -> None:
            stop_if_interrupted()
            bar.update(task, advance=1, description=description)

        yield step
