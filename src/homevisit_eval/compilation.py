"""Compile loops over arrays to machine code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

log = logging.getLogger(__name__)

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a loop; keep the result on disk where a cache folder can be written."""
    try:
        return cast(Loop, numba.njit(cache=True)(loop))
    except (RuntimeError, OSError):
        log.info("no cache folder can be written: %s is compiled anew", loop.__name__)
        return cast(Loop, numba.njit(loop))
