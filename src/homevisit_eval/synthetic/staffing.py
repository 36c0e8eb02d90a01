"""How long the staff of a synthetic district stay."""

from __future__ import annotations

import math
from dataclasses import dataclass

from homevisit_eval.design.checks import check_fields
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.limits import NotNegative, Share

__all__ = ["EXPERIENCED", "Staffing"]

EXPERIENCED = 10
"""Years of experience from which more of them play no part."""


@dataclass(frozen=True, slots=True)
class Staffing:
    """Who on staff leaves after a school year.

    Whoever leaves is gone for good; so is, by chance, who has no post because a class less is
    taught.

    Parameters
    ----------
    leave
        Probability of leaving the district, of somebody with ten years of experience or more.
    leave_beginner
        Added to its logarithm for somebody without experience; it falls evenly to 0 at ten years.
    move
        Probability of going to another school of the district, drawn at random.

    Raises
    ------
    DesignError
        If the probabilities of leaving and moving add up to more than 1.
    """

    leave: Share = 0.11
    leave_beginner: NotNegative = 0.0
    move: Share = 0.05

    def __post_init__(self) -> None:
        check_fields(self)
        if self.leave * math.exp(self.leave_beginner) + self.move > 1:
            raise DesignError(
                "leave, times exp(leave_beginner), and move must not add up to over 1."
            )
