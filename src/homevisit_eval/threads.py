"""How many threads linear algebra uses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Return a context with one BLAS thread, for many small matrices.

    Several threads wait for each other; where other programs use the cores they wait long. And
    last digits hang on how many there are (as they do on the kind of processor).
    """
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited
