"""Which district each replication simulates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homevisit_eval.certificate.trial import MODES, Mode
from homevisit_eval.errors import DesignError

__all__ = ["FEWEST_DISTRICTS", "Plan"]

FEWEST_DISTRICTS = 20
"""In mode fixed: one district's coverage says little about another's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which district each replication of a certificate simulates.

    Parameters
    ----------
    mode
        ``"redrawn"``: every replication has a district of its own. ``"fixed"``: replication
        n is the drawing ``n // districts + 1`` of visits and outcomes in district ``n %
        districts``.
    seed
        Of the certificate.
    districts
        How many, in mode fixed; not read in mode redrawn.

    Raises
    ------
    DesignError
        If there is no such mode, the seed is negative, or districts are fewer than 20.
    """

    mode: Mode
    seed: int
    districts: int

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise DesignError(f"mode must be one of {', '.join(MODES)}; it is {self.mode!r}.")
        if self.seed < 0:
            raise DesignError(f"seed must be 0 or greater; it is {self.seed}.")
        if self.mode == "fixed" and self.districts < FEWEST_DISTRICTS:
            raise DesignError(
                f"districts must be at least {FEWEST_DISTRICTS} in mode fixed; it is "
                f"{self.districts}. What one district shows says little about another."
            )

    def place(self, number: int) -> tuple[int, int]:
        """Return the seed of the district, and which drawing in it, of a replication."""
        fixed = self.mode == "fixed"
        which = number % self.districts if fixed else number
        sequence = np.random.SeedSequence([self.seed, MODES.index(self.mode), which])
        spawned = int(sequence.generate_state(1, np.uint64)[0]) >> 11  # exact as a float, too
        return spawned, number // self.districts + 1 if fixed else 0
