"""Other treatment assignments that a design with matched sets could have had (arrays)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.resampling.families_of_tests import DrawKind

__all__ = ["assignment_blocks", "count_assignments"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


def count_assignments(sizes: Codes, treated: Codes, at_most: int) -> int:
    """Return how many assignments keep the number treated in every set, or `at_most` + 1.

    Parameters
    ----------
    sizes, treated : arrays of shape (S,)
        Units, and treated units, of each set.
    at_most
        Where counting ends.
    """
    count = 1
    for size, number in zip(sizes.tolist(), treated.tolist(), strict=True):
        count *= comb(size, number)
        if count > at_most:
            return at_most + 1
    return count


def assignment_blocks(
    sizes: Codes, treated: Codes, *, draws: int, seed: int, lines: int
) -> tuple[DrawKind, Iterator[Floats]]:
    """Return how assignments are found, and blocks of them, 0/1.

    All are enumerated if there are at most `draws`; otherwise that many are drawn, each as
    likely as any other.

    Parameters
    ----------
    sizes, treated : arrays of shape (S,)
        Units, and treated units, of each set; the units of a set stand together.
    draws, seed
    lines
        Assignments in a block.

    Returns
    -------
    kind
        ``"enumerated"`` or ``"drawn"``.
    blocks
        Arrays of shape (some, units).
    """
    if count_assignments(sizes, treated, draws) <= draws:
        return "enumerated", _all(sizes, treated, lines)
    return "drawn", _drawn(sizes, treated, draws, seed, lines)


def _all(sizes: Codes, treated: Codes, lines: int) -> Iterator[Floats]:
    choices = [
        np.array(list(combinations(range(size), number)), dtype=np.intp).reshape(-1, number)
        for size, number in zip(sizes.tolist(), treated.tolist(), strict=True)
    ]
    total = count_assignments(sizes, treated, np.iinfo(np.int64).max)
    starts = np.cumsum(sizes) - sizes
    for first in range(0, total, lines):
        rest = np.arange(first, min(first + lines, total))
        block = np.zeros((len(rest), int(sizes.sum())))
        for start, chosen in zip(starts, choices, strict=True):
            rest, place = rest // len(chosen), rest % len(chosen)
            block[np.arange(len(block))[:, None], start + chosen[place]] = 1.0
        yield block


def _drawn(sizes: Codes, treated: Codes, draws: int, seed: int, lines: int) -> Iterator[Floats]:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    starts = np.cumsum(sizes) - sizes
    kinds, kind = np.unique(np.column_stack([sizes, treated]), axis=0, return_inverse=True)
    groups = [
        (int(size), int(number), starts[kind == position])
        for position, (size, number) in enumerate(kinds)
    ]
    for first in range(0, draws, lines):
        block = np.zeros((min(lines, draws - first), int(sizes.sum())))
        for size, number, where in groups:
            _draw_group(rng, block, where, size, number)
        yield block


def _draw_group(
    rng: np.random.Generator, block: Floats, starts: Codes, size: int, number: int
) -> None:
    """Fill in the sets that have `number` treated of `size`."""
    if number == 0:
        return
    line = np.arange(len(block))
    if number in (1, size - 1):
        most = 0.0 if number == 1 else 1.0
        if most:
            block[:, (starts[:, None] + np.arange(size)).ravel()] = most
        one = starts + rng.integers(0, size, (len(block), len(starts)))
        block[line[:, None], one] = 1.0 - most
    elif number == size:
        block[:, (starts[:, None] + np.arange(size)).ravel()] = 1.0
    else:
        keys = rng.random((len(block), len(starts), size))
        chosen = np.argpartition(keys, number - 1, axis=2)[:, :, :number]
        block[line[:, None, None], starts[:, None] + chosen] = 1.0
