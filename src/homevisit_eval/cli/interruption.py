"""Ctrl-C, so that it always ends the command: compiled code and databases may swallow it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

__all__ = ["interruptible", "stop_if_interrupted", "was_interrupted"]

_interrupted = Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Note an interruption from here on, besides raising `KeyboardInterrupt`."""

    def note(_number: int, _frame: FrameType | None) -> None:
        _interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def was_interrupted() -> bool:
    """Say whether the user interrupted this process."""
    return _interrupted.is_set()


def stop_if_interrupted() -> None:
    """Raise `KeyboardInterrupt` if an interruption was swallowed on the way."""
    if was_interrupted():
        raise KeyboardInterrupt
