"""Sign vectors of a wild cluster bootstrap and the statistics that they give (arrays)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.effects.resampling.families_of_tests import DrawKind
from homevisit_eval.effects.resampling.inversion import StatisticCurves, studentized
from homevisit_eval.effects.resampling.scores_by_cluster import ClusterScores
from homevisit_eval.errors import EstimationError

__all__ = [
    "VALUES",
    "BootstrapDraws",
    "WeightType",
    "check_draws",
    "perturb",
    "sign_vectors",
]

WeightType = Literal["rademacher", "webb"]
Floats = NDArray[np.float64]

VALUES: dict[str, Floats] = {
    "rademacher": np.array([1.0, -1.0]),
    "webb": np.sqrt([1.0, 1.5, 0.5, 1.0, 1.5, 0.5]) * [1.0, 1.0, 1.0, -1.0, -1.0, -1.0],
}
SIGNS_AT_ONCE = 2_000_000
ZERO_VARIANCE = 1e-20  # of the squared scores of the draw's own residuals
FEWEST_DRAWS = 99


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BootstrapDraws:
    """What sign vectors give for one coefficient.

    Attributes
    ----------
    t : array of shape (draws,)
        The statistics under the null value tested, infinite where the standard error is 0.
    curves
        The statistics under any null value.
    """

    t: Floats
    curves: StatisticCurves

    def __repr__(self) -> str:
        """Show the number of draws."""
        return f"BootstrapDraws({len(self.t):,} draws)"


def check_draws(*, seed: int, draws: int, weight_type: WeightType) -> None:
    """Raise an EstimationError if an option of the sign vectors is not possible."""
    if weight_type not in get_args(WeightType):
        raise EstimationError(
            f"wild bootstrap: weight_type {weight_type!r} is unknown; give one of "
            f"{', '.join(get_args(WeightType))}."
        )
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise EstimationError("wild bootstrap: seed is no whole number of 0 or more; give one.")
    if not (isinstance(draws, int | np.integer) and draws >= FEWEST_DRAWS):
        raise EstimationError(
            f"wild bootstrap: draws is {draws!r}; give a whole number of {FEWEST_DRAWS} or more."
        )


def sign_vectors(
    G: int, draws: int, weight_type: WeightType, seed: int
) -> tuple[DrawKind, Iterator[Floats]]:
    """Return how the sign vectors of G clusters are found, and blocks of them.

    All are enumerated, the vector of ones first, if there are at most `draws`; otherwise that
    many are drawn.

    Returns
    -------
    kind
        ``"enumerated"`` or ``"drawn"``.
    blocks
        Arrays of shape (some, G).
    """
    values = VALUES[weight_type]
    if len(values) ** G <= draws:
        return "enumerated", _all_vectors(G, values)
    return "drawn", _drawn_vectors(G, draws, values, seed)


def _all_vectors(G: int, values: Floats) -> Iterator[Floats]:
    total, lines = len(values) ** G, max(1, SIGNS_AT_ONCE // G)
    place = len(values) ** np.arange(G)
    for first in range(0, total, lines):
        numbers = np.arange(first, min(first + lines, total))
        yield values[numbers[:, None] // place % len(values)]


def _drawn_vectors(G: int, draws: int, values: Floats, seed: int) -> Iterator[Floats]:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
    lines = max(1, SIGNS_AT_ONCE // G)
    for first in range(0, draws, lines):
        shape = (min(lines, draws - first), G)
        yield values[rng.integers(0, len(values), shape, dtype=np.int8)]


def perturb(
    problems: Sequence[tuple[ClusterScores, float]],
    members: Sequence[NDArray[np.intp]],
    blocks: Iterator[Floats],
) -> list[BootstrapDraws]:
    """Return the draws of several coefficients for the same sign vectors.

    Parameters
    ----------
    problems
        Scores of each coefficient, and its null value less its estimate.
    members
        Positions of its clusters in the sign vectors, arrays of shape (G,).
    blocks
        Sign vectors, arrays of shape (some, all clusters).
    """
    matrices = [scores.perturbation() for scores, _ in problems]
    parts: list[list[Floats]] = [[] for _ in problems]
    for block in blocks:
        for k, (scores, shift) in enumerate(problems):
            signs = block if len(members[k]) == block.shape[1] else block[:, members[k]]
            parts[k].append(_block(scores, shift, signs, matrices[k]))
    together = [np.hstack(each) for each in parts]
    return [BootstrapDraws(each[0], StatisticCurves(*each[1:])) for each in together]


def _block(
    scores: ClusterScores, shift: float, signs: Floats, matrices: tuple[Floats, Floats] | None
) -> Floats:
    """Return the statistics and the five lines of their curves for a block of sign vectors."""
    residual, change = scores.perturbed(signs, matrices)
    restricted = scores.own - shift * scores.own_change
    rounding = ZERO_VARIANCE * ((signs * signs) @ (restricted * restricted))
    null = residual - shift * change
    n0, n1 = signs @ scores.own, signs @ scores.own_change
    return np.stack(
        [
            studentized(n0 - shift * n1, np.einsum("ij,ij->i", null, null), rounding),
            n0,
            n1,
            np.einsum("ij,ij->i", residual, residual),
            np.einsum("ij,ij->i", residual, change),
            np.einsum("ij,ij->i", change, change),
        ]
    )
