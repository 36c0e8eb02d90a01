"""Measures of attendance and discipline in drawn years, counted event by event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.attendance import EXCUSED, TARDY, UNEXCUSED
from homevisit_eval.synthetic.incidents import BEHAVIORS, IncidentEvents, Incidents, suspended
from homevisit_eval.synthetic.outcomes import Chance, Conduct
from homevisit_eval.synthetic.process import rows_of

__all__ = ["MEAN_DAYS_SUSPENDED", "counted", "kinds_of", "tolerance"]

SHARE, OUT = np.array([[share, out] for _, share, out in BEHAVIORS]).T
SHARE = SHARE / SHARE.sum()
SEVERE = np.array([name in {"assault", "weapon", "drugs"} for name, _, _ in BEHAVIORS])
LONGEST = np.where(SEVERE, 10, 3)
IN_SCHOOL = np.minimum(0.14, 1 - OUT)  # for one day
MEAN_DAYS_SUSPENDED = float(SHARE @ (OUT * (LONGEST + 1) / 2 + IN_SCHOOL))

Values = NDArray[np.float64]


def kinds_of(incidents: Incidents, random: np.random.Generator) -> IncidentEvents:
    """Draw of what kind each incident would be, by the stated shares; none is shared."""
    n = len(incidents.row)
    behavior = random.choice(len(BEHAVIORS), n, p=SHARE)
    u, out = random.random(n), OUT[behavior]
    action = np.where(u < out, 0, np.where(u < out + IN_SCHOOL[behavior], 1, 3))
    days = np.where(action == 0, random.integers(1, LONGEST[behavior] + 1), action == 1)
    where = np.zeros(n, dtype=np.int64)
    return IncidentEvents(
        incidents.row, incidents.position, where, np.arange(n), behavior, action, days
    )


def counted(
    chance: Chance,
    conduct: Conduct,
    events: IncidentEvents,
    days: NDArray[np.int64],
    first: NDArray[np.int64] | None = None,
) -> dict[str, Values]:
    """Count what happened on `days` enrolled days, if asked from the position `first` on.

    Parameters
    ----------
    events
        The incidents that took place.
    """
    n, absences, happened = len(days), chance.absences, conduct.absent
    if first is not None:
        happened = happened & (absences.position >= first[absences.row])
        events = rows_of(events, np.flatnonzero(events.position >= first[events.row]))
    row, category = absences.row[happened], absences.category[happened]
    absent = np.bincount(row, absences.quarters[happened], n) / 4
    excused, unexcused, tardy = (
        np.bincount(row, category == one, n) for one in (EXCUSED, UNEXCUSED, TARDY)
    )
    out, enrolled = suspended(events), np.maximum(days, 1)
    return {
        "attendance_rate": 1 - absent / enrolled,
        "on_time_attendance_rate": 1 - (absent + tardy) / enrolled,
        "days_absent": absent,
        "days_excused": excused,
        "days_unexcused": unexcused,
        "days_tardy": tardy,
        "any_incident": (np.bincount(events.row, minlength=n) > 0) * 1.0,
        "incidents": np.bincount(events.row, minlength=n) * 1.0,
        "any_serious_incident": (np.bincount(events.row, events.serious, n) > 0) * 1.0,
        "any_suspension": (np.bincount(events.row, out, n) > 0) * 1.0,
        "days_suspended": np.bincount(events.row, events.days * out, n),
    }


def tolerance(name: str) -> float:
    """Return by how much a printed expected value may be off by rounding."""
    return 5.1e-4 if name.startswith("days_") else 5.1e-6
