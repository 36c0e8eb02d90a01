"""The truth of visits before a common day: what they change from that day to the year's end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.expected import factor_between
from homevisit_eval.synthetic.expected_measures import rounded
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import rows_of, strengths
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids
from homevisit_eval.synthetic.visit_truths import (
    VISIT_OUTCOMES,
    KnownAtVisit,
    expected_rest,
    first_visits,
    known_at_visit,
    windows,
)
from homevisit_eval.synthetic.visits import PROGRAMS

__all__ = ["landmark_truth", "landmark_truth_table"]

AUGUST = 8  # a school year's first month

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def landmark_truth(
    district: District, seed: int, *, landmark: str = "02-01", replication: int = 0
) -> pd.DataFrame:
    """Return what first visits before a landmark day change from that day to the end of the year.

    Visits of all windows are on one clock, so that their effects can be compared.

    Parameters
    ----------
    district, seed, replication
        As given to `simulate`.
    landmark
        Month and day, as "02-01", of the calendar year in which the school year has it: from
        August on that of the fall. ``""``: no landmark, but all days after each visit: the
        whole year for visits before it.

    Returns
    -------
    DataFrame
        One row for each student-year of ``truth_grades`` and ``truth_years`` first visited (FEP or
        FEC) before the landmark day of that year, and enrolled on it or later: ``student_id,
        school_year, window`` ("before_year", or "fall" to December 31, or "spring"), ``program,
        date`` (of the visit; "before_year": the first enrolled day), ``days_after`` (enrolled
        days from the landmark on, that day included), and for each outcome of those days (of
        attendance and discipline, as in `visit_truth_table`) its expected value with the visit
        (``_m1``) and without any visit in that year (``_m0``).

    Raises
    ------
    DesignError
        If the landmark is no month and day that every year has, or none of the school days comes
        after it; if seed or replication is negative.

    Notes
    -----
    For visits before the year the expectations are over the chance of the year. For visits during
    it they are given the propensity to be absent and the incidents before the visit, as those
    of `visit_truth_table`; what happens between visit and landmark is left to chance.
    """
    for name, number in (("seed", seed), ("replication", replication)):
        if number < 0:
            raise DesignError(f"{name} must be 0 or greater; it is {number}.")
    _check(landmark)  # before the work
    draws = Draws(seed, district.truth_years[0] if replication else 0, replication)
    _, students, years = simulate_years(district, draws)
    return landmark_truth_table(district, years, student_ids(len(students)), landmark=landmark)


def landmark_truth_table(
    district: District, years: list[SchoolYear], ids: NDArray[np.object_], *, landmark: str
) -> pd.DataFrame:
    """Return the truth from a landmark day on of school years that are simulated already.

    See `landmark_truth`, whose rules and errors are the same.
    """
    _check(landmark)
    parts = [
        frame
        for lived in years
        if lived.roll.school_year in district.truth_years
        for frame in _truth(district, lived, ids, landmark)
    ]
    filled = [part for part in parts if len(part)]  # texts of an empty one have another type
    return pd.concat(filled or parts, ignore_index=True)


def _check(landmark: str) -> None:
    if not landmark:
        return
    if re.fullmatch(r"\d\d-\d\d", landmark) is None:
        raise DesignError('landmark must be a month and a day, for example "02-01", or empty.')
    try:
        np.datetime64(f"2015-{landmark}")
    except ValueError:
        raise DesignError(f"landmark {landmark!r} is no day that every year has.") from None


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """The days of n student-years on which outcomes count, shape (n,) each."""

    days: Floats
    factor: Floats


def _truth(
    district: District, lived: SchoolYear, ids: NDArray[np.object_], landmark: str
) -> list[pd.DataFrame]:
    """Return the frames of one year: visits before it and during it."""
    calendar, day = lived.calendar, np.datetime64("NaT")
    if landmark:
        fall = int(landmark[:2]) >= AUGUST
        day = np.datetime64(f"{lived.roll.school_year - fall}-{landmark}")
        if day > calendar.dates[-1]:
            raise DesignError(
                f"no school day of {lived.roll.school_year} comes on or after the landmark "
                f"{landmark!r}. Choose an earlier one."
            )
    before = np.flatnonzero(lived.summer.visited & np.isin(lived.roll.grade, district.truth_grades))
    during = first_visits(district, lived)
    if landmark:
        during = during[calendar.dates[lived.during.position[during]] < day]
    first = int(np.searchsorted(calendar.dates, day)) if landmark else 0
    after = np.full(len(during), first) if landmark else lived.during.position[during] + 1
    return [
        _frame(
            district,
            lived,
            ids,
            known=_before_year(lived, before, district.discipline.shape),
            when=_days_from(district, lived, before, np.full(len(before), first)),
        ),
        _frame(
            district,
            lived,
            ids,
            known=known_at_visit(district, lived, during),
            when=_days_from(district, lived, during, after),
        ),
    ]


def _before_year(lived: SchoolYear, rows: Integers, shape: float) -> KnownAtVisit:
    """Return students visited before the year: of its chance nothing but means is known."""
    roll, process = rows_of(lived.roll, rows), rows_of(lived.process, rows)
    first = roll.positions(lived.calendar, np.arange(len(rows)), np.zeros(len(rows), np.int64))
    return KnownAtVisit(
        roll=roll,
        process=process,
        program=lived.summer.program[rows],
        day=np.full(len(rows), -1),
        position=first,
        propensity=process.absence,
        shape=np.full(len(rows), shape),
        incidents=process.incidents,
    )


def _days_from(district: District, lived: SchoolYear, rows: Integers, first: Integers) -> _Days:
    """Return the enrolled days from position `first` (shape (n,)) on, in one or two schools."""
    roll, calendar = lived.roll, lived.calendar
    days, factor = np.zeros(len(rows)), np.zeros(len(rows))
    moved = np.flatnonzero(roll.second_school[rows] >= 0)
    spells: tuple[tuple[Integers, Integers, Integers, Integers], ...] = (
        (np.arange(len(rows)), roll.school, roll.start, roll.stop),
        (moved, roll.second_school, roll.second_start, roll.second_stop),
    )
    for at, schools, starts, stops in spells:
        school, end = schools[rows[at]], stops[rows[at]] + 1
        start = np.minimum(np.maximum(starts[rows[at]], first[at]), end)
        days[at] += calendar.before[school, end] - calendar.before[school, start]
        factor[at] += factor_between(district, calendar, school, start, end)
    return _Days(days, factor)


def _frame(
    district: District,
    lived: SchoolYear,
    ids: NDArray[np.object_],
    *,
    known: KnownAtVisit,
    when: _Days,
) -> pd.DataFrame:
    """Return expected outcomes on the given days of those who have any."""
    kept = np.flatnonzero(when.days > 0)
    known = rows_of(known, kept)
    known = replace(known, roll=rows_of(known.roll, kept), process=rows_of(known.process, kept))
    days, factor = when.days[kept], when.factor[kept]
    untouched, visited = strengths(known.process, before=known.day < 0)
    date = lived.calendar.dates[known.position]
    window = windows(date, lived.roll.school_year)
    columns = {
        "student_id": ids[known.roll.student],
        "school_year": np.full(len(kept), lived.roll.school_year),
        "window": np.where(known.day < 0, "before_year", window).astype(object),
        "program": PROGRAMS[known.program],
        "date": date.astype("datetime64[s]"),
        "days_after": days.astype(np.int64),
    }
    for regime, strength in (("m1", visited), ("m0", untouched)):
        expected = expected_rest(district, known, strength, days=days, factor=factor)
        for name in VISIT_OUTCOMES:
            columns[f"{name}_{regime}"] = rounded(name, expected[name])
    return pd.DataFrame(columns)
