"""The rows of one band, in the order that breaks ties, with all that a method may read of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.matching.frame import RowView

__all__ = ["BandRows", "about", "other_group"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def other_group(group: int) -> str:
    """Return the word for the group that a unit of `group` (1 = treated) is compared with."""
    return "comparison" if group == 1 else "treated"


def about(estimand: str, group: int) -> bool:
    """Say whether an estimand is about a group: 1 for the treated, 0 for the others."""
    return estimand == "ATE" or (estimand == "ATT") == (group == 1)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandRows:
    """Rows that share covariates and a propensity model.

    Attributes
    ----------
    name
        Of the band; empty if there is one only.
    frame : n rows of the data frame
        In the order that breaks ties.
    treated : array of shape (n,)
        0 or 1.
    covariates, squared
        Columns of the propensity model, and those whose square enters as well.
    given : array of shape (n,), optional
        Propensity scores that came as data.
    sampling_weights : array of shape (n,), optional
    person : array of int, shape (n,), optional
        Whose row it is; numbers from 0 over all bands.
    data_order, key_order : array of int, shape (n,)
        Each row's place in the user's frame, and in the order of the identifying columns.
    """

    name: str
    frame: RowView
    treated: Integers
    covariates: tuple[str, ...]
    squared: tuple[str, ...]
    given: FloatArray | None
    sampling_weights: FloatArray | None
    person: Integers | None
    data_order: Integers
    key_order: Integers

    @property
    def where(self) -> str:
        """How messages begin: with the band, if it has a name."""
        return f"band {self.name!r}: " if self.name else ""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.treated)

    def __repr__(self) -> str:
        """Show the name and the number of rows."""
        return f"BandRows({self.name or 'all units'}: {len(self)} rows)"
