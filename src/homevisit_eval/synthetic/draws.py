"""Random numbers with fixed keys, and distributions drawn by inversion."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = [
    "Draw",
    "Draws",
    "negative_binomial_quantile",
    "normal",
]

MOST = 60  # of a count

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Draw(IntEnum):
    """What a stream of random numbers is for; a number once given is never changed."""

    SCHOOLS = 1
    SCHOOL_YEARS = 2
    PARTICIPATION = 3
    CALENDAR = 4
    ROSTER_FORWARD = 5
    NEW_STUDENTS = 6
    HOUSEHOLDS = 7
    SPELLS = 8
    CHARACTERISTICS = 9
    LATE_ENTRY = 40
    EARLIER_YEAR = 10
    SUMMER_VISITS = 11
    ATTENDANCE = 12
    ABSENCE_DAYS = 13
    INCIDENTS = 14
    INCIDENT_ROWS = 15
    ASSESSMENTS = 16
    YEAR_VISITS = 17
    VISIT_ROWS = 18
    STAFF = 19
    ROSTERS = 20
    SURVEYS = 21
    INCIDENT_DAYS = 24
    TEST_TAKING = 25
    TEACHERS = 26
    ROUNDS = 27
    HIDDEN = 28
    BYSTANDERS = 29
    RESPONSE = 30
    SECOND_VISITS = 31
    OVERLAPPING_TRANSFERS = 201
    SPLIT_SPELLS = 202
    SUMMER_REGISTRATIONS = 203
    ABSENCES_AT_OLD_SCHOOL = 204
    ABSENCES_AFTER_EXIT = 205
    ABSENCES_ON_SATURDAYS = 206
    INCIDENTS_AFTER_EXIT = 207
    DOUBLED_VISITS = 208
    EARLY_VISITS = 209
    LOST_SCORES = 210
    RETESTS = 211
    RENAMED_SCHOOLS = 212
    LONG_CALENDARS = 213


OUTCOMES = (
    Draw.YEAR_VISITS, Draw.ATTENDANCE, Draw.ABSENCE_DAYS, Draw.INCIDENTS, Draw.INCIDENT_DAYS,
    Draw.INCIDENT_ROWS, Draw.ASSESSMENTS, Draw.TEST_TAKING, Draw.SURVEYS,
)  # fmt: skip
SUMMER = (Draw.SUMMER_VISITS, Draw.SECOND_VISITS, Draw.VISIT_ROWS)


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of one simulated district.

    Parameters
    ----------
    seed
        The district's seed.
    redraw_from
        School year from which visits and outcomes are drawn anew; 0 for never. Everything
        before it stays as it was, and so do schools, teachers, students and classes.
    replication
        Which new numbers: an integer from 1 on.
    keep_first_summer
        Whether who is visited before the year `redraw_from` stays as it was, too.
    """

    seed: int
    redraw_from: int = 0
    replication: int = 0
    keep_first_summer: bool = False

    def stream(self, draw: Draw, school_year: int = 0) -> np.random.Generator:
        """Return a new generator for one purpose and one school year.

        A purpose's numbers depend on the seed, the purpose and the year only, so that
        another table, or leaving one out, changes no other.
        """
        key = [self.seed, int(draw), school_year]
        summer_from = self.redraw_from + self.keep_first_summer
        first = {**dict.fromkeys(OUTCOMES, self.redraw_from), **dict.fromkeys(SUMMER, summer_from)}
        if self.redraw_from and draw in first and school_year >= first[draw]:
            key.append(self.replication)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def normal(stream: np.random.Generator, size: int | tuple[int, ...]) -> Floats:
    """Return standard normal deviates of the given shape, each from one uniform number."""
    uniform = np.clip(stream.random(size), 1e-15, 1 - 1e-15)
    return np.asarray(ndtri(uniform), dtype=np.float64)


def negative_binomial_quantile(uniform: Floats, mean: Floats, shape: float) -> Integers:
    """Return the smallest k whose negative binomial distribution function reaches `uniform`.

    Never more than 60.

    Parameters
    ----------
    uniform, mean
        Shape (n,).
    shape
        The gamma shape: the variance is ``mean + mean**2 / shape``.
    """
    mass = (1 + mean / shape) ** -shape
    ratio = mean / (mean + shape)
    result = np.zeros(len(uniform), dtype=np.int64)
    rows = np.flatnonzero(uniform > mass)
    u, r, p = uniform[rows], ratio[rows], mass[rows]
    below, k = p.copy(), 0
    while rows.size and k < MOST:
        p = p * (shape + k) / (k + 1) * r
        below, k = below + p, k + 1
        result[rows] = k
        go = u > below
        rows = rows[go]
        u, r, p, below = (x[go] for x in (u, r, p, below))
    return result
