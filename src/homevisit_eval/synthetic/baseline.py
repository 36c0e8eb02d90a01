"""What the year before has measured of each student, as selection and effects see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.parameters import District

__all__ = ["NEVER", "Baseline", "blank_baseline", "hinge"]

AVERAGE_ABSENCE = 0.05
NEVER = 99.0

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Measures of the previous school year, shape (n,) each.

    Parameters
    ----------
    known
        Whether the student was enrolled in that year; if not, the others are averages.
    absence_hinge
        ``x`` of `Selection`: prior absence beyond the hinge in units of 5 %, at most 3.
    unexcused
        Unexcused full days.
    incidents
        Incidents in which the student took part.
    at_risk, english_learner, disability
        That year's flags.
    visited
        Any completed visit that belongs to that year.
    chronic
        Whether more than 10 % of days were missed.
    years_since_visit
        Years since the last year with a completed FEP or FEC visit; `NEVER` if none is known.
    """

    known: Booleans
    absence_hinge: Floats
    unexcused: Floats
    incidents: Floats
    at_risk: Floats
    english_learner: Floats
    disability: Floats
    visited: Floats
    chronic: Floats
    years_since_visit: Floats


def hinge(district: District, absence_rate: Floats) -> Floats:
    """Return ``min(max(rate - absence_hinge, 0) / .05, 3)``."""
    return np.clip((absence_rate - district.selection.absence_hinge) / 0.05, 0, 3)


def blank_baseline(district: District, n: int) -> Baseline:
    """Return the baseline of `n` students of whom nothing is known."""
    x = float(hinge(district, np.array([AVERAGE_ABSENCE]))[0])
    return Baseline(
        np.zeros(n, dtype=np.bool_),
        np.full(n, x),
        np.full(n, 3.0),
        np.zeros(n),
        np.full(n, 0.5),
        np.full(n, 0.1),
        np.full(n, 0.15),
        np.zeros(n),
        np.zeros(n),
        np.full(n, NEVER),
    )
