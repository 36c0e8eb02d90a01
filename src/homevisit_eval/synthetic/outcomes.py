"""What happens in a year, given when a student is visited.

Chance is drawn once, for a year without visits (`Absences`, `Incidents`, noise of scores); a
*regime* says from which day on a visit works, and leaves of it what the visit does not prevent. All
regimes of a student-year share every random number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.attendance import Absences, draw_absences
from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.incidents import Incidents, draw_incidents
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process, strengths

__all__ = ["Chance", "Conduct", "Regime", "before_year", "draw_chance", "never", "realize"]

BEFORE, AFTER = -1, 10_000  # positions in the calendar of a visit before the year, and of none

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What chance would bring in a year without any visit.

    Parameters
    ----------
    absences, incidents
        Dated events.
    noise
        Shape (2, n), of mathematics and reading scores, SDs.
    """

    absences: Absences
    incidents: Incidents
    noise: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """When each student-year is visited, shape (n,) each.

    Parameters
    ----------
    position
        Position of the date in the calendar; `BEFORE` if before the year, `AFTER` if never.
    left
        Share of the enrolled days that lie after the visit: 1 before the year, 0 if never.
    """

    position: Integers
    left: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Conduct:
    """What happens under one regime.

    Parameters
    ----------
    absent, involved
        Shape (e,), which events of `Absences` and of `Incidents` take place.
    quarters
        Shape (n,), quarters of days missed.
    incidents
        Shape (n,), incidents in which the student takes part.
    math, reading
        Shape (n,), scores in SDs of one grade, before rounding.
    """

    absent: Booleans
    involved: Booleans
    quarters: Integers
    incidents: Integers
    math: Floats
    reading: Floats

    @property
    def days_absent(self) -> Floats:
        """Days absent, partial days as fractions."""
        return np.asarray(self.quarters / 4)


def never(n: int) -> Regime:
    """Return the regime of `n` student-years without a visit."""
    return Regime(np.full(n, AFTER), np.zeros(n))


def before_year(n: int) -> Regime:
    """Return the regime of `n` student-years visited before the year."""
    return Regime(np.full(n, BEFORE), np.ones(n))


def draw_chance(
    district: District, calendar: YearCalendar, roll: Enrollment, process: Process, draws: Draws
) -> Chance:
    """Draw a year without any visit."""
    noise = normal(draws.stream(Draw.ASSESSMENTS, roll.school_year), (2, len(roll.student)))
    return Chance(
        draw_absences(district, calendar, roll, process, draws),
        draw_incidents(district, calendar, roll, process, draws),
        district.achievement.noise * noise,
    )


def _happens(
    events: Absences | Incidents, effect: Floats, regime: Regime, works: tuple[Floats, Floats]
) -> Booleans:
    """Return which events a visit does not prevent.

    Parameters
    ----------
    effect
        Shape (n,), at full strength.
    works
        Shape (n,) each, the strength through the day of the visit and after it.
    """
    row, (untouched, visited) = events.row, works
    later = events.position > regime.position[row]
    strength = np.where(later, visited[row], untouched[row])
    return np.asarray(events.mark < np.exp(-effect[row] * strength))


def realize(process: Process, chance: Chance, regime: Regime) -> Conduct:
    """Return what happens under a regime."""
    n = len(process.absence)
    absences, incidents = chance.absences, chance.incidents
    untouched, visited = strengths(process, before=regime.position == BEFORE)
    works = untouched, visited
    absent = _happens(absences, process.absence_effect, regime, works)
    involved = _happens(incidents, process.incident_effect, regime, works)
    quarters = np.bincount(absences.row, absences.quarters * absent, n)
    strength = untouched + regime.left * (visited - untouched)
    return Conduct(
        absent=absent,
        involved=involved,
        quarters=quarters.astype(np.int64),
        incidents=np.bincount(incidents.row[involved], minlength=n),
        math=process.math + process.math_effect * strength + chance.noise[0],
        reading=process.reading + process.reading_effect * strength + chance.noise[1],
    )
