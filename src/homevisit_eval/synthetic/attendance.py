"""Absences and tardies day by day: what chance would bring, and what visits leave of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from homevisit_eval.synthetic.calendars import YearCalendar
from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import Process
from homevisit_eval.synthetic.school_days import eventful_days

__all__ = ["Absences", "absence_table", "calendar_factor", "draw_absences"]

CATEGORIES = np.array(["excused", "unexcused", "tardy", "partial"], dtype=object)
EXCUSED, UNEXCUSED, TARDY, PARTIAL = range(4)
TRUANT_DAYS = 10  # unexcused and full, from which a student is chronically truant
ROWS_AT_ONCE = 8192
ALMOST_ONE = 1 - 1e-9

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Absences:
    """All that chance would bring in a year without any visit, by student-year and date.

    A visit prevents some: an event is left where `mark` is below the factor of that day.

    Parameters
    ----------
    row
        Shape (e,), position of the student-year.
    position
        Shape (e,), position of the date in the calendar.
    category
        Shape (e,), position in `CATEGORIES`.
    quarters
        Shape (e,), quarters of the day missed: 4 for a full day, 0 for a tardy.
    mark
        Shape (e,), uniform numbers, 0 for tardies, which no visit prevents.
    propensity
        Shape (n,), each student-year's propensity to be absent.
    """

    row: Integers
    position: Integers
    category: Integers
    quarters: Integers
    mark: Floats
    propensity: Floats

    @property
    def full(self) -> Booleans:
        """Whether each event is an absence of a full day."""
        return np.asarray(self.quarters == 4)


def calendar_factor(district: District, calendar: YearCalendar) -> Floats:
    """Return the factor of each date, 1 on the worst weekday of the worst month: shape (D,)."""
    rules, dates = district.attendance, calendar.dates
    weekday = np.array([*rules.by_weekday, 0.0, 0.0])
    month = np.array(rules.by_month)
    day = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    factor = weekday[day] * month[dates.astype("datetime64[M]").astype(np.int64) % 12]
    return np.asarray(factor / (weekday.max() * month.max()))


def draw_absences(
    district: District, calendar: YearCalendar, roll: Enrollment, process: Process, draws: Draws
) -> Absences:
    """Draw what would happen on each enrolled day without any visit."""
    rules, n = district.attendance, len(roll.student)
    stream = draws.stream(Draw.ATTENDANCE, roll.school_year)
    first = process.absence * rules.precision
    propensity = betaincinv(first, rules.precision - first, stream.random(n))
    position = np.flatnonzero(calendar.instructional.any(axis=0))
    factor = calendar_factor(district, calendar)[position]
    open_days = np.ascontiguousarray(calendar.instructional[:, position])
    spells = np.stack(
        [
            roll.school, roll.start, roll.stop,
            roll.second_school, roll.second_start, roll.second_stop,
        ],
        axis=1,
    )  # fmt: skip
    late = 1 - rules.partial - process.tardy
    pieces = []
    for begin in range(0, n, ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        uniform = stream.random((len(propensity[rows]), len(position)), dtype=np.float32)
        row, column = eventful_days(
            uniform, propensity[rows], late[rows], factor, open_days, position, spells[rows]
        )
        u = uniform[row, column].astype(np.float64)
        chance = propensity[rows][row] * factor[column]
        pieces.append((row + begin, position[column], u, u / chance))
    row, where, u, mark = (np.concatenate(column) for column in zip(*pieces, strict=True))
    full, partial = mark < 1, u >= 1 - rules.partial
    stream = draws.stream(Draw.ABSENCE_DAYS, roll.school_year)
    u_kind, u_length = stream.random((2, len(row)))
    unexcused = np.where(u_kind < process.unexcused[row], UNEXCUSED, EXCUSED)
    quarters = np.where(partial, 1 + np.floor(3 * u_length).astype(np.int64), 0)
    return Absences(
        row=row,
        position=where,
        category=np.where(full, unexcused, np.where(partial, PARTIAL, TARDY)),
        quarters=np.where(full, 4, quarters),
        mark=np.where(full, mark, np.where(partial, (1 - u) / rules.partial, 0.0)),
        propensity=propensity,
    )


def absence_table(
    calendar: YearCalendar,
    roll: Enrollment,
    absences: Absences,
    happened: Booleans,
    *,
    school_ids: NDArray[np.object_],
    ids: NDArray[np.object_],
) -> pd.DataFrame:
    """Return one row per absence, partial day or tardy of one school year, by student and date.

    Parameters
    ----------
    happened
        Shape (e,), the events that took place.
    """
    row, position = absences.row[happened], absences.position[happened]
    category = absences.category[happened]
    fraction = np.where(category == PARTIAL, absences.quarters[happened] / 4, np.nan)
    return pd.DataFrame(
        {
            "student_id": ids[roll.student[row]],
            "school_id": school_ids[roll.school_on(row, position)],
            "date": calendar.dates[position].astype("datetime64[s]"),
            "category": CATEGORIES[category],
            "fraction": fraction,
        }
    )
